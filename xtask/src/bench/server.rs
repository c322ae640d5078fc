//! `cargo xtask bench server`: the server against PostgreSQL, both on this machine, both with fsync on.
//!
//! 1. Both start on data directories of their own and get pgbench's tables.
//! 2. pgbench runs a fixed number of transactions on one, then on the other, round by round.
//! 3. Each then starts anew, until psql has its first answer.
//! 4. Memory and the program's size are read once: they don't vary.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use plan::Selection;

use super::{Contender, Figure, Table, machine, nothing, race};
use crate::build;
use crate::facts::{self, Workspace};
use crate::ui::Ui;

/// A workload of pgbench.
struct Case {
    ours: &'static str,
    theirs: &'static str,
    script: &'static str,
    mode: &'static str,
    clients: u32,
    /// Per client, seconds' worth: starting is no part of it.
    transactions: u32,
}

macro_rules! case {
    ($script:literal, $mode:literal, $clients:literal, $transactions:literal) => {
        Case {
            ours: concat!($script, ", ", $mode, ", clients: ", $clients),
            theirs: concat!("PostgreSQL: ", $script, ", ", $mode, ", clients: ", $clients),
            script: $script,
            mode: $mode,
            clients: $clients,
            transactions: $transactions,
        }
    };
}

/// pgbench's built-in scripts by their own names.
const CASES: [Case; 8] = [
    case!("select-only", "simple", 1, 40_000),
    case!("select-only", "prepared", 1, 40_000),
    case!("select-only", "simple", 8, 10_000),
    case!("select-only", "prepared", 8, 10_000),
    case!("tpcb-like", "simple", 1, 2_000),
    case!("tpcb-like", "prepared", 1, 2_000),
    case!("tpcb-like", "simple", 8, 1_000),
    case!("tpcb-like", "prepared", 8, 1_000),
];

/// pgbench's factor: 100,000 accounts each.
const SCALE: &str = "10";
const START: &str = "start to first answer";
const START_THEIRS: &str = "PostgreSQL: start to first answer";
/// Idle clients whose memory is counted.
const IDLE: u64 = 500;

/// Measures.
pub fn bench(workspace: &Workspace, rounds: u32, ui: &Ui) -> Result<Table> {
    let programs = Programs::find()?;
    let spec = workspace.spec()?;
    let facts = workspace.facts(&spec)?;
    let selection = Selection { variants: vec!["distroless".into()], ..Selection::default() };
    let plan = plan::plan(&spec, &facts, &selection)?;
    let target = &plan.targets[0];
    build::prepare(workspace, &plan.targets, false, ui)?;
    let built = build::build(workspace, target, false, ui)?;
    let binary = built.binaries.values().next().context("the server was not built")?.source.clone();
    // Not below the workspace: PostgreSQL's own user has to reach it.
    let temp = tempfile::tempdir()?;
    open_to_all(temp.path())?;
    let ours = Contestant::ours(&binary.path, temp.path())?;
    let theirs = Contestant::postgres(&programs, temp.path())?;
    let (running_ours, running_theirs) = (ours.start()?, theirs.start()?);
    for contestant in [&ours, &theirs] {
        contestant.pgbench(&programs, &["--initialize", "--quiet", "--scale", SCALE])?;
    }
    let mut contenders = Vec::new();
    for case in &CASES {
        for (what, against, contestant) in [(case.ours, None, &ours), (case.theirs, Some(case.ours), &theirs)]
        {
            let programs = &programs;
            contenders.push(Contender {
                what,
                against,
                prepare: nothing(),
                run: Box::new(move || contestant.run(programs, case)),
            });
        }
    }
    let mut rows = race(&mut contenders, rounds, ui)?;
    drop(contenders);
    let mut figures = vec![Figure::new("the program", "MB", binary.size as f64 / 1e6)];
    figures.push(Figure::new("the server's memory after pgbench", "MB", running_ours.memory()?));
    drop((running_ours, running_theirs));
    rows.extend(race_starts(&ours, &theirs, &programs, rounds, ui)?);
    figures.extend(memory(&ours)?);
    let sh = workspace.shell()?;
    Ok(Table { machine: machine(&sh), rows, figures, skipped: Vec::new() })
}

