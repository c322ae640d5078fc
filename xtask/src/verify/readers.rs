//! What other people's tools think of the layout and the archive that we write.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use oci::archive::{self, Archived};
use oci::layout::Layout;
use oci::validate::{self, Depth};
use oci_spec::image::{ImageIndex, ImageManifest};
use plan::{Facts, PlannedImage, Spec};

use super::skip;
use crate::build;
use crate::engine::{self, Engine};
use crate::facts::{self, Workspace};

/// The layout under test.
pub struct Subject<'a> {
    /// Whose `target/oci` it is.
    pub workspace: &'a Workspace,
    /// What its images should be.
    pub spec: &'a Spec,
    /// For which machine.
    pub facts: &'a Facts,
    /// The images that should be in it.
    pub images: &'a [PlannedImage],
}

/// A promise about the layout.
pub struct LayoutProbe {
    /// The promise, as a sentence without its subject.
    pub name: &'static str,
    /// Tries it.
    pub run: fn(&Subject) -> Result<()>,
}

/// The promises about `target/oci`.
pub const PROBES: &[LayoutProbe] = &[
    LayoutProbe { name: "is a valid OCI layout, to the last layer entry", run: valid },
    LayoutProbe { name: "is read by skopeo, layout and archive", run: skopeo },
    LayoutProbe { name: "is unpacked by umoci, with modes and owners", run: umoci },
    LayoutProbe { name: "is loaded by podman, as an archive", run: podman },
    LayoutProbe {
        name: "starts on its foreign platforms, under qemu, and names its crates there",
        run: foreign,
    },
];

fn layout_dir(subject: &Subject) -> PathBuf {
    subject.workspace.target.join("oci")
}

fn valid(subject: &Subject) -> Result<()> {
    let wanted: BTreeSet<String> = subject.images.iter().flat_map(|i| i.tags.iter().cloned()).collect();
    let problems = validate::layout(&layout_dir(subject), Some(&wanted), Depth::Layers);
    ensure!(problems.is_empty(), "{}; run `cargo xtask image --variant all`", problems.join("; "));
    Ok(())
}

fn program(name: &str) -> Result<PathBuf> {
    program_of(name, name)
}

fn program_of(name: &str, package: &str) -> Result<PathBuf> {
    match facts::find_program(name) {
        Some(path) => Ok(path),
        None => skip(format!("no {name}; on Debian run `apt-get install {package}`")),
    }
}

/// The archive of all images, as `--archive` writes it.
fn archive(subject: &Subject, dir: &Path) -> Result<PathBuf> {
    let layout = Layout::open(layout_dir(subject))?;
    let mut images = Vec::new();
    for image in subject.images {
        let index = layout.resolve(Some(&image.tags[0]))?;
        let manifest = oci::base::manifest_for(layout.blobs(), &index, &subject.facts.host)?;
        images.push((image, index, manifest));
    }
    let archived: Vec<Archived> = images
        .iter()
        .map(|(image, root, docker)| Archived {
            root,
            docker,
            repository: &image.repository,
            tags: &image.tags,
        })
        .collect();
    let path = dir.join("images.tar");
    let shown = path.display().to_string();
    let file = File::create(&path).with_context(|| format!("{shown}: cannot create"))?;
    archive::write(layout.blobs(), &archived, subject.facts.layer_time(), &shown, BufWriter::new(file))?;
    Ok(path)
}

fn skopeo(subject: &Subject) -> Result<()> {
    let skopeo = program("skopeo")?;
    let layout = layout_dir(subject);
    let temp = tempfile::tempdir()?;
    let archive = archive(subject, temp.path())?;
    for tag in subject.images.iter().map(|image| &image.tags[0]) {
        let index = Layout::open(&layout)?.resolve(Some(tag))?;
        for source in
            [format!("oci:{}:{tag}", layout.display()), format!("oci-archive:{}:{tag}", archive.display())]
        {
            // A copy reads every blob and checks every digest.
            let target = temp.path().join("copy");
            let to = format!("dir:{}", target.display());
            run(&skopeo, &["copy", "--quiet", "--all", &source, &to])?;
            let bytes = std::fs::read(target.join("manifest.json"))?;
            let found = oci::digest::sha256(&bytes);
            ensure!(found == *index.digest(), "{source}: skopeo got {found}, not {}", index.digest());
            std::fs::remove_dir_all(&target)?;
        }
    }
    Ok(())
}

