//! Where an image lies that a command is given as IMAGE: in a registry, or as `oci:DIR:TAG` in a layout. Both hold
//! manifests, blobs, tags and referrers; what is attached to an image in a layout lies there as it would in a registry
//! without the referrers API (the tag `sha256-<hex>`), and travels with a push.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use oci::layout::{self, Layout, Named, is_index, is_manifest};
use oci::{Blobs, Cache};
use oci_spec::image::{
    Descriptor, DescriptorBuilder, Digest, ImageIndex, ImageIndexBuilder, ImageManifest, MediaType, Platform,
};
use plan::Spec;
use registry::{Client, Push, Repository};

use crate::bases::cached_root;
use crate::facts::{self, Workspace};
use crate::ui::{Ui, Usage};

/// An image's place.
pub struct Store {
    place: Place,
    /// Where what is written is gathered, and what a registry sends is kept.
    cache: Cache,
    /// Where the image's blobs are read.
    blobs: Blobs,
    root: Descriptor,
    shown: String,
}

enum Place {
    Layout(PathBuf),
    Registry(Box<Client>, Repository),
}

impl Store {
    /// Finds the image that `text` names.
    ///
    /// # Errors
    /// [`Usage`] when it is no name of an image; else when there is no such image.
    pub fn open(text: &str, workspace: &Workspace, spec: &Spec, ui: &Ui) -> Result<Store> {
        let cache = Cache::create(&workspace.cache_dir())?;
        if let Some(rest) = text.strip_prefix("oci:") {
            let (dir, name) = match rest.split_once(':') {
                Some((dir, name)) if !name.is_empty() => (dir, Some(name)),
                _ => (rest.trim_end_matches(':'), None),
            };
            let dir = PathBuf::from(dir);
            let layout = Layout::open(&dir).context("run `cargo xtask image` to make one")?;
            // A tag, or the digest of something in the layout.
            let root = match name.map(str::parse::<Digest>) {
                Some(Ok(digest)) => cached_root(layout.blobs(), &digest)
                    .with_context(|| format!("{}: holds no manifest {digest}", dir.display()))?,
                _ => layout.resolve(name)?,
            };
            return Ok(Store {
                blobs: Blobs::at(&dir),
                place: Place::Layout(dir),
                cache,
                root,
                shown: text.to_string(),
            });
        }
        if text.starts_with(['/', '.']) {
            return Err(Usage(format!(
                "`{text}` is no image; allowed are a registry reference and oci:DIR:TAG, such as `oci:target/oci:TAG`"
            ))
            .into());
        }
        let reference = registry::parse(text).map_err(|e| Usage(e.to_string()))?;
        let client = client(spec, ui)?;
        let root = client.resolve(&reference)?;
        let blobs = Blobs::at(cache.blobs().root());
        let place = Place::Registry(Box::new(client), Repository::of(&reference));
        Ok(Store { place, cache, blobs, root, shown: text.to_string() })
    }

    /// What the name stands for: an index or a manifest.
    pub fn root(&self) -> &Descriptor {
        &self.root
    }

    /// The name as typed.
    pub fn name(&self) -> &str {
        &self.shown
    }

    /// `registry/repository`, where the image has one.
    pub fn repository(&self) -> Option<String> {
        match &self.place {
            Place::Layout(_) => None,
            Place::Registry(_, repository) => Some(repository.to_string()),
        }
    }

    /// Where blobs go that are to be attached.
    pub fn outbox(&self) -> &Blobs {
        self.cache.blobs()
    }

    /// Where the image's blobs are, once [`Store::fetch`] has brought them.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Makes sure that a document or blob is in [`Store::blobs`].
    pub fn fetch(&self, descriptor: &Descriptor) -> Result<()> {
        let Place::Registry(client, repository) = &self.place else { return Ok(()) };
        if self.blobs.contains(descriptor) {
            return Ok(());
        }
        if is_index(descriptor.media_type()) || is_manifest(descriptor.media_type()) {
            let bytes = client.manifest(repository, descriptor)?;
            self.cache.blobs().put(descriptor.media_type().clone(), &bytes)?;
        } else {
            client.fetch_blob(repository, descriptor, self.cache.blobs())?;
        }
        Ok(())
    }

