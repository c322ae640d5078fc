//! `cargo xtask compose`: the stacks in compose/, swarm/ and nomad/: writing, pinning, and running them.

mod program;
mod run;
mod test;

use anyhow::{Result, bail};
use plan::stack::{self, Pins};

use crate::facts::Workspace;
use crate::generate;
use crate::pins;
use crate::ui::Ui;

pub use program::Compose;
pub use run::own_images;

/// Write the stacks of docker/images.toml for Compose, Swarm, Nomad and CI services, or run one
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  cargo xtask compose                   write all stacks
  cargo xtask compose basic             print one: every file, each under its path
  cargo xtask compose prod --digest     with images pinned to digests
  cargo xtask compose up basic          build the images and start it
  cargo xtask compose down basic        stop it; its volumes stay"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print this stack instead of writing all
    stack: Option<String>,
    /// Pin images to digests: ours as they are in the layout, others as in docker/bases.lock
    #[arg(long, requires = "stack")]
    digest: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Build the images and start a stack with them
    Up(run::UpArgs),
    /// Stop a stack
    Down(run::DownArgs),
    /// Start every stack for real, with the images that the engine has, and use it
    Test(test::TestArgs),
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        match self.command {
            Some(Command::Up(args)) => return args.run(workspace, ui),
            Some(Command::Down(args)) => return args.run(workspace, ui),
            Some(Command::Test(args)) => return args.run(workspace, ui),
            None => {}
        }
        let spec = workspace.spec()?;
        let Some(name) = &self.stack else {
            let none = Pins::new();
            let all: Vec<_> =
                spec.stacks.keys().map(|name| stack::find(&spec, name, &none)).collect::<Result<_, _>>()?;
            if all.is_empty() {
                bail!(
                    "{}: has no `[stacks]`; add one, such as `[stacks.basic]`",
                    workspace.spec_path().display()
                );
            }
            let files: Vec<_> = all.iter().flat_map(stack::Stack::files).collect();
            return generate::write(workspace, &files, ui);
        };
        // The name first: a wrong one is wrong usage, whatever else is missing.
        stack::find(&spec, name, &Pins::new())?;
        let pins = if self.digest {
            pins::find(workspace, &spec, &pins::of_stack(&spec, name))?
        } else {
            Pins::new()
        };
        generate::print(&stack::find(&spec, name, &pins)?.files());
        Ok(())
    }
}
