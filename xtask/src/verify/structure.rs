//! What the engine says of an image, against the Spec.

use anyhow::{Context as _, Result, bail, ensure};
use plan::config::{BaseIdentity, config};
use plan::secrets::secret_word;
use serde_json::Value;

use super::{Probe, Subject, skip};

/// The promises about an image at rest.
pub const PROBES: &[Probe] = &[
    Probe { name: "is configured as docker/images.toml says", run: configured },
    Probe { name: "carries the standard labels", run: labelled },
    Probe { name: "holds no secret in its environment or history", run: no_secrets },
    Probe { name: "runs its program, of the right version", run: runs },
    Probe { name: "runs every applet under its own name", run: applets },
    Probe { name: "passes its structure tests in container-structure-test", run: structure_tests },
];

impl Subject<'_> {
    /// The engine's description of the image.
    pub fn inspect(&self) -> Result<Value> {
        let text = self.engine.output(&["image", "inspect", self.image]).with_context(|| {
            format!("{} is not in {}; run `cargo xtask image --variant all --load`", self.image, self.engine)
        })?;
        let mut list: Value = serde_json::from_str(&text)?;
        Ok(list[0].take())
    }

    /// The image of the Spec that this one claims to be, by the last part of its repository; what claims nothing is
    /// held against the default image.
    pub fn name(&self) -> &str {
        let repository = repository(self.image);
        let found = self.spec.images.iter().find(|(_, image)| image.repository == repository);
        found.map_or(&self.spec.project.default_image, |(name, _)| name)
    }
}

/// `scratchbird` of `ghcr.io/scratchbird/scratchbird:1.0@sha256:…`.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next().unwrap_or(last)
}

fn configured(subject: &Subject) -> Result<()> {
    let expect = config(subject.spec, subject.facts, subject.name(), &BaseIdentity::default());
    let image = subject.inspect()?;
    let found = &image["Config"];
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
    };
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(String::from)).collect()
    };
    let check = |what: &str, found: Vec<String>, expect: &[String]| -> Result<()> {
        ensure!(found == expect, "{what} is {found:?}, not {expect:?}");
        Ok(())
    };
    check("User", vec![found["User"].as_str().unwrap_or_default().into()], &[expect.user])?;
    check("Entrypoint", list(&found["Entrypoint"]), &expect.entrypoint)?;
    check("Cmd", list(&found["Cmd"]), &expect.cmd)?;
    check(
        "WorkingDir",
        vec![found["WorkingDir"].as_str().unwrap_or_default().into()],
        &[expect.working_dir],
    )?;
    let env = list(&found["Env"]);
    for (name, value) in &subject.spec.images[subject.name()].env {
        ensure!(env.contains(&format!("{name}={value}")), "Env has no {name}={value}: {env:?}");
    }
    check("ExposedPorts", keys(&found["ExposedPorts"]), &expect.exposed_ports)?;
    check("Volumes", keys(&found["Volumes"]), &expect.volumes)?;
    check(
        "StopSignal",
        vec![found["StopSignal"].as_str().unwrap_or_default().into()],
        &[expect.stop_signal],
    )?;
    if let Some(healthcheck) = &expect.healthcheck {
        // Podman keeps it at the top; an image in OCI's own format has no place for it, and Podman reads that.
        let shown =
            if found["Healthcheck"].is_object() { &found["Healthcheck"] } else { &image["Healthcheck"] };
        check("Healthcheck", list(&shown["Test"]), &healthcheck.test)?;
    }
    Ok(())
}

fn labelled(subject: &Subject) -> Result<()> {
    let image = subject.inspect()?;
    let labels = &image["Config"]["Labels"];
    for key in
        ["title", "description", "version", "created", "source", "url", "documentation", "vendor", "licenses"]
    {
        let name = format!("org.opencontainers.image.{key}");
        ensure!(labels[&name].as_str().is_some_and(|v| !v.is_empty()), "there is no label {name}");
    }
    let version = &labels["org.opencontainers.image.version"];
    ensure!(
        *version == subject.facts.version.to_string(),
        "its version is {version}, not {}",
        subject.facts.version
    );
    Ok(())
}

fn no_secrets(subject: &Subject) -> Result<()> {
    let image = subject.inspect()?;
    let history = subject.engine.output(&[
        "image",
        "history",
        "--no-trunc",
        "--format",
        "{{.CreatedBy}}",
        subject.image,
    ])?;
    let env = image["Config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for text in env.chain(history.lines()) {
        if let Some(word) = secret_word(text) {
            bail!("`{text}` looks like a secret: it says {word}");
        }
    }
    Ok(())
}

fn runs(subject: &Subject) -> Result<()> {
    let expect = format!("scratchbird {}", subject.facts.version);
    let text = subject.engine.output(&[
        "run",
        "--rm",
        "--network",
        "none",
        subject.image,
        "scratchbird",
        "--version",
    ])?;
    ensure!(
        text.trim().starts_with(&expect),
        "`scratchbird --version` says `{}`, not `{expect}`",
        text.trim()
    );
    Ok(())
}

fn applets(subject: &Subject) -> Result<()> {
    let binary = &subject.spec.images[subject.name()].binary;
    for link in binary.iter().flat_map(|b| &b.links) {
        // Not through the entrypoint, which knows the names without the links.
        let run = ["run", "--rm", "--network", "none", "--entrypoint", link, subject.image, "--help"];
        subject.engine.output(&run)?;
    }
    Ok(())
}

/// Google's own program, on what `cargo xtask generate` writes beside the Dockerfiles.
fn structure_tests(subject: &Subject) -> Result<()> {
    const PROGRAM: &str = "container-structure-test";
    let Some(program) = subject.workspace.tool(PROGRAM) else {
        return skip(format!(
            "no {PROGRAM}; run `python3 -m venv target/tools && target/tools/bin/pip install {PROGRAM}`"
        ));
    };
    if subject.engine.to_string() != "docker" {
        return skip(format!("{PROGRAM} talks to Docker alone"));
    }
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("structure-test.yaml");
    std::fs::write(&config, plan::structure_test::render(subject.spec, subject.name()))?;
    let output = duct::cmd!(program, "test", "--image", subject.image, "--config", config, "--no-color")
        .stderr_to_stdout()
        .stdout_capture()
        .unchecked()
        .run()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text.lines().filter(|line| line.starts_with("Error:")).collect();
    ensure!(
        output.status.success(),
        "{}",
        if failed.is_empty() { text.trim().into() } else { failed.join("; ") }
    );
    ensure!(!text.contains("Passes:      0"), "it ran no test: {text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        let check = |image: &str, expect: &str| assert_eq!(repository(image), expect, "{image}");
        check("scratchbird", "scratchbird");
        check("scratchbird:1.0-alpine", "scratchbird");
        check("ghcr.io/scratchbird/scratchbird-client:1.0", "scratchbird-client");
        check("localhost:5000/scratchbird@sha256:00ff", "scratchbird");
        check("localhost:5000/a/scratchbird:1@sha256:00ff", "scratchbird");
    }
}
