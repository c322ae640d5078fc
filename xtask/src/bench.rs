//! `cargo xtask bench`: figures as ratios to a peer or a physical limit, measured in the same run.
//!
//! These are no tests: machines are noisy. Contenders take turns (round by round, not one after the other), the
//! median counts, and the spread is shown beside it.

mod buildkit;
mod cold;
mod container;
pub mod history;
mod image;
mod memory;
mod registry;
mod server;
mod table;

use anyhow::Result;

use crate::facts::Workspace;
use crate::image::Format;
use crate::ui::Ui;

use table::{Contender, Figure, Row, Table, machine, nothing, race};

/// Measure, against peers and limits in the same run
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Also add the results to the history in bench/, to be committed
    #[arg(long, global = true)]
    record: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// The server: pgbench, start and memory, against PostgreSQL where that is installed
    Server {
        /// How often each contender runs
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// A container against the same program without one: starts, work, processor, memory, writes
    Container {
        /// The image, by the engine's name
        image: String,
        /// How often each contender runs
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Building images: assembly against BuildKit and gzip, and a run with nothing changed
    Image {
        /// Also build xtask, and a clone's first image, from nothing, then edit a line of the server: takes minutes
        #[arg(long)]
        cold: bool,
        /// How often each contender runs
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Pushing to a registry on loopback: unchanged, and with new layers against `skopeo copy`
    Registry {
        /// How often each contender runs
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
        /// How results are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Compare what was recorded of two commits, benchmark by benchmark
    Compare {
        /// The beginning of a commit, or a tag; or only this one, with the last run [default: the last run but one]
        old: Option<String>,
        /// The same [default: the last run]
        new: Option<String>,
    },
    /// The most memory that `base import` and `image` take with a base of this size
    Memory {
        /// Bytes of the base, in GB
        #[arg(long, default_value_t = 2)]
        gigabytes: u64,
    },
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let load = history::load();
        let (kind, table, format) = match self.command {
            Command::Server { rounds, format } => ("server", server::bench(workspace, rounds, ui)?, format),
            Command::Container { image, rounds, format } => {
                ("container", container::bench(workspace, &image, rounds, ui)?, format)
            }
            Command::Image { cold, rounds, format } => {
                ("image", image::bench(workspace, cold, rounds, ui)?, format)
            }
            Command::Registry { rounds, format } => {
                ("registry", registry::bench(workspace, rounds, ui)?, format)
            }
            Command::Compare { old, new } => {
                return history::compare(workspace, old.as_deref(), new.as_deref());
            }
            Command::Memory { gigabytes } => return memory::bench(workspace, gigabytes, ui),
        };
        if load >= 1.0 {
            ui.line(
                "noise",
                format_args!("this machine was busy before: load {load:.1}; medians may be off"),
            );
        }
        if self.record {
            history::record(workspace, kind, &table, load, ui)?;
        }
        match format {
            Format::Human => print!("{}", table.render()),
            Format::Json => println!("{}", serde_json::to_string_pretty(&table)?),
        }
        Ok(())
    }
}
