//! What a session does, as others see it in `pg_stat_activity`.

use super::Transaction;
use crate::sql::datetime;
use crate::sql::system::Seen;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a statement that are kept: what Postgres' `track_activity_query_size` is at first.
const SHOWN: usize = 1024;

/// What a session does.
pub struct Activity {
    busy: AtomicBool,
    seen: Mutex<Seen>,
}

impl Default for Activity {
    fn default() -> Self {
        let now = datetime::now();
        let seen = Seen {
            application: String::new(),
            query: String::new(),
            state: "idle",
            connected: now,
            transaction: None,
            statement: None,
            changed: now,
        };
        Self { busy: AtomicBool::new(false), seen: Mutex::new(seen) }
    }
}

impl Activity {
    /// Whether a message is worked on.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::SeqCst)
    }

    /// A message is worked on, or the session waits for one.
    pub fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::SeqCst);
    }

    /// A statement begins.
    pub fn begins(&self, text: &str) {
        let now = datetime::now();
        let end = (0..=text.len().min(SHOWN)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let mut seen = self.lock();
        seen.query.clear();
        seen.query.push_str(&text[..end]);
        seen.transaction.get_or_insert(now);
        seen.statement = Some(now);
        (seen.state, seen.changed) = ("active", now);
    }

    /// The statement that runs has a password in it: its command alone is shown.
    pub fn hides(&self, tag: &str) {
        tag.clone_into(&mut self.lock().query);
    }

    /// The statement has ended, and the client may send the next one.
    pub(super) fn ends(&self, transaction: &Transaction) {
        let now = datetime::now();
        let mut seen = self.lock();
        seen.state = match transaction {
            Transaction::Idle => {
                seen.transaction = None;
                "idle"
            }
            Transaction::Open { .. } => "idle in transaction",
            Transaction::Failed => "idle in transaction (aborted)",
        };
        seen.changed = now;
    }

    /// The client calls itself something.
    pub fn is_called(&self, application: &str) {
        application.clone_into(&mut self.lock().application);
    }

    /// What others see now.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
