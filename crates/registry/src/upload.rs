//! One blob on its way to the registry (distribution-spec, "Pushing blobs").
//!
//! 1. HEAD: a blob that is there is not sent.
//! 2. POST opens a session, and asks for a mount where another repository may have the blob. A refused mount
//!    (202) is a session like any other.
//! 3. PUT sends everything at once; in pieces, and after a cut, PATCH sends what is missing and PUT ends it.
//! 4. After a cut, GET on the session tells how much the registry has. A session that is gone may have been
//!    completed: HEAD tells; else a new one starts.

use std::fs::File;

use oci::Blobs;
use oci_spec::image::Descriptor;
use ureq::http::Method;

use crate::config::{Event, How};
use crate::error::{Error, Result};
use crate::reference::Repository;
use crate::retry::{Attempt, Backoff, Failure, Verdict};
use crate::transport::{Answer, Call, Content, Endpoint};
use crate::{Client, url};

/// An open upload.
struct Session {
    /// Where the next request goes; may change with every answer.
    location: String,
    /// How many bytes the registry has.
    offset: u64,
    /// The smallest piece that the registry takes (`OCI-Chunk-Min-Length`), 0 where it does not say.
    min_chunk: u64,
    /// Whether the rest goes in pieces: told so, or a request for everything was cut.
    in_pieces: bool,
}

/// One blob and where it goes.
struct Upload<'a> {
    client: &'a Client,
    endpoint: &'a Endpoint,
    blob: &'a Descriptor,
    digest: String,
}

impl Client {
    /// Makes sure that the repository has a blob, mounted from one of `mount_from` where possible.
    pub(crate) fn upload<'m>(
        &self,
        blobs: &Blobs,
        blob: &Descriptor,
        endpoint: &Endpoint,
        mount_from: &[&'m Repository],
    ) -> Result<How<'m>> {
        let upload = Upload { client: self, endpoint, blob, digest: blob.digest().to_string() };
        if upload.is_there()? {
            return Ok(How::Present);
        }
        let mut session = None;
        for from in mount_from {
            match upload.open(Some(from))? {
                None => return Ok(How::Mounted { from: from.name() }),
                refused => upload.abandon(session.replace(refused)),
            }
        }
        let session = match session.flatten() {
            Some(session) => session,
            None => upload.new_session()?,
        };
        upload.run(session, &blobs.open(blob.digest())?, blobs)?;
        Ok(How::Uploaded)
    }
}

