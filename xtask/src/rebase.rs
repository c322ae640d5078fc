//! `cargo xtask rebase`: puts an existing image on another base, without compiling anything.
//!
//! 1. The program is taken out of the image.
//! 2. The layers over the new base are planned as for a build: what must fit the base is checked, and what depends on it
//!    (users, certificates) is made anew.
//! 3. The program's layer must come out as it was, byte for byte, and the distribution must be the same: so nothing but the
//!    base's packages has changed.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use oci::contents::{Kind, Tree};
use oci::stream::Compression;
use oci::{Blobs, Cache};
use oci_spec::image::{
    ANNOTATION_BASE_IMAGE_NAME, ANNOTATION_CREATED, ANNOTATION_REVISION, ANNOTATION_VERSION, Descriptor,
    Digest, ImageConfiguration, ImageManifest, Platform,
};
use plan::filesystem::Inputs;
use plan::{BaseChoice, Facts, Revision, Selection, Spec, Variant};
use supply::packages;

use crate::attach::KeyArgs;
use crate::attest;
use crate::bases::{self, Found, Sources};
use crate::build;
use crate::facts::Workspace;
use crate::image::{self, Scene, Work};
use crate::sign;
use crate::store::Store;
use crate::ui::{Ui, Usage};
use crate::verify_rebuild::{Difference, layer_differences};

/// Put an image on a patched base, without compiling
///
/// The program in the image stays as it is, byte for byte; what depends on the base is made anew. The result is written to
/// the layout under the image's tags; with --key it is signed and attested.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask rebase oci:target/oci:0.1.0 --base alpine@sha256:294b683c…
  cargo xtask rebase ghcr.io/scratchbird/scratchbird:1.0.0 --base alpine=rootfs.tar.gz --key cosign.key")]
pub struct Args {
    /// A registry reference, or oci:DIR:TAG
    image: String,
    /// The new base: VARIANT@DIGEST in the variant's own repository, or VARIANT=SOURCE as for `cargo xtask image`
    #[arg(long, value_name = "VARIANT@DIGEST")]
    base: String,
    /// The OCI layout to write [default: target/oci]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Open no network connection
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    key: KeyArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let key = self.key.read()?;
        let spec = workspace.spec()?;
        let here = workspace.facts(&spec)?;
        let (variant, base) = new_base(&spec, &self.base)?;
        let store = Store::open(&self.image, workspace, &spec, ui)?;
        let cache = Cache::create(&workspace.cache_dir())?;
        let sources = Sources { spec: &spec, cache: &cache, offline: self.offline, ui };
        let temp = tempfile::tempdir()?;
        let (mut facts, mut found, mut inputs) = (None, Vec::new(), Vec::new());
        let platforms = store.platforms()?;
        for (platform, manifest) in &platforms {
            let old = Old::read(&store, &spec, &here, manifest)?;
            ensure!(
                old.variant == variant.to_string(),
                "{}: is of the variant {}, not {variant}",
                self.image,
                old.variant
            );
            let path = temp.path().join(oci::platform::display(platform).replace('/', "-"));
            std::fs::write(&path, &old.program)?;
            let package = old.package.clone();
            let binaries = [(package, build::inspect(&path)?)].into();
            inputs.push((platform.clone(), Inputs { binaries, files: Default::default() }));
            found.push(at(&base, &variant, platform, &sources)?);
            if key.is_some() {
                attest::same_commit(&old.facts.revision_label().unwrap_or_default(), &here)?;
            }
            facts = Some(old.facts);
        }
        let facts = facts.context("the image has no platform")?;
        let selection = Selection {
            variants: vec![variant.to_string()],
            platforms: platforms.iter().map(|(p, _)| oci::platform::display(p)).collect(),
            ..Selection::default()
        };
        let plan = plan::plan(&spec, &facts, &selection)?;
        let planned = plan.images.iter().find(|i| i.wanted).context("nothing is planned")?;
        let scene = Scene {
            spec: &spec,
            facts: &facts,
            cache: &cache,
            inputs: &inputs,
            compression: Compression::Gzip,
            explain: false,
            ui,
        };
        let (assembled, _) = image::assemble(&scene, planned, &found)?;
        for ((platform, manifest), new) in platforms.iter().zip(&assembled.images) {
            let (old, new) = ((store.blobs(), manifest), (cache.blobs(), &new.image.manifest));
            same_program(old, new, &facts)
                .and_then(|()| same_distribution(old, new))
                .with_context(|| oci::platform::display(platform))?;
        }
        let output = self.output.clone().unwrap_or_else(|| workspace.target.join("oci"));
        image::write_layout(&output, &cache, std::slice::from_ref(&assembled), &Work::default())?;
        ui.line("rebased", format_args!("{} on {}", assembled.reference(), self.base));
        if let Some(key) = key {
            let name = planned.layout_name(&planned.tags[0]);
            let store = Store::open(&format!("oci:{}:{name}", output.display()), workspace, &spec, ui)?;
            sign::sign(&store, &key, &sign::identity(&store)?, &Default::default(), ui)?;
            attest::attach_all(&store, &key, &attest::documents(&store, workspace, &spec, &here)?, ui)?;
        }
        println!("{}", assembled.reference());
        Ok(())
    }
}

