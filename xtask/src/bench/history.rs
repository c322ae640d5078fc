//! The history of benchmarks in `bench/`: one file of JSON lines a kind, committed with what was measured.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use report::history::{self, Run};

use super::Table;
use crate::facts::{self, Workspace};
use crate::ui::{Ui, Usage};

/// The folder, below the catalogue's root: another catalogue has a history of its own.
const FOLDER: &str = "bench";

/// The processes that wanted to run during the last minute, as Linux counts them.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// The runs that are recorded, by kind; none where nothing is.
pub fn all(workspace: &Workspace) -> Result<Vec<(String, Vec<Run>)>> {
    let folder = workspace.sources().join(FOLDER);
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten() {
        let path = entry?.path();
        let Some(kind) = path.file_name().and_then(|n| n.to_str()?.strip_suffix(".jsonl")) else { continue };
        let shown = format!("{FOLDER}/{kind}.jsonl");
        let text = std::fs::read_to_string(&path).with_context(|| format!("{shown}: cannot read"))?;
        kinds.push((kind.to_string(), history::parse(&shown, &text)?));
    }
    kinds.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(kinds)
}

/// Adds a run of the checked-out commit.
pub fn record(workspace: &Workspace, kind: &str, table: &Table, load: f64, ui: &Ui) -> Result<()> {
    let run = Run {
        machine: table.machine.clone(),
        load,
        rows: table.rows.clone(),
        figures: table.figures.clone(),
        skipped: table.skipped.clone(),
        ..now(workspace)?
    };
    add(workspace, kind, &run, ui)
}

/// A run of this commit at this moment, in which nothing was measured yet.
pub fn now(workspace: &Workspace) -> Result<Run> {
    let facts = workspace.facts(&workspace.spec()?)?;
    Ok(Run {
        commit: facts
            .revision_label()
            .context("--record: this is no git checkout: there is no commit to record")?,
        time: plan::facts::rfc3339(facts::clock()),
        machine: String::new(),
        load: load(),
        rows: Vec::new(),
        figures: Vec::new(),
        skipped: Vec::new(),
    })
}

/// Adds a run to the file of its kind, which is replaced in one step.
pub fn add(workspace: &Workspace, kind: &str, run: &Run, ui: &Ui) -> Result<()> {
    let folder = workspace.sources().join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("{FOLDER}: cannot create"))?;
    let path: PathBuf = folder.join(format!("{kind}.jsonl"));
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => bail!("{FOLDER}/{kind}.jsonl: cannot read: {e}"),
    };
    let text = before + &history::line(run);
    oci::cache::write_atomically(&path, &folder, text.as_bytes())?;
    ui.line("recorded", format_args!("{FOLDER}/{kind}.jsonl: {}", run.commit));
    Ok(())
}

/// Prints what changed between two commits.
pub fn compare(workspace: &Workspace, old: Option<&str>, new: Option<&str>) -> Result<()> {
    let kinds = all(workspace)?;
    if kinds.is_empty() {
        bail!("{FOLDER}: nothing is recorded; run `cargo xtask bench image --record`");
    }
    let full = |name: &str| workspace.commit_of(name).unwrap_or_else(|| name.to_string());
    let (old, new) = (old.map(full), new.map(full));
    let mut compared = 0;
    for (kind, runs) in &kinds {
        let Some((last, before)) = runs.split_last() else { continue };
        let new = match &new {
            Some(commit) => history::of_commit(runs, commit),
            None => Some(last),
        };
        let old = match &old {
            Some(commit) => history::of_commit(runs, commit),
            None => before.last(),
        };
        if let (Some(old), Some(new)) = (old, new) {
            if compared > 0 {
                println!();
            }
            print!("{}", report::compare::render(kind, old, new));
            compared += 1;
        }
    }
    if compared == 0 {
        let commits: std::collections::BTreeSet<&str> =
            kinds.iter().flat_map(|(_, runs)| runs).map(|run| run.commit.as_str()).collect();
        return Err(Usage(format!(
            "no benchmark has two runs to compare; recorded are {}",
            commits.into_iter().collect::<Vec<_>>().join(", ")
        ))
        .into());
    }
    Ok(())
}
