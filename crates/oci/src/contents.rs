//! What the layers of an image hold, file by file: for sizes, comparisons and scans.

use std::io::Read;

use oci_spec::image::{Descriptor, ImageManifest};

use crate::blobs::Blobs;
use crate::digest;
use crate::entry::{Line, Owner};
use crate::error::{Error, Result};
use crate::layout::document;
use crate::stream::decode;

/// One entry of a layer's tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What decides its bytes. Beside the kinds of our own layers there are `hardlink` (`content` is the path that it
    /// shares), `whiteout` (`path` is what it hides; below a folder whose `path` ends in `/`, everything) and `other`.
    pub line: Line,
    /// Bytes of content, before compression.
    pub size: u64,
}

/// The layers of the image `manifest`, bottom first, each with its entries in the tar's order.
///
/// # Errors
/// Those of [`layer`], or a manifest that can't be read.
pub fn image(blobs: &Blobs, manifest: &Descriptor) -> Result<Vec<(Descriptor, Vec<Item>)>> {
    let manifest: ImageManifest = document(blobs, manifest)?;
    manifest.layers().iter().map(|descriptor| Ok((descriptor.clone(), layer(blobs, descriptor)?))).collect()
}

/// The entries of one layer, in the tar's order. Every file's content is hashed.
///
/// # Errors
/// [`Error::Corrupt`] when the blob is not the one that is named, [`Error::Invalid`] when it is no whole tar.
pub fn layer(blobs: &Blobs, descriptor: &Descriptor) -> Result<Vec<Item>> {
    visit(blobs, descriptor, |_, _| Ok(()))
}

/// As [`layer`]; `read` is also given each file's path and contents, which it may leave unread.
///
/// # Errors
/// Those of [`layer`], and what `read` returns.
pub fn visit(
    blobs: &Blobs,
    descriptor: &Descriptor,
    mut read: impl FnMut(&str, &mut dyn Read) -> std::io::Result<()>,
) -> Result<Vec<Item>> {
    blobs.verify(descriptor)?;
    let blob = blobs.open(descriptor.digest())?;
    let mut items = Vec::new();
    let walk = || -> std::io::Result<()> {
        let mut tar = tar::Archive::new(decode(blob)?);
        for entry in tar.entries()? {
            items.push(item(&mut entry?, &mut read)?);
        }
        Ok(())
    };
    walk().map_err(|e| Error::invalid(format!("layer {}", descriptor.digest()), e.to_string()))?;
    Ok(items)
}

fn item(
    entry: &mut tar::Entry<impl Read>,
    read: &mut impl FnMut(&str, &mut dyn Read) -> std::io::Result<()>,
) -> std::io::Result<Item> {
    let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let parts: Vec<&str> = raw.split('/').filter(|p| !matches!(*p, "" | ".")).collect();
    let path = parts.join("/");
    let header = entry.header();
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let (mode, owner) = (header.mode()?, Owner { uid: number(header.uid()?), gid: number(header.gid()?) });
    let kind = header.entry_type();
    let link = String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned();
    let size = if kind.is_file() || kind.is_contiguous() { entry.size() } else { 0 };
    let (kind, path, content) = if let Some(hidden) = whiteout(&path) {
        ("whiteout", hidden, String::new())
    } else if kind.is_dir() {
        ("dir", path, String::new())
    } else if kind.is_symlink() {
        ("symlink", path, link)
    } else if kind.is_hard_link() {
        ("hardlink", path, link)
    } else if kind.is_file() || kind.is_contiguous() {
        let mut hashed = Hashed { inner: entry, hasher: digest::Hasher::default() };
        read(&path, &mut hashed)?;
        std::io::copy(&mut hashed, &mut std::io::sink())?;
        ("file", path, hashed.hasher.finish().0.to_string())
    } else {
        ("other", path, String::new())
    };
    Ok(Item { line: Line { path, kind: kind.into(), mode: mode & 0o7777, owner, content }, size })
}

