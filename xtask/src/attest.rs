//! `cargo xtask attest`: attaches SBOMs and provenance to an image, signed.

use anyhow::{Context as _, Result, ensure};
use oci::contents::{Kind, Tree};
use oci_spec::image::{
    ANNOTATION_BASE_IMAGE_DIGEST, ANNOTATION_BASE_IMAGE_NAME, ANNOTATION_REVISION, Descriptor,
    ImageConfiguration, Platform,
};
use plan::{Facts, Selection, Spec};
use serde_json::Value;
use signing::PrivateKey;
use supply::inventory::{self, CrateFacts, Inventory};
use supply::provenance::{self, Build, Compiler, Run};
use supply::sbom::{Format, Subject};

use crate::attach::{self, KeyArgs};
use crate::facts::{self, Workspace};
use crate::sbom;
use crate::sign;
use crate::store::Store;
use crate::ui::{Ui, Usage};

/// Attach SBOMs and provenance to an image, signed
///
/// CycloneDX, SPDX and SLSA provenance for the image of every platform, and provenance for the index, each as a signed
/// bundle that refers to the image. The checkout must stand at the commit that the image was built from. Attesting again
/// with the same key changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask attest oci:target/oci:0.1.0-distroless --key cosign.key
  cargo xtask attest oci:target/oci:0.1.0-distroless --print       unsigned, to stdout")]
pub struct Args {
    /// A registry reference, or oci:DIR:TAG
    image: String,
    #[command(flatten)]
    key: KeyArgs,
    /// Attach nothing: print the provenance of every platform, one JSON document a line
    #[arg(long, conflicts_with = "key")]
    print: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let key = self.key.read()?;
        if key.is_none() && !self.print {
            return Err(Usage("nothing to sign with: give --key FILE, or --print".into()).into());
        }
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let store = Store::open(&self.image, workspace, &spec, ui)?;
        let documents = documents(&store, workspace, &spec, &facts)?;
        match key {
            Some(key) => {
                attach_all(&store, &key, &documents, ui)?;
                println!("{}", sign::reference(&store));
            }
            None => {
                let provenance = documents.iter().filter(|d| d.predicate_type == provenance::PREDICATE_TYPE);
                for document in provenance {
                    println!("{}", String::from_utf8(oci::json::to_vec(&document.predicate))?);
                }
            }
        }
        Ok(())
    }
}

/// Something to be said of a manifest.
pub struct Document {
    manifest: Descriptor,
    predicate_type: &'static str,
    predicate: Value,
}

/// Signs and attaches the documents, but for those that the same key attached in an earlier run.
pub fn attach_all(store: &Store, key: &PrivateKey, documents: &[Document], ui: &Ui) -> Result<()> {
    let name = sign::identity(store)?;
    for Document { manifest, predicate_type, predicate } in documents {
        let is_same = |said: &Value| provenance::without_run(said) == provenance::without_run(predicate);
        let is_new = !attach::is_said(store, &key.public(), manifest, predicate_type, is_same)?
            && attach::attest(store, key, &name, manifest, predicate_type, predicate)?;
        let verb = if is_new { "attested" } else { "unchanged" };
        ui.line(verb, format_args!("{} {predicate_type}", manifest.digest()));
    }
    Ok(())
}

/// All that is said of an image: SBOMs and provenance of every platform, and provenance of the index.
pub fn documents(store: &Store, workspace: &Workspace, spec: &Spec, facts: &Facts) -> Result<Vec<Document>> {
    let crate_facts = sbom::crate_facts(workspace, spec)?;
    let run = run(workspace, spec)?;
    let mut documents = Vec::new();
    let mut whole = Whole::default();
    for (platform, manifest) in store.platforms()? {
        let read = read(store, &platform, &manifest, &crate_facts)?;
        let build = build(store, workspace, spec, facts, &platform, &manifest, &read)?;
        for format in Format::ALL {
            let predicate = format.render(&read.subject, &read.inventory);
            documents.push(Document {
                manifest: manifest.clone(),
                predicate_type: format.predicate_type(),
                predicate,
            });
        }
        let predicate = provenance::predicate(&build, &read.inventory, &run);
        documents.push(Document {
            manifest: manifest.clone(),
            predicate_type: provenance::PREDICATE_TYPE,
            predicate,
        });
        whole.add(build, read.inventory, &platform, &manifest);
    }
    if oci::layout::is_index(store.root().media_type()) {
        let predicate = provenance::predicate(&whole.build, &whole.inventory, &run);
        let manifest = store.root().clone();
        documents.push(Document { manifest, predicate_type: provenance::PREDICATE_TYPE, predicate });
    }
    Ok(documents)
}

/// What an index was built from: all that its images were.
#[derive(Default)]
struct Whole {
    build: Build,
    inventory: Inventory,
}

impl Whole {
    fn add(&mut self, build: Build, inventory: Inventory, platform: &Platform, manifest: &Descriptor) {
        let (mut platforms, mut compilers) =
            (std::mem::take(&mut self.build.platforms), std::mem::take(&mut self.build.compilers));
        let mut parts = std::mem::take(&mut self.build.parts);
        platforms.extend(build.platforms.iter().cloned());
        compilers.extend(build.compilers.iter().filter(|c| !c.target.is_empty()).cloned());
        parts.push((
            manifest.digest().to_string(),
            format!("the image for {}", oci::platform::display(platform)),
        ));
        self.build = Build { platforms, compilers, parts, ..build };
        self.inventory.components.extend(inventory.components);
        self.inventory.components.sort_by(|a, b| a.purl.cmp(&b.purl));
        self.inventory.components.dedup_by(|a, b| a.purl == b.purl);
    }
}

