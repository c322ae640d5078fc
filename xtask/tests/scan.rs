//! `cargo xtask scan` as its users meet it: a database in a folder, other scanners' findings, what is let be, and what
//! could not be checked.

#![allow(
    clippy::disallowed_methods,
    reason = "the scanners and databases of this machine must not take part"
)]

mod crafted;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use crafted::{AMD64, Item, World, program_of, root_file_system};
use serde_json::{Value, json};

/// As the database has it; the program of [`world`] has that crate in that version.
const ADVISORY: &str = r#"```toml
[advisory]
id = "RUSTSEC-2020-0071"
package = "time"
date = "2020-11-18"
url = "https://github.com/time-rs/time/issues/293"
categories = ["code-execution", "memory-corruption"]
aliases = ["CVE-2020-26235"]
cvss = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H"

[affected]
os = ["linux"]

[versions]
patched = [">= 0.2.23"]
```

# Potential segfault in the time crate
"#;

fn world() -> World {
    let world = World::new();
    let base = world.path("base.tar");
    let installed = b"P:busybox\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\n\n";
    let database =
        [Item::Dir("lib/apk"), Item::Dir("lib/apk/db"), Item::File("lib/apk/db/installed", installed)];
    root_file_system(&base, AMD64, &database);
    let program = program_of(&[("scratchbird", "0.1.0"), ("time", "0.2.22")]);
    world.build("oci", "t", &"c".repeat(40), &base, &program);
    world
}

/// Runs `scan` where of the other scanners only those in the world's `bin` are found.
fn scan(world: &World, more: &[&str]) -> Output {
    let bin = world.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let paths = std::env::var_os("PATH").unwrap();
    let others = ["trivy", "grype", "hadolint"];
    let kept = std::env::split_paths(&paths).filter(|dir| !others.iter().any(|name| dir.join(name).exists()));
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["scan", &world.image("oci", "t")])
        .args(more)
        .env("CARGO_TARGET_DIR", world.path("target"))
        .env("CARGO_HOME", cargo_home(world))
        .env("PATH", std::env::join_paths(std::iter::once(bin).chain(kept)).unwrap())
        .output()
        .unwrap()
}

/// Cargo's folder without a database of the user's own.
fn cargo_home(world: &World) -> PathBuf {
    let home = world.path("cargo-home");
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let own = own.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"))).unwrap();
    if fs::create_dir(&home).is_ok() {
        for entry in fs::read_dir(own).unwrap().flatten().filter(|e| e.file_name() != "advisory-db") {
            std::os::unix::fs::symlink(entry.path(), home.join(entry.file_name())).unwrap();
        }
    }
    home
}

/// A scanner that prints this, and ends with that code.
fn scanner(world: &World, name: &str, output: &str, code: i32) {
    let bin = world.path("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(world.path(name), output).unwrap();
    let words = world.path(&format!("{name}.args"));
    let script = format!(
        "#!/bin/sh\necho \"$@\" > '{}'\ncat '{}'\necho 'FATAL no database' >&2\nexit {code}\n",
        words.display(),
        world.path(name).display()
    );
    fs::write(bin.join(name), script).unwrap();
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .rfind(|l| l.starts_with("error: "))
        .unwrap_or_default()
        .into()
}

#[test]
fn no_database_is_no_clean_image() {
    let world = world();
    let said = out(&scan(&world, &[]));
    assert!(said.contains("NOT CHECKED 2 crates: no RustSec database at hand"), "{said}");
    assert!(said.contains("NOT CHECKED 1 packages of the base: neither trivy nor grype"), "{said}");
    // This checkout has another release of `time`, and nobody tells what that one is under.
    assert!(
        said.contains("NOT CHECKED licences of 1 parts: none is told of them, such as pkg:cargo/time@0.2.22"),
        "{said}"
    );
    assert!(said.contains("not everything was checked") && !said.contains("0 vulnerabilities"), "{said}");
    let output = scan(&world, &["--complete"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("not checked: 2 crates"), "{}", error(&output));
    for (name, expect) in [("empty", "holds no advisory"), ("gone", "cannot read")] {
        if name == "empty" {
            fs::create_dir_all(world.path(name)).unwrap();
        }
        let output = scan(&world, &["--advisory-db", world.path(name).to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(error(&output).contains(expect), "{}", error(&output));
    }
}

#[test]
fn a_database_is_a_folder_of_advisories() {
    let world = world();
    let db = world.path("advisory-db");
    fs::create_dir_all(db.join("crates/time")).unwrap();
    fs::create_dir_all(db.join("rust/std")).unwrap();
    fs::write(db.join("crates/time/RUSTSEC-2020-0071.md"), ADVISORY).unwrap();
    fs::write(db.join("crates/time/README.md"), "no advisory").unwrap();
    let db = db.to_str().unwrap();
    let sarif = world.path("scan.sarif");
    let output =
        scan(&world, &["--advisory-db", db, "--fail-on", "medium", "--sarif", sarif.to_str().unwrap()]);
    let said = out(&output);
    let line = "medium   rustsec  RUSTSEC-2020-0071    pkg:cargo/time@0.2.22: Potential segfault in the time crate (safe: >=0.2.23)";
    assert!(said.contains(line), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(error(&output).contains("findings are medium or worse"), "{}", error(&output));
    let written: Value = serde_json::from_slice(&fs::read(&sarif).unwrap()).unwrap();
    assert!(written["runs"].as_array().unwrap().iter().any(|run| run["tool"]["driver"]["name"] == "rustsec"));
    assert!(scan(&world, &["--advisory-db", db, "--fail-on", "critical"]).status.success());
    let ignore = world.path("ignore.toml");
    let entry = |day: &str| {
        format!(
            "[[ignore]]\nid = \"RUSTSEC-2020-0071\"\nreason = \"the server asks no clock\"\nexpires = {day}\n"
        )
    };
    for (day, expect) in [("2999-01-01", "ignored  rustsec"), ("2020-01-01", "ignore-expired")] {
        fs::write(&ignore, entry(day)).unwrap();
        let said = out(&scan(&world, &["--advisory-db", db, "--ignore", ignore.to_str().unwrap()]));
        assert!(said.contains(expect), "{day}: {said}");
    }
    fs::write(world.path("advisory-db/crates/time/RUSTSEC-2021-0001.md"), "# nothing").unwrap();
    let output = scan(&world, &["--advisory-db", db]);
    assert!(error(&output).contains("RUSTSEC-2021-0001.md: has no ```toml block"), "{}", error(&output));
}

