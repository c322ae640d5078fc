//! Bases at hand: what `--base`, `base import` or the pinned reference leads to, in the cache.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use oci::base::{self, Base};
use oci::digest::sha256;
use oci::import::{self, Imported};
use oci::layout::{closure, is_index, is_manifest};
use oci::{Blobs, Cache};
use oci_spec::image::{Descriptor, Digest, MediaType, Platform};
use plan::config::BaseIdentity;
use plan::{BaseChoice, Spec, Variant};
use registry::Client;
use serde::{Deserialize, Serialize};

use crate::facts;
use crate::ui::Ui;

/// A base with its name.
pub struct Found {
    /// Layers and file system.
    pub base: Base,
    /// For labels.
    pub identity: BaseIdentity,
}

impl Found {
    /// The same for another image.
    pub fn again(&self) -> Found {
        Found { base: self.base.clone(), identity: self.identity.clone() }
    }
}

/// With what bases are found.
pub struct Sources<'a> {
    /// The catalogue, for the registries.
    pub spec: &'a Spec,
    /// Where they are kept.
    pub cache: &'a Cache,
    /// Whether no connection may be opened.
    pub offline: bool,
    /// Who is told.
    pub ui: &'a Ui,
}

/// What `base import` keeps in the cache.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Import {
    /// The image.
    pub imported: Imported,
    /// Where it came from, as typed.
    pub source: String,
}

/// Finds the base of `variant` for `platform`, and fetches it where it must be.
pub fn find(choice: &BaseChoice, variant: &Variant, platform: &Platform, sources: &Sources) -> Result<Found> {
    let Sources { cache, ui, .. } = sources;
    match choice {
        BaseChoice::Scratch => Ok(Found { base: Base::default(), identity: BaseIdentity::default() }),
        BaseChoice::Image { image } => bail!("{image} is an image of this run, not a base to be found"),
        BaseChoice::Dockerfile { path } => bail!("{path} names its bases itself"),
        BaseChoice::Unpinned { reference, lock } => match imported(cache, reference, platform) {
            Some(import) => found(cache, &import.imported, local_name(variant)),
            None => bail!(
                "{lock}: has no digest for the base `{reference}`; run `cargo xtask base update`, or give the base with `--base {variant}=ROOTFS.tar.gz`"
            ),
        },
        BaseChoice::Given { source } => {
            let (imported, reference) = from_source(source, platform, sources)
                .with_context(|| format!("--base {variant}={source}"))?;
            found(cache, &imported, reference.unwrap_or_else(|| local_name(variant)))
        }
        BaseChoice::Pinned { reference, digest } => {
            if let Some(import) = imported(cache, reference, platform) {
                if import.imported.digest != *digest {
                    ui.line("base", format_args!(
                        "{variant}: {} as imported, not the pinned {reference}; `cargo xtask base update` goes back to it",
                        import.source
                    ));
                    return found(cache, &import.imported, local_name(variant));
                }
                return found(cache, &import.imported, reference.clone());
            }
            let imported = pinned(reference, digest, variant, platform, sources)?;
            found(cache, &imported, reference.clone())
        }
    }
}

/// The base `reference` at a digest, whatever the lock or an import says.
pub fn at(
    reference: &str,
    digest: &Digest,
    variant: &Variant,
    platform: &Platform,
    sources: &Sources,
) -> Result<Found> {
    found(sources.cache, &pinned(reference, digest, variant, platform, sources)?, reference.to_string())
}

/// The name of a base that has none in a registry.
fn local_name(variant: &Variant) -> String {
    format!("localhost/{variant}:imported")
}

fn found(cache: &Cache, imported: &Imported, reference: String) -> Result<Found> {
    let base = base::read(cache, &imported.manifest)?;
    let identity = BaseIdentity {
        reference: Some(reference),
        digest: Some(imported.digest.to_string()),
        env: base.env.clone(),
    };
    Ok(Found { base, identity })
}

/// Brings a source, as a user names it, into the cache: a path (of a layout or archive also `PATH:NAME`), else a
/// registry reference. Of a reference its full form comes back too.
pub fn from_source(
    source: &str,
    platform: &Platform,
    sources: &Sources,
) -> Result<(Imported, Option<String>)> {
    let Sources { cache, offline, .. } = sources;
    let (path, name) = match source.rsplit_once(':') {
        _ if Path::new(source).exists() => (source, None),
        Some((path, name)) if Path::new(path).exists() => (path, Some(name)),
        _ => {
            let looks_like_a_path = source.starts_with(['/', '.', '~']) || source.contains(".tar");
            if looks_like_a_path {
                bail!(
                    "there is no such file; allowed are a root file system tar, an OCI layout or archive, a docker archive, or a registry reference"
                );
            }
            let reference = registry::parse(source)?;
            if *offline {
                bail!("{} would be pulled; leave --offline out, or give a file instead", reference.whole());
            }
            let pulled = client(sources)?.pull(&reference, std::slice::from_ref(platform), cache.blobs())?;
            let imported = from_cache(cache.blobs(), &pulled.root, platform)?;
            return Ok((imported, Some(reference.whole())));
        }
    };
    Ok((import::import(cache, Path::new(path), name, platform)?, None))
}

