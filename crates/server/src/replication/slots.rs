//! What the primary knows of its replicas: how far each is, what the log must keep for it, who waits for it.

use super::state::{directory, write_json};
use super::{Role, disk, lock};
use crate::log as server_log;
use crate::session::Server;
use crate::sql::error::{Result, SqlError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the replicas' places are written down.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// A replica's place.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Slot {
    /// Everything before this place is durable there.
    pub flushed: u64,
    /// Everything before this place is in its databases.
    #[serde(skip)]
    pub applied: u64,
    /// What was sent.
    #[serde(skip)]
    pub sent: u64,
    /// The session that serves it; 0 is none.
    #[serde(skip)]
    pub pid: i32,
    /// Where it connects from.
    #[serde(skip)]
    pub address: String,
    /// The role it logged in as.
    #[serde(skip)]
    pub user: String,
    /// The log no longer holds what it needs.
    #[serde(default)]
    pub lost: bool,
}

/// All replicas' places.
#[derive(Default)]
pub struct Slots {
    slots: BTreeMap<String, Slot>,
    /// Commits in the order of the log: where each ends, its database and its ticket.
    waiting: VecDeque<(u64, u32, u64)>,
    saved: Option<Instant>,
    changed: bool,
}

impl Slots {
    /// Reads what was written down.
    pub fn read(data: &Path) -> Self {
        let text = std::fs::read_to_string(directory(data).join("slots.json")).unwrap_or_default();
        // Replicas that come back make their slots anew.
        Self { slots: serde_json::from_str(&text).unwrap_or_default(), ..Self::default() }
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<String, Slot> {
        self.slots.clone()
    }

    /// A replica's, which is made if it is new.
    pub fn of(&mut self, name: &str) -> &mut Slot {
        self.changed |= !self.slots.contains_key(name);
        self.slots.entry(name.to_owned()).or_default()
    }

    /// Removes one; says whether there was one.
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        if self.slots.get(name).is_some_and(|slot| slot.pid != 0) {
            return Err(SqlError::new("55006", format!("replication slot \"{name}\" is active")));
        }
        self.changed = true;
        Ok(self.slots.remove(name).is_some())
    }

    /// A commit waits until everything before a place is safe.
    pub fn wait_for(&mut self, lsn: u64, database: u32, ticket: u64) {
        self.waiting.push_back((lsn, database, ticket));
    }

    /// The place before which everything is durable on a number of replicas.
    pub fn safe(&self, replicas: usize) -> u64 {
        let Some(last) = replicas.checked_sub(1) else { return u64::MAX };
        let mut places: Vec<u64> =
            self.slots.values().filter(|slot| !slot.lost).map(|slot| slot.flushed).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        places.get(last).copied().unwrap_or(0)
    }
}

/// Lets those commits go on that are safe on enough replicas.
pub fn release(server: &Server) {
    let replication = &server.replication;
    let replicas = usize::try_from(replication.synchronous.load(Ordering::SeqCst)).unwrap_or(usize::MAX);
    let mut slots = lock(&replication.slots);
    let safe = slots.safe(replicas);
    while let Some((lsn, database, ticket)) = slots.waiting.front().copied().filter(|(lsn, ..)| *lsn <= safe)
    {
        let _ = lsn;
        slots.waiting.pop_front();
        if database == 0 {
            server.cluster.gate.replicated(&server.cluster.tickets, ticket);
        } else if let Some(database) = server.cluster.opened(i64::from(database)) {
            server.cluster.gate.replicated(&database.tickets, ticket);
        }
    }
}

/// Releases what waits for nobody, removes what the log need not keep, writes down where the replicas are.
pub fn tidy(server: &Server) -> Result<()> {
    release(server);
    let (replication, log) = (&server.replication, server.replication.log()?);
    let end = log.whole().lsn;
    let mut slots = lock(&replication.slots);
    if slots.saved.is_some_and(|at| at.elapsed() < SAVE_EVERY) && !slots.changed {
        return Ok(());
    }
    let cap = end.saturating_sub(server.settings.size("max_slot_wal_keep_size"));
    let mut keep = end.saturating_sub(server.settings.size("wal_keep_size"));
    for (name, slot) in &mut slots.slots {
        if slot.flushed < cap && slot.flushed < log.oldest().max(cap) && !slot.lost && slot.pid == 0 {
            slot.lost = true;
            server_log::warning(&format!(
                "replica `{name}` is behind by more than max_slot_wal_keep_size; when it comes back it must copy everything"
            ));
        }
        if !slot.lost {
            keep = keep.min(slot.flushed);
        }
    }
    // A replica that is connected and slow is not waited for either.
    keep = keep.max(cap.min(end));
    if let Some(archived) = super::archive::needs(server) {
        keep = keep.min(archived);
    }
    if replication.role() == Role::Replica {
        keep = keep.min(replication.state().applied);
    }
    log.forget(keep).map_err(|error| disk("can't remove a part of the replication log", &error))?;
    write_json(&directory(server.cluster.directory()), "slots.json", &slots.slots)?;
    (slots.saved, slots.changed) = (Some(Instant::now()), false);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_is_what_enough_replicas_have() {
        let mut slots = Slots::default();
        for (name, flushed) in [("a", 5), ("b", 9), ("c", 7)] {
            slots.of(name).flushed = flushed;
        }
        let safe: Vec<u64> = (0..5).map(|replicas| slots.safe(replicas)).collect();
        assert_eq!(safe, [u64::MAX, 9, 7, 5, 0]);
        slots.of("b").lost = true;
        assert_eq!(slots.safe(1), 7);
        slots.of("c").pid = 3;
        assert_eq!(slots.remove("c").unwrap_err().code, "55006");
        assert!(slots.remove("a").unwrap() && !slots.remove("a").unwrap());
    }
}
