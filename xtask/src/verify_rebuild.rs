//! `cargo xtask verify-rebuild`: builds the commit that an image says it is from once more, elsewhere, and compares.

mod difference;
mod elsewhere;

use anyhow::{Result, bail};
use oci::Blobs;
use oci::contents::read_layer;
use oci_spec::image::{
    ANNOTATION_BASE_IMAGE_NAME, ANNOTATION_REVISION, Descriptor, ImageConfiguration, Platform,
};
use plan::{Facts, Spec};
use serde_json::{Value, json};

use crate::attach::{self, KeyArgs};
use crate::attest;
use crate::facts::Workspace;
use crate::image::Format;
use crate::sign;
use crate::store::{self, Store};
use crate::ui::Ui;

use difference::differences;
pub use difference::{Difference, layer_differences};

/// What a statement that a rebuild gave the same is called (in-toto's "Test Result").
const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// Build a published image again from its commit, and compare layer by layer and file by file
///
/// The commit is cloned into a new folder and built there with another home for Cargo, another place of the toolchain,
/// another umask, time zone, locale and number of cores, and, if root asks, as another user. A difference is exit code 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask verify-rebuild oci:target/oci:0.1.0-distroless
  cargo xtask verify-rebuild ghcr.io/scratchbird/scratchbird:1.0.0 --key rebuilder.key
  cargo xtask verify-rebuild ghcr.io/scratchbird/scratchbird:1.0.0 --against oci:target/oci:1.0.0 --format json")]
pub struct Args {
    /// A registry reference, or oci:DIR:TAG
    image: String,
    /// The platform, where there are several [default: this machine's]
    #[arg(long)]
    platform: Option<String>,
    /// Build nothing: compare with this image, which was rebuilt already
    #[arg(long, value_name = "IMAGE")]
    against: Option<String>,
    /// On equality attach a signed statement that says so
    #[command(flatten)]
    key: KeyArgs,
    /// Open no network connection
    #[arg(long)]
    offline: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// An image of one platform, with what it says of its origin.
struct Published<'a> {
    blobs: &'a Blobs,
    manifest: &'a Descriptor,
    platform: &'a Platform,
    commit: String,
    variant: String,
    /// SOURCE_DATE_EPOCH, where it was built with one.
    epoch: Option<u64>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let key = self.key.read()?;
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let store = Store::open(&self.image, workspace, &spec, ui)?;
        let platforms = store.platforms()?;
        let (platform, manifest) = store::choose(&platforms, self.platform.as_deref(), &facts.host)?;
        let published = published(&store, &spec, platform, manifest)?;
        let (rebuilt, differences) = match &self.against {
            None => again(workspace, &spec, &facts, &published, self.offline, ui)?,
            Some(against) => {
                let other = Store::open(against, workspace, &spec, ui)?;
                let others = other.platforms()?;
                let name = oci::platform::display(platform);
                let (_, rebuilt) = store::choose(&others, Some(&name), &facts.host)?;
                other.fetch_image(rebuilt)?;
                let found = differences((published.blobs, manifest), (other.blobs(), rebuilt))?;
                (rebuilt.clone(), found)
            }
        };
        match self.format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&differences)?),
            Format::Human => differences.iter().for_each(|d| println!("{}", d.line())),
        }
        if manifest.digest() != rebuilt.digest() {
            bail!(
                "{} is {} as published and {} as rebuilt: {} differences",
                self.image,
                manifest.digest(),
                rebuilt.digest(),
                differences.len()
            );
        }
        ui.line("same", format_args!("{} again", manifest.digest()));
        if let Some(key) = key {
            let predicate = statement(&published.commit);
            attach::attest(&store, &key, &sign::identity(&store)?, manifest, PREDICATE_TYPE, &predicate)?;
            ui.line("attested", manifest.digest());
        }
        if self.format == Format::Human {
            println!("{}", sign::reference(&store));
        }
        Ok(())
    }
}

/// What an image says that it was built from.
///
/// # Errors
/// When that is no commit.
fn published<'a>(
    store: &'a Store,
    spec: &Spec,
    platform: &'a Platform,
    manifest: &'a Descriptor,
) -> Result<Published<'a>> {
    let document = store.fetch_image(manifest)?;
    let config: ImageConfiguration = store.read(document.config())?;
    let labels = config.config().as_ref().and_then(|c| c.labels().clone()).unwrap_or_default();
    let commit = labels.get(ANNOTATION_REVISION).cloned().unwrap_or_default();
    if commit.is_empty() || commit.ends_with("-dirty") {
        bail!("{}: was built from `{commit}`, which is no commit that can be built again", store.name());
    }
    let variant = attest::variant(spec, labels.get(ANNOTATION_BASE_IMAGE_NAME).map(String::as_str));
    let epoch = document.layers().last().map(|top| epoch(store.blobs(), top)).transpose()?.flatten();
    Ok(Published { blobs: store.blobs(), manifest, platform, commit, variant, epoch })
}

/// The SOURCE_DATE_EPOCH that a layer of ours was made with; none where it has the usual time.
fn epoch(blobs: &Blobs, layer: &Descriptor) -> Result<Option<u64>> {
    let mut first = None;
    read_layer(blobs, layer, |item, _| {
        first.get_or_insert(item.mtime);
        Ok(())
    })?;
    Ok(first.filter(|time| *time != plan::facts::LAYER_TIME))
}

/// Builds the image again. Gives the manifest, and what differs.
fn again(
    workspace: &Workspace,
    spec: &Spec,
    facts: &Facts,
    published: &Published,
    offline: bool,
    ui: &Ui,
) -> Result<(Descriptor, Vec<Difference>)> {
    let temp = tempfile::tempdir()?;
    let Published { blobs, manifest, platform, commit, variant, epoch } = published;
    let build = elsewhere::Build { commit, variant, platform, epoch: *epoch, offline };
    let (layout, rebuilt) = elsewhere::rebuild(workspace, spec, facts, temp.path(), &build, ui)?;
    let differences = differences((blobs, manifest), (layout.blobs(), &rebuilt))?;
    Ok((rebuilt, differences))
}

fn statement(commit: &str) -> Value {
    json!({
        "result": "PASSED",
        "configuration": [{ "name": "sources", "digest": { "gitCommit": commit } }],
        "passedTests": ["cargo xtask verify-rebuild"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::entry::{Entry, Owner};
    use oci::stream::Compression;

    #[test]
    fn the_time_of_a_layer_tells_with_which_it_was_built() {
        let temp = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(temp.path()).unwrap();
        let entry = Entry::Dir { path: "a".into(), mode: 0o755, owner: Owner::ROOT };
        let check = |entries: &[Entry], time: u64, expect: Option<u64>| {
            let layer = oci::layer::build(entries, time, Compression::Gzip, &blobs).unwrap();
            assert_eq!(epoch(&blobs, &layer.descriptor).unwrap(), expect);
        };
        check(std::slice::from_ref(&entry), plan::facts::LAYER_TIME, None);
        check(std::slice::from_ref(&entry), 1_700_000_000, Some(1_700_000_000));
        check(&[], 1_700_000_000, None);
    }
}
