//! `cargo xtask size`: how large the images in the layout are, against their budgets and against earlier ones.

mod crates;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::contents::{self, Kind};
use oci::layout::Layout;
use oci::{Blobs, Cache};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, Platform};
use plan::size::{Growth, Measured, MeasuredLayer};
use plan::{Facts, Plan, PlannedImage, Selection, Spec};
use report::history::{Figure, Run};
use serde::Serialize;
use xshell::{Shell, cmd};

use crate::bases::{self, Sources};
use crate::bench::history;
use crate::facts::{self, Workspace};
use crate::image::Format;
use crate::ui::{Ui, Usage};

use crates::Crates;

/// Show how large images are: by layer, file and crate, against their budgets, and against other ones
///
/// Reads the layout that `cargo xtask image` wrote.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask size                                              what target/oci holds
  cargo xtask size --against v1.0.0                             builds that tag, in a clone, to compare
  cargo xtask size --crates --against v1.0.0                    also which crates grew in the programs
  cargo xtask size --against docker.io/scratchbird/scratchbird:1.0.0
  cargo xtask size --against other/oci                          another layout")]
pub struct Args {
    /// Names of images in docker/images.toml, or all [default: its default image]
    image: Vec<String>,
    /// alpine, debian, distroless or all; may be repeated or a list [default: all that the layout holds]
    #[arg(long, value_name = "VARIANT")]
    variant: Vec<String>,
    /// The layout [default: target/oci]
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// What to compare with: a layout, a commit or tag of this repository, or an image in a registry
    #[arg(long, value_name = "LAYOUT|COMMIT|REFERENCE")]
    against: Option<String>,
    /// Also measure the crates in the programs, now and in the commit, by builds with symbols: takes minutes
    #[arg(long)]
    crates: bool,
    /// Also add the sizes to the history in bench/, to be committed
    #[arg(long)]
    record: bool,
    /// How many files and crates are named
    #[arg(long, default_value_t = 5, value_name = "NUMBER")]
    top: usize,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What `--format json` prints, one an image and platform.
#[derive(Serialize)]
struct Output {
    #[serde(flatten)]
    image: Measured,
    compressed: u64,
    unpacked: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<[u64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    growth: Option<Growth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crates: Option<Crates>,
}

/// One image for one platform, as it lies in the layout.
pub struct Subject<'a> {
    /// As planned.
    pub image: &'a PlannedImage,
    /// The platform.
    pub platform: Platform,
    /// The image of that platform.
    pub manifest: Descriptor,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let plan = planned(&spec, &facts, &self.image, &self.variant)?;
        let images: Vec<PlannedImage> = plan.images.into_iter().filter(|image| image.wanted).collect();
        let dir = self.layout.clone().unwrap_or_else(|| workspace.target.join("oci"));
        let layout = Layout::open(&dir).context("run `cargo xtask image --variant all` first")?;
        // Variants that nobody asked for by name need not be there.
        let subjects = subjects(&layout, &images, !self.variant.is_empty())?;
        let old = match &self.against {
            Some(what) => Some((what.as_str(), Old::find(what, workspace, &subjects, ui)?)),
            None => None,
        };
        let since = if self.crates { self.commit(workspace)? } else { None };
        let mut crates_by_platform = BTreeMap::new();
        let cache = Cache::create(&workspace.cache_dir())?;
        let sources = Sources { spec: &spec, cache: &cache, offline: false, ui };
        let mut outputs = Vec::new();
        for subject in &subjects {
            let image = subject.image;
            let measured = measure(layout.blobs(), &subject.manifest, image, &subject.platform)?;
            let growth = match &old {
                Some((_, old)) => Some(measured.since(&old.measure(subject, &sources)?)),
                None => None,
            };
            let budget = spec.images[&image.image].budgets.get(&image.variant.0);
            if self.format == Format::Human {
                let against = old.as_ref().map(|(what, _)| *what).zip(growth.as_ref());
                print!("{}", plan::size::render(&measured, budget, against, self.top));
            }
            let name = oci::platform::display(&subject.platform);
            let target = plan.targets.iter().find(|target| target.platform == subject.platform);
            let target = target.filter(|_| self.crates && has_program(&spec, image));
            if let (Some(target), false) = (target, crates_by_platform.contains_key(&name)) {
                let measured = crates::measure(workspace, target, since.as_deref(), ui)?;
                crates_by_platform.insert(name.clone(), measured);
            }
            let crates = crates_by_platform.get(&name).filter(|_| has_program(&spec, image)).cloned();
            if let Some(crates) = crates.as_ref().filter(|_| self.format == Format::Human) {
                let against = self.against.as_deref().zip(crates.growth.as_deref());
                print!("{}", plan::size::render_crates(&crates.bytes, against, self.top));
            }
            outputs.push(Output {
                crates,
                compressed: measured.compressed(),
                unpacked: measured.unpacked(),
                budget: budget.map(|b| [b.compressed, b.unpacked]),
                image: measured,
                growth,
            });
        }
        if self.format == Format::Json {
            println!("{}", serde_json::to_string_pretty(&outputs)?);
        }
        if self.record {
            let run = Run { figures: figures(&outputs), ..history::now(workspace)? };
            history::add(workspace, "size", &run, ui)?;
        }
        Ok(())
    }
}

