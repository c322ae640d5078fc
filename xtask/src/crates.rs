//! Which crates went into a program: those that Cargo says it compiled for it, with the features and for the target of
//! this build, and not all of Cargo.lock. The list goes into the program, so that it can be read from the image alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use supply::auditable::{self, Crate, CrateList, Scope};
use supply::inventory::{CrateFact, CrateFacts};
use xshell::cmd;

use crate::facts::{self, Workspace};

/// What Cargo said it compiled: by package id, whether it is part of programs.
#[derive(Debug, Default)]
pub struct Compiled(BTreeMap<String, Scope>);

impl Compiled {
    /// Takes note of an artifact: what is compiled for the target is part of programs, what is compiled for the host
    /// helped to build them.
    pub fn note(&mut self, package: &str, of_target: bool) {
        let scope = self.0.entry(package.to_string()).or_insert(Scope::Build);
        if of_target {
            *scope = Scope::Runtime;
        }
    }
}

/// What `cargo metadata` says of packages.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    source: Option<String>,
    license: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// Asks Cargo for the packages of a target.
pub fn metadata(workspace: &Workspace, triple: &str) -> Result<Metadata> {
    let sh = workspace.shell()?;
    let cargo = facts::cargo();
    let json = cmd!(sh, "{cargo} metadata --format-version 1 --locked --offline --filter-platform {triple}")
        .quiet()
        .ignore_stderr()
        .read()
        .or_else(|_| {
            cmd!(sh, "{cargo} metadata --format-version 1 --locked --filter-platform {triple}").quiet().read()
        })?;
    serde_json::from_str(&json).context("cargo metadata gave no JSON that we know")
}

/// The crates of the program that the package `root` is, by its id.
pub fn list(metadata: &Metadata, compiled: &Compiled, root: &str) -> CrateList {
    let edges: BTreeMap<&str, Vec<&str>> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| {
            // What only tests need was not compiled for this; it may have been for a build script.
            let real = |d: &&Dependency| d.dep_kinds.iter().any(|k| k.kind.as_deref() != Some("dev"));
            let names = node.deps.iter().filter(real).map(|d| d.pkg.as_str());
            (node.id.as_str(), names.filter(|id| compiled.0.contains_key(*id)).collect())
        })
        .collect();
    let mut reached = BTreeSet::new();
    let mut pending = vec![root];
    while let Some(id) = pending.pop() {
        if reached.insert(id) {
            pending.extend(edges.get(id).into_iter().flatten());
        }
    }
    let mut packages: Vec<&Package> =
        metadata.packages.iter().filter(|p| reached.contains(p.id.as_str())).collect();
    packages.sort_by_key(|p| (&p.name, semver::Version::parse(&p.version).ok(), &p.source));
    let place: BTreeMap<&str, usize> =
        packages.iter().enumerate().map(|(place, p)| (p.id.as_str(), place)).collect();
    let entry = |p: &&Package| {
        let mut dependencies: Vec<usize> =
            edges.get(p.id.as_str()).into_iter().flatten().filter_map(|id| place.get(id).copied()).collect();
        dependencies.sort_unstable();
        Crate {
            name: p.name.clone(),
            version: p.version.clone(),
            source: source(p.source.as_deref()).into(),
            kind: if p.id == root { Scope::Runtime } else { compiled.0[&p.id] },
            dependencies,
            root: p.id == root,
        }
    };
    CrateList { packages: packages.iter().map(entry).collect() }
}

fn source(source: Option<&str>) -> &'static str {
    match source {
        None => "local",
        Some(text) if text.contains("github.com/rust-lang/crates.io-index") => "crates.io",
        Some(text) if text.contains("index.crates.io") => "crates.io",
        Some(text) if text.starts_with("git+") => "git",
        Some(_) => "registry",
    }
}

