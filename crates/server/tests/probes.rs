//! The HTTP probes and metrics, while the server starts, works and stops.

mod common;

use common::{Node, free_port, run, state, until};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

struct Probed {
    node: Node,
    http: u16,
}

impl Probed {
    fn new(flags: &[&str]) -> Self {
        let http = free_port();
        let flag = format!("http_port={http}");
        Self { node: Node::new(&[&["-c", &flag], flags].concat()), http }
    }

    fn send(&self, request: &[u8]) -> String {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
        // A request that is refused early may find its connection closed.
        let _ = stream.write_all(request).and_then(|()| stream.read_to_string(&mut answer));
        answer
    }

    /// The status and the body.
    fn get(&self, path: &str) -> (String, String) {
        let answer = self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
        (head.split(' ').nth(1).unwrap_or("").to_owned(), body.to_owned())
    }

    fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.get("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing in {page}")).parse().unwrap()
    }
}

#[test]
fn probes_follow_the_servers_life() {
    let mut probed = Probed::new(&["-c", "shutdown_timeout=1min"]);
    let (init, go) = (probed.node.directory.path().join("init"), probed.node.directory.path().join("go"));
    fs::create_dir(&init).unwrap();
    fs::write(init.join("1.sh"), format!("while ! test -e {}; do sleep 0.05; done", go.display())).unwrap();
    let mut command = probed.node.command();
    probed.node.child = Some(command.env("SCRATCHBIRD_INITDB_DIRECTORY", &init).spawn().unwrap());
    until("HTTP to answer", || TcpStream::connect(("127.0.0.1", probed.http)).is_ok());
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(probed.get("/livez"), ("200".into(), "alive\n".into()));
    assert_eq!(probed.get("/readyz"), ("503".into(), "starting\n".into()));
    assert_eq!(probed.get("/health").0, "503");
    assert_eq!(probed.metric("scratchbird_up"), 0.0);
    fs::write(go, "").unwrap();
    until("the server to be ready", || probed.get("/readyz").0 == "200");
    assert!(probed.node.ready());
    let (status, body) = probed.get("/health");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status.as_str(), body["status"].as_str()), ("200", Some("ready")));
    assert_eq!(
        (body["version"].as_str(), body["role"].as_str()),
        (Some(env!("CARGO_PKG_VERSION")), Some("standalone"))
    );
    assert!(body["uptime_seconds"].is_u64());
    run(async {
        let client = probed.node.connect().await;
        let endless =
            "WITH RECURSIVE r(n) AS (SELECT 1::int8 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
        let running = tokio::spawn(async move { state(&client, endless).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        probed.node.signal("-TERM");
        until("the shutdown to be seen", || probed.get("/readyz") == ("503".into(), "stopping\n".into()));
        assert_eq!(probed.get("/livez").0, "200");
        probed.node.signal("-INT");
        assert_eq!(probed.node.wait().code(), Some(0));
        assert_eq!(running.await.unwrap(), "57P01");
    });
}

#[test]
fn what_happens_is_counted() {
    let mut probed = Probed::new(&[]);
    probed.node.launch();
    run(async {
        let client = probed.node.connect().await;
        client.batch_execute("CREATE TABLE t (x int)").await.unwrap();
        for _ in 0..3 {
            client.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
        }
        assert_eq!(state(&client, "SELECT nothing").await, "42703");
        assert_eq!(state(&client, "SELECT 1 / 0").await, "22012");
        client.batch_execute("BEGIN; UPDATE t SET x = 2; ROLLBACK").await.unwrap();
        assert_eq!(state(&client, "CREATE DATABASE \"a \"\"b\"\"\"").await, "00000");
        let sum = |names: &[(&str, f64)]| {
            for (name, expect) in names {
                assert_eq!(probed.metric(name), *expect, "{name}");
            }
        };
        sum(&[
            ("scratchbird_up", 1.0),
            ("scratchbird_connections{state=\"active\"}", 0.0),
            ("scratchbird_connections{state=\"idle\"}", 1.0),
            ("scratchbird_connections_total", 1.0),
            ("scratchbird_connections_max", 100.0),
            ("scratchbird_statements_total{kind=\"insert\"}", 3.0),
            ("scratchbird_statements_total{kind=\"ddl\"}", 2.0),
            ("scratchbird_statements_total{kind=\"update\"}", 1.0),
            ("scratchbird_statements_total{kind=\"transaction\"}", 2.0),
            ("scratchbird_errors_total{class=\"42\"}", 1.0),
            ("scratchbird_errors_total{class=\"22\"}", 1.0),
            ("scratchbird_transactions_total{outcome=\"rollback\"}", 3.0),
        ]);
        assert!(probed.metric("scratchbird_transactions_total{outcome=\"commit\"}") >= 5.0);
        assert!(probed.metric("scratchbird_wal_size_bytes{database=\"scratchbird\"}") > 0.0);
        assert!(probed.metric("scratchbird_database_size_bytes{database=\"a \\\"b\\\"\"}") > 0.0);
        assert!(probed.metric("process_resident_memory_bytes") > 1e6);
    });
    // Whatever is there is in the documentation, and the other way round.
    let page = probed.get("/metrics").1;
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
    let mut families: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    let mut documented: Vec<&str> = rows.collect();
    families.sort_unstable();
    documented.sort_unstable();
    assert_eq!(families, documented);
}

#[test]
fn bad_requests_are_bounded_and_do_no_harm() {
    let mut probed = Probed::new(&[]);
    probed.node.launch();
    let check = |request: &[u8], expect: &str| {
        let answer = probed.send(request);
        assert!(answer.starts_with(expect), "{answer}");
    };
    check(b"POST /readyz HTTP/1.1\r\n\r\n", "HTTP/1.1 405");
    check(b"GET /nothing HTTP/1.1\r\n\r\n", "HTTP/1.1 404");
    check(b"\x16\x03\x01\xff\r\n\r\n", "HTTP/1.1 400");
    check(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(8200)).as_bytes(), "HTTP/1.1 431");
    let head = probed.send(b"HEAD /readyz HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    // Clients that say nothing are given up, and the others don't wait for them for long.
    let silent: Vec<TcpStream> =
        (0..24).map(|_| TcpStream::connect(("127.0.0.1", probed.http)).unwrap()).collect();
    until("the probes to answer again", || !probed.send(b"GET /livez HTTP/1.1\r\n\r\n").is_empty());
    drop(silent);
}

#[test]
fn probes_answer_in_time_while_100_clients_are_busy() {
    let mut probed = Probed::new(&["-c", "max_connections=120"]);
    probed.node.launch();
    run(async {
        probed.node.connect().await.batch_execute("CREATE TABLE t (x int)").await.unwrap();
    });
    let config = probed.node.config();
    let clients = std::thread::spawn(move || {
        run(async {
            let mut running = Vec::new();
            let mut connected = Vec::new();
            for _ in 0..100 {
                connected.push(common::connect(&config).await.unwrap());
            }
            for (number, client) in connected.into_iter().enumerate() {
                running.push(tokio::spawn(async move {
                    let endless = "WITH RECURSIVE r(n) AS (SELECT 1::int8 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
                    // Some compute, most write, which is to wait for each other.
                    let sql = if number < 10 { endless } else { "INSERT INTO t VALUES (1)" };
                    while state(&client, sql).await == "00000" {}
                }));
            }
            for client in running {
                client.await.unwrap();
            }
        });
    });
    until("most clients to be busy", || probed.metric("scratchbird_connections{state=\"active\"}") > 90.0);
    for path in ["/livez", "/readyz", "/health", "/metrics"] {
        // The best of some: the machine may be busy with other things than these clients.
        let fastest = (0..5).map(|_| {
            let started = Instant::now();
            assert_eq!(probed.get(path).0, "200");
            started.elapsed()
        });
        let fastest = fastest.min().unwrap();
        eprintln!("{path}: {fastest:?}");
        assert!(fastest < Duration::from_millis(100), "{path} took {fastest:?}");
    }
    probed.node.signal("-INT");
    assert_eq!(probed.node.wait().code(), Some(0));
    clients.join().unwrap();
}
