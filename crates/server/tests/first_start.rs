//! The scripts of the first start: what they may be, what they see, and what becomes of one that fails.

mod common;

use common::{Node, outcome, run, scratchbird, until};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A server with script directories of its own, and `psql` on its path.
struct Fresh {
    node: Node,
}

impl Fresh {
    fn new() -> Self {
        let node = Node::new(&[]);
        let fresh = Self { node };
        for name in ["pre", "init", "bin"] {
            fs::create_dir(fresh.path(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_scratchbird"), fresh.path("bin/psql")).unwrap();
        fresh
    }

    fn path(&self, name: &str) -> PathBuf {
        self.node.directory.path().join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = self.node.command();
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("OUT", self.path("out")).stdout(Stdio::null());
        command.env("SCRATCHBIRD_PREINITDB_DIRECTORY", self.path("pre"));
        command.env("SCRATCHBIRD_INITDB_DIRECTORY", self.path("init"));
        command
    }

    fn launch(&mut self, command: &mut Command) {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
        self.node.child = Some(child);
        until("the server to accept connections", || self.node.ready());
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        run(async {
            let rows = self.node.connect().await.query(sql, &[]).await.unwrap();
            rows.iter().map(|row| row.get::<_, String>(0)).collect()
        })
    }
}

/// What a compressor makes of a text; `None` where it is not installed.
fn compressed(program: &str, text: &str) -> Option<Vec<u8>> {
    let mut child =
        Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap().stdout)
}

#[test]
fn every_kind_of_script_runs_in_the_order_of_names() {
    let mut fresh = Fresh::new();
    fresh.put(
        "pre/1.sh",
        "#!/bin/sh -e\ntest ! -e $PGDATA/base\ntest -z \"$PGHOST\"\necho pre > $OUT\n",
        0o644,
    );
    let create = "CREATE TABLE steps (n serial, name text);\nCOPY steps (name) FROM stdin;\n1.sql\n\\.\n";
    fresh.put("init/1.sql", create, 0o644);
    let insert = |name: &str| format!("INSERT INTO steps (name) VALUES ('{name}');\n");
    let mut expect = vec!["1.sql".to_owned()];
    for (program, ending) in [("gzip", "gz"), ("zstd", "zst"), ("xz", "xz")] {
        let name = format!("2.sql.{ending}");
        let Some(first) = compressed(program, &insert(&name)) else {
            eprintln!("skipped: no {program}");
            continue;
        };
        // Two members, frames or streams in one file are one script.
        let second = compressed(program, &insert("more")).unwrap();
        fresh.put(&format!("init/{name}"), [first, second].concat(), 0o644);
        expect.push(name);
    }
    expect.sort();
    let mut all: Vec<String> = Vec::new();
    for name in expect {
        let packed = name != "1.sql";
        all.push(name);
        all.extend(packed.then(|| "more".to_owned()));
    }
    let script = "set -e\npsql -v ON_ERROR_STOP=1 --username \"$SCRATCHBIRD_USER\" --dbname \"$SCRATCHBIRD_DB\" <<-EOSQL\n\
                  INSERT INTO steps (name) VALUES ('3.sh');\nEOSQL\npsql -Atc 'SELECT current_user' >> $OUT\nls -ld $PGHOST >> $OUT\n";
    fresh.put("init/3.sh", script, 0o644);
    fresh.put("init/4", "#!/bin/sh\nexec psql -qc \"INSERT INTO steps (name) VALUES ('4')\"\n", 0o755);
    fresh.put("init/5.txt", "not for anybody", 0o644);
    fs::create_dir(fresh.path("init/6.sql")).unwrap();
    fresh.put("init/.hidden.sql", "nonsense", 0o644);
    let mut command = fresh.command();
    fresh.launch(&mut command);
    all.extend(["3.sh".to_owned(), "4".to_owned()]);
    assert_eq!(fresh.rows("SELECT name FROM steps ORDER BY n"), all);
    let out = fs::read_to_string(fresh.path("out")).unwrap();
    assert!(out.starts_with("pre\nscratchbird\ndrwx------ "), "{out}");
    let left: Vec<_> =
        fs::read_dir(fresh.node.directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".init")), "{left:?}");
    // The scripts belong to the first start alone.
    fresh.node.signal("-TERM");
    assert_eq!(fresh.node.wait().code(), Some(0));
    let mut command = fresh.command();
    fresh.launch(&mut command);
    assert_eq!(fresh.rows("SELECT name FROM steps ORDER BY n"), all);
}