fn umoci(subject: &Subject) -> Result<()> {
    let umoci = program("umoci")?;
    let skopeo = program("skopeo")?;
    let temp = tempfile::tempdir()?;
    for planned in subject.images {
        let tag = &planned.tags[0];
        // umoci takes manifests, not indexes: skopeo picks this machine's.
        let plain = temp.path().join("plain");
        let from = format!("oci:{}:{}", layout_dir(subject).display(), planned.layout_name(tag));
        run(&skopeo, &["copy", "--quiet", &from, &format!("oci:{}:{tag}", plain.display())])?;
        let bundle = temp.path().join("bundle");
        let image = format!("{}:{tag}", plain.display());
        run(&umoci, &["unpack", "--rootless", "--image", &image, &bundle.display().to_string()])?;
        let root = bundle.join("rootfs");
        let image = &subject.spec.images[&planned.image];
        if let Some(binary) = &image.binary {
            let path = root.join(binary.path.trim_start_matches('/'));
            let elf =
                build::inspect(&path)?.elf.with_context(|| format!("{} is no program", path.display()))?;
            ensure!(elf.interpreter.is_none(), "{} is not static", path.display());
        }
        for directory in &image.directories {
            let path = root.join(directory.path.trim_start_matches('/'));
            let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata()?.permissions()) & 0o7777;
            ensure!(
                mode == directory.mode,
                "{} has the mode {mode:o}, not {:o}",
                directory.path,
                directory.mode
            );
        }
        std::fs::remove_dir_all(&bundle)?;
        std::fs::remove_dir_all(&plain)?;
    }
    Ok(())
}

fn podman(subject: &Subject) -> Result<()> {
    program("podman")?;
    let podman = Engine::named("podman")?;
    let temp = tempfile::tempdir()?;
    let archive = archive(subject, temp.path())?;
    podman.output(&["load", "--quiet", "--input", &archive.display().to_string()])?;
    for name in subject.images.iter().map(PlannedImage::name) {
        // Where podman is itself in a container it may not raise limits, as its defaults do, nor ask systemd for the
        // timers of health checks.
        let version = podman.output(&[
            "run",
            "--rm",
            "--network",
            "none",
            "--no-healthcheck",
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1024:1024",
            &name,
            "scratchbird",
            "--version",
        ]);
        podman.output(&["rmi", "--force", &name])?;
        ensure!(version?.contains(&subject.facts.version.to_string()), "{name} does not run in podman");
    }
    Ok(())
}

/// Takes the program of every platform but this machine's out of the layers and starts it.
fn foreign(subject: &Subject) -> Result<()> {
    let layout = Layout::open(layout_dir(subject))?;
    let temp = tempfile::tempdir()?;
    let mut started = 0;
    for planned in subject.images {
        let Some(binary) = &subject.spec.images[&planned.image].binary else { continue };
        let root = layout.resolve(Some(&planned.layout_name(&planned.tags[0])))?;
        let index: ImageIndex = oci::layout::document(layout.blobs(), &root)?;
        for descriptor in index.manifests() {
            let Some(platform) = descriptor.platform().as_ref().filter(|p| **p != subject.facts.host) else {
                continue;
            };
            let name = oci::platform::display(platform);
            let qemu = program_of(&engine::emulator(platform), "qemu-user-static")?;
            let manifest: ImageManifest = oci::layout::document(layout.blobs(), descriptor)?;
            let top = manifest.layers().last().context("a manifest without layers")?;
            let path = temp.path().join("program");
            let mut tar = tar::Archive::new(oci::stream::decode(layout.blobs().open(top.digest())?)?);
            let wanted = binary.path.trim_start_matches('/');
            let entry = tar.entries()?.flatten().find(|e| e.path_bytes() == wanted.as_bytes());
            entry.with_context(|| format!("{name}: the top layer has no {wanted}"))?.unpack(&path)?;
            starts(&qemu, &path, subject.facts).with_context(|| name.clone())?;
            let crates = supply::auditable::extract(&std::fs::read(&path)?)?.unwrap_or_default().packages;
            ensure!(crates.iter().any(|c| c.root), "{name}: the program does not name its crates");
            started += 1;
        }
    }
    if started == 0 {
        return skip("the layout holds no foreign platform; run `cargo xtask image --platform all`");
    }
    Ok(())
}

/// Starts another platform's program; it must tell the version.
pub(super) fn starts(emulator: &Path, program: &Path, facts: &Facts) -> Result<()> {
    let said = duct::cmd!(emulator, program, "--version").stderr_to_stdout().unchecked().read()?;
    ensure!(said.contains(&facts.version.to_string()), "it says `{said}`");
    Ok(())
}

/// Runs a program that must succeed; else its words are the error.
pub(super) fn run(program: &Path, args: &[&str]) -> Result<()> {
    let output = duct::cmd(program, args).stdout_capture().stderr_capture().unchecked().run()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{} {}`: {}", program.display(), args.join(" "), words.trim());
    Ok(())
}
