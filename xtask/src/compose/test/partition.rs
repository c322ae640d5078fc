//! Links fail, one after the other, while a client writes in synchronous mode: what was acknowledged stays, whoever
//! is cut off, and of two primaries only the later one takes writes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use duct::cmd;
use serde_json::json;

use super::running::Running;
use super::{Scene, need};
use crate::verify::skip;

const PATIENCE: Duration = Duration::from_secs(30);
/// Slower than this client writes, so that the link is what everybody waits for.
const SLOW: &[&str] = &["tbf", "rate", "128kbit", "burst", "4kb", "latency", "2s"];

pub fn links_fail(scene: &Scene) -> Result<()> {
    for (program, package) in [("nsenter", "util-linux"), ("ip", "iproute2"), ("tc", "iproute2")] {
        need(program, package)?;
    }
    let settings = json!({
        "SCRATCHBIRD_SYNCHRONOUS_REPLICAS": "1",
        "SCRATCHBIRD_REPLICATION_TIMEOUT": "2s",
    });
    let mut change = json!({});
    for name in ["db", "replica-1", "replica-2"] {
        change["services"][name]["environment"] = settings.clone();
    }
    let running = Running::start(scene, "multi-node", &[], &change)?;
    if inside(&running, "db", &["ip", "link", "set", "eth0", "up"]).is_err() {
        return skip("only root may change a container's link");
    }
    let write = running.port("WRITE_PORT")?;
    running.until(
        write,
        "create table if not exists kept (n bigint primary key); select 1",
        "1",
        PATIENCE,
    )?;
    let writer = Writer::new(&running, write);
    std::thread::scope(|scope| {
        scope.spawn(|| writer.run());
        let told = tell(&running, &writer);
        writer.stop.store(true, Ordering::SeqCst);
        told
    })?;
    // Everything that was acknowledged is there, in what the clients reach now.
    let rows = running.query(write, "select n from kept order by n")?;
    let rows: Vec<i64> = rows.lines().map(str::parse).collect::<Result<_, _>>()?;
    let lost: Vec<i64> = writer.acknowledged().into_iter().filter(|n| !rows.contains(n)).collect();
    ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    ensure!(!rows.contains(&-1), "what the cut-off primary never acknowledged came through");
    Ok(())
}

/// What happens to the links.
fn tell(running: &Running, writer: &Writer) -> Result<()> {
    let link = |service: &str, state: &str| inside(running, service, &["ip", "link", "set", "eth0", state]);
    writer.goes_on("at first")?;

    inside(running, "db", &[&["tc", "qdisc", "add", "dev", "eth0", "root"], SLOW].concat())?;
    writer.goes_on("over a slow link")?;
    inside(running, "db", &["tc", "qdisc", "del", "dev", "eth0", "root"])?;

    link("replica-1", "down")?;
    writer.goes_on("with one replica cut off")?;
    link("replica-2", "down")?;
    writer.stands_still()?;
    link("replica-1", "up")?;
    writer.goes_on("when a replica is back")?;
    link("replica-2", "up")?;
    let connected = "select count(*) from pg_stat_replication";
    running.until(writer.port, connected, "2", PATIENCE)?;

    // The primary is cut off from everybody but itself.
    link("db", "down")?;
    let alone = ask(running, "db", "set statement_timeout = '1s'; insert into kept values (-1)")?;
    ensure!(
        alone.contains("while the commit waited for a replica"),
        "a primary that nobody hears acknowledges: {alone}"
    );
    let mut best = (0, "");
    for name in ["replica-1", "replica-2"] {
        let place = ask(running, name, "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')")?;
        best = best.max((place.trim().parse::<i64>().with_context(|| place.clone())?, name));
    }
    let start = Instant::now();
    running.compose.output(&["exec", "-T", best.1, "scratchbird", "promote"])?;
    writer.goes_on("with another primary")?;
    let pause = start.elapsed();
    ensure!(pause < Duration::from_secs(10), "clients could not write for {:.1} s", pause.as_secs_f64());

    // It comes back, and learns that there is another one.
    link("db", "up")?;
    let start = Instant::now();
    loop {
        let refused = ask(running, "db", "insert into kept values (-2)")?;
        if refused.contains("Another server was promoted") {
            break;
        }
        if start.elapsed() > PATIENCE {
            bail!("the old primary is not fenced: {refused}");
        }
    }
    writer.goes_on("with the old primary back")
}

/// Runs a program of this machine in the network namespace of a service's container.
fn inside(running: &Running, service: &str, command: &[&str]) -> Result<()> {
    let pid = running.inspect(service)?["State"]["Pid"].to_string();
    let words = ["--target", &pid, "--net"].into_iter().chain(command.iter().copied());
    cmd("nsenter", words).stdout_null().run().with_context(|| format!("{service}: {}", command.join(" ")))?;
    Ok(())
}

/// What the server in a service's container answers on its own socket, or the error.
fn ask(running: &Running, service: &str, sql: &str) -> Result<String> {
    let psql =
        ["exec", "-T", service, "psql", "-XAtq", "-U", "scratchbird", "-v", "VERBOSITY=verbose", "-c", sql];
    let output = running.compose.raw(&psql)?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A client that writes one number after the other, each by a connection of its own, and knows which were acknowledged.
struct Writer<'a> {
    running: &'a Running<'a>,
    port: u16,
    stop: AtomicBool,
    acknowledged: Mutex<Vec<i64>>,
}

impl<'a> Writer<'a> {
    fn new(running: &'a Running, port: u16) -> Self {
        Writer { running, port, stop: AtomicBool::new(false), acknowledged: Mutex::default() }
    }

    fn run(&self) {
        for n in 1.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let sql = format!("set statement_timeout = '2s'; insert into kept values ({n})");
            if self.running.query(self.port, &sql).is_ok() {
                self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(n);
            }
        }
    }

    fn acknowledged(&self) -> Vec<i64> {
        self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Waits for ten more acknowledgements.
    fn goes_on(&self, when: &str) -> Result<()> {
        let (start, goal) = (Instant::now(), self.acknowledged().len() + 10);
        while self.acknowledged().len() < goal {
            ensure!(start.elapsed() < PATIENCE, "{when} nothing is acknowledged");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Nothing is acknowledged, once what is under way is done.
    fn stands_still(&self) -> Result<()> {
        std::thread::sleep(Duration::from_secs(1));
        let before = self.acknowledged().len();
        std::thread::sleep(Duration::from_secs(3));
        let more = self.acknowledged().len() - before;
        ensure!(more == 0, "{more} commits were acknowledged that no replica has");
        Ok(())
    }
}
