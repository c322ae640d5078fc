//! A base image: its layers as they are, and a summary of its file system, which the layers above must fit.

use std::collections::BTreeMap;
use std::io::{self, Read};

use oci_spec::image::{
    Arch, Descriptor, Digest, History, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Platform,
};
use serde::{Deserialize, Serialize};

use crate::blobs::Blobs;
use crate::cache::Cache;
use crate::contents::normal;
use crate::digest::{Hasher, sha256};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::image::Part;
use crate::layer::Layer;
use crate::layout::{document, is_index};
use crate::platform;
use crate::stream::{TailZeros, decode};

/// An image that others are built on. `Base::default()` is the empty one, `scratch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// The layers, bottom first; their blobs are the base's own, byte for byte.
    pub layers: Vec<Layer>,
    /// One history entry a layer.
    pub history: Vec<History>,
    /// The `NAME=value`s that the base sets.
    pub env: Vec<String>,
    /// What lies where once all layers are applied.
    pub files: BTreeMap<String, Node>,
    /// The content of the small text files that merging needs, by path.
    pub texts: BTreeMap<String, String>,
    /// The architecture of the first program found, if any.
    pub architecture: Option<Arch>,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Node {
    /// A folder.
    Dir,
    /// A regular file, or a hard link to one.
    File,
    /// A symbolic link and its target as written.
    Symlink(String),
    /// A device or a pipe.
    Other,
}

/// The files whose text is kept in [`Base::texts`].
const TEXTS: [&str; 4] = ["etc/passwd", "etc/group", "etc/os-release", "usr/lib/os-release"];
/// The largest that is kept of one of them, in bytes.
const MAX_TEXT: u64 = 1 << 20;

impl Base {
    /// Where a file put at `path` lands once the symbolic links among its folders are followed: in a base where
    /// `lib` → `usr/lib`, `lib/x` lands at `usr/lib/x`. Written as it stands it would replace the link and
    /// with it every program of the base.
    ///
    /// # Errors
    /// [`Error::Invalid`] when links go in a circle, or a part of the way is a file.
    pub fn resolve(&self, path: &str) -> Result<String> {
        let mut pending: Vec<String> = path.split('/').rev().map(String::from).collect();
        let mut real: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real.pop();
                    continue;
                }
                _ => real.push(part),
            }
            let last = pending.is_empty();
            match self.files.get(&real.join("/")) {
                Some(Node::Symlink(target)) if !last => {
                    links += 1;
                    // The kernel's own limit (path_resolution(7)).
                    if links > 40 {
                        return Err(Error::invalid(
                            format!("base path `{path}`"),
                            "its symbolic links go in a circle",
                        ));
                    }
                    real.pop();
                    if target.starts_with('/') {
                        real.clear();
                    }
                    pending.extend(target.split('/').rev().map(String::from));
                }
                Some(Node::File | Node::Other) if !last => {
                    return Err(Error::invalid(
                        format!("base path `{path}`"),
                        format!("`{}` is a file there, not a folder", real.join("/")),
                    ));
                }
                _ => {}
            }
        }
        Ok(real.join("/"))
    }

    /// This base with layers of ours on top, as the base of the next image: `parts` are all its layers, `entries` what
    /// ours put over `self`, `env` what the image sets.
    pub fn over(&self, parts: &[Part], entries: &[Entry], env: &[String]) -> Base {
        let mut base = Base { env: env.to_vec(), ..self.clone() };
        base.layers = parts.iter().map(|p| p.layer.clone()).collect();
        base.history = parts.iter().map(|p| p.history.clone()).collect();
        for entry in entries {
            let (path, node) = match entry {
                Entry::Dir { path, .. } => (path, Node::Dir),
                Entry::File { path, .. } => (path, Node::File),
                Entry::Inline { path, contents, .. } => {
                    if TEXTS.contains(&path.as_str()) {
                        base.texts.insert(path.clone(), String::from_utf8_lossy(contents).into_owned());
                    }
                    (path, Node::File)
                }
                Entry::Symlink { path, target } => (path, Node::Symlink(target.clone())),
            };
            base.files.insert(path.clone(), node);
        }
        base
    }

    /// Follows `path` to the end, also where its last part is a link; None where nothing lies there.
    pub fn lookup(&self, path: &str) -> Option<(String, &Node)> {
        let mut path = path.to_string();
        for _ in 0..40 {
            path = self.resolve(&path).ok()?;
            match self.files.get(&path)? {
                Node::Symlink(target) if target.starts_with('/') => {
                    path = target.trim_start_matches('/').to_string()
                }
                Node::Symlink(target) => {
                    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                    path = format!("{parent}/{target}");
                }
                node => return Some((path, node)),
            }
        }
        None
    }
}

