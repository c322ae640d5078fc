//! The one place that reads git and the environment. Everything else gets what it needs from here.
#![allow(clippy::disallowed_methods, reason = "this is the file that the ban points to")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci_spec::image::Platform;
use plan::tags::event::{self, Event};
use plan::{Facts, Lock, Revision, Spec, toolchain};
use semver::Version;
use serde::Deserialize;
use xshell::{Shell, cmd};

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
    /// The folders that hold the sources of packages from registries.
    pub registry_sources: Vec<PathBuf>,
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
        let host = rust_host(&sh)?;
        let cargo = cargo();
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
        let own = metadata
            .packages
            .iter()
            .find(|p| p.name == "xtask")
            .context("the workspace has no package xtask")?;
        let mut registry_sources: Vec<PathBuf> = metadata
            .packages
            .iter()
            .filter(|p| p.source.is_some())
            .filter_map(|p| Some(p.manifest_path.parent()?.parent()?.to_path_buf()))
            .collect();
        registry_sources.sort();
        registry_sources.dedup();
        Ok(Workspace {
            version: own.version.clone(),
            catalogue: catalogue.map(Path::to_path_buf),
            root: metadata.workspace_root,
            target: metadata.target_directory,
            registry_sources,
        })
    }

    /// Another checkout of it, such as one of an older commit, which builds into its own folder.
    pub fn at(&self, root: PathBuf, target: PathBuf) -> Workspace {
        Workspace {
            root,
            target,
            registry_sources: self.registry_sources.clone(),
            version: self.version.clone(),
            catalogue: None,
        }
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

    /// The commit that is checked out; none where this is no git checkout or git is not installed.
    fn revision(&self) -> Result<Option<Revision>> {
        if !self.root.join(".git").exists() {
            return Ok(None);
        }
        let sh = self.shell()?;
        let Ok(head) = cmd!(sh, "git show --no-patch --format=%H%n%ct HEAD").quiet().ignore_stderr().read()
        else {
            return Ok(None);
        };
        let (commit, time) = head.split_once('\n').context("git show gave no commit and time")?;
        let dirty = !cmd!(sh, "git status --porcelain").quiet().read()?.is_empty();
        Ok(Some(Revision { commit: commit.to_string(), time: time.trim().parse()?, dirty }))
    }

    /// What git prints for this checkout; none where it has nothing to say, or this is no checkout.
    fn git(&self, arguments: &[&str]) -> Option<String> {
        if !self.root.join(".git").exists() {
            return None;
        }
        let sh = self.shell().ok()?;
        let output = cmd!(sh, "git {arguments...}").quiet().ignore_stderr().read().ok()?;
        Some(output).filter(|text| !text.is_empty())
    }

    fn git_lines(&self, arguments: &[&str]) -> Vec<String> {
        self.git(arguments).unwrap_or_default().lines().map(String::from).collect()
    }

    /// The tags of the repository.
    pub fn git_tags(&self) -> Vec<String> {
        self.git_lines(&["tag", "--list"])
    }

    /// Whether commits, and with them perhaps tags, were left out when this was cloned.
    pub fn is_shallow(&self) -> bool {
        self.git(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("true")
    }

    /// The branches that this checkout knows, here and at `origin`.
    pub fn branches(&self) -> Vec<String> {
        let mut names = self.git_lines(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"]);
        names.extend(self.git_lines(&[
            "for-each-ref",
            "--format=%(refname:lstrip=3)",
            "refs/remotes/origin",
        ]));
        names
    }

    /// The full name of what is checked out: a branch, else a tag that stands there.
    pub fn head_ref(&self) -> Option<String> {
        self.git(&["symbolic-ref", "--quiet", "HEAD"]).or_else(|| {
            let tags = self.git_lines(&["tag", "--points-at", "HEAD", "--sort=-version:refname"]);
            tags.first().map(|tag| format!("refs/tags/{tag}"))
        })
    }

    /// The commit that a name means.
    pub fn commit_of(&self, name: &str) -> Option<String> {
        self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])
    }

    /// When a commit was made, in seconds since 1970.
    pub fn commit_time(&self, commit: &str) -> Option<u64> {
        self.git(&["show", "--no-patch", "--format=%ct", "--end-of-options", commit])?.parse().ok()
    }

    /// What git says of files that were changed or added and not committed, one a line.
    pub fn uncommitted(&self) -> Vec<String> {
        self.git_lines(&["status", "--porcelain"])
    }

    /// The branch that is checked out.
    pub fn branch(&self) -> Option<String> {
        self.git(&["symbolic-ref", "--quiet", "--short", "HEAD"])
    }

    /// Whether the repository has a remote of that name.
    pub fn has_remote(&self, name: &str) -> bool {
        self.git_lines(&["remote"]).iter().any(|remote| remote == name)
    }

    /// How many commits `origin` had on the branch, when it was last fetched, that are not checked out.
    pub fn behind_origin(&self, branch: &str) -> u64 {
        let range = format!("HEAD..refs/remotes/origin/{branch}");
        self.git(&["rev-list", "--count", &range]).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// The newest release that the checked out commit comes after, as its tag.
    pub fn last_release(&self) -> Option<String> {
        self.git(&["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"])
    }

    /// The messages of the commits since that tag, the oldest first; of all where there is none.
    pub fn messages_since(&self, tag: Option<&str>) -> Vec<String> {
        let range = tag.map_or("HEAD".to_string(), |tag| format!("refs/tags/{tag}..HEAD"));
        let text =
            self.git(&["log", "--reverse", "--no-merges", "--format=%B%x00", &range]).unwrap_or_default();
        text.split('\0').map(|m| m.trim().to_string()).filter(|m| !m.is_empty()).collect()
    }

    /// The branch that others start from: what `origin` says, else `main` or `master` where there is one.
    pub fn default_branch(&self) -> Option<String> {
        let origin = self.git(&["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"]);
        let origin = origin.and_then(|name| name.strip_prefix("refs/remotes/origin/").map(String::from));
        let branches = self.branches();
        origin.or_else(|| {
            ["main", "master"].into_iter().find(|n| branches.iter().any(|b| b == n)).map(String::from)
        })
    }
}

/// What the CI that runs us says of the build; empty where there is none.
pub fn ci_event() -> Result<Event> {
    let variables = event::VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_string(), env::var(name).ok()?)))
        .collect();
    let payload = match env::var_os("GITHUB_EVENT_PATH").filter(|path| !path.is_empty()).map(PathBuf::from) {
        Some(path) => Some(
            std::fs::read_to_string(&path)
                .with_context(|| format!("GITHUB_EVENT_PATH: {}: cannot read", path.display()))?,
        ),
        None => None,
    };
    Ok(Event::read(&variables, payload.as_deref())?)
}

