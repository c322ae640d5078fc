//! Which names belong to releases: `VERSION[-COMPAT][-VARIANT]`, `SERIES…`, `COMPAT[-VARIANT]`, `VARIANT`, `latest`.
//!
//! The grammar is unambiguous both ways. A name is read from its end: a last part that is a variant is the variant,
//! one before it that is a compatibility suffix is that, and what is left must be a version, a part of one, or
//! nothing. It holds because (1) variants and compatibility suffixes are known names that no custom of naming
//! pre-releases uses, which the Spec is checked for, and (2) a version whose pre-release ends in such a name is
//! no version here: `1.0.0-alpine` is 1.0.0 on Alpine and nothing else.

use super::version::{Version, series_text};

/// The names that may follow a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    /// Such as `alpine`.
    pub variants: Vec<String>,
    /// Such as `pg18`.
    pub compats: Vec<String>,
}

/// What a name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// In front of the suffixes.
    pub stem: Stem,
    /// The compatibility suffix.
    pub compat: Option<String>,
    /// The variant.
    pub variant: Option<String>,
}

/// What a name says in front of its suffixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stem {
    /// One version, with three numbers.
    Full(Version),
    /// `1` or `1.2`.
    Series(Vec<u64>),
    /// The newest: `latest` without suffixes, nothing with them.
    Newest,
}

impl Grammar {
    /// What the name says, if it is a release's.
    pub fn parse(&self, name: &str) -> Option<Name> {
        let (rest, variant) = strip(name, &self.variants);
        let (rest, compat) = strip(rest, &self.compats);
        let suffixed = variant.is_some() || compat.is_some();
        let stem = match rest {
            "" if suffixed => Stem::Newest,
            "latest" if !suffixed => Stem::Newest,
            _ => {
                let version =
                    Version::parse(rest).filter(|v| v.build.is_empty() && self.taken(v).is_none())?;
                match version.numbers.len() {
                    3 if version.pre.is_empty() || version.pre.starts_with('-') => Stem::Full(version),
                    1 | 2 if version.is_stable() => Stem::Series(version.numbers),
                    _ => return None,
                }
            }
        };
        Some(Name { stem, compat, variant })
    }

    /// The name; [`Grammar::parse`] gives it back.
    pub fn render(name: &Name) -> String {
        let stem = match &name.stem {
            Stem::Full(version) => version.to_string(),
            Stem::Series(numbers) => series_text(numbers),
            Stem::Newest => String::new(),
        };
        join(&stem, &suffix(name.compat.as_deref(), name.variant.as_deref()))
    }

    /// The suffix that the version's pre-release ends in, which makes it no version.
    pub fn taken<'a>(&self, version: &'a Version) -> Option<&'a str> {
        let tail = version.pre.rsplit('-').next().unwrap_or_default();
        (self.variants.iter().chain(&self.compats).any(|n| n == tail)).then_some(tail)
    }

    /// Whether the name ends in a suffix or is one, as `main-alpine` and `alpine`.
    pub fn is_suffixed(&self, name: &str) -> bool {
        let tail = name.rsplit('-').next().unwrap_or_default();
        self.variants.iter().chain(&self.compats).any(|n| n == tail)
    }
}

/// The suffix for both axes: `pg18-alpine`.
pub fn suffix(compat: Option<&str>, variant: Option<&str>) -> String {
    [compat, variant].into_iter().flatten().collect::<Vec<_>>().join("-")
}

/// A name with a suffix. Nothing with a suffix is the bare suffix, nothing with nothing is `latest`.
pub fn join(stem: &str, suffix: &str) -> String {
    match (stem, suffix) {
        ("", "") => "latest".into(),
        ("", only) | (only, "") => only.into(),
        (stem, suffix) => format!("{stem}-{suffix}"),
    }
}

/// Why no variant or compatibility suffix may have this name.
pub fn unfit(name: &str) -> Option<String> {
    let sound = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && name.starts_with(|c: char| c.is_ascii_lowercase());
    if !sound {
        return Some("must be lower-case letters and digits, a letter first".into());
    }
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    RESERVED.contains(&word).then(|| {
        format!("`{word}` reads as a pre-release or as another kind of tag; any other word is allowed")
    })
}

