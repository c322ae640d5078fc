//! GitHub's workflows: ci, image, release.

use std::fmt::Write as _;

use super::{Build, HEADER, REPORT, VERIFIED, builds, hosts, image_line, rust, variable};
use crate::GeneratedFile;
use crate::spec::{CiSpec, Spec};

/// All of them.
pub fn all(spec: &Spec, ci: &CiSpec) -> Vec<GeneratedFile> {
    let file =
        |name: &str, contents| GeneratedFile { path: format!(".github/workflows/{name}.yml"), contents };
    vec![
        GeneratedFile { path: ".github/zizmor.yml".into(), contents: linter() },
        file("ci", gate(spec, ci)),
        file("image", image(spec, ci)),
        file("release", release(spec, ci)),
    ]
}

/// What the linter of workflows takes for a mistake and is none.
fn linter() -> String {
    format!(
        "{HEADER}rules:
  cache-poisoning:
    ignore:
      # Publishes nothing.
      - ci.yml
      # Reads the cache for pull requests alone, and publishes everything else.
      - image.yml
"
    )
}

/// What no job may do unless it says so, and what all jobs build with.
fn head(name: &str, on: &str, concurrency: &str, cancel: &str, spec: &Spec) -> String {
    format!(
        "{HEADER}name: {name}

on:
{on}
permissions: {{}}

concurrency:
  group: {concurrency}
  cancel-in-progress: {cancel}

env:
  CARGO_TERM_COLOR: always
  RUSTUP_TOOLCHAIN: \"{}\"

jobs:
",
        rust(spec)
    )
}

/// `actions/checkout@COMMIT # TAG`.
fn uses(ci: &CiSpec, name: &str) -> String {
    let action = &ci.actions[name];
    format!("      - uses: {name}@{} # {}\n", action.commit, action.tag)
}

/// All commits and tags: what may be called `latest` depends on them.
fn checkout(ci: &CiSpec) -> String {
    uses(ci, "actions/checkout")
        + "        with:\n          fetch-depth: 0\n          persist-credentials: false\n"
}

/// Sources and what was compiled. What is published takes nothing from a cache, which other runs can write.
fn cache(ci: &CiSpec, key: &str, is_published: bool) -> String {
    let key = format!("{key}-${{{{ runner.os }}}}-${{{{ runner.arch }}}}-${{{{ env.RUSTUP_TOOLCHAIN }}}}-");
    let only = if is_published { "        if: github.event_name == 'pull_request'\n" } else { "" };
    uses(ci, "actions/cache")
        + &format!(
            "{only}        with:
          path: |
            ~/.cargo/registry
            ~/.cargo/git
            target
          key: {key}${{{{ hashFiles('Cargo.lock', 'docker/bases.lock') }}}}
          restore-keys: {key}
"
        )
}

fn run(line: &str) -> String {
    format!("      - run: {line}\n")
}

fn branches(spec: &Spec) -> String {
    let quoted: Vec<String> = spec.publish.branches.iter().map(|branch| format!("\"{branch}\"")).collect();
    quoted.join(", ")
}

fn gate(spec: &Spec, ci: &CiSpec) -> String {
    let on = format!("  pull_request:\n  push:\n    branches: [{}]\n", branches(spec));
    let group = "ci-${{ github.ref }}";
    let mut text = head("ci", &on, group, "true", spec);
    text += "  gate:
    runs-on: ubuntu-24.04
    timeout-minutes: 90
    permissions:
      contents: read
    steps:
";
    text += &checkout(ci);
    text += &cache(ci, "ci", false);
    text += &run("cargo xtask doctor --install");
    text += &run("cargo xtask ci");
    text += &uses(ci, "actions/upload-artifact");
    // What failed is what one wants to look at.
    text += "        if: always()\n        with:\n          name: report\n          path: |\n";
    for file in REPORT.split(", ").chain([VERIFIED]) {
        let _ = writeln!(text, "            {file}");
    }
    if let Some(scan) = &ci.scan {
        text += "
  scan:
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read
      security-events: write
    steps:
";
        text += &checkout(ci);
        text += &cache(ci, "scan", false);
        for line in &scan.lines {
            text += &run(&format!("cargo xtask {line}"));
        }
        text += &uses(ci, "github/codeql-action/upload-sarif");
        // Findings make the line above fail; that is when they are wanted.
        let _ = write!(text, "        if: always()\n        with:\n          sarif_file: {}\n", scan.sarif);
    }
    text
}

