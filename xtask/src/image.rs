//! `cargo xtask image`: builds the server, assembles its images, writes and validates the OCI layout.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use oci::archive::{self, Archived};
use oci::base::Base;
use oci::cache::Limits;
use oci::entry::Line;
use oci::image::{self, Image, Part};
use oci::layout::{self, Named};
use oci::validate::{self, Depth};
use oci::{Cache, Entry, Layer, Source};
use oci_spec::image::{Descriptor, HistoryBuilder, Platform};
use plan::config::BaseIdentity;
use plan::filesystem::{Inputs, PlannedLayer};
use plan::{BaseChoice, Facts, Plan, PlannedImage, Selection, Spec};
use serde::Serialize;

use crate::bases::{self, Found, Sources};
use crate::build;
use crate::engine::Engine;
use crate::facts::{self, LOCK, Workspace};
use crate::ui::{Ui, Usage, bytes_text};

/// Build the server and its container images, without a Docker daemon
///
/// Builds the server for each platform, assembles the images, writes them to an OCI layout, reads that back to check
/// it, and prints one line an image: repository:tag@digest.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask image --variant distroless          from nothing: no base, no network
  cargo xtask image --variant all --load          all three, into Docker or Podman
  cargo xtask image --base alpine=rootfs.tar.gz   on a root file system that you have
  cargo xtask image --dry-run                     only say what would be done")]
pub struct Args {
    /// Names of images in docker/images.toml, or all [default: its default image]
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
    /// Open no network connection
    #[arg(long)]
    offline: bool,
    /// Refuse a docker/bases.lock that does not fit docker/images.toml
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

/// How results are printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Output {
    layout: PathBuf,
    images: Vec<OutputImage>,
}

#[derive(Serialize)]
struct OutputImage {
    image: String,
    variant: String,
    version: String,
    reference: String,
    digest: String,
    tags: Vec<String>,
    platforms: Vec<OutputPlatform>,
}

#[derive(Serialize)]
struct OutputPlatform {
    platform: String,
    digest: String,
    compressed_bytes: u64,
    unpacked_bytes: u64,
    seconds: f64,
    layers: Vec<OutputLayer>,
}

#[derive(Serialize)]
struct OutputLayer {
    digest: String,
    bytes: u64,
    from: String,
    cached: bool,
}

/// An image of which everything lies in the cache.
pub struct Assembled {
    /// As planned.
    pub planned: PlannedImage,
    /// Its index.
    pub index: Descriptor,
    /// One a platform.
    images: Vec<AssembledPlatform>,
}

struct AssembledPlatform {
    image: Image,
    config: oci::Config,
    /// What an image that is made from this one is built on.
    above: Base,
    layers: Vec<(Layer, &'static str, bool)>,
    seconds: f64,
}

impl Args {
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
            facts.lock.fits(LOCK, &spec)?;
        }
        let plan = plan::plan(&spec, &facts, &selection)?;
        if self.dry_run {
            match self.format {
                Format::Human => print!("{}", plan.render()),
                Format::Json => println!("{}", serde_json::to_string_pretty(&plan)?),
            }
            return Ok(());
        }
        let engine = if self.load { Some(Engine::find()?) } else { None };
        build::prepare(workspace, &plan.targets, self.offline, ui)?;
        let cache = Cache::create(&workspace.cache_dir())?;
        // Bases come before the build: they are what may be missing, and the build is what takes long.
        let sources = Sources { spec: &spec, cache: &cache, offline: self.offline, ui };
        let bases = find_bases(&plan, &sources)?;
        let mut work = Work::default();
        let inputs = read_inputs(workspace, &spec, &plan, self.offline, &mut work, ui)?;
        let scene =
            Scene { spec: &spec, facts: &facts, cache: &cache, inputs: &inputs, explain: self.explain, ui };
        let assembled = assemble_all(&scene, &plan, bases, &mut work)?;
        let assembled: Vec<Assembled> = assembled.into_iter().filter(|image| image.planned.wanted).collect();
        let output = self.output.clone().unwrap_or_else(|| workspace.target.join("oci"));
        work.written = write_layout(&output, &cache, &assembled, &work)?;
        if let Some(path) = &self.archive {
            write_archive(path, &cache, &facts, &assembled)?;
            ui.line("archived", path.display());
        }
        if let Some(engine) = &engine {
            load(engine, &cache, &facts, &assembled, ui)?;
        }
        if !work.is_nothing() {
            prune(&cache, ui)?;
        }
        ui.line(if work.is_nothing() { "unchanged" } else { "done" }, work.summary(&output));
        self.print(&output, &assembled)
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
                    serde_json::to_string_pretty(&Output { layout: output.to_path_buf(), images })?
                );
            }
        }
        Ok(())
    }
}

