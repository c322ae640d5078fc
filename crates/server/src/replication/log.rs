//! The replication log: segments of records, on the primary and on every replica byte for byte the same.
//!
//! A segment is a file named by the place where it begins, in hexadecimal. 32 bytes come first: a word, that place, and
//! the hash of everything before it. A place in the log (LSN) counts the bytes of records since the log began.

use super::record::{Chain, HEADER, Kind, LARGEST, Record};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bytes of a segment before its first record.
pub const PREFACE: u64 = 32;
const WORD: [u8; 8] = *b"SBRLOG1\n";

/// The end of a log, with the hash up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// The place.
    pub lsn: u64,
    /// The hash.
    pub chain: Chain,
}

/// The log in a directory.
pub struct Log {
    directory: PathBuf,
    inner: Mutex<Inner>,
    grown: Condvar,
}

struct Inner {
    segments: BTreeSet<u64>,
    file: File,
    /// After everything written.
    end: End,
    /// After the last record that commits.
    whole: End,
    /// What survives a loss of power.
    durable: u64,
    /// The timeline of the last record.
    timeline: u32,
    /// A flush failed: nobody knows what the disk holds.
    failed: bool,
}

impl Inner {
    fn usable(&self) -> Result<()> {
        if self.failed {
            return Err(Error::other(
                "the replication log could not be flushed; the server must be restarted",
            ));
        }
        Ok(())
    }
}

/// A segment's file.
pub fn name(start: u64) -> String {
    format!("{start:016x}.log")
}

/// The place that a segment's name says.
pub fn start_of(name: &str) -> Option<u64> {
    name.strip_suffix(".log").filter(|hex| hex.len() == 16).and_then(|hex| u64::from_str_radix(hex, 16).ok())
}

/// Reads a segment's preface: where it begins, and the hash before it.
pub fn preface(file: &File) -> Result<End> {
    let mut bytes = [0; PREFACE as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let lsn = bytes[8..16].try_into().map(u64::from_be_bytes).unwrap_or(0);
    let chain = bytes[16..].try_into().unwrap_or_default();
    if bytes[..8] != WORD {
        return Err(Error::new(ErrorKind::InvalidData, "this is no segment of a replication log"));
    }
    Ok(End { lsn, chain })
}

/// Reads the record at a place of a segment; `None` where no whole one follows.
pub fn record_at(file: &File, start: u64, lsn: u64) -> Result<Option<(Record, Vec<u8>)>> {
    let mut bytes = vec![0; HEADER];
    let at = PREFACE + (lsn - start);
    let read = |bytes: &mut [u8], at| match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    };
    if !read(&mut bytes, at)? {
        return Ok(None);
    }
    let Some(record) = Record::parse(&bytes).filter(|record| record.lsn == lsn) else { return Ok(None) };
    bytes.resize(HEADER + record.length as usize, 0);
    let whole = read(&mut bytes[HEADER..], at + HEADER as u64)?;
    Ok(whole.then_some((record, bytes)))
}

