//! No probe of a layout passes by default: each fails on a layout that is damaged, and where there is none.
//!
//! Ignored by `cargo test`, since it needs images in target/oci; `cargo xtask ci` runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PROBES: [&str; 5] = [
    "is a valid OCI layout",
    "is read by skopeo",
    "is unpacked by umoci",
    "is loaded by podman",
    "starts on its foreign platforms",
];

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/oci")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// What the probes say of the layout in that target folder.
fn verify(target: &Path) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["--quiet", "verify", "--variant", "distroless", "--format", "json"]);
    for probe in PROBES {
        command.args(["--probe", probe]);
    }
    let output = command.env("CARGO_TARGET_DIR", target).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {words}"));
    assert!(lines.len() >= PROBES.len() && !words.contains("panicked"), "{words}");
    lines
}

/// None of these may pass; what is skipped says why.
fn all_fail(what: &str, lines: &[Value], but: &[&str]) {
    for line in lines.iter().filter(|line| line["subject"] == "target/oci") {
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
    let target = tempfile::tempdir().unwrap();
    all_fail("no layout", &verify(target.path()), &[]);
}

#[test]
#[ignore = "needs images in target/oci; `cargo xtask ci` runs it"]
fn damage_is_noticed() {
    assert!(own().join("oci-layout").exists(), "run `cargo xtask image --variant distroless`");
    let blobs = |layout: &Path| -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(layout.join("blobs/sha256")).unwrap().flatten();
        let mut blobs: Vec<_> = entries.map(|e| (e.metadata().unwrap().len(), e.path())).collect();
        blobs.sort();
        blobs
    };
    let target = tempfile::tempdir().unwrap();
    let layout = target.path().join("oci");
    copy(&own(), &layout);
    // Every layer, one bit in the middle.
    for (size, path) in blobs(&layout).iter().filter(|(size, _)| *size > 20_000) {
        let mut bytes = fs::read(path).unwrap();
        bytes[usize::try_from(size / 2).unwrap()] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    // Emulators start the program alone, which lies in a layer too, but may not be installed.
    all_fail("a flipped bit", &verify(target.path()), &["starts on its foreign"]);

    copy(&own(), &layout);
    for (_, path) in blobs(&layout).iter().filter(|(size, _)| *size < 20_000) {
        fs::remove_file(path).unwrap();
    }
    all_fail("no documents", &verify(target.path()), &[]);
}
