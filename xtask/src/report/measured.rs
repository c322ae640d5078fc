//! The sections of the page about sizes and times.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use oci::layout::Layout;
use oci_spec::image::Platform;
use plan::size::Measured;
use plan::{Facts, Selection, Spec};
use report::history::Run;
use report::page::{Bars, Block, Lines, Section, Table, Treemap};
use report::treemap::Node;

use crate::facts::Workspace;
use crate::size::{self, Subject};
use crate::ui::{self, Ui};
use crate::{build, symbols};

/// The part of an image below which files are drawn together: one in a thousand can't be seen.
const SMALLEST: u64 = 500;
/// How many files the table beside a map names.
const LARGEST: usize = 20;
/// How many runs the histories show: more are a blur on a phone.
const MOMENTS: usize = 50;

/// What images are measured in.
pub struct World<'a> {
    /// This checkout.
    pub workspace: &'a Workspace,
    /// Its catalogue.
    pub spec: &'a Spec,
    /// Its facts.
    pub facts: &'a Facts,
    /// Where the images lie.
    pub layout: &'a Layout,
    /// Who is told.
    pub ui: &'a Ui,
}

/// Bytes of crates, by the platform of the program.
type Crates = BTreeMap<String, BTreeMap<String, u64>>;

impl World<'_> {
    /// Every image with its map.
    pub fn images(&self, subjects: &[Subject], with_crates: bool) -> Result<Section> {
        let crates = if with_crates { self.crates(subjects)? } else { Crates::new() };
        let mut rows = Vec::new();
        let mut maps = Vec::new();
        for (number, subject) in subjects.iter().enumerate() {
            self.ui.line(
                "measuring",
                format_args!("{} {}", subject.image.name(), oci::platform::display(&subject.platform)),
            );
            let image =
                size::measure(self.layout.blobs(), &subject.manifest, subject.image, &subject.platform)?;
            let budget = self.spec.images[&subject.image.image].budgets.get(&image.variant);
            let of = |bytes: u64, budget: Option<u64>| match budget {
                Some(budget) => format!("{} of {}", ui::bytes_text(bytes), ui::bytes_text(budget)),
                None => ui::bytes_text(bytes),
            };
            rows.push(vec![
                image.name.clone(),
                image.platform.clone(),
                of(image.compressed(), budget.map(|b| b.compressed)),
                of(image.unpacked(), budget.map(|b| b.unpacked)),
                image.digest.clone(),
            ]);
            maps.push(Block::Heading(format!("{} {}", image.name, image.platform)));
            maps.push(Block::Treemap(Treemap {
                id: format!("map-{number}"),
                caption: "What is in it, unpacked: layers, folders, files. A folder opens its own map."
                    .into(),
                root: tree(&image, subject, self.spec, crates.get(&image.platform)),
            }));
            maps.push(Block::Folded("The same as tables".into(), tables(&image)));
        }
        let table = Table {
            caption: "Sizes against the budgets of docker/images.toml".into(),
            head: vec!["Image", "Platform", "As pulled", "Unpacked", "Digest"],
            numbers: vec![2, 3],
            rows,
        };
        let about = if with_crates { "" } else { " With --crates the programs' own parts would show." };
        Ok(Section {
            id: "images",
            title: "Images",
            about: format!("What takes the room in each image.{about}"),
            blocks: std::iter::once(Block::Table(table)).chain(maps).collect(),
        })
    }

    fn crates(&self, subjects: &[Subject]) -> Result<Crates> {
        let platforms: BTreeSet<String> =
            subjects.iter().map(|s| oci::platform::display(&s.platform)).collect();
        let selection = Selection {
            variants: vec!["all".into()],
            platforms: platforms.into_iter().collect(),
            ..Selection::default()
        };
        let mut crates = Crates::new();
        for target in plan::plan(self.spec, self.facts, &selection)?.targets {
            self.ui.line("measuring", format_args!("crates for {}", shown(&target.platform)));
            let built = build::build_with_symbols(self.workspace, &target, false, self.ui)?;
            for binary in built.binaries.values() {
                crates.insert(shown(&target.platform), symbols::by_crate(&binary.source.path)?);
            }
        }
        Ok(crates)
    }
}

