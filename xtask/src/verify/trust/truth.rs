//! What an image is by itself, and whether the signed documents say the same.

use anyhow::{Result, ensure};
use oci::Cache;
use oci::contents::Tree;
use oci::layout;
use oci_spec::image::{
    ANNOTATION_BASE_IMAGE_DIGEST, ANNOTATION_BASE_IMAGE_NAME, ANNOTATION_REVISION, Descriptor, Digest,
    ImageConfiguration, ImageManifest, Platform,
};
use serde_json::Value;
use supply::inventory::{self, Inventory};
use supply::provenance;
use supply::sbom::{Claim, Format};

use super::World;
use crate::bases;
use crate::store::{self, Store};

/// What is in the image; an error where it is not whole.
pub fn inventory(store: &Store, manifest: &Descriptor) -> Result<Inventory> {
    store.fetch_image(manifest)?;
    let tree = Tree::read(store.blobs(), manifest, inventory::is_wanted)?;
    Ok(inventory::inventory(&tree, &inventory::CrateFacts::new())?)
}

/// What provenance has to say of the image.
pub fn origin(store: &Store, manifest: &Descriptor, inventory: &Inventory) -> Result<provenance::Claim> {
    let document = store.fetch_image(manifest)?;
    let config: ImageConfiguration = store.read(document.config())?;
    let labels = config.config().as_ref().and_then(|c| c.labels().clone()).unwrap_or_default();
    let base = labels.get(ANNOTATION_BASE_IMAGE_NAME).and(labels.get(ANNOTATION_BASE_IMAGE_DIGEST));
    let crates = inventory.components.iter().filter(|c| c.scope.is_some());
    Ok(provenance::Claim {
        revision: labels.get(ANNOTATION_REVISION).cloned().unwrap_or_default(),
        base: base.cloned(),
        crates: crates.map(|c| c.purl.clone()).collect(),
        parts: document.layers().iter().map(|layer| layer.digest().to_string()).collect(),
    })
}

/// Whether there is a bill of that format, and each tells what is in the image.
pub fn bills(
    format: Format,
    found: &[(String, Value)],
    manifest: &Descriptor,
    inventory: &Inventory,
) -> Result<()> {
    for bill in of_type(found, format.predicate_type())? {
        Claim::read(bill)?.check(manifest.digest(), inventory)?;
    }
    Ok(())
}

/// Whether there is provenance of ours, and each tells what the image is made of.
pub fn provenance(found: &[(String, Value)], truth: &provenance::Claim) -> Result<()> {
    let predicates = of_type(found, provenance::PREDICATE_TYPE)?;
    let claims: Vec<provenance::Claim> = predicates.into_iter().filter_map(provenance::Claim::read).collect();
    ensure!(!claims.is_empty(), "its provenance is of another build type; `cargo xtask attest` makes ours");
    for claim in claims {
        claim.check(truth)?;
    }
    Ok(())
}

/// Whether the lowest layers of an image are those of the base `reference` at `digest`. The base is looked for in the
/// cache, then in its registry; of it only documents are read.
pub fn foundation(
    world: &World,
    layers: &[Descriptor],
    reference: &str,
    digest: &Digest,
    platform: &Platform,
) -> std::result::Result<(), String> {
    let base = match base_layers(world, reference, digest, platform) {
        Ok(base) => base,
        Err(e) => return Err(format!("{reference}@{digest}, which is locked, can't be compared: {e:#}")),
    };
    let mut pairs = std::iter::zip(&base, layers);
    if layers.len() < base.len() || pairs.any(|(base, layer)| base.digest() != layer.digest()) {
        return Err(format!("it names {reference}@{digest}, and its lowest layers are others"));
    }
    Ok(())
}

fn base_layers(
    world: &World,
    reference: &str,
    digest: &Digest,
    platform: &Platform,
) -> Result<Vec<Descriptor>> {
    let cache = Cache::create(&world.workspace.cache_dir())?;
    let cached = bases::cached_root(cache.blobs(), digest).and_then(|root| {
        let manifest = oci::base::manifest_for(cache.blobs(), &root, platform).ok()?;
        layout::document::<ImageManifest>(cache.blobs(), &manifest).ok()
    });
    if let Some(document) = cached {
        return Ok(document.layers().clone());
    }
    // The tag plays no part once there is a digest.
    let (repository, _) = reference.rsplit_once(':').unwrap_or((reference, ""));
    let store = Store::open(&format!("{repository}@{digest}"), world.workspace, world.spec, world.ui)?;
    let platforms = store.platforms()?;
    let wanted = oci::platform::display(platform);
    let (_, manifest) = store::choose(&platforms, Some(&wanted), platform)?;
    let document: ImageManifest = store.read(manifest)?;
    Ok(document.layers().clone())
}

/// The predicates of that type, of which there must be one.
fn of_type<'a>(found: &'a [(String, Value)], predicate_type: &str) -> Result<Vec<&'a Value>> {
    let of: Vec<&Value> = found.iter().filter(|(t, _)| t == predicate_type).map(|(_, p)| p).collect();
    ensure!(!of.is_empty(), "no signed {predicate_type} refers to it");
    Ok(of)
}
