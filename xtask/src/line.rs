//! Lines of `cargo xtask` that images.toml names: gates, checks, attestations. They run as a user would run them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use plan::spec::publish::{expand, is_per_image};

use crate::facts::{self, Workspace};
use crate::ui::Ui;

/// Runs the line on the images of the layout: once, or once an image where it says so.
pub fn run_on(workspace: &Workspace, line: &str, layout: &Path, images: &[String], ui: &Ui) -> Result<()> {
    let layout = layout.display().to_string();
    if !is_per_image(line) {
        return run(workspace, &expand(line, &layout, ""), ui);
    }
    images
        .iter()
        .try_for_each(|name| run(workspace, &expand(line, &layout, &format!("oci:{layout}:{name}")), ui))
}

/// Runs `cargo xtask` with these words. What it prints goes to stderr: stdout is the caller's.
pub fn run(workspace: &Workspace, words: &[String], ui: &Ui) -> Result<()> {
    let shown = format!("cargo xtask {}", words.join(" "));
    ui.line("running", &shown);
    let mut command = Command::new(facts::own_program()?);
    if ui.is_quiet() {
        command.arg("--quiet");
    }
    if let Some(catalogue) = workspace.other_catalogue() {
        command.arg("--spec").arg(std::path::absolute(catalogue)?);
    }
    command.args(words).current_dir(&workspace.root).stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().with_context(|| format!("`{shown}`: cannot start"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status}); its own words are above");
    }
    Ok(())
}
