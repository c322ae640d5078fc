//! All that the client is told from outside. The crate itself reads no environment variable and has no defaults
//! that depend on the machine: whoever fills a [`Config`] decides.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use oci_spec::image::Digest;

/// Settings of a [`Client`](crate::Client).
#[derive(Clone)]
pub struct Config {
    /// The `User-Agent` header, `name/version`.
    pub user_agent: String,
    /// Registries (`host[:port]`) that are spoken to in plain HTTP though they are not on this machine. Loopback
    /// hosts always are; everything else is HTTPS.
    pub insecure: Vec<String>,
    /// For a registry, the mirrors that pulls try before it, in order: `host[:port]` or `host[:port]/prefix`,
    /// where the prefix comes before the repository's name.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Name and password by registry, before any file is asked.
    pub logins: BTreeMap<String, (String, String)>,
    /// Credential files, the first that knows a registry wins: `auth.json` as Podman writes it
    /// (`REGISTRY_AUTH_FILE`) or `config.json` as Docker does (`~/.docker/config.json`). One that does not exist
    /// is skipped.
    pub credential_files: Vec<PathBuf>,
    /// The environment in which credential helpers (`docker-credential-NAME`) run; its `PATH` finds them.
    pub helper_environment: Vec<(OsString, OsString)>,
    /// The URL of an HTTP proxy (`HTTPS_PROXY`). Loopback hosts are never reached through it.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy (`NO_PROXY`), each with its subdomains.
    pub no_proxy: Vec<String>,
    /// A PEM file of root certificates that replaces Mozilla's (`SSL_CERT_FILE`).
    pub root_certificates: Option<PathBuf>,
    /// The longest time for the name resolution, and again for connection and TLS handshake together.
    pub connect_timeout: Duration,
    /// The longest time in which a connection may move no byte at all.
    pub stall_timeout: Duration,
    /// When and how often a failed request is sent again.
    pub retry: Retry,
    /// How many blobs are moved at once; at least 1.
    pub parallel: usize,
    /// Uploads a blob in pieces of that many bytes instead of in one request, for proxies that limit a request's
    /// size. A registry's own minimum (`OCI-Chunk-Min-Length`) is kept.
    pub chunk_bytes: Option<u64>,
    /// How long a fallback index of referrers is left alone before it is read back, to find that another writer
    /// has replaced it. Longer than that writer's time from read to write.
    pub settle: Duration,
    /// Raised by the caller to stop: every call then returns [`Error::Cancelled`](crate::Error::Cancelled) at
    /// the next byte moved, or when [`Config::stall_timeout`] ends.
    pub cancel: Arc<AtomicBool>,
    /// Is told what happens, from several threads at once.
    pub on_event: Arc<dyn Fn(&Event<'_>) + Send + Sync>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            user_agent: concat!("scratchbird-registry/", env!("CARGO_PKG_VERSION")).into(),
            insecure: Vec::new(),
            mirrors: BTreeMap::new(),
            logins: BTreeMap::new(),
            credential_files: Vec::new(),
            helper_environment: Vec::new(),
            proxy: None,
            no_proxy: Vec::new(),
            root_certificates: None,
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(60),
            retry: Retry::default(),
            parallel: 4,
            chunk_bytes: None,
            settle: Duration::from_millis(200),
            cancel: Arc::default(),
            on_event: Arc::new(|_| ()),
        }
    }
}

/// When and how often a failed request is sent again: on 408, 429 and 5xx, and when the connection failed.
///
/// The n-th wait is a random time between half and all of `first · 2ⁿ⁻¹`, at most `longest`.
#[derive(Clone, Debug)]
pub struct Retry {
    /// How often a request is sent in all, at least 1. A transfer that moved bytes starts counting anew.
    pub attempts: u32,
    /// The first wait.
    pub first: Duration,
    /// The longest wait between two attempts.
    pub longest: Duration,
    /// The longest `Retry-After` that is waited for; a registry that asks for more is an error.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 6,
            first: Duration::from_millis(250),
            longest: Duration::from_secs(20),
            patience: Duration::from_secs(120),
        }
    }
}

/// What a [`Client`](crate::Client) tells while it works; for progress and logs, decides nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Of a blob, `done` of `total` bytes have been moved. Can go back, when a transfer starts over.
    Progress {
        /// The blob.
        digest: &'a Digest,
        /// Bytes moved.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A blob is where it should be.
    Finished {
        /// The blob.
        digest: &'a Digest,
        /// Its size in bytes.
        bytes: u64,
        /// What it took.
        how: How<'a>,
    },
    /// A request failed and is sent again after `wait`.
    Retry {
        /// What failed, with its subject.
        problem: String,
        /// The time until then.
        wait: Duration,
    },
    /// A mirror could not serve a request; the next one, or the registry itself, is asked.
    MirrorFailed {
        /// As in the configuration.
        mirror: &'a str,
        /// Why.
        problem: String,
    },
    /// A credential helper failed; the request goes on without what it might have known.
    HelperFailed {
        /// The program: `docker-credential-NAME`.
        program: &'a str,
        /// Why.
        problem: String,
    },
}

/// How a blob came to be where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How<'a> {
    /// It was there.
    Present,
    /// It was downloaded and verified.
    Fetched,
    /// It was uploaded.
    Uploaded,
    /// The registry took it from another of its repositories.
    Mounted {
        /// That repository's name.
        from: &'a str,
    },
}
