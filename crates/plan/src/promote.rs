//! Which tag of which repository comes to stand for which image.
//!
//! 1. [`wanted`]: by the tag engine, from git's tags and those of all the registries together, so that they do not
//!    drift apart.
//! 2. What those tags stand for now comes in as data.
//! 3. [`moves`]: each tag old → new. An exact version that stands for something else is refused, and so is a floating
//!    tag that stands for a higher version, whatever the lists say. What is refused stops the whole.
//! 4. The order in which tags are written: exact versions everywhere, then what floats, `latest` last.
//!
//! [`withdrawal`] is the way back: the floating tags of a bad release return to the release below it.

mod withdraw;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use oci_spec::image::Digest;
use serde::Serialize;

pub use withdraw::{Return, withdrawal};

use crate::error::{Error, Result};
use crate::spec::{Spec, Variant};
use crate::tags::engine::{self, Request};
use crate::tags::grammar::{Grammar, Stem};
use crate::tags::spec::grammar;
use crate::tags::version::Version;
use crate::tags::{Context, Subject, Tag};

/// An image that its repositories have by its digest.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Its name in images.toml.
    pub image: String,
    /// Its variant.
    pub variant: Variant,
    /// Of its index.
    pub digest: Digest,
    /// `registry/name` of each repository that it is in.
    pub repositories: Vec<String>,
}

/// A tag that an image is to have.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The image.
    pub to: Digest,
    /// When it is written.
    pub rank: Rank,
    /// The engine's reason.
    pub why: String,
}

/// When a tag is written: in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A full version: it never changes.
    Exact,
    /// What moves from release to release, or from commit to commit.
    Floating,
    /// `latest`: what everybody gets who names nothing.
    Latest,
}

/// What a tag stands for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The image.
    pub digest: Digest,
    /// Its version, as its annotation `org.opencontainers.image.version` says.
    pub version: Option<String>,
}

/// What is asked for, as far as all images share it.
pub struct Asked<'a> {
    /// What it is about.
    pub subject: &'a Subject,
    /// Where the sources stand.
    pub context: &'a Context,
    /// The version of the sources.
    pub version: &'a semver::Version,
    /// The tags of the git repository.
    pub git_tags: &'a [String],
    /// Whether git may have others.
    pub incomplete: bool,
}

/// All tags that the images are to have, and those that they don't get.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// What the build calls itself.
    pub version: String,
    /// To be given, in the order of writing.
    pub wanted: Vec<Wanted>,
    /// Each with its reason.
    pub left: Vec<Tag>,
    /// The version, when it is a release.
    release: Option<Version>,
}

/// One tag, old to new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// Where.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What it stands for now.
    pub from: Option<Digest>,
    /// What it comes to stand for.
    pub to: Digest,
    /// What that is.
    pub change: Change,
    /// The reason, also of a refusal.
    pub why: String,
}

/// What becomes of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is not there yet.
    New,
    /// It stands for something else now.
    Moved,
    /// It stands for that already.
    Unchanged,
    /// It must not be changed so.
    Refused,
}

/// The tags that `images` are to have. `existing` are the tags of each repository.
///
/// # Errors
/// Those of [`engine::tags`]; [`Error::Usage`] when two images would take one tag from each other.
pub fn wanted(
    spec: &Spec,
    asked: &Asked<'_>,
    images: &[Pushed],
    existing: &BTreeMap<String, Vec<String>>,
) -> Result<Names> {
    let mut names = Names::default();
    for pushed in images {
        let known: Vec<String> =
            pushed.repositories.iter().filter_map(|r| existing.get(r)).flatten().cloned().collect();
        let request = Request {
            image: Some(&pushed.image),
            subject: asked.subject.clone(),
            variants: std::slice::from_ref(&pushed.variant.0),
            compats: &[],
            context: asked.context,
            version: asked.version,
            git_tags: asked.git_tags,
            existing: &known,
            incomplete: asked.incomplete,
        };
        let grammar = grammar(&spec.images[&pushed.image]);
        let tags = engine::tags(spec, &request)?;
        names.version = tags.version;
        names.release = engine::release_of(&grammar, &request)?;
        let is_release = names.release.is_some();
        for repository in &pushed.repositories {
            for Tag { name, why } in &tags.tags {
                let rank = if is_release { rank(&grammar, name) } else { Rank::Floating };
                let taken = |w: &&Wanted| w.repository == *repository && w.tag == *name;
                match names.wanted.iter().find(taken) {
                    Some(other) if other.to != pushed.digest => {
                        return Err(Error::Usage(format!(
                            "{repository}:{name}: two images would have this tag, {} and {}; give each image of \
                             docker/images.toml a `repository` of its own",
                            other.to, pushed.digest
                        )));
                    }
                    Some(_) => {}
                    None => names.wanted.push(Wanted {
                        repository: repository.clone(),
                        tag: name.clone(),
                        to: pushed.digest.clone(),
                        rank,
                        why: why.clone(),
                    }),
                }
            }
        }
        for tag in tags.left {
            if !names.left.contains(&tag) {
                names.left.push(tag);
            }
        }
    }
    names.wanted.sort_by_key(|w| w.rank);
    Ok(names)
}

