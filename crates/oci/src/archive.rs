//! One tar that is an OCI layout and a `docker save` archive at once: `docker load`, podman, skopeo and every
//! OCI reader take it, and the blobs are in it once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, ImageIndexBuilder, ImageManifest, MediaType, OciLayoutBuilder,
};
use serde::Serialize;

use crate::blobs::Blobs;
use crate::error::{Error, Result};
use crate::json;
use crate::layout::{closure, document};

/// An image for the archive.
pub struct Archived<'a> {
    /// The index or manifest that OCI readers get.
    pub root: &'a Descriptor,
    /// The manifest of one platform, since Docker's format has room for one a name.
    pub docker: &'a Descriptor,
    /// `repository`, without a tag.
    pub repository: &'a str,
    /// Its tags.
    pub tags: &'a [String],
}

/// An element of `manifest.json` (Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset
/// Format").
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes the archive of `images`, whose blobs lie in `blobs`, to `out`. Every entry gets the time `mtime`.
///
/// # Errors
/// [`Error::Io`] when a blob can't be read or `out` refuses, named as `target`.
pub fn write(blobs: &Blobs, images: &[Archived], mtime: u64, target: &str, out: impl Write) -> Result<()> {
    let mut parts: BTreeMap<String, Descriptor> = BTreeMap::new();
    let mut manifests = Vec::new();
    let mut saved = Vec::new();
    for image in images {
        parts.extend(closure(blobs, image.root)?.into_iter().map(|p| (p.digest().digest().to_string(), p)));
        for tag in image.tags {
            let mut named = image.root.clone();
            let mut annotations = named.annotations().clone().unwrap_or_default();
            annotations.insert(ANNOTATION_REF_NAME.into(), tag.clone());
            // containerd, and Docker with its image store, take the whole name from here.
            annotations.insert("io.containerd.image.name".into(), full_name(image.repository, tag));
            named.set_annotations(Some(annotations));
            manifests.push(named);
        }
        let blob = |d: &Descriptor| format!("blobs/{}/{}", d.digest().algorithm(), d.digest().digest());
        let docker: ImageManifest = document(blobs, image.docker)?;
        saved.push(Saved {
            config: blob(docker.config()),
            repo_tags: image.tags.iter().map(|tag| format!("{}:{tag}", image.repository)).collect(),
            layers: docker.layers().iter().map(blob).collect(),
        });
    }
    let index = ImageIndexBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .build()
        .expect("every field is given");
    let marker =
        OciLayoutBuilder::default().image_layout_version("1.0.0").build().expect("every field is given");

    let mut tar = tar::Builder::new(out);
    let mut append = |name: &str, kind, size, content: &mut dyn io::Read| -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
        header.set_mtime(mtime);
        header.set_size(size);
        tar.append_data(&mut header, name, content).map_err(Error::io("write", target))
    };
    // The small documents come first, so that a reader of the stream knows early what it has.
    for (name, contents) in [
        ("oci-layout", json::to_vec(&marker)),
        ("index.json", json::to_vec(&index)),
        ("manifest.json", json::to_vec(&saved)),
    ] {
        append(name, tar::EntryType::Regular, contents.len() as u64, &mut &contents[..])?;
    }
    let algorithms: BTreeSet<String> =
        parts.values().map(|p| format!("blobs/{}/", p.digest().algorithm())).collect();
    for dir in std::iter::once("blobs/").chain(algorithms.iter().map(String::as_str)) {
        append(dir, tar::EntryType::Directory, 0, &mut io::empty())?;
    }
    for part in parts.values() {
        blobs.verify(part)?;
        let name = format!("blobs/{}/{}", part.digest().algorithm(), part.digest().digest());
        append(&name, tar::EntryType::Regular, part.size(), &mut blobs.open(part.digest())?)?;
    }
    tar.into_inner().and_then(|mut out| out.flush()).map_err(Error::io("write", target))
}

/// `scratchbird` and a tag → `docker.io/library/scratchbird:tag`, as containerd names images.
fn full_name(repository: &str, tag: &str) -> String {
    let host = repository.split('/').next().unwrap_or_default();
    let has_host = repository.contains('/') && (host.contains(['.', ':']) || host == "localhost");
    match (has_host, repository.contains('/')) {
        (true, _) => format!("{repository}:{tag}"),
        (false, true) => format!("docker.io/{repository}:{tag}"),
        (false, false) => format!("docker.io/library/{repository}:{tag}"),
    }
}
