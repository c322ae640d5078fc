//! Entries → tar → gzip → blob, in one pass.

use std::fs::File;
use std::io::{self, Read, Write};

use oci_spec::image::{Descriptor, Digest};
use serde::{Deserialize, Serialize};

use crate::blobs::Blobs;
use crate::compress;
use crate::digest::HashingWriter;
use crate::entry::{self, Entry, LINK_MODE, Owner, Source};
use crate::error::{Error, Result};
use crate::stream::Compression;

/// A layer whose blob exists (image-spec "layer", "config": `rootfs.diff_ids`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The blob as it lies in a layout or registry.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The size of the uncompressed tar in bytes.
    pub unpacked: u64,
}

/// Writes `entries` as a compressed layer into `blobs`; every entry gets the time `mtime` (seconds since
/// 1970).
///
/// # Errors
/// Those of [`entry::sorted`]; [`Error::Io`] when a source can't be read or the blob can't be written;
/// [`Error::Invalid`] when a source changed since it was listed.
pub fn build(entries: &[Entry], mtime: u64, compression: Compression, blobs: &Blobs) -> Result<Layer> {
    let entries = entry::sorted(entries)?;
    let mut blob = blobs.writer()?;
    let (diff_id, unpacked) = compress::compress(&mut blob, compression, |out| {
        let mut out = HashingWriter::new(out);
        write_tar(&entries, mtime, &mut out)?;
        let (_, digest, size) = out.finish();
        Ok((digest, size))
    })
    .map_err(|e| match e.downcast::<Error>() {
        Ok(ours) => ours,
        Err(e) => Error::io("write a layer below", blobs.root())(e),
    })?;
    Ok(Layer { descriptor: blob.finish(compression.media_type())?, diff_id, unpacked })
}

/// Writes `entries` as a tar without compression to `out`, which messages call `target`.
///
/// # Errors
/// As [`build`].
pub fn tar(entries: &[Entry], mtime: u64, target: &str, out: &mut impl Write) -> Result<()> {
    let entries = entry::sorted(entries)?;
    write_tar(&entries, mtime, out).map_err(|e| match e.downcast::<Error>() {
        Ok(ours) => ours,
        Err(e) => Error::io("write", target)(e),
    })
}

/// Writes `entries` as they stand, as one tar. Our own errors travel inside [`io::Error`].
fn write_tar(entries: &[&Entry], mtime: u64, out: &mut impl Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(out);
    for entry in entries {
        match entry {
            Entry::Dir { path, mode, owner } => {
                // GNU tar's and BuildKit's way: a folder's name ends in a slash.
                let mut header = header(tar::EntryType::Directory, *mode, *owner, mtime, 0);
                tar.append_data(&mut header, format!("{path}/"), io::empty())?;
            }
            Entry::File { path, source, mode, owner } => {
                let mut header = header(tar::EntryType::Regular, *mode, *owner, mtime, source.size);
                let file = File::open(&source.path)
                    .map_err(Error::io("open", &source.path))
                    .map_err(io::Error::other)?;
                let mut content = Unchanged::new(file, source);
                tar.append_data(&mut header, path, &mut content)?;
                content.check()?;
            }
            Entry::Inline { path, contents, mode, owner } => {
                let mut header = header(tar::EntryType::Regular, *mode, *owner, mtime, contents.len() as u64);
                tar.append_data(&mut header, path, &contents[..])?;
            }
            Entry::Symlink { path, target } => {
                let mut header = header(tar::EntryType::Symlink, LINK_MODE, Owner::ROOT, mtime, 0);
                tar.append_link(&mut header, path, target)?;
            }
        }
    }
    tar.finish()
}

fn header(kind: tar::EntryType, mode: u32, owner: Owner, mtime: u64, size: u64) -> tar::Header {
    // The tar crate takes long names from a GNU header alone; names of users and groups stay empty, since the
    // numbers are what counts in an image.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner.uid.into());
    header.set_gid(owner.gid.into());
    header.set_mtime(mtime);
    header.set_size(size);
    header
}

/// Reads exactly the content that was listed, or fails.
struct Unchanged<'a> {
    file: io::Take<File>,
    source: &'a Source,
    hasher: crate::digest::Hasher,
}

impl<'a> Unchanged<'a> {
    fn new(file: File, source: &'a Source) -> Self {
        Unchanged { file: file.take(source.size), source, hasher: crate::digest::Hasher::default() }
    }