/// The files that a GitHub workflow reads a step's outputs and summary from.
pub fn github_files() -> Option<(PathBuf, PathBuf)> {
    let file = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    Some((file("GITHUB_OUTPUT")?, file("GITHUB_STEP_SUMMARY")?))
}

/// What a variable holds that the user named; none where it is empty.
pub fn secret(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// The password of an encrypted key, in cosign's variable.
pub fn cosign_password() -> Option<String> {
    env::var("COSIGN_PASSWORD").ok()
}

/// The run of a CI that we are part of.
pub struct CiRun {
    /// The workflow, as a URI.
    pub builder: String,
    /// The run, as a URI.
    pub invocation: String,
}

/// Which run of GitHub's or GitLab's CI this is, if any.
pub fn ci_run() -> Option<CiRun> {
    let text = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
    if let (Some(server), Some(repository), Some(run)) =
        (text("GITHUB_SERVER_URL"), text("GITHUB_REPOSITORY"), text("GITHUB_RUN_ID"))
    {
        let workflow = text("GITHUB_WORKFLOW_REF").unwrap_or_else(|| repository.clone());
        let attempt = text("GITHUB_RUN_ATTEMPT").unwrap_or_else(|| "1".into());
        return Some(CiRun {
            builder: format!("{server}/{workflow}"),
            invocation: format!("{server}/{repository}/actions/runs/{run}/attempts/{attempt}"),
        });
    }
    Some(CiRun { builder: text("CI_PROJECT_URL")?, invocation: text("CI_JOB_URL")? })
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

/// The rustc that Cargo would use.
fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// The target triple of this machine's Rust.
pub fn rust_host(sh: &Shell) -> Result<String> {
    Ok(rustc_version(sh)?.1)
}

/// The commit of rustc and the host's target triple.
fn rustc_version(sh: &Shell) -> Result<(String, String)> {
    let rustc = rustc();
    let text = cmd!(sh, "{rustc} -vV").quiet().read()?;
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_string());
    let host = field("host:").context("rustc -vV names no host")?;
    Ok((field("commit-hash:").unwrap_or_else(|| "unknown".into()), host))
}

/// The toolchain's own sources, where rustup installed them, and rustc's commit: what rustc calls
/// `/rustc/<commit>` everywhere else.
pub fn rust_sources(sh: &Shell) -> Result<(PathBuf, String)> {
    Ok((sysroot(sh)?.join("lib/rustlib/src/rust"), rustc_version(sh)?.0))
}

/// Where the Rust toolchain lies.
pub fn sysroot(sh: &Shell) -> Result<PathBuf> {
    let rustc = rustc();
    Ok(PathBuf::from(cmd!(sh, "{rustc} --print sysroot").quiet().read()?))
}

/// The Rust targets whose standard library is installed.
fn rust_targets(sh: &Shell) -> Result<BTreeSet<String>> {
    let dir = sysroot(sh)?.join("lib/rustlib");
    let entries = std::fs::read_dir(&dir).with_context(|| format!("{}: cannot read", dir.display()))?;
    let installed = entries.flatten().filter(|entry| entry.path().join("lib").is_dir());
    Ok(installed.filter_map(|entry| entry.file_name().into_string().ok()).collect())
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

/// The variables of our environment that would change what Cargo builds: they are kept from it, so that the same
/// commit gives the same binary in everybody's shell.
pub fn build_influences() -> Vec<String> {
    env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| {
            matches!(
                name.as_str(),
                "RUSTFLAGS" | "CARGO_ENCODED_RUSTFLAGS" | "CARGO_BUILD_RUSTFLAGS" | "CARGO_BUILD_TARGET"
            ) || matches!(
                name.as_str(),
                "CFLAGS" | "TARGET_CFLAGS" | "HOST_CFLAGS" | "CPPFLAGS" | "LDFLAGS" | "CC" | "TARGET_CC"
            ) || name.starts_with("CARGO_PROFILE_")
                || (name.starts_with("CARGO_TARGET_") && name != "CARGO_TARGET_DIR")
                // What `cargo run` says of xtask: ring's build script asks to run again when it changes, and then all
                // above it is compiled again whenever xtask has another version or was started by hand.
                || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| name.starts_with(p))
        })
        .collect()
}

