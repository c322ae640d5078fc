//! docker/metadata-action's rules applied: rules, flavor and context to tags.
//!
//! 1. The rules come in the order of their priorities. Each that is enabled and fits the event yields one text.
//! 2. Prefix and suffix are added: the rule's own, else the flavor's.
//! 3. What a tag can't hold becomes `-`; the first tag is the version; each tag counts once.
//! 4. `latest` is added last if the flavor says so, or, where it leaves it open, if the first rule that yielded a
//!    tag is one for releases and this is no pre-release.
//!
//! docs/tags.md names what the action does wrong and what is done here instead.

use regress::Regex;

use super::context::{Context, GitRef};
use super::flavor::Flavor;
use super::pep440::Pep440;
use super::rule::{Kind, RefEvent, Rule};
use super::template::{Expression, Template};
use super::{MAX_LENGTH, Tags, cut, replace_illegal};
use crate::error::{Error, Result};

/// What a rule yields: a text, why, and whether it stands for a release.
struct Yield {
    text: String,
    why: String,
    latest: bool,
}

/// Why a rule yields nothing.
type Nothing = String;

/// The tags by these rules.
///
/// # Errors
/// [`Error::Usage`] for `enable=` that is neither true nor false.
pub fn tags(rules: &[Rule], flavor: &Flavor, context: &Context) -> Result<Tags> {
    let mut tags = Tags::default();
    let mut latest: Option<(bool, String)> = None;
    for rule in rules {
        let wrong = |problem: String| Error::Usage(format!("--rule `{}`: {problem}", rule.source));
        let value = |template: &Template| template.render(|e| e.value(context)).map_err(wrong);
        match value(&rule.enable)?.as_str() {
            "true" => {}
            "false" => {
                tags.leave(rule.source.clone(), "enable is false".into());
                continue;
            }
            other => return Err(wrong(format!("enable=`{other}`; allowed: true, false"))),
        }
        let found = match apply(rule, context).map_err(wrong)? {
            Ok(found) => found,
            Err(nothing) => {
                tags.leave(rule.source.clone(), nothing);
                continue;
            }
        };
        let prefix = value(rule.prefix.as_ref().unwrap_or(&flavor.prefix.text))?;
        let suffix = value(rule.suffix.as_ref().unwrap_or(&flavor.suffix.text))?;
        let Some(name) = sanitize(&format!("{prefix}{}{suffix}", found.text), context) else {
            tags.leave(rule.source.clone(), "its tag would be empty".into());
            continue;
        };
        latest.get_or_insert_with(|| {
            let release = if found.latest { "stands for a release" } else { "is for no stable release" };
            (
                found.latest,
                format!("latest=auto: `{}`, the first rule that gave a tag, {release}", rule.source),
            )
        });
        if tags.version.is_empty() {
            tags.version.clone_from(&name);
        }
        tags.take(name, format!("{}, by `{}`", found.why, rule.source));
    }
    add_latest(&mut tags, flavor, context, latest)?;
    Ok(tags)
}

fn add_latest(
    tags: &mut Tags,
    flavor: &Flavor,
    context: &Context,
    auto: Option<(bool, String)>,
) -> Result<()> {
    // Where no rule yields a tag there is nothing to be the latest.
    let Some(auto) = auto else { return Ok(()) };
    let (wanted, why) =
        flavor.latest.map_or(auto, |wanted| (wanted, format!("the flavor says latest={wanted}")));
    let affix = |affix: &super::flavor::Affix| {
        let text = if affix.on_latest { affix.text.render(|e| e.value(context)) } else { Ok(String::new()) };
        text.map_err(Error::Usage)
    };
    let name = format!("{}latest{}", affix(&flavor.prefix)?, affix(&flavor.suffix)?);
    match sanitize(&name, context) {
        Some(name) if wanted => tags.take(name, why),
        Some(name) => tags.leave(name, why),
        None => {}
    }
    Ok(())
}