impl Args {
    /// The commit that crates are compared with.
    fn commit(&self, workspace: &Workspace) -> Result<Option<String>> {
        let Some(what) = &self.against else { return Ok(None) };
        let commit = workspace.commit_of(what);
        commit.map(Some).ok_or_else(|| {
            Usage(format!("--crates --against {what}: is no commit or tag, whose crates could be measured"))
                .into()
        })
    }
}

fn has_program(spec: &Spec, image: &PlannedImage) -> bool {
    spec.images[&image.image].binary.is_some()
}

/// The compressed sizes, for the history: by image, variant and platform, since names have versions in them.
fn figures(outputs: &[Output]) -> Vec<Figure> {
    let figure = |output: &Output| {
        let Measured { name, variant, platform, .. } = &output.image;
        let repository = name.split(':').next().unwrap_or(name);
        Figure::new(&format!("{repository} {variant} {platform}"), "MB", output.compressed as f64 / 1e6)
    };
    outputs.iter().map(figure).collect()
}

/// What the layout holds of `images`, platform by platform; with `all` each of them has to be there.
pub fn subjects<'a>(layout: &Layout, images: &'a [PlannedImage], all: bool) -> Result<Vec<Subject<'a>>> {
    let mut subjects = Vec::new();
    for image in images {
        match layout.resolve(Some(&image.layout_name(&image.tags[0]))) {
            Ok(root) => {
                let manifests = manifests(layout.blobs(), &root)?.into_iter();
                subjects.extend(manifests.map(|(platform, manifest)| Subject { image, platform, manifest }));
            }
            Err(_) if !all => {}
            Err(e) => bail!("{e}; run `cargo xtask image {} --variant {}`", image.image, image.variant),
        }
    }
    if subjects.is_empty() {
        bail!(
            "{}: holds none of the images asked for; run `cargo xtask image --variant all`",
            layout.root().display()
        );
    }
    Ok(subjects)
}

/// The plan of the images asked for: their variants' names in a layout, and what is compiled for them.
pub fn planned(spec: &Spec, facts: &Facts, images: &[String], variants: &[String]) -> Result<Plan> {
    let all = vec!["all".to_string()];
    let variants = if variants.is_empty() { all.clone() } else { variants.to_vec() };
    let selection = Selection { images: images.to_vec(), variants, platforms: all, ..Selection::default() };
    Ok(plan::plan(spec, facts, &selection)?)
}

/// The manifests below an index, each with its platform.
fn manifests(blobs: &Blobs, root: &Descriptor) -> Result<Vec<(Platform, Descriptor)>> {
    let index: ImageIndex = oci::layout::document(blobs, root)?;
    let with_platform = |d: &Descriptor| Some((d.platform().clone()?, d.clone()));
    Ok(index.manifests().iter().filter_map(with_platform).collect())
}

/// Reads all layers of one image.
pub fn measure(
    blobs: &Blobs,
    manifest: &Descriptor,
    image: &PlannedImage,
    platform: &Platform,
) -> Result<Measured> {
    let document: ImageManifest = oci::layout::document(blobs, manifest)?;
    let config: ImageConfiguration = oci::layout::document(blobs, document.config())?;
    let history: Vec<String> = config
        .history()
        .iter()
        .flatten()
        .filter(|h| h.empty_layer() != Some(true))
        .map(|h| h.created_by().clone().unwrap_or_default())
        .collect();
    let count = document.layers().len();
    let mut layers = Vec::new();
    for (index, descriptor) in document.layers().iter().enumerate() {
        let from = match history.get(index) {
            Some(text) if history.len() == count => origin(text),
            _ => "base".to_string(),
        };
        let mut files = BTreeMap::new();
        contents::read_layer(blobs, descriptor, |item, _| {
            if item.kind == Kind::File {
                files.insert(item.path.clone(), item.size);
            }
            Ok(())
        })?;
        let mut tar = oci::stream::decode(blobs.open(descriptor.digest())?)?;
        let unpacked = std::io::copy(&mut tar, &mut std::io::sink())?;
        layers.push(MeasuredLayer { from, compressed: descriptor.size(), unpacked, files });
    }
    Ok(Measured {
        name: image.name(),
        variant: image.variant.to_string(),
        platform: oci::platform::display(platform),
        digest: manifest.digest().to_string(),
        layers,
    })
}

