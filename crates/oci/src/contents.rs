//! What lies in an image: every entry of a layer with its owner, mode and content, and the file system that all layers
//! together make (image-spec "layer", "Applying Changesets").

use std::collections::BTreeMap;
use std::io::{self, Read};

use oci_spec::image::{Descriptor, Digest, ImageManifest};

use crate::blobs::Blobs;
use crate::digest::Hasher;
use crate::entry::Owner;
use crate::error::{Error, Result};
use crate::layout::document;
use crate::stream::{TailZeros, decode};

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link and its target as written.
    Symlink(String),
    /// A hard link and the path that it leads to.
    HardLink(String),
    /// A device or a pipe.
    Other,
    /// A whiteout: what lies at the path below goes, or with `true` all that is in the folder.
    Whiteout(bool),
}

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Relative to the image's root, without `.` and empty parts.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner and group.
    pub owner: Owner,
    /// Bytes of content.
    pub size: u64,
    /// When it was last changed, in seconds since 1970.
    pub mtime: u64,
}

/// Reads the entries of one layer in their order. `each` gets an entry and its content, of which it may read as much as
/// it likes. The layer's blob is verified first.
///
/// # Errors
/// [`Error::Corrupt`] when the blob is not what its descriptor says, [`Error::Invalid`] when it is no whole tar.
pub fn read_layer(
    blobs: &Blobs,
    layer: &Descriptor,
    mut each: impl FnMut(&Item, &mut dyn Read) -> io::Result<()>,
) -> Result<()> {
    blobs.verify(layer)?;
    let subject = || format!("layer {}", layer.digest());
    let file = blobs.open(layer.digest())?;
    entries(file, &mut each).map_err(|e| Error::invalid(subject(), e.to_string()))
}

fn entries(blob: impl Read, each: &mut dyn FnMut(&Item, &mut dyn Read) -> io::Result<()>) -> io::Result<()> {
    let mut watched = TailZeros::new(decode(blob)?);
    let mut tar = tar::Archive::new(&mut watched);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = normal(&raw)?;
        if path.is_empty() {
            continue;
        }
        let header = entry.header();
        let target = || String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned();
        let kind = header.entry_type();
        let kind = if kind.is_dir() {
            Kind::Dir
        } else if kind.is_symlink() {
            Kind::Symlink(target())
        } else if kind.is_hard_link() {
            Kind::HardLink(normal(&target())?)
        } else if kind.is_file() || kind.is_contiguous() {
            Kind::File
        } else {
            Kind::Other
        };
        let id = |id: io::Result<u64>| id.map(|id| u32::try_from(id).unwrap_or(u32::MAX));
        let owner = Owner { uid: id(header.uid())?, gid: id(header.gid())? };
        let (mode, mtime, size) = (header.mode()? & 0o7777, header.mtime()?, entry.size());
        let mut item = Item { path, kind, mode, owner, size, mtime };
        let (parent, name) = item.path.rsplit_once('/').unwrap_or(("", &item.path));
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let (path, opaque) = match hidden {
                ".wh..opq" => (parent.to_string(), true),
                name if parent.is_empty() => (name.to_string(), false),
                name => (format!("{parent}/{name}"), false),
            };
            item = Item { path, kind: Kind::Whiteout(opaque), ..item };
        }
        each(&item, &mut entry)?;
    }
    if !watched.finish()? {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the tar is cut short: it has no end-of-archive marker",
        ));
    }
    Ok(())
}

/// `./usr/bin/` → `usr/bin`.
pub(crate) fn normal(path: &str) -> io::Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|p| !matches!(*p, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the path `{path}` leaves the image"),
        ));
    }
    Ok(parts.join("/"))
}

/// What lies at a path once all layers are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The entry that won.
    pub item: Item,
    /// Which layer it is of; the bottom one is 0.
    pub layer: usize,
    /// A regular file's digest.
    pub digest: Option<Digest>,
    /// Its content, where it was asked for.
    pub contents: Option<Vec<u8>>,
}

/// The file system of an image, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// By path, relative to the root.
    pub files: BTreeMap<String, Found>,
}

impl Tree {
    /// Reads the layers of the image `manifest`, and keeps the content of the files that `wanted` picks.
    ///
    /// # Errors
    /// Those of [`read_layer`], and those of reading the manifest.
    pub fn read(blobs: &Blobs, manifest: &Descriptor, wanted: impl Fn(&Item) -> bool) -> Result<Tree> {
        let manifest: ImageManifest = document(blobs, manifest)?;
        let mut tree = Tree::default();
        for (number, layer) in manifest.layers().iter().enumerate() {
            tree.apply(blobs, layer, number, &wanted)?;
        }
        Ok(tree)
    }

