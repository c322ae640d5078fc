//! Putting the log's pages into the databases, a commit in one transaction.
//!
//! The log is durable before it is applied, so the databases are flushed only now and then, and a mark says how far they
//! surely are. After a start everything behind the mark is applied again, before anybody reads: page images may be put
//! twice. The files may hold later commits than the mark says, so this is one transaction for each database: a state
//! of old and new pages would be none.

use super::log::Log;
use super::record::{HEADER, Kind, Record};
use super::{disk, lock};
use crate::cluster::{self, Cluster};
use crate::engine::Snapshot;
use crate::engine::pages::Copy;
use crate::engine::wal;
use crate::log as server_log;
use crate::session::Server;
use crate::sql::error::{Result, SqlError};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the mark moves.
const MARK_EVERY: Duration = Duration::from_secs(5);
/// How often the applier looks for other reasons to stop.
const ROUND: Duration = Duration::from_millis(200);

/// What changed for those who read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// A database has definitions of this version now.
    pub definitions: Option<(i64, u64)>,
    /// These databases are no more.
    pub dropped: Vec<i64>,
}

/// The databases of a data directory that take pages.
pub struct Applier {
    data: PathBuf,
    copies: BTreeMap<u32, Copy>,
    /// Databases that hold everything before a place already.
    copied: BTreeMap<u32, u64>,
    /// A database that is just coming.
    file: Option<(u32, File)>,
    listed: BTreeSet<i64>,
    /// While the log is caught up with after a start: the sizes that the databases will have.
    sizes: Option<BTreeMap<u32, u32>>,
}

impl Applier {
    /// An applier for a data directory.
    pub fn new(data: &Path, copied: BTreeMap<u32, u64>) -> Result<Self> {
        let mut applier = Self {
            data: data.to_owned(),
            copies: BTreeMap::new(),
            copied,
            file: None,
            listed: BTreeSet::new(),
            sizes: None,
        };
        applier.listed = applier.list()?;
        Ok(applier)
    }

    fn path(&self, oid: u32) -> PathBuf {
        let name = format!("{oid}.db");
        if oid == 0 { self.data.join("global.db") } else { self.data.join("base").join(name) }
    }

    fn list(&self) -> Result<BTreeSet<i64>> {
        let databases = Snapshot::take(&self.path(0))?.databases()?;
        Ok(databases.into_iter().map(|(oid, _)| oid).collect())
    }

    fn copy(&mut self, oid: u32) -> Result<&mut Copy> {
        let path = self.path(oid);
        match self.copies.entry(oid) {
            std::collections::btree_map::Entry::Occupied(copy) => Ok(copy.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => Ok(place.insert(Copy::open(&path)?)),
        }
    }

    /// Applies a record, given with its bytes.
    pub fn apply(&mut self, record: &Record, bytes: &[u8]) -> Result<Effect> {
        let oid = record.database;
        let payload = bytes.get(HEADER..).unwrap_or_default();
        let known = self.copied.get(&oid).is_some_and(|lsn| record.end() <= *lsn);
        match record.kind {
            Kind::Positions => Ok(Effect::default()),
            _ if known => Ok(Effect::default()),
            Kind::File => self.begin_database(record, payload).map(|()| Effect::default()),
            // It was dropped while the copy was made, and the log will say so.
            Kind::Pages if oid != 0 && !self.path(oid).exists() => Ok(Effect::default()),
            Kind::Pages => self.change_database(record, payload),
        }
    }

    fn change_database(&mut self, record: &Record, payload: &[u8]) -> Result<Effect> {
        let oid = record.database;
        // What was cut off later need not come back.
        let size = self.sizes.as_ref().and_then(|sizes| sizes.get(&oid)).copied().unwrap_or(u32::MAX);
        let copy = self.copy(oid)?;
        for (number, page) in record.pages(payload).filter(|(number, _)| *number <= size) {
            copy.put(number, page)?;
        }
        if !record.commits || self.sizes.is_some() {
            return Ok(Effect::default());
        }
        self.commit(oid, record.pages)
    }

    fn commit(&mut self, oid: u32, pages: u32) -> Result<Effect> {
        let version = self.copy(oid)?.commit(pages)?;
        let mut effect = Effect {
            definitions: version.filter(|_| oid != 0).map(|version| (i64::from(oid), version)),
            dropped: Vec::new(),
        };
        if oid == 0 {
            let listed = self.list()?;
            effect.dropped = self.listed.difference(&listed).copied().collect();
            self.listed = listed;
            for oid in &effect.dropped {
                self.copies.retain(|known, _| i64::from(*known) != *oid);
                cluster::remove_database_files(&self.data.join("base").join(format!("{oid}.db")));
            }
        }
        Ok(effect)
    }

    /// A whole database: it is built aside, and named when it is whole.
    fn begin_database(&mut self, record: &Record, payload: &[u8]) -> Result<()> {
        let (oid, path) = (record.database, self.path(record.database));
        let building = path.with_extension("new");
        let io = |error: std::io::Error| disk("can't write a new database", &error);
        if self.file.as_ref().is_none_or(|(known, _)| *known != oid) {
            self.copies.remove(&oid);
            let mut options = File::options();
            let file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&building).map_err(io)?;
            self.file = Some((oid, file));
        }
        let Some((_, file)) = &self.file else { return Ok(()) };
        for (number, page) in record.pages(payload) {
            let at = u64::from(number.saturating_sub(1)) * u64::from(record.page_size);
            file.write_all_at(page, at).map_err(io)?;
        }
        if record.commits {
            file.set_len(u64::from(record.pages) * u64::from(record.page_size)).map_err(io)?;
            file.sync_all().map_err(io)?;
            self.file = None;
            cluster::remove_database_files(&path);
            fs::rename(&building, &path).map_err(io)?;
            File::open(self.data.join("base")).and_then(|base| base.sync_all()).map_err(io)?;
        }
        Ok(())
    }

