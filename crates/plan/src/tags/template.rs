//! Texts with `{{expressions}}`, as docker/metadata-action writes them, of which images.toml's templates take over
//! the form.
//!
//! What Handlebars would leave out in silence (an unknown expression) is an error here, and nothing is escaped for
//! HTML: `{{branch}}` and `{{{branch}}}` are the same.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::context::{Context, GitRef};
use super::moment;
use crate::error::suggest;

/// A text with expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// `{{…}}`.
    Expression(Expression),
}

/// `{{name 'argument' key='value'}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// Such as `branch`.
    pub name: String,
    /// What stands behind it, without quotes.
    arguments: Vec<String>,
    /// What stands behind it with a key.
    pairs: Vec<(String, String)>,
}

/// Which expressions make sense somewhere.
pub struct Scope(Vec<&'static str>);

const GLOBAL: [&str; 8] =
    ["branch", "tag", "sha", "base_ref", "is_default_branch", "is_not_default_branch", "date", "commit_date"];

impl Scope {
    /// In `value`, `prefix`, `suffix`, `enable` and the pattern of a schedule.
    pub fn global() -> Scope {
        Scope(GLOBAL.to_vec())
    }

    /// In patterns for versions.
    pub fn version() -> Scope {
        Scope([&GLOBAL[..], &["raw", "version", "major", "minor", "patch", "prerelease", "build"]].concat())
    }

    /// In the templates of images.toml.
    pub fn naming() -> Scope {
        Scope(vec!["branch", "tag", "sha", "base_ref", "number", "version", "date", "commit_date"])
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What can't be read.
    pub fn parse(source: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some(start) = rest.find("{{") {
            let escaped = rest[..start].ends_with('\\');
            let before = if escaped { &rest[..start - 1] } else { &rest[..start] };
            push_text(&mut parts, before);
            let triple = rest[start..].starts_with("{{{");
            let (open, close) = if triple { (3, "}}}") } else { (2, "}}") };
            let inner = &rest[start + open..];
            let end = inner.find(close).ok_or_else(|| format!("`{source}`: `{{{{` has no `{close}`"))?;
            let whole = start + open + end + close.len();
            if escaped {
                push_text(&mut parts, &rest[start..whole]);
            } else if !inner.starts_with('!') {
                let expression = Expression::parse(&inner[..end])
                    .map_err(|problem| format!("`{}`: {problem}", &rest[start..whole]))?;
                parts.push(Part::Expression(expression));
            }
            rest = &rest[whole..];
        }
        push_text(&mut parts, rest);
        Ok(Template { source: source.into(), parts })
    }

    /// Its pieces.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its text, when it has no expressions.
    pub fn literal(&self) -> Option<String> {
        self.parts.iter().map(|p| if let Part::Text(text) = p { Some(text.as_str()) } else { None }).collect()
    }

    /// Whether it is one expression of that name and nothing else.
    pub fn is_only(&self, name: &str) -> bool {
        matches!(self.parts.as_slice(), [Part::Expression(e)] if e.name == name)
    }

    /// Whether it has the expression.
    pub fn uses(&self, name: &str) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Expression(e) if e.name == name))
    }

    /// Checks that every expression makes sense.
    ///
    /// # Errors
    /// The first that does not, and what does.
    pub fn check(&self, scope: &Scope) -> Result<(), String> {
        for part in &self.parts {
            let Part::Expression(expression) = part else { continue };
            let name = expression.name.as_str();
            if !scope.0.contains(&name) {
                let hint =
                    suggest(name, &scope.0).map(|n| format!(", did you mean `{n}`?")).unwrap_or_default();
                return Err(format!("unknown expression `{name}`{hint}; allowed: {}", scope.0.join(", ")));
            }
            if matches!(name, "date" | "commit_date") {
                expression.date(0)?;
            } else if !expression.arguments.is_empty() || !expression.pairs.is_empty() {
                return Err(format!("`{{{{{name}}}}}` takes no argument"));
            }
        }
        Ok(())
    }

    /// The text with each expression's value in its place.
    ///
    /// # Errors
    /// That of `value`.
    pub fn render(
        &self,
        mut value: impl FnMut(&Expression) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Expression(expression) => text.push_str(&value(expression)?),
            }
        }
        Ok(text)
    }
}

impl Expression {
    fn parse(inner: &str) -> Result<Expression, String> {
        let mut tokens =
            tokens(inner.trim().trim_start_matches(['&', '~']).trim_end_matches('~').trim())?.into_iter();
        let Some(Token { key: None, value: name, quoted: false }) = tokens.next() else {
            return Err("must start with the name of an expression, such as `{{branch}}`".into());
        };
        if name.starts_with(['#', '/', '>', '^']) || name == "else" {
            return Err("blocks and partials are not supported; use several rules with `enable=`".into());
        }
        let mut expression = Expression { name, arguments: Vec::new(), pairs: Vec::new() };
        for token in tokens {
            match token.key {
                Some(key) => expression.pairs.push((key, token.value)),
                None => expression.arguments.push(token.value),
            }
        }
        Ok(expression)
    }

