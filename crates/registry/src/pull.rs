//! From the registry into the store.
//!
//! 1. The reference becomes a descriptor; manifests below it are read, verified and stored.
//! 2. Blobs that the store lacks are streamed into it, several at a time, each hashed on the way.
//! 3. A transfer that is cut goes on where it was (`Range`), or starts over where the registry cannot do that.
//! 4. Each of these asks the mirrors first, in order, and the registry itself last.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};

use oci::platform::{display, fits};
use oci::{BlobWriter, Blobs};
use oci_spec::image::{Descriptor, Platform};
use ureq::http::Method;

use crate::config::{Event, How};
use crate::error::{Error, Result};
use crate::reference::{Repository, check_digest};
use crate::retry::{Attempt, Backoff, Failure};
use crate::transport::{Access, Call, Endpoint, header};
use crate::tree::Document;
use crate::{Client, Reference};

/// Bytes that are read at once.
const BUFFER: usize = 128 << 10;

/// How often a blob is downloaded in all when its content is not what its digest says.
const CORRUPT_ATTEMPTS: u32 = 2;

/// Indexes within indexes that are followed.
const MAX_DEPTH: usize = 4;

/// What was pulled; all of it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// What the reference stands for: an index or a manifest.
    pub root: Descriptor,
    /// The image manifests: those of the index that were wanted, with their platforms, or the root itself.
    pub manifests: Vec<Descriptor>,
}

/// What a walk through an image has found.
#[derive(Default)]
struct Found {
    manifests: Vec<Descriptor>,
    blobs: Vec<Descriptor>,
}

impl Client {
    /// Pulls an image with all it consists of (distribution-spec, "Pull"). With `platforms`, of an index only the
    /// manifests for these are pulled; without, every one. What the store has is not fetched.
    ///
    /// # Errors
    /// [`Error::Invalid`] also when a platform is not there or a blob's content is wrong twice; nothing unverified
    /// is in the store then. Else as [`Client::resolve`], and [`Error::Store`].
    pub fn pull(&self, reference: &Reference, platforms: &[Platform], blobs: &Blobs) -> Result<Pulled> {
        let repository = Repository::of(reference);
        let root = self.resolve(reference)?;
        let mut found = Found::default();
        self.collect(&repository, &root, platforms, blobs, MAX_DEPTH, &mut found)?;
        let mut seen = HashSet::new();
        found.blobs.retain(|blob| seen.insert(blob.digest().clone()));
        self.in_parallel(&found.blobs, |blob| self.fetch_blob(&repository, blob, blobs))?;
        if found.manifests == [root.clone()] {
            check_single(&repository, &root, platforms, blobs)?;
        }
        Ok(Pulled { root, manifests: found.manifests })
    }

    /// Fetches one blob into the store, unless it is there.
    ///
    /// # Errors
    /// As [`Client::pull`].
    pub fn fetch_blob(&self, repository: &Repository, blob: &Descriptor, blobs: &Blobs) -> Result<()> {
        check_digest(blob.digest().as_ref())?;
        let how = if blobs.contains(blob) {
            How::Present
        } else {
            self.ask_sources(repository, |endpoint| self.fetch_from(endpoint, blob, blobs))?;
            How::Fetched
        };
        self.tell(&Event::Finished { digest: blob.digest(), bytes: blob.size(), how });
        Ok(())
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        (self.transport.config.on_event)(event);
    }

    /// Asks each mirror of the repository, then its registry, until one answers.
    pub(crate) fn ask_sources<T>(
        &self,
        repository: &Repository,
        ask: impl Fn(&Endpoint) -> Result<T>,
    ) -> Result<T> {
        let mirrors = self.transport.config.mirrors.get(repository.registry());
        for mirror in mirrors.into_iter().flatten() {
            if self.broken_mirrors.lock().is_ok_and(|broken| broken.contains(mirror)) {
                continue;
            }
            let asked = Repository::parse(&format!("{mirror}/{}", repository.name()))
                .and_then(|at_mirror| ask(&self.endpoint(&at_mirror, Access::Pull)));
            let error = match asked {
                Err(e) if !matches!(e, Error::Cancelled | Error::Store(_)) => e,
                done => return done,
            };
            if matches!(error, Error::Unreachable { .. }) {
                let _ = self.broken_mirrors.lock().map(|mut broken| broken.insert(mirror.clone()));
            }
            self.tell(&Event::MirrorFailed { mirror, problem: error.to_string() });
        }
        ask(&self.endpoint(repository, Access::Pull))
    }

