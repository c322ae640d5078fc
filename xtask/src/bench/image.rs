//! Building images: assembly against BuildKit and gzip, and runs with nothing changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use oci::Cache;
use oci::base::Base;
use oci::stream::Compression;
use plan::filesystem::{BuiltBinary, Inputs};
use plan::{Facts, Selection, Spec, Target};
use xshell::cmd;

use super::buildah;
use super::buildkit::{self, Peer};
use super::{Contender, Figure, Row, Table, cold, machine, nothing, race};
use crate::bases::{self, Found, Sources};
use crate::build;
use crate::facts::{self, Workspace};
use crate::image::{self, Scene};
use crate::ui::Ui;

const ASSEMBLE: &str = "assemble the image: layers, hashes, gzip, layout";
const GZIP: &str = "gzip -6 | sha256sum of the same layers";
const NOTHING: &str = "cargo xtask image, nothing changed";
const CARGO: &str = "cargo's own checks in it: build xtask, build server";
const NOTHING_ALL: &str = "cargo xtask image, nothing changed, every variant at hand for every platform";
const CARGO_ALL: &str = "cargo's own checks in that";

/// Measures what building images takes.
pub fn bench(workspace: &Workspace, with_cold: bool, rounds: u32, ui: &Ui) -> Result<Table> {
    let spec = workspace.spec()?;
    let facts = workspace.facts(&spec)?;
    let selection = Selection { variants: vec!["distroless".into()], ..Selection::default() };
    let plan = plan::plan(&spec, &facts, &selection)?;
    let target = &plan.targets[0];
    build::prepare(workspace, &plan.targets, false, ui)?;
    let built = build::build(workspace, target, false, ui)?;
    let inputs =
        [(target.platform.clone(), Inputs { binaries: built.binaries.clone(), files: BTreeMap::new() })];
    let default = &spec.project.default_image;
    let layers =
        plan::filesystem::layers(&spec, &facts, default, &target.platform, &Base::default(), &inputs[0].1)?;
    let temp = tempfile::tempdir_in(&workspace.target)?;
    let context = temp.path().join("context");
    buildkit::write_context(&context, &layers)?;
    let tar = temp.path().join("layers.tar");
    buildkit::pack(&tar, &context)?;
    let mut skipped = Vec::new();

    let quiet = Ui::new(true);
    let everything = at_hand(workspace, &spec, &facts, &mut skipped, ui)?;
    let peer = Peer::find(&context, temp.path(), &mut skipped);
    let buildah = buildah::Peer::find(&context, temp.path(), &mut skipped);
    let mut contenders = vec![
        Contender {
            what: ASSEMBLE,
            against: Some(GZIP),
            prepare: nothing(),
            run: Box::new(|| assemble(&spec, &facts, &plan.images[0], &built, temp.path(), &quiet)),
        },
        Contender {
            what: GZIP,
            against: None,
            prepare: nothing(),
            run: Box::new(|| {
                let tar = &tar;
                duct::cmd!("gzip", "-6", "-c", tar).pipe(duct::cmd!("sha256sum")).stdout_null().run()?;
                Ok(())
            }),
        },
        Contender {
            what: NOTHING,
            against: Some(CARGO),
            prepare: nothing(),
            run: Box::new(|| unchanged(workspace, &["--variant", "distroless"], &temp.path().join("one"))),
        },
        Contender {
            what: CARGO,
            against: None,
            prepare: nothing(),
            run: Box::new(|| cargo_alone(workspace, &plan.targets)),
        },
    ];
    if let Some((variants, targets)) = &everything {
        contenders.push(Contender {
            what: NOTHING_ALL,
            against: Some(CARGO_ALL),
            prepare: nothing(),
            run: Box::new(|| {
                let args = ["--offline", "--variant", variants, "--platform", "all"];
                unchanged(workspace, &args, &temp.path().join("all"))
            }),
        });
        contenders.push(Contender {
            what: CARGO_ALL,
            against: None,
            prepare: nothing(),
            run: Box::new(|| cargo_alone(workspace, targets)),
        });
    }
    if let Some(peer) = &peer {
        contenders.extend(peer.contenders(ASSEMBLE));
    }
    if let Some(buildah) = &buildah {
        contenders.push(buildah.contender(ASSEMBLE));
    }
    let mut rows = race(&mut contenders, rounds, ui)?;
    drop(contenders);
    let pairs = [
        ("nothing changed, beyond cargo's own checks", NOTHING, CARGO),
        ("nothing changed, every variant and platform, beyond those (goal 1 s)", NOTHING_ALL, CARGO_ALL),
    ];
    let mut figures: Vec<Figure> =
        pairs.iter().filter_map(|(what, run, cargo)| beyond(what, &rows, run, cargo)).collect();
    if with_cold {
        let (cold, more) = cold::measure(workspace, temp.path(), ui)?;
        rows.extend(cold);
        figures.extend(more);
    } else {
        skipped.push("cold builds, and a line of the server edited: give --cold".into());
    }
    Ok(Table { machine: machine(&workspace.shell()?), rows, figures, skipped })
}

