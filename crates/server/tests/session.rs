//! Sessions through a real driver: types, statements, transactions, errors, cancel, login.

mod common;

use common::{Node, connect, run, state, text};
use std::time::{Duration, SystemTime};
use tokio_postgres::NoTls;
use tokio_postgres::types::{ToSql, Type};

#[test]
fn values_round_trip_in_text_and_binary() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        let columns = "b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, t text, v varchar(9), y bytea, ts timestamptz";
        client.batch_execute(&format!("CREATE TABLE kinds ({columns})")).await.unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        let values: [&(dyn ToSql + Sync); 10] = [
            &true,
            &-7_i16,
            &70_000_i32,
            &i64::MIN,
            &1.5_f32,
            &-0.1_f64,
            &"grün",
            &"short",
            &&[0_u8, 255][..],
            &now,
        ];
        let insert = "INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        assert_eq!(client.execute(insert, &values).await.unwrap(), 1);
        let row = client.query_one("SELECT * FROM kinds", &[]).await.unwrap();
        assert!(row.get::<_, bool>(0));
        assert_eq!(
            (row.get::<_, i16>(1), row.get::<_, i32>(2), row.get::<_, i64>(3)),
            (-7, 70_000, i64::MIN)
        );
        assert_eq!((row.get::<_, f32>(4), row.get::<_, f64>(5)), (1.5, -0.1));
        assert_eq!((row.get::<_, &str>(6), row.get::<_, &str>(7)), ("grün", "short"));
        assert_eq!((row.get::<_, &[u8]>(8), row.get::<_, SystemTime>(9)), (&[0_u8, 255][..], now));
        let types: Vec<Type> = row.columns().iter().map(|column| column.type_().clone()).collect();
        let expect = [
            Type::BOOL,
            Type::INT2,
            Type::INT4,
            Type::INT8,
            Type::FLOAT4,
            Type::FLOAT8,
            Type::TEXT,
            Type::VARCHAR,
            Type::BYTEA,
            Type::TIMESTAMPTZ,
        ];
        assert_eq!(types, expect);
        let expect =
            "t|-7|70000|-9223372036854775808|1.5|-0.1|grün|short|\\x00ff|2023-11-14 22:13:20.123456+00";
        assert_eq!(text(&client, "SELECT * FROM kinds").await, expect);
    });
}

