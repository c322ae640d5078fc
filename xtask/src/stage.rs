//! Lays out the context that the generated Dockerfiles copy from: for each image and platform the system layer as a tar
//! and the program, exactly as the native image has them.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci::{Config, Entry};
use plan::{BaseChoice, Plan, PlannedImage};

use crate::bases::Found;
use crate::image::{Bases, Scene};

/// An image whose parts lie in the context.
pub struct StagedImage {
    /// As planned.
    pub planned: PlannedImage,
    /// Its Dockerfile, in the context.
    pub dockerfile: PathBuf,
    /// One a platform.
    pub bases: Bases,
    /// How it runs, on its first platform.
    pub config: Config,
}

/// Lays out the parts of all images of the plan that no Dockerfile of their own makes, below `dir`. Each file appears
/// whole, so that a build that runs at the same time never sees a part of one.
pub fn stage(scene: &Scene, plan: &Plan, bases: Vec<Bases>, dir: &Path) -> Result<Vec<StagedImage>> {
    let mut staged: Vec<(StagedImage, Bases)> = Vec::new();
    // The plan has each image after the one that it is made from.
    for (planned, found) in plan.images.iter().zip(bases) {
        let found = match &planned.base {
            BaseChoice::Dockerfile { .. } => continue,
            BaseChoice::Image { image } => {
                let below = staged.iter().find(|(below, _)| {
                    below.planned.image == *image && below.planned.variant == planned.variant
                });
                let (_, above) = below.with_context(|| format!("{image} was not planned before"))?;
                above.iter().map(Found::again).collect()
            }
            _ => found,
        };
        staged.push(stage_image(scene, planned, found, dir)?);
    }
    Ok(staged.into_iter().map(|(image, _)| image).collect())
}

/// One image, and what images that are made from it are built on.
fn stage_image(
    scene: &Scene,
    planned: &PlannedImage,
    bases: Bases,
    dir: &Path,
) -> Result<(StagedImage, Bases)> {
    let Scene { spec, facts, inputs, .. } = scene;
    let image = &spec.images[&planned.image];
    let mut above = Vec::new();
    let mut first = None;
    for (platform, found) in planned.platforms.iter().zip(&bases) {
        let inputs = &inputs.iter().find(|(p, _)| p == platform).context("a platform was not built for")?.1;
        let layers = plan::filesystem::layers(spec, facts, &planned.image, platform, &found.base, inputs)?;
        let config = plan::config::config(spec, facts, &planned.image, &found.identity);
        let entries: Vec<Entry> = layers.into_iter().flat_map(|layer| layer.entries).collect();
        let places = plan::dockerfile::staged(&planned.image, &planned.variant, platform);
        let mut system = Vec::new();
        for entry in &entries {
            match entry {
                Entry::File { path, source, .. } if is_program(image, path) => {
                    let mut from = fs::File::open(&source.path)
                        .with_context(|| format!("{}: cannot read", source.path.display()))?;
                    write(&dir.join(&places.program), |out| Ok(std::io::copy(&mut from, out).map(|_| ())?))?;
                }
                Entry::Symlink { path, target } if is_link(image, path) => {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    link(&dir.join(&places.links), name, target)?;
                }
                other => system.push(other.clone()),
            }
        }
        if plan::dockerfile::has_system(image) {
            let path = dir.join(&places.system);
            let shown = path.display().to_string();
            write(&path, |out| Ok(oci::layer::tar(&system, facts.layer_time(), &shown, out)?))?;
        }
        let identity = plan::config::BaseIdentity {
            reference: Some(planned.name()),
            digest: None,
            env: config.env.clone(),
        };
        above.push(Found { base: found.base.over(&[], &entries, &config.env), identity });
        first.get_or_insert(config);
    }
    let dockerfile = dir.join(format!("{}/{}/Dockerfile", planned.image, planned.variant));
    let text = plan::dockerfile::prebuilt(spec, &facts.lock, &planned.image, &planned.variant);
    write(&dockerfile, |out| Ok(out.write_all(text.as_bytes())?))?;
    let config = first.context("an image for no platform")?;
    Ok((StagedImage { planned: planned.clone(), dockerfile, bases, config }, above))
}

fn is_program(image: &plan::spec::ImageSpec, path: &str) -> bool {
    image.binary.as_ref().is_some_and(|binary| binary.path.trim_start_matches('/') == path)
}

fn is_link(image: &plan::spec::ImageSpec, path: &str) -> bool {
    image.binary.as_ref().is_some_and(|binary| {
        let folder = binary.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let inside = path.strip_prefix(folder.trim_start_matches('/')).unwrap_or_default();
        binary.links.iter().any(|link| inside == format!("/{link}"))
    })
}

/// Writes a file under another name and gives it its own when it is whole.
fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<&fs::File>) -> Result<()>) -> Result<()> {
    let dir = path.parent().context("a file lies in a folder")?;
    let name = || format!("{}: cannot write", path.display());
    fs::create_dir_all(dir).with_context(name)?;
    let temp = tempfile::NamedTempFile::new_in(dir).with_context(name)?;
    let mut out = BufWriter::new(temp.as_file());
    fill(&mut out)?;
    out.flush().with_context(name)?;
    drop(out);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        temp.as_file().set_permissions(fs::Permissions::from_mode(0o755)).with_context(name)?;
    }
    temp.persist(path).with_context(name)?;
    Ok(())
}

#[cfg(unix)]
fn link(dir: &Path, name: &str, target: &str) -> Result<()> {
    let path = dir.join(name);
    if fs::read_link(&path).is_ok_and(|there| there == Path::new(target)) {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    let temp = tempfile::tempdir_in(dir.parent().context("a folder lies in a folder")?)?;
    std::os::unix::fs::symlink(target, temp.path().join(name))?;
    fs::rename(temp.path().join(name), &path).with_context(|| format!("{}: cannot write", path.display()))
}

#[cfg(not(unix))]
fn link(dir: &Path, _: &str, _: &str) -> Result<()> {
    anyhow::bail!("{}: a context with symbolic links can be laid out on Unix alone", dir.display())
}