/// One job a platform. A release takes nothing from a cache that other runs can write.
fn build(spec: &Spec, ci: &CiSpec, is_release: bool) -> String {
    let mut text = String::from(
        "  build:
    strategy:
      fail-fast: false
      matrix:
        include:
",
    );
    for Build { platform, github, name, .. } in builds(spec, ci) {
        let _ = writeln!(text, "          - {{ platform: {platform}, runner: {github}, name: {name} }}");
    }
    text += "    runs-on: ${{ matrix.runner }}
    timeout-minutes: 60
    permissions:
      contents: read
    env:
      PLATFORM: ${{ matrix.platform }}
    steps:
";
    text += &checkout(ci);
    if !is_release {
        text += &cache(ci, "image-${{ matrix.name }}", true);
    }
    text += &run("cargo xtask doctor --install --platform \"$PLATFORM\"");
    text += &run(&image_line(spec, ""));
    text += &uses(ci, "actions/upload-artifact");
    text += "        with:
          name: layout-${{ matrix.name }}
          path: target/oci
          if-no-files-found: error
          retention-days: 3
";
    text
}

/// A job that has all layouts and the indexes over them.
fn merged(ci: &CiSpec, name: &str, condition: &str, permissions: &str) -> String {
    let mut text = format!(
        "
  {name}:
    needs: build
{condition}    runs-on: ubuntu-24.04
    timeout-minutes: 30
    permissions:
      contents: read
{permissions}"
    );
    let steps = checkout(ci)
        + &uses(ci, "actions/download-artifact")
        + "        with:\n          pattern: layout-*\n          path: layouts\n"
        + &run("cargo xtask merge layouts/*");
    text += "    steps:\n";
    text += &steps;
    text
}

/// Who is logged in where: one line a registry.
fn logins(spec: &Spec) -> String {
    let mut text = String::from("        env:\n          XTASK_REGISTRY_LOGINS: |\n");
    for host in hosts(spec) {
        let (user, secret) = match host {
            "ghcr.io" => ("github.actor".to_string(), "secrets.GITHUB_TOKEN".to_string()),
            _ => {
                (format!("secrets.{}_USERNAME", variable(host)), format!("secrets.{}_TOKEN", variable(host)))
            }
        };
        let _ = writeln!(text, "            {host} ${{{{ {user} }}}} ${{{{ {secret} }}}}");
    }
    text
}

fn image(spec: &Spec, ci: &CiSpec) -> String {
    let on = format!(
        "  pull_request:\n  push:\n    branches: [{}]\n  schedule:\n    - cron: \"17 3 * * *\"\n",
        branches(spec)
    );
    let cancel = "${{ github.event_name == 'pull_request' }}";
    let mut text = head("image", &on, "image-${{ github.ref }}", cancel, spec);
    text += &build(spec, ci, false);
    text += &merged(ci, "merge", "", "");
    text += &run("cargo xtask push --dry-run");
    let condition = "    if: github.event_name != 'pull_request'\n";
    text += &merged(ci, "publish", condition, "      packages: write\n");
    text += &run("cargo xtask push");
    text += &logins(spec);
    text += &run("cargo xtask promote --format github");
    text += &logins(spec);
    text
}

fn release(spec: &Spec, ci: &CiSpec) -> String {
    let mut text = head("release", "  push:\n    tags: [\"v[0-9]*\"]\n", "release", "false", spec);
    text += &build(spec, ci, true);
    text += &merged(ci, "publish", "", "      id-token: write\n      packages: write\n");
    text += &run("cargo xtask release --publish --execute");
    text += &logins(spec);
    for name in spec.publish.secrets() {
        let _ = writeln!(text, "          {name}: ${{{{ secrets.{name} }}}}");
    }
    text += &run("cargo xtask notes --github --output notes.md");
    text += &logins(spec);
    text += &uses(ci, "actions/upload-artifact");
    text += "        with:\n          name: notes\n          path: notes.md\n          if-no-files-found: error\n";
    text
}
