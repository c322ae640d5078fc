//! `[ci]` of images.toml: what the generated pipelines run on.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The pipelines.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CiSpec {
    /// The image that GitLab's jobs run in.
    pub gitlab_image: String,
    /// The machine of each platform, by the platform's name.
    pub runners: BTreeMap<String, Runner>,
    /// GitHub's actions, each at one commit.
    pub actions: BTreeMap<String, Action>,
    /// What looks for known weaknesses, and the SARIF file that it writes.
    pub scan: Option<Scan>,
}

/// Where a platform's images are built.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runner {
    /// GitHub's label.
    pub github: String,
    /// GitLab's tag.
    pub gitlab: String,
}

/// An action of GitHub's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// For people.
    pub tag: String,
    /// What counts.
    pub commit: String,
}

/// A scan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// What follows `cargo xtask`: what builds the image, and what scans it.
    pub lines: Vec<String>,
    /// The SARIF file that it writes.
    pub sarif: String,
}

/// The actions that workflows use.
pub const ACTIONS: &[&str] = &[
    "actions/cache",
    "actions/checkout",
    "actions/download-artifact",
    "actions/upload-artifact",
    "github/codeql-action/upload-sarif",
];

impl CiSpec {
    /// What no type says.
    ///
    /// # Errors
    /// What is wrong, with its key.
    pub(super) fn check<'a>(&self, platforms: impl IntoIterator<Item = &'a String>) -> Result<(), String> {
        for platform in platforms {
            if !self.runners.contains_key(platform) {
                return Err(format!(
                    "ci.runners: platform `{platform}` has no machine; add one, or leave out [ci]"
                ));
            }
        }
        for name in ACTIONS {
            let Some(action) = self.actions.get(*name) else {
                return Err(format!("ci.actions: `{name}` is missing; name its tag and its commit"));
            };
            if action.commit.len() != 40 || !action.commit.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(format!(
                    "ci.actions.\"{name}\": commit `{}` must be 40 hexadecimal digits; a tag can be moved",
                    action.commit
                ));
            }
        }
        Ok(())
    }
}
