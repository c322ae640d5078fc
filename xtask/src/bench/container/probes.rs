//! How long an orchestrator waits for an answer while 100 clients compute.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::super::{Figure, table};
use super::{Address, DATA, PASSWORD, Scene};

/// A statement that computes for long and touches no disk.
const COMPUTE: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3000000) SELECT max(n) FROM r;\n";
const PATHS: [&str; 4] = ["/livez", "/readyz", "/health", "/metrics"];
/// How often each path is asked.
const ASKED: usize = 25;

/// Medians, and the slowest answer of all.
pub fn beside_work(scene: &Scene) -> Result<Vec<Figure>> {
    // The server of the races takes fewer clients.
    let _ = scene.engine.output(&["rm", "--force", &scene.id]);
    let volume = format!("{}-data:{DATA}", scene.id);
    let env = format!("SCRATCHBIRD_PASSWORD={PASSWORD}");
    let run = ["run", "--detach", "--name", &scene.id, "--volume", &volume, "--env", &env];
    let more = ["--env", "SCRATCHBIRD_MAX_CONNECTIONS=120", scene.image];
    scene.engine.output(&[&run[..], &more].concat())?;
    let address = scene.inner()?;
    scene.answered(&address)?;
    let mut script = tempfile::NamedTempFile::new()?;
    script.write_all(COMPUTE.as_bytes())?;
    let mut clients = Command::new(&scene.pgbench)
        .args([
            "-h",
            &address.host,
            "-p",
            "5432",
            "-U",
            "scratchbird",
            "-n",
            "-c",
            "100",
            "-j",
            "2",
            "-T",
            "120",
            "-f",
        ])
        .arg(script.path())
        .arg("scratchbird")
        .env("PGPASSWORD", PASSWORD)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let figures = busy(&address).and_then(|()| ask(&address));
    // They may have ended by themselves.
    let _ = clients.kill();
    clients.wait()?;
    figures
}

/// Waits until the clients compute.
fn busy(address: &Address) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let metrics = get(address, "/metrics")?;
        let name = "scratchbird_connections{state=\"active\"} ";
        let active: f64 = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0").parse()?;
        if active >= 95.0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "only {active} clients compute");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn ask(address: &Address) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut slowest: f64 = 0.0;
    for path in PATHS {
        let mut times = Vec::new();
        for _ in 0..ASKED {
            let start = Instant::now();
            get(address, path)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let median = table::median(&mut times);
        slowest = times.last().copied().unwrap_or(0.0).max(slowest);
        figures.push(Figure::new(
            &format!("{path} beside 100 computing clients (goal: under 100)"),
            "ms",
            median,
        ));
    }
    figures.push(Figure::new(&format!("the slowest of {} such answers", PATHS.len() * ASKED), "ms", slowest));
    Ok(figures)
}

/// The body of an answer with status 200.
fn get(address: &Address, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((address.host.as_str(), 8080))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{path}: no HTTP answer"))?;
    ensure!(head.split_whitespace().nth(1) == Some("200"), "{path} answers {head}");
    Ok(body.to_string())
}
