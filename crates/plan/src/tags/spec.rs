//! `[tags]` of images.toml.

use serde::Deserialize;

use super::grammar::{self, Grammar};
use super::is_tag_char;
use super::release::{Level, Policy, Suffix};
use super::template::{Part, Scope, Template};
use crate::spec::{ImageSpec, Variant};

/// How images are called.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TagSpec {
    /// The names that float from release to release.
    pub levels: Vec<Level>,
    /// Whether versions 0.x have the tag `0`.
    #[serde(default)]
    pub zero_major: bool,
    /// Templates for what is no release.
    pub names: Names,
}

/// Templates, by what is built.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Names {
    /// A branch.
    pub branch: Vec<Template>,
    /// The default branch, beside those of a branch.
    pub default_branch: Vec<Template>,
    /// A pull request.
    pub pull_request: Vec<Template>,
    /// A run at a set time.
    pub schedule: Vec<Template>,
    /// A git tag that is no version.
    pub tag: Vec<Template>,
    /// The commit, beside all of these.
    pub commit: Vec<Template>,
}

impl Names {
    /// All templates, with the key that they stand under.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        [
            ("branch", &self.branch),
            ("default-branch", &self.default_branch),
            ("pull-request", &self.pull_request),
            ("schedule", &self.schedule),
            ("tag", &self.tag),
            ("commit", &self.commit),
        ]
        .into_iter()
        .flat_map(|(key, templates)| templates.iter().map(move |t| (key, t)))
    }
}

impl TagSpec {
    /// What releases with these suffixes are called.
    pub fn policy<'a>(&'a self, suffixes: &'a [Suffix]) -> Policy<'a> {
        Policy { levels: &self.levels, zero_major: self.zero_major, suffixes }
    }

    /// What no type says: the grammar of names is unambiguous, templates make sense where they stand.
    ///
    /// # Errors
    /// What is wrong, with its key.
    pub fn check<'a>(
        &self,
        images: impl IntoIterator<Item = (&'a str, &'a ImageSpec)>,
        default_image: &ImageSpec,
    ) -> Result<(), String> {
        for (name, image) in images {
            check_suffixes(name, image)?;
        }
        let grammar = grammar(default_image);
        for (key, template) in self.names.all() {
            let here = format!("tags.names.{key}: template `{template}`");
            template.check(&Scope::naming()).map_err(|problem| format!("{here}: {problem}"))?;
            if let Some(Part::Text(start)) = template.parts().first()
                && start.starts_with(['-', '.'])
            {
                return Err(format!("{here}: starts with `-` or `.`, which no tag may"));
            }
            if let Some(wrong) = template.parts().iter().find_map(illegal) {
                return Err(format!(
                    "{here}: holds `{wrong}`; allowed are letters, digits, `_`, `.` and `-`"
                ));
            }
            if template.literal().is_some_and(|name| grammar.parse(&name).is_some()) {
                return Err(format!("{here}: is the name of a release; choose another, such as `edge`"));
            }
        }
        Ok(())
    }
}

/// The names that may follow this image's versions.
pub fn grammar(image: &ImageSpec) -> Grammar {
    Grammar { variants: image.variants.iter().map(|v| v.0.clone()).collect(), compats: image.compat.clone() }
}

/// How the names of one build end. The variant comes last (`1.0.0-pg18-alpine`); the default variant's names also
/// come without it. Where there are compatibility suffixes every version has one, since without it would not say
/// what it fits; what needs none is `latest` and the bare variant, for the default suffix.
pub fn suffixes(image: &ImageSpec, compat: Option<&str>, variant: &Variant) -> Vec<Suffix> {
    let variants: &[Option<&str>] =
        if *variant == image.default_variant { &[Some(&variant.0), None] } else { &[Some(&variant.0)] };
    let mut suffixes: Vec<Suffix> =
        variants.iter().map(|v| Suffix::full(&grammar::suffix(compat, *v))).collect();
    if compat.is_some() && compat == image.default_compat.as_deref() {
        suffixes.extend(variants.iter().map(|v| Suffix { text: grammar::suffix(None, *v), versions: false }));
    }
    suffixes
}

fn illegal(part: &Part) -> Option<char> {
    let Part::Text(text) = part else { return None };
    text.chars().find(|c| !is_tag_char(*c))
}

/// Variants and compatibility suffixes are apart, and neither reads as a pre-release.
fn check_suffixes(name: &str, image: &ImageSpec) -> Result<(), String> {
    let here = format!("images.{name}");
    for variant in &image.variants {
        if let Some(problem) = grammar::unfit(&variant.0) {
            return Err(format!("{here}.variants: `{variant}` {problem}"));
        }
    }
    for (i, compat) in image.compat.iter().enumerate() {
        if let Some(problem) = grammar::unfit(compat) {
            return Err(format!("{here}.compat: `{compat}` {problem}"));
        }
        if image.variants.iter().any(|v| v.0 == *compat) || image.compat[..i].contains(compat) {
            return Err(format!(
                "{here}.compat: `{compat}` is there twice, or a variant too; a name has one meaning"
            ));
        }
    }
    let default_is_known = match &image.default_compat {
        Some(default) => image.compat.contains(default),
        None => image.compat.is_empty(),
    };
    if !default_is_known {
        return Err(format!(
            "{here}.default-compat: must be one of `compat` ({}), and be there when that is",
            image.compat.join(", ")
        ));
    }
    Ok(())
}
