//! A replica's connection to the primary: the log comes in and is acknowledged once it is durable.

use super::log::Log;
use super::record::{HEADER, Record, now, show, show_chain};
use super::{base, disk, lock};
use crate::client::target::Target;
use crate::client::tls::{Mode, Tls};
use crate::client::{Client, Event, Lost};
use crate::log as server_log;
use crate::session::Server;
use crate::sql::error::SqlError;
use settings::Resolved;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a silent connection is left for a look around.
const ROUND: Duration = Duration::from_millis(100);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a primary may be, and how to log in.
pub struct Upstream {
    targets: Vec<Target>,
    patience: Duration,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The primary can't continue this replica's log: everything must be copied.
    Diverged(String),
    /// Anything that may be better next time.
    Lost(String),
}

impl From<Lost> for Ended {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost.to_string())
    }
}

impl From<SqlError> for Ended {
    fn from(error: SqlError) -> Self {
        Self::Lost(error.message)
    }
}

impl Upstream {
    /// From the settings; `name` is what this server calls itself.
    pub fn new(settings: &Resolved, name: &str) -> Result<Self, String> {
        let default = u16::try_from(settings.int("primary_port")).unwrap_or(5432);
        let mut targets = Vec::new();
        for host in settings.list("primary_host") {
            let (host, port) = match host.rsplit_once(':') {
                Some((name, port)) if !name.contains(':') => {
                    let wrong = || format!("primary_host: `{host}`: the port is no number from 1 to 65535");
                    (name.to_owned(), port.parse().map_err(|_| wrong())?)
                }
                _ => (host.clone(), default),
            };
            targets.push(Target {
                host,
                port,
                user: settings.text("replication_user").to_owned(),
                password: Some(settings.text("replication_password").to_owned())
                    .filter(|text| !text.is_empty()),
                dbname: "replication".to_owned(),
                application: name.to_owned(),
                timeout: CONNECT,
                tls: tls(settings),
            });
        }
        let patience = Duration::from_millis(settings.time("replication_timeout"));
        Ok(Self { targets, patience })
    }

    /// Where to connect, in order.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Connects to one of them.
    pub fn connect(&self, target: &Target) -> Result<Client, Lost> {
        Client::connect_for_replication(target)
    }
}

/// With an authority nothing goes in the clear, and the primary's certificate must be for its host's name.
fn tls(settings: &Resolved) -> Tls {
    let root = Some(settings.text("replication_ssl_ca_file")).filter(|path| !path.is_empty());
    let mode = if root.is_some() { Mode::VerifyFull } else { Mode::Disable };
    Tls { mode, root: root.map(str::to_owned), name: None }
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its history.
    pub generation: String,
    /// Its timeline.
    pub timeline: u32,
    /// Its role's name.
    pub role: String,
}

/// Asks a server what it is.
pub fn identify(client: &mut Client) -> Result<Identity, Ended> {
    client.query("IDENTIFY_SYSTEM")?;
    let mut identity = None;
    loop {
        match client.event()? {
            Event::Row(row) => {
                let field = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
                let timeline = field(1).parse().unwrap_or(0);
                identity = Some(Identity { generation: field(0), timeline, role: field(4) });
            }
            Event::Error(report) => return Err(Ended::Lost(report.line())),
            Event::Ready => {
                return identity.ok_or_else(|| Ended::Lost("the server says nothing of itself".into()));
            }
            _ => {}
        }
    }
}

/// Copies everything into a data directory, from whichever server is the primary.
pub fn copy(upstream: &Upstream, data: &Path, slot: &str) -> Result<base::Header, Ended> {
    let mut why = "primary_host is not set".to_owned();
    for target in &upstream.targets {
        let attempt = || -> Result<base::Header, Ended> {
            let mut client = upstream.connect(target)?;
            client.set_patience(Some(upstream.patience.max(Duration::from_secs(30))));
            client.query("BASE_BACKUP")?;
            let mut receiver = base::Receiver::new(data)?;
            loop {
                match client.event()? {
                    Event::CopyData(message) if receiver.take(&message)? => {
                        return Ok(receiver.install(slot)?);
                    }
                    Event::Error(report) => return Err(Ended::Lost(report.line())),
                    Event::Ready => return Err(Ended::Lost("the copy ended too early".to_owned())),
                    _ => {}
                }
            }
        };
        match attempt() {
            Ok(header) => return Ok(header),
            Err(Ended::Lost(text) | Ended::Diverged(text)) => why = format!("{target}: {text}"),
        }
    }
    Err(Ended::Lost(why))
}

