//! `cargo xtask verify-rebuild`: builds the commit that an image says it is from once more, elsewhere, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use oci::Blobs;
use oci::contents::{Item, Kind, read_layer};
use oci::digest::Hasher;
use oci::layout::{Layout, document};
use oci_spec::image::{
    ANNOTATION_BASE_IMAGE_NAME, ANNOTATION_REVISION, Descriptor, ImageConfiguration, ImageManifest, Platform,
};
use serde::Serialize;
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use crate::attach::{self, KeyArgs};
use crate::attest;
use crate::facts::{self, Workspace};
use crate::image::Format;
use crate::sign;
use crate::store::{self, Store};
use crate::ui::Ui;

/// What a statement that a rebuild gave the same is called (in-toto's "Test Result").
const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// Build a published image again from its commit, and compare layer by layer and file by file
///
/// The commit is cloned into a new folder and built there with another umask, time zone, locale and number of jobs.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask verify-rebuild oci:target/oci:0.1.0-distroless
  cargo xtask verify-rebuild ghcr.io/scratchbird/scratchbird:1.0.0 --key rebuilder.key")]
pub struct Args {
    /// A registry reference, or oci:DIR:TAG
    image: String,
    /// The platform, where there are several [default: this machine's]
    #[arg(long)]
    platform: Option<String>,
    /// On equality attach a signed statement that says so
    #[command(flatten)]
    key: KeyArgs,
    /// Open no network connection
    #[arg(long)]
    offline: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A difference between the published image and the rebuilt one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `config`, or the layer by its place, the bottom one 0.
    pub part: String,
    /// A path in the layer, or a field of the configuration.
    pub place: String,
    /// As published; nothing where it is not there.
    pub published: Option<String>,
    /// As rebuilt.
    pub rebuilt: Option<String>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let key = self.key.read()?;
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let store = Store::open(&self.image, workspace, &spec, ui)?;
        let platforms = store.platforms()?;
        let (platform, manifest) = store::choose(&platforms, self.platform.as_deref(), &facts.host)?;
        let published = store.fetch_image(manifest)?;
        let config: ImageConfiguration = store.read(published.config())?;
        let labels = config.config().as_ref().and_then(|c| c.labels().clone()).unwrap_or_default();
        let commit = labels.get(ANNOTATION_REVISION).map(String::as_str).unwrap_or_default();
        if commit.is_empty() || commit.ends_with("-dirty") {
            bail!("{}: was built from `{commit}`, which is no commit that can be built again", self.image);
        }
        let variant = attest::variant(&spec, labels.get(ANNOTATION_BASE_IMAGE_NAME).map(String::as_str));
        let temp = tempfile::tempdir()?;
        ui.line("rebuild", format_args!("{commit} {variant} {}", oci::platform::display(platform)));
        let output = rebuild(workspace, temp.path(), commit, &variant, platform, self.offline)?;
        let layout = Layout::open(&output)?;
        let root = only(&layout)?;
        let rebuilt = oci::base::manifest_for(layout.blobs(), &root, platform)?;
        let differences = differences((store.blobs(), manifest), (layout.blobs(), &rebuilt))?;
        match self.format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&differences)?),
            Format::Human => differences.iter().for_each(|d| println!("{}", d.line())),
        }
        if manifest.digest() != rebuilt.digest() {
            bail!(
                "{} is {} as published and {} as rebuilt: {} differences",
                self.image,
                manifest.digest(),
                rebuilt.digest(),
                differences.len()
            );
        }
        ui.line("same", format_args!("{} again", manifest.digest()));
        if let Some(key) = key {
            let predicate = statement(commit);
            attach::attest(&store, &key, &sign::identity(&store)?, manifest, PREDICATE_TYPE, &predicate)?;
            ui.line("attested", manifest.digest());
        }
        if self.format == Format::Human {
            println!("{}", sign::reference(&store));
        }
        Ok(())
    }
}

