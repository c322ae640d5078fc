//! `docker/bases.lock`: which content each base reference means.

use std::collections::BTreeMap;

use oci_spec::image::Digest;
use serde::Deserialize;

use crate::error::Result;
use crate::spec::parse_toml;

/// The lock.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// By the reference as images.toml has it.
    #[serde(default)]
    pub bases: BTreeMap<String, Locked>,
}

/// What one reference is pinned to. The digest of an index pins the image of every platform below it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The index's digest.
    pub digest: Digest,
}

impl Lock {
    /// Parses the text of `file`.
    ///
    /// # Errors
    /// [`crate::Error::Document`] with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Lock> {
        parse_toml(file, text)
    }

    /// The file's text: sorted, so that an update shows as the lines that changed.
    pub fn render(&self) -> String {
        let mut text = String::from(
            "# The digest of each base of images.toml. Written by `cargo xtask base update`; not for editing by hand.\n",
        );
        for (reference, locked) in &self.bases {
            text.push_str(&format!("\n[bases.\"{reference}\"]\ndigest = \"{}\"\n", locked.digest));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_lock_comes_back_the_same() {
        let text = include_str!("../../../docker/bases.lock");
        let lock = Lock::parse("docker/bases.lock", text).unwrap();
        assert_eq!(lock.render(), text);
    }

    #[test]
    fn mistakes() {
        let check = |text: &str, expect: &str| {
            let error = Lock::parse("bases.lock", text).unwrap_err().to_string();
            assert!(error.contains(expect) && !error.contains('\n'), "{error}");
        };
        check("[bases.a]\ndigest = \"sha256:12\"", "bases.lock:2:10: Invalid digest length 2");
        check("[bases.a]\nsha = \"x\"", "unknown field `sha`");
        check("[base.a]", "unknown field `base`, did you mean `bases`?");
    }
}
