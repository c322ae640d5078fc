//! `cargo xtask verify`: tells by running it whether an image keeps its promises.
//!
//! A probe is a name and a function; it passes, fails with a reason, or is skipped with a reason. Nothing passes by
//! default: an image that is not there fails, and where there is no engine everything is skipped, which is said and
//! counted as such.

mod backups;
mod container;
mod contract;
mod dockerfile;
mod files;
mod first_start;
pub mod guides;
mod hosting;
mod interrupted;
mod lanes;
mod limits;
mod operation;
mod readers;
mod rebuild;
mod results;
mod structure;
mod supply;
mod toolchains;
mod trust;
mod upgrade;

pub use lanes::{Job, at_once};
pub use results::finish;
pub use trust::POLICY;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use plan::{Facts, PlannedImage, Selection, Spec};
use serde::Serialize;

use crate::engine::Engine;
use crate::facts::Workspace;
use crate::image::Format;
use crate::ui::Ui;

/// Check images by running them: structure, contract, persistence, and other tools' opinion
///
/// Loads nothing: build and load first, with `cargo xtask image --variant all --load`.
#[derive(clap::Args)]
pub struct Args {
    /// The images, by the engine's names [default: this version's, and the layout in target/oci]
    image: Vec<String>,
    /// Of this version's images only these variants; may be repeated or a list [default: all]
    #[arg(long, value_name = "VARIANT", conflicts_with = "image")]
    variant: Vec<String>,
    /// The engine to use: docker or podman [default: the one that answers]
    #[arg(long)]
    engine: Option<String>,
    /// Also build the checked-out commit a second time, as `cargo xtask verify-rebuild` does, and compare
    #[arg(long)]
    rebuild: bool,
    /// Don't run the images (registry references, or oci:DIR:TAG): check signature, SBOMs and provenance with this
    /// public key
    #[arg(long, value_name = "FILE", requires = "image")]
    key: Option<PathBuf>,
    /// The same by the keys and rules of a policy
    #[arg(long, value_name = "FILE", requires = "image", num_args = 0..=1, default_missing_value = trust::POLICY)]
    policy: Option<PathBuf>,
    /// Only run the commands of this guide, such as docs/running.md; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "variant", "rebuild"])]
    guide: Vec<String>,
    /// Only the probes whose promise has these words in it; may be repeated
    #[arg(long, value_name = "WORDS", conflicts_with_all = ["guide", "key", "policy"])]
    probe: Vec<String>,
    /// An image of the last release: what it writes has to be opened by the images too
    #[arg(long, value_name = "IMAGE")]
    previous: Option<String>,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "why")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not, with what was seen.
    Failed(String),
    /// It could not be tried, with the reason.
    Skipped(String),
}

/// An image under test.
pub struct Subject<'a> {
    /// Who runs it.
    pub engine: &'a Engine,
    /// Its name there.
    pub image: &'a str,
    /// What it should be.
    pub spec: &'a Spec,
    /// Which version it should be.
    pub facts: &'a Facts,
    /// Where this runs.
    pub workspace: &'a Workspace,
    /// The image of the last release, where one is at hand.
    pub previous: Option<&'a str>,
}

/// A promise and how it is tried. An error is a failure; [`skip`] makes it a skip.
pub struct Probe {
    /// The promise, as a sentence without its subject.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(&Subject) -> Result<()>,
}

