//! What can be wrong with what is read.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error; each names what it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A document or program does not follow its format.
    #[error("{subject}: {problem}")]
    Invalid {
        /// The file, section or field.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    /// What does not follow its format.
    pub fn invalid(subject: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Invalid { subject: subject.into(), problem: problem.into() }
    }
}
