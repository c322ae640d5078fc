//! Images by BuildKit, in Docker's engine or through buildx: those that Dockerfiles describe, and the others from their
//! generated Dockerfiles.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::archive::{self, Archived};
use oci::image::{Image, Part};
use oci_spec::image::Platform;
use plan::{BaseChoice, PlannedImage};

use super::Scene;
use crate::bases::Found;
use crate::engine::Engine;
use crate::facts;
use crate::stage::StagedImage;
use crate::ui::Usage;

/// Who builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Builder {
    /// This program, without an engine
    #[default]
    Native,
    /// The BuildKit in Docker's engine; the images are in that engine then
    Docker,
    /// `docker buildx`: several platforms, remote and Kubernetes builders
    Buildx,
}

/// Where the result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Into the engine.
    Engine,
    /// To the registries that the names are in.
    Push,
    /// Into an OCI archive.
    Archive(PathBuf),
}

/// One build.
#[derive(Clone, Debug)]
pub struct Job {
    /// The Dockerfile.
    pub file: PathBuf,
    /// The folder that it copies from.
    pub context: PathBuf,
    /// `ARG`s and their values.
    pub arguments: Vec<(String, String)>,
    /// Labels beside the Dockerfile's.
    pub labels: Vec<(String, String)>,
    /// `repository:tag`s.
    pub names: Vec<String>,
    /// What it is built for.
    pub platforms: Vec<Platform>,
}

impl Job {
    /// The arguments of `docker`.
    fn command(&self, builder: Builder, instance: Option<&str>, sink: &Sink) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(|w| (*w).to_string()));
        if builder == Builder::Buildx {
            add(&["buildx"]);
        }
        add(&["build"]);
        if let Some(instance) = instance {
            add(&["--builder", instance]);
        }
        add(&["--file", &self.file.display().to_string()]);
        let platforms: Vec<String> = self.platforms.iter().map(oci::platform::display).collect();
        add(&["--platform", &platforms.join(",")]);
        self.arguments.iter().for_each(|(name, value)| add(&["--build-arg", &format!("{name}={value}")]));
        self.labels.iter().for_each(|(name, value)| add(&["--label", &format!("{name}={value}")]));
        self.names.iter().for_each(|name| add(&["--tag", name]));
        match sink {
            Sink::Engine if builder == Builder::Buildx => add(&["--load"]),
            Sink::Engine => {}
            Sink::Push => add(&["--push"]),
            Sink::Archive(path) => add(&["--output", &format!("type=oci,dest={}", path.display())]),
        }
        add(&[&self.context.display().to_string()]);
        args
    }

    /// Builds it.
    pub fn run(
        &self,
        docker: &Path,
        builder: Builder,
        instance: Option<&str>,
        sink: &Sink,
        epoch: u64,
    ) -> Result<()> {
        let args = self.command(builder, instance, sink);
        let output = duct::cmd(docker, &args)
            .env("DOCKER_BUILDKIT", "1")
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .stdout_null()
            .stderr_capture()
            .unchecked()
            .run()
            .context("`docker` does not start")?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        // BuildKit prints its whole progress; what failed stands at the end.
        let last: Vec<&str> = words.lines().rev().filter(|l| !l.trim().is_empty()).take(8).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!("`docker {}` failed: {}", args.join(" "), last.join("; "))
    }
}

/// The Docker client to build with, once it is known that somebody will answer.
///
/// # Errors
/// With every way out there is.
pub fn check(builder: Builder) -> Result<PathBuf> {
    let docker = Engine::named("docker").with_context(ways_out)?;
    match builder {
        Builder::Native | Builder::Docker => {
            let format = "{{.Client.Version}} {{.Server.Version}}";
            let versions = docker.output(&["version", "--format", format]).with_context(ways_out)?;
            let client = versions.split(' ').next().unwrap_or_default();
            self::client().with_context(|| {
                format!("the docker client {client} builds through buildx, which is not installed; {BUILDX}")
            })
        }
        Builder::Buildx => facts::find_programs("docker")
            .into_iter()
            .find(|docker| answers(docker, &["buildx", "version"]))
            .with_context(|| format!("`docker buildx` is not installed; {BUILDX}")),
    }
}

