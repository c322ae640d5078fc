//! What the CI that runs us says of itself and of the build.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use plan::tags::event::{self, Event};

/// What the CI that runs us says of the build; empty where there is none.
pub fn ci_event() -> Result<Event> {
    let variables = event::VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_string(), env::var(name).ok()?)))
        .collect();
    let payload = match env::var_os("GITHUB_EVENT_PATH").filter(|path| !path.is_empty()).map(PathBuf::from) {
        Some(path) => Some(
            std::fs::read_to_string(&path)
                .with_context(|| format!("GITHUB_EVENT_PATH: {}: cannot read", path.display()))?,
        ),
        None => None,
    };
    Ok(Event::read(&variables, payload.as_deref())?)
}

/// The files that a GitHub workflow reads a step's outputs and summary from.
pub fn github_files() -> Option<(PathBuf, PathBuf)> {
    let file = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    Some((file("GITHUB_OUTPUT")?, file("GITHUB_STEP_SUMMARY")?))
}

/// The run of a CI that we are part of.
pub struct CiRun {
    /// The workflow, as a URI.
    pub builder: String,
    /// The run, as a URI.
    pub invocation: String,
}

/// Which run of GitHub's or GitLab's CI this is, if any.
pub fn ci_run() -> Option<CiRun> {
    let text = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
    if let (Some(server), Some(repository), Some(run)) =
        (text("GITHUB_SERVER_URL"), text("GITHUB_REPOSITORY"), text("GITHUB_RUN_ID"))
    {
        let workflow = text("GITHUB_WORKFLOW_REF").unwrap_or_else(|| repository.clone());
        let attempt = text("GITHUB_RUN_ATTEMPT").unwrap_or_else(|| "1".into());
        return Some(CiRun {
            builder: format!("{server}/{workflow}"),
            invocation: format!("{server}/{repository}/actions/runs/{run}/attempts/{attempt}"),
        });
    }
    Some(CiRun { builder: text("CI_PROJECT_URL")?, invocation: text("CI_JOB_URL")? })
}