/// What was read of the image of one platform.
struct Read {
    subject: Subject,
    inventory: Inventory,
    /// The compiler that its programs name.
    compiler: Option<String>,
}

fn read(store: &Store, platform: &Platform, manifest: &Descriptor, crate_facts: &CrateFacts) -> Result<Read> {
    store.fetch_image(manifest)?;
    let tree = Tree::read(store.blobs(), manifest, inventory::is_wanted)?;
    let inventory = inventory::inventory(&tree, crate_facts)?;
    let mut compiler = None;
    for (path, found) in &tree.files {
        let Some(program) = found.contents.as_deref().filter(|_| found.item.kind == Kind::File) else {
            continue;
        };
        if supply::auditable::extract(program).ok().flatten().is_some() {
            compiler = provenance::compiler(program).with_context(|| format!("/{path}"))?;
        }
    }
    Ok(Read { subject: sbom::subject(store, platform, manifest)?, inventory, compiler })
}

fn build(
    store: &Store,
    workspace: &Workspace,
    spec: &Spec,
    facts: &Facts,
    platform: &Platform,
    manifest: &Descriptor,
    read: &Read,
) -> Result<Build> {
    let document = store.fetch_image(manifest)?;
    let config: ImageConfiguration = store.read(document.config())?;
    let labels = config.config().as_ref().and_then(|c| c.labels().clone()).unwrap_or_default();
    let revision = labels.get(ANNOTATION_REVISION).cloned().unwrap_or_default();
    same_commit(&revision, facts)?;
    let base = match (labels.get(ANNOTATION_BASE_IMAGE_NAME), labels.get(ANNOTATION_BASE_IMAGE_DIGEST)) {
        (Some(name), Some(digest)) => Some((name.clone(), digest.clone())),
        _ => None,
    };
    let variant = variant(spec, base.as_ref().map(|(name, _)| name.as_str()));
    let plan = plan::plan(
        spec,
        facts,
        &Selection {
            variants: vec![variant.clone()],
            platforms: vec![oci::platform::display(platform)],
            ..Selection::default()
        },
    )?;
    let mut compilers = Vec::new();
    for target in &plan.targets {
        let here = workspace.rust_version()?;
        let version = read.compiler.clone().unwrap_or_else(|| here.clone());
        let (flags, _) = crate::build::flags(workspace, &workspace.shell()?, &target.toolchain.rustflags)?;
        compilers.push(Compiler {
            version,
            target: target.toolchain.target.clone(),
            // Where this machine's folders lie is nobody's business, and not the same twice.
            flags: flags
                .iter()
                .map(|f| match f.strip_prefix("--remap-path-prefix=").and_then(|map| map.rsplit_once('=')) {
                    Some((_, to)) => format!("--remap-path-prefix=…={to}"),
                    None => f.clone(),
                })
                .collect(),
            linker: target.toolchain.cc.clone(),
        });
    }
    let history: Vec<String> = config
        .history()
        .iter()
        .flatten()
        .filter(|h| h.empty_layer() != Some(true))
        .map(|h| h.created_by().clone().unwrap_or_default())
        .collect();
    let parts = document.layers().iter().enumerate().map(|(i, layer)| {
        let from = history.get(i).and_then(|h| h.strip_prefix("cargo xtask image: ")).map(String::from);
        (layer.digest().to_string(), from.unwrap_or_else(|| "the base".into()))
    });
    Ok(Build {
        source: read.subject.source.clone(),
        revision,
        image: spec.project.default_image.clone(),
        variant,
        platforms: vec![oci::platform::display(platform)],
        layer_time: facts.layer_time(),
        compilers,
        parts: parts.collect(),
        base,
    })
}

/// Checks that the checkout stands at the commit of an image: what is said of its sources is read here.
pub fn same_commit(revision: &str, facts: &Facts) -> Result<()> {
    let here = facts.revision_label().unwrap_or_default();
    let commit = revision.trim_end_matches("-dirty");
    ensure!(
        commit == here.trim_end_matches("-dirty"),
        "the image was built from {revision}, the checkout stands at {here}; run `git checkout {commit}` first",
    );
    Ok(())
}

/// The variant whose base an image sits on; without a base the one that has none.
pub fn variant(spec: &Spec, base: Option<&str>) -> String {
    let fits = |name: &str, reference: &str| match base {
        None => reference == "scratch",
        Some(base) => base == reference || base == format!("localhost/{name}:imported"),
    };
    let found = spec.variants.iter().find(|(name, v)| fits(name, &v.base));
    found.map_or_else(|| "all".to_string(), |(name, _)| name.to_string())
}

/// Who makes this statement, and when.
fn run(workspace: &Workspace, spec: &Spec) -> Result<Run> {
    let ci = facts::ci_run();
    Ok(Run {
        builder: ci
            .as_ref()
            .map_or_else(|| format!("{}#cargo-xtask", spec.project.source), |c| c.builder.clone()),
        builder_version: workspace.version.to_string(),
        invocation: ci.map(|c| c.invocation),
        finished: plan::facts::rfc3339(facts::clock()),
    })
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    #[test]
    fn the_command_in_provenance_is_one() {
        let build = Build {
            image: "server".into(),
            variant: "alpine".into(),
            platforms: vec!["linux/amd64".into(), "linux/arm64".into()],
            ..Build::default()
        };
        let predicate = provenance::predicate(&build, &Inventory::default(), &Run::default());
        let command = predicate["buildDefinition"]["externalParameters"]["command"].as_str().unwrap();
        let words = command.strip_prefix("cargo xtask ").unwrap().split(' ');
        crate::image::Args::augment_args(clap::Command::new("image")).try_get_matches_from(words).unwrap();
    }
}
