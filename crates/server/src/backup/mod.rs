//! Backups of a whole cluster: all databases, roles and settings, in one archive.
//!
//! 1. [`archive`] is the format: a tar that ends with the checksums of what it holds.
//! 2. [`dump`] is the other form: one database as SQL text.
//! 3. [`source`] is where one comes from: a running server over the protocol, or the data directory.
//! 4. [`target`] is where it goes: a file that gets its name when it is known to be right, or standard output.
//! 5. [`keep`] removes those that are too many or too old, [`status`] tells a health check how it went.
//! 6. [`schedule`] says when the next one is due.
//! 7. [`restore`](restore()) makes an empty data directory a cluster again.

pub mod archive;
mod dump;
pub mod keep;
mod restore;
pub mod schedule;
pub mod source;
pub mod status;
pub mod target;

pub use restore::{Options, restore};
