//! The same commit, built again where nothing is the same: another folder, another CARGO_HOME, another target folder.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use oci::layout::Layout;
use oci_spec::image::Digest;
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
    let here = manifest(&workspace.target.join("oci"), &tag, facts)?;
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
    let there = manifest(&output, &tag, facts)?;
    ensure!(here == there, "the digest is {here} here and {there} there");
    Ok(())
}

/// The digest of the image for this machine: an index may hold others too.
fn manifest(layout: &Path, tag: &str, facts: &Facts) -> Result<Digest> {
    let layout = Layout::open(layout)?;
    let root = layout.resolve(Some(tag))?;
    Ok(oci::base::manifest_for(layout.blobs(), &root, &facts.host)?.digest().clone())
}
