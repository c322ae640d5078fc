//! Real client libraries against the real server: a script each in `tests/clients` for those from PyPI, sqlx, whose
//! macros ask the server while they are compiled, and Debian's JDBC driver.
//!
//! They need Python, Java and package indexes, so they are run apart:
//! `cargo test --workspace --test clients -- --ignored`.

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

/// A server with a database of its own for a client, and its address.
fn served() -> (Node, String) {
    let node = Node::start(&[]);
    run(async { assert_eq!(state(&node.connect().await, "CREATE DATABASE clients").await, "00000") });
    let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("postgresql://scratchbird:{password}@127.0.0.1:{}/clients", node.port);
    (node, url)
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
    let (_node, url) = served();
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

/// Where Debian's `libpostgresql-jdbc-java` puts the driver.
const JDBC: &str = "/usr/share/java/postgresql.jar";

#[test]
#[ignore = "needs a JDK and the JDBC driver"]
fn jdbc() {
    let javac = Command::new("javac").arg("-version").output();
    if !Path::new(JDBC).exists() || javac.is_err() {
        println!(
            "skipped: no javac or no `{JDBC}`: apt-get install default-jdk-headless libpostgresql-jdbc-java"
        );
        return;
    }
    let (node, _) = served();
    let url = format!("jdbc:postgresql://127.0.0.1:{}/clients", node.port);
    let mut java = Command::new("java");
    // Compiled and run in one go.
    java.args(["-ea", "-cp", JDBC]).arg(scripts().join("WithJdbc.java")).args([
        &url,
        "scratchbird",
        PASSWORD,
    ]);
    let output = java.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "JDBC:\n{text}");
    println!("{}", text.trim());
}

#[test]
#[ignore = "needs crates.io"]
fn sqlx() {
    let (_node, url) = served();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlx");
    let cargo = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        let manifest = scripts().join("sqlx/Cargo.toml");
        command.arg(args[0]).args(["--quiet", "--locked", "--manifest-path"]).arg(manifest).args(&args[1..]);
        // The macros would take the answers of a run before for those of this server.
        command.env("DATABASE_URL", &url).env("CARGO_TARGET_DIR", &target).env("SQLX_OFFLINE", "false");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    };
    for args in [&["run", "--bin", "migrate", "--", &url][..], &["run", "--bin", "with-sqlx", "--", &url]] {
        let (success, text) = cargo(args);
        assert!(success, "cargo {args:?}:\n{text}");
        print!("{text}");
    }
    let wrong = [
        ("wrong-column", "column \"colour\" does not exist"),
        ("wrong-type", "expected `&str`, found integer"),
        ("maybe-null", "expected `f64`, found `Option<f64>`"),
    ];
    for (feature, expect) in wrong {
        let (success, text) = cargo(&["build", "--bin", "with-sqlx", "--features", feature]);
        assert!(!success && text.contains(expect), "{feature} must not compile:\n{text}");
    }
}
