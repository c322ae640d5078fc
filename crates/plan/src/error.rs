//! What keeps a plan from being made. One line each, with the way out.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The user asked for something that does not exist: wrong usage, exit code 2.
    #[error("unknown {kind} `{value}`{}; allowed: {}", hint(suggestion.as_deref()), allowed.join(", "))]
    Unknown {
        /// "variant", "platform", "image".
        kind: &'static str,
        /// What was asked for.
        value: String,
        /// The nearest name there is.
        suggestion: Option<String>,
        /// All names there are.
        allowed: Vec<String>,
    },
    /// A flag that contradicts another or the Spec: wrong usage, exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A file of ours (images.toml, bases.lock) is wrong.
    #[error("{file}{}: {problem}", position(*at))]
    Document {
        /// The file's path as the user knows it.
        file: String,
        /// Line and column, from 1.
        at: Option<(usize, usize)>,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// An image is larger than it may be.
    #[error("{0}")]
    Budget(String),
    /// The base and the image do not fit.
    #[error("{0}")]
    Misfit(String),
}

impl Error {
    /// That `value` is none of `allowed`, with the nearest one.
    pub fn unknown<S: AsRef<str>>(
        kind: &'static str,
        value: &str,
        allowed: impl IntoIterator<Item = S>,
    ) -> Error {
        let allowed: Vec<String> = allowed.into_iter().map(|s| s.as_ref().to_string()).collect();
        Error::Unknown { kind, value: value.into(), suggestion: suggest(value, &allowed), allowed }
    }

    /// Whether the user's command line is at fault, which is exit code 2, rather than the world: 1.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Unknown { .. } | Error::Usage(_))
    }
}

/// The name that somebody who typed `value` most likely meant.
pub(crate) fn suggest<S: AsRef<str>>(value: &str, names: &[S]) -> Option<String> {
    settings::nearest(value, names.iter().map(AsRef::as_ref)).map(String::from)
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|s| format!(", did you mean `{s}`?")).unwrap_or_default()
}

fn position(at: Option<(usize, usize)>) -> String {
    at.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default()
}
