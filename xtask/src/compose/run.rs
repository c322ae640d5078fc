//! `compose up` and `compose down`: a stack with the images just built.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use plan::Spec;
use plan::spec::stack::{Output, ServiceSpec};
use plan::stack::{self, Pins, Stack};

use super::Compose;
use crate::engine::Engine;
use crate::facts::Workspace;
use crate::image;
use crate::ui::{Ui, Usage};

/// How long a stack may take to become healthy.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub struct UpArgs {
    /// The stack
    stack: String,
    /// Start it with the images that the engine has, without building
    #[arg(long)]
    no_build: bool,
    /// Go on: build again when a source changes, and replace what runs another image. Ends with Ctrl-C
    #[arg(long, conflicts_with = "no_build")]
    watch: bool,
}

#[derive(clap::Args)]
pub struct DownArgs {
    /// The stack
    stack: String,
    /// Remove its volumes too, and everything in them
    #[arg(long)]
    volumes: bool,
}

impl UpArgs {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let (spec, none) = (workspace.spec()?, Pins::new());
        let stack = runnable(&spec, &self.stack, &none)?;
        let folder = folder(workspace, &self.stack);
        if !folder.join("compose.yaml").exists() {
            bail!("{}: there is no such stack yet; `cargo xtask compose` writes it", folder.display());
        }
        let compose = Compose::find(&folder)?;
        variables(&stack, &folder, ui)?;
        secrets(&stack, &folder, ui)?;
        let mut images = BTreeSet::new();
        loop {
            let engine = Engine::named("docker")?;
            if self.no_build {
                own_images(&stack).iter().try_for_each(|image| id(&engine, image).map(drop))?;
            } else {
                build(&spec, &stack, workspace, ui)?;
            }
            let now: BTreeSet<Option<String>> =
                own_images(&stack).iter().map(|(reference, ..)| engine.image_id(reference)).collect();
            if now != images {
                let started = compose.run(&["up", "--detach"]).and_then(|()| wait(&engine, &compose));
                started.with_context(|| {
                    format!(
                        "{0} has not started; what it asks of this machine, such as ports, is said in {0}/.env, and \
                         `cargo xtask compose down {1}` removes what there is of it",
                        folder.display(),
                        self.stack
                    )
                })?;
                ui.line(
                    "up",
                    format_args!("{}; `cargo xtask compose down {}` stops it", folder.display(), self.stack),
                );
                images = now;
            }
            if !self.watch {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

impl DownArgs {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let (spec, none) = (workspace.spec()?, Pins::new());
        let stack = runnable(&spec, &self.stack, &none)?;
        let folder = folder(workspace, &self.stack);
        let compose = Compose::find(&folder)?;
        variables(&stack, &folder, ui)?;
        compose.run(if self.volumes { &["down", "--volumes"] } else { &["down"] })?;
        ui.line("down", &self.stack);
        Ok(())
    }
}

/// A stack that Compose can start.
fn runnable<'a>(spec: &'a Spec, name: &'a str, pins: &'a Pins) -> Result<Stack<'a>> {
    let stack = stack::find(spec, name, pins)?;
    if !stack.stack.outputs.contains(&Output::Compose) {
        let theirs = spec.stacks.iter().filter(|(_, stack)| stack.outputs.contains(&Output::Compose));
        let theirs: Vec<&str> = theirs.map(|(name, _)| name.as_str()).collect();
        let text = format!("compose: the stack `{name}` is not for Compose; allowed: {}", theirs.join(", "));
        return Err(Usage(text).into());
    }
    Ok(stack)
}

/// Where a stack's files lie.
pub fn folder(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.sources().join("compose").join(name)
}

/// The images of the catalogue that a stack runs: reference, image, variant.
pub fn own_images(stack: &Stack) -> BTreeSet<(String, String, String)> {
    let own = |service: &ServiceSpec| {
        let image = stack.own_image(service)?;
        let name = service.image.as_deref()?.strip_prefix("image:")?.to_string();
        let variant = service.variant.as_ref().unwrap_or(&image.default_variant).to_string();
        Some((stack::reference(stack.spec, service), name, variant))
    };
    stack.stack.services.values().filter_map(own).collect()
}

/// The engine's id of an image of ours.
///
/// # Errors
/// When the engine has no such image, with the command that makes it.
pub fn id(engine: &Engine, (reference, image, variant): &(String, String, String)) -> Result<String> {
    engine.image_id(reference).with_context(|| {
        format!(
            "the engine has no {reference}; run `cargo xtask image --image {image} --variant {variant} --load`"
        )
    })
}

/// Builds and loads what the stack runs.
fn build(spec: &Spec, stack: &Stack, workspace: &Workspace, ui: &Ui) -> Result<()> {
    let variants: BTreeSet<String> = own_images(stack).into_iter().map(|(.., variant)| variant).collect();
    for variant in variants {
        let images = own_images(stack).into_iter().filter(|(.., v)| *v == variant).map(|(_, image, _)| image);
        // What an image is made from comes first, and is an image of its own.
        let images: BTreeSet<String> = images.flat_map(|image| with_below(spec, image)).collect();
        image::Args::load(images.into_iter().collect(), variant).run(workspace, ui)?;
    }
    Ok(())
}

fn with_below(spec: &Spec, image: String) -> Vec<String> {
    let mut names = vec![image];
    while let Some(plan::spec::From::Image(below)) = spec.images.get(&names[names.len() - 1]).map(|i| &i.from)
    {
        names.push(below.clone());
    }
    names
}

/// Makes `.env` from its example if it is not there: it names the project, for us and for whoever calls Compose.
fn variables(stack: &Stack, folder: &Path, ui: &Ui) -> Result<()> {
    let (path, example) = (folder.join(".env"), format!("compose/{}/.env.example", stack.name));
    if let Some(file) = stack.files().into_iter().find(|file| file.path == example && !path.exists()) {
        oci::cache::write_atomically(&path, folder, file.contents.as_bytes())?;
        ui.line("made", path.display());
    }
    Ok(())
}

/// Makes the secrets that are not there: 32 random hex digits each.
pub fn secrets(stack: &Stack, folder: &Path, ui: &Ui) -> Result<()> {
    let dir = folder.join("secrets");
    for name in stack.secrets() {
        let path = dir.join(name);
        if path.exists() {
            continue;
        }
        std::fs::create_dir_all(&dir).with_context(|| format!("{}: cannot make", dir.display()))?;
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes).context("/dev/urandom: cannot read")?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        oci::cache::write_atomically(&path, &dir, text.as_bytes())?;
        // The user in the container is another than the one here, and Compose mounts the file as it is.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
        ui.line("made", path.display());
    }
    Ok(())
}

/// Waits until every container that has a check is healthy, and none has ended.
pub fn wait(engine: &Engine, compose: &Compose) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ids = compose.output(&["ps", "--quiet"])?;
        let mut waiting = Vec::new();
        for id in ids.lines() {
            let format =
                "{{.Name}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}";
            let state = engine.output(&["inspect", "--format", format, id])?;
            match state.split(' ').collect::<Vec<_>>()[..] {
                [_, "running", "healthy" | "none"] => {}
                [name, "exited" | "dead" | "restarting", _] => {
                    let log = engine.both(&["logs", "--tail", "3", id])?;
                    bail!("{name} does not stay up; its log ends: {}", log.trim().replace('\n', " | "));
                }
                _ => waiting.push(state),
            }
        }
        if waiting.is_empty() && !ids.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("not healthy after {} s: {}", PATIENCE.as_secs(), waiting.join(", "));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
