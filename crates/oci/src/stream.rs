//! Reading compressed tar streams: one decoder for the three forms that layers and root file systems come in.

use std::io::{self, BufRead as _, BufReader, Read};

use oci_spec::image::MediaType;

/// How a tar is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// Tells by the first bytes.
    pub fn of(start: &[u8]) -> Compression {
        match start {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// The layer media type of a tar that is compressed so (image-spec "layer").
    pub fn media_type(self) -> MediaType {
        match self {
            Compression::None => MediaType::ImageLayer,
            Compression::Gzip => MediaType::ImageLayerGzip,
            Compression::Zstd => MediaType::ImageLayerZstd,
        }
    }
}

/// Reads `source` uncompressed, whatever it is compressed with.
///
/// # Errors
/// When the first bytes can't be read or the zstd header is damaged.
pub fn decode<'a>(source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut source = BufReader::with_capacity(1 << 17, source);
    let start = source.fill_buf()?;
    Ok(match Compression::of(start) {
        Compression::None => Box::new(source),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        // Reads one frame after the other, as RFC 8878 section 3 has a file.
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(source)?),
    })
}

/// Counts the zero bytes at the end of what is read, to tell a whole tar (two zero blocks at its end, POSIX
/// pax "ustar Interchange Format") from one that was cut between two entries.
pub struct TailZeros<R> {
    inner: R,
    zeros: u64,
}

impl<R: Read> TailZeros<R> {
    /// Watches `inner`.
    pub fn new(inner: R) -> Self {
        TailZeros { inner, zeros: 0 }
    }

    /// Reads to the end and says whether an end-of-archive marker was there.
    ///
    /// # Errors
    /// Those of the inner reader.
    pub fn finish(mut self) -> io::Result<bool> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.zeros >= 1024)
    }
}

impl<R: Read> Read for TailZeros<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        match buf[..n].iter().rposition(|b| *b != 0) {
            Some(last) => self.zeros = (n - 1 - last) as u64,
            None => self.zeros += n as u64,
        }
        Ok(n)
    }
}
