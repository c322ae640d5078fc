//! What goes into a layer: plain data that one can print, hash, compare, and only then write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::error::{Error, Result};
use crate::json;

/// The mode that a symbolic link is written with, as Linux shows it.
pub(crate) const LINK_MODE: u32 = 0o777;

/// Numeric owner and group of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// What decides an entry's bytes in a layer, as plain data: to hash, to keep, and to compare with the last time's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Where in the image.
    pub path: String,
    /// `dir`, `file` or `symlink`.
    pub kind: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: Owner,
    /// A file's digest, a link's target.
    pub content: String,
}

/// The entries as lines, in the order in which they are written.
///
/// # Errors
/// Those of [`sorted`].
pub fn lines(entries: &[Entry]) -> Result<Vec<Line>> {
    let line = |entry: &Entry| {
        let (kind, mode, owner, content) = match entry {
            Entry::Dir { mode, owner, .. } => ("dir", *mode, *owner, String::new()),
            Entry::File { source, mode, owner, .. } => ("file", *mode, *owner, source.digest.to_string()),
            Entry::Inline { contents, mode, owner, .. } => {
                ("file", *mode, *owner, digest::sha256(contents).to_string())
            }
            Entry::Symlink { target, .. } => ("symlink", LINK_MODE, Owner::ROOT, target.clone()),
        };
        Line { path: entry.path().to_string(), kind: kind.to_string(), mode, owner, content }
    };
    Ok(sorted(entries)?.into_iter().map(line).collect())
}

/// The digest of all that decides a layer's bytes: its lines, and the time that its entries are given. Two layers with
/// one fingerprint are one layer, so the second needs no work.
pub fn fingerprint(lines: &[Line], mtime: u64) -> Digest {
    // The format's number changes when the same entries would be written as other bytes.
    digest::sha256(&json::to_vec(&("layer format 1", mtime, lines)))
}

/// What is different between the lines of two layers, a sentence each; at most `most`, and how many more.
pub fn differences(old: &[Line], new: &[Line], most: usize) -> Vec<String> {
    let by_path = |lines: &[Line]| -> BTreeMap<String, Line> {
        lines.iter().map(|line| (line.path.clone(), line.clone())).collect()
    };
    let (old, new) = (by_path(old), by_path(new));
    let mut said: Vec<String> = Vec::new();
    for path in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        said.push(match (old.get(path), new.get(path)) {
            (Some(before), Some(after)) if before == after => continue,
            (Some(before), Some(after)) if before.kind != after.kind => {
                format!("{path}: a {} instead of a {}", after.kind, before.kind)
            }
            (Some(before), Some(after)) if before.content != after.content => {
                format!("{path}: other content")
            }
            (Some(before), Some(after)) if before.mode != after.mode => {
                format!("{path}: mode {:04o} instead of {:04o}", after.mode, before.mode)
            }
            (Some(_), Some(_)) => format!("{path}: another owner"),
            (Some(_), None) => format!("{path}: gone"),
            (None, _) => format!("{path}: new"),
        });
    }
    let more = said.len().saturating_sub(most);
    said.truncate(most);
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said
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
        .map(|(entries, mtime)| fingerprint(&lines(entries).unwrap(), *mtime).to_string())
        .collect();
        let different: BTreeSet<_> = prints.iter().collect();
        assert_eq!(different.len(), prints.len());
        // The order in which entries are listed and where a content comes from do not matter.
        let source = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(source.path(), b"x").unwrap();
        let source = Source::read(source.path()).unwrap();
        let on_host = Entry::File { path: "a".into(), source, mode: 0o644, owner: Owner::ROOT };
        assert_eq!(
            lines(&[on_host, dir("z")]).unwrap(),
            lines(&[dir("z"), file("a", b"x", 0o644, 0)]).unwrap()
        );
    }

    #[test]
    fn what_is_different() {
        let line = |path: &str, kind: &str, mode, content: &str| Line {
            path: path.into(),
            kind: kind.into(),
            mode,
            owner: Owner::ROOT,
            content: content.into(),
        };
        let old = [line("a", "file", 0o644, "x"), line("b", "file", 0o644, "x"), line("c", "dir", 0o755, "")];
        let check = |new: &[Line], expect: &[&str]| assert_eq!(differences(&old, new, 2), expect);
        check(&old, &[]);
        check(&[line("a", "file", 0o644, "y"), old[1].clone(), old[2].clone()], &["a: other content"]);
        check(
            &[line("a", "file", 0o755, "x"), old[1].clone(), old[2].clone()],
            &["a: mode 0755 instead of 0644"],
        );
        check(
            &[line("a", "symlink", 0o777, "b"), old[1].clone(), old[2].clone()],
            &["a: a symlink instead of a file"],
        );
        check(&[line("d", "dir", 0o755, "")], &["a: gone", "b: gone", "2 more"]);
        let mut owned = old.to_vec();
        owned[1].owner.uid = 7;
        check(&owned, &["b: another owner"]);
    }
}
