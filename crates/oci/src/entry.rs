//! What goes into a layer: plain data that one can print, hash, compare, and only then write.

use std::path::{Path, PathBuf};

use oci_spec::image::Digest;
use serde::Serialize;

use crate::digest;
use crate::error::{Error, Result};
use crate::json;

/// The mode that a symbolic link is written with, as Linux shows it.
pub(crate) const LINK_MODE: u32 = 0o777;

/// Numeric owner and group of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// 0:0.
    pub const ROOT: Owner = Owner { uid: 0, gid: 0 };
}

/// A file of the host with what was in it when it was listed. Whoever writes it compares, so that a file that
/// changes in between is an error and never a layer under a wrong fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The file on the host.
    pub path: PathBuf,
    /// The digest of its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Source {
    /// Reads the file once to learn its digest and size.
    ///
    /// # Errors
    /// [`Error::Io`] when it can't be read.
    pub fn read(path: &Path) -> Result<Source> {
        let (digest, size) = digest::sha256_file(path)?;
        Ok(Source { path: path.to_path_buf(), digest, size })
    }
}

/// One path of a layer. Paths are relative to the image's root and have no leading `/`, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Dir {
        /// Where in the image.
        path: String,
        /// Permission bits, 0o7777 at most.
        mode: u32,
        /// Owner and group.
        owner: Owner,
    },
    /// A regular file whose content is a file of the host.
    File {
        /// Where in the image.
        path: String,
        /// The file on the host.
        source: Source,
        /// Permission bits, 0o7777 at most.
        mode: u32,
        /// Owner and group.
        owner: Owner,
    },
    /// A regular file whose content is here.
    Inline {
        /// Where in the image.
        path: String,
        /// The content.
        contents: Vec<u8>,
        /// Permission bits, 0o7777 at most.
        mode: u32,
        /// Owner and group.
        owner: Owner,
    },
    /// A symbolic link, owned by root.
    Symlink {
        /// Where in the image.
        path: String,
        /// What it points to, as written into the link.
        target: String,
    },
}

impl Entry {
    /// Where in the image.
    pub fn path(&self) -> &str {
        match self {
            Entry::Dir { path, .. }
            | Entry::File { path, .. }
            | Entry::Inline { path, .. }
            | Entry::Symlink { path, .. } => path,
        }
    }
}

/// The entries in the order in which they are written: by path, so that a folder precedes what is in it.
///
/// # Errors
/// [`Error::Invalid`] for a path that is absolute, empty, has `.` or `..` in it, or occurs twice; and for a
/// mode over 0o7777.
pub fn sorted(entries: &[Entry]) -> Result<Vec<&Entry>> {
    let mut list: Vec<&Entry> = entries.iter().collect();
    list.sort_by(|a, b| a.path().as_bytes().cmp(b.path().as_bytes()));
    for entry in &list {
        let path = entry.path();
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\0') {
            return Err(Error::invalid(
                format!("layer path `{path}`"),
                "must be relative to the image's root, without `.`, `..` or empty parts",
            ));
        }
        if let Entry::Dir { mode, .. } | Entry::File { mode, .. } | Entry::Inline { mode, .. } = entry
            && *mode > 0o7777
        {
            return Err(Error::invalid(
                format!("layer path `{path}`"),
                format!("mode {mode:o} is over 7777"),
            ));
        }
    }
    for pair in list.windows(2) {
        if pair[0].path() == pair[1].path() {
            return Err(Error::invalid(format!("layer path `{}`", pair[0].path()), "is there twice"));
        }
    }
    Ok(list)
}

