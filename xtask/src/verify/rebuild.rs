//! The same commit, built again where nothing is the same, by the command that anybody can run.

use anyhow::{Context as _, Result, ensure};
use plan::Facts;

use super::skip;
use crate::facts::{self, Workspace};

/// Runs `cargo xtask verify-rebuild` on the distroless image in `target/oci`.
pub fn same_digest(workspace: &Workspace, facts: &Facts) -> Result<()> {
    match &facts.revision {
        None => return skip("the sources are no git checkout"),
        Some(revision) if revision.dirty => {
            return skip("there are changes that HEAD does not have; commit first");
        }
        Some(_) => {}
    }
    let image = format!("oci:{}:{}-distroless", workspace.target.join("oci").display(), facts.version);
    let output = duct::cmd!(facts::own_program()?, "verify-rebuild", &image)
        .dir(&workspace.root)
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .context("cargo xtask verify-rebuild")?;
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let error = told.lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default();
    ensure!(output.status.success(), "{error}; {}", said.trim());
    Ok(())
}