    fn check(self) -> io::Result<()> {
        let (digest, size) = self.hasher.finish();
        if digest == self.source.digest && size == self.source.size {
            return Ok(());
        }
        let problem =
            "changed while it was put into a layer; run the command again when nothing writes to it";
        Err(io::Error::other(Error::invalid(self.source.path.display().to_string(), problem)))
    }
}

impl Read for Unchanged<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    fn store() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(dir.path()).unwrap();
        (dir, blobs)
    }

    fn unpack(blobs: &Blobs, layer: &Layer) -> Vec<u8> {
        let mut tar = Vec::new();
        let file = blobs.open(layer.descriptor.digest()).unwrap();
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut tar).unwrap();
        tar
    }

    #[test]
    fn a_layer_holds_what_was_asked_for() {
        let (dir, blobs) = store();
        let source = dir.path().join("binary");
        std::fs::write(&source, vec![7; 300_000]).unwrap();
        let owner = Owner { uid: 1000, gid: 1000 };
        let long = format!("usr/share/{}/file", "long".repeat(60));
        let entries = [
            Entry::Symlink { path: "usr/bin/link".into(), target: "scratchbird".into() },
            Entry::Dir { path: "data".into(), mode: 0o1777, owner },
            Entry::File {
                path: "usr/bin/binary".into(),
                source: Source::read(&source).unwrap(),
                mode: 0o755,
                owner: Owner::ROOT,
            },
            Entry::Inline { path: long.clone(), contents: b"hello".into(), mode: 0o644, owner },
        ];
        let layer = build(&entries, 42, Compression::Gzip, &blobs).unwrap();
        blobs.verify(&layer.descriptor).unwrap();
        let tar = unpack(&blobs, &layer);
        assert_eq!((digest::sha256(&tar), tar.len() as u64), (layer.diff_id.clone(), layer.unpacked));
        let mut seen = Vec::new();
        for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            let header = entry.header();
            seen.push(format!(
                "{} {:o} {}:{} {} {}{}",
                entry.path().unwrap().display(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                header.mtime().unwrap(),
                contents.len(),
                entry.link_name().unwrap().map(|l| format!(" -> {}", l.display())).unwrap_or_default(),
            ));
        }
        assert_eq!(
            seen,
            [
                "data/ 1777 1000:1000 42 0".to_string(),
                "usr/bin/binary 755 0:0 42 300000".to_string(),
                "usr/bin/link 777 0:0 42 0 -> scratchbird".to_string(),
                format!("{long} 644 1000:1000 42 5"),
            ]
        );
        // The same entries in another order give the same layer.
        let turned: Vec<Entry> = entries.iter().rev().cloned().collect();
        assert_eq!(build(&turned, 42, Compression::Gzip, &blobs).unwrap(), layer);
    }

    #[test]
    fn golden() {
        let (_dir, blobs) = store();
        let entries = [
            Entry::Dir { path: "etc".into(), mode: 0o755, owner: Owner::ROOT },
            Entry::Inline {
                path: "etc/motd".into(),
                contents: b"welcome\n".into(),
                mode: 0o644,
                owner: Owner::ROOT,
            },
        ];
        let layer = build(&entries, 315_532_800, Compression::Gzip, &blobs).unwrap();
        let tar = unpack(&blobs, &layer);
        assert_eq!(
            (layer.diff_id.to_string().as_str(), layer.descriptor.digest().to_string().as_str()),
            (
                "sha256:d5fa9e6e10d59f6e5d2fd7475298c9eb4d84184fc62f58d48eb4e57489423999",
                "sha256:82f37c938be0c74cb0152ea3bf9e05ec5fc5adc8ab41b72294746bf61a84373b"
            ),
            "the bytes of a layer changed; the tar now: {}",
            String::from_utf8_lossy(&tar).replace('\0', ".")
        );
    }

    #[test]
    fn a_source_that_changes_is_an_error_and_leaves_nothing() {
        let (dir, blobs) = store();
        let path = dir.path().join("binary");
        for (before, after) in [("one", "two"), ("one", "on"), ("one", "one more")] {
            std::fs::write(&path, before).unwrap();
            let source = Source::read(&path).unwrap();
            std::fs::write(&path, after).unwrap();
            let entry = Entry::File { path: "b".into(), source, mode: 0o755, owner: Owner::ROOT };
            let built = build(&[entry], 0, Compression::Gzip, &blobs);
            // A file that only grew has the listed content first, and that is what goes in.
            if after == "one more" {
                built.unwrap();
                continue;
            }
            let error = built.unwrap_err().to_string();
            assert!(error.contains("binary: changed while"), "{error}");
            assert_eq!(std::fs::read_dir(dir.path().join("blobs/sha256")).unwrap().count(), 0);
        }
    }
}