fn race_starts(
    ours: &Contestant,
    theirs: &Contestant,
    programs: &Programs,
    rounds: u32,
    ui: &Ui,
) -> Result<Vec<super::Row>> {
    let contender = |what, against, contestant| {
        let running = std::rc::Rc::new(std::cell::RefCell::new(None));
        let stopped = std::rc::Rc::clone(&running);
        Contender {
            what,
            against,
            prepare: Box::new(move || {
                stopped.replace(None);
                Ok(())
            }),
            run: Box::new(move || {
                running.replace(Some(Contestant::start(contestant)?));
                contestant.first_answer(programs)
            }),
        }
    };
    race(&mut [contender(START, None, ours), contender(START_THEIRS, Some(START), theirs)], rounds, ui)
}

/// The memory of a fresh server, and what idle clients add.
fn memory(ours: &Contestant) -> Result<Vec<Figure>> {
    let running = ours.start()?;
    let fresh = running.memory()?;
    let mut clients = Vec::new();
    for _ in 0..IDLE {
        clients.push(ours.log_in()?);
    }
    // A session lays down what it can do without once its client was silent for five seconds.
    std::thread::sleep(Duration::from_secs(7));
    let full = running.memory()?;
    Ok(vec![
        Figure::new("memory of a fresh server", "MB", fresh),
        Figure::new("memory with 500 idle clients", "MB", full),
    ])
}

/// PostgreSQL's programs.
struct Programs {
    bin: PathBuf,
}

