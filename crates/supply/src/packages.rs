//! What an image's distribution says is installed: Alpine's `/lib/apk/db/installed`, Debian's `/var/lib/dpkg/status` and,
//! in distroless images, `/var/lib/dpkg/status.d/*`.

use std::collections::BTreeMap;

use oci::contents::{Item, Kind, Tree};

use crate::{copyright, licence};

/// The distribution, of os-release(5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// `ID`: `alpine`, `debian`.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub title: String,
}

/// An installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// `apk` or `deb`: the type in a package URL.
    pub format: &'static str,
    /// Its name.
    pub name: String,
    /// Its version with the distribution's revision.
    pub version: String,
    /// As the distribution calls it: `x86_64`, `amd64`.
    pub architecture: String,
    /// A valid SPDX expression, where the package has one.
    pub licence: Option<String>,
    /// The package that it was built from.
    pub origin: Option<String>,
    /// The names of what it needs.
    pub depends: Vec<String>,
}

/// Where Alpine keeps its list.
const APK: &str = "lib/apk/db/installed";
/// The same since Alpine 3.23, whose `/lib` is a link.
const APK_USR: &str = "usr/lib/apk/db/installed";
/// Where Debian keeps its list.
const DPKG: &str = "var/lib/dpkg/status";
/// Where distroless images keep theirs, one file a package.
const DPKG_DIR: &str = "var/lib/dpkg/status.d/";

/// Where Debian keeps what each package is under: `NAME/copyright`.
const COPYRIGHT_DIR: &str = "usr/share/doc/";

/// Whether [`packages`] and [`distribution`] want this file's content.
pub fn is_wanted(item: &Item) -> bool {
    item.kind == Kind::File
        && (matches!(item.path.as_str(), APK | APK_USR | DPKG | "etc/os-release" | "usr/lib/os-release")
            || item.path.starts_with(DPKG_DIR)
            || (item.path.starts_with(COPYRIGHT_DIR) && item.path.ends_with("/copyright")))
}

/// Which distribution the image is of.
pub fn distribution(tree: &Tree) -> Option<Distribution> {
    let text = tree.text("etc/os-release").or_else(|| tree.text("usr/lib/os-release"))?;
    let field = |name: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix('='))
            .map(|v| v.trim_matches(['"', '\'']).to_string())
            .unwrap_or_default()
    };
    Some(Distribution { id: field("ID"), version: field("VERSION_ID"), title: field("PRETTY_NAME") })
}

/// What is installed, sorted by name.
pub fn packages(tree: &Tree) -> Vec<Package> {
    let mut found = Vec::new();
    for path in [APK, APK_USR] {
        found.extend(tree.text(path).iter().flat_map(|text| apk(text)));
    }
    found.extend(tree.text(DPKG).iter().flat_map(|text| dpkg(text, true)));
    for path in tree.files.keys().filter(|p| p.starts_with(DPKG_DIR) && !p.ends_with(".md5sums")) {
        found.extend(tree.text(path).iter().flat_map(|text| dpkg(text, false)));
    }
    for package in found.iter_mut().filter(|p| p.format == "deb") {
        let text = tree.text(&format!("{COPYRIGHT_DIR}{}/copyright", package.name));
        package.licence = text.and_then(|text| copyright::expression(&text));
    }
    found.sort_by(|a, b| (&a.name, &a.version, &a.architecture).cmp(&(&b.name, &b.version, &b.architecture)));
    found.dedup_by(|a, b| a.name == b.name && a.version == b.version && a.architecture == b.architecture);
    found
}

