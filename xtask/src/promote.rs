//! `cargo xtask promote`: the second phase of publishing. When every image is up by its digest in every registry and
//! the checks on those very digests have passed, the tags move: exact versions first, `latest` last.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plan::Spec;
use plan::promote::{self, Asked, Change, Move};
use plan::tags::output::github_outputs;
use plan::tags::{GitRef, Subject, Tag};
use registry::Client;
use serde::Serialize;

use crate::facts::{self, Workspace};
use crate::line;
use crate::publish::record::{Record, Recorded};
use crate::publish::{tags, upload};
use crate::push;
use crate::tags::{Format, Origin, write_github};
use crate::ui::{Ui, Usage};

/// Move the tags to the images that were pushed, once all of them are up and checked
///
/// Shows every tag with what it stands for now and what it comes to stand for. An exact version that stands for
/// something else, and a floating tag that would go back to an older version, are refused: then no tag moves.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask promote --version 1.2.3 --plan   every tag, old digest → new digest, and why; moves nothing
  cargo xtask promote --version 1.2.3          the checks, then the tags
  cargo xtask promote --withdraw 1.2.3         what floats returns to the release before; its exact tags stay")]
pub struct Args {
    #[command(flatten)]
    origin: Origin,
    /// Return the floating tags of this bad release to the release below it
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["version", "git_ref", "sha"])]
    withdraw: Option<String>,
    /// What `cargo xtask push` wrote down [default: target/publish.json]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Only show what would move
    #[arg(long)]
    plan: bool,
    /// How results are printed; github also writes the step's outputs and summary
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Output<'a> {
    version: &'a str,
    moves: &'a [Move],
    left: &'a [Tag],
    references: Vec<String>,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let path = self.record.clone().unwrap_or_else(|| push::default_record(workspace));
        let mut record = Record::read(&path)?;
        let client = push::client(&spec, ui)?;
        if let Some(version) = &self.withdraw {
            return self.withdraw(&client, &spec, &record, version, ui);
        }
        let context = self.origin.context(
            workspace,
            &facts::ci_event()?,
            facts::source_date_epoch()?.unwrap_or_else(facts::clock),
        )?;
        let subject = self.origin.subject(&context)?;
        is_of_these(&subject, context.git_ref.as_ref().and_then(GitRef::tag), &record)?;
        let asked = Asked {
            subject: &subject,
            context: &context,
            version: spec.project.version.as_ref().unwrap_or(&workspace.version),
            git_tags: &workspace.git_tags(),
            incomplete: workspace.is_shallow(),
        };
        let (names, moves) = tags::plan(&client, &spec, &asked, &record)?;
        self.show(&names.left, &moves, ui);
        if let Some(refusal) = promote::refusal(&moves) {
            bail!("{refusal}; no tag was touched");
        }
        if !self.plan {
            upload::verify(&client, &record)?;
            check(workspace, &spec, &mut record, &path, ui)?;
            tags::apply(&client, &moves, ui)?;
        }
        self.print(&names.version, &names.left, &moves, &record)
    }

    /// Returns what floats.
    fn withdraw(&self, client: &Client, spec: &Spec, record: &Record, version: &str, ui: &Ui) -> Result<()> {
        let moves = tags::withdrawal(client, spec, record, version)?;
        if moves.is_empty() {
            ui.line(
                "unchanged",
                format_args!("no tag stands for {version} that could return to another release"),
            );
        }
        self.show(&[], &moves, ui);
        if !self.plan {
            tags::apply(client, &moves, ui)?;
        }
        self.print(version, &[], &moves, record)
    }

    fn show(&self, left: &[Tag], moves: &[Move], ui: &Ui) {
        if !ui.is_quiet() {
            eprint!("{}", promote::render(moves, left));
        }
    }

    fn print(&self, version: &str, left: &[Tag], moves: &[Move], record: &Record) -> Result<()> {
        let references: Vec<String> = record.images.iter().flat_map(Recorded::references).collect();
        let tags: Vec<String> = moves.iter().map(|m| format!("{}:{}", m.repository, m.tag)).collect();
        let output = Output { version, moves, left, references };
        match self.format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&output)?),
            Format::Human | Format::Github => {
                if self.format == Format::Github {
                    let outputs = github_outputs(&[
                        ("version", version.to_string()),
                        ("tags", tags.join("\n")),
                        ("references", output.references.join("\n")),
                        ("json", serde_json::to_string(&output)?),
                    ]);
                    write_github(&outputs, &summary(version, moves))?;
                }
                for step in moves {
                    println!("{}:{}@{}", step.repository, step.tag, step.to);
                }
            }
        }
        Ok(())
    }
}

/// The tags of a release belong to images that say that version.
fn is_of_these(subject: &Subject, git_tag: Option<&str>, record: &Record) -> Result<()> {
    let bare = |text: &str| text.trim_start_matches('v').split('+').next().unwrap_or_default().to_string();
    let version = match subject {
        Subject::Version(typed) => bare(typed),
        // A tag that is no version names no release.
        Subject::Ref => match git_tag.map(bare).filter(|text| semver::Version::parse(text).is_ok()) {
            Some(version) => version,
            None => return Ok(()),
        },
    };
    if version == bare(&record.version) {
        return Ok(());
    }
    Err(Usage(format!(
        "version {version}: what was pushed is version {}; push the images of {version} first, or give `--version {}`",
        record.version, record.version
    ))
    .into())
}

/// Runs those checks that these images have not passed yet.
fn check(
    workspace: &Workspace,
    spec: &Spec,
    record: &mut Record,
    path: &std::path::Path,
    ui: &Ui,
) -> Result<()> {
    let names: Vec<String> = record.images.iter().map(|image| image.name.clone()).collect();
    for line in &spec.publish.checks {
        if record.passed.contains(line) {
            ui.line("passed", format_args!("cargo xtask {line}, before"));
            continue;
        }
        line::run_on(workspace, line, &record.layout, &names, ui).context("no tag was touched")?;
        record.passed.insert(line.clone());
        record.write(path)?;
    }
    Ok(())
}

fn summary(version: &str, moves: &[Move]) -> String {
    let mut text = format!("### Tags of {version}\n\n| tag | change | digest | why |\n|---|---|---|---|\n");
    for step in moves {
        let change = match step.change {
            Change::New => "new",
            Change::Moved => "moved",
            Change::Unchanged => "unchanged",
            Change::Refused => "refused",
        };
        let why = step.why.replace('|', "\\|").replace('<', "&lt;");
        text.push_str(&format!(
            "| `{}:{}` | {change} | `{}` | {why} |\n",
            step.repository, step.tag, step.to
        ));
    }
    text
}