/// What a run takes longer than what Cargo does in it.
fn beyond(what: &str, rows: &[Row], run: &str, cargo: &str) -> Option<Figure> {
    let seconds = |of: &str| Some(rows.iter().find(|row| row.what == of)?.seconds);
    Some(Figure::new(what, "s", seconds(run)? - seconds(cargo)?))
}

/// `cargo xtask image` as it is typed.
fn unchanged(workspace: &Workspace, args: &[&str], output: &Path) -> Result<()> {
    let (sh, cargo) = (workspace.shell()?, facts::cargo());
    let run = cmd!(sh, "{cargo} xtask --quiet image {args...} --output {output}");
    Ok(run.quiet().ignore_stdout().ignore_stderr().run()?)
}

/// What Cargo does in such a run.
fn cargo_alone(workspace: &Workspace, targets: &[Target]) -> Result<()> {
    let (sh, cargo) = (workspace.shell()?, facts::cargo());
    cmd!(sh, "{cargo} build --quiet --package xtask").quiet().run()?;
    let quiet = Ui::new(true);
    build::build_all(workspace, targets, false, &quiet).map(drop)
}

/// The variants whose bases are in the cache for every platform, as a list with commas, and what was compiled for them;
/// nothing where this machine can't compile for every platform.
fn at_hand(
    workspace: &Workspace,
    spec: &Spec,
    facts: &Facts,
    skipped: &mut Vec<String>,
    ui: &Ui,
) -> Result<Option<(String, Vec<Target>)>> {
    let (cache, quiet) = (Cache::create(&workspace.cache_dir())?, Ui::new(true));
    let sources = Sources { spec, cache: &cache, offline: true, ui: &quiet };
    let all = vec!["all".to_string()];
    let selection = Selection { variants: all.clone(), platforms: all, ..Selection::default() };
    let plan = plan::plan(spec, facts, &selection)?;
    if let Err(e) = build::prepare(workspace, &plan.targets, false, ui) {
        skipped.push(format!("nothing changed, every platform: {e:#}"));
        return Ok(None);
    }
    // Here, where it is seen: a server that was edited since takes minutes for each platform.
    build::build_all(workspace, &plan.targets, false, ui)?;
    let mut names = Vec::new();
    for planned in plan.images {
        let missing = planned
            .platforms
            .iter()
            .find(|platform| bases::find(&planned.base, &planned.variant, platform, &sources).is_err());
        match missing {
            None => names.push(planned.variant.to_string()),
            Some(platform) => skipped.push(format!(
                "nothing changed, {}: its base for {} is not in the cache",
                planned.variant,
                oci::platform::display(platform)
            )),
        }
    }
    Ok(Some((names.join(","), plan.targets)))
}

/// What a run does after the server is built, with an empty cache and no layout.
fn assemble(
    spec: &Spec,
    facts: &Facts,
    planned: &plan::PlannedImage,
    built: &build::Built,
    temp: &Path,
    ui: &Ui,
) -> Result<()> {
    let (cache_dir, layout) = (temp.join("cache"), temp.join("layout"));
    let cache = Cache::create(&cache_dir)?;
    // A run hashes the programs too.
    let reread = |(package, binary): (&String, &BuiltBinary)| {
        Ok((package.clone(), build::inspect(&binary.source.path)?))
    };
    let binaries = built.binaries.iter().map(reread).collect::<Result<_>>()?;
    let inputs = [(planned.platforms[0].clone(), Inputs { binaries, files: BTreeMap::new() })];
    let bases = [Found { base: Base::default(), identity: plan::config::BaseIdentity::default() }];
    let scene = Scene {
        spec,
        facts,
        cache: &cache,
        inputs: &inputs,
        compression: Compression::Gzip,
        explain: false,
        ui,
    };
    let (assembled, work) = image::assemble(&scene, planned, &bases)?;
    image::write_layout(&layout, &cache, &[assembled], &work)?;
    drop(cache);
    fs::remove_dir_all(cache_dir)?;
    fs::remove_dir_all(layout)?;
    Ok(())
}
