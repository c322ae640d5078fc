//! What can go wrong, each with the registry, the repository and the tag or digest that it is about.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What a request was about: `registry/repository:tag` or `registry/repository@digest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The registry or mirror that was asked, as the user names it: `docker.io`, `localhost:5000`.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The tag or digest; empty where the whole repository is meant.
    pub target: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match self.target.as_str() {
            "" => "",
            target if target.contains(':') => "@",
            _ => ":",
        };
        write!(f, "{}/{}{separator}{}", self.registry, self.repository, self.target)
    }
}

/// An error of the protocol. Each message is one line and names what it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry answered, and refused (distribution-spec, "Error Codes").
    #[error("{subject}: cannot {action}: HTTP {status}{}", answer(self))]
    Refused {
        /// What the request was about.
        subject: Box<Subject>,
        /// What was to be done, as a verb with its object: "read the manifest".
        action: &'static str,
        /// The HTTP status.
        status: u16,
        /// The registry's error code, such as `MANIFEST_UNKNOWN`.
        code: Option<String>,
        /// The registry's own words, on one line.
        message: Option<String>,
        /// How long the registry asks to wait (`Retry-After`), when that is longer than the client is willing to.
        retry_after: Option<Duration>,
    },
    /// No whole answer came: no connection, a cut, a timeout, a failed TLS handshake.
    #[error("{subject}: cannot {action}: {problem}")]
    Unreachable {
        /// What the request was about.
        subject: Box<Subject>,
        /// What was to be done.
        action: &'static str,
        /// The reason.
        problem: String,
    },
    /// The answer came and does not follow the specification, or its content is not what its digest says.
    #[error("{subject}: {problem}")]
    Invalid {
        /// What the request was about.
        subject: Box<Subject>,
        /// What is wrong with the answer.
        problem: String,
    },
    /// A reference, repository or tag that cannot exist.
    #[error("`{input}`: {problem}")]
    Input {
        /// As it was given.
        input: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that the configuration names cannot be used: credentials, root certificates.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never holds its content.
        problem: String,
    },
    /// The local store of blobs failed or holds something corrupt.
    #[error(transparent)]
    Store(#[from] oci::Error),
    /// The flag in the configuration was raised.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// The HTTP status, where the registry gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the registry says that there is no such manifest, blob or repository.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    pub(crate) fn input(input: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Input { input: input.into(), problem: problem.into() }
    }

    pub(crate) fn invalid(subject: Box<Subject>, problem: impl Into<String>) -> Error {
        Error::Invalid { subject, problem: problem.into() }
    }
}

fn answer(error: &Error) -> String {
    let Error::Refused { subject, status, code, message, retry_after, .. } = error else {
        return String::new();
    };
    let mut out = String::new();
    if let Some(code) = code {
        out += &format!(", {code}");
    }
    if let Some(message) = message {
        out += &format!(", {message}");
    }
    if let Some(wait) = retry_after {
        out += &format!("; the registry asks to wait {} s", wait.as_secs());
    }
    if matches!(status, 401 | 403) {
        out += &format!("; to give credentials run `docker login {}`", subject.registry);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_name_everything() {
        let refused = |target: &str, status, code: Option<&str>, message: Option<&str>, wait: Option<u64>| {
            Error::Refused {
                subject: Box::new(Subject {
                    registry: "ghcr.io".into(),
                    repository: "a/b".into(),
                    target: target.into(),
                }),
                action: "read the manifest",
                status,
                code: code.map(Into::into),
                message: message.map(Into::into),
                retry_after: wait.map(Duration::from_secs),
            }
            .to_string()
        };
        let check = |got: String, expect: &str| assert_eq!(got, expect);
        check(
            refused("1.0", 404, Some("MANIFEST_UNKNOWN"), Some("manifest unknown"), None),
            "ghcr.io/a/b:1.0: cannot read the manifest: HTTP 404, MANIFEST_UNKNOWN, manifest unknown",
        );
        check(
            refused("sha256:ab", 429, None, None, Some(3600)),
            "ghcr.io/a/b@sha256:ab: cannot read the manifest: HTTP 429; the registry asks to wait 3600 s",
        );
        check(
            refused("", 401, Some("UNAUTHORIZED"), None, None),
            "ghcr.io/a/b: cannot read the manifest: HTTP 401, UNAUTHORIZED; to give credentials run `docker login ghcr.io`",
        );
    }
}