/// A base as it was asked for.
enum NewBase {
    Digest(String, Digest),
    Source(String),
}

fn new_base(spec: &Spec, text: &str) -> Result<(Variant, NewBase)> {
    let usage = || {
        Usage(format!(
            "--base `{text}`: must be VARIANT@sha256:… or VARIANT=SOURCE, such as `alpine=rootfs.tar.gz`"
        ))
    };
    let find = |name: &str| {
        let found = spec.variants.get_key_value(name);
        found.ok_or_else(|| plan::Error::unknown("variant", name, spec.variants.keys()))
    };
    let by_source = text.split_once('=');
    let (name, at) = by_source.or_else(|| text.split_once('@')).ok_or_else(usage)?;
    let (variant, of) = find(name)?;
    if of.base == "scratch" {
        return Err(Usage(format!(
            "--base `{text}`: {name} has no base that another could take the place of"
        ))
        .into());
    }
    let base = match by_source {
        Some(_) => NewBase::Source(at.to_string()),
        None => NewBase::Digest(of.base.clone(), at.parse().map_err(|_| usage())?),
    };
    Ok((Variant(variant.clone()), base))
}

fn at(base: &NewBase, variant: &Variant, platform: &Platform, sources: &Sources) -> Result<Found> {
    let found = match base {
        NewBase::Digest(reference, digest) => bases::at(reference, digest, variant, platform, sources)?,
        NewBase::Source(source) => {
            bases::find(&BaseChoice::Given { source: source.clone() }, variant, platform, sources)?
        }
    };
    plan::filesystem::check_base(platform, &found.base)?;
    Ok(found)
}

/// What is kept of the old image.
struct Old {
    variant: String,
    package: String,
    program: Vec<u8>,
    /// The world as it was when the image was made.
    facts: Facts,
}

impl Old {
    fn read(store: &Store, spec: &Spec, here: &Facts, manifest: &Descriptor) -> Result<Old> {
        let document = store.fetch_image(manifest)?;
        let config: ImageConfiguration = store.read(document.config())?;
        let labels = config.config().as_ref().and_then(|c| c.labels().clone()).unwrap_or_default();
        let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
        let image = &spec.images[&spec.project.default_image];
        let binary = image.binary.as_ref().context("the image of docker/images.toml has no program")?;
        let path = binary.path.trim_start_matches('/');
        let tree = Tree::read(store.blobs(), manifest, |item| item.path == path && item.kind == Kind::File)?;
        let program = tree
            .contents(path)
            .with_context(|| format!("the image {} has no program at /{path}", manifest.digest()))?;
        let mtime = tree.files[path].item.mtime;
        let (revision, created) = (label(ANNOTATION_REVISION), label(ANNOTATION_CREATED));
        let time = plan::facts::seconds(&created)
            .with_context(|| format!("the image's label {ANNOTATION_CREATED} is `{created}`, no time"))?;
        let commit = revision.trim_end_matches("-dirty").to_string();
        let facts = Facts {
            version: label(ANNOTATION_VERSION)
                .parse()
                .with_context(|| format!("the image's label {ANNOTATION_VERSION}"))?,
            revision: (!commit.is_empty()).then(|| Revision {
                dirty: revision.ends_with("-dirty"),
                commit,
                time,
            }),
            source_date_epoch: (mtime != plan::facts::LAYER_TIME).then_some(mtime),
            ..here.clone()
        };
        let base = labels.get(ANNOTATION_BASE_IMAGE_NAME).map(String::as_str);
        let (variant, package) = (attest::variant(spec, base), binary.package.clone());
        Ok(Old { variant, package, program: program.to_vec(), facts })
    }
}

/// An image of one platform, and where its blobs are.
type At<'a> = (&'a Blobs, &'a Descriptor);

/// Checks that the uppermost layer, the program's, is the old image's own.
fn same_program(old: At, new: At, facts: &Facts) -> Result<()> {
    let top = |(blobs, manifest): At| -> Result<Option<Descriptor>> {
        let document: ImageManifest = oci::layout::document(blobs, manifest)?;
        Ok(document.layers().last().cloned())
    };
    let (old_top, new_top) = (top(old)?, top(new)?);
    if old_top.as_ref().map(Descriptor::digest) == new_top.as_ref().map(Descriptor::digest) {
        return Ok(());
    }
    let found = layer_differences("layer", (old.0, old_top.as_ref()), (new.0, new_top.as_ref()))?;
    let commit = facts.revision.as_ref().map_or("", |r| r.commit.as_str());
    bail!(
        "the program's layer would change ({}): the new base has other folders or links there, or docker/images.toml is not as it was at the image's commit, to which `git checkout {commit}` leads",
        found.first().map(Difference::line).unwrap_or_default()
    )
}

/// Checks that the program stays in the distribution that it was put together with.
fn same_distribution(old: At, new: At) -> Result<()> {
    let id = |(blobs, manifest): At| -> Result<String> {
        let tree = Tree::read(blobs, manifest, packages::is_wanted)?;
        Ok(packages::distribution(&tree).map_or_else(|| "no distribution".into(), |d| d.id))
    };
    let (old, new) = (id(old)?, id(new)?);
    ensure!(old == new, "the base is {new}, the image stands on {old}; give a base of the same distribution");
    Ok(())
}
