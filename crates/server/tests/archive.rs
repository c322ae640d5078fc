//! Point-in-time recovery from the archive.

mod common;
#[path = "common/replicas.rs"]
mod replicas;

use common::{Node, until};
use replicas::{applet, ask, run_sql};
use std::path::PathBuf;
use std::time::Duration;

/// The archive's files of one kind, in every history.
fn files(archive: &str, extension: &str) -> Vec<PathBuf> {
    let histories = std::fs::read_dir(archive).into_iter().flatten().flatten();
    let files = histories.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten());
    let paths = files.map(|file| file.path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn an_archive_brings_back_any_moment() {
    let archive = tempfile::tempdir().unwrap();
    let path = archive.path().display().to_string();
    let mut node = Node::new(&["-c", &format!("archive_directory={path}"), "-c", "archive_timeout=1s"]);
    node.launch();
    let files = |extension: &str| files(&path, extension).len();
    until("a copy", || files("base") > 0);
    run_sql(&node, "CREATE TABLE t (n int8); INSERT INTO t VALUES (1); CREATE DATABASE extra");
    std::thread::sleep(Duration::from_millis(1500));
    let moment = jiff::Timestamp::now().to_string();
    std::thread::sleep(Duration::from_millis(1500));
    run_sql(&node, "INSERT INTO t VALUES (2); CREATE ROLE late");
    let logs = files("log");
    until("the last segment", || files("log") > logs);
    std::thread::sleep(Duration::from_millis(2500));
    node.signal("-KILL");
    node.wait();
    let check = |to: &str, expect: &str| {
        let mut copy = Node::new(&[]);
        let (code, text) = applet(&copy, &["restore", &path, "--to", to]);
        assert!(code == Some(0) && text.contains(": up to "), "{text}");
        copy.launch();
        let sql = "SELECT count(*), max(n), (SELECT count(*) FROM pg_roles WHERE rolname = 'late'), \
                   (SELECT count(*) FROM pg_database WHERE datname = 'extra') FROM t";
        assert_eq!(ask(&copy, sql), expect, "{to}");
        run_sql(&copy, "INSERT INTO t VALUES (3)");
    };
    check("latest", "2|2|1|1");
    check(&moment, "1|1|0|1");
    let refused = |to: &str, code: i32, expect: &str| {
        let (got, text) = applet(&Node::new(&[]), &["restore", &path, "--to", to]);
        assert!(got == Some(code) && text.contains(expect), "{text}");
    };
    refused("2001-01-01T00:00:00Z", 1, "no copy from before that moment: the oldest is of 20");
    let empty = tempfile::tempdir().unwrap();
    std::fs::create_dir(empty.path().join("history")).unwrap();
    let (code, text) = applet(&Node::new(&[]), &["restore", "--to=latest", empty.path().to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("holds no copy: name a server's `archive_directory`"), "{text}");
    refused("soon", 2, "allowed are `latest`");
    let (code, text) = applet(&node, &["restore", "--to=latest", &path]);
    assert!(code == Some(1) && text.contains("holds a cluster"), "{text}");
}

#[test]
fn what_no_moment_of_the_retention_needs_is_removed() {
    let archive = tempfile::tempdir().unwrap();
    let path = archive.path().display().to_string();
    let settings = [
        &format!("archive_directory={path}"),
        "archive_timeout=1s",
        "archive_base_interval=1s",
        "archive_retention=3s",
        "wal_keep_size=0",
    ];
    let flags: Vec<&str> = settings.iter().flat_map(|setting| ["-c", *setting]).collect();
    let mut node = Node::new(&flags);
    node.launch();
    run_sql(&node, "CREATE TABLE t (n int8)");
    until("a copy", || !files(&path, "base").is_empty());
    let first = [files(&path, "base"), files(&path, "log")].concat();
    let early = jiff::Timestamp::now().to_string();
    let mut rows = 0;
    until("the first files to go", || {
        rows += 1;
        run_sql(&node, &format!("INSERT INTO t VALUES ({rows})"));
        std::thread::sleep(Duration::from_millis(500));
        !files(&path, "log").is_empty() && first.iter().all(|path| !path.exists())
    });
    assert!(files(&path, "base").len() < 8, "{:?}", files(&path, "base"));
    let moment = jiff::Timestamp::now().to_string();
    std::thread::sleep(Duration::from_millis(1500));
    run_sql(&node, "INSERT INTO t VALUES (0)");
    // Stopping archives the rest.
    node.signal("-TERM");
    node.wait();
    for (to, expect) in [("latest", rows + 1), (&*moment, rows)] {
        let mut copy = Node::new(&[]);
        let (code, text) = applet(&copy, &["restore", &path, "--to", to]);
        assert_eq!(code, Some(0), "{text}");
        copy.launch();
        assert_eq!(ask(&copy, "SELECT count(*) FROM t"), expect.to_string(), "{to}");
    }
    let (code, text) = applet(&Node::new(&[]), &["restore", &path, "--to", &early]);
    assert!(code == Some(1) && text.contains("no copy from before"), "{text}");
}
