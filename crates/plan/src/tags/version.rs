//! A version as tags write it: numbers with dots, then perhaps a pre-release.
//!
//! Wider than Semantic Versioning, of which it is a superset: `18.6` and `19beta3` are versions of programs that
//! ship images, and the rules for what floats are the same for them.

use std::cmp::Ordering;
use std::fmt;

/// A version. Its display is what the full-version tag says, which is never the build metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `[1, 2, 3]`.
    pub numbers: Vec<u64>,
    /// What follows the numbers, with the `-` if there is one: `-rc.1`, `beta3`; empty for a stable version.
    pub pre: String,
    /// What follows a `+`.
    pub build: String,
}

impl Version {
    /// Reads `1.2.3`, `18.6`, `19beta3`, `3.5-dev5`, `1.0.0-rc.1+build`. A `v` in front is not part of a version.
    pub fn parse(text: &str) -> Option<Version> {
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (numbers, pre) = text.split_at(end);
        let numbers = numbers.split('.').map(number).collect::<Option<Vec<u64>>>()?;
        let identifiers = pre.strip_prefix('-').unwrap_or(pre);
        let legal = |text: &str| {
            text.split('.')
                .all(|i| !i.is_empty() && i.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        };
        let sound = (pre.is_empty() || legal(identifiers)) && build.is_none_or(legal) && numbers.len() <= 4;
        sound.then(|| Version { numbers, pre: pre.into(), build: build.unwrap_or_default().into() })
    }

    /// Whether it is no pre-release.
    pub fn is_stable(&self) -> bool {
        self.pre.is_empty()
    }

    /// Whether the other one has as many numbers: `1.2` is no version where versions have three.
    pub fn is_like(&self, other: &Version) -> bool {
        self.numbers.len() == other.numbers.len()
    }

    /// Whether it belongs to the series that these numbers name: 1.2.3 to `[1]`, `[1, 2]` and `[]`.
    pub fn is_in(&self, series: &[u64]) -> bool {
        self.numbers.starts_with(series)
    }

    /// Order among stable versions.
    pub fn by_numbers(&self, other: &Version) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

/// Without leading zeros, so that every version has one spelling.
fn number(text: &str) -> Option<u64> {
    let sound = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| sound && text.bytes().all(|b| b.is_ascii_digit()))
}

impl From<&semver::Version> for Version {
    fn from(version: &semver::Version) -> Version {
        let pre = if version.pre.is_empty() { String::new() } else { format!("-{}", version.pre) };
        Version {
            numbers: vec![version.major, version.minor, version.patch],
            pre,
            build: version.build.to_string(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", series_text(&self.numbers), self.pre)
    }
}

/// `1.2` for `[1, 2]`.
pub fn series_text(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let check = |text: &str, numbers: &[u64], pre: &str, build: &str| {
            let version = Version::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (version.numbers.as_slice(), version.pre.as_str(), version.build.as_str()),
                (numbers, pre, build)
            );
            assert_eq!(version.to_string(), text.split('+').next().unwrap());
        };
        check("1.2.3", &[1, 2, 3], "", "");
        check("0.0.0", &[0, 0, 0], "", "");
        check("18.6", &[18, 6], "", "");
        check("19beta3", &[19], "beta3", "");
        check("3.5-dev5", &[3, 5], "-dev5", "");
        check("1.0.0-rc.1+b.7", &[1, 0, 0], "-rc.1", "b.7");
        check("1.0.0--x-", &[1, 0, 0], "--x-", "");
        for text in [
            "",
            "v1.2.3",
            "1.",
            ".1",
            "1..2",
            "01.2",
            "1.2.3-",
            "1.2.3-a..b",
            "1.2.3+",
            "latest",
            "1_2",
            "1.2.3-ä",
        ] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
        assert!(Version::parse("99999999999999999999.0.0").is_none());
    }
}
