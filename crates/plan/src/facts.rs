//! What is true outside: git, the environment, the host, the lock. `xtask/src/facts.rs` gathers it; the plan only
//! ever sees this struct, which is why it can be tested with made-up worlds.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use oci_spec::image::Platform;
use semver::Version;

use crate::lock::Lock;

/// The world as the plan sees it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The version of the workspace.
    pub version: Version,
    /// The commit, unless the sources are no checkout.
    pub revision: Option<Revision>,
    /// SOURCE_DATE_EPOCH, in seconds since 1970.
    pub source_date_epoch: Option<u64>,
    /// What containers on this machine run on: `linux/` and the host's architecture.
    pub host: Platform,
    /// Those of [`crate::toolchain::programs`] that are installed.
    pub programs: BTreeSet<String>,
    /// The Rust targets whose standard library is installed.
    pub rust_targets: BTreeSet<String>,
    /// `docker/bases.lock`.
    pub lock: Lock,
}

/// Where the sources stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The full commit id.
    pub commit: String,
    /// When it was committed, in seconds since 1970.
    pub time: u64,
    /// Whether files that git tracks were changed since.
    pub dirty: bool,
}

/// The time that files in layers get unless SOURCE_DATE_EPOCH says otherwise: 1980-01-01, the earliest that every
/// archive format can hold. It is no commit's time, so that a commit that changes no file of a layer leaves the
/// layer's digest alone, and nobody has to push or pull it again.
pub const LAYER_TIME: u64 = 315_532_800;

/// Seconds since 1970 as RFC 3339, in UTC.
pub fn rfc3339(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// RFC 3339 in UTC as seconds since 1970; none where it is no such time.
pub fn seconds(rfc3339: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(rfc3339).ok()?;
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}

impl Facts {
    /// The time of every file that we put into a layer, in seconds since 1970.
    pub fn layer_time(&self) -> u64 {
        self.source_date_epoch.unwrap_or(LAYER_TIME)
    }

    /// When the image counts as created, RFC 3339: SOURCE_DATE_EPOCH, else the commit's time.
    pub fn created(&self) -> String {
        let commit = self.revision.as_ref().map(|r| r.time);
        let seconds = self.source_date_epoch.or(commit).unwrap_or(LAYER_TIME);
        rfc3339(seconds)
    }

    /// The commit for people and labels: its id, with `-dirty` where files were changed since.
    pub fn revision_label(&self) -> Option<String> {
        self.revision.as_ref().map(|r| if r.dirty { format!("{}-dirty", r.commit) } else { r.commit.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |epoch: Option<u64>, commit: Option<u64>, layer: u64, created: &str| {
            let revision = commit.map(|time| Revision { commit: "c0ffee".into(), time, dirty: false });
            let facts = Facts { source_date_epoch: epoch, revision, ..crate::testing::facts() };
            assert_eq!((facts.layer_time(), facts.created().as_str()), (layer, created));
        };
        check(None, None, LAYER_TIME, "1980-01-01T00:00:00Z");
        check(None, Some(1_700_000_000), LAYER_TIME, "2023-11-14T22:13:20Z");
        check(Some(0), Some(1_700_000_000), 0, "1970-01-01T00:00:00Z");
        check(Some(1_582_934_400), None, 1_582_934_400, "2020-02-29T00:00:00Z");
    }

    #[test]
    fn revisions() {
        let check = |dirty, expect: &str| {
            let revision = Some(Revision { commit: "c0ffee".into(), time: 0, dirty });
            assert_eq!(Facts { revision, ..crate::testing::facts() }.revision_label().unwrap(), expect);
        };
        check(false, "c0ffee");
        check(true, "c0ffee-dirty");
    }
}
