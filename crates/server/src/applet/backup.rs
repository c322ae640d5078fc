//! `backup`: an archive of the whole cluster, or one database as SQL, once or on a schedule.
//!
//! On a schedule it is a container's main process: it logs, tells a health check how it goes, and a signal ends it
//! without leaving half of anything.

use super::options::{CONNECTION, Flag, parse};
use super::{Failure, sql};
use crate::backup::keep::{self, Limits};
use crate::backup::schedule::Schedule;
use crate::backup::source::{Kind, Source};
use crate::backup::status::Status;
use crate::backup::target::{self, Done};
use crate::{cluster, log};
use jiff::Timestamp;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

const FLAGS: &[Flag] = &[
    ('d', "dbname", true),
    ('D', "data", true),
    ('s', "sql", false),
    ('k', "keep", true),
    ('a', "max-age", true),
    ('e', "every", true),
    ('S', "schedule", true),
    ('H', "health", false),
    ('c', "check", false),
    ('q', "quiet", false),
];

const HELP: &str = "usage: backup [OPTION]… [DIRECTORY | FILE | -]

Writes all databases, roles and settings into one archive while the server runs, reads it again and checks it.
DIRECTORY (default: /backup) gets a file named by the time; `-` is standard output.

  -D, --data=DIR         read this data directory, whether a server runs over it or not; without an option for a
                         server this is the default where there is one
  -h, -p, -U, -d, -w     ask a server instead, as psql has them; the user must be a superuser
  -s, --sql              one database as SQL text, for this server or another; needs a server
  -k, --keep=COUNT       of the backups in DIRECTORY only the last COUNT stay
  -a, --max-age=TIME     older ones go (30d, 12h); the newest always stays
  -e, --every=TIME       go on, and make one at this interval (6h, 30min)
  -S, --schedule=CRON    go on, and make one at these times, in UTC (`30 3 * * *`)
  -H, --health           say whether the last backup into DIRECTORY is good and the next one not late
  -c, --check            read FILE, or the newest in DIRECTORY, and say whether it is whole
  -q, --quiet            say nothing if all is well
";

/// How long after a failure it is tried again, at most.
const RETRY: i64 = 60;

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let (flags, words) = parse(args, &[FLAGS, CONNECTION])?;
    let has = |letter: char| flags.iter().any(|(given, _)| *given == letter);
    let value = |letter: char| {
        flags.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value.as_str())
    };
    if has('?') || has('V') {
        let version = concat!("backup (ScratchBird) ", env!("CARGO_PKG_VERSION"), "\n");
        print!("{}", if has('V') { version } else { HELP });
        return Ok(ExitCode::SUCCESS);
    }
    let place = match &words[..] {
        [] => "/backup",
        [place] => place,
        [.., extra] => {
            return Err(Failure::usage(format!("`{extra}` is one word too many; see `backup --help`")));
        }
    };
    if has('c') {
        return check(Path::new(place), has('q'));
    }
    if has('H') {
        let verdict = Status::read(Path::new(place)).map_err(Failure::new)?.verdict(now().as_second());
        println!("{}", verdict.map_err(Failure::new)?);
        return Ok(ExitCode::SUCCESS);
    }
    let limits = Limits {
        count: value('k').map(count).transpose()?,
        age: value('a').map(|text| seconds("--max-age", text)).transpose()?,
    };
    let schedule = match (value('e'), value('S')) {
        (Some(_), Some(_)) => return Err(Failure::usage("--every and --schedule: give one of them")),
        (Some(text), None) => Some(Schedule::Every(seconds("--every", text)?)),
        (None, Some(text)) => Some(Schedule::cron(text).map_err(Failure::usage)?),
        (None, None) => None,
    };
    let is_directory = place != "-" && Path::new(place).is_dir();
    if !is_directory && (schedule.is_some() || limits != Limits::default()) {
        return Err(Failure::usage(format!(
            "`{place}` is no directory: --keep, --max-age, --every and --schedule need one"
        )));
    }
    let kind = if has('s') { Kind::Sql } else { Kind::Archive };
    if kind == Kind::Sql && is_directory {
        return Err(Failure::usage(format!("`{place}` is a directory: SQL goes to a file or `-`")));
    }
    let source = source(&flags, kind)?;
    let job = Job { source, kind, place: place.to_owned(), limits, quiet: has('q') };
    let events = Events::watch()?;
    match schedule {
        Some(schedule) => repeat(&job, &schedule, &events),
        None => once(&job, &events),
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn count(text: &str) -> Result<usize, Failure> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| Failure::usage(format!("--keep: `{text}` is no number of backups, from 1")))
}

