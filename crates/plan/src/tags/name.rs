//! The names of what is no release: branches, pull requests, schedules, commits, after images.toml's templates.
//!
//! Two branches never share a tag, and none gets a release's. A branch's name goes into the tag as it is, with `-`
//! for `/`. Where that isn't enough to tell it apart, eight digits of a hash of the branch's name are added:
//!
//! 1. other characters had to be replaced, or ones at the start left out;
//! 2. another branch that is known would get the same name (`a/b` beside `a-b`), or has that of a git tag;
//! 3. the name ends in a variant (`main-debian` is what the branch `main` has on Debian);
//! 4. another template makes that name (a branch `edge`, a branch `pr-12`);
//! 5. it is the name of a release (a branch `1.2`, a branch `latest`): then `ref-` stands in front, too;
//! 6. it is too long.

use super::context::{Context, GitRef};
use super::grammar::{self, Grammar};
use super::release::Suffix;
use super::spec::Names;
use super::template::{Expression, Part, Template};
use super::{MAX_LENGTH, Tags, cut, mark, replace_illegal};

/// The expressions whose values anybody can choose who may push.
const REFS: [&str; 3] = ["branch", "tag", "base_ref"];

/// What names are made from.
pub struct Naming<'a> {
    /// The templates.
    pub names: &'a Names,
    /// Which names are releases'.
    pub grammar: &'a Grammar,
    /// Where the sources stand.
    pub context: &'a Context,
    /// The version of the sources.
    pub version: &'a semver::Version,
}

