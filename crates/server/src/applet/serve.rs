//! `serve`: the server itself: sockets, signals, checkpoints, shutdown.

use super::scripts::Running;
use super::{Failure, initdb};
use crate::auth::Access;
use crate::cluster::Cluster;
use crate::http::{self, Health};
use crate::log;
use crate::replication::{capture, start};
use crate::session::{Server, Stream, serve};
use rustix::process::WaitOptions;
use settings::Resolved;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Enough for the deepest tree that `sql::parse` lets pass; only what is used costs memory. Without
/// optimisation the frames are many times larger.
const STACK: usize = if cfg!(debug_assertions) { 128 << 20 } else { 16 << 20 };
/// Clients that have not logged in yet may be this many more than `max_connections`.
const STRANGERS: usize = 100;
/// How long a shutdown waits for replicas to take the rest of the log.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let settings = super::resolve(args)?;
    log::configure(&settings);
    for warning in &settings.warnings {
        log::warning(warning);
    }
    // Signals are caught before anything is created, so that PID 1 never misses one.
    let events = Events::watch()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        log::event(log::Level::Error, "a session failed by a mistake in the server", &[("place", &place)]);
    }));
    let access = Access::load(&settings).map_err(Failure::new)?;
    let health = Health::new(settings.text("replication_mode"));
    let probes = listen_http(&settings, &health)?;
    let cluster = open(&settings, &events)?;
    let replication = start::open(&cluster, &settings)?;
    let server = Server::new(cluster, settings, replication);
    server.set_access(access);
    let applier = start::recover(&server)?;
    let mut sockets = listen(&server)?;
    health.ready(&server);
    sockets.extend(probes);
    checkpoints(&server, &events)?;
    let sender = events.sender.clone();
    start::threads(&server, applier, move || {
        // The main thread waits for this, or has left already.
        let _ = sender.send(Event::Again);
    })?;
    let milliseconds = started.elapsed().as_millis().to_string();
    let fields = [("version", env!("CARGO_PKG_VERSION")), ("start_ms", milliseconds.as_str())];
    log::event(log::Level::Info, &format!("ready for connections on {}", sockets.join(", ")), &fields);
    loop {
        reap();
        let patience = match events.next() {
            Event::Signal(SIGHUP) => {
                reload(&server, args);
                continue;
            }
            Event::Again => return Err(again(&server)),
            Event::Failed => {
                let message = "a flush to the disk failed, so nobody knows what is on it: the server ends, and its next \
                               start goes on from what the disk has";
                return Err(Failure::new(message));
            }
            Event::Signal(SIGQUIT) => return Ok(quit()),
            Event::Signal(SIGINT) => Duration::ZERO,
            Event::Signal(SIGTERM) => Duration::from_millis(server.settings.time("shutdown_timeout")),
            _ => continue,
        };
        return stop(&server, &events, patience);
    }
}

/// What the main thread waits for.
enum Event {
    Signal(i32),
    Opened(Box<Result<Cluster, Failure>>),
    Stopped(crate::sql::error::Result<usize>),
    /// This process must start again.
    Again,
    /// The disk can't be trusted any more.
    Failed,
}

/// One queue for signals and for the end of the first start.
struct Events {
    sender: Sender<Event>,
    queue: Receiver<Event>,
}

impl Events {
    fn watch() -> Result<Self, Failure> {
        let (sender, queue) = channel();
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD]).map_err(Failure::new)?;
        let to = sender.clone();
        spawn("signals", move || {
            for signal in &mut signals {
                if to.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { sender, queue })
    }

    fn next(&self) -> Event {
        // The sender beside it keeps the queue open.
        self.queue.recv().unwrap_or(Event::Signal(SIGQUIT))
    }
}

