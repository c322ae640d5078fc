//! `cargo xtask bench container`: what a container costs the server, against the same program without one.
//!
//! 1. Starts: from `docker run` to the first answered query, on an empty volume and on one with a cluster. What the
//!    engine itself takes is measured beside it, with the same image doing nothing, and subtracted.
//! 2. Work: pgbench on the container, from within its own network as a neighbour in a pod, and on the image's own
//!    program, started bare on this machine, in turns. What the engine's network and a published port cost on top of
//!    that is raced by itself.
//! 3. How long probes take while 100 clients compute.
//! 4. Processor time, memory and bytes written of the two server processes for the same work, read once.

mod goals;
mod probes;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Contender, Figure, Table, machine, nothing, race};
use crate::engine::Engine;
use crate::facts::{self, Workspace};
use crate::ui::Ui;

const PASSWORD: &str = "bench";
const DATA: &str = "/var/lib/scratchbird/data";
const EMPTY: &str = "docker run of nothing";
const FIRST: &str = "first start to first answer";
const LATER: &str = "later start to first answer";
/// Script, clients and transactions of each; about a second's worth.
const WORK: [(&str, &str, &str, &str, &str); 3] = [
    ("bare: select-only, clients: 1", "container: select-only, clients: 1", "select-only", "1", "20000"),
    ("bare: select-only, clients: 8", "container: select-only, clients: 8", "select-only", "8", "5000"),
    ("bare: tpcb-like, clients: 8", "container: tpcb-like, clients: 8", "tpcb-like", "8", "300"),
];

/// Where a server listens.
#[derive(Clone, PartialEq, Eq)]
struct Address {
    host: String,
    port: u16,
    /// The process whose network it is, where that is not this machine's.
    within: Option<String>,
}

impl Address {
    fn local(port: u16) -> Address {
        Address { host: "127.0.0.1".into(), port, within: None }
    }
}

/// The ways into a container, by the same work.
const WAYS: [&str; 3] = [
    "from within: select-only, clients: 8, again",
    "the engine's network: select-only, clients: 8",
    "a published port: select-only, clients: 8",
];

/// Measures.
pub fn bench(workspace: &Workspace, image: &str, rounds: u32, ui: &Ui) -> Result<Table> {
    let engine = Engine::find()?;
    let psql =
        facts::find_program("psql").context("no psql; on Debian run `apt-get install postgresql-client`")?;
    let pgbench = facts::find_program("pgbench")
        .or_else(|| Some(PathBuf::from("/usr/lib/postgresql/15/bin/pgbench")).filter(|path| path.exists()))
        .context("no pgbench; on Debian run `apt-get install postgresql-contrib`")?;
    let scene = Scene { engine: &engine, image, psql, pgbench, id: format!("bench-{}", std::process::id()) };
    let result = scene.measure(workspace, rounds, ui);
    scene.sweep();
    result
}

struct Scene<'a> {
    engine: &'a Engine,
    image: &'a str,
    psql: PathBuf,
    pgbench: PathBuf,
    id: String,
}

