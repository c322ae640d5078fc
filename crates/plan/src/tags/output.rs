//! Tags for people, for programs and for GitHub's workflows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Tag, Tags, mark, moment};
use crate::error::Error;
use crate::spec::Project;

/// What `--format json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the build calls itself.
    pub version: String,
    /// Tags, or references where images were named.
    pub tags: Vec<String>,
    /// References by digest, which mean the same for ever.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The image's labels.
    pub labels: BTreeMap<String, String>,
    /// Each tag's reason, then those of names that it does not get.
    pub explain: Vec<Tag>,
    /// How many of `explain` are of tags that it gets.
    #[serde(skip)]
    taken: usize,
}

impl Report {
    /// The report of these tags, as references to each of these images if there are any.
    pub fn new(tags: &Tags, images: &[String], labels: BTreeMap<String, String>) -> Report {
        let names = tags.names();
        let references = match images {
            [] => names,
            images => images.iter().flat_map(|i| names.iter().map(move |n| format!("{i}:{n}"))).collect(),
        };
        Report {
            version: tags.version.clone(),
            tags: references,
            references: Vec::new(),
            labels,
            explain: tags.tags.iter().chain(&tags.left).cloned().collect(),
            taken: tags.tags.len(),
        }
    }

    /// Adds the references of these repositories by digest.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no digest.
    pub fn pin(&mut self, repositories: &[String], digest: &str) -> Result<(), Error> {
        if digest.parse::<oci_spec::image::Digest>().is_err() {
            return Err(Error::Usage(format!(
                "--digest `{digest}`: must be `sha256:` and 64 hexadecimal digits, as `cargo xtask image` prints it"
            )));
        }
        self.references = repositories.iter().map(|repository| format!("{repository}@{digest}")).collect();
        Ok(())
    }

    /// One tag a line, then the references by digest.
    pub fn lines(&self) -> String {
        self.tags.iter().chain(&self.references).map(|name| format!("{name}\n")).collect()
    }

    /// Each tag with its reason; names that it does not get stand behind a `#`.
    pub fn explained(&self) -> String {
        let (taken, left) = self.explain.split_at(self.taken);
        let width = self.tags.iter().map(String::len).max().unwrap_or_default();
        let mut text = String::new();
        // With images there are the same tags for each.
        for (name, Tag { why, .. }) in self.tags.iter().zip(taken.iter().cycle()) {
            let _ = writeln!(text, "{name:width$}  {why}");
        }
        for reference in &self.references {
            let _ = writeln!(text, "{reference}  this content for ever");
        }
        for Tag { name, why } in left {
            let _ = writeln!(text, "# {name}: {why}");
        }
        text
    }

    /// What is appended to GITHUB_OUTPUT: `version`, `tags`, `labels` and `json`.
    pub fn github_output(&self) -> serde_json::Result<String> {
        let labels: Vec<String> =
            self.labels.iter().map(|(key, value)| format!("{key}={}", one_line(value))).collect();
        let json = serde_json::to_string(self)?;
        let mut outputs = vec![
            ("version", self.version.clone()),
            ("tags", self.tags.join("\n")),
            ("labels", labels.join("\n")),
            ("json", json),
        ];
        if !self.references.is_empty() {
            outputs.push(("references", self.references.join("\n")));
        }
        Ok(github_outputs(&outputs))
    }

    /// What is appended to GITHUB_STEP_SUMMARY.
    pub fn github_summary(&self) -> String {
        let mut text = format!("### Tags of {}\n\n| tag | why |\n|---|---|\n", cell(&self.version));
        let (taken, left) = self.explain.split_at(self.taken);
        for Tag { name, why } in taken {
            let _ = writeln!(text, "| `{}` | {} |", cell(name), cell(why));
        }
        for Tag { name, why } in left {
            let _ = writeln!(text, "| not `{}` | {} |", cell(name), cell(why));
        }
        text
    }
}

/// Outputs of a step of a GitHub workflow, as GITHUB_OUTPUT takes them.
pub fn github_outputs(outputs: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in outputs {
        // The end mark depends on the content and is no line of it: no value can end itself and add another.
        let mut end = format!("end-{}", mark(value));
        while value.lines().any(|line| line == end) {
            end = format!("end-{}", mark(&end));
        }
        let _ = writeln!(text, "{name}<<{end}\n{value}\n{end}");
    }
    text
}