    /// What it says in this context, for the expressions that only need one.
    ///
    /// # Errors
    /// A date's format or time zone is wrong.
    pub fn value(&self, context: &Context) -> Result<String, String> {
        let git_ref = context.git_ref.as_ref();
        let text = match self.name.as_str() {
            "branch" => git_ref.and_then(GitRef::branch).unwrap_or_default().to_string(),
            "tag" => git_ref.and_then(GitRef::tag).unwrap_or_default().to_string(),
            "number" => git_ref.and_then(GitRef::pull_request).unwrap_or_default().to_string(),
            "base_ref" => context.base_ref.clone().unwrap_or_default(),
            "sha" => context.short().to_string(),
            "is_default_branch" => context.is_default_branch().to_string(),
            "is_not_default_branch" => (!context.is_default_branch()).to_string(),
            "date" => self.date(context.now)?,
            "commit_date" => self.date(context.commit_time.unwrap_or(context.now))?,
            other => return Err(format!("unknown expression `{other}`")),
        };
        Ok(text)
    }

    fn date(&self, seconds: u64) -> Result<String, String> {
        let [format] = self.arguments.as_slice() else {
            return Err(format!(
                "`{}` needs one format in quotes, such as `{{{{{0} 'YYYYMMDD'}}}}`",
                self.name
            ));
        };
        let mut zone = "UTC";
        for (key, value) in &self.pairs {
            match key.as_str() {
                "tz" => zone = value,
                _ => return Err(format!("`{}` has no `{key}`; allowed: tz", self.name)),
            }
        }
        moment::format(seconds, zone, format)
    }
}

struct Token {
    key: Option<String>,
    value: String,
    quoted: bool,
}

/// Words with blanks between them; quotes keep blanks in a word.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '\'' | '"')).unwrap_or(rest.len());
        let key = rest[end..].starts_with('=').then(|| rest[..end].to_string());
        let mut value = if key.is_some() { &rest[end + 1..] } else { rest };
        let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let (word, after) = match quote {
            Some(quote) => {
                value = &value[1..];
                value.split_once(quote).ok_or_else(|| format!("a {quote} is missing"))?
            }
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        tokens.push(Token { key, value: word.into(), quoted: quote.is_some() });
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.into())),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        Template::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::testing::context;
    use super::*;

    fn render(source: &str, git_ref: &str) -> Result<String, String> {
        let template = Template::parse(source)?;
        template.check(&Scope::global())?;
        template.render(|e| e.value(&context(git_ref)))
    }

    #[test]
    fn expressions() {
        let check = |source: &str, git_ref: &str, expect: &str| {
            assert_eq!(render(source, git_ref).as_deref(), Ok(expect), "{source}");
        };
        check("plain", "refs/heads/main", "plain");
        check("{{branch}}", "refs/heads/a&b<c>'d'", "a&b<c>'d'");
        check("x-{{ branch }}-{{{sha}}}-y", "refs/heads/main", "x-main-90dd603-y");
        check("{{&branch}}{{~tag~}}", "refs/heads/main", "main");
        check("{{tag}}", "refs/heads/main", "");
        check("{{tag}}|{{branch}}", "refs/tags/v1", "v1|");
        check("{{! a note }}{{is_default_branch}}", "refs/heads/main", "true");
        check("{{is_not_default_branch}}", "refs/heads/x", "true");
        check("{{is_default_branch}}", "refs/tags/v1", "false");
        check("\\{{branch}}", "refs/heads/main", "{{branch}}");
        check("{{date 'YYYYMMDD'}}", "refs/heads/main", "20200110");
        check("{{date \"YYYYMMDD-HHmmss\" tz=\"Asia/Tokyo\"}}", "refs/heads/main", "20200110-093000");
        check("{{commit_date 'YYYYMMDD'}}", "refs/heads/main", "20200107");
    }

    #[test]
    fn mistakes() {
        let check = |source: &str, expect: &str| {
            let problem = render(source, "refs/heads/main").unwrap_err();
            assert!(problem.contains(expect) && !problem.contains('\n'), "{source}: {problem}");
        };
        check("{{brnach}}", "unknown expression `brnach`, did you mean `branch`?; allowed: branch, tag, sha");
        check("{{branch", "`{{` has no `}}`");
        check("{{}}", "must start with the name");
        check("{{'x'}}", "must start with the name");
        check("{{#if tag}}x{{/if}}", "blocks and partials are not supported");
        check("{{branch 'x'}}", "takes no argument");
        check("{{date}}", "needs one format in quotes, such as `{{date 'YYYYMMDD'}}`");
        check("{{date 'YYYY}}", "a ' is missing");
        check("{{date 'YYYY' zone='UTC'}}", "has no `zone`; allowed: tz");
        check("{{date 'YYYY' tz='Asia/Tokio'}}", "unknown time zone `Asia/Tokio`");
    }
}