/// The base at its pinned digest: from the cache, else from its registry.
fn pinned(
    reference: &str,
    digest: &Digest,
    variant: &Variant,
    platform: &Platform,
    sources: &Sources,
) -> Result<Imported> {
    let Sources { cache, offline, ui, .. } = sources;
    if let Some(root) = cached_root(cache.blobs(), digest)
        && let Ok(imported) = from_cache(cache.blobs(), &root, platform)
        && closure(cache.blobs(), &imported.manifest)
            .is_ok_and(|parts| parts.iter().all(|p| cache.blobs().contains(p)))
    {
        return Ok(imported);
    }
    let ways_out = || {
        format!(
            "the base {reference} for {} is not in the cache; give one with `--base {variant}=ROOTFS.tar.gz`, keep one with `cargo xtask base import {variant} ROOTFS.tar.gz`, or name a mirror with XTASK_REGISTRY_MIRRORS={}=HOST",
            oci::platform::display(platform),
            reference.split('/').next().unwrap_or_default(),
        )
    };
    if *offline {
        bail!("{} (--offline forbids to pull it)", ways_out());
    }
    ui.line("pull", format_args!("{reference}@{digest}"));
    // The tag plays no part once there is a digest.
    let (repository, _) = reference.rsplit_once(':').unwrap_or((reference, ""));
    let pinned = registry::parse(&format!("{repository}@{digest}"))?;
    let pulled = client(sources)?
        .pull(&pinned, std::slice::from_ref(platform), cache.blobs())
        .map_err(|e| anyhow!("{}: {e}", ways_out()))?;
    let imported = from_cache(cache.blobs(), &pulled.root, platform)?;
    // A record by which pruning knows that these blobs are of use.
    let key = sha256(format!("{digest} {}", oci::platform::display(platform)).as_bytes());
    cache.remember("pulled", &key, &imported)?;
    Ok(imported)
}

fn from_cache(blobs: &Blobs, root: &Descriptor, platform: &Platform) -> Result<Imported> {
    let manifest = base::manifest_for(blobs, root, platform)?;
    Ok(Imported { manifest, digest: root.digest().clone() })
}

/// The descriptor of a cached index or manifest of which only the digest is known.
pub fn cached_root(blobs: &Blobs, digest: &Digest) -> Option<Descriptor> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "mediaType")]
        media_type: MediaType,
    }
    let bytes = std::fs::read(blobs.path(digest)).ok()?;
    let media_type = serde_json::from_slice::<Document>(&bytes).ok()?.media_type;
    (is_index(&media_type) || is_manifest(&media_type))
        .then(|| Descriptor::new(media_type, bytes.len() as u64, digest.clone()))
}

/// What `base import` kept in place of that reference for the platform, if it is still whole.
pub fn imported(cache: &Cache, reference: &str, platform: &Platform) -> Option<Import> {
    let import = cache.record::<Import>("imported", &import_key(reference, platform))?;
    let parts = closure(cache.blobs(), &import.imported.manifest).ok()?;
    parts.iter().all(|p| cache.blobs().contains(p)).then_some(import)
}

/// Keeps an import for later runs.
pub fn remember(cache: &Cache, reference: &str, platform: &Platform, import: &Import) -> Result<()> {
    Ok(cache.remember("imported", &import_key(reference, platform), import)?)
}

/// Forgets an import, if there is one.
pub fn forget(cache: &Cache, reference: &str, platform: &Platform) -> Result<()> {
    Ok(cache.forget("imported", &import_key(reference, platform))?)
}

fn import_key(reference: &str, platform: &Platform) -> Digest {
    sha256(format!("{reference} {}", oci::platform::display(platform)).as_bytes())
}

/// A registry client that reports to the user.
pub fn client(sources: &Sources) -> Result<Client> {
    let mut config = facts::registry_config(sources.spec)?;
    let ui = sources.ui.clone();
    config.on_event = Arc::new(move |event| ui.transfer(event));
    Ok(Client::new(config)?)
}
