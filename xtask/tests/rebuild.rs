//! `cargo xtask verify-rebuild` once there is a rebuilt image: what is the same is attested, what differs is told. The
//! rebuilding itself is a step of `cargo xtask verify --rebuild`.

mod crafted;

use crafted::{AMD64, World, key, program, root_file_system};
use serde_json::Value;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Layouts `published` and `rebuilt` with the image `t`: of one commit, with these bytes behind the program's header.
fn world(published: &[u8], rebuilt: &[u8]) -> World {
    let world = World::new();
    let base = world.path("base.tar");
    root_file_system(&base, AMD64, &[]);
    for (layout, tail) in [("published", published), ("rebuilt", rebuilt)] {
        let program = [&program(AMD64, None), tail].concat();
        world.build(layout, "t", COMMIT, &base, &program);
    }
    world
}

#[test]
fn what_is_the_same_is_attested() {
    let world = world(b"", b"");
    let (published, rebuilt) = (world.image("published", "t"), world.image("rebuilt", "t"));
    let said = world.succeeds(&["verify-rebuild", &published, "--against", &rebuilt]);
    assert!(said.starts_with(&format!("{published}@sha256:")), "{said}");
    assert_eq!(
        world.succeeds(&["verify-rebuild", &published, "--against", &rebuilt, "--format", "json"]),
        "[]\n"
    );
    let key_file = key("openssl.pem");
    world.succeeds(&["verify-rebuild", &published, "--against", &rebuilt, "--key", &key_file]);
    let layout = oci::layout::Layout::open(world.path("published")).unwrap();
    let index = layout.index().unwrap();
    // The statement hangs on the platform's image, in the list that a registry would keep under this tag.
    let list = index
        .manifests()
        .iter()
        .find(|d| oci::layout::ref_name(d).is_some_and(|name| name.starts_with("sha256-")));
    let list: Value = oci::layout::document(layout.blobs(), list.unwrap()).unwrap();
    let annotations = &list["manifests"][0]["annotations"];
    assert_eq!(
        annotations["dev.sigstore.bundle.predicateType"],
        "https://in-toto.io/attestation/test-result/v0.1"
    );
    let problems = oci::validate::layout(&world.path("published"), None, oci::validate::Depth::Layers);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn what_differs_is_told_by_layer_and_file() {
    let world = world(b"tampered", b"");
    let (published, rebuilt) = (world.image("published", "t"), world.image("rebuilt", "t"));
    let key_file = key("openssl.pem");
    let args = ["verify-rebuild", &published, "--against", &rebuilt, "--format", "json", "--key", &key_file];
    let said = world.fails(&args, 1, "as published and sha256:");
    let found: Value = serde_json::from_str(&said).unwrap();
    let place = |part: &str| -> Vec<&str> {
        let found = found.as_array().unwrap().iter().filter(|d| d["part"] == part);
        found.filter_map(|d| d["place"].as_str()).collect()
    };
    // The base is layer 0, users and folders are layer 1.
    assert_eq!(place("layer 2"), ["/usr/local/bin/scratchbird"]);
    assert_eq!(place("config"), ["/rootfs/diff_ids/2"]);
    assert_eq!(found.as_array().unwrap().len(), 2, "{said}");
    // Nothing is attested of what differs.
    let layout = oci::layout::Layout::open(world.path("published")).unwrap();
    assert_eq!(layout.index().unwrap().manifests().len(), 1);
    let human = world.fails(&args[..4], 1, "2 differences");
    assert!(human.contains("layer 2 /usr/local/bin/scratchbird: sha256:"), "{human}");
}

#[test]
fn what_can_t_be_built_again_is_refused() {
    let world = World::new();
    let base = world.path("base.tar");
    root_file_system(&base, AMD64, &[]);
    for (name, commit) in [("dirty", "0123-dirty"), ("foreign", "ffffffffffffffffffffffffffffffffffffffff")] {
        world.build("oci", name, commit, &base, &program(AMD64, None));
    }
    let (dirty, foreign) = (world.image("oci", "dirty"), world.image("oci", "foreign"));
    world.fails(&["verify-rebuild", &dirty], 1, "was built from `0123-dirty`, which is no commit");
    world.fails(&["verify-rebuild", &dirty, "--platform", "linux/arm64"], 1, "not for linux/arm64");
    world.fails(&["verify-rebuild", "./x"], 2, "is no image");
    if crafted::head().is_none() {
        eprintln!("skipped: no git checkout to look for a commit in");
        return;
    }
    world.fails(&["verify-rebuild", &foreign], 1, "run `git fetch origin ffffffff");
}