/// The digest of all that decides a layer's bytes: each entry's path, kind, mode, owner and content, and the
/// time that they are given. Two layers with one fingerprint are one layer, so the second needs no work.
///
/// # Errors
/// Those of [`sorted`].
pub fn fingerprint(entries: &[Entry], mtime: u64) -> Result<Digest> {
    #[derive(Serialize)]
    struct Line<'a>(&'a str, &'a str, u32, Owner, String);
    let mut lines = Vec::new();
    for entry in sorted(entries)? {
        lines.push(match entry {
            Entry::Dir { path, mode, owner } => Line("dir", path, *mode, *owner, String::new()),
            Entry::File { path, source, mode, owner } => {
                Line("file", path, *mode, *owner, source.digest.to_string())
            }
            Entry::Inline { path, contents, mode, owner } => {
                Line("file", path, *mode, *owner, digest::sha256(contents).to_string())
            }
            Entry::Symlink { path, target } => Line("symlink", path, LINK_MODE, Owner::ROOT, target.clone()),
        });
    }
    // The format's number changes when the same entries would be written as other bytes.
    Ok(digest::sha256(&json::to_vec(&("layer format 1", mtime, lines))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(path: &str) -> Entry {
        Entry::Dir { path: path.into(), mode: 0o755, owner: Owner::ROOT }
    }

    #[test]
    fn paths() {
        let check = |paths: &[&str], expect: std::result::Result<&[&str], &str>| {
            let entries: Vec<Entry> = paths.iter().map(|p| dir(p)).collect();
            match (sorted(&entries), expect) {
                (Ok(list), Ok(expect)) => {
                    assert_eq!(list.iter().map(|e| e.path()).collect::<Vec<_>>(), expect)
                }
                (Err(e), Err(expect)) => assert!(e.to_string().contains(expect), "{e}"),
                (got, expect) => panic!("{paths:?}: {got:?}, not {expect:?}"),
            }
        };
        check(&["usr/local", "a-b", "a", "usr", "a/b"], Ok(&["a", "a-b", "a/b", "usr", "usr/local"]));
        check(&["a", "b", "a"], Err("`a`: is there twice"));
        check(&["/etc"], Err("`/etc`: must be relative"));
        check(&["a/../b"], Err("must be relative"));
        check(&["./a"], Err("must be relative"));
        check(&["a//b"], Err("must be relative"));
        check(&["a/"], Err("must be relative"));
        check(&[""], Err("must be relative"));
        let wide = Entry::Dir { path: "a".into(), mode: 0o10000, owner: Owner::ROOT };
        assert!(sorted(&[wide]).unwrap_err().to_string().contains("over 7777"));
    }

    #[test]
    fn everything_that_decides_the_bytes_decides_the_fingerprint() {
        let file = |path: &str, contents: &[u8], mode, uid| Entry::Inline {
            path: path.into(),
            contents: contents.into(),
            mode,
            owner: Owner { uid, gid: 0 },
        };
        let link = |target: &str| Entry::Symlink { path: "a".into(), target: target.into() };
        let prints: Vec<String> = [
            (vec![file("a", b"x", 0o644, 0)], 0),
            (vec![file("b", b"x", 0o644, 0)], 0),
            (vec![file("a", b"y", 0o644, 0)], 0),
            (vec![file("a", b"x", 0o755, 0)], 0),
            (vec![file("a", b"x", 0o644, 1)], 0),
            (vec![file("a", b"x", 0o644, 0)], 1),
            (vec![link("x")], 0),
            (vec![link("y")], 0),
            (vec![dir("a")], 0),
            (vec![], 0),
        ]
        .iter()
        .map(|(entries, mtime)| fingerprint(entries, *mtime).unwrap().to_string())
        .collect();
        let different: std::collections::BTreeSet<_> = prints.iter().collect();
        assert_eq!(different.len(), prints.len());
        // The order in which entries are listed and where a content comes from do not matter.
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), b"x").unwrap();
        let source = Source::read(source.path()).unwrap();
        let on_host = Entry::File { path: "a".into(), source, mode: 0o644, owner: Owner::ROOT };
        assert_eq!(
            fingerprint(&[on_host, dir("z")], 0).unwrap(),
            fingerprint(&[dir("z"), file("a", b"x", 0o644, 0)], 0).unwrap()
        );
    }
}
