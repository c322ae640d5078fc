//! No probe of a layout passes by default: each fails on a layout that is damaged or holds another image than it should,
//! and where there is none.
//!
//! Ignored by `cargo test`, since it needs images in target/oci; `cargo xtask ci` runs it.

mod altered;
mod crafted;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use altered::{Change, PROGRAM};
use crafted::{AMD64, ARM64, program};
use oci::{Entry, Owner};
use oci_spec::image::Platform;
use serde_json::{Value, json};

const PROBES: &[&str] = &[
    "is a valid OCI layout, to the last layer entry",
    "is read by skopeo, layout and archive",
    "is unpacked by umoci, with modes and owners",
    "is loaded by podman, as an archive",
    "starts on its foreign platforms, under qemu, and names its crates there",
    "has SBOMs that other tools accept",
];

/// EM_ARM in an ELF header.
const ARM: u8 = 40;

/// Asked for by a flag, since it may take minutes.
const REBUILD: &str = "gives the same digest elsewhere, as another user";

/// What is changed in an image of that variant, and the probes that must notice, each with a word of what it says.
type Case = (&'static str, Change, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (
        "distroless",
        no_program,
        &[
            ("is loaded by podman, as an archive", "`podman"),
            ("starts on its foreign platforms, under qemu, and names its crates there", "it says `"),
        ],
    ),
    (
        "distroless",
        dynamic_program,
        &[("is unpacked by umoci, with modes and owners", "usr/local/bin/scratchbird is not static")],
    ),
    (
        "distroless",
        program_of_nothing,
        &[(
            "starts on its foreign platforms, under qemu, and names its crates there",
            "the program does not name its crates",
        )],
    ),
    (
        "distroless",
        closed_folder,
        &[("is unpacked by umoci, with modes and owners", "/backup has the mode 700, not 770")],
    ),
    (
        "distroless",
        missing_program,
        &[(
            "starts on its foreign platforms, under qemu, and names its crates there",
            "the top layer has no usr/local/bin/scratchbird",
        )],
    ),
    // It is moved and signed, and found out where it is run.
    (
        "alpine",
        no_program,
        &[("moves to a patched base, is signed anew, and runs there", "exec format error")],
    ),
    (
        "alpine",
        foreign_program,
        &[("moves to a patched base, is signed anew, and runs there", "is built for")],
    ),
    ("distroless", no_commit, &[(REBUILD, "was built from `0123-dirty`, which is no commit")]),
];

fn machine(platform: &Platform) -> u8 {
    match platform.architecture().to_string().as_str() {
        "amd64" => AMD64,
        "arm" => ARM,
        _ => ARM64,
    }
}

/// The bytes of the server's program.
fn program_in(entries: &mut [Entry]) -> &mut Vec<u8> {
    let program = entries.iter_mut().find(|entry| entry.path() == PROGRAM);
    let Some(Entry::Inline { contents, .. }) = program else { panic!("no {PROGRAM} in the topmost layer") };
    contents
}

fn no_program(_: &mut Value, platform: &Platform, entries: &mut [Entry]) {
    *program_in(entries) = program(machine(platform), None);
}

fn dynamic_program(_: &mut Value, platform: &Platform, entries: &mut [Entry]) {
    *program_in(entries) = program(machine(platform), Some("/lib/ld.so"));
}

fn foreign_program(_: &mut Value, platform: &Platform, entries: &mut [Entry]) {
    *program_in(entries) = program(if machine(platform) == AMD64 { ARM64 } else { AMD64 }, None);
}

/// The section that lists the program's crates under another name.
fn program_of_nothing(_: &mut Value, _: &Platform, entries: &mut [Entry]) {
    let (program, section) = (program_in(entries), b".dep-v0\0");
    let at = program.windows(section.len()).rposition(|bytes| bytes == section).unwrap();
    program[at + 1] = b'x';
}

/// Puts another entry in a program's place, the server's or a link's to it.
fn instead_of(path: &str, entries: &mut [Entry], other: Entry) {
    *entries.iter_mut().find(|entry| entry.path() == path).unwrap() = other;
}

fn missing_program(_: &mut Value, _: &Platform, entries: &mut [Entry]) {
    instead_of(PROGRAM, entries, Entry::Symlink { path: "usr/local/bin/wren".into(), target: "sql".into() });
}

