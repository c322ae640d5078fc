//! Whether the generated Dockerfile makes the image that we make ourselves, to the last file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use oci::Cache;
use oci::archive::{self, Archived};
use oci::layout::Layout;
use oci::stream::Compression;
use plan::PlannedImage;
use serde_json::Value;

use super::readers::{LayoutProbe, Subject};
use super::skip;
use crate::bases::{self, Sources};
use crate::engine::Engine;
use crate::image::buildkit::{self, Builder, Sink};
use crate::image::{self, Scene, Work};
use crate::stage::stage;
use crate::ui::Ui;

/// The promises about the generated Dockerfiles.
pub const PROBES: &[LayoutProbe] =
    &[LayoutProbe { name: "is what the generated Dockerfiles make, file by file", run: same }];

/// The repository that the images of probes are called after, and removed by.
pub(super) const REPOSITORY: &str = "localhost/xtask-verify";

fn same(subject: &Subject) -> Result<()> {
    let client = match buildkit::check(Builder::Docker) {
        Ok(client) => client,
        Err(e) => return skip(format!("{e:#}")),
    };
    let docker = Engine::named("docker")?;
    for planned in subject.images {
        let name = |kind: &str| format!("{REPOSITORY}:{}-{kind}", planned.variant);
        let result = build(subject, planned, &docker, &client, &name("dockerfile"))
            .and_then(|()| {
                let (layout, tag) =
                    (subject.workspace.target.join("oci"), format!("{}-native", planned.variant));
                load_as(subject, &layout, &planned.layout_name(&planned.tags[0]), &docker, &tag)
            })
            .and_then(|()| compare(&docker, &name("native"), &name("dockerfile")));
        let _ = docker.raw(&["rmi", "--force", &name("native"), &name("dockerfile")]);
        result.with_context(|| planned.name())?;
    }
    Ok(())
}

/// Builds one image with BuildKit from its generated Dockerfile.
fn build(
    subject: &Subject,
    planned: &PlannedImage,
    docker: &Engine,
    client: &Path,
    name: &str,
) -> Result<()> {
    let Subject { workspace, spec, facts, .. } = subject;
    let ui = Ui::new(true);
    let planned = PlannedImage { platforms: vec![facts.host.clone()], ..planned.clone() };
    let cache = Cache::create(&workspace.cache_dir())?;
    let selection = plan::Selection {
        images: vec![planned.image.clone()],
        variants: vec![planned.variant.to_string()],
        ..plan::Selection::default()
    };
    let plan = plan::plan(spec, facts, &selection)?;
    let found = bases::find(
        &planned.base,
        &planned.variant,
        &facts.host,
        &Sources { spec, cache: &cache, offline: true, ui: &ui },
    )?;
    let inputs = image::read_inputs(workspace, spec, &plan, true, &mut Work::default(), &ui)?;
    let scene = Scene {
        spec,
        facts,
        cache: &cache,
        inputs: &inputs,
        compression: Compression::Gzip,
        explain: false,
        ui: &ui,
    };
    let context = tempfile::tempdir_in(&workspace.target)?;
    let base = buildkit::load_base(&scene, docker, &found, &facts.host)?;
    let staged = stage(&scene, &plan, vec![vec![found]], context.path())?;
    let staged = staged.first().context("nothing was staged")?;
    // What is committed is what is built here.
    let committed = workspace.read(&format!("docker/{}/Dockerfile", planned.variant))?;
    ensure!(
        std::fs::read_to_string(&staged.dockerfile)? == committed,
        "docker/{}/Dockerfile is not what is generated; run `cargo xtask generate`",
        planned.variant
    );
    let job = buildkit::staged_job(&scene, staged, context.path(), base, vec![name.to_string()]);
    job.run(client, Builder::Docker, None, &Sink::Engine, facts.layer_time())
}

/// Loads the image `name` of a layout into Docker as [`REPOSITORY`]`:tag`.
pub(super) fn load_as(
    subject: &Subject,
    layout: &Path,
    name: &str,
    docker: &Engine,
    tag: &str,
) -> Result<()> {
    let layout = Layout::open(layout)?;
    let root = layout.resolve(Some(name))?;
    let manifest = oci::base::manifest_for(layout.blobs(), &root, &subject.facts.host)?;
    let (reader, writer) = std::io::pipe()?;
    let child = docker.load(reader)?;
    let archived =
        [Archived { root: &root, docker: &manifest, repository: REPOSITORY, tags: &[tag.to_string()] }];
    let time = subject.facts.layer_time();
    let sent = archive::write(layout.blobs(), &archived, time, "to docker", BufWriter::new(writer));
    docker.loaded(child)?;
    Ok(sent?)
}

/// Every difference of two images in one message.
fn compare(docker: &Engine, native: &str, other: &str) -> Result<()> {
    let (ours, theirs) = (describe(docker, native)?, describe(docker, other)?);
    let differences = differences(&ours, &theirs);
    ensure!(differences.is_empty(), "{} differences: {}", differences.len(), differences.join("; "));
    ensure!(ours.len() > 20, "only {} things were compared", ours.len());
    Ok(())
}

