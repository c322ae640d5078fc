//! What clients ask to learn what a database contains: psql's commands, information_schema, arrays.

mod common;

use common::{Node, PASSWORD, run};
use futures_util::{SinkExt, StreamExt};
use std::process::Command;

const SETUP: &str = "
    CREATE TABLE par (id serial PRIMARY KEY, name varchar(10) NOT NULL DEFAULT 'x' UNIQUE,
                      price numeric(8,2) CHECK (price > 0), tags text[]);
    CREATE TABLE chi (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, p int REFERENCES par ON DELETE CASCADE, v text);
    CREATE INDEX chi_v ON chi (v);
    CREATE VIEW vw AS SELECT id, v FROM chi;";

fn psql(node: &Node, command: &str) -> String {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-A", "-h", "127.0.0.1", "-U", "scratchbird", "-d", "scratchbird", "-p"]);
    let output =
        psql.arg(node.port.to_string()).args(["-c", command]).env("PGPASSWORD", PASSWORD).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
}

#[test]
fn psql_describes_what_there_is() {
    if Command::new("psql").arg("--version").output().is_err() {
        println!("skipped: psql isn't installed");
        return;
    }
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client.batch_execute(SETUP).await.unwrap();
        client
            .batch_execute("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE felt (m mood)")
            .await
            .unwrap();
        client.batch_execute("REVOKE CONNECT ON DATABASE scratchbird FROM PUBLIC").await.unwrap();
    });
    for (command, expect) in [
        (r"\dt", "public|chi|table|scratchbird\npublic|felt|table|scratchbird\npublic|par|table|scratchbird"),
        (r"\dv", "public|vw|view|scratchbird"),
        (r"\ds", "public|chi_id_seq|sequence|scratchbird\npublic|par_id_seq|sequence|scratchbird"),
        (r"\di chi*", "public|chi_pkey|index|scratchbird|chi\npublic|chi_v|index|scratchbird|chi"),
        (r"\dn", "public|scratchbird"),
        (r"\df", ""),
        (r"\dT", "public|mood|"),
        (r"\dT+", "public|mood|mood|4|sad\nok|scratchbird|"),
        (r"\d felt", "m|mood|||"),
        (r"\dx", "plpgsql|1.0|pg_catalog|PL/pgSQL procedural language"),
        (r"\du", "scratchbird|Superuser, Create role, Create DB, Replication, Bypass RLS|{}"),
        (
            r"\l",
            "postgres|scratchbird|UTF8|C.UTF-8|C.UTF-8||libc|\nscratchbird|scratchbird|UTF8|C.UTF-8|C.UTF-8||libc|=T/scratchbird",
        ),
        (
            r"\d par",
            "id|integer||not null|nextval('par_id_seq'::regclass)
name|character varying(10)||not null|'x'::character varying
price|numeric(8,2)|||
tags|text[]|||
Indexes:
    \"par_pkey\" PRIMARY KEY, btree (id)
    \"par_name_key\" UNIQUE CONSTRAINT, btree (name)
Check constraints:
    \"par_price_check\" CHECK ((price > 0))
Referenced by:
    TABLE \"chi\" CONSTRAINT \"chi_p_fkey\" FOREIGN KEY (p) REFERENCES par(id) ON DELETE CASCADE",
        ),
        (
            r"\d chi",
            "id|integer||not null|generated always as identity
p|integer|||
v|text|||
Indexes:
    \"chi_pkey\" PRIMARY KEY, btree (id)
    \"chi_v\" btree (v)
Foreign-key constraints:
    \"chi_p_fkey\" FOREIGN KEY (p) REFERENCES par(id) ON DELETE CASCADE",
        ),
        (r"\d vw", "id|integer|||\nv|text|||"),
        (r"\d nowhere", "Did not find any relation named \"nowhere\"."),
    ] {
        let got = psql(&node, command);
        assert!(got.contains(expect), "{command}:\n{got}");
    }
}