/// The reason for which a probe can't be tried.
#[derive(Debug)]
struct Skip(String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Leaves a probe untried.
pub fn skip<T>(why: impl Into<String>) -> Result<T> {
    Err(anyhow::Error::new(Skip(why.into())))
}

/// A line of the table.
#[derive(Serialize)]
pub struct Line {
    subject: String,
    probe: &'static str,
    #[serde(flatten)]
    outcome: Outcome,
    seconds: f64,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let mut lines = Vec::new();
        if !self.guide.is_empty() {
            try_guides(workspace, &self.guide, &mut lines, ui);
            return finish(&lines, self.format, self.junit.as_deref());
        }
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        if self.key.is_some() || self.policy.is_some() {
            let trust = trust::Trust::read(workspace, self.key.as_deref(), self.policy.as_deref())?;
            for image in &self.image {
                trust::check(
                    image,
                    &trust,
                    &trust::World { workspace, spec: &spec, facts: &facts, ui },
                    &mut lines,
                )?;
            }
            return finish(&lines, self.format, self.junit.as_deref());
        }
        let by_name = match self.engine.as_deref() {
            Some(name) => Engine::named(name).map(Some)?,
            None => None,
        };
        let engine = by_name.map_or_else(Engine::find, Ok);
        let own = own_images(&spec, &facts, &self.variant)?;
        let images = if self.image.is_empty() {
            own.iter().map(PlannedImage::name).collect()
        } else {
            self.image.clone()
        };
        let try_images = |timed: bool| -> Vec<Line> {
            let mut lines = Vec::new();
            for image in &images {
                let wanted = |probe: &&Probe| self.wants(probe.name) && TIMED.contains(&probe.name) == timed;
                for probe in of_images().filter(wanted) {
                    record(&mut lines, ui, image, probe.name, || match &engine {
                        Ok(engine) => {
                            let (spec, facts, previous) = (&spec, &facts, self.previous.as_deref());
                            let subject = Subject { engine, image, spec, facts, workspace, previous };
                            outcome((probe.run)(&subject))
                        }
                        Err(e) => Outcome::Skipped(format!("no engine: {e}")),
                    });
                }
            }
            lines
        };
        lines.extend(try_images(true));
        let mut lanes: Vec<Job<Vec<Line>>> = vec![Box::new(|| try_images(false))];
        if self.image.is_empty() {
            lanes.push(Box::new(|| self.of_the_layout(workspace, &spec, &facts, &own, ui)));
            if self.rebuild {
                lanes.push(Box::new(|| rebuilt(workspace, &facts, ui)));
            }
        }
        lines.extend(at_once(lanes.len(), lanes).into_iter().flatten());
        finish(&lines, self.format, self.junit.as_deref())
    }

    /// What is tried with this checkout's images together, and not with any that is named. One after the other: most of
    /// it asks Cargo, which does one thing at a time in one folder.
    fn of_the_layout(
        &self,
        workspace: &Workspace,
        spec: &Spec,
        facts: &Facts,
        own: &[PlannedImage],
        ui: &Ui,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        for probe in of_layouts().filter(|probe| self.wants(probe.name)) {
            record(&mut lines, ui, "target/oci", probe.name, || {
                outcome((probe.run)(&readers::Subject { workspace, spec, facts, images: own }))
            });
        }
        // They are about Alpine's image, which has all of the features.
        if self.probe.is_empty() && own.iter().any(|image| image.variant.0 == "alpine") {
            match guides::all(workspace) {
                Ok(guides) => try_guides(workspace, &guides, &mut lines, ui),
                Err(e) => record(&mut lines, ui, "the guides", "can be read", || outcome(Err(e))),
            }
        }
        lines
    }

    fn wants(&self, probe: &str) -> bool {
        self.probe.is_empty() || self.probe.iter().any(|words| probe.contains(words.as_str()))
    }
}

/// It has a folder and a home of its own, and one processor.
fn rebuilt(workspace: &Workspace, facts: &Facts, ui: &Ui) -> Vec<Line> {
    let mut lines = Vec::new();
    record(&mut lines, ui, "HEAD", "gives the same digest elsewhere, as another user", || {
        outcome(rebuild::same_digest(workspace, facts))
    });
    lines
}

fn try_guides(workspace: &Workspace, guides: &[String], lines: &mut Vec<Line>, ui: &Ui) {
    for guide in guides {
        record(lines, ui, guide, "does what it shows", || outcome(guides::holds(workspace, guide)));
    }
}

