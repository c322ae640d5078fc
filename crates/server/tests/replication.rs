//! A primary and its replicas: copying, following, cuts, restarts, limits.

mod common;
#[path = "common/replicas.rs"]
mod replicas;

use common::{Node, PATIENCE, certificate, until};
use replicas::{
    Cable, applet, ask, ask_in, compare_files, free_port, get, primary, primary_node, replica, run_sql, same,
};
use std::time::{Duration, Instant};

const SUM: &str = "SELECT count(*), sum(n), max(n) FROM t";

#[test]
fn a_replica_copies_follows_serves_reads_and_refuses_writes() {
    let mut primary = primary(&[]);
    run_sql(&primary, "CREATE TABLE t (n int8 PRIMARY KEY, x text); INSERT INTO t VALUES (1, 'before')");
    let http = free_port().to_string();
    let mut replica = replica(&[primary.port], &["-c", &format!("http_port={http}")]);
    replica.launch();
    same(&primary, &replica, SUM);
    // Definitions, large transactions, truncation, databases, roles.
    run_sql(&primary, "ALTER TABLE t ADD COLUMN y int DEFAULT 7; CREATE INDEX i ON t (x)");
    run_sql(&primary, "INSERT INTO t SELECT g, repeat('x', 900), g FROM generate_series(2, 5000) AS g");
    same(&primary, &replica, "SELECT count(*), sum(y) FROM t");
    run_sql(&primary, "DELETE FROM t WHERE n > 10; VACUUM");
    same(&primary, &replica, SUM);
    run_sql(&primary, "CREATE TABLE u (a int); DROP TABLE u; CREATE VIEW v AS SELECT n FROM t");
    same(&primary, &replica, "SELECT count(*) FROM v");
    run_sql(&primary, "CREATE DATABASE second");
    assert_eq!(ask_in(&primary, "second", "CREATE TABLE s (a int)"), "");
    assert_eq!(ask_in(&primary, "second", "INSERT INTO s VALUES (42)"), "");
    until("the new database", || ask_in(&replica, "second", "SELECT a FROM s") == "42");
    run_sql(&primary, "CREATE ROLE reader LOGIN PASSWORD 'r'");
    same(&primary, &replica, "SELECT count(*) FROM pg_roles");
    run_sql(&primary, "CREATE ROLE readers; GRANT readers TO reader");
    same(&primary, &replica, "SELECT count(*) FROM pg_auth_members");
    run_sql(&primary, "DROP DATABASE second");
    until("the database to be gone", || ask_in(&replica, "second", "SELECT 1").contains("error"));
    // Reads only.
    for sql in [
        "INSERT INTO t VALUES (0)",
        "CREATE TABLE w (a int)",
        "CREATE ROLE w",
        "CREATE DATABASE w",
        "TRUNCATE t",
        "BEGIN; UPDATE t SET n = 0",
    ] {
        assert_eq!(ask(&replica, sql), "25006", "{sql}");
    }
    assert_eq!(ask(&replica, "SELECT pg_is_in_recovery()"), "t");
    assert_eq!(ask(&primary, "SELECT pg_is_in_recovery()"), "f");
    let seen = ask(&primary, "SELECT usename, state, sync_state FROM pg_stat_replication");
    assert!(seen.starts_with("walker|") && seen.ends_with("|async"), "{seen}");
    assert_eq!(ask(&primary, "SELECT active, wal_status FROM pg_replication_slots"), "t|reserved");
    let http: u16 = http.parse().unwrap();
    until("the replica to be up to date", || get(http, "/replica").0 == 200);
    assert_eq!(get(http, "/primary").0, 503);
    assert_eq!(get(http, "/readyz").0, 200);
    let health = get(http, "/health").1;
    assert!(health.contains("\"role\":\"replica\"") && health.contains("\"lag_seconds\":0.0"), "{health}");
    assert!(get(http, "/metrics").1.contains("scratchbird_replication_connected 1"));
    compare_files(&mut primary, &mut replica);
}

#[test]
fn a_reader_keeps_its_state_while_pages_come_in() {
    let primary = primary(&[]);
    run_sql(&primary, "CREATE TABLE t (n int8); INSERT INTO t VALUES (1)");
    let mut replica = replica(&[primary.port], &[]);
    replica.launch();
    same(&primary, &replica, SUM);
    common::run(async {
        let client = replica.connect().await;
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SAVEPOINT a").await.unwrap();
        assert_eq!(common::text(&client, "SELECT count(*) FROM t").await, "1");
        let writer = primary.connect().await;
        writer.batch_execute("INSERT INTO t VALUES (2); CREATE TABLE u (x int)").await.unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(common::text(&client, "SELECT count(*) FROM t").await, "1");
        client.batch_execute("COMMIT").await.unwrap();
    });
    same(&primary, &replica, SUM);
}

