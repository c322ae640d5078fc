//! The invariants of ARCHITECTURE.md that a dependency could break.

use std::collections::BTreeSet;
use std::path::Path;

fn manifest(path: &str) -> toml::Table {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())).parse().unwrap()
}

/// The names under `[dependencies]`.
fn dependencies(path: &str) -> BTreeSet<String> {
    manifest(path)
        .get("dependencies")
        .and_then(|d| d.as_table())
        .into_iter()
        .flat_map(|t| t.keys().cloned())
        .collect()
}

#[test]
fn each_crate_depends_only_on_what_its_place_allows() {
    let check = |path: &str, allowed: &[&str]| {
        let allowed: BTreeSet<String> = allowed.iter().map(|s| (*s).to_string()).collect();
        let surplus: Vec<String> = dependencies(path).difference(&allowed).cloned().collect();
        assert!(surplus.is_empty(), "{path} may not depend on {surplus:?}; see ARCHITECTURE.md, Invariants");
    };
    check("crates/settings/Cargo.toml", &[]);
    // Data, parsing and formatting alone: nothing here can open a file or a connection.
    check(
        "crates/plan/Cargo.toml",
        &[
            "base64",
            "git-conventional",
            "humantime",
            // Without `std` and with the zones built in: it can read neither clock nor files.
            "jiff",
            "oci",
            "oci-spec",
            "regress",
            "semver",
            "serde",
            // YAML into strings; its parser is for the tests alone.
            "serde-saphyr",
            "serde_json",
            "settings",
            "thiserror",
            "toml",
            "webpki-root-certs",
        ],
    );
    // The same for what is said of images, and for signatures: texts in, documents out.
    check(
        "crates/supply/Cargo.toml",
        &[
            "cvss",
            "libdeflater",
            "oci",
            "oci-spec",
            "semver",
            "serde",
            "serde_json",
            "spdx",
            "thiserror",
            "toml",
        ],
    );
    check(
        "crates/signing/Cargo.toml",
        &[
            "base64",
            "crypto_secretbox",
            "oci",
            "oci-spec",
            "p256",
            "pem-rfc7468",
            "scrypt",
            "serde",
            "serde_json",
            "thiserror",
            "zeroize",
        ],
    );
    // What is given, as pages and tables.
    check("crates/report/Cargo.toml", &["maud", "quick-xml", "serde", "serde_json", "thiserror"]);
    // No network, no programs, no clock.
    check(
        "crates/oci/Cargo.toml",
        &[
            "flate2",
            "libdeflater",
            "oci-spec",
            "serde",
            "serde_json",
            "sha2",
            "tar",
            "tempfile",
            "thiserror",
            "zstd",
        ],
    );
}

/// The server's packages, each with its features, as a build for those targets has them.
fn features(targets: &[&str]) -> BTreeSet<String> {
    let mut tree = std::process::Command::new(env!("CARGO"));
    tree.args(["tree", "--package", "scratchbird", "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p} {f}", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for target in targets {
        tree.args(["--target", target]);
    }
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.trim_end_matches(" (*)").into())
        .collect()
}

/// Targets that are built by one run of Cargo share the features of their packages: what is built must not depend on
/// what else is.
#[test]
fn a_program_is_the_same_whichever_platforms_are_built_with_it() {
    let catalogue = manifest("docker/images.toml");
    let ways = catalogue["platforms"].as_table().unwrap().values().flat_map(|platform| {
        platform["toolchains"].as_array().unwrap().iter().map(|way| (way.get("zig"), &way["target"]))
    });
    let (by_zig, by_cc): (Vec<_>, Vec<_>) = ways.partition(|(zig, _)| zig.is_some());
    for group in [by_zig, by_cc] {
        let group: Vec<&str> = group.iter().map(|(_, target)| target.as_str().unwrap()).collect();
        assert!(group.len() > 1, "{group:?}");
        let together = features(&group);
        for target in &group {
            let alone = features(&[target]);
            let other: Vec<&String> = alone.difference(&together).collect();
            assert!(alone.len() > 50 && other.is_empty(), "{target} alone has {other:?}");
        }
    }
}

#[test]
fn xtask_stays_small() {
    // What only tests use may be heavy: Cargo tells it apart, the lock file does not.
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--package", "xtask", "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}", "--locked"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let seen: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(seen.contains("clap"), "{tree}");
    // An async runtime, a C++ build or OpenSSL alone would break the budget for a cold build, and the server
    // would be compiled twice.
    for heavy in
        ["tokio", "openssl-sys", "aws-lc-sys", "scratchbird", "rusqlite", "k8s-openapi", "jsonschema"]
    {
        assert!(!seen.contains(heavy), "xtask leads to {heavy}; see ARCHITECTURE.md, Invariants");
    }
}

#[test]
fn only_facts_reads_git_and_the_environment() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut pending = vec![src];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let lifted = text.contains("allow(clippy::disallowed_methods");
            assert_eq!(lifted, path.ends_with("facts.rs"), "{}", path.display());
        }
    }
}
