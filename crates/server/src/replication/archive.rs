//! The archive: the log's segments and copies of the cluster as files, and the recovery of any moment from them.
//!
//! A file `T-B-E.log` is the segment of timeline T from place B to place E, as it lies in the log; `T-B.base` is a copy
//! that the log from place B on completes. Every file is durable before it has its name. Recovery takes the last copy
//! from before the moment and goes on with the segment whose preface has the right place and hash; where a later
//! timeline begins, it goes over to that.

use super::apply::Applier;
use super::base::{self, Header};
use super::log::{End, preface, record_at};
use super::record::{now, show};
use super::state;
use super::{Role, disk, lock};
use crate::cluster;
use crate::log as server_log;
use crate::session::Server;
use crate::sql::error::{Result, SqlError};
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

const ROUND: Duration = Duration::from_millis(500);

/// Where a server archives: a directory for its history.
pub fn directory(server: &Server) -> Option<PathBuf> {
    let path = server.settings.text("archive_directory");
    (!path.is_empty()).then(|| Path::new(path).join(server.replication.state().generation))
}

/// The place from which on the log must be kept for the archive.
pub fn needs(server: &Server) -> Option<u64> {
    let primary = server.replication.role() == Role::Primary;
    directory(server).filter(|_| primary).map(|_| server.replication.archived.load(Ordering::SeqCst))
}

/// Archives for as long as this is a primary.
pub fn run(server: &Server) {
    let replication = &server.replication;
    let mut complained = false;
    loop {
        // The end is looked at first: what was finished before it is archived.
        let ending = replication.is_ending();
        match pass(server) {
            Ok(()) => complained = false,
            Err(error) => {
                replication.archive_failures.fetch_add(1, Ordering::SeqCst);
                if !complained {
                    complain(&error);
                    complained = true;
                }
            }
        }
        if ending || replication.role() != Role::Primary {
            return;
        }
        std::thread::sleep(ROUND);
    }
}

/// Says that something could not be archived; it stays in the log until it can be.
pub fn complain(error: &SqlError) {
    server_log::error(&format!("archiving fails for now: {}", error.message));
}

/// Archives every finished segment, makes a copy if the last one is old, and removes what is older than wanted.
fn pass(server: &Server) -> Result<()> {
    segments(server)?;
    let Some(directory) = directory(server) else { return Ok(()) };
    let interval = i64::try_from(server.settings.time("archive_base_interval")).unwrap_or(i64::MAX);
    let last = bases(&directory)?.into_iter().map(|(header, _)| header.time).max();
    if last.is_none_or(|last| now().saturating_sub(last) >= interval.saturating_mul(1000)) {
        copy(server, &directory)?;
        let retention = i64::try_from(server.settings.time("archive_retention")).unwrap_or(i64::MAX);
        if retention > 0 {
            prune(&directory, now().saturating_sub(retention.saturating_mul(1000)))?;
        }
    }
    Ok(())
}

/// Archives every finished segment.
pub fn segments(server: &Server) -> Result<()> {
    let Some(directory) = directory(server) else { return Ok(()) };
    let (replication, log) = (&server.replication, server.replication.log()?);
    let _alone = lock(&replication.archiving);
    let failed = |error: std::io::Error| disk("can't write into the archive", &error);
    fs::create_dir_all(&directory).map_err(failed)?;
    for (start, end) in log.finished() {
        if end <= replication.archived.load(Ordering::SeqCst) {
            continue;
        }
        let from = log.path(start);
        let timeline = File::open(&from).and_then(|file| record_at(&file, start, start)).map_err(failed)?;
        let timeline = timeline.map_or(0, |(record, _)| record.timeline);
        let to = directory.join(format!("{timeline:08x}-{start:016x}-{end:016x}.log"));
        if !same(&from, &to).map_err(failed)? {
            write(&to, |file| std::io::copy(&mut File::open(&from)?, file).map(|_| ())).map_err(failed)?;
        }
        replication.archived.store(end, Ordering::SeqCst);
    }
    Ok(())
}

