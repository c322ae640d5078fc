//! Starting, stopping, being killed: what the data directory holds afterwards.

mod common;

use common::{Node, PATIENCE, outcome, run, scratchbird, state, until};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn acknowledged_rows_survive_kill_9() {
    let mut node = Node::start(&[]);
    run(async {
        node.connect()
            .await
            .batch_execute("CREATE TABLE t (writer int, n int8, PRIMARY KEY (writer, n))")
            .await
            .unwrap();
    });
    let mut floor = [0; 3];
    for _ in 0..3 {
        let acknowledged: Vec<Arc<AtomicI64>> = floor.iter().map(|n| Arc::new(AtomicI64::new(*n))).collect();
        let writers: Vec<_> = acknowledged
            .iter()
            .enumerate()
            .map(|(writer, last)| {
                let (config, last) = (node.config(), Arc::clone(last));
                std::thread::spawn(move || {
                    run(async {
                        let Ok(client) = common::connect(&config).await else { return };
                        let sql = "INSERT INTO t VALUES ($1, $2)";
                        loop {
                            let next = last.load(Ordering::SeqCst) + 1;
                            match client.execute(sql, &[&i32::try_from(writer).unwrap(), &next]).await {
                                Ok(_) => last.store(next, Ordering::SeqCst),
                                // It may have been written all the same: the next number is then taken.
                                Err(_) => return,
                            }
                        }
                    });
                })
            })
            .collect();
        until("some rows", || acknowledged.iter().all(|n| n.load(Ordering::SeqCst) > 0));
        std::thread::sleep(Duration::from_millis(100));
        node.signal("-KILL");
        node.wait();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        node.launch();
        run(async {
            let client = node.connect().await;
            for (writer, last) in acknowledged.iter().enumerate() {
                let writer_id = i32::try_from(writer).unwrap();
                let row = client
                    .query_one("SELECT max(n), count(*) FROM t WHERE writer = $1", &[&writer_id])
                    .await
                    .unwrap();
                let (max, count) = (row.get::<_, i64>(0), row.get::<_, i64>(1));
                assert!(max >= last.load(Ordering::SeqCst), "an acknowledged row is lost");
                assert_eq!(max, count, "the rows have a hole");
                floor[writer] = max;
            }
        });
    }
}

