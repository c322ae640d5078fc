//! The stacks for Swarm, deployed as their README says on a swarm of this one engine, which ends with the test.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use duct::cmd;
use plan::stack::{self, Pins};

use super::running::write;
use super::{Scene, need, stand_ins};
use crate::engine::Engine;
use crate::verify::skip;

const PATIENCE: Duration = Duration::from_secs(90);
const PASSWORD: &str = "of-the-test";
/// What the stack is deployed as.
const NAME: &str = "verify-swarm";

pub fn deployed(scene: &Scene) -> Result<()> {
    need("psql", "postgresql-client")?;
    let engine = scene.engine;
    let state = engine.output(&["info", "--format", "{{.Swarm.LocalNodeState}}"])?;
    if state.trim() != "inactive" {
        return skip("this engine is in a swarm already, and nobody here touches that");
    }
    for name in ["prod", "multi-node"] {
        let swarm = Swarm::new(scene, name)?;
        let read = swarm.ports.last().copied().unwrap_or_default();
        let write = swarm.ports.first().copied().unwrap_or_default();
        swarm.until(write, "select pg_is_in_recovery()", "f")?;
        swarm.until(read, "select pg_is_in_recovery()", if name == "prod" { "f" } else { "t" })?;
        // Asked again where it was refused: HAProxy before 3.1 takes a server that it has not asked yet for one
        // more primary, and turns writers away until it has.
        let kept = "create table if not exists kept (n bigint primary key); \
                    insert into kept values (1), (2) on conflict do nothing; select count(*) from kept";
        swarm.until(write, kept, "2")?;
        swarm.until(read, "select count(*) from kept", "2")?;
        // A new task on the same volume.
        engine.output(&["service", "update", "--quiet", "--force", &format!("{NAME}_db")])?;
        swarm.until(write, "select count(*) from kept", "2")?;
        swarm.until(
            write,
            "insert into kept values (3) on conflict do nothing; select count(*) from kept",
            "3",
        )?;
        swarm.until(read, "select count(*) from kept", "3")?;
    }
    Ok(())
}

/// A swarm of one node with one stack in it.
struct Swarm<'a> {
    engine: &'a Engine,
    ports: Vec<u16>,
}

impl<'a> Swarm<'a> {
    fn new(scene: &Scene<'a>, name: &str) -> Result<Swarm<'a>> {
        let (engine, none) = (scene.engine, Pins::new());
        let stack = stack::find(scene.spec, name, &none)?;
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("swarm").join(name);
        let mut ports = Vec::new();
        for mut file in stack.files().into_iter().filter(|file| file.path.starts_with("swarm/")) {
            if file.path.ends_with("/stack.yaml") {
                for published in [5432, 5433] {
                    let listener = TcpListener::bind("127.0.0.1:0")?;
                    let (fixed, port) = (format!("published: {published}\n"), listener.local_addr()?.port());
                    if file.contents.contains(&fixed) {
                        file.contents = file.contents.replace(&fixed, &format!("published: {port}\n"));
                        ports.push(port);
                    }
                }
                for instance in stack.instances() {
                    let reference = stack::reference(scene.spec, instance.service);
                    if !scene.images.contains_key(&reference) {
                        let image = stand_ins::image(engine, &reference)?;
                        file.contents = file.contents.replace(&reference, &image);
                    }
                }
            }
            write(&folder.path().join(&file.path), &file.contents)?;
        }
        engine.output(&["swarm", "init", "--advertise-addr", "127.0.0.1"])?;
        let swarm = Swarm { engine, ports };
        for secret in stack.secrets() {
            cmd!(engine.to_string(), "secret", "create", secret, "-")
                .stdin_bytes(PASSWORD)
                .stdout_null()
                .run()?;
        }
        let node = engine.output(&["node", "ls", "--quiet"])?;
        for instance in stack.instances() {
            let label = format!("{}.{}=true", stack.project(), instance.name);
            engine.output(&["node", "update", "--label-add", &label, node.trim()])?;
        }
        let file = root.join("stack.yaml").display().to_string();
        engine.output(&["stack", "deploy", "--resolve-image", "never", "--compose-file", &file, NAME])?;
        Ok(swarm)
    }

    fn query(&self, port: u16, sql: &str) -> Result<String> {
        let uri = format!("host=127.0.0.1 port={port} user=scratchbird dbname=scratchbird connect_timeout=3");
        let psql = cmd!("psql", uri, "-XAtq", "-c", sql).env("PGPASSWORD", PASSWORD);
        let output = psql.stdout_capture().stderr_capture().unchecked().run()?;
        ensure!(output.status.success(), "`{sql}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }

    fn until(&self, port: u16, sql: &str, expect: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let answer = self.query(port, sql);
            if answer.as_deref().ok() == Some(expect) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let tasks = self.engine.output(&["stack", "ps", "--no-trunc", NAME]).unwrap_or_default();
                bail!("`{sql}` is not `{expect}` after {} s: {answer:?}; {tasks}", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for Swarm<'_> {
    fn drop(&mut self) {
        let quiet = |args: &[&str]| self.engine.output(args).unwrap_or_default();
        let filter = format!("label=com.docker.stack.namespace={NAME}");
        quiet(&["stack", "rm", NAME]);
        let deadline = Instant::now() + PATIENCE;
        while !quiet(&["ps", "--all", "--quiet", "--filter", &filter]).trim().is_empty()
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(300));
        }
        quiet(&["swarm", "leave", "--force"]);
        for volume in quiet(&["volume", "ls", "--quiet", "--filter", &filter]).lines() {
            quiet(&["volume", "rm", "--force", volume]);
        }
    }
}