#[test]
fn the_catalogues_join_like_tables() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client.batch_execute(SETUP).await.unwrap();
        for (sql, expect) in [
            ("SELECT 'par'::regclass = (SELECT oid FROM pg_class WHERE relname = 'par')", "t"),
            ("SELECT 'par'::regclass", "par"),
            ("SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'v'", "vw"),
            ("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'", "3"),
            (
                "SELECT string_agg(column_name, ',' ORDER BY ordinal_position DESC) FROM information_schema.columns WHERE table_name = 'par'",
                "tags,price,name,id",
            ),
            (
                "SELECT array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, i)
                 JOIN pg_attribute a ON cols.colid = a.attnum WHERE a.attrelid = c.conrelid ORDER BY cols.i)
                 FROM pg_constraint c WHERE conname = 'chi_p_fkey'",
                "{p}",
            ),
            ("SELECT pg_get_serial_sequence('par', 'id')", "public.par_id_seq"),
            ("SELECT pg_get_indexdef('chi_v'::regclass)", "CREATE INDEX chi_v ON public.chi USING btree (v)"),
            ("SELECT typname FROM pg_type WHERE oid = 'int[]'::regtype", "_int4"),
            ("SELECT state FROM pg_stat_activity WHERE pid = pg_backend_pid()", "active"),
            ("SELECT pg_cancel_backend(999999)", "f"),
            (
                "SELECT unnest(conkey), generate_subscripts(conkey, 1) FROM pg_constraint WHERE conname = 'par_pkey'",
                "1|1",
            ),
            (
                "SELECT json_build_object('a', 1, 'b', NULL), json_build_array(true, 'x')",
                "{\"a\" : 1, \"b\" : null}|[true, \"x\"]",
            ),
            (
                "SELECT json_agg(relname ORDER BY relname) FROM pg_class WHERE relkind = 'r'",
                "[\"chi\", \"par\"]",
            ),
            ("SELECT unnest(ARRAY[1, 2]) AS x, unnest(ARRAY['a'])", "1|a\n2|NULL"),
            ("SELECT seqmax FROM pg_sequence WHERE seqrelid = 'par_id_seq'::regclass", "2147483647"),
        ] {
            assert_eq!(common::text(&client, sql).await, expect, "{sql}");
        }
        // A prepared statement over the catalogues sees what is there when it runs.
        let count = client.prepare("SELECT count(*) FROM pg_roles").await.unwrap();
        assert_eq!(client.query_one(&count, &[]).await.unwrap().get::<_, i64>(0), 1);
        client.batch_execute("CREATE ROLE other").await.unwrap();
        assert_eq!(client.query_one(&count, &[]).await.unwrap().get::<_, i64>(0), 2);
        // A description says which table's column a result is, as sqlx's checks at compile time want it.
        let described =
            client.prepare("SELECT name, price + 1 AS more FROM par WHERE id = $1").await.unwrap();
        let table = common::text(&client, "SELECT 'par'::regclass::oid").await.parse().unwrap();
        let origins: Vec<_> = described.columns().iter().map(|c| (c.table_oid(), c.column_id())).collect();
        assert_eq!(origins, [(Some(table), Some(2)), (None, None)]);
        let explain =
            "PREPARE s AS SELECT name FROM par WHERE id = $1; EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE s(NULL)";
        assert!(common::text(&client, explain).await.starts_with("[{\"Plan\":"));
        // One session ends another.
        let second = node.connect().await;
        let pid = common::text(&second, "SELECT pg_backend_pid()").await;
        assert_eq!(common::text(&client, &format!("SELECT pg_terminate_backend({pid})")).await, "t");
        assert!(second.batch_execute("SELECT 1").await.is_err());
    });
}

