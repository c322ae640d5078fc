//! From entries to a layout, an archive and back; and every way in which a layout can be broken is found.

mod bases;
mod damage;
mod layout;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use oci::image::{self, Config, Healthcheck, Image, Part};
use oci::layout::Named;
use oci::{Cache, Entry, Owner, platform};
use oci_spec::image::{Descriptor, HistoryBuilder};

const MTIME: u64 = 315_532_800;

struct Fixture {
    dir: tempfile::TempDir,
    cache: Cache,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::create(&dir.path().join("cache")).unwrap();
        Fixture { dir, cache }
    }

    fn layout_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("oci")
    }

    /// An image of one layer with one file, and its index.
    fn image(&self, contents: &str) -> (Image, Descriptor) {
        let entries = [
            Entry::Dir { path: "etc".into(), mode: 0o755, owner: Owner::ROOT },
            Entry::Inline {
                path: "etc/motd".into(),
                contents: contents.into(),
                mode: 0o644,
                owner: Owner::ROOT,
            },
        ];
        let (layer, _) = self.cache.layer(&entries, MTIME).unwrap();
        let history = HistoryBuilder::default().created_by("a test").build().unwrap();
        let config = Config {
            user: "1000:1000".into(),
            env: vec!["PATH=/usr/bin".into()],
            entrypoint: vec!["/usr/bin/scratchbird".into()],
            exposed_ports: vec!["5432/tcp".into()],
            labels: (0..20).map(|i| (format!("label{i}"), format!("value{i}"))).collect(),
            healthcheck: Some(Healthcheck {
                test: vec!["CMD".into(), "true".into()],
                retries: 3,
                ..Healthcheck::default()
            }),
            ..Config::default()
        };
        let amd64 = platform::parse("linux/amd64").unwrap();
        let blobs = self.cache.blobs();
        let image =
            Image::assemble(blobs, &amd64, "1980-01-01T00:00:00Z", &[Part { layer, history }], &config)
                .unwrap();
        let index = image::index(blobs, std::slice::from_ref(&image), &config.labels).unwrap();
        (image, index)
    }

    fn write(&self, named: &[(&str, &Descriptor)]) -> oci::Result<bool> {
        let images: Vec<Named> =
            named.iter().map(|(name, d)| Named { name: (*name).into(), descriptor: (*d).clone() }).collect();
        oci::layout::update(&self.layout_dir(), self.cache.blobs(), &images)
    }
}

/// Every path below `dir` with its content, to compare two states of a folder.
fn snapshot(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                pending.push(entry.path());
            } else {
                files.insert(entry.path().display().to_string(), fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

/// A tar of raw headers, to make what no careful writer would.
fn tar_of(entries: &[(&str, tar::EntryType, &[u8])], end: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, kind, contents) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(contents.len() as u64);
        if kind.is_symlink() {
            header.set_size(0);
            header.set_link_name(std::str::from_utf8(contents).unwrap()).unwrap();
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        if !kind.is_symlink() {
            out.extend_from_slice(contents);
            out.resize(out.len().next_multiple_of(512), 0);
        }
    }
    if end {
        out.resize(out.len() + 1024, 0);
    }
    out
}

const FILE: tar::EntryType = tar::EntryType::Regular;
