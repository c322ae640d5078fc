//! The tags of a release: the full version, and of the names that float those that the version has a right to.
//!
//! 1. A version that another one equals but for build metadata, which no tag can hold, is refused.
//! 2. Each suffix gets the full version.
//! 3. A stable version gets the names of the series it is in (`1.2`, `1`, the bare suffix or `latest`), each only
//!    where no stable version known to exist in that series is higher. So a backport takes nothing away.
//! 4. A pre-release gets nothing else, and takes part in no comparison, so it blocks nothing.

use super::Tags;
use super::grammar::{self, Grammar};
use super::version::{Version, series_text};
use crate::error::{Error, Result};

/// A name that moves from version to version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// `1.2` of 1.2.3.
    Minor,
    /// `1` of 1.2.3.
    Major,
    /// The bare suffix; without a suffix, `latest`.
    Latest,
}

/// One way in which names of a release end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// Without the `-` in front; empty for the names that have none.
    pub text: String,
    /// Whether it has versions, rather than only the name of the newest one.
    pub versions: bool,
}

impl Suffix {
    /// With versions.
    pub fn full(text: &str) -> Suffix {
        Suffix { text: text.into(), versions: true }
    }
}

/// What a release of these suffixes may be called.
#[derive(Clone, Debug)]
pub struct Policy<'a> {
    /// Which floating names there are.
    pub levels: &'a [Level],
    /// Whether versions 0.x have the tag `0`.
    pub zero_major: bool,
    /// The suffixes, in the order of the tags.
    pub suffixes: &'a [Suffix],
}

/// The tags of `version`, when `released` is what exists already; that may hold `version` itself.
pub fn names(version: &Version, policy: &Policy<'_>, released: &[Version]) -> Tags {
    let mut tags = Tags { version: version.to_string(), ..Tags::default() };
    for suffix in policy.suffixes {
        let full = version.to_string();
        if suffix.versions {
            tags.take(grammar::join(&full, &suffix.text), format!("the full version {full}"));
        }
        for level in policy.levels {
            float(&mut tags, version, *level, suffix, policy, released);
        }
    }
    tags
}

/// Decides one floating name.
fn float(
    tags: &mut Tags,
    version: &Version,
    level: Level,
    suffix: &Suffix,
    policy: &Policy<'_>,
    released: &[Version],
) {
    let count = match level {
        Level::Minor => 2,
        Level::Major => 1,
        Level::Latest => 0,
    };
    // `18` is no series of a version `18`, nor is anything of a name that has no versions.
    if count >= version.numbers.len() || (count > 0 && !suffix.versions) {
        return;
    }
    let series = &version.numbers[..count];
    let name = grammar::join(&series_text(series), &suffix.text);
    if !version.is_stable() {
        return tags.leave(name, format!("{version} is a pre-release, which has its full version alone"));
    }
    if level == Level::Major && series == [0] && !policy.zero_major {
        return tags.leave(
            name,
            "versions 0.x promise nothing to each other; `zero-major = true` in images.toml changes that"
                .into(),
        );
    }
    let what = match series {
        [] => "stable version".to_string(),
        _ => format!("stable version of the series {}", series_text(series)),
    };
    let rival = released
        .iter()
        .filter(|r| r.is_stable() && r.is_like(version) && r.is_in(series))
        .max_by(|a, b| a.by_numbers(b))
        .filter(|r| r.by_numbers(version).is_gt());
    match rival {
        Some(rival) => tags.leave(name, format!("not moved: {rival} is the highest {what}, not {version}")),
        None => tags.take(name, format!("{version} is the highest {what}")),
    }
}

/// Refuses a version that differs from one of `tagged`, of which the build metadata is known, in that alone.
///
/// # Errors
/// [`Error::Usage`] with the next free number.
pub fn check_distinct(version: &Version, tagged: &[Version]) -> Result<()> {
    let same = |other: &Version| other.numbers == version.numbers && other.pre == version.pre;
    match tagged.iter().find(|other| same(other) && other.build != version.build) {
        None => Ok(()),
        Some(twin) => Err(Error::Usage(format!(
            "version `{}` and the existing `{}` differ in build metadata alone, which no tag can hold; release a \
             version of its own, such as `--version {}`",
            spelled(version),
            spelled(twin),
            next(version)
        ))),
    }
}

/// With its build metadata.
fn spelled(version: &Version) -> String {
    if version.build.is_empty() { version.to_string() } else { format!("{version}+{}", version.build) }
}

fn next(version: &Version) -> String {
    let mut numbers = version.numbers.clone();
    if let Some(last) = numbers.last_mut() {
        *last = last.saturating_add(1);
    }
    series_text(&numbers)
}

/// The version that somebody typed or tagged, which must be one of three numbers (Semantic Versioning).
///
/// # Errors
/// [`Error::Usage`], which knows a variant from a pre-release.
pub fn parse_version(grammar: &Grammar, typed: &str) -> Result<Version> {
    let text = typed.strip_prefix('v').unwrap_or(typed);
    let Some(version) = semver::Version::parse(text).ok().map(|v| Version::from(&v)) else {
        return Err(Error::Usage(format!(
            "version `{typed}`: must be MAJOR.MINOR.PATCH[-PRE-RELEASE][+BUILD], such as `--version 1.2.3`"
        )));
    };
    let Some(suffix) = grammar.taken(&version) else { return Ok(version) };
    let (kind, flag) = if grammar.variants.iter().any(|v| v == suffix) {
        ("variant", "variant")
    } else {
        ("compatibility suffix", "compat")
    };
    let bare = version.to_string();
    let bare = bare.strip_suffix(suffix).map_or(bare.as_str(), |b| b.trim_end_matches('-'));
    Err(Error::Usage(format!(
        "version `{typed}`: `{suffix}` is a {kind}, not a pre-release; use `--version {bare} --{flag} {suffix}`"
    )))
}

/// The versions among names that exist, be they git tags (`v1.2.3+build`) or a registry's (`1.2.3-alpine`).
pub fn released<'a>(grammar: &Grammar, names: impl IntoIterator<Item = &'a str>) -> Vec<Version> {
    let mut versions = Vec::new();
    for name in names {
        let name = name.trim();
        let name = name.strip_prefix('v').unwrap_or(name);
        // Build metadata stands in git tags alone, and ends them.
        let (name, build) = name.split_once('+').unwrap_or((name, ""));
        let Some(grammar::Stem::Full(version)) = grammar.parse(name).map(|n| n.stem) else { continue };
        let version = Version { build: build.into(), ..version };
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions
}
