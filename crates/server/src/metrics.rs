//! What is counted, and the text that Prometheus reads. docs/metrics.md explains every name.

use crate::backup::archive;
use crate::replication::status;
use crate::session::Server;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The kinds of statements, by the first word of the command tag.
const KINDS: &[(&str, &[&str])] = &[
    ("select", &["SELECT"]),
    ("insert", &["INSERT"]),
    ("update", &["UPDATE"]),
    ("delete", &["DELETE"]),
    ("copy", &["COPY"]),
    ("ddl", &["CREATE", "ALTER", "DROP", "TRUNCATE", "COMMENT", "GRANT", "REVOKE"]),
    ("transaction", &["BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"]),
    ("other", &[]),
];

/// What is counted.
#[derive(Default)]
pub struct Metrics {
    statements: [AtomicU64; KINDS.len()],
    commits: AtomicU64,
    rollbacks: AtomicU64,
    connections: AtomicU64,
    checkpoints: AtomicU64,
    checkpoint_failures: AtomicU64,
    checkpoint_micros: AtomicU64,
    /// By the first two characters of SQLSTATE.
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Metrics {
    /// A statement was run, whatever became of it.
    pub fn statement(&self, tag: &str) {
        let word = tag.split(' ').next().unwrap_or("");
        let kind = KINDS.iter().position(|(_, words)| words.contains(&word)).unwrap_or(KINDS.len() - 1);
        add(&self.statements[kind], 1);
    }

    /// A transaction ended.
    pub fn transaction(&self, rolled_back: bool) {
        add(if rolled_back { &self.rollbacks } else { &self.commits }, 1);
    }

    /// A client came in.
    pub fn connection(&self) {
        add(&self.connections, 1);
    }

    /// A client was told of an error.
    pub fn error(&self, code: &str) {
        let class = code.get(..2).unwrap_or("XX").to_owned();
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(class).or_default() += 1;
    }

    /// A checkpoint was made, or failed.
    pub fn checkpoint(&self, took: Duration, worked: bool) {
        add(if worked { &self.checkpoints } else { &self.checkpoint_failures }, 1);
        add(&self.checkpoint_micros, u64::try_from(took.as_micros()).unwrap_or(0));
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// The exposition format, one family after the other.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string can't fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, label: Option<(&str, &str)>, value: impl std::fmt::Display) {
        let label =
            label.map(|(name, value)| format!("{{{name}=\"{}\"}}", escape(value))).unwrap_or_default();
        let _ = writeln!(self.0, "{name}{label} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.value(name, None, value);
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The page before there is a server to count in.
pub fn starting() -> String {
    let mut page = Page(String::new());
    head(&mut page, false);
    page.0
}

fn head(page: &mut Page, up: bool) {
    page.single("scratchbird_up", "gauge", "Whether clients are served.", u8::from(up));
    page.family("scratchbird_build_info", "gauge", "The server's version.");
    page.value("scratchbird_build_info", Some(("version", env!("CARGO_PKG_VERSION"))), 1);
}

/// The page of a server that is up or stopping.
pub fn render(server: &Server) -> String {
    let metrics = &server.metrics;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut page = Page(String::new());
    head(&mut page, !server.is_stopping());
    let uptime = server.started.elapsed().as_secs_f64();
    page.single(
        "scratchbird_uptime_seconds",
        "gauge",
        "Time since the server started.",
        format!("{uptime:.3}"),
    );
    let (active, idle) = server.load();
    page.family("scratchbird_connections", "gauge", "Clients that are logged in, by what they do.");
    page.value("scratchbird_connections", Some(("state", "active")), active);
    page.value("scratchbird_connections", Some(("state", "idle")), idle);
    let limit = server.settings.int("max_connections");
    page.single("scratchbird_connections_max", "gauge", "The setting `max_connections`.", limit);
    let total = read(&metrics.connections);
    page.single("scratchbird_connections_total", "counter", "Clients that have logged in.", total);
    page.family("scratchbird_statements_total", "counter", "Statements run, by kind.");
    for ((kind, _), counter) in KINDS.iter().zip(&metrics.statements) {
        page.value("scratchbird_statements_total", Some(("kind", kind)), read(counter));
    }
    page.family("scratchbird_transactions_total", "counter", "Transactions that ended, by outcome.");
    for (outcome, counter) in [("commit", &metrics.commits), ("rollback", &metrics.rollbacks)] {
        page.value("scratchbird_transactions_total", Some(("outcome", outcome)), read(counter));
    }
    page.family("scratchbird_errors_total", "counter", "Errors told to clients, by class of SQLSTATE.");
    for (class, count) in metrics.errors.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        page.value("scratchbird_errors_total", Some(("class", class)), count);
    }
    let made = read(&metrics.checkpoints);
    page.single("scratchbird_checkpoints_total", "counter", "Checkpoints made.", made);
    let failed = read(&metrics.checkpoint_failures);
    page.single("scratchbird_checkpoint_failures_total", "counter", "Checkpoints that failed.", failed);
    let seconds = Duration::from_micros(read(&metrics.checkpoint_micros)).as_secs_f64();
    page.single("scratchbird_checkpoint_seconds_total", "counter", "Time spent on checkpoints.", seconds);
    let sizes = server.cluster.sizes().unwrap_or_default();
    page.family("scratchbird_database_size_bytes", "gauge", "The size of a database's file.");
    for (name, size, _) in &sizes {
        page.value("scratchbird_database_size_bytes", Some(("database", name)), size);
    }
    page.family("scratchbird_wal_size_bytes", "gauge", "The size of a database's write-ahead log.");
    for (name, _, wal) in &sizes {
        page.value("scratchbird_wal_size_bytes", Some(("database", name)), wal);
    }
    let help = "When a backup was last made, in seconds since 1970; 0 if never.";
    let last = archive::last(server.cluster.directory());
    page.single("scratchbird_last_backup_timestamp_seconds", "gauge", help, last);
    for (name, kind, help, values) in status::figures(server) {
        page.family(name, kind, help);
        for (label, value) in values {
            let label = label.as_ref().map(|(name, value)| (*name, value.as_str()));
            page.value(name, label, value);
        }
    }
    if let Some(bytes) = resident() {
        let help = "Memory that the process holds.";
        page.single("process_resident_memory_bytes", "gauge", help, bytes);
    }
    page.0
}

/// What the kernel counts for this process.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_kinds_are_found() {
        let mut page = Page(String::new());
        page.value("a", Some(("database", "it's \"my\\own\"\n")), 1);
        assert_eq!(page.0, "a{database=\"it's \\\"my\\\\own\\\"\\n\"} 1\n");
        let metrics = Metrics::default();
        ["SELECT", "INSERT 0", "CREATE TABLE", "VACUUM"].iter().for_each(|tag| metrics.statement(tag));
        let counts: Vec<u64> = metrics.statements.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 1, 0, 1]);
    }
}
