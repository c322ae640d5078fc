//! The generated pipelines are ones that GitHub, GitLab and a linter of workflows have nothing against.
#![expect(
    clippy::disallowed_methods,
    reason = "the ban is for xtask itself; a test finds programs on the PATH"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program on the PATH, or where `.ci/run` puts it.
fn tool(name: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>());
    let dirs = on_path.unwrap_or_default().into_iter().chain([root().join("target/tools/bin")]);
    let found = dirs.map(|dir| dir.join(name)).find(|program| program.is_file());
    if found.is_none() {
        println!(
            "skipped: no {name}; run `python3 -m venv target/tools && target/tools/bin/pip install {name}`"
        );
    }
    found
}

fn workflows() -> Vec<PathBuf> {
    let dir = root().join(".github/workflows");
    let files: Vec<PathBuf> = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    files
}

fn is_clean(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// That the program finds nothing in the files, and something in the first one with `from` replaced.
fn check(program: &Path, arguments: &[&str], files: &[PathBuf], from: &str, to: &str) {
    let run = |files: &[PathBuf]| {
        Command::new(program).args(arguments).args(files).current_dir(root()).output().unwrap()
    };
    is_clean(&run(files));
    let temp = tempfile::tempdir().unwrap();
    let bad = temp.path().join("bad.yml");
    let text = fs::read_to_string(&files[0]).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&bad, text.replace(from, to)).unwrap();
    assert!(!run(&[bad]).status.success(), "it finds nothing in anything");
}

#[test]
fn zizmor_finds_nothing() {
    let Some(zizmor) = tool("zizmor") else { return };
    check(&zizmor, &["--offline", "--quiet"], &workflows(), "persist-credentials: false", "clean: true");
}

#[test]
fn the_schemas_fit() {
    let Some(program) = tool("check-jsonschema") else { return };
    let github = ["--builtin-schema", "vendor.github-workflows"];
    check(&program, &github, &workflows(), "runs-on:", "runs-at:");
    let gitlab = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"];
    check(&program, &gitlab, &[root().join("ci/gitlab-ci.yml")], "  script:", "  skript:");
}
