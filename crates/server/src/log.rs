//! The log: one line of text or one JSON object an event, on standard error, in UTC.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// How important an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For developers.
    Debug,
    /// What happens.
    Info,
    /// What somebody should look at.
    Warning,
    /// What went wrong.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

static LEAST: AtomicU8 = AtomicU8::new(Level::Info as u8);
static JSON: AtomicBool = AtomicBool::new(false);
static STATEMENTS: AtomicU8 = AtomicU8::new(0);
static CONNECTIONS: AtomicBool = AtomicBool::new(false);
static MIN_DURATION: AtomicU64 = AtomicU64::new(0);

/// Takes up the log settings; called at the start and at every reload.
pub fn configure(settings: &settings::Resolved) {
    let least = match settings.text("log_level") {
        "debug" => Level::Debug,
        "warning" => Level::Warning,
        "error" => Level::Error,
        _ => Level::Info,
    };
    let statements = match settings.text("log_statement") {
        "ddl" => 1,
        "mod" => 2,
        "all" => 3,
        _ => 0,
    };
    LEAST.store(least as u8, Ordering::Relaxed);
    JSON.store(settings.text("log_format") == "json", Ordering::Relaxed);
    STATEMENTS.store(statements, Ordering::Relaxed);
    CONNECTIONS.store(settings.bool("log_connections"), Ordering::Relaxed);
    MIN_DURATION.store(settings.time("log_min_duration"), Ordering::Relaxed);
}

/// Which statements are logged: 0 none, 1 definitions, 2 changes, 3 all.
pub fn statements() -> u8 {
    STATEMENTS.load(Ordering::Relaxed)
}

/// Whether connections are logged.
pub fn connections() -> bool {
    CONNECTIONS.load(Ordering::Relaxed)
}

/// The shortest duration that is logged, in milliseconds; 0 is none.
pub fn min_duration() -> u64 {
    MIN_DURATION.load(Ordering::Relaxed)
}

/// Logs an event with fields.
pub fn event(level: Level, message: &str, fields: &[(&str, &str)]) {
    if (level as u8) < LEAST.load(Ordering::Relaxed) {
        return;
    }
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let line = if JSON.load(Ordering::Relaxed) {
        let mut map = serde_json::Map::new();
        for (name, value) in
            [("time", time.as_str()), ("level", level.name()), ("message", message)].iter().chain(fields)
        {
            map.insert((*name).to_owned(), (*value).into());
        }
        format!("{}\n", serde_json::Value::Object(map))
    } else {
        let mut line = format!("{time} {} {}", level.name(), message.replace('\n', "\\n"));
        for (name, value) in fields {
            line += &format!(" {name}={}", value.replace('\n', "\\n"));
        }
        line + "\n"
    };
    // A log that can't be written must not stop the server.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Logs what happens.
pub fn info(message: &str) {
    event(Level::Info, message, &[]);
}

/// Logs what somebody should look at.
pub fn warning(message: &str) {
    event(Level::Warning, message, &[]);
}

/// Logs what went wrong.
pub fn error(message: &str) {
    event(Level::Error, message, &[]);
}
