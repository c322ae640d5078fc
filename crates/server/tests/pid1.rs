//! What a container's first process has to do: reap, stop in time, give up root.

mod common;

use common::{Node, PATIENCE, outcome, run, scratchbird, state, until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_stop_with_100_busy_connections_ends_with_0_and_loses_nothing() {
    let mut node = Node::start(&["-c", "max_connections=120", "-c", "shutdown_timeout=2s"]);
    run(async {
        let client = node.connect().await;
        client.batch_execute("CREATE TABLE t (writer int, n int8)").await.unwrap();
    });
    let acknowledged: Vec<Arc<AtomicI64>> = (0..100).map(|_| Arc::default()).collect();
    let config = node.config();
    let counters = acknowledged.clone();
    let writers = std::thread::spawn(move || {
        run(async {
            let writers = counters.into_iter().enumerate().map(|(writer, last)| {
                let config = config.clone();
                tokio::spawn(async move {
                    let client = common::connect(&config).await.unwrap();
                    let writer = i32::try_from(writer).unwrap();
                    loop {
                        let next = last.load(Ordering::SeqCst) + 1;
                        let done = client.execute("INSERT INTO t VALUES ($1, $2)", &[&writer, &next]).await;
                        let Err(error) = done else {
                            last.store(next, Ordering::SeqCst);
                            continue;
                        };
                        // The client is told why, or finds the connection closed.
                        let code = error.code().map_or_else(String::new, |code| code.code().to_owned());
                        assert!(["", "57P01", "57014"].contains(&code.as_str()), "{error}");
                        return;
                    }
                })
            });
            for writer in writers.collect::<Vec<_>>() {
                writer.await.unwrap();
            }
        });
    });
    until("all writers to have written", || acknowledged.iter().all(|n| n.load(Ordering::SeqCst) > 0));
    let started = Instant::now();
    node.signal("-TERM");
    assert_eq!(node.wait().code(), Some(0));
    assert!(started.elapsed() < PATIENCE / 4, "the shutdown took {:?}", started.elapsed());
    writers.join().unwrap();
    let left = fs::metadata(format!("{}/base/2.db-wal", node.data())).map_or(0, |m| m.len());
    assert_eq!(left, 0, "the shutdown made a checkpoint");
    node.launch();
    run(async {
        let rows = "SELECT writer, max(n), count(*) FROM t GROUP BY writer ORDER BY writer";
        let rows = node.connect().await.query(rows, &[]).await.unwrap();
        assert_eq!(rows.len(), 100);
        for (row, last) in rows.iter().zip(&acknowledged) {
            let (max, count) = (row.get::<_, i64>(1), row.get::<_, i64>(2));
            assert!(max >= last.load(Ordering::SeqCst) && max == count, "an acknowledged row is lost");
        }
    });
}

#[test]
fn a_running_statement_may_finish_and_a_second_signal_cuts_it_short() {
    let endless =
        "WITH RECURSIVE r(n) AS (SELECT 1::int8 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
    let finite = endless.replace("FROM r)", "FROM r WHERE n < 400000)");
    for (second, sql, expect) in [
        (None, finite.as_str(), "00000"),
        (Some("-INT"), endless, "57P01"),
        (Some("-QUIT"), endless, "closed"),
    ] {
        let mut node = Node::start(&["-c", "shutdown_timeout=1min"]);
        run(async {
            let client = node.connect().await;
            let sql = sql.to_owned();
            let running = tokio::spawn(async move { state(&client, &sql).await });
            tokio::time::sleep(Duration::from_millis(100)).await;
            node.signal("-TERM");
            if let Some(second) = second {
                tokio::time::sleep(Duration::from_millis(100)).await;
                assert!(node.child.as_mut().unwrap().try_wait().unwrap().is_none(), "it did not wait");
                node.signal(second);
            }
            assert_eq!(node.wait().code(), Some(if second == Some("-QUIT") { 2 } else { 0 }));
            let state = running.await.unwrap();
            assert!(state.contains(expect), "{second:?}: {state}");
        });
    }
}

/// The processes whose parent is `pid`, with their states.
fn children(pid: u32) -> Vec<(u32, char)> {
    let stat = |entry: fs::DirEntry| {
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold blanks.
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let (state, parent) = (fields.next()?.chars().next()?, fields.next()?.parse::<u32>().ok()?);
        (parent == pid).then(|| Some((entry.file_name().to_str()?.parse().ok()?, state)))?
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(stat).collect()
}

#[test]
fn orphans_are_reaped() {
    let node = Node::new(&[]);
    let init = node.directory.path().join("init");
    fs::create_dir(&init).unwrap();
    // Some die while further scripts run, some while the server does.
    fs::write(init.join("1.sh"), "(sleep 0.05 &) ; (sleep 0.4 &) ; (sleep 0.4 &) ; sleep 0.1\n").unwrap();
    let server = node.command();
    let mut command = Command::new("unshare");
    command.args(["--fork", "--pid", "--kill-child"]).arg(server.get_program()).args(server.get_args());
    command.env("SCRATCHBIRD_PASSWORD", common::PASSWORD).env("SCRATCHBIRD_INITDB_DIRECTORY", &init);
    command.stderr(Stdio::null()).stdout(Stdio::null());
    let Some(mut unshare) = command.spawn().ok().filter(|_| is_root()) else {
        eprintln!("skipped: it takes root and unshare");
        return;
    };
    until("the server to be PID 1", || {
        assert!(unshare.try_wait().unwrap().is_none(), "unshare does not work here");
        node.ready()
    });
    let server = children(unshare.id())[0].0;
    until("the orphans to be gone", || children(server).is_empty());
    assert!(Command::new("kill").args(["-TERM", &server.to_string()]).status().unwrap().success());
    assert_eq!(unshare.wait().unwrap().code(), Some(0));
}

#[test]
fn root_is_given_up_and_gives_nothing_away() {
    // The entrypoint looks after the image's directories; this machine's own are none of its business.
    let places = ["/var/lib/scratchbird", "/var/log/scratchbird", "/backup"];
    let foreign = |place: &str| fs::symlink_metadata(place).is_ok_and(|found| found.uid() != 1000);
    if !is_root() || places.iter().any(|place| foreign(place)) {
        eprintln!("skipped: it takes root, and a machine without {places:?}");
        return;
    }
    let mut node = Node::new(&[]);
    fs::set_permissions(node.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let entrypoint = |node: &Node| {
        let serve = node.command();
        let mut command = scratchbird();
        command.arg("entrypoint").args(serve.get_args()).env("SCRATCHBIRD_PASSWORD", common::PASSWORD);
        let socket = node.directory.path().join("socket");
        let _ = fs::create_dir(&socket);
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
        command.arg("-k").arg(&socket).stderr(Stdio::piped());
        command
    };
    let listens = |node: &Node| {
        let mut command = scratchbird();
        command.args(["ready", "-q", "-h", "127.0.0.1", "-p", &node.port.to_string()]);
        command.status().unwrap().success()
    };
    node.child = Some(entrypoint(&node).spawn().unwrap());
    until("the server to accept connections", || listens(&node));
    let pid = node.child.as_ref().unwrap().id();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().trim().to_owned();
    assert_eq!(line("Uid:"), "Uid:\t1000\t1000\t1000\t1000");
    assert_eq!(line("Gid:"), "Gid:\t1000\t1000\t1000\t1000");
    assert_eq!(line("Groups:"), "Groups:");
    assert_eq!(line("CapEff:"), "CapEff:\t0000000000000000");
    node.signal("-TERM");
    assert_eq!(node.wait().code(), Some(0));
    // What the server's user could plant there must not make root give other files away.
    let base = format!("{}/base", node.data());
    let outside = node.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    for name in ["file", "linked"] {
        fs::write(outside.join(name), "root's").unwrap();
    }
    symlink(&outside, format!("{base}/directory")).unwrap();
    symlink(outside.join("file"), format!("{base}/file")).unwrap();
    fs::hard_link(outside.join("linked"), format!("{base}/linked")).unwrap();
    std::os::unix::fs::chown(format!("{base}/1.db"), Some(0), Some(0)).unwrap();
    node.child = Some(entrypoint(&node).spawn().unwrap());
    until("the server to accept connections", || listens(&node));
    for name in ["", "file", "linked"] {
        assert_eq!(fs::metadata(outside.join(name)).unwrap().uid(), 0, "`{name}` was given away");
    }
    assert_eq!(fs::metadata(format!("{base}/1.db")).unwrap().uid(), 1000);
    // A wrong directory is refused before it changes hands.
    let (code, text) = outcome(scratchbird().args(["entrypoint", "serve", "-D"]).arg(node.directory.path()));
    assert!(code == Some(1) && text.contains("is no ScratchBird data directory"), "{text}");
    let link = node.directory.path().join("link");
    symlink(node.data(), &link).unwrap();
    node.signal("-TERM");
    assert_eq!(node.wait().code(), Some(0));
    let (code, text) = outcome(scratchbird().args(["entrypoint", "serve", "-D"]).arg(&link));
    assert!(code == Some(1) && text.contains("link` the server's"), "{text}");
    assert_eq!(fs::metadata(node.directory.path()).unwrap().uid(), 0);
}
