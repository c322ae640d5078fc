//! What the server is compiled from does not depend on xtask: a change of xtask's own dependencies leaves its binary,
//! and with it every layer's fingerprint, alone.
#![expect(
    clippy::disallowed_methods,
    reason = "the ban is for xtask itself; a test is run by Cargo, which says where it is"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The manifests of the workspace, with empty sources.
fn skeleton(to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let copy = |file: &str| {
        let target = to.join(file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(root.join(file), target).unwrap();
    };
    copy("Cargo.toml");
    copy("Cargo.lock");
    let mut members = vec!["xtask".to_string()];
    for entry in fs::read_dir(root.join("crates")).unwrap().flatten() {
        members.push(format!("crates/{}", entry.file_name().to_str().unwrap()));
    }
    for member in members {
        copy(&format!("{member}/Cargo.toml"));
        let src = to.join(member).join("src");
        fs::create_dir_all(&src).unwrap();
        fs::write(src.join("lib.rs"), "").unwrap();
        fs::write(src.join("main.rs"), "fn main() {}").unwrap();
    }
}

/// Versions and features of all that `package` is compiled from.
fn tree(dir: &Path, package: &str) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--offline", "--package", package, "--edges", "normal,build", "--prefix", "none"])
        .args(["--no-dedupe", "--format", "{p} {f}"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_dependency_of_xtask_changes_nothing_of_the_server() {
    let temp = tempfile::tempdir().unwrap();
    skeleton(temp.path());
    let (server, xtask) = (tree(temp.path(), "scratchbird"), tree(temp.path(), "xtask"));
    assert!(server.contains("rusqlite") && server.contains("serde_json"), "{server}");
    // A new package, and a feature more of one that both use.
    let manifest = temp.path().join("xtask/Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let changed = text
        .replacen(
            "[dependencies]",
            "[dependencies]\nregex-lite = \"0.1\"\nlog = { version = \"0.4\", features = [\"kv\"] }",
            1,
        )
        .replacen(
            "serde_json.workspace = true",
            "serde_json = { workspace = true, features = [\"unbounded_depth\"] }",
            1,
        );
    assert!(changed.contains("unbounded_depth"), "{text}");
    fs::write(&manifest, changed).unwrap();
    let after = tree(temp.path(), "xtask");
    assert!(after != xtask && after.contains("regex-lite") && after.contains("unbounded_depth"), "{after}");
    assert_eq!(tree(temp.path(), "scratchbird"), server);
}
