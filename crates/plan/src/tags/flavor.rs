//! metadata-action's `flavor` and `images`: lists of `key=value`, with commas between.

use super::template::{Scope, Template};
use crate::error::{Error, Result};

/// What holds for all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flavor {
    /// Whether there is `latest`; none leaves it to the rules.
    pub latest: Option<bool>,
    /// In front of each tag.
    pub prefix: Affix,
    /// Behind each tag.
    pub suffix: Affix,
}

/// What comes in front of or behind tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affix {
    /// The text.
    pub text: Template,
    /// Whether `latest` gets it too.
    pub on_latest: bool,
}

impl Flavor {
    /// Reads `--flavor`, each of which may have several lines.
    ///
    /// # Errors
    /// [`Error::Usage`] with what is allowed.
    pub fn parse(typed: &[String]) -> Result<Flavor> {
        let empty = || Affix { text: Template::default(), on_latest: false };
        let mut flavor = Flavor { latest: None, prefix: empty(), suffix: empty() };
        for line in lines(typed) {
            // `onlatest` belongs to the prefix or suffix in front of it.
            let mut last: Option<bool> = None;
            for (key, value) in fields("--flavor", line)? {
                let wrong = |problem: String| Error::Usage(format!("--flavor `{line}`: {problem}"));
                let switch = |on_off: &str| match on_off {
                    "true" => Ok(true),
                    "false" => Ok(false),
                    _ => Err(wrong(format!(
                        "`{on_off}` is no value of `{}`; allowed: true, false",
                        key.as_deref().unwrap_or_default()
                    ))),
                };
                match key.as_deref() {
                    Some("latest") if value == "auto" => flavor.latest = None,
                    Some("latest") if !matches!(value.as_str(), "true" | "false") => {
                        return Err(wrong(format!(
                            "`{value}` is no value of `latest`; allowed: auto, true, false"
                        )));
                    }
                    Some("latest") => flavor.latest = Some(switch(&value)?),
                    Some(side @ ("prefix" | "suffix")) => {
                        let text = Template::parse(&value).map_err(wrong)?;
                        text.check(&Scope::global()).map_err(wrong)?;
                        let affix = if side == "prefix" { &mut flavor.prefix } else { &mut flavor.suffix };
                        affix.text = text;
                        last = Some(side == "prefix");
                    }
                    Some("onlatest") => {
                        let affix = match last {
                            Some(true) => &mut flavor.prefix,
                            Some(false) => &mut flavor.suffix,
                            None => {
                                return Err(wrong(
                                    "`onlatest` must follow a `prefix=` or `suffix=` in the same entry"
                                        .into(),
                                ));
                            }
                        };
                        affix.on_latest = switch(&value)?;
                    }
                    Some(other) => {
                        return Err(Error::unknown(
                            "key of --flavor",
                            other,
                            ["latest", "prefix", "suffix", "onlatest"],
                        ));
                    }
                    None => {
                        return Err(wrong(format!(
                            "`{value}` must be KEY=VALUE, such as `suffix=-alpine,onlatest=true`"
                        )));
                    }
                }
            }
        }
        Ok(flavor)
    }
}

/// Reads `--image`: `NAME`, or `name=NAME,enable=true`. Names are lower-cased, as registries want them.
///
/// # Errors
/// [`Error::Usage`] for what is no repository.
pub fn images(typed: &[String]) -> Result<Vec<String>> {
    let mut images: Vec<String> = Vec::new();
    for line in lines(typed) {
        let (mut names, mut enabled) = (Vec::new(), true);
        for (key, value) in fields("--image", line)? {
            match (key.as_deref(), value.as_str()) {
                (None | Some("name"), name) => names.push(name.to_lowercase()),
                (Some("enable"), "true") => enabled = true,
                (Some("enable"), "false") => enabled = false,
                (Some("enable"), other) => {
                    return Err(Error::Usage(format!(
                        "--image `{line}`: enable=`{other}`; allowed: true, false"
                    )));
                }
                (Some(other), _) => return Err(Error::unknown("key of --image", other, ["name", "enable"])),
            }
        }
        for name in names.into_iter().filter(|_| enabled) {
            check_repository(&name)?;
            if !images.contains(&name) {
                images.push(name);
            }
        }
    }
    Ok(images)
}

fn check_repository(name: &str) -> Result<()> {
    let last = name.rsplit('/').next().unwrap_or_default();
    let sound = !last.contains([':', '@'])
        && format!("{name}:tag").parse::<oci_spec::distribution::Reference>().is_ok();
    sound.then_some(()).ok_or_else(|| {
        Error::Usage(format!(
            "--image `{name}`: must be a repository without a tag, such as `ghcr.io/owner/name`"
        ))
    })
}

/// The lines of all, without empty ones and comments, so that a block of a workflow can be pasted.
pub(super) fn lines(typed: &[String]) -> impl Iterator<Item = &str> {
    typed.iter().flat_map(|t| t.lines()).map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
}

/// A field: its key in lower case, if it has one, and its value.
pub(super) type Field = (Option<String>, String);

