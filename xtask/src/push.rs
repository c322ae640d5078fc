//! `cargo xtask push`: the first phase of publishing. All images of a layout go to all registries by digest, with what
//! refers to them; no tag moves.

use std::path::PathBuf;

use anyhow::Result;
use oci::Layout;
use plan::{PlannedImage, Selection, Spec};
use registry::{Client, Repository};
use serde::Serialize;

use crate::facts::{self, Workspace};
use crate::image::Format;
use crate::publish::record::{Platform, Record, Recorded};
use crate::publish::{self, collect, upload};
use crate::ui::{Ui, Usage};

/// Push all images to all registries by digest, before any tag moves
///
/// Takes every variant and platform from the layout, checks that they are whole and of this commit, and uploads what
/// the registries lack, with signatures, SBOMs and provenance. Run again after a failure it goes on.
/// `cargo xtask promote` then moves the tags. Prints one line an image and registry: repository@digest.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask push                                        to the registries of docker/images.toml
  cargo xtask push --to ghcr.io/me/ --to localhost:5000/  to these, each image under its own name
  cargo xtask push --platform linux/amd64 --variant distroless --to localhost:5000/")]
pub struct Args {
    /// A name in docker/images.toml, or all; may be repeated or a list [default: what `publish` says there]
    #[arg(long, value_name = "NAME")]
    image: Vec<String>,
    /// alpine, debian, distroless or all; may be repeated or a list [default: all]
    #[arg(long, value_name = "VARIANT")]
    variant: Vec<String>,
    /// The platforms that each image must have; may be repeated or a list [default: all]
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// REGISTRY/PREFIX/, to which an image's own name is added, or REGISTRY/NAME; may be repeated [default: what
    /// `publish` says in docker/images.toml]
    #[arg(long, alias = "registry", value_name = "REPOSITORY")]
    to: Vec<String>,
    /// The OCI layout that holds the images [default: target/oci]
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Where is written down how far it came [default: target/publish.json]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Check everything here, and open no connection
    #[arg(long)]
    dry_run: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Output<'a> {
    version: &'a str,
    images: Vec<OutputImage<'a>>,
}

#[derive(Serialize)]
struct OutputImage<'a> {
    image: &'a str,
    variant: &'a str,
    digest: String,
    references: Vec<String>,
    platforms: &'a [Platform],
}

/// Where the record of a push lies unless a flag says otherwise.
pub fn default_record(workspace: &Workspace) -> PathBuf {
    workspace.target.join("publish.json")
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let images = planned(&spec, &facts, &self.image, &self.variant, &self.platform)?;
        let destinations = if self.to.is_empty() { &spec.publish.to } else { &self.to };
        if destinations.is_empty() {
            let text = "nothing says where to; give `--to REGISTRY/PREFIX/`, or `to` under `[publish]` in docker/images.toml";
            return Err(Usage(text.into()).into());
        }
        let layout = self.layout.clone().unwrap_or_else(|| workspace.target.join("oci"));
        let revision = facts.revision_label();
        let repositories = |image: &PlannedImage| -> Result<Vec<Repository>> {
            destinations.iter().map(|to| publish::repository(to, &image.repository)).collect()
        };
        let mut record = collect::collect(&layout, &images, revision.as_deref(), repositories)?;
        let path = self.record.clone().unwrap_or_else(|| default_record(workspace));
        if let Ok(earlier) = Record::read(&path) {
            record.go_on_from(&earlier);
        }
        if !self.dry_run {
            let client = client(&spec, ui)?;
            upload::upload(&client, Layout::open(&layout)?.blobs(), &mut record, &path, ui)?;
        }
        self.print(&record)
    }

    fn print(&self, record: &Record) -> Result<()> {
        match self.format {
            Format::Human => {
                for reference in record.images.iter().flat_map(Recorded::references) {
                    println!("{reference}");
                }
            }
            Format::Json => {
                let images = record.images.iter().map(output).collect();
                println!("{}", serde_json::to_string_pretty(&Output { version: &record.version, images })?);
            }
        }
        Ok(())
    }
}

fn output(image: &Recorded) -> OutputImage<'_> {
    OutputImage {
        image: &image.image,
        variant: &image.variant.0,
        digest: image.root.digest().to_string(),
        references: image.references(),
        platforms: &image.platforms,
    }
}

/// The images that are published: all their variants for all platforms, unless something else is asked for.
pub fn planned(
    spec: &Spec,
    facts: &plan::Facts,
    images: &[String],
    variants: &[String],
    platforms: &[String],
) -> Result<Vec<PlannedImage>> {
    let all = |typed: &[String]| if typed.is_empty() { vec!["all".to_string()] } else { typed.to_vec() };
    let selection = Selection {
        images: if images.is_empty() { spec.publish.images.clone() } else { images.to_vec() },
        variants: all(variants),
        platforms: all(platforms),
        ..Selection::default()
    };
    let plan = plan::plan(spec, facts, &selection)?;
    Ok(plan.images.into_iter().filter(|image| image.wanted).collect())
}

/// A registry client that reports to the user.
pub fn client(spec: &Spec, ui: &Ui) -> Result<Client> {
    let mut config = facts::registry_config(spec)?;
    let ui = ui.clone();
    config.on_event = std::sync::Arc::new(move |event| ui.transfer(event));
    Ok(Client::new(config)?)
}
