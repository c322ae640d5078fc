//! Backups and restores: online, interrupted, damaged, out of space.

mod common;

use common::{Node, outcome, run, scratchbird, state, text, until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The backups of a directory.
fn backups(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("scratchbird-"));
    found.sort();
    found
}

/// Nothing of an unfinished backup lies there.
fn is_tidy(directory: &Path) -> bool {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .into_iter()
        .all(|name| !["partial", "check"].iter().any(|end| name.to_string_lossy().ends_with(end)))
}

fn backup(node: &Node, args: &[&str]) -> Command {
    let mut command = scratchbird();
    command.args(["backup", "-h", "127.0.0.1", "-p", &node.port.to_string(), "-U", "scratchbird"]).args(args);
    command.env("PGPASSWORD", common::PASSWORD);
    command
}

fn check(command: &mut Command, code: i32, words: &str) {
    let (got, text) = outcome(command);
    assert!(
        got == Some(code) && text.contains(words),
        "{command:?}: {got:?}, not {code} with `{words}`: {text}"
    );
}

/// A server with something in it.
fn birds() -> Node {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        for sql in [
            "CREATE TABLE account (id int PRIMARY KEY, amount int NOT NULL CHECK (amount > -1000000))",
            "INSERT INTO account SELECT n, 100 FROM generate_series(1, 100) AS n",
            "CREATE INDEX ON account (lower(id::text))",
            "CREATE ROLE wren LOGIN PASSWORD 'tweet'",
            "GRANT SELECT ON account TO wren",
            "CREATE DATABASE \"other one\" OWNER wren",
        ] {
            assert_eq!(state(&client, sql).await, "00000", "{sql}");
        }
    });
    node
}

/// Starts a server over a restored data directory.
fn restored(archive: &Path) -> Node {
    let mut node = Node::new(&[]);
    let mut command = scratchbird();
    check(command.args(["restore", "-D", &node.data()]).arg(archive), 0, "restored");
    node.launch();
    node
}

#[test]
fn a_backup_under_load_is_one_moment_of_everything() {
    let node = birds();
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (config, over) = (node.config(), Arc::clone(&over));
            std::thread::spawn(move || {
                run(async {
                    let client = common::connect(&config).await.unwrap();
                    let mut n = writer;
                    while !over.load(Ordering::SeqCst) {
                        let (from, to) = (n % 100 + 1, (n * 7 + 3) % 100 + 1);
                        let sql = format!(
                            "BEGIN; UPDATE account SET amount = amount - 1 WHERE id = {from};
                             UPDATE account SET amount = amount + 1 WHERE id = {to}; COMMIT"
                        );
                        client.batch_execute(&sql).await.unwrap();
                        n += 4;
                    }
                });
            })
        })
        .collect();
    let place = tempfile::tempdir().unwrap();
    let (whole, local) = (place.path().join("net.tar.gz"), place.path().join("local.tar.gz"));
    check(backup(&node, &[]).arg(&whole), 0, "written and checked");
    check(scratchbird().args(["backup", "-D", &node.data()]).arg(&local), 0, "written and checked");
    let piped = place.path().join("piped.tar.gz");
    check_piped(&mut backup(&node, &["-"]), &piped);
    over.store(true, Ordering::SeqCst);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert!(is_tidy(place.path()));
    for archive in [&whole, &local, &piped] {
        check(scratchbird().args(["backup", "--check"]).arg(archive), 0, "");
        let copy = restored(archive);
        run(async {
            let client = copy.connect().await;
            let shown = text(&client, "SELECT count(*), sum(amount) FROM account").await;
            assert_eq!(shown, "100|10000", "{}", archive.display());
            let names = text(&client, "SELECT datname FROM pg_database ORDER BY 1").await;
            assert!(names.contains("other one"), "{names}");
            let mut wren = copy.config();
            wren.user("wren").password("tweet");
            let wren = common::connect(&wren).await.unwrap();
            assert_eq!(state(&wren, "SELECT * FROM account").await, "00000");
            assert_eq!(state(&wren, "DELETE FROM account").await, "42501");
        });
    }
    // From a pipe, too; and the system's own tar can read it.
    let empty = tempfile::tempdir().unwrap();
    let data = empty.path().join("data").display().to_string();
    let mut command = scratchbird();
    command.args(["restore", "-D", &data, "-"]).stdin(fs::File::open(&whole).unwrap());
    check(&mut command, 0, "restored");
    let listed = Command::new("tar").arg("tzf").arg(&whole).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.starts_with("backup.json\nglobal.db\nbase/1.db\n"), "{listed}");
}

