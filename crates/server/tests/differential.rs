//! The same statements on PostgreSQL 15 and on this server: rows, types and SQLSTATEs side by side.
//!
//! Statements are generated from lists of expressions and clauses, feature by feature, or stand in the files of
//! `differential/`, one a line. The test prints how many agree, overall and by feature, and those that don't; it
//! fails when the figure falls below a floor.

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
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
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
    features.push(("arrays", lines(include_str!("differential/arrays.sql"))));
    features.push(("json", lines(include_str!("differential/json.sql"))));
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
    features.push(("queries", lines(include_str!("differential/queries.sql"))));
    features.push(("changes", lines(include_str!("differential/changes.sql"))));
    features.push(("definitions", lines(include_str!("differential/definitions.sql"))));
    features.push(("enumerations", lines(include_str!("differential/enumerations.sql"))));
    features.push(("catalogues", lines(include_str!("differential/catalogs.sql"))));
    features.push(("zones", lines(include_str!("differential/zones.sql"))));
    features.push(("values", lines(include_str!("differential/values.sql"))));
    features.push(("refused", lines(include_str!("differential/refused.sql"))));
    features.push(("clocks and periods", lines(include_str!("differential/clocks.sql"))));
    features.push(("sums", lines(include_str!("differential/sums.sql"))));
    features.push(("materialized views", lines(include_str!("differential/materialized.sql"))));
    features.push(("generated columns", lines(include_str!("differential/generated.sql"))));
    features.push(("unusual numbers", lines(include_str!("differential/unusual.sql"))));
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
