//! RustSec's advisories (<https://github.com/rustsec/advisory-db>): TOML in the first code block of a Markdown file.
//!
//! Read here and not by the `rustsec` crate: that would add 25 s of processor time to xtask's cold build, which has a
//! minute, for these few fields. `tests/rustsec.rs` holds this against that.

use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::auditable::Scope;
use crate::error::{Error, Result};
use crate::finding::{Finding, Severity};
use crate::inventory::Inventory;
use crate::range;

/// One advisory.
#[derive(Clone, Debug)]
pub struct Advisory {
    id: String,
    package: String,
    title: String,
    severity: Severity,
    is_withdrawn: bool,
    /// Whether it is one on Linux, which is what runs in the images.
    is_for_linux: bool,
    /// Versions that are not, or no longer, vulnerable.
    safe: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct Document {
    advisory: Front,
    #[serde(default)]
    affected: Affected,
    #[serde(default)]
    versions: Versions,
}

/// Where a vulnerability is one; nothing means everywhere.
#[derive(Default, Deserialize)]
struct Affected {
    #[serde(default)]
    os: Vec<String>,
}

#[derive(Deserialize)]
struct Front {
    id: String,
    package: String,
    cvss: Option<String>,
    informational: Option<String>,
    withdrawn: Option<toml::Value>,
}

#[derive(Default, Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

impl Advisory {
    /// Parses the text of `file`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none.
    pub fn parse(file: &str, text: &str) -> Result<Advisory> {
        let invalid = |problem: String| Error::invalid(file, problem);
        let (front, rest) = text
            .split_once("```toml")
            .and_then(|(_, rest)| rest.split_once("\n```"))
            .ok_or_else(|| invalid("has no ```toml block".into()))?;
        let document: Document =
            toml::from_str(front.trim_end()).map_err(|e| invalid(e.message().to_string()))?;
        let title = rest.lines().find_map(|l| l.strip_prefix("# ")).unwrap_or_default().trim().to_string();
        let Front { id, package, cvss, informational, withdrawn } = document.advisory;
        let severity = match (&cvss, &informational) {
            // What is only unmaintained or unsound in theory.
            (_, Some(_)) => Severity::Low,
            (Some(vector), None) => vector
                .parse::<cvss::Cvss>()
                .map_or(Severity::High, |cvss| Severity::parse(&format!("{:?}", cvss.severity()))),
            // A vulnerability that nobody rated is not harmless.
            (None, None) => Severity::High,
        };
        let safe = [document.versions.patched, document.versions.unaffected].concat();
        let os = document.affected.os;
        let is_for_linux = os.is_empty() || os.iter().any(|os| os == "linux");
        Ok(Advisory { id, package, title, severity, is_withdrawn: withdrawn.is_some(), is_for_linux, safe })
    }

