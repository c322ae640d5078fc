//! The scripts of the first start: those before the data directory is made, and those against the new one.
//!
//! 1. Everything that can be known to fail is looked at before anything is made.
//! 2. The new cluster is served on a Unix socket in a directory that only this user can enter. Nothing
//!    else listens, so no probe can take this for a server that is ready.
//! 3. The scripts run in the order of their names; the first failure ends the start.

use super::{Failure, serve};
use crate::client::Client;
use crate::client::script::{Runner, Stop};
use crate::client::target::Target;
use crate::log;
use crate::session::{Server, Stream, serve as serve_client};
use rustix::process::{Pid, Signal, WaitOptions};
use settings::Resolved;
use std::fs::{self, DirBuilder, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long clients that a script left behind may take to leave.
const PATIENCE: Duration = Duration::from_secs(1);

/// A script, and how it is run.
#[derive(Debug)]
pub(super) struct Script {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// SQL, perhaps compressed.
    Sql(Compression),
    /// For an interpreter: the words of its command before the script's path.
    Shell(Vec<String>),
    /// A program.
    Program,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
}

const ENDINGS: &[(&str, Compression)] = &[
    (".sql", Compression::None),
    (".sql.gz", Compression::Gzip),
    (".sql.zst", Compression::Zstd),
    (".sql.xz", Compression::Xz),
];

/// The scripts of a directory in the order of their names. A directory that nobody named may be missing.
pub(super) fn list(settings: &Resolved, name: &str) -> Result<Vec<Script>, Failure> {
    let entry = settings.entry(name);
    let directory = Path::new(settings.text(name));
    let fail = |error: std::io::Error| {
        let shown = directory.display();
        Failure::new(format!("setting `{name}`: directory `{shown}` can't be read: {error}"))
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !entry.is_set() => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(fail)?,
    };
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    paths.sort();
    // Kubernetes mounts a ConfigMap with hidden entries beside the files.
    paths.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    let mut scripts = Vec::new();
    for path in paths {
        match kind(&path)? {
            Some(kind) => scripts.push(Script { path, kind }),
            None => log::warning(&format!("`{}` is neither SQL nor executable: ignored", path.display())),
        }
    }
    Ok(scripts)
}

fn kind(path: &Path) -> Result<Option<Kind>, Failure> {
    let shown = path.display();
    let metadata =
        fs::metadata(path).map_err(|error| Failure::new(format!("`{shown}` can't be read: {error}")))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let name = path.to_string_lossy();
    if let Some((_, compression)) = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)) {
        return Ok(Some(Kind::Sql(*compression)));
    }
    if !name.ends_with(".sh") {
        return Ok((metadata.permissions().mode() & 0o111 != 0).then_some(Kind::Program));
    }
    let mut first = String::new();
    let read = File::open(path).and_then(|file| BufReader::new(file.take(4096)).read_line(&mut first));
    read.map_err(|error| Failure::new(format!("`{shown}` can't be read: {error}")))?;
    let words = first.strip_prefix("#!").unwrap_or("/bin/sh").trim();
    // The kernel hands everything after the interpreter over as one word.
    let words: Vec<String> =
        words.splitn(2, char::is_whitespace).map(|word| word.trim().to_owned()).collect();
    let interpreter = words.first().cloned().unwrap_or_default();
    if !Path::new(&interpreter).exists() {
        return Err(Failure::new(format!(
            "`{shown}` needs `{interpreter}`, which is not in this image: \
             write it as .sql, or take the alpine or debian variant"
        )));
    }
    Ok(Some(Kind::Shell(words)))
}

/// Whom a signal has to stop before this process may end.
#[derive(Default)]
pub(super) struct Running {
    child: Mutex<Option<Pid>>,
    interrupted: AtomicBool,
}