/// What the cache may hold between runs; what was not of use for longest goes first.
const CACHE_LIMITS: Limits = Limits { bytes: 10 << 30, age: Duration::from_secs(30 * 86_400) };

fn prune(cache: &Cache, ui: &Ui) -> Result<()> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(facts::clock());
    let pruned = cache.prune(now, CACHE_LIMITS)?;
    if pruned.bytes > 0 {
        ui.line(
            "pruned",
            format_args!("{} blobs of no use any more, {}", pruned.blobs, bytes_text(pruned.bytes)),
        );
    }
    Ok(())
}

/// What had to be done, to say so when it was nothing.
#[derive(Default)]
pub struct Work {
    compiled: usize,
    compressed: usize,
    written: bool,
}

impl Work {
    fn is_nothing(&self) -> bool {
        self.compiled == 0 && self.compressed == 0 && !self.written
    }

    fn summary(&self, output: &Path) -> String {
        let written = if self.written { "written and validated" } else { "left as it was" };
        format!(
            "{} crates compiled, {} layers compressed, {} {written}",
            self.compiled,
            self.compressed,
            output.display()
        )
    }
}

/// The bases of one image, by platform; none for an image that is made from another.
pub type Bases = Vec<Found>;

/// What images are assembled with.
pub struct Scene<'a> {
    /// The catalogue.
    pub spec: &'a Spec,
    /// The world.
    pub facts: &'a Facts,
    /// Where layers and documents go.
    pub cache: &'a Cache,
    /// What was built and read, by platform.
    pub inputs: &'a [(Platform, Inputs)],
    /// Whether to say why a layer was made again.
    pub explain: bool,
    /// Who is told.
    pub ui: &'a Ui,
}

/// For each image of the plan the base for each of its platforms.
fn find_bases(plan: &Plan, sources: &Sources) -> Result<Vec<Bases>> {
    let of_image = |image: &PlannedImage| -> Result<Bases> {
        match &image.base {
            BaseChoice::Image { .. } => Ok(Vec::new()),
            BaseChoice::Dockerfile { path } => Err(Usage(format!(
                "the image `{}` is built by a Docker engine from {path}; add `--builder docker`",
                image.image
            ))
            .into()),
            _ => image.platforms.iter().map(|p| base_for(image, p, sources)).collect(),
        }
    };
    plan.images.iter().map(of_image).collect()
}

fn base_for(image: &PlannedImage, platform: &Platform, sources: &Sources) -> Result<Found> {
    let found = bases::find(&image.base, &image.variant, platform, sources)?;
    plan::filesystem::check_base(platform, &found.base)
        .with_context(|| format!("variant {}", image.variant))?;
    Ok(found)
}

