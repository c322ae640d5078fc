//! Where a container may run: under which user, with which rights, on what kind of storage.

use anyhow::{Result, ensure};

use super::container::{Container, DATA, PASSWORD};
use super::{Probe, Subject, skip};

/// The promises about the surroundings.
pub const PROBES: &[Probe] = &[
    Probe { name: "works under the seccomp profile, hardened", run: seccomp },
    Probe { name: "works under any uid of root's group, as on OpenShift", run: any_uid },
    Probe { name: "works on a bind mount and on tmpfs", run: storage },
    Probe { name: "answers a full disk with an error, and goes on", run: full_disk },
];

/// The profile that the project ships.
const PROFILE: &str = include_str!("../../../docker/seccomp.json");

fn used(container: &Container, what: &str) -> Result<()> {
    container.ready()?;
    container.query(
        "create table birds (id int primary key); insert into birds select n from generate_series(1, 1000) as n",
    )?;
    let rows = container.query("select count(*) from birds where id > 0")?;
    ensure!(rows == "1000", "{what}: there are {rows} rows, not 1000");
    let (status, _) = container.get(container.port(8080)?, "/readyz")?;
    ensure!(status == "200", "{what}: /readyz answers {status}");
    container.engine.output(&["stop", "--time", "10", &container.name])?;
    let code = container.state("{{.State.ExitCode}}")?;
    ensure!(code == "0", "{what}: it stops with {code}: {}", container.log_end()?);
    Ok(())
}

fn seccomp(subject: &Subject) -> Result<()> {
    let profile = tempfile::NamedTempFile::new()?;
    std::fs::write(profile.path(), PROFILE)?;
    let option = format!("seccomp={}", profile.path().display());
    let hardened =
        ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    let container = Container::start(subject, &[&["--security-opt", &option], &hardened[..]].concat())?;
    container.ready()?;
    // The tools under the same profile, a thread for each client, and what a profile is for: it is in force.
    let answer = container.exec(&["psql", "-h", "127.0.0.1", "-U", "scratchbird", "-Atc", "select 6 * 7"])?;
    ensure!(answer == "42", "its psql answers `{answer}`");
    let size = container.exec(&["backup", "-q", "/tmp"])?;
    ensure!(size.contains("/tmp/scratchbird-"), "its backup says `{size}`");
    let run = container.pgbench(&["-i", "-q"])?.run()?;
    ensure!(run.status.success(), "pgbench -i: {}", String::from_utf8_lossy(&run.stderr));
    let run = container.pgbench(&["-c", "8", "-j", "2", "-t", "20"])?.run()?;
    ensure!(run.status.success(), "pgbench: {}", String::from_utf8_lossy(&run.stderr));
    let pid = container.state("{{.State.Pid}}")?;
    if let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
        ensure!(status.contains("Seccomp:\t2"), "no filter is in force");
    }
    used(&container, "under seccomp")?;
    // As root it changes owners and drops its rights under the same profile.
    let container = Container::start(subject, &["--security-opt", &option, "--user", "0"])?;
    used(&container, "as root under seccomp")
}

fn any_uid(subject: &Subject) -> Result<()> {
    for user in ["4242", "1000660000:0"] {
        used(&Container::start(subject, &["--user", user, "--cap-drop", "ALL"])?, user)?;
    }
    Ok(())
}

fn storage(subject: &Subject) -> Result<()> {
    let tmpfs = format!("{DATA}:uid=1000,gid=1000,mode=0700,size=64m");
    used(&Container::start(subject, &["--tmpfs", &tmpfs])?, "on tmpfs")?;
    let folder = tempfile::tempdir()?;
    if std::os::unix::fs::chown(folder.path(), Some(1000), Some(1000)).is_err() {
        return skip("not root: no folder can be given to user 1000");
    }
    let mount = format!("{}:{DATA}", folder.path().display());
    let container = Container::start(subject, &["--volume", &mount])?;
    used(&container, "on a bind mount")?;
    ensure!(folder.path().join("SCRATCHBIRD_VERSION").exists(), "nothing lies in the folder");
    // Somebody else's folder is named with the command that mends it.
    let other = tempfile::tempdir()?;
    let mount = format!("{}:{DATA}", other.path().display());
    let container = Container::start(subject, &["--volume", &mount])?;
    let code = container.wait()?;
    let log = container.log()?;
    ensure!(code == "1" && log.contains(&format!("chown -R 1000:1000 {DATA}")), "status {code}: {log}");
    Ok(())
}

fn full_disk(subject: &Subject) -> Result<()> {
    let tmpfs = format!("{DATA}:uid=1000,gid=1000,mode=0700,size=8m");
    let container = Container::start(subject, &["--tmpfs", &tmpfs])?;
    container.ready()?;
    container.query("create table birds (id int primary key, name text)")?;
    container.query("insert into birds values (1, 'kept')")?;
    let sql = "\\set VERBOSITY verbose\ninsert into birds select n, repeat('x', 1000) from generate_series(2, 30000) as n";
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("fill.sql");
    std::fs::write(&script, sql)?;
    let output = container.psql_file(PASSWORD, &script)?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "30 MB fit into 8 MB");
    ensure!(words.contains("53100"), "the client is told: {}", words.trim());
    let rows = container.query("select count(*), min(name) from birds")?;
    ensure!(rows == "1|kept", "afterwards there is `{rows}`");
    container.query("insert into birds values (2, 'fits')")?;
    let (status, _) = container.get(container.port(8080)?, "/livez")?;
    ensure!(status == "200", "/livez answers {status}");
    Ok(())
}
