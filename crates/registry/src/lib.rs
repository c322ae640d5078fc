//! Mechanism: the OCI distribution protocol (distribution-spec 1.1), blocking, as a client.
//!
//! [`Client`] pulls images into an [`oci::Blobs`] store and pushes them from there, tags, lists and deletes, and
//! keeps referrers. Every blob is verified against its digest and size while it streams; every call can be
//! repeated after any failure and goes on where it was. It is told everything by a [`Config`] and reads neither
//! the environment nor git.

mod auth;
mod config;
mod credentials;
mod error;
mod manifests;
mod pull;
mod push;
mod reference;
mod referrers;
mod retry;
mod transport;
mod tree;
mod upload;
mod url;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub use oci_spec::distribution::Reference;

pub use config::{Config, Event, How, Retry};
pub use error::{Error, Result, Subject};
pub use pull::Pulled;
pub use push::Push;
pub use reference::{Repository, check_tag, parse};

use transport::{Access, Endpoint, Transport};

/// A client for any number of registries. Keeps connections and tokens; to be shared between threads.
pub struct Client {
    transport: Transport,
    /// Mirrors that could not be reached: not asked again.
    broken_mirrors: Mutex<HashSet<String>>,
    /// Held while a fallback index is read, changed and written, so that threads do not undo each other's work.
    fallback: Mutex<()>,
}

impl Client {
    /// A client that works as `config` says. Opens no connection.
    ///
    /// # Errors
    /// [`Error::File`] when the root certificates can't be read, [`Error::Input`] when the proxy is no URL.
    pub fn new(config: Config) -> Result<Client> {
        Ok(Client {
            transport: Transport::new(config)?,
            broken_mirrors: Mutex::default(),
            fallback: Mutex::default(),
        })
    }

    fn endpoint(&self, repository: &Repository, access: Access) -> Endpoint {
        let origin = self.transport.origin(reference::api_host(repository.registry()));
        Endpoint { repository: repository.clone(), origin, access }
    }

    /// Does `work` for every job, [`Config::parallel`] at a time, and gives the results in the jobs' order.
    ///
    /// After the first error no further job starts; those in flight come to their end, so that what they moved is
    /// not moved again by the next attempt.
    fn in_parallel<T: Sync, R: Send>(
        &self,
        jobs: &[T],
        work: impl Fn(&T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let next = AtomicUsize::new(0);
        let take_jobs = || {
            let mut done = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(i) else { return Ok(done) };
                match work(job) {
                    Ok(result) => done.push((i, result)),
                    Err(e) => {
                        next.store(jobs.len(), Ordering::Relaxed);
                        return Err(e);
                    }
                }
            }
        };
        let workers = self.transport.config.parallel.clamp(1, jobs.len().max(1));
        let mut done = thread::scope(|scope| {
            let threads: Vec<_> = (1..workers).map(|_| scope.spawn(take_jobs)).collect();
            let mut done = take_jobs();
            for thread in threads {
                let theirs = thread.join().expect("a transfer does not panic");
                done = done.and_then(|mut all: Vec<(usize, R)>| {
                    theirs.map(|more| {
                        all.extend(more);
                        all
                    })
                });
            }
            done
        })?;
        done.sort_unstable_by_key(|(i, _)| *i);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }
}