#[test]
fn either_side_restarts_and_the_link_fails_in_every_way() {
    let mut primary = primary(&["-c", "max_wal_size=1MB", "-c", "checkpoint_timeout=1s"]);
    run_sql(&primary, "CREATE TABLE t (n int8 PRIMARY KEY, x text)");
    let cable = Cable::to(primary.port);
    let mut replica = replica(&[cable.port], &["-c", "replication_timeout=2s"]);
    replica.launch();
    let mut last = 0;
    let mut write = |primary: &Node| {
        for _ in 0..20 {
            last += 1;
            run_sql(primary, &format!("INSERT INTO t VALUES ({last}, repeat('y', 5000))"));
        }
    };
    write(&primary);
    same(&primary, &replica, SUM);
    cable.cut();
    write(&primary);
    cable.mend();
    same(&primary, &replica, SUM);
    // Half open: nobody is told, the patience ends.
    cable.freeze();
    write(&primary);
    std::thread::sleep(Duration::from_millis(2500));
    cable.mend();
    same(&primary, &replica, SUM);
    cable.slow(5);
    write(&primary);
    same(&primary, &replica, SUM);
    cable.mend();
    for signal in ["-TERM", "-KILL"] {
        replica.signal(signal);
        replica.wait();
        write(&primary);
        replica.launch();
        same(&primary, &replica, SUM);
        primary.signal(signal);
        primary.wait();
        assert_eq!(ask(&replica, "SELECT count(*) > 0 FROM t"), "t", "reads go on without a primary");
        primary.launch();
        write(&primary);
        same(&primary, &replica, SUM);
    }
    compare_files(&mut primary, &mut replica);
}

#[test]
fn what_the_log_no_longer_holds_or_another_history_is_copied_again() {
    let mut primary =
        primary(&["-c", "max_slot_wal_keep_size=1MB", "-c", "wal_keep_size=0", "-c", "max_wal_size=1MB"]);
    run_sql(&primary, "CREATE TABLE t (n int8 PRIMARY KEY, x text)");
    let mut replica = replica(&[primary.port], &[]);
    replica.launch();
    run_sql(&primary, "INSERT INTO t VALUES (1, '')");
    same(&primary, &replica, SUM);
    replica.signal("-KILL");
    replica.wait();
    for n in 2..40 {
        run_sql(&primary, &format!("INSERT INTO t VALUES ({n}, repeat('z', 100000))"));
    }
    until("the slot to be lost", || ask(&primary, "SELECT wal_status FROM pg_replication_slots") == "lost");
    let held: u64 = std::fs::read_dir(format!("{}/replication/log", primary.data()))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(held < 3 << 20, "{held} bytes of log are held");
    replica.launch();
    same(&primary, &replica, SUM);
    // The primary is set up anew, with other data, at the same place.
    primary.signal("-KILL");
    primary.wait();
    std::fs::remove_dir_all(primary.data()).unwrap();
    primary.launch();
    run_sql(&primary, "CREATE TABLE t (n int8); INSERT INTO t VALUES (-5)");
    same(&primary, &replica, "SELECT count(*), sum(n), max(n) FROM t");
    compare_files(&mut primary, &mut replica);
}

