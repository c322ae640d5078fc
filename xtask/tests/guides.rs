//! The guides that need neither an engine nor a build of the server, run as `cargo xtask verify --guide` runs them.

use std::process::Command;

/// What `verify` says of a guide: its exit code, and what it prints.
fn verify(guide: &str) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xtask")).args(["verify", "--guide", guide]).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A rule in `verify/guides/rules.rs` sees to it that none is forgotten.
#[test]
fn guides_do_what_they_show() {
    for guide in ["CONTRIBUTING.md", "docs/tags.md", "examples/README.md"] {
        let (code, printed) = verify(guide);
        assert_eq!(code, Some(0), "{printed}");
        println!("{printed}");
    }
}

#[test]
fn a_broken_guide_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken.md");
    let check = |block: &str, code: i32, expect: &str| {
        std::fs::write(&path, format!("<!-- run by cargo test -->\n# Guide\n\n```console\n{block}\n```\n"))
            .unwrap();
        let (found, printed) = verify(path.to_str().unwrap());
        assert!(found == Some(code) && printed.contains(expect), "{block}: {found:?} {printed}");
    };
    check(
        "$ cargo xtask tags --version 1.2.3 --variant distroless | head -n 1\n1.2.3-distroless",
        0,
        "1 passed",
    );
    check(
        "$ cargo xtask tags --version 1.2.3 --variant distroless | head -n 1\n1.2.4-distroless",
        1,
        "line 5",
    );
    check("$ cargo xtask tags --version one", 1, "line 5");
    check("$ exec true", 1, "does not end");
    let (code, printed) = verify("docs/no-such-guide.md");
    assert!(code == Some(1) && printed.contains("docs/no-such-guide.md: cannot read"), "{printed}");
}