/// A Docker client that builds with BuildKit and whose engine answers, of all on the PATH.
pub fn client() -> Option<PathBuf> {
    facts::find_programs("docker").into_iter().find(|docker| {
        let version = duct::cmd!(docker, "version", "--format", "{{.Client.Version}}").stderr_null().read();
        version.is_ok_and(|version| !needs_buildx(&version) || answers(docker, &["buildx", "version"]))
            && answers(docker, &["info"])
    })
}

fn answers(docker: &Path, args: &[&str]) -> bool {
    let run = duct::cmd(docker, args).stdout_null().stderr_null().unchecked().run();
    run.is_ok_and(|output| output.status.success())
}

const BUILDX: &str = "on Debian 13 run `apt-get install docker-buildx`";

/// Since 23 Docker's client leaves building to that plugin.
fn needs_buildx(client: &str) -> bool {
    client.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 23)
}

fn ways_out() -> String {
    "no Docker engine answers: start one (`systemctl start docker`), name one with DOCKER_HOST=ssh://HOST, use a remote builder with `--builder buildx --builder-name NAME`, or leave `--builder` out for an image that needs none".into()
}

/// The build of an image that is staged; its base is in a registry, or in the engine under `base`.
pub fn staged_job(
    scene: &Scene,
    staged: &StagedImage,
    context: &Path,
    base: Option<String>,
    names: Vec<String>,
) -> Job {
    let mut arguments =
        plan::dockerfile::arguments(scene.spec, scene.facts, &staged.planned.image, &staged.config);
    arguments.extend(base.map(|base| ("BASE".to_string(), base)));
    Job {
        file: staged.dockerfile.clone(),
        context: context.to_path_buf(),
        arguments,
        labels: Vec::new(),
        names,
        platforms: staged.planned.platforms.clone(),
    }
}

/// The build of an image that has a Dockerfile of its own, in the folder of the catalogue.
pub fn dockerfile_job(scene: &Scene, planned: &PlannedImage, root: &Path, names: Vec<String>) -> Option<Job> {
    let BaseChoice::Dockerfile { path } = &planned.base else { return None };
    let base = &scene.spec.variants[&planned.variant.0].base;
    let pinned = match scene.facts.lock.bases.get(base) {
        Some(locked) => format!("{base}@{}", locked.digest),
        None => base.clone(),
    };
    let identity = plan::config::BaseIdentity::default();
    let labels = plan::config::config(scene.spec, scene.facts, &planned.image, &identity).labels;
    Some(Job {
        file: root.join(path),
        context: root.to_path_buf(),
        arguments: vec![("BASE".into(), pinned)],
        labels: labels.into_iter().collect(),
        names,
        platforms: planned.platforms.clone(),
    })
}

/// A base that no registry has goes into the engine, under the name that is returned; none needs that otherwise.
pub fn load_base(
    scene: &Scene,
    engine: &Engine,
    found: &Found,
    platform: &Platform,
) -> Result<Option<String>> {
    let Scene { cache, facts, .. } = scene;
    let Some(name) = found.identity.reference.as_ref().filter(|name| name.starts_with("localhost/")) else {
        return Ok(None);
    };
    let (repository, tag) = name.split_once(':').unwrap_or((name, "latest"));
    let parts: Vec<Part> = found
        .base
        .layers
        .iter()
        .zip(&found.base.history)
        .map(|(layer, history)| Part { layer: layer.clone(), history: history.clone() })
        .collect();
    let config = oci::Config { env: found.base.env.clone(), ..oci::Config::default() };
    let image = Image::assemble(cache.blobs(), platform, &facts.created(), &parts, &config)?;
    let (reader, writer) = std::io::pipe()?;
    let child = engine.load(reader)?;
    let tags = [tag.to_string()];
    let archived = [Archived { root: &image.manifest, docker: &image.manifest, repository, tags: &tags }];
    let sent = archive::write(
        cache.blobs(),
        &archived,
        facts.layer_time(),
        &format!("to {engine}"),
        std::io::BufWriter::with_capacity(1 << 20, writer),
    );
    engine.loaded(child)?;
    sent?;
    Ok(Some(name.clone()))
}

