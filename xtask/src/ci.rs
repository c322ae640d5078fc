//! `cargo xtask ci`: the whole gate, the same on a laptop and in CI.
//!
//! A step is a command that anybody can run alone: its line is printed before it runs, and its time after it. The first
//! that fails ends the gate. What this machine lacks is said as skipped and never counts as passed.

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Result, bail};
use oci::Cache;
use oci_spec::image::Platform;
use plan::{Facts, Selection, Spec};

use crate::bases;
use crate::engine::Engine;
use crate::facts::{self, Workspace};
use crate::ui::Ui;

/// Run the whole gate: format, lints, generated files, tests, images, container tests
///
/// What it needs beyond Rust and a C compiler is optional: bases that are not at hand and engines that do not answer
/// are said as skipped.
#[derive(clap::Args)]
pub struct Args {
    /// Only what needs no image: format, lints, generated files, tests
    #[arg(long)]
    fast: bool,
    /// Say what would be run, and what would be skipped and why
    #[arg(long)]
    dry_run: bool,
}

/// One command of the gate.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// `cargo` with these arguments.
    Run(&'static str, Vec<String>),
    /// What can't be run here, and why.
    Skip(&'static str, String),
}

/// What the machine has for the container tests.
#[derive(Debug, Default)]
struct Machine {
    /// Variants whose base is at hand, by name.
    variants: Vec<String>,
    /// Variants whose base is not.
    missing: Vec<String>,
    /// Platforms that can be compiled for.
    platforms: Vec<String>,
    /// Variants whose base is at hand for all of those.
    everywhere: Vec<String>,
    /// What the others lack.
    foreign: Vec<String>,
    /// Why images can't be run, if they can't.
    no_engine: Option<String>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let machine = if self.fast { Machine::default() } else { look(workspace)? };
        let steps = steps(self.fast, &machine);
        if self.dry_run {
            steps.iter().for_each(|step| println!("{}", shown(step)));
            return Ok(());
        }
        let start = Instant::now();
        let mut times = Vec::new();
        for step in &steps {
            let (name, arguments) = match step {
                Step::Run(name, arguments) => (*name, arguments),
                Step::Skip(name, why) => {
                    ui.line("skipped", format_args!("{name}: {why}"));
                    continue;
                }
            };
            ui.line("gate", shown(step));
            let begun = Instant::now();
            // The steps' own output is what is asked for here.
            let words = arguments.iter().map(OsString::from);
            let status = duct::cmd(facts::cargo(), words).dir(&workspace.root).unchecked().run()?.status;
            let seconds = begun.elapsed().as_secs_f64();
            if !status.success() {
                bail!(
                    "the gate's step `{name}` failed after {seconds:.0} s; run it alone: `{}`",
                    shown(step)
                );
            }
            ui.line("passed", format_args!("{name} ({seconds:.1} s)"));
            times.push((name, seconds));
        }
        for (name, seconds) in &times {
            println!("{name}: {seconds:.1} s");
        }
        let skipped = steps.iter().filter(|step| matches!(step, Step::Skip(..))).count();
        println!(
            "the gate is green: {} steps in {:.0} s, {skipped} skipped",
            times.len(),
            start.elapsed().as_secs_f64()
        );
        Ok(())
    }
}

