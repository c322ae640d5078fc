//! A copy of a whole cluster, taken while it works: by a new replica over the network, or into a file for the archive.
//!
//! The copy is a sequence of messages: `H` and a JSON header; `P`, a database's number, a page's size, and pages with
//! their numbers; `E` and the SHA-256 of all messages before. Each database is one consistent state; the header says
//! which place of the log it belongs to, and from where on the log must be applied to all of them.

use super::log::{End, Log};
use super::record::{Chain, read_chain, show_chain};
use super::state::{State, log_directory, write_json};
use super::{capture, disk, state};
use crate::cluster;
use crate::engine::Snapshot;
use crate::session::Server;
use crate::sql::error::{Result, SqlError};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Pages are sent once they are this many bytes.
const MESSAGE: usize = 128 * 1024;

/// What a copy is a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The history.
    pub generation: String,
    /// The timeline at the time.
    pub timeline: u32,
    /// From where on the log is applied.
    pub lsn: u64,
    /// The hash of the log before that place.
    pub chain: String,
    /// When it held everything that it holds: microseconds since 1970.
    pub time: i64,
    /// The place that each database's state belongs to.
    pub databases: BTreeMap<u32, u64>,
}

/// Takes a copy and hands over its messages. `begun` is called with the header before any page is read.
pub fn send(
    server: &Server,
    begun: &mut dyn FnMut(&Header) -> Result<()>,
    put: &mut dyn FnMut(Vec<u8>) -> Result<()>,
) -> Result<Header> {
    let (replication, log) = (&server.replication, server.replication.log()?);
    let snapshots = capture::snapshots(server)?;
    // No commit in the copy is later.
    let time = super::record::now();
    let first = snapshots.iter().map(|(_, lsn, _)| *lsn).min().unwrap_or(0);
    let unknown = || SqlError::new("XX000", "the copy's place is not in the replication log");
    let chain = log.chain_at(first).map_err(|error| disk("can't read the replication log", &error))?;
    let state = replication.state();
    let header = Header {
        generation: state.generation,
        timeline: state.timeline,
        lsn: first,
        chain: show_chain(&chain.ok_or_else(unknown)?),
        time,
        databases: snapshots.iter().map(|(oid, lsn, _)| (*oid, *lsn)).collect(),
    };
    begun(&header)?;
    let mut digest = Context::new(&SHA256);
    let mut send = |message: Vec<u8>| {
        digest.update(&message);
        put(message)
    };
    let text = serde_json::to_vec(&header).map_err(|error| SqlError::new("XX000", error.to_string()))?;
    send([b"H", &text[..]].concat())?;
    for (oid, _, snapshot) in snapshots {
        send_pages(oid, &snapshot, &mut send)?;
    }
    let sum = digest.finish();
    put([b"E", sum.as_ref()].concat())?;
    Ok(header)
}

fn send_pages(oid: u32, snapshot: &Snapshot, send: &mut dyn FnMut(Vec<u8>) -> Result<()>) -> Result<()> {
    let head = [b"P", &oid.to_be_bytes()[..], &snapshot.page_size()?.to_be_bytes()].concat();
    let mut message = head.clone();
    snapshot.each_page(|number, page| {
        message.extend(number.to_be_bytes());
        message.extend_from_slice(page);
        if message.len() >= MESSAGE { send(std::mem::replace(&mut message, head.clone())) } else { Ok(()) }
    })?;
    send(message)
}

/// Builds a data directory from a copy's messages, aside; [`Receiver::install`] puts it into its place.
pub struct Receiver {
    data: PathBuf,
    header: Option<Header>,
    files: BTreeMap<u32, File>,
    digest: Context,
    whole: bool,
}

impl Receiver {
    /// Begins in a data directory whose lock is held; what it holds stays until the copy is whole.
    pub fn new(data: &Path) -> Result<Self> {
        let build = data.join("init.tmp");
        let _ = fs::remove_dir_all(&build);
        let _ = fs::remove_file(&build);
        fs::create_dir_all(build.join("base"))
            .map_err(|error| disk("can't make a place for the copy", &error))?;
        let (files, digest) = (BTreeMap::new(), Context::new(&SHA256));
        Ok(Self { data: data.to_owned(), header: None, files, digest, whole: false })
    }

    /// Takes a message; says whether the copy is whole.
    pub fn take(&mut self, message: &[u8]) -> Result<bool> {
        let wrong = |why: &str| SqlError::new("08P01", format!("the copy can't be read: {why}"));
        let (kind, rest) = message.split_first().ok_or_else(|| wrong("an empty message"))?;
        if *kind == b'E' {
            self.whole = self.digest.clone().finish().as_ref() == rest && self.header.is_some();
            return if self.whole { Ok(true) } else { Err(wrong("its sum does not fit")) };
        }
        self.digest.update(message);
        match kind {
            b'H' => {
                let header = serde_json::from_slice(rest).map_err(|error| wrong(&error.to_string()))?;
                self.header = Some(header);
            }
            b'P' if rest.len() >= 8 => {
                let (head, pages) = rest.split_at(8);
                let word = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
                let (oid, size) = (word(&head[..4]), word(&head[4..]));
                let file = self.file(oid)?;
                for chunk in pages.chunks_exact(4 + size as usize) {
                    let number = word(&chunk[..4]).checked_sub(1).ok_or_else(|| wrong("page 0"))?;
                    file.write_all_at(&chunk[4..], u64::from(number) * u64::from(size))
                        .map_err(|error| disk("can't write the copy", &error))?;
                }
            }
            _ => return Err(wrong("an unknown message")),
        }
        Ok(false)
    }

    fn file(&mut self, oid: u32) -> Result<&File> {
        let build = self.data.join("init.tmp");
        let path =
            if oid == 0 { build.join("global.db") } else { build.join("base").join(format!("{oid}.db")) };
        let open = || File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
        match self.files.entry(oid) {
            std::collections::btree_map::Entry::Occupied(file) => Ok(file.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                Ok(place.insert(open().map_err(|error| disk("can't write the copy", &error))?))
            }
        }
    }

    /// Replaces the directory's data by the copy: a kill before the last step leaves a directory without a cluster.
    pub fn install(self, slot: &str) -> Result<Header> {
        let header = self.header.filter(|_| self.whole);
        let header = header.ok_or_else(|| SqlError::new("08P01", "the copy is not whole"))?;
        let chain: Chain = read_chain(&header.chain)
            .ok_or_else(|| SqlError::new("08P01", "the copy's header can't be read"))?;
        let io = |error: std::io::Error| disk("can't install the copy", &error);
        for file in self.files.values() {
            file.sync_all().map_err(io)?;
        }
        let build = self.data.join("init.tmp");
        File::open(build.join("base")).and_then(|file| file.sync_all()).map_err(io)?;
        cluster::discard(&self.data, &["init.tmp"])?;
        for name in ["global.db", "base"] {
            fs::rename(build.join(name), self.data.join(name)).map_err(io)?;
        }
        fs::remove_dir_all(&build).map_err(io)?;
        fs::create_dir_all(state::directory(&self.data)).map_err(io)?;
        Log::create(&log_directory(&self.data), End { lsn: header.lsn, chain }).map_err(io)?;
        let state = State {
            generation: header.generation.clone(),
            timeline: header.timeline,
            slot: slot.to_owned(),
            applied: header.lsn,
            copied: header.databases.clone(),
            ..State::default()
        };
        write_json(&state::directory(&self.data), "state.json", &state)?;
        File::open(&self.data).and_then(|file| file.sync_all()).map_err(io)?;
        cluster::finish(&self.data)?;
        Ok(header)
    }
}
