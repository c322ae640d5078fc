//! Cutting a release: which version comes next, and what the files of the workspace say then.

pub mod changelog;
pub mod notes;

use semver::{BuildMetadata, Prerelease, Version};
use serde::Deserialize;
use toml::Spanned;

use crate::error::{Error, Result};
use crate::spec::parse_toml;

/// What is asked for: a step from the version of the sources, or a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A bug was fixed.
    Patch,
    /// Something was added.
    Minor,
    /// Something does not fit what was before.
    Major,
    /// A candidate for the next minor version, or the next candidate of the version that has one.
    Candidate,
    /// This one.
    Exact(Version),
}

impl Ask {
    /// Reads what was typed.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Error::Usage`].
    pub fn parse(typed: &str) -> Result<Ask> {
        Ok(match typed {
            "patch" => Ask::Patch,
            "minor" => Ask::Minor,
            "major" => Ask::Major,
            "rc" => Ask::Candidate,
            _ => match Version::parse(typed.strip_prefix('v').unwrap_or(typed)) {
                Ok(version) if version.build.is_empty() => Ask::Exact(version),
                Ok(_) => {
                    return Err(Error::Usage(format!(
                        "version `{typed}`: no tag can hold build metadata; leave out what stands behind the `+`"
                    )));
                }
                Err(_) if typed.starts_with(|c: char| c.is_ascii_digit() || c == 'v') => {
                    return Err(Error::Usage(format!(
                        "version `{typed}`: must be MAJOR.MINOR.PATCH[-PRE-RELEASE], such as `1.2.3` or `2.0.0-rc.1`"
                    )));
                }
                Err(_) => {
                    return Err(Error::unknown("step", typed, ["patch", "minor", "major", "rc", "VERSION"]));
                }
            },
        })
    }
}

/// The version that follows `current`. A candidate is followed by what it is a candidate for.
///
/// # Errors
/// [`Error::Usage`] for one that does not come after it.
pub fn next(current: &Version, ask: &Ask) -> Result<Version> {
    let plain = |major, minor, patch| Version::new(major, minor, patch);
    let Version { major, minor, patch, pre, .. } = current;
    let is_pre = !pre.is_empty();
    Ok(match ask {
        Ask::Patch if is_pre => plain(*major, *minor, *patch),
        Ask::Patch => plain(*major, *minor, patch + 1),
        Ask::Minor if is_pre && *patch == 0 => plain(*major, *minor, 0),
        Ask::Minor => plain(*major, minor + 1, 0),
        Ask::Major if is_pre && *minor == 0 && *patch == 0 => plain(*major, 0, 0),
        Ask::Major => plain(major + 1, 0, 0),
        Ask::Candidate => {
            let number: Option<u64> = pre.strip_prefix("rc.").and_then(|n| n.parse().ok());
            let (base, number) = match number {
                Some(number) => (plain(*major, *minor, *patch), number + 1),
                None if is_pre => (plain(*major, *minor, *patch), 1),
                None => (plain(*major, minor + 1, 0), 1),
            };
            let pre = Prerelease::new(&format!("rc.{number}")).expect("letters, a dot and digits");
            Version { pre, build: BuildMetadata::EMPTY, ..base }
        }
        Ask::Exact(version) if version < current => {
            return Err(Error::Usage(format!(
                "version {version}: the sources are {current} already; check out the branch of that series, such as \
                 `release/{}.{}`, or release a higher one",
                version.major, version.minor
            )));
        }
        Ask::Exact(version) => version.clone(),
    })
}

/// The workspace's manifest with that version, all else as it was.
///
/// # Errors
/// [`Error::Document`] where it has none.
pub fn bump(file: &str, text: &str, version: &Version) -> Result<String> {
    #[derive(Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(Deserialize)]
    struct Workspace {
        package: Package,
    }
    #[derive(Deserialize)]
    struct Package {
        version: Spanned<String>,
    }
    let manifest: Manifest = parse_toml(file, text)?;
    let span = manifest.workspace.package.version.span();
    Ok(format!("{}\"{version}\"{}", &text[..span.start], &text[span.end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_follow() {
        let check = |current: &str, ask: &str, expect: &str| {
            let got = Ask::parse(ask).and_then(|ask| next(&current.parse().unwrap(), &ask));
            match got {
                Ok(version) => assert_eq!(version.to_string(), expect, "{current} {ask}"),
                Err(e) => assert!(e.is_usage() && e.to_string().contains(expect), "{current} {ask}: {e}"),
            }
        };
        check("1.2.3", "patch", "1.2.4");
        check("1.2.3", "minor", "1.3.0");
        check("1.2.3", "major", "2.0.0");
        check("1.2.3", "rc", "1.3.0-rc.1");
        check("1.3.0-rc.1", "rc", "1.3.0-rc.2");
        check("1.3.0-rc.9", "rc", "1.3.0-rc.10");
        check("1.3.0-beta", "rc", "1.3.0-rc.1");
        check("1.3.0-rc.1", "patch", "1.3.0");
        check("1.3.0-rc.1", "minor", "1.3.0");
        check("1.3.0-rc.1", "major", "2.0.0");
        check("2.0.0-rc.1", "major", "2.0.0");
        check("1.3.1-rc.1", "minor", "1.4.0");
        check("0.1.0", "0.1.0", "0.1.0");
        check("0.1.0", "v1.0.0", "1.0.0");
        check("1.1.0", "2.0.0-rc.1", "2.0.0-rc.1");
        check("1.1.0", "1.0.1", "check out the branch of that series, such as `release/1.0`");
        check("2.0.0", "2.0.0-rc.1", "the sources are 2.0.0 already");
        check("1.1.0", "1.2.0+b", "no tag can hold build metadata");
        check("1.1.0", "1.2", "must be MAJOR.MINOR.PATCH");
        check("1.1.0", "pathc", "unknown step `pathc`, did you mean `patch`?");
        check("1.1.0", "", "unknown step");
    }

    #[test]
    fn the_manifest() {
        let text = "# x\n[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"1.0.0\" # y\n\n[workspace.dependencies]\na = { version = \"1.0.0\" }\n";
        let bumped = bump("Cargo.toml", text, &"1.2.0-rc.1".parse().unwrap()).unwrap();
        assert_eq!(bumped, text.replacen("\"1.0.0\"", "\"1.2.0-rc.1\"", 1));
        let own = include_str!("../../../Cargo.toml");
        let bumped = bump("Cargo.toml", own, &"99.0.0".parse().unwrap()).unwrap();
        assert_eq!(bumped.lines().zip(own.lines()).filter(|(a, b)| a != b).count(), 1);
        let error = bump("Cargo.toml", "[workspace]\n", &"1.0.0".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("Cargo.toml"), "{error}");
    }
}