/// The manifest of `platform` below `root`, which is an index (of indexes) or a manifest itself.
///
/// # Errors
/// Those of reading the documents; [`Error::Invalid`] when no manifest fits, with what there is.
pub fn manifest_for(blobs: &Blobs, root: &Descriptor, wanted: &Platform) -> Result<Descriptor> {
    let mut offered = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(node) = pending.pop() {
        if is_index(node.media_type()) {
            let index: ImageIndex = document(blobs, &node)?;
            pending.extend(index.manifests().iter().rev().cloned());
            continue;
        }
        match node.platform() {
            // Attestations sit in an index under this platform (BuildKit); they are no images.
            Some(p) if p.os().to_string() == "unknown" => {}
            Some(p) if platform::fits(p, wanted) => return Ok(node),
            Some(p) => offered.push(platform::display(p)),
            // A manifest without a platform says it in its configuration.
            None => {
                let manifest: ImageManifest = document(blobs, &node)?;
                let config: ImageConfiguration = document(blobs, manifest.config())?;
                let mut p = Platform::default();
                p.set_os(config.os().clone()).set_architecture(config.architecture().clone());
                p.set_variant(config.variant().clone());
                if platform::fits(&p, wanted) {
                    return Ok(node);
                }
                offered.push(platform::display(&p));
            }
        }
    }
    Err(Error::invalid(
        format!("image {}", root.digest()),
        format!("has no manifest for {}, only for {}", platform::display(wanted), offered.join(", ")),
    ))
}

/// Reads the base whose manifest and blobs lie in the cache; the summary is made once and remembered.
///
/// # Errors
/// [`Error::Corrupt`] when a blob is damaged; [`Error::Invalid`] when a layer is cut short, is no tar, or is
/// not the one that the configuration names.
pub fn read(cache: &Cache, manifest: &Descriptor) -> Result<Base> {
    // The number changes when the summary does.
    let key = sha256(format!("base summary 1 {}", manifest.digest()).as_bytes());
    if let Some(base) = cache.record::<Base>("bases", &key)
        && base.layers.iter().all(|l| cache.blobs().contains(&l.descriptor))
    {
        return Ok(base);
    }
    let base = summarise(cache.blobs(), manifest)?;
    cache.remember("bases", &key, &base)?;
    Ok(base)
}

fn summarise(blobs: &Blobs, manifest: &Descriptor) -> Result<Base> {
    let document_: ImageManifest = document(blobs, manifest)?;
    let config: ImageConfiguration = document(blobs, document_.config())?;
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() != document_.layers().len() {
        return Err(Error::invalid(
            format!("image {}", manifest.digest()),
            format!("has {} layers but {} diff_ids", document_.layers().len(), diff_ids.len()),
        ));
    }
    let mut base = Base {
        env: config.config().as_ref().and_then(|c| c.env().clone()).unwrap_or_default(),
        ..Base::default()
    };
    for (descriptor, diff_id) in document_.layers().iter().zip(diff_ids) {
        blobs.verify(descriptor)?;
        let subject = format!("layer {}", descriptor.digest());
        let (found, unpacked) = apply(blobs.open(descriptor.digest())?, &mut base)
            .map_err(|e| Error::invalid(&subject, e.to_string()))?;
        if found.to_string() != *diff_id {
            return Err(Error::invalid(
                subject,
                format!("its diff_id is {found}, the configuration says {diff_id}"),
            ));
        }
        let mut descriptor = descriptor.clone();
        descriptor.set_media_type(oci_layer_type(descriptor.media_type()));
        base.layers.push(Layer { descriptor, diff_id: found, unpacked });
    }
    base.history = layer_history(&config, base.layers.len());
    Ok(base)
}

