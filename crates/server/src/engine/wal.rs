//! Reading SQLite's write-ahead log from outside: which pages did the commits since a position change?
//!
//! The format is <https://www.sqlite.org/fileformat2.html#walformat>: a header of 32 bytes, then frames of a 24-byte
//! header and a page each. A frame counts if its salts are the header's and the checksum over everything before it
//! fits; a transaction counts once its last frame, which says the database's size in pages, is there. So a frame
//! that another thread is just writing, or that a rollback left behind, is never taken for a committed one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const HEADER: u64 = 32;
const FRAME: u64 = 24;

/// How far a log was read: frames of the log that these salts name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Both salts of the header; they change whenever the log starts again.
    pub salts: u64,
    /// Frames read.
    pub frames: u32,
}

/// The commits since a position.
#[derive(Debug, Default)]
pub struct Changes {
    /// Where to go on next time.
    pub end: Position,
    /// The size of a page.
    pub page_size: u32,
    /// The pages of the database after the last commit; 0 if there was none.
    pub database_pages: u32,
    /// The last image of each changed page: number, and its place in the file.
    pub pages: BTreeMap<u32, u64>,
}

/// Running checksum over pairs of words.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

impl Sum {
    fn add(mut self, bytes: &[u8], big_endian: bool) -> Self {
        let word = |bytes: &[u8]| {
            let bytes: [u8; 4] = bytes.try_into().unwrap_or_default();
            if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        for pair in bytes.chunks_exact(8) {
            self.0 = self.0.wrapping_add(word(&pair[..4])).wrapping_add(self.1);
            self.1 = self.1.wrapping_add(word(&pair[4..])).wrapping_add(self.0);
        }
        self
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Reads exactly, or says that the file ends before.
fn read(file: &File, buffer: &mut [u8], at: u64) -> Result<bool> {
    match file.read_exact_at(buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The commits in a log since a position. If the log has started again meanwhile, all that it holds now.
pub fn changes(file: &File, from: Position) -> Result<Changes> {
    let mut header = [0; 32];
    let mut changes = Changes { end: from, ..Changes::default() };
    if !read(file, &mut header, 0)? {
        return Ok(changes);
    }
    let magic = number(&header, 0);
    let big_endian = magic == 0x377f_0683;
    let mut sum = Sum(0, 0).add(&header[..24], big_endian);
    // A header that is just being written: whoever writes it will commit, and then there is another look.
    if !(big_endian || magic == 0x377f_0682) || sum != Sum(number(&header, 24), number(&header, 28)) {
        return Ok(changes);
    }
    let salts = u64::from(number(&header, 16)) << 32 | u64::from(number(&header, 20));
    changes.page_size = number(&header, 8);
    let size = FRAME + u64::from(changes.page_size);
    let mut frames = 0;
    if salts == from.salts && from.frames > 0 {
        frames = from.frames;
        let mut last = [0; 24];
        if !read(file, &mut last, HEADER + u64::from(frames - 1) * size)? {
            return Ok(changes);
        }
        sum = Sum(number(&last, 16), number(&last, 20));
    }
    let mut frame = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut open = BTreeMap::new();
    loop {
        let at = HEADER + u64::from(frames) * size;
        if !read(file, &mut frame, at)? || frame[8..16] != header[16..24] {
            break;
        }
        sum = sum.add(&frame[..8], big_endian).add(&frame[24..], big_endian);
        if sum != Sum(number(&frame, 16), number(&frame, 20)) {
            break;
        }
        frames += 1;
        open.insert(number(&frame, 0), at + FRAME);
        let commit = number(&frame, 4);
        if commit != 0 {
            changes.pages.append(&mut open);
            changes.database_pages = commit;
            changes.end = Position { salts, frames };
        }
    }
    if changes.database_pages != 0 {
        // A page beyond the end was truncated by a later transaction.
        let end = changes.database_pages;
        changes.pages.retain(|page, _| *page <= end);
    }
    Ok(changes)
}

impl Changes {
    /// The last image of a page.
    pub fn page(&self, file: &File, at: u64) -> Result<Vec<u8>> {
        let mut page = vec![0; usize::try_from(self.page_size).unwrap_or(0)];
        file.read_exact_at(&mut page, at)?;
        Ok(page)
    }
}

/// The end of what is committed in the log beside a database file.
pub fn end(database: &Path) -> Result<Position> {
    match File::open(path(database)) {
        Ok(file) => changes(&file, Position::default()).map(|changes| changes.end),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Position::default()),
        Err(error) => Err(error),
    }
}

/// Writes a log anew, byte for byte and in its place, before anybody uses it.
///
/// A server that was killed after a flush failed leaves a log that the kernel still shows and the disk doesn't have,
/// and no later flush would write it: the pages count as clean. Written once more they don't. It needs no room, so that
/// a server starts on a full disk, and a kill on the way changes nothing.
pub fn rewrite(log: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).open(log)?;
    let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
    loop {
        let count = file.read_at(&mut buffer, at)?;
        if count == 0 {
            return if at == 0 { Ok(()) } else { file.sync_all() };
        }
        file.write_all_at(&buffer[..count], at)?;
        at += count as u64;
    }
}

/// How much of a log is in use, in bytes; 0 if everything is copied into the file, and the next writer starts the log
/// again. The log's own size says nothing about that: it never shrinks.
///
/// The index beside the file has it, in the machine's byte order
/// (<https://www.sqlite.org/walformat.html#the_wal_index_header>): the size of a page, up to 32 KiB, in the 16 bits at
/// 14, the frames at 16, those copied at 96. Others write it meanwhile, so this may be a moment old.
pub fn used(database: &Path) -> u64 {
    let mut header = [0; 100];
    let index = beside(database, "-shm");
    if File::open(index).and_then(|file| file.read_exact_at(&mut header, 0)).is_err() {
        return 0;
    }
    let word = |at: usize| header[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
    let page = header[14..16].try_into().map_or(0, u16::from_ne_bytes);
    let (frames, copied) = (word(16), word(96));
    if frames == copied { 0 } else { HEADER + u64::from(frames) * (FRAME + u64::from(page)) }
}

/// Where the log of a database file lies.
pub fn path(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}
