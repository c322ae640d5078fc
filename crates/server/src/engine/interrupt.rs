//! Stopping a statement that runs: on request, at a deadline, or because the server ends.

use crate::sql::datetime;
use crate::sql::error::SqlError;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

/// Why a running statement should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The client asked.
    Cancel = 1,
    /// The server shuts down, or an administrator ended the session.
    Terminate = 2,
}

/// Stops a running statement from another thread, or at a deadline.
#[derive(Debug, Default)]
pub struct Interrupt {
    reason: AtomicU8,
    /// Microseconds since 2000, 0 for none.
    deadline: AtomicI64,
}

impl Interrupt {
    /// Asks the running statement to stop.
    pub fn raise(&self, reason: Reason) {
        self.reason.fetch_max(reason as u8, Ordering::SeqCst);
    }

    /// Whether the session is to end.
    pub fn terminated(&self) -> bool {
        self.reason.load(Ordering::SeqCst) == Reason::Terminate as u8
    }

    /// Starts a statement: an earlier cancel request is forgotten, a termination is not.
    pub fn arm(&self, timeout_ms: u64) {
        let _ = self.reason.compare_exchange(Reason::Cancel as u8, 0, Ordering::SeqCst, Ordering::SeqCst);
        self.limit(timeout_ms);
    }

    /// What goes on may take this long; 0 is no limit.
    pub fn limit(&self, timeout_ms: u64) {
        let micros = i64::try_from(timeout_ms).unwrap_or(0).saturating_mul(1000);
        let deadline = if micros == 0 { 0 } else { datetime::now() + micros };
        self.deadline.store(deadline, Ordering::SeqCst);
    }

    /// Ends a statement: its deadline no longer counts.
    pub fn disarm(&self) {
        self.deadline.store(0, Ordering::SeqCst);
    }

    /// The error to stop with, if there is a reason to stop.
    pub fn error(&self) -> Option<SqlError> {
        match self.reason.load(Ordering::SeqCst) {
            0 => {}
            1 => return Some(SqlError::new("57014", "canceling statement due to user request")),
            _ => {
                return Some(SqlError::fatal("57P01", "terminating connection due to administrator command"));
            }
        }
        let deadline = self.deadline.load(Ordering::SeqCst);
        let late = deadline != 0 && datetime::now() >= deadline;
        late.then(|| SqlError::new("57014", "canceling statement due to statement timeout"))
    }
}
