//! The digests that `--digest` pins images to: ours as they lie in the layout, others as docker/bases.lock has them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use oci::layout::Layout;
use oci_spec::image::Descriptor;
use plan::Spec;
use plan::stack::{self, Pins};

use crate::compose::own_images;
use crate::facts::Workspace;

/// The images that a stack runs.
pub fn of_stack(spec: &Spec, name: &str) -> BTreeSet<String> {
    let services = spec.stacks.get(name).into_iter().flat_map(|stack| stack.services.values());
    services.map(|service| stack::reference(spec, service)).collect()
}

/// The image of the catalogue, and its variant, that a stack knows by this reference.
fn made_as(spec: &Spec, reference: &str) -> Option<(String, String)> {
    let none = Pins::new();
    let stacks = spec.stacks.keys().filter_map(|name| stack::find(spec, name, &none).ok());
    let mut images = stacks.flat_map(|stack| own_images(&stack));
    images.find(|(known, ..)| known == reference).map(|(_, image, variant)| (image, variant))
}

/// The digest of each reference.
///
/// # Errors
/// The references that have none, each with the command that gets it.
pub fn find(workspace: &Workspace, spec: &Spec, references: &BTreeSet<String>) -> Result<Pins> {
    let lock = workspace.lock()?;
    let foreign: BTreeSet<&str> = stack::foreign(spec).into_iter().collect();
    let layout = Layout::open(workspace.target.join("oci")).and_then(|layout| layout.index()).ok();
    // A layout names the default image's by their tags alone, others by their whole references.
    let own = format!("{}:", spec.images[&spec.project.default_image].repository);
    let built = |reference: &str| {
        let name = reference.strip_prefix(&own).unwrap_or(reference);
        let is_it = |d: &&Descriptor| {
            let annotations = d.annotations().as_ref();
            annotations.and_then(|a| a.get("org.opencontainers.image.ref.name")).is_some_and(|n| n == name)
        };
        Some(layout.as_ref()?.manifests().iter().find(is_it)?.digest().to_string())
    };
    let mut pins = Pins::new();
    let mut missing = Vec::new();
    for reference in references {
        let digest = if foreign.contains(reference.as_str()) {
            lock.images.get(reference).map(|locked| locked.digest.to_string())
        } else {
            built(reference)
        };
        match digest {
            Some(digest) => drop(pins.insert(reference.clone(), digest)),
            None if foreign.contains(reference.as_str()) => missing.push(format!(
                "docker/bases.lock has no digest of `{reference}`; run `cargo xtask base update`"
            )),
            None => {
                let (image, variant) = made_as(spec, reference).unwrap_or_default();
                missing.push(format!(
                    "target/oci has no `{reference}`; run `cargo xtask image --image {image} --variant {variant}`"
                ));
            }
        }
    }
    if !missing.is_empty() {
        bail!("{}", missing.join("; "));
    }
    Ok(pins)
}
