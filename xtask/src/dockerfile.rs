//! `cargo xtask dockerfile`: the generated Dockerfiles, and the context that they copy from.

use std::path::PathBuf;

use anyhow::Result;
use oci::Cache;
use oci::stream::Compression;
use plan::Selection;

use crate::bases::Sources;
use crate::build;
use crate::facts::Workspace;
use crate::generate;
use crate::image::{self, Scene, Work};
use crate::stage::stage;
use crate::ui::{Ui, Usage};

/// Write docker/<variant>/Dockerfile, or lay out with --stage what they copy
///
/// With --stage the programs are built and put, with each image's other files, into a folder; its Dockerfiles build the
/// same images as `cargo xtask image`: docker build --file DIR/server/alpine/Dockerfile DIR
#[derive(clap::Args)]
pub struct Args {
    /// Lay out the context in this folder
    #[arg(long, value_name = "DIR")]
    stage: Option<PathBuf>,
    /// With --stage: the images, or all; may be repeated or a list [default: the default image]
    #[arg(long, value_name = "NAME", requires = "stage")]
    image: Vec<String>,
    /// With --stage: the variants, or all; may be repeated or a list [default: the image's default variant]
    #[arg(long, value_name = "VARIANT", requires = "stage")]
    variant: Vec<String>,
    /// With --stage: the platforms, or all; may be repeated or a list [default: this machine's]
    #[arg(long, value_name = "PLATFORM", requires = "stage")]
    platform: Vec<String>,
    /// With --stage: another base, as `cargo xtask image --base` takes it
    #[arg(long, value_name = "VARIANT=SOURCE", requires = "stage")]
    base: Vec<String>,
    /// With --stage: open no network connection
    #[arg(long, requires = "stage")]
    offline: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let Some(dir) = &self.stage else {
            if !workspace.is_own() {
                return Err(Usage(
                    "--spec: add --stage DIR, which lays out that catalogue's Dockerfiles".into(),
                )
                .into());
            }
            return generate::write(workspace, &plan::dockerfile::all(&spec, &workspace.lock()?), ui);
        };
        let facts = workspace.facts(&spec)?;
        let selection = Selection {
            images: self.image.clone(),
            variants: self.variant.clone(),
            platforms: self.platform.clone(),
            bases: self.base.clone(),
            ..Selection::default()
        };
        let plan = plan::plan(&spec, &facts, &selection)?;
        build::prepare(workspace, &plan.targets, self.offline, ui)?;
        let cache = Cache::create(&workspace.cache_dir())?;
        let bases =
            image::find_bases(&plan, &Sources { spec: &spec, cache: &cache, offline: self.offline, ui })?;
        let inputs = image::read_inputs(workspace, &spec, &plan, self.offline, &mut Work::default(), ui)?;
        let scene = Scene {
            spec: &spec,
            facts: &facts,
            cache: &cache,
            inputs: &inputs,
            compression: Compression::Gzip,
            explain: false,
            ui,
        };
        for staged in stage(&scene, &plan, bases, dir)? {
            println!("{}", staged.dockerfile.display());
        }
        Ok(())
    }
}
