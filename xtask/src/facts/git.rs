//! What git knows of the checkout.

use anyhow::{Context as _, Result};
use plan::Revision;
use xshell::cmd;

use super::Workspace;

impl Workspace {
    /// The commit that is checked out; none where this is no git checkout or git is not installed.
    pub(super) fn revision(&self) -> Result<Option<Revision>> {
        if !self.root.join(".git").exists() {
            return Ok(None);
        }
        let sh = self.shell()?;
        let Ok(head) = cmd!(sh, "git show --no-patch --format=%H%n%ct HEAD").quiet().ignore_stderr().read()
        else {
            return Ok(None);
        };
        let (commit, time) = head.split_once('\n').context("git show gave no commit and time")?;
        let dirty = !cmd!(sh, "git status --porcelain").quiet().read()?.is_empty();
        Ok(Some(Revision { commit: commit.to_string(), time: time.trim().parse()?, dirty }))
    }

    /// What git prints for this checkout; none where it has nothing to say, or this is no checkout.
    fn git(&self, arguments: &[&str]) -> Option<String> {
        if !self.root.join(".git").exists() {
            return None;
        }
        let sh = self.shell().ok()?;
        let output = cmd!(sh, "git {arguments...}").quiet().ignore_stderr().read().ok()?;
        Some(output).filter(|text| !text.is_empty())
    }

    fn git_lines(&self, arguments: &[&str]) -> Vec<String> {
        self.git(arguments).unwrap_or_default().lines().map(String::from).collect()
    }

    /// The tags of the repository.
    pub fn git_tags(&self) -> Vec<String> {
        self.git_lines(&["tag", "--list"])
    }

    /// Whether commits, and with them perhaps tags, were left out when this was cloned.
    pub fn is_shallow(&self) -> bool {
        self.git(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("true")
    }

    /// The branches that this checkout knows, here and at `origin`.
    pub fn branches(&self) -> Vec<String> {
        let mut names = self.git_lines(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]);
        names.extend(self.git_lines(&[
            "for-each-ref",
            "--format=%(refname:lstrip=3)",
            "refs/remotes/origin",
        ]));
        names
    }

    /// The full name of what is checked out: a branch, else a tag that stands there.
    pub fn head_ref(&self) -> Option<String> {
        self.git(&["symbolic-ref", "--quiet", "HEAD"]).or_else(|| {
            let tags = self.git_lines(&["tag", "--points-at", "HEAD", "--sort=-version:refname"]);
            tags.first().map(|tag| format!("refs/tags/{tag}"))
        })
    }

    /// The commit that a name means.
    pub fn commit_of(&self, name: &str) -> Option<String> {
        self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])
    }

    /// When a commit was made, in seconds since 1970.
    pub fn commit_time(&self, commit: &str) -> Option<u64> {
        self.git(&["show", "--no-patch", "--format=%ct", "--end-of-options", commit])?.parse().ok()
    }

    /// What git says of files that were changed or added and not committed, one a line.
    pub fn uncommitted(&self) -> Vec<String> {
        self.git_lines(&["status", "--porcelain"])
    }

    /// The branch that is checked out.
    pub fn branch(&self) -> Option<String> {
        self.git(&["symbolic-ref", "--quiet", "--short", "HEAD"])
    }

    /// Whether the repository has a remote of that name.
    pub fn has_remote(&self, name: &str) -> bool {
        self.git_lines(&["remote"]).iter().any(|remote| remote == name)
    }

    /// How many commits `origin` had on the branch, when it was last fetched, that are not checked out.
    pub fn behind_origin(&self, branch: &str) -> u64 {
        let range = format!("HEAD..refs/remotes/origin/{branch}");
        self.git(&["rev-list", "--count", &range]).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// The newest release that the checked out commit comes after, as its tag.
    pub fn last_release(&self) -> Option<String> {
        self.git(&["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
    }

    /// The messages of the commits since that tag, the oldest first; of all where there is none.
    pub fn messages_since(&self, tag: Option<&str>) -> Vec<String> {
        let range = tag.map_or("HEAD".to_string(), |tag| format!("refs/tags/{tag}..HEAD"));
        let text =
            self.git(&["log", "--reverse", "--no-merges", "--format=%B%x00", &range]).unwrap_or_default();
        text.split('\0').map(|m| m.trim().to_string()).filter(|m| !m.is_empty()).collect()
    }

    /// The branch that others start from: what `origin` says, else `main` or `master` where there is one.
    pub fn default_branch(&self) -> Option<String> {
        let origin = self.git(&["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]);
        let origin = origin.and_then(|name| name.strip_prefix("refs/remotes/origin/").map(String::from));
        let branches = self.branches();
        origin.or_else(|| {
            ["main", "master"].into_iter().find(|n| branches.iter().any(|b| b == n)).map(String::from)
        })
    }
}