/// Follows the primary until somebody wants a promotion or the server ends. The error is a log that can't go on.
pub fn run(server: &Server, upstream: &Upstream) -> Result<(), String> {
    let replication = &server.replication;
    let mut last = String::new();
    loop {
        for target in &upstream.targets {
            if !replication.follows() {
                return Ok(());
            }
            let ended = follow(server, upstream, target);
            lock(&replication.progress).connected = false;
            match ended {
                Ok(()) => return Ok(()),
                Err(Ended::Diverged(why)) => return Err(format!("{target}: {why}")),
                Err(Ended::Lost(why)) => {
                    let why = format!("{target}: {why}");
                    if why != last {
                        server_log::warning(&format!("not following: {why}"));
                        last = why;
                    }
                }
            }
        }
        std::thread::sleep(PAUSE);
    }
}

fn follow(server: &Server, upstream: &Upstream, target: &Target) -> Result<(), Ended> {
    let (replication, log) = (&server.replication, server.replication.log()?);
    let mut client = upstream.connect(target)?;
    client.set_patience(Some(upstream.patience));
    let identity = identify(&mut client)?;
    if identity.role != "primary" {
        return Err(Ended::Lost(format!("it is {}, and no primary", identity.role)));
    }
    let _stream = lock(&replication.stream);
    if !replication.follows() {
        return Ok(());
    }
    // What came of an unfinished commit comes again.
    let end = log.cut().map_err(|error| disk("can't cut the replication log", &error))?;
    let (generation, timeline) =
        (replication.state().generation, replication.state().timeline.max(log.timeline()));
    client.query(&format!(
        "START_REPLICATION {} CHAIN {} TIMELINE {timeline} GENERATION {generation}",
        show(end.lsn),
        show_chain(&end.chain)
    ))?;
    loop {
        match client.event()? {
            Event::CopyBoth => break,
            Event::Error(report) if report.code() == "58P01" => return Err(Ended::Diverged(report.line())),
            Event::Error(report) => return Err(Ended::Lost(report.line())),
            Event::Ready => return Err(Ended::Lost("the primary does not answer as one".to_owned())),
            _ => {}
        }
    }
    server_log::info(&format!("following {target} from {}", show(end.lsn)));
    lock(&replication.progress).connected = true;
    client.set_patience(Some(ROUND));
    let mut heard = Instant::now();
    let mut buffer = Vec::new();
    loop {
        if !replication.follows() {
            return Ok(());
        }
        match client.event() {
            Ok(Event::CopyData(message)) => {
                heard = Instant::now();
                take(server, log, &mut client, &mut buffer, &message)?;
            }
            Ok(Event::Error(report)) => return Err(Ended::Lost(report.line())),
            Ok(Event::Ready) => return Err(Ended::Lost("the primary ended the stream".to_owned())),
            Ok(_) => {}
            Err(Lost::Silent) if heard.elapsed() < upstream.patience => {}
            Err(Lost::Silent) => {
                return Err(Ended::Lost(format!("nothing came for {} s", upstream.patience.as_secs())));
            }
            Err(lost) => return Err(lost.into()),
        }
    }
}

/// A message of the stream: log bytes, or the end of a turn.
fn take(
    server: &Server,
    log: &Log,
    client: &mut Client,
    buffer: &mut Vec<u8>,
    message: &[u8],
) -> Result<(), Ended> {
    let replication = &server.replication;
    let place = |at: usize| {
        message.get(at..at + 8).map_or(0, |b| b.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte)))
    };
    let io = |error: std::io::Error| Ended::Lost(format!("can't write the replication log: {error}"));
    match message.first() {
        Some(b'w') if message.len() >= 25 => {
            buffer.extend_from_slice(&message[25..]);
            let mut done = 0;
            while let Some(header) = buffer.get(done..done + HEADER) {
                let record =
                    Record::parse(header).ok_or_else(|| Ended::Lost("the primary sent no record".into()))?;
                let Some(bytes) = buffer.get(done..done + HEADER + record.length as usize) else { break };
                log.take(&record, bytes).map_err(io)?;
                done += bytes.len();
            }
            buffer.drain(..done);
            lock(&replication.progress).primary_end = place(9);
        }
        Some(b'k') => {
            if log.durable() < log.whole().lsn {
                log.flush().map_err(io)?;
            }
            let end = place(1);
            let flushed = log.whole().lsn;
            let applied = {
                let mut progress = lock(&replication.progress);
                progress.primary_end = end;
                if progress.applied >= end {
                    progress.current = Some(Instant::now());
                }
                progress.applied
            };
            let mut answer = vec![b'r'];
            for place in [flushed, flushed, applied] {
                answer.extend(place.to_be_bytes());
            }
            answer.extend(now().to_be_bytes());
            answer.push(0);
            client.copy_data(answer)?;
        }
        _ => {}
    }
    Ok(())
}
