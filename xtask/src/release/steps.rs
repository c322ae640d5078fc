//! The steps of a release, in their order. Each can be run again: what it finds done it leaves.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plan::release::changelog;
use plan::tags;
use serde::{Deserialize, Serialize};
use xshell::cmd;

use super::state::State;
use super::{CHANGELOG, Release};
use crate::facts;
use crate::line;
use crate::notes;
use crate::push;

/// What a release does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Tree, branch and version are right.
    Check,
    /// The gate.
    Gate,
    /// The version everywhere.
    Version,
    /// The changelog's section.
    Changelog,
    /// The commit.
    Commit,
    /// The git tag.
    Tag,
    /// All images for all platforms, in a layout.
    Images,
    /// SBOM, provenance and signatures, in the layout.
    Attest,
    /// Commit and tag to `origin`.
    Origin,
    /// The images to the registries, by digest.
    Push,
    /// The checks on these digests, then the tags.
    Promote,
    /// The notes.
    Notes,
}

impl Step {
    /// Those of this release.
    pub fn of(release: &Release) -> Vec<Step> {
        use Step::*;
        let mut steps = match (release.args.publish, release.args.prepare) {
            (true, _) => vec![Attest, Push, Promote, Notes],
            (_, true) => vec![Check, Gate, Version, Changelog, Commit, Tag, Origin],
            // Nothing is public before everything is made.
            _ => vec![
                Check, Gate, Version, Changelog, Commit, Tag, Images, Attest, Origin, Push, Promote, Notes,
            ],
        };
        steps.retain(|step| match step {
            Gate => !release.spec.publish.gate.is_empty(),
            Attest => !release.spec.publish.attest.is_empty(),
            Origin => release.args.prepare || release.workspace.has_remote("origin"),
            _ => true,
        });
        steps
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Step::Check => "check",
            Step::Gate => "gate",
            Step::Version => "version",
            Step::Changelog => "changelog",
            Step::Commit => "commit",
            Step::Tag => "tag",
            Step::Images => "images",
            Step::Attest => "attest",
            Step::Origin => "origin",
            Step::Push => "push",
            Step::Promote => "promote",
            Step::Notes => "notes",
        }
    }

    /// Whether others see what it does.
    pub fn is_public(self) -> bool {
        matches!(self, Step::Origin | Step::Push | Step::Promote)
    }

    /// What it does, with the command that does it.
    pub fn will(self, release: &Release) -> String {
        let Release { version, before, branch, spec, .. } = release;
        let publish = &spec.publish;
        let lines = |lines: &[String]| {
            lines.iter().map(|line| format!("cargo xtask {line}")).collect::<Vec<_>>().join(", then ")
        };
        match self {
            Step::Check => {
                let branches = publish.branches.join(", ");
                format!("everything is committed, `{branch}` is one of {branches}, v{version} is free")
            }
            Step::Gate => lines(&publish.gate),
            Step::Version if version == before => format!("the sources are {version} already"),
            Step::Version => format!("{before} → {version} in Cargo.toml, Cargo.lock and generated files"),
            Step::Changelog => {
                format!(
                    "{CHANGELOG}: the section {version}; {} commits are not for users",
                    release.commits.others
                )
            }
            Step::Commit => format!("git commit --message 'Release {version}'"),
            Step::Tag => format!("git tag --annotate {}", release.tag()),
            Step::Images => shown(&release.images_line()),
            Step::Attest => lines(&publish.attest),
            Step::Origin => format!("git push --atomic origin {branch} {}", release.tag()),
            Step::Push => shown(&release.push_line()),
            Step::Promote => {
                let checks = if publish.checks.is_empty() {
                    String::new()
                } else {
                    format!("{}, then ", lines(&publish.checks))
                };
                format!("{checks}{}: {}", shown(&release.promote_line()), release.names().join(" "))
            }
            Step::Notes => format!("{} with digests and sizes", release.notes_path().display()),
        }
    }

    /// Does it.
    pub fn run(self, release: &Release, state: &mut State) -> Result<()> {
        match self {
            Step::Check => release.check(state),
            Step::Gate => release.run_lines(&release.spec.publish.gate),
            Step::Version => release.raise(),
            Step::Changelog => release.write_changelog(state),
            Step::Commit => release.commit(state),
            Step::Tag => release.make_tag(state),
            Step::Images => release.line(&release.images_line()),
            Step::Attest => release.attest(),
            Step::Origin => release.push_commit(),
            Step::Push => release.line(&release.push_line()),
            Step::Promote => release.line(&release.promote_line()),
            Step::Notes => release.write_notes(),
        }
    }
}

