//! Synchronous commits, promotion, old primaries, and kills at any moment.

mod common;
#[path = "common/replicas.rs"]
mod replicas;

use common::{Node, PATIENCE, run, until};
use replicas::{
    Cable, applet, ask, caught_up, compare_files, free_port, get, primary, primary_node, replica, run_sql,
    same,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

const SUM: &str = "SELECT count(*), sum(n), max(n) FROM t";

#[test]
fn a_synchronous_commit_waits_for_a_replica_and_a_cancel_says_that_nobody_knows() {
    let primary = primary(&["-c", "synchronous_replicas=1"]);
    let alone = "SET statement_timeout = '300ms'; BEGIN; CREATE TABLE t (n int8); COMMIT";
    assert_eq!(ask(&primary, alone), "40003");
    assert_eq!(ask(&primary, "SELECT count(*) FROM t"), "0", "it is committed here, and reads don't wait");
    let cable = Cable::to(primary.port);
    let mut replica = replica(&[cable.port], &[]);
    replica.launch();
    run_sql(&primary, "INSERT INTO t VALUES (1); CREATE ROLE x");
    assert_eq!(ask(&replica, SUM), ask(&primary, SUM), "what is acknowledged is there, and soon applied");
    assert!(ask(&primary, "SELECT sync_state FROM pg_stat_replication").contains("quorum"));
    cable.freeze();
    assert_eq!(
        ask(&primary, "SET statement_timeout = '300ms'; BEGIN; INSERT INTO t VALUES (2); COMMIT"),
        "40003"
    );
    // Without a block the commit is a part of the statement, and so under its timeout.
    assert_eq!(ask(&primary, "SET statement_timeout = '300ms'; INSERT INTO t VALUES (4)"), "40003");
    let started = Instant::now();
    cable.cut();
    cable.mend();
    run_sql(&primary, "INSERT INTO t VALUES (3)");
    assert!(started.elapsed() < PATIENCE / 2);
    same(&primary, &replica, SUM);
}

#[test]
fn a_replica_is_promoted_the_others_follow_it_and_the_old_primary_must_be_rebuilt() {
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let http: Vec<String> = (0..3).map(|_| format!("http_port={}", free_port())).collect();
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let hosts = format!("primary_host={}", hosts.join(","));
    let (mut old, mut first, mut second) = (
        at(ports[0], primary_node(&["-c", &hosts, "-c", &http[0]])),
        at(ports[1], replica(&ports, &["-c", &http[1]])),
        at(ports[2], replica(&ports, &["-c", &http[2]])),
    );
    let http: Vec<u16> = http.iter().map(|flag| flag["http_port=".len()..].parse().unwrap()).collect();
    old.launch();
    run_sql(&old, "CREATE TABLE t (n serial PRIMARY KEY, x int); INSERT INTO t (x) VALUES (1), (2)");
    first.launch();
    second.launch();
    for node in [&first, &second] {
        same(&old, node, SUM);
    }
    assert_eq!((get(http[0], "/primary").0, get(http[0], "/replica").0), (200, 503));
    assert_eq!(applet(&old, &["promote"]).0, Some(0), "it is one already");
    // The primary dies with a commit that no replica has.
    for node in [&mut first, &mut second] {
        node.signal("-KILL");
        node.wait();
    }
    run_sql(&old, "INSERT INTO t (x) VALUES (666)");
    old.signal("-KILL");
    old.wait();
    first.launch();
    second.launch();
    let (code, text) = applet(&first, &["promote"]);
    assert!(code == Some(0) && text.contains("timeline 2"), "{text}");
    let started = Instant::now();
    run_sql(&first, "INSERT INTO t (x) VALUES (3)");
    assert_eq!(ask(&first, "SELECT pg_is_in_recovery()"), "f");
    assert_eq!(ask(&first, SUM), "3|6|3", "the sequence goes on");
    same(&first, &second, SUM);
    until("the second to follow the new one", || {
        ask(&first, "SELECT count(*) FROM pg_stat_replication") == "1"
    });
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!((get(http[1], "/primary").0, get(http[1], "/replica").0), (200, 503));
    // The old one comes back, as what it was and as a replica: both are refused.
    let (code, text) = common::outcome(&mut old.command());
    assert!(code == Some(1) && text.contains("another server was promoted (timeline 2"), "{text}");
    let (code, text) = common::outcome(&mut old.command());
    assert!(code == Some(1) && text.contains("rebuild --yes"), "it remembers: {text}");
    let (code, text) = common::outcome(old.command().args(["-c", "replication_mode=replica"]));
    assert!(code == Some(1) && text.contains("rebuild --yes"), "{text}");
    assert_eq!(applet(&old, &["rebuild", "--yes"]).0, Some(0));
    old.add_flags(&["-c", "replication_mode=replica"]);
    old.launch();
    same(&first, &old, SUM);
    // What was promoted stays a primary, and switching over by SQL works too.
    first.signal("-TERM");
    assert!(first.wait().success());
    first.launch();
    run_sql(&first, "INSERT INTO t (x) VALUES (4)");
    same(&first, &second, SUM);
    caught_up(&first, &second);
    first.signal("-TERM");
    first.wait();
    assert_eq!(ask(&second, "SELECT pg_promote()"), "t");
    run_sql(&second, "INSERT INTO t (x) VALUES (5)");
    same(&second, &old, SUM);
    compare_files(&mut second, &mut old);
}

#[test]
fn of_two_primaries_the_earlier_one_is_fenced() {
    let (a, b) = (free_port(), free_port());
    let hosts = format!("primary_host=127.0.0.1:{a},127.0.0.1:{b}");
    let mut old = at(a, primary_node(&["-c", &hosts]));
    old.launch();
    run_sql(&old, "CREATE TABLE t (n int8)");
    let mut new = at(b, replica(&[a, b], &[]));
    new.launch();
    same(&old, &new, SUM);
    assert_eq!(applet(&new, &["promote"]).0, Some(0));
    until("the old one to be fenced", || ask(&old, "INSERT INTO t VALUES (1)") == "25006");
    run_sql(&new, "INSERT INTO t VALUES (2)");
    old.signal("-TERM");
    assert!(old.wait().success());
    let (code, text) = common::outcome(&mut old.command());
    assert!(code == Some(1) && text.contains("rebuild --yes"), "{text}");
}

fn at(port: u16, mut node: Node) -> Node {
    node.port = port;
    node
}

/// Writers number their rows; each remembers the last one that was acknowledged.
struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Vec<Arc<AtomicI64>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Writers {
    /// The rows there are already count as written, and not as acknowledged: the one that wrote the last may have died
    /// before it was told.
    fn start(node: &Node, from: &[i64], acknowledged: &[i64]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged: Vec<_> = acknowledged.iter().map(|n| Arc::new(AtomicI64::new(*n))).collect();
        let threads = acknowledged.iter().enumerate().map(|(writer, last)| {
            let (mut config, last, stop) = (node.config(), Arc::clone(last), Arc::clone(&stop));
            config.connect_timeout(Duration::from_secs(2));
            let mut next = from[writer];
            let writer = i32::try_from(writer).unwrap();
            std::thread::spawn(move || {
                run(async {
                    let Ok(client) = common::connect(&config).await else { return };
                    while !stop.load(Ordering::SeqCst) {
                        next += 1;
                        // A row and the running sum, in one transaction.
                        let sql = format!(
                            "BEGIN; INSERT INTO t VALUES ({writer}, {next}); \
                             UPDATE s SET total = total + {next} WHERE writer = {writer}; COMMIT"
                        );
                        match client.batch_execute(&sql).await {
                            Ok(()) => last.store(next, Ordering::SeqCst),
                            Err(_) => return,
                        }
                    }
                });
            })
        });
        let threads = threads.collect();
        Self { stop, acknowledged, threads }
    }

    fn end(self) -> Vec<i64> {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.acknowledged.iter().map(|n| n.load(Ordering::SeqCst)).collect()
    }
}

/// Every state that a client can see is a prefix of what was written: no hole, and the sums fit.
fn check_prefix(node: &Node, acknowledged: Option<&[i64]>) -> Vec<i64> {
    let rows = ask(
        node,
        "SELECT s.writer, total, count(n), coalesce(max(n), 0), coalesce(sum(n), 0) FROM s LEFT JOIN t ON t.writer = s.writer \
         GROUP BY s.writer, total ORDER BY s.writer",
    );
    let mut last = Vec::new();
    for line in rows.lines() {
        let fields: Vec<i64> = line.split('|').map(|field| field.parse().expect(&rows)).collect();
        let [writer, total, count, max, sum] = fields[..] else { panic!("{rows}") };
        assert!(count == max && sum == total && total == max * (max + 1) / 2, "torn: {line}");
        if let Some(acknowledged) = acknowledged {
            let floor = acknowledged[usize::try_from(writer).unwrap()];
            assert!(max >= floor, "writer {writer}: {floor} was acknowledged, and {max} is the last there");
        }
        last.push(max);
    }
    last
}

const WRITERS: usize = 3;

/// How many rounds of kills: few here, more in the container tests.
fn rounds() -> u64 {
    std::env::var("REPLICATION_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// Numbers that look like chance and are the same each time.
fn chance(round: u64, below: u64) -> u64 {
    let mut x = round.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % below
}

#[test]
fn nothing_acknowledged_is_lost_whoever_is_killed_when() {
    let flags = ["-c", "synchronous_replicas=1", "-c", "max_wal_size=1MB", "-c", "checkpoint_timeout=1s"];
    let mut primary = primary_node(&flags);
    let mut replica = replica(&[primary.port], &flags);
    primary.launch();
    replica.launch();
    run_sql(
        &primary,
        "CREATE TABLE t (writer int, n int8, PRIMARY KEY (writer, n)); CREATE TABLE s (writer int PRIMARY KEY, total int8)",
    );
    for writer in 0..WRITERS {
        run_sql(&primary, &format!("INSERT INTO s VALUES ({writer}, 0)"));
    }
    let (mut last, mut acknowledged) = (vec![0; WRITERS], vec![0; WRITERS]);
    for round in 0..rounds() {
        let writers = Writers::start(&primary, &last, &acknowledged);
        std::thread::sleep(Duration::from_millis(100 + chance(round, 400)));
        // Readers of the replica see a prefix at any moment.
        check_prefix(&replica, None);
        let (victim, name) = match chance(round + 1000, 3) {
            0 => (&mut replica, "replica"),
            _ => (&mut primary, "primary"),
        };
        victim.signal("-KILL");
        victim.wait();
        if name == "replica" {
            // The writers wait for it.
            replica.launch();
            std::thread::sleep(Duration::from_millis(200));
        }
        acknowledged = writers.end();
        if name == "primary" {
            // All that was acknowledged is on the replica's disk, and applied in a moment.
            until("the replica to apply the rest", || {
                ask(&replica, "SELECT pg_last_wal_replay_lsn() = pg_last_wal_receive_lsn()") == "t"
            });
            check_prefix(&replica, Some(&acknowledged));
            if chance(round + 2000, 2) == 0 {
                // The replica takes over, and the old primary begins again.
                assert_eq!(applet(&replica, &["promote"]).0, Some(0));
                assert_eq!(applet(&primary, &["rebuild", "--yes"]).0, Some(0));
                let port = replica.port;
                let fresh = replicas::replica(&[port], &flags);
                primary = std::mem::replace(&mut replica, fresh);
                replica.launch();
            } else {
                primary.launch();
            }
        }
        last = check_prefix(&primary, Some(&acknowledged));
        eprintln!("round {round}: killed the {name}; {acknowledged:?} acknowledged");
    }
    same(&primary, &replica, "SELECT count(*), sum(n) FROM t");
    assert_eq!(check_prefix(&replica, Some(&last)), last);
    compare_files(&mut primary, &mut replica);
}
