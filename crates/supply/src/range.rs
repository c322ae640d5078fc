//! Which versions a requirement of an advisory is about. Advisories mean every version between two, pre-releases too; Cargo,
//! and with it [`VersionReq::matches`], leaves pre-releases out that nobody asked for.

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

/// Whether `version` lies in the range.
pub fn holds(range: &VersionReq, version: &Version) -> bool {
    range.comparators.iter().all(|comparator| lies(comparator, version))
}

fn lies(comparator: &Comparator, version: &Version) -> bool {
    let Comparator { major, minor, patch, pre, .. } = comparator;
    let low = Version { pre: pre.clone(), ..Version::new(*major, minor.unwrap_or(0), patch.unwrap_or(0)) };
    let is_whole = patch.is_some();
    match comparator.op {
        Op::Greater if is_whole => *version > low,
        Op::Greater => *version >= beyond(comparator),
        Op::GreaterEq => *version >= low,
        Op::Less => *version < low,
        Op::LessEq if is_whole => *version <= low,
        Op::LessEq => *version < beyond(comparator),
        Op::Exact if is_whole => *version == low,
        Op::Caret => *version >= low && *version < beyond_compatible(comparator),
        // `1.2.*`, `=1.2`, `~1.2`; and `~1.2.3`, which goes as far as `~1.2`.
        _ => *version >= low && *version < beyond(comparator),
    }
}

/// The lowest version behind all that begin as the comparator does, its patch aside.
fn beyond(comparator: &Comparator) -> Version {
    match comparator.minor {
        None => first(comparator.major.saturating_add(1), 0, 0),
        Some(minor) => first(comparator.major, minor.saturating_add(1), 0),
    }
}

/// The lowest version that Cargo takes for incompatible with the comparator's.
fn beyond_compatible(comparator: &Comparator) -> Version {
    match (comparator.major, comparator.minor, comparator.patch) {
        (0, Some(0), Some(patch)) => first(0, 0, patch.saturating_add(1)),
        (0, Some(minor), _) => first(0, minor.saturating_add(1), 0),
        (major, ..) => first(major.saturating_add(1), 0, 0),
    }
}

/// The first of all pre-releases of a version.
fn first(major: u64, minor: u64, patch: u64) -> Version {
    let pre = Prerelease::new("0").expect("a number is one");
    Version { pre, ..Version::new(major, minor, patch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |range: &str, inside: &[&str], outside: &[&str]| {
            let range: VersionReq = range.parse().unwrap();
            for (versions, expect) in [(inside, true), (outside, false)] {
                for version in versions {
                    assert_eq!(holds(&range, &version.parse().unwrap()), expect, "{range} {version}");
                }
            }
        };
        check("*", &["0.0.1", "9.0.0-rc.1"], &[]);
        check(">= 1.2.3", &["1.2.3", "1.3.0-rc.1"], &["1.2.3-rc.1", "1.2.2"]);
        check("> 1.2.3", &["1.2.4", "1.2.4-rc.1"], &["1.2.3"]);
        check("> 1.2", &["1.3.0", "1.3.0-rc.1"], &["1.2.9"]);
        check("< 1.2.3", &["1.2.2", "1.2.3-rc.1"], &["1.2.3"]);
        check("<= 1.2.3", &["1.2.3"], &["1.2.4-rc.1", "1.2.4"]);
        check("<= 1", &["1.9.9"], &["2.0.0-rc.1"]);
        check("= 1.2.3", &["1.2.3"], &["1.2.3-rc.1", "1.2.4"]);
        check("= 1.2", &["1.2.0", "1.2.9"], &["1.3.0-rc.1"]);
        check("1.2.*", &["1.2.0", "1.2.9"], &["1.3.0-rc.1", "1.1.9"]);
        check("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0-rc.1"]);
        check("~1", &["1.0.0", "1.9.0"], &["2.0.0-rc.1"]);
        check("^1.2.3", &["1.2.3", "1.9.0"], &["1.2.2", "2.0.0-rc.1"]);
        check("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0-rc.1", "0.2.2"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4-rc.1", "0.0.2"]);
        check("^0.0", &["0.0.3"], &["0.1.0"]);
        check("^0", &["0.9.9"], &["1.0.0"]);
        check(">= 0.1.5, < 0.2.0", &["0.1.5", "0.2.0-rc.1"], &["0.1.4", "0.2.0"]);
    }
}
