//! A container at work and under load: probes, commands, shutdown, kills.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::container::{Container, PATIENCE};
use super::{Probe, Subject};

/// The promises about operation.
pub const PROBES: &[Probe] = &[
    Probe { name: "answers /livez, /readyz, /health and /metrics", run: probes },
    Probe { name: "answers its probes while 100 clients compute", run: busy_probes },
    Probe {
        name: "stops with status 0 under 100 writing clients, and keeps what it acknowledged",
        run: busy_stop,
    },
    Probe { name: "keeps what it acknowledged through kill -9 under 8 writers", run: killed },
    Probe { name: "takes options, applets and commands", run: commands },
    Probe { name: "tells where each setting comes from, and what it does not know", run: provenance },
    Probe { name: "logs statements as JSON with connection and duration", run: logs },
];

fn probes(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    let port = container.port(8080)?;
    for (path, word) in [
        ("/livez", "alive"),
        ("/readyz", "ready"),
        ("/health", "\"role\":\"standalone\""),
        ("/metrics", "scratchbird_up 1"),
    ] {
        let (status, body) = container.get(port, path)?;
        ensure!(status == "200" && body.contains(word), "{path} answers {status}: {body}");
    }
    Ok(())
}

/// What pgbench says that was acknowledged, whether it came to its end or not.
fn processed(output: &std::process::Output) -> Result<u64> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
    let count = line.and_then(|line| line.split(['/', ' ']).next()).and_then(|count| count.parse().ok());
    count.with_context(|| {
        format!("pgbench counts nothing: {}", String::from_utf8_lossy(&output.stderr).trim())
    })
}

fn script(text: &str) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}

fn busy_probes(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &["--env", "SCRATCHBIRD_MAX_CONNECTIONS=120"])?;
    container.ready()?;
    let port = container.port(8080)?;
    let load = script(
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3000000) SELECT max(n) FROM r;\n",
    )?;
    let path = load.path().display().to_string();
    let running = container.pgbench(&["-c", "100", "-j", "2", "-T", "60", "-f", &path])?.start()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    let busy = loop {
        let (_, metrics) = container.get(port, "/metrics")?;
        let name = "scratchbird_connections{state=\"active\"} ";
        let active: f64 = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0").parse()?;
        // Clients that are refused end, and nobody needs to wait for more.
        if active >= 95.0 || Instant::now() > deadline || running.try_wait()?.is_some() {
            break active;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut result = Ok(());
    for path in ["/livez", "/readyz", "/health", "/metrics"] {
        let mut times = Vec::new();
        for _ in 0..9 {
            let start = Instant::now();
            let (status, _) = container.get(port, path)?;
            times.push(start.elapsed());
            if status != "200" {
                result = Err(anyhow::anyhow!("{path} answers {status}"));
            }
        }
        times.sort();
        // An orchestrator's shortest patience; how long it really takes depends on the machine.
        if times[4] >= Duration::from_secs(1) {
            result = Err(anyhow::anyhow!("{path} took {:?} (median of 9)", times[4]));
        }
    }
    // The container's end ends the clients.
    container.engine.output(&["kill", &container.name])?;
    running.wait()?;
    ensure!(busy >= 95.0, "only {busy} clients were busy");
    result
}

fn busy_stop(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &["--env", "SCRATCHBIRD_MAX_CONNECTIONS=120"])?;
    container.ready()?;
    container.query("create table birds (id serial primary key, name text)")?;
    let load = script("insert into birds (name) values ('wren');\n")?;
    let path = load.path().display().to_string();
    let running = container.pgbench(&["-c", "100", "-j", "2", "-T", "60", "-f", &path])?.start()?;
    std::thread::sleep(Duration::from_secs(3));
    container.engine.output(&["stop", "--time", "30", &container.name])?;
    let acknowledged = processed(running.wait()?)?;
    let code = container.state("{{.State.ExitCode}}")?;
    ensure!(code == "0", "its status is {code}: {}", container.log_end()?);
    ensure!(acknowledged > 0, "no client wrote anything");
    container.engine.output(&["start", &container.name])?;
    container.ready()?;
    let rows: u64 = container.query("select count(*) from birds")?.parse()?;
    // Each client may have had one more on its way.
    ensure!((acknowledged..=acknowledged + 100).contains(&rows), "{acknowledged} acknowledged, {rows} there");
    Ok(())
}

