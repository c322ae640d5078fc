//! The one place that reads git and the environment. Everything else gets what it needs from here.
#![allow(clippy::disallowed_methods, reason = "this is the file that the ban points to")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci_spec::image::Platform;
use plan::{Facts, Lock, Spec, toolchain};
use semver::Version;
use serde::Deserialize;
use xshell::{Shell, cmd};

mod ci;
mod git;
mod registries;
mod rust;

pub use ci::{ci_event, ci_run, github_files};
pub use registries::registry_config;
pub use rust::{build_influences, cargo_home, rust_host, rust_sources, rustup_home, sysroot};
use rust::{rust_targets, rustc};

/// The workspace's own catalogue of images.
const SPEC: &str = "docker/images.toml";
/// The digests of a catalogue's bases, beside it.
const LOCK: &str = "bases.lock";

/// The checkout that is worked on, as Cargo sees it.
pub struct Workspace {
    /// Its root folder.
    pub root: PathBuf,
    /// Where Cargo puts what it builds.
    pub target: PathBuf,
    /// The version of the workspace's packages.
    pub version: Version,
    /// Another catalogue than the workspace's own, as `--spec` names it.
    catalogue: Option<PathBuf>,
}

/// What `cargo metadata` says, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Version,
    manifest_path: PathBuf,
    source: Option<String>,
}

impl Workspace {
    /// Finds the workspace that this program belongs to. `catalogue` is what is worked on instead of its own.
    pub fn find(catalogue: Option<&Path>) -> Result<Workspace> {
        // Cargo names the package when it runs us; started by hand, the folder that we were built from counts.
        let manifest_dir =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let sh = Shell::new()?;
        sh.change_dir(&manifest_dir);
        let cargo = cargo();
        // Without what it depends on: that is most of what Cargo knows, and most commands don't ask.
        let json = cmd!(sh, "{cargo} metadata --format-version 1 --no-deps")
            .quiet()
            .read()
            .context("cannot read the workspace; run `cargo metadata` to see why")?;
        let metadata: Metadata =
            serde_json::from_str(&json).context("cargo metadata gave no JSON that we know")?;
        let own = metadata
            .packages
            .iter()
            .find(|p| p.name == "xtask")
            .context("the workspace has no package xtask")?;
        Ok(Workspace {
            version: own.version.clone(),
            catalogue: catalogue.map(Path::to_path_buf),
            root: metadata.workspace_root,
            target: metadata.target_directory,
        })
    }

    /// Another checkout of it, such as one of an older commit, which builds into its own folder.
    pub fn at(&self, root: PathBuf, target: PathBuf) -> Workspace {
        Workspace { root, target, version: self.version.clone(), catalogue: None }
    }

    /// The folders that hold the sources of packages from registries.
    pub fn registry_sources(&self) -> Result<Vec<PathBuf>> {
        let sh = self.shell()?;
        let (cargo, host) = (cargo(), rust_host(&sh)?);
        // --locked: a lock file that doesn't fit is somebody's unfinished change, not ours to finish.
        let json = cmd!(sh, "{cargo} metadata --format-version 1 --locked --filter-platform {host}")
            .quiet()
            .ignore_stderr()
            .read()
            .or_else(|_| {
                cmd!(sh, "{cargo} metadata --format-version 1 --filter-platform {host}").quiet().read()
            })
            .context("cannot read the workspace; run `cargo metadata` to see why")?;
        let metadata: Metadata =
            serde_json::from_str(&json).context("cargo metadata gave no JSON that we know")?;
        let of_registries = metadata.packages.iter().filter(|package| package.source.is_some());
        let mut folders: Vec<PathBuf> = of_registries
            .filter_map(|package| Some(package.manifest_path.parent()?.parent()?.to_path_buf()))
            .collect();
        folders.sort();
        folders.dedup();
        Ok(folders)
    }

    /// A shell in the workspace's root.
    pub fn shell(&self) -> Result<Shell> {
        let sh = Shell::new()?;
        sh.change_dir(&self.root);
        Ok(sh)
    }