fn statement(commit: &str) -> Value {
    json!({
        "result": "PASSED",
        "configuration": [{ "name": "sources", "digest": { "gitCommit": commit } }],
        "passedTests": ["cargo xtask verify-rebuild"],
    })
}

/// The only image of a layout that was just made.
fn only(layout: &Layout) -> Result<Descriptor> {
    Ok(layout.resolve(None)?)
}

/// Builds `commit` below `dir`, where as little as possible is as it is here. Gives the layout.
fn rebuild(
    workspace: &Workspace,
    dir: &Path,
    commit: &str,
    variant: &str,
    platform: &Platform,
    offline: bool,
) -> Result<std::path::PathBuf> {
    let clone = dir.join("somewhere/else entirely");
    let (target, output) = (dir.join("target"), dir.join("oci"));
    let (root, cargo, platform) = (&workspace.root, facts::cargo(), oci::platform::display(platform));
    let sh = Shell::new()?;
    cmd!(sh, "git clone --quiet --no-checkout {root} {clone}").quiet().run()?;
    sh.change_dir(&clone);
    cmd!(sh, "git checkout --quiet --detach {commit}").quiet().ignore_stderr().run().map_err(|_| {
        anyhow::anyhow!("the commit {commit} is not in this checkout; run `git fetch origin {commit}` first")
    })?;
    lend_bases(&workspace.cache_dir(), &target.join("oci-cache"))?;
    let mut args =
        vec!["xtask", "--quiet", "image", "--variant", variant, "--platform", &platform, "--output"];
    let output_text = output.display().to_string();
    args.push(&output_text);
    if offline {
        args.push("--offline");
    }
    // A shell, because nothing else sets a umask for a program that it starts.
    let script = "umask 027; exec \"$0\" \"$@\"";
    cmd!(sh, "sh -c {script} {cargo} {args...}")
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_BUILD_JOBS", "1")
        .env("TZ", "Pacific/Chatham")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env_remove("SOURCE_DATE_EPOCH")
        .quiet()
        .ignore_stdout()
        .run()
        .with_context(|| format!("building {commit}"))?;
    Ok(output)
}

/// Lends the bases that this checkout has to the other one: an imported base can be had nowhere else. Nothing that was
/// made from our sources goes along, and a blob is verified before it is believed.
fn lend_bases(from: &Path, to: &Path) -> Result<()> {
    for folder in ["imported", "pulled", "blobs/sha256"] {
        std::fs::create_dir_all(to.join(folder))?;
        for entry in std::fs::read_dir(from.join(folder)).into_iter().flatten().flatten() {
            let (source, target) = (entry.path(), to.join(folder).join(entry.file_name()));
            if std::fs::hard_link(&source, &target).is_err() {
                std::fs::copy(&source, &target).with_context(|| source.display().to_string())?;
            }
        }
    }
    Ok(())
}

/// Compares two images: configuration field by field, layers file by file where their digests differ.
pub fn differences(
    (published_blobs, published): (&Blobs, &Descriptor),
    (rebuilt_blobs, rebuilt): (&Blobs, &Descriptor),
) -> Result<Vec<Difference>> {
    let (left, right): (ImageManifest, ImageManifest) =
        (document(published_blobs, published)?, document(rebuilt_blobs, rebuilt)?);
    let mut found = Vec::new();
    let (a, b): (Value, Value) =
        (document(published_blobs, left.config())?, document(rebuilt_blobs, right.config())?);
    let (mut fields_a, mut fields_b) = (BTreeMap::new(), BTreeMap::new());
    flatten("", &a, &mut fields_a);
    flatten("", &b, &mut fields_b);
    compare("config", &fields_a, &fields_b, &mut found);
    for number in 0..left.layers().len().max(right.layers().len()) {
        let (a, b) = (left.layers().get(number), right.layers().get(number));
        if a.map(Descriptor::digest) == b.map(Descriptor::digest) {
            continue;
        }
        let before = found.len();
        let part = format!("layer {number}");
        compare(&part, &files(published_blobs, a)?, &files(rebuilt_blobs, b)?, &mut found);
        if found.len() == before {
            let digest = |d: Option<&Descriptor>| d.map(|d| d.digest().to_string());
            let place = "the same files in other bytes".to_string();
            found.push(Difference { part, place, published: digest(a), rebuilt: digest(b) });
        }
    }
    Ok(found)
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| flatten(&format!("{path}/{k}"), v, out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| flatten(&format!("{path}/{i}"), v, out))
        }
        scalar => drop(out.insert(path.to_string(), scalar.to_string())),
    }
}

