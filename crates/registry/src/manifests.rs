//! Manifests at the registry: finding, reading, writing, tagging, listing and deleting them.

use oci_spec::image::{Descriptor, Digest, MediaType};
use ureq::http::Method;

use crate::error::{Error, Result};
use crate::reference::{self, Repository};
use crate::transport::{Access, Answer, Call, Content, Endpoint};
use crate::tree::{self, Document};
use crate::{Client, Reference, url};

/// Pages of one list that are followed; a registry that goes on for ever must not.
pub(crate) const MAX_PAGES: usize = 1000;

impl Client {
    /// What a tag or digest stands for now, without reading it (distribution-spec, "Checking if content exists in
    /// the registry"). Mirrors are asked first.
    ///
    /// # Errors
    /// [`Error::Refused`] ([`Error::is_not_found`] when there is none), [`Error::Unreachable`],
    /// [`Error::Invalid`], [`Error::Cancelled`].
    pub fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        let target = reference::target(reference);
        self.ask_sources(&Repository::of(reference), |endpoint| self.resolve_at(endpoint, target))
    }

    /// Reads a manifest or index: its bytes, verified.
    ///
    /// # Errors
    /// As [`Client::resolve`].
    pub fn manifest(&self, repository: &Repository, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let target = descriptor.digest().to_string();
        self.ask_sources(repository, |endpoint| self.get_manifest(endpoint, &target).map(|(_, bytes)| bytes))
    }

    /// Gives a manifest that the repository has the tags `tags`, in that order. A tag that stands for it already
    /// is not written.
    ///
    /// # Errors
    /// [`Error::Input`] for a tag that cannot be one, before anything is sent; else as [`Client::resolve`].
    pub fn tag(&self, repository: &Repository, digest: &Digest, tags: &[String]) -> Result<()> {
        tags.iter().try_for_each(|tag| reference::check_tag(tag))?;
        let endpoint = self.endpoint(repository, Access::Push);
        let (descriptor, bytes) = self.get_manifest(&endpoint, digest.as_ref())?;
        self.put_tags(&endpoint, &descriptor, &bytes, tags)
    }

    /// All tags of a repository, sorted, which not every registry does (distribution-spec, "Listing Tags"). A
    /// repository without tags may also be answered as not found.
    ///
    /// # Errors
    /// As [`Client::resolve`].
    pub fn tags(&self, repository: &Repository) -> Result<Vec<String>> {
        let endpoint = self.endpoint(repository, Access::Pull);
        let mut tags = Vec::new();
        let first = Call::new(&endpoint, Method::GET, endpoint.url("tags/list"), "list the tags", "");
        self.pages(first, |answer| {
            // Not `oci_spec`'s TagList: registries answer `"tags": null` where there are none.
            let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let page = match &document["tags"] {
                serde_json::Value::Array(page) => page.as_slice(),
                serde_json::Value::Null if document["name"].is_string() => &[],
                _ => return Err(Error::invalid(repository.subject(""), "the list of tags is not one")),
            };
            tags.extend(page.iter().filter_map(|tag| tag.as_str().map(str::to_owned)));
            Ok(true)
        })?;
        tags.sort_unstable();
        Ok(tags)
    }

    /// Deletes a tag, or with a digest a manifest and what refers to it in a fallback index (distribution-spec,
    /// "Content Management"). What is not there is not an error.
    ///
    /// # Errors
    /// [`Error::Refused`] also where a registry does not let tags (405) or anything be deleted; else as
    /// [`Client::resolve`].
    pub fn delete(&self, reference: &Reference) -> Result<()> {
        let endpoint = self.endpoint(&Repository::of(reference), Access::Delete);
        let target = reference::target(reference);
        let mut subject = None;
        if let Some(digest) = reference.digest() {
            match self.get_manifest(&endpoint, digest) {
                Ok((descriptor, bytes)) => {
                    let document = Document::parse(
                        || endpoint.repository.subject(target),
                        descriptor.media_type(),
                        &bytes,
                    )?;
                    subject = document.subject().map(|subject| (subject.digest().clone(), descriptor));
                }
                Err(e) if e.is_not_found() => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        let url = endpoint.url(&format!("manifests/{target}"));
        let mut call = Call::new(&endpoint, Method::DELETE, url, "delete the manifest", target);
        call.expected = &[404];
        self.transport.send(&call)?;
        match subject {
            Some((subject, descriptor)) => self.forget_referrer(&endpoint, &subject, descriptor.digest()),
            None => Ok(()),
        }
    }

    /// Resolves at one endpoint: by HEAD, and by GET where the answer to that does not tell everything.
    pub(crate) fn resolve_at(&self, endpoint: &Endpoint, target: &str) -> Result<Descriptor> {
        let mut call = Call::new(
            endpoint,
            Method::HEAD,
            endpoint.url(&format!("manifests/{target}")),
            "find the manifest",
            target,
        );
        call.headers.push(("Accept", tree::accepted()));
        let answer = self.transport.send(&call)?;
        let digest = answer.header("docker-content-digest").and_then(|d| reference::check_digest(d).ok());
        // Proxies exist that answer HEAD with 0.
        let size = answer.header("content-length").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        let media_type = answer.header("content-type").and_then(|t| t.split(';').next());
        match (digest, size, media_type) {
            (Some(digest), Some(size), Some(media_type)) => {
                if target.contains(':') && target != digest.as_ref() {
                    return Err(Error::invalid(
                        call.subject(),
                        format!("the registry has {digest} under that digest"),
                    ));
                }
                Ok(Descriptor::new(MediaType::from(media_type.trim()), size, digest))
            }
            _ => self.get_manifest(endpoint, target).map(|(descriptor, _)| descriptor),
        }
    }

    /// Whether the repository itself has a manifest or tag, and which.
    pub(crate) fn existing(&self, endpoint: &Endpoint, target: &str) -> Result<Option<Digest>> {
        match self.resolve_at(endpoint, target) {
            Ok(descriptor) => Ok(Some(descriptor.digest().clone())),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Reads a manifest; by digest it is verified.
    pub(crate) fn get_manifest(&self, endpoint: &Endpoint, target: &str) -> Result<(Descriptor, Vec<u8>)> {
        let mut call = Call::new(
            endpoint,
            Method::GET,
            endpoint.url(&format!("manifests/{target}")),
            "read the manifest",
            target,
        );
        call.headers.push(("Accept", tree::accepted()));
        let mut answer = self.transport.send(&call)?;
        let wanted = target.contains(':').then(|| reference::check_digest(target)).transpose()?;
        if wanted.as_ref().is_some_and(|wanted| oci::digest::sha256(&answer.body) != *wanted) {
            // A proxy on the way may have cut or changed it; once more, and then it is an error.
            answer = self.transport.send(&call)?;
        }
        let digest = oci::digest::sha256(&answer.body);
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            return Err(Error::invalid(
                call.subject(),
                format!("the manifest's content has the digest {digest}, not {wanted}"),
            ));
        }
        let media_type = tree::media_type(answer.header("content-type"), &answer.body);
        Ok((Descriptor::new(media_type, answer.body.len() as u64, digest), answer.body))
    }

    /// Writes a manifest under its digest or a tag (distribution-spec, "Pushing Manifests").
    pub(crate) fn put_manifest(
        &self,
        endpoint: &Endpoint,
        target: &str,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> Result<Answer> {
        let url = endpoint.url(&format!("manifests/{target}"));
        let mut call = Call::new(endpoint, Method::PUT, url, "write the manifest", target);
        call.headers.push(("Content-Type", descriptor.media_type().to_string()));
        call.content = Content::Bytes(bytes);
        let answer = self.transport.send(&call)?;
        match answer.header("docker-content-digest") {
            Some(stored) if stored != descriptor.digest().as_ref() => {
                let problem = format!("the registry stored {stored} instead of {}", descriptor.digest());
                Err(Error::invalid(call.subject(), problem))
            }
            _ => Ok(answer),
        }
    }

    /// Points each tag at a manifest, unless it does so already.
    pub(crate) fn put_tags(
        &self,
        endpoint: &Endpoint,
        descriptor: &Descriptor,
        bytes: &[u8],
        tags: &[String],
    ) -> Result<()> {
        for tag in tags {
            if self.existing(endpoint, tag)?.as_ref() != Some(descriptor.digest()) {
                self.put_manifest(endpoint, tag, descriptor, bytes)?;
            }
        }
        Ok(())
    }

    /// Sends `call` and follows `Link` headers while `page` says so.
    pub(crate) fn pages(
        &self,
        mut call: Call<'_>,
        mut page: impl FnMut(&Answer) -> Result<bool>,
    ) -> Result<()> {
        for _ in 0..MAX_PAGES {
            let answer = self.transport.send(&call)?;
            if !page(&answer)? {
                return Ok(());
            }
            let Some(link) = answer.header("link").and_then(url::next_link) else { return Ok(()) };
            let next = url::resolve(&answer.url, link)
                .ok_or_else(|| Error::invalid(call.subject(), "a `Link` is not a URL"))?;
            if next == call.url {
                return Err(Error::invalid(call.subject(), "a list's next page is that page again"));
            }
            call.url = next;
        }
        Err(Error::invalid(call.subject(), format!("a list has more than {MAX_PAGES} pages")))
    }
}
