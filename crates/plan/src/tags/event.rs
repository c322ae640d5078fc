//! What GitHub and GitLab tell a job about itself, in variables and in the event's payload.

use std::collections::BTreeMap;

use serde_json::Value;

use super::context::GitRef;
use crate::error::{Error, Result};

/// What a CI says; what it doesn't say is left to git.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What was checked out.
    pub git_ref: Option<GitRef>,
    /// The commit.
    pub sha: Option<String>,
    /// `push`, `schedule`, …
    pub name: String,
    /// The branch that others start from.
    pub default_branch: Option<String>,
    /// The branch that a pull request is for.
    pub base_ref: Option<String>,
    /// When the commit was made, in seconds since 1970.
    pub commit_time: Option<u64>,
    /// The length of a short commit id, where that was set.
    pub short_sha: Option<usize>,
}

/// The variables that are read.
pub const VARIABLES: &[&str] = &[
    "GITHUB_REF",
    "GITHUB_SHA",
    "GITHUB_EVENT_NAME",
    "GITHUB_BASE_REF",
    "DOCKER_METADATA_PR_HEAD_SHA",
    "DOCKER_METADATA_SHORT_SHA_LENGTH",
    "CI_COMMIT_TAG",
    "CI_COMMIT_BRANCH",
    "CI_COMMIT_SHA",
    "CI_COMMIT_TIMESTAMP",
    "CI_MERGE_REQUEST_IID",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
    "CI_PIPELINE_SOURCE",
    "CI_DEFAULT_BRANCH",
];

impl Event {
    /// Reads the variables, of which empty ones count as absent, and the text of the file that GITHUB_EVENT_PATH
    /// names.
    ///
    /// # Errors
    /// [`Error::Usage`] for what can't be understood.
    pub fn read(variables: &BTreeMap<String, String>, payload: Option<&str>) -> Result<Event> {
        let get = |name: &str| variables.get(name).filter(|v| !v.is_empty()).cloned();
        let short_sha = match get("DOCKER_METADATA_SHORT_SHA_LENGTH") {
            None => None,
            Some(text) => Some(text.parse().ok().filter(|n| (1..=64).contains(n)).ok_or_else(|| {
                Error::Usage(format!(
                    "DOCKER_METADATA_SHORT_SHA_LENGTH=`{text}`: must be a number from 1 to 64"
                ))
            })?),
        };
        let event = if get("GITHUB_REF").is_some() || get("GITHUB_EVENT_NAME").is_some() {
            let payload = match payload {
                Some(text) => serde_json::from_str(text).map_err(|e| {
                    Error::Usage(format!("the file that GITHUB_EVENT_PATH names is no JSON: {e}"))
                })?,
                None => Value::Null,
            };
            github(&get, &payload)
        } else {
            gitlab(&get)
        };
        Ok(Event { short_sha, ..event })
    }
}

fn github(get: &impl Fn(&str) -> Option<String>, payload: &Value) -> Event {
    let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).map(String::from);
    let name = get("GITHUB_EVENT_NAME").unwrap_or_default();
    let mut git_ref = get("GITHUB_REF").and_then(|r| GitRef::parse(&r));
    // There the ref is the branch that the request is for, while what is built is the request.
    if name == "pull_request_target"
        && let Some(number) = payload.pointer("/number").and_then(Value::as_u64)
    {
        git_ref = Some(GitRef::PullRequest(number.to_string()));
    }
    let mut sha = get("GITHUB_SHA");
    let wants_head = get("DOCKER_METADATA_PR_HEAD_SHA").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if wants_head && name.starts_with("pull_request") {
        sha = text("/pull_request/head/sha").or(sha);
    }
    let base_ref = match git_ref {
        Some(GitRef::Tag(_)) => text("/base_ref").map(|b| b.trim_start_matches("refs/heads/").to_string()),
        Some(GitRef::PullRequest(_)) => text("/pull_request/base/ref").or_else(|| get("GITHUB_BASE_REF")),
        _ => None,
    };
    let commits = payload.pointer("/commits").and_then(Value::as_array).cloned().unwrap_or_default();
    let head = payload.pointer("/head_commit").cloned();
    let commit_time = commits
        .iter()
        .chain(&head)
        .find(|commit| commit["id"].as_str().is_some() && commit["id"].as_str() == sha.as_deref())
        .and_then(|commit| seconds(commit["timestamp"].as_str()?));
    Event {
        git_ref,
        sha,
        name,
        default_branch: text("/repository/default_branch"),
        base_ref,
        commit_time,
        short_sha: None,
    }
}