/// The gate's steps in their order.
fn steps(fast: bool, machine: &Machine) -> Vec<Step> {
    let run = |name, line: &str| Step::Run(name, line.split(' ').map(String::from).collect());
    let mut steps = vec![
        run("format", "fmt --all --check"),
        run("lints", "clippy --workspace --all-targets --locked --quiet -- -D warnings"),
        run("generated files", "xtask generate --check"),
        run("tests", "test --workspace"),
    ];
    if fast {
        return steps;
    }
    // Packages are built for `--workspace` as they are for the step before: for `-p` some would be compiled again, with
    // fewer features.
    steps.push(run("client libraries", "test --workspace --test clients -- --ignored --nocapture"));
    // A laptop's `cargo test` makes a few rounds of it.
    let rounds = "env.REPLICATION_ROUNDS='50'";
    steps.push(run(
        "failover, 50 rounds",
        &format!("--config {rounds} test --workspace --test failover nothing_acknowledged"),
    ));
    for variant in &machine.missing {
        steps.push(Step::Skip(
            "images",
            format!(
                "{variant}: its base is not at hand; run `cargo xtask base import {variant} ROOTFS.tar.gz`, or where \
                 there is a network `cargo xtask image --variant {variant}`"
            ),
        ));
    }
    let variants = machine.variants.join(",");
    // What stacks run is of the default variant, which stands on Alpine.
    let has_stacks =
        machine.no_engine.is_none() && machine.variants.iter().any(|variant| variant == "alpine");
    let load = if machine.no_engine.is_none() { " --load" } else { "" };
    for platform in &machine.foreign {
        steps.push(Step::Skip("platforms", platform.clone()));
    }
    // Every platform in one run: what is linked for one is linked while another is.
    let (everywhere, platforms) = (machine.everywhere.join(","), machine.platforms.join(","));
    steps.push(run("images", &format!("xtask image --variant {everywhere} --platform {platforms}{load}")));
    let only_here: Vec<&str> = machine
        .variants
        .iter()
        .filter(|name| !machine.everywhere.contains(name))
        .map(String::as_str)
        .collect();
    if !only_here.is_empty() {
        let line = format!("xtask image --variant {}{load}", only_here.join(","));
        steps.push(run("images of this platform", &line));
    }
    if let Some(why) = &machine.no_engine {
        steps.push(Step::Skip("running images", why.clone()));
    }
    steps.push(run(
        "container tests",
        &format!("xtask verify --variant {variants} --rebuild --junit target/verify.xml"),
    ));
    steps.push(run("broken layouts", "test --workspace --test broken_layouts -- --ignored --nocapture"));
    if has_stacks {
        steps.push(run(
            "broken images",
            "test --workspace --bin xtask --test broken_images -- --ignored --nocapture",
        ));
        steps.push(run(
            "images of stacks",
            "xtask image --image server --image client --image backup --variant alpine --load",
        ));
        steps.push(run("stacks", "xtask compose test"));
        steps.push(run("broken stacks", "test --workspace --test broken_stacks -- --ignored --nocapture"));
    } else {
        steps.push(Step::Skip("stacks", "they need an engine and the variant alpine".into()));
    }
    // Needs no engine, and says so where there is no Chromium.
    steps.push(run("report", "xtask report"));
    steps.push(run("report in a browser", "test --workspace --test report -- --ignored --nocapture"));
    steps
}

fn shown(step: &Step) -> String {
    match step {
        Step::Run(_, arguments) => format!("cargo {}", arguments.join(" ")),
        Step::Skip(name, why) => format!("skipped: {name}: {why}"),
    }
}

/// Looks at what the machine has.
fn look(workspace: &Workspace) -> Result<Machine> {
    let spec = workspace.spec()?;
    let facts = workspace.facts(&spec)?;
    let cache = Cache::create(&workspace.cache_dir())?;
    let image = &spec.images[&spec.project.default_image];
    let (variants, missing) = image
        .variants
        .iter()
        .map(ToString::to_string)
        .partition(|name| at_hand(&spec, &facts, &cache, name, &facts.host));
    let mut machine = Machine { variants, missing, ..Machine::default() };
    for name in spec.platforms.keys() {
        match can_build(&spec, &facts, name)? {
            None => machine.platforms.push(name.clone()),
            Some(lack) => machine.foreign.push(lack),
        }
    }
    let platforms = machine.platforms.iter().map(|name| Ok(oci::platform::parse(name)?));
    let platforms = platforms.collect::<Result<Vec<_>>>()?;
    let everywhere =
        |name: &&String| platforms.iter().all(|platform| at_hand(&spec, &facts, &cache, name, platform));
    machine.everywhere = machine.variants.iter().filter(everywhere).cloned().collect();
    machine.no_engine = Engine::find().err().map(|e| e.to_string());
    Ok(machine)
}

fn at_hand(spec: &Spec, facts: &Facts, cache: &Cache, variant: &str, platform: &Platform) -> bool {
    let reference = &spec.variants[variant].base;
    reference == "scratch"
        || bases::imported(cache, reference, platform).is_some()
        || facts.lock.bases.get(reference).is_some_and(|locked| has_pulled(cache, &locked.digest, platform))
}

