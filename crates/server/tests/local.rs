//! The Unix socket: the server's own user needs no password there, others do.

mod common;

use common::{Node, scratchbird};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

const QUERY: &[&str] = &["-U", "scratchbird", "-Atc", "SELECT 42"];

/// `sql` without a password, at the end of these words.
fn ask(words: &[&str], node: &Node, host: &str) -> Output {
    let mut command = match words {
        [] => scratchbird(),
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            command.args(rest).arg(env!("CARGO_BIN_EXE_scratchbird"));
            command
        }
    };
    command.args(["sql", "-h", host, "-p", &node.port.to_string()]).args(QUERY);
    command.env("HOME", node.directory.path()).env_remove("PGPASSWORD").output().unwrap()
}

fn check(output: &Output, expect: &str) {
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(expect), "{expect}: {said}");
    assert_eq!(output.status.success(), expect == "42", "{said}");
}

#[test]
fn the_servers_own_user_needs_no_password_on_the_socket() {
    let node = Node::start(&[]);
    let socket = node.directory.path().display().to_string();
    check(&ask(&[], &node, &socket), "42");
    check(&ask(&[], &node, "127.0.0.1"), "no password supplied");
}

#[test]
fn another_user_does() {
    let node = Node::start(&[]);
    fs::set_permissions(node.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = node.directory.path().display().to_string();
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut start = Command::new(nobody[0]);
    start.args(&nobody[1..]).arg(env!("CARGO_BIN_EXE_scratchbird")).arg("--help");
    if !start.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: cannot run the program as another user");
        return;
    }
    check(&ask(&nobody, &node, &socket), "no password supplied");
}

#[test]
fn rules_are_for_everybody() {
    let node = Node::new(&[]);
    let rules = node.directory.path().join("hba");
    fs::write(&rules, "local all all scram-sha-256\nhost all all all scram-sha-256\n").unwrap();
    let mut node = node;
    let setting = format!("hba_file={}", rules.display());
    node.child =
        Some(node.command().args(["-c", &setting]).stderr(std::process::Stdio::null()).spawn().unwrap());
    common::until("the server to accept connections", || node.ready());
    let socket = node.directory.path().display().to_string();
    check(&ask(&[], &node, &socket), "no password supplied");
}
