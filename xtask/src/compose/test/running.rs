//! A stack that runs for a test.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use plan::stack::variable::variables;
use plan::stack::{self, Pins, Stack};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{Scene, need, stand_ins};
use crate::compose::{Compose, run};
use crate::engine::Engine;
use crate::ui::Ui;

/// A stack in a project of its own, which ends with this value.
pub struct Running<'a> {
    /// Who runs it.
    pub engine: &'a Engine,
    /// How it is spoken to.
    pub compose: Compose,
    /// What it is called.
    pub project: String,
    folder: TempDir,
    ports: BTreeMap<String, u16>,
}

impl<'a> Running<'a> {
    /// Starts these services of a stack, or all where none is named, and waits until they are healthy. `change` is
    /// merged over its compose.yaml.
    pub fn start(scene: &Scene<'a>, name: &str, services: &[&str], change: &Value) -> Result<Running<'a>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        need("psql", "postgresql-client")?;
        let none = Pins::new();
        let stack = stack::find(scene.spec, name, &none)?;
        let folder = unpack(scene, name)?;
        let root = folder.path().join(name);
        run::secrets(&stack, &root, &Ui::new(true))?;
        let images = images(scene, &stack, |name| services.is_empty() || services.contains(&name))?;
        let overrides = [("images.yaml", images), ("change.yaml", change.clone())];
        let mut paths = Vec::new();
        for (file, value) in overrides.into_iter().filter(|(_, value)| !value.is_null()) {
            // JSON is YAML.
            std::fs::write(root.join(file), serde_json::to_vec(&value)?)?;
            paths.push(PathBuf::from(file));
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let project = format!("verify-stack-{name}-{}-{number}", std::process::id());
        let mut compose = Compose::find(&root)?.with_files(&project, &paths);
        let ports = ports(&stack)?;
        for (variable, port) in &ports {
            compose = compose.with(variable, &port.to_string());
        }
        let running = Running { engine: scene.engine, compose, project, folder, ports };
        running.up(services)?;
        Ok(running)
    }

    /// What lies in `folder`, below a folder of its own with the secrets, and is not started yet.
    pub fn of(engine: &'a Engine, folder: TempDir, root: &Path, name: &str) -> Result<Running<'a>> {
        let project = format!("verify-stack-{name}-{}", std::process::id());
        let compose = Compose::find(root)?.with_files(&project, &[]);
        Ok(Running { engine, compose, project, folder, ports: BTreeMap::new() })
    }

    /// Starts it, or what of it does not run, and waits.
    pub fn up(&self, services: &[&str]) -> Result<()> {
        self.compose.output(&[&["up", "--detach", "--no-build"], services].concat())?;
        run::wait(self.engine, &self.compose)
    }

    /// A port by the variable that says where it is published.
    pub fn port(&self, variable: &str) -> Result<u16> {
        self.ports.get(variable).copied().with_context(|| format!("the stack asks for no {variable}"))
    }

    /// A secret of the stack.
    pub fn secret(&self, name: &str) -> Result<String> {
        let folder = std::fs::read_dir(self.folder.path())?.flatten().next().context("no stack")?;
        Ok(std::fs::read_to_string(folder.path().join("secrets").join(name))?)
    }

    /// A psql that asks the published port.
    pub fn psql(&self, port: u16) -> Result<duct::Expression> {
        let uri = format!("host=127.0.0.1 port={port} user=scratchbird dbname=scratchbird connect_timeout=3");
        let password = self.secret("password")?;
        Ok(duct::cmd!("psql", uri, "-XAtq", "-v", "ON_ERROR_STOP=1").env("PGPASSWORD", password))
    }

    /// Runs psql with `sql`, whatever comes of it.
    pub fn ask(&self, port: u16, sql: &str) -> Result<Output> {
        Ok(self.psql(port)?.stdin_bytes(sql).stdout_capture().stderr_capture().unchecked().run()?)
    }

    /// What `sql` answers.
    pub fn query(&self, port: u16, sql: &str) -> Result<String> {
        let output = self.ask(port, sql)?;
        ensure!(output.status.success(), "`{sql}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }

    /// Asks until the answer is `expect`, for at most that long; how long it took.
    pub fn until(&self, port: u16, sql: &str, expect: &str, patience: Duration) -> Result<Duration> {
        let start = Instant::now();
        loop {
            let answer = self.query(port, sql);
            if answer.as_deref().ok() == Some(expect) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > patience {
                bail!("`{sql}` is not `{expect}` after {} s: {answer:?}", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What the engine knows of a service's container.
    pub fn inspect(&self, service: &str) -> Result<Value> {
        let text = self.engine.output(&["inspect", &self.compose.container(service)?])?;
        let list: Vec<Value> = serde_json::from_str(&text)?;
        list.into_iter().next().context("nothing to inspect")
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // What can't be removed was never there, or Compose has said why before.
        let _ = self.compose.raw(&["down", "--volumes", "--timeout", "3", "--remove-orphans"]);
    }
}

/// What is merged over a stack: the images that this machine has, for the services that are used.
pub fn images(scene: &Scene, stack: &Stack, is_used: impl Fn(&str) -> bool) -> Result<Value> {
    let mut services = Map::new();
    for instance in stack.instances() {
        let reference = stack::reference(scene.spec, instance.service);
        let image = match scene.images.get(&reference) {
            Some(id) => id.clone(),
            None if is_used(&instance.name) => stand_ins::image(scene.engine, &reference)?,
            None => reference,
        };
        let mut change = json!({ "image": image });
        if stack.healthcheck(instance.service).is_some() {
            // The first check comes after one interval, and nobody here waits for that.
            change["healthcheck"] = json!({ "interval": "1s" });
        }
        services.insert(instance.name, change);
    }
    Ok(json!({ "services": services }))
}

/// A free port for each variable by which the stack asks for one.
pub fn ports(stack: &Stack) -> Result<BTreeMap<String, u16>> {
    let published = stack.stack.services.values().flat_map(|service| &service.ports);
    let asked = published.filter_map(|port| port.publish.as_deref()).flat_map(variables);
    asked
        .map(|asked| Ok((asked.name.to_string(), TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())))
        .collect()
}

/// The files of a stack, as they are generated, below a folder with its name.
pub fn unpack(scene: &Scene, name: &str) -> Result<TempDir> {
    let none = Pins::new();
    let folder = tempfile::tempdir()?;
    let files = stack::find(scene.spec, name, &none)?.files();
    for file in files {
        let Some(path) = file.path.strip_prefix("compose/") else { continue };
        write(&folder.path().join(path), &file.contents)?;
    }
    // Containers run as other users than this one, and mount what lies here.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(folder)
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, contents: &str) -> Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    Ok(std::fs::write(path, contents)?)
}
