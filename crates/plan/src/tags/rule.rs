//! metadata-action's rules: `type=semver,pattern={{version}}` and their like, read and checked.

use regress::Regex;

use super::flavor::{fields, lines};
use super::template::{Scope, Template};
use crate::error::{Error, Result};

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As typed.
    pub source: String,
    /// What it makes tags from.
    pub kind: Kind,
    /// Whether it counts: must render to `true` or `false`.
    pub enable: Template,
    /// Rules with a higher one come first.
    pub priority: i64,
    /// In front; overrides the flavor's even when empty.
    pub prefix: Option<Template>,
    /// Behind; overrides the flavor's even when empty.
    pub suffix: Option<Template>,
}

/// What a rule makes tags from.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scheduled run.
    Schedule {
        /// The tag.
        pattern: Template,
    },
    /// A version in a git tag.
    Version {
        /// Semantic Versioning, or else PEP 440.
        semver: bool,
        /// The tag of a stable version.
        pattern: Template,
        /// Instead of the git tag, unless it is empty.
        value: Template,
        /// Of that, the part with the version: the first group, or all that matches.
        part: Option<Regex>,
    },
    /// A part of a git tag.
    Match {
        /// What to look for.
        pattern: Regex,
        /// Which group of it is the tag; 0 is all.
        group: usize,
        /// Instead of the git tag, unless it is empty.
        value: Template,
    },
    /// A push to one branch.
    Edge {
        /// That branch; none is the default branch.
        branch: Option<String>,
    },
    /// The name of a branch or tag, or the number of a pull request.
    Ref(RefEvent),
    /// Any text.
    Raw {
        /// The tag.
        value: Template,
    },
    /// The commit.
    Sha {
        /// Whether its whole id.
        long: bool,
    },
}

/// What `type=ref` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefEvent {
    /// A branch.
    Branch,
    /// A git tag.
    Tag,
    /// A pull request.
    PullRequest,
}

const TYPES: [&str; 8] = ["schedule", "semver", "pep440", "match", "edge", "ref", "raw", "sha"];
const KEYS: [&str; 12] = [
    "type", "enable", "priority", "prefix", "suffix", "pattern", "value", "match", "group", "branch",
    "event", "format",
];

/// The rules that count when none is given.
pub const DEFAULT: &str = "type=schedule\ntype=ref,event=branch\ntype=ref,event=tag\ntype=ref,event=pr";

/// Reads `--rule`, each of which may have several lines; sorted by priority, ties in the order given.
///
/// # Errors
/// [`Error::Usage`] and [`Error::Unknown`], with what is allowed.
pub fn parse(typed: &[String]) -> Result<Vec<Rule>> {
    let mut rules = lines(typed).map(parse_rule).collect::<Result<Vec<Rule>>>()?;
    if rules.is_empty() {
        rules = DEFAULT.lines().map(parse_rule).collect::<Result<Vec<Rule>>>()?;
    }
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    Ok(rules)
}

/// The attributes of one rule.
struct Attributes<'a> {
    source: &'a str,
    values: Vec<(String, String)>,
}

impl Attributes<'_> {
    fn wrong(&self, problem: impl std::fmt::Display) -> Error {
        Error::Usage(format!("--rule `{}`: {problem}", self.source))
    }

    /// The last one given counts.
    fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    fn need(&self, key: &str, example: &str) -> Result<&str> {
        self.get(key).ok_or_else(|| self.wrong(format_args!("needs `{key}=`, such as `{key}={example}`")))
    }

    fn template(&self, text: &str, scope: &Scope) -> Result<Template> {
        if text.contains("${{") {
            return Err(self.wrong(
                "`${{ … }}` is GitHub's own expression, replaced only where the rule stands in a workflow; write \
                 true or false, or one of `{{is_default_branch}}`, `{{is_not_default_branch}}`",
            ));
        }
        let template = Template::parse(text).map_err(|e| self.wrong(e))?;
        template.check(scope).map_err(|e| self.wrong(e))?;
        Ok(template)
    }

    fn global(&self, key: &str) -> Result<Option<Template>> {
        self.get(key).map(|text| self.template(text, &Scope::global())).transpose()
    }

    fn regex(&self, key: &str, text: &str) -> Result<Regex> {
        let (pattern, flags) = match text.strip_prefix('/').and_then(|t| t.rsplit_once('/')) {
            Some((pattern, flags)) if !pattern.is_empty() && key == "pattern" => (pattern, flags),
            _ => (text, ""),
        };
        if let Some(flag) = flags.chars().find(|c| !"dgimsuvy".contains(*c)) {
            return Err(
                self.wrong(format_args!("`{flag}` is no flag of a regular expression; allowed: i, m, s, u"))
            );
        }
        Regex::with_flags(pattern, flags)
            .map_err(|e| self.wrong(format_args!("{key}=`{text}` is no regular expression: {e}")))
    }
}