/// Puts the list into a copy of `program` below `dir`, and names that. A copy that is right already is left alone.
pub fn embed(program: &Path, list: &CrateList, dir: &Path) -> Result<PathBuf> {
    let bytes = std::fs::read(program).with_context(|| format!("{}: cannot read", program.display()))?;
    let bytes = auditable::embed(&bytes, list).with_context(|| program.display().to_string())?;
    std::fs::create_dir_all(dir).with_context(|| format!("{}: cannot create", dir.display()))?;
    let path = dir.join(program.file_name().context("a program has a name")?);
    if std::fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(path);
    }
    let temp = tempfile::NamedTempFile::new_in(dir)?;
    std::fs::write(temp.path(), &bytes).with_context(|| format!("{}: cannot write", path.display()))?;
    // As executable as a linker would have left it.
    std::fs::set_permissions(temp.path(), std::fs::metadata(program)?.permissions())?;
    temp.persist(&path).with_context(|| format!("{}: cannot write", path.display()))?;
    Ok(path)
}

/// What the checkout knows of crates: their licences from their manifests, their checksums from Cargo.lock.
pub fn facts(workspace: &Workspace, triples: &[String]) -> Result<CrateFacts> {
    #[derive(Deserialize)]
    struct LockFile {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let mut all = CrateFacts::new();
    for triple in triples {
        for package in metadata(workspace, triple)?.packages {
            let fact = CrateFact { licence: package.license, checksum: None };
            all.insert((package.name, package.version), fact);
        }
    }
    let lock: LockFile =
        toml::from_str(&workspace.read("Cargo.lock")?).map_err(|e| anyhow::anyhow!("Cargo.lock: {e}"))?;
    for locked in lock.package {
        if let Some(fact) = all.get_mut(&(locked.name, locked.version)) {
            fact.checksum = locked.checksum;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let crates_io = "registry+https://github.com/rust-lang/crates.io-index";
        serde_json::from_value(serde_json::json!({
            "packages": [
                { "id": "server#1", "name": "server", "version": "1.0.0", "source": null },
                { "id": "libc#1", "name": "libc", "version": "0.2.10", "source": crates_io },
                { "id": "libc#2", "name": "libc", "version": "0.2.9", "source": crates_io },
                { "id": "cc#1", "name": "cc", "version": "1.0.0", "source": crates_io },
                { "id": "winapi#1", "name": "winapi", "version": "1.0.0", "source": crates_io },
                { "id": "testing#1", "name": "testing", "version": "1.0.0", "source": crates_io },
            ],
            "resolve": { "nodes": [
                { "id": "server#1", "deps": [
                    { "pkg": "libc#1", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "cc#1", "dep_kinds": [{ "kind": "build" }] },
                    { "pkg": "winapi#1", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "testing#1", "dep_kinds": [{ "kind": "dev" }] },
                ] },
                { "id": "cc#1", "deps": [{ "pkg": "libc#2", "dep_kinds": [{ "kind": null }] }] },
            ] },
        }))
        .unwrap()
    }

    #[test]
    fn only_what_was_compiled_and_for_what() {
        let mut compiled = Compiled::default();
        for (id, of_target) in [
            ("server#1", true),
            ("libc#1", false),
            ("libc#1", true),
            ("libc#2", false),
            ("cc#1", false),
            ("testing#1", false),
        ] {
            compiled.note(id, of_target);
        }
        let list = list(&metadata(), &compiled, "server#1");
        let shown: Vec<(&str, &str, Scope, &[usize])> = list
            .packages
            .iter()
            .map(|p| (p.name.as_str(), p.version.as_str(), p.kind, p.dependencies.as_slice()))
            .collect();
        assert_eq!(
            shown,
            [
                ("cc", "1.0.0", Scope::Build, &[1][..]),
                ("libc", "0.2.9", Scope::Build, &[]),
                ("libc", "0.2.10", Scope::Runtime, &[]),
                ("server", "1.0.0", Scope::Runtime, &[0, 2]),
            ]
        );
        assert!(list.packages[3].root && list.packages[3].source == "local");
    }

    #[test]
    fn sources() {
        let check = |text: Option<&str>, expect: &str| assert_eq!(source(text), expect);
        check(None, "local");
        check(Some("registry+https://github.com/rust-lang/crates.io-index"), "crates.io");
        check(Some("sparse+https://index.crates.io/"), "crates.io");
        check(Some("git+https://example.org/x"), "git");
        check(Some("sparse+https://example.org/index/"), "registry");
    }
}