/// What people call pre-releases and moving tags, with or without a number behind: as a suffix, `1.0.0-rc1` would
/// have two meanings.
const RESERVED: &[&str] = &[
    "a", "alpha", "b", "beta", "c", "canary", "dev", "edge", "git", "latest", "next", "nightly", "pr", "pre",
    "preview", "rc", "sha", "snapshot", "v",
];

fn strip<'a>(name: &'a str, known: &[String]) -> (&'a str, Option<String>) {
    let (rest, tail) = name.rsplit_once('-').unwrap_or(("", name));
    // `-alpine` is no name: what stands in front of a `-` can't be nothing.
    let whole = !rest.is_empty() || !name.starts_with('-');
    match known.iter().find(|n| *n == tail && whole) {
        Some(found) => (rest, Some(found.clone())),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar() -> Grammar {
        let names = |text: &str| text.split(' ').map(String::from).collect();
        Grammar { variants: names("alpine debian"), compats: names("pg17 pg18") }
    }

    #[test]
    fn names_of_releases() {
        let check = |name: &str, stem: &str, compat: &str, variant: &str| {
            let parsed = grammar().parse(name).unwrap_or_else(|| panic!("{name}"));
            let text = match &parsed.stem {
                Stem::Full(v) => format!("full {v}"),
                Stem::Series(n) => format!("series {}", series_text(n)),
                Stem::Newest => "newest".into(),
            };
            let got = (text.as_str(), parsed.compat.as_deref(), parsed.variant.as_deref());
            let some = |text| Some(text).filter(|t: &&str| !t.is_empty());
            assert_eq!(got, (stem, some(compat), some(variant)), "{name}");
            assert_eq!(Grammar::render(&parsed), name);
        };
        check("1.0.0", "full 1.0.0", "", "");
        check("1.0.0-alpine", "full 1.0.0", "", "alpine");
        check("1.0.0-pg18", "full 1.0.0", "pg18", "");
        check("1.0.0-pg18-alpine", "full 1.0.0", "pg18", "alpine");
        check("1.0.0-rc.1", "full 1.0.0-rc.1", "", "");
        check("1.0.0-rc.1-pg18-alpine", "full 1.0.0-rc.1", "pg18", "alpine");
        check("1.0.0-alpine3", "full 1.0.0-alpine3", "", "");
        check("1.0.0-x-y-debian", "full 1.0.0-x-y", "", "debian");
        check("1.2", "series 1.2", "", "");
        check("1-pg18", "series 1", "pg18", "");
        check("1.2-alpine", "series 1.2", "", "alpine");
        check("latest", "newest", "", "");
        check("alpine", "newest", "", "alpine");
        check("pg18", "newest", "pg18", "");
        check("pg18-alpine", "newest", "pg18", "alpine");
        for name in [
            "",
            "main",
            "latest-alpine",
            "alpine-pg18",
            "alpine-alpine",
            "1.0.0-alpine-pg18",
            "1.0.0-alpine-alpine",
            "-alpine",
            "1.0.0--alpine",
            "v1.0.0",
            "1.0.0.0",
            "1-rc.1",
            "1.2beta1",
            "sha-abc1234",
            "edge",
            "1.0.0+b",
            "01.0.0",
            "1.0.0-pg18-pg17",
            "pg18-pg17",
            "main-alpine",
        ] {
            assert_eq!(grammar().parse(name), None, "{name}");
        }
    }

    #[test]
    fn suffixes_that_would_be_ambiguous() {
        let check = |name: &str, expect: &str| {
            let problem = unfit(name).unwrap_or_default();
            assert!(problem.contains(expect) && problem.is_empty() == expect.is_empty(), "{name}: {problem}");
        };
        for fit in ["alpine", "pg18", "trixie", "ubi9", "slim", "distroless", "alphabet"] {
            check(fit, "");
        }
        for word in
            ["rc", "rc1", "alpha", "beta2", "dev", "pre", "preview", "a1", "latest", "nightly", "sha", "v1"]
        {
            check(word, "reads as a pre-release");
        }
        for form in ["", "1x", "Alpine", "rc-1", "al.pine", "é"] {
            check(form, "lower-case letters and digits");
        }
    }
}
