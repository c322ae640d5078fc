//! `cargo xtask`: parses the command line and hands over to one file a subcommand. stdout is data, stderr is
//! progress; exit code 0 is success, 1 a failure, 2 wrong usage.

mod attach;
mod attest;
mod base;
mod bases;
mod bench;
mod build;
mod carry;
mod crates;
mod doctor;
mod engine;
mod facts;
mod generate;
mod image;
mod rebase;
mod sbom;
mod scan;
mod sign;
mod store;
mod tags;
mod ui;
mod verify;
mod verify_rebuild;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::ui::Ui;

/// Builds the ScratchBird database server and its container images, without a Docker daemon.
///
/// Start with `cargo xtask image --variant distroless`: it needs Rust and a C compiler, nothing else, and writes the
/// image to target/oci. Add `--load` to put it into Docker or Podman.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// No progress: only results on stdout and errors on stderr
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    Image(image::Args),
    Tags(tags::Args),
    Base(base::Args),
    Verify(verify::Args),
    VerifyRebuild(verify_rebuild::Args),
    Bench(bench::Args),
    Sbom(sbom::Args),
    Sign(sign::Args),
    Attest(attest::Args),
    Carry(carry::Args),
    Scan(scan::Args),
    Rebase(rebase::Args),
    Doctor(doctor::Args),
    Docs(generate::DocsArgs),
    Generate(generate::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Some(command) = cli.command else {
        // Asking for nothing is no mistake: say what there is.
        let _ = Cli::command().print_long_help();
        return ExitCode::SUCCESS;
    };
    let ui = Ui::new(cli.quiet);
    let result = facts::Workspace::find().and_then(|workspace| match command {
        Command::Image(args) => args.run(&workspace, &ui),
        Command::Tags(args) => args.run(&workspace, &ui),
        Command::Base(args) => args.run(&workspace, &ui),
        Command::Verify(args) => args.run(&workspace, &ui),
        Command::VerifyRebuild(args) => args.run(&workspace, &ui),
        Command::Bench(args) => args.run(&workspace, &ui),
        Command::Sbom(args) => args.run(&workspace, &ui),
        Command::Sign(args) => args.run(&workspace, &ui),
        Command::Attest(args) => args.run(&workspace, &ui),
        Command::Carry(args) => args.run(&workspace, &ui),
        Command::Scan(args) => args.run(&workspace, &ui),
        Command::Rebase(args) => args.run(&workspace, &ui),
        Command::Doctor(args) => args.run(&workspace, &ui),
        Command::Docs(args) => args.run(&workspace, &ui),
        Command::Generate(args) => args.run(&workspace, &ui),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(if ui::is_usage(&error) { 2 } else { 1 })
        }
    }
}
