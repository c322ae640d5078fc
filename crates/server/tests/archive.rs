//! Point-in-time recovery from the archive.

mod common;
#[path = "common/replicas.rs"]
mod replicas;

use common::{Node, until};
use replicas::{applet, ask, run_sql};
use std::time::Duration;

#[test]
fn an_archive_brings_back_any_moment() {
    let archive = tempfile::tempdir().unwrap();
    let path = archive.path().display().to_string();
    let mut node = Node::new(&["-c", &format!("archive_directory={path}"), "-c", "archive_timeout=1s"]);
    node.launch();
    let files = |extension: &str| {
        let histories = std::fs::read_dir(&path).into_iter().flatten().flatten();
        let files =
            histories.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten());
        files.filter(|file| file.path().extension().is_some_and(|found| found == extension)).count()
    };
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
        let (code, text) = applet(&copy, &["recover", "--archive", &path, "--to", to]);
        assert!(code == Some(0) && text.contains("recovered up to"), "{text}");
        copy.launch();
        let sql = "SELECT count(*), max(n), (SELECT count(*) FROM pg_roles WHERE rolname = 'late'), \
                   (SELECT count(*) FROM pg_database WHERE datname = 'extra') FROM t";
        assert_eq!(ask(&copy, sql), expect, "{to}");
        run_sql(&copy, "INSERT INTO t VALUES (3)");
    };
    check("latest", "2|2|1|1");
    check(&moment, "1|1|0|1");
    let refused = |to: &str, code: i32, expect: &str| {
        let (got, text) = applet(&Node::new(&[]), &["recover", "--archive", &path, "--to", to]);
        assert!(got == Some(code) && text.contains(expect), "{text}");
    };
    refused("2001-01-01T00:00:00Z", 1, "no copy from before");
    refused("soon", 2, "allowed are `latest`");
    let (code, text) = applet(&node, &["recover", "--archive", &path]);
    assert!(code == Some(1) && text.contains("holds a cluster"), "{text}");
}
