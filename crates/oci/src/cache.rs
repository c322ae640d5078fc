//! The fingerprint cache: what was made from the same inputs before is not made again.
//!
//! `<root>/blobs` holds content; `<root>/<kind>/<fingerprint>.json` says what came of the inputs with that
//! fingerprint. A record is only believed when the blobs that it names are there and whole.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use oci_spec::image::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use crate::blobs::Blobs;
use crate::entry::{self, Entry};
use crate::error::{Error, Result};
use crate::json;
use crate::layer::{self, Layer};

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

    /// The layer made of `entries`, and whether it was there already.
    ///
    /// # Errors
    /// Those of [`layer::build`].
    pub fn layer(&self, entries: &[Entry], mtime: u64) -> Result<(Layer, bool)> {
        let fingerprint = entry::fingerprint(entries, mtime)?;
        if let Some(layer) = self.record::<Layer>("layers", &fingerprint)
            && self.blobs.verify(&layer.descriptor).is_ok()
        {
            return Ok((layer, true));
        }
        let layer = layer::build(entries, mtime, &self.blobs)?;
        self.remember("layers", &fingerprint, &layer)?;
        Ok((layer, false))
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

    fn record_path(&self, kind: &str, fingerprint: &Digest) -> PathBuf {
        self.blobs.root().join(kind).join(format!("{}.json", fingerprint.digest()))
    }
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

        // A blob that was lost or damaged, and a record that was torn, are made again.
        let blob = cache.blobs().path(first.descriptor.digest());
        let record = cache.record_path("layers", &entry::fingerprint(&entries, 0).unwrap());
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
        let fingerprint = entry::fingerprint(&entries, 0).unwrap();
        cache.forget("layers", &fingerprint).unwrap();
        cache.forget("layers", &fingerprint).unwrap();
        assert_eq!(cache.record::<Layer>("layers", &fingerprint), None);
    }
}