/// Where Cargo keeps its registries.
pub fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cargo")))
}

/// Where rustup keeps toolchains, if the user has moved it.
pub fn rustup_home() -> Option<PathBuf> {
    env::var_os("RUSTUP_HOME").map(PathBuf::from)
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

/// `HOST USER PASSWORD`, a registry a line. A CI leaves out what it was not given: such a line has no effect.
fn logins(text: &str) -> Result<BTreeMap<String, (String, String)>> {
    let mut logins = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [] | [_] => {}
            [host, user, password] => {
                logins.insert(host.to_string(), (user.to_string(), password.to_string()));
            }
            // The line itself may hold a password.
            _ => bail!("XTASK_REGISTRY_LOGINS: line {} must be HOST USER PASSWORD", i + 1),
        }
    }
    Ok(logins)
}

/// The registry client's view of this machine: credentials, proxy, mirrors.
pub fn registry_config(spec: &Spec) -> Result<registry::Config> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let set = |name: &str| env::var_os(name).filter(|v| !v.is_empty());
    let text = |names: &[&str]| names.iter().find_map(|n| env::var(n).ok().filter(|v| !v.is_empty()));
    let docker = set("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or(home.map(|h| h.join(".docker")))
        .map(|d| d.join("config.json"));
    let podman = set("XDG_RUNTIME_DIR").map(|d| PathBuf::from(d).join("containers/auth.json"));
    let explicit = set("REGISTRY_AUTH_FILE").map(PathBuf::from);
    let mut config = registry::Config {
        user_agent: format!("scratchbird-xtask/{}", env!("CARGO_PKG_VERSION")),
        credential_files: [explicit, podman, docker].into_iter().flatten().collect(),
        helper_environment: env::vars_os().collect(),
        proxy: text(&["HTTPS_PROXY", "https_proxy"]),
        no_proxy: text(&["NO_PROXY", "no_proxy"])
            .iter()
            .flat_map(|t| t.split(','))
            .map(|h| h.trim().to_string())
            .collect(),
        root_certificates: set("SSL_CERT_FILE").map(PathBuf::from),
        ..registry::Config::default()
    };
    for pair in
        text(&["XTASK_REGISTRY_MIRRORS"]).iter().flat_map(|t| t.split(',')).filter(|p| !p.trim().is_empty())
    {
        let (registry, mirror) = pair.trim().split_once('=').with_context(|| {
            format!("XTASK_REGISTRY_MIRRORS: `{pair}` must be REGISTRY=MIRROR, such as `docker.io=mirror.example.org`")
        })?;
        config.mirrors.entry(registry.to_string()).or_default().push(mirror.to_string());
    }
    config.logins = logins(&env::var("XTASK_REGISTRY_LOGINS").unwrap_or_default())?;
    // The environment's mirrors come before the catalogue's: whoever sets one knows this machine's network.
    for (host, registry) in &spec.registries {
        config.mirrors.entry(host.clone()).or_default().extend(registry.mirrors.iter().cloned());
        config.insecure.extend(registry.insecure.then(|| host.clone()));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_of_a_ci() {
        let found = logins("ghcr.io me t0ken\ndocker.io  \n\nlocalhost:5000 u p\n").unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["ghcr.io", "localhost:5000"]);
        assert_eq!(found["ghcr.io"], ("me".to_string(), "t0ken".to_string()));
        for wrong in ["a b", "x\na b secret secret"] {
            let error = logins(wrong).unwrap_err().to_string();
            assert!(error.contains("must be HOST USER PASSWORD") && !error.contains("secret"), "{error}");
        }
    }
}
