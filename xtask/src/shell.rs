//! `cargo xtask completion` and `cargo xtask man`: what a shell and `man` want to know of the command line.
//!
//! The scripts complete the command `xtask`, as clap knows it, and teach `cargo` to hand its words over to that once
//! the first of them is `xtask`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Command;
use clap_complete::Shell;

use crate::facts::Workspace;
use crate::ui::Ui;

/// Print a completion script for your shell
#[derive(clap::Args)]
#[command(after_help = "Examples:
  source <(cargo xtask completion bash)                                     for this shell
  cargo xtask completion bash >> ~/.bashrc                                  for good, after cargo's own completion
  cargo xtask completion fish > ~/.config/fish/conf.d/cargo-xtask.fish")]
pub struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write a manual page for each subcommand
#[derive(clap::Args)]
#[command(after_help = "Example:
  cargo xtask man && man -l target/man/cargo-xtask-image.1")]
pub struct ManArgs {
    /// The folder to write [default: target/man]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// `_xtask` is clap's function; the words before `xtask` are taken off for it.
const BASH: &str = r#"
__cargo_xtask_or_cargo() {
    if [[ ${COMP_WORDS[1]-} == xtask && $COMP_CWORD -gt 1 ]]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        COMP_CWORD=$((COMP_CWORD - 1))
        _xtask xtask "$2" "$3"
    elif declare -F _cargo >/dev/null; then
        _cargo "$@"
    fi
}
complete -F __cargo_xtask_or_cargo -o nosort -o bashdefault -o default cargo
"#;

const ZSH: &str = r"
__cargo_xtask_or_cargo() {
    if [[ ${words[2]} == xtask && $CURRENT -gt 2 ]]; then
        shift words
        (( CURRENT-- ))
        _xtask
    elif (( $+functions[_cargo] )); then
        _cargo
    fi
}
compdef __cargo_xtask_or_cargo cargo
";

const FISH: &str = r#"
complete -c cargo -n '__fish_seen_subcommand_from xtask' -f -a '(complete -C (string replace -r "^.*?\bxtask" xtask -- (commandline -cp)))'
"#;

impl CompletionArgs {
    /// Runs the command.
    pub fn run(self, command: Command) -> Result<()> {
        print!("{}", script(command, self.shell));
        Ok(())
    }
}

/// The script for a shell; `cargo xtask` is wrapped where the shell can do that.
fn script(command: Command, shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command.name("xtask").bin_name("xtask"), "xtask", &mut script);
    let mut script = String::from_utf8(script).expect("clap writes UTF-8");
    script.push_str(match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
        _ => "",
    });
    script
}

impl ManArgs {
    /// Runs the command.
    pub fn run(self, command: Command, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let dir = self.output.unwrap_or_else(|| workspace.target.join("man"));
        std::fs::create_dir_all(&dir).with_context(|| format!("--output {}", dir.display()))?;
        let command = command.name("cargo-xtask").bin_name("cargo-xtask");
        clap_mangen::generate_to(command, &dir).with_context(|| format!("--output {}", dir.display()))?;
        ui.line("wrote", format_args!("the manual pages in {}", dir.display()));
        println!("{}", dir.join("cargo-xtask.1").display());
        Ok(())
    }
}