fn seconds(flag: &str, text: &str) -> Result<i64, Failure> {
    let seconds = settings::parse_time(text, 1000).and_then(|time| i64::try_from(time / 1000).ok());
    let wrong =
        || Failure::usage(format!("{flag}: `{text}` is no time such as 90s, 30min, 6h or 7d, from 1s"));
    seconds.filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// A server if one is named, else the data directory if there is one.
fn source(flags: &[(char, String)], kind: Kind) -> Result<Source, Failure> {
    let value = |letter: char| flags.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value);
    let arguments: Vec<String> =
        value('D').map(|path| vec!["-D".to_owned(), path.clone()]).unwrap_or_default();
    let settings = super::resolve(&arguments)?;
    let named = "hpUd".chars().any(|letter| value(letter).is_some())
        || ["PGHOST", "PGHOSTADDR"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|host| !host.is_empty()));
    let directory = Path::new(settings.text("data_directory"));
    if kind == Kind::Archive && (value('D').is_some() || !named) {
        match cluster::exists(directory) {
            Ok(true) => return Ok(Source::Directory(Box::new(settings))),
            Ok(false) if value('D').is_none() => {}
            Ok(false) => {
                let shown = directory.display();
                return Err(Failure::new(format!(
                    "`{shown}` holds no cluster: name another data directory by -D"
                )));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut given = sql::connection_options(flags)?;
    if kind == Kind::Archive && std::env::var_os("PGDATABASE").is_none() {
        // The whole cluster is meant; which database one talks to doesn't matter.
        given.entry("dbname".to_owned()).or_insert_with(|| "postgres".to_owned());
    }
    let mut target = sql::find(&given)?;
    // A backup's container has the secret that the server's has.
    let own = Some(settings.text("password")).filter(|password| !password.is_empty());
    target.password = target.password.or_else(|| own.map(str::to_owned));
    "backup".clone_into(&mut target.application);
    Ok(Source::Server(Box::new(target)))
}

fn check(path: &Path, quiet: bool) -> Result<ExitCode, Failure> {
    let scratch = std::env::temp_dir().join(format!("scratchbird-check-{}", std::process::id()));
    let path = &super::restore::newest(path)?;
    let (label, manifest) = target::verify(path, &scratch).map_err(Failure::new)?;
    if !quiet {
        let size: u64 = manifest.values().map(|sum| sum.size).sum();
        println!(
            "{}: whole; made {} by version {}, {size} bytes unpacked",
            path.display(),
            label.created,
            label.version
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be done.
#[derive(Debug, Clone)]
struct Job {
    source: Source,
    kind: Kind,
    place: String,
    limits: Limits,
    quiet: bool,
}

impl Job {
    fn path(&self) -> PathBuf {
        let place = PathBuf::from(&self.place);
        if place.is_dir() { place.join(keep::name(now())) } else { place }
    }

    /// One backup, and the removal of what it makes superfluous.
    fn work(&self) -> std::io::Result<Done> {
        if self.place == "-" {
            return target::to_stdout(&self.source, self.kind);
        }
        let done = target::to_file(&self.source, self.kind, &self.path())?;
        if self.limits != Limits::default() {
            for path in keep::apply(Path::new(&self.place), self.limits, now())? {
                self.say(&format!("removed {}", path.display()));
            }
        }
        Ok(done)
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            log::info(text);
        }
    }

    /// In a directory the health check wants to know.
    fn note(&self, change: impl FnOnce(&mut Status)) -> std::io::Result<()> {
        let directory = Path::new(&self.place);
        if self.place == "-" || !directory.is_dir() {
            return Ok(());
        }
        let mut status = Status::read(directory).unwrap_or_default();
        change(&mut status);
        status.write(directory)
    }

    fn settle(&self, result: &std::io::Result<Done>) {
        let noted = self.note(|status| match result {
            Ok(_) => (status.last_success, status.error) = (Some(now().as_second()), None),
            Err(error) => status.error = Some(error.to_string()),
        });
        if let Err(error) = noted {
            log::warning(&format!("the health check can't be told: {error}"));
        }
    }

    /// What a signal interrupted is not left behind.
    fn abandon(&self) {
        if self.place != "-" {
            target::abandon(&self.path());
        }
    }
}

enum Event {
    Signal(i32),
    Done(std::io::Result<Done>),
}

/// One queue for signals and for the backup's end.
struct Events {
    sender: Sender<Event>,
    queue: Receiver<Event>,
}

impl Events {
    fn watch() -> Result<Self, Failure> {
        let (sender, queue) = channel();
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Failure::new)?;
        let to = sender.clone();
        super::serve::spawn("signals", move || {
            for signal in &mut signals {
                if to.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { sender, queue })
    }

    /// Runs the job in a thread of its own; the signal's number if one came first.
    fn perform(&self, job: &Job) -> Result<Result<Done, Failure>, i32> {
        let (sender, work) = (self.sender.clone(), job.clone());
        let spawned = super::serve::spawn("backup", move || {
            // The main thread waits for this, or has left already.
            let _ = sender.send(Event::Done(work.work()));
        });
        if let Err(failure) = spawned {
            return Ok(Err(failure));
        }
        match self.queue.recv() {
            Ok(Event::Done(result)) => {
                job.settle(&result);
                Ok(result.map_err(Failure::new))
            }
            Ok(Event::Signal(signal)) => {
                job.abandon();
                Err(signal)
            }
            // The sender beside it keeps the queue open.
            Err(_) => Err(SIGTERM),
        }
    }

    /// Waits; says whether a signal came.
    fn sleep(&self, duration: Duration) -> bool {
        !matches!(self.queue.recv_timeout(duration), Err(RecvTimeoutError::Timeout))
    }
}

fn once(job: &Job, events: &Events) -> Result<ExitCode, Failure> {
    match events.perform(job) {
        Ok(result) => {
            if let Done { path: Some(path), size } = result? {
                job.say(&format!("{} written and checked, {size} bytes", path.display()));
                println!("{}", path.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(signal) => Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))),
    }
}

fn repeat(job: &Job, schedule: &Schedule, events: &Events) -> Result<ExitCode, Failure> {
    let directory = Path::new(&job.place);
    let mut last = keep::list(directory).map_err(Failure::new)?.last().map(|(time, _)| *time);
    let mut failed = false;
    loop {
        let present = now();
        let due =
            schedule.next(present, last).ok_or_else(|| Failure::new("the schedule has no next time"))?;
        let retry = present.as_second() + RETRY;
        let due =
            if failed { due.as_second().clamp(present.as_second() + 1, retry) } else { due.as_second() };
        job.note(|status| status.next = Some(due))
            .map_err(|error| Failure::new(format!("can't write to `{}`: {error}", job.place)))?;
        let wait = u64::try_from(due - present.as_second()).unwrap_or(0);
        if wait > 0 {
            job.say(&format!("the next backup is due in {}", settings::format_time(wait * 1000)));
        }
        // An interval that is over at once still looks for a signal first.
        if events.sleep(Duration::from_secs(wait)) {
            log::info("stopped");
            return Ok(ExitCode::SUCCESS);
        }
        match events.perform(job) {
            Ok(Ok(Done { path, size })) => {
                (failed, last) = (false, Some(now()));
                let shown = path.map(|path| path.display().to_string()).unwrap_or_default();
                job.say(&format!("{shown} written and checked, {size} bytes"));
            }
            Ok(Err(failure)) => {
                failed = true;
                log::error(&format!("backup of {} failed: {}", job.source, failure.message));
            }
            Err(_) => {
                log::info("stopped in the middle of a backup, which is not kept");
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}