/// What is tried with every image.
fn of_images() -> impl Iterator<Item = &'static Probe> {
    [
        structure::PROBES,
        files::PROBES,
        contract::PROBES,
        first_start::PROBES,
        hosting::PROBES,
        operation::PROBES,
        backups::PROBES,
        limits::PROBES,
        upgrade::PROBES,
    ]
    .into_iter()
    .flatten()
}

/// Promises with a time in them, about images: these are tried first, while nothing else runs.
const TIMED: [&str; 4] = [
    "stops within 2 s with status 0",
    "answers its probes while 100 clients compute",
    "works with half a processor",
    "logs statements as JSON with connection and duration",
];

/// What is tried with `target/oci`.
fn of_layouts() -> impl Iterator<Item = &'static readers::LayoutProbe> {
    [readers::PROBES, dockerfile::PROBES, interrupted::PROBES, supply::PROBES, toolchains::PROBES]
        .into_iter()
        .flatten()
}

/// The images that a build of those variants loads; of none named, of all.
fn own_images(spec: &Spec, facts: &Facts, variants: &[String]) -> Result<Vec<PlannedImage>> {
    let variants = if variants.is_empty() { vec!["all".to_string()] } else { variants.to_vec() };
    Ok(plan::plan(spec, facts, &Selection { variants, ..Selection::default() })?.images)
}

/// What became of a probe that returned this.
pub fn outcome(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(e) => match e.downcast::<Skip>() {
            Ok(Skip(why)) => Outcome::Skipped(why),
            Err(e) => Outcome::Failed(format!("{e:#}").replace('\n', "; ")),
        },
    }
}

/// Runs a probe, tells of it and writes it down.
pub fn record(
    lines: &mut Vec<Line>,
    ui: &Ui,
    subject: &str,
    probe: &'static str,
    run: impl FnOnce() -> Outcome,
) {
    let start = Instant::now();
    let outcome = run();
    let seconds = start.elapsed().as_secs_f64();
    let (verb, why) = match &outcome {
        Outcome::Passed => ("passed", String::new()),
        Outcome::Failed(why) => ("FAILED", format!(": {why}")),
        Outcome::Skipped(why) => ("skipped", format!(": {why}")),
    };
    ui.line(verb, format_args!("{subject} {probe} ({seconds:.1} s){why}"));
    lines.push(Line { subject: subject.into(), probe, outcome, seconds });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes() {
        assert_eq!(outcome(Ok(())), Outcome::Passed);
        assert_eq!(outcome(skip("no psql")), Outcome::Skipped("no psql".into()));
        assert_eq!(outcome(Err(anyhow::anyhow!("one\ntwo"))), Outcome::Failed("one; two".into()));
    }

    /// `xtask/tests/broken_images.rs` counts those of images itself.
    #[test]
    fn every_probe_of_a_layout_is_broken_somewhere() {
        let breaches = Workspace::find(None).unwrap().read("xtask/tests/broken_layouts.rs").unwrap();
        // Their own modules give these what they must not take; xtask/tests/cli.rs gives zig nothing to compile.
        let within = [dockerfile::PROBES, interrupted::PROBES, toolchains::PROBES];
        for probe in of_layouts() {
            let is_within = within.into_iter().flatten().any(|other| other.name == probe.name);
            let is_broken = is_within || breaches.contains(&format!("\"{}\"", probe.name));
            assert!(is_broken, "xtask/tests/broken_layouts.rs does not break `{}`", probe.name);
        }
    }

    #[test]
    fn every_probe_has_a_name_of_its_own() {
        let names: Vec<&str> = of_images().map(|p| p.name).collect();
        let different: std::collections::BTreeSet<&&str> = names.iter().collect();
        assert_eq!(different.len(), names.len());
        assert!(TIMED.iter().all(|timed| different.contains(timed)), "{TIMED:?}");
    }
}