fn check_piped(command: &mut Command, to: &Path) {
    let status = command.stdout(fs::File::create(to).unwrap()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}

#[test]
fn wrong_calls_and_wrong_places_are_refused() {
    let node = birds();
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("a.tar.gz");
    let usage = |args: &[&str], words: &str| check(scratchbird().arg("backup").args(args), 2, words);
    usage(&["a", "b"], "`b` is one word too many");
    usage(&["--keep=0", "/tmp"], "`0` is no number of backups");
    usage(&["--every=soon", "/tmp"], "`soon` is no time such as");
    usage(&["--every=1h", "--schedule=* * * * *", "/tmp"], "give one of them");
    usage(&["--every=1h", "/no/such"], "`/no/such` is no directory");
    usage(&["--keep=1", "-"], "is no directory");
    usage(&["--sql", "/tmp"], "SQL goes to a file");
    usage(&["--wrong"], "--wrong");
    check(scratchbird().arg("restore"), 2, "which backup?");
    check(&mut backup(&node, &["/no/such/file"]), 1, "/no/such");
    check(scratchbird().args(["backup", "-D", "/no/such", "-"]), 1, "holds no cluster");
    run(async {
        let mut wren = node.config();
        wren.user("wren").password("tweet");
        let wren = common::connect(&wren).await.unwrap();
        assert_eq!(state(&wren, "BASE_BACKUP").await, "42501");
        // The session goes on.
        assert_eq!(text(&wren, "SELECT 1").await, "1");
    });
    let mut stranger = backup(&node, &["-U", "wren"]);
    check(stranger.arg(&archive).env("PGPASSWORD", "tweet"), 1, "must be superuser");
    assert!(!archive.exists() && is_tidy(place.path()));
    check(backup(&node, &[]).arg(&archive), 0, "");
    check(backup(&node, &[]).arg(&archive), 1, "is there already");
    // What holds a cluster, or anything else, is left alone.
    check(scratchbird().args(["restore", "-D", &node.data()]).arg(&archive), 1, "restore into an empty one");
    check(
        scratchbird().args(["restore", "-D", &place.path().display().to_string()]).arg(&archive),
        1,
        "is not empty",
    );
}

#[test]
fn a_damaged_archive_restores_nothing() {
    let node = birds();
    let place = tempfile::tempdir().unwrap();
    let good = place.path().join("good.tar.gz");
    check(backup(&node, &[]).arg(&good), 0, "");
    let bytes = fs::read(&good).unwrap();
    let mut cases: Vec<Vec<u8>> =
        [0, 1, 100, bytes.len() / 2, bytes.len() - 1].map(|length| bytes[..length].to_vec()).into();
    for at in [1, bytes.len() / 3, bytes.len() / 2, bytes.len() - 6] {
        let mut bad = bytes.clone();
        bad[at] ^= 0xff;
        cases.push(bad);
    }
    let data = place.path().join("data");
    for (number, case) in cases.iter().enumerate() {
        let path = place.path().join(format!("bad-{number}"));
        fs::write(&path, case).unwrap();
        for stdin in [false, true] {
            let mut command = scratchbird();
            command.args(["restore", "-D"]).arg(&data);
            if stdin {
                command.arg("-").stdin(fs::File::open(&path).unwrap());
            } else {
                command.arg(&path);
            }
            let (code, text) = outcome(&mut command);
            assert_eq!(code, Some(1), "case {number}, stdin {stdin}: {text}");
            // A later start or restore finds an empty directory.
            let left = fs::read_dir(&data)
                .map(|list| list.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>());
            assert!(left.unwrap_or_default().iter().all(|name| name == "lock"), "case {number}");
        }
        // It is the file's fault and not the disk's.
        let (code, text) = outcome(scratchbird().args(["backup", "--check"]).arg(&path));
        let name = format!("bad-{number}`");
        assert!(code == Some(1) && text.contains(&name) && !text.contains("can't write"), "{text}");
    }
    check(scratchbird().args(["restore", "-D"]).arg(&data).arg(&good), 0, "restored");
}

#[test]
fn a_kill_leaves_no_half_of_a_backup_and_no_half_of_a_cluster() {
    let node = birds();
    run(async {
        let sql = "CREATE TABLE filler AS SELECT n, n || ' is a number' AS name FROM generate_series(1, 60000) AS n";
        node.connect().await.batch_execute(sql).await.unwrap();
    });
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("backups");
    fs::create_dir(&directory).unwrap();
    for delay in [1, 5, 20, 50, 90, 140, 200, 300] {
        let mut child = backup(&node, &["-q"]).arg(&directory).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        // It may be done already.
        let _ = child.kill();
        child.wait().unwrap();
        for path in backups(&directory) {
            check(scratchbird().args(["backup", "--check"]).arg(&path), 0, "");
        }
        // Two of one second would have one name.
        backups(&directory).iter().for_each(|path| fs::remove_file(path).unwrap());
    }
    check(backup(&node, &[]).arg(&directory), 0, "written");
    assert!(is_tidy(&directory) && backups(&directory).len() == 1);
    for delay in [1, 5, 20, 50, 90, 140, 200] {
        let data = place.path().join(format!("data-{delay}"));
        let mut child =
            scratchbird().args(["restore", "-q", "-D"]).arg(&data).arg(&directory).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
        // Either it is a cluster, or it can be restored once more.
        if !data.join("SCRATCHBIRD_VERSION").exists() {
            check(scratchbird().args(["restore", "-D"]).arg(&data).arg(&directory), 0, "restored");
        }
    }
}

#[test]
fn backups_on_a_schedule_are_kept_counted_and_watched() {
    let node = birds();
    let place = tempfile::tempdir().unwrap();
    let health = |code: i32| {
        let mut command = scratchbird();
        check(command.args(["backup", "--health"]).arg(place.path()), code, "");
    };
    health(1);
    fs::write(place.path().join("mine.tar.gz"), "x").unwrap();
    fs::write(place.path().join("scratchbird-20200101T000000Z.tar.gz"), "old").unwrap();
    let mut child =
        backup(&node, &["--every=1s", "--keep=2"]).arg(place.path()).stderr(Stdio::null()).spawn().unwrap();
    let is_old = |path: &PathBuf| path.to_string_lossy().contains("2020");
    until("three backups", || backups(place.path()).len() == 2 && !backups(place.path()).iter().any(is_old));
    health(0);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(is_tidy(place.path()) && place.path().join("mine.tar.gz").exists());
    // A server that is gone is a failure that the health check sees.
    let mut child = scratchbird()
        .args(["backup", "-h", "127.0.0.1", "-p", &common::free_port().to_string(), "--every=1s"])
        .arg(place.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = || fs::read_to_string(place.path().join("backup-status.json")).unwrap_or_default();
    until("the failure", || status().contains("127.0.0.1"));
    health(1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=300k", "none"]).arg(place.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: a small file system can't be mounted here");
        return;
    }
    let node = birds();
    run(async {
        let sql = "CREATE TABLE filler AS SELECT gen_random_uuid() AS id FROM generate_series(1, 20000) AS n";
        node.connect().await.batch_execute(sql).await.unwrap();
    });
    let result = std::panic::catch_unwind(|| {
        check(backup(&node, &[]).arg(place.path()), 1, "No space left on device");
        assert!(is_tidy(place.path()) && backups(place.path()).is_empty());
        check(scratchbird().args(["backup", "--health"]).arg(place.path()), 1, "the last backup failed");
        // What restores into a full disk is as little of a cluster.
        let other = tempfile::tempdir().unwrap();
        check(backup(&node, &[]).arg(other.path()), 0, "");
        let data = place.path().join("data");
        check(scratchbird().args(["restore", "-D"]).arg(&data).arg(other.path()), 1, "No space left");
        assert!(!data.join("SCRATCHBIRD_VERSION").exists());
    });
    assert!(Command::new("umount").arg(place.path()).status().unwrap().success());
    result.unwrap();
}

/// What a dump must carry over, in what both servers understand.
const SCHEMA: &[&str] = &[
    "CREATE SEQUENCE nest_number INCREMENT BY 5 START WITH 10",
    "CREATE TABLE parent (
         id serial PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'it''s', amount numeric(10, 2) CHECK (amount >= 0),
         note text UNIQUE, at timestamptz, day date, tags int[], n int GENERATED BY DEFAULT AS IDENTITY, ok bool, raw bytea, j jsonb)",
    "CREATE TABLE child (a int, b int8, p int REFERENCES parent (id) ON DELETE CASCADE, PRIMARY KEY (a, b))",
    "CREATE INDEX child_p ON child (p) WHERE a > 1",
    "CREATE UNIQUE INDEX parent_lower ON parent (lower(name), n)",
    "INSERT INTO parent (name, amount, note, at, day, tags, ok, raw, j) VALUES
         ('wren', 1.50, E'a\\tb\\nc\\\\d', '2024-02-29 12:00:00+00', '2024-02-29', '{1,NULL,3}', true, '\\xdeadbeef', '{\"a\": [1]}'),
         ('owl', NULL, '\\N', NULL, NULL, '{}', false, '', 'null')",
    "INSERT INTO child VALUES (1, 9000000000, 1), (2, 2, NULL)",
    "CREATE VIEW rich AS SELECT id, name FROM parent WHERE amount > 1",
    "SELECT nextval('nest_number')",
    "COMMENT ON TABLE parent IS 'it''s the parents'",
    "COMMENT ON COLUMN parent.note IS 'a note'",
    "COMMENT ON VIEW rich IS 'some'",
    "CREATE VIEW named (who, much) AS SELECT name, amount FROM parent",
    "CREATE MATERIALIZED VIEW sums (who, total) AS SELECT who, sum(much) FROM named GROUP BY who",
    "CREATE UNIQUE INDEX sums_key ON sums (who)",
    "COMMENT ON MATERIALIZED VIEW sums IS 'what came in'",
    "CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS x WITH NO DATA",
    "CREATE SCHEMA aviary",
    "CREATE TYPE aviary.size AS ENUM ('small', 'it''s big')",
    "ALTER TYPE aviary.size ADD VALUE 'middle' AFTER 'small'",
    "CREATE TABLE bird (name text, size aviary.size NOT NULL DEFAULT 'middle')",
    "INSERT INTO bird VALUES ('wren', 'small'), ('eagle', 'it''s big'), ('jay', DEFAULT)",
    "CREATE TABLE aviary.cage (n int)",
    "COMMENT ON SCHEMA aviary IS 'cages'",
    "CREATE ROLE wren",
    "CREATE ROLE \"Big Owl\"",
    "GRANT SELECT, UPDATE ON parent TO wren",
    "GRANT SELECT ON rich TO PUBLIC",
    "GRANT SELECT ON sums TO wren WITH GRANT OPTION",
    "GRANT USAGE ON SCHEMA aviary TO wren, \"Big Owl\"",
    "GRANT ALL ON aviary.cage TO \"Big Owl\"",
    "GRANT USAGE ON SEQUENCE nest_number TO wren",
    "GRANT CREATE, TEMP ON DATABASE scratchbird TO wren",
    "REVOKE TEMPORARY ON DATABASE scratchbird FROM PUBLIC",
    "CREATE EXTENSION \"uuid-ossp\" WITH SCHEMA aviary",
    "ALTER TABLE aviary.cage OWNER TO wren",
    "ALTER SCHEMA aviary OWNER TO wren",
];

