//! `cargo xtask image --builder docker|buildx`: the same plan, carried out by BuildKit.

use std::path::Path;

use anyhow::{Context as _, Result};
use oci::Cache;
use oci::stream::Compression;
use plan::{BaseChoice, Facts, Plan, PlannedImage, Spec};
use registry::Repository;

use super::buildkit::{self, Builder, Job, Sink};
use super::report::{Output, OutputImage};
use super::{Args, Format, LayerCompression, Scene, Work, assemble};
use crate::bases::Sources;
use crate::build;
use crate::engine::Engine;
use crate::facts::Workspace;
use crate::stage::{StagedImage, stage};
use crate::ui::{Ui, Usage};

impl Args {
    /// Builds all images of the plan with BuildKit, those below others first.
    pub(super) fn run_by_engine(
        &self,
        workspace: &Workspace,
        spec: &Spec,
        facts: &Facts,
        plan: &Plan,
        destinations: &[(String, Repository)],
        ui: &Ui,
    ) -> Result<()> {
        let platforms = plan.images.iter().map(|image| image.platforms.len()).max().unwrap_or(1);
        let sink = buildkit::sink(
            self.builder,
            platforms,
            self.push.is_some(),
            self.archive.as_deref(),
            plan.images.len(),
        )?;
        if self.builder_name.is_some() && self.builder != Builder::Buildx {
            let way = "--builder-name: names a builder of buildx; add `--builder buildx`";
            return Err(Usage(way.into()).into());
        }
        if self.compression == LayerCompression::Zstd {
            let way =
                "--compression zstd: BuildKit compresses as its output says; leave it out with --builder";
            return Err(Usage(way.into()).into());
        }
        let docker = buildkit::check(self.builder)?;
        build::prepare(workspace, &plan.targets, self.offline, ui)?;
        let cache = Cache::create(&workspace.cache_dir())?;
        let sources = Sources { spec, cache: &cache, offline: self.offline, ui };
        let bases = assemble::find_bases(plan, &sources)?;
        let inputs = assemble::read_inputs(workspace, spec, plan, self.offline, &mut Work::default(), ui)?;
        let scene = Scene {
            spec,
            facts,
            cache: &cache,
            inputs: &inputs,
            compression: Compression::Gzip,
            explain: self.explain,
            ui,
        };
        let context = workspace.target.join("docker-context");
        let staged = stage(&scene, plan, bases, &context)?;
        let mut images = Vec::new();
        for planned in &plan.images {
            let names = names(planned, destinations);
            let job = match staged.iter().find(|s| s.planned == *planned) {
                Some(staged) => {
                    let base = base(&scene, staged, plan, destinations)?;
                    buildkit::staged_job(&scene, staged, &context, base, names.clone())
                }
                None => buildkit::dockerfile_job(&scene, planned, &workspace.sources(), names.clone())
                    .context("an image that is neither staged nor has a Dockerfile")?,
            };
            run(&docker, &job, self, &sink, facts, ui)?;
            if planned.wanted {
                images.push(output(planned, &sink, &names)?);
            }
        }
        match self.format {
            Format::Human => images.iter().for_each(|image| println!("{}", image.reference)),
            Format::Json => {
                println!("{}", serde_json::to_string_pretty(&Output { layout: None, images })?);
            }
        }
        Ok(())
    }
}

fn run(docker: &Path, job: &Job, args: &Args, sink: &Sink, facts: &Facts, ui: &Ui) -> Result<()> {
    let start = std::time::Instant::now();
    job.run(docker, args.builder, args.builder_name.as_deref(), sink, facts.layer_time())?;
    let seconds = start.elapsed().as_secs_f64();
    ui.line("built", format_args!("{} by BuildKit in {seconds:.1} s", job.names[0]));
    Ok(())
}

/// What the image is called: in the repository where it is pushed to, else in its own.
fn names(planned: &PlannedImage, destinations: &[(String, Repository)]) -> Vec<String> {
    let to = destinations.iter().find(|(name, _)| *name == planned.repository);
    let repository = to.map_or_else(|| planned.repository.clone(), |(_, to)| to.to_string());
    planned.tags.iter().map(|tag| format!("{repository}:{tag}")).collect()
}

/// What `FROM` names, where it is not what the Dockerfile says itself.
fn base(
    scene: &Scene,
    staged: &StagedImage,
    plan: &Plan,
    destinations: &[(String, Repository)],
) -> Result<Option<String>> {
    match &staged.planned.base {
        BaseChoice::Image { image } => {
            let below = plan.images.iter().find(|i| i.image == *image && i.variant == staged.planned.variant);
            Ok(Some(names(below.context("its base is not planned")?, destinations)[0].clone()))
        }
        BaseChoice::Scratch => Ok(None),
        _ => {
            let (Some(found), Some(platform)) = (staged.bases.first(), staged.planned.platforms.first())
            else {
                return Ok(None);
            };
            match buildkit::load_base(scene, &Engine::named("docker")?, found, platform)? {
                Some(name) => Ok(Some(name)),
                None => {
                    let identity = &found.identity;
                    Ok(identity
                        .reference
                        .as_ref()
                        .zip(identity.digest.as_ref())
                        .map(|(r, d)| format!("{r}@{d}")))
                }
            }
        }
    }
}

fn output(planned: &PlannedImage, sink: &Sink, names: &[String]) -> Result<OutputImage> {
    let digest = match sink {
        Sink::Engine => buildkit::digest(&names[0])?,
        Sink::Push | Sink::Archive(_) => String::new(),
    };
    let reference = if digest.is_empty() { names[0].clone() } else { format!("{}@{digest}", names[0]) };
    Ok(OutputImage {
        image: planned.image.clone(),
        variant: planned.variant.to_string(),
        version: planned.version.clone(),
        reference,
        digest,
        tags: planned.tags.clone(),
        platforms: Vec::new(),
    })
}
