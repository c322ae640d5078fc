//! The records of the replication log. docs/replication.md has the layout.
//!
//! A record says which pages of which database a commit left behind. Its hash covers the hash of the record before it,
//! so that two logs with the same hash at one place are the same log up to there, whoever wrote them.

use ring::digest::{Context, SHA256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The bytes of a record before its payload.
pub const HEADER: usize = 72;
/// No record is longer; larger commits are several records, of which the last one commits.
pub const LARGEST: usize = 1 << 20;
const MAGIC: [u8; 4] = *b"SBR1";

/// The hash over a log up to some place.
pub type Chain = [u8; 16];

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pages of a database.
    Pages = 1,
    /// Pages of a database that begins with them.
    File = 2,
    /// How far the primary has read its databases' logs; a segment begins with it, and so does a timeline.
    Positions = 3,
}

/// A record without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// The last record of a commit.
    pub commits: bool,
    /// The timeline that wrote it.
    pub timeline: u32,
    /// Where it begins.
    pub lsn: u64,
    /// When it was written: microseconds since 1970.
    pub time: i64,
    /// The database's number; 0 is the file of roles and databases.
    pub database: u32,
    /// The database's size in pages after the commit.
    pub pages: u32,
    /// The size of a page.
    pub page_size: u32,
    /// The frames of the database's own log that are covered.
    pub frames: u32,
    /// The salts of that log.
    pub salts: u64,
    /// The length of the payload.
    pub length: u32,
    /// The hash of the log up to the end of this record.
    pub chain: Chain,
}

impl Record {
    /// A record of a kind; the log fills in the rest.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            commits: true,
            timeline: 0,
            lsn: 0,
            time: now(),
            database: 0,
            pages: 0,
            page_size: 0,
            frames: 0,
            salts: 0,
            length: 0,
            chain: [0; 16],
        }
    }

    /// Where the next record begins.
    pub fn end(&self) -> u64 {
        self.lsn + HEADER as u64 + u64::from(self.length)
    }

    /// Seals a record after another one, and gives its bytes.
    pub fn seal(&mut self, before: &Chain, payload: &[u8]) -> Vec<u8> {
        self.length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend(MAGIC);
        bytes.extend([self.kind as u8, u8::from(self.commits), 0, 0]);
        bytes.extend(self.length.to_be_bytes());
        bytes.extend(self.timeline.to_be_bytes());
        bytes.extend(self.lsn.to_be_bytes());
        bytes.extend(self.time.to_be_bytes());
        for number in [self.database, self.pages, self.page_size, self.frames] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(self.salts.to_be_bytes());
        self.chain = hash(before, &bytes, payload);
        bytes.extend(self.chain);
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Reads a header; `None` if these bytes are none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.get(..HEADER)?.strip_prefix(&MAGIC)?;
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at(count);
            rest = tail;
            head.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let kind = match take(1) {
            1 => Kind::Pages,
            2 => Kind::File,
            3 => Kind::Positions,
            _ => return None,
        };
        let commits = take(1) == 1;
        take(2);
        let mut word = || u32::try_from(take(4)).unwrap_or(0);
        let (length, timeline) = (word(), word());
        let (lsn, time) = (take(8), take(8).cast_signed());
        let mut word = || u32::try_from(take(4)).unwrap_or(0);
        let (database, pages, page_size, frames) = (word(), word(), word(), word());
        let salts = take(8);
        let chain = bytes[HEADER - 16..HEADER].try_into().ok()?;
        let fits = length as usize <= LARGEST;
        fits.then_some(Self {
            kind,
            commits,
            timeline,
            lsn,
            time,
            database,
            pages,
            page_size,
            frames,
            salts,
            length,
            chain,
        })
    }

    /// Whether the record, given with its bytes, follows a log with this hash.
    pub fn follows(&self, before: &Chain, bytes: &[u8]) -> bool {
        let whole = bytes.len() == HEADER + self.length as usize;
        whole && hash(before, &bytes[..HEADER - 16], &bytes[HEADER..]) == self.chain
    }

    /// The pages of a payload: number and bytes.
    pub fn pages<'p>(&self, payload: &'p [u8]) -> impl Iterator<Item = (u32, &'p [u8])> {
        let size = 4 + self.page_size as usize;
        payload.chunks_exact(size).map(|chunk| {
            let (number, page) = chunk.split_at(4);
            (number.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)), page)
        })
    }
}

fn hash(before: &Chain, header: &[u8], payload: &[u8]) -> Chain {
    let mut context = Context::new(&SHA256);
    [before, header, payload].iter().for_each(|bytes| context.update(bytes));
    let mut chain = [0; 16];
    chain.copy_from_slice(&context.finish().as_ref()[..16]);
    chain
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// As Postgres writes a place in the log: two halves in hexadecimal.
pub fn show(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

/// Reads what [`show`] writes.
pub fn read_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some(u64::from_str_radix(high, 16).ok()? << 32 | u64::from(u32::from_str_radix(low, 16).ok()?))
}

/// A hash in hexadecimal.
pub fn show_chain(chain: &Chain) -> String {
    chain.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`show_chain`] writes.
pub fn read_chain(text: &str) -> Option<Chain> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_any_changed_bit_is_found() {
        let mut record =
            Record { database: 7, pages: 3, page_size: 2, lsn: 1 << 40, ..Record::new(Kind::Pages) };
        let bytes = record.seal(&[9; 16], &[0, 0, 0, 5, 1, 2, 0, 0, 0, 6, 3, 4]);
        let read = Record::parse(&bytes).unwrap();
        assert_eq!(read, record);
        assert!(read.follows(&[9; 16], &bytes));
        assert!(!read.follows(&[8; 16], &bytes), "another past");
        let pages: Vec<_> = read.pages(&bytes[HEADER..]).collect();
        assert_eq!(pages, [(5, &[1, 2][..]), (6, &[3, 4][..])]);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let accepted = Record::parse(&changed).is_some_and(|record| record.follows(&[9; 16], &changed));
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn places_and_hashes_are_written_and_read() {
        for lsn in [0, 0x1_2345_6789, u64::MAX] {
            assert_eq!(read_lsn(&show(lsn)), Some(lsn));
        }
        assert_eq!(show(0x1_0000_00FF), "1/FF");
        assert_eq!(read_lsn("12"), None);
        assert_eq!(read_chain(&show_chain(&[171; 16])), Some([171; 16]));
        assert_eq!(read_chain("ab"), None);
    }
}