/// What is compared afterwards.
const QUESTIONS: &[&str] = &[
    "SELECT id, name, amount, note, at, day, tags, n, ok, raw, j FROM parent ORDER BY id",
    "SELECT * FROM child ORDER BY a",
    "SELECT * FROM rich",
    "SELECT who, total FROM sums ORDER BY who",
    "SELECT relname, relispopulated, obj_description(oid, 'pg_class'), relacl IS NULL FROM pg_class
            WHERE relkind = 'm' ORDER BY 1",
    "SELECT has_table_privilege('wren', 'sums', 'SELECT WITH GRANT OPTION'),
            has_table_privilege('wren', 'sums', 'UPDATE')",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY sums",
    "SELECT nextval('nest_number')",
    "INSERT INTO parent (name) VALUES (DEFAULT) RETURNING id, n, name",
    "SELECT count(*) FROM pg_constraint WHERE conrelid IN ('parent'::regclass, 'child'::regclass) AND contype <> 'n'",
    "SELECT indexname FROM pg_indexes WHERE tablename IN ('parent', 'child') ORDER BY 1",
    "SELECT obj_description('parent'::regclass, 'pg_class'), col_description('parent'::regclass, 4),
            obj_description('rich'::regclass, 'pg_class')",
    "SELECT has_table_privilege('wren', 'parent', 'UPDATE'), has_table_privilege('wren', 'parent', 'DELETE'),
            has_table_privilege('wren', 'rich', 'SELECT'), has_table_privilege('Big Owl', 'aviary.cage', 'INSERT'),
            has_schema_privilege('Big Owl', 'aviary', 'USAGE'), has_schema_privilege('Big Owl', 'aviary', 'CREATE')",
    "SELECT has_database_privilege('wren', current_database(), 'CREATE'),
            has_database_privilege('wren', current_database(), 'TEMP'),
            has_database_privilege('Big Owl', current_database(), 'TEMP'),
            has_database_privilege('Big Owl', current_database(), 'CONNECT')",
    "SELECT name, size FROM bird ORDER BY size",
    "SELECT enumlabel FROM pg_enum ORDER BY enumsortorder",
    "SELECT extname, nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace ORDER BY 1",
    "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'cage'",
    "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'aviary'",
];
const REFUSED: &[(&str, &str)] = &[
    ("INSERT INTO parent (amount) VALUES (-1)", "23514"),
    ("INSERT INTO parent (note) VALUES ('\\N')", "23505"),
    ("INSERT INTO child VALUES (5, 5, 777)", "23503"),
    ("INSERT INTO parent (name) VALUES (NULL)", "23502"),
];

