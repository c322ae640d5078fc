//! Advisory locks: numbers that sessions of one database hold for each other, whatever they mean.

use crate::engine::Interrupt;
use crate::sql::error::{Result, SqlError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often one who waits looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(20);

/// What is asked of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Wait for it.
    Lock,
    /// Take it if it is free.
    Try,
    /// Give it back once.
    Unlock,
    /// Give all back.
    UnlockAll,
}

/// Who holds a lock, how often for the session and for its transaction.
struct Holder {
    pid: i32,
    session: u32,
    transaction: u32,
}

/// All advisory locks, by database and number.
#[derive(Default)]
pub struct Advisory {
    held: Mutex<HashMap<(String, i64), Holder>>,
    /// Whether there was ever one: most servers never see any, and needn't look after every transaction.
    used: AtomicBool,
    freed: Condvar,
}

impl Advisory {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, i64), Holder>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one call; says whether the lock was had.
    pub fn serve(
        &self,
        request: Request,
        transaction: bool,
        key: i64,
        database: &str,
        pid: i32,
        interrupt: &Interrupt,
    ) -> Result<bool> {
        let key = (database.to_owned(), key);
        let mut held = self.lock();
        match request {
            Request::UnlockAll => {
                drop(held);
                self.release(pid, false);
                return Ok(true);
            }
            Request::Unlock => {
                let Some(holder) = held.get_mut(&key).filter(|h| h.pid == pid && h.session > 0) else {
                    return Ok(false);
                };
                holder.session -= 1;
                if holder.session + holder.transaction == 0 {
                    held.remove(&key);
                    self.freed.notify_all();
                }
                return Ok(true);
            }
            Request::Lock | Request::Try => {}
        }
        while held.get(&key).is_some_and(|holder| holder.pid != pid) {
            if request == Request::Try {
                return Ok(false);
            }
            if let Some(error) = interrupt.error() {
                return Err(error);
            }
            held = self.freed.wait_timeout(held, SLICE).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.used.store(true, Ordering::SeqCst);
        let holder = held.entry(key).or_insert(Holder { pid, session: 0, transaction: 0 });
        if transaction {
            holder.transaction += 1;
        } else {
            holder.session += 1;
        }
        Ok(true)
    }

    /// Gives back what a session holds: for its transaction only, or everything of the session's own.
    pub fn release(&self, pid: i32, transaction: bool) {
        if !self.used.load(Ordering::SeqCst) {
            return;
        }
        let mut held = self.lock();
        let before = held.len();
        held.retain(|_, holder| {
            if holder.pid == pid {
                if transaction { holder.transaction = 0 } else { holder.session = 0 }
            }
            holder.session + holder.transaction > 0
        });
        if held.len() < before {
            self.freed.notify_all();
        }
    }
}

/// What a function of Postgres asks for, and whether for the transaction only.
pub fn request(name: &str) -> Result<(Request, bool)> {
    Ok(match name {
        "pg_advisory_lock" => (Request::Lock, false),
        "pg_advisory_xact_lock" => (Request::Lock, true),
        "pg_try_advisory_lock" => (Request::Try, false),
        "pg_try_advisory_xact_lock" => (Request::Try, true),
        "pg_advisory_unlock" => (Request::Unlock, false),
        "pg_advisory_unlock_all" => (Request::UnlockAll, false),
        _ => return Err(SqlError::new("42883", format!("function {name} does not exist"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_had_by_one_session_and_counted() {
        let (locks, interrupt) = (Advisory::default(), Interrupt::default());
        let serve = |name: &str, pid: i32| {
            let (request, transaction) = request(name).unwrap();
            locks.serve(request, transaction, 7, "d", pid, &interrupt).unwrap()
        };
        assert!(serve("pg_advisory_lock", 1) && serve("pg_try_advisory_lock", 1));
        assert!(!serve("pg_try_advisory_lock", 2));
        assert!(serve("pg_advisory_unlock", 1));
        assert!(!serve("pg_try_advisory_lock", 2));
        assert!(serve("pg_advisory_unlock", 1) && !serve("pg_advisory_unlock", 1));
        assert!(serve("pg_advisory_xact_lock", 2) && !serve("pg_try_advisory_lock", 1));
        locks.release(2, true);
        assert!(serve("pg_advisory_lock", 1));
        interrupt.raise(crate::engine::Reason::Cancel);
        assert_eq!(locks.serve(Request::Lock, false, 7, "d", 2, &interrupt).unwrap_err().code, "57014");
    }
}