#[test]
fn queries_answer_as_postgres_does() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        let setup =
            "CREATE TABLE p (id serial PRIMARY KEY, name text UNIQUE, price numeric(8,2) DEFAULT 1.5);
            INSERT INTO p (name, price) VALUES ('a', 12.345), ('b', DEFAULT), ('c', NULL);
            CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);
            INSERT INTO c VALUES (10, 1), (20, 1), (30, 2);";
        client.batch_execute(setup).await.unwrap();
        for (sql, expect) in [
            ("SELECT price FROM p ORDER BY price", "1.50\n12.35\nNULL"),
            ("SELECT price FROM p ORDER BY price DESC LIMIT 2", "NULL\n12.35"),
            ("SELECT sum(price), avg(price), count(*) FROM p", "13.85|6.9250000000000000|3"),
            ("SELECT name FROM p WHERE price > 9", "a"),
            (
                "SELECT p.name, count(c.id) FROM p LEFT JOIN c ON c.p = p.id GROUP BY p.name ORDER BY 2 DESC, 1",
                "a|2\nb|1\nc|0",
            ),
            ("SELECT 7 / 2, -7 / 2, 7 % 3, 7 / 2.0, 1e3", "3|-3|1|3.5000000000000000|1000"),
            ("SELECT 1 = 1, NULL = 1, true AND NOT false", "t|NULL|t"),
            ("SELECT 'it''s' || 1, $$dollar$$, E'a\\tb'", "it's1|dollar|a\tb"),
            ("SELECT '42'::int + 1, 3.7::int, 'x'::varchar(1), true::text", "43|4|x|true"),
            ("SELECT date '2024-02-28' + 2, date '2024-03-01' - date '2024-02-28'", "2024-03-01|2"),
            ("SELECT 1 UNION SELECT 2.5 ORDER BY 1", "1\n2.5"),
            ("SELECT x FROM (VALUES (1, 'a'), (2, 'b')) AS v(x, y) WHERE y = 'b'", "2"),
            ("SELECT id FROM c WHERE p IN (SELECT id FROM p WHERE name = 'a') ORDER BY id", "10\n20"),
            ("SELECT sum(n) FROM generate_series(1, 10) AS g(n)", "55"),
            ("SELECT n, sum(n) OVER (ORDER BY n) FROM generate_series(1, 3) AS g(n)", "1|1\n2|3\n3|6"),
            (
                "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT max(n) FROM r",
                "4",
            ),
            (
                "SELECT CASE WHEN price IS NULL THEN 'none' ELSE 'some' END FROM p ORDER BY id DESC LIMIT 1",
                "none",
            ),
            ("SELECT 'abc' LIKE 'A%', 'abc' ILIKE 'A%', 'abc' ~ 'b'", "f|t|t"),
            ("SELECT '{\"a\": [1, 2]}'::jsonb -> 'a' ->> 1", "2"),
            (
                "SELECT extract(dow FROM timestamp '2024-02-29 10:00'), date_trunc('month', timestamp '2024-02-29 10:00')",
                "4|2024-02-01 00:00:00",
            ),
            (
                "INSERT INTO p (name) VALUES ('b') ON CONFLICT (name) DO UPDATE SET price = p.price + 1 RETURNING price",
                "2.50",
            ),
            ("UPDATE p SET name = upper(name) WHERE id = 3 RETURNING id, name", "3|C"),
            ("DELETE FROM p WHERE id = 1 RETURNING name", "a"),
            ("SELECT count(*) FROM c", "1"),
            ("SELECT currval('p_id_seq'), nextval('p_id_seq')", "4|5"),
            ("SELECT format('%s-%I-%L-%2$s%%', 'a', 'b c', 'it''s')", "a-\"b c\"-'it''s'-b c%"),
            (
                "SELECT regexp_replace('abcabc', '(b)', '[\\1]', 'g'), translate('abc', 'ab', 'x')",
                "a[b]ca[b]c|xc",
            ),
            (
                "SELECT encode('abc'::bytea, 'base64'), decode('6162', 'hex'), to_hex(-1)",
                "YWJj|\\x6162|ffffffff",
            ),
            (
                "SELECT to_char(timestamp '2024-02-03 04:05:06', 'YYYY-MM-DD HH24:MI:SS Dy Mon'), make_date(2024, 2, 29)",
                "2024-02-03 04:05:06 Sat Feb|2024-02-29",
            ),
            (
                "SELECT substr('hello', 2, 3), overlay('abcdef' placing 'X' from 2 for 3), gcd(12, 18), div(7, 2)",
                "ell|aXef|6|3",
            ),
        ] {
            assert_eq!(text(&client, sql).await, expect, "{sql}");
        }
    });
}

#[test]
fn errors_carry_postgres_codes() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        let setup = "CREATE TABLE t (id int PRIMARY KEY, v varchar(3) NOT NULL DEFAULT 'x', n int CHECK (n > 0), p int REFERENCES t);
            INSERT INTO t (id) VALUES (1)";
        client.batch_execute(setup).await.unwrap();
        for (sql, expect) in [
            ("INSERT INTO t (id) VALUES (1)", "23505"),
            ("INSERT INTO t (id, p) VALUES (2, 99)", "23503"),
            ("INSERT INTO t (id, v) VALUES (2, NULL)", "23502"),
            ("INSERT INTO t (v) VALUES ('a')", "23502"),
            ("INSERT INTO t (id) VALUES (NULL)", "23502"),
            ("INSERT INTO t (id, n) VALUES (2, 0)", "23514"),
            ("INSERT INTO t (id, v) VALUES (2, 'long')", "22001"),
            ("INSERT INTO t (id) VALUES (3000000000)", "22003"),
            ("INSERT INTO t (id) VALUES ('x')", "22P02"),
            ("INSERT INTO t (id) VALUES (true)", "42804"),
            ("SELECT 2147483647 + 1", "22003"),
            ("SELECT 1 / 0", "22012"),
            ("SELECT 'x'::int", "22P02"),
            ("SELECT date '2024-02-30'", "22008"),
            ("SELECT * FROM nowhere", "42P01"),
            ("SELECT nothing FROM t", "42703"),
            ("SELECT other.id FROM t", "42P01"),
            ("SELECT a.id FROM t a, t b WHERE id = 1", "42702"),
            ("SELECT nofunction(1)", "42883"),
            ("SELECT 1 + 'a'::text", "42883"),
            ("SELECT v, count(*) FROM t GROUP BY n", "42803"),
            ("SELECT 1 WHERE 5", "42804"),
            ("SELEC 1", "42601"),
            ("SELECT \"id", "42601"),
            ("CREATE TABLE t (x int)", "42P07"),
            ("DROP TABLE nowhere", "42P01"),
            ("CREATE TABLE u (x int, x int)", "42701"),
            ("CREATE TABLE u (x nosuchtype)", "42704"),
            ("CREATE TABLE u (x point)", "0A000"),
            ("SELECT ARRAY[[1]]", "0A000"),
            ("SELECT '{1,x}'::int[]", "22P02"),
            ("SELECT ARRAY[]", "42P18"),
            ("SELECT 1 = ANY (2)", "42809"),
            ("SELECT 'nowhere'::regclass", "42P01"),
            ("SELECT 5.5::float8 % 2", "42883"),
            ("SELECT 'NaN'::float8", "0A000"),
            ("SELECT format('%s %s', 1)", "22023"),
            ("SELECT decode('xx', 'hex')", "22023"),
            ("SELECT make_date(2024, 2, 30)", "22008"),
            ("SELECT to_char(now(), 'RM')", "0A000"),
            ("SELECT * FROM t LIMIT -1", "2201W"),
            ("SAVEPOINT s", "25P01"),
            ("SET nothing = 1", "42704"),
            ("SET port = 1", "55P02"),
            ("CREATE DATABASE postgres", "42P04"),
            ("SELECT repeat('x', 2000000000)", "54000"),
            ("", "00000"),
            ("SELECT 1;;SELECT 2", "00000"),
        ] {
            assert_eq!(state(&client, sql).await, expect, "{sql}");
        }
        let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert_eq!(state(&client, &deep).await, "54001");
        let chain = |terms: usize, term: &str| format!("SELECT 1{}", term.repeat(terms));
        assert_eq!(state(&client, &chain(400, " + 1")).await, "00000");
        assert_eq!(state(&client, &chain(100_000, " + 1")).await, "54001");
        assert_eq!(state(&client, &chain(100_000, " + abs(1)")).await, "54001");
        assert_eq!(state(&client, &chain(100_000, " UNION ALL SELECT 1")).await, "54001");
        assert_eq!(state(&client, "SELECT 1").await, "00000");
    });
}