/// What a replica says that can't begin.
fn why_it_waits(node: &Node) -> String {
    let mut child = node.command().spawn().unwrap();
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = std::sync::mpsc::channel();
    // It ends with the server, or when nobody listens any more.
    std::thread::spawn(move || {
        std::io::BufRead::lines(log).map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let (mut text, deadline) = (String::new(), Instant::now() + PATIENCE);
    while !text.contains("can't copy the primary yet") {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => text.extend([line.as_str(), "\n"]),
            Err(_) => break,
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(text.contains("can't copy the primary yet"), "it does not wait: {text}");
    text
}

#[test]
fn it_goes_under_tls_and_the_primary_is_the_one_that_its_certificate_names() {
    let mut primary = primary_node(&[]);
    certificate(&primary, "server");
    certificate(&primary, "stranger");
    let file = |name: &str| primary.directory.path().join(name).display().to_string();
    let rules = "hostssl replication all all scram-sha-256\nhost replication all all reject\nhost all all all trust\n";
    std::fs::write(file("hba"), rules).unwrap();
    let [hba, crt, key] = ["hba", "server.crt", "server.key"].map(file);
    let settings = [
        "ssl=on",
        &format!("hba_file={hba}"),
        &format!("ssl_cert_file={crt}"),
        &format!("ssl_key_file={key}"),
    ];
    let (known, stranger) = (file("server.crt"), file("stranger.crt"));
    for setting in settings {
        primary.add_flags(&["-c", setting]);
    }
    primary.launch();
    run_sql(&primary, "CREATE TABLE t (n int8); INSERT INTO t VALUES (1)");
    let follow = |host: &str, authority: &str| {
        let host = format!("primary_host={host}:{}", primary.port);
        let authority = format!("replication_ssl_ca_file={authority}");
        replica(&[primary.port], &["-c", &host, "-c", &authority])
    };
    let mut good = follow("localhost", &known);
    good.launch();
    same(&primary, &good, SUM);
    for (host, authority, expect) in [
        ("localhost", &*stranger, "certificate"),
        ("127.0.0.1", &*known, "not valid for"),
        ("nobody.invalid", &*known, "could not translate host name"),
    ] {
        let text = why_it_waits(&follow(host, authority));
        assert!(text.contains(expect), "{host}, {authority}: {text}");
    }
}

#[test]
fn a_backup_of_a_replica_is_a_cluster_of_its_own() {
    let primary = primary(&[]);
    run_sql(&primary, "CREATE TABLE t (n int8); INSERT INTO t VALUES (1); CREATE DATABASE second");
    let mut replica = replica(&[primary.port], &[]);
    replica.launch();
    same(&primary, &replica, SUM);
    let file = replica.directory.path().join("b.tar.gz").display().to_string();
    assert_eq!(applet(&replica, &["backup", &file]).0, Some(0));
    run_sql(&primary, "INSERT INTO t VALUES (2)");
    same(&primary, &replica, SUM);
    let mut copy = Node::new(&[]);
    let (code, text) = applet(&copy, &["restore", &file]);
    assert_eq!(code, Some(0), "{text}");
    copy.launch();
    run_sql(&copy, "INSERT INTO t VALUES (3)");
    assert_eq!(ask(&copy, SUM), "2|4|3");
    assert_eq!(ask_in(&copy, "second", "SELECT pg_is_in_recovery()"), "f");
}

#[test]
fn only_the_right_ones_may_replicate_and_start() {
    let primary = primary(&[]);
    run_sql(
        &primary,
        "CREATE ROLE plain LOGIN PASSWORD 'p'; CREATE ROLE other REPLICATION LOGIN PASSWORD 'o'",
    );
    assert_eq!(ask(&primary, "SELECT rolreplication FROM pg_roles WHERE rolname = 'other'"), "t");
    let refused = |user: &str, password: &str, expect: &str| {
        let login =
            ["-c", &format!("replication_user={user}"), "-c", &format!("replication_password={password}")];
        let text = why_it_waits(&replica(&[primary.port], &login));
        assert!(text.contains(expect), "{text}");
        assert!(!text.contains("w4lk"));
    };
    refused("plain", "p", "replication role");
    refused("other", "wrong", "password authentication failed");
    // A directory with data of its own is no replica's, and a replica's is no primary's.
    let mut alone = Node::start(&[]);
    alone.signal("-TERM");
    alone.wait();
    let hosts = format!("primary_host=127.0.0.1:{}", primary.port);
    let mut command = alone.command();
    command.args(["-c", "replication_mode=replica", "-c", &hosts, "-c", "replication_user=x"]);
    let (code, text) = common::outcome(&mut command);
    assert!(code == Some(1) && text.contains("scratchbird rebuild --yes"), "{text}");
    assert_eq!(applet(&alone, &["rebuild"]).0, Some(2));
    assert_eq!(applet(&alone, &["rebuild", "--yes"]).0, Some(0));
    let mut copy =
        replica(&[primary.port], &["-c", "replication_user=other", "-c", "replication_password=o"]);
    copy.launch();
    copy.signal("-TERM");
    copy.wait();
    for mode in ["standalone", "primary"] {
        let (code, text) = common::outcome(copy.command().args(["-c", &format!("replication_mode={mode}")]));
        assert!(code == Some(1) && text.contains("scratchbird promote"), "{text}");
    }
    let (code, text) = common::outcome(copy.command().args(["-c", "primary_host="]));
    assert!(code == Some(1) && text.contains("SCRATCHBIRD_PRIMARY_HOST"), "{text}");
}