/// Whether flags and builder go together, and where the result goes.
///
/// # Errors
/// [`Usage`] with the way out.
pub fn sink(
    builder: Builder,
    platforms: usize,
    push: bool,
    archive: Option<&Path>,
    images: usize,
) -> Result<Sink> {
    let usage = |text: &str| Err(Usage(text.to_string()).into());
    match (builder, push, archive) {
        (Builder::Docker, true, _) | (Builder::Docker, _, Some(_)) => usage(
            "--builder docker: the image goes into the engine alone; use `--builder buildx` for --push or --archive",
        ),
        (Builder::Docker, ..) if platforms > 1 => usage(
            "--builder docker: the engine holds one platform of an image; use `--builder buildx` for several",
        ),
        (_, true, Some(_)) => {
            usage("--builder buildx: --push and --archive are two builds; give one of them")
        }
        (_, true, None) => Ok(Sink::Push),
        (_, false, Some(_)) if images > 1 => {
            usage("--builder buildx: an archive holds one image; name one with --image and --variant")
        }
        (_, false, Some(path)) => Ok(Sink::Archive(path.to_path_buf())),
        (Builder::Buildx, false, None) if platforms > 1 => usage(
            "--builder buildx: the engine holds one platform of an image; add --push or --archive for several",
        ),
        (_, false, None) => Ok(Sink::Engine),
    }
}

/// The id of an image in the engine, as a digest.
pub fn digest(name: &str) -> Result<String> {
    let id = Engine::named("docker")?.image_id(name);
    Ok(format!("sha256:{}", id.with_context(|| format!("{name} is not in the engine after its build"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let text = |k: &str, v: &str| (k.to_string(), v.to_string());
        Job {
            file: "c/server/alpine/Dockerfile".into(),
            context: "c".into(),
            arguments: vec![text("VERSION", "1.0.0"), text("BASE", "alpine@sha256:1")],
            labels: vec![text("a.b", "c d")],
            names: vec!["x:1".into(), "x:latest".into()],
            platforms: ["linux/amd64", "linux/arm/v7"].map(|p| oci::platform::parse(p).unwrap()).into(),
        }
    }

    #[test]
    fn commands() {
        let check = |builder, instance, sink: Sink, expect: &str| {
            assert_eq!(job().command(builder, instance, &sink).join(" "), expect);
        };
        let common = "--file c/server/alpine/Dockerfile --platform linux/amd64,linux/arm/v7 \
            --build-arg VERSION=1.0.0 --build-arg BASE=alpine@sha256:1 --label a.b=c d --tag x:1 --tag x:latest";
        check(Builder::Docker, None, Sink::Engine, &format!("build {common} c"));
        check(Builder::Buildx, None, Sink::Engine, &format!("buildx build {common} --load c"));
        check(
            Builder::Buildx,
            Some("remote"),
            Sink::Push,
            &format!("buildx build --builder remote {common} --push c"),
        );
        check(
            Builder::Buildx,
            None,
            Sink::Archive("o.tar".into()),
            &format!("buildx build {common} --output type=oci,dest=o.tar c"),
        );
    }

    #[test]
    fn clients() {
        let check = |version: &str, expect: bool| assert_eq!(needs_buildx(version), expect, "{version}");
        check("20.10.24+dfsg1", false);
        check("23.0.0", true);
        check("28.2.2", true);
        check("", false);
    }

    #[test]
    fn flags_that_do_not_go_together() {
        let archive = Path::new("o.tar");
        let check =
            |builder, platforms, push, archive: Option<&Path>, images, expect: Result<Sink, &str>| match (
                sink(builder, platforms, push, archive, images),
                expect,
            ) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect),
                (Err(e), Err(expect)) => {
                    assert!(crate::ui::is_usage(&e) && e.to_string().contains(expect), "{e}");
                }
                (found, expect) => panic!("{found:?}, not {expect:?}"),
            };
        check(Builder::Docker, 1, false, None, 3, Ok(Sink::Engine));
        check(Builder::Docker, 2, false, None, 1, Err("use `--builder buildx` for several"));
        check(Builder::Docker, 1, true, None, 1, Err("for --push or --archive"));
        check(Builder::Docker, 1, false, Some(archive), 1, Err("for --push or --archive"));
        check(Builder::Buildx, 1, false, None, 1, Ok(Sink::Engine));
        check(Builder::Buildx, 3, true, None, 2, Ok(Sink::Push));
        check(Builder::Buildx, 3, false, None, 1, Err("add --push or --archive"));
        check(Builder::Buildx, 3, false, Some(archive), 1, Ok(Sink::Archive("o.tar".into())));
        check(Builder::Buildx, 3, false, Some(archive), 2, Err("holds one image"));
        check(Builder::Buildx, 3, true, Some(archive), 1, Err("two builds"));
    }
}
