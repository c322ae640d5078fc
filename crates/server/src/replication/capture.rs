//! On the primary: from SQLite's logs, one a database, to the cluster's one.
//!
//! 1. A commit wakes the capture. For each database with new commits it takes the ticket, reads which pages changed
//!    since last time (the last image of each), waits until the database's own log is durable, and writes them as one
//!    commit into the replication log. What is written there once is durable before any replica sees it.
//! 2. SQLite starts its log again once a checkpoint has copied all of it and nobody reads it. So that no commit is
//!    overwritten before it is captured, a read transaction, the pin, is held on every database. It is exchanged for a
//!    later one, or let go for a moment, only after a capture, and then nobody writes.
//! 3. A database that is new comes as a whole before the commit that makes its name known.
//! 4. After a restart the positions are read from the log's last segment, and the capture goes on from there.

use super::record::{HEADER, Kind, LARGEST, Record};
use super::{archive, disk, lock};
use crate::engine::Snapshot;
use crate::engine::wal::{self, Changes, Position};
use crate::log as server_log;
use crate::session::Server;
use crate::sql::error::{Result, SqlError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A segment is finished at this size.
const SEGMENT: u64 = 16 << 20;
/// How often things are looked after that no commit wakes.
const ROUND: Duration = Duration::from_millis(500);

/// The databases that are captured.
#[derive(Default)]
pub struct Capture {
    sources: BTreeMap<u32, Source>,
    /// Where the first commit of the segment is.
    began: u64,
}

struct Source {
    path: PathBuf,
    log: File,
    position: Position,
    pin: Option<Snapshot>,
    /// Everything up to this ticket is captured.
    ticket: u64,
}

impl Source {
    /// Reads a database from a position on.
    fn open(path: PathBuf, position: Position) -> Result<Self> {
        let pin = Some(Snapshot::take(&path)?);
        let log =
            File::open(wal::path(&path)).map_err(|error| disk("can't open a write-ahead log", &error))?;
        Ok(Self { path, log, position, pin, ticket: 0 })
    }

    fn changes(&self) -> Result<Changes> {
        wal::changes(&self.log, self.position).map_err(|error| disk("can't read a write-ahead log", &error))
    }
}

fn number(oid: i64) -> Result<u32> {
    u32::try_from(oid)
        .map_err(|_| SqlError::new("54000", "a database's number is too large to be replicated"))
}

/// Begins to capture, before anybody can write: `fresh` if everything there is counts as captured.
pub fn begin(server: &Server, fresh: bool) -> Result<()> {
    let (replication, cluster) = (&server.replication, &server.cluster);
    let known = if fresh { BTreeMap::new() } else { positions(server)? };
    let mut capture = lock(&replication.capture);
    capture.sources.clear();
    let mut oids = vec![0];
    for database in cluster.open_all()? {
        oids.push(database.oid);
    }
    for oid in oids {
        let path = cluster.path(oid);
        let position = if fresh {
            wal::end(&path).map_err(|error| disk("can't read a write-ahead log", &error))?
        } else {
            match known.get(&number(oid)?) {
                Some(position) => *position,
                // Made just before the last end, and not captured yet.
                None => continue,
            }
        };
        capture.sources.insert(number(oid)?, Source::open(path, position)?);
    }
    write_positions(server, &mut capture)?;
    drop(capture);
    pass(server, true)
}

/// How far each database was captured, by the last segment.
fn positions(server: &Server) -> Result<BTreeMap<u32, Position>> {
    let log = server.replication.log()?;
    let mut lsn = log.finished().last().map_or(log.oldest(), |(_, end)| *end);
    let mut positions = BTreeMap::new();
    while let Some((record, bytes)) =
        log.record(lsn).map_err(|error| disk("can't read the replication log", &error))?
    {
        if record.kind == Kind::Positions {
            positions = serde_json::from_slice::<BTreeMap<u32, (u64, u32)>>(&bytes[HEADER..])
                .map_err(|error| SqlError::new("XX001", format!("the replication log is damaged: {error}")))?
                .into_iter()
                .map(|(database, (salts, frames))| (database, Position { salts, frames }))
                .collect();
        } else if record.commits {
            positions.insert(record.database, Position { salts: record.salts, frames: record.frames });
        }
        lsn = record.end();
    }
    Ok(positions)
}

fn write_positions(server: &Server, capture: &mut Capture) -> Result<()> {
    let replication = &server.replication;
    let map: BTreeMap<u32, (u64, u32)> =
        capture.sources.iter().map(|(oid, s)| (*oid, (s.position.salts, s.position.frames))).collect();
    let payload = serde_json::to_vec(&map).map_err(|error| SqlError::new("XX000", error.to_string()))?;
    let record = Record { timeline: replication.state().timeline, ..Record::new(Kind::Positions) };
    let log = replication.log()?;
    let written = log.write(record, &payload).and_then(|_| log.flush());
    capture.began = written.map_err(|error| disk("can't write the replication log", &error))?;
    Ok(())
}

/// Captures what was committed; `all` looks also where no ticket was taken.
pub fn pass(server: &Server, all: bool) -> Result<()> {
    let (replication, cluster) = (&server.replication, &server.cluster);
    let mut capture = lock(&replication.capture);
    // 1. The list of databases, before what it lists.
    let ticket = cluster.tickets.last();
    let listed = match capture.sources.get(&0) {
        Some(source) if all || ticket != source.ticket => Some(source.changes()?),
        _ => None,
    };
    if let Some(changes) = listed {
        let mut oids = vec![0];
        for database in cluster.open_all()? {
            let oid = number(database.oid)?;
            oids.push(oid);
            if let Entry::Vacant(place) = capture.sources.entry(oid) {
                let source = database.exclusively(|| -> Result<Source> {
                    let position = wal::end(&database.path)
                        .map_err(|error| disk("can't read a write-ahead log", &error))?;
                    let mut source = Source::open(database.path.clone(), position)?;
                    source.ticket = database.tickets.last();
                    Ok(source)
                })?;
                database.wait_durable()?;
                write_file(server, oid, &source)?;
                place.insert(source);
            }
        }
        capture.sources.retain(|oid, _| oids.contains(oid));
        if let Some(source) = capture.sources.get_mut(&0) {
            write_changes(server, 0, source, &changes)?;
            source.ticket = ticket;
            slots_wait(server, 0, ticket)?;
        }
    }
    // 2. The databases themselves.
    for (oid, source) in &mut capture.sources {
        if *oid != 0
            && let Some(database) = cluster.opened(i64::from(*oid))
        {
            let ticket = database.tickets.last();
            if all || ticket != source.ticket {
                let changes = source.changes()?;
                database.wait_durable()?;
                drop(database);
                write_changes(server, *oid, source, &changes)?;
                source.ticket = ticket;
                slots_wait(server, *oid, ticket)?;
            }
        }
    }
    // 3. All of it becomes durable together; then replicas may see it.
    let log = replication.log()?;
    if log.durable() != log.whole().lsn {
        log.flush().map_err(|error| disk("can't flush the replication log", &error))?;
    }
    let cap = server.settings.size("max_slot_wal_keep_size");
    let asked = replication.switch.swap(false, Ordering::SeqCst) && log.whole().lsn > capture.began;
    if asked || log.segment_size() >= SEGMENT.min(cap / 4) {
        write_positions(server, &mut capture)?;
    }
    Ok(())
}

fn slots_wait(server: &Server, oid: u32, ticket: u64) -> Result<()> {
    let end = server.replication.log()?.whole().lsn;
    lock(&server.replication.slots).wait_for(end, oid, ticket);
    Ok(())
}

/// Writes pages as one commit, in as many records as they need.
struct Writer<'w> {
    server: &'w Server,
    record: Record,
    payload: Vec<u8>,
}

