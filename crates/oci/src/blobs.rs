//! A content-addressed folder of blobs (`blobs/sha256/<hex>`, image-spec "image layout"): the store behind the
//! cache and every layout.
//!
//! A blob is written to a temporary file, hashed on the way, and takes its name only when its digest and size
//! are known to be right; so a name that exists is a whole blob, also after a SIGKILL. Blobs are not synced to
//! disk one by one: whoever reads one through [`Blobs::read`] or [`Blobs::verify`] hashes it anyway, so a blob
//! torn by a power cut is found and made again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, Digest, MediaType};
use tempfile::NamedTempFile;

use crate::digest::{self, Hasher};
use crate::error::{Error, Result};

/// The largest JSON document (manifest, index, config) that is read into memory, in bytes: the limit that
/// registries put on manifests (distribution-spec, "Pushing Manifests", recommends 4 MiB).
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

/// A folder of blobs. Cheap to clone paths from; safe to use from several threads and processes at once.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    /// Held shared while this store may have temporary files; see [`Blobs::create`].
    lock: Option<File>,
}

impl Blobs {
    /// Opens the store below `root` for writing, and creates its folders where they are missing.
    ///
    /// Temporary files that a killed run left behind are removed, but only when no other process has the store
    /// open: each holds a shared lock on `<root>/lock`.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder can't be made or the lock file can't be opened.
    pub fn create(root: impl Into<PathBuf>) -> Result<Blobs> {
        let root = root.into();
        let tmp = root.join("tmp");
        for dir in [&root.join("blobs/sha256"), &tmp] {
            fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        }
        let lock_path = root.join("lock");
        let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
        if lock.try_lock().is_ok() {
            for entry in fs::read_dir(&tmp).map_err(Error::io("read", &tmp))?.flatten() {
                // Somebody else's file may be gone or not ours to remove; neither does harm here.
                let _ = fs::remove_file(entry.path());
            }
            lock.unlock().map_err(Error::io("unlock", &lock_path))?;
        }
        lock.lock_shared().map_err(Error::io("lock", &lock_path))?;
        Ok(Blobs { root, lock: Some(lock) })
    }

