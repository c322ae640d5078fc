//! `cargo xtask image`: builds the server, assembles its images, writes and validates the OCI layout.

mod assemble;
pub mod buildkit;
mod by_engine;
mod deliver;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use oci::Cache;
use oci::stream::Compression;
use plan::{Plan, Selection};
use registry::Repository;

use crate::bases::{self, Sources};
use crate::build;
use crate::engine::Engine;
use crate::facts::Workspace;
use crate::publish::{self, Outgoing};
use crate::symbols;
use crate::ui::{Ui, Usage};

use buildkit::Builder;

pub use assemble::{Assembled, Bases, Scene, Work, assemble, find_bases, read_inputs};
pub use deliver::write_layout;
pub use report::Format;

/// Build the server and its container images, without a Docker daemon
///
/// Builds the server for each platform, assembles the images, writes them to an OCI layout, reads that back to check
/// it, and prints one line an image: repository:tag@digest.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask image --variant distroless          from nothing: no base, no network
  cargo xtask image --variant all --load          all three, into Docker or Podman
  cargo xtask image --base alpine=rootfs.tar.gz   on a root file system that you have
  cargo xtask image --image ci --builder docker   from its Dockerfile, in Docker's engine
  cargo xtask image --dry-run                     only say what would be done")]
pub struct Args {
    /// A name in docker/images.toml, or all; may be repeated or a list [default: its default image]
    #[arg(long, value_name = "NAME")]
    image: Vec<String>,
    /// Also every image of this category; may be repeated or a list
    #[arg(long, value_name = "CATEGORY")]
    category: Vec<String>,
    /// alpine, debian, distroless or all; may be repeated or a list [default: the image's default variant]
    #[arg(long, value_name = "VARIANT")]
    variant: Vec<String>,
    /// linux/amd64, linux/arm64, linux/arm/v7 or all; may be repeated or a list [default: this machine's]
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// Use another base: a root file system tar, an OCI layout or archive, a docker archive, or a reference
    #[arg(long, value_name = "VARIANT=SOURCE")]
    base: Vec<String>,
    /// The OCI layout to write [default: target/oci]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Also write one tar that `docker load` and OCI readers take
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// Also load the images into Docker, or Podman where no Docker answers
    #[arg(long)]
    load: bool,
    /// Also push the images, by digest and then by their tags: REGISTRY/NAME, or REGISTRY/PREFIX/ for several images
    #[arg(long, value_name = "REPOSITORY", conflicts_with = "offline")]
    push: Option<String>,
    /// Who builds; images that have a Dockerfile of their own need docker or buildx
    #[arg(long, value_enum, default_value_t)]
    builder: Builder,
    /// The buildx builder to use, such as a remote or Kubernetes one; `docker buildx ls` lists them
    #[arg(long, value_name = "NAME")]
    builder_name: Option<String>,
    /// How our layers are compressed; zstd is read by Docker from 23 on, by Podman and containerd
    #[arg(long, value_enum, default_value_t)]
    compression: LayerCompression,
    /// Open no network connection
    #[arg(long)]
    offline: bool,
    /// Refuse a bases.lock that does not fit its images.toml
    #[arg(long)]
    locked: bool,
    /// Say why something was made again
    #[arg(long)]
    explain: bool,
    /// Print the plan and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How our layers are compressed; a base's stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum LayerCompression {
    /// RFC 1952: read by everything
    #[default]
    Gzip,
    /// RFC 8878: a twentieth smaller, quicker to unpack
    Zstd,
}

impl From<LayerCompression> for Compression {
    fn from(compression: LayerCompression) -> Compression {
        match compression {
            LayerCompression::Gzip => Compression::Gzip,
            LayerCompression::Zstd => Compression::Zstd,
        }
    }
}

