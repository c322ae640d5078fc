//! The names of images: from a version or a git ref to the ordered tags, each with its reason.
//!
//! There are two ways, which share what a tag may look like:
//!
//! - our own rules: [`release`] names versions after docker-library's practice, [`name`] everything else after the
//!   templates of images.toml; [`engine`] chooses between them;
//! - docker/metadata-action's rules, as a workflow has them: [`metadata`].
//!
//! What exists already (git tags, a registry's tags) comes in as data, so everything here is a pure function.

pub mod context;
pub mod engine;
pub mod event;
pub mod flavor;
pub mod grammar;
pub mod metadata;
mod moment;
pub mod name;
pub mod output;
mod pep440;
pub mod release;
pub mod rule;
pub mod spec;
pub mod template;
pub mod version;

use serde::Serialize;

pub use context::{Context, GitRef};
pub use engine::{Request, Subject};
pub use spec::TagSpec;

use crate::spec::{ImageSpec, Variant};
use version::Version;

/// A tag and why it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// The tag.
    #[serde(rename = "tag")]
    pub name: String,
    /// For people.
    pub why: String,
}

/// The names of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// What the build calls itself: the full version of a release, else the first tag.
    pub version: String,
    /// What it is to be called, in order, each once.
    pub tags: Vec<Tag>,
    /// Names that one might have expected, and why it doesn't get them.
    pub left: Vec<Tag>,
}

impl Tags {
    /// The build gets the name.
    pub fn take(&mut self, name: String, why: String) {
        if !self.tags.iter().any(|t| t.name == name) {
            self.tags.push(Tag { name, why });
        }
    }

    /// The build does not get the name.
    pub fn leave(&mut self, name: String, why: String) {
        if !self.left.iter().any(|t| t.name == name) {
            self.left.push(Tag { name, why });
        }
    }

    /// The names alone.
    pub fn names(&self) -> Vec<String> {
        self.tags.iter().map(|t| t.name.clone()).collect()
    }
}

/// The tags of `version` for `variant` of the image, when it is the newest of every series that it belongs to: what
/// documentation says, and what a local build is called, which nobody else's tags depend on.
pub fn newest(
    spec: &TagSpec,
    image: &ImageSpec,
    version: &semver::Version,
    variant: &Variant,
) -> Vec<String> {
    let suffixes = spec::suffixes(image, image.default_compat.as_deref(), variant);
    let policy = spec.policy(&suffixes);
    release::names(&Version::from(version), &policy, &[]).names()
}

/// The longest that a tag may be (distribution-spec, "Pulling manifests").
pub const MAX_LENGTH: usize = 128;

/// Whether the tag is `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
///
/// # Errors
/// What is wrong and what is allowed.
pub fn check_legal(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("is empty; a tag has 1 to 128 characters".into());
    }
    if name.len() > MAX_LENGTH {
        return Err(format!("has {} characters; allowed are up to {MAX_LENGTH}", name.len()));
    }
    if name.starts_with(['-', '.']) {
        return Err("starts with `-` or `.`; a letter, a digit or `_` must come first".into());
    }
    match name.chars().find(|c| !is_tag_char(*c)) {
        Some(wrong) => Err(format!("holds `{wrong}`; allowed are letters, digits, `_`, `.` and `-`")),
        None => Ok(()),
    }
}

fn is_tag_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// Replaces each run of characters that no tag may have by one `-`.
fn replace_illegal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut replaced = false;
    for c in text.chars() {
        if is_tag_char(c) {
            out.push(c);
        } else if !replaced {
            out.push('-');
        }
        replaced = !is_tag_char(c);
    }
    out
}

/// Eight digits that stand for a name that could not be kept whole.
fn mark(original: &str) -> String {
    oci::digest::sha256(original.as_bytes()).digest()[..8].to_string()
}

/// The text, cut to `limit` characters; one that is cut ends in the mark of the original. Only ASCII comes in.
fn cut(text: &str, limit: usize, original: &str) -> String {
    if text.len() <= limit {
        return text.into();
    }
    let mark = mark(original);
    format!("{}-{mark}", text[..limit.saturating_sub(mark.len() + 1)].trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tag_may_be() {
        let check = |name: &str, expect: &str| {
            let problem = check_legal(name).err().unwrap_or_default();
            assert!(problem.contains(expect) && problem.is_empty() == expect.is_empty(), "{name}: {problem}");
        };
        for legal in ["latest", "1.2.3-alpine", "_x", "A.b-C_9", &"a".repeat(128)] {
            check(legal, "");
        }
        check("", "is empty");
        check(&"a".repeat(129), "has 129 characters");
        check("-a", "starts with");
        check(".a", "starts with");
        check("a+b", "holds `+`");
        check("a/b", "holds `/`");
        check("ä", "holds `ä`");
    }

    #[test]
    fn what_is_replaced_and_cut() {
        let check = |text: &str, expect: &str| assert_eq!(replace_illegal(text), expect);
        check("feature/x", "feature-x");
        check("a//#b", "a-b");
        check("äöü1", "-1");
        check("a-/b", "a--b");
        assert_eq!(cut("abc", 3, "abc"), "abc");
        let long = "a".repeat(200);
        assert_eq!(cut(&long, 128, &long).len(), 128);
        assert_ne!(cut(&long, 128, "one"), cut(&long, 128, "other"));
    }

    #[test]
    fn releases_that_are_the_newest() {
        let catalogue = crate::testing::spec();
        let image = &catalogue.images["server"];
        let check = |version: &str, variant: &str, expect: &str| {
            let tags = newest(&catalogue.tags, image, &version.parse().unwrap(), &Variant(variant.into()));
            assert_eq!(tags.join(" "), expect, "{version} {variant}");
        };
        check("1.2.3", "debian", "1.2.3-debian 1.2-debian 1-debian debian");
        check("1.2.3", "alpine", "1.2.3-alpine 1.2-alpine 1-alpine alpine 1.2.3 1.2 1 latest");
        check("0.4.0", "debian", "0.4.0-debian 0.4-debian debian");
        check("0.4.0", "alpine", "0.4.0-alpine 0.4-alpine alpine 0.4.0 0.4 latest");
        check("2.0.0-rc.1", "debian", "2.0.0-rc.1-debian");
        check("2.0.0-rc.1", "alpine", "2.0.0-rc.1-alpine 2.0.0-rc.1");
        check("1.2.3+build.5", "alpine", "1.2.3-alpine 1.2-alpine 1-alpine alpine 1.2.3 1.2 1 latest");
    }
}
