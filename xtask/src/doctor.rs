//! `cargo xtask doctor`: what this machine has for the work, what it lacks, and the command that gets it.

mod install;

use anyhow::{Result, bail};
use oci_spec::image::Platform;
use plan::toolchain::{self, Candidate};
use serde::Serialize;

use crate::engine::{self, Engine};
use crate::facts::{self, Workspace};
use crate::image::Format;
use crate::ui::Ui;

/// Say what is missing on this machine, for each platform and tool, and how to get it
#[derive(clap::Args)]
pub struct Args {
    /// Get what is missing; with --platform, only what builds for that needs
    #[arg(long)]
    install: bool,
    /// Look at what building for it needs, and nothing else; may be repeated
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One thing that the work needs.
#[derive(Debug, Serialize)]
struct Finding {
    /// A platform or a tool.
    what: String,
    /// What it is for.
    purpose: String,
    /// What there is; none where it is missing.
    found: Option<String>,
    /// The command that gets it, where it is missing or something better can be had.
    install: Option<String>,
    /// Whether nothing at all works without it.
    required: bool,
}

/// Programs that tests and optional steps use: name, Debian package, purpose.
const TOOLS: &[(&str, &str, &str)] = &[
    ("git", "git", "labels with the commit"),
    ("psql", "postgresql-client", "cargo xtask verify: a user's session"),
    ("pgbench", "postgresql", "bench, and the guide to tuning"),
    ("openssl", "openssl", "guides: certificates and keys"),
    ("kubectl", "kubernetes-client", "guides and stacks: what the overlays make"),
    ("docker-compose", "docker-compose", "cargo xtask compose, where Docker has no plugin for it"),
    ("haproxy", "haproxy", "cargo xtask compose test"),
    ("prometheus", "prometheus", "cargo xtask compose test"),
    ("wget", "wget", "cargo xtask compose test"),
    ("strace", "strace", "tests: power loss, as the calls of a server tell it"),
    ("nsenter", "util-linux", "cargo xtask compose test: networks that part"),
    ("ip", "iproute2", "cargo xtask compose test: networks that part"),
    ("tc", "iproute2", "cargo xtask compose test: networks that part"),
    ("chromium", "chromium", "cargo xtask report: its page, looked at"),
    ("shellcheck", "shellcheck", "scripts in Dockerfiles, and .ci/run"),
    ("zsh", "zsh", "tests: its completion"),
    ("fish", "fish", "tests: its completion"),
    ("javac", "default-jdk-headless", "tests: the JDBC driver (libpostgresql-jdbc-java)"),
    ("skopeo", "skopeo", "cargo xtask verify: another reader of layout and archive"),
    ("xmllint", "libxml2-utils", "cargo test: JUnit XML against its schema"),
    ("umoci", "umoci", "cargo xtask verify: another unpacker"),
    ("podman", "podman", "cargo xtask verify: another engine"),
    ("runc", "runc", "podman: knows every kernel"),
    ("docker-registry", "docker-registry", "tests and bench: a real registry on loopback"),
    ("mmdebstrap", "mmdebstrap", "a Debian root file system without a registry"),
];

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let mut findings = findings(workspace, &self.platform)?;
        if self.install {
            install::install(&findings, ui)?;
            findings = self::findings(workspace, &self.platform)?;
        }
        match self.format {
            Format::Json => println!("{}", serde_json::to_string_pretty(&findings)?),
            Format::Human => print!("{}", render(&findings)),
        }
        match findings.iter().find(|f| f.required && f.found.is_none()) {
            Some(missing) => bail!(
                "nothing can be built without {}; run `{}`",
                missing.what,
                missing.install.as_deref().unwrap_or("cargo xtask doctor")
            ),
            None => Ok(()),
        }
    }
}

/// For those platforms; with none, for all of them and for every tool.
fn findings(workspace: &Workspace, platforms: &[String]) -> Result<Vec<Finding>> {
    let spec = workspace.spec()?;
    let facts = workspace.facts(&spec)?;
    let mut findings = Vec::new();
    let all: Vec<String> = spec.platforms.keys().cloned().collect();
    for name in if platforms.is_empty() { &all } else { platforms } {
        let (platform, platform_spec) = spec.platform(name)?;
        let candidates = toolchain::candidates(&platform, platform_spec, &facts);
        findings.push(platform_finding(name, candidates, !platforms.is_empty() || platform == facts.host));
        if !platforms.is_empty() {
            continue;
        }
        if platform != facts.host {
            findings.push(emulator(&platform));
        }
    }
    if !platforms.is_empty() {
        return Ok(findings);
    }
    findings.push(engine());
    findings.extend(TOOLS.iter().map(|(program, package, purpose)| Finding {
        what: (*program).into(),
        purpose: (*purpose).into(),
        found: facts::find_program(program).map(|path| path.display().to_string()),
        install: facts::find_program(program).is_none().then(|| format!("apt-get install {package}")),
        required: false,
    }));
    Ok(findings)
}

