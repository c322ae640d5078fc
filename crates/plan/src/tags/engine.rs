//! Our own rules, from what was asked to the tags of every build that it is about.

use super::context::{Context, GitRef};
use super::grammar::Grammar;
use super::name::Naming;
use super::release;
use super::spec::{grammar, suffixes};
use super::version::Version;
use super::{Tags, check_legal};
use crate::error::{Error, Result};
use crate::spec::{ImageSpec, Spec, Variant};

/// What tags are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A release of this version, as typed.
    Version(String),
    /// What the context's ref is: a release where it is the tag of one.
    Ref,
}

/// What was asked.
pub struct Request<'a> {
    /// The image's name in images.toml; none means the catalogue's default image.
    pub image: Option<&'a str>,
    /// What it is about.
    pub subject: Subject,
    /// Variants as typed: names, lists with commas or `all`; none means the default one.
    pub variants: &'a [String],
    /// Compatibility suffixes as typed, likewise.
    pub compats: &'a [String],
    /// Where the sources stand.
    pub context: &'a Context,
    /// The version of the sources.
    pub version: &'a semver::Version,
    /// The tags of the git repository.
    pub git_tags: &'a [String],
    /// The tags that a registry has.
    pub existing: &'a [String],
    /// Whether versions may have been released that neither of these lists.
    pub incomplete: bool,
}

/// The tags.
///
/// # Errors
/// [`Error::Unknown`] and [`Error::Usage`] for what can't be asked for.
pub fn tags(spec: &Spec, request: &Request<'_>) -> Result<Tags> {
    let name = request.image.unwrap_or(&spec.project.default_image);
    let image = spec.images.get(name).ok_or_else(|| Error::unknown("image", name, spec.images.keys()))?;
    let grammar = grammar(image);
    let builds = builds(image, request)?;
    let mut all = Tags::default();
    let release = release_of(&grammar, request)?;
    let released =
        release::released(&grammar, request.git_tags.iter().chain(request.existing).map(String::as_str));
    if let Some(version) = &release {
        // A registry can't know build metadata, so what it lists without any says nothing about that.
        let with_build = request.existing.iter().filter(|name| name.contains('+'));
        let tagged =
            release::released(&grammar, request.git_tags.iter().chain(with_build).map(String::as_str));
        release::check_distinct(version, &tagged)?;
        // Nobody can tell a backport then, and a tag that is moved wrongly is what everybody gets.
        if request.incomplete && version.is_stable() && released.iter().all(|r| r.by_numbers(version).is_eq())
        {
            return Err(Error::Usage(format!(
                "version `{version}`: this checkout is shallow and has no other versions, so nobody can tell what may \
                 move; run `git fetch --tags --unshallow`, or name what exists with `--existing FILE`"
            )));
        }
    }
    for (compat, variant) in builds {
        let suffixes = suffixes(image, compat.as_deref(), &variant);
        let tags = match &release {
            Some(version) => release::names(version, &spec.tags.policy(&suffixes), &released),
            None => Naming {
                names: &spec.tags.names,
                grammar: &grammar,
                context: request.context,
                version: request.version,
            }
            .tags(&suffixes)
            .map_err(Error::Usage)?,
        };
        all.version = tags.version;
        for tag in tags.tags {
            check_legal(&tag.name)
                .map_err(|problem| Error::Usage(format!("tag `{}`: {problem}", tag.name)))?;
            all.take(tag.name, tag.why);
        }
        for tag in tags.left {
            all.leave(tag.name, tag.why);
        }
    }
    Ok(all)
}

/// The version that is released, if it is one.
pub(crate) fn release_of(grammar: &Grammar, request: &Request<'_>) -> Result<Option<Version>> {
    match (&request.subject, &request.context.git_ref) {
        (Subject::Version(typed), _) => release::parse_version(grammar, typed).map(Some),
        (Subject::Ref, Some(GitRef::Tag(tag)))
            if semver::Version::parse(tag.strip_prefix('v').unwrap_or(tag)).is_ok() =>
        {
            release::parse_version(grammar, tag).map(Some)
        }
        _ => Ok(None),
    }
}

fn builds(image: &ImageSpec, request: &Request<'_>) -> Result<Vec<(Option<String>, Variant)>> {
    let all: Vec<String> = image.variants.iter().map(|v| v.0.clone()).collect();
    let variants = chosen("variant", request.variants, Some(&image.default_variant.0), &all)?;
    let compats: Vec<Option<String>> = if image.compat.is_empty() {
        if let Some(typed) = request.compats.first() {
            return Err(Error::Usage(format!(
                "--compat `{typed}`: the image has no compatibility suffixes; leave it out"
            )));
        }
        vec![None]
    } else {
        chosen("compatibility suffix", request.compats, image.default_compat.as_ref(), &image.compat)?
            .into_iter()
            .map(Some)
            .collect()
    };
    let pairs = compats.iter().flat_map(|c| variants.iter().map(move |v| (c.clone(), Variant(v.clone()))));
    Ok(pairs.collect())
}

/// The names that were asked for; each typed one may be a list with commas, `all` means every one.
fn chosen(
    kind: &'static str,
    typed: &[String],
    default: Option<&String>,
    all: &[String],
) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in typed.iter().flat_map(|t| t.split(',')).map(str::trim).filter(|n| !n.is_empty()) {
        let found = all.iter().filter(|n| *n == name || name == "all");
        let before = names.len();
        names.extend(found.cloned());
        if names.len() == before {
            return Err(Error::unknown(kind, name, all.iter().map(String::as_str).chain(["all"])));
        }
    }
    if names.is_empty() {
        names.extend(default.cloned());
    }
    let mut each: Vec<String> = Vec::new();
    for name in names {
        if !each.contains(&name) {
            each.push(name);
        }
    }
    Ok(each)
}

/// The tags that a file or a registry's answer lists: one a line, as names or references, or the JSON that
/// registries and `skopeo list-tags` give.
///
/// # Errors
/// [`Error::Usage`] with the line that is none.
pub fn parse_existing(text: &str) -> Result<Vec<String>> {
    if text.trim_start().starts_with('{') {
        #[derive(serde::Deserialize)]
        struct List {
            #[serde(alias = "Tags")]
            tags: Option<Vec<String>>,
        }
        let list: List = serde_json::from_str(text).map_err(|e| {
            Error::Usage(format!("--existing: starts as JSON but is none with a list `tags`: {e}"))
        })?;
        return Ok(list.tags.unwrap_or_default());
    }
    let mut tags = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let reference = line.split('@').next().unwrap_or(line);
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let tag = name.rsplit(':').next().unwrap_or(name);
        let legal = if tag == line || name.contains(':') {
            check_legal(&tag.replacen('+', "-", 1))
        } else {
            Err("names no tag".into())
        };
        legal.map_err(|problem| {
            Error::Usage(format!(
                "--existing: line {}: `{line}` {problem}; give one tag a line, such as `1.2.3-alpine`",
                number + 1
            ))
        })?;
        tags.push(tag.to_string());
    }
    Ok(tags)
}