#[test]
fn constraints_are_added_to_tables_with_rows() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, NULL), (2, 5)")
            .await
            .unwrap();
        for (sql, expect) in [
            ("ALTER TABLE t ALTER COLUMN b SET NOT NULL", "23502"),
            ("ALTER TABLE t ALTER COLUMN a SET NOT NULL", "00000"),
            ("INSERT INTO t (b) VALUES (1)", "23502"),
            ("UPDATE t SET a = NULL", "23502"),
            ("ALTER TABLE t ADD CONSTRAINT small CHECK (a < 2)", "23514"),
            ("ALTER TABLE t ADD CONSTRAINT small CHECK (a < 3)", "00000"),
            ("INSERT INTO t VALUES (3, 1)", "23514"),
            ("CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w AS SELECT a FROM v", "00000"),
            ("DROP TABLE t", "2BP01"),
            ("DROP VIEW v", "2BP01"),
            ("DROP TABLE t CASCADE", "00000"),
            ("SELECT * FROM w", "42P01"),
        ] {
            assert_eq!(state(&client, sql).await, expect, "{sql}");
        }
    });
}

#[test]
fn transactions_keep_their_promises() {
    let node = Node::start(&[]);
    run(async {
        let (a, b) = (node.connect().await, node.connect().await);
        a.batch_execute("CREATE TABLE t (x int)").await.unwrap();
        a.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        assert_eq!(text(&b, "SELECT count(*) FROM t").await, "0");
        a.batch_execute("COMMIT").await.unwrap();
        assert_eq!(text(&b, "SELECT count(*) FROM t").await, "1");
        // A failed transaction refuses everything up to its end.
        assert_eq!(state(&a, "BEGIN; INSERT INTO t VALUES (2); SELECT 1 / 0").await, "22012");
        assert_eq!(state(&a, "SELECT 1").await, "25P02");
        assert_eq!(state(&a, "COMMIT").await, "00000");
        // A query string is one transaction.
        assert_eq!(state(&a, "INSERT INTO t VALUES (3); SELECT 1 / 0").await, "22012");
        // A savepoint brings back what was before it.
        a.batch_execute("BEGIN; INSERT INTO t VALUES (4); SAVEPOINT s; INSERT INTO t VALUES (5)")
            .await
            .unwrap();
        assert_eq!(state(&a, "SELECT 1 / 0").await, "22012");
        a.batch_execute("ROLLBACK TO s; INSERT INTO t VALUES (6); COMMIT").await.unwrap();
        assert_eq!(text(&a, "SELECT x FROM t ORDER BY x").await, "1\n4\n6");
        // Definitions are taken back too.
        a.batch_execute("BEGIN; CREATE TABLE gone (id serial); ROLLBACK").await.unwrap();
        assert_eq!(state(&a, "SELECT * FROM gone").await, "42P01");
        a.batch_execute("CREATE TABLE gone (id serial)").await.unwrap();
        // A snapshot that others overtook can't be written on.
        a.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM t").await.unwrap();
        b.batch_execute("INSERT INTO t VALUES (7)").await.unwrap();
        assert_eq!(text(&a, "SELECT count(*) FROM t").await, "3");
        assert_eq!(state(&a, "INSERT INTO t VALUES (8)").await, "40001");
        a.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(state(&a, "BEGIN READ ONLY; INSERT INTO t VALUES (8)").await, "25006");
    });
}

