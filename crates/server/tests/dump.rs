//! What `pg_dump` of PostgreSQL 15 writes is taken as it is.

mod common;

use common::{Node, run, text};

/// Made by `pg_dump --inserts --no-owner` from a database with most of what this server has.
const DUMP: &str = include_str!("dump/postgres15.sql");

#[test]
fn a_dump_of_postgres_is_restored() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client.batch_execute(DUMP).await.unwrap();
        // The dump has emptied the search path.
        client.batch_execute("RESET search_path").await.unwrap();
        for (sql, expect) in [
            (
                "SELECT name, born, tags, score FROM author ORDER BY id",
                "Ada|1815-12-10|{x,\"y z\"}|1.50\nBob|NULL|NULL|NULL",
            ),
            (
                "SELECT id, title, dur, data FROM app.book ORDER BY id",
                "1|One|1 day 02:00:00|\\x00ff\n2|Tab\tbed|NULL|NULL",
            ),
            ("SELECT * FROM app.cheap ORDER BY title", "One|Ada\nTab\tbed|Bob"),
            ("SELECT id, book, a, b FROM app.child", "1|1|4|8"),
            ("INSERT INTO author (name) VALUES ('Cat') RETURNING id", "3"),
            ("INSERT INTO app.book (title) VALUES ('Three') RETURNING id", "3"),
            ("SELECT obj_description('app.book'::regclass, 'pg_class')", "books"),
            (
                "SELECT conname FROM pg_constraint ORDER BY conname",
                "author_name_key\nauthor_pkey\nauthor_score_check\nbook_author_id_fkey\nbook_pkey\nchild_book_fkey\nchild_pkey\ndear",
            ),
            (
                "SELECT indexdef FROM pg_indexes WHERE indexname = 'book_title'",
                "CREATE INDEX book_title ON app.book USING btree (lower(title), price DESC) WHERE (price > (1)::NUMERIC)",
            ),
        ] {
            assert_eq!(text(&client, sql).await, expect, "{sql}");
        }
        assert_eq!(common::state(&client, "INSERT INTO app.book (title) VALUES ('')").await, "23514");
    });
}