#[test]
fn sigterm_ends_with_0_whoever_is_connected() {
    let mut node = Node::start(&["-c", "shutdown_timeout=300ms"]);
    run(async {
        let (idle, busy) = (node.connect().await, node.connect().await);
        idle.batch_execute("CREATE TABLE t (x int)").await.unwrap();
        idle.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        let endless =
            "WITH RECURSIVE r(n) AS (SELECT 1::int8 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
        let running = tokio::spawn(async move { state(&busy, endless).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let started = Instant::now();
        node.signal("-TERM");
        assert_eq!(node.wait().code(), Some(0));
        assert!(started.elapsed() < PATIENCE / 4, "the shutdown took {:?}", started.elapsed());
        assert_eq!(running.await.unwrap(), "57P01");
        assert!(idle.batch_execute("COMMIT").await.is_err());
    });
    node.launch();
    run(async {
        let client = node.connect().await;
        let row = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0, "an unfinished transaction is not kept");
    });
    node.signal("-INT");
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn a_first_start_killed_at_any_moment_can_be_repeated() {
    for delay in [0, 2, 5, 8, 11, 15, 20, 30, 45] {
        let mut node = Node::new(&[]);
        let mut child = node.command().stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        node.launch();
        run(async {
            let client = node.connect().await;
            assert_eq!(state(&client, "CREATE TABLE t (x int)").await, "00000", "after {delay} ms");
        });
    }
}

#[test]
fn a_start_that_can_not_work_says_why() {
    let check = |prepare: &dyn Fn(&Node, &mut Command), code: i32, words: &[&str]| {
        let node = Node::new(&[]);
        let mut command = node.command();
        prepare(&node, &mut command);
        let (got, text) = outcome(&mut command);
        assert_eq!(got, Some(code), "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in: {text}");
        }
        assert!(!text.contains(common::PASSWORD), "the password is in the log: {text}");
    };
    let put = |node: &Node, name: &str, text: &str| {
        fs::create_dir_all(node.data()).unwrap();
        fs::write(format!("{}/{name}", node.data()), text).unwrap();
    };
    check(
        &|_, c| {
            c.env_remove("SCRATCHBIRD_PASSWORD");
        },
        1,
        &["SCRATCHBIRD_PASSWORD", "HOST_AUTH_METHOD=trust"],
    );
    check(
        &|_, c| {
            c.env("SCRATCHBIRD_PASSWORD_FILE", "/x");
        },
        1,
        &["both SCRATCHBIRD_PASSWORD and"],
    );
    check(
        &|_, c| {
            c.env("SCRATCHBIRD_MAX_CONNECTIONS", "many");
        },
        1,
        &["MAX_CONNECTIONS", "many", "1 to 10000"],
    );
    check(
        &|_, c| {
            c.args(["-c", "prot=1"]);
        },
        1,
        &["prot", "did you mean `port`"],
    );
    check(
        &|_, c| {
            c.args(["-c", "port"]);
        },
        2,
        &["`-c port` has no `=`: it must be `-c NAME=VALUE`"],
    );
    check(
        &|_, c| {
            c.arg("--wrong");
        },
        2,
        &["unknown option `--wrong`"],
    );
    check(
        &|_, c| {
            c.args(["-c", "ssl=on"]);
        },
        1,
        &["`ssl_cert_file` is not set", "SCRATCHBIRD_SSL_CERT_FILE"],
    );
    check(
        &|_, c| {
            c.args(["-c", "replication_mode=replica"]);
        },
        1,
        &["a replica needs `primary_host`", "SCRATCHBIRD_PRIMARY_HOST"],
    );
    check(
        &|_, c| {
            c.args(["-h", "db.example.org"]);
        },
        1,
        &["db.example.org", "no IP address"],
    );
    check(
        &|node, _| put(node, "SCRATCHBIRD_VERSION", "99\n"),
        1,
        &["format `99`", "start it with the version that wrote it"],
    );
    check(&|node, _| put(node, "PG_VERSION", "15\n"), 1, &["PostgreSQL data directory"]);
    check(&|node, _| put(node, "photo.jpg", ""), 1, &["not empty", "photo.jpg"]);
    let (code, text) = outcome(scratchbird().arg("serv"));
    assert_eq!(
        (code, text.trim()),
        (Some(2), "scratchbird: no applet is called `serv`; did you mean `serve`?")
    );
    assert_eq!(outcome(scratchbird().args(["entrypoint", "no-such-command"])).0, Some(127));
    assert_eq!(outcome(scratchbird().args(["entrypoint", "true"])).0, Some(0));
    assert_eq!(outcome(scratchbird().args(["entrypoint", "--version"])).0, Some(0));
}

#[test]
fn a_second_server_is_kept_out_and_the_probes_tell_the_state() {
    let mut node = Node::start(&[]);
    let (code, text) = outcome(&mut node.command());
    assert!(code == Some(1) && text.contains("in use by another server"), "{text}");
    let socket = node.directory.path().display().to_string();
    let health = || {
        let mut command = scratchbird();
        command.args(["healthcheck", "-k", &socket, "-p", &node.port.to_string()]);
        outcome(&mut command).0
    };
    assert_eq!(health(), Some(0));
    let port = node.port.to_string();
    assert_eq!(outcome(scratchbird().args(["ready", "-h", "127.0.0.1", "-p", &port])).0, Some(0));
    assert_eq!(outcome(scratchbird().args(["ready", "-p", "none"])).0, Some(3));
    node.signal("-TERM");
    assert_eq!(node.wait().code(), Some(0));
    assert_eq!(outcome(scratchbird().args(["ready", "-h", &socket, "-p", &port])).0, Some(2));
}

#[test]
fn psql_and_pgbench_work() {
    let node = Node::start(&[]);
    let tool = |name: &str| {
        let mut command = Command::new(name);
        command.envs([("PGHOST", "127.0.0.1"), ("PGUSER", "scratchbird"), ("PGPASSWORD", common::PASSWORD)]);
        command.env("PGPORT", node.port.to_string()).env("PGDATABASE", "scratchbird");
        command
    };
    let script = "\\conninfo\nCREATE TABLE t (a int, b text);\n\\copy t from pstdin csv\n1,x\n2,\n\\.\nSELECT * FROM t;";
    let file = node.directory.path().join("script.sql");
    fs::write(&file, script).unwrap();
    let mut psql = tool("psql");
    let Ok(output) = psql
        .args(["-X", "-A", "-t", "-q", "-f"])
        .arg(&file)
        .stdin(fs::File::open("/dev/null").unwrap())
        .output()
    else {
        eprintln!("skipped: no psql");
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("You are connected to database \"scratchbird\""), "{shown}");
    let pgbench = ["pgbench", "/usr/lib/postgresql/15/bin/pgbench"].into_iter();
    let Some(pgbench) = pgbench.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        eprintln!("skipped: no pgbench");
        return;
    };
    let (code, text) = outcome(tool(pgbench).args(["-i", "-q"]));
    assert_eq!(code, Some(0), "{text}");
    for mode in ["simple", "extended", "prepared"] {
        let (code, text) = outcome(tool(pgbench).args(["-n", "-c", "2", "-t", "20", "-M", mode]));
        assert_eq!(code, Some(0), "{mode}: {text}");
    }
    run(async {
        let client = node.connect().await;
        let sums =
            "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)";
        assert!(client.query_one(sums, &[]).await.unwrap().get::<_, bool>(0));
    });
}
