//! What is being published: the images by digest, where they go, and how far that is. A file between `push` and
//! `promote`, so that either can be run again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci_spec::image::Descriptor;
use plan::Variant;
use plan::promote::Pushed;
use registry::Repository;
use serde::{Deserialize, Serialize};

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version that the images say.
    pub version: String,
    /// The commit that they say.
    pub revision: Option<String>,
    /// The layout that holds them.
    pub layout: PathBuf,
    /// The images.
    pub images: Vec<Recorded>,
    /// `repository@digest` of each image that is whole where it goes.
    pub pushed: BTreeSet<String>,
    /// The checks that these images have passed.
    pub passed: BTreeSet<String>,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its name in images.toml.
    pub image: String,
    /// Its variant.
    pub variant: Variant,
    /// Its name in the layout.
    pub name: String,
    /// Its index.
    pub root: Descriptor,
    /// The manifest of each platform.
    pub platforms: Vec<Platform>,
    /// What refers to it: signatures, SBOMs, provenance.
    pub companions: Vec<Companion>,
    /// Where it goes.
    pub repositories: Vec<String>,
    /// The repository of its base, from which layers can be mounted.
    pub base: Option<String>,
}

/// The image of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Such as `linux/arm/v7`.
    pub platform: String,
    /// Its manifest.
    pub manifest: Descriptor,
    /// Of all layers as they are stored and sent.
    pub compressed_bytes: u64,
}

/// A manifest that travels with an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// It.
    pub root: Descriptor,
    /// Its tag, where it is found by one: `sha256-<hex>.sig`.
    pub tag: Option<String>,
}

impl Recorded {
    /// The repositories, parsed.
    pub fn repositories(&self) -> Result<Vec<Repository>> {
        self.repositories.iter().map(|name| Ok(Repository::parse(name)?)).collect()
    }

    /// Everything that a repository must have of it: descriptors of manifests.
    pub fn manifests(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.root)
            .chain(self.platforms.iter().map(|p| &p.manifest))
            .chain(self.companions.iter().map(|c| &c.root))
    }

    /// `repository@digest` in each of its repositories: what stands for it for ever.
    pub fn references(&self) -> Vec<String> {
        self.repositories.iter().map(|r| format!("{r}@{}", self.root.digest())).collect()
    }
}

impl Record {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Record> {
        let shown = path.display();
        let bytes = std::fs::read(path)
            .with_context(|| format!("{shown}: nothing was pushed yet; run `cargo xtask push` first"))?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{shown}: is no record of a push; run `cargo xtask push` again"))
    }

    /// Writes it, in one step.
    pub fn write(&self, path: &Path) -> Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot create", dir.display()))?;
        Ok(oci::cache::write_atomically(path, dir, &oci::json::to_vec(self))?)
    }

    /// Takes over how far an earlier run came with these very images.
    pub fn go_on_from(&mut self, earlier: &Record) {
        if (&earlier.images, &earlier.version) == (&self.images, &self.version) {
            self.pushed.clone_from(&earlier.pushed);
            self.passed.clone_from(&earlier.passed);
        }
    }

    /// What each image still has to be sent to.
    pub fn missing(&self) -> Vec<String> {
        let all = self.images.iter().flat_map(Recorded::references);
        all.filter(|reference| !self.pushed.contains(reference)).collect()
    }

    /// The images as the plan of a promotion wants them.
    pub fn for_promotion(&self) -> Vec<Pushed> {
        let pushed = |image: &Recorded| Pushed {
            image: image.image.clone(),
            variant: image.variant.clone(),
            digest: image.root.digest().clone(),
            repositories: image.repositories.clone(),
        };
        self.images.iter().map(pushed).collect()
    }
}
