//! The way back from a bad release. Nothing public is undone: its exact tags stay. What floats returns to the release
//! below it, as if the bad one had not been.

use super::{Rank, rank};
use crate::error::Result;
use crate::spec::{Spec, Variant};
use crate::tags::release;
use crate::tags::spec::{grammar, suffixes};
use crate::tags::version::Version;

/// A floating tag that may stand for the withdrawn release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// The tag.
    pub tag: String,
    /// The exact tag of the withdrawn release in the same suffix.
    pub withdrawn: String,
    /// The exact tag whose image it returns to; none where the series has no other release.
    pub instead: Option<String>,
    /// When it is written.
    pub rank: Rank,
    /// Why it is that one.
    pub why: String,
}

/// The floating tags of `version` and where they return to, when the repository has the tags `existing`.
///
/// # Errors
/// [`crate::Error::Usage`] for what is no version.
pub fn withdrawal(
    spec: &Spec,
    image: &str,
    variant: &Variant,
    version: &str,
    existing: &[String],
) -> Result<Vec<Return>> {
    let image = &spec.images[image];
    let grammar = grammar(image);
    let withdrawn = release::parse_version(&grammar, version)?;
    let mut returns = Vec::new();
    for suffix in suffixes(image, image.default_compat.as_deref(), variant) {
        let of_suffix = [suffix];
        let policy = spec.tags.policy(&of_suffix);
        let exact =
            |version: &Version| release::names(version, &policy, &[]).tags.first().map(|t| t.name.clone());
        let Some(own) = exact(&withdrawn) else { continue };
        // Those that this very suffix has: the image of another variant is no substitute.
        let mut others: Vec<Version> = release::released(&grammar, existing.iter().map(String::as_str));
        others.retain(|v| v.is_stable() && v.is_like(&withdrawn) && *v != withdrawn);
        others.retain(|v| exact(v).is_some_and(|tag| existing.contains(&tag)));
        others.sort_by(|a, b| b.by_numbers(a));
        let names = release::names(&withdrawn, &policy, &[]);
        for tag in names.tags.into_iter().map(|t| t.name).filter(|tag| *tag != own) {
            let floats_at = |v: &&Version| release::names(v, &policy, &[]).tags.iter().any(|t| t.name == tag);
            let best = others.iter().find(floats_at);
            returns.push(Return {
                rank: rank(&grammar, &tag),
                why: match best {
                    Some(best) => {
                        format!("{withdrawn} is withdrawn, and {best} is the highest other release")
                    }
                    None => format!("{withdrawn} is withdrawn, and no other release has this name: it stays"),
                },
                withdrawn: own.clone(),
                instead: best.and_then(exact),
                tag,
            });
        }
    }
    returns.sort_by_key(|r| r.rank);
    Ok(returns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::spec;

    #[test]
    fn where_tags_return_to() {
        let check = |version: &str, variant: &str, existing: &str, expect: &str| {
            let existing: Vec<String> = existing.split_whitespace().map(String::from).collect();
            let returns =
                withdrawal(&spec(), "server", &Variant(variant.into()), version, &existing).unwrap();
            let got: Vec<String> = returns
                .iter()
                .map(|r| format!("{}={}", r.tag, r.instead.as_deref().unwrap_or("-")))
                .collect();
            assert_eq!(got.join(" "), expect, "{version}");
        };
        let debian = "1.2.3-debian 1.2.2-debian 1.1.9-debian 0.9.0-debian 2.0.0-rc.1-debian";
        check("1.2.3", "debian", debian, "1.2-debian=1.2.2-debian 1-debian=1.2.2-debian debian=1.2.2-debian");
        check(
            "1.2.3",
            "debian",
            "1.2.3-debian 1.1.9-debian 1.2.2-alpine",
            "1.2-debian=- 1-debian=1.1.9-debian debian=1.1.9-debian",
        );
        check("1.0.0", "debian", "1.0.0-debian 0.9.0-debian", "1.0-debian=- 1-debian=- debian=0.9.0-debian");
        check(
            "1.0.0",
            "alpine",
            "1.0.0 1.0.0-alpine 0.9.0 0.9.0-alpine",
            "1.0-alpine=- 1-alpine=- alpine=0.9.0-alpine 1.0=- 1=- latest=0.9.0",
        );
        check("2.0.0-rc.1", "debian", debian, "");
        assert!(withdrawal(&spec(), "server", &Variant("debian".into()), "1.2", &[]).is_err());
    }
}
