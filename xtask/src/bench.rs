//! `cargo xtask bench`: figures as ratios to a peer or a physical limit, measured in the same run.
//!
//! These are no tests: machines are noisy. Contenders take turns (round by round, not one after the other), the
//! median counts, and the spread is shown beside it.

mod container;
mod memory;
mod registry;
mod server;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use oci::base::Base;
use oci::stream::Compression;
use oci::{Cache, Entry};
use plan::filesystem::{BuiltBinary, Inputs, PlannedLayer};
use plan::{Facts, Selection, Spec};
use serde::Serialize;
use xshell::{Shell, cmd};

use crate::bases::{self, Found, Sources};
use crate::build;
use crate::facts::{self, Workspace};
use crate::image::{self, Format, Scene};
use crate::ui::Ui;

use crate::loopback::Registry;

/// Measure, against peers and limits in the same run
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The server: pgbench, start and memory, against PostgreSQL where that is installed
    Server {
        /// How often each contender runs
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// A container against the same program without one: starts, work, processor, memory, writes
    Container {
        /// The image, by the engine's name
        image: String,
        /// How often each contender runs
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Building images: assembly against BuildKit and gzip, and a run with nothing changed
    Image {
        /// Also build xtask, and a fresh clone's first image, from nothing: takes minutes
        #[arg(long)]
        cold: bool,
        /// How often each contender runs
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Pushing to a registry on loopback: unchanged, and with new layers against `skopeo copy`
    Registry {
        /// How often each contender runs
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// The most memory that `base import` and `image` take with a base of this size
    Memory {
        /// Bytes of the base, in GB
        #[arg(long, default_value_t = 2)]
        gigabytes: u64,
    },
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let (table, format) = match self.command {
            Command::Server { rounds, format } => (server::bench(workspace, rounds, ui)?, format),
            Command::Container { image, rounds, format } => {
                (container::bench(workspace, &image, rounds, ui)?, format)
            }
            Command::Image { cold, rounds, format } => (bench_image(workspace, cold, rounds, ui)?, format),
            Command::Registry { rounds, format } => (registry::bench(workspace, rounds, ui)?, format),
            Command::Memory { gigabytes } => return memory::bench(workspace, gigabytes, ui),
        };
        match format {
            Format::Human => print!("{}", table.render()),
            Format::Json => println!("{}", serde_json::to_string_pretty(&table)?),
        }
        Ok(())
    }
}

/// What was measured.
#[derive(Serialize)]
struct Table {
    /// The machine, in a line.
    machine: String,
    rows: Vec<Row>,
    /// What is read once, since it doesn't vary from round to round.
    figures: Vec<Figure>,
    /// What could not be measured here, and why.
    skipped: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    what: String,
    /// Median, in seconds.
    seconds: f64,
    /// The fastest and the slowest round.
    range: (f64, f64),
    rounds: usize,
    /// Against which row, and this row's time divided by that one's.
    ratio: Option<(String, f64)>,
}

#[derive(Serialize)]
struct Figure {
    what: String,
    unit: &'static str,
    value: f64,
}

impl Figure {
    fn new(what: &str, unit: &'static str, value: f64) -> Figure {
        Figure { what: what.into(), unit, value }
    }
}

impl Table {
    fn render(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        let width = self.rows.iter().map(|r| r.what.chars().count()).max().unwrap_or(0);
        let _ = writeln!(text, "{:width$}  {:>9}  {:>19}  {:>6}  ratio", "", "median s", "range s", "rounds");
        for row in &self.rows {
            let range = format!("{:.3} to {:.3}", row.range.0, row.range.1);
            let ratio = row.ratio.as_ref().map(|(what, r)| format!("{r:.2} of {what}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "{:width$}  {:>9.3}  {range:>19}  {:>6}  {ratio}",
                row.what, row.seconds, row.rounds
            );
        }
        for Figure { what, unit, value } in &self.figures {
            let _ = writeln!(text, "{what:width$}  {value:>9.1} {unit}");
        }
        for line in &self.skipped {
            let _ = writeln!(text, "skipped: {line}");
        }
        text
    }
}

/// One of those that take turns.
struct Contender<'a> {
    what: &'static str,
    /// Whose time this one's is divided by.
    against: Option<&'static str>,
    /// What has to be so before each round, and is not measured.
    prepare: Box<dyn FnMut() -> Result<()> + 'a>,
    run: Box<dyn FnMut() -> Result<()> + 'a>,
}

/// For a contender that needs nothing before a round.
fn nothing<'a>() -> Box<dyn FnMut() -> Result<()> + 'a> {
    Box::new(|| Ok(()))
}

/// Runs the contenders in turns and takes medians.
fn race(contenders: &mut [Contender], rounds: u32, ui: &Ui) -> Result<Vec<Row>> {
    let mut times: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            (contender.prepare)().with_context(|| contender.what.to_string())?;
            let start = Instant::now();
            (contender.run)().with_context(|| contender.what.to_string())?;
            // The first round warms caches and counts for nobody.
            if round > 0 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
        ui.line("round", format_args!("{round} of {rounds}"));
    }
    let medians: Vec<(&str, f64)> =
        contenders.iter().zip(&mut times).map(|(c, times)| (c.what, median(times))).collect();
    Ok(contenders
        .iter()
        .zip(&times)
        .zip(&medians)
        .map(|((contender, times), (what, seconds))| Row {
            what: (*what).to_string(),
            seconds: *seconds,
            range: (times[0], times[times.len() - 1]),
            rounds: times.len(),
            ratio: contender.against.and_then(|other| {
                let other_seconds = medians.iter().find(|(name, _)| *name == other)?.1;
                Some((other.to_string(), seconds / other_seconds))
            }),
        })
        .collect())
}

/// The middle of `times`, which are sorted by this.
fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { f64::midpoint(times[middle - 1], times[middle]) }
}

