//! What can go wrong, each with the file or the blob that it is about.

use std::io;
use std::path::{Path, PathBuf};

use oci_spec::image::Digest;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the mechanism. Each message names the path or the digest; the caller adds the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on `path`.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// What was being done, as a verb: "read", "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The content of a blob is not what its descriptor says.
    #[error("blob {expected}: {}", mismatch(*expected_size, found, *found_size))]
    Corrupt {
        /// The digest that the descriptor names.
        expected: Digest,
        /// The size in bytes that the descriptor names.
        expected_size: u64,
        /// The digest of what was read or received.
        found: Digest,
        /// The size in bytes of what was read or received.
        found_size: u64,
    },
    /// A document (JSON, tar, layout) does not follow its specification.
    #[error("{subject}: {problem}")]
    Invalid {
        /// The file, blob or field.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    /// Wraps an I/O error with what was done to which path.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// A document that does not follow its specification.
    pub fn invalid(subject: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Invalid { subject: subject.into(), problem: problem.into() }
    }
}

fn mismatch(expected_size: u64, found: &Digest, found_size: u64) -> String {
    if found_size != expected_size {
        format!("it has {found_size} bytes instead of {expected_size}")
    } else {
        format!("its content has the digest {found}")
    }
}
