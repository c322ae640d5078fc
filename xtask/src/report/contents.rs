//! The sections of the page about what images are made of, and what is known to be wrong with it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use plan::Spec;
use report::page::{Block, Section, Table};
use supply::finding::Severity;
use supply::inventory::{CrateFacts, Inventory};

use crate::facts::Workspace;
use crate::sbom;
use crate::scan;
use crate::size::Subject;
use crate::store::Store;
use crate::ui::Ui;

/// Reads images of a layout.
pub struct Reader<'a> {
    workspace: &'a Workspace,
    spec: &'a Spec,
    advisory_db: Option<&'a Path>,
    layout: &'a Path,
    ui: &'a Ui,
    crates: CrateFacts,
}

impl<'a> Reader<'a> {
    /// With what this checkout knows of crates.
    pub fn new(
        workspace: &'a Workspace,
        spec: &'a Spec,
        advisory_db: Option<&'a Path>,
        layout: &'a Path,
        ui: &'a Ui,
    ) -> Result<Reader<'a>> {
        let crates = sbom::crate_facts(workspace, spec)?;
        Ok(Reader { workspace, spec, advisory_db, layout, ui, crates })
    }

    fn open(&self, subject: &Subject) -> Result<Store> {
        let name =
            format!("oci:{}:{}", self.layout.display(), subject.image.layout_name(&subject.image.tags[0]));
        Store::open(&name, self.workspace, self.spec, self.ui)
    }

    /// What each image is made of, and under which licences.
    pub fn parts(&self, subjects: &[Subject]) -> Result<Section> {
        let mut blocks = Vec::new();
        for subject in subjects {
            let store = self.open(subject)?;
            let (_, inventory) =
                sbom::take_stock(&store, &subject.platform, &subject.manifest, &self.crates)?;
            blocks.push(Block::Heading(heading(subject)));
            blocks.push(Block::Table(licences(&inventory)));
            let summary = format!("All {} parts", inventory.components.len());
            blocks.push(Block::Folded(summary, vec![Block::Table(components(&inventory))]));
        }
        Ok(Section {
            id: "contents",
            title: "Contents and licences",
            about: "What `cargo xtask sbom` reads from each image itself.".into(),
            blocks,
        })
    }

    /// What is wrong with each image.
    pub fn findings(&self, subjects: &[Subject]) -> Result<Section> {
        let (workspace, spec) = (self.workspace, self.spec);
        let world = scan::World { workspace, spec, advisory_db: self.advisory_db, ignore: None };
        let mut blocks = Vec::new();
        for subject in subjects {
            self.ui.line("scanning", heading(subject));
            let (report, _) = world.scan(&self.open(subject)?, &subject.manifest)?;
            blocks.push(Block::Heading(heading(subject)));
            let high = report.count(Severity::High);
            blocks.push(Block::Text(format!(
                "{} findings, {high} of them high or worse, {} ignored.",
                report.findings.len(),
                report.ignored.len()
            )));
            for what in &report.unchecked {
                blocks.push(Block::Text(format!("Not checked: {what}.")));
            }
            let row = |severity: &str, finding: &supply::finding::Finding, message: &str| {
                vec![
                    severity.to_string(),
                    finding.tool.to_string(),
                    finding.rule.clone(),
                    finding.place.clone(),
                    message.to_string(),
                ]
            };
            let found = report.findings.iter().map(|f| row(f.severity.name(), f, &f.message));
            let ignored = report.ignored.iter().map(|(f, reason)| row("ignored", f, reason));
            let rows: Vec<Vec<String>> = found.chain(ignored).collect();
            if !rows.is_empty() {
                blocks.push(Block::Table(Table {
                    caption: "Findings, worst first".into(),
                    head: vec!["Severity", "Tool", "Rule", "Where", "What"],
                    numbers: vec![],
                    rows,
                }));
            }
        }
        Ok(Section {
            id: "findings",
            title: "Findings",
            about: "What `cargo xtask scan` finds, and what it could not look at.".into(),
            blocks,
        })
    }
}

fn heading(subject: &Subject) -> String {
    format!("{} {}", subject.image.name(), oci::platform::display(&subject.platform))
}

/// How many parts have which licence, most first.
fn licences(inventory: &Inventory) -> Table {
    let mut counts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for part in &inventory.components {
        counts.entry(part.licence.as_deref().unwrap_or("not known")).or_default().push(&part.name);
    }
    let mut counts: Vec<(&str, Vec<&str>)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(b.0)));
    let examples = |names: &[&str]| {
        let more = if names.len() > 3 { ", …" } else { "" };
        format!("{}{more}", names[..names.len().min(3)].join(", "))
    };
    Table {
        caption: "Licences".into(),
        head: vec!["Licence", "Parts", "Such as"],
        numbers: vec![1],
        rows: counts
            .iter()
            .map(|(licence, names)| vec![(*licence).to_string(), names.len().to_string(), examples(names)])
            .collect(),
    }
}

fn components(inventory: &Inventory) -> Table {
    let row = |part: &supply::inventory::Component| {
        let licence = part.licence.clone().unwrap_or_else(|| "not known".into());
        vec![part.name.clone(), part.version.clone(), licence, part.purl.clone()]
    };
    Table {
        caption: "Parts".into(),
        head: vec!["Name", "Version", "Licence", "Package URL"],
        numbers: vec![],
        rows: inventory.components.iter().map(row).collect(),
    }
}
