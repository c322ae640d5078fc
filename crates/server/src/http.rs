//! The HTTP probes and metrics: `/livez`, `/readyz`, `/primary`, `/replica`, `/health`, `/metrics`.
//!
//! It answers from the first moment on, because a first start may take its time and must not be killed as
//! dead; ready is only what serves clients. One request a connection, everything bounded: the length of a
//! request, the time it may take, and how many are answered at once.

use crate::metrics;
use crate::session::Server;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// No probe sends more.
const LONGEST: usize = 8 * 1024;
/// How long a request may take to arrive, and its answer to leave.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many requests are answered at once; more wait in the listener's queue.
const WORKERS: usize = 8;
/// The page of metrics is the deepest thing that happens here.
const STACK: usize = 1 << 20;

/// What the probes know.
pub struct Health {
    started: Instant,
    role: String,
    server: OnceLock<Arc<Server>>,
}

impl Health {
    /// A server that is starting.
    pub fn new(role: &str) -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), role: role.to_owned(), server: OnceLock::new() })
    }

    /// From now on clients are served.
    pub fn ready(&self, server: &Arc<Server>) {
        // It is set once, after the sockets are bound.
        let _ = self.server.set(Arc::clone(server));
    }

    fn status(&self) -> &'static str {
        match self.server.get() {
            None => "starting",
            Some(server) if server.is_stopping() => "stopping",
            Some(server) => {
                let limit = Duration::from_millis(server.settings.time("max_replica_lag"));
                let lags = server.replication.lag().is_some_and(|lag| !limit.is_zero() && lag > limit);
                if lags { "lagging" } else { "ready" }
            }
        }
    }

    fn role(&self) -> &str {
        self.server.get().map_or(&self.role, |server| server.replication.role().name())
    }
}

/// Answers in threads of its own. They are there beforehand and wait: when all processors are busy with
/// statements, the scheduler runs a thread that was asleep at once, and a new one after all the others.
pub fn listen(listener: TcpListener, health: &Arc<Health>) -> std::io::Result<()> {
    let listener = Arc::new(listener);
    for _ in 0..WORKERS {
        let (listener, health) = (Arc::clone(&listener), Arc::clone(health));
        let work = move || {
            loop {
                match listener.accept() {
                    // Who asked and left needs no answer.
                    Ok((stream, _)) => drop(serve(&stream, &health)),
                    // Mostly too many open files: some will be closed.
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        };
        std::thread::Builder::new().name("http".to_owned()).stack_size(STACK).spawn(work)?;
    }
    Ok(())
}

/// An answer before it is put into words.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

fn text(status: &'static str, body: &str) -> Answer {
    Answer { status, kind: "text/plain; charset=utf-8", body: format!("{body}\n") }
}

fn serve(mut stream: &TcpStream, health: &Health) -> std::io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = read(stream)?;
    let (answer, body) = match request.as_deref() {
        None => (text("431 Request Header Fields Too Large", "the request is too long"), true),
        Some(request) => match parse(request) {
            Some((method @ ("GET" | "HEAD"), path)) => (answer(path, health), method == "GET"),
            Some(_) => (text("405 Method Not Allowed", "allowed are GET and HEAD"), true),
            None => (text("400 Bad Request", "this is no HTTP request"), true),
        },
    };
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.kind,
        answer.body.len()
    );
    let message = if body { head + &answer.body } else { head };
    stream.write_all(message.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)
}

/// The request up to its empty line; `None` if it is too long.
fn read(mut stream: &TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let deadline = Instant::now() + PATIENCE;
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        if request.len() >= LONGEST {
            return Ok(None);
        }
        // However slowly the bytes come, there is one deadline for all of them.
        let rest = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(rest.max(Duration::from_millis(1))))?;
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        request.extend_from_slice(&chunk[..count]);
    }
    Ok(Some(request))
}

/// Method and path of a request, without its query.
fn parse(request: &[u8]) -> Option<(&str, &str)> {
    let line = request.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let valid = version.starts_with("HTTP/1.") && target.starts_with('/') && words.next().is_none();
    valid.then(|| (method, target.split('?').next().unwrap_or(target)))
}

fn answer(path: &str, health: &Health) -> Answer {
    let status = health.status();
    let code = if status == "ready" { "200 OK" } else { "503 Service Unavailable" };
    match path {
        // Alive is what can answer at all: what else fails is no reason to kill it.
        "/livez" => text("200 OK", "alive"),
        "/readyz" => text(code, status),
        "/primary" | "/replica" => {
            let role = health.role();
            let wanted = if path == "/replica" {
                role == "replica"
            } else {
                ["primary", "standalone"].contains(&role)
            };
            let fits = status == "ready" && wanted;
            text(if fits { "200 OK" } else { "503 Service Unavailable" }, &format!("{role} {status}"))
        }
        "/health" => {
            let mut body = serde_json::json!({
                "status": status,
                "version": env!("CARGO_PKG_VERSION"),
                "uptime_seconds": health.started.elapsed().as_secs(),
                "role": health.role(),
            });
            if let Some(lag) = health.server.get().and_then(|server| server.replication.lag()) {
                // A replica that was never up to date has no figure.
                body["lag_seconds"] = (lag != Duration::MAX).then_some(lag.as_secs_f64()).into();
            }
            Answer { status: code, kind: "application/json", body: format!("{body}\n") }
        }
        "/metrics" => {
            let body = health.server.get().map_or_else(metrics::starting, |server| metrics::render(server));
            Answer { status: "200 OK", kind: "text/plain; version=0.0.4; charset=utf-8", body }
        }
        _ => text("404 Not Found", "known are /livez, /readyz, /primary, /replica, /health and /metrics"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed_or_refused() {
        let check = |request: &str, expect: Option<(&str, &str)>| {
            assert_eq!(parse(request.as_bytes()), expect, "{request}");
        };
        check("GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n\r\n", Some(("GET", "/readyz")));
        check("HEAD / HTTP/1.0\r\n\r\n", Some(("HEAD", "/")));
        check("GET /readyz\r\n\r\n", None);
        check("GET http://x/ HTTP/1.1\r\n\r\n", None);
        check("GET / HTTP/2\r\n\r\n", None);
        check("", None);
    }

    #[test]
    fn nothing_is_ready_before_there_is_a_server() {
        let health = Health::new("standalone");
        assert_eq!(answer("/livez", &health).status, "200 OK");
        assert_eq!(answer("/readyz", &health), text("503 Service Unavailable", "starting"));
        assert!(answer("/health", &health).body.contains("\"status\":\"starting\""));
        assert!(answer("/metrics", &health).body.contains("\nscratchbird_up 0\n"));
        assert_eq!(answer("/", &health).status, "404 Not Found");
    }
}