impl Args {
    /// The command that builds these images of one variant and loads them into the engine.
    pub fn load(images: Vec<String>, variant: String) -> Args {
        Args {
            image: images,
            category: Vec::new(),
            variant: vec![variant],
            platform: Vec::new(),
            base: Vec::new(),
            output: None,
            archive: None,
            load: true,
            push: None,
            builder: Builder::default(),
            builder_name: None,
            compression: Default::default(),
            offline: false,
            locked: false,
            explain: false,
            dry_run: false,
            format: Format::default(),
        }
    }

    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let selection = Selection {
            images: self.image.clone(),
            categories: self.category.clone(),
            variants: self.variant.clone(),
            platforms: self.platform.clone(),
            bases: self.base.clone(),
        };
        if self.locked {
            facts.lock.fits(&spec)?;
        }
        let plan = plan::plan(&spec, &facts, &selection)?;
        let destinations = self.destinations(&plan)?;
        if self.dry_run {
            match self.format {
                Format::Human => print!("{}", plan.render()),
                Format::Json => println!("{}", serde_json::to_string_pretty(&plan)?),
            }
            return Ok(());
        }
        if self.builder != Builder::Native {
            return self.run_by_engine(workspace, &spec, &facts, &plan, &destinations, ui);
        }
        if self.builder_name.is_some() {
            return Err(
                Usage("--builder-name: names a builder of buildx; add `--builder buildx`".into()).into()
            );
        }
        assemble::refuse_dockerfiles(&plan)?;
        let engine = if self.load { Some(Engine::find()?) } else { None };
        if let Some(engine) = engine.as_ref().filter(|_| self.compression == LayerCompression::Zstd) {
            engine.check_reads_zstd()?;
        }
        build::prepare(workspace, &plan.targets, self.offline, ui)?;
        let cache = Cache::create(&workspace.cache_dir())?;
        // Bases come before the build: they are what may be missing, and the build is what takes long.
        let sources = Sources { spec: &spec, cache: &cache, offline: self.offline, ui };
        let bases = find_bases(&plan, &sources)?;
        let mut work = Work::default();
        let inputs = read_inputs(workspace, &spec, &plan, self.offline, &mut work, ui)?;
        let scene = Scene {
            spec: &spec,
            facts: &facts,
            cache: &cache,
            inputs: &inputs,
            compression: self.compression.into(),
            explain: self.explain,
            ui,
        };
        let assembled = assemble::assemble_all(&scene, &plan, bases, &mut work)
            .map_err(|e| self.with_crates(workspace, &plan, e, ui))?;
        let assembled: Vec<Assembled> = assembled.into_iter().filter(|image| image.planned.wanted).collect();
        let output = self.output.clone().unwrap_or_else(|| workspace.target.join("oci"));
        work.written = write_layout(&output, &cache, &assembled, &work)?;
        if let Some(path) = &self.archive {
            deliver::write_archive(path, &cache, &facts, &assembled)?;
            ui.line("archived", path.display());
        }
        if let Some(engine) = &engine {
            deliver::load(engine, &cache, &facts, &assembled, ui)?;
        }
        if !destinations.is_empty() {
            let outgoing = outgoing(&assembled, &destinations);
            let client = bases::client(&sources)?;
            publish::by_digest(&client, cache.blobs(), &outgoing, ui)?;
            publish::tag(&client, cache.blobs(), &outgoing, ui)?;
        }
        if !work.is_nothing() {
            deliver::prune(&cache, ui)?;
        }
        let shown = output.strip_prefix(&workspace.root).unwrap_or(&output);
        ui.line(if work.is_nothing() { "unchanged" } else { "done" }, work.summary(shown));
        self.print(&output, &assembled)
    }

    /// What to say of an image that is too large: also which crates take the room.
    fn with_crates(
        &self,
        workspace: &Workspace,
        plan: &Plan,
        error: anyhow::Error,
        ui: &Ui,
    ) -> anyhow::Error {
        let is_budget =
            error.downcast_ref::<plan::Error>().is_some_and(|e| matches!(e, plan::Error::Budget(_)));
        let Some(target) = plan.targets.first().filter(|_| is_budget) else { return error };
        match symbols::crates(workspace, target, self.offline, ui) {
            Ok(crates) => anyhow!(
                "{error:#}; crates: {}; run `cargo xtask size --crates --against COMMIT` to see which of them grew",
                plan::budget::largest(&crates, None)
            ),
            Err(unmeasured) => anyhow!("{error:#}; the crates could not be measured: {unmeasured:#}"),
        }
    }

    /// Where `--push` sends each repository of the plan; nothing without it. Two images in one repository would take
    /// each other's tags.
    fn destinations(&self, plan: &Plan) -> Result<Vec<(String, Repository)>> {
        let Some(typed) = &self.push else { return Ok(Vec::new()) };
        let mut list: Vec<(String, Repository)> = Vec::new();
        for image in plan.images.iter().filter(|image| image.wanted) {
            if list.iter().any(|(name, _)| *name == image.repository) {
                continue;
            }
            let to = publish::repository(typed, &image.repository)?;
            if let Some((other, _)) = list.iter().find(|(_, taken)| *taken == to) {
                return Err(Usage(format!(
                    "--push {typed}: `{other}` and `{}` can't share a repository; write `{typed}/` to push each under its own name",
                    image.repository
                ))
                .into());
            }
            list.push((image.repository.clone(), to));
        }
        Ok(list)
    }

    fn print(&self, output: &Path, assembled: &[Assembled]) -> Result<()> {
        match self.format {
            Format::Human => {
                for image in assembled {
                    println!("{}", image.reference());
                }
            }
            Format::Json => {
                let images = assembled.iter().map(Assembled::output).collect();
                println!(
                    "{}",
                    serde_json::to_string_pretty(&report::Output {
                        layout: Some(output.to_path_buf()),
                        images
                    })?
                );
            }
        }
        Ok(())
    }
}

/// The images with where they go.
fn outgoing(assembled: &[Assembled], destinations: &[(String, Repository)]) -> Vec<Outgoing> {
    let of_image = |image: &Assembled| {
        let (_, to) = destinations.iter().find(|(name, _)| *name == image.planned.repository)?;
        Some(Outgoing {
            root: image.index.clone(),
            to: to.clone(),
            tags: image.planned.tags.clone(),
            mount_from: image.bases(),
        })
    };
    assembled.iter().filter_map(of_image).collect()
}