fn shown(platform: &Platform) -> String {
    oci::platform::display(platform)
}

/// Layers, folders, files, and the crates in the program where they are known.
fn tree(image: &Measured, subject: &Subject, spec: &Spec, crates: Option<&BTreeMap<String, u64>>) -> Node {
    let layers = image.layers.iter().map(|layer| {
        let files = layer.files.iter().map(|(path, bytes)| (path.as_str(), *bytes));
        Node::of_files(&format!("{} layer", layer.from), files)
    });
    let mut root = Node::of(image.name.clone(), layers.collect());
    let binary = spec.images[&subject.image.image].binary.as_ref();
    if let (Some(crates), Some(binary)) = (crates, binary) {
        let path: Vec<&str> = binary.path.split('/').filter(|part| !part.is_empty()).collect();
        for layer in &mut root.children {
            if let Some(program) = at(layer, &path) {
                let known: u64 = crates.values().sum();
                program.children =
                    crates.iter().map(|(name, bytes)| Node::leaf(format!("crate {name}"), *bytes)).collect();
                // Symbols cover code and data, not tables for unwinding, relocations and the like.
                program.children.push(Node::leaf("without a symbol", program.bytes.saturating_sub(known)));
            }
        }
    }
    let least = root.bytes / SMALLEST;
    root.pruned(least)
}

fn at<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
    let Some((first, rest)) = path.split_first() else { return Some(node) };
    at(node.children.iter_mut().find(|child| child.name == *first)?, rest)
}

fn tables(image: &Measured) -> Vec<Block> {
    let layers = image.layers.iter().map(|layer| {
        vec![
            layer.from.clone(),
            ui::bytes_text(layer.compressed),
            ui::bytes_text(layer.unpacked),
            layer.files.len().to_string(),
        ]
    });
    let files =
        image.largest(LARGEST).into_iter().map(|(path, size)| vec![format!("/{path}"), ui::bytes_text(size)]);
    vec![
        Block::Table(Table {
            caption: "Layers, bottom first".into(),
            head: vec!["Layer", "As pulled", "Unpacked", "Files"],
            numbers: vec![1, 2, 3],
            rows: layers.collect(),
        }),
        Block::Table(Table {
            caption: format!("The {LARGEST} largest files"),
            head: vec!["File", "Bytes"],
            numbers: vec![1],
            rows: files.collect(),
        }),
    ]
}

/// How sizes went, commit by commit.
pub fn sizes(history: &[(String, Vec<Run>)]) -> Section {
    let runs = history.iter().find(|(kind, _)| kind == "size").map_or(&[][..], |(_, runs)| runs);
    let blocks = match runs {
        [] => vec![Block::Text("Nothing is recorded yet: `cargo xtask size --record` does.".into())],
        runs => figures(runs, "As pulled"),
    };
    Section {
        id: "sizes",
        title: "Size history",
        about: "What was recorded with commits in bench/size.jsonl.".into(),
        blocks,
    }
}

/// A drawing a unit of the figures of these runs.
fn figures(runs: &[Run], caption: &str) -> Vec<Block> {
    let runs = &runs[runs.len().saturating_sub(MOMENTS)..];
    let moments: Vec<String> = runs.iter().map(|run| short(&run.commit)).collect();
    let mut units: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for figure in runs.iter().flat_map(|run| &run.figures) {
        let names = units.entry(&figure.unit).or_default();
        if !names.contains(&figure.what.as_str()) {
            names.push(&figure.what);
        }
    }
    let drawing = |(unit, names): (&&str, &Vec<&str>)| {
        let value = |run: &Run, name: &str| {
            run.figures.iter().find(|f| f.what == name && f.unit == **unit).map(|f| f.value)
        };
        let series =
            names.iter().map(|name| ((*name).to_string(), runs.iter().map(|run| value(run, name)).collect()));
        Block::Lines(Lines {
            caption: format!("{caption}, in {unit}, over {} commits", moments.len()),
            // Units are a handful of words of our own; a page knows those.
            unit: known(unit),
            moments: moments.clone(),
            series: series.collect(),
        })
    };
    units.iter().map(drawing).collect()
}