async fn answers(client: &tokio_postgres::Client) -> Vec<String> {
    let mut all = Vec::new();
    for question in QUESTIONS {
        all.push(text(client, question).await);
    }
    for (sql, code) in REFUSED {
        assert_eq!(state(client, sql).await, *code, "{sql}");
    }
    all
}

#[test]
fn a_dump_as_sql_restores_here_and_in_postgres() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        for sql in SCHEMA {
            assert_eq!(state(&client, sql).await, "00000", "{sql}");
        }
    });
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("dump.sql");
    check(backup(&node, &["--sql", "-d", "scratchbird"]).arg(&file), 0, "written");
    let expect = run(async { answers(&node.connect().await).await });
    // Into a new database of this server, by its own client.
    run(async { assert_eq!(state(&node.connect().await, "CREATE DATABASE again").await, "00000") });
    let mut psql = scratchbird();
    psql.args([
        "psql",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        "127.0.0.1",
        "-U",
        "scratchbird",
        "-d",
        "again",
        "-p",
    ]);
    check(psql.arg(node.port.to_string()).arg("-f").arg(&file).env("PGPASSWORD", common::PASSWORD), 0, "");
    run(async {
        let mut again = node.config();
        again.dbname("again");
        assert_eq!(answers(&common::connect(&again).await.unwrap()).await, expect);
    });
    // Into PostgreSQL, by Postgres' client.
    let Some(postgres) = common::postgres::Postgres::start() else {
        eprintln!("skipped: no PostgreSQL 15");
        return;
    };
    run(async {
        let client = postgres.connect().await;
        client.batch_execute("CREATE ROLE wren; CREATE ROLE \"Big Owl\"").await.unwrap();
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres", "-h"]);
        check(psql.arg(postgres.directory.path()).arg("-f").arg(&file), 0, "");
        assert_eq!(answers(&client).await, expect);
    });
}
