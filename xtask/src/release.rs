//! `cargo xtask release`: from a clean tree to tags in every registry, in steps that each say what they will do and
//! did. A dry run unless told otherwise; a run that was stopped goes on where it was; nothing public is undone.

mod state;
mod steps;

use anyhow::{Context as _, Result, bail};
use plan::Spec;
use plan::release::changelog::{self, Commits};
use plan::release::{Ask, next};
use semver::Version;

use crate::facts::{self, Workspace};
use crate::ui::{Ui, Usage};
use state::State;
use steps::Step;

/// Where changes are told.
const CHANGELOG: &str = "CHANGELOG.md";

/// Cut a release: a dry run that says what each step would do, unless told to execute
///
/// Checks the tree, runs the gate, raises the version everywhere, writes the changelog, commits and tags; builds all
/// images for all platforms, attests them, pushes them by digest, checks those digests, moves the tags and writes the
/// notes. After a failure the same command goes on with the step that failed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask release minor                   what would be done
  cargo xtask release minor --execute --edit  do it, with a look at the changelog's section before it lands
  cargo xtask release patch --execute --prepare   commit, tag and push those; CI does the rest, by
  cargo xtask release --publish --execute
docs/release.md shows all of it.")]
pub struct Args {
    /// patch, minor, major, rc or a VERSION
    #[arg(value_name = "STEP|VERSION", required_unless_present = "publish")]
    ask: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Open the changelog's section in $VISUAL or $EDITOR before it lands
    #[arg(long)]
    edit: bool,
    /// Stop after commit and tag are pushed to `origin`: CI builds and publishes
    #[arg(long)]
    prepare: bool,
    /// Only what comes after the images: attest, push and promote those of target/oci, as CI does for a tag
    #[arg(long, conflicts_with_all = ["ask", "prepare", "edit"])]
    publish: bool,
    /// As of `cargo xtask push`; may be repeated
    #[arg(long, alias = "registry", value_name = "REPOSITORY")]
    to: Vec<String>,
}

/// What all steps know.
struct Release<'a> {
    workspace: &'a Workspace,
    spec: Spec,
    args: &'a Args,
    version: Version,
    /// The version of the sources before it.
    before: Version,
    branch: String,
    commits: Commits,
    ui: &'a Ui,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let asked = self.ask.clone().unwrap_or_else(|| workspace.version.to_string());
        let ask = Ask::parse(&asked)?;
        if let Some(other) = workspace.other_catalogue() {
            let text = format!(
                "--spec {}: a release is of the workspace and its own catalogue; leave it out",
                other.display()
            );
            return Err(Usage(text).into());
        }
        let earlier = State::read(workspace)?;
        let mut state = match earlier {
            Some(state) if state.is_asked_for(&asked) => state,
            Some(state) => {
                return Err(Usage(format!(
                    "release {}: is unfinished; run `cargo xtask release {} --execute` to go on, or remove {} to forget it",
                    state.version,
                    state.version,
                    State::path(workspace).display()
                ))
                .into());
            }
            None => {
                let head = workspace
                    .commit_of("HEAD")
                    .context("no commit is checked out, and a release is of one; run `git commit` first")?;
                let version = next(&workspace.version, &ask)?;
                let now = facts::source_date_epoch()?.unwrap_or_else(facts::clock);
                State::new(&asked, version, workspace.version.clone(), head, now)
            }
        };
        let branch = workspace.branch().unwrap_or_default();
        let messages = workspace.messages_since(workspace.last_release().as_deref());
        let release = Release {
            workspace,
            spec: workspace.spec()?,
            args: &self,
            version: state.version.clone(),
            before: state.before.clone(),
            branch,
            commits: Commits::read(messages.iter().map(String::as_str)),
            ui,
        };
        let steps = Step::of(&release);
        if !self.execute {
            return release.explain(&steps, &state);
        }
        release.execute(&steps, &mut state)
    }
}

impl Release<'_> {
    /// What each step would do.
    fn explain(&self, steps: &[Step], state: &State) -> Result<()> {
        println!(
            "release {} of {} (a dry run: nothing is changed; `--execute` does it)",
            self.version, self.branch
        );
        for step in steps {
            let done = if state.is_done(*step) { " (done before)" } else { "" };
            println!("{:>10}  {}{done}", step.name(), step.will(self));
        }
        if steps.contains(&Step::Changelog) && !state.is_done(Step::Changelog) {
            println!("\n{}", self.section(state)?.trim_end());
        }
        // What the first step would find wrong is wrong now.
        if state.is_done(Step::Check) || self.args.publish { Ok(()) } else { self.check(state) }
    }

    /// Each step that is not done yet.
    fn execute(&self, steps: &[Step], state: &mut State) -> Result<()> {
        state.is_where_it_was(self.workspace)?;
        for (i, step) in steps.iter().enumerate() {
            if state.is_done(*step) {
                self.ui.line(step.name(), "done before");
                continue;
            }
            self.ui.line(step.name(), step.will(self));
            step.run(self, state).with_context(|| {
                let public = steps[..i].iter().any(|s| s.is_public());
                let again = self.again();
                let kept = if public { "what is public stays" } else { "nothing is public yet" };
                format!(
                    "release {}, step {} of {}, {}: {kept}, and `{again}` goes on here",
                    self.version,
                    i + 1,
                    steps.len(),
                    step.name(),
                )
            })?;
            state.did(*step);
            state.write(self.workspace)?;
        }
        state.finish(self.workspace)?;
        self.ui.line("released", format_args!("{} {}", self.spec.project.title, self.version));
        Ok(())
    }

    /// The section of the changelog as the commits and `Unreleased` give it.
    fn section(&self, state: &State) -> Result<String> {
        let text = self.workspace.read(CHANGELOG)?;
        Ok(changelog::section(CHANGELOG, &text, &self.version, state.date, &self.commits)?)
    }

    /// That this tree, branch and version can become a release.
    fn check(&self, state: &State) -> Result<()> {
        let changed = self.workspace.uncommitted();
        if let Some(first) = changed.first() {
            bail!(
                "{} files are not committed, such as `{}`; commit or stash them",
                changed.len(),
                first.trim()
            );
        }
        if self.branch.is_empty() {
            bail!("no branch is checked out; run `git switch {}`", self.spec.publish.branches[0]);
        }
        if !self.spec.publish.allows(&self.branch) {
            bail!(
                "branch `{}`: releases are cut from {}, says `publish.branches` in docker/images.toml",
                self.branch,
                self.spec.publish.branches.join(", ")
            );
        }
        let behind = self.workspace.behind_origin(&self.branch);
        if behind > 0 {
            bail!("branch `{}`: origin has {behind} commits more; run `git pull --ff-only`", self.branch);
        }
        let tag = self.tag();
        if self.workspace.git_tags().contains(&tag) {
            bail!("tag `{tag}` exists: {} was released; release another version", self.version);
        }
        // A missing section shows now, and not when the version is raised.
        self.section(state)?;
        if self.commits.are_too_much_for(&self.before, &self.version) && self.version.pre.is_empty() {
            self.ui.line(
                "note",
                format_args!(
                    "the commits since the last release ask for a {} release",
                    self.commits.least_step()
                ),
            );
        }
        Ok(())
    }

    /// The command that goes on.
    fn again(&self) -> String {
        let ask = if self.args.publish { "--publish".to_string() } else { self.version.to_string() };
        let flags = if self.args.prepare { " --prepare" } else { "" };
        format!("cargo xtask release {ask} --execute{flags}")
    }

    /// The git tag.
    fn tag(&self) -> String {
        format!("v{}", self.version)
    }
}
