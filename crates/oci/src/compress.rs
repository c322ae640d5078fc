//! Deterministic gzip and zstd on all cores.
//!
//! 1. What is written is cut into chunks of a fixed number of bytes.
//! 2. Each chunk becomes a gzip member of its own (RFC 1952 section 2.2: a file is a series of members), without
//!    name or time, or a zstd frame (RFC 8878 section 3: a file is one or more frames).
//! 3. The members or frames are written in the order of their chunks.
//!
//! The result depends on the input alone, not on how many cores took part, and every reader takes it.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use libdeflater::{CompressionLvl, Compressor};

use crate::stream::Compression;

/// Bytes in a chunk of gzip. Large enough that starting anew costs under 0.5 % of size, small enough that two cores
/// share a layer of one megabyte.
const CHUNK: usize = 256 << 10;

/// Bytes in a chunk of zstd, whose window is larger.
const ZSTD_CHUNK: usize = 1 << 20;

/// libdeflate's level: the ratio of `gzip -6` at five times its speed, on one core.
const LEVEL: i32 = 5;

/// zstd's level: beyond it layers take much longer and hardly less room.
const ZSTD_LEVEL: i32 = 9;

/// Gives `fill` a writer and puts what it writes, compressed, into `out`; without compression as it is. Returns what
/// `fill` returned.
///
/// Memory in use stays under four chunks a core.
///
/// # Errors
/// Those of `fill`, and of writing to `out`; the first one wins.
pub fn compress<T>(
    out: &mut (impl Write + Send),
    compression: Compression,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<T> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let mut inputs = Vec::new();
        let mut outputs: Vec<Receiver<Vec<u8>>> = Vec::new();
        for _ in 0..workers {
            let (input, chunks) = sync_channel::<Vec<u8>>(1);
            let (members, output) = sync_channel::<Vec<u8>>(1);
            inputs.push(input);
            outputs.push(output);
            scope.spawn(move || {
                let mut encoder = Encoder::new(compression);
                for chunk in chunks {
                    // The other side is gone only after an error, which it reports itself.
                    if members.send(encoder.encode(chunk)).is_err() {
                        return;
                    }
                }
            });
        }
        let collector = scope.spawn(move || -> io::Result<()> {
            // Chunk i went to worker i mod n, so its member comes from there: order without numbering.
            for output in outputs.iter().cycle() {
                match output.recv() {
                    Ok(member) => out.write_all(&member)?,
                    Err(_) => return Ok(()),
                }
            }
            Ok(())
        });
        let size = if compression == Compression::Zstd { ZSTD_CHUNK } else { CHUNK };
        let mut writer = Chunks { inputs, next: 0, size, buffer: Vec::with_capacity(size) };
        let filled = fill(&mut writer).and_then(|value| writer.finish().map(|()| value));
        drop(writer);
        let written = collector.join().expect("the collector does not panic");
        // A failed write makes `fill` fail as well, with a broken pipe that says nothing: the cause comes first.
        written.and(filled)
    })
}

struct Chunks {
    inputs: Vec<SyncSender<Vec<u8>>>,
    next: usize,
    /// Bytes in a chunk.
    size: usize,
    buffer: Vec<u8>,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(self.size));
        let worker = self.next % self.inputs.len();
        self.next += 1;
        self.inputs[worker].send(chunk).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Sends the rest; nothing at all still becomes one empty member, since an empty file is no gzip file.
    fn finish(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() || self.next == 0 { self.send() } else { Ok(()) }
    }
}

impl Write for Chunks {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(self.size - self.buffer.len());
        self.buffer.extend_from_slice(&buf[..n]);
        if self.buffer.len() == self.size {
            self.send()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What turns a chunk into a member or frame.
enum Encoder {
    None,
    Gzip(Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Encoder {
    fn new(compression: Compression) -> Encoder {
        match compression {
            Compression::None => Encoder::None,
            Compression::Gzip => Encoder::Gzip(Compressor::new(
                CompressionLvl::new(LEVEL).expect("the level is one of libdeflate's"),
            )),
            Compression::Zstd => {
                Encoder::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("the level is one of zstd's"))
            }
        }
    }

    fn encode(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        match self {
            Encoder::None => chunk,
            Encoder::Gzip(compressor) => {
                let mut out = vec![0; compressor.gzip_compress_bound(chunk.len())];
                let n = compressor
                    .gzip_compress(&chunk, &mut out)
                    .expect("the buffer has the size that libdeflate asked for");
                out.truncate(n);
                out
            }
            Encoder::Zstd(compressor) => {
                compressor.compress(&chunk).expect("the buffer has the size that zstd asked for")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 28) as u8
            })
            .collect()
    }

    #[test]
    fn what_goes_in_comes_out_and_is_the_same_as_on_one_core() {
        let check = |compression: Compression, chunk: usize, len: usize| {
            let input = noise(len);
            let mut out = Vec::new();
            compress(&mut out, compression, |w| w.write_all(&input)).unwrap();
            let mut back = Vec::new();
            crate::stream::decode(&out[..]).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == input, "{compression:?}, {len} bytes");
            let mut one_core = Encoder::new(compression);
            let mut serial: Vec<u8> = input.chunks(chunk).flat_map(|c| one_core.encode(c.to_vec())).collect();
            if len == 0 {
                serial = one_core.encode(Vec::new());
            }
            assert!(serial == out, "{compression:?}, {len} bytes");
            assert!(
                compression == Compression::None || len < 1000 || out.len() < len,
                "{compression:?}, {len}"
            );
        };
        for (compression, chunk) in
            [(Compression::Gzip, CHUNK), (Compression::Zstd, ZSTD_CHUNK), (Compression::None, CHUNK)]
        {
            for len in [0, 1, chunk - 1, chunk, chunk + 1, 5 * chunk + 7] {
                check(compression, chunk, len);
            }
        }
    }

    #[test]
    fn the_cause_of_a_failure_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = compress(&mut Full, Compression::Gzip, |w| w.write_all(&noise(40 * CHUNK))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let error =
            compress(&mut Vec::new(), Compression::Gzip, |_| Err::<(), _>(io::ErrorKind::NotFound.into()))
                .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
