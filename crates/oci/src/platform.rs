//! `os/architecture[/variant]`, as users write it, and what an ELF header says of itself.

use oci_spec::image::{Arch, Os, Platform};

use crate::error::{Error, Result};

/// Reads `linux/arm/v7` and the like (image-spec "image index", Platform Variants; GOOS and GOARCH values).
///
/// arm64's only variant, `v8`, is dropped as containerd does, so that one platform has one name.
///
/// # Errors
/// [`Error::Invalid`] for anything that is not two or three words.
pub fn parse(text: &str) -> Result<Platform> {
    let mut platform = Platform::default();
    let parts: Vec<&str> = text.split('/').collect();
    let word = |s: &&str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(word) {
        return Err(Error::invalid(
            format!("platform `{text}`"),
            "must be os/architecture or os/architecture/variant, such as `linux/arm/v7`",
        ));
    }
    platform.set_os(Os::from(parts[0])).set_architecture(Arch::from(parts[1]));
    match parts.get(2) {
        Some(&"v8") if parts[1] == "arm64" => {}
        Some(variant) => {
            platform.set_variant(Some((*variant).to_string()));
        }
        None => {}
    }
    Ok(platform)
}

/// `platform` as [`parse`] reads it.
pub fn display(platform: &Platform) -> String {
    let mut text = format!("{}/{}", platform.os(), platform.architecture());
    if let Some(variant) = platform.variant() {
        text.push('/');
        text.push_str(variant);
    }
    text
}

/// Whether something built for `have` runs where `want` is asked for: same system and architecture, and the
/// same variant where both name one.
pub fn fits(have: &Platform, want: &Platform) -> bool {
    let variant =
        |p: &Platform| p.variant().clone().filter(|v| !(p.architecture() == &Arch::ARM64 && v == "v8"));
    have.os() == want.os()
        && have.architecture() == want.architecture()
        && (variant(have).is_none() || variant(want).is_none() || variant(have) == variant(want))
}

/// What the first bytes of a program tell (System V ABI, "ELF Header").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// The architecture, in OCI's words.
    pub architecture: Arch,
    /// The dynamic loader that the kernel would start, as an absolute path; none for a static program.
    pub interpreter: Option<String>,
}

/// Reads the ELF header, and the program headers where `bytes` holds them. None where this is no ELF file of an
/// architecture that OCI has a word for.
pub fn elf(bytes: &[u8]) -> Option<Elf> {
    if bytes.get(..4)? != b"\x7fELF" {
        return None;
    }
    let (wide, little) = (bytes.get(4)? == &2, bytes.get(5)? == &1);
    let number = |at: usize, len: usize| -> Option<u64> {
        let part = bytes.get(at..at.checked_add(len)?)?;
        let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if little { part.iter().rev().fold(0, fold) } else { part.iter().fold(0, fold) })
    };
    let architecture = match number(18, 2)? {
        3 => Arch::i386,
        21 if little => Arch::PowerPC64le,
        22 => Arch::s390x,
        40 => Arch::ARM,
        62 => Arch::Amd64,
        183 => Arch::ARM64,
        243 if wide => Arch::RISCV64,
        258 => Arch::LoongArch64,
        _ => return None,
    };
    let (table, entry_size, count) = if wide {
        (number(32, 8)?, number(54, 2)?, number(56, 2)?)
    } else {
        (number(28, 4)?, number(42, 2)?, number(44, 2)?)
    };
    let mut interpreter = None;
    for i in 0..count {
        let Some(at) = usize::try_from(table + i * entry_size).ok() else { break };
        const PT_INTERP: u64 = 3;
        if number(at, 4) != Some(PT_INTERP) {
            continue;
        }
        let (offset, size) = if wide {
            (number(at + 8, 8), number(at + 32, 8))
        } else {
            (number(at + 4, 4), number(at + 16, 4))
        };
        interpreter = offset.zip(size).and_then(|(offset, size)| {
            let path =
                bytes.get(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(size)?).ok()?)?;
            String::from_utf8(path.split(|b| *b == 0).next()?.to_vec()).ok()
        });
    }
    Some(Elf { architecture, interpreter })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(parse(text).ok().map(|p| display(&p)).as_deref(), expect, "{text}");
        };
        check("linux/amd64", Some("linux/amd64"));
        check("linux/arm/v7", Some("linux/arm/v7"));
        check("linux/arm64", Some("linux/arm64"));
        check("linux/arm64/v8", Some("linux/arm64"));
        for bad in
            ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "Linux/amd64", "linux/ARM", "linux amd64"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn fitting() {
        let check = |have: &str, want: &str, expect: bool| {
            assert_eq!(fits(&parse(have).unwrap(), &parse(want).unwrap()), expect, "{have} for {want}");
        };
        check("linux/amd64", "linux/amd64", true);
        check("linux/arm64/v8", "linux/arm64", true);
        check("linux/arm", "linux/arm/v7", true);
        check("linux/arm/v6", "linux/arm/v7", false);
        check("linux/arm64", "linux/amd64", false);
        check("windows/amd64", "linux/amd64", false);
    }

    /// An ELF header and one PT_INTERP program header, as the ABI lays them out.
    fn program(wide: bool, little: bool, machine: u16, interpreter: &str) -> Vec<u8> {
        let (header, entry) = if wide { (64, 56) } else { (52, 32) };
        let mut bytes = vec![0; header + entry];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 2 - u8::from(little)]);
        let mut put = |at: usize, len: usize, value: usize| {
            for i in 0..len {
                let shift = 8 * if little { i } else { len - 1 - i };
                bytes[at + i] = (value >> shift) as u8;
            }
        };
        put(18, 2, machine.into());
        let word = if wide { 8 } else { 4 };
        put(if wide { 32 } else { 28 }, word, header);
        put(if wide { 54 } else { 42 }, 2, entry);
        put(if wide { 56 } else { 44 }, 2, 1);
        put(header, 4, 3);
        put(header + if wide { 8 } else { 4 }, word, header + entry);
        put(header + if wide { 32 } else { 16 }, word, interpreter.len() + 1);
        bytes.extend_from_slice(interpreter.as_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn programs() {
        let check = |bytes: &[u8], expect: Option<(Arch, Option<&str>)>| {
            let expect =
                expect.map(|(architecture, i)| Elf { architecture, interpreter: i.map(String::from) });
            assert_eq!(elf(bytes), expect);
        };
        let loader = "/lib/ld-musl-x86_64.so.1";
        check(&program(true, true, 62, loader), Some((Arch::Amd64, Some(loader))));
        check(&program(false, true, 40, "/lib/ld.so"), Some((Arch::ARM, Some("/lib/ld.so"))));
        check(&program(true, false, 22, "/lib/ld64.so.1"), Some((Arch::s390x, Some("/lib/ld64.so.1"))));
        check(&program(true, true, 62, loader)[..64], Some((Arch::Amd64, None)));
        check(&program(true, true, 0, loader), None);
        for len in 0..52 {
            check(&program(true, true, 62, loader)[..len], None);
        }
        check(b"#!/bin/sh\n", None);
        // The program that runs this test is one.
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(cfg!(not(target_os = "linux")) || elf(&own).is_some());
    }
}
