//! Where a backup goes: into a file or to standard output, compressed, and only if it is right.
//!
//! 1. The archive is written to a hidden file beside its place, and a second thread reads along and compares the
//!    checksums as they come.
//! 2. The file is flushed to the disk and read again: what counts is what lies there. Every database in it is
//!    unpacked and checked by the engine, one after the other.
//! 3. Only then the file gets its name. A kill at any moment leaves no half of a backup under a name; what it leaves
//!    under a hidden one the next backup removes.

use super::archive;
use super::source::{Kind, Source};
use crate::engine;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{BufWriter, Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Half the time of the usual level, for a few percent more bytes.
const LEVEL: Compression = Compression::new(4);
/// What hidden files of an unfinished backup are called.
const UNFINISHED: &str = ".scratchbird-backup";

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Where it lies; `None` on standard output.
    pub path: Option<PathBuf>,
    /// Its size in bytes, as far as it lies somewhere.
    pub size: u64,
}

/// Writes a backup to standard output. A wrong one ends with an error, and without the manifest that makes it whole.
pub fn to_stdout(source: &Source, kind: Kind) -> Result<Done> {
    let out = BufWriter::new(std::io::stdout().lock());
    match kind {
        Kind::Archive => checked(source, GzEncoder::new(out, LEVEL))?.finish()?.flush()?,
        Kind::Sql => {
            let mut out = out;
            source.write(kind, &mut out)?;
            out.flush()?;
        }
    }
    Ok(Done { path: None, size: 0 })
}

/// Writes a backup into a file that is not there yet.
pub fn to_file(source: &Source, kind: Kind, path: &Path) -> Result<Done> {
    let at = |error: Error| Error::new(error.kind(), format!("can't write `{}`: {error}", path.display()));
    if path.exists() {
        let shown = path.display();
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("`{shown}` is there already: name another file"),
        ));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _lock = Lock::take(directory)?;
    sweep(directory).map_err(at)?;
    let unfinished = directory.join(format!("{UNFINISHED}.partial"));
    let result = fill(source, kind, &unfinished).and_then(|size| {
        fs::rename(&unfinished, path).and_then(|()| File::open(directory)?.sync_all()).map_err(at)?;
        Ok(Done { path: Some(path.to_owned()), size })
    });
    if result.is_err() {
        // What can't be removed now is removed by the next backup.
        let _ = sweep(directory);
    }
    result
}

fn fill(source: &Source, kind: Kind, path: &Path) -> Result<u64> {
    let at = |error: Error| Error::new(error.kind(), format!("can't write `{}`: {error}", path.display()));
    let file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(at)?;
    let file = match kind {
        Kind::Archive => checked(source, GzEncoder::new(BufWriter::new(file), LEVEL))?.finish()?,
        Kind::Sql => {
            let mut out = BufWriter::new(file);
            source.write(kind, &mut out)?;
            out
        }
    };
    let file = file.into_inner().map_err(|error| at(error.into_error()))?;
    file.sync_all().map_err(at)?;
    if kind == Kind::Archive {
        verify(path, &path.with_extension("check"))?;
    }
    Ok(file.metadata()?.len())
}

/// Writes the archive, while a thread reads along and compares the checksums.
fn checked<W: Write>(source: &Source, mut out: W) -> Result<W> {
    let (reader, mut writer) = std::io::pipe()?;
    let check = std::thread::spawn(move || archive::read(reader, |_, _| Ok(())).map(|_| ()));
    let mut both = Both { first: &mut out, second: &mut writer };
    let written = source.write(Kind::Archive, &mut both);
    drop(writer);
    let checked = check.join().unwrap_or_else(|_| Err(Error::other("the check failed by a mistake in it")));
    // An error of the source explains the other.
    written.and(checked).map(|()| out)
}

struct Both<'a> {
    first: &'a mut dyn Write,
    second: &'a mut dyn Write,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.first.write_all(bytes)?;
        // When the reader gives up, its own error says why.
        match self.second.write_all(bytes) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.first.flush()
    }
}

/// Reads an archive again and lets the engine check each database of it, in a place for one of them at a time.
pub fn verify(path: &Path, scratch: &Path) -> Result<(archive::Label, archive::Manifest)> {
    let _ = fs::remove_dir_all(scratch);
    let result = File::open(path).and_then(|file| {
        archive::read(file, |name, data| {
            if name.starts_with("settings/") {
                return Ok(());
            }
            fs::create_dir(scratch)?;
            let copy = scratch.join("database");
            unpack(&copy, data)?;
            engine::check(&copy, archive::has_catalog(name))
                .map_err(|error| Error::other(format!("the backup's {name}: {}", error.message)))?;
            fs::remove_dir_all(scratch)
        })
    });
    let _ = fs::remove_dir_all(scratch);
    result.map_err(|error| Error::new(error.kind(), format!("`{}`: {error}", path.display())))
}

/// Writes one file of an archive.
pub fn unpack(path: &Path, data: &mut dyn Read) -> Result<()> {
    let fail = |error: Error| Error::new(error.kind(), format!("can't write `{}`: {error}", path.display()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        // An error of the archive is not one of the disk.
        match data.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => file.write_all(&buffer[..count]).map_err(fail)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes what an interrupted backup into this file left.
pub fn abandon(path: &Path) {
    if let Some(directory) = path.parent() {
        // What can't be removed now is removed by the next backup.
        let _ = sweep(directory);
    }
}

/// Removes what killed backups left.
fn sweep(directory: &Path) -> Result<()> {
    for ending in ["partial", "check"] {
        let path = directory.join(format!("{UNFINISHED}.{ending}"));
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// One backup at a time goes into a directory.
struct Lock {
    _file: File,
}

impl Lock {
    fn take(directory: &Path) -> Result<Self> {
        let shown = directory.display();
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let path = directory.join(format!("{UNFINISHED}.lock"));
        let opened = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => Error::new(
                error.kind(),
                format!("user {uid}:{gid} can't write to `{shown}`; run `chown {uid}:{gid} {shown}`"),
            ),
            kind => Error::new(kind, format!("can't write to `{shown}`: {error}")),
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::WouldBlock,
                format!("another backup writes to `{shown}`: wait for it"),
            )),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
