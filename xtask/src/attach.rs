//! Attaches signed documents to an image in its store: signatures under cosign's tag, and sigstore bundles as referrers.
//! The same key, image and document give the same bytes, so attaching twice changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use oci_spec::image::{Descriptor, DescriptorBuilder, Digest, ImageManifest, MediaType};
use serde_json::{Value, json};
use signing::bundle::{self, Bundle};
use signing::{PrivateKey, PublicKey, dsse, simple};

use crate::facts;
use crate::store::Store;

/// With which key is signed.
#[derive(Clone, Debug, clap::Args)]
pub struct KeyArgs {
    /// The private key: P-256 in PKCS#8 PEM, or cosign's encrypted form; env://NAME reads it from a variable
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The file that holds the key's password [default: COSIGN_PASSWORD]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub password_file: Option<PathBuf>,
}

impl KeyArgs {
    /// Reads the key; none where none was named.
    pub fn read(&self) -> Result<Option<PrivateKey>> {
        let Some(path) = &self.key else { return Ok(None) };
        let shown = path.display();
        // cosign's own way of naming one: a CI keeps it out of files.
        let pem = match path.to_str().and_then(|text| text.strip_prefix("env://")) {
            Some(name) => facts::secret(name).with_context(|| {
                format!("--key {shown}: the variable `{name}` is not set; put the key into it")
            })?,
            None => std::fs::read_to_string(path).with_context(|| format!("--key {shown}: cannot read"))?,
        };
        let password = match &self.password_file {
            None => facts::cosign_password(),
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("--password-file {}: cannot read", file.display()))?;
                Some(text.trim_end_matches(['\r', '\n']).to_string())
            }
        };
        PrivateKey::parse(&pem, password.as_deref()).map(Some).with_context(|| format!("--key {shown}"))
    }
}

/// Reads a public key; `named_by` says where it was named.
pub fn public_key(named_by: &str, path: &Path) -> Result<PublicKey> {
    let place = || format!("{named_by} {}", path.display());
    let pem = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read", place()))?;
    PublicKey::parse(&pem).with_context(place)
}

/// Signs `manifest` in cosign's first format. Other signatures that lie there stay. Tells whether this one was new.
pub fn sign_simple(
    store: &Store,
    key: &PrivateKey,
    repository: &str,
    annotations: &BTreeMap<String, String>,
    manifest: &Descriptor,
) -> Result<bool> {
    let payload = simple::payload(repository, manifest.digest(), annotations);
    let signature = simple::sign(key, &payload);
    let layer = store.outbox().put(MediaType::from(simple::MEDIA_TYPE), &payload)?;
    let layer = DescriptorBuilder::default()
        .media_type(layer.media_type().clone())
        .digest(layer.digest().clone())
        .size(layer.size())
        .annotations([(simple::ANNOTATION.to_string(), signature)])
        .build()?;
    add_signatures(store, manifest.digest(), vec![layer])
}

/// Adds signature layers, whose blobs are in the outbox, to those that `digest` has. Tells whether one was new.
pub fn add_signatures(store: &Store, digest: &Digest, new: Vec<Descriptor>) -> Result<bool> {
    let tag = simple::tag(digest);
    let mut layers = signature_layers(store, digest)?;
    let before = layers.len();
    for layer in new {
        if !layers.iter().any(|l| l.annotations() == layer.annotations() && l.digest() == layer.digest()) {
            layers.push(layer);
        }
    }
    if layers.len() == before {
        return Ok(false);
    }
    for layer in &layers {
        if store.outbox().verify(layer).is_err() {
            store.fetch(layer)?;
            store.blobs().verify(layer)?;
            store.blobs().link_into(store.outbox(), layer)?;
        }
    }
    // What cosign writes: a configuration of an image of nothing, with the payloads as its layers.
    let never = "0001-01-01T00:00:00Z";
    let config = oci::json::to_vec(&json!({
        "architecture": "", "os": "", "created": never, "config": {}, "history": [{ "created": never }],
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|l| l.digest().to_string()).collect::<Vec<_>>() },
    }));
    let config = store.outbox().put(MediaType::ImageConfig, &config)?;
    let document = json!({
        "schemaVersion": 2, "mediaType": MediaType::ImageManifest, "config": config, "layers": layers,
    });
    let document = store.outbox().put(MediaType::ImageManifest, &oci::json::to_vec(&document))?;
    store.put_tag(&tag, &document)?;
    Ok(true)
}