/// Rounds of a kill; the binary is the same in all variants, so one of them is shaken for long.
const ROUNDS: (u32, u32) = (100, 3);

fn killed(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &[])?;
    container.ready()?;
    container.query(
        "create table account (id int primary key, amount int not null);
         create table move (id serial primary key, account int not null, amount int not null);
         insert into account select n, 0 from generate_series(1, 20) as n",
    )?;
    let load = script(
        "\\set id random(1, 20)\n\\set amount random(-50, 50)\nbegin;\n\
         update account set amount = amount + :amount where id = :id;\n\
         insert into move (account, amount) values (:id, :amount);\ncommit;\n",
    )?;
    let path = load.path().display().to_string();
    let rounds = if subject.image.contains("distroless") { ROUNDS.0 } else { ROUNDS.1 };
    let (mut acknowledged, mut there) = (0, 0);
    for round in 1..=u64::from(rounds) {
        let running = container.pgbench(&["-c", "8", "-j", "2", "-T", "60", "-f", &path])?.start()?;
        // On a busy machine clients take long to begin.
        let deadline = Instant::now() + PATIENCE;
        while container.query(&format!("select count(*) > {there} from move"))? != "t" {
            ensure!(Instant::now() < deadline, "round {round}: no client commits anything");
        }
        // Not always at the same moment of a commit.
        std::thread::sleep(Duration::from_millis(150 + round * 37 % 200));
        container.engine.output(&["kill", "--signal", "KILL", &container.name])?;
        container.wait()?;
        // A round that was killed before its first commit counts nothing.
        acknowledged += processed(running.wait()?).unwrap_or(0);
        container.engine.output(&["start", &container.name])?;
        container.ready()?;
        let sums = container.query(
            "select (select count(*) from move), (select sum(amount) from account) = (select coalesce(sum(amount), 0) from move), \
             (select count(*) from account a where a.amount <> (select coalesce(sum(amount), 0) from move m where m.account = a.id))",
        )?;
        let fields: Vec<&str> = sums.split('|').collect();
        let rows: u64 = fields[0].parse()?;
        ensure!(fields[1..] == ["t", "0"], "round {round}: the sums are wrong: {sums}");
        let most = acknowledged + 8 * round;
        ensure!(
            (acknowledged..=most).contains(&rows),
            "round {round}: {acknowledged} acknowledged, {rows} there"
        );
        there = rows;
    }
    ensure!(acknowledged > u64::from(rounds), "only {acknowledged} commits in {rounds} rounds");
    Ok(())
}

fn commands(subject: &Subject) -> Result<()> {
    let container = Container::start(subject, &["--", "-c", "max_connections=5"])?;
    container.ready()?;
    let shown = container.query("show max_connections")?;
    ensure!(shown == "5", "`-c max_connections=5` makes it {shown}");
    for (command, code, word) in [
        (&["scratchbird", "--help"][..], 0, "applets:"),
        (&["initdb", "--help"], 0, "initdb"),
        (&["createdb", "--help"], 0, "usage: createdb"),
        (&["dropdb", "--help"], 0, "usage: dropdb"),
        (&["scratchbird-ready", "--help"], 0, "ready"),
        (&["scratchbird-healthcheck", "--help"], 0, "healthcheck"),
        (&["backup", "--help"], 0, "usage: backup"),
        (&["restore", "--help"], 0, "usage: restore"),
        (&["sql", "--version"], 0, "psql (ScratchBird)"),
        (&["psql", "--version"], 0, "psql (ScratchBird)"),
        (&["--version"], 0, "(scratchbird) "),
        (&["no-such-command"], 127, "no-such-command"),
        (&["--no-such-option"], 2, "--no-such-option"),
    ] {
        let output = subject.engine.raw(&[&["run", "--rm", subject.image], command].concat())?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let got = output.status.code();
        ensure!(got == Some(code) && text.contains(word), "{command:?} ends with {got:?}: {}", text.trim());
    }
    let owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'nest'";
    container.query("create role wren login")?;
    container.exec(&["createdb", "-h", "127.0.0.1", "-U", "scratchbird", "-O", "wren", "nest"])?;
    let found = container.query(owner)?;
    ensure!(found == "wren", "createdb -O wren gives it to `{found}`");
    container.exec(&["dropdb", "-h", "127.0.0.1", "-U", "scratchbird", "nest"])?;
    ensure!(container.query(owner)?.is_empty(), "dropdb left it");
    Ok(())
}

