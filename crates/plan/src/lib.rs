//! Policy: what is to be built, of what, for whom and under which names.
//!
//! Everything here is a pure function: the same Spec, facts and selection give the same plan, and no file, clock,
//! environment, program or network is touched (`clippy.toml` bans them, `tests/boundaries.rs` in xtask checks the
//! dependencies). What was decided is plain data, which xtask prints or carries out.

pub mod budget;
pub mod ci;
pub mod compatibility;
pub mod config;
pub mod dockerfile;
pub mod docs;
pub mod error;
pub mod facts;
pub mod filesystem;
pub mod lock;
pub mod plan;
pub mod promote;
pub mod release;
pub mod secrets;
pub mod size;
pub mod spec;
pub mod stack;
pub mod stackbrew;
pub mod structure_test;
pub mod tags;
pub mod toolchain;

pub use error::{Error, Result};
pub use facts::{Facts, Revision};
pub use lock::{Lock, Locked};
pub use plan::{BaseChoice, Plan, PlannedImage, Selection, Target, plan};
pub use spec::{Spec, Variant};

/// A file that is generated and committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedFile {
    /// Where, relative to the workspace.
    pub path: String,
    /// The whole content.
    pub contents: String,
}

#[cfg(test)]
mod testing {
    use super::*;

    /// The project's own catalogue.
    pub fn spec() -> Spec {
        Spec::parse("docker/images.toml", include_str!("../../../docker/images.toml")).unwrap()
    }

    /// A made-up world: version 1.2.3, a clean commit of 2023, an x86-64 host, the project's own lock.
    pub fn facts() -> Facts {
        Facts {
            version: "1.2.3".parse().unwrap(),
            revision: Some(Revision { commit: "c0ffee".into(), time: 1_700_000_000, dirty: false }),
            source_date_epoch: None,
            host: oci::platform::parse("linux/amd64").unwrap(),
            programs: ["cc", "aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"].map(String::from).into(),
            rust_targets: ["x86_64-unknown-linux-gnu"].map(String::from).into(),
            lock: Lock::parse("docker/bases.lock", include_str!("../../../docker/bases.lock")).unwrap(),
        }
    }
}