/// Builds the programs and reads the files that the images hold.
fn read_inputs(
    workspace: &Workspace,
    spec: &Spec,
    plan: &Plan,
    offline: bool,
    work: &mut Work,
    ui: &Ui,
) -> Result<Vec<(Platform, Inputs)>> {
    let mut files = BTreeMap::new();
    for planned in &plan.images {
        for source in spec.images[&planned.image].files.iter().filter_map(|f| f.source.as_ref()) {
            files.insert(source.clone(), Source::read(&workspace.root.join(source))?);
        }
    }
    let platforms: Vec<Platform> = plan.images.first().map(|i| i.platforms.clone()).unwrap_or_default();
    let mut inputs = Vec::new();
    for platform in platforms {
        let mut binaries = BTreeMap::new();
        for target in plan.targets.iter().filter(|t| t.platform == platform) {
            let start = Instant::now();
            let built = build::build(workspace, target, offline, ui)?;
            work.compiled += built.compiled;
            if built.compiled > 0 {
                let bytes = built.binaries.values().map(|b| b.source.size).sum();
                let seconds = start.elapsed().as_secs_f64();
                ui.line(
                    "built",
                    format_args!("{} {} in {seconds:.1} s", target.toolchain.target, bytes_text(bytes)),
                );
            }
            binaries.extend(built.binaries);
        }
        inputs.push((platform, Inputs { binaries, files: files.clone() }));
    }
    Ok(inputs)
}

/// Assembles the images level by level: those of one level don't depend on each other and are made at once.
fn assemble_all(
    scene: &Scene,
    plan: &Plan,
    mut bases: Vec<Bases>,
    work: &mut Work,
) -> Result<Vec<Assembled>> {
    let mut assembled: Vec<Assembled> = Vec::new();
    let levels = plan.images.iter().map(|i| i.level).max().map_or(0, |deepest| deepest + 1);
    for level in 0..levels {
        let mut jobs = Vec::new();
        for (planned, found) in plan.images.iter().zip(&mut bases).filter(|(i, _)| i.level == level) {
            let found = match &planned.base {
                BaseChoice::Image { image } => {
                    let below = assembled
                        .iter()
                        .find(|a| a.planned.image == *image && a.planned.variant == planned.variant);
                    below
                        .with_context(|| format!("{image} was not planned before {}", planned.image))?
                        .as_bases()
                }
                _ => std::mem::take(found),
            };
            jobs.push((planned, found));
        }
        let results: Vec<Result<(Assembled, Work)>> = std::thread::scope(|scope| {
            let threads: Vec<_> = jobs
                .iter()
                .map(|(planned, found)| scope.spawn(move || assemble(scene, planned, found)))
                .collect();
            threads.into_iter().map(|t| t.join().expect("assembling does not panic")).collect()
        });
        for result in results {
            let (image, done) = result?;
            work.compressed += done.compressed;
            assembled.push(image);
        }
    }
    Ok(assembled)
}

/// Makes the layers, configuration, manifests and index of one planned image.
pub fn assemble(scene: &Scene, planned: &PlannedImage, bases: &[Found]) -> Result<(Assembled, Work)> {
    let Scene { spec, facts, cache, inputs, ui, .. } = scene;
    let mut work = Work::default();
    let mut images = Vec::new();
    for (platform, found) in planned.platforms.iter().zip(bases) {
        let start = Instant::now();
        let name = || format!("{} for {}", planned.name(), oci::platform::display(platform));
        let inputs = &inputs.iter().find(|(p, _)| p == platform).context("a platform was not built for")?.1;
        let layers = plan::filesystem::layers(spec, facts, &planned.image, platform, &found.base, inputs)
            .with_context(name)?;
        let key = format!("{} {} {}", planned.image, planned.variant, oci::platform::display(platform));
        let (parts, layers, entries) = make_layers(scene, &key, &found.base, layers).with_context(name)?;
        let sizes: Vec<(&Layer, &str)> = layers.iter().map(|(layer, from, _)| (layer, *from)).collect();
        plan::budget::check(&spec.images[&planned.image], &name(), &planned.variant, &sizes, &entries)?;
        let config = plan::config::config(spec, facts, &planned.image, &found.identity);
        let image = Image::assemble(cache.blobs(), platform, &facts.created(), &parts, &config)?;
        let made = layers.iter().filter(|(_, _, cached)| !cached).count();
        work.compressed += made;
        if made > 0 {
            ui.line("assembled", format_args!("{} in {:.2} s", name(), start.elapsed().as_secs_f64()));
        }
        let above = found.base.over(&parts, &entries, &config.env);
        images.push(AssembledPlatform {
            image,
            config,
            above,
            layers,
            seconds: start.elapsed().as_secs_f64(),
        });
    }
    let list: Vec<Image> = images.iter().map(|i| i.image.clone()).collect();
    let annotations = images.first().map(|i| i.config.labels.clone()).unwrap_or_default();
    let index = image::index(cache.blobs(), &list, &annotations)?;
    Ok((Assembled { planned: planned.clone(), index, images }, work))
}