/// When the tag of a release is written.
pub fn rank(grammar: &Grammar, tag: &str) -> Rank {
    match grammar.parse(tag).map(|name| name.stem) {
        Some(Stem::Full(_)) => Rank::Exact,
        _ if tag == "latest" => Rank::Latest,
        _ => Rank::Floating,
    }
}

/// What becomes of each tag, when `standing` is what they stand for now, by repository and tag.
pub fn moves(names: &Names, standing: &BTreeMap<(String, String), Standing>) -> Vec<Move> {
    names
        .wanted
        .iter()
        .map(|wanted| {
            let now = standing.get(&(wanted.repository.clone(), wanted.tag.clone()));
            let (change, why) = change(names, wanted, now);
            Move {
                repository: wanted.repository.clone(),
                tag: wanted.tag.clone(),
                from: now.map(|s| s.digest.clone()),
                to: wanted.to.clone(),
                change,
                why,
            }
        })
        .collect()
}

fn change(names: &Names, wanted: &Wanted, now: Option<&Standing>) -> (Change, String) {
    let why = wanted.why.clone();
    let Some(now) = now else { return (Change::New, why) };
    if now.digest == wanted.to {
        return (Change::Unchanged, why);
    }
    let Some(release) = &names.release else { return (Change::Moved, why) };
    if wanted.rank == Rank::Exact {
        let why = "an exact version never changes; release another: `cargo xtask release patch`".into();
        return (Change::Refused, why);
    }
    let there = now.version.as_deref().and_then(Version::parse);
    match there.filter(|v| v.is_stable() && v.is_like(release) && v.by_numbers(release).is_gt()) {
        Some(higher) => (
            Change::Refused,
            format!(
                "it stands for {higher}, which is higher than {release} and which neither git nor the registry lists"
            ),
        ),
        None => (Change::Moved, why),
    }
}

/// The moves for people: a paragraph a repository, then what is left as it is.
pub fn render(moves: &[Move], left: &[Tag]) -> String {
    let mut text = String::new();
    let mut repositories: Vec<&str> = Vec::new();
    for step in moves {
        if !repositories.contains(&step.repository.as_str()) {
            repositories.push(&step.repository);
        }
    }
    let width = moves.iter().map(|m| m.tag.len()).max().unwrap_or_default();
    for repository in repositories {
        let _ = writeln!(text, "{repository}");
        for Move { tag, from, to, change, why, .. } in moves.iter().filter(|m| m.repository == repository) {
            let word = match change {
                Change::New => "new",
                Change::Moved => "moves",
                Change::Unchanged => "stays",
                Change::Refused => "REFUSED",
            };
            let from = from.as_ref().map_or("-".into(), short);
            let _ = writeln!(text, "  {tag:width$}  {word:7}  {from:12} → {}  {why}", short(to));
        }
    }
    for Tag { name, why } in left {
        let _ = writeln!(text, "# {name}: {why}");
    }
    text
}

/// As many digits as people compare.
pub fn short(digest: &Digest) -> String {
    digest.digest()[..12].to_string()
}