    /// The text of one of the workspace's files.
    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("{path}: cannot read"))
    }

    /// The catalogue.
    pub fn spec(&self) -> Result<Spec> {
        let path = self.spec_path();
        let mut spec = Spec::parse(path.to_str().unwrap_or(SPEC), &self.read_at(&path)?)?;
        if self.is_own() {
            spec.project.version.get_or_insert_with(|| self.version.clone());
        }
        if spec.project.version.is_none() {
            bail!("{}: project: missing field `version`, such as `version = \"1.0.0\"`", path.display());
        }
        Ok(spec)
    }

    /// The lock beside the catalogue; an absent one is empty.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.lock_path();
        let file = path.display().to_string();
        if !self.absolute(&path).exists() {
            return Ok(Lock { file, ..Lock::default() });
        }
        Ok(Lock::parse(&file, &self.read_at(&path)?)?)
    }

    /// The catalogue's file; within the workspace from its root.
    pub fn spec_path(&self) -> PathBuf {
        self.catalogue.clone().unwrap_or_else(|| SPEC.into())
    }

    /// The lock's file, as [`Workspace::spec`]'s.
    pub fn lock_path(&self) -> PathBuf {
        self.spec_path().with_file_name(LOCK)
    }

    /// The catalogue that `--spec` named.
    pub fn other_catalogue(&self) -> Option<&Path> {
        self.catalogue.as_deref()
    }

    /// Whether the catalogue is the workspace's own.
    pub fn is_own(&self) -> bool {
        self.catalogue.is_none()
    }

    /// The folder that paths in the catalogue are meant from: the workspace's root, or where another catalogue lies.
    pub fn sources(&self) -> PathBuf {
        match self.catalogue.as_ref().and_then(|file| file.parent()) {
            None => self.root.clone(),
            Some(dir) if dir.as_os_str().is_empty() => ".".into(),
            Some(dir) => dir.into(),
        }
    }

    fn read_at(&self, path: &Path) -> Result<String> {
        std::fs::read_to_string(self.absolute(path))
            .with_context(|| format!("{}: cannot read", path.display()))
    }

    /// Where the catalogue's or lock's path leads: our own from the workspace's root, another as it was typed.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        if self.is_own() { self.root.join(path) } else { path.into() }
    }

    /// Where blobs, layers and bases are kept between runs.
    pub fn cache_dir(&self) -> PathBuf {
        self.target.join("oci-cache")
    }

    /// The program `name`: on the PATH, or where `.ci/run` puts what Debian does not have.
    pub fn tool(&self, name: &str) -> Option<PathBuf> {
        let own = self.target.join("tools/bin").join(name);
        find_program(name).or_else(|| Some(own).filter(|path| is_executable(path)))
    }

    /// All that the plan wants to know.
    pub fn facts(&self, spec: &Spec) -> Result<Facts> {
        Ok(Facts {
            version: spec.project.version.clone().unwrap_or_else(|| self.version.clone()),
            revision: self.revision()?,
            source_date_epoch: source_date_epoch()?,
            host: host_platform()?,
            programs: toolchain::programs(spec.platforms.values())
                .into_iter()
                .filter(|program| find_program(program).is_some())
                .collect(),
            rust_targets: rust_targets(&self.shell()?)?,
            lock: self.lock()?,
        })
    }

    /// The compiler that Cargo would use, with its commit: `rustc 1.89.0 (29483883e 2025-08-04)`.
    pub fn rust_version(&self) -> Result<String> {
        let rustc = rustc();
        let sh = self.shell()?;
        Ok(cmd!(sh, "{rustc} --version").quiet().read()?)
    }
}

/// What a variable holds that the user named; none where it is empty.
pub fn secret(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// The password of an encrypted key, in cosign's variable.
pub fn cosign_password() -> Option<String> {
    env::var("COSIGN_PASSWORD").ok()
}

/// SOURCE_DATE_EPOCH, in seconds since 1970.
pub fn source_date_epoch() -> Result<Option<u64>> {
    let Ok(text) = env::var("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.trim().parse().ok().with_context(|| {
        format!("SOURCE_DATE_EPOCH=`{text}`: must be seconds since 1970, such as `1700000000`")
    })?;
    Ok(Some(seconds))
}

/// The clock, in seconds since 1970.
pub fn clock() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

/// The Cargo that runs us. No path: duct takes a relative one for a file in the working folder.
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The user's editor, with its arguments.
pub fn editor() -> Option<Vec<String>> {
    let text =
        ["VISUAL", "EDITOR"].iter().find_map(|name| env::var(name).ok().filter(|v| !v.trim().is_empty()))?;
    Some(text.split_whitespace().map(String::from).collect())
}

/// This program, to run it again as users do.
pub fn own_program() -> Result<PathBuf> {
    env::current_exe().context("cannot tell where this program lies")
}

/// What containers run on here.
fn host_platform() -> Result<Platform> {
    let architecture = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm/v7",
        other => bail!("no image is built for hosts with `{other}`; name a platform with --platform"),
    };
    Ok(oci::platform::parse(&format!("linux/{architecture}"))?)
}

/// The user's folder.
pub fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from)
}

/// The program `name` on the PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    find_programs(name).into_iter().next()
}

/// The PATH with other folders in front.
pub fn path_before(dirs: &[PathBuf]) -> Result<OsString> {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::join_paths(dirs.iter().cloned().chain(env::split_paths(&paths)))
        .with_context(|| format!("{dirs:?}: can't be in a PATH"))
}

/// Whether we may do what only root may, such as becoming somebody else.
pub fn is_root() -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        Path::new("/proc/self").metadata().is_ok_and(|m| m.uid() == 0)
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Every program `name` on the PATH, in its order.
pub fn find_programs(name: &str) -> Vec<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).map(|dir| dir.join(name)).filter(|path| is_executable(path)).collect()
}

fn is_executable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    }
    #[cfg(not(unix))]
    path.is_file()
}