#[test]
fn a_script_that_fails_leaves_no_cluster_behind() {
    let check = |name: &str, content: &[u8], words: &[&str]| {
        let fresh = Fresh::new();
        fresh.put("init/0.sql", "CREATE TABLE t (x int);", 0o644);
        fresh.put(name, content, 0o644);
        fresh.put("init/9.sql", "CREATE TABLE never (x int);", 0o644);
        let (code, text) = outcome(&mut fresh.command());
        assert_eq!(code, Some(1), "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in: {text}");
        }
        assert!(!text.contains("9.sql") && !text.contains(common::PASSWORD), "{text}");
        (fresh, text)
    };
    let (fresh, _) = check(
        "init/5.sql",
        b"SELECT 1;\n\nSELECT nothing;\n",
        &["5.sql:3: ERROR:  column \"nothing\" does not exist"],
    );
    // The next start says the same and is not healthy either.
    let (code, text) = outcome(&mut fresh.command());
    assert!(code == Some(1) && text.contains("not finished") && text.contains("5.sql:3:"), "{text}");
    assert!(text.contains("empty the directory"), "{text}");
    fs::write(fresh.path("init/5.sql"), "SELECT 1;").unwrap();
    assert_eq!(outcome(&mut fresh.command()).0, Some(1), "mending the script alone is not enough");
    fs::remove_dir_all(fresh.node.data()).unwrap();
    let mut fresh = fresh;
    let mut command = fresh.command();
    fresh.launch(&mut command);

    check("init/5.sh", b"echo working\nexit 7\n", &["5.sh: it ended with status 7"]);
    check("init/5.sh", b"kill -9 $$\n", &["5.sh: it was ended by signal 9"]);
    check("init/5.sql", b"COPY t FROM stdin;\nx\n\\.\n", &["5.sql:3: ERROR:", "COPY line 1"]);
    check("init/5.sql.gz", b"no gzip", &["5.sql.gz"]);
    check("init/5.sql.zst", b"no zstd at all", &["5.sql.zst"]);
    check("init/5.sql.xz", b"no xz", &["5.sql.xz"]);
    let mut packed = compressed("gzip", "SELECT 1;\n").unwrap_or_default();
    packed.truncate(packed.len().saturating_sub(9));
    check("init/5.sql.gz", &packed, &["5.sql.gz"]);
    // These are found before anything is made, so a start after mending them works.
    let (fresh, _) =
        check("init/5.sh", b"#!/no/such/shell\n", &["5.sh` needs `/no/such/shell`", "debian variant"]);
    assert!(!fresh.path("data/base").exists());
    let (fresh, _) = check("pre/5.sql", b"SELECT 1;", &["5.sql` is SQL", "init`"]);
    assert!(!fresh.path("data/base").exists());
    check("pre/5.sh", b"exit 1\n", &["5.sh: it ended with status 1"]);
}

#[test]
fn nothing_but_the_private_socket_listens_while_scripts_run() {
    let fresh = Fresh::new();
    fresh.put("init/1.sh", "touch $OUT; sleep 600", 0o644);
    let mut child = fresh.command().spawn().unwrap();
    until("the script to run", || fresh.path("out").exists());
    let (port, socket) = (fresh.node.port.to_string(), fresh.node.directory.path().display().to_string());
    assert!(std::net::TcpStream::connect(("127.0.0.1", fresh.node.port)).is_err(), "the port is open");
    assert_eq!(outcome(scratchbird().args(["healthcheck", "-k", &socket, "-p", &port])).0, Some(1));
    assert!(!fresh.node.ready());
    // A signal ends the script and everything that it started, and the next start begins again.
    let started = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(20));
    let mut fresh = fresh;
    fresh.put("init/1.sh", "psql -qc 'CREATE TABLE t (x text)'", 0o644);
    let mut command = fresh.command();
    fresh.launch(&mut command);
    assert!(fresh.rows("SELECT x FROM t").is_empty());
}

#[test]
fn a_first_start_killed_among_its_scripts_begins_again() {
    for delay in [60, 90, 120, 180] {
        let mut fresh = Fresh::new();
        fresh.put("init/1.sql", "CREATE TABLE t (x text);\nINSERT INTO t VALUES ('once');\n", 0o644);
        fresh.put("init/2.sh", "sleep 0.1", 0o644);
        let mut child = fresh.command().stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut command = fresh.command();
        fresh.launch(&mut command);
        assert_eq!(fresh.rows("SELECT x FROM t"), ["once"], "after {delay} ms");
    }
}

#[test]
fn names_with_spaces_and_quotes_work() {
    let mut fresh = Fresh::new();
    fresh.put("init/1.sh", "psql -v ON_ERROR_STOP=1 -qc 'CREATE TABLE t (x text)'", 0o644);
    fresh.put("init/2.sql", "INSERT INTO t VALUES (current_user || '@' || current_database());", 0o644);
    let (user, database) = ("o'brien \"the\" 1st", "my \"own\" db's");
    let mut command = fresh.command();
    command.env("SCRATCHBIRD_USER", user).env("SCRATCHBIRD_DB", database);
    fresh.launch(&mut command);
    let mut config = fresh.node.config();
    config.user(user).dbname(database);
    let row = run(async {
        common::connect(&config).await.unwrap().query_one("SELECT x FROM t", &[]).await.unwrap()
    });
    assert_eq!(row.get::<_, String>(0), format!("{user}@{database}"));
}
