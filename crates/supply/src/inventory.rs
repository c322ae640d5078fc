//! What is in an image, read from the image alone: its distribution's packages and the crates of its programs. What only
//! the sources know of a crate (licence, checksum) is added where the versions are the same.

use std::collections::{BTreeMap, BTreeSet};

use oci::contents::{Item, Kind, Tree};

use crate::auditable::{self, Scope};
use crate::error::{Error, Result};
use crate::packages::{self, Distribution};
use crate::{elf, licence};

/// A part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its package URL, which tells it from all others.
    pub purl: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it is a crate, and for what; a distribution's package otherwise.
    pub scope: Option<Scope>,
    /// Whether it is a program of ours and not a library in one.
    pub is_program: bool,
    /// A valid SPDX expression, where it is known.
    pub licence: Option<String>,
    /// The SHA-256 of the archive that it came in, in hex, where it is known.
    pub checksum: Option<String>,
    /// Where that archive is.
    pub download: Option<String>,
    /// The package URLs of what it needs, as far as that is in the image.
    pub depends: Vec<String>,
}

/// All parts of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// What it is based on, if on anything.
    pub distribution: Option<Distribution>,
    /// Sorted by package URL.
    pub components: Vec<Component>,
}

/// What only the sources know of crates, by name and version.
pub type CrateFacts = BTreeMap<(String, String), CrateFact>;

/// What only the sources know of a crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrateFact {
    /// As Cargo.toml has it.
    pub licence: Option<String>,
    /// As Cargo.lock has it, in hex.
    pub checksum: Option<String>,
}

/// The files larger than this are not searched for lists of crates, in bytes.
const MAX_PROGRAM: u64 = 512 << 20;

/// Whether [`inventory`] wants this file's content.
pub fn is_wanted(item: &Item) -> bool {
    let is_program = item.kind == Kind::File && item.mode & 0o111 != 0 && item.size <= MAX_PROGRAM;
    is_program || packages::is_wanted(item)
}

/// Takes stock of `tree`, whose files were read with [`is_wanted`].
///
/// # Errors
/// [`Error::Invalid`] when a program's list of crates is damaged.
pub fn inventory(tree: &Tree, facts: &CrateFacts) -> Result<Inventory> {
    let distribution = packages::distribution(tree);
    let mut components: BTreeMap<String, Component> = BTreeMap::new();
    for component in distribution_packages(tree, distribution.as_ref()) {
        components.insert(component.purl.clone(), component);
    }
    for (path, found) in &tree.files {
        let Some(contents) = found.contents.as_deref().filter(|c| elf::is_elf(c)) else { continue };
        let list =
            auditable::extract(contents).map_err(|e| Error::invalid(format!("/{path}"), e.to_string()))?;
        for component in list.iter().flat_map(|list| crates(list, facts)) {
            let there = components.entry(component.purl.clone()).or_insert_with(|| component.clone());
            // A crate of two programs serves both.
            there.is_program |= component.is_program;
            if component.scope == Some(Scope::Runtime) {
                there.scope = component.scope;
            }
            let depends: BTreeSet<String> = there.depends.drain(..).chain(component.depends).collect();
            there.depends = depends.into_iter().collect();
        }
    }
    Ok(Inventory { distribution, components: components.into_values().collect() })
}

fn distribution_packages(tree: &Tree, distribution: Option<&Distribution>) -> Vec<Component> {
    let found = packages::packages(tree);
    let (id, version) = distribution.map_or(("", ""), |d| (d.id.as_str(), d.version.as_str()));
    let purl = |p: &packages::Package| {
        let namespace = if id.is_empty() { String::new() } else { format!("{}/", quote(id)) };
        let distro =
            if id.is_empty() { String::new() } else { format!("&distro={}-{}", quote(id), quote(version)) };
        format!(
            "pkg:{}/{namespace}{}@{}?arch={}{distro}",
            p.format,
            quote(&p.name),
            quote(&p.version),
            quote(&p.architecture)
        )
    };
    let by_name: BTreeMap<&str, String> = found.iter().map(|p| (p.name.as_str(), purl(p))).collect();
    found
        .iter()
        .map(|p| Component {
            purl: purl(p),
            name: p.name.clone(),
            version: p.version.clone(),
            scope: None,
            is_program: false,
            licence: p.licence.clone(),
            checksum: None,
            download: None,
            depends: p.depends.iter().filter_map(|name| by_name.get(name.as_str()).cloned()).collect(),
        })
        .collect()
}

fn crates(list: &auditable::CrateList, facts: &CrateFacts) -> Vec<Component> {
    // Only what crates.io has is asked of crates.io by those who read package URLs.
    let purl = |c: &auditable::Crate| {
        let kind = if c.source == "crates.io" { "cargo" } else { "generic" };
        format!("pkg:{kind}/{}@{}", quote(&c.name), quote(&c.version))
    };
    let component = |c: &auditable::Crate| {
        let fact = facts.get(&(c.name.clone(), c.version.clone()));
        let from_registry = c.source == "crates.io";
        let mut depends: Vec<String> = c.dependencies.iter().map(|d| purl(&list.packages[*d])).collect();
        depends.sort();
        depends.dedup();
        Component {
            purl: purl(c),
            name: c.name.clone(),
            version: c.version.clone(),
            scope: Some(c.kind),
            is_program: c.root,
            licence: fact.and_then(|f| f.licence.as_deref()).and_then(licence::expression),
            checksum: fact.and_then(|f| f.checksum.clone()),
            download: from_registry
                .then(|| format!("https://static.crates.io/crates/{0}/{0}-{1}.crate", c.name, c.version)),
            depends,
        }
    };
    list.packages.iter().map(component).collect()
}

/// Percent-encodes what package URLs reserve (purl-spec, "Character encoding").
pub fn quote(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Checks that the document `subject` lists the package URLs that were found in the image, and no others.
///
/// # Errors
/// [`Error::Invalid`] that names some of those that it leaves out, else of those that it makes up.
pub fn same_parts(subject: &str, claimed: &BTreeSet<&str>, found: &BTreeSet<&str>) -> Result<()> {
    let some = |of: &BTreeSet<&str>, but: &BTreeSet<&str>| -> Vec<String> {
        of.difference(but).take(3).map(ToString::to_string).collect()
    };
    let (left_out, made_up) = (some(found, claimed), some(claimed, found));
    if !left_out.is_empty() {
        let problem = format!("leaves out what the image has: {}", left_out.join(", "));
        return Err(Error::invalid(subject, problem));
    }
    if !made_up.is_empty() {
        let problem = format!("lists what the image does not have: {}", made_up.join(", "));
        return Err(Error::invalid(subject, problem));
    }
    Ok(())
}
