//! A container with little of everything: what is too much for it is an error with a code, and nothing that was
//! acknowledged is lost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::container::{Container, DATA, own_name};
use super::{Probe, Subject, skip};

/// The promises about limits.
pub const PROBES: &[Probe] = &[
    Probe { name: "lives in 64 MB of memory and loses nothing to what is too large", run: memory },
    Probe { name: "works with half a processor", run: processor },
    Probe { name: "goes on when there is room on the disk again, with all that it acknowledged", run: disk },
];

/// Statements of a small machine's nightmares, each beyond 64 MB if it were done in memory.
const LARGE: [(&str, &str); 4] = [
    ("a large result", "select n, repeat('x', 200) from generate_series(1, 600000) as n"),
    (
        "a large sort",
        "select max(t) from (select md5(n::text) || repeat('x', 100) as t from generate_series(1, 800000) as n order by 1) as s",
    ),
    ("a large insert", "insert into large select n, repeat('x', 200) from generate_series(1, 500000) as n"),
    ("a large value", "select length(repeat('x', 300000000))"),
];

/// What a statement may end with that is too much: out of memory, disk full, a limit of the program exceeded.
const TOO_MUCH: [&str; 4] = ["53200", "53100", "54000", "53000"];

fn memory(subject: &Subject) -> Result<()> {
    let container = Container::start(
        subject,
        &["--memory", "64m", "--memory-swap", "64m", "--restart", "on-failure", "--tmpfs", "/tmp:size=16m"],
    )?;
    container.ready()?;
    let limit = container.state("{{.HostConfig.Memory}}")?;
    ensure!(limit == "67108864", "the engine does not limit memory: {limit}");
    container.query(
        "create table kept (id int primary key); create table large (id int primary key, name text)",
    )?;
    let mut kept = 0;
    for (what, sql) in LARGE {
        kept += 1;
        container.query(&format!("insert into kept values ({kept})"))?;
        let before = container.state("{{.RestartCount}}")?;
        let output = container.psql_verbose(&format!("{sql};\n"))?;
        let words = String::from_utf8_lossy(&output.stderr);
        let is_clear = output.status.success() || TOO_MUCH.iter().any(|code| words.contains(code));
        container.ready()?;
        // Where the kernel ended it, the engine started it again.
        let restarts = container.state("{{.RestartCount}}")?;
        let was_killed = restarts != before;
        ensure!(is_clear || was_killed, "{what}: the client is told: {}", words.trim());
        let rows = container.query("select count(*) from kept")?;
        ensure!(rows == kept.to_string(), "after {what} there are {rows} rows, not {kept}");
        container.query("delete from large")?;
    }
    Ok(())
}

fn processor(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &["--cpus", "0.5"])?;
    container.ready()?;
    let limit = container.state("{{.HostConfig.NanoCpus}}")?;
    ensure!(limit == "500000000", "the engine does not limit the processor: {limit}");
    for args in [&["-i", "-q"][..], &["-c", "8", "-j", "2", "-t", "25"]] {
        let run = container.pgbench(args)?.run()?;
        ensure!(run.status.success(), "pgbench {args:?}: {}", String::from_utf8_lossy(&run.stderr).trim());
    }
    let (status, _) = container.get(container.port(8080)?, "/readyz")?;
    ensure!(status == "200", "/readyz answers {status}");
    let start = Instant::now();
    container.engine.output(&["stop", "--time", "20", &container.name])?;
    let code = container.state("{{.State.ExitCode}}")?;
    ensure!(
        code == "0" && start.elapsed() < Duration::from_secs(10),
        "it stops with {code} after {:?}",
        start.elapsed()
    );
    Ok(())
}

fn disk(subject: &Subject) -> Result<()> {
    let name = format!("{}-small", own_name());
    let volume = ["volume", "create", "--driver", "local", "--opt", "type=tmpfs", "--opt", "device=tmpfs"];
    let options = ["--opt", "o=size=16m,uid=1000,gid=1000,mode=0700", &name];
    if let Err(e) = subject.engine.output(&[&volume[..], &options].concat()) {
        return skip(format!("the engine makes no small volume: {e}"));
    }
    // The engine forgets a volume in memory once no container holds it: this one does while the other restarts.
    let holds = format!("{name}:/backup");
    let result = Container::start(subject, &["--volume", &holds]).and_then(|_holder| fill(subject, &name));
    // It may be in use for a moment still.
    let _ = subject.engine.output(&["volume", "rm", "--force", &name]);
    result
}

fn fill(subject: &Subject, volume: &str) -> Result<()> {
    let mount = format!("{volume}:{DATA}");
    let container = Container::start(subject, &["--volume", &mount])?;
    container.ready()?;
    container.query("create table birds (id serial primary key, name text)")?;
    // Somebody else's file, which makes room when it goes.
    let folder = subject.engine.output(&["volume", "inspect", "--format", "{{.Mountpoint}}", volume])?;
    let ballast = std::path::Path::new(&folder).join("ballast");
    if let Err(e) = std::fs::write(&ballast, vec![1; 4 << 20]) {
        return skip(format!("the engine's volumes can't be reached: {}: {e}", ballast.display()));
    }
    let mut kept: u64 = 0;
    let refusal = loop {
        let sql = "insert into birds (name) select repeat('x', 1000) from generate_series(1, 500) as n;\n";
        let output = container.psql_verbose(sql)?;
        if !output.status.success() {
            break String::from_utf8_lossy(&output.stderr).into_owned();
        }
        kept += 500;
        ensure!(kept < 40_000, "40 MB fit into 16 MB");
    };
    ensure!(refusal.contains("53100"), "the client is told: {}", refusal.trim());
    ensure!(kept > 0, "nothing at all fits into 16 MB");
    let count = |when: &str, expect: u64| -> Result<()> {
        let rows = container.query("select count(*) from birds where length(name) = 1000")?;
        ensure!(rows == expect.to_string(), "{when} there are {rows} rows, not {expect}");
        Ok(())
    };
    count("on a full disk", kept)?;
    // A full disk is no reason not to start, to read, or to stop.
    container.engine.output(&["restart", &container.name])?;
    container.ready()?;
    count("after a restart", kept)?;
    std::fs::remove_file(&ballast)?;
    container.query("insert into birds (name) select repeat('x', 1000) from generate_series(1, 500) as n")?;
    count("with room again", kept + 500)?;
    let (status, _) = container.get(container.port(8080)?, "/readyz")?;
    ensure!(status == "200", "/readyz answers {status}");
    Ok(())
}
