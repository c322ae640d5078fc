//! The stacks of one server: rows outlive restarts and new containers, and the containers are as closed as they say.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Scene;
use super::running::Running;

/// Starts the stack, writes, restarts it, takes it down and up again, and reads.
fn keeps_rows<'a>(scene: &Scene<'a>, name: &str) -> Result<Running<'a>> {
    let running = Running::start(scene, name, &[], &Value::Null)?;
    let port = running.port("DB_PORT")?;
    running.query(port, "create table kept (n bigint primary key); insert into kept select 1; insert into kept select n + 1 from kept;")?;
    let patience = Duration::from_secs(30);
    running.compose.output(&["restart", "db"])?;
    running.until(port, "select count(*) from kept", "2", patience)?;
    running.compose.output(&["down"])?;
    running.up(&[])?;
    running.until(port, "select count(*) from kept", "2", patience)?;
    closed(&running, "db")?;
    Ok(running)
}

/// What the engine holds the container to.
fn closed(running: &Running, service: &str) -> Result<()> {
    let state = running.inspect(service)?;
    let host = &state["HostConfig"];
    let expect = [
        ("ReadonlyRootfs", json!(true)),
        ("CapDrop", json!(["ALL"])),
        ("SecurityOpt", json!(["no-new-privileges:true"])),
    ];
    for (key, value) in expect {
        ensure!(host[key] == value, "{service}: {key} is {}", host[key]);
    }
    for limit in ["Memory", "NanoCpus", "PidsLimit"] {
        ensure!(host[limit].as_i64().is_some_and(|limit| limit > 0), "{service}: {limit} is {}", host[limit]);
    }
    ensure!(state["State"]["Health"]["Status"] == "healthy", "{service}: {}", state["State"]["Health"]);
    let environment = state["Config"]["Env"].to_string();
    let password = running.secret("password")?;
    ensure!(!environment.contains(&password), "{service}: its environment tells the password");
    Ok(())
}

pub fn basic(scene: &Scene) -> Result<()> {
    keeps_rows(scene, "basic").map(drop)
}

fn log(running: &Running, service: &str) -> Result<String> {
    running.engine.both(&["logs", &running.compose.container(service)?])
}

pub fn prod(scene: &Scene) -> Result<()> {
    let running = keeps_rows(scene, "prod")?;
    let log = log(&running, "db")?;
    let line = log.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    ensure!(serde_json::from_str::<Value>(line).is_ok(), "its log is no JSON: {line}");
    let limit = running.query(running.port("DB_PORT")?, "show max_connections")?;
    ensure!(limit == "200", "max_connections is {limit}");
    Ok(())
}

pub fn dev(scene: &Scene) -> Result<()> {
    let running = keeps_rows(scene, "dev")?;
    running.query(running.port("DB_PORT")?, "select 4242 as told")?;
    ensure!(log(&running, "db")?.contains("select 4242 as told"), "its log does not tell the statement");
    Ok(())
}

pub fn development(scene: &Scene) -> Result<()> {
    let running = Running::start(scene, "development", &[], &Value::Null)?;
    let port = running.port("DB_PORT")?;
    let birds = running.query(port, "select count(*) from birds join sightings on bird_id = id")?;
    ensure!(birds == "3", "the seed left {birds} sightings");
    let run = [
        "run",
        "--rm",
        "-T",
        "sql",
        "--no-align",
        "--tuples-only",
        "--command",
        "select name from birds where id = 2",
    ];
    let name = running.compose.output(&run)?;
    ensure!(name == "kestrel", "its client answers `{name}`");
    Ok(())
}
