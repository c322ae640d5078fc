//! Plan and inputs → images in the cache: bases found, programs built, layers, manifests and indexes made.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use oci::base::Base;
use oci::entry::Line;
use oci::image::{self, Image, Part};
use oci::stream::Compression;
use oci::{Cache, Entry, Layer, Source};
use oci_spec::image::{ANNOTATION_BASE_IMAGE_NAME, Descriptor, HistoryBuilder, Platform};
use plan::budget::Sizes;
use plan::config::BaseIdentity;
use plan::filesystem::{Inputs, PlannedLayer};
use plan::{BaseChoice, Facts, Plan, PlannedImage, Spec};
use registry::Repository;

use crate::bases::{self, Found, Sources};
use crate::build;
use crate::facts::Workspace;
use crate::ui::{Ui, Usage, bytes_text};

/// What had to be done, to say so when it was nothing.
#[derive(Default)]
pub struct Work {
    /// Crates compiled.
    pub compiled: usize,
    /// Layers compressed.
    pub compressed: usize,
    /// Whether the layout changed.
    pub written: bool,
}

impl Work {
    /// Whether everything was there.
    pub fn is_nothing(&self) -> bool {
        self.compiled == 0 && self.compressed == 0 && !self.written
    }

    /// For people.
    pub fn summary(&self, output: &Path) -> String {
        let written = if self.written { "written and validated" } else { "left as it was" };
        format!(
            "{} crates compiled, {} layers compressed, {} {written}",
            self.compiled,
            self.compressed,
            output.display()
        )
    }
}

/// An image of which everything lies in the cache.
pub struct Assembled {
    /// As planned.
    pub planned: PlannedImage,
    /// Its index.
    pub index: Descriptor,
    /// One a platform.
    pub images: Vec<AssembledPlatform>,
}

/// One platform of it.
pub struct AssembledPlatform {
    /// Manifest and configuration.
    pub image: Image,
    config: oci::Config,
    /// What an image that is made from this one is built on.
    above: Base,
    /// Bottom first, each with the word for its origin and whether it was there already.
    pub layers: Vec<(Layer, &'static str, bool)>,
    /// What it took.
    pub seconds: f64,
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
    /// How layers are compressed.
    pub compression: Compression,
    /// Whether to say why a layer was made again.
    pub explain: bool,
    /// Who is told.
    pub ui: &'a Ui,
}

/// Checks that no image of the plan needs an engine to be built.
pub fn refuse_dockerfiles(plan: &Plan) -> Result<()> {
    for planned in &plan.images {
        if let BaseChoice::Dockerfile { path } = &planned.base {
            return Err(Usage(format!(
                "the image `{}` is built by a Docker engine from {path}; add `--builder docker`",
                planned.image
            ))
            .into());
        }
    }
    Ok(())
}

/// For each image of the plan the base for each of its platforms.
pub fn find_bases(plan: &Plan, sources: &Sources) -> Result<Vec<Bases>> {
    let of_image = |image: &PlannedImage| -> Result<Bases> {
        match &image.base {
            BaseChoice::Image { .. } | BaseChoice::Dockerfile { .. } => Ok(Vec::new()),
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
pub fn read_inputs(
    workspace: &Workspace,
    spec: &Spec,
    plan: &Plan,
    offline: bool,
    work: &mut Work,
    ui: &Ui,
) -> Result<Vec<(Platform, Inputs)>> {
    let start = Instant::now();
    let built = build::build_all(workspace, &plan.targets, offline, ui)?;
    if built.iter().any(|built| built.compiled > 0) {
        let each = plan.targets.iter().zip(&built).map(|(target, built)| {
            let bytes = built.binaries.values().map(|binary| binary.source.size).sum();
            format!("{} {}", target.toolchain.target, bytes_text(bytes))
        });
        let each: Vec<String> = each.collect();
        ui.line("built", format_args!("{} in {:.1} s", each.join(", "), start.elapsed().as_secs_f64()));
    }
    let mut binaries = BTreeMap::new();
    for (target, built) in plan.targets.iter().zip(built) {
        work.compiled += built.compiled;
        binaries.insert(oci::platform::display(&target.platform), built.binaries);
    }
    let mut inputs = Vec::new();
    for platform in plan.images.first().map(|image| image.platforms.clone()).unwrap_or_default() {
        let mut files = BTreeMap::new();
        for file in plan.images.iter().flat_map(|planned| &spec.images[&planned.image].files) {
            if let Some(source) = file.source_for(&platform)
                && !files.contains_key(&source)
            {
                let read = Source::read(&workspace.sources().join(&source))?;
                files.insert(source, read);
            }
        }
        let binaries = binaries.remove(&oci::platform::display(&platform)).unwrap_or_default();
        inputs.push((platform, Inputs { binaries, files }));
    }
    Ok(inputs)
}

/// Assembles the images level by level: those of one level don't depend on each other and are made at once.
pub fn assemble_all(
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
        let sizes = Sizes::of(&sizes, &entries);
        keep_budget(scene, planned, &name(), &key, &sizes)?;
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

/// Checks an image's size, and remembers it where it may be so, to tell next time what grew.
fn keep_budget(scene: &Scene, planned: &PlannedImage, name: &str, key: &str, sizes: &Sizes) -> Result<()> {
    let key = oci::digest::sha256(key.as_bytes());
    let before = scene.cache.record::<Sizes>("sizes", &key);
    let image = &scene.spec.images[&planned.image];
    plan::budget::check(image, name, &planned.variant, sizes, before.as_ref())?;
    if before.as_ref() != Some(sizes) {
        scene.cache.remember("sizes", &key, sizes)?;
    }
    Ok(())
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
        let (made, cached) = cache.layer_as(&layer.entries, facts.layer_time(), scene.compression)?;
        if !cached {
            explain(
                scene,
                &format!(
                    "{key} {}{}",
                    layer.from,
                    if scene.compression == Compression::Gzip { "" } else { " zstd" }
                ),
                &layer,
            )?;
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

impl Assembled {
    /// `repository:tag@digest`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.planned.name(), self.index.digest())
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

    /// The repositories of registries that its base is in.
    pub fn bases(&self) -> Vec<Repository> {
        let names = self.images.iter().filter_map(|i| i.config.labels.get(ANNOTATION_BASE_IMAGE_NAME));
        // An image of this catalogue, or an imported base, has no registry in its name.
        let in_registry = names.filter(|name| name.split('/').next().is_some_and(|host| host.contains('.')));
        let mut list: Vec<Repository> =
            in_registry.filter_map(|name| Some(Repository::of(&registry::parse(name).ok()?))).collect();
        list.dedup();
        list
    }

    /// The host's platform, else the first one.
    pub fn for_host(&self, host: &Platform) -> &AssembledPlatform {
        self.images.iter().find(|i| i.image.platform == *host).unwrap_or(&self.images[0])
    }
}