impl Writer<'_> {
    fn page(&mut self, number: u32, page: &[u8]) -> Result<()> {
        if self.payload.len() + 4 + page.len() > LARGEST {
            self.write(false)?;
        }
        self.payload.extend(number.to_be_bytes());
        self.payload.extend_from_slice(page);
        Ok(())
    }

    fn write(&mut self, commits: bool) -> Result<()> {
        self.record.commits = commits;
        let written = self.server.replication.log()?.write(self.record, &self.payload);
        self.payload.clear();
        written.map(|_| ()).map_err(|error| disk("can't write the replication log", &error))
    }
}

fn writer(server: &Server, kind: Kind, database: u32, page_size: u32, position: Position) -> Writer<'_> {
    let timeline = server.replication.state().timeline;
    let (frames, salts) = (position.frames, position.salts);
    let record = Record { timeline, database, page_size, frames, salts, ..Record::new(kind) };
    Writer { server, record, payload: Vec::new() }
}

fn write_changes(server: &Server, oid: u32, source: &mut Source, changes: &Changes) -> Result<()> {
    if changes.database_pages == 0 {
        return Ok(());
    }
    let mut writer = writer(server, Kind::Pages, oid, changes.page_size, changes.end);
    writer.record.pages = changes.database_pages;
    for (number, at) in &changes.pages {
        let page = changes.page(&source.log, *at);
        writer.page(*number, &page.map_err(|error| disk("can't read a write-ahead log", &error))?)?;
    }
    writer.write(true)?;
    source.position = changes.end;
    Ok(())
}

