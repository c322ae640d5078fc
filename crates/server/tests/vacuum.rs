//! VACUUM gives room back to the file system, and nothing is lost on the way.

mod common;

use common::{Node, connect, run, state, text};
use std::fs;
use std::time::Duration;

/// The sizes of the database files, the logs not counted.
fn size(node: &Node) -> u64 {
    let files = fs::read_dir(format!("{}/base", node.data())).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "db"));
    files.map(|file| file.metadata().unwrap().len()).max().unwrap()
}

const FILL: &str = "CREATE TABLE big (id int PRIMARY KEY, t text UNIQUE);
    CREATE INDEX ON big (lower(t));
    CREATE TABLE small (id int PRIMARY KEY, t text);
    INSERT INTO big SELECT n, repeat('x', 200) || n FROM generate_series(1, 8000) AS n;
    INSERT INTO small SELECT n, 'kept ' || n FROM generate_series(1, 500) AS n;
    DELETE FROM big WHERE id % 10 <> 0";

#[test]
fn the_file_becomes_shorter_and_holds_everything() {
    for (vacuum, share) in [("VACUUM", 4), ("VACUUM FULL ANALYZE big", 6)] {
        let mut node = Node::start(&[]);
        run(async {
            let client = node.connect().await;
            let reader = node.connect().await;
            client.batch_execute(FILL).await.unwrap();
            // A checkpoint brings the file to its full size.
            client.batch_execute("VACUUM nothing").await.unwrap_err();
            client.batch_execute("VACUUM").await.unwrap();
            client
                .batch_execute(
                    "INSERT INTO big SELECT -n, repeat('y', 200) || n FROM generate_series(1, 8000) AS n",
                )
                .await
                .unwrap();
            client.batch_execute("VACUUM").await.unwrap();
            let full = size(&node);
            client.batch_execute("DELETE FROM big WHERE id < 0").await.unwrap();
            let before = text(&client, "SELECT count(*), sum(id), min(t), max(t) FROM big").await;
            // Another session reads on in its own state.
            reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
            assert_eq!(text(&reader, "SELECT count(*) FROM big").await, "800");
            client.batch_execute(vacuum).await.unwrap();
            assert_eq!(text(&reader, "SELECT count(*), min(t) FROM small").await, "500|kept 1");
            reader.batch_execute("COMMIT").await.unwrap();
            // The file can be cut when nobody reads the old state.
            client.batch_execute("VACUUM").await.unwrap();
            let after = size(&node);
            assert!(after * share < full * 3, "{vacuum}: {full} bytes became {after}");
            for client in [&client, &reader] {
                let now = text(client, "SELECT count(*), sum(id), min(t), max(t) FROM big").await;
                assert_eq!(now, before, "{vacuum}");
                assert_eq!(text(client, "SELECT t FROM small WHERE id = 77").await, "kept 77");
                assert_eq!(state(client, "INSERT INTO small VALUES (77, 'x')").await, "23505");
            }
            reader.batch_execute("INSERT INTO small VALUES (1000, 'new')").await.unwrap();
        });
        node.signal("-KILL");
        node.wait();
        node.launch();
        run(async {
            let client = node.connect().await;
            assert_eq!(text(&client, "SELECT count(*), max(id) FROM small").await, "501|1000");
            assert_eq!(text(&client, "SELECT count(*) FROM big WHERE lower(t) LIKE 'xxx%'").await, "800");
        });
    }
}

#[test]
fn it_stands_alone() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client.batch_execute("CREATE TABLE t (x int)").await.unwrap();
        client.batch_execute("CREATE ROLE wren LOGIN PASSWORD 'w'").await.unwrap();
        assert_eq!(state(&client, "BEGIN; VACUUM").await, "25001");
        client.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(state(&client, "SELECT 1; VACUUM").await, "25001");
        assert_eq!(state(&client, "VACUUM nowhere").await, "42P01");
        client.execute("VACUUM (FULL, VERBOSE) t", &[]).await.unwrap();
        // Whoever may not gets a warning, as in Postgres, and the file stays as it is.
        let mut config = node.config();
        config.user("wren").password("w");
        let wren = connect(&config).await.unwrap();
        assert_eq!(state(&wren, "VACUUM FULL").await, "00000");
    });
}

#[test]
fn a_kill_in_the_middle_loses_nothing() {
    let mut node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client.batch_execute(FILL).await.unwrap();
    });
    for round in 0..6 {
        run(async {
            let client = node.connect().await;
            let vacuum = client.batch_execute("VACUUM FULL");
            // It may be done already, or is cut.
            let _ = tokio::time::timeout(Duration::from_millis(15 * round), vacuum).await;
            node.signal("-KILL");
        });
        node.wait();
        node.launch();
        run(async {
            let client = node.connect().await;
            let counts =
                "SELECT (SELECT count(*) FROM big), (SELECT sum(id) FROM big), (SELECT count(*) FROM small)";
            assert_eq!(text(&client, counts).await, "800|3204000|500", "round {round}");
        });
        let left: Vec<String> = fs::read_dir(format!("{}/base", node.data()))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("vacuum"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
