//! Reads a layout as a stranger would and says what is wrong with it.
//!
//! What was written is only believed after it was read again: documents parse and agree with each other, every
//! blob has the digest and size that its descriptor names, every layer is a whole tar with the diff_id that
//! the configuration names. All problems are told, not the first alone.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Platform};

use crate::blobs::Blobs;
use crate::digest::Hasher;
use crate::error::Error;
use crate::grammar::{self, Kind};
use crate::layout::{Layout, document, is_index, is_manifest, ref_name};
use crate::platform;
use crate::stream::{TailZeros, decode};

/// The layers of cosign's first kind of signature (cosign's SIGNATURE_SPEC.md).
const SIGNATURE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every blob is hashed and every document is parsed.
    Blobs,
    /// Layers are also decompressed and their entries looked at.
    Layers,
}

/// Checks the images in the layout at `root` that `wanted` names, or all with `None`. Returns the problems, one
/// line each; none means that it is valid.
pub fn layout(root: &Path, wanted: Option<&BTreeSet<String>>, depth: Depth) -> Vec<String> {
    let mut check = Check { problems: Vec::new(), seen: BTreeSet::new(), depth };
    let opened = Layout::open(root).and_then(|layout| Ok((layout.index()?, layout)));
    match opened {
        Ok((index, layout)) => {
            check.index_header(&layout.root().join("index.json").display().to_string(), &index);
            for descriptor in index.manifests() {
                let name = ref_name(descriptor);
                if let Some(name) = name
                    && !is_ref_name(name)
                {
                    check.problem(format!("index.json: `{name}` is no legal reference name"));
                }
                if wanted.is_none_or(|wanted| name.is_some_and(|name| wanted.contains(name))) {
                    check.node(layout.blobs(), descriptor);
                }
            }
            for name in wanted.into_iter().flatten() {
                if !index.manifests().iter().any(|d| ref_name(d) == Some(name)) {
                    check.problem(format!("index.json: names no image `{name}`"));
                }
            }
        }
        Err(e) => check.problem(e.to_string()),
    }
    check.problems
}

struct Check {
    problems: Vec<String>,
    seen: BTreeSet<String>,
    depth: Depth,
}

impl Check {
    fn problem(&mut self, line: impl Into<String>) {
        self.problems.push(line.into());
    }

    fn take<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|e| self.problem(e.to_string())).ok()
    }

    fn node(&mut self, blobs: &Blobs, node: &Descriptor) {
        if !self.seen.insert(node.digest().to_string()) {
            return;
        }
        if is_index(node.media_type()) {
            self.grammar(blobs, node, Kind::Index);
            let Some(index) = self.take(document::<ImageIndex>(blobs, node)) else { return };
            let subject = format!("index {}", node.digest());
            self.index_header(&subject, &index);
            if let Some(media_type) = index.media_type()
                && media_type != node.media_type()
            {
                self.problem(format!("{subject}: its mediaType `{media_type}` is not its descriptor's"));
            }
            let mut platforms = BTreeSet::new();
            for child in index.manifests() {
                match child.platform() {
                    // What refers to an image is for no platform.
                    None if child.artifact_type().is_some() => {}
                    None => {
                        self.problem(format!("{subject}: its manifest {} has no platform", child.digest()))
                    }
                    Some(p) if !platforms.insert(platform::display(p)) => {
                        self.problem(format!("{subject}: has {} twice", platform::display(p)));
                    }
                    Some(_) => {}
                }
                self.node(blobs, child);
            }
        } else if is_manifest(node.media_type()) {
            self.grammar(blobs, node, Kind::Manifest);
            if let Some(manifest) = self.take(document::<ImageManifest>(blobs, node)) {
                self.manifest(blobs, node, &manifest);
            }
        } else {
            self.problem(format!("blob {}: `{}` is no image", node.digest(), node.media_type()));
        }
    }

    /// What the document breaks by itself. Docker's own kinds have rules of their own.
    fn grammar(&mut self, blobs: &Blobs, node: &Descriptor, kind: Kind) {
        let is_ours = matches!(
            node.media_type(),
            MediaType::ImageIndex | MediaType::ImageManifest | MediaType::ImageConfig
        );
        // A blob that can't be read is told by whoever parses it.
        if let Some(bytes) = blobs.read(node).ok().filter(|_| is_ours) {
            for problem in grammar::problems(kind, &bytes) {
                self.problem(format!("blob {}: {problem}", node.digest()));
            }
        }
    }

    fn index_header(&mut self, subject: &str, index: &ImageIndex) {
        if index.schema_version() != 2 {
            self.problem(format!("{subject}: schemaVersion is {}, must be 2", index.schema_version()));
        }
    }

    fn manifest(&mut self, blobs: &Blobs, node: &Descriptor, manifest: &ImageManifest) {
        let subject = format!("manifest {}", node.digest());
        if manifest.schema_version() != 2 {
            self.problem(format!("{subject}: schemaVersion is {}, must be 2", manifest.schema_version()));
        }
        if let Some(media_type) = manifest.media_type()
            && media_type != node.media_type()
        {
            self.problem(format!("{subject}: its mediaType `{media_type}` is not its descriptor's"));
        }
        if is_artifact(manifest) {
            // What is in it is not for us to judge, but it must be there and whole.
            for part in std::iter::once(manifest.config()).chain(manifest.layers()) {
                self.take(blobs.verify(part));
            }
            return;
        }
        if *manifest.config().media_type() != MediaType::ImageConfig {
            self.problem(format!(
                "{subject}: its config is `{}`, which is no image's",
                manifest.config().media_type()
            ));
            return;
        }
        self.grammar(blobs, manifest.config(), Kind::Config);
        let Some(config) = self.take(document::<ImageConfiguration>(blobs, manifest.config())) else {
            return;
        };
        self.platform(&subject, node.platform().as_ref(), &config);
        let diff_ids = config.rootfs().diff_ids();
        if config.rootfs().typ() != "layers" {
            self.problem(format!("{subject}: rootfs.type is `{}`, must be `layers`", config.rootfs().typ()));
        }
        if diff_ids.len() != manifest.layers().len() {
            self.problem(format!(
                "{subject}: {} layers but {} diff_ids",
                manifest.layers().len(),
                diff_ids.len()
            ));
        }
        let filled = config.history().iter().flatten().filter(|h| h.empty_layer() != Some(true)).count();
        if config.history().is_some() && filled != manifest.layers().len() {
            self.problem(format!(
                "{subject}: {} layers but {filled} history entries",
                manifest.layers().len()
            ));
        }
        for (layer, diff_id) in manifest.layers().iter().zip(diff_ids) {
            self.layer(blobs, layer, diff_id);
        }
    }

    fn platform(&mut self, subject: &str, named: Option<&Platform>, config: &ImageConfiguration) {
        let mut own = Platform::default();
        own.set_os(config.os().clone()).set_architecture(config.architecture().clone());
        own.set_variant(config.variant().clone());
        if let Some(named) = named
            && platform::display(named) != platform::display(&own)
        {
            self.problem(format!(
                "{subject}: is listed as {} but configured as {}",
                platform::display(named),
                platform::display(&own)
            ));
        }
    }

    fn layer(&mut self, blobs: &Blobs, layer: &Descriptor, diff_id: &str) {
        if !self.seen.insert(layer.digest().to_string()) {
            return;
        }
        if !matches!(
            layer.media_type(),
            MediaType::ImageLayer | MediaType::ImageLayerGzip | MediaType::ImageLayerZstd
        ) {
            self.problem(format!("layer {}: `{}` is no layer's type", layer.digest(), layer.media_type()));
            return;
        }
        if self.take(blobs.verify(layer)).is_none() || self.depth == Depth::Blobs {
            return;
        }
        let read = blobs.open(layer.digest()).map_err(io::Error::other).and_then(entries);
        match read {
            Ok((found, problems)) => {
                if found != diff_id {
                    self.problem(format!(
                        "layer {}: its diff_id is {found}, the config says {diff_id}",
                        layer.digest()
                    ));
                }
                for problem in problems {
                    self.problem(format!("layer {}: {problem}", layer.digest()));
                }
            }
            Err(e) => self.problem(format!("layer {}: {e}", layer.digest())),
        }
    }
}

