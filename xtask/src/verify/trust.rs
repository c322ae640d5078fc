//! Whether an image can be trusted: who signed it, what is said of it under signature, and whether that is true.

mod truth;

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use oci_spec::image::{
    ANNOTATION_BASE_IMAGE_DIGEST, ANNOTATION_BASE_IMAGE_NAME, Descriptor, Digest, ImageConfiguration,
    ImageManifest, Platform,
};
use plan::{Facts, Spec};
use serde_json::Value;
use signing::bundle::SIGN_PREDICATE;
use signing::{PublicKey, dsse, simple};
use supply::inventory::Inventory;
use supply::policy::{Evidence, Policy, evaluate};
use supply::provenance;
use supply::sbom::Format;

use super::{Line, outcome, record};
use crate::attach;
use crate::facts::Workspace;
use crate::store::Store;
use crate::ui::{Ui, Usage};

/// The project's own policy.
pub const POLICY: &str = "docker/policy.toml";

/// By what is judged.
pub struct Trust {
    keys: Vec<PublicKey>,
    policy: Option<Policy>,
}

/// With what is judged.
pub struct World<'a> {
    /// The checkout.
    pub workspace: &'a Workspace,
    /// The catalogue.
    pub spec: &'a Spec,
    /// With the lock.
    pub facts: &'a Facts,
    /// Who is told.
    pub ui: &'a Ui,
}

impl Trust {
    /// Reads key and policy. The key that is named counts instead of the policy's.
    pub fn read(workspace: &Workspace, key: Option<&Path>, policy: Option<&Path>) -> Result<Trust> {
        let policy = match policy {
            None => None,
            Some(path) => {
                let path = if path == Path::new(POLICY) { workspace.root.join(path) } else { path.into() };
                let shown = path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string();
                let text = std::fs::read_to_string(&path).with_context(|| format!("{shown}: cannot read"))?;
                let policy = Policy::parse(&shown, &text)?;
                Some((shown, policy))
            }
        };
        let keys = match (key, &policy) {
            (Some(key), _) => vec![attach::public_key("--key", key)?],
            (None, None) => Vec::new(),
            (None, Some((shown, policy))) => {
                let place = format!("{shown}: keys:");
                policy
                    .keys
                    .iter()
                    .map(|key| attach::public_key(&place, &workspace.root.join(key)))
                    .collect::<Result<_>>()?
            }
        };
        if keys.is_empty() {
            let shown = policy.as_ref().map_or(POLICY, |(shown, _)| shown);
            return Err(Usage(format!(
                "{shown}: `keys` is empty: no key is trusted, so no image can pass; add the signer's public key there, or give it with --key FILE"
            ))
            .into());
        }
        let policy = policy.map(|(_, policy)| policy);
        Ok(Trust { keys, policy })
    }
}

/// Checks one image, and notes each check as a line.
pub fn check(image: &str, trust: &Trust, world: &World, lines: &mut Vec<Line>) -> Result<()> {
    let store = Store::open(image, world.workspace, world.spec, world.ui)?;
    let mut note = |subject: &str, probe: &'static str, result: Result<()>| {
        let result = outcome(result);
        record(lines, world.ui, subject, probe, || result);
    };
    for manifest in store.signables()? {
        let subject = format!("{image}@{}", manifest.digest());
        note(&subject, "is signed with the key", signed(&store, trust, manifest.digest()));
        note(
            &subject,
            "carries bundles that the key signed, about it alone",
            statements(&store, trust, manifest.digest()).map(drop),
        );
    }
    let (mut whole, mut is_whole) = (provenance::Claim::default(), true);
    for (platform, manifest) in store.platforms()? {
        let subject = format!("{image} {}", oci::platform::display(&platform));
        let inventory = match truth::inventory(&store, &manifest) {
            Ok(inventory) => {
                note(&subject, "is whole, to the last layer entry", Ok(()));
                inventory
            }
            Err(e) => {
                note(&subject, "is whole, to the last layer entry", Err(e));
                is_whole = false;
                continue;
            }
        };
        let found = statements(&store, trust, manifest.digest()).unwrap_or_default();
        for format in Format::ALL {
            let probe = match format {
                Format::CycloneDx => "has a CycloneDX SBOM that matches its contents",
                Format::Spdx => "has an SPDX SBOM that matches its contents",
            };
            note(&subject, probe, truth::bills(format, &found, &manifest, &inventory));
        }
        let origin = truth::origin(&store, &manifest, &inventory)?;
        note(&subject, "has provenance that matches its contents", truth::provenance(&found, &origin));
        whole.revision = origin.revision;
        whole.base = origin.base;
        whole.crates.extend(origin.crates);
        whole.parts.push(manifest.digest().to_string());
        let Some(policy) = &trust.policy else { continue };
        let evidence = evidence(&store, trust, world, &platform, &manifest, found, inventory)?;
        for (rule, verdict) in evaluate(policy, &evidence) {
            note(&subject, rule, verdict.map_err(anyhow::Error::msg));
        }
    }
    if oci::layout::is_index(store.root().media_type()) {
        let found = statements(&store, trust, store.root().digest()).unwrap_or_default();
        let subject = format!("{image}@{}", store.root().digest());
        let result = match is_whole {
            true => truth::provenance(&found, &whole),
            false => Err(anyhow!("one of its images is not whole")),
        };
        note(&subject, "has provenance that matches its images", result);
    }
    Ok(())
}