fn differences(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let different = keys.into_iter().filter(|key| ours.get(*key) != theirs.get(*key));
    let show = |side: &BTreeMap<String, String>, key| side.get(key).cloned().unwrap_or("nothing".into());
    different
        .map(|key| format!("{key}: {} here, {} by the Dockerfile", show(ours, key), show(theirs, key)))
        .collect()
}

/// Files with type, mode, owner, link and content, and the configuration, each under a name.
fn describe(docker: &Engine, image: &str) -> Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    let inspected: Value = serde_json::from_str(&docker.output(&["image", "inspect", image])?)?;
    let config = inspected[0]["Config"].as_object().context("an image without a configuration")?;
    for key in [
        "User",
        "Env",
        "Entrypoint",
        "Cmd",
        "WorkingDir",
        "ExposedPorts",
        "Volumes",
        "StopSignal",
        "Healthcheck",
        "Labels",
    ] {
        // `null`, `[]` and absent mean the same.
        let value = config.get(key).filter(|v| !v.is_null()).map(Value::to_string).unwrap_or_default();
        map.insert(format!("config {key}"), value);
    }
    let container = docker.output(&["create", image, "true"])?;
    let export = duct::cmd!("docker", "export", &container).stderr_null().unchecked().reader()?;
    let mut tar = tar::Archive::new(&export);
    let read = (|| -> Result<()> {
        for entry in tar.entries()? {
            let mut entry = entry?;
            let header = entry.header();
            let (kind, mode) = (header.entry_type(), header.mode()?);
            let (uid, gid) = (header.uid()?, header.gid()?);
            let path = entry.path()?.display().to_string();
            let link = entry.link_name()?.map(|l| format!(" -> {}", l.display())).unwrap_or_default();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            let digest =
                if kind.is_file() { format!(" {}", oci::digest::sha256(&content)) } else { String::new() };
            map.insert(format!("/{path}"), format!("{kind:?} {mode:o} {uid}:{gid}{link}{digest}"));
        }
        Ok(())
    })();
    docker.output(&["rm", "--force", &container])?;
    read.with_context(|| format!("docker export of {image}"))?;
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_told() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let check = |ours: &[(&str, &str)], theirs: &[(&str, &str)], expect: &[&str]| {
            assert_eq!(differences(&map(ours), &map(theirs)), expect);
        };
        check(&[("/a", "644")], &[("/a", "644")], &[]);
        check(&[("/a", "644")], &[("/a", "600")], &["/a: 644 here, 600 by the Dockerfile"]);
        check(&[("/a", "x")], &[], &["/a: x here, nothing by the Dockerfile"]);
        check(&[], &[("/b", "x")], &["/b: nothing here, x by the Dockerfile"]);
    }

    /// Makes an image of one folder, one file and one link.
    fn import(docker: &Engine, name: &str, mode: u32, content: &str, change: &str) {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind, mode, content: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        };
        for (path, mode) in [("bin", 0o755), ("birds", mode)] {
            add(path, tar::EntryType::Directory, mode, "");
        }
        add("birds/wren", tar::EntryType::Regular, 0o644, content);
        let tar = tar.into_inner().unwrap();
        duct::cmd!(docker.to_string(), "import", "--change", change, "-", name)
            .stdin_bytes(tar)
            .stdout_null()
            .run()
            .unwrap();
    }

    #[test]
    #[ignore = "needs Docker; `cargo xtask ci` runs it"]
    fn images_that_differ_are_told_apart() {
        let docker = match Engine::find() {
            Ok(engine) if engine.to_string() == "docker" => engine,
            _ => return println!("skipped: no Docker engine answers"),
        };
        let name = |kind: &str| format!("{REPOSITORY}:{}-{kind}", std::process::id());
        let (ours, theirs) = (name("ours"), name("theirs"));
        let check = |mode: u32, content: &str, change: &str, expect: &[&str]| {
            import(&docker, &ours, 0o755, "wren", "ENV A=1");
            import(&docker, &theirs, mode, content, change);
            let error = compare(&docker, &ours, &theirs).err().map(|e| e.to_string()).unwrap_or_default();
            let _ = docker.raw(&["rmi", "--force", &ours, &theirs]);
            let fits = expect.iter().all(|word| error.contains(word));
            assert!(fits && error.is_empty() == expect.is_empty(), "{mode:o} {content} {change}: {error}");
        };
        check(0o755, "wren", "ENV A=1", &[]);
        check(
            0o700,
            "wren",
            "ENV A=1",
            &["1 differences: /birds/: Directory 40755 0:0 here, Directory 40700 0:0 by the Dockerfile"],
        );
        check(0o755, "owl!", "ENV A=1", &["1 differences: /birds/wren: Regular 100644 0:0 sha256:"]);
        check(0o755, "wren", "ENV A=2", &["1 differences: config Env:", "A=2"]);
        check(0o755, "wren", "USER 1000", &["2 differences: config Env:", "; config User:"]);
    }
}
