//! `[publish]` of images.toml: where images go, and what must be true before a name moves.
//!
//! Lines are what follows `cargo xtask`, as typed. In one, `{{layout}}` is the OCI layout with the images; a line with
//! `{{image}}` runs once an image, which stands there as `oci:LAYOUT:NAME`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{From, ImageSpec};

/// How releases are published.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PublishSpec {
    /// The images that are published; none means the catalogue's default image.
    pub images: Vec<String>,
    /// Where images go, every one to each: `REGISTRY/PREFIX/`, to which the image's own repository is added, or
    /// `REGISTRY/NAME`.
    pub to: Vec<String>,
    /// The branches that releases are cut from; a `*` at the end stands for anything.
    pub branches: Vec<String>,
    /// Lines that must succeed on a commit before it becomes a release.
    pub gate: Vec<String>,
    /// Lines that give images their SBOM, provenance and signatures, in the layout.
    pub attest: Vec<String>,
    /// Lines that must succeed on the very images whose tags then move.
    pub checks: Vec<String>,
}

impl Default for PublishSpec {
    fn default() -> PublishSpec {
        PublishSpec {
            images: Vec::new(),
            to: Vec::new(),
            branches: vec!["main".into()],
            gate: Vec::new(),
            attest: Vec::new(),
            checks: Vec::new(),
        }
    }
}

impl PublishSpec {
    /// Whether releases are cut from that branch.
    pub fn allows(&self, branch: &str) -> bool {
        self.branches.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => branch.starts_with(prefix),
            None => pattern == branch,
        })
    }

    /// What no type says.
    ///
    /// # Errors
    /// What is wrong, with its key.
    pub(super) fn check(&self, images: &BTreeMap<String, ImageSpec>) -> Result<(), String> {
        for name in &self.images {
            match images.get(name).map(|image| &image.from) {
                None => return Err(format!("publish.images: no image `{name}` is defined")),
                // Nobody else could build it again and get the same.
                Some(From::Dockerfile(_)) => {
                    return Err(format!(
                        "publish.images: `{name}` is built by a Dockerfile; only images that cargo xtask assembles are published"
                    ));
                }
                Some(_) => {}
            }
        }
        for (key, lines) in [("gate", &self.gate), ("attest", &self.attest), ("checks", &self.checks)] {
            for line in lines {
                let unknown = expand(line, "", "").into_iter().find(|word| word.contains("{{"));
                if let Some(word) = unknown {
                    return Err(format!(
                        "publish.{key}: `{word}` has no meaning; allowed are `{{{{layout}}}}` and `{{{{image}}}}`"
                    ));
                }
                if line.trim().is_empty() || line.starts_with("cargo") {
                    return Err(format!(
                        "publish.{key}: `{line}` must be what follows `cargo xtask`, such as `verify --variant all`"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl PublishSpec {
    /// The variables that attestations read keys from: `env://NAME`, and the key's password.
    pub fn secrets(&self) -> Vec<String> {
        let words = self.attest.iter().flat_map(|line| line.split_whitespace());
        let mut names: Vec<String> =
            words.filter_map(|word| Some(word.strip_prefix("env://")?.to_string())).collect();
        names.sort();
        names.dedup();
        if !names.is_empty() {
            names.push("COSIGN_PASSWORD".into());
        }
        names
    }
}

/// Whether the line is about one image.
pub fn is_per_image(line: &str) -> bool {
    line.contains("{{image}}")
}

/// The line's words. No word of a line holds a space, but what stands in for a name may.
pub fn expand(line: &str, layout: &str, image: &str) -> Vec<String> {
    let word = |word: &str| word.replace("{{image}}", image).replace("{{layout}}", layout);
    line.split_whitespace().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches() {
        let spec = PublishSpec { branches: vec!["main".into(), "release/*".into()], ..Default::default() };
        let check = |branch: &str, expect| assert_eq!(spec.allows(branch), expect, "{branch}");
        check("main", true);
        check("main2", false);
        check("release/1.0", true);
        check("release", false);
        check("", false);
    }

    #[test]
    fn lines() {
        assert_eq!(
            expand("sign  {{image}} --key k", "/a b", "oci:/a b:1"),
            ["sign", "oci:/a b:1", "--key", "k"]
        );
        let check = |line: &str, expect: &str| {
            let spec = PublishSpec { checks: vec![line.into()], ..Default::default() };
            let problem = spec.check(&BTreeMap::new()).err().unwrap_or_default();
            assert!(problem.contains(expect) && problem.is_empty() == expect.is_empty(), "{line}: {problem}");
        };
        check("verify --layout {{layout}}", "");
        check("verify {{digest}}", "`{{digest}}` has no meaning; allowed are `{{layout}}` and `{{image}}`");
        check("cargo xtask verify", "must be what follows `cargo xtask`");
        check(" ", "must be what follows");
    }
}
