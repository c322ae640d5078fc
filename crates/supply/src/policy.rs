//! What is asked of an image before it may be used: `docker/policy.toml`, held against what was found of it.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::inventory::Inventory;
use crate::{licence, provenance, sbom};

/// The policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Policy {
    /// The public keys of which one must have signed, relative to the workspace.
    pub keys: Vec<String>,
    /// What must be there and right.
    pub require: Vec<Requirement>,
    /// The repository that the provenance must name as its source; empty asks nothing.
    pub source: String,
    /// Whether the base must be the one in docker/bases.lock.
    pub locked_base: bool,
    /// Whether it may run as root, or as a user that has only a name.
    pub allow_root: bool,
    /// Whether it may come from sources that were changed after their commit.
    pub allow_dirty: bool,
    /// SPDX identifiers of licences that no part may be under alone.
    pub refused_licences: Vec<String>,
}

/// Something that must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requirement {
    /// A signature.
    Signature,
    /// A signed CycloneDX SBOM.
    Cyclonedx,
    /// A signed SPDX SBOM.
    Spdx,
    /// Signed SLSA provenance.
    Provenance,
}

impl Requirement {
    /// The predicate type of the statement that satisfies it; none where a signature does.
    pub fn predicate_type(self) -> Option<&'static str> {
        match self {
            Requirement::Signature => None,
            Requirement::Cyclonedx => Some(sbom::Format::CycloneDx.predicate_type()),
            Requirement::Spdx => Some(sbom::Format::Spdx.predicate_type()),
            Requirement::Provenance => Some(provenance::PREDICATE_TYPE),
        }
    }
}

impl Policy {
    /// Parses the text of `file`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Policy> {
        toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |s| text[..s.start].lines().count().max(1));
            Error::invalid(format!("{file}:{line}"), e.message().to_string())
        })
    }
}

/// What was found of the image of one platform. What was found and is not right stands with its reason.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Why no signature is right; none where one is.
    pub signature: Option<String>,
    /// The statements that are signed and about this image: predicate types and predicates.
    pub statements: Vec<(String, Value)>,
    /// The user of the configuration.
    pub user: String,
    /// The base's reference and digest.
    pub base: Option<(String, String)>,
    /// The digest that the lock has for that reference.
    pub locked: Option<String>,
    /// Why the lowest layers are not those of the base that is locked; none where they are.
    pub foundation: Option<String>,
    /// What is in it.
    pub inventory: Inventory,
}

/// A rule and whether it holds.
pub type Verdict = (&'static str, std::result::Result<(), String>);

/// Holds `policy` against `evidence`: every rule that it asks for, with the reason where it does not hold.
pub fn evaluate(policy: &Policy, evidence: &Evidence) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for requirement in &policy.require {
        verdicts.push(match requirement {
            Requirement::Signature => ("policy: is signed", evidence.signature.clone().map_or(Ok(()), Err)),
            Requirement::Cyclonedx => ("policy: has a CycloneDX SBOM", attested(evidence, *requirement)),
            Requirement::Spdx => ("policy: has an SPDX SBOM", attested(evidence, *requirement)),
            Requirement::Provenance => ("policy: has provenance", attested(evidence, *requirement)),
        });
    }
    if !policy.source.is_empty() {
        verdicts.push(("policy: comes from our sources", source(policy, evidence)));
    }
    if !policy.allow_dirty {
        verdicts.push(("policy: comes from a commit as it is", clean(evidence)));
    }
    if policy.locked_base {
        verdicts.push(("policy: sits on the locked base", locked(evidence)));
    }
    if !policy.allow_root {
        verdicts.push(("policy: runs as a numeric user, not root", user(&evidence.user)));
    }
    if !policy.refused_licences.is_empty() {
        verdicts.push(("policy: holds no refused licence", licences(policy, evidence)));
    }
    verdicts
}

fn attested(evidence: &Evidence, requirement: Requirement) -> std::result::Result<(), String> {
    let wanted = requirement.predicate_type().unwrap_or_default();
    match evidence.statements.iter().any(|(found, _)| found == wanted) {
        true => Ok(()),
        false => Err(format!("no signed {wanted} refers to it; `cargo xtask attest` makes one")),
    }
}

