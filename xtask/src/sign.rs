//! `cargo xtask sign`: signs an image, offline with a key, or keyless through cosign.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use signing::bundle::SIGN_PREDICATE;
use xshell::{Shell, cmd};

use crate::attach::{self, KeyArgs};
use crate::facts::{self, Workspace};
use crate::sbom;
use crate::store::Store;
use crate::ui::{Ui, Usage};

/// Sign an image, so that anybody can tell that it is ours
///
/// The index and the image of every platform are signed, in cosign's two formats: under the tag sha256-<digest>.sig, and
/// as a bundle that refers to the image. Signing again with the same key changes nothing. A signature in a layout travels
/// with a push.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask sign oci:target/oci:0.1.0-distroless --key cosign.key
  cargo xtask sign ghcr.io/scratchbird/scratchbird:1.0.0 --keyless")]
pub struct Args {
    /// A registry reference, or oci:DIR:TAG
    image: String,
    #[command(flatten)]
    key: KeyArgs,
    /// Sign with an identity instead of a key, through the cosign program
    #[arg(long, conflicts_with = "key")]
    keyless: bool,
    /// The repository that the signature names [default: where the image lies]
    #[arg(long, value_name = "REPOSITORY")]
    identity: Option<String>,
    /// Also say this in the signature; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let mut annotations = BTreeMap::new();
        for pair in &self.annotation {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Usage(format!("--annotation `{pair}`: must be KEY=VALUE")))?;
            annotations.insert(key.to_string(), value.to_string());
        }
        let key = self.key.read()?;
        if key.is_none() && !self.keyless {
            return Err(Usage(
                "nothing to sign with: give --key FILE, or --keyless; `cosign generate-key-pair` makes a key"
                    .into(),
            )
            .into());
        }
        if key.is_none() && facts::find_program("cosign").is_none() {
            bail!(
                "--keyless needs cosign, which is not installed; see https://docs.sigstore.dev/cosign/system_config/installation, or sign with --key"
            );
        }
        let spec = workspace.spec()?;
        let store = Store::open(&self.image, workspace, &spec, ui)?;
        let Some(key) = key else {
            return keyless(&store, self.identity.as_deref(), &annotations, ui);
        };
        let repository = match &self.identity {
            Some(identity) => identity.clone(),
            None => identity(&store)?,
        };
        sign(&store, &key, &repository, &annotations, ui)?;
        println!("{}", reference(&store));
        Ok(())
    }
}

/// Signs everything that the image consists of.
pub fn sign(
    store: &Store,
    key: &signing::PrivateKey,
    repository: &str,
    annotations: &BTreeMap<String, String>,
    ui: &Ui,
) -> Result<()> {
    for manifest in store.signables()? {
        let simple = attach::sign_simple(store, key, repository, annotations, &manifest)?;
        let bundle = attach::attest(store, key, repository, &manifest, SIGN_PREDICATE, &json!({}))?;
        let verb = if simple || bundle { "signed" } else { "unchanged" };
        ui.line(verb, manifest.digest());
    }
    Ok(())
}

/// The repository that a signature names: where the image lies; in a layout the image's own name.
pub fn identity(store: &Store) -> Result<String> {
    if let Some(repository) = store.repository() {
        return Ok(repository);
    }
    let platforms = store.platforms()?;
    let (platform, manifest) = platforms.first().context("the image has no platform")?;
    Ok(sbom::subject(store, platform, manifest)?.name)
}

/// What stdout says of an image.
pub fn reference(store: &Store) -> String {
    let name = store.name().split('@').next().unwrap_or_default();
    format!("{name}@{}", store.root().digest())
}

/// Hands over to cosign, with all that the signature shall say.
fn keyless(
    store: &Store,
    identity: Option<&str>,
    annotations: &BTreeMap<String, String>,
    ui: &Ui,
) -> Result<()> {
    let Some(repository) = store.repository() else {
        bail!("keyless signatures are made in a registry: push the image, and sign it there");
    };
    let mut said: Vec<String> =
        annotations.iter().map(|(key, value)| format!("--annotations={key}={value}")).collect();
    said.extend(identity.map(|repository| format!("--sign-container-identity={repository}")));
    let image = format!("{repository}@{}", store.root().digest());
    ui.line("cosign", format_args!("sign --recursive {image}"));
    let sh = Shell::new()?;
    cmd!(sh, "cosign sign --yes --recursive {said...} {image}").quiet().run()?;
    println!("{}", reference(store));
    Ok(())
}