/// Alpine's list: stanzas of `K:value` lines, parted by empty lines.
fn apk(text: &str) -> Vec<Package> {
    let stanzas: Vec<BTreeMap<&str, &str>> = text
        .split("\n\n")
        .map(|stanza| {
            // What follows the package's own fields are its files; the first of a name is meant.
            let mut fields = BTreeMap::new();
            for (key, value) in stanza.lines().filter_map(|l| l.split_once(':')) {
                fields.entry(key).or_insert(value);
            }
            fields
        })
        .filter(|fields| fields.contains_key("P"))
        .collect();
    // A dependency may be on what a package provides: `so:libc.musl-x86_64.so.1`.
    let mut provider = BTreeMap::new();
    let plain = |word: &str| word.split(['=', '<', '>', '~']).next().unwrap_or_default().to_string();
    for fields in &stanzas {
        for word in fields.get("p").unwrap_or(&"").split(' ').filter(|w| !w.is_empty()) {
            provider.insert(plain(word), fields["P"]);
        }
    }
    let package = |fields: &BTreeMap<&str, &str>| {
        let field = |key: &str| fields.get(key).map(|v| (*v).to_string()).unwrap_or_default();
        let mut depends: Vec<String> = field("D")
            .split(' ')
            .filter(|w| !w.is_empty() && !w.starts_with('!'))
            .map(|word| provider.get(&plain(word)).map_or_else(|| plain(word), |p| (*p).to_string()))
            .filter(|name| *name != fields["P"])
            .collect();
        depends.sort();
        depends.dedup();
        Package {
            format: "apk",
            name: field("P"),
            version: field("V"),
            architecture: field("A"),
            licence: licence::expression(&field("L")),
            origin: fields.get("o").map(|o| (*o).to_string()),
            depends,
        }
    };
    stanzas.iter().map(package).collect()
}

/// Debian's list (deb-control(5)): with `status` only what is installed counts.
fn dpkg(text: &str, status: bool) -> Vec<Package> {
    let mut packages = Vec::new();
    for stanza in text.split("\n\n") {
        let fields: BTreeMap<&str, &str> = stanza
            .lines()
            .filter(|l| !l.starts_with([' ', '\t']))
            .filter_map(|l| l.split_once(':'))
            .map(|(key, value)| (key, value.trim()))
            .collect();
        let field = |key: &str| fields.get(key).map(|v| (*v).to_string()).unwrap_or_default();
        let installed = !status || field("Status").ends_with(" installed");
        if !fields.contains_key("Package") || !installed {
            continue;
        }
        // Of alternatives the first one counts; versions and architectures are left out.
        let mut depends: Vec<String> = [field("Pre-Depends"), field("Depends")]
            .iter()
            .flat_map(|list| list.split(','))
            .filter_map(|word| word.trim().split([' ', '|', ':', '(']).next().map(String::from))
            .filter(|name| !name.is_empty())
            .collect();
        depends.sort();
        depends.dedup();
        let source = field("Source");
        let origin = source.split(' ').next().filter(|s| !s.is_empty()).map(String::from);
        packages.push(Package {
            format: "deb",
            name: field("Package"),
            version: field("Version"),
            architecture: field("Architecture"),
            licence: None,
            origin,
            depends,
        });
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpine() {
        let text = "C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld.so\n\n\
                    P:busybox\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\nD:so:libc.musl-x86_64.so.1 ssl_client>1 !old\n\n\n";
        let found = apk(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].licence.as_deref(), Some("MIT"));
        assert_eq!(found[1].depends, ["musl", "ssl_client"]);
        assert_eq!((found[1].version.as_str(), found[1].architecture.as_str()), ("1.36.1-r29", "x86_64"));
    }

    #[test]
    fn debian() {
        let text = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36)\n\
                    Version: 2.36-9\nDepends: libgcc-s1, a:any | b\nDescription: GNU\n Package: not one\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        let found = dpkg(text, true);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].origin.as_deref(), Some("glibc"));
        assert_eq!(found[0].depends, ["a", "libgcc-s1"]);
        assert_eq!(dpkg("Package: base-files\nVersion: 1\n", false).len(), 1);
        assert!(dpkg("", true).is_empty() && apk("").is_empty());
    }
}