    /// Runs `work` while no other process has the store open; where one has, gives the default instead.
    ///
    /// # Errors
    /// Those of `work`, and [`Error::Io`] when the lock can't be taken back.
    pub fn exclusively<T: Default>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(lock) = &self.lock else { return Ok(T::default()) };
        let path = self.root.join("lock");
        if lock.try_lock().is_err() {
            // The shared lock may be gone after a failed attempt (flock(2): a conversion is no single step).
            lock.lock_shared().map_err(Error::io("lock", &path))?;
            return Ok(T::default());
        }
        let result = work();
        lock.lock_shared().map_err(Error::io("lock", &path))?;
        result
    }

    /// Opens an existing store for reading.
    pub fn at(root: impl Into<PathBuf>) -> Blobs {
        Blobs { root: root.into(), lock: None }
    }

    /// The folder that holds `blobs/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob `digest` lies or would lie.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().as_ref()).join(digest.digest())
    }

    /// Whether a blob of that digest and size exists. Reads no content.
    pub fn contains(&self, descriptor: &Descriptor) -> bool {
        fs::metadata(self.path(descriptor.digest()))
            .is_ok_and(|m| m.is_file() && m.len() == descriptor.size())
    }

    /// Starts a new blob.
    ///
    /// # Errors
    /// [`Error::Io`] when the temporary file can't be made.
    pub fn writer(&self) -> Result<BlobWriter<'_>> {
        // A layout, opened with `at`, has no folder for temporary files.
        let tmp = self.root.join(if self.lock.is_some() { "tmp" } else { "blobs/sha256" });
        let file = NamedTempFile::new_in(&tmp).map_err(Error::io("create a file in", &tmp))?;
        Ok(BlobWriter { blobs: self, file, hasher: Hasher::default() })
    }

    /// Stores `bytes` and describes them. Storing what is there already writes nothing.
    ///
    /// # Errors
    /// [`Error::Io`] when the blob can't be written.
    pub fn put(&self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor> {
        let descriptor = Descriptor::new(media_type, bytes.len() as u64, digest::sha256(bytes));
        if self.verify(&descriptor).is_err() {
            let mut writer = self.writer()?;
            writer.write_all(bytes).map_err(Error::io("write", writer.file.path()))?;
            writer.commit(&descriptor)?;
        }
        Ok(descriptor)
    }

    /// Reads a small blob (a JSON document) into memory, verified.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`], and [`Error::Invalid`] over [`MAX_DOCUMENT_BYTES`].
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let path = self.path(descriptor.digest());
        if descriptor.size() > MAX_DOCUMENT_BYTES {
            return Err(Error::invalid(
                format!("blob {}", descriptor.digest()),
                format!(
                    "{} bytes are too many for a document, allowed are {MAX_DOCUMENT_BYTES}",
                    descriptor.size()
                ),
            ));
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        // One byte more than announced, so that a longer file is noticed without being read whole.
        file.take(descriptor.size() + 1).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
        check(descriptor, digest::sha256(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Opens a blob for streaming. The content is not verified; use [`Blobs::verify`] first where it matters.
    ///
    /// # Errors
    /// [`Error::Io`] when it does not exist.
    pub fn open(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).map_err(Error::io("open", &path))
    }

    /// Reads the whole blob and compares digest and size.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read, [`Error::Corrupt`] when the content is another.
    pub fn verify(&self, descriptor: &Descriptor) -> Result<()> {
        let (digest, size) = digest::sha256_file(&self.path(descriptor.digest()))?;
        check(descriptor, digest, size)
    }

    /// Makes the blob appear in `other` too: as a hard link, or as a copy where the two lie on different file
    /// systems. A blob that `other` has is left alone.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Corrupt`] when a copy came out different.
    pub fn link_into(&self, other: &Blobs, descriptor: &Descriptor) -> Result<()> {
        let (from, to) = (self.path(descriptor.digest()), other.path(descriptor.digest()));
        match fs::hard_link(&from, &to) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                if other.verify(descriptor).is_ok() {
                    return Ok(());
                }
                other.copy_from(&from, descriptor)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(Error::Io { action: "read", path: from, source: e })
            }
            Err(_) => other.copy_from(&from, descriptor),
        }
    }

    fn copy_from(&self, from: &Path, descriptor: &Descriptor) -> Result<()> {
        let mut source = File::open(from).map_err(Error::io("open", from))?;
        let mut writer = self.writer()?;
        io::copy(&mut source, &mut writer).map_err(Error::io("copy", from))?;
        writer.commit(descriptor)
    }
}

/// A blob on its way into the store. Dropped without a commit, it leaves nothing behind.
#[must_use = "a blob that is not committed is thrown away"]
pub struct BlobWriter<'a> {
    blobs: &'a Blobs,
    file: NamedTempFile,
    hasher: Hasher,
}

impl BlobWriter<'_> {
    /// How many bytes were written so far: where a cut transfer goes on.
    pub fn written(&self) -> u64 {
        self.hasher.size()
    }

    /// Throws away what was written so far, to start over in the same file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file can't be truncated.
    pub fn restart(&mut self) -> Result<()> {
        let file = self.file.as_file_mut();
        file.set_len(0)
            .and_then(|()| io::Seek::rewind(file))
            .map_err(Error::io("truncate", self.file.path()))?;
        self.hasher = Hasher::default();
        Ok(())
    }

    /// Gives the blob its name if digest and size are those of `expected`; else nothing is kept.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the content is another, [`Error::Io`] when it can't be renamed.
    pub fn commit(self, expected: &Descriptor) -> Result<()> {
        let (digest, size) = self.hasher.finish();
        check(expected, digest, size)?;
        persist(self.blobs, self.file, expected.digest())
    }

    /// Gives the blob the name that its content has, and describes it as `media_type`.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be renamed.
    pub fn finish(self, media_type: MediaType) -> Result<Descriptor> {
        let (digest, size) = self.hasher.finish();
        persist(self.blobs, self.file, &digest)?;
        Ok(Descriptor::new(media_type, size, digest))
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn persist(blobs: &Blobs, file: NamedTempFile, digest: &Digest) -> Result<()> {
    let path = blobs.path(digest);
    // A temporary file is 0600; a blob is for everybody to read and for nobody to change: it may be hard-linked.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(0o444);
        file.as_file().set_permissions(mode).map_err(Error::io("set the mode of", file.path()))?;
    }
    file.persist(&path).map(drop).map_err(|e| Error::Io { action: "write", path, source: e.error })
}

