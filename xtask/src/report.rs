//! `cargo xtask report`: one page of HTML that shows what the images are made of, how large they are and were, what is
//! known to be wrong with them, how fast things are, and which tags there will be.
//!
//! Here it is gathered; `crates/report` makes the page.

mod contents;
mod measured;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use oci::layout::Layout;
use plan::{Facts, Spec};
use report::page::{self, Block, Page, Section, Table};

use crate::facts::{self, Workspace};
use crate::size;
use crate::ui::Ui;
use crate::{bench, sbom};

/// Write one HTML page: treemaps and sizes of every image, contents, findings, benchmarks, tags
///
/// Reads the layout that `cargo xtask image` wrote, and the histories in bench/. The page needs nothing but itself: no
/// network, no script.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask image --variant all --image server --image client && cargo xtask report
  cargo xtask report --crates --out report.html")]
pub struct Args {
    /// The page [default: target/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The layout [default: target/oci]
    #[arg(long, value_name = "DIR")]
    layout: Option<PathBuf>,
    /// Show the crates within programs, which takes a build with symbols: minutes, the first time
    #[arg(long)]
    crates: bool,
    /// The folder or checkout of RustSec's advisory-db [default: Cargo's, where cargo-audit put it]
    #[arg(long, value_name = "DIR")]
    advisory_db: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let dir = self.layout.clone().unwrap_or_else(|| workspace.target.join("oci"));
        let layout = Layout::open(&dir).context("run `cargo xtask image --variant all` first")?;
        let plan = size::planned(&spec, &facts, &["all".into()], &[])?;
        let images: Vec<plan::PlannedImage> = plan.images.into_iter().filter(|image| image.wanted).collect();
        let subjects = size::subjects(&layout, &images, false)?;
        let world = measured::World { workspace, spec: &spec, facts: &facts, layout: &layout, ui };
        let history = bench::history::all(workspace)?;
        let contents = contents::Reader::new(workspace, &spec, self.advisory_db.as_deref(), &dir, ui)?;
        let sections = vec![
            world.images(&subjects, self.crates)?,
            measured::sizes(&history),
            contents.parts(&subjects)?,
            contents.findings(&subjects)?,
            measured::benchmarks(&history),
            tags(&images),
        ];
        let page = Page {
            title: format!("{} {}", spec.project.title, facts.version),
            facts: origin(&spec, &facts),
            sections,
        };
        let out = self.out.unwrap_or_else(|| workspace.target.join("report.html"));
        sbom::write(&out, page::render(&page).as_bytes())?;
        println!("{}", out.display());
        Ok(())
    }
}

/// What the page was made from.
fn origin(spec: &Spec, facts: &Facts) -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_string(), value);
    vec![
        fact("Commit", facts.revision_label().unwrap_or_else(|| "no git checkout".into())),
        fact("Made", plan::facts::rfc3339(facts::clock())),
        fact("Licence", spec.project.licenses.clone()),
    ]
}

/// The tag plan.
fn tags(images: &[plan::PlannedImage]) -> Section {
    let rows = images
        .iter()
        .map(|image| {
            let platforms: Vec<String> = image.platforms.iter().map(oci::platform::display).collect();
            vec![
                image.repository.clone(),
                image.variant.to_string(),
                image.tags.join(", "),
                platforms.join(", "),
            ]
        })
        .collect();
    let table = Table {
        caption: "Each image with all of its tags, the exact one first".into(),
        head: vec!["Repository", "Variant", "Tags", "Platforms here"],
        numbers: vec![],
        rows,
    };
    Section {
        id: "tags",
        title: "Tags",
        about: "What a release of this version is called, where it is the newest one.".into(),
        blocks: vec![Block::Table(table)],
    }
}
