//! The fingerprint cache: what was made from the same inputs before is not made again.
//!
//! `<root>/blobs` holds content; `<root>/<kind>/<fingerprint>.json` says what came of the inputs with that
//! fingerprint. A record is only believed when the blobs that it names are there and whole.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use oci_spec::image::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use crate::blobs::{Blobs, MAX_DOCUMENT_BYTES};
use crate::digest;
use crate::entry::{self, Entry};
use crate::error::{Error, Result};
use crate::json;
use crate::layer::{self, Layer};
use crate::stream::Compression;

/// A cache folder. Safe under several runs at once: blobs and records appear whole or not at all.
#[derive(Debug)]
pub struct Cache {
    blobs: Blobs,
}

impl Cache {
    /// Opens the cache at `root`, creating it where it is missing.
    ///
    /// # Errors
    /// Those of [`Blobs::create`].
    pub fn create(root: &Path) -> Result<Cache> {
        Ok(Cache { blobs: Blobs::create(root)? })
    }

    /// The cached blobs.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The gzip layer made of `entries`, and whether it was there already.
    ///
    /// # Errors
    /// Those of [`layer::build`].
    pub fn layer(&self, entries: &[Entry], mtime: u64) -> Result<(Layer, bool)> {
        self.layer_as(entries, mtime, Compression::Gzip)
    }

    /// [`Cache::layer`] in another compression.
    ///
    /// # Errors
    /// Those of [`layer::build`].
    pub fn layer_as(&self, entries: &[Entry], mtime: u64, compression: Compression) -> Result<(Layer, bool)> {
        let fingerprint = entry::fingerprint(&entry::lines(entries)?, mtime);
        let fingerprint = match compression {
            Compression::Gzip => fingerprint,
            other => digest::sha256(format!("{fingerprint} {other:?}").as_bytes()),
        };
        let there = self.record::<Layer>("layers", &fingerprint);
        let (layer, cached) = match there.filter(|layer| self.blobs.verify(&layer.descriptor).is_ok()) {
            Some(layer) => (layer, true),
            None => (layer::build(entries, mtime, compression, &self.blobs)?, false),
        };
        // Also when it was there: a record's age is the time since it was last of use.
        self.remember("layers", &fingerprint, &layer)?;
        Ok((layer, cached))
    }

    /// What [`Cache::remember`] kept under that kind and fingerprint. An unreadable record is none.
    pub fn record<T: DeserializeOwned>(&self, kind: &str, fingerprint: &Digest) -> Option<T> {
        serde_json::from_slice(&fs::read(self.record_path(kind, fingerprint)).ok()?).ok()
    }

    /// Keeps `value` for [`Cache::record`].
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be written.
    pub fn remember(&self, kind: &str, fingerprint: &Digest, value: &impl Serialize) -> Result<()> {
        let path = self.record_path(kind, fingerprint);
        let dir = path.parent().expect("a record lies in the folder of its kind");
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        write_atomically(&path, &self.blobs.root().join("tmp"), &json::to_vec(value))
    }

