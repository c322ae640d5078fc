//! What a scan found, whoever found it: one list, one table, one SARIF file; and what was looked at and let be.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// How bad it is; CVSS's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To know.
    Low,
    /// To mend some day.
    Medium,
    /// To mend soon.
    High,
    /// To mend now.
    Critical,
}

impl Severity {
    /// By name, in any case; what is not known is not harmless.
    pub fn parse(text: &str) -> Severity {
        match text.to_ascii_lowercase().as_str() {
            "critical" => Severity::Critical,
            "medium" | "moderate" | "warning" => Severity::Medium,
            "low" | "negligible" | "info" | "note" | "style" | "none" => Severity::Low,
            _ => Severity::High,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which rule or vulnerability: `setuid`, `RUSTSEC-2024-0001`, `CVE-2024-1`.
    pub rule: String,
    /// Where: a path in the image, a package URL, `config`, `docker/alpine/Dockerfile:3`.
    pub place: String,
    /// What, in one line.
    pub message: String,
    /// Who found it: `native`, `rustsec`, `trivy`, `grype`, `hadolint`.
    pub tool: &'static str,
}

/// What a scan found, and what it could not look at.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Worst first; what is ignored is not in it.
    pub findings: Vec<Finding>,
    /// What was found and is ignored, with the reason.
    pub ignored: Vec<(Finding, String)>,
    /// What was not checked, and why: never to be taken for `nothing found`.
    pub unchecked: Vec<String>,
}

/// A reason to let findings be, for a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// The rule.
    pub id: String,
    /// Only where this is the place; everywhere without it.
    pub place: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it counts: `expires = 2026-12-31`.
    pub expires: toml::value::Date,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreFile {
    #[serde(default)]
    ignore: Vec<Ignore>,
}

/// Reads the file that says what is let be. Each entry must have a reason and an end.
///
/// # Errors
/// [`Error::Invalid`] with the line.
pub fn ignores(file: &str, text: &str) -> Result<Vec<Ignore>> {
    let parsed: IgnoreFile = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |s| text[..s.start].lines().count().max(1));
        Error::invalid(format!("{file}:{line}"), e.message().to_string())
    })?;
    match parsed.ignore.iter().find(|i| i.reason.trim().is_empty()) {
        Some(entry) => Err(Error::invalid(file, format!("`{}` is ignored without a reason", entry.id))),
        None => Ok(parsed.ignore),
    }
}

