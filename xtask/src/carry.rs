//! `cargo xtask carry`: takes what is attached to an image along to where the image was pushed.

use anyhow::{Result, ensure};

use crate::attach;
use crate::facts::Workspace;
use crate::sign;
use crate::store::Store;
use crate::ui::Ui;

/// Carry signatures, SBOMs and provenance of an image over to where it was pushed
///
/// What lies there already stays; doing it again changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Example:
  cargo xtask carry oci:target/oci:0.1.0 ghcr.io/scratchbird/scratchbird:0.1.0")]
pub struct Args {
    /// Where it was signed: a registry reference, or oci:DIR:TAG
    from: String,
    /// Where it was pushed
    to: String,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let from = Store::open(&self.from, workspace, &spec, ui)?;
        let to = Store::open(&self.to, workspace, &spec, ui)?;
        ensure!(
            from.root().digest() == to.root().digest(),
            "{} is {}, {} is {}: signatures are of one digest; push the image first",
            from.name(),
            from.root().digest(),
            to.name(),
            to.root().digest(),
        );
        ui.line("carried", format_args!("{} documents to {}", attach::carry(&from, &to)?, to.name()));
        println!("{}", sign::reference(&to));
        Ok(())
    }
}
