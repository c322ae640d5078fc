//! What the first start makes of scripts, and later ones of what they find.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};

use super::container::{Container, DATA, folder};
use super::{Probe, Subject};

/// The promises about the first start.
pub const PROBES: &[Probe] = &[
    Probe { name: "runs init scripts in all their forms, in order", run: forms },
    Probe {
        name: "runs shell scripts where there is a shell, and names the file where there is none",
        run: shell,
    },
    Probe { name: "says which variables an existing cluster ignores", run: ignored },
    Probe { name: "refuses a newer and a foreign data directory", run: foreign },
];

/// `insert into birds values ('gz');` by `gzip`.
const GZ: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\xcc\x2b\x4e\x2d\x2a\x51\xc8\xcc\x2b\xc9\x57\x48\xca\x2c\x4a\x29\x56\x28\x4b\xcc\x29\x4d\x2d\x56\xd0\x50\x4f\xaf\x52\xd7\xb4\xe6\x02\x00\x9b\x5d\x7f\x46\x21\x00\x00\x00";
/// `insert into birds values ('zst');` by `zstd`.
const ZST: &[u8] = b"\x28\xb5\x2f\xfd\x24\x22\x11\x01\x00insert into birds values ('zst');\n\x82\xb0\xf6\xfe";
/// `insert into birds values ('xz');` by `xz`.
const XZ: &[u8] = b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00 insert into birds values ('xz');\n\x00\x00\x00\x00\xdfj\x1b]\xf0\x0c\xce\xd4\x00\x019!\xcf(kb\x1f\xb6\xf3}\x01\x00\x00\x00\x00\x04YZ";

fn mounted<'a>(subject: &Subject<'a>, files: &[(&str, &[u8])]) -> Result<(Container<'a>, tempfile::TempDir)> {
    let scripts = folder(files)?;
    for (name, _) in files.iter().filter(|(name, _)| name.ends_with(".sh")) {
        std::fs::set_permissions(scripts.path().join(name), PermissionsExt::from_mode(0o755))?;
    }
    let mount = format!("{}:/docker-entrypoint-initdb.d:ro", scripts.path().display());
    Ok((Container::start(subject, &["--volume", &mount])?, scripts))
}

fn forms(subject: &Subject) -> Result<()> {
    let files: &[(&str, &[u8])] = &[
        ("1-table.sql", b"create table birds (name text, n serial);\n"),
        ("2.sql.gz", GZ),
        ("3.sql.xz", XZ),
        ("4.sql.zst", ZST),
        ("5-readme.txt", b"no script\n"),
    ];
    let (container, _scripts) = mounted(subject, files)?;
    container.ready()?;
    let names = container.query("select name from birds order by n")?;
    ensure!(names == "gz\nxz\nzst", "the scripts left `{names}`");
    let log = container.log()?;
    for (name, _) in files {
        ensure!(log.contains(name), "its log does not name {name}: {log}");
    }
    Ok(())
}

fn shell(subject: &Subject) -> Result<()> {
    let script = b"#!/bin/sh\nset -e\npsql -c \"create table birds as select '$SCRATCHBIRD_DB' as name\"\n";
    let (container, _scripts) = mounted(subject, &[("1-birds.sh", script)])?;
    if has_shell(subject)? {
        container.ready()?;
        let name = container.query("select name from birds")?;
        ensure!(name == "scratchbird", "the script left `{name}`");
        let (container, _scripts) = mounted(subject, &[("1-bad.sh", b"#!/bin/sh\nexit 7\n")])?;
        let code = container.wait()?;
        let log = container.log()?;
        ensure!(code == "1" && log.contains("1-bad.sh") && log.contains("status 7"), "status {code}: {log}");
        return Ok(());
    }
    let code = container.wait()?;
    let log = container.log()?;
    ensure!(code == "1", "its status is {code}: {}", container.log_end()?);
    for word in ["1-birds.sh", "/bin/sh", ".sql"] {
        ensure!(log.contains(word), "its log does not name {word}: {}", container.log_end()?);
    }
    Ok(())
}

/// Whether the image has a shell at all.
fn has_shell(subject: &Subject) -> Result<bool> {
    let output = subject.engine.raw(&["run", "--rm", subject.image, "sh", "-c", "exit 9"])?;
    Ok(output.status.code() == Some(9))
}

fn ignored(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &["--env", "SCRATCHBIRD_USER=scratchbird"])?;
    container.ready()?;
    container.engine.output(&["restart", &container.name])?;
    container.ready()?;
    let log = container.log()?;
    let line = log.lines().find(|line| line.contains("ignored")).unwrap_or_default();
    for variable in ["SCRATCHBIRD_PASSWORD", "SCRATCHBIRD_USER"] {
        ensure!(line.contains(variable), "its log does not say that {variable} is ignored: {log}");
    }
    Ok(())
}

fn foreign(subject: &Subject) -> Result<()> {
    for (file, text, word) in [
        ("SCRATCHBIRD_VERSION", "99\n", "format `99`"),
        ("PG_VERSION", "15\n", "PostgreSQL data directory"),
        ("holiday.jpg", "x", "holiday.jpg"),
    ] {
        let data = folder(&[(file, text.as_bytes())])?;
        let mount = format!("{}:{DATA}", data.path().display());
        let container = Container::start(subject, &["--volume", &mount])?;
        let code = container.wait()?;
        ensure!(code == "1", "with {file} its status is {code}");
        let log = container.log()?;
        ensure!(log.contains(word), "with {file} it does not say {word}: {log}");
        let left = std::fs::read_to_string(data.path().join(file))?;
        ensure!(left == text, "{file} is another now");
    }
    Ok(())
}