/// Whether one of the keys signed the manifest, in either format. Else the most telling reason.
fn signed(store: &Store, trust: &Trust, digest: &Digest) -> Result<()> {
    let mut reasons = Vec::new();
    for layer in attach::signature_layers(store, digest)? {
        let annotation = layer.annotations().as_ref().and_then(|a| a.get(simple::ANNOTATION));
        let Some(signature) = annotation else { continue };
        store.fetch(&layer)?;
        let payload = store.blobs().read(&layer)?;
        for key in &trust.keys {
            match simple::verify(key, &payload, signature, digest) {
                Ok(_) => return Ok(()),
                Err(e) => reasons.push(e),
            }
        }
    }
    for (_, bundle) in attach::bundles(store, digest)? {
        for key in &trust.keys {
            match dsse::verify(key, &bundle.dsse_envelope, digest) {
                Ok(statement) if statement["predicateType"] == SIGN_PREDICATE => return Ok(()),
                Ok(_) => {}
                Err(e) => reasons.push(e),
            }
        }
    }
    // What is signed by the right key and of another image says more than that other keys signed too.
    reasons.sort_by_key(|e| !matches!(e, signing::Error::OtherDigest { .. }));
    match reasons.into_iter().next() {
        Some(reason) => Err(reason.into()),
        None => bail!("has no signature; `cargo xtask sign` makes one"),
    }
}

/// The predicates of the bundles that one of the keys signed. Bundles of other keys are other people's business; one
/// that was changed or is about another image is an error.
fn statements(store: &Store, trust: &Trust, digest: &Digest) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    let hints: Vec<String> = trust.keys.iter().map(PublicKey::hint).collect();
    for (referrer, bundle) in attach::bundles(store, digest)? {
        let hint = bundle.verification_material.public_key.as_ref().map(|k| k.hint.as_str());
        let Some(key) = hints.iter().position(|h| Some(h.as_str()) == hint) else { continue };
        let statement = dsse::verify(&trust.keys[key], &bundle.dsse_envelope, digest)
            .with_context(|| format!("the referrer {referrer}"))?;
        let predicate_type = statement["predicateType"].as_str().unwrap_or_default().to_string();
        found.push((predicate_type, statement["predicate"].clone()));
    }
    ensure!(!found.is_empty(), "no bundle of this key refers to it; `cargo xtask attest` makes them");
    Ok(found)
}

fn evidence(
    store: &Store,
    trust: &Trust,
    world: &World,
    platform: &Platform,
    manifest: &Descriptor,
    statements: Vec<(String, Value)>,
    mut inventory: Inventory,
) -> Result<Evidence> {
    let document: ImageManifest = store.read(manifest)?;
    let config: ImageConfiguration = store.read(document.config())?;
    let settings = config.config().clone().unwrap_or_default();
    let label = |key: &str| settings.labels().as_ref().and_then(|l| l.get(key)).cloned();
    let base = label(ANNOTATION_BASE_IMAGE_NAME).zip(label(ANNOTATION_BASE_IMAGE_DIGEST));
    let lock = base.as_ref().and_then(|(name, _)| world.facts.lock.bases.get(name));
    // The lock pins the index; the image may name that, or its own platform's image below it.
    let locked = lock.map(|l| {
        let own = l.platforms.get(&oci::platform::display(platform));
        let names_own = own.is_some_and(|d| base.as_ref().is_some_and(|(_, found)| *found == d.to_string()));
        own.filter(|_| names_own).unwrap_or(&l.digest).to_string()
    });
    let asks_for_base = trust.policy.as_ref().is_some_and(|policy| policy.locked_base);
    let foundation = match (&base, &locked) {
        (Some((reference, found)), Some(digest)) if found == digest && asks_for_base => {
            truth::foundation(world, document.layers(), reference, &digest.parse()?, platform).err()
        }
        // Nobody asks, or another digest is wrong enough.
        _ => None,
    };
    // The licences are only in the signed bills: the image itself does not say those of crates.
    for (_, bill) in statements.iter().filter(|(t, _)| t == Format::CycloneDx.predicate_type()) {
        for part in bill["components"].as_array().into_iter().flatten() {
            let expression = part["licenses"][0]["expression"].as_str();
            if let Some(component) = inventory.components.iter_mut().find(|c| part["purl"] == c.purl.as_str())
            {
                component.licence = component.licence.take().or_else(|| expression.map(String::from));
            }
        }
    }
    Ok(Evidence {
        signature: signed(store, trust, manifest.digest()).err().map(|e| e.to_string()),
        statements,
        user: settings.user().clone().unwrap_or_default(),
        base,
        locked,
        foundation,
        inventory,
    })
}