    /// Stores the manifests below `descriptor` and lists the image manifests and blobs that are wanted.
    fn collect(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        platforms: &[Platform],
        blobs: &Blobs,
        depth: usize,
        found: &mut Found,
    ) -> Result<()> {
        let subject = || repository.subject(descriptor.digest().as_ref());
        if depth == 0 {
            return Err(Error::invalid(
                subject(),
                format!("indexes lie within each other more than {MAX_DEPTH} deep"),
            ));
        }
        let bytes = match blobs.read(descriptor) {
            Ok(bytes) => bytes,
            Err(_) => {
                let bytes = self.manifest(repository, descriptor)?;
                if bytes.len() as u64 != descriptor.size() {
                    let problem = format!(
                        "the manifest has {} bytes, announced were {}",
                        bytes.len(),
                        descriptor.size()
                    );
                    return Err(Error::invalid(subject(), problem));
                }
                blobs.put(descriptor.media_type().clone(), &bytes)?;
                bytes
            }
        };
        let document = Document::parse(subject, descriptor.media_type(), &bytes)?;
        let Document::Index(index) = &document else {
            found.manifests.push(descriptor.clone());
            found.blobs.extend(document.blobs());
            return Ok(());
        };
        let offered = |p: &Platform| {
            index.manifests().iter().any(|m| m.platform().as_ref().is_some_and(|o| fits(o, p)))
        };
        if let Some(missing) = platforms.iter().find(|p| !offered(p)) {
            let all: Vec<String> =
                index.manifests().iter().flat_map(Descriptor::platform).map(display).collect();
            let problem = format!("no image for {}, there are: {}", display(missing), all.join(", "));
            return Err(Error::invalid(subject(), problem));
        }
        for child in index.manifests() {
            let is_wanted = |o: &Platform| platforms.iter().any(|p| fits(o, p));
            if platforms.is_empty() || child.platform().as_ref().is_some_and(is_wanted) {
                // Below the first index the platform has been chosen.
                self.collect(repository, child, &[], blobs, depth - 1, found)?;
            }
        }
        Ok(())
    }

    /// Downloads a blob from one endpoint, and once more where its content turns out to be another.
    fn fetch_from(&self, endpoint: &Endpoint, blob: &Descriptor, blobs: &Blobs) -> Result<()> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut writer = blobs.writer()?;
            self.download(endpoint, blob, blobs, &mut writer)?;
            match writer.commit(blob) {
                Err(e @ oci::Error::Corrupt { .. }) if attempt >= CORRUPT_ATTEMPTS => {
                    let subject = endpoint.repository.subject(blob.digest().as_ref());
                    return Err(Error::invalid(subject, e.to_string()));
                }
                Err(oci::Error::Corrupt { .. }) => {}
                done => return done.map_err(Error::from),
            }
        }
    }

    /// Fills `writer` with as many bytes as the blob has.
    fn download(
        &self,
        endpoint: &Endpoint,
        blob: &Descriptor,
        blobs: &Blobs,
        writer: &mut BlobWriter<'_>,
    ) -> Result<()> {
        let mut backoff = Backoff::new(&self.transport);
        let mut furthest = 0;
        while let Err(failure) = self.transfer(endpoint, blob, blobs, writer) {
            if writer.written() > furthest {
                furthest = writer.written();
                backoff.reset();
            }
            backoff.wait(failure)?;
        }
        Ok(())
    }

    /// One request for what is still missing of a blob. After `Ok` the writer holds as many bytes as it should.
    fn transfer(
        &self,
        endpoint: &Endpoint,
        blob: &Descriptor,
        blobs: &Blobs,
        writer: &mut BlobWriter<'_>,
    ) -> Attempt<()> {
        let target = blob.digest().to_string();
        let mut call = Call::new(
            endpoint,
            Method::GET,
            endpoint.url(&format!("blobs/{target}")),
            "read the blob",
            &target,
        );
        let start = writer.written();
        if start > 0 {
            if start == blob.size() {
                return Ok(());
            }
            call.headers.push(("Range", format!("bytes={start}-")));
            call.expected = &[416];
        }
        let invalid = |problem: String| Failure::soon(Error::invalid(call.subject(), problem));
        let (response, _) = self.transport.once(&call)?;
        let goes_on = match response.status().as_u16() {
            206 => {
                let range =
                    header(response.headers(), "content-range").and_then(|r| r.strip_prefix("bytes "));
                range.and_then(|r| r.split_once('-')).and_then(|(first, _)| first.trim().parse().ok())
                    == Some(start)
            }
            _ => false,
        };
        if start > 0 && !goes_on {
            writer.restart().map_err(Error::from)?;
            if response.status().as_u16() != 200 {
                return Err(invalid("the registry does not go on with a cut blob".into()));
            }
        }
        let mut reader = response.into_body().into_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            self.transport.check_cancelled()?;
            let n = reader.read(&mut buffer).map_err(|e| Failure::transport(&call, e.into()))?;
            if n == 0 {
                break;
            }
            if writer.written() + n as u64 > blob.size() {
                writer.restart().map_err(Error::from)?;
                return Err(invalid(format!("the blob has more than {} bytes", blob.size())));
            }
            writer
                .write_all(&buffer[..n])
                .map_err(|e| Error::from(oci::Error::io("write below", blobs.root())(e)))?;
            self.tell(&Event::Progress { digest: blob.digest(), done: writer.written(), total: blob.size() });
        }
        match writer.written() {
            done if done == blob.size() => Ok(()),
            done => Err(invalid(format!("the blob ended after {done} of {} bytes", blob.size()))),
        }
    }
}

/// A reference that is no index has one platform, which its config names; it must be what was wanted.
fn check_single(
    repository: &Repository,
    root: &Descriptor,
    platforms: &[Platform],
    blobs: &Blobs,
) -> Result<()> {
    let subject = || repository.subject(root.digest().as_ref());
    let document = Document::parse(subject, root.media_type(), &blobs.read(root)?)?;
    let Document::Manifest(manifest) = document else { return Ok(()) };
    if platforms.is_empty() {
        return Ok(());
    }
    let config = blobs.read(manifest.config())?;
    let found: Platform = serde_json::from_slice(&config)
        .map_err(|e| Error::invalid(subject(), format!("the config names no platform: {e}")))?;
    match platforms.iter().find(|p| !fits(&found, p)) {
        Some(wanted) => {
            let problem = format!("no image for {}, there is: {}", display(wanted), display(&found));
            Err(Error::invalid(subject(), problem))
        }
        None => Ok(()),
    }
}