#[test]
fn statements_are_prepared_pipelined_limited_and_cancelled() {
    let node = Node::start(&[]);
    run(async {
        let mut client = node.connect().await;
        client.batch_execute("CREATE TABLE t (x int)").await.unwrap();
        let insert = client.prepare("INSERT INTO t VALUES ($1)").await.unwrap();
        assert_eq!(insert.params(), [Type::INT4]);
        for x in 0..10 {
            client.execute(&insert, &[&x]).await.unwrap();
        }
        let first = client.query("SELECT x FROM t WHERE x = $1", &[&3]);
        let second = client.query("SELECT x::int8 FROM t WHERE x < $1 ORDER BY x", &[&2]);
        let (first, second) = tokio::join!(first, second);
        assert_eq!((first.unwrap().len(), second.unwrap()[1].get::<_, i64>(0)), (1, 1));
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind("SELECT x FROM t ORDER BY x", &[]).await.unwrap();
        let sizes = [4, 4, 4].map(|_| ());
        let mut got = Vec::new();
        for () in sizes {
            got.push(transaction.query_portal(&portal, 4).await.unwrap().len());
        }
        assert_eq!(got, [4, 4, 2]);
        transaction.commit().await.unwrap();
        // The table changes under the prepared statement.
        let select = client.prepare("SELECT x FROM t").await.unwrap();
        client.batch_execute("ALTER TABLE t ADD COLUMN y text DEFAULT 'new'").await.unwrap();
        assert_eq!(client.query(&select, &[]).await.unwrap().len(), 10);
        assert_eq!(text(&client, "SELECT DISTINCT y FROM t").await, "new");
        // A statement without end is cancelled from outside, and by its timeout.
        let endless =
            "WITH RECURSIVE r(n) AS (SELECT 1::int8 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
        let token = client.cancel_token();
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let (code, ()) = tokio::join!(state(&client, endless), cancel);
        assert_eq!(code, "57014");
        client.batch_execute("SET statement_timeout = '50ms'").await.unwrap();
        assert_eq!(state(&client, endless).await, "57014");
        assert_eq!(state(&client, "SELECT 1").await, "00000");
    });
}

#[test]
fn only_the_right_clients_come_in() {
    let node = Node::start(&["-c", "max_connections=3", "-c", "superuser_reserved_connections=1"]);
    run(async {
        let code = |error: tokio_postgres::Error| error.code().unwrap().code().to_owned();
        let admin = node.connect().await;
        for (user, password, database, expect) in [
            ("scratchbird", "wrong", "scratchbird", "28P01"),
            ("nobody", "wrong", "scratchbird", "28P01"),
            ("scratchbird", common::PASSWORD, "nowhere", "3D000"),
        ] {
            let mut config = node.config();
            config.user(user).password(password).dbname(database);
            assert_eq!(code(connect(&config).await.err().unwrap()), expect, "{user}@{database}");
        }
        admin.batch_execute("CREATE DATABASE shop").await.unwrap();
        admin.batch_execute("CREATE ROLE clerk LOGIN PASSWORD 'pw'").await.unwrap();
        let mut config = node.config();
        config.user("clerk").password("pw").dbname("shop");
        let clerk = connect(&config).await.unwrap();
        assert_eq!(text(&clerk, "SELECT current_user, current_database()").await, "clerk|shop");
        assert_eq!(state(&clerk, "CREATE ROLE thief SUPERUSER").await, "42501");
        assert_eq!(state(&admin, "DROP DATABASE shop").await, "55006");
        // The last place is a superuser's.
        assert_eq!(code(connect(&config).await.err().unwrap()), "53300");
        let second = node.connect().await;
        assert_eq!(code(connect(&node.config()).await.err().unwrap()), "53300");
        drop(second);
        admin.batch_execute("ALTER ROLE clerk PASSWORD 'new'").await.unwrap();
        drop(clerk);
        assert_eq!(code(connect(&config).await.err().unwrap()), "28P01");
    });
}
