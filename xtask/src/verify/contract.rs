//! What a running container does, seen by a user with `psql`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::container::{Container, PASSWORD, PATIENCE, folder};
use super::{Probe, Subject, skip};

/// The promises about a container at work.
pub const PROBES: &[Probe] = &[
    Probe {
        name: "refuses to start without a password and says how to give one",
        run: refuses_without_password,
    },
    Probe { name: "lets psql in with SCRAM, and nobody with a wrong password", run: authenticates },
    Probe { name: "creates, inserts, selects, and rolls back", run: answers },
    Probe { name: "runs as uid 1000 as the only process", run: unprivileged },
    Probe { name: "keeps its rows through SIGKILL and in a new container", run: durable },
    Probe { name: "stops within 2 s with status 0", run: stops },
    Probe { name: "turns healthy", run: healthy },
    Probe { name: "works on a read-only root without capabilities", run: hardened },
    Probe { name: "never tells its password", run: discreet },
    Probe { name: "takes its password from a file", run: secret_file },
    Probe {
        name: "runs the init scripts of the first start, in order, and stops at a broken one",
        run: init_scripts,
    },
    Probe { name: "brings a client along", run: own_client },
    Probe { name: "drops to uid 1000 when it is started as root", run: from_root },
    Probe { name: "names the folder to chown when it runs as a stranger", run: stranger },
];

fn refuses_without_password(subject: &Subject) -> Result<()> {
    // The variable that every container here starts with is emptied.
    let container = Container::start(subject, &["--env", "SCRATCHBIRD_PASSWORD"])?;
    let code = container.wait().context("without a password")?;
    let words = container.log()?;
    ensure!(code == "1", "its status is {code}, not 1: {}", words.trim());
    for hint in ["SCRATCHBIRD_PASSWORD", "SCRATCHBIRD_HOST_AUTH_METHOD"] {
        ensure!(words.contains(hint), "its message does not name {hint}: {}", words.trim());
    }
    Ok(())
}

fn authenticates(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    for wrong in ["", "wrong", "verify-7f3a-correct-horsE"] {
        let output = container.psql(wrong, "select 1")?;
        ensure!(!output.status.success(), "psql got in with the password `{wrong}`");
    }
    Ok(())
}

/// A table, rows, and a transaction that is taken back.
pub(super) fn answers(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    container.query("create table birds (id integer primary key, name text not null)")?;
    container.query("insert into birds values (1, 'wren'), (2, 'owl')")?;
    let names = container.query("select name from birds order by id")?;
    ensure!(names == "wren\nowl", "the select answers `{names}`");
    container.query("begin; delete from birds; rollback")?;
    let count = container.query("select count(*) from birds")?;
    ensure!(count == "2", "after a rollback there are {count} rows, not 2");
    let output = container.psql(PASSWORD, "insert into birds values (1, 'twice')")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && words.contains("unique"),
        "a second row with one key: {}",
        words.trim()
    );
    Ok(())
}

fn unprivileged(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    let pid = container.state("{{.State.Pid}}")?;
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
        return skip("the engine runs elsewhere: its processes can't be seen");
    };
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default();
    let ids: Vec<&str> = field("Uid:").split_whitespace().collect();
    ensure!(ids == ["1000"; 4], "its user ids are {ids:?}");
    let groups: Vec<&str> = field("Gid:").split_whitespace().collect();
    ensure!(groups == ["1000"; 4], "its group ids are {groups:?}");
    ensure!(
        field("NSpid:").split_whitespace().next_back() == Some("1"),
        "it is not PID 1: {}",
        field("NSpid:")
    );
    ensure!(
        field("CapEff:").trim().trim_matches('0').is_empty(),
        "it has capabilities: {}",
        field("CapEff:")
    );
    let mut children = String::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        children.push_str(&std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    }
    ensure!(children.trim().is_empty(), "it has child processes: {children}");
    Ok(())
}

fn durable(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    container.query("create table birds (id integer primary key, name text)")?;
    container
        .query("insert into birds select n, 'bird ' || n from generate_series(1, 1000) as n")
        .or_else(|_| container.query("insert into birds values (1, 'wren'), (2, 'owl'), (3, 'kite')"))?;
    let before = container.query("select count(*), max(name) from birds")?;
    let after = |how: &str| -> Result<()> {
        container.ready()?;
        let rows = container.query("select count(*), max(name) from birds")?;
        ensure!(rows == before, "{how} the rows are `{rows}`, not `{before}`");
        Ok(())
    };
    container.engine.output(&["kill", "--signal", "KILL", &container.name])?;
    container.wait()?;
    container.engine.output(&["start", &container.name])?;
    after("after SIGKILL")?;
    container.engine.output(&["rm", "--force", &container.name])?;
    container.run(subject, &[])?;
    after("in a new container")
}

