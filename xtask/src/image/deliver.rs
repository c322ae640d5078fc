//! Where assembled images go: the layout, an archive, an engine.

use std::collections::BTreeSet;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use oci::archive::{self, Archived};
use oci::cache::Limits;
use oci::layout::{self, Named};
use oci::validate::{self, Depth};
use oci::{Blobs, Cache};
use plan::Facts;

use super::{Assembled, Work};
use crate::engine::Engine;
use crate::facts;
use crate::ui::{Ui, bytes_text};

/// Puts the images into the layout and reads them back.
pub fn write_layout(output: &Path, cache: &Cache, assembled: &[Assembled], work: &Work) -> Result<bool> {
    let named: Vec<Named> = assembled
        .iter()
        .flat_map(|image| {
            let names = image.planned.tags.iter();
            names.map(|tag| Named { name: image.planned.layout_name(tag), descriptor: image.index.clone() })
        })
        .collect();
    let written = layout::update(output, cache.blobs(), &named)?;
    let names: BTreeSet<String> = named.into_iter().map(|n| n.name).collect();
    // What was checked to the last entry when it was written need only be hashed when nothing changed.
    let depth = if written || work.compressed > 0 { Depth::Layers } else { Depth::Blobs };
    let problems = validate::layout(output, Some(&names), depth);
    if problems.is_empty() {
        return Ok(written);
    }
    let damaged = discard_damaged(output, cache, assembled);
    let way_out = if damaged > 0 {
        format!("; {damaged} damaged blobs were taken out of the cache: run the same command again")
    } else {
        String::new()
    };
    bail!("{}: is not valid after writing: {}{way_out}", output.display(), problems.join("; "));
}

/// Takes what is damaged out of the cache and the layout, for the next run to fetch or make it anew. How many it were.
fn discard_damaged(output: &Path, cache: &Cache, assembled: &[Assembled]) -> usize {
    let (blobs, written) = (cache.blobs(), Blobs::at(output));
    let parts = assembled.iter().filter_map(|image| layout::closure(blobs, &image.index).ok()).flatten();
    let damaged: BTreeSet<PathBuf> = parts
        .filter(|part| blobs.verify(part).is_err())
        .flat_map(|part| [blobs.path(part.digest()), written.path(part.digest())])
        .collect();
    // What can't be removed is found again by the next run.
    damaged.iter().filter(|path| std::fs::remove_file(path).is_ok()).count() / 2
}

/// Checks that something can be written where `output` lies or would lie, before a build that takes minutes.
pub fn check_writable(output: &Path) -> Result<()> {
    let place = std::path::absolute(output)?;
    let there = place.ancestors().find(|dir| dir.exists()).unwrap_or(&place);
    tempfile::tempfile_in(there)
        .map(drop)
        .with_context(|| format!("--output {}: cannot write in {}", output.display(), there.display()))
}

/// One tar of all images. It appears whole under its name, or not at all.
pub fn write_archive(path: &Path, cache: &Cache, facts: &Facts, assembled: &[Assembled]) -> Result<()> {
    let shown = path.display().to_string();
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temp = tempfile::Builder::new()
        .prefix(".archive")
        .tempfile_in(dir)
        .with_context(|| format!("--archive {shown}: cannot write in {}", dir.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, temp);
    archive_to(&mut out, &shown, cache, facts, assembled)?;
    let temp = out.into_inner().map_err(|e| anyhow!("{shown}: cannot write: {}", e.error()))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        temp.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    temp.persist(path).with_context(|| format!("--archive {shown}: cannot write"))?;
    Ok(())
}

fn archive_to(
    out: impl std::io::Write,
    target: &str,
    cache: &Cache,
    facts: &Facts,
    assembled: &[Assembled],
) -> Result<()> {
    let archived: Vec<Archived> = assembled
        .iter()
        .map(|image| Archived {
            root: &image.index,
            docker: &image.for_host(&facts.host).image.manifest,
            repository: &image.planned.repository,
            tags: &image.planned.tags,
        })
        .collect();
    Ok(archive::write(cache.blobs(), &archived, facts.layer_time(), target, out)?)
}

/// Streams the images that the engine does not have into it.
pub fn load(engine: &Engine, cache: &Cache, facts: &Facts, assembled: &[Assembled], ui: &Ui) -> Result<()> {
    for image in assembled {
        let host = &image.for_host(&facts.host).image;
        let names: Vec<String> =
            image.planned.tags.iter().map(|tag| format!("{}:{tag}", image.planned.repository)).collect();
        if names.iter().all(|name| engine.image_id(name).as_deref() == Some(host.config.digest().digest())) {
            ui.line("loaded", format_args!("{} is in {engine} already", image.planned.name()));
            continue;
        }
        // Through a pipe: the archive never lies on the disk.
        let (reader, writer) = std::io::pipe()?;
        let child = engine.load(reader)?;
        let sent = archive_to(
            BufWriter::with_capacity(1 << 20, writer),
            &format!("to {engine}"),
            cache,
            facts,
            std::slice::from_ref(image),
        );
        // The engine's own words say more than our broken pipe.
        engine.loaded(child)?;
        sent?;
        ui.line("loaded", format_args!("{} into {engine}", image.planned.name()));
    }
    Ok(())
}

/// What the cache may hold between runs; what was not of use for longest goes first.
const CACHE_LIMITS: Limits = Limits { bytes: 10 << 30, age: Duration::from_secs(30 * 86_400) };

/// Takes out of the cache what was of no use for long.
pub fn prune(cache: &Cache, ui: &Ui) -> Result<()> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(facts::clock());
    let pruned = cache.prune(now, CACHE_LIMITS)?;
    if pruned.bytes > 0 {
        ui.line(
            "pruned",
            format_args!("{} blobs of no use any more, {}", pruned.blobs, bytes_text(pruned.bytes)),
        );
    }
    Ok(())
}