fn has_pulled(cache: &Cache, digest: &oci_spec::image::Digest, platform: &Platform) -> bool {
    bases::cached_root(cache.blobs(), digest)
        .and_then(|root| oci::base::manifest_for(cache.blobs(), &root, platform).ok())
        .and_then(|manifest| oci::layout::closure(cache.blobs(), &manifest).ok())
        .is_some_and(|parts| parts.iter().all(|part| cache.blobs().contains(part)))
}

/// What is missing to compile for a platform; rustup adds targets by itself.
fn can_build(spec: &Spec, facts: &Facts, platform: &str) -> Result<Option<String>> {
    let selection = Selection {
        variants: vec!["distroless".into()],
        platforms: vec![platform.into()],
        ..Selection::default()
    };
    let plan = plan::plan(spec, facts, &selection)?;
    Ok(plan.targets.iter().find(|target| !target.toolchain.has_program).map(|target| {
        format!("{platform} needs {}; on Debian run `{}`", target.toolchain.program, target.toolchain.install)
    }))
}

/// The gate's lines on a machine that lacks nothing.
#[cfg(test)]
pub fn every_line() -> Vec<String> {
    let all = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let machine = Machine {
        variants: all(&["alpine", "debian", "distroless"]),
        platforms: all(&["linux/amd64", "linux/arm64", "linux/arm/v7"]),
        everywhere: all(&["alpine", "distroless"]),
        ..Machine::default()
    };
    steps(false, &machine).iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fast: bool, machine: &Machine) -> Vec<String> {
        steps(fast, machine).iter().map(shown).collect()
    }

    #[test]
    fn the_fast_gate_needs_no_image() {
        let lines = lines(true, &Machine::default());
        assert!(lines.iter().all(|line| !line.contains("image")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("cargo test --workspace")), "{lines:?}");
    }

    #[test]
    fn what_is_missing_is_said_and_the_rest_is_run() {
        let machine = Machine {
            variants: vec!["alpine".into(), "distroless".into()],
            missing: vec!["debian".into()],
            platforms: vec!["linux/amd64".into()],
            everywhere: vec!["distroless".into()],
            foreign: vec!["linux/arm64 needs a compiler".into()],
            no_engine: Some("there is no engine".into()),
        };
        let found = lines(false, &machine);
        let has = |expect: &str| assert!(found.iter().any(|l| l.contains(expect)), "{expect}: {found:?}");
        has("skipped: images: debian: its base is not at hand; run `cargo xtask base import debian");
        has("skipped: platforms: linux/arm64 needs a compiler");
        has("skipped: running images: there is no engine");
        has("skipped: stacks: they need an engine");
        has("cargo xtask image --variant distroless --platform linux/amd64");
        has("cargo xtask image --variant alpine");
        has("cargo xtask verify --variant alpine,distroless --rebuild");
        assert!(found.iter().all(|line| !line.contains("--load")), "{found:?}");
        let whole = Machine { missing: vec![], foreign: vec![], no_engine: None, ..machine };
        let found = lines(false, &whole);
        for line in ["--variant distroless --platform linux/amd64 --load", "--variant alpine --load"] {
            assert!(found.iter().any(|l| l.ends_with(line)), "{found:?}");
        }
        assert!(found.iter().all(|l| !l.contains("skipped")), "{found:?}");
        assert!(found.iter().any(|l| l == "cargo xtask compose test"), "{found:?}");
    }

    /// docs/compatibility.md says that something is tested only where a step of the gate does it.
    #[test]
    fn what_is_said_to_be_tested_is_tested() {
        let gate = every_line();
        let spec = Workspace::find(None).unwrap().spec().unwrap();
        let check = |by: &str| gate.iter().any(|line| line.starts_with(by));
        assert!(!check("cargo xtask nothing"));
        let claims: Vec<&str> = spec.compatibility.iter().filter_map(|claim| claim.by.as_deref()).collect();
        assert!(claims.len() > 5);
        for by in claims {
            assert!(check(by), "no step of the gate is `{by}`");
        }
    }
}
