//! Simple signing, cosign's first format: a small JSON payload that names the digest, with the signature beside it in an
//! annotation of an image under the tag `sha256-<hex>.sig`
//! (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_spec::image::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::key::{PrivateKey, PublicKey};

/// The media type of the payload, which is a layer.
pub const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The layer's annotation that holds the signature.
pub const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

const SUBJECT: &str = "signature";

/// The tag under which the signatures of a manifest lie.
pub fn tag(digest: &Digest) -> String {
    format!("{}-{}.sig", digest.algorithm(), digest.digest())
}

/// What is signed: that `digest` is the image `repository`, with annotations.
pub fn payload(repository: &str, digest: &Digest, annotations: &BTreeMap<String, String>) -> Vec<u8> {
    let optional = if annotations.is_empty() { Value::Null } else { json!(annotations) };
    oci::json::to_vec(&json!({
        "critical": {
            "identity": { "docker-reference": repository },
            "image": { "docker-manifest-digest": digest.to_string() },
            "type": "cosign container image signature",
        },
        "optional": optional,
    }))
}

/// The signature over `payload`, as the annotation has it.
pub fn sign(key: &PrivateKey, payload: &[u8]) -> String {
    STANDARD.encode(key.sign(payload))
}

/// What a verified payload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The repository that the signer named.
    pub repository: String,
    /// The signer's annotations.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
    optional: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Critical {
    identity: Identity,
    image: ImageName,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Deserialize)]
struct ImageName {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Checks that `key` signed `payload`, and that this is about `digest`.
///
/// # Errors
/// [`Error::Signature`], [`Error::OtherDigest`], [`Error::Format`].
pub fn verify(key: &PublicKey, payload: &[u8], signature: &str, digest: &Digest) -> Result<Verified> {
    let signature = STANDARD.decode(signature.trim()).map_err(|_| Error::format(SUBJECT, "is no Base64"))?;
    key.verify(payload, &signature)?;
    let parsed: Payload =
        serde_json::from_slice(payload).map_err(|e| Error::format(SUBJECT, format!("its payload: {e}")))?;
    // `atomic container signature` is podman's and skopeo's word for the same.
    if !matches!(
        parsed.critical.kind.as_str(),
        "cosign container image signature" | "atomic container signature"
    ) {
        return Err(Error::format(SUBJECT, format!("is a `{}`, no image's", parsed.critical.kind)));
    }
    let found = parsed.critical.image.digest;
    if found != digest.to_string() {
        return Err(Error::OtherDigest { wanted: digest.to_string(), found });
    }
    let annotations = parsed
        .optional
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, value.as_str().map_or_else(|| value.to_string(), String::from)))
        .collect();
    Ok(Verified { repository: parsed.critical.identity.reference, annotations })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_and_digest_pass() {
        let key = PrivateKey::parse(include_str!("../tests/keys/openssl.pem"), None).unwrap();
        let other = PublicKey::parse(include_str!("../tests/keys/cosign.pub")).unwrap();
        let digest = |c: &str| format!("sha256:{}", c.repeat(64)).parse::<Digest>().unwrap();
        let annotations = BTreeMap::from([("commit".to_string(), "abc".to_string())]);
        let payload = payload("ghcr.io/x/y", &digest("a"), &annotations);
        let signature = sign(&key, &payload);
        let good = verify(&key.public(), &payload, &signature, &digest("a")).unwrap();
        assert_eq!(good, Verified { repository: "ghcr.io/x/y".into(), annotations });
        let check = |key: &PublicKey, payload: &[u8], signature: &str, d: &str, expect: &str| {
            let error = verify(key, payload, signature, &digest(d)).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&other, &payload, &signature, "a", "was not made with this key");
        check(&key.public(), &payload, &signature, "b", "of another digest: sha256:aaaa");
        check(&key.public(), b"{}", &signature, "a", "was not made with this key");
        check(&key.public(), &payload, "not base64!", "a", "is no Base64");
        check(&key.public(), &payload, &sign(&key, b"x"), "a", "was not made with this key");
        check(&key.public(), b"{}", &sign(&key, b"{}"), "a", "its payload");
    }
}