fn stops(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    let start = Instant::now();
    container.engine.output(&["stop", "--time", "10", &container.name])?;
    let seconds = start.elapsed().as_secs_f64();
    let code = container.state("{{.State.ExitCode}}")?;
    ensure!(code == "0", "its status is {code}: {}", container.log_end()?);
    ensure!(seconds < 2.0, "it took {seconds:.1} s");
    Ok(())
}

fn healthy(subject: &Subject) -> Result<()> {
    // The image's own check, asked more often than the image says, so that nobody has to wait for it here.
    let container = Container::start(subject, &["--health-interval", "1s"])?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = container.state("{{.State.Health.Status}}")?;
        match health.as_str() {
            "healthy" => return Ok(()),
            "unhealthy" => bail!("it is unhealthy: {}", container.log_end()?),
            _ if Instant::now() > deadline => bail!("it is still {health}: {}", container.log_end()?),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn hardened(subject: &Subject) -> Result<()> {
    let options =
        ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    let container = Container::start(subject, &options)?;
    container.ready()?;
    container.query("create table birds (id integer primary key); insert into birds values (1)")?;
    let rows = container.query("select count(*) from birds")?;
    ensure!(rows == "1", "there are {rows} rows, not 1");
    Ok(())
}

fn discreet(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    container.psql("not-the-password-9b1c", "select 1")?;
    let log = container.log()?;
    ensure!(!log.is_empty(), "it logs nothing at all");
    for secret in [PASSWORD, "not-the-password-9b1c"] {
        ensure!(!log.contains(secret), "its log holds the password");
    }
    let pid = container.state("{{.State.Pid}}")?;
    if let Ok(arguments) = std::fs::read_to_string(format!("/proc/{pid}/cmdline")) {
        ensure!(!arguments.contains(PASSWORD), "its arguments hold the password");
    }
    Ok(())
}

fn secret_file(subject: &Subject) -> Result<()> {
    let secrets = folder(&[("password", format!("{PASSWORD}\n").as_bytes())])?;
    let mount = format!("{}:/run/secrets:ro", secrets.path().display());
    // The variable that every container here starts with is emptied: both given would be an error.
    let options = [
        "--env",
        "SCRATCHBIRD_PASSWORD_FILE=/run/secrets/password",
        "--env",
        "SCRATCHBIRD_PASSWORD",
        "--volume",
        &mount,
    ];
    Container::start(subject, &options)?.ready()
}

fn init_scripts(subject: &Subject) -> Result<()> {
    let good = folder(&[
        ("1-table.sql", b"create table birds (name text);\ninsert into birds values ('wren');\n"),
        ("2-rows.sql", b"insert into birds select name || '!' from birds;\n"),
    ])?;
    let mount = format!("{}:/docker-entrypoint-initdb.d:ro", good.path().display());
    let container = Container::start(subject, &["--volume", &mount])?;
    container.ready()?;
    let names = container.query("select name from birds order by name")?;
    ensure!(names == "wren\nwren!", "the scripts left `{names}`");

    let bad = folder(&[("1-bad.sql", b"select 1;\n\nselect no_such_column;\n")])?;
    let mount = format!("{}:/docker-entrypoint-initdb.d:ro", bad.path().display());
    let container = Container::start(subject, &["--volume", &mount])?;
    let code = container.wait()?;
    let log = container.log()?;
    ensure!(code == "1", "with a broken script its status is {code}: {}", container.log_end()?);
    ensure!(log.contains("1-bad.sql:3"), "its log does not name file and line: {}", container.log_end()?);
    Ok(())
}

fn own_client(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    let password = format!("PGPASSWORD={PASSWORD}");
    let psql = ["psql", "-h", "127.0.0.1", "-U", "scratchbird", "-At", "-c", "select 40 + 2"];
    let answer =
        container.engine.output(&[&["exec", "--env", &password, &container.name], &psql[..]].concat())?;
    ensure!(answer.trim() == "42", "its psql answers `{answer}`");
    Ok(())
}

fn from_root(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &["--user", "0"])?;
    container.ready()?;
    let pid = container.state("{{.State.Pid}}")?;
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
        return skip("the engine runs elsewhere: its processes can't be seen");
    };
    for (field, expect) in [("Uid:", "1000 1000 1000 1000"), ("Gid:", "1000 1000 1000 1000"), ("Groups:", "")]
    {
        let line = status.lines().find_map(|l| l.strip_prefix(field)).unwrap_or_default();
        let found = line.split_whitespace().collect::<Vec<_>>().join(" ");
        // Supplementary groups: none, or the own one.
        ensure!(found == expect || (field == "Groups:" && found == "1000"), "{field} {found}");
    }
    Ok(())
}

fn stranger(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &["--user", "4242:4242"])?;
    let code = container.wait()?;
    let log = container.log()?;
    ensure!(code == "1", "its status is {code}: {}", container.log_end()?);
    ensure!(
        log.contains("chown") && log.contains("/var/lib/scratchbird/data"),
        "it does not say what to chown: {}",
        container.log_end()?
    );
    Ok(())
}