type MadeLayers = (Vec<Part>, Vec<(Layer, &'static str, bool)>, Vec<Entry>);

fn make_layers(scene: &Scene, key: &str, base: &Base, planned: Vec<PlannedLayer>) -> Result<MadeLayers> {
    let Scene { facts, cache, .. } = scene;
    let mut parts: Vec<Part> = base
        .layers
        .iter()
        .zip(&base.history)
        .map(|(layer, history)| Part { layer: layer.clone(), history: history.clone() })
        .collect();
    let mut layers: Vec<(Layer, &'static str, bool)> =
        base.layers.iter().map(|layer| (layer.clone(), "base", true)).collect();
    let mut entries = Vec::new();
    for layer in planned {
        let (made, cached) = cache.layer(&layer.entries, facts.layer_time())?;
        if !cached {
            explain(scene, &format!("{key} {}", layer.from), &layer)?;
        }
        let history = HistoryBuilder::default()
            .created(facts.created())
            .created_by(format!("cargo xtask image: the {} layer", layer.from))
            .build()?;
        parts.push(Part { layer: made.clone(), history });
        layers.push((made, layer.from, cached));
        entries.extend(layer.entries);
    }
    Ok((parts, layers, entries))
}

/// Says what is different since the layer of that key was last made, and keeps what it is made of now.
fn explain(scene: &Scene, key: &str, layer: &PlannedLayer) -> Result<()> {
    let key_digest = oci::digest::sha256(key.as_bytes());
    let now = (oci::entry::lines(&layer.entries)?, scene.facts.layer_time());
    if scene.explain {
        let before = scene.cache.record::<(Vec<Line>, u64)>("made", &key_digest);
        let why = match &before {
            None => "made for the first time".to_string(),
            Some((_, time)) if *time != now.1 => format!("files get the time {} instead of {time}", now.1),
            Some((lines, _)) if *lines == now.0 => "its blob was missing or damaged".to_string(),
            Some((lines, _)) => oci::entry::differences(lines, &now.0, 5).join("; "),
        };
        scene.ui.line("because", format_args!("{key}: {why}"));
    }
    Ok(scene.cache.remember("made", &key_digest, &now)?)
}

/// Puts the images into the layout and reads them back.
pub fn write_layout(output: &Path, cache: &Cache, assembled: &[Assembled], work: &Work) -> Result<bool> {
    let named: Vec<Named> = assembled
        .iter()
        .flat_map(|image| {
            let names = image.planned.tags.iter();
            names.map(|tag| Named { name: image.planned.layout_name(tag), descriptor: image.index.clone() })
        })
        .collect();
    let written = layout::update(output, cache.blobs(), &named)?;
    let names: BTreeSet<String> = named.into_iter().map(|n| n.name).collect();
    // What was checked to the last entry when it was written need only be hashed when nothing changed.
    let depth = if written || work.compressed > 0 { Depth::Layers } else { Depth::Blobs };
    let problems = validate::layout(output, Some(&names), depth);
    if !problems.is_empty() {
        bail!("{}: is not valid after writing: {}", output.display(), problems.join("; "));
    }
    Ok(written)
}

/// One tar of all images. It appears whole under its name, or not at all.
fn write_archive(path: &Path, cache: &Cache, facts: &Facts, assembled: &[Assembled]) -> Result<()> {
    let shown = path.display().to_string();
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temp = tempfile::Builder::new()
        .prefix(".archive")
        .tempfile_in(dir)
        .with_context(|| format!("--archive {shown}: cannot write in {}", dir.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, temp);
    archive_to(&mut out, &shown, cache, facts, assembled)?;
    let temp = out.into_inner().map_err(|e| anyhow!("{shown}: cannot write: {}", e.error()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        temp.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    temp.persist(path).with_context(|| format!("--archive {shown}: cannot write"))?;
    Ok(())
}

fn archive_to(
    out: impl std::io::Write,
    target: &str,
    cache: &Cache,
    facts: &Facts,
    assembled: &[Assembled],
) -> Result<()> {
    let archived: Vec<Archived> = assembled
        .iter()
        .map(|image| Archived {
            root: &image.index,
            docker: &image.for_host(&facts.host).image.manifest,
            repository: &image.planned.repository,
            tags: &image.planned.tags,
        })
        .collect();
    Ok(archive::write(cache.blobs(), &archived, facts.layer_time(), target, out)?)
}

/// Streams the images that the engine does not have into it.
fn load(engine: &Engine, cache: &Cache, facts: &Facts, assembled: &[Assembled], ui: &Ui) -> Result<()> {
    for image in assembled {
        let host = &image.for_host(&facts.host).image;
        let names: Vec<String> =
            image.planned.tags.iter().map(|tag| format!("{}:{tag}", image.planned.repository)).collect();
        if names.iter().all(|name| engine.image_id(name).as_deref() == Some(host.config.digest().digest())) {
            ui.line("loaded", format_args!("{} is in {engine} already", image.planned.name()));
            continue;
        }
        // Through a pipe: the archive never lies on the disk.
        let (reader, writer) = std::io::pipe()?;
        let child = engine.load(reader)?;
        let sent = archive_to(
            BufWriter::with_capacity(1 << 20, writer),
            &format!("to {engine}"),
            cache,
            facts,
            std::slice::from_ref(image),
        );
        // The engine's own words say more than our broken pipe.
        engine.loaded(child)?;
        sent?;
        ui.line("loaded", format_args!("{} into {engine}", image.planned.name()));
    }
    Ok(())
}

impl Assembled {
    /// `repository:tag@digest`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.planned.name(), self.index.digest())
    }

    /// The digest of each platform's uppermost layer, which holds the program.
    pub fn top_layers(&self) -> impl Iterator<Item = &oci_spec::image::Digest> {
        self.images.iter().filter_map(|i| Some(i.image.layers.last()?.descriptor.digest()))
    }

    /// This image as the base of others, by platform.
    fn as_bases(&self) -> Bases {
        let identity = |image: &AssembledPlatform| BaseIdentity {
            reference: Some(self.planned.name()),
            digest: Some(self.index.digest().to_string()),
            env: image.config.env.clone(),
        };
        self.images.iter().map(|i| Found { base: i.above.clone(), identity: identity(i) }).collect()
    }

    /// The host's platform, else the first one.
    fn for_host(&self, host: &Platform) -> &AssembledPlatform {
        self.images.iter().find(|i| i.image.platform == *host).unwrap_or(&self.images[0])
    }

    fn output(&self) -> OutputImage {
        OutputImage {
            image: self.planned.image.clone(),
            variant: self.planned.variant.to_string(),
            version: self.planned.version.clone(),
            reference: self.reference(),
            digest: self.index.digest().to_string(),
            tags: self.planned.tags.clone(),
            platforms: self.images.iter().map(AssembledPlatform::output).collect(),
        }
    }
}

impl AssembledPlatform {
    fn output(&self) -> OutputPlatform {
        OutputPlatform {
            platform: oci::platform::display(&self.image.platform),
            digest: self.image.manifest.digest().to_string(),
            compressed_bytes: self.layers.iter().map(|(l, ..)| l.descriptor.size()).sum(),
            unpacked_bytes: self.layers.iter().map(|(l, ..)| l.unpacked).sum(),
            seconds: (self.seconds * 1000.0).round() / 1000.0,
            layers: self
                .layers
                .iter()
                .map(|(layer, from, cached)| OutputLayer {
                    digest: layer.descriptor.digest().to_string(),
                    bytes: layer.descriptor.size(),
                    from: (*from).to_string(),
                    cached: *cached,
                })
                .collect(),
        }
    }
}