fn platform_finding(name: &str, candidates: Vec<Candidate>, required: bool) -> Finding {
    let best = toolchain::choose(candidates);
    let install = match (best.has_program, best.has_target) {
        (true, true) => None,
        (true, false) => Some(format!("rustup target add {}", best.target)),
        (false, true) => Some(best.install.clone()),
        (false, false) => Some(format!("{} && rustup target add {}", best.install, best.target)),
    };
    Finding {
        what: name.into(),
        purpose: "cargo xtask image".into(),
        found: install.is_none().then(|| format!("{} with {}", best.target, best.program)),
        install,
        required,
    }
}

/// What lets this machine run another platform's programs.
fn emulator(platform: &Platform) -> Finding {
    let program = engine::emulator(platform);
    let found = facts::find_program(&program).map(|path| path.display().to_string());
    Finding {
        purpose: format!("cargo xtask verify: to run {} here", oci::platform::display(platform)),
        install: found.is_none().then(|| "apt-get install qemu-user-static".into()),
        what: program,
        found,
        required: false,
    }
}

fn engine() -> Finding {
    let (found, install) = match Engine::find() {
        Ok(engine) => (Some(engine.to_string()), None),
        Err(_) if facts::find_program("dockerd").is_some() => (None, Some("systemctl start docker".into())),
        Err(_) => (None, Some("apt-get install docker.io".into())),
    };
    Finding {
        what: "engine".into(),
        purpose: "--load and cargo xtask verify".into(),
        found,
        install,
        required: false,
    }
}

fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.what.len()).max().unwrap_or(0);
    let purpose = findings.iter().map(|f| f.purpose.len()).max().unwrap_or(0);
    findings
        .iter()
        .map(|f| {
            let state = match (&f.found, &f.install) {
                (Some(found), _) => format!("ok       {found}"),
                (None, Some(install)) => format!("missing  {install}"),
                (None, None) => "missing".into(),
            };
            format!("{:width$}  {:purpose$}  {state}\n", f.what, f.purpose)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CI and a laptop want the same.
    #[test]
    fn what_ci_installs_is_known_here() {
        let script = Workspace::find(None).unwrap().read(".ci/run").unwrap();
        let list = script.split("<<'LIST'\n").nth(1).and_then(|rest| rest.split("\nLIST").next()).unwrap();
        assert!(list.lines().count() > 10, "{list}");
        for line in list.lines().filter(|line| !line.starts_with("qemu-")) {
            let known = TOOLS.iter().any(|(program, package, _)| line == format!("{program} {package}"));
            assert!(known, ".ci/run installs `{line}`, and TOOLS has no such line");
        }
    }

    fn candidate(has_program: bool, has_target: bool) -> Candidate {
        Candidate {
            target: "aarch64-unknown-linux-gnu".into(),
            rustflags: Vec::new(),
            cc: Some("aarch64-linux-gnu-gcc".into()),
            program: "aarch64-linux-gnu-gcc".into(),
            install: "apt-get install gcc-aarch64-linux-gnu".into(),
            has_program,
            has_target,
        }
    }

    #[test]
    fn the_command_that_gets_what_is_missing() {
        let check = |has_program, has_target, expect: &str| {
            let text =
                render(&[platform_finding("linux/arm64", vec![candidate(has_program, has_target)], false)]);
            assert_eq!(text, format!("linux/arm64  cargo xtask image  {expect}\n"));
        };
        check(true, true, "ok       aarch64-unknown-linux-gnu with aarch64-linux-gnu-gcc");
        check(true, false, "missing  rustup target add aarch64-unknown-linux-gnu");
        check(false, true, "missing  apt-get install gcc-aarch64-linux-gnu");
        check(
            false,
            false,
            "missing  apt-get install gcc-aarch64-linux-gnu && rustup target add aarch64-unknown-linux-gnu",
        );
    }
}
