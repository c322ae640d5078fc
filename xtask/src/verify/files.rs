//! What lies in an image, file by file: read from what the engine saves, so that an image without a shell tells it too.

use anyhow::{Context as _, Result, ensure};
use oci::contents::{Item, Kind, Tree, read_layer};
use oci::{Blobs, Cache};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};
use plan::spec::ImageSpec;
use supply::checks;

use super::{Probe, Subject};

/// The promises about files.
pub const PROBES: &[Probe] = &[
    Probe { name: "has its folders, programs and users, with owners, modes and links", run: in_place },
    Probe {
        name: "adds no setuid or world-writable file, no leftover and no secret to its base",
        run: harmless,
    },
];

/// An image as the engine has it, saved into a folder that ends with this value.
struct Saved {
    _folder: tempfile::TempDir,
    cache: Cache,
    manifest: Descriptor,
}

impl Saved {
    fn of(subject: &Subject) -> Result<Saved> {
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("image.tar");
        subject.engine.output(&["save", "--output", &archive.display().to_string(), subject.image])?;
        let cache = Cache::create(&folder.path().join("cache"))?;
        let about = subject.inspect()?;
        let text = |key: &str| about[key].as_str().unwrap_or_default();
        let variant = text("Variant");
        let slash = if variant.is_empty() { "" } else { "/" };
        let platform =
            oci::platform::parse(&format!("{}/{}{slash}{variant}", text("Os"), text("Architecture")))?;
        let manifest = oci::import::import(&cache, &archive, None, &platform)?.manifest;
        Ok(Saved { _folder: folder, cache, manifest })
    }

    fn blobs(&self) -> &Blobs {
        self.cache.blobs()
    }

    /// The layers above the base: from the first that `cargo xtask image` made; where it made none, all.
    fn own_layers(&self) -> Result<Vec<Descriptor>> {
        let manifest: ImageManifest = oci::layout::document(self.blobs(), &self.manifest)?;
        let config: ImageConfiguration = oci::layout::document(self.blobs(), manifest.config())?;
        let made: Vec<&str> = config
            .history()
            .iter()
            .flatten()
            .filter(|entry| entry.empty_layer() != Some(true))
            .map(|entry| entry.created_by().as_deref().unwrap_or_default())
            .collect();
        let layers = manifest.layers();
        let first = made.iter().position(|text| text.starts_with("cargo xtask image: "));
        Ok(layers[first.filter(|_| made.len() == layers.len()).unwrap_or(0)..].to_vec())
    }
}

fn in_place(subject: &Subject) -> Result<()> {
    let image = &subject.spec.images[subject.name()];
    let saved = Saved::of(subject)?;
    let is_account = |item: &Item| matches!(item.path.as_str(), "etc/passwd" | "etc/group");
    let tree = Tree::read(saved.blobs(), &saved.manifest, is_account)?;
    let at = |path: &str| -> Result<&Item> {
        let found = tree.files.get(path.trim_start_matches('/'));
        Ok(&found.with_context(|| format!("there is no {path}"))?.item)
    };
    for directory in &image.directories {
        let (item, owner) = (at(&directory.path)?, plan::filesystem::owner(image, &directory.owner));
        let found = (item.mode, item.owner.uid, item.owner.gid);
        let expect = (directory.mode, owner.uid, owner.gid);
        ensure!(item.kind == Kind::Dir, "{} is no folder", directory.path);
        ensure!(found == expect, "{} is {}, not {}", directory.path, shown(found), shown(expect));
    }
    programs(image, at)?;
    if let Some(user) = &image.user {
        for (file, line) in [
            ("etc/passwd", format!("{}:x:{}:{}:", user.name, user.uid, user.gid)),
            ("etc/group", format!("{}:x:{}:", user.name, user.gid)),
        ] {
            let text = tree.text(file).with_context(|| format!("there is no /{file}"))?;
            ensure!(text.lines().any(|l| l.starts_with(&line)), "/{file} has no line {line}…");
        }
    }
    Ok(())
}

fn programs<'a>(image: &ImageSpec, at: impl Fn(&str) -> Result<&'a Item>) -> Result<()> {
    let Some(binary) = &image.binary else { return Ok(()) };
    let item = at(&binary.path)?;
    let found = (item.mode, item.owner.uid, item.owner.gid);
    ensure!(item.kind == Kind::File, "{} is no file", binary.path);
    ensure!(found == (0o755, 0, 0), "{} is {}, not {}", binary.path, shown(found), shown((0o755, 0, 0)));
    let (dir, program) = binary.path.rsplit_once('/').unwrap_or(("", &binary.path));
    for link in &binary.links {
        let path = format!("{dir}/{link}");
        let leads_there = match &at(&path)?.kind {
            Kind::Symlink(target) => target == program || *target == binary.path,
            Kind::HardLink(target) => format!("/{target}") == binary.path,
            _ => false,
        };
        ensure!(leads_there, "{path} is no link to {}", binary.path);
    }
    Ok(())
}

fn shown((mode, uid, gid): (u32, u32, u32)) -> String {
    format!("{mode:04o} of {uid}:{gid}")
}

fn harmless(subject: &Subject) -> Result<()> {
    let saved = Saved::of(subject)?;
    let mut found = Vec::new();
    for layer in saved.own_layers()? {
        read_layer(saved.blobs(), &layer, |item, content| {
            found.extend(checks::entry(item));
            if item.kind == Kind::File && item.size <= checks::MAX_TEXT {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                found.extend(checks::text(&item.path, &bytes));
            }
            Ok(())
        })?;
    }
    let found: Vec<String> =
        found.iter().map(|f| format!("{} {} ({})", f.place, f.message, f.rule)).collect();
    ensure!(found.is_empty(), "{}", found.join("; "));
    Ok(())
}