impl Programs {
    fn find() -> Result<Programs> {
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
        folders.sort();
        folders.extend(facts::find_program("postgres").and_then(|path| path.parent().map(Path::to_path_buf)));
        let complete = |bin: &PathBuf| {
            ["initdb", "postgres", "pgbench", "psql"].iter().all(|name| bin.join(name).exists())
        };
        let bin = folders.into_iter().rev().find(complete);
        let bin = bin.context(
            "there is no PostgreSQL with initdb, postgres, psql and pgbench to compare with; on Debian run `apt-get install postgresql`",
        )?;
        Ok(Programs { bin })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// One of the two servers.
struct Contestant {
    program: PathBuf,
    arguments: Vec<String>,
    /// Whose process it is, if not the caller's: PostgreSQL will not be root's.
    user: Option<&'static str>,
    /// A database that is there from the start.
    database: &'static str,
    port: u16,
}

const USER: &str = "bench";

impl Contestant {
    fn ours(binary: &Path, temp: &Path) -> Result<Contestant> {
        let port = free_port()?;
        let dir = temp.join("scratchbird");
        let arguments = ["serve", "-D", path_text(&dir)?, "-h", "127.0.0.1", "-k", path_text(temp)?]
            .map(String::from)
            .into_iter()
            .chain(["-p".into(), port.to_string(), "-U".into(), USER.into()])
            .chain(["max_connections=600", "host_auth_method=trust"].map(|s| format!("--{s}")))
            .collect();
        Ok(Contestant { program: binary.to_path_buf(), arguments, user: None, database: USER, port })
    }

    fn postgres(programs: &Programs, temp: &Path) -> Result<Contestant> {
        let port = free_port()?;
        let dir = temp.join("postgres");
        std::fs::create_dir(&dir)?;
        let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?) == 0;
        let user = root.then_some("postgres");
        if let Some(user) = user {
            duct::cmd!("chown", user, &dir).run()?;
        }
        let dir = path_text(&dir)?;
        let initdb = ["-D", dir, "--auth", "trust", "--username", USER].map(String::from);
        as_user(user, &programs.path("initdb"), &initdb).stdout_null().run().context("initdb")?;
        let arguments = ["-D", dir, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
            .map(String::from)
            .into_iter()
            .chain(["-p".into(), port.to_string()])
            .collect();
        let postgres =
            Contestant { program: programs.path("postgres"), arguments, user, database: "postgres", port };
        let running = postgres.start()?;
        postgres.psql(programs, "postgres", "CREATE DATABASE bench")?;
        drop(running);
        Ok(postgres)
    }

    fn start(&self) -> Result<Running> {
        let process = as_user(self.user, &self.program, &self.arguments)
            .stdout_null()
            .stderr_null()
            .unchecked()
            .start()
            .with_context(|| self.program.display().to_string())?;
        let running = Running { process };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.answers() {
            let shown = self.program.display();
            ensure!(running.process.try_wait()?.is_none(), "{shown} ended when it was to start");
            ensure!(Instant::now() < deadline, "{shown} does not answer on port {}", self.port);
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(running)
    }

    /// Whether it takes a login: a port can be open before the server is.
    fn answers(&self) -> bool {
        self.log_in().is_ok()
    }

    /// A session as PostgreSQL's startup message opens it, without a password.
    fn log_in(&self) -> Result<TcpStream> {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let mut message = 196_608_u32.to_be_bytes().to_vec();
        for text in ["user", USER, "database", self.database, ""] {
            message.extend(text.as_bytes());
            message.push(0);
        }
        let length = u32::try_from(message.len() + 4)?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&message)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        loop {
            let mut head = [0; 5];
            stream.read_exact(&mut head)?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]).saturating_sub(4);
            let mut body = vec![0; length as usize];
            stream.read_exact(&mut body)?;
            match head[0] {
                b'Z' => return Ok(stream),
                b'E' => bail!("refused: {}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }

    fn psql(&self, programs: &Programs, database: &str, sql: &str) -> Result<()> {
        let port = self.port.to_string();
        let psql = programs.path("psql");
        duct::cmd!(psql, "-qX", "-h", "127.0.0.1", "-p", port, "-U", USER, "-d", database, "-c", sql)
            .stdout_null()
            .stderr_capture()
            .run()
            .with_context(|| format!("psql -c {sql:?}"))?;
        Ok(())
    }

    fn first_answer(&self, programs: &Programs) -> Result<()> {
        self.psql(programs, USER, "SELECT count(*) FROM pgbench_branches")
    }

    fn pgbench(&self, programs: &Programs, options: &[&str]) -> Result<()> {
        let port = self.port.to_string();
        let address = ["-h", "127.0.0.1", "-p", &port, "-U", USER];
        let output = duct::cmd(programs.path("pgbench"), address.iter().chain(options).chain(&[USER]))
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        ensure!(output.status.success(), "pgbench {}: {last}", options.join(" "));
        Ok(())
    }

    fn run(&self, programs: &Programs, case: &Case) -> Result<()> {
        let (clients, transactions) = (case.clients.to_string(), case.transactions.to_string());
        let threads = case.clients.min(2).to_string();
        self.pgbench(
            programs,
            &[
                "--no-vacuum",
                "--builtin",
                case.script,
                "--protocol",
                case.mode,
                "--client",
                &clients,
                "--jobs",
                &threads,
                "--transactions",
                &transactions,
            ],
        )
    }
}

/// A server that stops with this value.
struct Running {
    process: duct::Handle,
}

impl Running {
    /// What the process keeps in memory, in MB (`VmRSS` of proc(5)).
    fn memory(&self) -> Result<f64> {
        let pid = *self.process.pids().first().context("the server has no process")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kilobytes = status.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
        });
        Ok(kilobytes.context("/proc has no VmRSS")? * 1024.0 / 1e6)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.process.pids() {
            // SIGINT is the fast shutdown of both.
            let _ = duct::cmd!("kill", "-INT", pid.to_string()).unchecked().run();
        }
        let _ = self.process.wait();
    }
}

fn as_user(user: Option<&str>, program: &Path, arguments: &[String]) -> duct::Expression {
    match user {
        // It replaces itself by the program: signals reach that.
        Some(user) => duct::cmd(
            "setpriv",
            ["--reuid", user, "--regid", user, "--init-groups", "--"]
                .map(std::ffi::OsString::from)
                .into_iter()
                .chain([program.as_os_str().to_owned()])
                .chain(arguments.iter().map(std::ffi::OsString::from)),
        )
        .dir("/"),
        None => duct::cmd(program, arguments),
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))
}

fn open_to_all(dir: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777))?)
}
