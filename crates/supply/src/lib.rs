//! What is known of an image's contents and origin, as the documents that others read: SBOMs (CycloneDX, SPDX),
//! provenance (in-toto, SLSA), findings (SARIF), policy.
//!
//! A crate of its own and not a part of `plan`: that decides what will be built, this tells what was built, from the
//! image itself. Pure all the same: it is given file systems and texts, and returns documents (`clippy.toml` bans the
//! rest, `tests/boundaries.rs` in xtask checks the dependencies).

pub mod auditable;
pub mod checks;
pub mod copyright;
pub mod elf;
pub mod error;
pub mod finding;
pub mod inventory;
pub mod licence;
pub mod packages;
pub mod policy;
pub mod provenance;
mod range;
pub mod rustsec;
pub mod sbom;

pub use error::{Error, Result};
