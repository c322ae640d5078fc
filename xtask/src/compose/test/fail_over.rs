//! A primary dies: clients that know only the proxy go on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Scene;
use super::running::Running;

/// From the kill to the first write that is taken again.
const LIMIT: Duration = Duration::from_secs(10);

pub fn primary_dies(scene: &Scene) -> Result<()> {
    let running = Running::start(scene, "multi-node", &[], &Value::Null)?;
    let (write, read) = (running.port("WRITE_PORT")?, running.port("READ_PORT")?);
    let patience = Duration::from_secs(60);
    running.until(write, "select pg_is_in_recovery()", "f", patience)?;
    running.until(read, "select pg_is_in_recovery()", "t", patience)?;
    running
        .query(write, "create table kept (n bigint primary key); insert into kept values (1), (2), (3);")?;
    // Each of the two, by turns.
    for _ in 0..4 {
        running.until(read, "select count(*) from kept", "3", patience)?;
    }
    let refused = running.ask(read, "\\set VERBOSITY verbose\ninsert into kept values (4);")?;
    let words = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && words.contains("25006"), "a replica takes a write: {words}");

    let primary = running.compose.container("db")?;
    let start = Instant::now();
    running.engine.output(&["kill", &primary])?;
    running.compose.output(&["exec", "-T", "replica-1", "scratchbird", "promote"])?;
    running.until(write, "insert into kept values (4); select count(*) from kept", "4", LIMIT)?;
    let pause = start.elapsed();
    ensure!(pause < LIMIT, "clients could not write for {:.1} s", pause.as_secs_f64());
    // The other replica has changed sides.
    running.until(read, "select pg_is_in_recovery(), (select count(*) from kept)", "t|4", patience)?;

    // The old primary comes back: it finds out, and refuses to start, or there would be two.
    running.engine.output(&["start", &primary])?;
    let start = Instant::now();
    while !log(&running, &primary)?.contains("another server was promoted (timeline 2") {
        ensure!(
            start.elapsed() < patience,
            "the old primary has not found out: {}",
            log(&running, &primary)?
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    running.until(write, "insert into kept values (5); select count(*) from kept", "5", LIMIT)?;
    running.until(read, "select count(*) from kept", "5", patience)?;
    Ok(())
}

/// What a container has said.
fn log(running: &Running, container: &str) -> Result<String> {
    let engine = running.engine.to_string();
    let output = duct::cmd!(engine, "logs", container).stderr_to_stdout().stdout_capture().run()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
