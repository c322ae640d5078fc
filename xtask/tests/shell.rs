//! What shells and `man` get, tried with the real ones where they are installed.

use std::process::{Command, Output};

fn xtask(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a shell prints for a program, `None` where it is not installed.
fn shell(program: &str, script: &str, args: &[&str]) -> Option<Output> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("script");
    std::fs::write(&file, script).unwrap();
    match Command::new(program).arg(&file).args(args).env("HOME", dir.path()).output() {
        Ok(output) => Some(output),
        Err(_) => {
            println!("skipped: no {program}");
            None
        }
    }
}

#[test]
fn bash_completes_what_follows_cargo_xtask() {
    let script = xtask(&["completion", "bash"])
        + r#"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
__cargo_xtask_or_cargo cargo "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
    let check = |words: &[&str], expect: &[&str]| {
        let Some(output) = shell("bash", &script, words) else { return };
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(found, expect, "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    check(&["cargo", "xtask", "im"], &["image"]);
    check(&["cargo", "xtask", "image", "--va"], &["--variant"]);
    check(&["cargo", "xtask", "base", "imp"], &["import"]);
    check(&["cargo", "xtask", "completion", "fi"], &["fish"]);
    // Cargo's own commands are cargo's affair.
    check(&["cargo", "bui"], &[]);
}

#[test]
fn fish_completes_what_follows_cargo_xtask() {
    let script = xtask(&["completion", "fish"]) + "\ncomplete -C \"cargo xtask image --plat\"\n";
    let Some(output) = shell("fish", &script, &[]) else { return };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("--platform"), "{text}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn zsh_takes_the_script() {
    let script = "autoload -U compinit; compinit -u\n".to_string()
        + &xtask(&["completion", "zsh"])
        + "\nprint -- $_comps[cargo]\n";
    let Some(output) = shell("zsh", &script, &[]) else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "__cargo_xtask_or_cargo");
}

#[test]
fn there_is_a_page_for_every_subcommand() {
    let dir = tempfile::tempdir().unwrap();
    let page = xtask(&["--quiet", "man", "--output", dir.path().to_str().unwrap()]);
    assert_eq!(page.trim(), dir.path().join("cargo-xtask.1").to_str().unwrap());
    for (name, expect) in [
        ("cargo-xtask.1", "cargo\\-xtask\\-image"),
        ("cargo-xtask-image.1", "\\-\\-variant"),
        ("cargo-xtask-base-import.1", "root file system"),
    ] {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(text.contains(expect), "{name}: {text}");
    }
}
