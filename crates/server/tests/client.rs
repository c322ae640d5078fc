//! The `sql` client, `createdb` and `dropdb`: what scripts written for psql rely on.

mod common;

use common::{Node, scratchbird};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

/// What a client gave back: its code, its output and its errors.
type Outcome = (Option<i32>, String, String);

fn on(node: &Node, mut command: Command, args: &[&str], input: &str) -> Outcome {
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", node.port.to_string())
        .env("PGPASSWORD", common::PASSWORD);
    command.env("PGUSER", "scratchbird").env("PGDATABASE", "scratchbird").env("HOME", node.directory.path());
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.current_dir(node.directory.path());
    let mut child = command.spawn().unwrap();
    // A client that stops early closes its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn applet(name: &str) -> Command {
    let mut command = scratchbird();
    command.arg(name);
    command
}

fn sql(node: &Node, args: &[&str], input: &str) -> Outcome {
    on(node, applet("sql"), args, input)
}

#[test]
fn output_and_exit_codes_are_those_of_psql() {
    let node = Node::start(&[]);
    let setup = "CREATE TABLE t (id int4 PRIMARY KEY, name text, f float8);
        COPY t FROM stdin;\n1\tone\t1.5\n2\t\\N\t-2\n3\ta\\nb\t3\n\\.\n";
    assert_eq!(
        sql(&node, &["-v", "ON_ERROR_STOP=1"], setup),
        (Some(0), "CREATE TABLE\nCOPY 3\n".into(), "".into())
    );
    fs::write(node.directory.path().join("good.sql"), "SELECT 1 AS a;\nSELECT\n2 AS b;\n").unwrap();
    fs::write(node.directory.path().join("bad.sql"), "SELECT 1 AS a;\n\nSELECT nothing;\nSELECT 2;\n")
        .unwrap();
    let script = "\\set n 'it''s'\nSELECT :'n' AS \"weird name\";SELECT $$;$$; -- ;\n\\echo done :n\n";
    let cases: &[(&[&str], &str)] = &[
        (&["-c", "SELECT * FROM t ORDER BY id"], ""),
        (&["-A", "-c", "SELECT * FROM t ORDER BY id"], ""),
        (&["-Atq", "-F", ",", "-c", "SELECT id, name FROM t ORDER BY id"], ""),
        (&["--csv", "-c", "SELECT * FROM t ORDER BY id"], ""),
        (&["-t", "-c", "SELECT id FROM t WHERE id < 3 ORDER BY id"], ""),
        (&["-P", "null=NULL", "-c", "SELECT name FROM t WHERE id = 2"], ""),
        (&["-AtzR", "|", "-c", "SELECT id, f FROM t ORDER BY id"], ""),
        (&["-At0", "-c", "SELECT id FROM t ORDER BY id"], ""),
        (&["-c", "SELECT 1 WHERE false"], ""),
        (&["-c", "SELECT 1 AS x; SELECT 2 AS y"], ""),
        (&["-c", "SELECT 1", "-c", "SELECT 2"], ""),
        (&["-c", "SELECT nothing", "-c", "SELECT 2"], ""),
        (&["-v", "ON_ERROR_STOP=1", "-c", "SELECT nothing", "-c", "SELECT 2"], ""),
        (&["-f", "good.sql"], ""),
        (&["-f", "bad.sql"], ""),
        (&["-v", "ON_ERROR_STOP=1", "-f", "bad.sql"], ""),
        (&["-v", "ON_ERROR_STOP=on", "-1", "-c", "INSERT INTO t VALUES (9)", "-f", "bad.sql"], ""),
        (&["-1", "-c", "INSERT INTO t VALUES (7)"], ""),
        (&["-c", "SELECT id FROM t WHERE id > 3", "-f", "-"], "SELECT 5 AS five"),
        (&["-f", "missing.sql"], ""),
        (&["-v", "ON_ERROR_STOP=1", "-f", "missing.sql", "-c", "SELECT 1"], ""),
        (&["-v", "ON_ERROR_STOP=1"], "SELECT 1;\nSELECT nothing;\nSELECT 2;\n"),
        (&[], "SELECT 1;\nSELECT nothing;\nSELECT 2;\n"),
        (&["-v", "x=7", "-At"], "SELECT :x + 1;\n\\q\nSELECT 3;\n"),
        (&[], script),
        (&["-q"], "CREATE TABLE q (x int);\nINSERT INTO q VALUES (1) RETURNING x;\nDROP TABLE q;\n"),
        (&[], "INSERT INTO t VALUES (8) RETURNING id;\nDELETE FROM t WHERE id = 8;\nBEGIN;\nROLLBACK;\n"),
        (&["-e", "-At"], "SELECT 1;\n"),
        (&["-a", "-At"], "-- x\nSELECT 1;\n"),
        (&["-At"], "\\i good.sql\n\\i missing.sql\nSELECT 3;\n"),
        (&["-v", "ON_ERROR_STOP=1", "-At"], "\\i bad.sql\nSELECT 3;\n"),
        (&["-c", "\\echo hello 'there  you'"], ""),
        (&["-At"], "\\c postgres\nSELECT current_database();\n"),
        (&["-Atd", "host=127.0.0.1 dbname=postgres", "-c", "SELECT current_database()"], ""),
        (&["-At", "postgresql://scratchbird@127.0.0.1/postgres", "-c", "SELECT 1"], ""),
        (&["nowhere", "-c", "SELECT 1"], ""),
        (&["-U", "nobody", "-c", "SELECT 1"], ""),
        (&["-p", "1", "-c", "SELECT 1"], ""),
        (&["-c", ""], ""),
        (&[], "SELECT 'no end;\n"),
    ];
    let psql = Command::new("psql").arg("--version").output().is_ok();
    if !psql {
        eprintln!("no psql here to compare with");
    }
    let mut different = Vec::new();
    for (args, input) in cases {
        let (code, out, err) = sql(&node, args, input);
        if !psql {
            continue;
        }
        // Both change the same rows, so the first one's are taken back.
        assert_eq!(sql(&node, &["-qc", "DELETE FROM t WHERE id > 3"], "").0, Some(0));
        let mut theirs = Command::new("psql");
        theirs.arg("-X");
        let theirs = on(&node, theirs, args, input);
        assert_eq!(sql(&node, &["-qc", "DELETE FROM t WHERE id > 3"], "").0, Some(0));
        if (code, &out, err.is_empty()) != (theirs.0, &theirs.1, theirs.2.is_empty()) {
            different.push(format!("{args:?} {input:?}\nours   {:?}\ntheirs {theirs:?}", (code, out, err)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    let (code, _, err) = sql(&node, &["-v", "ON_ERROR_STOP=1", "-f", "bad.sql"], "");
    let expect = "psql:bad.sql:3: ERROR:  column \"nothing\" does not exist\nLINE 1: SELECT nothing;\n               ^\n";
    assert_eq!((code, err.as_str()), (Some(3), expect));
}

#[test]
fn databases_come_and_go_whatever_they_are_called() {
    let node = Node::start(&[]);
    let run = |applet_name: &str, args: &[&str]| on(&node, applet(applet_name), args, "");
    let name = "it's \"mine\" now";
    assert_eq!(run("createdb", &["-e", name]).1, "CREATE DATABASE \"it's \"\"mine\"\" now\";\n");
    assert_eq!(sql(&node, &["-Atd", name, "-c", "SELECT current_database()"], "").1, format!("{name}\n"));
    let (code, _, err) = run("createdb", &[name]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("createdb: error: database creation failed: ERROR:  database \"it's"), "{err}");
    assert_eq!(run("dropdb", &[name]).0, Some(0));
    assert_eq!(run("dropdb", &["--if-exists", name]).0, Some(0));
    let (code, _, err) = run("dropdb", &[name]);
    assert!(code == Some(1) && err.contains("does not exist"), "{err}");
    assert_eq!(run("dropdb", &[]).0, Some(1));
    assert_eq!(
        run("createdb", &["-E", "LATIN1", "x"]).2,
        "createdb: error: encoding `LATIN1`: allowed is UTF8\n"
    );
    assert_eq!(run("createdb", &["--owne"]).0, Some(1));
}

#[test]
fn what_goes_wrong_is_said() {
    let node = Node::start(&[]);
    let check = |args: &[&str], input: &str, code: i32, words: &[&str]| {
        let (got, _, err) = sql(&node, args, input);
        assert_eq!(got, Some(code), "{args:?}: {err}");
        words.iter().for_each(|word| assert!(err.contains(word), "`{word}` is missing in: {err}"));
        assert!(!err.contains(common::PASSWORD), "{err}");
    };
    check(&["--fiel"], "", 1, &["psql: error: no option is called `--fiel`; did you mean `--file`?"]);
    check(&["-d", "hots=x"], "", 1, &["invalid connection option \"hots\""]);
    check(&["-d", "sslmode=verify-full"], "", 2, &["server does not support SSL, but SSL was required"]);
    check(&["-d", "sslmode=on"], "", 1, &["sslmode value: \"on\"", "disable"]);
    check(&["-h", "no.such.host.invalid", "-c", "x"], "", 2, &["could not translate host name"]);
    check(&["-wd", "password=wrong", "-c", "x"], "", 2, &["password authentication failed"]);
    check(&["-v", "ON_ERROR_STOP=1"], "\\frobnicate\n", 3, &["invalid command \\frobnicate"]);
    check(&["-v", "ON_ERROR_STOP=1"], "\\restrict key\n\\i x\n", 3, &["only \\unrestrict"]);
    check(&["-v", "ON_ERROR_STOP=1"], "\\restrict key\n\\unrestrict key\n", 0, &[]);
    fs::write(node.directory.path().join("self.sql"), "\\i self.sql\n").unwrap();
    check(&["-v", "ON_ERROR_STOP=1", "-f", "self.sql"], "", 3, &["more than 32 deep"]);
    check(
        &["-v", "ON_ERROR_STOP=1"],
        "CREATE TABLE t (x int);\nCOPY t FROM stdin;\nx\n\\.\n",
        3,
        &["COPY line 1"],
    );
    fs::write(node.directory.path().join("latin.sql"), b"SELECT 1;\nSELECT '\xff';\n").unwrap();
    check(&["-f", "latin.sql"], "", 3, &["psql:latin.sql:2: the line is not UTF-8"]);
}
