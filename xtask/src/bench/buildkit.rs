//! BuildKit as the peer: the same files as a build context, built, and pushed to a registry on loopback.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci::Entry;
use plan::filesystem::PlannedLayer;

use super::{Contender, nothing};
use crate::facts;
use crate::image::buildkit;
use crate::loopback::Registry;

const BUILD: &str = "docker build --no-cache (BuildKit), nothing compressed";
const PUSH: &str = "docker build --no-cache and push to a local registry";

/// What the image is called that only builds make.
const NAME: &str = "scratchbird-bench";

/// An engine with BuildKit. What it was made to build it forgets when this is dropped.
pub struct Peer<'a> {
    docker: PathBuf,
    context: &'a Path,
    temp: &'a Path,
    can_push: bool,
    registry: RefCell<Option<Registry>>,
    names: RefCell<Vec<String>>,
}

impl<'a> Peer<'a> {
    /// Finds one that answers.
    pub fn find(context: &'a Path, temp: &'a Path, skipped: &mut Vec<String>) -> Option<Peer<'a>> {
        let Some(docker) = buildkit::client() else {
            skipped.push("docker build: no engine with a BuildKit client answers".into());
            return None;
        };
        let can_push = facts::find_program("docker-registry").is_some();
        if !can_push {
            skipped.push("push to a local registry: no docker-registry on the PATH".into());
        }
        let (registry, names) = (RefCell::new(None), RefCell::new(Vec::new()));
        Some(Peer { docker, context, temp, can_push, registry, names })
    }

    /// Building, and where there is a registry, building and pushing.
    pub fn contenders(&self, against: &'static str) -> Vec<Contender<'_>> {
        let build = Contender {
            what: BUILD,
            against: Some(against),
            prepare: nothing(),
            run: Box::new(|| self.build(NAME)),
        };
        let push = Contender {
            what: PUSH,
            against: Some(against),
            // A new registry each time: the engine remembers what it has sent to an old one.
            prepare: Box::new(|| {
                self.registry.replace(None);
                self.registry.replace(Some(Registry::start(self.temp)?));
                Ok(())
            }),
            run: Box::new(|| {
                let address = self.registry.borrow().as_ref().map(|r| r.address.clone());
                let name = format!("{}/bench/image", address.context("no registry runs")?);
                self.build(&name)?;
                duct::cmd!(&self.docker, "push", "--quiet", &name).stdout_null().stderr_capture().run()?;
                Ok(())
            }),
        };
        [build].into_iter().chain(self.can_push.then_some(push)).collect()
    }

    fn build(&self, name: &str) -> Result<()> {
        self.names.borrow_mut().push(name.to_string());
        duct::cmd!(&self.docker, "build", "--no-cache", "--quiet", "--tag", name, self.context)
            .env("DOCKER_BUILDKIT", "1")
            .stdout_null()
            .stderr_capture()
            .run()?;
        Ok(())
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        let mut names = std::mem::take(self.names.get_mut());
        names.sort();
        names.dedup();
        for name in names {
            // A failed build left none of that name.
            let remove = duct::cmd!(&self.docker, "rmi", "--force", name);
            let _ = remove.stdout_null().stderr_null().unchecked().run();
        }
    }
}

/// The same files as a build context.
pub fn write_context(context: &Path, layers: &[PlannedLayer]) -> Result<()> {
    let mut dockerfile = String::from("FROM scratch\n");
    for layer in layers {
        let root = context.join(layer.from);
        fs::create_dir_all(&root)?;
        for entry in &layer.entries {
            let path = root.join(entry.path());
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            match entry {
                Entry::Dir { .. } => fs::create_dir_all(&path)?,
                Entry::File { source, .. } => drop(fs::copy(&source.path, &path)?),
                Entry::Inline { contents, .. } => fs::write(&path, contents)?,
                Entry::Symlink { target, .. } => std::os::unix::fs::symlink(target, &path)?,
            }
        }
        let _ = writeln!(dockerfile, "COPY {}/ /", layer.from);
    }
    fs::write(context.join("Dockerfile"), dockerfile)?;
    Ok(())
}

/// The context as a tar.
pub fn pack(tar: &Path, context: &Path) -> Result<()> {
    duct::cmd!("tar", "--create", "--file", tar, "--directory", context, ".").run().context("tar")?;
    Ok(())
}