impl Upload<'_> {
    fn call(&self, method: Method, url: String) -> Call<'_> {
        Call::new(self.endpoint, method, url, "upload the blob", &self.digest)
    }

    fn is_there(&self) -> Result<bool> {
        let mut call = self.call(Method::HEAD, self.endpoint.url(&format!("blobs/{}", self.digest)));
        call.expected = &[404];
        Ok(self.client.transport.send(&call)?.status != 404)
    }

    fn new_session(&self) -> Result<Session> {
        self.open(None)?.ok_or_else(|| {
            Error::invalid(
                self.endpoint.repository.subject(&self.digest),
                "201 for an upload that was not finished",
            )
        })
    }

    /// Opens a session, or mounts: then there is none.
    fn open(&self, mount_from: Option<&Repository>) -> Result<Option<Session>> {
        let mut call = self.call(Method::POST, self.endpoint.url("blobs/uploads/"));
        if let Some(from) = mount_from {
            call.url = url::with_query(&call.url, &[("mount", &self.digest), ("from", from.name())]);
            call.scopes.push(format!("repository:{}:pull", from.name()));
        }
        let answer = match self.client.transport.send(&call) {
            // Not allowed to read there, or no such repository: no mount, no reason to fail.
            Err(Error::Refused { status: 400..=499, .. }) if mount_from.is_some() => return self.open(None),
            answer => answer?,
        };
        if answer.status == 201 {
            return Ok(None);
        }
        let min_chunk = answer.header("oci-chunk-min-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        let in_pieces = self.client.transport.config.chunk_bytes.is_some();
        Ok(Some(Session { location: self.location(&call, &answer)?, offset: 0, min_chunk, in_pieces }))
    }

    /// Gives up a session that will not be used. That it fails is the registry's business: sessions expire.
    fn abandon(&self, session: Option<Option<Session>>) {
        if let Some(session) = session.flatten() {
            let _ = self.client.transport.send_once(&self.call(Method::DELETE, session.location));
        }
    }

    /// Sends the blob until the registry has it.
    fn run(&self, mut session: Session, file: &File, blobs: &Blobs) -> Result<()> {
        let mut backoff = Backoff::new(&self.client.transport);
        let mut furthest = 0;
        loop {
            let Err(mut failure) = self.send(&mut session, file) else { return Ok(()) };
            let status = failure.error.status();
            if status == Some(400) {
                // The registry says that it is not what the digest says. If that is so here too, say that.
                blobs.verify(self.blob)?;
            }
            // A session that does not fit what is sent can be asked where it stands, or made anew.
            if matches!(status, Some(400 | 404 | 416)) {
                failure.verdict = Verdict::Soon;
            }
            backoff.wait(failure)?;
            let standing = if status == Some(400) { None } else { self.standing(&session)? };
            session = match standing {
                Some(session) => session,
                None if self.is_there()? => return Ok(()),
                None => self.new_session()?,
            };
            if session.offset > furthest {
                furthest = session.offset;
                backoff.reset();
            }
        }
    }

    /// Sends what the session lacks, and ends it.
    fn send(&self, session: &mut Session, file: &File) -> Attempt<()> {
        let size = self.blob.size();
        let tell = |done: u64| {
            self.client.tell(&Event::Progress { digest: self.blob.digest(), done, total: size });
        };
        if session.in_pieces {
            let piece =
                self.client.transport.config.chunk_bytes.unwrap_or(size).max(session.min_chunk).max(1);
            while session.offset < size {
                let (offset, len) = (session.offset, piece.min(size - session.offset));
                let mut call = self.call(Method::PATCH, session.location.clone());
                call.headers.push(("Content-Type", "application/octet-stream".into()));
                call.headers.push(("Content-Range", format!("{offset}-{}", offset + len - 1)));
                call.content = Content::Part { file, offset, len, sent: &tell };
                let answer = self.client.transport.send_once(&call)?;
                session.location = self.location(&call, &answer)?;
                session.offset = answer.header("range").and_then(next_offset).unwrap_or(offset + len);
                if session.offset <= offset || session.offset > size {
                    return Err(Failure::soon(Error::invalid(call.subject(), "an upload does not go on")));
                }
            }
        }
        let mut call =
            self.call(Method::PUT, url::with_query(&session.location, &[("digest", &self.digest)]));
        call.headers.push(("Content-Type", "application/octet-stream".into()));
        if session.offset < size {
            call.content = Content::Part { file, offset: 0, len: size, sent: &tell };
        }
        self.client.transport.send_once(&call).map(drop)
    }

    /// How far a session has come, or nothing where it is gone or cannot be asked.
    fn standing(&self, session: &Session) -> Result<Option<Session>> {
        let call = self.call(Method::GET, session.location.clone());
        let answer = match self.client.transport.send(&call) {
            Err(Error::Refused { .. } | Error::Invalid { .. }) => return Ok(None),
            answer => answer?,
        };
        // `0-0` is said for no byte and for one: only a new session is certain.
        let offset =
            answer.header("range").and_then(next_offset).filter(|n| (2..=self.blob.size()).contains(n));
        let Some(offset) = offset else { return Ok(None) };
        let location = self.location(&call, &answer).unwrap_or_else(|_| session.location.clone());
        Ok(Some(Session { location, offset, min_chunk: session.min_chunk, in_pieces: true }))
    }

    fn location(&self, call: &Call<'_>, answer: &Answer) -> Result<String> {
        let location = answer.header("location").and_then(|location| url::resolve(&answer.url, location));
        location.ok_or_else(|| Error::invalid(call.subject(), "an upload's answer has no `Location`"))
    }
}

/// The byte after `0-<end>`, as `Range` has it in uploads (distribution-spec, "Pushing a blob in chunks").
fn next_offset(range: &str) -> Option<u64> {
    let (first, last) = range.trim_start_matches("bytes=").split_once('-')?;
    (first == "0").then(|| last.trim().parse::<u64>().ok()).flatten().map(|last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::next_offset;

    #[test]
    fn ranges_of_uploads() {
        let check = |range: &str, expect: Option<u64>| assert_eq!(next_offset(range), expect, "{range}");
        check("0-0", Some(1));
        check("0-99", Some(100));
        check("bytes=0-99", Some(100));
        check("5-9", None);
        check("0--1", None);
        check("", None);
    }
}