/// The labels that metadata-action gives, from what images.toml says of the project.
///
/// # Errors
/// `created`, in seconds since 1970, is out of range.
pub fn labels(
    project: &Project,
    version: &str,
    revision: &str,
    created: u64,
) -> Result<BTreeMap<String, String>, String> {
    let created = moment::format(created, "UTC", "YYYY-MM-DDTHH:mm:ss[Z]")?;
    let labels = [
        ("created", created.as_str()),
        ("description", &project.description),
        ("licenses", &project.licenses),
        ("revision", revision),
        ("source", &project.source),
        ("title", &project.title),
        ("url", &project.url),
        ("version", version),
    ]
    .into_iter()
    .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_string()));
    Ok(labels.collect())
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Safe in a table's cell.
pub(crate) fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(names: &[(&str, &str)], images: &[&str]) -> Report {
        let mut tags = Tags { version: "1.2.3".into(), ..Tags::default() };
        for (name, why) in names {
            tags.take((*name).into(), (*why).into());
        }
        tags.leave("latest".into(), "not moved: 2.0.0 is higher".into());
        let images: Vec<String> = images.iter().map(|i| (*i).into()).collect();
        Report::new(&tags, &images, BTreeMap::from([("title".into(), "a\nb".into())]))
    }

    #[test]
    fn for_people() {
        let report = report(&[("1.2.3", "x"), ("1.2", "y")], &["a/b", "c"]);
        assert_eq!(report.lines(), "a/b:1.2.3\na/b:1.2\nc:1.2.3\nc:1.2\n");
        let explained =
            "a/b:1.2.3  x\na/b:1.2    y\nc:1.2.3    x\nc:1.2      y\n# latest: not moved: 2.0.0 is higher\n";
        assert_eq!(report.explained(), explained);
    }

    #[test]
    fn by_digest() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let mut report = report(&[("1.2.3", "x")], &["a/b"]);
        report.pin(&["a/b".into(), "c".into()], &digest).unwrap();
        assert_eq!(report.lines(), format!("a/b:1.2.3\na/b@{digest}\nc@{digest}\n"));
        assert!(report.github_output().unwrap().contains(&format!("\na/b@{digest}\nc@{digest}\nend-")));
        assert_eq!(serde_json::to_value(&report).unwrap()["references"][1], format!("c@{digest}"));
        for wrong in ["", "sha256:12", "latest"] {
            assert!(report.pin(&[], wrong).unwrap_err().is_usage(), "{wrong}");
        }
    }

    #[test]
    fn for_programs() {
        let json = serde_json::to_value(report(&[("1.2.3", "x")], &[])).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "version": "1.2.3", "tags": ["1.2.3"], "labels": {"title": "a\nb"},
                "explain": [{"tag": "1.2.3", "why": "x"}, {"tag": "latest", "why": "not moved: 2.0.0 is higher"}],
            })
        );
    }

    #[test]
    fn outputs_cannot_be_forged() {
        let harmless = report(&[("1.2.3", "x")], &[]).github_output().unwrap();
        let end = harmless.lines().next().unwrap().split_once("<<").unwrap().1.to_string();
        assert_eq!(harmless.lines().take(3).collect::<Vec<_>>(), [&format!("version<<{end}"), "1.2.3", &end]);
        let tags = Tags { version: "1\nend-00000000\nevil=1".into(), ..Tags::default() };
        let report = Report::new(&tags, &[], BTreeMap::new());
        let output = report.github_output().unwrap();
        let end = output.lines().next().unwrap().split_once("<<").unwrap().1;
        assert_eq!(output.lines().position(|l| l == end), Some(4), "{output}");
        assert!(harmless.contains("\ntitle=a b\n"), "{harmless}");
    }

    #[test]
    fn summaries_stay_tables() {
        let text = report(&[("1.2.3", "a|b\n<img>")], &[]).github_summary();
        assert!(text.contains("| `1.2.3` | a\\|b &lt;img> |\n"), "{text}");
        assert!(text.contains("| not `latest` | not moved"), "{text}");
    }
}