/// The diff_id of a layer and what its entries break (image-spec "layer").
fn entries(blob: impl Read) -> io::Result<(String, Vec<String>)> {
    struct Hashed<R>(R, Hasher);
    impl<R: Read> Read for Hashed<R> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read(buf)?;
            self.1.update(&buf[..n]);
            Ok(n)
        }
    }
    let mut hashed = Hashed(decode(blob)?, Hasher::default());
    let mut watched = TailZeros::new(&mut hashed);
    let mut problems = Vec::new();
    let mut paths = BTreeSet::new();
    for entry in tar::Archive::new(&mut watched).entries()? {
        let entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/').to_string();
        if name.split('/').any(|part| part == "..") {
            problems.push(format!("the path `{path}` leaves the image"));
        }
        if entry.header().entry_type() == tar::EntryType::GNUSparse {
            problems.push(format!("`{path}` is a sparse file"));
        }
        if !paths.insert(name) {
            problems.push(format!("`{path}` is there twice"));
        }
    }
    if !watched.finish()? {
        problems.push("the tar has no end-of-archive marker".into());
    }
    Ok((hashed.1.finish().0.to_string(), problems))
}

/// Whether a manifest is no image but something attached to one: it says so (image-spec, "Guidelines for Artifact Usage"),
/// or is a signature in cosign's first format, which is dressed as an image.
fn is_artifact(manifest: &ImageManifest) -> bool {
    let is_signature = |layer: &Descriptor| layer.media_type().as_ref() == SIGNATURE;
    manifest.artifact_type().is_some()
        || (!manifest.layers().is_empty() && manifest.layers().iter().all(is_signature))
}

/// image-spec "annotations", `org.opencontainers.image.ref.name`: alphanumeric components with separators.
fn is_ref_name(name: &str) -> bool {
    name.split('/').all(|component| {
        let words: Vec<&str> = component.split(['-', '.', '_', ':', '@', '+']).collect();
        let (first, last) = (words.first().copied().unwrap_or(""), words.last().copied().unwrap_or(""));
        !first.is_empty()
            && !last.is_empty()
            && !component.contains("---")
            && words.iter().all(|w| w.bytes().all(|b| b.is_ascii_alphanumeric()))
            // Of the separators `--` alone may be doubled.
            && words.len() - words.iter().filter(|w| w.is_empty()).count() > 0
            && words.iter().filter(|w| w.is_empty()).count() == component.matches("--").count()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_names() {
        let check = |name: &str, expect: bool| assert_eq!(is_ref_name(name), expect, "{name:?}");
        for good in ["1.0.0-alpine", "latest", "a/b:c@d+e", "a--b", "sha256-ab.sig", "v1_2"] {
            check(good, true);
        }
        for bad in ["", "-a", "a-", "a..b", "a---b", "a b", "a//b", "ä", ".a", "a_.b"] {
            check(bad, false);
        }
    }
}