/// Removes what no recovery of a moment since `horizon` needs: copies before the last one that is older, and segments
/// that end where that one begins. The log goes last, so that what stays after a kill still recovers.
fn prune(directory: &Path, horizon: i64) -> Result<()> {
    let failed = |error: std::io::Error| disk("can't remove old files of the archive", &error);
    let mut copies = bases(directory)?;
    copies.sort_by_key(|(header, _)| header.time);
    let Some(oldest) = copies.iter().rposition(|(header, _)| header.time <= horizon) else { return Ok(()) };
    for (_, path) in &copies[..oldest] {
        fs::remove_file(path).map_err(failed)?;
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    let needed = copies[oldest..].iter().map(|(header, _)| header.lsn).min().unwrap_or(0);
    let end = |path: &Path| u64::from_str_radix(path.file_stem()?.to_str()?.rsplit('-').next()?, 16).ok();
    for path in files(directory, "log")? {
        if end(&path).is_some_and(|end| end <= needed) {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    if oldest > 0 {
        server_log::info(&format!("{oldest} old copies left the archive `{}`", directory.display()));
    }
    Ok(())
}

/// A name that is taken must be the same segment: nothing in an archive is written over.
fn same(from: &Path, to: &Path) -> std::io::Result<bool> {
    if !to.exists() {
        return Ok(false);
    }
    if fs::read(from)? == fs::read(to)? {
        return Ok(true);
    }
    Err(std::io::Error::other(format!("`{}` is there already and differs", to.display())))
}

/// Writes a file in one step, durable when this returns.
fn write(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> std::io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    fill(&mut file)?;
    file.sync_all()?;
    fs::rename(temporary, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn copy(server: &Server, directory: &Path) -> Result<()> {
    let failed = |error: std::io::Error| disk("can't write a copy into the archive", &error);
    let temporary = directory.join("copy.tmp");
    let mut file = BufWriter::new(File::create(&temporary).map_err(failed)?);
    let header = base::send(server, &mut |_| Ok(()), &mut |message| {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
        file.write_all(&length).and_then(|()| file.write_all(&message)).map_err(failed)
    })?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    let path = directory.join(format!("{:08x}-{:016x}.base", header.timeline, header.lsn));
    let named = file.sync_all().and_then(|()| fs::rename(&temporary, &path));
    named.and_then(|()| File::open(directory)?.sync_all()).map_err(failed)?;
    server_log::info(&format!("a copy is in the archive: `{}`", path.display()));
    Ok(())
}

fn messages(path: &Path) -> std::io::Result<impl Iterator<Item = std::io::Result<Vec<u8>>>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || {
        let mut length = [0; 4];
        match file.read_exact(&mut length) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
            Ok(()) => {
                let mut message = vec![0; u32::from_be_bytes(length) as usize];
                Some(file.read_exact(&mut message).map(|()| message))
            }
        }
    }))
}

fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let shown = directory.display().to_string();
    let entries =
        fs::read_dir(directory).map_err(|error| disk(&format!("can't read archive `{shown}`"), &error))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
}

/// The copies in an archive.
fn bases(directory: &Path) -> Result<Vec<(Header, PathBuf)>> {
    let read = |path: &PathBuf| -> Option<Header> {
        let first = messages(path).ok()?.next()?.ok()?;
        serde_json::from_slice(first.strip_prefix(b"H")?).ok()
    };
    Ok(files(directory, "base")?.into_iter().filter_map(|path| Some((read(&path)?, path))).collect())
}

/// What a recovery brought.
#[derive(Debug)]
pub struct Recovered {
    /// The place in the log.
    pub lsn: u64,
    /// When its last commit was captured: microseconds since 1970.
    pub time: i64,
}

/// Builds a data directory as it was at a moment (microseconds since 1970), or as late as the archive goes.
pub fn restore(archive: &Path, data: &Path, until: Option<i64>) -> Result<Recovered> {
    let wrong = |why: String| SqlError::new("58P01", why);
    cluster::vacant(data)?;
    let lock = cluster::lock(data)?;
    let shown = archive.display();
    let directory = history(archive)?;
    let mut candidates = bases(&directory)?;
    let oldest = candidates.iter().map(|(header, _)| header.time).min();
    let none = || {
        wrong(match oldest.and_then(|time| Timestamp::from_microsecond(time).ok()) {
            Some(oldest) => {
                format!("archive `{shown}` has no copy from before that moment: the oldest is of {oldest}")
            }
            None => format!("archive `{shown}` holds no copy: name a server's `archive_directory`"),
        })
    };
    candidates.retain(|(header, _)| until.is_none_or(|until| header.time <= until));
    candidates.sort_by_key(|(header, _)| (header.timeline, header.lsn));
    let (header, path) = candidates.pop().ok_or_else(none)?;
    let failed = |error: std::io::Error| disk(&format!("can't read archive `{shown}`"), &error);
    let mut receiver = base::Receiver::new(data)?;
    for message in messages(&path).map_err(failed)? {
        receiver.take(&message.map_err(failed)?)?;
    }
    receiver.install("")?;
    let mut applier = Applier::new(data, header.databases.clone())?;
    let recovered = replay(&directory, &header, until, &mut applier)?;
    let complete = header.databases.values().max().copied().unwrap_or(0);
    if recovered.lsn < complete {
        let (have, need) = (show(recovered.lsn), show(complete));
        return Err(wrong(format!(
            "archive `{shown}` ends at {have}, and its copy needs the log up to {need}"
        )));
    }
    applier.flush()?;
    drop(applier);
    // It begins a history of its own.
    fs::remove_dir_all(state::directory(data)).map_err(failed)?;
    drop(lock);
    Ok(recovered)
}

