//! Real client libraries from PyPI against the real server: a script each in `tests/clients`.
//!
//! They need Python and a package index, so they are run apart:
//! `cargo test -p scratchbird --test clients -- --ignored`.

mod common;

use common::{Node, PASSWORD, run, state};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A virtual environment with the pinned packages, made once and kept; the reason if it can't be had.
fn python() -> &'static Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        let python = directory.join("bin/python");
        let wanted = scripts().join("requirements.txt");
        let installed = directory.join("requirements.txt");
        let same = || std::fs::read(&wanted).ok() == std::fs::read(&installed).ok();
        if python.exists() && same() {
            return Ok(python);
        }
        let step = |command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!("`{command:?}`: {}", String::from_utf8_lossy(&output.stderr))),
            Err(error) => Err(format!("`{command:?}`: {error}")),
        };
        step(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
        step(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&wanted))?;
        std::fs::copy(&wanted, &installed).map_err(|error| error.to_string())?;
        Ok(python)
    })
}

/// Runs a script in a database of its own.
fn check(client: &str) {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: no Python with the packages: {why}");
            return;
        }
    };
    let node = Node::start(&[]);
    run(async { assert_eq!(state(&node.connect().await, "CREATE DATABASE clients").await, "00000") });
    let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("postgresql://scratchbird:{password}@127.0.0.1:{}/clients", node.port);
    let output =
        Command::new(python).arg(scripts().join(format!("with_{client}.py"))).arg(url).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{client}:\n{text}");
    println!("{}", text.trim());
}

#[test]
#[ignore = "needs Python and a package index"]
fn psycopg() {
    check("psycopg");
}

#[test]
#[ignore = "needs Python and a package index"]
fn sqlalchemy() {
    check("sqlalchemy");
}

#[test]
#[ignore = "needs Python and a package index"]
fn asyncpg() {
    check("asyncpg");
}

#[test]
#[ignore = "needs Python and a package index"]
fn django() {
    check("django");
}
