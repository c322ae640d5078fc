//! `cargo xtask ci`: the whole gate, as CI runs it.

use anyhow::{Result, bail};

use crate::facts::Workspace;
use crate::ui::{Ui, Usage};

/// The gate, beside the workspace's root.
const GATE: &str = ".ci/run";

/// Run the whole gate, as CI does: format, lints, generated files, tests, container tests
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        if !workspace.root.join(GATE).exists() {
            return Err(Usage(format!("{GATE}: this workspace has no gate")).into());
        }
        ui.line("running", GATE);
        let status = std::process::Command::new("bash").arg(GATE).current_dir(&workspace.root).status()?;
        if !status.success() {
            bail!("{GATE} failed ({status}); its own words are above");
        }
        Ok(())
    }
}
