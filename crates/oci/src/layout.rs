//! The OCI image layout (image-spec "image layout"): `oci-layout`, `index.json`, `blobs/`.
//!
//! A layout is updated in one step: blobs first, which nobody looks at yet, then `index.json` by a rename, then
//! the blobs that nothing names any more go. Until the rename a reader sees the old images, after it the new.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, Digest, ImageIndex, ImageIndexBuilder, ImageManifest, MediaType,
    OciLayout, OciLayoutBuilder,
};

use crate::blobs::Blobs;
use crate::cache::write_atomically;
use crate::error::{Error, Result};
use crate::json;

/// The content of the `oci-layout` file's `imageLayoutVersion`.
const LAYOUT_VERSION: &str = "1.0.0";

/// An existing layout.
#[derive(Debug)]
pub struct Layout {
    root: PathBuf,
    blobs: Blobs,
}

/// A name and what it points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The annotation `org.opencontainers.image.ref.name`.
    pub name: String,
    /// An image index or an image manifest.
    pub descriptor: Descriptor,
}

impl Layout {
    /// Opens the layout at `root`.
    ///
    /// # Errors
    /// [`Error::Io`] when `oci-layout` can't be read, [`Error::Invalid`] when it is of another version.
    pub fn open(root: impl Into<PathBuf>) -> Result<Layout> {
        let root = root.into();
        let path = root.join("oci-layout");
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let marker: OciLayout = parse(&path.display().to_string(), &bytes)?;
        if marker.image_layout_version() != LAYOUT_VERSION {
            return Err(Error::invalid(
                path.display().to_string(),
                format!(
                    "imageLayoutVersion `{}`, allowed is `{LAYOUT_VERSION}`",
                    marker.image_layout_version()
                ),
            ));
        }
        Ok(Layout { blobs: Blobs::at(&root), root })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its blobs.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// `index.json`.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Invalid`].
    pub fn index(&self) -> Result<ImageIndex> {
        let path = self.root.join("index.json");
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        parse(&path.display().to_string(), &bytes)
    }

    /// What `name` points to; with no name, the only image there is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such name, or no name was given and there are several; the message
    /// lists the names.
    pub fn resolve(&self, name: Option<&str>) -> Result<Descriptor> {
        let index = self.index()?;
        let names: Vec<&str> = index.manifests().iter().filter_map(ref_name).collect();
        let found: Vec<&Descriptor> = match name {
            Some(name) => index.manifests().iter().filter(|d| ref_name(d) == Some(name)).collect(),
            None => {
                let mut seen = BTreeSet::new();
                index.manifests().iter().filter(|d| seen.insert(d.digest().to_string())).collect()
            }
        };
        match (&found[..], name) {
            ([one], _) => Ok((*one).clone()),
            ([], Some(name)) => Err(Error::invalid(
                self.root.display().to_string(),
                format!("holds no image named `{name}`, only {}", quoted(&names)),
            )),
            ([], None) => Err(Error::invalid(self.root.display().to_string(), "holds no image")),
            _ => Err(Error::invalid(
                self.root.display().to_string(),
                format!("holds several images, name one: {}", quoted(&names)),
            )),
        }
    }
}

/// The name of a descriptor of an `index.json`.
pub fn ref_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(ANNOTATION_REF_NAME).map(String::as_str)
}

/// Gives `images` their names in the layout at `root`, with their blobs taken from `cache`. Images of other
/// names stay; a name that existed points to the new image; what nothing names any more is removed.
/// Returns whether anything had to be written.
///
/// # Errors
/// [`Error::Invalid`] when `root` holds something that is no layout; [`Error::Io`] on any failure: until the
/// last step the layout is then as it was before.
pub fn update(root: &Path, cache: &Blobs, images: &[Named]) -> Result<bool> {
    let fresh = !root.join("oci-layout").exists();
    if fresh && fs::read_dir(root).is_ok_and(|mut dir| dir.next().is_some()) {
        return Err(Error::invalid(
            root.display().to_string(),
            "is not empty and no OCI layout; give another folder with --output, or remove it",
        ));
    }
    let blob_dir = root.join("blobs/sha256");
    fs::create_dir_all(&blob_dir).map_err(Error::io("create", &blob_dir))?;
    // Two runs that update one layout take turns. The folder itself is locked: a layout has no place for a
    // lock file.
    let lock = File::open(root).map_err(Error::io("open", root))?;
    lock.lock().map_err(Error::io("lock", root))?;
    let blobs = Blobs::at(root);
    let mut added = Vec::new();
    let result = write(root, cache, &blobs, images, fresh, &mut added);
    if result.is_err() {
        // Nobody has seen these yet; what can't be removed does no harm, since no index names it.
        for digest in &added {
            let _ = fs::remove_file(blobs.path(digest));
        }
        if fresh {
            let _ = fs::remove_dir_all(root);
        }
    }
    result
}