#[test]
fn arrays_work_in_text_and_binary() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client
            .batch_execute("CREATE TABLE a (id int PRIMARY KEY, n int[], t text[] DEFAULT '{}')")
            .await
            .unwrap();
        let insert = "INSERT INTO a VALUES ($1, $2, $3)";
        let (numbers, texts) = (vec![Some(1_i32), None, Some(3)], vec!["a b".to_owned(), "NULL".to_owned()]);
        client.execute(insert, &[&1, &numbers, &texts]).await.unwrap();
        let row = client.query_one("SELECT n, t FROM a", &[]).await.unwrap();
        assert_eq!(row.get::<_, Vec<Option<i32>>>(0), numbers);
        assert_eq!(row.get::<_, Vec<String>>(1), texts);
        client.batch_execute("INSERT INTO a VALUES (2, ARRAY[4, 5])").await.unwrap();
        let wanted =
            client.query("SELECT id FROM a WHERE id = ANY($1) ORDER BY id", &[&vec![2, 7]]).await.unwrap();
        assert_eq!(wanted.len(), 1);
        for (sql, expect) in [
            ("SELECT n, t FROM a ORDER BY id", "{1,NULL,3}|{\"a b\",\"NULL\"}\n{4,5}|{}"),
            ("SELECT n[1], a.n[2], n[9] FROM a WHERE id = 1", "1|NULL|NULL"),
            ("SELECT sum(x) FROM unnest(ARRAY[1, 2, 3]) AS u(x)", "6"),
            ("SELECT a.id, x FROM a, unnest(a.n) AS u(x) WHERE a.id = 2 ORDER BY x", "2|4\n2|5"),
            ("SELECT array_length(n, 1), cardinality(n), array_upper(t, 1) FROM a WHERE id = 2", "2|2|NULL"),
            ("SELECT ARRAY[1, 2] || 3, 0 || ARRAY[1], ARRAY['a'] || ARRAY['b']", "{1,2,3}|{0,1}|{a,b}"),
            ("SELECT 3 > ALL (ARRAY[1, 2]), 3 < ANY ('{1,2}'), 'b' = ANY ('{a,b}')", "t|f|t"),
            ("SELECT ARRAY[1, 2, 3] @> ARRAY[2], ARRAY[1] && ARRAY[2], ARRAY[1] = '{1}'", "t|f|t"),
            ("SELECT array_agg(id ORDER BY id DESC) FROM a", "{2,1}"),
            (
                "SELECT array_to_string(ARRAY[1, NULL, 3], ',', '*'), string_to_array('a,b', ',')",
                "1,*,3|{a,b}",
            ),
            ("SELECT array_position(ARRAY['x', 'y'], 'y'), array_remove(ARRAY[1, 2, 1], 1)", "2|{2}"),
            ("SELECT '{1,2}'::text[]::int[], ARRAY[1.5, 2]", "{1,2}|{1.5,2}"),
        ] {
            assert_eq!(common::text(&client, sql).await, expect, "{sql}");
        }
    });
}

#[test]
fn copy_writes_what_copy_reads() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        let setup = "CREATE TABLE c (id int, t text, n numeric(6,2), a int[]);
                     INSERT INTO c VALUES (1, E'tab\tand\\nline, \"q\"', 1.5, '{1,2}'), (2, NULL, NULL, NULL), (3, '', 0, '{}')";
        client.batch_execute(setup).await.unwrap();
        let text = copied(&client, "COPY c TO STDOUT").await;
        assert_eq!(text, "1\ttab\\tand\\nline, \"q\"\t1.50\t{1,2}\n2\t\\N\t\\N\t\\N\n3\t\t0.00\t{}\n");
        let csv = copied(&client, "COPY c (id, t) TO STDOUT WITH (FORMAT csv, HEADER)").await;
        assert_eq!(csv, "id,t\n1,\"tab\tand\nline, \"\"q\"\"\"\n2,\n3,\"\"\n");
        let query = "COPY (SELECT id, n FROM c WHERE id < $$3$$ ORDER BY id DESC) TO STDOUT CSV";
        assert_eq!(copied(&client, query).await, "2,\n1,1.50\n");
        client.batch_execute("CREATE TABLE d (id int, t text, n numeric(6,2), a int[])").await.unwrap();
        let sink = client.copy_in("COPY d FROM STDIN").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from(text.clone())).await.unwrap();
        assert_eq!(sink.finish().await.unwrap(), 3);
        assert_eq!(copied(&client, "COPY d TO STDOUT").await, text);
        for (sql, expect) in [
            ("COPY nowhere TO STDOUT", "42P01"),
            ("COPY c TO '/tmp/file'", "0A000"),
            ("COPY c TO STDOUT (FORMAT avro)", "0A000"),
        ] {
            assert_eq!(common::state(&client, sql).await, expect, "{sql}");
        }
    });
}

/// What COPY … TO STDOUT sends.
async fn copied(client: &tokio_postgres::Client, sql: &str) -> String {
    let stream = client.copy_out(sql).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(&piece.unwrap());
    }
    String::from_utf8(text).unwrap()
}