/// What trivy 0.5x and grype 0.8x print, cut to one finding.
#[test]
fn other_scanners_findings_are_merged() {
    let world = world();
    let trivy = json!({
        "SchemaVersion": 2, "ArtifactName": "image", "ArtifactType": "container_image",
        "Metadata": { "OS": { "Family": "alpine", "Name": "3.20.3" } },
        "Results": [
            { "Target": "image (alpine 3.20.3)", "Class": "os-pkgs", "Type": "alpine", "Vulnerabilities": [{
                "VulnerabilityID": "CVE-2023-42363", "PkgID": "busybox@1.36.1-r29", "PkgName": "busybox",
                "PkgIdentifier": { "PURL": "pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=3.20.3", "UID": "a" },
                "InstalledVersion": "1.36.1-r29", "FixedVersion": "1.36.1-r30", "Status": "fixed",
                "SeveritySource": "nvd", "Title": "busybox: use-after-free in awk", "Severity": "MEDIUM",
            }] },
            { "Target": "usr/local/bin/scratchbird", "Class": "lang-pkgs", "Type": "rustbinary" },
        ],
    });
    let grype = json!({
        "matches": [{
            "vulnerability": {
                "id": "CVE-2023-42363", "severity": "High", "description": "A use-after-free.\nIn awk.",
                "fix": { "versions": ["1.36.1-r30"], "state": "fixed" },
            },
            "relatedVulnerabilities": [], "matchDetails": [{ "type": "exact-direct-match" }],
            "artifact": {
                "name": "busybox", "version": "1.36.1-r29", "type": "apk",
                "purl": "pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=alpine-3.20.3",
            },
        }],
        "source": { "type": "image" }, "distro": { "name": "alpine", "version": "3.20.3" },
        "descriptor": { "name": "grype", "version": "0.87.0" },
    });
    scanner(&world, "trivy", &trivy.to_string(), 0);
    let said = out(&scan(&world, &[]));
    let of_trivy = "medium   trivy    CVE-2023-42363       pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=3.20.3: busybox: use-after-free in awk (fixed in 1.36.1-r30)";
    assert!(said.contains(of_trivy), "{said}");
    assert!(!said.contains("neither trivy nor grype"), "{said}");
    let args = fs::read_to_string(world.path("trivy.args")).unwrap();
    assert!(args.starts_with("image --quiet --format json --scanners vuln --input /"), "{args}");
    scanner(&world, "grype", &grype.to_string(), 0);
    let output = scan(&world, &["--fail-on", "high"]);
    let said = out(&output);
    let of_grype = "high     grype    CVE-2023-42363       pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=alpine-3.20.3: A use-after-free. (fixed in 1.36.1-r30)";
    assert!(said.contains(of_grype) && !said.contains("medium   trivy"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    let args = fs::read_to_string(world.path("grype.args")).unwrap();
    assert!(args.starts_with("oci-dir:/") && args.ends_with("--quiet --output json\n"), "{args}");
    // One without its database has looked at nothing, whatever it prints.
    scanner(&world, "grype", "{\"matches\":[]}", 1);
    let said = out(&scan(&world, &[]));
    assert!(said.contains("NOT CHECKED 1 packages by grype, which failed: FATAL no database"), "{said}");
    scanner(&world, "trivy", "no JSON", 0);
    let said = out(&scan(&world, &[]));
    assert!(said.contains("NOT CHECKED 1 packages by trivy"), "{said}");
}
