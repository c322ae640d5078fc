//! The list of a program's crates inside the program: cargo-auditable's section `.dep-v0`, which scanners (trivy, grype,
//! syft, `cargo audit bin`) read from the image alone. The section holds zlib-compressed JSON:
//! <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>.

use libdeflater::{CompressionLvl, Compressor, DecompressionError, Decompressor};
use serde::{Deserialize, Serialize};

use crate::elf;
use crate::error::{Error, Result};

/// The section's name.
pub const SECTION: &str = ".dep-v0";

/// The largest list that is unpacked, in bytes: a damaged or hostile program must not fill the memory.
const MAX_BYTES: usize = 8 << 20;

/// The crates that went into a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrateList {
    /// Sorted by name, version and source.
    pub packages: Vec<Crate>,
}

/// One crate.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `crates.io`, `local`, `git`, or `registry` for another registry.
    pub source: String,
    /// Whether it is in the program or only took part in the build.
    #[serde(default, skip_serializing_if = "Scope::is_runtime")]
    pub kind: Scope,
    /// What it depends on: places in the list, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<usize>,
    /// Whether it is the program itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
}

/// What a crate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// It is compiled into the program.
    #[default]
    Runtime,
    /// A build script or procedural macro, or what these use.
    Build,
}

impl Scope {
    fn is_runtime(&self) -> bool {
        *self == Scope::Runtime
    }
}

/// The section's bytes.
pub fn encode(list: &CrateList) -> Vec<u8> {
    let json = oci::json::to_vec(list);
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut bytes = vec![0; compressor.zlib_compress_bound(json.len())];
    let length = compressor.zlib_compress(&json, &mut bytes).expect("the bound is large enough");
    bytes.truncate(length);
    bytes
}

/// Reads the section's bytes.
///
/// # Errors
/// [`Error::Invalid`] when they are no such list.
pub fn decode(bytes: &[u8]) -> Result<CrateList> {
    let invalid = |problem: String| Error::invalid(SECTION, problem);
    let mut json = vec![0; 1 << 16];
    let length = loop {
        match Decompressor::new().zlib_decompress(bytes, &mut json) {
            Ok(length) => break length,
            Err(DecompressionError::InsufficientSpace) if json.len() < MAX_BYTES => {
                json.resize(json.len() * 4, 0);
            }
            Err(e) => return Err(invalid(format!("is not zlib data: {e}"))),
        }
    };
    let list: CrateList =
        serde_json::from_slice(&json[..length]).map_err(|e| invalid(format!("is no list of crates: {e}")))?;
    let count = list.packages.len();
    match list.packages.iter().find(|p| p.dependencies.iter().any(|d| *d >= count)) {
        Some(package) => Err(invalid(format!("{} depends on a crate that is not listed", package.name))),
        None => Ok(list),
    }
}

/// `program` with the list in it; an older list is replaced.
///
/// # Errors
/// [`Error::Invalid`] when it is no ELF program.
pub fn embed(program: &[u8], list: &CrateList) -> Result<Vec<u8>> {
    elf::with_section(program, SECTION, &encode(list))
}

/// The list in `program`; none where it has none.
///
/// # Errors
/// [`Error::Invalid`] when the program or its list is damaged.
pub fn extract(program: &[u8]) -> Result<Option<CrateList>> {
    elf::section(program, SECTION)?.map(decode).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> CrateList {
        let package = |name: &str, source: &str| Crate {
            name: name.into(),
            version: "1.2.3".into(),
            source: source.into(),
            ..Crate::default()
        };
        CrateList {
            packages: vec![
                Crate { kind: Scope::Build, ..package("cc", "crates.io") },
                package("libc", "crates.io"),
                Crate { root: true, dependencies: vec![0, 1], ..package("server", "local") },
            ],
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        assert_eq!(decode(&encode(&list())).unwrap(), list());
        let large = CrateList { packages: vec![list().packages[0].clone(); 5000] };
        assert_eq!(decode(&encode(&large)).unwrap(), large);
    }

    #[test]
    fn damaged_lists_are_refused() {
        let good = encode(&list());
        let check = |bytes: &[u8], expect: &str| {
            let error = decode(bytes).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&good[..good.len() - 1], "is not zlib data");
        check(b"", "is not zlib data");
        let mut dangling = list();
        dangling.packages[2].dependencies = vec![3];
        check(&encode(&dangling), "server depends on a crate that is not listed");
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut bytes = vec![0; 100];
        let length = compressor.zlib_compress(b"[1]", &mut bytes).unwrap();
        check(&bytes[..length], "is no list of crates");
    }

    #[test]
    fn the_other_sides_reader_reads_it_from_a_program() {
        for (bits, program) in [(64, elf::sample(64)), (32, elf::sample(32))] {
            let program = embed(&program, &list()).unwrap();
            let info = auditable_info::audit_info_from_slice(&program, 1 << 20).unwrap();
            let names: Vec<&str> = info.packages.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(names, ["cc", "libc", "server"], "{bits}");
            assert!(info.packages[2].root);
            assert_eq!(extract(&program).unwrap(), Some(list()));
        }
    }
}