const ASSEMBLE: &str = "assemble the image: layers, hashes, gzip, layout";
const BUILDKIT: &str = "docker build --no-cache (BuildKit), nothing compressed";
const PUSH: &str = "docker build --no-cache and push to a local registry";
const GZIP: &str = "gzip -6 | sha256sum of the same layers";
const NOTHING: &str = "cargo xtask image, nothing changed";
const NOTHING_ALL: &str = "cargo xtask image, nothing changed, every variant at hand for every platform";
const CARGO: &str = "cargo's own checks in it: build xtask, build server";

fn bench_image(workspace: &Workspace, cold: bool, rounds: u32, ui: &Ui) -> Result<Table> {
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
    write_context(&context, &layers)?;
    let tar = temp.path().join("layers.tar");
    pack(&tar, &context)?;
    let mut skipped = Vec::new();

    let quiet = Ui::new(true);
    let sh = workspace.shell()?;
    let docker = image::buildkit::client();
    let registry = RefCell::new(None);
    let variants = variants_at_hand(workspace, &spec, &facts, &mut skipped)?;
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
            run: Box::new(|| {
                let cargo = facts::cargo();
                let output = temp.path().join("unchanged");
                let run = cmd!(sh, "{cargo} xtask --quiet image --variant distroless --output {output}");
                Ok(run.quiet().ignore_stdout().ignore_stderr().run()?)
            }),
        },
        Contender {
            what: NOTHING_ALL,
            against: Some(CARGO),
            prepare: nothing(),
            run: Box::new(|| {
                let cargo = facts::cargo();
                let output = temp.path().join("unchanged-all");
                let run = cmd!(
                    sh,
                    "{cargo} xtask --quiet image --offline --variant {variants} --platform all --output {output}"
                );
                Ok(run.quiet().ignore_stdout().ignore_stderr().run()?)
            }),
        },
        Contender {
            what: CARGO,
            against: None,
            prepare: nothing(),
            run: Box::new(|| {
                let cargo = facts::cargo();
                cmd!(sh, "{cargo} build --quiet --package xtask").quiet().run()?;
                build::build(workspace, target, false, &quiet).map(drop)
            }),
        },
    ];
    match &docker {
        Some(docker) => {
            contenders.push(Contender {
                what: BUILDKIT,
                against: Some(ASSEMBLE),
                prepare: nothing(),
                run: Box::new({
                    let context = &context;
                    move || docker_build(docker, context, "scratchbird-bench")
                }),
            });
            if facts::find_program("docker-registry").is_none() {
                skipped.push("push to a local registry: no docker-registry on the PATH".into());
            } else {
                contenders.push(Contender {
                    what: PUSH,
                    against: Some(ASSEMBLE),
                    // A new registry each time: the engine remembers what it has sent to an old one.
                    prepare: Box::new(|| {
                        registry.replace(None);
                        registry.replace(Some(Registry::start(temp.path())?));
                        Ok(())
                    }),
                    run: Box::new({
                        let (context, registry) = (&context, &registry);
                        move || {
                            let address = registry.borrow().as_ref().map(|r| r.address.clone());
                            let name = format!("{}/bench/image", address.unwrap_or_default());
                            docker_build(docker, context, &name)?;
                            duct::cmd!(docker, "push", "--quiet", &name)
                                .stdout_null()
                                .stderr_capture()
                                .run()?;
                            Ok(())
                        }
                    }),
                });
            }
        }
        None => skipped.push("docker build: no engine with a BuildKit client answers".into()),
    }
    let mut rows = race(&mut contenders, rounds, ui)?;
    drop(contenders);
    if cold {
        rows.extend(cold_rows(workspace, temp.path(), ui)?);
    } else {
        skipped.push("cold builds: give --cold".into());
    }
    Ok(Table { machine: machine(&sh), rows, figures: Vec::new(), skipped })
}

