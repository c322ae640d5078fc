//! `cargo xtask k8s`: the manifests in k8s/.

use anyhow::{Result, bail};
use plan::stack::{Pins, kubernetes};

use crate::facts::Workspace;
use crate::generate;
use crate::pins;
use crate::ui::Ui;

/// Write the manifests for Kubernetes: kustomize's base and overlays
#[derive(clap::Args)]
pub struct Args {
    /// Print them with images pinned to digests, instead of writing them
    #[arg(long)]
    digest: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let Some(manifests) = &spec.kubernetes else {
            bail!(
                "{}: has no `[kubernetes]`; add it, with `base` and `overlays`",
                workspace.spec_path().display()
            );
        };
        if !self.digest {
            return generate::write(workspace, &kubernetes::files(&spec, &Pins::new()), ui);
        }
        let overlays = manifests.overlays.values().flat_map(|overlay| &overlay.stacks);
        let references =
            overlays.chain([&manifests.base]).flat_map(|stack| pins::of_stack(&spec, stack)).collect();
        generate::print(&kubernetes::files(&spec, &pins::find(workspace, &spec, &references)?));
        Ok(())
    }
}