impl Log {
    /// Makes a log that begins at a place.
    pub fn create(directory: &Path, start: End) -> Result<()> {
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory)?;
        begin(directory, start)?;
        File::open(directory)?.sync_all()
    }

    /// Opens a log. What a kill has left behind the last whole commit is cut off.
    pub fn open(directory: &Path) -> Result<Self> {
        let names =
            fs::read_dir(directory)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut segments: BTreeSet<u64> = names.filter_map(|name| start_of(&name)).collect();
        let missing = || Error::new(ErrorKind::NotFound, "the replication log has no segments");
        let (file, (end, timeline)) = loop {
            let start = *segments.last().ok_or_else(missing)?;
            let path = directory.join(name(start));
            let file = File::options().read(true).write(true).open(&path)?;
            let end = preface(&file).and_then(|begin| last_whole(&file, begin));
            match end {
                // A segment that was just begun, or whose only commit is not whole: the one before decides.
                Ok((end, _)) if end.lsn == start && segments.len() > 1 && !first_is_whole(&file, start)? => {}
                Ok(end) => break (file, end),
                Err(_) if segments.len() > 1 => {}
                Err(error) => return Err(error),
            }
            segments.remove(&start);
            fs::remove_file(path)?;
        };
        let start = segments.last().copied().unwrap_or(end.lsn);
        file.set_len(PREFACE + end.lsn - start)?;
        file.sync_all()?;
        let inner = Inner { segments, file, end, whole: end, durable: end.lsn, timeline, failed: false };
        Ok(Self { directory: directory.to_owned(), inner: Mutex::new(inner), grown: Condvar::new() })
    }

    /// After the last record that commits.
    pub fn whole(&self) -> End {
        self.inner().whole
    }

    /// The timeline of the last record; 0 if there is none.
    pub fn timeline(&self) -> u32 {
        self.inner().timeline
    }

    /// What survives a loss of power.
    pub fn durable(&self) -> u64 {
        self.inner().durable
    }

    /// The oldest place that is still there.
    pub fn oldest(&self) -> u64 {
        self.inner().segments.first().copied().unwrap_or(0)
    }

    /// The size of the segment that is written, in bytes.
    pub fn segment_size(&self) -> u64 {
        let inner = self.inner();
        inner.end.lsn - inner.segments.last().copied().unwrap_or(inner.end.lsn)
    }

    /// The segments that are finished: where they begin, and where they end.
    pub fn finished(&self) -> Vec<(u64, u64)> {
        let inner = self.inner();
        let starts: Vec<u64> = inner.segments.iter().copied().collect();
        starts.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    /// Adds a record of this server's own.
    pub fn write(&self, mut record: Record, payload: &[u8]) -> Result<u64> {
        let mut inner = self.inner();
        record.lsn = inner.end.lsn;
        let bytes = record.seal(&inner.end.chain, payload);
        self.append(&mut inner, &record, &bytes)?;
        Ok(inner.end.lsn)
    }

    /// Adds a record of the primary's; it must follow what is there.
    pub fn take(&self, record: &Record, bytes: &[u8]) -> Result<()> {
        let mut inner = self.inner();
        if record.lsn != inner.end.lsn || !record.follows(&inner.end.chain, bytes) {
            return Err(Error::new(ErrorKind::InvalidData, "a record does not follow the log"));
        }
        self.append(&mut inner, record, bytes)
    }

    fn append(&self, inner: &mut Inner, record: &Record, bytes: &[u8]) -> Result<()> {
        inner.usable()?;
        let start = inner.segments.last().copied().unwrap_or(0);
        // Every segment begins with the primary's positions; a file of that name holds nothing else yet.
        if record.kind == Kind::Positions && record.lsn > start {
            let flushed = inner.file.sync_data();
            inner.failed |= flushed.is_err();
            flushed?;
            inner.file = begin(&self.directory, inner.end)?;
            inner.segments.insert(record.lsn);
        }
        let start = inner.segments.last().copied().unwrap_or(0);
        inner.file.write_all_at(bytes, PREFACE + record.lsn - start)?;
        inner.end = End { lsn: record.end(), chain: record.chain };
        inner.timeline = record.timeline;
        if record.commits {
            inner.whole = inner.end;
        }
        Ok(())
    }

    /// Whether a flush has failed: the kernel may have dropped what it could not write, and another one would not tell.
    pub fn has_failed(&self) -> bool {
        self.inner().failed
    }

    /// Makes everything written durable, and shows it to those who wait.
    pub fn flush(&self) -> Result<u64> {
        let (file, end) = {
            let inner = self.inner();
            inner.usable()?;
            (inner.file.try_clone()?, inner.end.lsn)
        };
        let flushed = file.sync_data();
        let mut inner = self.inner();
        inner.failed |= flushed.is_err();
        flushed?;
        inner.durable = inner.durable.max(end);
        self.grown.notify_all();
        Ok(end)
    }

    /// Waits until something behind a place is durable, for a [`Log::nudge`], or for the time to pass.
    pub fn wait(&self, lsn: u64, patience: Duration) -> u64 {
        let inner = self.inner();
        if inner.durable > lsn {
            return inner.durable;
        }
        let waited = self.grown.wait_timeout(inner, patience);
        waited.unwrap_or_else(PoisonError::into_inner).0.durable
    }

    /// Ends all waits, for whoever has another reason to look.
    pub fn nudge(&self) {
        drop(self.inner());
        self.grown.notify_all();
    }

    /// Opens the segment that holds a place.
    fn segment(&self, lsn: u64) -> Result<Option<(File, u64, u64)>> {
        let inner = self.inner();
        let Some(start) = inner.segments.range(..=lsn).next_back().copied() else { return Ok(None) };
        let next = inner.segments.range(lsn + 1..).next().copied().unwrap_or(inner.durable.max(lsn));
        Ok(Some((File::open(self.directory.join(name(start)))?, start, next)))
    }

    /// Durable bytes from a place on; none if there are none yet, an error if they are gone.
    pub fn read(&self, lsn: u64, most: usize) -> Result<Vec<u8>> {
        let (file, start, end) = self.segment(lsn)?.ok_or_else(gone)?;
        let end = end.min(self.durable());
        let length = usize::try_from(end.saturating_sub(lsn)).unwrap_or(most).min(most);
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, PREFACE + lsn - start)?;
        Ok(bytes)
    }

    /// The durable record at a place.
    pub fn record(&self, lsn: u64) -> Result<Option<(Record, Vec<u8>)>> {
        if lsn >= self.durable() {
            return Ok(None);
        }
        let (file, start, _) = self.segment(lsn)?.ok_or_else(gone)?;
        record_at(&file, start, lsn)
    }

    /// The hash of the log up to a place; `None` if that is no end of a record of this log.
    pub fn chain_at(&self, lsn: u64) -> Result<Option<Chain>> {
        if lsn == self.inner().end.lsn {
            return Ok(Some(self.inner().end.chain));
        }
        let Some((file, start, _)) = self.segment(lsn)? else { return Ok(None) };
        let mut end = preface(&file)?;
        while end.lsn < lsn {
            let mut header = [0; HEADER];
            if file.read_exact_at(&mut header, PREFACE + end.lsn - start).is_err() {
                return Ok(None);
            }
            let Some(record) = Record::parse(&header) else { return Ok(None) };
            end = End { lsn: record.end(), chain: record.chain };
        }
        Ok((end.lsn == lsn).then_some(end.chain))
    }

    /// Cuts off what follows the last whole commit.
    pub fn cut(&self) -> Result<End> {
        let mut inner = self.inner();
        let whole = inner.whole;
        let start = inner.segments.last().copied().unwrap_or(0);
        inner.file.set_len(PREFACE + whole.lsn - start)?;
        inner.file.sync_all()?;
        inner.end = whole;
        inner.durable = whole.lsn;
        Ok(whole)
    }

    /// Removes segments that end at or before a place; gives the bytes that are left.
    pub fn forget(&self, before: u64) -> Result<()> {
        for (start, end) in self.finished() {
            if end > before {
                break;
            }
            self.inner().segments.remove(&start);
            fs::remove_file(self.directory.join(name(start)))?;
        }
        Ok(())
    }

    /// A segment's file.
    pub fn path(&self, start: u64) -> PathBuf {
        self.directory.join(name(start))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::NotFound, "that part of the replication log is gone")
}