/// The fields of a line, as CSV: one in quotes may hold commas, and a quote written twice.
pub(super) fn fields(flag: &str, line: &str) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let field;
        if let Some(quoted) = text.strip_prefix('"') {
            let end = quote_end(quoted).ok_or_else(|| {
                Error::Usage(format!("{flag} `{line}`: a `\"` at the start of a field has no end"))
            })?;
            field = quoted[..end].replace("\"\"", "\"");
            let after = &quoted[end + 1..];
            rest = after.strip_prefix(',');
            if !after.is_empty() && rest.is_none() {
                return Err(Error::Usage(format!(
                    "{flag} `{line}`: after a closing `\"` a comma must follow"
                )));
            }
        } else {
            let (plain, after) =
                text.split_once(',').map_or((text, None), |(plain, after)| (plain, Some(after)));
            if plain.contains('"') {
                return Err(Error::Usage(format!(
                    "{flag} `{line}`: quotes go around the whole field, as in `\"pattern=a,b\"`"
                )));
            }
            field = plain.to_string();
            rest = after;
        }
        fields.push(match field.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                (Some(key.trim().to_lowercase()), value.trim().to_string())
            }
            _ => (None, field.trim().to_string()),
        });
    }
    Ok(fields)
}

/// Where the quote ends: at one that is not written twice.
fn quote_end(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find('"')?;
        if !text[at + 1..].starts_with('"') {
            return Some(at);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(typed: &[&str]) -> Vec<String> {
        typed.iter().map(|t| (*t).into()).collect()
    }

    #[test]
    fn flavors() {
        let check = |typed: &[&str], latest: Option<bool>, prefix: (&str, bool), suffix: (&str, bool)| {
            let flavor = Flavor::parse(&owned(typed)).unwrap();
            let (p, s) = (flavor.prefix, flavor.suffix);
            assert_eq!(flavor.latest, latest, "{typed:?}");
            assert_eq!((p.text.to_string().as_str(), p.on_latest), prefix, "{typed:?}");
            assert_eq!((s.text.to_string().as_str(), s.on_latest), suffix, "{typed:?}");
        };
        check(&[], None, ("", false), ("", false));
        check(&["latest=auto"], None, ("", false), ("", false));
        check(&["latest=true"], Some(true), ("", false), ("", false));
        check(&["latest=false", "prefix=p-"], Some(false), ("p-", false), ("", false));
        check(&["suffix=-alpine,onlatest=true"], None, ("", false), ("-alpine", true));
        check(&["prefix=p-,onlatest=true,suffix=-s,onlatest=false"], None, ("p-", true), ("-s", false));
        check(&["# all\n latest=false\n\n suffix = -x \n"], Some(false), ("", false), ("-x", false));
    }

    #[test]
    fn wrong_flavors() {
        let check = |typed: &str, expect: &str| {
            let error = Flavor::parse(&owned(&[typed])).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(expect), "{error}");
        };
        check("latest=maybe", "`maybe` is no value of `latest`; allowed: auto, true, false");
        check("sufix=-x", "unknown key of --flavor `sufix`, did you mean `suffix`?");
        check("-alpine", "`-alpine` must be KEY=VALUE");
        check("onlatest=true", "must follow a `prefix=` or `suffix=`");
        check("suffix=-x,onlatest=yes", "`yes` is no value of `onlatest`; allowed: true, false");
        check("suffix={{brnach}}", "did you mean `branch`?");
    }

    #[test]
    fn image_names() {
        let check =
            |typed: &[&str], expect: &str| assert_eq!(images(&owned(typed)).unwrap().join(" "), expect);
        check(&["Owner/App"], "owner/app");
        check(&["a/b,ghcr.io/c/d"], "a/b ghcr.io/c/d");
        check(&["name=a/b\nname=c/d,enable=false\n# note\nlocalhost:5000/e"], "a/b localhost:5000/e");
        check(&["a", "a"], "a");
        for wrong in ["a b", "a:1", "a@b", "", "-", "name=x,enable=yes", "nmae=x", "a//b"] {
            let result = images(&owned(&[wrong]));
            assert!(wrong.is_empty() || result.as_ref().is_err_and(Error::is_usage), "{wrong}: {result:?}");
        }
    }

    #[test]
    fn csv() {
        let check = |line: &str, expect: &[(&str, &str)]| {
            let fields = fields("--rule", line).unwrap();
            let got: Vec<(&str, &str)> =
                fields.iter().map(|(k, v)| (k.as_deref().unwrap_or_default(), v.as_str())).collect();
            assert_eq!(got, expect, "{line}");
        };
        check("type=raw,value=a", &[("type", "raw"), ("value", "a")]);
        check("Type = raw , foo", &[("type", "raw"), ("", "foo")]);
        check(
            "type=raw,\"value=a,b \"\"c\"\"\",x=1=2",
            &[("type", "raw"), ("value", "a,b \"c\""), ("x", "1=2")],
        );
        check("a,", &[("", "a"), ("", "")]);
        for line in ["\"a", "\"a\"b", "value=\"a\""] {
            assert!(fields("--rule", line).unwrap_err().is_usage(), "{line}");
        }
    }
}
