//! `cargo xtask sbom`: what is in an image, as CycloneDX or SPDX, read from the image itself.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci::contents::Tree;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_LICENSES, ANNOTATION_SOURCE, ANNOTATION_VENDOR, ANNOTATION_VERSION,
    Descriptor, ImageConfiguration, ImageManifest, Platform,
};
use plan::Spec;
use supply::inventory::{self, CrateFacts, Inventory};
use supply::sbom::{Format, Subject};

use crate::crates;
use crate::facts::Workspace;
use crate::store::{self, Store};
use crate::ui::Ui;

/// List what is in an image: its crates and its distribution's packages
///
/// Read from the image itself; licences and checksums of crates come from this checkout where the versions are the same.
/// The same image gives the same document.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask sbom oci:target/oci:0.1.0-distroless                 CycloneDX, to stdout
  cargo xtask sbom oci:target/oci:0.1.0 --output target/sbom       both formats, every platform
  cargo xtask sbom ghcr.io/scratchbird/scratchbird:1.0.0 --sbom-format spdx")]
pub struct Args {
    /// A registry reference, or oci:DIR:TAG
    image: String,
    /// The platform, where there are several [default: this machine's]
    #[arg(long)]
    platform: Option<String>,
    /// The format on stdout
    #[arg(long, value_enum, default_value_t)]
    sbom_format: FormatArg,
    /// Write both formats of every platform into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["platform", "sbom_format"])]
    output: Option<PathBuf>,
}

/// The formats as typed.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum FormatArg {
    /// CycloneDX 1.6 JSON.
    #[default]
    Cyclonedx,
    /// SPDX 2.3 JSON.
    Spdx,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let store = Store::open(&self.image, workspace, &spec, ui)?;
        let platforms = store.platforms()?;
        let crate_facts = crate_facts(workspace, &spec)?;
        let Some(dir) = &self.output else {
            let (platform, manifest) = store::choose(&platforms, self.platform.as_deref(), &facts.host)?;
            let (subject, inventory) = take_stock(&store, platform, manifest, &crate_facts)?;
            let format = match self.sbom_format {
                FormatArg::Cyclonedx => Format::CycloneDx,
                FormatArg::Spdx => Format::Spdx,
            };
            println!("{}", serde_json::to_string_pretty(&format.render(&subject, &inventory))?);
            return Ok(());
        };
        std::fs::create_dir_all(dir).with_context(|| format!("--output {}: cannot create", dir.display()))?;
        for (platform, manifest) in &platforms {
            let (subject, inventory) = take_stock(&store, platform, manifest, &crate_facts)?;
            for format in Format::ALL {
                let platform = oci::platform::display(platform).replace('/', "-");
                let path = dir.join(format!(
                    "{}-{}-{platform}.{}",
                    subject.name,
                    subject.version,
                    format.extension()
                ));
                write(&path, &serde_json::to_vec_pretty(&format.render(&subject, &inventory))?)?;
                println!("{}", path.display());
            }
        }
        Ok(())
    }
}

/// Writes a file whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temp = tempfile::Builder::new()
        .prefix(".part")
        .tempfile_in(dir)
        .with_context(|| format!("{}: cannot write", path.display()))?;
    temp.write_all(bytes).with_context(|| format!("{}: cannot write", path.display()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        temp.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    temp.persist(path).with_context(|| format!("{}: cannot write", path.display()))?;
    Ok(())
}

/// What this checkout knows of the crates of all its targets.
pub fn crate_facts(workspace: &Workspace, spec: &Spec) -> Result<CrateFacts> {
    let triples: Vec<String> =
        spec.platforms.values().flat_map(|p| p.toolchains.first()).map(|t| t.target.clone()).collect();
    crates::facts(workspace, &triples)
}

/// Reads the image of one platform: who it is and what is in it.
pub fn take_stock(
    store: &Store,
    platform: &Platform,
    manifest: &Descriptor,
    crate_facts: &CrateFacts,
) -> Result<(Subject, Inventory)> {
    store.fetch_image(manifest)?;
    let tree = Tree::read(store.blobs(), manifest, inventory::is_wanted)?;
    let inventory = inventory::inventory(&tree, crate_facts)?;
    Ok((subject(store, platform, manifest)?, inventory))
}

/// Who the image of one platform is, by its own labels.
pub fn subject(store: &Store, platform: &Platform, manifest: &Descriptor) -> Result<Subject> {
    let document: ImageManifest = store.read(manifest)?;
    let config: ImageConfiguration = store.read(document.config())?;
    let labels = config.config().as_ref().and_then(|c| c.labels().clone()).unwrap_or_default();
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let title = label(oci_spec::image::ANNOTATION_TITLE);
    let name = match store.repository() {
        Some(repository) => repository.rsplit('/').next().unwrap_or_default().to_string(),
        None => title.to_lowercase(),
    };
    Ok(Subject {
        name: if name.is_empty() { "image".into() } else { name },
        version: label(ANNOTATION_VERSION),
        digest: manifest.digest().clone(),
        platform: oci::platform::display(platform),
        created: label(ANNOTATION_CREATED),
        vendor: label(ANNOTATION_VENDOR),
        source: label(ANNOTATION_SOURCE),
        licence: supply::licence::expression(&label(ANNOTATION_LICENSES)),
    })
}
