//! From a layout to the record of what is published: the planned images, whole and of this commit, with everything
//! that refers to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use oci::Layout;
use oci::layout::{self, is_index, ref_name};
use oci::validate::{self, Depth};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use plan::{BaseChoice, PlannedImage};
use registry::Repository;

use super::record::{Companion, Platform, Record, Recorded};

/// The annotations that an image's index must agree with its sources in.
const VERSION: &str = "org.opencontainers.image.version";
const REVISION: &str = "org.opencontainers.image.revision";

/// Finds the images of the plan in the layout at `root` and checks them to the last entry of a layer. `repositories`
/// says where each goes.
pub fn collect(
    root: &Path,
    images: &[PlannedImage],
    revision: Option<&str>,
    repositories: impl Fn(&PlannedImage) -> Result<Vec<Repository>>,
) -> Result<Record> {
    let shown = root.display();
    let build = "run `cargo xtask image --variant all --platform all`";
    let layout = Layout::open(root).with_context(|| format!("{shown}: holds no images; {build}"))?;
    let mut recorded = Vec::new();
    for image in images {
        let name = image.layout_name(&image.tags[0]);
        let mut descriptor = layout
            .resolve(Some(&name))
            .with_context(|| format!("{shown}: lacks {}; {build}", image.name()))?;
        descriptor.set_annotations(None);
        if !is_index(descriptor.media_type()) {
            bail!("{shown}: `{name}` is no image index; {build}");
        }
        let index: ImageIndex = layout::document(layout.blobs(), &descriptor)?;
        agrees(&index, &image.version, revision)
            .map_err(|problem| anyhow::anyhow!("{shown}: `{name}` {problem}; {build}"))?;
        let platforms = platforms(&layout, &index, image)
            .with_context(|| format!("{shown}: `{name}` is incomplete; {build}"))?;
        let base = match &image.base {
            BaseChoice::Pinned { reference, .. } => {
                Some(Repository::of(&registry::parse(reference)?).to_string())
            }
            _ => None,
        };
        recorded.push(Recorded {
            image: image.image.clone(),
            variant: image.variant.clone(),
            name,
            root: descriptor,
            platforms,
            companions: Vec::new(),
            repositories: repositories(image)?.iter().map(ToString::to_string).collect(),
            base,
        });
    }
    let names: BTreeSet<String> = recorded.iter().map(|image| image.name.clone()).collect();
    let problems = validate::layout(root, Some(&names), Depth::Layers);
    if !problems.is_empty() {
        bail!("{shown}: is not valid: {}; {build}", problems.join("; "));
    }
    companions(&layout, &mut recorded)?;
    Ok(Record {
        version: images.first().map(|image| image.version.clone()).unwrap_or_default(),
        revision: revision.map(String::from),
        layout: root.to_path_buf(),
        images: recorded,
        pushed: BTreeSet::new(),
        passed: BTreeSet::new(),
    })
}

/// The index says the version and the commit of the sources.
fn agrees(index: &ImageIndex, version: &str, revision: Option<&str>) -> Result<(), String> {
    let annotations = index.annotations().clone().unwrap_or_default();
    let said = |key: &str| annotations.get(key).map_or("nothing", String::as_str);
    if said(VERSION) != version {
        return Err(format!("is version {}, and the sources are {version}", said(VERSION)));
    }
    match revision {
        Some(commit) if said(REVISION) != commit => {
            Err(format!("was made from {}, and {commit} is checked out", said(REVISION)))
        }
        _ => Ok(()),
    }
}

/// The manifests of exactly the planned platforms.
fn platforms(layout: &Layout, index: &ImageIndex, image: &PlannedImage) -> Result<Vec<Platform>> {
    let found: BTreeMap<String, &Descriptor> = index
        .manifests()
        .iter()
        .map(|d| (d.platform().as_ref().map(oci::platform::display).unwrap_or_default(), d))
        .collect();
    let wanted: BTreeSet<String> = image.platforms.iter().map(oci::platform::display).collect();
    if found.keys().cloned().collect::<BTreeSet<_>>() != wanted {
        let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
        bail!("it is for {}, wanted are {}", list(found.keys().collect()), list(wanted.iter().collect()));
    }
    let mut platforms = Vec::new();
    for (platform, descriptor) in found {
        let manifest: ImageManifest = layout::document(layout.blobs(), descriptor)?;
        platforms.push(Platform {
            platform,
            manifest: descriptor.clone(),
            compressed_bytes: manifest.layers().iter().map(Descriptor::size).sum(),
        });
    }
    Ok(platforms)
}

/// Gives each image what refers to it: manifests with it, or with one of its platforms, as their subject, manifests
/// with those as theirs, and what cosign names after a digest (`sha256-<hex>.sig`).
fn companions(layout: &Layout, images: &mut [Recorded]) -> Result<()> {
    let candidates = candidates(layout)?;
    for image in images {
        let mut family: BTreeSet<String> = image.manifests().map(|d| d.digest().to_string()).collect();
        loop {
            let before = image.companions.len();
            for (companion, subject) in &candidates {
                let belongs = match (&companion.tag, subject) {
                    (Some(tag), _) => named_after(tag, &family),
                    (None, Some(subject)) => family.contains(subject),
                    (None, None) => false,
                };
                if belongs && !image.companions.contains(companion) {
                    family.insert(companion.root.digest().to_string());
                    image.companions.push(companion.clone());
                }
            }
            if image.companions.len() == before {
                break;
            }
        }
    }
    Ok(())
}

/// All that may refer to an image, with the subject that it says: what the layout names, and what stands in the lists
/// that it keeps as a registry without the referrers API does (distribution-spec, "Referrers Tag Schema"). Those lists
/// themselves stay here: each registry has its own.
fn candidates(layout: &Layout) -> Result<Vec<(Companion, Option<String>)>> {
    let bare = |descriptor: &Descriptor| {
        Descriptor::new(descriptor.media_type().clone(), descriptor.size(), descriptor.digest().clone())
    };
    let mut found = Vec::new();
    for descriptor in layout.index()?.manifests() {
        let name = ref_name(descriptor).unwrap_or_default();
        if is_list_of_referrers(name) {
            let list: ImageIndex = layout::document(layout.blobs(), descriptor)?;
            for referrer in list.manifests() {
                let companion = Companion { root: bare(referrer), tag: None };
                found.push((companion, subject(layout, referrer)?));
            }
            continue;
        }
        let tag = name.starts_with("sha256-").then(|| name.to_string());
        found.push((Companion { root: bare(descriptor), tag }, subject(layout, descriptor)?));
    }
    Ok(found)
}

/// Whether a tag is `sha256-<hex>`.
fn is_list_of_referrers(tag: &str) -> bool {
    tag.strip_prefix("sha256-").is_some_and(|hex| hex.len() == 64 && !hex.contains('.'))
}

/// Whether the tag is `sha256-<hex>.KIND` of one of these digests.
fn named_after(tag: &str, family: &BTreeSet<String>) -> bool {
    let stem = tag.split_once('.').and_then(|(stem, _)| stem.strip_prefix("sha256-"));
    stem.is_some_and(|hex| family.contains(&format!("sha256:{hex}")))
}

fn subject(layout: &Layout, descriptor: &Descriptor) -> Result<Option<String>> {
    let document: serde_json::Value = layout::document(layout.blobs(), descriptor)?;
    Ok(document["subject"]["digest"].as_str().map(String::from))
}