impl Report {
    /// Puts the findings in order, and those aside that `ignores` covers on the day `today` (`2026-12-31`). An entry that
    /// has run out counts no longer, and is a finding itself.
    pub fn settle(&mut self, file: &str, ignores: &[Ignore], today: &str) {
        let mut findings = std::mem::take(&mut self.findings);
        for entry in ignores.iter().filter(|i| i.expires.to_string().as_str() < today) {
            findings.push(Finding {
                severity: Severity::Medium,
                rule: "ignore-expired".into(),
                place: file.into(),
                message: format!("`{}` was ignored until {}: {}", entry.id, entry.expires, entry.reason),
                tool: "native",
            });
        }
        findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.cmp(b)));
        // Two tools that found the same say it once, as bad as the worse of them says; they agree on packages, not on what
        // qualifies a package URL.
        let mut seen = BTreeSet::new();
        findings.retain(|f| seen.insert((f.rule.clone(), unqualified(&f.place).to_string())));
        for finding in findings {
            let covers = |i: &&Ignore| {
                i.id == finding.rule
                    && i.place
                        .as_deref()
                        .is_none_or(|p| p == finding.place || p == unqualified(&finding.place))
                    && i.expires.to_string().as_str() >= today
            };
            match ignores.iter().find(covers) {
                Some(entry) => {
                    self.ignored.push((finding, format!("{} (until {})", entry.reason, entry.expires)))
                }
                None => self.findings.push(finding),
            }
        }
    }

    /// How many findings are at least that bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity >= severity).count()
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for f in &self.findings {
            let _ = writeln!(
                text,
                "{:8} {:8} {:20} {}: {}",
                f.severity.name(),
                f.tool,
                f.rule,
                f.place,
                f.message
            );
        }
        for (finding, reason) in &self.ignored {
            let _ =
                writeln!(text, "ignored  {:8} {:20} {}: {reason}", finding.tool, finding.rule, finding.place);
        }
        for what in &self.unchecked {
            let _ = writeln!(text, "NOT CHECKED {what}");
        }
        let incomplete = if self.unchecked.is_empty() { "" } else { "; not everything was checked" };
        let _ = writeln!(
            text,
            "{} findings, {} of them high or worse, {} ignored{incomplete}",
            self.findings.len(),
            self.count(Severity::High),
            self.ignored.len()
        );
        text
    }

    /// SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/>): one run a tool.
    pub fn sarif(&self, version: &str) -> Value {
        let all: Vec<(&Finding, Option<&str>)> = self
            .findings
            .iter()
            .map(|f| (f, None))
            .chain(self.ignored.iter().map(|(f, reason)| (f, Some(reason.as_str()))))
            .collect();
        let mut tools: Vec<&str> = all.iter().map(|(f, _)| f.tool).chain(["native"]).collect();
        tools.sort_unstable();
        tools.dedup();
        let run = |tool: &str| {
            let mine: Vec<&(&Finding, Option<&str>)> = all.iter().filter(|(f, _)| f.tool == tool).collect();
            let mut rules: Vec<&str> = mine.iter().map(|(f, _)| f.rule.as_str()).collect();
            rules.sort_unstable();
            rules.dedup();
            let results: Vec<Value> = mine.iter().map(|(f, reason)| result(f, *reason)).collect();
            // What was not checked makes the run no success: nobody may read an empty list as a clean image.
            let notes: Vec<Value> = match tool {
                "native" => self
                    .unchecked
                    .iter()
                    .map(|text| json!({ "level": "warning", "message": { "text": format!("not checked: {text}") } }))
                    .collect(),
                _ => Vec::new(),
            };
            json!({
                "tool": { "driver": {
                    "name": if tool == "native" { "cargo xtask scan" } else { tool },
                    "version": version,
                    "informationUri": "https://github.com/scratchbird/scratchbird",
                    "rules": rules.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>(),
                } },
                "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notes }],
                "results": results,
            })
        };
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": tools.iter().map(|t| run(t)).collect::<Vec<_>>(),
        })
    }
}

/// A package URL up to its qualifiers (purl-spec); every other place as it is.
fn unqualified(place: &str) -> &str {
    match place.starts_with("pkg:") {
        true => place.split('?').next().unwrap_or(place),
        false => place,
    }
}