/// The layers of the signatures that a manifest has, each with the signature in its annotation.
pub fn signature_layers(store: &Store, digest: &Digest) -> Result<Vec<Descriptor>> {
    let Some(found) = store.tag(&simple::tag(digest))? else { return Ok(Vec::new()) };
    let document: ImageManifest = store.read(&found)?;
    Ok(document.layers().clone())
}

/// Attaches a signed statement about `manifest` as a referrer. Tells whether it was new.
pub fn attest(
    store: &Store,
    key: &PrivateKey,
    name: &str,
    manifest: &Descriptor,
    predicate_type: &str,
    predicate: &Value,
) -> Result<bool> {
    let statement = dsse::statement(name, manifest.digest(), predicate_type, predicate);
    let bundle = Bundle::new(dsse::sign(key, &statement), &key.public());
    let layer = store.outbox().put(MediaType::from(bundle::MEDIA_TYPE), &bundle.to_vec())?;
    let config = store.outbox().put(MediaType::EmptyJSON, b"{}")?;
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageManifest,
        "artifactType": bundle::MEDIA_TYPE,
        "config": config,
        "layers": [layer],
        "subject": {
            "mediaType": manifest.media_type(),
            "digest": manifest.digest().to_string(),
            "size": manifest.size(),
        },
        "annotations": {
            bundle::CONTENT_ANNOTATION: "dsse-envelope",
            bundle::PREDICATE_ANNOTATION: predicate_type,
        },
    });
    let document = store.outbox().put(MediaType::ImageManifest, &oci::json::to_vec(&document))?;
    let there = store.referrers(manifest.digest(), Some(bundle::MEDIA_TYPE))?;
    let is_new = !there.iter().any(|d| d.digest() == document.digest());
    store.put_referrer(manifest.digest(), &document)?;
    Ok(is_new)
}

/// Whether `key` has said of the manifest what `is_same` takes for the same as is to be said now.
pub fn is_said(
    store: &Store,
    key: &PublicKey,
    manifest: &Descriptor,
    predicate_type: &str,
    is_same: impl Fn(&Value) -> bool,
) -> Result<bool> {
    let bundles = bundles(store, manifest.digest())?;
    let said =
        bundles.iter().filter_map(|(_, b)| dsse::verify(key, &b.dsse_envelope, manifest.digest()).ok());
    Ok(said
        .filter(|statement| statement["predicateType"] == predicate_type)
        .any(|statement| is_same(&statement["predicate"])))
}

/// The bundles that refer to `digest`, each with its referrer's digest. What claims to and does not is an error.
pub fn bundles(store: &Store, digest: &Digest) -> Result<Vec<(Digest, Bundle)>> {
    let mut found = Vec::new();
    for referrer in store.referrers(digest, Some(bundle::MEDIA_TYPE))? {
        let document: ImageManifest = store.read(&referrer)?;
        let subject = document.subject().as_ref().map(|s| s.digest().to_string());
        ensure!(
            subject.as_deref() == Some(digest.as_ref()),
            "the referrer {} is of another image: its subject is {}, not {digest}",
            referrer.digest(),
            subject.as_deref().unwrap_or("missing"),
        );
        for layer in document.layers() {
            store.fetch(layer)?;
            let bytes = store.blobs().read(layer)?;
            let bundle =
                Bundle::parse(&bytes).with_context(|| format!("the referrer {}", referrer.digest()))?;
            found.push((referrer.digest().clone(), bundle));
        }
    }
    Ok(found)
}

/// Carries everything that is attached to an image in a layout over to where it was pushed. Tells how much was new.
pub fn carry(from: &Store, to: &Store) -> Result<usize> {
    let mut new = 0;
    for manifest in from.signables()? {
        let digest = manifest.digest();
        let layers = signature_layers(from, digest)?;
        for layer in &layers {
            from.fetch(layer)?;
            from.blobs().verify(layer)?;
            from.blobs().link_into(to.outbox(), layer)?;
        }
        new += usize::from(add_signatures(to, digest, layers)?);
        let there = to.referrers(digest, None)?;
        for referrer in from.referrers(digest, None)? {
            if !there.iter().any(|d| d.digest() == referrer.digest()) {
                from.bring(&referrer)?;
                to.put_referrer(digest, &referrer)?;
                new += 1;
            }
        }
    }
    Ok(new)
}
