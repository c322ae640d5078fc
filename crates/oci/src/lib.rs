//! Mechanism: tar layers, images, indexes, layouts and archives of the OCI image format.
//!
//! This crate never looks at the clock, git, the environment or the network: what it writes depends on what it
//! is given alone, so that two builds of one commit give one digest.

pub mod archive;
pub mod base;
pub mod blobs;
pub mod cache;
pub mod compress;
pub mod contents;
pub mod digest;
pub mod entry;
pub mod error;

pub mod grammar;
pub mod image;
pub mod import;
pub mod json;
pub mod layer;
pub mod layout;
pub mod platform;
pub mod stream;
pub mod validate;

pub use base::Base;
pub use blobs::{BlobWriter, Blobs};
pub use cache::Cache;
pub use entry::{Entry, Owner, Source};
pub use error::{Error, Result};
pub use image::{Config, Healthcheck, Image};
pub use layer::Layer;
pub use layout::Layout;
