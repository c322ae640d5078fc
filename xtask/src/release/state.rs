//! How far a release is: one file under target/, replaced in one step after each step of the release.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use semver::Version;
use serde::{Deserialize, Serialize};

use super::steps::Step;
use crate::facts::Workspace;

/// The release that is being cut.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// As typed.
    asked: String,
    /// What is released.
    pub version: Version,
    /// The version of the sources before.
    pub before: Version,
    /// When it was begun, in seconds since 1970: the date that the changelog says.
    pub date: u64,
    /// The commit that is checked out: the one that it was begun on, then the release's own.
    pub head: String,
    /// What is done.
    done: Vec<Step>,
}

impl State {
    /// At the beginning.
    pub fn new(asked: &str, version: Version, before: Version, head: String, date: u64) -> State {
        State { asked: asked.into(), version, before, date, head, done: Vec::new() }
    }

    /// Where it is kept.
    pub fn path(workspace: &Workspace) -> PathBuf {
        workspace.target.join("releases/unfinished.json")
    }

    /// The folder of what is made for a release.
    pub fn folder(workspace: &Workspace, version: &Version) -> PathBuf {
        workspace.target.join("releases").join(version.to_string())
    }

    /// The release that was begun and not finished.
    pub fn read(workspace: &Workspace) -> Result<Option<State>> {
        let path = State::path(workspace);
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        let state = serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: is damaged; remove it to begin anew", path.display()))?;
        Ok(Some(state))
    }

    /// Keeps it.
    pub fn write(&self, workspace: &Workspace) -> Result<()> {
        let path = State::path(workspace);
        let dir = path.parent().expect("it lies in a folder");
        std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot create", dir.display()))?;
        Ok(oci::cache::write_atomically(&path, dir, &oci::json::to_vec(self))?)
    }

    /// It is done: nothing is unfinished.
    pub fn finish(&self, workspace: &Workspace) -> Result<()> {
        let path = State::path(workspace);
        std::fs::remove_file(&path).with_context(|| format!("{}: cannot remove", path.display()))
    }

    /// Whether these words mean it: those that it was begun with, or its version.
    pub fn is_asked_for(&self, asked: &str) -> bool {
        self.asked == asked || asked.trim_start_matches('v') == self.version.to_string()
    }

    /// Whether the step is done.
    pub fn is_done(&self, step: Step) -> bool {
        self.done.contains(&step)
    }

    /// The step is done.
    pub fn did(&mut self, step: Step) {
        self.done.push(step);
    }

    /// That nobody has checked out something else meanwhile.
    pub fn is_where_it_was(&self, workspace: &Workspace) -> Result<()> {
        let head = workspace.commit_of("HEAD").unwrap_or_default();
        if head != self.head && !self.is_own_commit(workspace, &head) {
            bail!(
                "release {}: was begun on commit {}, and {head} is checked out; check that out, or remove {} to begin anew",
                self.version,
                self.head,
                State::path(workspace).display()
            );
        }
        Ok(())
    }

    /// Whether the commit is the release's own, made just before a run was stopped.
    fn is_own_commit(&self, workspace: &Workspace, head: &str) -> bool {
        !self.is_done(Step::Commit)
            && workspace.commit_of(&format!("{head}^")).as_ref() == Some(&self.head)
            && workspace.version == self.version
            && workspace.uncommitted().is_empty()
    }
}