    fn hits(&self, name: &str, version: &Version) -> bool {
        !self.is_withdrawn
            && self.is_for_linux
            && self.package == name
            && !self.safe.iter().any(|r| range::holds(r, version))
    }
}

/// The crates of `inventory` that the advisories are about.
pub fn findings(inventory: &Inventory, advisories: &[Advisory]) -> Vec<Finding> {
    let mut found = Vec::new();
    for component in inventory.components.iter().filter(|c| c.purl.starts_with("pkg:cargo/")) {
        let Ok(version) = Version::parse(&component.version) else { continue };
        for advisory in advisories.iter().filter(|a| a.hits(&component.name, &version)) {
            let patched: Vec<String> = advisory.safe.iter().map(ToString::to_string).collect();
            let way_out = if patched.is_empty() {
                "no version is safe".into()
            } else {
                format!("safe: {}", patched.join(" or "))
            };
            // What only took part in the build is not in the image.
            let is_build = component.scope == Some(Scope::Build);
            found.push(Finding {
                severity: if is_build { Severity::Low } else { advisory.severity },
                rule: advisory.id.clone(),
                place: component.purl.clone(),
                message: format!(
                    "{}{} ({way_out})",
                    advisory.title,
                    if is_build { ", in the build alone" } else { "" }
                ),
                tool: "rustsec",
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"libc\"\ndate = \"2024-01-01\"\n\
        cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n[versions]\npatched = [\">= 0.2.5\"]\n\
        unaffected = [\"< 0.2.0\"]\n```\n\n# Overflow\n\nText.\n";

    #[test]
    fn which_versions_are_hit() {
        let advisory = Advisory::parse("a.md", TEXT).unwrap();
        assert_eq!((advisory.severity, advisory.title.as_str()), (Severity::Critical, "Overflow"));
        let check = |name: &str, version: &str, expect: bool| {
            assert_eq!(advisory.hits(name, &Version::parse(version).unwrap()), expect, "{version}");
        };
        check("libc", "0.2.4", true);
        check("libc", "0.2.5", false);
        check("libc", "0.3.0", false);
        check("libc", "0.1.9", false);
        check("libc", "0.2.5-rc.1", true);
        check("libc", "0.3.0-rc.1", false);
        check("other", "0.2.4", false);
    }

    #[test]
    fn severity_and_withdrawal() {
        let check = |from: &str, to: &str, severity: Severity, is_withdrawn: bool| {
            let advisory = Advisory::parse("a.md", &TEXT.replace(from, to)).unwrap();
            assert_eq!((advisory.severity, advisory.is_withdrawn), (severity, is_withdrawn));
        };
        check("cvss", "informational = \"unmaintained\"\ncvss", Severity::Low, false);
        check("cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n", "", Severity::High, false);
        check("date =", "withdrawn = \"2024-02-02\"\ndate =", Severity::Critical, true);
        for wrong in ["", "# no block", "```toml\n[advisory]\n```\n"] {
            Advisory::parse("a.md", wrong).unwrap_err();
        }
    }

    /// As the database has them: with the fields that it has had over the years.
    #[test]
    fn the_forms_of_the_database() {
        let check = |front: &str, version: &str, expect: Option<Severity>| {
            let text = format!(
                "```toml\n[advisory]\nid = \"RUSTSEC-2021-0001\"\npackage = \"libc\"\ndate = \"2021-01-01\"\n{front}\n```\n\n# Title\n"
            );
            for text in [text.replace('\n', "\r\n"), text] {
                let advisory = Advisory::parse("a.md", &text).unwrap();
                assert_eq!(advisory.title, "Title");
                let hit = advisory.hits("libc", &Version::parse(version).unwrap());
                assert_eq!(hit.then_some(advisory.severity), expect, "{front} {version}");
            }
        };
        let affected = "url = \"https://example.org\"\ncategories = [\"memory-corruption\"]\nkeywords = [\"x\"]\n\
            aliases = [\"CVE-2020-1\", \"GHSA-aaaa-bbbb-cccc\"]\nrelated = []\nreferences = [\"https://example.org\"]\n\
            license = \"CC-BY-4.0\"\ncollection = \"crates\"\n\
            cvss = \"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H\"\n\n[affected]\narch = [\"x86_64\"]\nOS\n\
            [affected.functions]\n\"libc::at\" = [\"< 0.2.23\"]\n\n[versions]\npatched = [\">= 0.2.23\"]\n\
            unaffected = [\"=0.2.0\", \"=0.2.1\"]";
        let linux = affected.replace("OS", "os = [\"linux\", \"macos\"]");
        check(&linux, "0.2.22", Some(Severity::Medium));
        check(&linux, "0.2.1", None);
        check(&affected.replace("OS", "os = [\"windows\"]"), "0.2.22", None);
        check(&affected.replace("OS", ""), "0.2.22", Some(Severity::Medium));
        // No version is safe; two series are patched; a range is.
        check("[versions]\npatched = []", "9.0.0", Some(Severity::High));
        check("", "9.0.0", Some(Severity::High));
        let two = "[versions]\npatched = [\"^1.0.5\", \">= 1.1.2\"]\nunaffected = [\"< 1.0.0\"]";
        check(two, "1.0.4", Some(Severity::High));
        check(two, "1.1.1", None);
        check("[versions]\npatched = [\">= 0.1.5, < 0.2.0\", \">= 0.2.3\"]", "0.2.2", Some(Severity::High));
        // CVSS 4, and a vector that nobody can read.
        let cvss = "cvss = \"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H\"";
        check(cvss, "1.0.0", Some(Severity::Critical));
        check("cvss = \"CVSS:9.9/X:Y\"", "1.0.0", Some(Severity::High));
        for kind in ["unmaintained", "unsound", "notice"] {
            check(&format!("informational = \"{kind}\""), "1.0.0", Some(Severity::Low));
        }
        check("withdrawn = \"2022-01-01\"", "1.0.0", None);
    }
}