fn known(unit: &str) -> &'static str {
    ["MB", "ms", "s", "tps"].into_iter().find(|known| *known == unit).unwrap_or("")
}

fn short(commit: &str) -> String {
    let (id, dirty) = commit.split_once('-').map_or((commit, ""), |(id, _)| (id, "+"));
    format!("{}{dirty}", &id[..id.len().min(9)])
}

/// The last run of each benchmark as bars, and how its rows went.
pub fn benchmarks(history: &[(String, Vec<Run>)]) -> Section {
    let mut blocks = Vec::new();
    for (kind, runs) in history.iter().filter(|(kind, _)| kind != "size") {
        let Some(last) = runs.last() else { continue };
        blocks.push(Block::Heading(format!("bench {kind}")));
        let busy = if last.load >= 1.0 {
            format!("; beside other work: load {:.1}", last.load)
        } else {
            String::new()
        };
        blocks.push(Block::Text(format!("{}, {}: {}{busy}", short(&last.commit), last.time, last.machine)));
        if !last.rows.is_empty() {
            blocks.push(Block::Bars(Bars {
                caption: format!("The last run of bench {kind}"),
                rows: last.rows.clone(),
            }));
        }
        if !last.figures.is_empty() {
            let row =
                |f: &report::history::Figure| vec![f.what.clone(), format!("{:.2} {}", f.value, f.unit)];
            blocks.push(Block::Table(Table {
                caption: "Read once".into(),
                head: vec!["What", "Value"],
                numbers: vec![1],
                rows: last.figures.iter().map(row).collect(),
            }));
        }
        for line in &last.skipped {
            blocks.push(Block::Text(format!("Not measured: {line}")));
        }
        if runs.len() > 1 {
            blocks.push(Block::Folded("Medians over time".into(), vec![medians(runs)]));
        }
    }
    if blocks.is_empty() {
        blocks.push(Block::Text("Nothing is recorded yet: `cargo xtask bench image --record` does.".into()));
    }
    Section {
        id: "benchmarks",
        title: "Benchmarks",
        about: "Medians and spreads as they were recorded in bench/.".into(),
        blocks,
    }
}

fn medians(runs: &[Run]) -> Block {
    let runs = &runs[runs.len().saturating_sub(MOMENTS)..];
    let mut names: Vec<&str> = Vec::new();
    for row in runs.iter().flat_map(|run| &run.rows) {
        if !names.contains(&row.what.as_str()) {
            names.push(&row.what);
        }
    }
    let value = |run: &Run, name: &str| run.rows.iter().find(|row| row.what == name).map(|row| row.seconds);
    let series =
        names.iter().map(|name| ((*name).to_string(), runs.iter().map(|run| value(run, name)).collect()));
    Block::Lines(Lines {
        caption: "Medians, in seconds".into(),
        unit: "s",
        moments: runs.iter().map(|run| short(&run.commit)).collect(),
        series: series.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_short() {
        let check = |commit: &str, expect: &str| assert_eq!(short(commit), expect);
        check("0123456789abcdef", "012345678");
        check("0123456789abcdef-dirty", "012345678+");
        check("abc", "abc");
    }

    #[test]
    fn crates_lie_within_the_program() {
        let mut node = Node::of_files("server layer", [("usr/local/bin/x", 100), ("usr/share/y", 5)]);
        assert_eq!(at(&mut node, &["usr", "local", "bin", "x"]).unwrap().bytes, 100);
        assert!(at(&mut node, &["usr", "bin"]).is_none());
    }
}
