//! `cargo xtask base`: the images that ours are built on.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use oci::Cache;
use oci_spec::image::{Descriptor, ImageIndex};
use plan::{Lock, Locked, Spec};
use registry::{Client, Repository};

use crate::bases::{self, Import, Sources};
use crate::facts::Workspace;
use crate::ui::Ui;

/// List, update or import the bases that images are built on
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show each variant's base, its pinned digest, and for which platforms it is at hand
    List,
    /// Ask the registries what the references mean today and pin that in docker/bases.lock; drops imports
    Update {
        /// The variants to update [default: all]
        variants: Vec<String>,
    },
    /// Keep a root file system tar, OCI layout or archive, or docker archive as a variant's base
    Import {
        /// The variant
        variant: String,
        /// The file or folder; of several images in it name one: PATH:NAME
        source: String,
        /// The platform that it is for [default: this machine's]
        #[arg(long)]
        platform: Option<String>,
    },
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        match self.command {
            Command::List => list(workspace),
            Command::Update { variants } => update(workspace, &variants, ui),
            Command::Import { variant, source, platform } => {
                import(workspace, &variant, source, platform.as_deref(), ui)
            }
        }
    }
}

fn list(workspace: &Workspace) -> Result<()> {
    let (spec, lock) = (workspace.spec()?, workspace.lock()?);
    let cache = Cache::create(&workspace.cache_dir())?;
    for (name, variant) in &spec.variants {
        if variant.base == "scratch" {
            println!("{name}: built from nothing");
            continue;
        }
        let locked = lock.bases.get(&variant.base);
        let digest = locked.map_or_else(|| "not pinned".into(), |l| l.digest.to_string());
        println!("{name}: {} {digest}", variant.base);
        let root = locked.and_then(|l| bases::cached_root(cache.blobs(), &l.digest));
        for platform_name in spec.platforms.keys() {
            let (platform, _) = spec.platform(platform_name)?;
            let pulled = root.as_ref().is_some_and(|root| {
                oci::base::manifest_for(cache.blobs(), root, &platform)
                    .and_then(|manifest| oci::layout::closure(cache.blobs(), &manifest))
                    .is_ok_and(|parts| parts.iter().all(|p| cache.blobs().contains(p)))
            });
            let state = match bases::imported(&cache, &variant.base, &platform) {
                Some(import) => format!("imported from {} ({})", import.source, import.imported.digest),
                None if pulled => "cached".into(),
                None => "not cached".into(),
            };
            println!("  {platform_name}: {state}");
        }
    }
    Ok(())
}

fn update(workspace: &Workspace, only: &[String], ui: &Ui) -> Result<()> {
    let (spec, old) = (workspace.spec()?, workspace.lock()?);
    for name in only {
        if !spec.variants.contains_key(name) {
            return Err(plan::Error::unknown("variant", name, spec.variants.keys()).into());
        }
    }
    let cache = Cache::create(&workspace.cache_dir())?;
    let client = bases::client(&Sources { spec: &spec, cache: &cache, offline: false, ui })?;
    let mut lock = Lock::default();
    for (name, variant) in spec.variants.iter().filter(|(_, v)| v.base != "scratch") {
        let before = old.bases.get(&variant.base);
        if !only.is_empty() && !only.contains(name) {
            lock.bases.extend(before.map(|locked| (variant.base.clone(), locked.clone())));
            continue;
        }
        let locked =
            today(&client, &spec, &variant.base).with_context(|| format!("{} is unchanged", old.file))?;
        let before = before.map_or_else(|| "none".into(), |l| l.digest.to_string());
        let after = locked.digest.to_string();
        println!(
            "{}: {}",
            variant.base,
            if before == after { after } else { format!("{before} -> {after}") }
        );
        lock.bases.insert(variant.base.clone(), locked);
    }
    for reference in plan::stack::foreign(&spec) {
        let before = old.images.get(reference).cloned();
        let now = if only.is_empty() {
            // Its platforms are its own: not all are as widely built as ours.
            let root = client.resolve(&registry::parse(reference)?)?;
            println!("{reference}: {}", root.digest());
            Some(Locked { digest: root.digest().clone(), platforms: BTreeMap::new() })
        } else {
            before
        };
        lock.images.extend(now.map(|locked| (reference.to_string(), locked)));
    }
    for (_, variant) in spec.variants.iter().filter(|(name, _)| only.is_empty() || only.contains(name)) {
        for platform in spec.platforms.keys() {
            bases::forget(&cache, &variant.base, &spec.platform(platform)?.0)?;
        }
    }
    if (&lock.bases, &lock.images) != (&old.bases, &old.images) {
        let path = workspace.absolute(&workspace.lock_path());
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        oci::cache::write_atomically(&path, dir, lock.render().as_bytes())?;
    }
    Ok(())
}

/// What a reference means today: its index, and below it the image of each platform of the catalogue.
fn today(client: &Client, spec: &Spec, reference: &str) -> Result<Locked> {
    let reference = registry::parse(reference)?;
    let root = client.resolve(&reference)?;
    let mut locked = Locked { digest: root.digest().clone(), platforms: BTreeMap::new() };
    if !oci::layout::is_index(root.media_type()) {
        return Ok(locked);
    }
    let bytes = client.manifest(&Repository::of(&reference), &root)?;
    let whole = reference.whole();
    let index: ImageIndex =
        serde_json::from_slice(&bytes).with_context(|| format!("{whole}: is no index"))?;
    for name in spec.platforms.keys() {
        let (platform, _) = spec.platform(name)?;
        let fits = |d: &&Descriptor| d.platform().as_ref().is_some_and(|p| oci::platform::fits(p, &platform));
        let found = index.manifests().iter().find(fits);
        let found = found.with_context(|| format!("{whole}: has no image for {name}"))?;
        locked.platforms.insert(name.clone(), found.digest().clone());
    }
    Ok(locked)
}

fn import(
    workspace: &Workspace,
    variant: &str,
    source: String,
    platform: Option<&str>,
    ui: &Ui,
) -> Result<()> {
    let spec = workspace.spec()?;
    let Some(base) = spec.variants.get(variant).map(|v| v.base.clone()).filter(|base| base != "scratch")
    else {
        let based = spec.variants.iter().filter(|(_, v)| v.base != "scratch").map(|(name, _)| name);
        return Err(plan::Error::unknown("variant with a base", variant, based).into());
    };
    let platform = match platform {
        Some(name) => spec.platform(name)?.0,
        None => workspace.facts(&spec)?.host,
    };
    let cache = Cache::create(&workspace.cache_dir())?;
    let sources = Sources { spec: &spec, cache: &cache, offline: true, ui };
    let (imported, _) = bases::from_source(&source, &platform, &sources)
        .with_context(|| format!("base import {variant} {source}"))?;
    plan::filesystem::check_base(&platform, &oci::base::read(&cache, &imported.manifest)?)?;
    println!("{variant} {}: {}", oci::platform::display(&platform), imported.digest);
    bases::remember(&cache, &base, &platform, &Import { imported, source })
}
