//! Nonsense on the wire and in SQL: errors at most, never a panic, never a hang.

mod common;

use common::{Node, run};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The same nonsense in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

const SEEDS: &[&str] = &[
    "SELECT id, name FROM t WHERE id IN (1, 2) ORDER BY name DESC LIMIT 3",
    "INSERT INTO t (id, name) VALUES (1, 'a''b') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING *",
    "UPDATE t SET n = n + 1.5 WHERE d BETWEEN '2024-01-01' AND now()",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT sum(n) FROM r",
    "SELECT ARRAY[1, 2] || 3, '{\"a\": [1]}'::jsonb -> 'a', unnest(ARRAY['x'])",
    "CREATE TABLE u (id serial PRIMARY KEY, x numeric(5, 2) CHECK (x > 0), y int REFERENCES t)",
    "SELECT c.relname, array(SELECT attname FROM pg_attribute WHERE attrelid = c.oid) FROM pg_class c",
    "COPY (SELECT * FROM t) TO STDOUT CSV HEADER",
    "SELECT substr('h\u{e4}llo', 2, 3), format('%s', 1), extract(year FROM date '2024-02-29'), $$x$$, E'\\n'",
    "GRANT SELECT ON t TO PUBLIC",
];

#[test]
fn mutated_statements_are_answered() {
    let node = Node::start(&["-c", "log_level=error"]);
    run(async {
        let client = node.connect().await;
        client.batch_execute("SET statement_timeout = '2s'; CREATE TABLE t (id int PRIMARY KEY, name text, n numeric, d date)").await.unwrap();
        let mut chance = Chance(0x5eed);
        for round in 0..3000 {
            let mut text: Vec<char> = SEEDS[chance.below(SEEDS.len())].chars().collect();
            for _ in 0..=chance.below(4) {
                let (at, other) = (chance.below(text.len()), SEEDS[chance.below(SEEDS.len())]);
                let other: Vec<char> = other.chars().collect();
                match chance.below(5) {
                    0 => drop(text.remove(at)),
                    1 => text.insert(
                        at,
                        ['(', ')', '\'', '"', ',', ';', '$', '\\', '[', '\u{1F600}'][chance.below(10)],
                    ),
                    2 => text.truncate(at.max(1)),
                    3 => drop(text.splice(at..at, other[chance.below(other.len())..].iter().copied())),
                    _ => text.swap(at, chance.below(at + 1)),
                }
                if text.is_empty() {
                    text.push(';');
                }
            }
            let text: String = text.into_iter().collect();
            let answer = tokio::time::timeout(common::PATIENCE, client.simple_query(&text)).await;
            let answer = answer.unwrap_or_else(|_| panic!("round {round} hangs: {text}"));
            // The driver calls the rows of a COPY unexpected; that is its own affair.
            let closed = answer.err().is_some_and(|error| error.is_closed());
            assert!(!closed, "round {round} ended the session: {text}");
        }
        client.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(common::text(&client, "SELECT 1").await, "1");
    });
}

#[test]
fn bytes_that_are_no_messages_end_the_session_only() {
    let node = Node::start(&["-c", "log_level=error"]);
    let mut chance = Chance(0xb17e5);
    let startup = b"\0\0\0\x54\0\x03\0\0user\0scratchbird\0database\0scratchbird\0\0";
    for round in 0..300 {
        let mut stream = TcpStream::connect(("127.0.0.1", node.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut bytes: Vec<u8> = if round % 2 == 0 { startup.to_vec() } else { Vec::new() };
        bytes.extend((0..chance.below(200)).map(|_| u8::try_from(chance.below(256)).unwrap()));
        // The server may have closed the connection already.
        let _ = stream.write_all(&bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "round {round}");
        }
    }
    run(async { assert_eq!(common::text(&node.connect().await, "SELECT 1").await, "1") });
}
