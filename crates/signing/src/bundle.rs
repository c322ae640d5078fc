//! Sigstore bundles 0.3 (<https://github.com/sigstore/protobuf-specs>, `sigstore_bundle.proto`) as cosign attaches them:
//! one artifact manifest a bundle, which refers to the image (cosign's "new bundle format").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dsse::Envelope;
use crate::error::{Error, Result};
use crate::key::PublicKey;

/// The media type of the bundle, and the artifact type of the manifest that holds it.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The predicate type of a bundle that signs the image and says no more.
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The manifest's annotation that says what is in the bundle.
pub const CONTENT_ANNOTATION: &str = "dev.sigstore.bundle.content";
/// The manifest's annotation that names the predicate type.
pub const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// A bundle with a DSSE envelope, signed with a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// [`MEDIA_TYPE`].
    pub media_type: String,
    /// With what to verify.
    pub verification_material: Material,
    /// The envelope; there are bundles of bare signatures too, which images do not have.
    pub dsse_envelope: Envelope,
}

/// With what to verify.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// Which key; absent where a certificate is meant (keyless).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<KeyHint>,
    /// A keyless signature's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Value>,
    /// Entries of a transparency log, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tlog_entries: Vec<Value>,
}

/// Which key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyHint {
    /// [`PublicKey::hint`].
    pub hint: String,
}

impl Bundle {
    /// The bundle of an envelope that `key` verifies.
    pub fn new(envelope: Envelope, key: &PublicKey) -> Bundle {
        let public_key = Some(KeyHint { hint: key.hint() });
        Bundle {
            media_type: MEDIA_TYPE.into(),
            verification_material: Material { public_key, certificate: None, tlog_entries: Vec::new() },
            dsse_envelope: envelope,
        }
    }

    /// The bundle's bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        oci::json::to_vec(self)
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// [`Error::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Bundle> {
        let bundle: Bundle =
            serde_json::from_slice(bytes).map_err(|e| Error::format("bundle", e.to_string()))?;
        match bundle.media_type.as_str() {
            MEDIA_TYPE => Ok(bundle),
            other => Err(Error::format("bundle", format!("is a `{other}`, allowed is `{MEDIA_TYPE}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsse;
    use crate::key::PrivateKey;

    #[test]
    fn what_is_written_is_read() {
        let key = PrivateKey::parse(include_str!("../tests/keys/openssl.pem"), None).unwrap();
        let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let envelope = dsse::sign(&key, &dsse::statement("x", &digest, "p", &Value::Null));
        let bundle = Bundle::new(envelope, &key.public());
        assert_eq!(Bundle::parse(&bundle.to_vec()).unwrap(), bundle);
        for wrong in [&b"{}"[..], b"", &bundle.to_vec()[1..]] {
            assert!(matches!(Bundle::parse(wrong), Err(Error::Format { .. })));
        }
        let other = Bundle { media_type: "x".into(), ..bundle };
        assert!(Bundle::parse(&other.to_vec()).unwrap_err().to_string().contains("is a `x`"));
    }
}