/// What a release may not do, in one line; none where it may.
pub fn refusal(moves: &[Move]) -> Option<String> {
    let refused: Vec<String> = moves
        .iter()
        .filter(|m| m.change == Change::Refused)
        .map(|m| {
            let from = m.from.as_ref().map(short).unwrap_or_default();
            format!("{}:{} stands for {from}, not {}: {}", m.repository, m.tag, short(&m.to), m.why)
        })
        .collect();
    (!refused.is_empty()).then(|| refused.join("; "))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A digest that one letter makes.
    pub fn digest(letter: char) -> Digest {
        format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::digest;
    use super::*;
    use crate::testing::spec;

    fn images() -> Vec<Pushed> {
        let image = |variant: &str, letter| Pushed {
            image: "server".into(),
            variant: Variant(variant.into()),
            digest: digest(letter),
            repositories: vec!["a/x".into(), "b/x".into()],
        };
        vec![image("alpine", '1'), image("debian", '2')]
    }

    /// The tags of a release where the registries have `tags` (`REPOSITORY TAG LETTER [VERSION]`).
    fn promotion(version: &str, git: &[&str], tags: &[&str]) -> (Names, Vec<Move>) {
        let (mut existing, mut standing) = (BTreeMap::new(), BTreeMap::new());
        for line in tags {
            let words: Vec<&str> = line.split(' ').collect();
            let list: &mut Vec<String> = existing.entry(words[0].to_string()).or_default();
            // A tag whose name starts with `!` is there and not listed.
            let tag = words[1].trim_start_matches('!');
            if tag == words[1] {
                list.push(tag.into());
            }
            let letter = words[2].chars().next().unwrap();
            let now = Standing { digest: digest(letter), version: words.get(3).map(|v| (*v).into()) };
            standing.insert((words[0].to_string(), tag.to_string()), now);
        }
        let git: Vec<String> = git.iter().map(|t| (*t).into()).collect();
        let asked = Asked {
            subject: &Subject::Version(version.into()),
            context: &crate::tags::context::testing::context("refs/heads/main"),
            version: &semver::Version::new(0, 0, 1),
            git_tags: &git,
            incomplete: false,
        };
        let names = wanted(&spec(), &asked, &images(), &existing).unwrap();
        let moves = moves(&names, &standing);
        (names, moves)
    }

    fn summary(moves: &[Move], repository: &str) -> String {
        let of = moves.iter().filter(|m| m.repository == repository);
        of.map(|m| format!("{}{}", ['+', '>', '=', '!'][m.change as usize], m.tag))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn first_a_release_then_a_backport_then_a_candidate() {
        let check = |version: &str, git: &[&str], tags: &[&str], a: &str, b: &str| {
            let (_, moves) = promotion(version, git, tags);
            assert_eq!(
                (summary(&moves, "a/x").as_str(), summary(&moves, "b/x").as_str()),
                (a, b),
                "{version}"
            );
        };
        let all = "+1.0.0-alpine +1.0.0 +1.0.0-debian +1.0-alpine +1-alpine +alpine +1.0 +1 +1.0-debian +1-debian \
                   +debian +latest";
        check("1.0.0", &[], &[], all, all);
        let backport = "+1.0.1-alpine +1.0.1 +1.0.1-debian +1.0-alpine +1.0 +1.0-debian";
        check("1.0.1", &["v1.1.0"], &[], backport, backport);
        // One registry knows 1.1.0: the other follows, so that they agree.
        check("1.0.1", &[], &["a/x 1.1.0-alpine 3", "a/x 1.1.0-debian 3"], backport, backport);
        check(
            "2.0.0-rc.1",
            &["v1.1.0"],
            &["a/x latest 3 1.1.0"],
            "+2.0.0-rc.1-alpine +2.0.0-rc.1 +2.0.0-rc.1-debian",
            "+2.0.0-rc.1-alpine +2.0.0-rc.1 +2.0.0-rc.1-debian",
        );
    }

    #[test]
    fn what_stands_and_what_is_refused() {
        let check = |tags: &[&str], tag: &str, change: Change, why: &str| {
            let (_, moves) = promotion("1.2.3", &[], tags);
            let found = moves.iter().find(|m| m.repository == "a/x" && m.tag == tag).unwrap();
            assert!(found.change == change && found.why.contains(why), "{found:?}");
            assert_eq!(refusal(&moves).is_some(), change == Change::Refused);
        };
        check(&[], "latest", Change::New, "1.2.3 is the highest stable version");
        check(&["a/x latest 1"], "latest", Change::Unchanged, "highest");
        check(&["a/x latest 9 1.2.2"], "latest", Change::Moved, "highest");
        check(&["a/x latest 9"], "latest", Change::Moved, "highest");
        check(&["a/x 1.2.3 1"], "1.2.3", Change::Unchanged, "full version");
        check(&["a/x 1.2.3 9"], "1.2.3", Change::Refused, "an exact version never changes");
        check(&["a/x !1.2.3-debian 9"], "1.2.3-debian", Change::Refused, "an exact version never changes");
        check(
            &["a/x latest 9 2.0.0"],
            "latest",
            Change::Refused,
            "it stands for 2.0.0, which is higher than 1.2.3",
        );
        check(&["a/x latest 9 2.0.0-rc.1"], "latest", Change::Moved, "highest");
        check(&["a/x 1 9 nonsense"], "1", Change::Moved, "highest");
    }

    #[test]
    fn exact_tags_are_written_first_and_latest_last() {
        let (names, _) = promotion("1.2.3", &[], &[]);
        let ranks: Vec<Rank> = names.wanted.iter().map(|w| w.rank).collect();
        assert!(ranks.is_sorted());
        assert_eq!(ranks.iter().filter(|r| **r == Rank::Exact).count(), 6);
        assert_eq!(
            names.wanted.iter().rev().take(2).map(|w| w.tag.as_str()).collect::<Vec<_>>(),
            ["latest"; 2]
        );
    }

    #[test]
    fn two_images_in_one_repository() {
        let mut images = images();
        images[1].variant = images[0].variant.clone();
        let asked = Asked {
            subject: &Subject::Version("1.0.0".into()),
            context: &crate::tags::context::testing::context("refs/heads/main"),
            version: &semver::Version::new(1, 0, 0),
            git_tags: &[],
            incomplete: false,
        };
        let error = wanted(&spec(), &asked, &images, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains("two images would have this tag"), "{error}");
    }

    #[test]
    fn for_people() {
        let (names, moves) = promotion("1.0.1", &["v1.1.0"], &["a/x 1.0-debian 9 1.0.0"]);
        let text = render(&moves, &names.left);
        assert!(
            text.starts_with(
                "a/x\n  1.0.1-alpine  new      -            → 111111111111  the full version 1.0.1\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\n  1.0-debian    moves    999999999999 → 222222222222  1.0.1 is the highest"),
            "{text}"
        );
        assert!(
            text.contains("\n# latest: not moved: 1.1.0 is the highest stable version, not 1.0.1\n"),
            "{text}"
        );
    }
}
