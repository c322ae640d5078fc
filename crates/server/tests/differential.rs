//! The same statements on PostgreSQL 15 and on this server: rows, types and SQLSTATEs side by side.
//!
//! Statements are generated from lists of expressions and clauses, feature by feature. The test prints how
//! many agree, overall and by feature, and those that don't; it fails when the figure falls below a floor.

mod common;

use common::postgres::Postgres;
use common::{Node, run};
use tokio_postgres::{Client, SimpleQueryMessage};

/// The least share of statements that must agree.
const FLOOR: f64 = 0.97;

/// What a statement answers: its rows and the types of its columns, or its SQLSTATE.
async fn answer(client: &Client, sql: &str) -> String {
    let code = |error: tokio_postgres::Error| {
        error.code().map_or("no answer".to_owned(), |code| code.code().to_owned())
    };
    let types = match client.prepare(sql).await {
        Ok(statement) => statement.columns().iter().map(|c| c.type_().name().to_owned()).collect::<Vec<_>>(),
        Err(error) => return code(error),
    };
    match client.simple_query(sql).await {
        Err(error) => code(error),
        Ok(messages) => {
            let mut lines = vec![types.join(" ")];
            for message in messages {
                if let SimpleQueryMessage::Row(row) = message {
                    let fields = (0..row.len()).map(|index| row.get(index).unwrap_or("NULL").to_owned());
                    lines.push(fields.collect::<Vec<_>>().join("|"));
                }
            }
            lines.join("\n")
        }
    }
}

const SETUP: &str = "
    CREATE TABLE p (id int PRIMARY KEY, name varchar(8), price numeric(8,2), made date, ok bool, f float8);
    INSERT INTO p VALUES (1, 'nut', 1.50, '2024-01-31', true, 0.5), (2, 'bolt', 12.25, '2023-02-28', false, -2),
        (3, 'Nail', NULL, NULL, NULL, NULL), (4, '', 0, '2000-01-01', true, 1e20);
    CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, n int CHECK (n >= 0), t text NOT NULL DEFAULT 'x');
    INSERT INTO c VALUES (10, 1, 5, 'a'), (11, 1, 7, 'b'), (12, 2, 0, 'a'), (13, NULL, 3, 'c');";