/// Opens the cluster in a thread of its own: the scripts of a first start take their time, and a signal ends them.
fn open(settings: &Resolved, events: &Events) -> Result<Cluster, Failure> {
    let running = Arc::<Running>::default();
    let (sender, settings, work) = (events.sender.clone(), settings.clone(), Arc::clone(&running));
    spawn("open", move || {
        let result = start::bootstrap(&settings, &|| work.is_interrupted());
        let result = result.map_err(Failure::from).and_then(|lock| match lock {
            Some(lock) => Ok(Cluster::open(Path::new(settings.text("data_directory")), lock)?),
            None => initdb::open(&settings, Some(&work)),
        });
        // The main thread waits for this, or has left already.
        let _ = sender.send(Event::Opened(Box::new(result)));
    })?;
    loop {
        match events.next() {
            Event::Opened(result) => return *result,
            Event::Signal(SIGTERM | SIGINT | SIGQUIT) => {
                running.interrupt();
                // The other thread tidies up, unless it is in the middle of a long statement.
                let _ = events.queue.recv_timeout(Duration::from_secs(1));
                return Err(Failure::new("a signal came before the data directory was opened"));
            }
            _ => {}
        }
    }
}

/// PID 1 inherits every process whose parent is gone. No child of this process's own runs any more.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

/// Stops in a thread of its own, so that a further signal can shorten the wait.
fn stop(server: &Arc<Server>, events: &Events, patience: Duration) -> Result<ExitCode, Failure> {
    log::info("shutting down");
    let (sender, stopping) = (events.sender.clone(), Arc::clone(server));
    spawn("stop", move || {
        stopping.stop(patience);
        let _ = std::fs::remove_file(socket_path(&stopping.settings));
        let captured = if stopping.replication.is_primary() { capture::end(&stopping) } else { Ok(()) };
        stopping.replication.end();
        stopping.stop_replicas(LAST_WORDS);
        // Without the last capture the logs must stay as they are: the next start goes on from there.
        let done = captured.and_then(|()| stopping.cluster.checkpoint(0, true));
        // The main thread waits for this, or has left already.
        let _ = sender.send(Event::Stopped(done));
    })?;
    loop {
        match events.next() {
            Event::Stopped(result) => {
                result?;
                log::info("shut down");
                return Ok(ExitCode::SUCCESS);
            }
            Event::Signal(SIGINT) => server.hurry(),
            Event::Signal(SIGQUIT) => return Ok(quit()),
            _ => reap(),
        }
    }
}

/// Starts this process again, with everything as it was at its start; only an error comes back.
fn again(server: &Arc<Server>) -> Failure {
    server.replication.end();
    server.stop(Duration::ZERO);
    let mut args = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(args.next().unwrap_or_default()).args(args);
    Failure::new(format!("can't start this process again: {}", command.exec()))
}

/// Nothing acknowledged is lost: the write-ahead log holds it.
fn quit() -> ExitCode {
    log::warning("SIGQUIT: stopping without a checkpoint");
    ExitCode::from(2)
}

/// All of it or nothing: a mistake in a file leaves everything as it was.
fn reload(server: &Server, args: &[String]) {
    let loaded = super::resolve(args)
        .and_then(|settings| Access::load(&settings).map(|access| (settings, access)).map_err(Failure::new));
    match loaded {
        Ok((settings, access)) => {
            log::configure(&settings);
            server.set_access(access);
            server.replication.set_synchronous(server, settings.int("synchronous_replicas"));
            log::info("log settings, access rules and certificates are reloaded");
        }
        Err(failure) => log::error(&format!("settings are not reloaded: {}", failure.message)),
    }
}

fn socket_path(settings: &Resolved) -> PathBuf {
    let name = format!(".s.PGSQL.{}", settings.int("port"));
    PathBuf::from(settings.text("unix_socket_directory")).join(name)
}

/// Binds everything before the first client is served.
fn listen(server: &Arc<Server>) -> Result<Vec<String>, Failure> {
    let settings = &server.settings;
    let port = u16::try_from(settings.int("port")).map_err(Failure::new)?;
    let tcp = bind(settings, port)?;
    let path = socket_path(settings);
    // The data directory's lock is held, so a socket that lies there is an old one of ours.
    let _ = std::fs::remove_file(&path);
    let unix = UnixListener::bind(&path)
        .and_then(|unix| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).map(|()| unix)
        })
        .map_err(|error| Failure::new(format!("can't make the Unix socket `{}`: {error}", path.display())))?;
    let mut names = vec![path.display().to_string()];
    let alive = Arc::new(());
    accept(server, &alive, move || unix.accept().map(|(stream, _)| Stream::from(stream)))?;
    for (address, listener) in tcp {
        names.push(address.to_string());
        accept(server, &alive, move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            Ok(Stream::from(stream))
        })?;
    }
    Ok(names)
}