fn result(finding: &Finding, ignored: Option<&str>) -> Value {
    let level = match finding.severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    };
    let mut value = json!({
        "ruleId": finding.rule,
        "level": level,
        "message": { "text": format!("{}: {}", finding.place, finding.message) },
        // GitHub shows nothing without a place in the repository; a path in the image is one below it.
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&finding.place) } } }],
        "partialFingerprints": {
            "finding/v1": oci::digest::sha256(format!("{} {}", finding.rule, finding.place).as_bytes()).digest(),
        },
        "properties": { "severity": finding.severity.name() },
    });
    if let Some(reason) = ignored {
        value["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    value
}

fn uri(place: &str) -> String {
    place.trim_start_matches('/').split('/').map(crate::inventory::quote).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, rule: &str, place: &str) -> Finding {
        Finding { severity, rule: rule.into(), place: place.into(), message: "m".into(), tool: "native" }
    }

    fn report() -> Report {
        Report {
            findings: vec![
                finding(Severity::Low, "a", "/x"),
                finding(Severity::High, "b", "/y"),
                finding(Severity::High, "b", "/y"),
                finding(Severity::High, "b", "/z"),
            ],
            ..Report::default()
        }
    }

    #[test]
    fn an_ignore_has_a_reason_an_end_and_a_place() {
        let check = |text: &str, today: &str, left: &[&str], ignored: usize| {
            let mut report = report();
            report.settle("f", &ignores("f", text).unwrap(), today);
            let rules: Vec<&str> = report.findings.iter().map(|f| f.rule.as_str()).collect();
            assert_eq!((rules.as_slice(), report.ignored.len()), (left, ignored), "{text}");
        };
        check("", "2026-01-01", &["b", "b", "a"], 0);
        let entry =
            |more: &str| format!("[[ignore]]\nid = \"b\"\nreason = \"r\"\nexpires = 2026-06-30\n{more}");
        check(&entry(""), "2026-06-30", &["a"], 2);
        check(&entry(""), "2026-07-01", &["b", "b", "ignore-expired", "a"], 0);
        check(&entry("place = \"/y\"\n"), "2026-01-01", &["b", "a"], 1);
        let refused = |text: &str, expect: &str| {
            let error = ignores("f", text).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        refused("[[ignore]]\nid = \"b\"\nexpires = 2026-06-30\n", "missing field `reason`");
        refused("[[ignore]]\nid = \"b\"\nreason = \"r\"\n", "missing field `expires`");
        refused("[[ignore]]\nid = \"b\"\nreason = \" \"\nexpires = 2026-06-30\n", "without a reason");
        refused("[[ignore]]\nid = \"b\"\nreason = \"r\"\nexpires = \"soon\"\n", "f:");
    }

    #[test]
    fn what_two_tools_found_is_said_once() {
        let trivy = Finding {
            tool: "trivy",
            ..finding(Severity::Medium, "CVE-1", "pkg:apk/alpine/musl@1?arch=x86_64&distro=3.20.3")
        };
        let grype = Finding {
            tool: "grype",
            ..finding(Severity::High, "CVE-1", "pkg:apk/alpine/musl@1?arch=x86_64&distro=alpine-3.20.3")
        };
        let other = finding(Severity::Low, "CVE-1", "pkg:apk/alpine/musl@2?arch=x86_64");
        let mut report = Report { findings: vec![trivy, grype, other], ..Report::default() };
        let entry = "[[ignore]]\nid = \"CVE-1\"\nplace = \"pkg:apk/alpine/musl@2\"\nreason = \"r\"\nexpires = 2026-06-30";
        report.settle("f", &ignores("f", entry).unwrap(), "2026-01-01");
        let left: Vec<(&str, Severity)> = report.findings.iter().map(|f| (f.tool, f.severity)).collect();
        assert_eq!((left.as_slice(), report.ignored.len()), ([("grype", Severity::High)].as_slice(), 1));
    }

    #[test]
    fn what_was_not_checked_is_said() {
        let mut report = Report { unchecked: vec!["crates: no database".into()], ..Report::default() };
        report.settle("f", &[], "2026-01-01");
        let table = report.table();
        assert!(table.contains("NOT CHECKED crates: no database"), "{table}");
        assert!(table.contains("not everything was checked") && !table.contains("vulnerabilit"), "{table}");
        let notes = &report.sarif("1")["runs"][0]["invocations"][0]["toolExecutionNotifications"];
        assert_eq!(notes[0]["message"]["text"], "not checked: crates: no database");
    }

    #[test]
    fn sarif_has_a_run_a_tool() {
        let mut report = report();
        report
            .findings
            .push(Finding { tool: "trivy", ..finding(Severity::Critical, "CVE-1", "pkg:apk/a@1") });
        report.settle("f", &[], "2026-01-01");
        let sarif = report.sarif("1");
        assert_eq!(sarif["runs"].as_array().unwrap().len(), 2);
        assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "b");
        assert_eq!(sarif["runs"][1]["results"][0]["level"], "error");
        let place =
            &sarif["runs"][1]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(place, "pkg%3Aapk/a%401");
        assert_eq!(report.count(Severity::High), 3);
    }
}
