//! SHA-256 digests of bytes, files and streams, in `oci-spec`'s [`Digest`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use oci_spec::image::Digest;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// The digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish().0
}

/// The digest and the size in bytes of the file at `path`.
pub fn sha256_file(path: &Path) -> Result<(Digest, u64)> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    sha256_reader(file).map_err(Error::io("read", path))
}

/// The digest and the size in bytes of all that `reader` gives.
pub fn sha256_reader(mut reader: impl Read) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A running SHA-256 that also counts.
#[derive(Clone, Default)]
pub struct Hasher {
    state: Sha256,
    size: u64,
}

impl Hasher {
    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// How many bytes were added so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of all that was added, and its size in bytes.
    pub fn finish(self) -> (Digest, u64) {
        let hex = self.state.finalize().iter().map(|b| format!("{b:02x}")).collect::<String>();
        let digest = format!("sha256:{hex}").parse().expect("64 lower-case hex digits are a digest");
        (digest, self.size)
    }
}

/// Passes everything through to `inner` and hashes it on the way.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> HashingWriter<W> {
    /// Hashes what goes into `inner` from here on.
    pub fn new(inner: W) -> Self {
        HashingWriter { inner, hasher: Hasher::default() }
    }

    /// The inner writer, and the digest and size of what went through.
    pub fn finish(self) -> (W, Digest, u64) {
        let (digest, size) = self.hasher.finish();
        (self.inner, digest, size)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_known_inputs() {
        let check = |input: &[u8], hex: &str| assert_eq!(sha256(input).digest(), hex);
        check(b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check(b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
