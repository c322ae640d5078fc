//! Replication: one primary, replicas that follow it page by page.
//!
//! 1. On the primary [`capture`] reads what commits have left in SQLite's write-ahead logs, and writes it into one log
//!    for the whole cluster: [`log`], [`record`]. No commit passes through it; synchronous ones wait for it.
//! 2. [`sender`] is a replica's session on the primary: it gives a copy of everything ([`base`]) or the log from a place
//!    on, and takes acknowledgements.
//! 3. On a replica [`receiver`] writes the primary's log into one of its own, byte for byte, and acknowledges what is
//!    durable; [`apply`] puts the pages into the databases, a commit in one transaction.
//! 4. [`promote`] ends the following and begins a new timeline. [`peers`] finds out whether another server did.
//! 5. [`archive`] keeps the log's segments and copies for point-in-time recovery.
//!
//! docs/replication.md describes the protocol and the format.

pub mod apply;
pub mod archive;
pub mod base;
pub mod capture;
pub mod log;
pub mod peers;
pub mod promote;
pub mod receiver;
pub mod record;
pub mod sender;
pub mod slots;
pub mod start;
pub mod state;
pub mod status;

use crate::cluster::Cluster;
use crate::sql::error::{Result, SqlError};
use capture::Capture;
use log::Log;
use slots::Slots;
use state::State;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What a server is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It has no others.
    Standalone = 0,
    /// It takes the writes.
    Primary = 1,
    /// It follows a primary.
    Replica = 2,
    /// It was a primary, and another server has been promoted since.
    Fenced = 3,
}

impl Role {
    /// Its name in `/health` and in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Fenced => "fenced",
        }
    }
}

/// What a replica knows of its following.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Everything before this place is in the databases.
    pub applied: u64,
    /// When the last applied commit was captured: microseconds since 1970; 0 if there was none since the start.
    pub applied_time: i64,
    /// The end of the primary's log when it last spoke.
    pub primary_end: u64,
    /// When the replica last had everything that the primary had told of.
    pub current: Option<Instant>,
    /// The log is coming in.
    pub connected: bool,
}

/// A server's replication.
pub struct Replication {
    role: AtomicU8,
    log: OnceLock<Log>,
    state: Mutex<State>,
    capture: Mutex<Capture>,
    slots: Mutex<Slots>,
    progress: Mutex<Progress>,
    /// Replicas that a synchronous commit waits for.
    synchronous: AtomicU32,
    /// Somebody wants this replica to be the primary.
    promotion: AtomicBool,
    /// Held by whoever adds another server's records to the log.
    stream: Mutex<()>,
    /// The server ends: threads do, too.
    ending: AtomicBool,
    /// The log is written into a new segment as soon as possible.
    switch: AtomicBool,
    /// Everything before this place is in the archive.
    archived: AtomicU64,
    /// Held while segments go into the archive.
    archiving: Mutex<()>,
    archive_failures: AtomicU64,
}

impl Replication {
    /// Replication in a role; the log is there unless the server stands alone.
    pub fn new(role: Role, state: State, log: Option<Log>) -> Self {
        let opened = OnceLock::new();
        if let Some(log) = log {
            // A fresh cell takes it.
            let _ = opened.set(log);
        }
        Self {
            role: AtomicU8::new(role as u8),
            log: opened,
            progress: Mutex::new(Progress { applied: state.applied, ..Progress::default() }),
            state: Mutex::new(state),
            capture: Mutex::default(),
            slots: Mutex::default(),
            synchronous: AtomicU32::new(0),
            promotion: AtomicBool::new(false),
            stream: Mutex::default(),
            ending: AtomicBool::new(false),
            switch: AtomicBool::new(false),
            archived: AtomicU64::new(0),
            archiving: Mutex::default(),
            archive_failures: AtomicU64::new(0),
        }
    }

    /// A server that has no others.
    pub fn none() -> Self {
        Self::new(Role::Standalone, State::default(), None)
    }

    /// The role at present.
    pub fn role(&self) -> Role {
        match self.role.load(Ordering::SeqCst) {
            1 => Role::Primary,
            2 => Role::Replica,
            3 => Role::Fenced,
            _ => Role::Standalone,
        }
    }

    /// Whether this server writes its own log.
    pub fn is_primary(&self) -> bool {
        [Role::Primary, Role::Fenced].contains(&self.role())
    }

    fn set_role(&self, role: Role) {
        self.role.store(role as u8, Ordering::SeqCst);
    }

    /// The log; an error on a server that stands alone.
    pub fn log(&self) -> Result<&Log> {
        let missing =
            || SqlError::new("55000", "this server does not replicate: its replication_mode is standalone");
        self.log.get().ok_or_else(missing)
    }

    /// A copy of what is known between starts.
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Changes what is known between starts, on the disk first.
    fn change_state(&self, cluster: &Cluster, change: impl FnOnce(&mut State)) -> Result<()> {
        let mut state = lock(&self.state);
        let mut changed = state.clone();
        change(&mut changed);
        changed.write(cluster.directory())?;
        *state = changed;
        Ok(())
    }

    /// What a replica knows of its following.
    pub fn progress(&self) -> Progress {
        *lock(&self.progress)
    }

    /// How far a replica is behind its primary, as far as it can know; `None` where the role has no lag, and the longest
    /// time there is for a replica that was never up to date since its start.
    pub fn lag(&self) -> Option<Duration> {
        if self.role() != Role::Replica {
            return None;
        }
        let progress = self.progress();
        let since = progress.current.map_or(Duration::MAX, |at| at.elapsed());
        // The primary speaks every second, so up to date is what was so a moment ago.
        Some(if since < QUIET * 3 { Duration::ZERO } else { since })
    }

    /// Asks a replica to become the primary.
    pub fn ask_promotion(&self) {
        self.promotion.store(true, Ordering::SeqCst);
        if let Ok(log) = self.log() {
            log.nudge();
        }
    }

    fn is_promoting(&self) -> bool {
        self.promotion.load(Ordering::SeqCst)
    }

    /// Whether the log may grow by another server's records.
    fn follows(&self) -> bool {
        self.role() == Role::Replica && !self.is_promoting() && !self.is_ending()
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// The server ends.
    pub fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
        if let Ok(log) = self.log() {
            log.nudge();
        }
    }

    /// Whether nobody knows what of the log is on the disk.
    pub fn has_failed(&self) -> bool {
        self.log().is_ok_and(Log::has_failed)
    }

    /// Begins a new segment, so that the one before can be archived.
    pub fn switch_segment(&self) {
        self.switch.store(true, Ordering::SeqCst);
    }

    /// Why writes are refused, for a client.
    pub fn why_closed(&self) -> &'static str {
        match self.role() {
            Role::Fenced => "Another server was promoted; connect to that one.",
            _ => "This server is a replica; connect to the primary.",
        }
    }

    /// Another server was promoted: writes end here, for good.
    pub fn fence(&self, cluster: &Cluster, timeline: u32) -> Result<()> {
        cluster.gate.set_closed(true);
        self.set_role(Role::Fenced);
        let own = self.state().timeline;
        crate::log::error(&format!(
            "another server was promoted (timeline {timeline}, this one is on {own}): this one takes no more writes; \
             stop it, run `scratchbird rebuild`, and start it as a replica"
        ));
        self.change_state(cluster, |state| state.fenced_by = timeline)
    }
}

/// How often the primary speaks when nothing happens.
const QUIET: Duration = Duration::from_secs(1);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of the disk, for clients and the log.
fn disk(what: &str, error: &std::io::Error) -> SqlError {
    SqlError::new("58030", format!("{what}: {error}"))
}