fn check(expected: &Descriptor, digest: Digest, size: u64) -> Result<()> {
    if digest == *expected.digest() && size == expected.size() {
        return Ok(());
    }
    Err(Error::Corrupt {
        expected: expected.digest().clone(),
        expected_size: expected.size(),
        found: digest,
        found_size: size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(dir.path()).unwrap();
        (dir, blobs)
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_blob_gets_its_name_only_with_the_right_content() {
        let (dir, blobs) = store();
        let wanted = Descriptor::new(MediaType::ImageLayer, 3, digest::sha256(b"abc"));
        for wrong in [&b"ab"[..], b"abd", b"abcd", b""] {
            let mut writer = blobs.writer().unwrap();
            writer.write_all(wrong).unwrap();
            assert!(matches!(writer.commit(&wanted), Err(Error::Corrupt { .. })), "{wrong:?}");
            assert!(!blobs.contains(&wanted));
        }
        let mut writer = blobs.writer().unwrap();
        writer.write_all(b"xx").unwrap();
        writer.restart().unwrap();
        writer.write_all(b"ab").unwrap();
        assert_eq!(writer.written(), 2);
        writer.write_all(b"c").unwrap();
        writer.commit(&wanted).unwrap();
        assert!(blobs.contains(&wanted));
        assert_eq!(blobs.read(&wanted).unwrap(), b"abc");
        assert_eq!((files(&dir.path().join("tmp")), files(&dir.path().join("blobs/sha256"))), (0, 1));
    }

    #[test]
    fn corruption_is_found_and_mended_by_writing_again() {
        let (_dir, blobs) = store();
        let blob = blobs.put(MediaType::ImageConfig, b"{}").unwrap();
        for bad in [&b"[]"[..], b"{", b"{}{}"] {
            fs::remove_file(blobs.path(blob.digest())).unwrap();
            fs::write(blobs.path(blob.digest()), bad).unwrap();
            assert!(matches!(blobs.read(&blob), Err(Error::Corrupt { .. })), "{bad:?}");
            assert!(matches!(blobs.verify(&blob), Err(Error::Corrupt { .. })), "{bad:?}");
        }
        blobs.put(MediaType::ImageConfig, b"{}").unwrap();
        blobs.verify(&blob).unwrap();
    }

    #[test]
    fn leftovers_of_a_killed_run_go_when_nobody_else_is_at_work() {
        let (dir, blobs) = store();
        let leftover = dir.path().join("tmp/killed");
        fs::write(&leftover, b"half").unwrap();
        let second = Blobs::create(dir.path()).unwrap();
        assert!(leftover.exists(), "the first store is still open: its files are not leftovers");
        drop((blobs, second));
        Blobs::create(dir.path()).unwrap();
        assert!(!leftover.exists());
    }

    #[test]
    fn links_between_stores() {
        let ((_a, from), (_b, to)) = (store(), store());
        let blob = from.put(MediaType::ImageConfig, b"{}").unwrap();
        from.link_into(&to, &blob).unwrap();
        from.link_into(&to, &blob).unwrap();
        to.verify(&blob).unwrap();
        fs::remove_file(to.path(blob.digest())).unwrap();
        fs::write(to.path(blob.digest()), b"xx").unwrap();
        from.link_into(&to, &blob).unwrap();
        to.verify(&blob).unwrap();
    }
}
