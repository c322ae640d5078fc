//! Keys: ECDSA on P-256 with SHA-256, as PKCS#8 PEM (RFC 5958, RFC 7468), or as cosign keeps them: the same PKCS#8 in a
//! NaCl secretbox, whose key is made of a password by scrypt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Signs. Has no `Debug`: it must not get into a log.
pub struct PrivateKey(SigningKey);

/// Verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// The labels of cosign's encrypted keys, the newer first.
const ENCRYPTED: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];

/// The most that a key file may make us spend on its password: `N·r` of scrypt, which is memory in units of 128 bytes.
/// cosign's own keys have 2¹⁶·8, which is 64 MiB.
const MAX_SCRYPT: u64 = 1 << 22;

/// `go-securesystemslib`'s encrypted container.
#[derive(Deserialize)]
struct Container {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the format's own name")]
struct Params {
    N: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl PrivateKey {
    /// Reads a key; `password` is needed only where it is encrypted.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::KeyKind`], [`Error::PasswordMissing`], [`Error::PasswordWrong`].
    pub fn parse(pem: &str, password: Option<&str>) -> Result<PrivateKey> {
        match label(pem)? {
            "PRIVATE KEY" => PrivateKey::from_pkcs8(&body(pem)?),
            found if ENCRYPTED.contains(&found) => {
                let container = body(pem)?;
                let password = password.ok_or(Error::PasswordMissing)?;
                PrivateKey::from_pkcs8(&decrypt(&container, password)?)
            }
            // What `openssl ecparam -genkey` writes begins with the curve.
            found @ ("EC PRIVATE KEY" | "EC PARAMETERS") => Err(Error::KeyKind(format!(
                "is an `{found}`; convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW`"
            ))),
            other => Err(Error::KeyKind(format!("is a `{other}`"))),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<PrivateKey> {
        if let Ok(key) = SigningKey::from_pkcs8_der(der) {
            return Ok(PrivateKey(key));
        }
        match p256::pkcs8::PrivateKeyInfoRef::try_from(der) {
            Ok(info) if info.algorithm.assert_algorithm_oid(EC).is_err() => {
                Err(Error::KeyKind(format!("is a key of the algorithm {}", info.algorithm.oid)))
            }
            Ok(_) => Err(Error::KeyKind("is an elliptic-curve key, but not on P-256".into())),
            Err(e) => Err(Error::Key(format!("PKCS#8: {e}"))),
        }
    }

    /// The key that verifies what this one signs.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// Signs `message`: ECDSA with SHA-256, as ASN.1 DER. The same message gives the same signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

impl PublicKey {
    /// Reads a `PUBLIC KEY` (RFC 5280, SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::KeyKind`].
    pub fn parse(pem: &str) -> Result<PublicKey> {
        match label(pem)? {
            "PUBLIC KEY" => VerifyingKey::from_public_key_der(&body(pem)?)
                .map(PublicKey)
                .map_err(|e| Error::KeyKind(format!("is no P-256 public key ({e})"))),
            found if found.contains("PRIVATE KEY") => Err(Error::KeyKind(
                "is a private key; verifying takes the public one, which `openssl pkey -pubout` or cosign made".into(),
            )),
            other => Err(Error::KeyKind(format!("is a `{other}`"))),
        }
    }

    /// The key as PEM.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("a key on the curve can be written")
    }

    /// What tells keys apart in bundles: the Base64 of the SHA-256 of the key's DER, as cosign writes it.
    pub fn hint(&self) -> String {
        let der = self.0.to_public_key_der().expect("a key on the curve can be written");
        let digest = oci::digest::sha256(der.as_bytes());
        let hex = digest.digest().as_bytes();
        let nibble = |c: u8| if c.is_ascii_digit() { c - b'0' } else { c - b'a' + 10 };
        let bytes: Vec<u8> = hex.chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect();
        STANDARD.encode(bytes)
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<()> {
        let signature = Signature::from_der(signature).map_err(|_| Error::Signature)?;
        self.0.verify(message, &signature).map_err(|_| Error::Signature)
    }
}

/// id-ecPublicKey (RFC 5480).
const EC: p256::pkcs8::ObjectIdentifier = p256::pkcs8::ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

fn label(pem: &str) -> Result<&str> {
    let start = pem.trim_start().strip_prefix("-----BEGIN ");
    start
        .and_then(|rest| rest.split_once("-----"))
        .map(|(label, _)| label)
        .ok_or_else(|| Error::Key("it does not start with `-----BEGIN …-----`".into()))
}

fn body(pem: &str) -> Result<Zeroizing<Vec<u8>>> {
    let (_, bytes) =
        pem_rfc7468::decode_vec(pem.trim().as_bytes()).map_err(|e| Error::Key(format!("PEM: {e}")))?;
    Ok(Zeroizing::new(bytes))
}

fn decrypt(json: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>> {
    // serde's own message could quote a part of the key.
    let container: Container = serde_json::from_slice(json)
        .map_err(|_| Error::Key("its encrypted container is no JSON of cosign's".into()))?;
    let Params { N, r, p } = container.kdf.params;
    if container.kdf.name != "scrypt" || container.cipher.name != "nacl/secretbox" {
        let (kdf, cipher) = (container.kdf.name, container.cipher.name);
        return Err(Error::KeyKind(format!(
            "is encrypted with {cipher} and {kdf}, not nacl/secretbox and scrypt"
        )));
    }
    let damaged = |what: &str| Error::Key(format!("its {what} is damaged"));
    if !N.is_power_of_two() || N.checked_mul(u64::from(r)).is_none_or(|cost| cost > MAX_SCRYPT) || p > 16 {
        return Err(Error::Key(format!("its scrypt parameters N={N}, r={r}, p={p} are none that we accept")));
    }
    let log_n = u8::try_from(N.trailing_zeros()).expect("a u64 has 64 bits");
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| damaged("scrypt parameters"))?;
    let salt = STANDARD.decode(&container.kdf.salt).map_err(|_| damaged("salt"))?;
    let nonce = STANDARD.decode(&container.cipher.nonce).map_err(|_| damaged("nonce"))?;
    let ciphertext = STANDARD.decode(&container.ciphertext).map_err(|_| damaged("ciphertext"))?;
    let nonce: [u8; 24] = nonce.try_into().map_err(|_| damaged("nonce"))?;
    let mut key = Zeroizing::new([0u8; 32]);
    scrypt::scrypt(password.as_bytes(), &salt, &params, key.as_mut_slice()).map_err(|_| damaged("salt"))?;
    let secretbox = XSalsa20Poly1305::new(key.as_slice().into());
    let plain = secretbox
        .decrypt(Nonce::from_slice(&nonce), ciphertext.as_slice())
        .map_err(|_| Error::PasswordWrong)?;
    Ok(Zeroizing::new(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSIGN: &str = include_str!("../tests/keys/cosign.key");
    const OPENSSL: &str = include_str!("../tests/keys/openssl.pem");

    #[test]
    fn keys_of_cosign_and_openssl() {
        let cosign = PrivateKey::parse(COSIGN, Some("correct-horse")).unwrap();
        let openssl = PrivateKey::parse(OPENSSL, None).unwrap();
        let public = |pem| PublicKey::parse(pem).unwrap();
        assert_eq!(cosign.public(), public(include_str!("../tests/keys/cosign.pub")));
        assert_eq!(openssl.public(), public(include_str!("../tests/keys/openssl.pub")));
        assert_eq!(openssl.public().to_pem(), include_str!("../tests/keys/openssl.pub"));
        let signature = cosign.sign(b"message");
        assert_eq!(signature, cosign.sign(b"message"));
        cosign.public().verify(b"message", &signature).unwrap();
        assert_eq!(cosign.public().verify(b"massage", &signature), Err(Error::Signature));
        assert_eq!(openssl.public().verify(b"message", &signature), Err(Error::Signature));
        assert_eq!(cosign.public().verify(b"message", b"no DER"), Err(Error::Signature));
    }

    #[test]
    fn bad_keys_are_told_apart() {
        let check = |pem: &str, password: Option<&str>, expect: &str| {
            let error = PrivateKey::parse(pem, password).err().expect("no key").to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(COSIGN, None, "give its password in COSIGN_PASSWORD");
        check(COSIGN, Some("battery-staple"), "the password is wrong");
        check(COSIGN, Some(""), "the password is wrong");
        check(&COSIGN[..COSIGN.len() / 2], Some("correct-horse"), "is no whole key: PEM");
        check(&OPENSSL[..OPENSSL.len() / 2], None, "is no whole key: PEM");
        let lines: Vec<&str> = OPENSSL.lines().collect();
        check(&[lines[0], lines[1], lines[4]].join("\n"), None, "is no whole key: PKCS#8");
        check("", None, "does not start with");
        check("hello", None, "does not start with");
        check(
            "-----BEGIN EC PRIVATE KEY-----\n",
            None,
            "an `EC PRIVATE KEY`; convert it with `openssl pkcs8 -topk8",
        );
        check(
            "-----BEGIN EC PARAMETERS-----\n",
            None,
            "an `EC PARAMETERS`; convert it with `openssl pkcs8 -topk8",
        );
        check(include_str!("../tests/keys/openssl.pub"), None, "is a `PUBLIC KEY`");
        check(include_str!("../tests/keys/p384.pem"), None, "but not on P-256");
        check(include_str!("../tests/keys/ed25519.pem"), None, "algorithm 1.3.101.112");
        let error = PublicKey::parse(OPENSSL).unwrap_err().to_string();
        assert!(error.contains("is a private key"), "{error}");
    }

    #[test]
    fn a_hostile_container_costs_nothing() {
        let check = |change: fn(&mut serde_json::Value), expect: &str| {
            let mut json = serde_json::json!({
                "kdf": { "name": "scrypt", "params": { "N": 2, "r": 1, "p": 1 }, "salt": "AAAA" },
                "cipher": { "name": "nacl/secretbox", "nonce": STANDARD.encode([0; 24]) },
                "ciphertext": STANDARD.encode([0; 40]),
            });
            change(&mut json);
            let error = decrypt(json.to_string().as_bytes(), "x").unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(|_| (), "the password is wrong");
        check(|j| j["kdf"]["params"]["N"] = (1u64 << 40).into(), "none that we accept");
        check(|j| j["kdf"]["params"]["N"] = 3.into(), "none that we accept");
        check(|j| j["kdf"]["params"]["p"] = 1000.into(), "none that we accept");
        check(|j| j["kdf"]["name"] = "argon2".into(), "not nacl/secretbox and scrypt");
        check(|j| j["cipher"]["nonce"] = "AAAA".into(), "its nonce is damaged");
        check(|j| j["ciphertext"] = "%".into(), "its ciphertext is damaged");
        check(|j| *j = 1.into(), "no JSON of cosign's");
    }
}
