//! What is built, as version control and the CI tell it.

/// A git ref, by what it means for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitRef {
    /// `refs/heads/NAME`.
    Branch(String),
    /// `refs/tags/NAME`.
    Tag(String),
    /// `refs/pull/NUMBER/merge`; GitLab's `refs/merge-requests/NUMBER/head`.
    PullRequest(String),
}

impl GitRef {
    /// Reads a full ref; a short name could be a branch as well as a tag.
    pub fn parse(text: &str) -> Option<GitRef> {
        let named = |name: &str| Some(name.to_string()).filter(|n| !n.is_empty());
        if let Some(name) = text.strip_prefix("refs/heads/") {
            return named(name).map(GitRef::Branch);
        }
        if let Some(name) = text.strip_prefix("refs/tags/") {
            return named(name).map(GitRef::Tag);
        }
        let request =
            text.strip_prefix("refs/pull/").or_else(|| text.strip_prefix("refs/merge-requests/"))?;
        let number =
            request.strip_suffix("/merge").or_else(|| request.strip_suffix("/head")).unwrap_or(request);
        let sound = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        sound.then(|| GitRef::PullRequest(number.into()))
    }

    /// The branch's name.
    pub fn branch(&self) -> Option<&str> {
        if let GitRef::Branch(name) = self { Some(name) } else { None }
    }

    /// The tag's name.
    pub fn tag(&self) -> Option<&str> {
        if let GitRef::Tag(name) = self { Some(name) } else { None }
    }

    /// The pull request's number.
    pub fn pull_request(&self) -> Option<&str> {
        if let GitRef::PullRequest(number) = self { Some(number) } else { None }
    }
}

/// The build's surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// What was checked out.
    pub git_ref: Option<GitRef>,
    /// The full commit id; empty when nobody knows.
    pub sha: String,
    /// How many characters of it count as its short form.
    pub short_sha: usize,
    /// GitHub's name of the event, such as `push` or `schedule`; GitLab's source of the pipeline.
    pub event: String,
    /// The branch that others start from.
    pub default_branch: Option<String>,
    /// The branch that a pull request is for.
    pub base_ref: Option<String>,
    /// Now, in seconds since 1970.
    pub now: u64,
    /// When the commit was made.
    pub commit_time: Option<u64>,
    /// Branches that exist beside the one that is built, as far as they are known.
    pub branches: Vec<String>,
}

impl Context {
    /// The commit's short form.
    pub fn short(&self) -> &str {
        self.sha.get(..self.short_sha).unwrap_or(&self.sha)
    }

    /// Whether a clock started the build, not a change.
    pub fn is_scheduled(&self) -> bool {
        self.event.contains("schedule")
    }

    /// Whether the build is of the default branch. Some events only ever run on it, whatever the ref says.
    pub fn is_default_branch(&self) -> bool {
        let branch = self.git_ref.as_ref().and_then(GitRef::branch);
        (branch.is_some() && branch == self.default_branch.as_deref())
            || ["create", "discussion", "issues", "schedule"].iter().any(|e| self.event.contains(e))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A push to `git_ref` at commit 90dd603…, 2020-01-10T00:30:00Z.
    pub fn context(git_ref: &str) -> Context {
        Context {
            git_ref: GitRef::parse(git_ref),
            sha: "90dd6032fac8bda1b6c4436a2e65de27961ed071".into(),
            short_sha: 7,
            event: "push".into(),
            default_branch: Some("main".into()),
            base_ref: None,
            now: 1_578_616_200,
            commit_time: Some(1_578_400_000),
            branches: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs() {
        let check = |text: &str, expect: Option<GitRef>| assert_eq!(GitRef::parse(text), expect, "{text}");
        check("refs/heads/main", Some(GitRef::Branch("main".into())));
        check("refs/heads/feature/x", Some(GitRef::Branch("feature/x".into())));
        check("refs/tags/v1.2.3", Some(GitRef::Tag("v1.2.3".into())));
        check("refs/pull/12/merge", Some(GitRef::PullRequest("12".into())));
        check("refs/pull/12/head", Some(GitRef::PullRequest("12".into())));
        check("refs/merge-requests/7/head", Some(GitRef::PullRequest("7".into())));
        for text in
            ["", "main", "refs/heads/", "refs/tags/", "refs/pull/x/merge", "refs/pull//merge", "v1.2.3"]
        {
            check(text, None);
        }
    }
}
