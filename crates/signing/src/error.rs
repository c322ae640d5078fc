//! What can be wrong with a key or a signature, each apart: a mistyped password and a forged image are not the same.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error. None holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no key, or not all of one.
    #[error("is no whole key: {0}")]
    Key(String),
    /// The key is of another kind.
    #[error("{0}; allowed are P-256 keys in PKCS#8 PEM or cosign's encrypted form")]
    KeyKind(String),
    /// The key is encrypted and no password was given.
    #[error("is encrypted; give its password in COSIGN_PASSWORD or with --password-file")]
    PasswordMissing,
    /// The key is encrypted with another password.
    #[error("the password is wrong")]
    PasswordWrong,
    /// A signature document does not follow its format.
    #[error("{subject}: {problem}")]
    Format {
        /// Which document.
        subject: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The signature is not of this key, or what is signed was changed.
    #[error("the signature was not made with this key, or what it signs was changed")]
    Signature,
    /// The signature is right, but of something else.
    #[error("the signature is of another digest: {found} instead of {wanted}")]
    OtherDigest {
        /// What was to be verified.
        wanted: String,
        /// What the signature is of.
        found: String,
    },
}

impl Error {
    pub(crate) fn format(subject: &'static str, problem: impl Into<String>) -> Error {
        Error::Format { subject, problem: problem.into() }
    }
}