/// A whole database that is new.
fn write_file(server: &Server, oid: u32, source: &Source) -> Result<()> {
    let Some(pin) = &source.pin else { return Ok(()) };
    let mut writer = writer(server, Kind::File, oid, pin.page_size()?, source.position);
    pin.each_page(|number, page| {
        writer.record.pages = number;
        writer.page(number, page)
    })?;
    writer.write(true)
}

/// A state of every database with the place in the log that it belongs to, for a copy.
pub fn snapshots(server: &Server) -> Result<Vec<(u32, u64, Snapshot)>> {
    pass(server, true)?;
    let (replication, cluster) = (&server.replication, &server.cluster);
    let mut capture = lock(&replication.capture);
    let mut taken = Vec::new();
    for (oid, source) in &mut capture.sources {
        let take = || -> Result<(u64, Snapshot)> {
            let changes = source.changes()?;
            write_changes(server, *oid, source, &changes)?;
            Ok((replication.log()?.whole().lsn, Snapshot::take(&source.path)?))
        };
        let (lsn, snapshot) = if *oid == 0 {
            cluster.exclusively(take)?
        } else {
            match cluster.opened(i64::from(*oid)) {
                Some(database) => {
                    let taken = database.exclusively(take)?;
                    database.wait_durable()?;
                    taken
                }
                // Dropped a moment ago; the log says so.
                None => continue,
            }
        };
        taken.push((*oid, lsn, snapshot));
    }
    replication.log()?.flush().map_err(|error| disk("can't flush the replication log", &error))?;
    Ok(taken)
}

/// A checkpoint of the databases whose logs have grown beyond a size; says how many.
pub fn checkpoint(server: &Server, beyond: u64) -> Result<usize> {
    if !server.replication.is_primary() {
        return server.cluster.checkpoint(beyond, false);
    }
    let mut count = 0;
    let mut open = server.cluster.open_all()?;
    open.retain(|database| database.wal_used() > beyond);
    for database in open {
        let oid = number(database.oid)?;
        // 1. What is captured already is copied while others write.
        pass(server, false)?;
        if let Some(source) = lock(&server.replication.capture).sources.get_mut(&oid) {
            source.pin = Some(Snapshot::take(&source.path)?);
        }
        database.checkpoint(false)?;
        // 2. The rest is little. With nobody writing and no pin the log can start again; others' commits are captured
        //    by whoever has the lock that this one holds, so a long transaction is not waited for.
        let mut capture = lock(&server.replication.capture);
        let Some(source) = capture.sources.get_mut(&oid) else { continue };
        let copied = database.exclusively_soon(|| -> Result<()> {
            let ticket = database.tickets.last();
            let changes = source.changes()?;
            database.wait_durable()?;
            write_changes(server, oid, source, &changes)?;
            source.ticket = ticket;
            slots_wait(server, oid, ticket)?;
            source.pin = None;
            let done = database.checkpoint(false);
            source.pin = Some(Snapshot::take(&source.path)?);
            done
        });
        copied.unwrap_or(Ok(()))?;
        drop(capture);
        server.replication.log()?.flush().map_err(|error| disk("can't flush the replication log", &error))?;
        count += 1;
    }
    Ok(count)
}

/// The last capture, when all clients are gone; the databases' logs may be emptied after it.
pub fn end(server: &Server) -> Result<()> {
    if archive::directory(server).is_some() {
        server.replication.switch_segment();
    }
    pass(server, true)?;
    lock(&server.replication.capture).sources.clear();
    // What can't be archived now stays in the log, and the next start tries again.
    if let Err(error) = archive::segments(server) {
        archive::complain(&error);
    }
    Ok(())
}

/// Captures for as long as this server is a primary.
pub fn run(server: &Server) {
    let replication = &server.replication;
    let timeout = Duration::from_millis(server.settings.time("archive_timeout"));
    let archives = !server.settings.text("archive_directory").is_empty();
    let mut switched = Instant::now();
    let mut complained = false;
    while !replication.is_ending() {
        server.cluster.gate.wait_for_commit(ROUND);
        if archives && switched.elapsed() >= timeout {
            switched = Instant::now();
            replication.switch_segment();
        }
        if replication.is_ending() {
            return;
        }
        let done = pass(server, false).and_then(|()| super::slots::tidy(server));
        match done {
            Ok(()) => complained = false,
            Err(error) if !complained => {
                complained = true;
                server_log::error(&format!("replication can't go on for now: {}", error.message));
            }
            Err(_) => std::thread::sleep(ROUND),
        }
    }
}
