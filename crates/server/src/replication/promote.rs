//! From a replica to the primary: a new timeline.
//!
//! 1. The following ends, and what came of an unfinished commit is cut off.
//! 2. Everything whole is applied.
//! 3. The state says, durably, that this is the primary now, on the next timeline. A kill from here on goes on with 4.
//! 4. The log's new segment begins on that timeline; then writes are let in.

use super::capture;
use super::{Replication, Role, lock};
use crate::log as server_log;
use crate::session::Server;
use crate::sql::error::{Result, SqlError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The name of the file that asks a running server to be the primary.
pub const REQUEST: &str = "promote";

/// Steps 3 and 4; everything is applied already.
pub fn finish(server: &Arc<Server>) -> Result<()> {
    let replication = &server.replication;
    let began = Instant::now();
    let log = replication.log()?;
    let end = log.whole().lsn;
    replication.change_state(&server.cluster, |state| {
        state.timeline = state.timeline.max(log.timeline()) + 1;
        (state.primary, state.promoted, state.applied) = (true, true, end);
        state.copied.clear();
    })?;
    become_primary(server, true)?;
    let _ = std::fs::remove_file(server.cluster.directory().join(REQUEST));
    let timeline = replication.state().timeline;
    let took = began.elapsed().as_millis();
    server_log::info(&format!("promoted: this is the primary now, on timeline {timeline} ({took} ms)"));
    Ok(())
}

/// Lets writes in, and captures them.
pub fn become_primary(server: &Arc<Server>, fresh: bool) -> Result<()> {
    let replication = &server.replication;
    capture::begin(server, fresh)?;
    for database in server.cluster.open_all()? {
        database.adopt_sequences()?;
    }
    replication.watch(server);
    replication.set_role(Role::Primary);
    server.cluster.gate.set_closed(false);
    replication.promotion.store(false, Ordering::SeqCst);
    Ok(())
}

impl Replication {
    /// Commits are captured from now on, and wait for as many replicas as the settings say.
    fn watch(&self, server: &Server) {
        let replicas = self.synchronous.load(Ordering::SeqCst);
        server.cluster.gate.watch(replicas > 0);
    }

    /// Changes how many replicas a commit waits for.
    pub fn set_synchronous(&self, server: &Server, replicas: i64) {
        self.synchronous.store(u32::try_from(replicas).unwrap_or(0), Ordering::SeqCst);
        if self.role() == Role::Primary {
            self.watch(server);
        }
    }

    /// pg_promote(): asks, and waits for a while; says whether this is the primary then.
    pub fn promote(&self, patience: Option<Duration>) -> Result<bool> {
        if self.role() != Role::Replica {
            return Err(SqlError::new("55000", "recovery is not in progress")
                .hint("Recovery control functions can only be executed during recovery."));
        }
        self.ask_promotion();
        let Some(patience) = patience else { return Ok(true) };
        let deadline = Instant::now() + patience;
        while self.role() == Role::Replica && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(self.role() == Role::Primary)
    }

    /// The replicas' places.
    pub fn slots(&self) -> std::collections::BTreeMap<String, super::slots::Slot> {
        lock(&self.slots).all()
    }

    /// Forgets a replica.
    pub fn drop_slot(&self, name: &str) -> Result<bool> {
        lock(&self.slots).remove(name)
    }
}