/// The text of one rule, without prefix and suffix.
fn apply(rule: &Rule, context: &Context) -> std::result::Result<std::result::Result<Yield, Nothing>, String> {
    let git_ref = context.git_ref.as_ref();
    let plain = |text: &str, why: &str, latest| Ok(Yield { text: text.into(), why: why.into(), latest });
    let global = |template: &Template| template.render(|e| e.value(context));
    Ok(match &rule.kind {
        Kind::Schedule { pattern } if context.is_scheduled() => {
            plain(&global(pattern)?, "a scheduled run", false)
        }
        Kind::Schedule { .. } => Err("is for scheduled runs".into()),
        Kind::Version { semver, pattern, value, part } => {
            let Some(text) = tag_or(&global(value)?, git_ref) else { return Ok(Err(NO_TAG.into())) };
            version(*semver, pattern, &narrowed(&text, part.as_ref()).replace('/', "-"), context)?
        }
        Kind::Match { pattern, group, value } => {
            let Some(text) = tag_or(&global(value)?, git_ref) else { return Ok(Err(NO_TAG.into())) };
            match pattern.find(&text).map(|m| m.group(*group)) {
                Some(Some(range)) => plain(&text[range], &format!("a part of `{text}`"), true),
                Some(None) => Err(format!("its pattern has no group {group} in `{text}`")),
                None => Err(format!("its pattern does not match `{text}`")),
            }
        }
        Kind::Edge { branch } => {
            let wanted = branch.as_deref().or(context.default_branch.as_deref());
            match git_ref.and_then(GitRef::branch) {
                Some(branch) if wanted == Some(branch) => {
                    plain("edge", &format!("a push to `{branch}`"), false)
                }
                _ => Err(format!(
                    "is for the branch `{}`",
                    wanted.unwrap_or("(the default one, which is not known)")
                )),
            }
        }
        Kind::Ref(event) => match (event, git_ref) {
            (RefEvent::Branch, Some(GitRef::Branch(name))) => plain(name, "the branch's name", false),
            (RefEvent::Tag, Some(GitRef::Tag(name))) => plain(name, "the git tag's name", true),
            (RefEvent::PullRequest, Some(GitRef::PullRequest(number))) => {
                plain(number, "the pull request's number", false)
            }
            (RefEvent::Branch, _) => Err("is for branches".into()),
            (RefEvent::Tag, _) => Err(NO_TAG.into()),
            (RefEvent::PullRequest, _) => Err("is for pull requests".into()),
        },
        Kind::Raw { value } => plain(&global(value)?, "as given", false),
        Kind::Sha { .. } if context.sha.is_empty() => Err("the commit is not known".into()),
        Kind::Sha { long } => plain(if *long { &context.sha } else { context.short() }, "the commit", false),
    })
}

const NO_TAG: &str = "is for git tags";

/// The given value, else the git tag.
fn tag_or(value: &str, git_ref: Option<&GitRef>) -> Option<String> {
    let tag = || git_ref.and_then(GitRef::tag).map(String::from);
    if value.is_empty() { tag() } else { Some(value.into()) }
}

/// What `match=` leaves of a text; all where it does not match.
fn narrowed(text: &str, part: Option<&Regex>) -> String {
    let found = part.and_then(|regex| regex.find(text));
    let range = found.and_then(|m| m.group(1).or_else(|| m.group(0)));
    range.map_or(text, |range| &text[range]).to_string()
}

fn version(
    semver: bool,
    pattern: &Template,
    text: &str,
    context: &Context,
) -> std::result::Result<std::result::Result<Yield, Nothing>, String> {
    let Some(parsed) = Parsed::read(semver, text) else {
        let kind = if semver { "semantic version" } else { "version of PEP 440" };
        return Ok(Err(format!("`{text}` is no {kind}")));
    };
    let yielded = |text: String, why: &str, latest| Ok(Yield { text, why: why.into(), latest });
    Ok(if parsed.is_final {
        let value = |e: &Expression| match parsed.value(&e.name) {
            Some(value) => Ok(value),
            None => e.value(context),
        };
        yielded(pattern.render(value)?, "a stable version", true)
    } else if pattern.is_only("raw") {
        yielded(parsed.raw, "a pre-release, as written", false)
    } else {
        yielded(parsed.version, "a pre-release, which has its full version alone", false)
    })
}

/// A version of either kind.
struct Parsed {
    raw: String,
    version: String,
    numbers: [String; 3],
    pre: String,
    build: String,
    is_final: bool,
}

impl Parsed {
    fn read(semver: bool, text: &str) -> Option<Parsed> {
        let text = text.trim();
        if semver {
            let version = semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()?;
            let (pre, build) = (version.pre.to_string(), version.build.to_string());
            return Some(Parsed {
                raw: text.into(),
                version: semver::Version { build: semver::BuildMetadata::EMPTY, ..version.clone() }
                    .to_string(),
                numbers: [version.major, version.minor, version.patch].map(|n| n.to_string()),
                is_final: pre.is_empty(),
                pre,
                build,
            });
        }
        let version = Pep440::parse(text)?;
        Some(Parsed {
            raw: text.into(),
            numbers: [0, 1, 2].map(|i| version.number(i).to_string()),
            pre: String::new(),
            build: String::new(),
            is_final: version.is_final,
            version: version.clean,
        })
    }

    fn value(&self, name: &str) -> Option<String> {
        let [major, minor, patch] = &self.numbers;
        let text = match name {
            "raw" => &self.raw,
            "version" => &self.version,
            "major" => major,
            "minor" => minor,
            "patch" => patch,
            "prerelease" => &self.pre,
            "build" => &self.build,
            _ => return None,
        };
        Some(text.clone())
    }
}

/// A legal tag; none if nothing is left. One that had to be cut ends in a hash of the whole text.
fn sanitize(text: &str, context: &Context) -> Option<String> {
    let replaced = replace_illegal(text);
    let legal = replaced.trim_start_matches(['-', '.']);
    if legal.is_empty() {
        return None;
    }
    // An expression that is empty leaves a `-` at the start, which says nothing; one that is part of a ref's name
    // tells it from another's.
    let name = context.git_ref.as_ref().and_then(|r| r.branch().or_else(|| r.tag())).unwrap_or_default();
    if legal != replaced && name.starts_with(|c| matches!(c, '-' | '.') || !super::is_tag_char(c)) {
        return Some(cut(&format!("{legal}-{}", super::mark(text)), MAX_LENGTH, text));
    }
    Some(cut(legal, MAX_LENGTH, text))
}