/// The variants whose bases are in the cache for every platform, as a list with commas.
fn variants_at_hand(
    workspace: &Workspace,
    spec: &Spec,
    facts: &Facts,
    skipped: &mut Vec<String>,
) -> Result<String> {
    let (cache, ui) = (Cache::create(&workspace.cache_dir())?, Ui::new(true));
    let sources = Sources { spec, cache: &cache, offline: true, ui: &ui };
    let all = vec!["all".to_string()];
    let selection = Selection { variants: all.clone(), platforms: all, ..Selection::default() };
    let mut names = Vec::new();
    for planned in plan::plan(spec, facts, &selection)?.images {
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
    Ok(names.join(","))
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

/// The same files as a build context.
fn write_context(context: &Path, layers: &[PlannedLayer]) -> Result<()> {
    let mut dockerfile = String::from("FROM scratch\n");
    for layer in layers {
        let root = context.join(layer.from);
        fs::create_dir_all(&root)?;
        for entry in &layer.entries {
            let path = root.join(entry.path());
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            match entry {
                Entry::Dir { .. } => fs::create_dir_all(&path)?,
                Entry::File { source, .. } => drop(fs::copy(&source.path, &path)?),
                Entry::Inline { contents, .. } => fs::write(&path, contents)?,
                Entry::Symlink { target, .. } => std::os::unix::fs::symlink(target, &path)?,
            }
        }
        let _ = writeln!(dockerfile, "COPY {}/ /", layer.from);
    }
    fs::write(context.join("Dockerfile"), dockerfile)?;
    Ok(())
}

fn pack(tar: &Path, context: &Path) -> Result<()> {
    duct::cmd!("tar", "--create", "--file", tar, "--directory", context, ".").run().context("tar")?;
    Ok(())
}

fn docker_build(docker: &Path, context: &Path, name: &str) -> Result<()> {
    duct::cmd!(docker, "build", "--no-cache", "--quiet", "--tag", name, context)
        .env("DOCKER_BUILDKIT", "1")
        .stdout_null()
        .stderr_capture()
        .run()?;
    Ok(())
}

/// Once each: they take minutes, and their budgets are minutes.
fn cold_rows(workspace: &Workspace, temp: &Path, ui: &Ui) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut once = |what: &str, run: &dyn Fn() -> Result<()>| -> Result<()> {
        ui.line("cold", what);
        let start = Instant::now();
        run()?;
        let seconds = start.elapsed().as_secs_f64();
        rows.push(Row { what: what.into(), seconds, range: (seconds, seconds), rounds: 1, ratio: None });
        Ok(())
    };
    let cargo = facts::cargo();
    let sh = workspace.shell()?;
    let clone = temp.join("clone");
    let root = &workspace.root;
    cmd!(sh, "git clone --quiet {root} {clone}").quiet().run()?;
    let fresh = Shell::new()?;
    fresh.change_dir(&clone);
    once("build xtask from nothing (budget 60 s)", &|| {
        let target = temp.join("cold-xtask");
        Ok(cmd!(fresh, "{cargo} build --quiet --package xtask --target-dir {target}").quiet().run()?)
    })?;
    once("fresh clone to image (budget 240 s)", &|| {
        let target = temp.join("cold-image");
        let run =
            cmd!(fresh, "{cargo} xtask --quiet image --variant distroless").env("CARGO_TARGET_DIR", target);
        Ok(run.quiet().ignore_stdout().run()?)
    })?;
    Ok(rows)
}

/// What a reader needs to know to compare.
fn machine(sh: &Shell) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':')).map_or("", |(_, m)| m.trim());
    let rustc = cmd!(sh, "rustc --version").quiet().read().unwrap_or_default();
    format!("{cores} cores, {model}, {} {}, {rustc}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle() {
        let check = |times: &mut [f64], expect: f64| assert_eq!(median(times), expect);
        check(&mut [3.0], 3.0);
        check(&mut [3.0, 1.0, 2.0], 2.0);
        check(&mut [4.0, 1.0, 2.0, 3.0], 2.5);
    }

    #[test]
    fn contenders_take_turns_and_the_first_round_does_not_count() {
        let order = RefCell::new(String::new());
        let mut contenders: Vec<Contender> = ["a", "b"]
            .map(|what| Contender {
                what,
                against: (what == "b").then_some("a"),
                prepare: nothing(),
                run: Box::new(|| {
                    order.borrow_mut().push_str(what);
                    Ok(())
                }),
            })
            .into();
        let rows = race(&mut contenders, 3, &Ui::new(true)).unwrap();
        drop(contenders);
        assert_eq!(order.into_inner(), "abababab");
        assert_eq!((rows[1].rounds, rows[1].ratio.as_ref().map(|r| r.0.as_str())), (3, Some("a")));
    }
}
