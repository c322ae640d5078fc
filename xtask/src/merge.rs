//! `cargo xtask merge`: images that were built apart, a platform each, become the images that one machine would have
//! built: the same bytes, so the same digests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::layout::{self, Named};
use oci::validate::{self, Depth};
use oci::{Blobs, Cache, Layout, image};
use oci_spec::image::{Descriptor, ImageIndex};
use plan::PlannedImage;

use crate::facts::Workspace;
use crate::push;
use crate::ui::Ui;

/// Merge layouts with the images of one platform each into one with indexes over all platforms
///
/// What `cargo xtask image --platform P` wrote on several machines becomes what `--platform all` writes on one, digest
/// by digest. A platform that none has, and one that two have differently, are errors. Prints one line an image:
/// repository:tag@digest.
#[derive(clap::Args)]
#[command(after_help = "Example:
  cargo xtask merge layouts/*                    into target/oci")]
pub struct Args {
    /// The layouts
    #[arg(required = true, value_name = "DIR")]
    layouts: Vec<PathBuf>,
    /// A name in docker/images.toml, or all; may be repeated or a list [default: what `publish` says there]
    #[arg(long, value_name = "NAME")]
    image: Vec<String>,
    /// alpine, debian, distroless or all; may be repeated or a list [default: all]
    #[arg(long, value_name = "VARIANT")]
    variant: Vec<String>,
    /// The platforms that each image must have; may be repeated or a list [default: all]
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// The OCI layout to write [default: target/oci]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let images = push::planned(&spec, &facts, &self.image, &self.variant, &self.platform)?;
        let output = self.output.clone().unwrap_or_else(|| workspace.target.join("oci"));
        let cache = Cache::create(&workspace.cache_dir())?;
        let mut named = Vec::new();
        for image in &images {
            let index = merge(image, &self.layouts, cache.blobs())?;
            let names = image.tags.iter().map(|tag| image.layout_name(tag));
            named.extend(names.map(|name| Named { name, descriptor: index.clone() }));
            println!("{}@{}", image.name(), index.digest());
        }
        layout::update(&output, cache.blobs(), &named)?;
        let names: BTreeSet<String> = named.into_iter().map(|n| n.name).collect();
        check(&output, &names, Depth::Layers)?;
        ui.line("merged", format_args!("{} layouts into {}", self.layouts.len(), output.display()));
        Ok(())
    }
}

fn check(root: &Path, names: &BTreeSet<String>, depth: Depth) -> Result<()> {
    let problems = validate::layout(root, Some(names), depth);
    if !problems.is_empty() {
        bail!("{}: is not valid: {}", root.display(), problems.join("; "));
    }
    Ok(())
}

/// Where a manifest was found.
struct Part<'a> {
    descriptor: Descriptor,
    layout: &'a Path,
}

/// The index over the manifests that the layouts have of the image, whose blobs go to `blobs`.
fn merge(image: &PlannedImage, layouts: &[PathBuf], blobs: &Blobs) -> Result<Descriptor> {
    let name = image.layout_name(&image.tags[0]);
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    let mut annotations: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for root in layouts {
        let layout = Layout::open(root)
            .with_context(|| format!("{}: give what `cargo xtask image --output` wrote", root.display()))?;
        let known = layout.index()?;
        if !known.manifests().iter().any(|d| layout::ref_name(d) == Some(&name)) {
            continue;
        }
        check(root, &BTreeSet::from([name.clone()]), Depth::Blobs)?;
        let index: ImageIndex = layout::document(layout.blobs(), &layout.resolve(Some(&name))?)?;
        for descriptor in index.manifests() {
            let platform = descriptor.platform().as_ref().map(oci::platform::display).unwrap_or_default();
            if let Some(other) = parts.get(&platform)
                && other.descriptor.digest() != descriptor.digest()
            {
                bail!(
                    "{name}: {} and {} have different images for {platform}: {} and {}; give one of them",
                    other.layout.display(),
                    root.display(),
                    other.descriptor.digest(),
                    descriptor.digest()
                );
            }
            for part in layout::closure(layout.blobs(), descriptor)? {
                layout.blobs().link_into(blobs, &part)?;
            }
            let own = index.annotations().clone().unwrap_or_default();
            annotations.insert(platform.clone(), own.into_iter().collect());
            parts.insert(platform, Part { descriptor: descriptor.clone(), layout: root });
        }
    }
    let platforms: Vec<String> = image.platforms.iter().map(oci::platform::display).collect();
    let missing: Vec<&String> = platforms.iter().filter(|p| !parts.contains_key(*p)).collect();
    if let Some(missing) = missing.first() {
        bail!(
            "{name}: no layout has it for {missing}; build it there: `cargo xtask image --variant {} --platform {missing}`",
            image.variant
        );
    }
    agree(&name, &annotations)?;
    // In the plan's order, and with what the first platform's says: as if one machine had built them all.
    let manifests: Vec<Descriptor> = platforms.iter().map(|p| parts[p].descriptor.clone()).collect();
    Ok(image::index_of(blobs, &manifests, &annotations[&platforms[0]])?)
}

/// All are of one version of one commit.
fn agree(name: &str, annotations: &BTreeMap<String, BTreeMap<String, String>>) -> Result<()> {
    for key in ["org.opencontainers.image.version", "org.opencontainers.image.revision"] {
        let mut said = annotations.iter().map(|(platform, all)| (platform, all.get(key)));
        let Some((first, value)) = said.next() else { continue };
        if let Some((other, differs)) = said.find(|(_, other)| *other != value) {
            let text = |value: Option<&String>| value.cloned().unwrap_or_else(|| "none".into());
            bail!(
                "{name}: `{key}` is {} for {first} and {} for {other}; build all platforms from one commit",
                text(value),
                text(differs)
            );
        }
    }
    Ok(())
}