fn provenance(subject: &Subject) -> Result<()> {
    let config = super::container::folder(&[("scratchbird.conf", b"work_mem = 8MB\nport = 6000\n")])?;
    let mount = format!("{}:/etc/scratchbird:ro", config.path().display());
    let env = [
        "--env",
        "SCRATCHBIRD_PORT=6001",
        "--env",
        "SCRATCHBIRD_MAX_CONECTIONS=7",
        "--env",
        "SCRATCHBIRD_PASSWORD=verify-hidden",
    ];
    let args =
        [&["run", "--rm", "--volume", &mount], &env[..], &[subject.image, "config", "-c", "log_level=debug"]]
            .concat();
    let output = subject.engine.raw(&args)?;
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "`config` fails: {said}");
    for (name, value, source) in [
        ("port", "6001", "environment"),
        ("work_mem", "8MB", "configuration file"),
        ("log_level", "debug", "command line"),
        ("max_connections", "100", "default"),
        ("http_port", "8080", "environment"),
    ] {
        let start = format!("{name} = {value} ");
        let line = shown.lines().find(|line| line.starts_with(&start)).unwrap_or_default();
        ensure!(line.contains(source), "{name} is not {value} from {source}: `{line}`");
    }
    ensure!(!shown.contains("verify-hidden"), "it shows a secret");
    let hint = ["SCRATCHBIRD_MAX_CONECTIONS", "SCRATCHBIRD_MAX_CONNECTIONS"];
    ensure!(hint.iter().all(|word| said.contains(word)), "of a mistyped variable it says: {said}");
    Ok(())
}

fn logs(subject: &Subject) -> Result<()> {
    let env = ["LOG_FORMAT=json", "LOG_STATEMENT=ddl", "LOG_MIN_DURATION=1ms", "LOG_CONNECTIONS=on"];
    let env: Vec<String> = env.iter().map(|pair| format!("SCRATCHBIRD_{pair}")).collect();
    let options: Vec<&str> = env.iter().flat_map(|pair| ["--env", pair.as_str()]).collect();
    let container = Container::start(subject, &options)?;
    container.ready()?;
    container.query("create table birds (id int)")?;
    container.query("select count(*) from generate_series(1, 200000)")?;
    container.query("select 'not worth a line'")?;
    container.query("create role wren login password 'verify-7f3a-hidden'")?;
    let log = container.log()?;
    let mut statements = Vec::new();
    for line in log.lines() {
        let event: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("a line of the log is no JSON: {line}"))?;
        if event["message"] == "statement" {
            for field in ["pid", "user", "database", "duration_ms", "time", "level"] {
                ensure!(event[field].is_string(), "a statement has no {field}: {line}");
            }
            statements.push(event["statement"].as_str().unwrap_or_default().to_string());
        }
    }
    let has = |word: &str| statements.iter().any(|text| text.contains(word));
    ensure!(has("create table birds") && has("generate_series"), "logged are {statements:?}");
    ensure!(!has("not worth"), "a fast select is logged: {statements:?}");
    ensure!(!log.contains("verify-7f3a-hidden"), "its log holds a password");
    ensure!(log.contains("connection authorized"), "it logs no connection");
    Ok(())
}