fn gitlab(get: &impl Fn(&str) -> Option<String>) -> Event {
    let tag = get("CI_COMMIT_TAG").map(GitRef::Tag);
    let request = get("CI_MERGE_REQUEST_IID").map(GitRef::PullRequest);
    let branch = get("CI_COMMIT_BRANCH").map(GitRef::Branch);
    Event {
        git_ref: tag.or(request).or(branch),
        sha: get("CI_COMMIT_SHA"),
        name: get("CI_PIPELINE_SOURCE").unwrap_or_default(),
        default_branch: get("CI_DEFAULT_BRANCH"),
        base_ref: get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        commit_time: get("CI_COMMIT_TIMESTAMP").and_then(|t| seconds(&t)),
        short_sha: None,
    }
}

/// Seconds since 1970 of an RFC 3339 time, with whatever offset.
pub fn seconds(text: &str) -> Option<u64> {
    text.parse::<jiff::Timestamp>().ok().and_then(|t| u64::try_from(t.as_second()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], payload: Option<&str>) -> Result<Event> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect();
        Event::read(&variables, payload)
    }

    #[test]
    fn github() {
        let payload = r#"{"number": 5, "base_ref": "refs/heads/main", "repository": {"default_branch": "trunk"},
            "pull_request": {"base": {"ref": "develop"}, "head": {"sha": "beef"}},
            "head_commit": {"id": "c0ffee", "timestamp": "2020-01-10T02:30:00+02:00"}}"#;
        let check = |variables: &[(&str, &str)], git_ref: &str, sha: &str, base: &str| {
            let event = read(variables, Some(payload)).unwrap();
            assert_eq!(event.git_ref, GitRef::parse(git_ref), "{variables:?}");
            let got = (event.sha.as_deref(), event.base_ref.as_deref().unwrap_or_default());
            assert_eq!(got, (Some(sha), base), "{variables:?}");
            assert_eq!(event.default_branch.as_deref(), Some("trunk"));
            assert_eq!(event.commit_time, (sha == "c0ffee").then_some(1_578_616_200));
        };
        let sha = ("GITHUB_SHA", "c0ffee");
        check(&[("GITHUB_REF", "refs/heads/x"), sha], "refs/heads/x", "c0ffee", "");
        check(&[("GITHUB_REF", "refs/tags/v1"), sha], "refs/tags/v1", "c0ffee", "main");
        check(&[("GITHUB_REF", "refs/pull/7/merge"), sha], "refs/pull/7/merge", "c0ffee", "develop");
        let target = ("GITHUB_EVENT_NAME", "pull_request_target");
        check(&[("GITHUB_REF", "refs/heads/x"), sha, target], "refs/pull/5/merge", "c0ffee", "develop");
        let head = ("DOCKER_METADATA_PR_HEAD_SHA", "true");
        check(&[("GITHUB_REF", "refs/heads/x"), sha, target, head], "refs/pull/5/merge", "beef", "develop");
        check(&[("GITHUB_REF", "refs/heads/x"), sha, head], "refs/heads/x", "c0ffee", "");
    }

    #[test]
    fn gitlab() {
        let check = |variables: &[(&str, &str)], git_ref: &str| {
            assert_eq!(read(variables, None).unwrap().git_ref, GitRef::parse(git_ref), "{variables:?}");
        };
        check(&[("CI_COMMIT_BRANCH", "x/y")], "refs/heads/x/y");
        check(&[("CI_COMMIT_TAG", "v1")], "refs/tags/v1");
        check(&[("CI_MERGE_REQUEST_IID", "4"), ("CI_COMMIT_BRANCH", "")], "refs/pull/4/merge");
        check(&[], "");
        let event = read(
            &[("CI_COMMIT_SHA", "a"), ("CI_PIPELINE_SOURCE", "schedule"), ("CI_DEFAULT_BRANCH", "b")],
            None,
        );
        let event = event.unwrap();
        assert_eq!((event.sha.as_deref(), event.name.as_str()), (Some("a"), "schedule"));
        assert_eq!(event.default_branch.as_deref(), Some("b"));
    }

    #[test]
    fn mistakes() {
        let check = |variables: &[(&str, &str)], payload: Option<&str>, expect: &str| {
            let error = read(variables, payload).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(expect), "{error}");
        };
        check(&[("GITHUB_REF", "refs/heads/x")], Some("{"), "GITHUB_EVENT_PATH names is no JSON");
        check(&[("DOCKER_METADATA_SHORT_SHA_LENGTH", "x")], None, "must be a number from 1 to 64");
        check(&[("DOCKER_METADATA_SHORT_SHA_LENGTH", "0")], None, "must be a number from 1 to 64");
    }
}
