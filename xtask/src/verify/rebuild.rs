//! The same commit, built again where nothing is the same: another folder, another CARGO_HOME, another target folder.

use anyhow::{Context as _, Result, ensure};
use oci::layout::Layout;
use plan::Facts;
use xshell::{Shell, cmd};

use super::skip;
use crate::facts::{self, Workspace};

/// Builds HEAD's distroless image in a clone and compares with the one in `target/oci`.
pub fn same_digest(workspace: &Workspace, facts: &Facts) -> Result<()> {
    match &facts.revision {
        None => return skip("the sources are no git checkout"),
        Some(revision) if revision.dirty => {
            return skip("there are changes that HEAD does not have; commit first");
        }
        Some(_) => {}
    }
    let tag = format!("{}-distroless", facts.version);
    let here = Layout::open(workspace.target.join("oci"))?.resolve(Some(&tag))?;
    let temp = tempfile::tempdir()?;
    let clone = temp.path().join("somewhere/else entirely");
    let (home, target, output) =
        (temp.path().join("cargo-home"), temp.path().join("target"), temp.path().join("oci"));
    let (root, cargo) = (&workspace.root, facts::cargo());
    let sh = Shell::new()?;
    cmd!(sh, "git clone --quiet {root} {clone}").quiet().run()?;
    sh.change_dir(&clone);
    cmd!(sh, "{cargo} xtask --quiet image --variant distroless --output {output}")
        .env("CARGO_HOME", home)
        .env("CARGO_TARGET_DIR", target)
        .quiet()
        .ignore_stdout()
        .run()
        .context("the second build")?;
    let there = Layout::open(&output)?.resolve(Some(&tag))?;
    ensure!(
        here.digest() == there.digest(),
        "the digest is {} here and {} there",
        here.digest(),
        there.digest()
    );
    Ok(())
}
