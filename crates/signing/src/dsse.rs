//! Dead Simple Signing Envelopes (<https://github.com/secure-systems-lab/dsse>, protocol 1.0) around in-toto statements
//! (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_spec::image::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::key::{PrivateKey, PublicKey};

/// The payload type of in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

const SUBJECT: &str = "attestation";

/// A payload with signatures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Base64.
    pub payload: String,
    /// What the payload is.
    pub payload_type: String,
    /// At least one.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature in an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// Base64 of the DER.
    pub sig: String,
    /// A hint which key it is.
    #[serde(default)]
    pub keyid: String,
}

/// What is signed of a payload (DSSE, "Pre-Authentication Encoding").
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// A statement about the manifest `digest`, named `name`.
pub fn statement(name: &str, digest: &Digest, predicate_type: &str, predicate: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": digest.digest() } }],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

/// Signs a statement.
pub fn sign(key: &PrivateKey, statement: &Value) -> Envelope {
    let payload = oci::json::to_vec(statement);
    let sig = STANDARD.encode(key.sign(&encoded(PAYLOAD_TYPE, &payload)));
    Envelope {
        payload: STANDARD.encode(payload),
        payload_type: PAYLOAD_TYPE.into(),
        signatures: vec![EnvelopeSignature { sig, keyid: String::new() }],
    }
}

/// Checks that `key` signed the envelope, and that its statement is about `digest`. Gives the statement.
///
/// # Errors
/// [`Error::Signature`], [`Error::OtherDigest`], [`Error::Format`].
pub fn verify(key: &PublicKey, envelope: &Envelope, digest: &Digest) -> Result<Value> {
    let format = |problem: &str| Error::format(SUBJECT, problem);
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| format("its payload is no Base64"))?;
    let message = encoded(&envelope.payload_type, &payload);
    let signed = envelope.signatures.iter().any(|signature| {
        STANDARD.decode(&signature.sig).is_ok_and(|bytes| key.verify(&message, &bytes).is_ok())
    });
    if !signed {
        return Err(Error::Signature);
    }
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(Error::format(
            SUBJECT,
            format!("is a `{}`, no in-toto statement", envelope.payload_type),
        ));
    }
    let statement: Value = serde_json::from_slice(&payload).map_err(|_| format("its payload is no JSON"))?;
    let subjects = statement["subject"].as_array().ok_or_else(|| format("names no subject"))?;
    let digests: Vec<&str> = subjects.iter().filter_map(|s| s["digest"]["sha256"].as_str()).collect();
    if !digests.contains(&digest.digest()) {
        let found = digests.first().map_or_else(|| "none".into(), |d| format!("sha256:{d}"));
        return Err(Error::OtherDigest { wanted: digest.to_string(), found });
    }
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_own_example() {
        assert_eq!(
            encoded("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn only_the_right_key_and_digest_pass() {
        let key = PrivateKey::parse(include_str!("../tests/keys/openssl.pem"), None).unwrap();
        let other = PublicKey::parse(include_str!("../tests/keys/cosign.pub")).unwrap();
        let digest = |c: &str| format!("sha256:{}", c.repeat(64)).parse::<Digest>().unwrap();
        let statement = statement("x", &digest("a"), "https://example.org/p", &json!({ "k": 1 }));
        let envelope = sign(&key, &statement);
        assert_eq!(verify(&key.public(), &envelope, &digest("a")).unwrap(), statement);
        let check = |key: &PublicKey, change: fn(&mut Envelope), d: &str, expect: &str| {
            let mut envelope = envelope.clone();
            change(&mut envelope);
            let error = verify(key, &envelope, &digest(d)).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&other, |_| (), "a", "was not made with this key");
        check(&key.public(), |_| (), "b", "of another digest: sha256:aaaa");
        check(&key.public(), |e| e.payload = STANDARD.encode("{}"), "a", "was not made with this key");
        check(&key.public(), |e| e.payload = "%".into(), "a", "its payload is no Base64");
        check(&key.public(), |e| e.payload_type = "text/plain".into(), "a", "was not made with this key");
        check(&key.public(), |e| e.signatures.clear(), "a", "was not made with this key");
    }
}
