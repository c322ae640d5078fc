//! A database's write lock: one transaction at a time changes it.
//!
//! Waking a thread up takes longer than most statements, more so on a processor that sleeps. So, where there is a core
//! to spare, one of those that wait is awake: it looks for a while whether its turn has come, and lets everything else
//! run first. When its turn comes, the next one is woken, which then is awake in time. With eight writers of pgbench's
//! TPC-B this was worth up to a sixth of the throughput.

use super::database::lock;
use crate::sql::error::Result;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::thread::{available_parallelism, yield_now};
use std::time::{Duration, Instant};

/// How often one that sleeps looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(20);
/// How long the next one stays awake, about a short transaction.
const AWAKE: Duration = Duration::from_micros(300);
/// Whether somebody else can work meanwhile; a container's limit counts.
pub static HAS_SPARE_CORE: LazyLock<bool> =
    LazyLock::new(|| available_parallelism().is_ok_and(|cores| cores.get() > 1));

/// The lock; it belongs to a transaction, not to a thread.
#[derive(Default)]
pub(super) struct WriteLock {
    state: Mutex<State>,
    left: Condvar,
    /// For those that go first.
    left_first: Condvar,
    /// Whether the lock is to be had, for the one that is awake.
    free: AtomicBool,
    /// Whether somebody is awake.
    watched: AtomicBool,
}

#[derive(Default)]
struct State {
    taken: bool,
    /// How many wait that go before all others.
    first: u32,
}

impl WriteLock {
    /// Waits for the lock, until `given_up` says otherwise.
    pub fn take(&self, given_up: impl Fn() -> Result<()>) -> Result<()> {
        let mut state = lock(&self.state);
        while state.taken || state.first > 0 {
            if *HAS_SPARE_CORE && !self.watched.swap(true, Ordering::SeqCst) {
                drop(state);
                self.watch();
                state = lock(&self.state);
                self.watched.store(false, Ordering::SeqCst);
                if !state.taken && state.first == 0 {
                    self.left.notify_one();
                    break;
                }
            }
            state = self.left.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner).0;
            given_up()?;
        }
        self.set(&mut state, true);
        Ok(())
    }

    /// Waits for the lock, before all others but not for long; says whether it was taken.
    pub fn take_first(&self, patience: Duration) -> bool {
        let mut state = lock(&self.state);
        state.first += 1;
        let waited = self.left_first.wait_timeout_while(state, patience, |state| state.taken);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.first -= 1;
        if !waited.timed_out() {
            self.set(&mut state, true);
        }
        !waited.timed_out()
    }

    /// Lets the next one in.
    pub fn release(&self) {
        let mut state = lock(&self.state);
        self.set(&mut state, false);
        if state.first > 0 {
            self.left_first.notify_one();
        } else if !self.watched.load(Ordering::SeqCst) {
            self.left.notify_one();
        }
    }

    fn set(&self, state: &mut State, taken: bool) {
        state.taken = taken;
        self.free.store(!taken, Ordering::SeqCst);
    }

    fn watch(&self) {
        let end = Instant::now() + AWAKE;
        while !self.free.load(Ordering::SeqCst) && Instant::now() < end {
            yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WriteLock;
    use crate::sql::error::SqlError;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::thread::{scope, sleep};
    use std::time::{Duration, Instant};

    #[test]
    fn one_at_a_time_and_everybody_in_the_end() {
        let (turn, inside, count) = (WriteLock::default(), AtomicU32::new(0), AtomicU32::new(0));
        scope(|scope| {
            for thread in 0..6_u64 {
                let (turn, inside, count) = (&turn, &inside, &count);
                scope.spawn(move || {
                    for round in 0..300 {
                        turn.take(|| Ok(())).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "alone");
                        count.fetch_add(1, Ordering::SeqCst);
                        // Some hold it for longer than anybody stays awake.
                        if (round + thread) % 97 == 0 {
                            sleep(Duration::from_millis(2));
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                        turn.release();
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 1800);
    }

    #[test]
    fn whoever_gives_up_leaves_the_lock_as_it_was() {
        let turn = WriteLock::default();
        turn.take(|| Ok(())).unwrap();
        let error = turn.take(|| Err(SqlError::new("57014", "cancelled"))).unwrap_err();
        assert_eq!(error.code, "57014");
        let began = Instant::now();
        assert!(!turn.take_first(Duration::from_millis(30)), "it is held");
        assert!(began.elapsed() >= Duration::from_millis(30));
        turn.release();
        assert!(turn.take_first(Duration::from_millis(30)));
        turn.release();
        turn.take(|| Ok(())).unwrap();
    }

    #[test]
    fn somebody_who_takes_it_again_and_again_lets_others_in() {
        let (turn, done) = (WriteLock::default(), AtomicBool::new(false));
        scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    turn.take(|| Ok(())).unwrap();
                    sleep(Duration::from_micros(100));
                    turn.release();
                }
            });
            for _ in 0..100 {
                assert!(turn.take_first(Duration::from_secs(5)));
                turn.release();
            }
            done.store(true, Ordering::SeqCst);
        });
    }
}
