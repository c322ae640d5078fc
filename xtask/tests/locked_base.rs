//! `cargo xtask verify --policy` with `locked-base`: that an image stands on the base of bases.lock is seen in its layers,
//! whatever its label says.

mod crafted;

use std::fs;

use crafted::{AMD64, Item, World, key, program, root_file_system};
use oci::{Blobs, Cache};
use oci_spec::image::Digest;
use registry::{Client, Config, Push};
use registry_testing::Server;

/// Bases `old` and `new`, of which the old one is locked; and an image on each, `t` and `patched`, and one on the new that
/// says it is on the old, `forged`. All are signed. Gives the digest of the old base, whose name is at that registry.
fn world(registry: &str) -> (World, Digest) {
    let world = World { base: format!("{registry}/alpine:imported"), ..World::new() };
    let (old, new) = (world.path("old.tar"), world.path("new.tar"));
    root_file_system(&old, AMD64, &[]);
    root_file_system(&new, AMD64, &[Item::File("etc/os-release", b"ID=alpine\nVERSION_ID=3.20.4\n")]);
    let cache = Cache::create(&world.path("cache")).unwrap();
    let platform = oci::platform::parse("linux/amd64").unwrap();
    let locked = oci::import::import(&cache, &old, None, &platform).unwrap().digest;
    let (commit, program) = ("c".repeat(40), program(AMD64, None));
    world.build("oci", "t", &commit, &old, &program);
    world.build("oci", "patched", &commit, &new, &program);
    world.build_as("oci", "forged", &commit, (&new, Some(&locked)), &program);
    for name in ["t", "patched", "forged"] {
        world.succeeds(&["sign", &world.image("oci", name), "--key", &key("openssl.pem")]);
    }
    let catalogue = fs::read_to_string(crafted::root().join("docker/images.toml")).unwrap();
    let catalogue = catalogue.replacen("[project]\n", "[project]\nversion = \"1.0.0\"\n", 1);
    fs::write(world.path("images.toml"), catalogue).unwrap();
    lock(&world, &locked);
    let policy = "require = [\"signature\"]\nlocked-base = true\nallow-dirty = true\n";
    fs::write(world.path("policy.toml"), policy).unwrap();
    (world, locked)
}

fn lock(world: &World, digest: &Digest) {
    let lock = format!("[bases.\"{}\"]\ndigest = \"{digest}\"\n", world.base);
    fs::write(world.path("bases.lock"), lock).unwrap();
}

/// What the rule says of an image. Registries named `localhost` are looked for at `mirror`.
fn verdict(world: &World, image: &str, mirror: &str) -> String {
    let path = |name: &str| world.path(name).display().to_string();
    let (spec, policy) = (path("images.toml"), path("policy.toml"));
    let args = ["--spec", &spec, "verify", &world.image("oci", image), "--policy", &policy, "--key"];
    let output = world
        .command(&args)
        .arg(key("openssl.pub"))
        .env("XTASK_REGISTRY_MIRRORS", format!("localhost={mirror}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("policy: sits on the locked base"));
    line.unwrap_or_else(|| panic!("{said}")).trim().to_string()
}

#[test]
fn a_label_is_no_base() {
    // It answers, and has nothing: where nobody answers, the client asks again for a while.
    let server = Server::start();
    let (world, locked) = world(&server.host);
    let base = format!("{}@{locked}", world.base);
    let kept = world.path("target/oci-cache");
    fs::remove_dir_all(&kept).unwrap();
    fs::rename(world.path("cache"), &kept).unwrap();
    let check = |image: &str, verb: &str, expect: &str| {
        let said = verdict(&world, image, &server.host);
        assert!(said.starts_with(verb) && said.contains(expect), "{image}: {said}");
    };
    check("t", "passed", "");
    check("patched", "FAILED", &format!("docker/bases.lock has {locked}"));
    let forged = format!("it names {base}, and its lowest layers are others");
    check("forged", "FAILED", &forged);
    // The base is nowhere to compare with.
    fs::remove_dir_all(&kept).unwrap();
    let nowhere = format!("{base}, which is locked, can't be compared: ");
    check("t", "FAILED", &nowhere);
    check("forged", "FAILED", &nowhere);
    lock(&world, &format!("sha256:{}", "a".repeat(64)).parse().unwrap());
    check("t", "FAILED", "docker/bases.lock has sha256:aaaa");
    fs::write(world.path("bases.lock"), "").unwrap();
    check("t", "FAILED", "which docker/bases.lock does not have");
}

#[test]
fn the_base_is_looked_up_in_its_registry() {
    let (world, locked) = world("localhost");
    let server = Server::start();
    let blobs = Blobs::at(world.path("cache"));
    let bytes = fs::read(blobs.path(&locked)).unwrap();
    let size = u64::try_from(bytes.len()).unwrap();
    let base = oci_spec::image::Descriptor::new(oci_spec::image::MediaType::ImageManifest, size, locked);
    let client = Client::new(Config::default()).unwrap();
    client.push(&blobs, &base, &server.repository("alpine"), &Push::default()).unwrap();
    server.take_log();
    assert!(verdict(&world, "t", &server.host).starts_with("passed"));
    // Documents are enough: no layer of the base is fetched.
    let log = server.take_log();
    let layers: oci_spec::image::ImageManifest = serde_json::from_slice(&bytes).unwrap();
    let layer = layers.layers()[0].digest().to_string();
    assert!(!log.is_empty() && !log.iter().any(|line| line.contains(&layer)), "{log:?}");
    let said = verdict(&world, "forged", &server.host);
    assert!(said.starts_with("FAILED") && said.contains("its lowest layers are others"), "{said}");
}
