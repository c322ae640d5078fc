//! `cargo build` for a platform, so that the same commit gives the same binary everywhere.
//!
//! 1. The target's standard library is there, or rustup adds it; so is a C compiler.
//! 2. Paths of this machine are mapped away: the workspace, Cargo's registry, rustc's own sources.
//! 3. Flags come from images.toml alone: CARGO_ENCODED_RUSTFLAGS outranks every configuration file.
//! 4. The list of the crates that were compiled goes into a copy of each program: that is what images hold.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use duct::Expression;
use oci::Source;
use plan::Target;
use plan::filesystem::BuiltBinary;
use plan::toolchain::{Candidate, NATIVE_CC};
use serde::Deserialize;
use xshell::{Shell, cmd};

use crate::crates::{self, Compiled};
use crate::facts::{self, Workspace};
use crate::ui::Ui;

/// What came of a build.
pub struct Built {
    /// The programs, by package.
    pub binaries: BTreeMap<String, BuiltBinary>,
    /// How many crates had to be compiled.
    pub compiled: usize,
}

/// A line of `cargo build --message-format json`.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    fresh: bool,
    executable: Option<PathBuf>,
    target: Option<MessageTarget>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
}

/// Checks that everything is at hand for all `targets` before anything is built, and adds Rust targets where rustup
/// can. What is missing is told at once, for all of them.
pub fn prepare(workspace: &Workspace, targets: &[Target], offline: bool, ui: &Ui) -> Result<()> {
    let sh = workspace.shell()?;
    let mut missing = Vec::new();
    for target in targets {
        let platform = oci::platform::display(&target.platform);
        let Candidate { target: triple, program, install, has_program, has_target, .. } = &target.toolchain;
        if !has_program {
            missing.push(format!(
                "{platform} needs {program}, which is not installed; on Debian run `{install}`"
            ));
            continue;
        }
        if *has_target {
            continue;
        }
        if !offline && facts::find_program("rustup").is_some() {
            ui.line("rustup", format_args!("target add {triple}"));
            if cmd!(sh, "rustup target add {triple}").quiet().ignore_stdout().ignore_stderr().run().is_ok() {
                continue;
            }
        }
        missing.push(format!(
            "{platform} needs the Rust target {triple}, which is not installed; run `rustup target add {triple}`"
        ));
    }
    if !missing.is_empty() {
        bail!("{}", missing.join("; "));
    }
    Ok(())
}

/// Builds the programs of `target`, all at once.
pub fn build(workspace: &Workspace, target: &Target, offline: bool, ui: &Ui) -> Result<Built> {
    run(workspace, &[target], offline, ui, &[]).map(only)
}

/// Builds the programs of all `targets`; what came of each, in their order. Those that are built the same way share one
/// run of Cargo: a program is linked as a whole, by one thread, and so those of several targets are linked at once.
pub fn build_all(workspace: &Workspace, targets: &[Target], offline: bool, ui: &Ui) -> Result<Vec<Built>> {
    let way = |target: &Target| {
        let Candidate { cc, rustflags, .. } = &target.toolchain;
        (cc.is_some(), rustflags.clone(), target.packages.clone())
    };
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, target) in targets.iter().enumerate() {
        groups.entry(way(target)).or_default().push(place);
    }
    let mut built = BTreeMap::new();
    for places in groups.into_values() {
        let group: Vec<&Target> = places.iter().map(|place| &targets[*place]).collect();
        built.extend(places.into_iter().zip(run(workspace, &group, offline, ui, &[])?));
    }
    Ok(built.into_values().collect())
}

/// Builds them once more with their symbols, in a folder of their own: what is shipped has none.
pub fn build_with_symbols(workspace: &Workspace, target: &Target, offline: bool, ui: &Ui) -> Result<Built> {
    let dir = workspace.target.join("symbols").display().to_string();
    let more = ["--config", "profile.release.strip=false", "--target-dir", &dir];
    run(workspace, &[target], offline, ui, &more).map(only)
}

fn only(mut built: Vec<Built>) -> Built {
    built.pop().expect("one target gives one result")
}

/// One run of Cargo for targets that are built the same way.
fn run(
    workspace: &Workspace,
    targets: &[&Target],
    offline: bool,
    ui: &Ui,
    more: &[&str],
) -> Result<Vec<Built>> {
    let (args, command) = command(workspace, targets, offline, ui, more)?;
    let run = format!("cargo {}", args.join(" "));
    let mut heard: Vec<Heard> = targets.iter().map(|_| Heard::default()).collect();
    let reader = command.unchecked().reader().with_context(|| format!("`{run}` does not start"))?;
    for line in BufReader::new(&reader).lines() {
        let Ok(message) = serde_json::from_str::<Message>(&line.with_context(|| format!("`{run}` was cut"))?)
        else {
            continue;
        };
        if message.reason == "compiler-artifact" {
            let is_of = |target: &Target| message.is_of(&workspace.target, &target.toolchain.target);
            // What is of no target helps to build all of them.
            let shared = !targets.iter().any(|target| is_of(target));
            for (target, heard) in
                targets.iter().zip(&mut heard).filter(|(target, _)| shared || is_of(target))
            {
                heard.note(&message, &target.packages, !shared);
            }
            // Counted once.
            if shared && !message.fresh {
                heard[0].compiled += 1;
            }
        }
    }
    let status = reader.try_wait()?.context("cargo did not end")?.status;
    if !status.success() {
        bail!("`{run}` failed ({status}); its own messages say why");
    }
    targets.iter().zip(heard).map(|(target, heard)| heard.built(workspace, target, &run)).collect()
}

