//! Limits of time for a session, and what one session may do to another.

mod common;

use common::{Node, run, state, text};
use std::time::{Duration, Instant};

const ENDLESS: &str =
    "WITH RECURSIVE r(n) AS (SELECT 1::int8 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";

#[test]
fn the_server_s_limits_hold_for_every_session() {
    let node =
        Node::start(&["-c", "statement_timeout=150ms", "-c", "idle_in_transaction_session_timeout=300ms"]);
    run(async {
        let client = node.connect().await;
        assert_eq!(text(&client, "SHOW statement_timeout").await, "150ms");
        assert_eq!(state(&client, ENDLESS).await, "57014");
        // A session may give itself more time, and the others have theirs.
        assert_eq!(state(&client, "SET statement_timeout = '400ms'").await, "00000");
        let started = Instant::now();
        assert_eq!(state(&client, ENDLESS).await, "57014");
        assert!(started.elapsed() >= Duration::from_millis(350), "{:?}", started.elapsed());
        assert_eq!(state(&node.connect().await, ENDLESS).await, "57014");
        // Idle outside a transaction is no fault; inside one it ends the session and gives back its lock.
        client.batch_execute("CREATE TABLE t (x int)").await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert!(client.batch_execute("COMMIT").await.is_err() && client.is_closed());
        let other = node.connect().await;
        assert_eq!(text(&other, "SELECT count(*) FROM t").await, "0");
        assert_eq!(state(&other, "INSERT INTO t VALUES (2)").await, "00000");
    });
}

#[test]
fn sessions_are_seen_cancelled_and_ended() {
    let node = Node::start(&[]);
    run(async {
        let (admin, busy) = (node.connect().await, node.connect().await);
        assert_eq!(state(&admin, "CREATE ROLE wren LOGIN PASSWORD 'tweet'").await, "00000");
        let pid = text(&busy, "SELECT pg_backend_pid()").await;
        let running = tokio::spawn(async move { (state(&busy, ENDLESS).await, busy) });
        let seen = format!("SELECT state, usename, datname FROM pg_stat_activity WHERE pid = {pid}");
        let deadline = Instant::now() + common::PATIENCE;
        while text(&admin, &seen).await != "active|scratchbird|scratchbird" {
            assert!(Instant::now() < deadline, "{}", text(&admin, &seen).await);
        }
        // Only superusers and the session's own role may.
        let mut wren = node.config();
        wren.user("wren").password("tweet");
        let wren = common::connect(&wren).await.unwrap();
        assert_eq!(state(&wren, &format!("SELECT pg_cancel_backend({pid})")).await, "42501");
        assert_eq!(text(&admin, &format!("SELECT pg_cancel_backend({pid})")).await, "t");
        let (code, busy) = running.await.unwrap();
        assert_eq!(code, "57014");
        assert_eq!(text(&busy, "SELECT 1").await, "1");
        let running = tokio::spawn(async move { state(&busy, ENDLESS).await });
        while text(&admin, &seen).await != "active|scratchbird|scratchbird" {
            assert!(Instant::now() < deadline);
        }
        assert_eq!(text(&admin, &format!("SELECT pg_terminate_backend({pid})")).await, "t");
        assert_eq!(running.await.unwrap(), "57P01");
        while !text(&admin, &seen).await.is_empty() {
            assert!(Instant::now() < deadline, "the session is still there");
        }
    });
}

#[test]
fn what_a_session_does_is_seen_by_its_role_and_by_superusers() {
    let node = Node::start(&[]);
    run(async {
        let admin = node.connect().await;
        let made = "CREATE ROLE wren LOGIN PASSWORD 'tweet'; CREATE ROLE lark LOGIN PASSWORD 'trill'";
        for statement in made.split("; ") {
            assert_eq!(state(&admin, statement).await, "00000");
        }
        assert_eq!(
            text(&admin, "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()").await,
            ""
        );
        let as_role = |name: &str, password: &str| {
            let mut config = node.config();
            config.user(name).password(password).application_name(format!("{name}'s program"));
            config
        };
        let wren = common::connect(&as_role("wren", "tweet")).await.unwrap();
        let lark = common::connect(&as_role("lark", "trill")).await.unwrap();
        let seen = "SELECT application_name, state, query, client_addr, client_port > 0, xact_start IS NULL, \
            query_start >= backend_start AND state_change >= query_start, query_start <= now() \
            FROM pg_stat_activity WHERE usename = 'wren'";
        let steps = [
            ("SELECT 1", "idle|SELECT 1|127.0.0.1|t|t|t|t"),
            ("BEGIN", "idle in transaction|BEGIN|127.0.0.1|t|f|t|t"),
            ("SELECT 1/0", "idle in transaction (aborted)|SELECT 1/0|127.0.0.1|t|f|t|t"),
            ("ROLLBACK", "idle|ROLLBACK|127.0.0.1|t|t|t|t"),
            // Nobody reads a password here.
            ("ALTER ROLE wren PASSWORD 'chirp'", "idle|ALTER ROLE|127.0.0.1|t|t|t|t"),
        ];
        for (statement, expected) in steps {
            state(&wren, statement).await;
            assert_eq!(text(&admin, seen).await, format!("wren's program|{expected}"), "{statement}");
        }
        assert_eq!(state(&wren, "SET application_name = 'nest'").await, "00000");
        assert!(text(&admin, seen).await.starts_with("nest|"));
        // A prepared statement too, and of a long one the beginning.
        let long = format!("SELECT $1::int4 AS {}", "é".repeat(600));
        wren.query_one(&long, &[&1]).await.unwrap();
        let kept = "SELECT length(query) < 1024, query LIKE 'SELECT $1::int4 AS éé%' FROM pg_stat_activity \
            WHERE usename = 'wren'";
        assert_eq!(text(&admin, kept).await, "t|t");
        let shown =
            "SELECT usename, query, state FROM pg_stat_activity WHERE usename IN ('wren', 'lark') ORDER BY 1";
        let shown = text(&lark, shown).await;
        assert!(shown.contains("wren|<insufficient privilege>|"), "{shown}");
        assert!(shown.contains("lark|SELECT usename"), "{shown}");
    });
}
