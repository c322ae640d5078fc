//! What the first program of this data directory's format wrote is opened; tests/upgrade/README.md tells how it was made.
//! `cargo xtask verify` asks the same of images.

mod common;

use std::process::Command;

use common::{Node, outcome, run, text};

/// The superuser's password in the archive.
const PASSWORD: &str = "verify-7f3a-correct-horse";
const READ: &str = include_str!("upgrade/read.sql");
const ANSWER: &str = include_str!("upgrade/answer.txt");

/// A server with that data directory, which does not run yet.
fn first() -> Node {
    let node = Node::new(&[]);
    std::fs::create_dir(node.data()).unwrap();
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/upgrade/first.tar.gz");
    // As the user of this test, whoever it belonged to.
    let unpack = ["--extract", "--no-same-owner", "--file", archive, "--directory", &node.data()];
    assert!(Command::new("tar").args(unpack).status().unwrap().success());
    node
}

#[test]
fn what_the_first_version_wrote_is_opened() {
    let mut node = first();
    for moment in ["from the log of a killed server", "after a stop", "after a kill"] {
        node.launch();
        run(async {
            let client = common::connect(node.config().password(PASSWORD)).await.unwrap();
            assert_eq!(text(&client, READ).await, ANSWER.trim(), "{moment}");
            let change = "insert into birds (name) values ('new'); delete from birds where name = 'new'";
            client.batch_execute(change).await.unwrap();
            let twice = client.batch_execute("insert into birds (name) values ('heron')").await;
            assert_eq!(twice.unwrap_err().code().unwrap().code(), "23505");
        });
        node.signal(if moment == "after a stop" { "-KILL" } else { "-TERM" });
        node.wait();
    }
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let node = first();
    let version = format!("{}/SCRATCHBIRD_VERSION", node.data());
    std::fs::write(&version, "2\n").unwrap();
    let (code, words) = outcome(&mut node.command());
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("has format `2`, and this version reads format 1 only"), "{words}");
    assert_eq!(std::fs::read_to_string(version).unwrap(), "2\n");
}