    /// Reads a document, verified against its digest.
    pub fn read<T: serde::de::DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        self.fetch(descriptor)?;
        Ok(layout::document(&self.blobs, descriptor)?)
    }

    /// Makes sure that configuration and layers of a manifest are in [`Store::blobs`].
    pub fn fetch_image(&self, manifest: &Descriptor) -> Result<ImageManifest> {
        let document: ImageManifest = self.read(manifest)?;
        for part in std::iter::once(document.config()).chain(document.layers()) {
            self.fetch(part)?;
        }
        Ok(document)
    }

    /// The images of the index, one a platform; a lone manifest is its own, with the platform of its configuration.
    pub fn platforms(&self) -> Result<Vec<(Platform, Descriptor)>> {
        if !is_index(self.root.media_type()) {
            let manifest: ImageManifest = self.read(&self.root)?;
            let config: oci_spec::image::ImageConfiguration = self.read(manifest.config())?;
            let mut platform = Platform::default();
            platform.set_os(config.os().clone()).set_architecture(config.architecture().clone());
            platform.set_variant(config.variant().clone());
            return Ok(vec![(platform, self.root.clone())]);
        }
        let index: ImageIndex = self.read(&self.root)?;
        let image = |d: &Descriptor| {
            let platform = d.platform().clone().filter(|p| p.os().to_string() != "unknown")?;
            Some((platform, d.clone()))
        };
        Ok(index.manifests().iter().filter_map(image).collect())
    }

    /// Index and images: everything that is signed, each once.
    pub fn signables(&self) -> Result<Vec<Descriptor>> {
        let mut all = vec![self.root.clone()];
        all.extend(
            self.platforms()?.into_iter().map(|(_, d)| d).filter(|d| d.digest() != self.root.digest()),
        );
        Ok(all)
    }

    /// What a tag beside the image stands for, if there is one.
    pub fn tag(&self, tag: &str) -> Result<Option<Descriptor>> {
        match &self.place {
            Place::Layout(dir) => {
                let index = Layout::open(dir)?.index()?;
                Ok(index.manifests().iter().find(|d| layout::ref_name(d) == Some(tag)).cloned())
            }
            Place::Registry(client, repository) => match client.resolve(&repository.tagged(tag)?) {
                Ok(found) => Ok(Some(found)),
                Err(e) if e.is_not_found() => Ok(None),
                Err(e) => Err(e.into()),
            },
        }
    }

    /// Puts a manifest, whose parts are in the outbox, under a tag.
    pub fn put_tag(&self, tag: &str, manifest: &Descriptor) -> Result<()> {
        match &self.place {
            Place::Layout(dir) => {
                self.bring(manifest)?;
                let named = Named { name: tag.to_string(), descriptor: manifest.clone() };
                layout::update(dir, self.outbox(), &[named])?;
            }
            Place::Registry(client, repository) => {
                let push = Push { tags: vec![tag.to_string()], ..Push::default() };
                client.push(self.outbox(), manifest, repository, &push)?;
            }
        }
        Ok(())
    }

    /// What refers to `subject`, with artifact type and annotations; of one type only if that is given.
    pub fn referrers(&self, subject: &Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>> {
        match &self.place {
            Place::Registry(client, repository) => {
                Ok(client.referrers(repository, subject, artifact_type)?)
            }
            Place::Layout(_) => {
                let Some(list) = self.tag(&fallback_tag(subject))? else { return Ok(Vec::new()) };
                let list: ImageIndex = self.read(&list)?;
                let fits = |d: &&Descriptor| {
                    artifact_type
                        .is_none_or(|wanted| d.artifact_type().as_ref().is_some_and(|t| t.as_ref() == wanted))
                };
                Ok(list.manifests().iter().filter(fits).cloned().collect())
            }
        }
    }

    /// Attaches a manifest in the outbox, whose `subject` is set, to that subject.
    pub fn put_referrer(&self, subject: &Digest, manifest: &Descriptor) -> Result<()> {
        match &self.place {
            Place::Registry(client, repository) => {
                Ok(client.push(self.outbox(), manifest, repository, &Push::default())?)
            }
            Place::Layout(_) => {
                let mut list = self.referrers(subject, None)?;
                if list.iter().any(|d| d.digest() == manifest.digest()) {
                    return Ok(());
                }
                for old in &list {
                    self.bring(old)?;
                }
                let document: ImageManifest = layout::document(self.outbox(), manifest)?;
                let mut described = DescriptorBuilder::default()
                    .media_type(MediaType::ImageManifest)
                    .digest(manifest.digest().clone())
                    .size(manifest.size());
                if let Some(artifact_type) = document.artifact_type() {
                    described = described.artifact_type(artifact_type.clone());
                }
                if let Some(annotations) = document.annotations() {
                    described = described.annotations(annotations.clone());
                }
                list.push(described.build()?);
                let index = ImageIndexBuilder::default()
                    .schema_version(2u32)
                    .media_type(MediaType::ImageIndex)
                    .manifests(list)
                    .build()?;
                let index = self.outbox().put(MediaType::ImageIndex, &oci::json::to_vec(&index))?;
                self.put_tag(&fallback_tag(subject), &index)
            }
        }
    }

    /// Takes a manifest and its parts, as far as the outbox lacks them, over from the layout, verified.
    pub fn bring(&self, manifest: &Descriptor) -> Result<()> {
        if self.outbox().verify(manifest).is_err() {
            self.fetch(manifest)?;
            self.copy(manifest)?;
        }
        for part in
            layout::closure(self.outbox(), manifest).or_else(|_| layout::closure(&self.blobs, manifest))?
        {
            if self.outbox().verify(&part).is_err() {
                self.fetch(&part)?;
                self.copy(&part)?;
            }
        }
        Ok(())
    }

    fn copy(&self, part: &Descriptor) -> Result<()> {
        // Verified before it is linked: a name in the outbox must stand for its content.
        self.blobs.verify(part)?;
        Ok(self.blobs.link_into(self.outbox(), part)?)
    }
}