/// Each feature with its statements.
fn statements() -> Vec<(&'static str, Vec<String>)> {
    let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    let mut features = Vec::new();
    let numbers = [
        "0",
        "1",
        "-7",
        "2.50",
        "32767::int2",
        "2147483647",
        "9223372036854775807",
        "1e10::float8",
        "NULL::int",
    ];
    let mut sums = Vec::new();
    for a in numbers {
        for b in numbers {
            for op in ["+", "-", "*", "/", "%", "<", "=", "IS DISTINCT FROM"] {
                sums.push(format!("SELECT {a} {op} {b}"));
            }
        }
    }
    features.push(("arithmetic", sums));
    let mut casts = Vec::new();
    for text in [
        "1",
        " 12 ",
        "-1.5",
        "x",
        "",
        "true",
        "2024-02-29",
        "2024-02-30",
        "12:30",
        "{1,2}",
        "99999999999",
        "NaN",
    ] {
        for ty in [
            "int",
            "int2",
            "bigint",
            "numeric",
            "numeric(4,1)",
            "float8",
            "bool",
            "text",
            "varchar(3)",
            "char(4)",
            "date",
            "time",
            "timestamp",
            "timestamptz",
            "int[]",
            "text[]",
            "uuid",
            "jsonb",
            "bytea",
        ] {
            casts.push(format!("SELECT '{text}'::{ty}"));
        }
    }
    features.push(("casts", casts));
    let mut texts = Vec::new();
    for function in [
        "lower",
        "upper",
        "length",
        "initcap",
        "reverse",
        "btrim",
        "md5",
        "ascii",
        "quote_ident",
        "quote_literal",
        "octet_length",
    ] {
        for text in ["''", "'Hello World'", "'grün'", "NULL", "'  a b '"] {
            texts.push(format!("SELECT {function}({text})"));
        }
    }
    for call in [
        "substr('hello', 2, 3)",
        "left('hello', -2)",
        "right('hello', 2)",
        "lpad('x', 3, 'ab')",
        "rpad('x', 3)",
        "replace('aaa', 'a', 'b')",
        "split_part('a,b', ',', 2)",
        "strpos('hello', 'l')",
        "position('l' in 'hello')",
        "translate('abc', 'ab', 'x')",
        "concat('a', NULL, 1)",
        "concat_ws('-', 'a', NULL, 'b')",
        "repeat('ab', 3)",
        "overlay('abcdef' placing 'X' from 2 for 3)",
        "regexp_replace('abc', 'b', 'X')",
        "format('%s-%I', 'a', 'b c')",
        "to_hex(255)",
        "encode('abc'::bytea, 'hex')",
        "decode('616263', 'hex')",
        "'a' || 1",
        "'abc' LIKE 'a%'",
        "'abc' ~ '^a'",
        "trim(both 'x' from 'xax')",
        "starts_with('abc', 'ab')",
        "chr(65)",
    ] {
        texts.push(format!("SELECT {call}"));
    }
    features.push(("text", texts));
    let mut maths = Vec::new();
    for function in ["abs", "ceil", "floor", "round", "trunc", "sign", "sqrt", "exp", "ln", "log"] {
        for number in ["2", "-2.5", "0", "2.5::float8", "0.1", "NULL"] {
            maths.push(format!("SELECT {function}({number})"));
        }
    }
    maths.extend(list(&[
        "SELECT round(2.345, 2)",
        "SELECT power(2, 10)",
        "SELECT mod(7, -3)",
        "SELECT 2 ^ 3",
        "SELECT greatest(1, 2.5)",
        "SELECT least('b', 'a')",
        "SELECT gcd(12, 18)",
        "SELECT div(7, 2)",
        "SELECT width_bucket(5, 0, 10, 5)",
    ]));
    features.push(("math", maths));
    let mut dates = Vec::new();
    for field in ["year", "month", "day", "hour", "dow", "doy", "epoch", "week", "quarter", "nothing"] {
        dates.push(format!("SELECT extract({field} FROM timestamp '2024-02-29 13:14:15.5')"));
        dates.push(format!("SELECT date_trunc('{field}', timestamp '2024-02-29 13:14:15.5')"));
        dates.push(format!("SELECT date_part('{field}', date '2023-12-31')"));
    }
    dates.extend(list(&[
        "SELECT date '2024-01-31' + 1",
        "SELECT date '2024-03-01' - date '2024-02-01'",
        "SELECT timestamp '2024-01-01' + interval '1 day'",
        "SELECT to_char(date '2024-02-03', 'YYYY-MM-DD')",
        "SELECT make_date(2024, 2, 29)",
        "SELECT age(date '2024-03-01', date '2023-01-01')",
        "SELECT '2024-01-01'::timestamptz",
        "SELECT to_timestamp(0)",
    ]));
    features.push(("dates", dates));
    let mut spans = Vec::new();
    for span in ["1 day", "1 mon -3 days", "25:00", "-00:00:01.5", "1 year 2 mons 3 days 04:05:06", "0"] {
        for moment in
            ["timestamp '2024-01-31 10:00'", "date '2024-02-29'", "timestamptz '2023-12-31 23:59:59+00'"]
        {
            for op in ["+", "-"] {
                spans.push(format!("SELECT {moment} {op} interval '{span}'"));
            }
        }
        for other in ["interval '30 days'", "interval '1 hour'", "2", "0.5"] {
            for op in ["+", "-", "*", "/", "<", "="] {
                spans.push(format!("SELECT interval '{span}' {op} {other}"));
            }
        }
        for call in ["justify_interval", "justify_days", "justify_hours"] {
            spans.push(format!("SELECT {call}(interval '{span}')"));
        }
        for field in ["epoch", "month", "day", "hour", "second", "nothing"] {
            spans.push(format!("SELECT extract({field} FROM interval '{span}')"));
        }
    }
    for text in ["1 fortnight", "P1Y2M", "2 weeks ago", "1.5 months", "3:4", "x", "", "1 day 2", "1-2"] {
        spans.push(format!("SELECT '{text}'::interval"));
    }
    for (a, b) in
        [("2024-03-01", "2023-01-15"), ("2024-02-29", "2024-02-29"), ("2000-01-01", "2024-12-31 23:00")]
    {
        spans.push(format!("SELECT timestamp '{a}' - timestamp '{b}'"));
        spans.push(format!("SELECT age(timestamp '{a}', timestamp '{b}')"));
    }
    features.push(("intervals", spans));
    features.push((
        "arrays",
        list(&[
            "SELECT ARRAY[1, 2]",
            "SELECT ARRAY['a', NULL]",
            "SELECT '{1,2}'::int[] || 3",
            "SELECT (ARRAY[4, 5])[2]",
            "SELECT 2 = ANY (ARRAY[1, 2])",
            "SELECT 2 <> ALL (ARRAY[1, 2])",
            "SELECT array_length(ARRAY[1, 2], 1)",
            "SELECT unnest(ARRAY[1, 2])",
            "SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY",
            "SELECT array_agg(id ORDER BY id) FROM p",
            "SELECT ARRAY[1, 2] @> ARRAY[1]",
            "SELECT array_to_string(ARRAY[1, 2], '-')",
            "SELECT string_to_array('a b', ' ')",
            "SELECT ARRAY(SELECT id FROM p ORDER BY id)",
            "SELECT cardinality(ARRAY[1, 2])",
            "SELECT ARRAY[]",
            "SELECT ARRAY[1, 'x']",
            "SELECT ARRAY[[1], [2]]",
            "SELECT array_position(ARRAY[3, 4], 4)",
            "SELECT '{1,x}'::int[]",
        ]),
    ));
    features.push((
        "json",
        list(&[
            "SELECT '{\"a\": [1, 2]}'::jsonb -> 'a' -> 0",
            "SELECT '{\"a\": \"b\"}'::json ->> 'a'",
            "SELECT '{\"a\": {\"b\": 1}}'::jsonb #>> '{a,b}'",
            "SELECT '[1, 2]'::jsonb",
            "SELECT '{\"b\":1,\"a\":2}'::jsonb",
            "SELECT '{\"a\": 1}'::jsonb @> '{\"a\": 1}'",
            "SELECT '{\"a\": 1}'::jsonb ? 'a'",
            "SELECT json_build_object('a', 1)",
            "SELECT jsonb_build_object('a', NULL)",
            "SELECT json_agg(id) FROM c",
            "SELECT jsonb_array_length('[1, 2]')",
            "SELECT jsonb_typeof('1')",
            "SELECT to_json('a'::text)",
            "SELECT row_to_json(p) FROM p WHERE id = 1",
            "SELECT '{a}'::json",
            "SELECT '{\"a\": 1}'::jsonb || '{\"b\": 2}'",
            "SELECT '[1, 2]'::jsonb || '3'",
            "SELECT '{\"a\": 1, \"b\": 2}'::jsonb - 'a'",
            "SELECT '[1, 2, 3]'::jsonb - 1",
            "SELECT '{\"a\": {\"b\": 1}}'::jsonb #- '{a,b}'",
            "SELECT '{\"a\": 1}'::jsonb ?| '{a,c}', '{\"a\": 1}'::jsonb ?& '{a,c}'",
            "SELECT jsonb_set('{\"a\": [1]}', '{a,0}', '2')",
            "SELECT jsonb_insert('[1, 2]', '{1}', '9', true)",
            "SELECT * FROM jsonb_array_elements('[1, {\"a\": null}]')",
            "SELECT * FROM json_each_text('{\"a\": 1, \"b\": null}')",
            "SELECT jsonb_object_keys('{\"b\": 1, \"aa\": 2}')",
            "SELECT jsonb_object_agg(id, t ORDER BY id) FROM c",
            "SELECT json_object_agg(id, n) FROM c WHERE id < 12",
            "SELECT jsonb_pretty('{\"a\": [1, {}]}')",
            "SELECT jsonb_strip_nulls('{\"a\": null, \"b\": 1}')",
            "SELECT '1'::jsonb < '\"a\"'::jsonb, '[1]'::jsonb > '{}'::jsonb, '1.0'::jsonb = '1'::jsonb",
            "SELECT jsonb_array_elements('5')",
            "SELECT jsonb_extract_path_text('{\"a\": {\"b\": \"x\"}}', 'a', 'b')",
            "SELECT json_agg(p ORDER BY id) FROM (SELECT id, ok FROM p) p",
        ]),
    ));
    let mut queries = Vec::new();
    for select in ["*", "p.name, c.n", "count(*)", "sum(n), avg(n)", "p.ok"] {
        for join in ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"] {
            for filter in [
                "",
                " WHERE n > 3",
                " WHERE p.name ILIKE 'n%'",
                " WHERE price IS NULL OR n IN (5, 7)",
                " WHERE nothing = 1",
            ] {
                let order = if select.contains('(') { "" } else { " ORDER BY c.id, p.id" };
                queries.push(format!("SELECT {select} FROM p {join} c ON c.p = p.id{filter}{order}"));
            }
        }
    }
    features.push(("joins", queries));
    features.push((
        "queries",
        list(&[
            "SELECT ok, count(*), max(price) FROM p GROUP BY ok ORDER BY ok",
            "SELECT name FROM p GROUP BY ok",
            "SELECT ok FROM p GROUP BY 1 HAVING count(*) > 1",
            "SELECT DISTINCT p FROM c ORDER BY p",
            "SELECT DISTINCT ON (p) p, n FROM c ORDER BY p, n DESC",
            "SELECT id FROM p UNION SELECT id FROM c ORDER BY 1",
            "SELECT id FROM p EXCEPT SELECT p FROM c ORDER BY 1",
            "SELECT id FROM p INTERSECT ALL SELECT p FROM c",
            "WITH x AS (SELECT n FROM c) SELECT sum(n) FROM x",
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
            "SELECT id, row_number() OVER (ORDER BY n DESC) FROM c ORDER BY id",
            "SELECT id, sum(n) OVER (PARTITION BY p ORDER BY id) FROM c ORDER BY id",
            "SELECT lag(n) OVER (ORDER BY id) FROM c",
            "SELECT name FROM p WHERE EXISTS (SELECT 1 FROM c WHERE c.p = p.id) ORDER BY 1",
            "SELECT (SELECT max(n) FROM c WHERE c.p = p.id) FROM p ORDER BY id",
            "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y)",
            "SELECT * FROM generate_series(1, 3)",
            "SELECT generate_series(1, 3)",
            "SELECT id FROM p ORDER BY price DESC NULLS LAST LIMIT 2 OFFSET 1",
            "SELECT string_agg(t, ',' ORDER BY id) FROM c",
            "SELECT count(DISTINCT t), count(*) FILTER (WHERE n > 3) FROM c",
            "SELECT CASE WHEN n > 3 THEN 'big' ELSE 'small' END FROM c ORDER BY id",
            "SELECT coalesce(price, 0) FROM p ORDER BY id",
            "SELECT nullif(n, 0) FROM c ORDER BY id",
            "SELECT sum(price) FROM p",
            "SELECT avg(price) FROM p",
            "SELECT bool_and(ok), bool_or(ok) FROM p",
            "SELECT max(name), min(made) FROM p",
            "SELECT stddev(n) FROM c",
            "SELECT (1, 2) = (1, 2)",
            "SELECT n BETWEEN 3 AND 5 FROM c ORDER BY id",
            "SELECT x.* FROM p, LATERAL (SELECT n FROM c WHERE c.p = p.id) x ORDER BY 1",
            "SELECT id FROM p FETCH FIRST 1 ROW ONLY",
            "TABLE p",
            "SELECT 1 AS a, 2 AS a",
            "SELECT current_database() IS NOT NULL",
            "SELECT p FROM p",
            "SELECT count(*) FROM p, c",
            "SELECT mode() WITHIN GROUP (ORDER BY n) FROM c",
            "SELECT p, t, sum(n) FROM c GROUP BY GROUPING SETS ((p), (t), ()) ORDER BY 1, 2, 3",
            "SELECT p, t, count(*) FROM c GROUP BY CUBE (p, t) ORDER BY 1, 2, 3",
            "SELECT p, t, grouping(p, t) FROM c GROUP BY ROLLUP (p, t) ORDER BY 1, 2, 3",
            "SELECT DISTINCT ON (t) t, id FROM c ORDER BY t, id DESC LIMIT 2",
            "SELECT DISTINCT ON (n) id FROM c ORDER BY id",
            "SELECT p.id, l.n FROM p LEFT JOIN LATERAL (SELECT n FROM c WHERE c.p = p.id ORDER BY n DESC LIMIT 1) l ON true ORDER BY 1",
            "SELECT id FROM c WHERE (p, n) = (1, 5)",
            "SELECT id FROM c WHERE (p, n) > (1, 5) ORDER BY id",
            "SELECT id FROM c WHERE (p, t) IN ((1, 'a'), (2, 'a')) ORDER BY id",
            "SELECT id FROM c WHERE (p, n) IN (SELECT p, max(n) FROM c GROUP BY p) ORDER BY id",
            "SELECT * FROM generate_series(date '2024-01-01', date '2024-01-03', interval '1 day')",
            "SELECT * FROM generate_series(1, 10, 0)",
            "SELECT variance(n), stddev_pop(n), var_pop(f) FROM c, p WHERE p.id = 1",
            "SELECT array_agg(t ORDER BY n DESC) FILTER (WHERE n > 0) FROM c",
            "SELECT string_agg(DISTINCT t, ',') FROM c",
            "SELECT id FROM c ORDER BY n > 3, id",
            "SELECT count(*) FROM unnest(ARRAY[1, 2], ARRAY['a', 'b', 'c']) u(x, y)",
            "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b",
            "SELECT 1 WHERE false UNION ALL SELECT 2",
            "(SELECT 1 ORDER BY 1) UNION ALL (SELECT 2 LIMIT 1)",
            "SELECT ok, grouping(ok) FROM p GROUP BY ROLLUP (ok)",
        ]),
    ));
    features.push((
        "changes",
        list(&[
            "INSERT INTO c VALUES (20, 1, 1, 'z') RETURNING *",
            "INSERT INTO c VALUES (20, 1, 1, 'z')",
            "INSERT INTO c VALUES (21, 99, 1, 'z')",
            "INSERT INTO c VALUES (21, 1, -1, 'z')",
            "INSERT INTO c (id, t) VALUES (21, NULL)",
            "INSERT INTO c (id) VALUES (22), (23) RETURNING id, t",
            "INSERT INTO c (id, n) SELECT id + 100, id FROM p RETURNING id",
            "INSERT INTO c (id) VALUES (20) ON CONFLICT DO NOTHING",
            "INSERT INTO c (id, n) VALUES (20, 9) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING n",
            "UPDATE c SET n = n + 1 WHERE id = 20 RETURNING n",
            "UPDATE c SET p = 99 WHERE id = 20",
            "UPDATE c SET (n, t) = (1, 'q') WHERE id = 20 RETURNING n, t",
            "UPDATE c SET n = p.id FROM p WHERE p.id = c.p AND c.id = 20 RETURNING c.n",
            "DELETE FROM p WHERE id = 1",
            "DELETE FROM c WHERE id >= 20 RETURNING id",
            "DELETE FROM c USING p WHERE c.p = p.id AND p.name = 'bolt' RETURNING c.id",
            "INSERT INTO c VALUES (1, 2, 3, 4, 5)",
            "INSERT INTO nowhere VALUES (1)",
            "INSERT INTO c (nothing) VALUES (1)",
            "INSERT INTO p (id, name) VALUES (9, 'much too long')",
            "WITH gone AS (DELETE FROM c WHERE id = 13 RETURNING id) SELECT * FROM gone",
            "WITH x AS (SELECT 30 AS v) INSERT INTO c (id) SELECT v FROM x RETURNING id",
            "UPDATE c SET (n, t) = (SELECT 3, 'y') WHERE id = 30 RETURNING n, t",
            "INSERT INTO c AS cc (id) VALUES (30) ON CONFLICT (id) DO UPDATE SET n = cc.n + 1 RETURNING cc.n",
            "UPDATE c AS cc SET n = 0 FROM p WHERE p.id = 1 AND cc.id = 30 RETURNING cc.id",
            "DELETE FROM c AS cc WHERE cc.id = 30 RETURNING cc.id",
        ]),
    ));
    features.push((
        "definitions",
        list(&[
            "CREATE TABLE t1 (a int, b text)",
            "CREATE TABLE t1 (a int)",
            "CREATE TABLE IF NOT EXISTS t1 (a int)",
            "ALTER TABLE t1 ADD COLUMN d int DEFAULT 3",
            "ALTER TABLE t1 ALTER COLUMN a SET NOT NULL",
            "INSERT INTO t1 (b) VALUES ('x')",
            "ALTER TABLE t1 ALTER COLUMN a TYPE bigint",
            "ALTER TABLE t1 RENAME COLUMN b TO bb",
            "SELECT a, bb, d FROM t1",
            "ALTER TABLE t1 ADD CONSTRAINT pos CHECK (a > 0)",
            "INSERT INTO t1 (a) VALUES (-1)",
            "ALTER TABLE t1 DROP COLUMN d",
            "CREATE INDEX ON t1 (a)",
            "CREATE UNIQUE INDEX u1 ON t1 (bb)",
            "CREATE VIEW v1 AS SELECT a FROM t1",
            "SELECT * FROM v1",
            "DROP TABLE t1",
            "DROP VIEW v1",
            "DROP TABLE t1",
            "DROP TABLE IF EXISTS t1",
            "CREATE SCHEMA s1",
            "CREATE TABLE s1.t (x int)",
            "SELECT * FROM s1.t",
            "CREATE TEMP TABLE tmp (x int)",
            "CREATE SEQUENCE q START 5",
            "SELECT nextval('q')",
            "SELECT currval('q')",
            "TRUNCATE c",
            "SELECT count(*) FROM c",
            "CREATE TABLE t2 (id int GENERATED ALWAYS AS IDENTITY, x int GENERATED ALWAYS AS (1 + 1) STORED)",
            "INSERT INTO t2 DEFAULT VALUES RETURNING *",
            "COMMENT ON TABLE t2 IS 'x'",
            "SELECT obj_description('t2'::regclass, 'pg_class')",
            "ALTER TABLE t2 ALTER COLUMN id TYPE bigint",
            "ALTER TABLE t2 ALTER COLUMN id DROP NOT NULL",
            "ALTER TABLE t2 ADD COLUMN y text DEFAULT 'z' NOT NULL",
            "ALTER TABLE t2 ALTER COLUMN y TYPE int",
            "ALTER TABLE t2 ALTER COLUMN y TYPE int USING 5",
            "SELECT y FROM t2",
            "ALTER TABLE t2 ADD CONSTRAINT few CHECK (y < 5)",
            "ALTER TABLE t2 ADD CONSTRAINT few CHECK (y < 6)",
            "ALTER TABLE t2 RENAME CONSTRAINT few TO some",
            "ALTER TABLE t2 DROP CONSTRAINT few",
            "ALTER TABLE t2 DROP CONSTRAINT some",
            "ALTER TABLE t2 ADD PRIMARY KEY (id)",
            "ALTER TABLE t2 ADD PRIMARY KEY (y)",
            "CREATE TABLE t3 (r bigint REFERENCES t2 DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO t3 VALUES (77)",
            "DROP TABLE t2",
            "ALTER TABLE t2 DROP CONSTRAINT t2_pkey",
            "DROP TABLE t2 CASCADE",
            "INSERT INTO t3 VALUES (77)",
            "SELECT conname FROM pg_constraint WHERE conrelid = 't3'::regclass",
            "DROP SCHEMA s1",
            "DROP SCHEMA s1 CASCADE",
            "CREATE TABLE nowhere.t (x int)",
            "SELECT * FROM nowhere.t",
            "SELECT id FROM p EXCEPT ALL SELECT 1 ORDER BY id",
            "SELECT p FROM c INTERSECT ALL SELECT p FROM c ORDER BY p",
            "SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY n) FROM c",
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY f DESC) FROM p",
            "SELECT percentile_disc(0.75) WITHIN GROUP (ORDER BY price) FROM p",
            "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY name) FROM p",
            "SELECT mode() WITHIN GROUP (ORDER BY t) FROM c",
            "SELECT percentile_cont(2) WITHIN GROUP (ORDER BY n) FROM c",
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM c",
            "SELECT ROW(1, 'a b', NULL)",
            "SELECT array_agg(ROW(id, name) ORDER BY id) FROM p",
            "SELECT has_table_privilege('p', 'SELECT, INSERT')",
            "SELECT has_table_privilege('p', 'FLY')",
            "SELECT has_table_privilege('nowhere', 'SELECT')",
            "SELECT has_schema_privilege('public', 'CREATE')",
            "SELECT has_schema_privilege('nowhere', 'USAGE')",
            "SELECT has_table_privilege('nobody', 'p', 'SELECT')",
            "SELECT has_database_privilege(current_database(), 'CREATE, CONNECT')",
            "SELECT has_database_privilege('postgres', 'TEMP')",
            "SELECT has_database_privilege('postgres', 'FLY')",
            "SELECT has_database_privilege('nowhere', 'CONNECT')",
            "GRANT CONNECT, TEMP ON DATABASE postgres TO PUBLIC",
            "GRANT SELECT ON DATABASE postgres TO PUBLIC",
            "GRANT CONNECT ON DATABASE nowhere TO PUBLIC",
            "GRANT CONNECT ON DATABASE postgres TO nobody",
            "REVOKE ALL ON DATABASE postgres FROM nobody",
            "CREATE ROLE reader",
            "REVOKE ALL PRIVILEGES ON DATABASE postgres FROM PUBLIC",
            "GRANT CONNECT ON DATABASE postgres TO reader",
            "SELECT has_database_privilege('reader', 'postgres', 'CONNECT'), has_database_privilege('reader', 'postgres', 'TEMPORARY')",
            "DROP ROLE reader",
            "REVOKE CONNECT ON DATABASE postgres FROM reader",
            "DROP ROLE reader",
            "CREATE EXTENSION IF NOT EXISTS plpgsql",
            "CREATE EXTENSION plpgsql",
            "CREATE EXTENSION nothing",
            "CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" SCHEMA public",
            "CREATE EXTENSION \"uuid-ossp\"",
            "CREATE EXTENSION pgcrypto WITH SCHEMA nowhere",
            "CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public",
            "SELECT extname, extversion FROM pg_extension ORDER BY extname",
            "SELECT length(uuid_generate_v4()::text)",
            "SELECT uuid_generate_v3(uuid_ns_url(), 'x'), uuid_generate_v5(uuid_ns_oid(), 'x'), uuid_nil()",
            "SELECT digest('x', 'sha512'), hmac('x', 'key', 'sha1'), digest('\\x00'::bytea, 'sha256')",
            "SELECT digest('x', 'nothing')",
            "SELECT length(gen_random_bytes(4))",
            "SELECT gen_random_bytes(0)",
            "DROP EXTENSION nothing",
            "DROP EXTENSION \"uuid-ossp\", pgcrypto",
            "DROP EXTENSION IF EXISTS pgcrypto",
            "CREATE TEMP TABLE gone (x int) ON COMMIT DROP",
            "SELECT * FROM gone",
            "CREATE TABLE gone (x int) ON COMMIT DROP",
            "VACUUM p",
            "VACUUM (FULL, ANALYZE) p",
            "VACUUM (NOTHING)",
            "VACUUM nowhere",
            "DO $$ BEGIN IF EXISTS (SELECT 1 FROM p) THEN UPDATE p SET ok = true WHERE id = 3; END IF; END $$",
            "SELECT ok FROM p WHERE id = 3",
            "DO $$ BEGIN SELECT 1; END $$",
            "DO $$ BEGIN DELETE FROM nowhere; END $$",
            "DO LANGUAGE nothing 'BEGIN END'",
            "DECLARE c CURSOR FOR SELECT 1",
            "PREPARE q1 (int) AS SELECT $1 + 1",
            "EXECUTE q1(2)",
            "EXECUTE q1",
            "EXECUTE q2",
            "DEALLOCATE q1",
            "SET LOCAL work_mem = '1MB'",
            "SELECT current_setting('nothing')",
            "NOTIFY news",
            "EXPLAIN SELECT nothing",
        ]),
    ));
    features.push((
        "enumerations",
        list(&[
            "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')",
            "CREATE TYPE mood AS ENUM ()",
            "CREATE TYPE double AS ENUM ('x', 'x')",
            "CREATE TABLE felt (id int PRIMARY KEY, m mood DEFAULT 'ok')",
            "INSERT INTO felt VALUES (1, 'happy'), (2, 'sad'), (3, DEFAULT), (4, NULL)",
            "INSERT INTO felt VALUES (5, 'glad')",
            "SELECT id, m FROM felt ORDER BY m, id",
            "SELECT m, count(*) FROM felt GROUP BY m ORDER BY m DESC",
            "SELECT min(m), max(m) FROM felt",
            "SELECT id FROM felt WHERE m >= 'ok' ORDER BY id",
            "SELECT id FROM felt WHERE m BETWEEN 'sad' AND 'ok' ORDER BY id",
            "SELECT id FROM felt WHERE m IN ('ok', 'happy') ORDER BY id",
            "SELECT id FROM felt WHERE m = 'glad'",
            "SELECT m = 1 FROM felt",
            "SELECT m = 'ok'::text FROM felt",
            "SELECT m::text || '!' AS t FROM felt ORDER BY id",
            "SELECT m || '!' FROM felt ORDER BY id",
            "SELECT lower(m) FROM felt",
            "SELECT m LIKE 'o%' FROM felt",
            "SELECT m + 1 FROM felt",
            "SELECT m::int FROM felt",
            "SELECT 1::mood",
            "SELECT 'ok'::mood",
            "SELECT 'OK'::mood",
            "SELECT 'ok'::text::mood",
            "SELECT 'no'::text::mood",
            "SELECT NULL::mood",
            "SELECT CAST('sad' AS mood) < CAST('ok' AS mood)",
            "SELECT coalesce(m, 'sad') FROM felt ORDER BY id",
            "SELECT greatest('sad', m) FROM felt ORDER BY id",
            "SELECT CASE WHEN id = 1 THEN 'sad' ELSE m END FROM felt ORDER BY id",
            "SELECT m FROM felt WHERE id < 3 UNION SELECT 'ok'::mood ORDER BY 1",
            "SELECT DISTINCT m FROM felt ORDER BY m",
            "SELECT rank() OVER (ORDER BY m) FROM felt ORDER BY id",
            "SELECT enum_first(m), enum_last(NULL::mood) FROM felt WHERE id = 1",
            "SELECT pg_typeof(m)::text FROM felt WHERE id = 1",
            "SELECT to_jsonb(m), json_build_object('m', m)::text FROM felt WHERE id = 1",
            "SELECT string_agg(m::text, ',' ORDER BY m) FROM felt",
            "ALTER TYPE mood ADD VALUE 'fine' AFTER 'ok'",
            "ALTER TYPE mood ADD VALUE 'angry' BEFORE 'sad'",
            "ALTER TYPE mood ADD VALUE 'angry'",
            "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'angry'",
            "ALTER TYPE mood ADD VALUE 'x' BEFORE 'y'",
            "ALTER TYPE nothing ADD VALUE 'x'",
            "UPDATE felt SET m = 'fine' WHERE id = 4 RETURNING m",
            "UPDATE felt SET m = 'ok'::text",
            "UPDATE felt SET m = lower('ANGRY')::mood WHERE id = 2 RETURNING id, m",
            "SELECT m FROM felt ORDER BY m",
            "SELECT enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = enumtypid WHERE typname = 'mood' ORDER BY enumsortorder",
            "SELECT typname, typtype, typcategory, typlen FROM pg_type WHERE oid = 'mood'::regtype",
            "SELECT data_type, udt_name FROM information_schema.columns WHERE table_name = 'felt' ORDER BY ordinal_position",
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'felt'::regclass AND attnum > 0 ORDER BY attnum",
            "SELECT column_default FROM information_schema.columns WHERE table_name = 'felt' AND column_name = 'm'",
            "CREATE VIEW cheerful AS SELECT m FROM felt WHERE m > 'ok'",
            "SELECT * FROM cheerful ORDER BY m",
            "CREATE UNIQUE INDEX felt_m ON felt (m)",
            "INSERT INTO felt VALUES (9, 'fine')",
            "ALTER TABLE felt ALTER COLUMN m TYPE text",
            "DROP TYPE mood",
            "DROP TYPE mood CASCADE",
            "SELECT * FROM felt ORDER BY 1",
            "DROP TYPE mood",
            "DROP TYPE IF EXISTS mood",
        ]),
    ));
    features
}

