//! Signatures of images in the formats that cosign, podman and Kubernetes' admission controllers check: keys, simple
//! signing, in-toto statements in DSSE envelopes, sigstore bundles.
//!
//! A crate of its own, so that cryptography is in one place and nothing else depends on it. Pure: keys come in as text,
//! documents go out as bytes; no file, clock, random numbers or network.

pub mod bundle;
pub mod dsse;
pub mod error;
pub mod key;
pub mod simple;

pub use error::{Error, Result};
pub use key::{PrivateKey, PublicKey};
