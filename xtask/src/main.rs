//! `cargo xtask`: parses the command line and hands over to one file a subcommand. stdout is data, stderr is
//! progress; exit code 0 is success, 1 a failure, 2 wrong usage, 141 that nobody reads any more what is printed.

mod attach;
mod attest;
mod base;
mod bases;
mod bench;
mod build;
mod carry;
mod ci;
mod compose;
mod crates;
mod dockerfile;
mod doctor;
mod engine;
mod facts;
mod generate;
mod image;
mod k8s;
mod line;
mod loopback;
mod merge;
mod notes;
mod pins;
mod pipe;
mod promote;
mod publish;
mod push;
mod rebase;
mod release;
mod report;
mod sbom;
mod scan;
mod shell;
mod sign;
mod size;
mod stackbrew;
mod stage;
mod store;
mod symbols;
mod tags;
mod ui;
mod verify;
mod verify_rebuild;

use std::path::PathBuf;
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
    /// Work on another catalogue of images; paths in it are meant from its folder [default: docker/images.toml]
    #[arg(long, global = true, value_name = "PATH")]
    spec: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    Image(image::Args),
    Tags(tags::Args),
    Merge(merge::Args),
    Push(push::Args),
    Promote(promote::Args),
    Release(release::Args),
    Notes(notes::Args),
    Stackbrew(stackbrew::Args),
    Base(base::Args),
    Compose(compose::Args),
    K8s(k8s::Args),
    Verify(verify::Args),
    VerifyRebuild(verify_rebuild::Args),
    Bench(bench::Args),
    Size(size::Args),
    Report(report::Args),
    Ci(ci::Args),
    Sbom(sbom::Args),
    Sign(sign::Args),
    Attest(attest::Args),
    Carry(carry::Args),
    Scan(scan::Args),
    Rebase(rebase::Args),
    Doctor(doctor::Args),
    Docs(generate::DocsArgs),
    Dockerfile(dockerfile::Args),
    Generate(generate::Args),
    Completion(shell::CompletionArgs),
    Man(shell::ManArgs),
}

fn main() -> ExitCode {
    pipe::until_nobody_reads(run)
}

fn run() -> ExitCode {
    let cli = Cli::parse();
    let Some(command) = cli.command else {
        // Asking for nothing is no mistake: say what there is.
        let _ = Cli::command().print_long_help();
        return ExitCode::SUCCESS;
    };
    let ui = Ui::new(cli.quiet);
    let result = facts::Workspace::find(cli.spec.as_deref()).and_then(|workspace| match command {
        Command::Image(args) => args.run(&workspace, &ui),
        Command::Tags(args) => args.run(&workspace, &ui),
        Command::Merge(args) => args.run(&workspace, &ui),
        Command::Push(args) => args.run(&workspace, &ui),
        Command::Promote(args) => args.run(&workspace, &ui),
        Command::Release(args) => args.run(&workspace, &ui),
        Command::Stackbrew(args) => args.run(&workspace, &ui),
        Command::Notes(args) => args.run(&workspace, &ui),
        Command::Base(args) => args.run(&workspace, &ui),
        Command::Compose(args) => args.run(&workspace, &ui),
        Command::K8s(args) => args.run(&workspace, &ui),
        Command::Verify(args) => args.run(&workspace, &ui),
        Command::VerifyRebuild(args) => args.run(&workspace, &ui),
        Command::Bench(args) => args.run(&workspace, &ui),
        Command::Size(args) => args.run(&workspace, &ui),
        Command::Report(args) => args.run(&workspace, &ui),
        Command::Ci(args) => args.run(&workspace, &ui),
        Command::Sbom(args) => args.run(&workspace, &ui),
        Command::Sign(args) => args.run(&workspace, &ui),
        Command::Attest(args) => args.run(&workspace, &ui),
        Command::Carry(args) => args.run(&workspace, &ui),
        Command::Scan(args) => args.run(&workspace, &ui),
        Command::Rebase(args) => args.run(&workspace, &ui),
        Command::Doctor(args) => args.run(&workspace, &ui),
        Command::Dockerfile(args) => args.run(&workspace, &ui),
        Command::Docs(args) => args.run(&workspace, &ui),
        Command::Generate(args) => args.run(&workspace, &ui),
        Command::Completion(args) => args.run(Cli::command()),
        Command::Man(args) => args.run(Cli::command(), &workspace, &ui),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(if ui::is_usage(&error) { 2 } else { 1 })
        }
    }
}
