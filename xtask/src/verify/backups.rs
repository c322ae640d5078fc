//! Backups out of a container and into another.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::container::{Container, DATA, PASSWORD};
use super::{Probe, Subject};

/// The promises about backups.
pub const PROBES: &[Probe] = &[
    Probe { name: "is backed up while it runs, and restored into an empty volume", run: round_trip },
    Probe { name: "backs another container up on a schedule, and stops well", run: scheduled },
];

fn round_trip(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    container
        .query("create table birds (id int primary key); insert into birds select n from generate_series(1, 500) as n")?;
    // Inside no password is needed: who reaches the files has them anyway.
    let path = container.engine.output(&["exec", &container.name, "backup", "-q"])?;
    ensure!(path.starts_with("/backup/scratchbird-"), "it says `{path}`");
    let archive = tempfile::NamedTempFile::new()?;
    let from = format!("{}:{path}", container.name);
    container.engine.output(&["cp", &from, &archive.path().display().to_string()])?;
    std::fs::set_permissions(archive.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    let mount = format!("{}:/restore.tar.gz:ro", archive.path().display());
    let target = Container::start(subject, &["--volume", &mount, "--", "restore", "/restore.tar.gz"])?;
    let code = target.wait()?;
    ensure!(code == "0", "restore ends with {code}: {}", target.log_end()?);
    // The volume is no longer empty, and is left alone.
    let volume = format!("{}:{DATA}", target.volume);
    let again =
        ["run", "--rm", "--volume", &volume, "--volume", &mount, subject.image, "restore", "/restore.tar.gz"];
    let output = subject.engine.raw(&again)?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && words.contains("empty"), "a second restore: {}", words.trim());
    target.engine.output(&["rm", "--force", &target.name])?;
    target.run(subject, &[])?;
    target.ready()?;
    let rows = target.query("select count(*), sum(id) from birds")?;
    ensure!(rows == "500|125250", "the restored rows are `{rows}`");
    Ok(())
}

fn scheduled(subject: &Subject) -> Result<()> {
    let server = Container::start(subject, &[])?;
    server.ready()?;
    // In the server's own network, so that both engines need no network of their own for it.
    let name = format!("{}-backup", server.name);
    let network = format!("container:{}", server.name);
    let password = format!("PGPASSWORD={PASSWORD}");
    let run =
        ["run", "--detach", "--name", &name, "--network", &network, "--env", "PGHOST=127.0.0.1", "--env"];
    let args = [&run[..], &[&password, subject.image, "backup", "--every", "1s", "--keep", "2"]].concat();
    subject.engine.output(&args)?;
    let result = watch(subject, &name);
    let log = subject.engine.both(&["logs", &name]).unwrap_or_default();
    let _ = subject.engine.output(&["rm", "--force", "--volumes", &name]);
    result?;
    ensure!(log.matches("written and checked").count() >= 3, "its log: {log}");
    ensure!(log.contains("removed /backup/scratchbird-"), "it keeps more than two: {log}");
    Ok(())
}

fn watch(subject: &Subject, name: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while subject.engine.both(&["logs", name])?.matches("removed ").count() == 0 {
        if Instant::now() > deadline {
            bail!("no third backup in 30 s: {}", subject.engine.both(&["logs", name])?);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    subject.engine.output(&["exec", name, "backup", "--health"])?;
    subject.engine.output(&["stop", "--time", "10", name])?;
    let code = subject.engine.output(&["inspect", "--format", "{{.State.ExitCode}}", name])?;
    ensure!(code == "0", "it stops with {code}");
    Ok(())
}
