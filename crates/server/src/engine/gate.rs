//! What all databases of a cluster share: whether they may be written, and who waits for replicas.
//!
//! A commit takes a ticket while it holds its database's write lock. Replication looks at the tickets from outside:
//! it is woken after a commit, captures everything written up to a ticket, and says when that ticket is safe on
//! as many replicas as the settings ask for. Where nothing is replicated all of this costs one atomic read.

use super::database::lock;
use super::interrupt::Interrupt;
use crate::sql::error::{Result, SqlError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a waiting commit looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(100);

/// What all databases of a cluster share.
#[derive(Default)]
pub struct Gate {
    closed: AtomicBool,
    /// Commits are captured.
    watched: AtomicBool,
    /// Commits wait for replicas.
    synchronous: AtomicBool,
    woken: Mutex<bool>,
    wake: Condvar,
    acknowledged: Mutex<()>,
    acknowledgement: Condvar,
}

/// A database's commits, counted.
#[derive(Default)]
pub struct Tickets {
    written: AtomicU64,
    replicated: AtomicU64,
}

impl Tickets {
    /// Notes a commit, and gives its ticket.
    pub fn take(&self) -> u64 {
        self.written.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The last ticket taken.
    pub fn last(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }
}

impl Gate {
    /// Refuses writes from now on, or lets them in again.
    pub fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
        self.acknowledgement.notify_all();
    }

    /// Whether writes are refused.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// From now on commits are captured, and wait for replicas if `synchronous`.
    pub fn watch(&self, synchronous: bool) {
        self.synchronous.store(synchronous, Ordering::SeqCst);
        self.watched.store(true, Ordering::SeqCst);
    }

    /// The error for a write that is refused.
    pub fn check(&self) -> Result<()> {
        if self.is_closed() {
            return Err(SqlError::new("25006", "cannot write: this server takes no writes"));
        }
        Ok(())
    }

    /// Tells whoever captures commits that there is one.
    pub fn wake(&self) {
        if self.watched.load(Ordering::SeqCst) {
            *lock(&self.woken) = true;
            self.wake.notify_one();
        }
    }

    /// Waits for a commit, or for the time to pass.
    pub fn wait_for_commit(&self, patience: Duration) {
        let woken = lock(&self.woken);
        let waited = self.wake.wait_timeout_while(woken, patience, |woken| !*woken);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    /// Says that everything up to a ticket is safe on enough replicas.
    pub fn replicated(&self, tickets: &Tickets, ticket: u64) {
        tickets.replicated.fetch_max(ticket, Ordering::SeqCst);
        drop(lock(&self.acknowledged));
        self.acknowledgement.notify_all();
    }

    /// Waits until a commit is safe on enough replicas. An error doesn't take the commit back: it says that nobody
    /// knows whether a replica has it.
    pub fn wait_replicated(&self, tickets: &Tickets, ticket: u64, interrupt: &Interrupt) -> Result<()> {
        if !self.synchronous.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut guard = lock(&self.acknowledged);
        while tickets.replicated.load(Ordering::SeqCst) < ticket {
            let why = if self.is_closed() {
                Some("this server takes no writes any more".to_owned())
            } else {
                interrupt.error().map(|error| error.message)
            };
            if let Some(why) = why {
                let message = format!("{why} while the commit waited for a replica");
                let detail = "The transaction is committed here, but might not be on any replica.";
                return Err(SqlError::new("40003", message).detail(detail));
            }
            let waited = self.acknowledgement.wait_timeout(guard, SLICE);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}