    /// Drops what [`Cache::remember`] kept, if anything.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be removed.
    pub fn forget(&self, kind: &str, fingerprint: &Digest) -> Result<()> {
        let path = self.record_path(kind, fingerprint);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
            _ => Ok(()),
        }
    }

    /// Removes what was not of use for long, oldest first, until the rest is within `limits`. Blobs that no record leads
    /// to go as well. Does nothing while another process uses the cache.
    ///
    /// # Errors
    /// [`Error::Io`] when a file can't be read or removed; everything that is still there is whole.
    pub fn prune(&self, now: SystemTime, limits: Limits) -> Result<Pruned> {
        self.blobs.exclusively(|| {
            let mut records = self.records()?;
            records.sort_by_key(|record| std::cmp::Reverse(record.used));
            let mut kept = BTreeSet::new();
            let mut bytes = 0;
            for record in records {
                let wanted = self.leads_to(&record.path)?;
                let fresh: Vec<&Digest> = wanted.iter().filter(|d| !kept.contains(d.digest())).collect();
                let more: u64 = fresh.iter().map(|d| size_of(&self.blobs.path(d))).sum();
                let age = now.duration_since(record.used).unwrap_or_default();
                if age > limits.age || bytes + more > limits.bytes {
                    fs::remove_file(&record.path).map_err(Error::io("remove", &record.path))?;
                    continue;
                }
                bytes += more;
                kept.extend(fresh.iter().map(|d| d.digest().to_string()));
            }
            let mut pruned = Pruned::default();
            let dir = self.blobs.root().join("blobs/sha256");
            for entry in fs::read_dir(&dir).map_err(Error::io("read", &dir))?.flatten() {
                if !kept.contains(&*entry.file_name().to_string_lossy()) {
                    pruned.blobs += 1;
                    pruned.bytes += size_of(&entry.path());
                    fs::remove_file(entry.path()).map_err(Error::io("remove", entry.path()))?;
                }
            }
            Ok(pruned)
        })
    }

    /// Every record of every kind.
    fn records(&self) -> Result<Vec<Record>> {
        let root = self.blobs.root();
        let mut records = Vec::new();
        for kind in fs::read_dir(root).map_err(Error::io("read", root))?.flatten() {
            let name = kind.file_name();
            if !kind.path().is_dir() || name == "blobs" || name == "tmp" {
                continue;
            }
            for record in fs::read_dir(kind.path()).map_err(Error::io("read", kind.path()))?.flatten() {
                let path = record.path();
                let used = record.metadata().and_then(|m| m.modified()).map_err(Error::io("read", &path))?;
                records.push(Record { path, used });
            }
        }
        Ok(records)
    }

    /// The blobs that a record names, and those that these name in turn: an index's manifests, a manifest's layers.
    /// Whatever looks like a digest counts, so that no kind of record has to be known here.
    fn leads_to(&self, record: &Path) -> Result<Vec<Digest>> {
        let mut found: Vec<Digest> = Vec::new();
        let mut pending = digests(&fs::read(record).map_err(Error::io("read", record))?);
        while let Some(digest) = pending.pop() {
            let path = self.blobs.path(&digest);
            let size = size_of(&path);
            if size == 0 || found.contains(&digest) {
                continue;
            }
            found.push(digest);
            if size > MAX_DOCUMENT_BYTES {
                continue;
            }
            let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
            if bytes.first() == Some(&b'{') {
                pending.extend(digests(&bytes));
            }
        }
        Ok(found)
    }

    fn record_path(&self, kind: &str, fingerprint: &Digest) -> PathBuf {
        self.blobs.root().join(kind).join(format!("{}.json", fingerprint.digest()))
    }
}

/// How much a cache may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of blobs.
    pub bytes: u64,
    /// The time since something was last of use.
    pub age: Duration,
}

/// What [`Cache::prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many blobs.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

struct Record {
    path: PathBuf,
    /// When it was last of use.
    used: SystemTime,
}

/// Everything in `text` that is a SHA-256 digest.
fn digests(text: &[u8]) -> Vec<Digest> {
    let text = String::from_utf8_lossy(text);
    let hex = |at: usize| text.get(at..at + 64).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let found = text.match_indices("sha256:").filter_map(|(at, name)| hex(at + name.len()));
    found.filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect()
}

/// The size of a file in bytes; 0 where there is none.
fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