/// An archive has a directory for each history; with several of them one must be named.
fn history(archive: &Path) -> Result<PathBuf> {
    if !files(archive, "base")?.is_empty() {
        return Ok(archive.to_owned());
    }
    let shown = archive.display();
    let entries =
        fs::read_dir(archive).map_err(|error| disk(&format!("can't read archive `{shown}`"), &error))?;
    let mut histories: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    match (histories.pop(), histories.pop()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(SqlError::new("58P01", format!("archive `{shown}` is empty"))),
        _ => Err(SqlError::new(
            "58P01",
            format!("archive `{shown}` has more than one history: name one of its directories"),
        )),
    }
}

fn replay(directory: &Path, header: &Header, until: Option<i64>, applier: &mut Applier) -> Result<Recovered> {
    let failed = |error: std::io::Error| disk("can't read a segment of the archive", &error);
    let mut segments = Vec::new();
    for path in files(directory, "log")? {
        let file = File::open(&path).map_err(failed)?;
        let begin = preface(&file).map_err(failed)?;
        let timeline = record_at(&file, begin.lsn, begin.lsn).map_err(failed)?;
        segments.push((begin, timeline.map_or(0, |(record, _)| record.timeline), file));
    }
    let chain = super::record::read_chain(&header.chain)
        .ok_or_else(|| SqlError::new("XX001", "a copy's header can't be read"))?;
    let mut end = End { lsn: header.lsn, chain };
    let mut recovered = Recovered { lsn: end.lsn, time: header.time };
    // The copy lies somewhere within a segment: the latest that begins before it and leads to its hash.
    let mut current = segments
        .iter()
        .filter(|(begin, ..)| begin.lsn <= end.lsn)
        .filter(|(begin, _, file)| leads_to(file, *begin, end))
        .max_by_key(|(begin, timeline, _)| (begin.lsn, *timeline));
    while let Some((begin, timeline, file)) = current {
        let next = segments
            .iter()
            .filter(|(other, later, _)| *other == end && (*later > *timeline || *begin != end));
        let record = record_at(file, begin.lsn, end.lsn).map_err(failed)?;
        // A later timeline that begins here wins over what this segment still holds.
        let turn = next
            .max_by_key(|(_, later, _)| *later)
            .filter(|(_, later, _)| later > timeline || record.is_none());
        if let Some(turn) = turn.filter(|turn| !std::ptr::eq(*turn, current.unwrap_or(turn))) {
            current = Some(turn);
            continue;
        }
        let Some((record, bytes)) = record else { break };
        if !record.follows(&end.chain, &bytes) {
            return Err(SqlError::new("XX001", format!("the archive is damaged at {}", show(end.lsn))));
        }
        if until.is_some_and(|until| record.time > until) && applicable(header, &recovered) {
            break;
        }
        applier.apply(&record, &bytes)?;
        end = End { lsn: record.end(), chain: record.chain };
        if record.commits {
            recovered = Recovered { lsn: end.lsn, time: record.time };
        }
    }
    Ok(recovered)
}

/// Whether every database of the copy is complete at a place.
fn applicable(header: &Header, recovered: &Recovered) -> bool {
    header.databases.values().all(|lsn| *lsn <= recovered.lsn)
}

fn leads_to(file: &File, begin: End, place: End) -> bool {
    let mut end = begin;
    while end.lsn < place.lsn {
        let Ok(Some((record, _))) = record_at(file, begin.lsn, end.lsn) else { return false };
        end = End { lsn: record.end(), chain: record.chain };
    }
    end == place
}
