//! `cargo xtask rebase`: an image on a patched base, and the bases that it can't stand on.

mod crafted;

use std::fs;
use std::path::PathBuf;

use crafted::{AMD64, ARM64, Item, World, head, key, program, root_file_system};
use oci::layout::{Layout, document};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};

/// A layout `old` with the image `t` on a base in `old.tar`.
fn world() -> World {
    let world = World::new();
    let base = world.path("old.tar");
    root_file_system(&base, AMD64, &[]);
    let commit = head().unwrap_or_else(|| "0123456789abcdef0123456789abcdef01234567".into());
    world.build("old", "t", &commit, &base, &program(AMD64, None));
    world
}

/// The base that has `more`.
fn base(world: &World, machine: u8, more: &[Item]) -> PathBuf {
    let path = world.path("new.tar");
    root_file_system(&path, machine, more);
    path
}

fn rebase<'a>(world: &'a World, base: &'a str, output: &'a str) -> Vec<String> {
    let image = world.image("old", "t");
    ["rebase", &image, "--base", base, "--output", output].map(String::from).to_vec()
}

fn read(layout: &Layout, name: &str) -> (Descriptor, ImageManifest, ImageConfiguration) {
    let root = layout.resolve(Some(name)).unwrap();
    let platform = oci::platform::parse("linux/amd64").unwrap();
    let descriptor = oci::base::manifest_for(layout.blobs(), &root, &platform).unwrap();
    let manifest: ImageManifest = document(layout.blobs(), &descriptor).unwrap();
    let config = document(layout.blobs(), manifest.config()).unwrap();
    (descriptor, manifest, config)
}

#[test]
fn a_patched_base_goes_under_the_same_program() {
    let world = world();
    let release = b"ID=alpine\nVERSION_ID=3.20.4\n";
    let base = base(&world, AMD64, &[Item::File("etc/os-release", release)]);
    let (asked, output) = (format!("alpine={}", base.display()), world.path("new").display().to_string());
    let mut args = rebase(&world, &asked, &output);
    let key_file = key("openssl.pem");
    // Attesting asks for the commit that the image names.
    let signs = head().is_some();
    if signs {
        args.extend(["--key".into(), key_file]);
    } else {
        eprintln!("skipped: no git checkout, so nothing can be attested");
    }
    let said = world.succeeds(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let tag = format!("{}-alpine", env!("CARGO_PKG_VERSION"));
    assert!(said.starts_with(&format!("scratchbird:{tag}@sha256:")), "{said}");
    let (old, new) = (Layout::open(world.path("old")).unwrap(), Layout::open(world.path("new")).unwrap());
    let (_, old_manifest, old_config) = read(&old, "t");
    let (_, new_manifest, new_config) = read(&new, &tag);
    assert_ne!(old_manifest.layers()[0].digest(), new_manifest.layers()[0].digest());
    assert_eq!(old_manifest.layers().last(), new_manifest.layers().last());
    let labels = |c: &ImageConfiguration| c.config().as_ref().unwrap().labels().clone().unwrap();
    let (mut before, mut after) = (labels(&old_config), labels(&new_config));
    let digest = "org.opencontainers.image.base.digest";
    assert_ne!(before.remove(digest), after.remove(digest));
    assert_eq!(before, after);
    let problems = oci::validate::layout(&world.path("new"), None, oci::validate::Depth::Layers);
    assert!(problems.is_empty(), "{problems:?}");
    if signs {
        let said = world.succeeds(&["verify", &world.image("new", &tag), "--key", &key("openssl.pub")]);
        assert!(said.contains("9 passed, 0 failed"), "{said}");
        // Whoever attests again says nothing new, though at another time.
        let index = fs::read(world.path("new/index.json")).unwrap();
        world.succeeds(&["attest", &world.image("new", &tag), "--key", &key("openssl.pem")]);
        assert_eq!(fs::read(world.path("new/index.json")).unwrap(), index);
    }
}

#[test]
fn a_base_that_does_not_fit_is_refused_and_nothing_is_written() {
    let world = world();
    let check = |machine: u8, more: &[Item], expect: &str| {
        let asked = format!("alpine={}", base(&world, machine, more).display());
        let output = world.path("never").display().to_string();
        let args = rebase(&world, &asked, &output);
        world.fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), 1, expect);
        assert!(!world.path("never").exists());
    };
    check(ARM64, &[], "the base is for linux/arm64, the image is for linux/amd64");
    check(
        AMD64,
        &[Item::File("etc/passwd", b"root:x:0:0:root:/root:/bin/ash\nbob:x:1000:1000::/:/bin/ash\n")],
        "the base's /etc/passwd has `bob` with the id 1000",
    );
    check(
        AMD64,
        &[Item::File("etc/group", b"root:x:0:\nscratchbird:x:7:\n")],
        "the base's /etc/group has `scratchbird` with the id 7",
    );
    check(
        AMD64,
        &[Item::Link("usr/local/bin/scratchbird", "/bin/busybox")],
        "is a symbolic link to /bin/busybox in the base",
    );
    check(AMD64, &[Item::File("var/lib/scratchbird", b"")], "is a file in the base");
    check(
        AMD64,
        &[Item::File("etc/os-release", b"ID=debian\nVERSION_ID=13\n")],
        "the base is debian, the image stands on alpine",
    );
    // The program's layer would need folders that it does not have.
    check(
        AMD64,
        &[Item::Link("usr/local/bin", "sbin"), Item::Dir("usr/local/sbin")],
        "the program's layer would change (layer /usr/local/bin/backup: link to scratchbird",
    );
}

#[test]
fn a_program_that_needs_its_interpreter_finds_it_in_the_new_base() {
    let world = World::new();
    let old = world.path("old.tar");
    root_file_system(&old, AMD64, &[]);
    world.build("old", "t", &"c".repeat(40), &old, &program(AMD64, Some("/lib/ld-musl.so.1")));
    let new = base(&world, AMD64, &[Item::Link("lib/ld-musl.so.1", "gone")]);
    fs::copy(&old, world.path("same.tar")).unwrap();
    let output = world.path("new").display().to_string();
    let run = |base: PathBuf| rebase(&world, &format!("alpine={}", base.display()), &output);
    let args = run(world.path("same.tar"));
    world.succeeds(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let args = run(new);
    world.fails(
        &args.iter().map(String::as_str).collect::<Vec<_>>(),
        1,
        "asks for the program interpreter /lib/ld-musl.so.1, which the base does not have",
    );
}

#[test]
fn what_is_no_base_is_wrong_usage() {
    let world = world();
    let check = |base: &str, code: i32, expect: &str| {
        let output = world.path("never").display().to_string();
        let args = rebase(&world, base, &output);
        world.fails(&args.iter().map(String::as_str).collect::<Vec<_>>(), code, expect);
        assert!(!world.path("never").exists());
    };
    let here = world.path("old.tar").display().to_string();
    check("alpine", 2, "must be VARIANT@sha256:… or VARIANT=SOURCE");
    check("alpine@latest", 2, "must be VARIANT@sha256:… or VARIANT=SOURCE");
    check(&format!("alpin={here}"), 2, "alpin");
    check(&format!("distroless={here}"), 2, "distroless has no base");
    check(&format!("debian={here}"), 1, "is of the variant alpine, not debian");
    check("alpine=nowhere.tar", 1, "there is no such file");
    let cut = world.path("cut.tar");
    let whole = fs::read(world.path("old.tar")).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    check(&format!("alpine={}", cut.display()), 1, "cut.tar");
}