    /// Puts one layer over what there is.
    ///
    /// # Errors
    /// Those of [`read_layer`].
    pub fn apply(
        &mut self,
        blobs: &Blobs,
        layer: &Descriptor,
        number: usize,
        wanted: &dyn Fn(&Item) -> bool,
    ) -> Result<()> {
        let mut above: BTreeMap<String, Found> = BTreeMap::new();
        read_layer(blobs, layer, |item, content| {
            if let Kind::Whiteout(opaque) = item.kind {
                self.remove(&item.path, opaque);
                return Ok(());
            }
            let mut found = Found { item: item.clone(), layer: number, digest: None, contents: None };
            if item.kind == Kind::File {
                let mut hasher = Hasher::default();
                let mut kept = wanted(item).then(Vec::new);
                let mut buffer = vec![0; 1 << 16];
                loop {
                    let n = content.read(&mut buffer)?;
                    if n == 0 {
                        break;
                    }
                    hasher.update(&buffer[..n]);
                    if let Some(kept) = &mut kept {
                        kept.extend_from_slice(&buffer[..n]);
                    }
                }
                found.digest = Some(hasher.finish().0);
                found.contents = kept;
            }
            above.insert(item.path.clone(), found);
            Ok(())
        })?;
        for (path, found) in above {
            let was_dir = self.files.get(&path).is_some_and(|there| there.item.kind == Kind::Dir);
            if was_dir && found.item.kind != Kind::Dir {
                self.remove(&path, true);
            }
            self.files.insert(path, found);
        }
        Ok(())
    }

    /// The content of the file at `path`, where it was kept; hard links are followed.
    pub fn contents(&self, path: &str) -> Option<&[u8]> {
        let found = self.files.get(path)?;
        match &found.item.kind {
            Kind::HardLink(target) if target != path => self.contents(target),
            _ => found.contents.as_deref(),
        }
    }

    /// The content of the file at `path` as text.
    pub fn text(&self, path: &str) -> Option<String> {
        Some(String::from_utf8_lossy(self.contents(path)?).into_owned())
    }

    fn remove(&mut self, path: &str, inside_alone: bool) {
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.files.retain(|p, _| !(p.starts_with(&below) || (!inside_alone && p == path)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, Source};
    use crate::layer;
    use crate::stream::Compression;

    fn file(path: &str, text: &str, mode: u32) -> Entry {
        Entry::Inline { path: path.into(), contents: text.into(), mode, owner: Owner { uid: 7, gid: 8 } }
    }

    fn dir(path: &str) -> Entry {
        Entry::Dir { path: path.into(), mode: 0o755, owner: Owner::ROOT }
    }

    fn tree(layers: &[Vec<Entry>]) -> Tree {
        let temp = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(temp.path()).unwrap();
        let mut tree = Tree::default();
        for (number, entries) in layers.iter().enumerate() {
            let layer = layer::build(entries, 42, Compression::Gzip, &blobs).unwrap();
            tree.apply(&blobs, &layer.descriptor, number, &|_| true).unwrap();
        }
        tree
    }

    #[test]
    fn the_upper_layer_wins() {
        let tree = tree(&[
            vec![dir("a"), file("a/b", "old", 0o600), file("a/c", "kept", 0o4755)],
            vec![file("a/b", "new", 0o644)],
        ]);
        assert_eq!(tree.text("a/b").as_deref(), Some("new"));
        assert_eq!(tree.files["a/b"].layer, 1);
        let kept = &tree.files["a/c"].item;
        assert_eq!((kept.mode, kept.owner, kept.mtime, kept.size), (0o4755, Owner { uid: 7, gid: 8 }, 42, 4));
    }

    #[test]
    fn whiteouts_and_replaced_folders() {
        let lower = vec![dir("a"), file("a/b", "x", 0o600), dir("d"), file("d/e", "x", 0o600)];
        let check = |upper: Vec<Entry>, expect: &[&str]| {
            let tree = tree(&[lower.clone(), upper]);
            assert_eq!(tree.files.keys().collect::<Vec<_>>(), expect);
        };
        check(vec![file(".wh.a", "", 0o600)], &["d", "d/e"]);
        check(vec![file("a/.wh.b", "", 0o600)], &["a", "d", "d/e"]);
        check(vec![file("d/.wh..wh..opq", "", 0o600)], &["a", "a/b", "d"]);
        check(vec![file("d", "a file now", 0o600)], &["a", "a/b", "d"]);
    }

    #[test]
    fn a_tampered_layer_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(temp.path()).unwrap();
        let layer = layer::build(&[file("a", "x", 0o600)], 42, Compression::Gzip, &blobs).unwrap();
        let path = blobs.path(layer.descriptor.digest());
        let mut bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = read_layer(&blobs, &layer.descriptor, |_, _| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }

    #[test]
    fn a_file_of_the_host_is_read_back() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x");
        std::fs::write(&path, "hello").unwrap();
        let source = Source::read(&path).unwrap();
        let digest = source.digest.clone();
        let entry = Entry::File { path: "x".into(), source, mode: 0o755, owner: Owner::ROOT };
        assert_eq!(tree(&[vec![entry]]).files["x"].digest, Some(digest));
    }
}
