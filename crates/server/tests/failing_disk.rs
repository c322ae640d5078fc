//! A disk that fails: a flush that goes wrong is told to the client, and the server doesn't go on as if it hadn't.
//!
//! strace lets a flush of a file fail, once in each thread. Afterwards a flush would work again, as it does on a real
//! machine, where the kernel forgets what it could not write: so whoever tries again is told a lie.

mod common;

use common::{Node, PATIENCE, run, text, until};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

const WRITERS: usize = 4;

fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").output().is_ok();
    if !found {
        println!("skipped: strace isn't installed");
    }
    found
}

/// A server whose database has a table and lies in `2.db`, stopped.
fn prepared(flags: &[&str]) -> Node {
    let mut node = Node::start(&[&["-c", "log_level=error"], flags].concat());
    run(async {
        node.connect().await.batch_execute("CREATE TABLE kept (name text PRIMARY KEY)").await.unwrap();
    });
    node.signal("-TERM");
    node.wait();
    node
}

/// The server under strace: flushes of a file fail in each thread from the given one on, once.
fn launch(node: &Node, file: &str, nth: u32) -> Child {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]);
    command.args(["-e", &format!("inject=fdatasync,fsync:error=EIO:when={nth}")]);
    command.args(["-P", &format!("{}/{file}", node.data())]);
    let server = node.command();
    command
        .arg(server.get_program())
        .args(server.get_args())
        .envs(server.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    let child = command.spawn().unwrap();
    until("the server to accept connections", || node.ready());
    child
}

/// Writes until the server fails; the rows that were acknowledged, and the errors.
fn write(node: &Node) -> (BTreeSet<String>, BTreeSet<String>) {
    let (told, errors) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(Mutex::new(BTreeSet::new())));
    run(async {
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let client = node.connect().await;
            let (told, errors) = (Arc::clone(&told), Arc::clone(&errors));
            writers.push(tokio::spawn(async move {
                let mut failures = 0;
                for row in 0.. {
                    let name = format!("key-{writer}-{row}");
                    match client.simple_query(&format!("INSERT INTO kept VALUES ('{name}')")).await {
                        Ok(_) => {
                            assert_eq!(failures, 0, "{name} is acknowledged after an error");
                            told.lock().unwrap().insert(name);
                        }
                        Err(error) if client.is_closed() => {
                            drop(error);
                            return;
                        }
                        Err(error) => {
                            failures += 1;
                            let code = error.code().map(|code| code.code().to_owned());
                            errors.lock().unwrap().insert(code.unwrap_or_default());
                            // The reads of what may be lost are refused too.
                            let read = client.simple_query("SELECT count(*) FROM kept").await;
                            assert!(read.is_err(), "a read is answered from what may be lost");
                        }
                    }
                    tokio::task::yield_now().await;
                }
            }));
        }
        for writer in writers {
            tokio::time::timeout(PATIENCE, writer)
                .await
                .expect("no flush failed, or the server went on")
                .unwrap();
        }
    });
    let errors = errors.lock().unwrap().clone();
    let told = told.lock().unwrap().clone();
    (told, errors)
}

/// Starts the server as usual and gives back the acknowledged rows that it doesn't have.
fn lost(node: &mut Node, told: &BTreeSet<String>) -> BTreeSet<String> {
    node.launch();
    let found: BTreeSet<String> = run(async {
        let client = node.connect().await;
        text(&client, "SELECT name FROM kept").await.lines().map(str::to_owned).collect()
    });
    told.difference(&found).cloned().collect()
}

#[test]
fn a_flush_of_the_log_that_fails_ends_the_server() {
    if !has_strace() {
        return;
    }
    let mut node = prepared(&["-c", "checkpoint_timeout=1h"]);
    let mut strace = launch(&node, "base/2.db-wal", 9);
    let (told, errors) = write(&node);
    assert_eq!(strace.wait().unwrap().code(), Some(1), "the server went on");
    assert!(errors.contains("58030"), "{errors:?}");
    assert!(!told.is_empty());
    assert_eq!(lost(&mut node, &told), BTreeSet::new());
}

#[test]
fn a_checkpoint_that_fails_ends_the_server() {
    if !has_strace() {
        return;
    }
    // Enough for the writers to come in before it.
    let mut node = prepared(&["-c", "checkpoint_timeout=5s"]);
    let mut strace = launch(&node, "base/2.db", 1);
    let (told, _) = write(&node);
    assert_eq!(strace.wait().unwrap().code(), Some(1), "the server went on");
    assert!(!told.is_empty());
    assert_eq!(lost(&mut node, &told), BTreeSet::new());
}

#[test]
fn a_flush_of_the_replication_log_that_fails_ends_the_server() {
    if !has_strace() {
        return;
    }
    let role = "replication_mode=primary";
    let login = ["-c", "replication_user=w", "-c", "replication_password=w"];
    let mut node = prepared(&[&["-c", "checkpoint_timeout=1h", "-c", role], &login[..]].concat());
    // A start begins a segment where the last one ends, behind its preface of 32 bytes.
    let segments = fs::read_dir(format!("{}/replication/log", node.data())).unwrap();
    let last = segments.map(|entry| entry.unwrap()).max_by_key(fs::DirEntry::file_name).unwrap();
    let name = last.file_name().into_string().unwrap();
    let begin = u64::from_str_radix(name.trim_end_matches(".log"), 16).unwrap();
    let end = begin + last.metadata().unwrap().len() - 32;
    let mut strace = launch(&node, &format!("replication/log/{end:016x}.log"), 5);
    let (told, _) = write(&node);
    assert_eq!(strace.wait().unwrap().code(), Some(1), "the server went on");
    assert!(!told.is_empty());
    assert_eq!(lost(&mut node, &told), BTreeSet::new());
}

#[test]
fn a_log_that_is_found_is_written_anew() {
    let mut node = prepared(&["-c", "checkpoint_timeout=1h"]);
    node.launch();
    run(async { node.connect().await.batch_execute("INSERT INTO kept VALUES ('a')").await.unwrap() });
    node.signal("-KILL");
    node.wait();
    let log = format!("{}/base/2.db-wal", node.data());
    let file = fs::File::options().write(true).open(&log).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let before = fs::read(&log).unwrap();
    assert!(!before.is_empty());
    assert_eq!(lost(&mut node, &BTreeSet::from(["a".to_owned()])), BTreeSet::new());
    assert!(fs::read(&log).unwrap() == before, "the log is another");
    let written = fs::metadata(&log).unwrap().modified().unwrap();
    assert_ne!(written, std::time::UNIX_EPOCH, "the log is what may not be on the disk");
}
