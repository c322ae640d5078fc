//! What the engine says of an image, against the Spec.

use anyhow::{Context as _, Result, bail, ensure};
use plan::config::{BaseIdentity, config};
use plan::secrets::secret_word;
use serde_json::Value;

use super::{Probe, Subject};

/// The promises about an image at rest.
pub const PROBES: &[Probe] = &[
    Probe { name: "is configured as docker/images.toml says", run: configured },
    Probe { name: "carries the standard labels", run: labelled },
    Probe { name: "holds no secret in its environment or history", run: no_secrets },
    Probe { name: "runs its program, of the right version", run: runs },
    Probe { name: "runs every applet under its own name", run: applets },
];

impl Subject<'_> {
    /// The engine's description of the image.
    fn inspect(&self) -> Result<Value> {
        let text = self.engine.output(&["image", "inspect", self.image]).with_context(|| {
            format!("{} is not in {}; run `cargo xtask image --variant all --load`", self.image, self.engine)
        })?;
        let mut list: Value = serde_json::from_str(&text)?;
        Ok(list[0].take())
    }

    /// The image of the Spec that this one claims to be, by its repository.
    pub fn name(&self) -> Result<&str> {
        let repository = self.image.rsplit_once(':').map_or(self.image, |(repository, _)| repository);
        let found = self.spec.images.iter().find(|(_, image)| image.repository == repository);
        found
            .map(|(name, _)| name.as_str())
            .with_context(|| format!("no image of docker/images.toml is `{repository}`"))
    }
}

fn configured(subject: &Subject) -> Result<()> {
    let expect = config(subject.spec, subject.facts, subject.name()?, &BaseIdentity::default());
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
    let binary = &subject.spec.images[subject.name()?].binary;
    for link in binary.iter().flat_map(|b| &b.links) {
        subject.engine.output(&["run", "--rm", "--network", "none", subject.image, link, "--help"])?;
    }
    Ok(())
}
