//! The service container of somebody's CI, run as GitHub's runner runs it: the image with its variables and ports.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use plan::stack::ci::{QUERY, client, environment};
use plan::stack::{self, Pins};

use super::{Scene, need};

pub fn service_container(scene: &Scene) -> Result<()> {
    need("psql", "postgresql-client")?;
    let none = Pins::new();
    let stack = stack::find(scene.spec, "ci-cd", &none)?;
    let (_, service) = stack.stack.services.first_key_value().expect("a stack of one service");
    let mut args = vec!["run".to_string(), "--rm".into(), "--detach".into()];
    for (name, value) in environment(service) {
        args.extend(["--env".into(), format!("{name}={}", value.as_str().unwrap_or_default())]);
    }
    for port in &service.ports {
        args.extend(["--publish".into(), format!("127.0.0.1::{}", port.port)]);
    }
    args.push(scene.images[&stack::reference(scene.spec, service)].clone());
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let container = scene.engine.output(&words)?;
    let result = ask(scene, &stack, &container);
    scene.engine.output(&["kill", &container])?;
    result
}

/// Waits for the image's own health check, as the runner does, and runs the step.
fn ask(scene: &Scene, stack: &stack::Stack, container: &str) -> Result<()> {
    let start = Instant::now();
    while scene.engine.output(&["inspect", "--format", "{{.State.Health.Status}}", container])? != "healthy" {
        if start.elapsed() > Duration::from_secs(60) {
            bail!("not healthy after 60 s: {}", scene.engine.both(&["logs", container])?);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let address = scene.engine.output(&["port", container, "5432/tcp"])?;
    let port =
        address.lines().next().and_then(|line| line.rsplit(':').next()).unwrap_or_default().to_string();
    let mut step = duct::cmd!("sh", "-c", QUERY).env("PGPORT", port);
    for (name, value) in client(stack, "127.0.0.1").as_object().into_iter().flatten() {
        step = step.env(name, value.as_str().unwrap_or_default());
    }
    let output = step.stdout_capture().stderr_capture().unchecked().run()?;
    ensure!(output.status.success(), "`{QUERY}`: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
