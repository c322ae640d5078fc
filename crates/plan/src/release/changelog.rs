//! CHANGELOG.md: what was collected under `Unreleased` and what the commits say become the section of a release.
//!
//! Commits in the form of Conventional Commits 1.0 are entries: `feat`, `fix`, `perf`, and whatever breaks something.
//! Others are for developers and are counted.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use git_conventional::Commit;
use semver::Version;

use crate::error::{Error, Result};

/// Where entries are collected between releases.
const UNRELEASED: &str = "## Unreleased";

/// What the commits since the last release say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Breaks what was before.
    pub breaking: Vec<String>,
    /// Was added.
    pub added: Vec<String>,
    /// Was mended.
    pub fixed: Vec<String>,
    /// Became faster.
    pub faster: Vec<String>,
    /// How many others there are.
    pub others: usize,
}

impl Commits {
    /// Sorts whole messages, the oldest first.
    pub fn read<'a>(messages: impl IntoIterator<Item = &'a str>) -> Commits {
        let mut commits = Commits::default();
        for message in messages {
            let Ok(commit) = Commit::parse(message.trim()) else {
                commits.others += 1;
                continue;
            };
            let entry = match commit.scope() {
                Some(scope) => format!("{scope}: {}", commit.description()),
                None => commit.description().to_string(),
            };
            if commit.breaking() {
                let note = commit.breaking_description().filter(|text| *text != commit.description());
                commits.breaking.push(match note {
                    Some(note) => {
                        format!("{entry}: {}", note.split_whitespace().collect::<Vec<_>>().join(" "))
                    }
                    None => entry,
                });
                continue;
            }
            match commit.type_().as_str() {
                "feat" => commits.added.push(entry),
                "fix" => commits.fixed.push(entry),
                "perf" => commits.faster.push(entry),
                _ => commits.others += 1,
            }
        }
        commits
    }

    /// The smallest step that they allow, in words of the command line.
    pub fn least_step(&self) -> &'static str {
        match (self.breaking.is_empty(), self.added.is_empty()) {
            (false, _) => "major",
            (true, false) => "minor",
            (true, true) => "patch",
        }
    }

    /// Whether a release from `old` to `new` is smaller than they allow. Versions 0.x promise less by one.
    pub fn are_too_much_for(&self, old: &Version, new: &Version) -> bool {
        let step = match () {
            () if new.major > old.major => 2,
            () if new.minor > old.minor => 1,
            () => 0,
        };
        let needed = match self.least_step() {
            "major" => 2,
            "minor" => 1,
            _ => 0,
        };
        step < if old.major == 0 { needed.min(1) } else { needed }
    }
}

/// The section of a release: the collected entries, then those of commits that are not among them.
///
/// # Errors
/// [`Error::Document`] where `file` has no section `Unreleased`.
pub fn section(file: &str, text: &str, version: &Version, date: u64, commits: &Commits) -> Result<String> {
    let collected = split(file, text)?.1.trim();
    let mut section = format!("## {version} - {}\n", day(date));
    if !collected.is_empty() {
        let _ = write!(section, "\n{collected}\n");
    }
    let lists = [
        ("Breaking", &commits.breaking),
        ("Added", &commits.added),
        ("Fixed", &commits.fixed),
        ("Faster", &commits.faster),
    ];
    for (title, list) in lists {
        let fresh: Vec<&String> = list.iter().filter(|entry| !collected.contains(entry.as_str())).collect();
        if !fresh.is_empty() {
            let _ = write!(section, "\n### {title}\n\n");
            for entry in fresh {
                let _ = writeln!(section, "- {entry}");
            }
        }
    }
    if section.lines().count() == 1 {
        section.push_str("\nNo change that users see.\n");
    }
    Ok(section)
}

/// The file with the section below an empty `Unreleased`. A file that has it already stays as it is.
///
/// # Errors
/// As [`section`].
pub fn land(file: &str, text: &str, section: &str) -> Result<String> {
    let section = section.trim();
    if text.contains(section) {
        return Ok(text.to_string());
    }
    let (before, _, after) = split(file, text)?;
    Ok(format!("{before}{UNRELEASED}\n\n{section}\n{}{after}", if after.is_empty() { "" } else { "\n" }))
}

/// The section of that version, without its title; none where the file has none.
pub fn of_version(text: &str, version: &Version) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| title(line) != Some(&version.to_string()));
    lines.next()?;
    let body: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    Some(body.join("\n").trim().to_string())
}

/// `1.2.3` of `## 1.2.3 - 2026-01-31`.
fn title(line: &str) -> Option<&str> {
    line.strip_prefix("## ")?.split_whitespace().next()
}