impl Scene<'_> {
    fn measure(&self, workspace: &Workspace, rounds: u32, ui: &Ui) -> Result<Table> {
        let mut starts = [
            Contender {
                what: EMPTY,
                against: None,
                prepare: Box::new(|| self.remove(true)),
                run: Box::new(|| self.start(&["--version"])),
            },
            Contender {
                what: FIRST,
                against: None,
                prepare: Box::new(|| self.remove(true)),
                run: Box::new(|| self.start(&[]).and_then(|()| self.answered(&Address::local(self.port()?)))),
            },
            Contender {
                what: LATER,
                against: None,
                prepare: Box::new(|| self.remove(false)),
                run: Box::new(|| self.start(&[]).and_then(|()| self.answered(&Address::local(self.port()?)))),
            },
        ];
        let mut rows = race(&mut starts, rounds, ui)?;
        drop(starts);
        let seconds = |what: &str| rows.iter().find(|row| row.what == what).map_or(0.0, |row| row.seconds);
        let mut figures = vec![
            Figure::new(
                "first start beyond the engine's own (goal 150)",
                "ms",
                (seconds(FIRST) - seconds(EMPTY)) * 1e3,
            ),
            Figure::new(
                "later start beyond the engine's own (goal 50)",
                "ms",
                (seconds(LATER) - seconds(EMPTY)) * 1e3,
            ),
        ];
        // The container of the last round still runs; the same program runs beside it.
        let temp = tempfile::tempdir()?;
        let bare = self.bare(temp.path())?;
        let inner = self.engine.output(&["inspect", "--format", "{{.State.Pid}}", &self.id])?;
        let within = self.within(&inner)?;
        let contestants =
            [("bare", Address::local(bare.port), bare.child.id().to_string()), ("container", within, inner)];
        for (_, address, _) in &contestants {
            self.answered(address)?;
            self.run_pgbench(address, &["--initialize", "--quiet", "--scale", "10"])?;
        }
        let before: Vec<_> = contestants.iter().map(|(_, _, pid)| Usage::read(pid)).collect();
        let mut contenders = Vec::new();
        for (bare, container, script, clients, transactions) in WORK {
            for (what, against, address) in
                [(bare, None, contestants[0].1.clone()), (container, Some(bare), contestants[1].1.clone())]
            {
                let args =
                    ["--builtin", script, "--client", clients, "--jobs", "2", "--transactions", transactions];
                contenders.push(Contender {
                    what,
                    against,
                    prepare: nothing(),
                    run: Box::new(move || self.run_pgbench(&address, &args)),
                });
            }
        }
        rows.extend(race(&mut contenders, rounds, ui)?);
        drop(contenders);
        let mut skipped = Vec::new();
        let mut used = Vec::new();
        for ((name, _, pid), before) in contestants.iter().zip(before) {
            match (before, Usage::read(pid)) {
                (Some(before), Some(after)) => {
                    let usage = Usage {
                        cpu: after.cpu - before.cpu,
                        written: after.written - before.written,
                        memory: after.memory,
                    };
                    figures.extend([
                        Figure::new(&format!("{name}: processor time of all rounds"), "s", usage.cpu),
                        Figure::new(&format!("{name}: written in all rounds"), "MB", usage.written / 1e6),
                        Figure::new(&format!("{name}: memory afterwards"), "MB", usage.memory / 1e6),
                    ]);
                    used.push(usage);
                }
                _ => skipped.push(format!(
                    "{name}: processor, memory and writes: its process can't be seen from here"
                )),
            }
        }
        if let [bare, container] = &used[..] {
            figures.extend(goals::of_usage(bare, container));
        }
        figures.extend(goals::of_work(&rows));
        rows.extend(self.ways(&contestants[1].1, rounds, ui)?);
        figures.extend(probes::beside_work(self)?);
        let sh = workspace.shell()?;
        Ok(Table { machine: machine(&sh), rows, figures, skipped })
    }

    /// The same work by each way in.
    fn ways(&self, within: &Address, rounds: u32, ui: &Ui) -> Result<Vec<super::Row>> {
        let (_, _, script, clients, transactions) = WORK[1];
        let args = ["--builtin", script, "--client", clients, "--jobs", "2", "--transactions", transactions];
        let addresses = [within.clone(), self.inner()?, Address::local(self.port()?)];
        let contender = |(what, address): (&'static str, &'_ Address)| Contender {
            what,
            against: (what != WAYS[0]).then_some(WAYS[0]),
            prepare: nothing(),
            run: Box::new({
                let address = address.clone();
                move || self.run_pgbench(&address, &args)
            }),
        };
        race(&mut WAYS.into_iter().zip(&addresses).map(contender).collect::<Vec<_>>(), rounds, ui)
    }

    fn start(&self, command: &[&str]) -> Result<()> {
        let volume = format!("{}-data:{DATA}", self.id);
        let password = format!("SCRATCHBIRD_PASSWORD={PASSWORD}");
        let run = [
            "run",
            "--detach",
            "--name",
            &self.id,
            "--publish",
            "127.0.0.1::5432",
            "--volume",
            &volume,
            "--env",
        ];
        self.engine.output(&[&run[..], &[&password, self.image], command].concat()).map(drop)
    }

    /// Removes the container, and the volume too for a first start.
    fn remove(&self, volume: bool) -> Result<()> {
        // It may not be there yet.
        let _ = self.engine.output(&["rm", "--force", &self.id]);
        if volume {
            let _ = self.engine.output(&["volume", "rm", "--force", &format!("{}-data", self.id)]);
            return Ok(());
        }
        // A start on a cluster needs one.
        self.start(&[])?;
        self.answered(&Address::local(self.port()?))?;
        self.engine.output(&["stop", &self.id])?;
        self.engine.output(&["rm", &self.id]).map(drop)
    }

    fn sweep(&self) {
        // What never came to be can't be removed.
        let _ = self.engine.output(&["rm", "--force", &self.id]);
        let _ = self.engine.output(&["volume", "rm", "--force", &format!("{}-data", self.id)]);
    }

    fn port(&self) -> Result<u16> {
        let address = self.engine.output(&["port", &self.id, "5432/tcp"])?;
        let port =
            address.lines().next().and_then(|line| line.rsplit_once(':')).context("no port is published")?.1;
        Ok(port.parse()?)
    }

    /// Where it listens in the engine's own network, which this machine is part of.
    fn inner(&self) -> Result<Address> {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let addresses = self.engine.output(&["inspect", "--format", format, &self.id])?;
        let host = addresses.split_whitespace().next().context("the container has no address of its own")?;
        Ok(Address { host: host.into(), port: 5432, within: None })
    }

    /// Where it listens for its neighbours in one network, such as the other containers of a pod.
    fn within(&self, pid: &str) -> Result<Address> {
        let address = Address { within: Some(pid.into()), ..Address::local(5432) };
        let enters = self.client(&address, Path::new("true")).status().is_ok_and(|status| status.success());
        if enters { Ok(address) } else { self.inner() }
    }

    /// A client program that sees the network of an address.
    fn client(&self, address: &Address, program: &Path) -> Command {
        let Some(pid) = &address.within else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.args(["--target", pid, "--net", "--"]).arg(program).stderr(Stdio::null());
        command
    }

    /// Waits for the first answered query.
    fn answered(&self, address: &Address) -> Result<()> {
        let Address { host, port, .. } = address;
        let deadline = Instant::now() + Duration::from_secs(60);
        let target = format!("host={host} port={port} user=scratchbird dbname=scratchbird sslmode=disable");
        loop {
            let output = self
                .client(address, &self.psql)
                .args(["-XAtqc", "select 1", &target])
                .env("PGPASSWORD", PASSWORD)
                .stdin(Stdio::null())
                .output()?;
            if output.stdout == b"1\n" {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("no answer within a minute: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn run_pgbench(&self, address: &Address, args: &[&str]) -> Result<()> {
        let Address { host, port, .. } = address;
        let output = self
            .client(address, &self.pgbench)
            .args(["-h", host, "-p", &port.to_string(), "-U", "scratchbird", "-n"])
            .args(args)
            .arg("scratchbird")
            .env("PGPASSWORD", PASSWORD)
            .output()?;
        ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// The image's own program, without a container.
    fn bare(&self, directory: &Path) -> Result<Bare> {
        let program = directory.join("scratchbird");
        let from = format!("{}:/usr/local/bin/scratchbird", self.id);
        self.engine.output(&["cp", &from, &program.display().to_string()])?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(&program)
            .args(["serve", "-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
            .arg(directory)
            .arg("-D")
            .arg(directory.join("data"))
            .env("SCRATCHBIRD_PASSWORD", PASSWORD)
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("`{}` does not start", program.display()))?;
        Ok(Bare { child, port })
    }
}

/// A server that ends with this value.
struct Bare {
    child: Child,
    port: u16,
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used, as far as Linux tells.
struct Usage {
    /// In seconds.
    cpu: f64,
    /// In bytes.
    written: f64,
    /// In bytes.
    memory: f64,
}

impl Usage {
    fn read(pid: &str) -> Option<Usage> {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let number = |text: &str, name: &str| -> Option<f64> {
            text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
        };
        let stat = read("stat")?;
        // After the name, which may hold anything, user and system time are the 12th and 13th field.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some(Usage {
            // Linux counts a hundred of them a second for user space, whatever its own clock does.
            cpu: ticks / 100.0,
            written: number(&read("io")?, "write_bytes:")?,
            memory: number(&read("status")?, "VmRSS:")? * 1024.0,
        })
    }
}