fn files(blobs: &Blobs, layer: Option<&Descriptor>) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let Some(layer) = layer else { return Ok(files) };
    read_layer(blobs, layer, |item, content| {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = content.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
        files.insert(format!("/{}", item.path), describe(item, hasher.finish().0.as_ref()));
        Ok(())
    })?;
    Ok(files)
}

fn describe(item: &Item, digest: &str) -> String {
    let what = match &item.kind {
        Kind::Dir => "folder".into(),
        Kind::File => digest.to_string(),
        Kind::Symlink(target) => format!("link to {target}"),
        Kind::HardLink(target) => format!("hard link to {target}"),
        Kind::Other => "device".into(),
        Kind::Whiteout(_) => "whiteout".into(),
    };
    format!("{what} mode {:04o} owner {}:{} time {}", item.mode, item.owner.uid, item.owner.gid, item.mtime)
}

fn compare(
    part: &str,
    published: &BTreeMap<String, String>,
    rebuilt: &BTreeMap<String, String>,
    found: &mut Vec<Difference>,
) {
    let places: BTreeSet<&String> = published.keys().chain(rebuilt.keys()).collect();
    for place in places {
        let (a, b) = (published.get(place), rebuilt.get(place));
        if a != b {
            found.push(Difference {
                part: part.into(),
                place: place.clone(),
                published: a.cloned(),
                rebuilt: b.cloned(),
            });
        }
    }
}

impl Difference {
    fn line(&self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not there".into());
        format!("{} {}: {} → {}", self.part, self.place, shown(&self.published), shown(&self.rebuilt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::entry::{Entry, Owner};
    use oci::image::{Image, Part};
    use oci_spec::image::History;

    fn image(blobs: &Blobs, files: &[(&str, &str, u32)], user: &str) -> Descriptor {
        let entries: Vec<Entry> = files
            .iter()
            .map(|(path, text, mode)| Entry::Inline {
                path: (*path).into(),
                contents: (*text).into(),
                mode: *mode,
                owner: Owner::ROOT,
            })
            .collect();
        let layer = oci::layer::build(&entries, 0, oci::stream::Compression::Gzip, blobs).unwrap();
        let config = oci::Config { user: user.into(), ..oci::Config::default() };
        let platform = oci::platform::parse("linux/amd64").unwrap();
        let parts = [Part { layer, history: History::default() }];
        Image::assemble(blobs, &platform, "2026-01-01T00:00:00Z", &parts, &config).unwrap().manifest
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(temp.path()).unwrap();
        let published = image(&blobs, &[("a", "1", 0o644), ("b", "1", 0o644)], "1");
        let check = |files: &[(&str, &str, u32)], user: &str, expect: &[&str]| {
            let rebuilt = image(&blobs, files, user);
            let found = differences((&blobs, &published), (&blobs, &rebuilt)).unwrap();
            let shown: Vec<String> = found
                .iter()
                .filter(|d| !d.place.contains("diff_ids"))
                .map(|d| format!("{} {}", d.part, d.place))
                .collect();
            assert_eq!(shown, expect);
        };
        check(&[("a", "1", 0o644), ("b", "1", 0o644)], "1", &[]);
        check(&[("a", "2", 0o644), ("b", "1", 0o600)], "1", &["layer 0 /a", "layer 0 /b"]);
        check(&[("a", "1", 0o644), ("c", "1", 0o644)], "1", &["layer 0 /b", "layer 0 /c"]);
        check(&[("a", "1", 0o644), ("b", "1", 0o644)], "2", &["config /config/User"]);
    }
}
