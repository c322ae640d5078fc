//! From the store into the registry.
//!
//! 1. What is below the root is read from the store: a list of manifests, children first, each with its blobs.
//! 2. The registry is asked which manifests it has. What a manifest that it has refers to, it has too.
//! 3. Of the others, the blobs are mounted or uploaded, several at a time; then the manifests by their digests,
//!    children first; a manifest with a subject becomes one of its referrers.
//! 4. Only then the tags, in the order given.

use std::collections::HashSet;

use oci::Blobs;
use oci_spec::image::Descriptor;

use crate::Client;
use crate::config::Event;
use crate::error::Result;
use crate::reference::{Repository, check_tag};
use crate::transport::{Access, Endpoint};
use crate::tree::Document;

/// What a push does beyond uploading.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// The tags that the root gets after everything else is there, in that order: floating ones last. May be
    /// empty, for a push by digest alone.
    pub tags: Vec<String>,
    /// Repositories that may have some of the blobs, such as those of base images. In the same registry a blob is
    /// mounted from there instead of being uploaded; others are ignored.
    pub mount_from: Vec<Repository>,
}

/// A manifest on its way to the registry.
struct Node {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    document: Document,
}

impl Client {
    /// Pushes the image or index `root` with all it consists of (distribution-spec, "Push"). What the registry has
    /// is neither read nor sent; a push of what is all there consists of HEAD requests.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for a tag that cannot be one, before anything is sent;
    /// [`Error::Store`](crate::Error::Store) when the store lacks a part or holds a corrupt one; else as
    /// [`Client::resolve`]. Tags are written last: after an error none points at an incomplete image, and the
    /// next push goes on.
    pub fn push(&self, blobs: &Blobs, root: &Descriptor, to: &Repository, push: &Push) -> Result<()> {
        push.tags.iter().try_for_each(|tag| check_tag(tag))?;
        let endpoint = self.endpoint(to, Access::Push);
        let mut nodes = Vec::new();
        gather(blobs, root, to, &mut HashSet::new(), &mut nodes)?;
        let existing =
            self.in_parallel(&nodes, |node| self.existing(&endpoint, node.descriptor.digest().as_ref()))?;
        let mut seen = HashSet::new();
        let missing: Vec<Descriptor> = nodes
            .iter()
            .zip(&existing)
            .filter(|(_, existing)| existing.is_none())
            .flat_map(|(node, _)| node.document.blobs())
            .filter(|blob| seen.insert(blob.digest().clone()))
            .collect();
        self.in_parallel(&missing, |blob| self.push_blob(blobs, blob, &endpoint, &push.mount_from))?;
        for (node, existing) in nodes.iter().zip(&existing) {
            self.push_manifest(&endpoint, node, existing.is_some())?;
        }
        let root = nodes.last().expect("the root is the last node");
        self.put_tags(&endpoint, &root.descriptor, &root.bytes, &push.tags)
    }

    /// Gives `root`, which the registry has from an earlier push, the tags `tags`, in that order. Its bytes come from
    /// the store; a tag that stands for it already is not written.
    ///
    /// # Errors
    /// As [`Client::push`].
    pub fn push_tags(
        &self,
        blobs: &Blobs,
        root: &Descriptor,
        to: &Repository,
        tags: &[String],
    ) -> Result<()> {
        tags.iter().try_for_each(|tag| check_tag(tag))?;
        self.put_tags(&self.endpoint(to, Access::Push), root, &blobs.read(root)?, tags)
    }

    fn push_manifest(&self, endpoint: &Endpoint, node: &Node, exists: bool) -> Result<()> {
        let digest = node.descriptor.digest();
        let Some(subject) = node.document.subject().map(Descriptor::digest) else {
            if !exists {
                self.put_manifest(endpoint, digest.as_ref(), &node.descriptor, &node.bytes)?;
            }
            return Ok(());
        };
        // It may be there without being listed: an earlier push may have ended between the two.
        if exists && self.referrers_at(endpoint, subject, None)?.iter().any(|r| r.digest() == digest) {
            return Ok(());
        }
        let answer = self.put_manifest(endpoint, digest.as_ref(), &node.descriptor, &node.bytes)?;
        // A registry that keeps the list itself says so (distribution-spec, "Pushing Manifests with Subject").
        match answer.header("oci-subject") {
            Some(_) => Ok(()),
            None => self.remember_referrer(endpoint, subject, &node.document.as_referrer(&node.descriptor)),
        }
    }

    fn push_blob(
        &self,
        blobs: &Blobs,
        blob: &Descriptor,
        to: &Endpoint,
        mount_from: &[Repository],
    ) -> Result<()> {
        let usable =
            |from: &&Repository| from.registry() == to.repository.registry() && **from != to.repository;
        let candidates: Vec<&Repository> = mount_from.iter().filter(usable).collect();
        let how = self.upload(blobs, blob, to, &candidates)?;
        self.tell(&Event::Finished { digest: blob.digest(), bytes: blob.size(), how });
        Ok(())
    }
}

/// Lists the manifests below and with `descriptor`, children first, each once.
fn gather(
    blobs: &Blobs,
    descriptor: &Descriptor,
    to: &Repository,
    seen: &mut HashSet<String>,
    nodes: &mut Vec<Node>,
) -> Result<()> {
    if !seen.insert(descriptor.digest().to_string()) {
        return Ok(());
    }
    let bytes = blobs.read(descriptor)?;
    let subject = || to.subject(descriptor.digest().as_ref());
    let document = Document::parse(subject, descriptor.media_type(), &bytes)?;
    for child in document.manifests() {
        gather(blobs, child, to, seen, nodes)?;
    }
    nodes.push(Node { descriptor: descriptor.clone(), bytes, document });
    Ok(())
}