/// What a whiteout hides (image-spec "layer", "Whiteouts"): a path, or a folder with `/` for all that is below it.
fn whiteout(path: &str) -> Option<String> {
    let (parent, name) = path.rsplit_once('/').map_or(("", path), |(parent, name)| (parent, name));
    let hidden = name.strip_prefix(".wh.")?;
    Some(match (hidden, parent) {
        (".wh..opq", _) => format!("{parent}/"),
        (name, "") => name.to_string(),
        (name, _) => format!("{parent}/{name}"),
    })
}

struct Hashed<R> {
    inner: R,
    hasher: digest::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.hasher.update(&buf[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::image::MediaType;

    use super::*;
    use crate::entry::{self, Entry};

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(dir.path()).unwrap();
        (dir, blobs)
    }

    #[test]
    fn what_was_written_is_what_is_listed() {
        let (_dir, blobs) = blobs();
        let entries = [
            Entry::Dir { path: "etc".into(), mode: 0o755, owner: Owner::ROOT },
            Entry::Inline {
                path: "etc/x".into(),
                contents: b"hello".into(),
                mode: 0o640,
                owner: Owner { uid: 1000, gid: 7 },
            },
            Entry::Symlink { path: "usr/lib/libc.so".into(), target: "libc.so.6".into() },
        ];
        let layer = crate::layer::build(&entries, 0, &blobs).unwrap();
        let mut texts = Vec::new();
        let items = visit(&blobs, &layer.descriptor, |path, contents| {
            let mut text = String::new();
            contents.read_to_string(&mut text)?;
            texts.push(format!("{path}={text}"));
            Ok(())
        })
        .unwrap();
        let lines: Vec<Line> = items.iter().map(|item| item.line.clone()).collect();
        assert_eq!(lines, entry::lines(&entries).unwrap());
        assert_eq!(texts, ["etc/x=hello"]);
        assert_eq!(items.iter().map(|i| i.size).collect::<Vec<_>>(), [0, 5, 0]);
        // Whether contents are read or not, they are hashed whole.
        assert_eq!(super::layer(&blobs, &layer.descriptor).unwrap(), items);
    }

    #[test]
    fn others_tars() {
        let (_dir, blobs) = blobs();
        let mut tar = tar::Builder::new(Vec::new());
        let mut put = |path: &str, kind: tar::EntryType, link: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_mode(0o104_755);
            header.set_uid(0);
            header.set_gid(0);
            header.set_cksum();
            if link.is_empty() {
                tar.append_data(&mut header, path, &[][..]).unwrap();
            } else {
                tar.append_link(&mut header, path, link).unwrap();
            }
        };
        put("./bin/su", tar::EntryType::Regular, "");
        put("bin/su2", tar::EntryType::Link, "bin/su");
        put("dev/null", tar::EntryType::Char, "");
        put("etc/.wh.passwd", tar::EntryType::Regular, "");
        put("etc/.wh..wh..opq", tar::EntryType::Regular, "");
        let descriptor = blobs.put(MediaType::ImageLayer, &tar.into_inner().unwrap()).unwrap();
        let found: Vec<String> = layer(&blobs, &descriptor)
            .unwrap()
            .iter()
            .map(|i| format!("{} {} {:o}", i.line.kind, i.line.path, i.line.mode))
            .collect();
        let expect =
            ["file bin/su 4755", "hardlink bin/su2 4755", "other dev/null 4755", "whiteout etc/passwd 4755"];
        assert_eq!(found[..4], expect);
        assert_eq!(found[4], "whiteout etc/ 4755");
    }

    #[test]
    fn what_is_no_layer_is_refused() {
        let (_dir, blobs) = blobs();
        let check = |bytes: &[u8], expect: &str| {
            let descriptor = blobs.put(MediaType::ImageLayer, bytes).unwrap();
            let error = layer(&blobs, &descriptor).unwrap_err().to_string();
            assert!(error.contains(expect) && error.contains(descriptor.digest().digest()), "{error}");
        };
        check(&[7; 700], "layer sha256:");
        check(&[0x1f, 0x8b, 8, 0], "layer sha256:");
    }
}
