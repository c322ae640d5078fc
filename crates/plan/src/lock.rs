//! `docker/bases.lock`: which content each base reference means.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::image::Digest;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::spec::{Spec, parse_toml};

/// The lock.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The file, as messages name it.
    #[serde(skip)]
    pub file: String,
    /// By the reference as images.toml has it.
    #[serde(default)]
    pub bases: BTreeMap<String, Locked>,
    /// The foreign images that stacks run, by reference; they are pinned where somebody asks for digests.
    #[serde(default)]
    pub images: BTreeMap<String, Locked>,
}

/// What one reference is pinned to. The digest of an index pins the image of every platform below it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// The index's digest.
    pub digest: Digest,
    /// The digests of the images below it, by platform, as far as they are known. The index pins them too; here they
    /// show which platforms a change of the index is about.
    #[serde(default)]
    pub platforms: BTreeMap<String, Digest>,
}

impl Lock {
    /// Parses the text of `file`.
    ///
    /// # Errors
    /// [`crate::Error::Document`] with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Lock> {
        Ok(Lock { file: file.into(), ..parse_toml(file, text)? })
    }

    /// The file's text: sorted, so that an update shows as the lines that changed.
    pub fn render(&self) -> String {
        let mut text = String::from(
            "# The digest of each base of images.toml. Written by `cargo xtask base update`; not for editing by hand.\n",
        );
        for (table, entries) in [("bases", &self.bases), ("images", &self.images)] {
            for (reference, locked) in entries {
                text.push_str(&format!("\n[{table}.\"{reference}\"]\ndigest = \"{}\"\n", locked.digest));
                for (platform, digest) in &locked.platforms {
                    text.push_str(&format!("platforms.\"{platform}\" = \"{digest}\"\n"));
                }
            }
        }
        text
    }

    /// Checks that the lock is of this catalogue: a digest for each of its bases and for nothing else, and where
    /// platforms are listed, each of the catalogue's.
    ///
    /// # Errors
    /// [`Error::Document`] that names the first difference.
    pub fn fits(&self, spec: &Spec) -> Result<()> {
        let problem = |problem: String| {
            Err(Error::Document {
                file: self.file.clone(),
                at: None,
                problem: format!("{problem}; run `cargo xtask base update`"),
            })
        };
        let bases: BTreeSet<&str> =
            spec.variants.values().map(|v| v.base.as_str()).filter(|b| *b != "scratch").collect();
        if let Some(base) = bases.iter().find(|base| !self.bases.contains_key(**base)) {
            return problem(format!("has no digest for the base `{base}`"));
        }
        let foreign = crate::stack::foreign(spec);
        if let Some(reference) = self.images.keys().find(|reference| !foreign.contains(&reference.as_str())) {
            return problem(format!("pins `{reference}`, which no stack runs"));
        }
        for (reference, locked) in &self.bases {
            if !bases.contains(reference.as_str()) {
                return problem(format!("pins `{reference}`, which is no base"));
            }
            let missing = spec.platforms.keys().find(|p| !locked.platforms.contains_key(*p));
            if let Some(platform) = missing.filter(|_| !locked.platforms.is_empty()) {
                return problem(format!("has no digest for `{reference}` on {platform}"));
            }
        }
        Ok(())
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

    #[test]
    fn whether_it_is_of_the_catalogue() {
        let spec = crate::testing::spec();
        let own = include_str!("../../../docker/bases.lock");
        let check = |text: &str, expect: Option<&str>| {
            let lock = Lock::parse("bases.lock", text).unwrap();
            assert_eq!(Lock::parse("bases.lock", &lock.render()).unwrap().bases, lock.bases);
            match (lock.fits(&spec), expect) {
                (Ok(()), None) => {}
                (Err(e), Some(expect)) => assert!(e.to_string().contains(expect), "{e}"),
                (got, expect) => panic!("{got:?}, not {expect:?}"),
            }
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        let all = |names: &[&str]| {
            names.iter().map(|n| format!("platforms.\"{n}\" = \"{digest}\"\n")).collect::<String>()
        };
        check(own, None);
        check(&format!("{own}{}", all(&["linux/amd64", "linux/arm64", "linux/arm/v7"])), None);
        check(
            &format!("{own}{}", all(&["linux/amd64"])),
            Some("on linux/arm/v7; run `cargo xtask base update`"),
        );
        check(
            &format!("{own}\n[bases.\"docker.io/library/old:1\"]\ndigest = \"{digest}\"\n"),
            Some("pins `docker.io/library/old:1`"),
        );
        check("", Some("has no digest for the base `docker.io/library/alpine:"));
    }
}
