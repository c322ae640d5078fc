//! The archive of a backup.
//!
//! A tar, mostly compressed by gzip, with these members in this order:
//!
//! ```text
//! backup.json      the format's number and who made it; what can't be read is refused here
//! global.db        roles and databases
//! base/<oid>.db    one file a database
//! settings/…       the configuration file and the access rules, where there are any
//! manifest.json    size and SHA-256 of everything before it: without it the archive is cut off
//! ```

use crate::cluster;
use crate::sql::error::SqlError;
use flate2::bufread::MultiGzDecoder;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::path::{Path, PathBuf};

/// The number of the archive's format.
const FORMAT: u32 = 1;
/// No description is longer.
const LONGEST: u64 = 1 << 20;

/// The first member: what this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The archive's format.
    pub format: u32,
    /// The data directory's format.
    pub data_format: String,
    /// The version of the server that made it.
    pub version: String,
    /// When, in UTC.
    pub created: String,
}

/// What the last member says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Its size, in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// The last member: the files by their paths.
pub type Manifest = BTreeMap<String, Sum>;

/// Writes a cluster's archive, uncompressed. A server may run over the data directory. `settings` are the files that
/// configure it, by their names in the archive.
pub fn write(directory: &Path, settings: &[(String, PathBuf)], out: &mut dyn Write) -> Result<()> {
    let snapshots = cluster::snapshots(directory).map_err(failed)?;
    let label = Label {
        format: FORMAT,
        data_format: cluster::FORMAT.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    let mut manifest = Manifest::new();
    put(out, "backup.json", &serde_json::to_vec_pretty(&label)?)?;
    for (name, snapshot) in &snapshots {
        let size = snapshot.size().map_err(failed)?;
        header(out, name, size)?;
        let mut file = Summed::new(&mut *out);
        snapshot
            .each_page(|_, page| {
                file.write_all(page).map_err(|error| SqlError::new("58030", error.to_string()))
            })
            .map_err(failed)?;
        let sum = file.sum();
        if sum.size != size {
            return Err(Error::other(format!("`{name}` has {} bytes, not {size}", sum.size)));
        }
        pad(out, size)?;
        manifest.insert(name.clone(), sum);
    }
    for (name, path) in settings {
        let name = format!("settings/{name}");
        let data = std::fs::read(path)
            .map_err(|error| Error::new(error.kind(), format!("can't read `{}`: {error}", path.display())))?;
        put(out, &name, &data)?;
        let mut sum = Summed::new(std::io::sink());
        sum.write_all(&data)?;
        manifest.insert(name, sum.sum());
    }
    put(out, "manifest.json", &serde_json::to_vec_pretty(&manifest)?)?;
    // Two empty blocks end a tar.
    out.write_all(&[0; 1024])?;
    // From a data directory that can't be written a backup is good all the same; only the metric misses it.
    let _ =
        std::fs::write(directory.join(cluster::LAST_BACKUP), jiff::Timestamp::now().as_second().to_string());
    Ok(())
}

/// When a backup of this data directory was last read to its end, in seconds since 1970; 0 if there was none.
pub fn last(directory: &Path) -> i64 {
    let text = std::fs::read_to_string(directory.join(cluster::LAST_BACKUP)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Reads an archive to its end and compares every file with its checksum. `file` is given each file's path and bytes;
/// whatever it makes of them counts only if this returns without an error.
pub fn read(
    input: impl Read,
    mut file: impl FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<(Label, Manifest)> {
    let mut input = BufReader::new(input);
    let is_gzip = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn Read + '_> =
        if is_gzip { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
    let mut archive = tar::Archive::new(plain);
    let mut label: Option<Label> = None;
    let mut listed: Option<Manifest> = None;
    let mut found = Manifest::new();
    for entry in archive.entries()? {
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if listed.is_some() {
            return Err(Error::other(format!("the archive is damaged: `{name}` comes after its end")));
        }
        match (name.as_str(), &label) {
            ("backup.json", None) => label = Some(accept(description(&mut entry)?)?),
            (_, None) => return Err(Error::other("this is no backup of ScratchBird")),
            ("manifest.json", _) => listed = Some(description(&mut entry)?),
            _ if !is_known(&name) => {
                return Err(Error::other(format!(
                    "the archive holds `{name}`, which is no part of a backup"
                )));
            }
            _ => {
                let mut summed = Summed::new(entry);
                file(&name, &mut summed)?;
                // What the receiver left counts too.
                std::io::copy(&mut summed, &mut std::io::sink()).map_err(damaged)?;
                if found.insert(name.clone(), summed.sum()).is_some() {
                    return Err(Error::other(format!("the archive holds `{name}` twice")));
                }
            }
        }
    }
    // The decoder notices a cut or a wrong checksum of its own only at its end.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    let (Some(label), Some(listed)) = (label, listed) else {
        return Err(Error::other("the archive is cut off: it has no manifest at its end"));
    };
    for (name, sum) in &listed {
        if found.get(name) != Some(sum) {
            return Err(Error::other(format!("the archive is damaged: the checksum of `{name}` is another")));
        }
    }
    if let Some(name) = found.keys().find(|name| !listed.contains_key(*name)) {
        return Err(Error::other(format!("the archive is damaged: its manifest doesn't know `{name}`")));
    }
    if !listed.contains_key("global.db") {
        return Err(Error::other("the archive holds no `global.db`"));
    }
    Ok((label, listed))
}

/// Whether a file of the archive is a database with a catalogue.
pub fn has_catalog(name: &str) -> bool {
    name.starts_with("base/")
}

fn accept(label: Label) -> Result<Label> {
    if label.format == FORMAT && label.data_format == cluster::FORMAT {
        return Ok(label);
    }
    Err(Error::other(format!(
        "the backup has format {}.{}, and this version reads {FORMAT}.{} only: restore it with ScratchBird {}",
        label.format,
        label.data_format,
        cluster::FORMAT,
        label.version
    )))
}

/// Only these paths are ever written: an archive from elsewhere can't name a place outside.
fn is_known(name: &str) -> bool {
    let numbered = |name: &str| {
        let digits = name.strip_prefix("base/").and_then(|name| name.strip_suffix(".db"));
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let plain = |name: &str| {
        let name = name.strip_prefix("settings/");
        name.is_some_and(|name| !name.is_empty() && !name.starts_with('.') && !name.contains('/'))
    };
    name == "global.db" || numbered(name) || plain(name)
}

fn description<T: for<'a> Deserialize<'a>>(entry: &mut impl Read) -> Result<T> {
    let mut text = Vec::new();
    entry.take(LONGEST).read_to_end(&mut text).map_err(damaged)?;
    serde_json::from_slice(&text).map_err(|error| damaged(error.into()))
}

// By value, as `map_err` hands it over.
#[allow(clippy::needless_pass_by_value)]
fn damaged(error: Error) -> Error {
    Error::new(error.kind(), format!("the archive is damaged: {error}"))
}

fn failed(error: SqlError) -> Error {
    Error::other(error.message)
}

fn put(out: &mut dyn Write, name: &str, data: &[u8]) -> Result<()> {
    let size = data.len() as u64;
    header(out, name, size)?;
    out.write_all(data)?;
    pad(out, size)
}

fn header(out: &mut dyn Write, name: &str, size: u64) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// A tar consists of blocks of 512 bytes.
fn pad(out: &mut dyn Write, size: u64) -> Result<()> {
    let rest = usize::try_from(size % 512).unwrap_or(0);
    out.write_all(&[0; 512][..(512 - rest) % 512])
}

/// Counts and sums up what goes through.
struct Summed<T> {
    inner: T,
    size: u64,
    context: Context,
}

impl<T> Summed<T> {
    fn new(inner: T) -> Self {
        Self { inner, size: 0, context: Context::new(&SHA256) }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.context.update(bytes);
    }

    fn sum(self) -> Sum {
        let digest = self.context.finish();
        Sum { size: self.size, sha256: digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(buffer)?;
        self.note(&buffer[..count]);
        Ok(count)
    }
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let count = self.inner.write(bytes)?;
        self.note(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one file and whatever else.
    fn archive(label: &str, files: &[(&str, &[u8])], manifest: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        if !label.is_empty() {
            put(&mut out, "backup.json", label.as_bytes()).unwrap();
        }
        for (name, data) in files {
            put(&mut out, name, data).unwrap();
        }
        if let Some(text) = manifest {
            put(&mut out, "manifest.json", text.as_bytes()).unwrap();
        }
        out.extend([0; 1024]);
        out
    }

    const LABEL: &str = r#"{"format":1,"data_format":"1","version":"9","created":"now"}"#;
    /// Of the three bytes `abc`, as `sha256sum` tells it.
    const ABC: &str = r#"{"global.db":{"size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}"#;

    fn check(bytes: &[u8], expect: &str) {
        let result = read(bytes, |_, _| Ok(()));
        let got = result.map_or_else(|error| error.to_string(), |(label, _)| format!("ok {}", label.version));
        assert!(got.starts_with(expect), "{got} is not {expect}");
    }

    #[test]
    fn only_whole_archives_are_read() {
        let good = archive(LABEL, &[("global.db", b"abc")], Some(ABC));
        check(&good, "ok 9");
        check(
            &archive(LABEL, &[("global.db", b"abd")], Some(ABC)),
            "the archive is damaged: the checksum of",
        );
        check(&archive(LABEL, &[("global.db", b"abc")], None), "the archive is cut off");
        check(&archive(LABEL, &[], Some(ABC)), "the archive is damaged: the checksum of `global.db`");
        check(&archive(LABEL, &[], Some("{}")), "the archive holds no `global.db`");
        check(&archive(LABEL, &[], Some("no")), "the archive is damaged");
        check(&archive("", &[("global.db", b"abc")], Some(ABC)), "this is no backup");
        check(
            &archive(LABEL, &[("global.db", b"abc"), ("base/1.db", b"")], Some(ABC)),
            "the archive is damaged: its manifest doesn't know `base/1.db`",
        );
        check(
            &archive(LABEL, &[("global.db", b"abc"), ("global.db", b"abc")], Some(ABC)),
            "the archive holds `global.db` twice",
        );
        for name in
            ["../x", "/etc/passwd", "base/../x", "base/x.db", "base/.db", "settings/a/b", "settings/."]
        {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(0);
            header.set_cksum();
            let mut bytes = archive(LABEL, &[], None);
            bytes.truncate(bytes.len() - 1024);
            bytes.extend(header.as_bytes());
            bytes.extend([0; 1024]);
            check(&bytes, &format!("the archive holds `{name}`, which is no part"));
        }
        let newer = LABEL.replace("\"1\"", "\"7\"");
        check(&archive(&newer, &[], None), "the backup has format 1.7, and this version reads 1.1 only");
        check(b"", "the archive is cut off");
        check(&[7; 4000], "the archive is damaged");
    }

    #[test]
    fn no_cut_and_no_flipped_bit_gets_through() {
        let good = archive(LABEL, &[("global.db", b"abc")], Some(ABC));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&good).unwrap();
        let gzip = gzip.finish().unwrap();
        check(&gzip, "ok 9");
        for length in 0..gzip.len() {
            assert!(read(&gzip[..length], |_, _| Ok(())).is_err(), "cut after {length} bytes");
        }
        for at in 0..gzip.len() {
            let mut bad = gzip.clone();
            bad[at] ^= 0x10;
            // A few bits of deflate's tables stand for nothing.
            let mut plain = Vec::new();
            let same = MultiGzDecoder::new(&bad[..]).read_to_end(&mut plain).is_ok() && plain == good;
            assert!(same || read(&bad[..], |_, _| Ok(())).is_err(), "byte {at} is another");
        }
    }
}
