//! What manifests and indexes consist of, in OCI's media types and in Docker's (schema 2, manifest list).

use oci::layout;
use oci_spec::image::{Descriptor, Digest, ImageIndex, ImageManifest, MediaType, ToDockerV2S2 as _};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result, Subject};

/// What a manifest endpoint may answer with (the `Accept` header).
pub(crate) fn accepted() -> String {
    [MediaType::ImageManifest, MediaType::ImageIndex]
        .iter()
        .flat_map(|t| [t.as_ref().to_owned(), docker_name(t).to_owned()])
        .collect::<Vec<_>>()
        .join(", ")
}

/// A parsed manifest or index. The bytes are kept by the caller: they are what the digest is about.
pub(crate) enum Document {
    Manifest(Box<ImageManifest>),
    Index(Box<ImageIndex>),
}

impl Document {
    /// Parses `bytes` as what `media_type` says.
    ///
    /// A document that names another type itself, or has the fields of both, is refused: readers would not agree
    /// on what it is (image-spec, "Compatibility", CVE-2021-41190).
    pub(crate) fn parse(
        subject: impl Fn() -> Box<Subject>,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<Document> {
        let fail = |problem: String| Err(Error::invalid(subject(), problem));
        let value: serde_json::Value = match serde_json::from_slice(bytes) {
            Ok(value) => value,
            Err(e) => return fail(format!("the manifest is not JSON: {e}")),
        };
        let own_type = value["mediaType"].as_str();
        if own_type.is_some_and(|own| own != media_type.as_ref()) {
            return fail(format!(
                "the manifest calls itself `{}`, the registry `{media_type}`",
                own_type.unwrap_or_default()
            ));
        }
        if !value["manifests"].is_null() && !value["layers"].is_null() {
            return fail("the manifest has both `manifests` and `layers`".into());
        }
        fn read<T: DeserializeOwned>(value: serde_json::Value) -> std::result::Result<Box<T>, String> {
            serde_json::from_value(value).map(Box::new).map_err(|e| format!("the manifest is wrong: {e}"))
        }
        let document = match media_type {
            t if layout::is_index(t) => read(value).map(Document::Index),
            t if layout::is_manifest(t) => read(value).map(Document::Manifest),
            other => Err(format!("`{other}` is not a kind of image that is supported")),
        };
        document.or_else(fail)
    }

    pub(crate) fn subject(&self) -> Option<&Descriptor> {
        match self {
            Document::Manifest(manifest) => manifest.subject().as_ref(),
            Document::Index(index) => index.subject().as_ref(),
        }
    }

    /// `descriptor` as it stands in a list of referrers: with artifact type and annotations (distribution-spec,
    /// "Listing Referrers": without `artifactType` it is the config's media type).
    pub(crate) fn as_referrer(&self, descriptor: &Descriptor) -> Descriptor {
        let mut out =
            Descriptor::new(descriptor.media_type().clone(), descriptor.size(), descriptor.digest().clone());
        let (artifact_type, annotations) = match self {
            Document::Manifest(m) => (
                m.artifact_type().clone().or_else(|| Some(m.config().media_type().clone())),
                m.annotations().clone(),
            ),
            Document::Index(i) => (i.artifact_type().clone(), i.annotations().clone()),
        };
        out.set_artifact_type(artifact_type);
        out.set_annotations(annotations);
        out
    }

    /// Config and layers of a manifest; nothing of an index.
    pub(crate) fn blobs(&self) -> Vec<Descriptor> {
        match self {
            Document::Manifest(m) => std::iter::once(m.config()).chain(m.layers()).cloned().collect(),
            Document::Index(_) => Vec::new(),
        }
    }

    /// The manifests of an index; nothing of a manifest.
    pub(crate) fn manifests(&self) -> &[Descriptor] {
        match self {
            Document::Manifest(_) => &[],
            Document::Index(index) => index.manifests(),
        }
    }
}

/// The media type of a document: what the registry says, or where it says nothing useful, the document itself.
pub(crate) fn media_type(content_type: Option<&str>, bytes: &[u8]) -> MediaType {
    let given = content_type.and_then(|t| t.split(';').next()).map_or("", str::trim);
    if !matches!(given, "" | "application/json" | "application/octet-stream" | "text/plain") {
        return MediaType::from(given);
    }
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    match value["mediaType"].as_str() {
        Some(own) => MediaType::from(own),
        None if value["manifests"].is_array() => MediaType::ImageIndex,
        None => MediaType::ImageManifest,
    }
}

/// The tag under which a registry without the referrers API keeps the list of them (distribution-spec,
/// "Referrers Tag Schema").
pub(crate) fn fallback_tag(subject: &Digest) -> String {
    format!("{}-{}", subject.algorithm(), subject.digest())
}

fn docker_name(oci: &MediaType) -> &str {
    oci.to_docker_v2s2().expect("indexes and manifests have a name in Docker's media types")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let subject =
            || Box::new(Subject { registry: "r".into(), repository: "a".into(), target: "t".into() });
        let digest = format!("sha256:{}", "0".repeat(64));
        let check = |media_type: &str, json: &str, expect: std::result::Result<(usize, usize), &str>| {
            let json = json.replace("D", &format!(r#"{{"mediaType":"x","size":1,"digest":"{digest}"}}"#));
            match (Document::parse(subject, &media_type.into(), json.as_bytes()), expect) {
                (Ok(d), Ok(expect)) => assert_eq!((d.blobs().len(), d.manifests().len()), expect),
                (Err(e), Err(expect)) => assert!(e.to_string().contains(expect), "{e}"),
                (Ok(_), Err(expect)) => panic!("{json}: not {expect}"),
                (Err(e), Ok(_)) => panic!("{json}: {e}"),
            }
        };
        let (oci, oci_index) =
            ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json");
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        let docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
        check(oci, r#"{"schemaVersion":2,"config":D,"layers":[D,D]}"#, Ok((3, 0)));
        check(docker, r#"{"schemaVersion":2,"config":D,"layers":[]}"#, Ok((1, 0)));
        check(oci_index, r#"{"schemaVersion":2,"manifests":[D]}"#, Ok((0, 1)));
        check(
            docker_list,
            &format!(r#"{{"schemaVersion":2,"mediaType":"{docker_list}","manifests":[D]}}"#),
            Ok((0, 1)),
        );
        check(
            oci,
            &format!(r#"{{"schemaVersion":2,"mediaType":"{oci_index}","config":D,"layers":[]}}"#),
            Err("calls itself"),
        );
        check(oci, r#"{"schemaVersion":2,"config":D,"layers":[],"manifests":[]}"#, Err("both"));
        check(oci, r#"{"schemaVersion":2,"layers":[]}"#, Err("config"));
        check(oci, "<html>", Err("not JSON"));
        check("application/vnd.docker.distribution.manifest.v1+prettyjws", "{}", Err("not a kind"));
    }

    #[test]
    fn media_types() {
        let check = |given: Option<&str>, json: &str, expect: &str| {
            assert_eq!(media_type(given, json.as_bytes()).as_ref(), expect);
        };
        check(Some("a/b; charset=utf-8"), "{}", "a/b");
        check(Some("application/json"), r#"{"mediaType":"c/d"}"#, "c/d");
        check(None, r#"{"manifests":[]}"#, "application/vnd.oci.image.index.v1+json");
        check(None, r#"{"layers":[]}"#, "application/vnd.oci.image.manifest.v1+json");
    }
}
