//! Which crate takes how much room in a program, by the sizes of its symbols.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSymbol as _, SymbolKind};
use plan::Target;

use crate::build;
use crate::facts::Workspace;
use crate::ui::Ui;

/// What is compiled from C, SQLite above all.
const C: &str = "C";

/// The bytes of each crate in the target's programs, which are built once more for that.
pub fn crates(
    workspace: &Workspace,
    target: &Target,
    offline: bool,
    ui: &Ui,
) -> Result<BTreeMap<String, u64>> {
    ui.line("measuring", "the crates, by a build with symbols: minutes, the first time");
    let built = build::build_with_symbols(workspace, target, offline, ui)?;
    let mut crates = BTreeMap::new();
    for binary in built.binaries.values() {
        for (name, bytes) in by_crate(&binary.source.path)? {
            *crates.entry(name).or_default() += bytes;
        }
    }
    Ok(crates)
}

/// The bytes of code and data of each crate in a program with symbols.
pub fn by_crate(program: &Path) -> Result<BTreeMap<String, u64>> {
    let shown = program.display();
    let bytes = std::fs::read(program).with_context(|| format!("{shown}: cannot read"))?;
    let file = object::File::parse(&bytes[..]).with_context(|| format!("{shown}: is no program"))?;
    let mut sizes = BTreeMap::new();
    // Functions that were found to be the same share an address.
    let mut seen = std::collections::BTreeSet::new();
    for symbol in file.symbols().filter(|s| matches!(s.kind(), SymbolKind::Text | SymbolKind::Data)) {
        if symbol.size() > 0 && seen.insert(symbol.address()) {
            *sizes.entry(crate_of(symbol.name().unwrap_or_default())).or_default() += symbol.size();
        }
    }
    Ok(sizes)
}

/// The crate that a symbol's mangled name is of.
fn crate_of(symbol: &str) -> String {
    let Ok(name) = rustc_demangle::try_demangle(symbol) else { return C.into() };
    let name = format!("{name:#}");
    // `<alloc::vec::Vec<T> as core::ops::Drop>::drop` is alloc's; `<&T as core::fmt::Display>::fmt` is core's.
    let own = first_path(&name);
    let of_trait = name.split_once(" as ").map(|(_, of_trait)| first_path(of_trait));
    let is_crate = own.contains("::") && own.starts_with(|c: char| c.is_ascii_lowercase());
    let path = if is_crate { own } else { of_trait.unwrap_or(own) };
    path.split("::").next().unwrap_or(path).to_string()
}

/// The first path in a demangled name, such as `core::fmt`.
fn first_path(name: &str) -> &str {
    let start = name.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(0);
    let path = name[start..].trim_start_matches("mut ").trim_start_matches("dyn ");
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap_or(path.len());
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |symbol: &str, expect: &str| assert_eq!(crate_of(symbol), expect, "{symbol}");
        check("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core");
        check(
            "_ZN66_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE",
            "alloc",
        );
        check("_ZN44_$LT$$RF$T$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE", "core");
        check("_RNvCs1234_7mycrate3foo", "mycrate");
        check("sqlite3_open_v2", C);
        check("", C);
    }

    #[test]
    fn this_program() {
        let sizes = by_crate(&std::env::current_exe().unwrap()).unwrap();
        assert!(sizes["plan"] > 10_000 && sizes["core"] > 10_000, "{sizes:?}");
        let error = by_crate(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err().to_string();
        assert!(error.contains("cannot read"), "{error}");
    }
}