/// In front of `Unreleased`, its entries, and the sections behind.
fn split<'a>(file: &str, text: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
    let start = text.lines().scan(0, |at, line| {
        let here = *at;
        *at += line.len() + 1;
        Some((here, line.trim_end()))
    });
    let found = start.clone().find(|(_, line)| *line == UNRELEASED);
    let Some((at, line)) = found else {
        return Err(Error::Document {
            file: file.into(),
            at: None,
            problem: format!("has no section `{UNRELEASED}`; add that line above the newest release"),
        });
    };
    let body = (at + line.len()).min(text.len());
    let end = text[body..].find("\n## ").map_or(text.len(), |i| body + i + 1);
    Ok((&text[..at], &text[body..end], &text[end..]))
}

/// `2026-01-31`.
fn day(seconds: u64) -> String {
    let time = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    time.to_string()[..10].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# Changelog\n\nIntro.\n\n## Unreleased\n\n- A thing by hand.\n\n## 1.0.0 - 2025-01-01\n\n- First.\n";

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn from_commits_to_a_section() {
        let commits = Commits::read([
            "feat: answer pings",
            "fix(sql): keep the sign\n\nLong text.",
            "perf: read less",
            "feat(api)!: drop v1",
            "fix: x\n\nBREAKING CHANGE: the file is\nelsewhere",
            "docs: more",
            "Merge branch 'x'",
            "no convention",
        ]);
        assert_eq!(commits.others, 3);
        let section = section("CHANGELOG.md", FILE, &version("2.0.0"), 1_700_000_000, &commits).unwrap();
        assert_eq!(
            section,
            "## 2.0.0 - 2023-11-14\n\n- A thing by hand.\n\n### Breaking\n\n- api: drop v1\n- x: the file is elsewhere\n\n\
             ### Added\n\n- answer pings\n\n### Fixed\n\n- sql: keep the sign\n\n### Faster\n\n- read less\n"
        );
        let landed = land("CHANGELOG.md", FILE, &section).unwrap();
        assert!(
            landed
                .starts_with("# Changelog\n\nIntro.\n\n## Unreleased\n\n## 2.0.0 - 2023-11-14\n\n- A thing"),
            "{landed}"
        );
        assert!(landed.ends_with("- read less\n\n## 1.0.0 - 2025-01-01\n\n- First.\n"), "{landed}");
        assert_eq!(land("CHANGELOG.md", &landed, &section).unwrap(), landed, "landing twice is landing once");
        assert_eq!(of_version(&landed, &version("1.0.0")).unwrap(), "- First.");
        assert!(
            of_version(&landed, &version("2.0.0")).unwrap().starts_with("- A thing by hand.\n\n### Breaking")
        );
        assert!(of_version(&landed, &version("3.0.0")).is_none());
    }

    #[test]
    fn files_of_all_kinds() {
        let check = |text: &str, expect: &str| {
            let section = section("C", text, &version("1.0.0"), 0, &Commits::default());
            match section.and_then(|section| land("C", text, &section)) {
                Ok(landed) => assert_eq!(landed, expect),
                Err(e) => assert!(e.to_string().contains(expect), "{e}"),
            }
        };
        let empty = "## 1.0.0 - 1970-01-01\n\nNo change that users see.\n";
        check("## Unreleased\n", &format!("## Unreleased\n\n{empty}"));
        check("## Unreleased", &format!("## Unreleased\n\n{empty}"));
        check("## Unreleased\n## 0.1.0\n- a\n", &format!("## Unreleased\n\n{empty}\n## 0.1.0\n- a\n"));
        check("# Changelog\n", "has no section `## Unreleased`");
        check("", "has no section `## Unreleased`");
    }

    #[test]
    fn an_entry_is_told_once() {
        let commits = Commits::read(["feat: a thing by hand, too"]);
        let text = FILE.replace("A thing by hand.", "Now a thing by hand, too.");
        assert!(!section("C", &text, &version("1.1.0"), 0, &commits).unwrap().contains("### Added"));
    }

    #[test]
    fn steps_that_are_too_small() {
        let check = |message: &str, old: &str, new: &str, expect: bool| {
            let commits = Commits::read([message]);
            assert_eq!(
                commits.are_too_much_for(&version(old), &version(new)),
                expect,
                "{message} {old} {new}"
            );
        };
        check("feat: x", "1.0.0", "1.0.1", true);
        check("feat: x", "1.0.0", "1.1.0", false);
        check("feat!: x", "1.0.0", "1.1.0", true);
        check("feat!: x", "1.0.0", "2.0.0-rc.1", false);
        check("feat!: x", "0.1.0", "0.2.0", false);
        check("feat!: x", "0.1.0", "0.1.1", true);
        check("fix: x", "1.0.0", "1.0.1", false);
        check("whatever", "1.0.0", "1.0.1", false);
    }
}
