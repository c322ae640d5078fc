//! Our reader of RustSec's advisories beside RustSec's own, the crate `rustsec`, which is too heavy for xtask: the same
//! folder, the same versions, the same answer.

#![allow(clippy::disallowed_methods, reason = "the other reader takes a folder, which this test makes")]

use std::fs;

use rustsec::database::Query;
use rustsec::platforms::OS;
use rustsec::{Collection, Database};
use semver::Version;
use supply::auditable::Scope;
use supply::finding::Severity;
use supply::inventory::{Component, Inventory};
use supply::rustsec::{Advisory, findings};

/// What stands in the advisories behind their first lines.
const ADVISORIES: &[&str] = &[
    "[versions]\npatched = [\">= 0.2.5\"]\nunaffected = [\"< 0.2.0\"]",
    "[versions]\npatched = []",
    "[versions]\npatched = [\"~1.0.5\", \">= 1.1.2\"]\nunaffected = [\"< 1.0.0\"]",
    "[versions]\npatched = [\">= 0.1.5, < 0.2.0\", \">= 0.2.3\"]",
    "[versions]\npatched = [\">= 1.0.0-rc.2\"]",
    "[versions]\npatched = [\"> 0.2.2\"]\nunaffected = [\"<= 0.1.9\"]",
    "[versions]\npatched = [\"~1.0.5\", \">= 1.1.0\"]",
    "[versions]\npatched = []\nunaffected = [\"=0.2.0\", \"=0.2.1\"]",
    "[versions]\npatched = []\nunaffected = [\">= 1.1.0\"]",
    "[versions]\npatched = [\"^0.1.5\", \"^0.2.3\", \">= 1.0.1\"]\nunaffected = [\"< 0.1.0\"]",
    "withdrawn = \"2024-02-01\"\n[versions]\npatched = [\">= 9.0.0\"]",
    "[affected]\nos = [\"windows\"]\n[versions]\npatched = [\">= 9.0.0\"]",
    "[affected]\nos = [\"linux\", \"macos\"]\narch = [\"x86_64\"]\n[versions]\npatched = [\">= 9.0.0\"]",
    "cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n[versions]\npatched = [\">= 9.0.0\"]",
    "cvss = \"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H\"\n[versions]\npatched = [\">= 9.0.0\"]",
    "cvss = \"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N\"\n[versions]\npatched = [\">= 9.0.0\"]",
    "cvss = \"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N\"\n[versions]\npatched = [\">= 9.0.0\"]",
];

const VERSIONS: &[&str] = &[
    "0.0.1",
    "0.1.0",
    "0.1.4",
    "0.1.5-rc.1",
    "0.1.5",
    "0.1.9",
    "0.2.0-alpha",
    "0.2.0",
    "0.2.1",
    "0.2.2",
    "0.2.3-beta.1",
    "0.2.3",
    "0.2.4",
    "0.2.5-rc.1",
    "0.2.5",
    "0.3.0-rc.1",
    "0.3.0",
    "1.0.0-rc.1",
    "1.0.0-rc.2",
    "1.0.0",
    "1.0.1-rc.1",
    "1.0.1",
    "1.0.4",
    "1.0.5-rc.1",
    "1.0.5",
    "1.0.6-rc.1",
    "1.1.0-rc.1",
    "1.1.0",
    "1.1.1",
    "1.1.2",
    "2.0.0-rc.1",
    "2.0.0",
    "9.0.0-rc.1",
    "9.0.0",
    "10.0.0",
];

fn text(number: usize, rest: &str) -> String {
    format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2024-{number:04}\"\npackage = \"libc\"\ndate = \"2024-01-01\"\n{rest}\n```\n\n# Title\n\nText.\n"
    )
}

fn libc(version: &str) -> Inventory {
    let component = Component {
        purl: format!("pkg:cargo/libc@{version}"),
        name: "libc".into(),
        version: version.into(),
        scope: Some(Scope::Runtime),
        is_program: false,
        licence: None,
        checksum: None,
        download: None,
        depends: Vec::new(),
    };
    Inventory { distribution: None, components: vec![component] }
}

#[test]
fn both_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let crates = folder.path().join("crates/libc");
    fs::create_dir_all(&crates).unwrap();
    let mut ours = Vec::new();
    for (number, rest) in ADVISORIES.iter().enumerate() {
        let (name, text) = (format!("RUSTSEC-2024-{number:04}.md"), text(number, rest));
        fs::write(crates.join(&name), &text).unwrap();
        ours.push(Advisory::parse(&name, &text).unwrap());
    }
    let theirs = Database::open(folder.path()).unwrap();
    for version in VERSIONS {
        let query = Query::new()
            .collection(Collection::Crates)
            .withdrawn(false)
            .target_os(vec![OS::Linux])
            .package_name("libc".parse().unwrap())
            .package_version(version.parse::<Version>().unwrap());
        let mut expect: Vec<(String, Severity)> = Vec::new();
        for advisory in theirs.query(&query) {
            // What nobody rated is high to us.
            let severity =
                advisory.severity().map_or(Severity::High, |severity| Severity::parse(severity.as_str()));
            expect.push((advisory.id().to_string(), severity));
        }
        let found = findings(&libc(version), &ours);
        let mut found: Vec<(String, Severity)> = found.into_iter().map(|f| (f.rule, f.severity)).collect();
        expect.sort();
        found.sort();
        assert_eq!(found, expect, "libc {version}");
    }
}