fn shown(words: &[String]) -> String {
    format!("cargo xtask {}", words.join(" "))
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(String::from).collect()
}

impl Release<'_> {
    fn folder(&self) -> PathBuf {
        State::folder(self.workspace, &self.version)
    }

    /// What others made lies where they put it; an own release has a folder of its own.
    fn layout(&self) -> PathBuf {
        if self.args.publish { self.workspace.target.join("oci") } else { self.folder().join("oci") }
    }

    fn record(&self) -> PathBuf {
        if self.args.publish {
            push::default_record(self.workspace)
        } else {
            self.folder().join("publish.json")
        }
    }

    fn notes_path(&self) -> PathBuf {
        self.folder().join("notes.md")
    }

    /// The images that are published.
    fn selected(&self) -> Vec<String> {
        let names = &self.spec.publish.images;
        if names.is_empty() { Vec::new() } else { vec!["--image".into(), names.join(",")] }
    }

    fn images_line(&self) -> Vec<String> {
        let mut line = words("image --variant all --platform all");
        line.extend(self.selected());
        line.extend(["--output".into(), self.layout().display().to_string()]);
        line
    }

    fn push_line(&self) -> Vec<String> {
        let mut line = words("push --layout");
        line.push(self.layout().display().to_string());
        line.extend(["--record".into(), self.record().display().to_string()]);
        line.extend(self.args.to.iter().flat_map(|to| ["--to".to_string(), to.clone()]));
        line
    }

    fn promote_line(&self) -> Vec<String> {
        let mut line = words(&format!("promote --version {} --record", self.version));
        line.push(self.record().display().to_string());
        line
    }

    /// The tags, as far as git alone can tell.
    fn names(&self) -> Vec<String> {
        let image = &self.spec.images[&self.spec.project.default_image];
        let grammar = tags::spec::grammar(image);
        let git = self.workspace.git_tags();
        let released = tags::release::released(&grammar, git.iter().map(String::as_str));
        let mut names = Vec::new();
        for variant in &image.variants {
            let suffixes = tags::spec::suffixes(image, image.default_compat.as_deref(), variant);
            let version = tags::version::Version::from(&self.version);
            names
                .extend(tags::release::names(&version, &self.spec.tags.policy(&suffixes), &released).names());
        }
        names
    }

    fn line(&self, words: &[String]) -> Result<()> {
        line::run(self.workspace, words, self.ui)
    }

    fn run_lines(&self, lines: &[String]) -> Result<()> {
        lines.iter().try_for_each(|line| line::run_on(self.workspace, line, &self.layout(), &[], self.ui))
    }

    /// Once an image where a line says so.
    fn attest(&self) -> Result<()> {
        let facts = self.workspace.facts(&self.spec)?;
        let facts = plan::Facts { version: self.version.clone(), ..facts };
        let planned = push::planned(&self.spec, &facts, &[], &[], &[])?;
        let names: Vec<String> = planned.iter().map(|image| image.layout_name(&image.tags[0])).collect();
        let lines = &self.spec.publish.attest;
        lines.iter().try_for_each(|line| line::run_on(self.workspace, line, &self.layout(), &names, self.ui))
    }

    /// The version in every file that holds it.
    fn raise(&self) -> Result<()> {
        let text = self.workspace.read("Cargo.toml")?;
        let raised = plan::release::bump("Cargo.toml", &text, &self.version)?;
        let root = &self.workspace.root;
        if raised != text {
            oci::cache::write_atomically(&root.join("Cargo.toml"), root, raised.as_bytes())?;
        }
        let sh = self.workspace.shell()?;
        let cargo = facts::cargo();
        // The packages of the workspace alone: a release takes no new dependency.
        cmd!(sh, "{cargo} update --workspace --offline").quiet().ignore_stdout().run()?;
        self.line(&words("generate"))
    }

    /// The section, as its author left it.
    fn write_changelog(&self, state: &State) -> Result<()> {
        let folder = self.folder();
        std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot create", folder.display()))?;
        let draft = folder.join("section.md");
        if !draft.exists() {
            oci::cache::write_atomically(&draft, &folder, self.section(state)?.as_bytes())?;
        }
        if self.args.edit {
            edit(&draft)?;
        }
        let section =
            std::fs::read_to_string(&draft).with_context(|| format!("{}: cannot read", draft.display()))?;
        let title = format!("## {} ", self.version);
        if !section.starts_with(&title) || section.matches("\n## ").count() > 0 {
            bail!(
                "{}: must be one section that starts with `{title}`; mend it, or remove it to have it made again",
                draft.display()
            );
        }
        let text = self.workspace.read(CHANGELOG)?;
        let landed = changelog::land(CHANGELOG, &text, &section)?;
        let root = &self.workspace.root;
        Ok(oci::cache::write_atomically(&root.join(CHANGELOG), root, landed.as_bytes())?)
    }

    fn commit(&self, state: &mut State) -> Result<()> {
        let sh = self.workspace.shell()?;
        // Nothing is left when a run was stopped right after it.
        if !self.workspace.uncommitted().is_empty() {
            let message = format!("Release {}", self.version);
            cmd!(sh, "git add --all").quiet().run()?;
            cmd!(sh, "git commit --quiet --message {message}").quiet().run()?;
        }
        state.head = self.workspace.commit_of("HEAD").context("git has no commit")?;
        Ok(())
    }

    fn make_tag(&self, state: &State) -> Result<()> {
        let tag = self.tag();
        match self.workspace.commit_of(&format!("refs/tags/{tag}")) {
            Some(commit) if commit == state.head => return Ok(()),
            Some(commit) => {
                bail!("tag `{tag}` exists and is commit {commit}, not {}; a tag never moves", state.head)
            }
            None => {}
        }
        let sh = self.workspace.shell()?;
        let message = format!("{} {}", self.spec.project.title, self.version);
        cmd!(sh, "git tag --annotate --message {message} {tag}").quiet().run()?;
        Ok(())
    }

    fn push_commit(&self) -> Result<()> {
        if !self.workspace.has_remote("origin") {
            bail!(
                "this repository has no remote `origin`; run `git remote add origin URL`, or release without --prepare"
            );
        }
        let (sh, branch, tag) = (self.workspace.shell()?, &self.branch, self.tag());
        cmd!(sh, "git push --quiet --atomic origin {branch} {tag}").quiet().run()?;
        Ok(())
    }

    fn write_notes(&self) -> Result<()> {
        let path = self.notes_path();
        std::fs::create_dir_all(self.folder())?;
        let text = notes::notes(self.workspace, &self.spec, &self.record())?;
        oci::cache::write_atomically(&path, &self.folder(), text.as_bytes())?;
        self.ui.line("wrote", path.display());
        Ok(())
    }
}

/// Opens the file in the user's editor and waits.
fn edit(path: &std::path::Path) -> Result<()> {
    let editor =
        facts::editor().context("--edit: neither VISUAL nor EDITOR is set; set one to your editor")?;
    let (program, arguments) = editor.split_first().context("--edit: EDITOR is empty")?;
    let status = std::process::Command::new(program)
        .args(arguments)
        .arg(path)
        .status()
        .with_context(|| format!("--edit: cannot start `{program}`"))?;
    if !status.success() {
        bail!("--edit: `{program}` failed ({status})");
    }
    Ok(())
}