/// The tag under which a registry without the referrers API, and a layout, keep what refers to a manifest
/// (distribution-spec, "Referrers Tag Schema").
pub fn fallback_tag(subject: &Digest) -> String {
    format!("{}-{}", subject.algorithm(), subject.digest())
}

/// A registry client that reports to the user.
pub fn client(spec: &Spec, ui: &Ui) -> Result<Client> {
    let mut config = facts::registry_config(spec)?;
    let ui = ui.clone();
    config.on_event = Arc::new(move |event| ui.transfer(event));
    Ok(Client::new(config)?)
}

/// The one image of `platforms` that is meant: the wanted one, else the only one, else the host's.
pub fn choose<'a>(
    platforms: &'a [(Platform, Descriptor)],
    wanted: Option<&str>,
    host: &Platform,
) -> Result<&'a (Platform, Descriptor)> {
    let names = || platforms.iter().map(|(p, _)| oci::platform::display(p)).collect::<Vec<_>>().join(", ");
    let wanted = match wanted {
        Some(name) => oci::platform::parse(name)?,
        None if platforms.len() == 1 => return Ok(&platforms[0]),
        None => host.clone(),
    };
    match platforms.iter().find(|(p, _)| oci::platform::fits(p, &wanted)) {
        Some(found) => Ok(found),
        None => bail!("the image is not for {}, only for {}", oci::platform::display(&wanted), names()),
    }
}