fn parse_rule(source: &str) -> Result<Rule> {
    let mut attributes = Attributes { source, values: Vec::new() };
    for (key, value) in fields("--rule", source)? {
        let key = key.unwrap_or_else(|| "value".into());
        if !KEYS.contains(&key.as_str()) {
            return Err(attributes.wrong(Error::unknown("attribute", &key, KEYS)));
        }
        attributes.values.push((key, value));
    }
    let name = attributes.get("type").unwrap_or("raw");
    let (kind, priority, prefix) = match name {
        "schedule" => {
            let pattern = attributes.get("pattern").unwrap_or("nightly");
            (Kind::Schedule { pattern: attributes.template(pattern, &Scope::global())? }, 1000, None)
        }
        "semver" | "pep440" => {
            let pattern =
                attributes.template(attributes.need("pattern", "{{version}}")?, &Scope::version())?;
            let part = attributes.get("match").filter(|m| !m.is_empty());
            let part = part.map(|text| attributes.regex("match", text)).transpose()?;
            let value = attributes.global("value")?.unwrap_or_default();
            (Kind::Version { semver: name == "semver", pattern, value, part }, 900, None)
        }
        "match" => {
            let pattern = attributes.regex("pattern", attributes.need("pattern", "\\d+\\.\\d+")?)?;
            let group = attributes.get("group").unwrap_or("0");
            let group = group.parse().map_err(|_| {
                attributes.wrong(format_args!("group=`{group}` must be the number of a group, such as 1"))
            })?;
            (
                Kind::Match { pattern, group, value: attributes.global("value")?.unwrap_or_default() },
                800,
                None,
            )
        }
        "edge" => {
            let branch = attributes.get("branch").filter(|b| !b.is_empty()).map(String::from);
            (Kind::Edge { branch }, 700, None)
        }
        "ref" => match attributes.need("event", "branch")? {
            "branch" => (Kind::Ref(RefEvent::Branch), 600, None),
            "tag" => (Kind::Ref(RefEvent::Tag), 600, None),
            "pr" => (Kind::Ref(RefEvent::PullRequest), 600, Some("pr-")),
            other => return Err(attributes.wrong(Error::unknown("event", other, ["branch", "tag", "pr"]))),
        },
        "raw" => {
            let value = attributes.template(attributes.need("value", "stable")?, &Scope::global())?;
            (Kind::Raw { value }, 200, None)
        }
        "sha" => match attributes.get("format").unwrap_or("short") {
            "short" => (Kind::Sha { long: false }, 100, Some("sha-")),
            "long" => (Kind::Sha { long: true }, 100, Some("sha-")),
            other => return Err(attributes.wrong(Error::unknown("format", other, ["short", "long"]))),
        },
        other => return Err(attributes.wrong(Error::unknown("type", other, TYPES))),
    };
    let default = |text: &str| Template::parse(text).map_err(|e| attributes.wrong(e));
    let given = attributes.global("prefix")?;
    let prefix = if given.is_some() { given } else { prefix.map(default).transpose()? };
    let typed = attributes.get("priority");
    let priority = typed.map_or(Ok(priority), |text| {
        text.parse().map_err(|_| {
            attributes.wrong(format_args!("priority=`{text}` must be a whole number, such as 900"))
        })
    })?;
    Ok(Rule {
        source: source.into(),
        kind,
        enable: attributes.template(attributes.get("enable").unwrap_or("true"), &Scope::global())?,
        priority,
        prefix,
        suffix: attributes.global("suffix")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let check = |typed: &[&str], expect: &str| {
            let typed: Vec<String> = typed.iter().map(|t| (*t).into()).collect();
            let rules = parse(&typed).unwrap();
            assert_eq!(rules.iter().map(|r| r.source.as_str()).collect::<Vec<_>>().join(" "), expect);
        };
        check(&[], "type=schedule type=ref,event=branch type=ref,event=tag type=ref,event=pr");
        check(
            &[
                "type=sha\nfoo\ntype=ref,event=pr\ntype=edge\ntype=match,pattern=x\ntype=semver,pattern=y\ntype=schedule",
            ],
            "type=schedule type=semver,pattern=y type=match,pattern=x type=edge type=ref,event=pr foo type=sha",
        );
        check(&["a,priority=5", "b,priority=7", "c,priority=5"], "b,priority=7 a,priority=5 c,priority=5");
        check(&["# note", "  type=sha  ", ""], "type=sha");
        check(
            &["type=semver,pattern=1", "type=pep440,pattern=2"],
            "type=semver,pattern=1 type=pep440,pattern=2",
        );
    }

    #[test]
    fn mistakes() {
        let check = |typed: &str, expect: &str| {
            let error = parse(&[typed.to_string()]).unwrap_err();
            let text = error.to_string();
            assert!(error.is_usage() && text.contains(expect) && !text.contains('\n'), "{text}");
            assert!(text.starts_with(&format!("--rule `{typed}`: ")), "{text}");
        };
        check(
            "type=semvre,pattern=x",
            "unknown type `semvre`, did you mean `semver`?; allowed: schedule, semver",
        );
        check("type=semver", "needs `pattern=`, such as `pattern={{version}}`");
        check("type=pep440", "needs `pattern=`");
        check("type=match", "needs `pattern=`");
        check("type=match,pattern=(", "pattern=`(` is no regular expression");
        check("type=match,pattern=/a/q", "`q` is no flag of a regular expression");
        check("type=match,pattern=a,group=x", "group=`x` must be the number of a group");
        check("type=ref", "needs `event=`, such as `event=branch`");
        check("type=ref,event=push", "unknown event `push`; allowed: branch, tag, pr");
        check("type=raw", "needs `value=`");
        check("type=sha,format=medium", "unknown format `medium`; allowed: short, long");
        check("type=sha,prefx=x", "unknown attribute `prefx`, did you mean `prefix`?; allowed: type, enable");
        check("type=sha,priority=high", "priority=`high` must be a whole number");
        check("type=semver,pattern={{verison}}", "unknown expression `verison`, did you mean `version`?");
        check("type=raw,value={{version}}", "unknown expression `version`; allowed: branch, tag");
        check("type=raw,value=x,enable=${{ github.ref == 'a' }}", "is GitHub's own expression");
        check("type=schedule,pattern={{date 'YYYY' tz='X'}}", "unknown time zone `X`");
        check("type=raw,value=\"x\"", "quotes go around the whole field");
    }
}