#[test]
fn the_answers_agree_with_postgres() {
    let Some(postgres) = Postgres::start() else {
        println!("skipped: PostgreSQL 15 isn't installed, or can't be run by this user");
        return;
    };
    let node = Node::start(&[]);
    run(async {
        let (theirs, ours) = (postgres.connect().await, node.connect().await);
        theirs.batch_execute(SETUP).await.unwrap();
        ours.batch_execute(SETUP).await.unwrap();
        let (mut agreed, mut total) = (0_u32, 0_u32);
        for (feature, statements) in statements() {
            let mut same = 0_u32;
            for sql in &statements {
                let (expect, got) = (answer(&theirs, sql).await, answer(&ours, sql).await);
                if expect == got {
                    same += 1;
                } else {
                    println!(
                        "{feature}: {sql}\n  postgres: {}\n  here:     {}",
                        shorten(&expect),
                        shorten(&got)
                    );
                }
            }
            let count = u32::try_from(statements.len()).unwrap();
            println!(
                "{feature}: {same} of {count} agree, {:.0} %",
                100.0 * f64::from(same) / f64::from(count)
            );
            agreed += same;
            total += count;
        }
        let share = f64::from(agreed) / f64::from(total);
        println!("overall: {agreed} of {total} agree, {:.1} %", 100.0 * share);
        assert!(share >= FLOOR, "only {:.1} % agree", 100.0 * share);
    });
}

fn shorten(text: &str) -> String {
    text.replace('\n', " / ").chars().take(160).collect()
}
