//! Builds a commit once more where as little as possible is as it is here: another folder, another home for Cargo, another
//! place of the Rust toolchain, another umask, time zone, locale and number of cores, and, where root asks, another user.

use std::fs;
use std::os::unix::fs::{chown, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::Cache;
use oci::layout::{self, Layout};
use oci_spec::image::{Descriptor, Platform};
use plan::{Facts, Spec};
use xshell::{Shell, cmd};

use crate::bases;
use crate::facts::{self, Workspace};
use crate::ui::Ui;

/// `nobody`, on every Linux: what another user can't read or write, nobody can't.
const NOBODY: u32 = 65534;

/// What is built again.
pub struct Build<'a> {
    /// The commit.
    pub commit: &'a str,
    /// The variant.
    pub variant: &'a str,
    /// The platform.
    pub platform: &'a Platform,
    /// The SOURCE_DATE_EPOCH that it was built with, if with one.
    pub epoch: Option<u64>,
    /// Whether no connection may be opened: then what Cargo has fetched, and the user who has it, stay the same.
    pub offline: bool,
}

/// Builds below `dir`, an empty folder; gives the layout and the image's manifest in it.
///
/// 1. The commit is cloned, and the bases that this checkout has are lent: an imported one can be had nowhere else.
/// 2. The toolchain is linked into the folder, so that it lies elsewhere and another user may read it.
/// 3. All that is to be written is given to that user, who then runs `cargo xtask image`.
pub fn rebuild(
    workspace: &Workspace,
    spec: &Spec,
    facts: &Facts,
    dir: &Path,
    build: &Build,
    ui: &Ui,
) -> Result<(Layout, Descriptor)> {
    let clone = dir.join("somewhere/else entirely");
    let (target, output, home) = (dir.join("target"), dir.join("oci"), dir.join("home"));
    check_out(&workspace.root, &clone, build.commit)?;
    fs::create_dir_all(&home)?;
    let (from, to) = (Cache::create(&workspace.cache_dir())?, Cache::create(&target.join("oci-cache"))?);
    lend_base(spec, facts, build, &from, &to)?;
    let toolchain = dir.join("rust");
    link_tree(&facts::sysroot(&workspace.shell()?)?, &toolchain)?;

    let as_nobody = facts::is_root() && !build.offline && facts::find_program("setpriv").is_some();
    let mut line: Vec<String> = Vec::new();
    if as_nobody {
        give(dir, NOBODY, &toolchain)?;
        let id = NOBODY.to_string();
        line.extend(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"].map(String::from));
    }
    if facts::find_program("taskset").is_some() {
        line.extend(["taskset", "--cpu-list", "0"].map(String::from));
    }
    line.push(toolchain.join("bin/cargo").display().to_string());
    line.extend(["xtask", "--quiet", "image", "--variant", build.variant, "--platform"].map(String::from));
    line.extend([oci::platform::display(build.platform), "--output".into(), output.display().to_string()]);
    if build.offline {
        line.push("--offline".into());
    }
    let who = if as_nobody { "as another user" } else { "as the same user" };
    ui.line("rebuild", format_args!("{} {} {who}, in {}", build.commit, build.variant, dir.display()));
    // A shell, because nothing else sets a umask for a program that it starts.
    let script = "umask 027; exec \"$@\"";
    let sh = Shell::new()?;
    sh.change_dir(&clone);
    let mut command = cmd!(sh, "sh -c {script} sh {line...}")
        .env("PATH", facts::path_before(&[toolchain.join("bin")])?)
        .env("CARGO", toolchain.join("bin/cargo"))
        .env("RUSTC", toolchain.join("bin/rustc"))
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_BUILD_JOBS", "1")
        .env("TZ", "Pacific/Chatham")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env_remove("SOURCE_DATE_EPOCH")
        .env_remove("RUSTUP_TOOLCHAIN");
    if let Some(epoch) = build.epoch {
        command = command.env("SOURCE_DATE_EPOCH", epoch.to_string());
    }
    if !build.offline {
        command = command.env("HOME", &home).env("CARGO_HOME", home.join("cargo"));
    }
    command.quiet().ignore_stdout().run().with_context(|| format!("building {}", build.commit))?;
    let layout = Layout::open(&output)?;
    let root = layout.resolve(None)?;
    let manifest = oci::base::manifest_for(layout.blobs(), &root, build.platform)?;
    Ok((layout, manifest))
}

fn check_out(root: &Path, clone: &Path, commit: &str) -> Result<()> {
    let sh = Shell::new()?;
    cmd!(sh, "git clone --quiet --no-checkout {root} {clone}").quiet().run()?;
    sh.change_dir(clone);
    let checked_out = cmd!(sh, "git checkout --quiet --detach {commit}").quiet().ignore_stderr().run();
    if checked_out.is_err() {
        bail!("the commit {commit} is not in this checkout; run `git fetch origin {commit}` first");
    }
    Ok(())
}

/// Lends the base, if it is at hand: what was imported, and what was pulled. Nothing that was made from our sources goes
/// along, and a blob is verified before it is believed.
fn lend_base(spec: &Spec, facts: &Facts, build: &Build, from: &Cache, to: &Cache) -> Result<()> {
    let Some(variant) = spec.variants.get(build.variant) else { return Ok(()) };
    let lend = |root: &Descriptor| -> Result<()> {
        for part in layout::closure(from.blobs(), root)? {
            if from.blobs().contains(&part) {
                from.blobs().link_into(to.blobs(), &part)?;
            }
        }
        Ok(())
    };
    if let Some(import) = bases::imported(from, &variant.base, build.platform) {
        lend(&import.imported.manifest)?;
        bases::remember(to, &variant.base, build.platform, &import)?;
    }
    let locked = facts.lock.bases.get(&variant.base);
    if let Some(root) = locked.and_then(|locked| bases::cached_root(from.blobs(), &locked.digest)) {
        from.blobs().link_into(to.blobs(), &root)?;
        if let Ok(manifest) = oci::base::manifest_for(from.blobs(), &root, build.platform) {
            lend(&manifest)?;
        }
    }
    Ok(())
}

/// The same files under other names: linked where that can be, else copied.
fn link_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let (entry, kind) = entry.and_then(|e| e.file_type().map(|kind| (e, kind)))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            link_tree(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target).with_context(|| source.display().to_string())?;
        }
    }
    Ok(())
}

/// Gives `dir` and what is in it to a user, but for `linked` and what has other names too: that is still ours.
fn give(dir: &Path, user: u32, linked: &Path) -> Result<()> {
    let mut pending: Vec<PathBuf> = vec![dir.to_path_buf()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() && path != linked {
            pending.extend(fs::read_dir(&path)?.flatten().map(|entry| entry.path()));
            chown(&path, Some(user), Some(user)).with_context(|| path.display().to_string())?;
        } else if std::os::unix::fs::MetadataExt::nlink(&metadata) == 1 {
            lchown(&path, Some(user), Some(user)).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}
