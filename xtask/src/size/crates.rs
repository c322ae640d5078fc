//! Which crates take the room in an image's programs, and which of them grew since a commit.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use plan::Target;
use plan::size::changes;
use serde::Serialize;

use super::clone;
use crate::facts::Workspace;
use crate::symbols;
use crate::ui::Ui;

/// What the crates of a target's programs come to, by the sizes of their symbols.
#[derive(Clone, Debug, Serialize)]
pub struct Crates {
    /// Bytes by crate.
    pub bytes: BTreeMap<String, u64>,
    /// By crate, what changed most first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<Vec<(String, i64)>>,
}

/// Builds the programs with their symbols, also those of the commit `since`. The first time that takes minutes.
pub fn measure(workspace: &Workspace, target: &Target, since: Option<&str>, ui: &Ui) -> Result<Crates> {
    let bytes = symbols::crates(workspace, target, false, ui)?;
    let growth = match since {
        Some(commit) => Some(changes(&at(workspace, target, commit, ui)?, &bytes)),
        None => None,
    };
    Ok(Crates { bytes, growth })
}

/// Those of a commit, which is built in a clone. The answer is kept: it will not change.
fn at(workspace: &Workspace, target: &Target, commit: &str, ui: &Ui) -> Result<BTreeMap<String, u64>> {
    let kept = workspace.target.join("size").join(format!("{commit}-{}.json", target.toolchain.target));
    if let Some(known) = std::fs::read(&kept).ok().and_then(|json| serde_json::from_slice(&json).ok()) {
        return Ok(known);
    }
    ui.line("building", format_args!("{commit}, to compare its crates"));
    let temp = tempfile::tempdir()?;
    let there = workspace.at(clone(workspace, commit, temp.path())?, temp.path().join("target"));
    let bytes = symbols::crates(&there, target, false, ui)
        .with_context(|| format!("--against {commit}: cannot build it"))?;
    std::fs::create_dir_all(kept.parent().context("a file lies in a folder")?)?;
    let mut file = tempfile::NamedTempFile::new_in(&workspace.target)?;
    serde_json::to_writer(&mut file, &bytes)?;
    file.persist(&kept).with_context(|| format!("{}: cannot write", kept.display()))?;
    Ok(bytes)
}