    /// Makes everything applied so far durable.
    pub fn flush(&self) -> Result<()> {
        for oid in self.copies.keys() {
            match File::open(wal::path(&self.path(*oid))).and_then(|file| file.sync_data()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(disk("can't flush a write-ahead log", &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Applies everything whole in a log from a place on; says where that ends.
    pub fn catch_up(&mut self, log: &Log, mut lsn: u64) -> Result<u64> {
        let whole = log.whole().lsn;
        let (mut place, mut sizes) = (lsn, BTreeMap::new());
        while place < whole {
            let (record, _) = next(log, place)?.ok_or_else(damaged)?;
            if record.kind == Kind::Pages {
                sizes.insert(record.database, record.pages);
            }
            place = record.end();
        }
        self.sizes = Some(sizes);
        while lsn < whole {
            let (record, bytes) = next(log, lsn)?.ok_or_else(damaged)?;
            self.apply(&record, &bytes)?;
            lsn = record.end();
        }
        // The list of databases goes first: what is no longer on it needs no end.
        for (oid, pages) in self.sizes.take().unwrap_or_default() {
            if self.copies.contains_key(&oid) {
                self.commit(oid, pages)?;
            }
        }
        Ok(lsn)
    }
}

fn next(log: &Log, lsn: u64) -> Result<Option<(Record, Vec<u8>)>> {
    log.record(lsn).map_err(|error| disk("can't read the replication log", &error))
}

fn damaged() -> SqlError {
    SqlError::new("XX001", "the replication log can't be read where a record should be")
}

/// Applies what comes in, until somebody wants a promotion or the server ends; then all that is whole is applied.
pub fn run(server: &Server, applier: &mut Applier) -> Result<()> {
    let replication = &server.replication;
    let log = replication.log()?;
    let mut marked = Instant::now();
    // Between the records of one commit it is ahead of what counts as applied.
    let mut lsn = replication.progress().applied;
    while !replication.is_ending() {
        let whole = log.whole().lsn;
        if lsn < whole.min(log.durable()) {
            let (record, bytes) = next(log, lsn)?.ok_or_else(damaged)?;
            let effect = applier.apply(&record, &bytes)?;
            take_up(&server.cluster, server, &effect);
            lsn = record.end();
            if !record.commits {
                continue;
            }
            let mut progress = lock(&replication.progress);
            progress.applied = lsn;
            if record.kind != Kind::Positions {
                progress.applied_time = record.time;
            }
            if progress.applied >= progress.primary_end {
                progress.current = Some(Instant::now());
            }
        } else if replication.is_promoting() && replication.stream.try_lock().is_ok() {
            // Whoever takes it now sees that there is a promotion.
            break;
        } else {
            log.wait(lsn, ROUND);
        }
        if marked.elapsed() >= MARK_EVERY {
            mark(server, applier)?;
            super::slots::tidy(server)?;
            marked = Instant::now();
        }
    }
    mark(server, applier)
}

fn mark(server: &Server, applier: &Applier) -> Result<()> {
    let replication = &server.replication;
    let applied = replication.progress().applied;
    let (state, timeline) = (replication.state(), replication.log()?.timeline());
    if state.applied == applied && state.timeline >= timeline {
        return Ok(());
    }
    applier.flush()?;
    replication.change_state(&server.cluster, |state| {
        state.applied = applied;
        state.timeline = state.timeline.max(timeline);
        state.copied.retain(|_, lsn| *lsn > applied);
    })
}

/// Sessions see new definitions; those in a database that is no more are ended.
fn take_up(cluster: &Cluster, server: &Server, effect: &Effect) {
    if let Some((oid, version)) = effect.definitions
        && let Some(database) = cluster.opened(oid)
    {
        database.adopt_definitions(version);
    }
    for name in cluster.adopt_databases(&effect.dropped) {
        server_log::info(&format!("database \"{name}\" was dropped on the primary"));
        server.end_sessions(&name);
    }
}