/// The sources that each provenance names first; there is one at least.
fn sources(evidence: &Evidence) -> std::result::Result<Vec<&str>, String> {
    let all = evidence.statements.iter().filter(|(t, _)| t == provenance::PREDICATE_TYPE);
    let named = all.map(|(_, predicate)| {
        let uri = &predicate["buildDefinition"]["resolvedDependencies"][0]["uri"];
        uri.as_str().unwrap_or("nothing")
    });
    let named: Vec<&str> = named.collect();
    if named.is_empty() { Err("there is no provenance that says so".into()) } else { Ok(named) }
}

fn source(policy: &Policy, evidence: &Evidence) -> std::result::Result<(), String> {
    let wanted = format!("git+{}", policy.source);
    let repositories = sources(evidence)?.into_iter().filter_map(|uri| uri.split('@').next());
    match repositories.into_iter().find(|repository| *repository != wanted) {
        None => Ok(()),
        Some(other) => Err(format!("its provenance names {other}, not git+{}", policy.source)),
    }
}

fn clean(evidence: &Evidence) -> std::result::Result<(), String> {
    for found in sources(evidence)? {
        if !found.contains('@') {
            return Err("its provenance names no commit".into());
        }
        if found.ends_with("-dirty") {
            return Err(format!("its sources were changed after {found}"));
        }
    }
    Ok(())
}

fn locked(evidence: &Evidence) -> std::result::Result<(), String> {
    match (&evidence.base, &evidence.locked) {
        // Only what stands on nothing has no base, and a distribution's packages come with one.
        (None, _) => match evidence.inventory.components.iter().find(|c| c.scope.is_none()) {
            None => Ok(()),
            Some(package) => Err(format!("it names no base, and has {} in it", package.purl)),
        },
        (Some((_, found)), Some(locked)) if found == locked => {
            evidence.foundation.clone().map_or(Ok(()), Err)
        }
        (Some((name, found)), Some(locked)) => Err(format!(
            "it sits on {name}@{found}, docker/bases.lock has {locked}; `cargo xtask rebase` moves it"
        )),
        (Some((name, _)), None) => Err(format!("it sits on {name}, which docker/bases.lock does not have")),
    }
}

/// Whether an image's `User` can't be root.
pub fn user(user: &str) -> std::result::Result<(), String> {
    let uid = user.split(':').next().unwrap_or_default();
    match uid.parse::<u32>() {
        Ok(0) => Err("it runs as root (0)".into()),
        Ok(_) => Ok(()),
        Err(_) if uid.is_empty() => Err("it names no user, so it runs as root".into()),
        Err(_) => Err(format!("its user `{uid}` is a name, which nobody can check; write its number")),
    }
}