impl Running {
    /// Kills the script that runs, with everything that it started; no further one begins.
    pub(super) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
        if let Some(pid) = *self.child() {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    /// Whether a signal ended the scripts.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Pid>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the scripts that prepare for initdb; there is no server yet.
pub(super) fn before(scripts: &[Script], settings: &Resolved, running: &Running) -> Result<(), Failure> {
    if let Some(script) = scripts.iter().find(|script| matches!(script.kind, Kind::Sql(_))) {
        let shown = script.path.display();
        let place = settings.text("initdb_directory");
        return Err(Failure::new(format!(
            "`{shown}` is SQL, and before the data directory is made there is no server for it: move it to `{place}`"
        )));
    }
    scripts.iter().try_for_each(|script| timed(script, || execute(script, settings, None, running)))
}

/// Runs the scripts against a server that nobody else can reach.
pub(super) fn after(
    scripts: &[Script],
    server: &Arc<Server>,
    target: &Target,
    running: &Running,
) -> Result<(), Failure> {
    let private = Private::listen(server, target)?;
    let target = Target { host: private.directory.display().to_string(), ..target.clone() };
    let result = scripts.iter().try_for_each(|script| {
        timed(script, || match script.kind {
            Kind::Sql(compression) => sql(&script.path, compression, &target),
            _ => execute(script, &server.settings, Some(&target), running),
        })
    });
    drop(private);
    server.stop(PATIENCE);
    result
}

fn timed(script: &Script, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let started = Instant::now();
    let shown = script.path.display().to_string();
    log::event(log::Level::Info, "init script starts", &[("file", &shown)]);
    work()?;
    let milliseconds = started.elapsed().as_millis().to_string();
    log::event(log::Level::Info, "init script is done", &[("file", &shown), ("duration_ms", &milliseconds)]);
    Ok(())
}

/// The temporary server's socket, and the thread behind it.
struct Private {
    directory: PathBuf,
    socket: PathBuf,
    over: Arc<AtomicBool>,
}

impl Private {
    fn listen(server: &Arc<Server>, target: &Target) -> Result<Self, Failure> {
        let parent = Path::new(server.settings.text("unix_socket_directory"));
        let directory = parent.join(format!(".s.PGSQL.{}.init", target.port));
        let fail = |error: std::io::Error| {
            let shown = directory.display();
            Failure::new(format!("can't make the private socket of the first start in `{shown}`: {error}"))
        };
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&directory).map_err(fail)?;
        let socket = directory.join(format!(".s.PGSQL.{}", target.port));
        let listener = UnixListener::bind(&socket).map_err(fail)?;
        let over = Arc::<AtomicBool>::default();
        let (server, done) = (Arc::clone(server), Arc::clone(&over));
        serve::spawn("accept", move || {
            while let Ok((stream, _)) = listener.accept() {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                let server = Arc::clone(&server);
                let spawned = serve::spawn("session", move || {
                    serve_client(&server, Stream::from(stream).private());
                });
                if let Err(failure) = spawned {
                    log::error(&failure.message);
                }
            }
        })?;
        Ok(Self { directory, socket, over })
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // One last client wakes the thread that waits for the next.
        let _ = UnixStream::connect(&self.socket);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn sql(path: &Path, compression: Compression, target: &Target) -> Result<(), Failure> {
    let shown = path.display().to_string();
    let mut lines =
        open(path, compression).map_err(|error| Failure::new(format!("`{shown}` can't be read: {error}")))?;
    let client = Client::connect(target).map_err(Failure::new)?;
    let mut runner = Runner::new(client, target.clone());
    runner.variables.insert("ON_ERROR_STOP".to_owned(), "1".to_owned());
    (runner.quiet, runner.complaints) = (true, Some(String::new()));
    let result = runner.script(&mut lines, Some(&shown), false);
    let said = runner.complaints.unwrap_or_default();
    match result {
        Ok(()) | Err(Stop::Quit) => {
            said.lines().for_each(log::info);
            Ok(())
        }
        Err(Stop::Lost(why)) => Err(Failure::new(format!("`{shown}`: {why}"))),
        Err(Stop::Failed) => Err(Failure::new(last_error(&said, &shown))),
    }
}

/// The error among what was said, on one line, with its file and line in front.
fn last_error(said: &str, file: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let place = lines.iter().rposition(|line| line.starts_with("psql:")).unwrap_or(0);
    let text = lines.get(place..).unwrap_or_default().join("; ");
    let text = text.strip_prefix("psql:").unwrap_or(&text).trim().to_owned();
    if text.is_empty() { format!("{file}: it failed") } else { text }
}

fn open(path: &Path, compression: Compression) -> std::io::Result<Box<dyn BufRead>> {
    let file = BufReader::new(File::open(path)?);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
        Compression::Xz => Box::new(BufReader::new(lzma_rust2::XzReader::new(file, true))),
        Compression::Zstd => Box::new(BufReader::new(Zstd { source: Some(file), frame: None })),
    })
}

type ZstdFrame = ruzstd::decoding::StreamingDecoder<BufReader<File>, ruzstd::decoding::FrameDecoder>;

/// zstd's frames, one after the other.
struct Zstd {
    source: Option<BufReader<File>>,
    frame: Option<Box<ZstdFrame>>,
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let count = frame.read(buffer)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            if let Some(frame) = self.frame.take() {
                let (said, found) =
                    (frame.decoder.get_checksum_from_data(), frame.decoder.get_calculated_checksum());
                if said.is_some() && said != found {
                    return Err(std::io::Error::other("the zstd data is damaged: its checksum is another"));
                }
                self.source = Some(frame.into_inner());
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame = ZstdFrame::new(source).map_err(std::io::Error::other)?;
            self.frame = Some(Box::new(frame));
        }
    }
}

fn execute(
    script: &Script,
    settings: &Resolved,
    target: Option<&Target>,
    running: &Running,
) -> Result<(), Failure> {
    let shown = script.path.display();
    let mut command = match &script.kind {
        Kind::Shell(words) => {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).arg(&script.path);
            command
        }
        _ => Command::new(&script.path),
    };
    for (variable, setting) in
        [("SCRATCHBIRD_USER", "user"), ("SCRATCHBIRD_DATA", "data_directory"), ("PGDATA", "data_directory")]
    {
        command.env(variable, settings.text(setting));
    }
    if let Some(target) = target {
        command.env("PGHOST", &target.host).env("PGPORT", target.port.to_string());
        command.env("PGUSER", &target.user).env("PGDATABASE", &target.dbname);
        command.env("SCRATCHBIRD_DB", &target.dbname);
    }
    // A group of its own, so that a signal can end all of it.
    command.stdin(Stdio::null()).process_group(0);
    let mut own = running.child();
    if running.is_interrupted() {
        return Err(Failure::new(format!("`{shown}`: a signal came before it")));
    }
    let child = command.spawn().map_err(|error| Failure::new(format!("can't run `{shown}`: {error}")))?;
    let pid = Pid::from_child(&child);
    *own = Some(pid);
    drop(own);
    // Whatever ends is reaped: what a script leaves behind is this process's child if it is PID 1.
    let status = loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => break status,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::new(format!("can't wait for `{shown}`: {error}"))),
        }
    };
    *running.child() = None;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::new(format!("{shown}: it ended with status {code}"))),
        (None, signal) => {
            Err(Failure::new(format!("{shown}: it was ended by signal {}", signal.unwrap_or_default())))
        }
    }
}