fn write(
    root: &Path,
    cache: &Blobs,
    blobs: &Blobs,
    images: &[Named],
    fresh: bool,
    added: &mut Vec<Digest>,
) -> Result<bool> {
    let old = match fresh {
        true => None,
        // A layout whose index can't be read has no images worth keeping; it is made anew.
        false => Layout::open(root)?.index().ok(),
    };
    let replaced: BTreeSet<&str> = images.iter().map(|i| i.name.as_str()).collect();
    let mut kept = Vec::new();
    let mut reachable = BTreeMap::new();
    for descriptor in old.iter().flat_map(|i| i.manifests().iter()) {
        if ref_name(descriptor).is_some_and(|name| replaced.contains(name)) {
            continue;
        }
        // So is an image of which a part is missing.
        if let Ok(parts) = closure(blobs, descriptor)
            && parts.iter().all(|p| blobs.contains(p))
        {
            kept.push(descriptor.clone());
            reachable.extend(parts.into_iter().map(|p| (p.digest().to_string(), p)));
        }
    }
    let mut changed = false;
    for image in images {
        for part in closure(cache, &image.descriptor)? {
            if reachable.insert(part.digest().to_string(), part.clone()).is_some() {
                continue;
            }
            if blobs.verify(&part).is_ok() {
                continue;
            }
            let _ = fs::remove_file(blobs.path(part.digest()));
            cache.link_into(blobs, &part)?;
            added.push(part.digest().clone());
            changed = true;
        }
        let mut descriptor = image.descriptor.clone();
        let mut annotations = descriptor.annotations().clone().unwrap_or_default();
        annotations.insert(ANNOTATION_REF_NAME.into(), image.name.clone());
        descriptor.set_annotations(Some(annotations));
        kept.push(descriptor);
    }
    kept.sort_by(|a, b| (ref_name(a), a.digest().digest()).cmp(&(ref_name(b), b.digest().digest())));
    let index = ImageIndexBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageIndex)
        .manifests(kept)
        .build()
        .expect("every field is given");
    let marker = OciLayoutBuilder::default()
        .image_layout_version(LAYOUT_VERSION)
        .build()
        .expect("every field is given");
    for (name, contents) in [("oci-layout", json::to_vec(&marker)), ("index.json", json::to_vec(&index))] {
        let path = root.join(name);
        if fs::read(&path).is_ok_and(|there| there == contents) {
            continue;
        }
        write_atomically(&path, root, &contents)?;
        changed = true;
    }
    // From here on the new images are in force: a failure to clean up is none of theirs.
    added.clear();
    for entry in fs::read_dir(root.join("blobs/sha256")).into_iter().flatten().flatten() {
        let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
        if !reachable.contains_key(&digest) {
            let _ = fs::remove_file(entry.path());
            changed = true;
        }
    }
    Ok(changed)
}

/// `root` and all that it leads to: an index's manifests, a manifest's configuration and layers. Children come
/// before their parents, as a push needs them.
///
/// # Errors
/// [`Error::Io`], [`Error::Corrupt`] and [`Error::Invalid`] when a document is missing or damaged. Configuration
/// and layers are named, not read.
pub fn closure(blobs: &Blobs, root: &Descriptor) -> Result<Vec<Descriptor>> {
    let mut parts = Vec::new();
    let mut seen = BTreeSet::new();
    walk(blobs, root, &mut parts, &mut seen)?;
    Ok(parts)
}

fn walk(
    blobs: &Blobs,
    node: &Descriptor,
    parts: &mut Vec<Descriptor>,
    seen: &mut BTreeSet<String>,
) -> Result<()> {
    if !seen.insert(node.digest().to_string()) {
        return Ok(());
    }
    match node.media_type() {
        media_type if is_index(media_type) => {
            let index: ImageIndex = document(blobs, node)?;
            for child in index.manifests() {
                walk(blobs, child, parts, seen)?;
            }
        }
        media_type if is_manifest(media_type) => {
            let manifest: ImageManifest = document(blobs, node)?;
            for child in std::iter::once(manifest.config()).chain(manifest.layers()) {
                if seen.insert(child.digest().to_string()) {
                    parts.push(child.clone());
                }
            }
        }
        other => {
            return Err(Error::invalid(
                format!("blob {}", node.digest()),
                format!(
                    "has the media type `{other}`, which is neither an image index nor an image manifest"
                ),
            ));
        }
    }
    parts.push(node.clone());
    Ok(())
}

/// Whether documents of this type are image indexes, Docker's name for it included.
pub fn is_index(media_type: &MediaType) -> bool {
    matches!(media_type, MediaType::ImageIndex)
        || media_type.to_string() == "application/vnd.docker.distribution.manifest.list.v2+json"
}

/// Whether documents of this type are image manifests, Docker's name for it included.
pub fn is_manifest(media_type: &MediaType) -> bool {
    matches!(media_type, MediaType::ImageManifest)
        || media_type.to_string() == "application/vnd.docker.distribution.manifest.v2+json"
}

/// Reads and parses the JSON document that `descriptor` names.
///
/// # Errors
/// Those of [`Blobs::read`], and [`Error::Invalid`] when it does not parse.
pub fn document<T: serde::de::DeserializeOwned>(blobs: &Blobs, descriptor: &Descriptor) -> Result<T> {
    parse(&format!("blob {}", descriptor.digest()), &blobs.read(descriptor)?)
}

fn parse<T: serde::de::DeserializeOwned>(subject: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::invalid(subject, e.to_string()))
}

fn quoted(names: &[&str]) -> String {
    if names.is_empty() {
        return "unnamed ones".into();
    }
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