/// Replaces the file at `path` by `contents`, through a temporary file in `tmp` (on the same file system): a
/// reader sees the old content or the new, whatever happens in between.
///
/// # Errors
/// [`Error::Io`]; the old content is then untouched.
pub fn write_atomically(path: &Path, tmp: &Path, contents: &[u8]) -> Result<()> {
    let mut file = NamedTempFile::new_in(tmp).map_err(Error::io("create a file in", tmp))?;
    file.write_all(contents).map_err(Error::io("write", file.path()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(Error::io("set the mode of", file.path()))?;
    }
    file.persist(path).map(drop).map_err(|e| Error::io("write", path)(e.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Owner;

    #[test]
    fn the_same_entries_are_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::create(dir.path()).unwrap();
        let entries =
            [Entry::Inline { path: "a".into(), contents: b"x".into(), mode: 0o644, owner: Owner::ROOT }];
        let (first, cached) = cache.layer(&entries, 0).unwrap();
        assert!(!cached);
        assert_eq!(cache.layer(&entries, 0).unwrap(), (first.clone(), true));
        assert!(!cache.layer(&entries, 1).unwrap().1, "another time, another layer");
        let (zstd, cached) = cache.layer_as(&entries, 0, Compression::Zstd).unwrap();
        assert_eq!((cached, &zstd.diff_id), (false, &first.diff_id), "another compression, another blob");
        assert_eq!(*zstd.descriptor.media_type(), oci_spec::image::MediaType::ImageLayerZstd);
        assert_eq!(cache.layer_as(&entries, 0, Compression::Zstd).unwrap(), (zstd, true));

        // A blob that was lost or damaged, and a record that was torn, are made again.
        let blob = cache.blobs().path(first.descriptor.digest());
        let record = cache.record_path("layers", &entry::fingerprint(&entry::lines(&entries).unwrap(), 0));
        let remove: &dyn Fn() = &|| fs::remove_file(&blob).unwrap();
        let damage: &dyn Fn() = &|| {
            fs::remove_file(&blob).unwrap();
            fs::write(&blob, b"rubbish").unwrap();
        };
        let tear: &dyn Fn() = &|| fs::write(&record, b"{").unwrap();
        for harm in [remove, damage, tear] {
            harm();
            assert_eq!(cache.layer(&entries, 0).unwrap(), (first.clone(), false));
            assert_eq!(cache.layer(&entries, 0).unwrap(), (first.clone(), true));
        }
        let fingerprint = entry::fingerprint(&entry::lines(&entries).unwrap(), 0);
        cache.forget("layers", &fingerprint).unwrap();
        cache.forget("layers", &fingerprint).unwrap();
        assert_eq!(cache.record::<Layer>("layers", &fingerprint), None);
    }

    #[test]
    fn pruning_by_age_and_size_keeps_what_is_of_use() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::create(dir.path()).unwrap();
        let make = |name: &str| {
            let contents = name.repeat(1000).into_bytes();
            let entry = Entry::Inline { path: name.into(), contents, mode: 0o644, owner: Owner::ROOT };
            cache.layer(&[entry], 0).unwrap()
        };
        let (old, new) = (make("old").0, make("new").0);
        cache.blobs().put(oci_spec::image::MediaType::ImageConfig, b"{}").unwrap();
        let record = |layer: &Layer| {
            let records = cache.records().unwrap();
            records
                .into_iter()
                .find(|r| cache.leads_to(&r.path).unwrap() == [layer.descriptor.digest().clone()])
                .unwrap()
        };
        let day = Duration::from_secs(86_400);
        let now = record(&new).used + day;
        let aged = fs::File::options().write(true).open(record(&old).path).unwrap();
        aged.set_modified(now - 40 * day).unwrap();
        let limits = Limits { bytes: u64::MAX, age: 30 * day };

        let busy = Cache::create(dir.path()).unwrap();
        assert_eq!(cache.prune(now, limits).unwrap(), Pruned::default(), "somebody else is at work");
        drop(busy);
        assert_eq!(
            cache.prune(now, limits).unwrap().blobs,
            2,
            "the old layer and the blob that nothing names"
        );
        assert!(!cache.blobs().contains(&old.descriptor) && cache.blobs().contains(&new.descriptor));
        assert_eq!(cache.prune(now, limits).unwrap(), Pruned::default());
        assert!(make("new").1 && !make("old").1);

        let tight = Limits { bytes: new.descriptor.size(), age: 30 * day };
        assert_eq!(cache.prune(now, tight).unwrap().blobs, 1, "the two do not fit");
    }

    #[test]
    fn an_index_keeps_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::create(dir.path()).unwrap();
        let put = |text: &str| {
            cache.blobs().put(oci_spec::image::MediaType::ImageManifest, text.as_bytes()).unwrap()
        };
        let layer = put("not json");
        let manifest = put(&format!("{{\"layers\":[\"{}\"]}}", layer.digest()));
        let index = put(&format!("{{\"manifests\":[\"{}\"]}}", manifest.digest()));
        cache.remember("pulled", index.digest(), &index).unwrap();
        let limits = Limits { bytes: u64::MAX, age: Duration::from_secs(3600) };
        let used = cache.records().unwrap()[0].used;
        assert_eq!(cache.prune(used, limits).unwrap(), Pruned::default());
        assert_eq!(cache.prune(used + 2 * limits.age, limits).unwrap().blobs, 3);
    }
}
