//! `cargo xtask compose test`: every stack, started for real with the images that the engine has, and used.
//!
//! A stack runs from its generated files, in a folder and a project of its own, on ports that were free; only the
//! images are replaced: ours by the ones just loaded, HAProxy and Prometheus by this machine's programs
//! ([`stand_ins`]), since their images can't be had everywhere. What runs ends with its value.

mod alerts;
mod backup;
mod ci;
mod fail_over;
mod files;
mod metrics;
mod partition;
mod persistence;
mod pods;
mod readme;
mod running;
mod stand_ins;
mod swarm;

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use plan::Spec;
use plan::stack::{self, Pins};

use super::run::{self, own_images};
use crate::engine::Engine;
use crate::facts::Workspace;
use crate::image::Format;
use crate::ui::Ui;
use crate::verify::{Job, at_once, finish, outcome, record};

#[derive(clap::Args)]
pub struct TestArgs {
    /// Only what this word is part of
    only: Option<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What every test needs.
pub struct Scene<'a> {
    spec: &'a Spec,
    engine: &'a Engine,
    /// The engine's ids of our images, by reference.
    images: BTreeMap<String, String>,
}

/// A promise about a stack.
struct Promise {
    stack: &'static str,
    name: &'static str,
    keep: fn(&Scene) -> Result<()>,
}

/// What takes longest comes first, so that nothing else waits for its end.
const PROMISES: &[Promise] = &[
    Promise { stack: "swarm", name: "deployed on a swarm, serves and keeps its rows", keep: swarm::deployed },
    Promise { stack: "all", name: "does what its README says", keep: readme::followed },
    Promise { stack: "all", name: "Compose takes every file", keep: files::compose },
    Promise { stack: "swarm", name: "Docker takes the stacks for Swarm", keep: files::swarm },
    Promise { stack: "k8s", name: "kustomize builds the base and every overlay", keep: files::kustomize },
    Promise { stack: "monitoring", name: "promtool takes configuration and rules", keep: files::promtool },
    Promise { stack: "monitoring", name: "alerts fire when they must, and else not", keep: alerts::fire },
    Promise { stack: "multi-node", name: "HAProxy takes its configuration", keep: files::haproxy },
    Promise { stack: "basic", name: "keeps its rows, closed and bounded", keep: persistence::basic },
    Promise { stack: "prod", name: "keeps its rows, and logs JSON", keep: persistence::prod },
    Promise { stack: "dev", name: "keeps its rows, and logs each statement", keep: persistence::dev },
    Promise {
        stack: "development",
        name: "begins with its seed, and its client asks",
        keep: persistence::development,
    },
    Promise { stack: "ci-cd", name: "serves the tests beside it", keep: ci::service_container },
    Promise { stack: "with-backup", name: "restores what was copied under load", keep: backup::under_load },
    Promise { stack: "monitoring", name: "has series for every expression", keep: metrics::every_expression },
    Promise {
        stack: "multi-node",
        name: "goes on within 10 s after its primary died",
        keep: fail_over::primary_dies,
    },
    Promise {
        stack: "multi-node",
        name: "keeps what it acknowledged, whichever links fail",
        keep: partition::links_fail,
    },
    Promise {
        stack: "k8s",
        name: "the pods of an overlay work under the names of a cluster",
        keep: pods::replicated,
    },
];

/// These are tried first, one after the other and while nothing else runs: those with a time in them, and the one that
/// makes the engine a swarm's, which lays its networks anew and cuts other containers off for a while.
const ALONE: [&str; 4] = [
    "goes on within 10 s after its primary died",
    "keeps what it acknowledged, whichever links fail",
    "the pods of an overlay work under the names of a cluster",
    "deployed on a swarm, serves and keeps its rows",
];

/// So many of the others are tried at once: they wait more than they compute.
const AT_ONCE: usize = 3;

impl TestArgs {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let engine = Engine::named("docker")?;
        let mut images = BTreeMap::new();
        let none = Pins::new();
        for name in spec.stacks.keys() {
            for image in own_images(&stack::find(&spec, name, &none)?) {
                let id = run::id(&engine, &image)?;
                images.insert(image.0, format!("sha256:{id}"));
            }
        }
        let scene = Scene { spec: &spec, engine: &engine, images };
        let wanted = |promise: &&Promise| {
            let only = self.only.as_deref().unwrap_or("");
            promise.stack.contains(only) || promise.name.contains(only)
        };
        let scene = &scene;
        let keep = |alone: bool, many: usize| {
            let mine =
                PROMISES.iter().filter(wanted).filter(|promise| ALONE.contains(&promise.name) == alone);
            let job = |promise: &'static Promise| -> Job<_> {
                Box::new(move || {
                    let mut lines = Vec::new();
                    record(&mut lines, ui, promise.stack, promise.name, || outcome((promise.keep)(scene)));
                    lines
                })
            };
            at_once(many, mine.map(job).collect()).into_iter().flatten()
        };
        let mut lines: Vec<_> = keep(true, 1).collect();
        lines.extend(keep(false, AT_ONCE));
        if lines.is_empty() {
            bail!("`{}` is part of no test's name", self.only.unwrap_or_default());
        }
        finish(&lines, self.format, None)
    }
}

/// Whether a program is installed; else the test is skipped, saying what installs it.
fn need(program: &str, package: &str) -> Result<()> {
    if crate::facts::find_program(program).is_none() {
        return crate::verify::skip(format!("no {program}; on Debian run `apt-get install {package}`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stack_is_tried() {
        let spec = Workspace::find(None).unwrap().spec().unwrap();
        for name in spec.stacks.keys() {
            assert!(PROMISES.iter().any(|promise| promise.stack == name), "nothing tries the stack {name}");
        }
    }

    /// Other programs judge these, and are given something wrong in the test itself.
    const BROKEN_WITHIN: [&str; 6] = [
        "Compose takes every file",
        "Docker takes the stacks for Swarm",
        "kustomize builds the base and every overlay",
        "promtool takes configuration and rules",
        "alerts fire when they must, and else not",
        "HAProxy takes its configuration",
    ];

    #[test]
    fn every_promise_is_broken_somewhere() {
        let breaches = Workspace::find(None).unwrap().read("xtask/tests/broken_stacks.rs").unwrap();
        for Promise { name, .. } in PROMISES {
            let is_broken = breaches.contains(&format!("\"{name}\"")) || BROKEN_WITHIN.contains(name);
            assert!(is_broken, "xtask/tests/broken_stacks.rs does not break `{name}`");
        }
        let names: Vec<&str> = PROMISES.iter().map(|promise| promise.name).collect();
        assert!(ALONE.iter().all(|alone| names.contains(alone)), "{ALONE:?}");
    }
}
