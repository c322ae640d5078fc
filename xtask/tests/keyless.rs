//! `cargo xtask sign --keyless` hands over to cosign: with which words, what is said where there is none, and how far the
//! real one comes without an identity.

mod crafted;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crafted::{AMD64, World, program, root, root_file_system};
use oci::Blobs;
use oci::layout::Layout;
use registry::{Client, Config, Push};
use registry_testing::Server;

/// A server of whose repository `birds` the tag `t` is an image; and the image's reference by digest.
fn published(world: &World) -> (Server, String, String) {
    let base = world.path("base.tar");
    root_file_system(&base, AMD64, &[]);
    world.build("oci", "t", &"c".repeat(40), &base, &program(AMD64, None));
    let server = Server::start();
    let repository = server.repository("birds");
    let index = Layout::open(world.path("oci")).unwrap().resolve(Some("t")).unwrap();
    let push = Push { tags: vec!["t".into()], ..Push::default() };
    let client = Client::new(Config::default()).unwrap();
    client.push(&Blobs::at(world.path("oci")), &index, &repository, &push).unwrap();
    let digest = format!("{repository}@{}", index.digest());
    (server, format!("{repository}:t"), digest)
}

/// Runs `sign --keyless` where only the programs of `path` are found.
fn sign(world: &World, image: &str, path: &Path) -> Output {
    sign_with(world, image, &[], path)
}

/// The same with more words.
fn sign_with(world: &World, image: &str, more: &[&str], path: &Path) -> Output {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()).output().unwrap();
    let sysroot = PathBuf::from(String::from_utf8(rustc.stdout).unwrap().trim());
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["sign", image, "--keyless"])
        .args(more)
        .env("CARGO_TARGET_DIR", world.path("target"))
        .env("CARGO", env!("CARGO"))
        .env("RUSTC", sysroot.join("bin/rustc"))
        .env("PATH", path)
        .env("HOME", world.dir.path())
        // No identity: a token that none can take for one, so that nobody is asked over the network.
        .env("SIGSTORE_ID_TOKEN", "none")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A program `cosign` in a folder of its own.
fn cosign(world: &World, script: &str) -> PathBuf {
    let bin = world.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("cosign"), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(bin.join("cosign"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[test]
fn without_cosign_one_line_says_so() {
    let world = World::new();
    let empty = world.path("empty");
    std::fs::create_dir_all(&empty).unwrap();
    // Nobody is connected to for that.
    let output = sign(&world, "localhost:1/birds:t", &empty);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.starts_with("error: --keyless needs cosign, which is not installed; see https://"),
        "{stderr}"
    );
}

#[test]
fn a_layout_is_no_place_for_keyless_signatures() {
    let world = World::new();
    let base = world.path("base.tar");
    root_file_system(&base, AMD64, &[]);
    world.build("oci", "t", &"c".repeat(40), &base, &program(AMD64, None));
    let output = sign(&world, &world.image("oci", "t"), &cosign(&world, "exit 1"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("push the image, and sign it there"), "{}", text(&output.stderr));
}

#[test]
fn the_digest_is_signed_and_all_that_is_below_it() {
    let world = World::new();
    let (_server, image, digest) = published(&world);
    let said = world.path("said");
    let bin = cosign(&world, &format!("echo \"$@\" > '{}'", said.display()));
    let output = sign(&world, &image, &bin);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&said).unwrap(), format!("sign --yes --recursive {digest}\n"));
    let (name, hash) = digest.split_once('@').unwrap();
    assert_eq!(text(&output.stdout), format!("{name}:t@{hash}\n"));
    // What the signature shall say besides is not forgotten.
    let more = ["--annotation", "b=2 3", "--annotation", "a=1", "--identity", "example.org/birds"];
    assert!(sign_with(&world, &image, &more, &bin).status.success());
    let words = "--annotations=a=1 --annotations=b=2 3 --sign-container-identity=example.org/birds";
    let expect = format!("sign --yes --recursive {words} {digest}\n");
    assert_eq!(std::fs::read_to_string(&said).unwrap(), expect);
    // Its failure is ours, and nothing is printed as signed.
    let output = sign(&world, &image, &cosign(&world, "exit 3"));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    assert!(text(&output.stderr).contains("error: "), "{}", text(&output.stderr));
}

#[test]
fn the_real_cosign_takes_the_words_and_asks_for_an_identity() {
    let tools = root().join("target/tools/bin");
    if !tools.join("cosign").exists() {
        eprintln!("skipped: no cosign in target/tools/bin, where .ci/run puts it");
        return;
    }
    let world = World::new();
    let (_server, image, _) = published(&world);
    // With its name resolved to 127.0.0.1 it speaks HTTP, as the server does.
    let more = ["--annotation", "a=1", "--identity", "example.org/birds"];
    let output = sign_with(&world, &image, &more, &tools.canonicalize().unwrap());
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("getting key from Fulcio"), "{stderr}");
    assert!(stderr.lines().last().unwrap().starts_with("error: "), "{stderr}");
}
