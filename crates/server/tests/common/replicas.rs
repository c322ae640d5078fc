//! Several servers that replicate, and a cable between them that can be cut.
#![allow(missing_docs, dead_code, reason = "each test binary uses a part of the harness")]

use crate::common::{Node, PASSWORD, rows, run, until};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A port below those that the kernel gives to outgoing connections: a replica that tries to reach a server that is down
/// would take its port otherwise.
pub fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::SeqCst) * 37 + u64::from(std::process::id()) * 101;
        let port = u16::try_from(20_000 + number % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server at a port of its own.
fn node(flags: &[&str]) -> Node {
    let mut node = Node::new(flags);
    node.port = free_port();
    node
}

/// A primary; more flags after those that every one has.
pub fn primary(flags: &[&str]) -> Node {
    let mut node = primary_node(flags);
    node.launch();
    node
}

/// A primary that is not started yet.
pub fn primary_node(flags: &[&str]) -> Node {
    node(&[&["-c", "replication_mode=primary"], LOGIN, flags].concat())
}

const LOGIN: &[&str] = &["-c", "replication_user=walker", "-c", "replication_password=w4lk"];

/// A replica of whatever listens on these ports of this machine; it is not started yet.
pub fn replica(ports: &[u16], flags: &[&str]) -> Node {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let hosts = format!("primary_host={}", hosts.join(","));
    node(&[&["-c", "replication_mode=replica", "-c", hosts.as_str()], LOGIN, flags].concat())
}

/// What a query gives, by a connection of its own; an error as its text.
pub fn ask(node: &Node, sql: &str) -> String {
    ask_in(node, "scratchbird", sql)
}

pub fn ask_in(node: &Node, database: &str, sql: &str) -> String {
    run(async {
        let mut config = node.config();
        config.dbname(database).connect_timeout(Duration::from_secs(5));
        let client = match crate::common::connect(&config).await {
            Ok(client) => client,
            Err(error) => return format!("error: {error}"),
        };
        match client.simple_query(sql).await {
            Ok(messages) => rows(messages),
            Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
        }
    })
}

/// Runs statements for their effect; they must succeed.
pub fn run_sql(node: &Node, sql: &str) {
    run(async {
        let client = node.connect().await;
        for statement in sql.split("; ") {
            client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
    });
}

/// Waits until a replica has everything that the primary has now.
pub fn caught_up(primary: &Node, replica: &Node) {
    let end = ask(primary, "SELECT pg_current_wal_lsn()");
    until("the replica to catch up", || {
        // The capture is a moment behind the commit.
        let now = ask(primary, "SELECT pg_current_wal_lsn()");
        let there = ask(replica, &format!("SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '{now}') >= 0"));
        now >= end && there == "t"
    });
}

/// The same query gives the same on both, sooner or later.
pub fn same(primary: &Node, replica: &Node, sql: &str) {
    let expect = ask(primary, sql);
    let mut got = String::new();
    let deadline = std::time::Instant::now() + crate::common::PATIENCE;
    while got != expect {
        assert!(
            std::time::Instant::now() < deadline,
            "{sql}: {got:?} on the replica, {expect:?} on the primary"
        );
        std::thread::sleep(Duration::from_millis(20));
        got = ask(replica, sql);
    }
}

/// Stops both and compares every page of every database: nothing may differ but what SQLite counts for itself.
pub fn compare_files(primary: &mut Node, replica: &mut Node) {
    caught_up(primary, replica);
    // Once more after the primary's last words.
    for node in [&mut *primary, &mut *replica] {
        std::thread::sleep(Duration::from_millis(300));
        node.signal("-TERM");
        assert!(node.wait().success());
    }
    let names = |node: &Node| {
        let entries = std::fs::read_dir(format!("{}/base", node.data())).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".db"));
        names.sort();
        names
    };
    let (a, b) = (names(primary), names(replica));
    assert_eq!(a, b, "the databases");
    for name in a.iter().map(|name| format!("base/{name}")).chain(["global.db".to_owned()]) {
        let [mut a, mut b] = [&*primary, &*replica].map(|node| {
            let path = format!("{}/{name}", node.data());
            let wal = std::fs::metadata(format!("{path}-wal")).map_or(0, |metadata| metadata.len());
            assert_eq!(wal, 0, "{path} was not checkpointed");
            std::fs::read(path).unwrap()
        });
        for file in [&mut a, &mut b] {
            file[24..28].fill(0);
            file[92..100].fill(0);
        }
        assert_eq!(a.len(), b.len(), "the size of {name}");
        let page = a.chunks(4096).zip(b.chunks(4096)).position(|(a, b)| a != b);
        assert_eq!(page, None, "a page of {name} differs");
    }
}

pub fn applet(node: &Node, args: &[&str]) -> (Option<i32>, String) {
    let mut command = crate::common::scratchbird();
    command.args(args).args(["-D", &node.data()]).env("SCRATCHBIRD_PASSWORD", PASSWORD);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

pub fn get(port: u16, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return (0, String::new()) };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = write!(stream, "GET {path} HTTP/1.0\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// A cable: everything that comes goes on to a port, as long and as fast as it is told.
pub struct Cable {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    to: u16,
    /// New connections are refused, old ones are closed.
    cut: AtomicBool,
    /// Nothing goes through, and nobody is told.
    frozen: AtomicBool,
    /// Milliseconds for each piece.
    delay: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Cable {
    pub fn to(port: u16) -> Self {
        let own = free_port();
        let listener = TcpListener::bind(("127.0.0.1", own)).unwrap();
        let state = Arc::new(State {
            to: port,
            cut: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
            delay: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if shared.cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(other) = TcpStream::connect(("127.0.0.1", shared.to)) else { continue };
                for (from, to) in [(&stream, &other), (&other, &stream)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    shared.open.lock().unwrap().push(from.try_clone().unwrap());
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || pump(&shared, from, to));
                }
            }
        });
        Self { port: own, state }
    }

    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    pub fn freeze(&self) {
        self.state.frozen.store(true, Ordering::SeqCst);
    }

    pub fn slow(&self, milliseconds: u64) {
        self.state.delay.store(milliseconds, Ordering::SeqCst);
    }

    /// Everything new goes through again; what was frozen stays lost.
    pub fn mend(&self) {
        self.state.frozen.store(false, Ordering::SeqCst);
        self.state.cut.store(false, Ordering::SeqCst);
        self.slow(0);
    }
}

fn pump(state: &State, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if state.frozen.load(Ordering::SeqCst) {
            continue;
        }
        let delay = state.delay.load(Ordering::SeqCst);
        if delay > 0 {
            std::thread::sleep(Duration::from_millis(delay));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Does something as a shell would, for tools that are not ours.
pub fn shell(script: &str) -> bool {
    Command::new("sh").args(["-c", script]).status().is_ok_and(|status| status.success())
}