fn licences(policy: &Policy, evidence: &Evidence) -> std::result::Result<(), String> {
    // The image does not say what its crates are under, only a signed bill does.
    let untold = evidence.inventory.components.iter().find(|c| c.scope.is_some() && c.licence.is_none());
    if let Some(untold) = untold {
        return Err(format!("no signed SBOM says what {} is under", untold.purl));
    }
    let refused: Vec<String> = evidence
        .inventory
        .components
        .iter()
        .filter_map(|c| {
            let expression = c.licence.as_ref()?;
            (licence::is_acceptable(expression, &policy.refused_licences) == Some(false))
                .then(|| format!("{} is under {expression}", c.purl))
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auditable::Scope;
    use crate::inventory::Component;
    use serde_json::json;

    fn good() -> Evidence {
        let predicate =
            json!({ "buildDefinition": { "resolvedDependencies": [{ "uri": "git+https://x/y@0123" }] } });
        let component = Component {
            purl: "pkg:cargo/a@1".into(),
            name: "a".into(),
            version: "1".into(),
            scope: Some(Scope::Runtime),
            is_program: false,
            licence: Some("MIT OR AGPL-3.0-only".into()),
            checksum: None,
            download: None,
            depends: Vec::new(),
        };
        Evidence {
            statements: vec![
                (provenance::PREDICATE_TYPE.into(), predicate),
                ("https://spdx.dev/Document".into(), json!({})),
            ],
            user: "1000:1000".into(),
            base: Some(("alpine".into(), "sha256:a".into())),
            locked: Some("sha256:a".into()),
            inventory: Inventory { distribution: None, components: vec![component] },
            ..Evidence::default()
        }
    }

    const POLICY: &str = r#"
        require = ["signature", "spdx", "provenance"]
        source = "https://x/y"
        locked-base = true
        refused-licences = ["AGPL-3.0-only"]
    "#;

    #[test]
    fn each_rule_can_fail() {
        let policy = Policy::parse("policy.toml", POLICY).unwrap();
        assert!(evaluate(&policy, &good()).iter().all(|(_, verdict)| verdict.is_ok()));
        let check = |rule: &str, change: fn(&mut Evidence), expect: &str| {
            let mut evidence = good();
            change(&mut evidence);
            let verdicts = evaluate(&policy, &evidence);
            let (_, verdict) = verdicts.iter().find(|(name, _)| name.ends_with(rule)).expect(rule);
            let reason = verdict.clone().unwrap_err();
            assert!(reason.contains(expect), "{reason}");
        };
        check("is signed", |e| e.signature = Some("why".into()), "why");
        check("an SPDX SBOM", |e| drop(e.statements.pop()), "no signed https://spdx.dev/Document");
        check("has provenance", |e| e.statements.clear(), "no signed https://slsa.dev");
        check("our sources", |e| e.statements.clear(), "no provenance");
        check("a commit as it is", |e| e.statements.clear(), "no provenance");
        check(
            "our sources",
            |e| {
                e.statements[0].1["buildDefinition"]["resolvedDependencies"][0]["uri"] =
                    json!("git+https://z@1")
            },
            "names git+https://z, not git+https://x/y",
        );
        check(
            "a commit as it is",
            |e| {
                e.statements[0].1["buildDefinition"]["resolvedDependencies"][0]["uri"] =
                    json!("git+https://x/y@1-dirty");
            },
            "were changed after",
        );
        check("the locked base", |e| e.locked = Some("sha256:b".into()), "docker/bases.lock has sha256:b");
        check("the locked base", |e| e.locked = None, "does not have");
        let nothing = Evidence { base: None, locked: None, ..good() };
        assert!(evaluate(&policy, &nothing).iter().all(|(_, verdict)| verdict.is_ok()));
        check("the locked base", |e| e.foundation = Some("why".into()), "why");
        check(
            "the locked base",
            |e| {
                e.base = None;
                e.inventory.components[0].scope = None;
            },
            "it names no base, and has pkg:cargo/a@1 in it",
        );
        // One that is right does not excuse another that is not.
        for (rule, uri, expect) in [
            ("our sources", "git+https://z@1", "names git+https://z"),
            ("a commit as it is", "git+https://x/y@1-dirty", "were changed after"),
            ("a commit as it is", "git+https://x/y", "names no commit"),
        ] {
            let mut evidence = good();
            let other = json!({ "buildDefinition": { "resolvedDependencies": [{ "uri": uri }] } });
            evidence.statements.push((provenance::PREDICATE_TYPE.into(), other));
            let verdicts = evaluate(&policy, &evidence);
            let (_, verdict) = verdicts.iter().find(|(name, _)| name.ends_with(rule)).expect(rule);
            assert!(verdict.clone().unwrap_err().contains(expect), "{verdict:?}");
        }
        check("not root", |e| e.user = "0:0".into(), "runs as root");
        check("not root", |e| e.user = String::new(), "names no user");
        check("not root", |e| e.user = "postgres".into(), "is a name");
        check(
            "refused licence",
            |e| e.inventory.components[0].licence = Some("AGPL-3.0-only".into()),
            "pkg:cargo/a@1 is under AGPL-3.0-only",
        );
        check(
            "refused licence",
            |e| e.inventory.components[0].licence = None,
            "no signed SBOM says what pkg:cargo/a@1 is under",
        );
    }

    #[test]
    fn a_mistyped_policy_is_refused() {
        let check = |text: &str, expect: &str| {
            let error = Policy::parse("p.toml", text).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check("require = [\"signatur\"]", "p.toml:1: unknown variant `signatur`");
        check("\n\nlocked_base = true", "p.toml:");
        check("keys = 1", "p.toml:1: invalid type");
    }
}