/// Cargo's arguments, and the whole command.
fn command(
    workspace: &Workspace,
    targets: &[&Target],
    offline: bool,
    ui: &Ui,
    more: &[&str],
) -> Result<(Vec<String>, Expression)> {
    let sh = workspace.shell()?;
    let Candidate { cc, rustflags, .. } = &targets[0].toolchain;
    let (rust_flags, c_flags) = flags(workspace, &sh, rustflags)?;
    let verb = if cc.is_some() { "build" } else { "zigbuild" };
    let mut args = vec![verb, "--release", "--locked"];
    for target in targets {
        args.extend(["--target", &target.toolchain.target]);
    }
    for package in &targets[0].packages {
        args.extend(["--package", package]);
    }
    args.extend(more);
    args.extend(["--message-format", "json-render-diagnostics"]);
    if offline {
        args.push("--offline");
    }
    if ui.is_quiet() {
        args.push("--quiet");
    }
    let mut command = duct::cmd(facts::cargo(), &args).dir(&workspace.root);
    for name in facts::build_influences() {
        command = command.env_remove(name);
    }
    let linker = |triple: &str| format!("CARGO_TARGET_{}_LINKER", triple.replace('-', "_").to_uppercase());
    for Candidate { target: triple, cc, .. } in targets.iter().map(|target| &target.toolchain) {
        let env_triple = triple.replace('-', "_");
        command = command.env(format!("CFLAGS_{env_triple}"), c_flags.join(" "));
        if let Some(cc) = cc {
            command = command.env(linker(triple), cc).env(format!("CC_{env_triple}"), cc);
        }
    }
    command = command
        // Build scripts are linked for this machine, with what is named here or not: Cargo would compile them, and all
        // above them, again whenever another platform was built last.
        .env(linker(&facts::rust_host(&sh)?), NATIVE_CC)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\x1f"))
        // What C calls __DATE__.
        .env("SOURCE_DATE_EPOCH", plan::facts::LAYER_TIME.to_string());
    Ok((args.into_iter().map(String::from).collect(), command))
}

impl Message {
    /// Whether what was compiled lies in the folder of this target below Cargo's, and not in that of the host.
    fn is_of(&self, target_dir: &Path, triple: &str) -> bool {
        let below = self.filenames.iter().filter_map(|file| file.strip_prefix(target_dir).ok());
        below.flat_map(Path::components).any(|part| part.as_os_str() == triple)
    }
}

/// What Cargo said of one target.
#[derive(Default)]
struct Heard {
    programs: Vec<(String, String, PathBuf)>,
    crates: Compiled,
    compiled: usize,
}

impl Heard {
    fn note(&mut self, message: &Message, packages: &[String], of_target: bool) {
        self.compiled += usize::from(of_target && !message.fresh);
        self.crates.note(&message.package_id, of_target);
        if let (Some(name), Some(path)) =
            (message.target.as_ref().map(|target| &target.name), &message.executable)
            && packages.contains(name)
        {
            self.programs.push((name.clone(), message.package_id.clone(), path.clone()));
        }
    }

    /// Puts the list of its crates into each program.
    fn built(self, workspace: &Workspace, target: &Target, run: &str) -> Result<Built> {
        let Heard { programs, crates, compiled } = self;
        if let Some(package) = target.packages.iter().find(|p| !programs.iter().any(|(name, ..)| name == *p))
        {
            bail!("`{run}` built no program named {package}");
        }
        let triple = &target.toolchain.target;
        let metadata = crates::metadata(workspace, triple)?;
        let mut binaries = BTreeMap::new();
        for (name, id, path) in programs {
            let list = crates::list(&metadata, &crates, &id);
            let path = crates::embed(&path, &list, &workspace.target.join("oci-programs").join(triple))?;
            binaries.insert(name, inspect(&path)?);
        }
        Ok(Built { binaries, compiled })
    }
}

/// Reads what the plan wants to know of a program.
pub fn inspect(path: &Path) -> Result<BuiltBinary> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot read", path.display()))?;
    let source = Source { path: path.into(), digest: oci::digest::sha256(&bytes), size: bytes.len() as u64 };
    Ok(BuiltBinary { source, elf: oci::platform::elf(&bytes) })
}

/// The flags for rustc and for the C compiler: those of images.toml, and the paths of this machine mapped to ones
/// that are the same everywhere.
pub fn flags(workspace: &Workspace, sh: &Shell, rustflags: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let (rust_sources, rust_commit) = facts::rust_sources(sh)?;
    let mut map: Vec<(PathBuf, String)> = vec![(workspace.root.clone(), "/scratchbird".into())];
    map.extend(facts::cargo_home().map(|home| (home, "/cargo".into())));
    map.extend(workspace.registry_sources()?.into_iter().map(|dir| (dir, "/cargo/registry".into())));
    map.push((rust_sources, format!("/rustc/{rust_commit}")));
    // Where one folder lies in another the last match wins, in rustc and gcc alike: the outer one first.
    map.sort_by_key(|(from, _)| from.as_os_str().len());
    let mut rust_flags = rustflags.to_vec();
    // No panic passes through C: rusqlite catches it in the functions that SQLite calls. Tables for that are left out.
    let mut c_flags = vec!["-fno-asynchronous-unwind-tables".to_owned()];
    for (from, to) in map {
        let from =
            from.to_str().with_context(|| format!("{}: is no UTF-8 path", from.display()))?.to_string();
        rust_flags.push(format!("--remap-path-prefix={from}={to}"));
        // The cc crate splits at white space: a path with some can't be mapped, and needs no mapping unless a
        // C file prints its own name.
        if !from.contains(char::is_whitespace) {
            c_flags.push(format!("-ffile-prefix-map={from}={to}"));
        }
    }
    Ok((rust_flags, c_flags))
}
