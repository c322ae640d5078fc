//! What refers to a manifest: signatures, SBOMs, provenance (distribution-spec, "Listing Referrers").
//!
//! A registry with the referrers API keeps the list itself. For one without, clients keep an index under the tag
//! `sha256-<hex>` ("Referrers Tag Schema"). Several clients may change it at once, and the protocol has no
//! conditional write, so a change goes:
//! 1. Read the index. Where it says what it should, that is all.
//! 2. Change it, write it, and leave it alone for [`Config::settle`](crate::Config::settle).
//! 3. Read it back. Where another writer has replaced it by something without the change, go to 2, with longer
//!    waits each time.

use std::sync::PoisonError;

use oci_spec::image::{Descriptor, Digest, ImageIndex, ImageIndexBuilder, MediaType};
use ureq::http::Method;

use crate::Client;
use crate::error::{Error, Result};
use crate::reference::Repository;
use crate::retry::{random, sleep};
use crate::transport::{Access, Call, Content, Endpoint};
use crate::tree::{Document, fallback_tag, media_type};
use crate::url;

/// How often a change of a fallback index is written at most.
const FALLBACK_ROUNDS: u32 = 10;

/// Answers of registries that do not know the referrers API.
const NO_API: &[u16] = &[400, 404, 405, 501];

impl Client {
    /// What refers to the manifest `subject`, only of `artifact_type` if one is given. Each has its artifact type
    /// and annotations. None is an empty list, also where there is no such manifest.
    ///
    /// # Errors
    /// As [`Client::resolve`].
    pub fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        self.referrers_at(&self.endpoint(repository, Access::Pull), subject, artifact_type)
    }

    pub(crate) fn referrers_at(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>> {
        let mut found = match self.referrers_by_api(endpoint, subject, artifact_type)? {
            Some(found) => found,
            None => self.read_fallback(endpoint, subject)?.manifests().clone(),
        };
        // A registry may leave the filter to the client (`OCI-Filters-Applied` says); to filter again is no harm.
        found.retain(|d| {
            artifact_type.is_none_or(|t| d.artifact_type().as_ref().is_some_and(|a| a.as_ref() == t))
        });
        Ok(found)
    }

    /// Lists `referrer` in the fallback index of `subject`.
    pub(crate) fn remember_referrer(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        referrer: &Descriptor,
    ) -> Result<()> {
        let is_listed = |list: &[Descriptor]| list.iter().any(|d| d.digest() == referrer.digest());
        self.change_fallback(endpoint, subject, is_listed, |list| list.push(referrer.clone()))
    }

    /// Takes `referrer` out of the fallback index of `subject`, where the registry has no list of its own.
    pub(crate) fn forget_referrer(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<()> {
        if self.referrers_by_api(endpoint, subject, None)?.is_some() {
            return Ok(());
        }
        let is_gone = |list: &[Descriptor]| list.iter().all(|d| d.digest() != referrer);
        self.change_fallback(endpoint, subject, is_gone, |list| list.retain(|d| d.digest() != referrer))
    }

    /// The registry's own list, or nothing where it has no such API.
    fn referrers_by_api(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>> {
        let target = subject.to_string();
        let url = endpoint.url(&format!("referrers/{target}"));
        let mut call = Call::new(endpoint, Method::GET, url, "list the referrers", &target);
        call.headers.push(("Accept", MediaType::ImageIndex.to_string()));
        call.expected = NO_API;
        if let Some(artifact_type) = artifact_type {
            call.url = url::with_query(&call.url, &[("artifactType", artifact_type)]);
        }
        let mut found = Some(Vec::new());
        self.pages(call, |answer| {
            // A web server in front may answer every path with a page.
            if NO_API.contains(&answer.status)
                || media_type(answer.header("content-type"), &answer.body) != MediaType::ImageIndex
            {
                found = None;
                return Ok(false);
            }
            let page = self.parse_index(endpoint, &target, &answer.body)?;
            found.iter_mut().for_each(|found| found.extend_from_slice(page.manifests()));
            Ok(true)
        })?;
        Ok(found)
    }

    fn read_fallback(&self, endpoint: &Endpoint, subject: &Digest) -> Result<ImageIndex> {
        let tag = fallback_tag(subject);
        match self.get_manifest(endpoint, &tag) {
            Ok((_, bytes)) => self.parse_index(endpoint, &tag, &bytes),
            Err(e) if e.is_not_found() => Ok(ImageIndexBuilder::default()
                .schema_version(2u32)
                .media_type(MediaType::ImageIndex)
                .manifests(Vec::new())
                .build()
                .expect("schema version and manifests are all that an index needs")),
            Err(e) => Err(e),
        }
    }

    fn parse_index(&self, endpoint: &Endpoint, target: &str, bytes: &[u8]) -> Result<ImageIndex> {
        match Document::parse(|| endpoint.repository.subject(target), &MediaType::ImageIndex, bytes)? {
            Document::Index(index) => Ok(*index),
            Document::Manifest(_) => unreachable!("parsed as an index"),
        }
    }

    fn change_fallback(
        &self,
        endpoint: &Endpoint,
        subject: &Digest,
        is_done: impl Fn(&[Descriptor]) -> bool,
        change: impl Fn(&mut Vec<Descriptor>),
    ) -> Result<()> {
        let _alone = self.fallback.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = fallback_tag(subject);
        for round in 1..=FALLBACK_ROUNDS {
            let mut index = self.read_fallback(endpoint, subject)?;
            if is_done(index.manifests()) {
                return Ok(());
            }
            let mut list = index.manifests().clone();
            change(&mut list);
            index.set_manifests(list);
            self.write_fallback(endpoint, &tag, &index)?;
            // Of two writers that wait equally long, both would undo each other again.
            sleep(
                &self.transport,
                self.transport.config.settle.mul_f64(f64::from(round) * (0.5 + random())),
            )?;
        }
        match is_done(self.read_fallback(endpoint, subject)?.manifests()) {
            true => Ok(()),
            false => Err(Error::invalid(
                endpoint.repository.subject(&tag),
                format!("other writers have undone a change {FALLBACK_ROUNDS} times"),
            )),
        }
    }

    fn write_fallback(&self, endpoint: &Endpoint, tag: &str, index: &ImageIndex) -> Result<()> {
        let bytes = oci::json::to_vec(index);
        let mut call = Call::new(
            endpoint,
            Method::PUT,
            endpoint.url(&format!("manifests/{tag}")),
            "write the referrers",
            tag,
        );
        call.headers.push(("Content-Type", MediaType::ImageIndex.to_string()));
        call.content = Content::Bytes(&bytes);
        self.transport.send(&call).map(drop)
    }
}