impl Naming<'_> {
    /// The names of a build with these suffixes.
    ///
    /// # Errors
    /// A template can't be used.
    pub fn tags(&self, suffixes: &[Suffix]) -> Result<Tags, String> {
        // The longest suffix that any build has, so that all builds of a branch are called alike.
        let longest = |names: &[String]| names.iter().map(|n| n.len() + 1).max().unwrap_or_default();
        let limit = MAX_LENGTH - longest(&self.grammar.variants) - longest(&self.grammar.compats);
        let mut tags = Tags::default();
        let mut names = Vec::new();
        for (template, what) in self.templates(&mut tags) {
            if let Some(missing) = self.missing(template) {
                tags.leave(template.to_string(), format!("`{{{{{missing}}}}}` is not known here"));
                continue;
            }
            let (name, note) = self.name(template, limit)?;
            names.push((name, format!("{what}, by the template `{template}`{note}")));
        }
        tags.version = names.first().map(|(name, _)| name.clone()).unwrap_or_default();
        for suffix in suffixes {
            for (name, why) in &names {
                tags.take(grammar::join(name, &suffix.text), why.clone());
            }
        }
        Ok(tags)
    }

    /// The templates for what is built, and what that is.
    fn templates(&self, tags: &mut Tags) -> Vec<(&Template, String)> {
        let names = self.names;
        let mut chosen: Vec<(&Template, String)> = Vec::new();
        let mut add = |templates, what: String| choose(&mut chosen, templates, &what);
        match &self.context.git_ref {
            Some(GitRef::Tag(tag)) => add(&names.tag, format!("the git tag `{tag}`")),
            Some(GitRef::PullRequest(number)) => {
                add(&names.pull_request, format!("the pull request {number}"))
            }
            _ if self.context.is_scheduled() => add(&names.schedule, "a scheduled run".into()),
            Some(GitRef::Branch(branch)) => {
                add(&names.branch, format!("the branch `{branch}`"));
                if self.context.default_branch.as_ref() == Some(branch) {
                    add(&names.default_branch, format!("the default branch `{branch}`"));
                } else {
                    let default = self.context.default_branch.as_deref().unwrap_or("not known");
                    for template in &names.default_branch {
                        let why = format!("`{branch}` is not the default branch, which is {default}");
                        tags.leave(template.to_string(), why);
                    }
                }
            }
            None => {}
        }
        add(&names.commit, format!("the commit {}", self.context.short()));
        chosen
    }

    /// The expression of the template that would be empty.
    fn missing<'t>(&self, template: &'t Template) -> Option<&'t str> {
        template.parts().iter().find_map(|part| match part {
            Part::Expression(e) if self.value(e).is_ok_and(|value| value.is_empty()) => Some(e.name.as_str()),
            _ => None,
        })
    }

    fn value(&self, expression: &Expression) -> Result<String, String> {
        match expression.name.as_str() {
            // A tag holds no build metadata.
            "version" => Ok(super::version::Version::from(self.version).to_string()),
            _ => expression.value(self.context),
        }
    }

    /// The name, and what had to be done to it.
    fn name(&self, template: &Template, limit: usize) -> Result<(String, &'static str), String> {
        let raw = template.render(|e| self.value(e))?;
        let mut altered = false;
        let text = template.render(|e| {
            let value = self.value(e)?;
            if !REFS.contains(&e.name.as_str()) {
                return Ok(value);
            }
            let (piece, is_altered) = self.piece(&value, e.name == "tag");
            altered |= is_altered;
            Ok(piece)
        });
        let text = replace_illegal(&text?);
        // A date may look like a version: that is what the catalogue wants. Who names a branch decides nothing.
        if REFS.iter().any(|name| template.uses(name)) && self.grammar.parse(&text).is_some() {
            let text = format!("ref-{text}-{}", mark(&raw));
            return Ok((cut(&text, limit, &raw), "; the plain name is a release's"));
        }
        if text.len() > limit {
            return Ok((cut(&text, limit, &raw), "; cut short, so it ends in a hash"));
        }
        if self.grammar.is_suffixed(&text) || self.is_of_another(template, &text) {
            return Ok((
                cut(&format!("{text}-{}", mark(&raw)), limit, &raw),
                "; the plain name has another meaning",
            ));
        }
        Ok((text, if altered { "; altered, so it holds a hash" } else { "" }))
    }

    /// The name of a branch or git tag as a part of a tag, and whether it needed a hash to be unique.
    fn piece(&self, name: &str, is_tag: bool) -> (String, bool) {
        let slashes = name.replace('/', "-");
        let plain = replace_illegal(&slashes);
        let plain = plain.trim_start_matches(['-', '.']);
        // A branch that is called so keeps the name; a git tag leaves it to every branch.
        let twin = |other: &String| (is_tag || other != name) && other.replace('/', "-") == plain;
        if plain != slashes || ((is_tag || plain != name) && self.context.branches.iter().any(twin)) {
            let text = format!("{plain}-{}", mark(name));
            return (text.trim_start_matches('-').to_string(), true);
        }
        (plain.to_string(), false)
    }

    /// Whether a template other than this one, which is a branch's or tag's name alone, makes the same text.
    fn is_of_another(&self, template: &Template, text: &str) -> bool {
        let is_name = |t: &Template| t.is_only("branch") || t.is_only("tag");
        is_name(template)
            && self.names.all().any(|(_, other)| !is_name(other) && self.could_make(other.parts(), text))
    }

    fn could_make(&self, parts: &[Part], text: &str) -> bool {
        match parts {
            [] => text.is_empty(),
            [Part::Text(plain), rest @ ..] => {
                text.strip_prefix(plain.as_str()).is_some_and(|t| self.could_make(rest, t))
            }
            [Part::Expression(e), rest @ ..] => {
                let holds = |value: &str| match e.name.as_str() {
                    "sha" => {
                        value.len() == self.context.short_sha && value.bytes().all(|b| b.is_ascii_hexdigit())
                    }
                    "number" => value.bytes().all(|b| b.is_ascii_digit()),
                    "version" => super::version::Version::parse(value).is_some(),
                    "date" | "commit_date" => self.value(e).is_ok_and(|date| is_like(value, &date)),
                    _ => true,
                };
                (1..=text.len()).any(|end| holds(&text[..end]) && self.could_make(rest, &text[end..]))
            }
        }
    }
}

fn choose<'a>(chosen: &mut Vec<(&'a Template, String)>, templates: &'a [Template], what: &str) {
    chosen.extend(templates.iter().map(|t| (t, what.to_string())));
}

/// Whether the texts are the same but for the values of digits.
fn is_like(a: &str, b: &str) -> bool {
    let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    digits(a) == digits(b)
}