/// Which of our layers a line of the history tells of; what others made is the base.
fn origin(created_by: &str) -> String {
    let ours =
        created_by.strip_prefix("cargo xtask image: the ").and_then(|rest| rest.strip_suffix(" layer"));
    ours.unwrap_or("base").to_string()
}

/// What is compared with.
enum Old {
    /// A layout; tags there may have another version.
    Layout(PathBuf),
    /// An image in a registry, by its tag without a variant.
    Registry(String),
}

impl Old {
    fn find(what: &str, workspace: &Workspace, subjects: &[Subject], ui: &Ui) -> Result<Old> {
        if Path::new(what).join("oci-layout").exists() {
            return Ok(Old::Layout(what.into()));
        }
        if let Some(commit) = workspace.commit_of(what) {
            return built(workspace, &commit, subjects, ui).map(Old::Layout);
        }
        if registry::parse(what).is_err() || !what.contains('/') {
            return Err(Usage(format!(
                "--against {what}: is no OCI layout, no commit or tag of this repository, and no reference such as docker.io/scratchbird/scratchbird:1.0.0"
            ))
            .into());
        }
        Ok(Old::Registry(what.into()))
    }

    fn measure(&self, subject: &Subject, sources: &Sources) -> Result<Measured> {
        let Subject { image, platform, .. } = subject;
        let source = match self {
            Old::Layout(dir) => format!("{}:{}", dir.display(), name_in(dir, image)?),
            Old::Registry(reference) => format!("{reference}-{}", image.variant),
        };
        let found = bases::from_source(&source, platform, sources);
        let (imported, _) = found.with_context(|| format!("--against {source}"))?;
        measure(sources.cache.blobs(), &imported.manifest, image, platform)
    }
}

/// The name of the same image in another layout: its version there may be another one.
fn name_in(dir: &Path, image: &PlannedImage) -> Result<String> {
    let layout = Layout::open(dir)?;
    let names = [&image.tags[0], &image.variant.0].map(|tag| image.layout_name(tag));
    let found = names.iter().find(|name| layout.resolve(Some(name)).is_ok());
    found
        .cloned()
        .with_context(|| format!("--against {}: has neither {} nor {}", dir.display(), names[0], names[1]))
}

/// Builds a commit's images in a clone, and keeps the layout under the target folder: it will not change.
fn built(workspace: &Workspace, commit: &str, subjects: &[Subject], ui: &Ui) -> Result<PathBuf> {
    let layout = workspace.target.join("size").join(commit);
    if subjects.iter().all(|s| name_in(&layout, s.image).is_ok()) {
        return Ok(layout);
    }
    ui.line("building", format_args!("{commit}, to compare"));
    let list = |of: fn(&Subject) -> String| -> String {
        subjects.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
    };
    let (variants, platforms) =
        (list(|s| s.image.variant.to_string()), list(|s| oci::platform::display(&s.platform)));
    let temp = tempfile::tempdir()?;
    let (clone, target) = (clone(workspace, commit, temp.path())?, temp.path().join("target"));
    std::fs::create_dir(&target)?;
    // Bases that are at hand here are so there too.
    std::os::unix::fs::symlink(workspace.cache_dir(), target.join("oci-cache"))?;
    let (sh, cargo) = (Shell::new()?, facts::cargo());
    sh.change_dir(&clone);
    cmd!(sh, "{cargo} xtask --quiet image --variant {variants} --platform {platforms} --output {layout}")
        .env("CARGO_TARGET_DIR", &target)
        .quiet()
        .ignore_stdout()
        .run()
        .with_context(|| format!("--against {commit}: cannot build it"))?;
    Ok(layout)
}

/// A clone of the repository below `dir`, with that commit checked out.
fn clone(workspace: &Workspace, commit: &str, dir: &Path) -> Result<PathBuf> {
    let (root, clone) = (&workspace.root, dir.join("clone"));
    let sh = Shell::new()?;
    cmd!(sh, "git clone --quiet {root} {clone}").quiet().run()?;
    sh.change_dir(&clone);
    cmd!(sh, "git checkout --quiet --detach {commit}").quiet().run()?;
    Ok(clone)
}
