//! `cargo xtask stackbrew`: the library file for Docker's Official Images.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use plan::stackbrew::{Source, library, supported};
use plan::tags::release::parse_version;
use plan::tags::spec::grammar;

use crate::facts::Workspace;
use crate::ui::{Ui, Usage};

/// Write the library file for Docker's Official Images
///
/// It names the Dockerfiles docker/VARIANT/source.Dockerfile, which `cargo xtask generate` writes without a health
/// check, at the commits of the releases. Prints the file.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask stackbrew                              the newest release of each series, by git's tags
  cargo xtask stackbrew --version 2.0.0 --version 1.4.2 --output ../official-images/library/scratchbird")]
pub struct Args {
    /// A release; may be repeated, the newest first [default: the newest of each series]
    #[arg(long, value_name = "VERSION")]
    version: Vec<String>,
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let git_tags = workspace.git_tags();
        let grammar = grammar(&spec.images[&spec.project.default_image]);
        let typed: Vec<_> =
            self.version.iter().map(|text| parse_version(&grammar, text)).collect::<plan::Result<_>>()?;
        let versions = if typed.is_empty() { supported(&spec, &git_tags) } else { typed };
        if versions.is_empty() {
            return Err(Usage(
                "no release has a git tag; run `git fetch --tags`, or make the first with `cargo xtask release`".into(),
            )
            .into());
        }
        let source = |version: plan::tags::version::Version| -> Result<Source> {
            let tag = format!("v{version}");
            let commit = workspace.commit_of(&format!("refs/tags/{tag}")).ok_or_else(|| {
                Usage(format!("--version {version}: git has no tag `{tag}`; run `git fetch --tags`"))
            })?;
            Ok(Source { version, tag, commit })
        };
        let sources = versions.into_iter().map(source).collect::<Result<Vec<_>>>()?;
        let text = library(&spec, &sources, &git_tags)?;
        if let Some(path) = &self.output {
            let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            oci::cache::write_atomically(path, dir, text.as_bytes())
                .with_context(|| format!("--output {}", path.display()))?;
            ui.line("wrote", path.display());
        }
        print!("{text}");
        Ok(())
    }
}