/// Docker's names for layer types, in OCI's words: the blobs are the same.
fn oci_layer_type(media_type: &MediaType) -> MediaType {
    match media_type.to_string().as_str() {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => MediaType::ImageLayerGzip,
        "application/vnd.docker.image.rootfs.diff.tar" => MediaType::ImageLayer,
        _ => media_type.clone(),
    }
}

/// One history entry a layer. Entries of empty layers are left out, and a history that doesn't count the layers
/// is replaced, so that ours, appended to it, belongs to our layers.
fn layer_history(config: &ImageConfiguration, layers: usize) -> Vec<History> {
    let entries: Vec<History> =
        config.history().iter().flatten().filter(|h| h.empty_layer() != Some(true)).cloned().collect();
    if entries.len() == layers { entries } else { vec![History::default(); layers] }
}

/// Applies one layer to the summary (image-spec "layer", "Applying Changesets"), and tells its diff_id and size.
fn apply(blob: impl Read, base: &mut Base) -> io::Result<(Digest, u64)> {
    let mut hashed = HashingReader { inner: decode(blob)?, hasher: Hasher::default() };
    let mut watched = TailZeros::new(&mut hashed);
    let mut layer = BTreeMap::new();
    let mut tar = tar::Archive::new(&mut watched);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = normal(&raw)?;
        if path.is_empty() {
            continue;
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let victim = match (hidden, parent) {
                (".wh..opq", dir) => format!("{dir}/"),
                (name, "") => name.to_string(),
                (name, dir) => format!("{dir}/{name}"),
            };
            let below = format!("{}/", victim.trim_end_matches('/'));
            base.files.retain(|p, _| *p != victim && !p.starts_with(&below));
            base.texts.retain(|p, _| *p != victim && !p.starts_with(&below));
            continue;
        }
        let kind = entry.header().entry_type();
        let node = if kind.is_dir() {
            Node::Dir
        } else if kind.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default();
            Node::Symlink(String::from_utf8_lossy(&target).into_owned())
        } else if kind.is_file() || kind.is_hard_link() || kind.is_contiguous() {
            Node::File
        } else {
            Node::Other
        };
        if kind.is_file() {
            if TEXTS.contains(&path.as_str()) {
                let mut text = String::new();
                entry.by_ref().take(MAX_TEXT).read_to_string(&mut text)?;
                base.texts.insert(path.clone(), text);
            } else if base.architecture.is_none() {
                let mut start = Vec::new();
                entry.by_ref().take(64).read_to_end(&mut start)?;
                base.architecture = platform::elf(&start).map(|elf| elf.architecture);
            }
        } else {
            base.texts.remove(&path);
        }
        layer.insert(path, node);
    }
    for (path, node) in layer {
        // A file in the place of a folder takes all that was below it away.
        if node != Node::Dir && base.files.get(&path) == Some(&Node::Dir) {
            let below = format!("{path}/");
            base.files.retain(|p, _| !p.starts_with(&below));
        }
        base.files.insert(path, node);
    }
    if !watched.finish()? {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the tar is cut short: it has no end-of-archive marker",
        ));
    }
    Ok(hashed.hasher.finish())
}

struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        Ok(n)
    }
}