/// Makes a segment; its name is durable before a record is in it.
fn begin(directory: &Path, start: End) -> Result<File> {
    let path = directory.join(name(start.lsn));
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut bytes = WORD.to_vec();
    bytes.extend(start.lsn.to_be_bytes());
    bytes.extend(start.chain);
    file.write_all_at(&bytes, 0)?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(file)
}

fn first_is_whole(file: &File, start: u64) -> Result<bool> {
    Ok(record_at(file, start, start)?.is_some_and(|(record, _)| record.commits))
}

/// The end of the last whole commit in a segment, and its timeline.
fn last_whole(file: &File, begin: End) -> Result<(End, u32)> {
    let (mut end, mut whole, mut timeline) = (begin, begin, 0);
    while let Some((record, bytes)) = record_at(file, begin.lsn, end.lsn)? {
        if !record.follows(&end.chain, &bytes) {
            break;
        }
        end = End { lsn: record.end(), chain: record.chain };
        if record.commits {
            (whole, timeline) = (end, record.timeline);
        }
    }
    Ok((whole, timeline))
}

const _: () = assert!(LARGEST < u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(log: &Log, count: u32) {
        for number in 0..count {
            log.write(Record { database: number, ..Record::new(Kind::Pages) }, &[7; 100]).unwrap();
        }
        log.flush().unwrap();
    }

    #[test]
    fn a_torn_end_is_cut_off_at_the_last_whole_commit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        Log::create(&path, End { lsn: 256, chain: [1; 16] }).unwrap();
        let log = Log::open(&path).unwrap();
        fill(&log, 3);
        let whole = log.whole();
        log.write(Record { commits: false, ..Record::new(Kind::Pages) }, &[1; 50]).unwrap();
        log.write(Record::new(Kind::Pages), &[2; 50]).unwrap();
        drop(log);
        let file = path.join(name(256));
        let bytes = fs::read(&file).unwrap();
        for length in 0..bytes.len() {
            fs::write(&file, &bytes[..length]).unwrap();
            let Ok(log) = Log::open(&path) else {
                assert!(length < PREFACE as usize, "{length}");
                continue;
            };
            let end = log.whole();
            let complete = 256 + (length as u64 - PREFACE) / 172 * 172;
            assert_eq!(end.lsn, complete.min(whole.lsn), "{length}");
            assert!(end.lsn != whole.lsn || end == whole);
        }
    }

    #[test]
    fn segments_are_read_across_forgotten_and_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        Log::create(&a, End::default()).unwrap();
        Log::create(&b, End::default()).unwrap();
        let (log, replica) = (Log::open(&a).unwrap(), Log::open(&b).unwrap());
        for _ in 0..3 {
            log.write(Record::new(Kind::Positions), b"{}").unwrap();
            fill(&log, 2);
        }
        assert_eq!(log.finished().len(), 2);
        let mut lsn = 0;
        while let Some((record, bytes)) = log.record(lsn).unwrap() {
            assert_eq!(log.chain_at(lsn).unwrap(), Some(replica.whole().chain));
            assert!(replica.take(&Record { lsn: lsn + 1, ..record }, &bytes).is_err());
            replica.take(&record, &bytes).unwrap();
            lsn = record.end();
        }
        replica.flush().unwrap();
        assert_eq!((replica.whole(), replica.finished()), (log.whole(), log.finished()));
        for (start, _) in log.finished() {
            assert_eq!(fs::read(log.path(start)).unwrap(), fs::read(replica.path(start)).unwrap());
        }
        assert_eq!(log.chain_at(lsn - 1).unwrap(), None);
        let second = log.finished()[1].0;
        log.forget(second).unwrap();
        assert_eq!(log.oldest(), second);
        assert!(log.read(0, 10).is_err());
        assert_eq!(log.chain_at(0).unwrap(), None);
        drop(log);
        assert_eq!(Log::open(&a).unwrap().whole(), replica.whole());
    }
}