fn closed_folder(_: &mut Value, _: &Platform, entries: &mut [Entry]) {
    let folder = Entry::Dir { path: "backup".into(), mode: 0o700, owner: Owner::ROOT };
    instead_of("usr/local/bin/sql", entries, folder);
}

fn no_commit(config: &mut Value, _: &Platform, _: &mut [Entry]) {
    config["config"]["Labels"]["org.opencontainers.image.revision"] = json!("0123-dirty");
}

/// What the probes say of the layout in that target folder.
fn verify(target: &Path, variant: &str, probes: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["--quiet", "verify", "--variant", variant, "--format", "json"]);
    if probes.contains(&REBUILD) {
        command.arg("--rebuild");
    }
    for probe in probes {
        command.args(["--probe", probe]);
    }
    let output = command.env("CARGO_TARGET_DIR", target).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {words}"));
    assert!(lines.len() >= probes.len() && !words.contains("panicked"), "{words}");
    lines
}

/// None of these may pass; what is skipped says why.
fn all_fail(what: &str, target: &Path, probes: &[&str], but: &[&str]) {
    for line in verify(target, "distroless", probes) {
        let (probe, outcome) = (line["probe"].as_str().unwrap(), line["outcome"].as_str().unwrap());
        if outcome == "skipped" {
            println!("skipped: {probe}: {}", line["why"]);
        }
        assert!(outcome != "passed" || but.iter().any(|b| probe.starts_with(b)), "{what}: `{probe}` passes");
        assert!(
            outcome == "passed" || line["why"].as_str().is_some_and(|why| !why.is_empty()),
            "{what}: {line}"
        );
    }
}

#[test]
#[ignore = "needs images in target/oci; `cargo xtask ci` runs it"]
fn where_there_is_no_layout_nothing_passes() {
    all_fail("no layout", altered::empty().path(), &[PROBES, &[REBUILD]].concat(), &[]);
}

#[test]
#[ignore = "needs images in target/oci; `cargo xtask ci` runs it"]
fn damage_is_noticed() {
    let blobs = |layout: &Path| -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(layout.join("blobs/sha256")).unwrap().flatten();
        let mut blobs: Vec<_> = entries.map(|e| (e.metadata().unwrap().len(), e.path())).collect();
        blobs.sort();
        blobs
    };
    let own = altered::own().join("oci");
    assert!(own.join("oci-layout").exists(), "run `cargo xtask image --variant distroless`");
    let target = altered::empty();
    let layout = target.path().join("oci");
    altered::copy(&own, &layout);
    // Every layer, one bit in the middle.
    for (size, path) in blobs(&layout).iter().filter(|(size, _)| *size > 20_000) {
        let mut bytes = fs::read(path).unwrap();
        bytes[usize::try_from(size / 2).unwrap()] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    // Emulators start the program alone, which lies in a layer too, but may not be installed.
    all_fail("a flipped bit", target.path(), PROBES, &["starts on its foreign"]);

    altered::copy(&own, &layout);
    for (_, path) in blobs(&layout).iter().filter(|(size, _)| *size < 20_000) {
        fs::remove_file(path).unwrap();
    }
    all_fail("no documents", target.path(), &[PROBES, &[REBUILD]].concat(), &[]);
}

#[test]
#[ignore = "needs images in target/oci; `cargo xtask ci` runs it"]
fn another_image_is_noticed() {
    let mut missed = Vec::new();
    for (variant, change, expected) in CASES {
        let target = altered::target(variant, *change);
        let probes: Vec<&str> = expected.iter().map(|(probe, _)| *probe).collect();
        let lines = verify(target.path(), variant, &probes);
        for (probe, word) in *expected {
            let line = lines.iter().find(|line| line["probe"].as_str().unwrap().starts_with(probe));
            let line = line.unwrap_or_else(|| panic!("`{probe}` is no probe"));
            let why = line["why"].as_str().unwrap_or_default();
            match line["outcome"].as_str() {
                Some("skipped") => println!("skipped: {probe}: {why}"),
                Some("failed") if why.contains(word) => {}
                _ => missed.push(format!("`{probe}` says: {line}\nwithout: {word}")),
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}