/// Probes are answered where clients are.
fn listen_http(settings: &Resolved, health: &Arc<Health>) -> Result<Vec<String>, Failure> {
    let port = u16::try_from(settings.int("http_port")).map_err(Failure::new)?;
    if port == 0 {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for (address, listener) in bind(settings, port)? {
        let failed = |error| Failure::new(format!("can't answer HTTP on {address}: {error}"));
        http::listen(listener, health).map_err(failed)?;
        names.push(format!("http://{address}"));
    }
    Ok(names)
}

fn bind(settings: &Resolved, port: u16) -> Result<Vec<(SocketAddr, TcpListener)>, Failure> {
    let mut tcp = Vec::new();
    for address in addresses(settings.list("listen_addresses"), port)? {
        match TcpListener::bind(address) {
            Ok(listener) => tcp.push((address, listener)),
            // `*` means whatever there is: a container may have no IPv6.
            Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {}
            Err(_) if address.ip() == Ipv4Addr::UNSPECIFIED && !tcp.is_empty() => {}
            Err(error) => return Err(Failure::new(format!("can't listen on {address}: {error}"))),
        }
    }
    Ok(tcp)
}

fn addresses(list: &[String], port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let mut addresses = Vec::new();
    for item in list {
        let ips: Vec<IpAddr> = match item.as_str() {
            // Where IPv6 sockets take IPv4 clients too, the second bind is refused and not needed.
            "*" => vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
            "localhost" => vec![Ipv4Addr::LOCALHOST.into()],
            text => {
                let message = format!(
                    "listen_addresses: `{text}` is no IP address; allowed are `*`, `localhost` and IP addresses"
                );
                vec![text.parse().map_err(|_| Failure::new(message))?]
            }
        };
        addresses.extend(ips.into_iter().map(|ip| SocketAddr::new(ip, port)));
    }
    Ok(addresses)
}

/// Accepts clients in a thread of its own, each client in another.
fn accept(
    server: &Arc<Server>,
    alive: &Arc<()>,
    mut next: impl FnMut() -> std::io::Result<Stream> + Send + 'static,
) -> Result<(), Failure> {
    let limit = usize::try_from(server.settings.int("max_connections"))
        .unwrap_or(usize::MAX)
        .saturating_add(STRANGERS);
    let (server, alive) = (Arc::clone(server), Arc::clone(alive));
    spawn("accept", move || {
        loop {
            let stream = match next() {
                Ok(stream) => stream,
                Err(error) => {
                    // Mostly too many open files: the clients that are there will leave some day.
                    log::error(&format!("can't accept a connection: {error}"));
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            if Arc::strong_count(&alive) > limit {
                continue;
            }
            let (server, token) = (Arc::clone(&server), Arc::clone(&alive));
            let spawned = spawn("session", move || {
                serve(&server, stream);
                drop(token);
            });
            if let Err(failure) = spawned {
                log::error(&failure.message);
            }
        }
    })
}

/// A checkpoint when the time has come, or when a log has grown too long.
fn checkpoints(server: &Arc<Server>, events: &Events) -> Result<(), Failure> {
    let interval = Duration::from_millis(server.settings.time("checkpoint_timeout"));
    let max_wal = server.settings.size("max_wal_size");
    let (server, sender) = (Arc::clone(server), events.sender.clone());
    spawn("checkpoint", move || {
        let mut last = Instant::now();
        loop {
            std::thread::sleep(Duration::from_secs(1).min(interval));
            let due = last.elapsed() >= interval;
            let began = Instant::now();
            let result = capture::checkpoint(&server, if due { 0 } else { max_wal });
            if !matches!(result, Ok(0)) {
                server.metrics.checkpoint(began.elapsed(), result.is_ok());
            }
            if let Err(error) = result {
                log::error(&format!("checkpoint failed: {}", error.message));
            }
            if server.cluster.has_failed() || server.replication.has_failed() {
                // The main thread waits for this, or has left already.
                let _ = sender.send(Event::Failed);
                return;
            }
            if due {
                last = Instant::now();
            }
        }
    })
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
    spawned.map(|_| ()).map_err(|error| Failure::new(format!("can't start a thread: {error}")))
}
