//! Sections of ELF programs: reading one, and adding one that is not loaded.
//!
//! The linker could add it too, by an object file on its command line; but that path would be part of the crate's hash,
//! and each linker of each platform wants it said differently. After the link it is the same for all of them: the
//! section, a longer table of names and a longer table of sections go behind the end, and the header points there.

use crate::error::{Error, Result};

/// The offsets of what matters in the headers of a class (ELF specification 1.2, "ELF Header", "Sections"; ELF-64).
struct Class {
    wide: bool,
    shoff: usize,
    shentsize: usize,
    header: usize,
    entry: usize,
    offset: usize,
    size: usize,
    align: usize,
}

const NARROW: Class =
    Class { wide: false, shoff: 32, shentsize: 46, header: 52, entry: 40, offset: 16, size: 20, align: 32 };
const WIDE: Class =
    Class { wide: true, shoff: 40, shentsize: 58, header: 64, entry: 64, offset: 24, size: 32, align: 48 };

/// The type of a section with content that means nothing to the linker.
const PROGBITS: u32 = 1;

/// A little-endian ELF file with its table of sections.
struct Elf<'a> {
    bytes: &'a [u8],
    class: &'static Class,
    table: usize,
    count: usize,
    names: usize,
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    field.iter().rev().try_fold(0usize, |n, b| n.checked_mul(256)?.checked_add(usize::from(*b)))
}

fn put(bytes: &mut [u8], at: usize, width: usize, value: usize) {
    bytes[at..at + width].copy_from_slice(&(value as u64).to_le_bytes()[..width]);
}

impl Class {
    fn word(&self) -> usize {
        if self.wide { 8 } else { 4 }
    }
}

impl<'a> Elf<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Elf<'a>> {
        let class = match bytes.get(..6)? {
            [0x7f, b'E', b'L', b'F', 1, 1] => &NARROW,
            [0x7f, b'E', b'L', b'F', 2, 1] => &WIDE,
            _ => return None,
        };
        let table = number(bytes, class.shoff, class.word())?;
        let entry = number(bytes, class.shentsize, 2)?;
        let count = number(bytes, class.shentsize + 2, 2)?;
        let names = number(bytes, class.shentsize + 4, 2)?;
        let end = table.checked_add(count.checked_mul(class.entry)?)?;
        let whole = bytes.len() >= class.header && entry == class.entry && end <= bytes.len();
        (whole && names < count).then_some(Elf { bytes, class, table, count, names })
    }

    fn header(&self, index: usize) -> &'a [u8] {
        &self.bytes[self.table + index * self.class.entry..][..self.class.entry]
    }

    fn content(&self, index: usize) -> Option<&'a [u8]> {
        let header = self.header(index);
        let at = number(header, self.class.offset, self.class.word())?;
        self.bytes.get(at..at.checked_add(number(header, self.class.size, self.class.word())?)?)
    }

    fn find(&self, name: &str) -> Option<usize> {
        let names = self.content(self.names)?;
        (0..self.count).find(|index| {
            number(self.header(*index), 0, 4)
                .and_then(|at| names.get(at..))
                .and_then(|rest| rest.split(|b| *b == 0).next())
                == Some(name.as_bytes())
        })
    }
}

fn parse(bytes: &[u8]) -> Result<Elf<'_>> {
    Elf::parse(bytes)
        .ok_or_else(|| Error::invalid("program", "is no little-endian ELF file with a table of sections"))
}

/// Whether `bytes` start as an ELF file does.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// The content of the section `name`; none where there is no such section, or no table of sections at all.
///
/// # Errors
/// [`Error::Invalid`] when the file is damaged.
pub fn section<'a>(program: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    let Some(elf) = Elf::parse(program) else {
        return match is_elf(program) && program.len() < NARROW.header {
            true => Err(Error::invalid("program", "is an ELF file cut short")),
            false => Ok(None),
        };
    };
    let Some(index) = elf.find(name) else { return Ok(None) };
    let content = elf.content(index);
    content.map(Some).ok_or_else(|| Error::invalid("program", format!("its section {name} is cut short")))
}

/// `program` with a section of that name and content that is not loaded; one of that name is replaced.
///
/// # Errors
/// [`Error::Invalid`] when it is no ELF file that can be added to.
pub fn with_section(program: &[u8], name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let elf = parse(program)?;
    let class = elf.class;
    let word = class.word();
    let old_names = elf
        .content(elf.names)
        .ok_or_else(|| Error::invalid("program", "its table of section names is cut short"))?;
    let mut out = program.to_vec();
    let align = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(8), 0);
    align(&mut out);
    let content_at = out.len();
    out.extend_from_slice(content);
    let mut table: Vec<u8> = elf.bytes[elf.table..][..elf.count * class.entry].to_vec();
    let mut count = elf.count;
    let index = match elf.find(name) {
        Some(index) => index,
        None => {
            align(&mut out);
            let names_at = out.len();
            out.extend_from_slice(old_names);
            out.extend_from_slice(name.as_bytes());
            out.push(0);
            let names = &mut table[elf.names * class.entry..][..class.entry];
            put(names, class.offset, word, names_at);
            put(names, class.size, word, old_names.len() + name.len() + 1);
            table.resize(table.len() + class.entry, 0);
            let header = &mut table[count * class.entry..];
            put(header, 0, 4, old_names.len());
            put(header, 4, 4, PROGBITS as usize);
            put(header, class.align, word, 1);
            count += 1;
            count - 1
        }
    };
    let header = &mut table[index * class.entry..][..class.entry];
    put(header, class.offset, word, content_at);
    put(header, class.size, word, content.len());
    align(&mut out);
    let table_at = out.len();
    out.extend_from_slice(&table);
    if count > 0xfeff || (!class.wide && u32::try_from(out.len()).is_err()) {
        return Err(Error::invalid("program", "has no room for another section"));
    }
    put(&mut out, class.shoff, word, table_at);
    put(&mut out, class.shentsize + 2, 2, count);
    Ok(out)
}

/// The smallest ELF file with a table of sections.
#[cfg(test)]
pub(crate) fn sample(bits: usize) -> Vec<u8> {
    let class = if bits == 64 { &WIDE } else { &NARROW };
    let mut out = vec![0; class.header];
    out[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', if bits == 64 { 2 } else { 1 }, 1, 1]);
    // ET_EXEC, EM_X86_64 or EM_ARM, version 1, the header's size.
    put(&mut out, 16, 2, 2);
    put(&mut out, 18, 2, if bits == 64 { 62 } else { 40 });
    put(&mut out, 20, 4, 1);
    put(&mut out, class.shentsize - 6, 2, class.header);
    let names = b"\0.shstrtab\0";
    let names_at = out.len();
    out.extend_from_slice(names);
    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len();
    out.resize(table + 2 * class.entry, 0);
    let header = &mut out[table + class.entry..];
    put(header, 0, 4, 1);
    put(header, 4, 4, 3);
    put(header, class.offset, class.word(), names_at);
    put(header, class.size, class.word(), names.len());
    put(&mut out, class.shoff, class.word(), table);
    put(&mut out, class.shentsize, 2, class.entry);
    put(&mut out, class.shentsize + 2, 2, 2);
    put(&mut out, class.shentsize + 4, 2, 1);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_and_replaced() {
        for bits in [32, 64] {
            let before = sample(bits);
            assert_eq!(section(&before, ".dep-v0").unwrap(), None);
            let once = with_section(&before, ".dep-v0", b"one").unwrap();
            assert_eq!(section(&once, ".dep-v0").unwrap(), Some(&b"one"[..]), "{bits}");
            let twice = with_section(&once, ".dep-v0", b"another").unwrap();
            assert_eq!(section(&twice, ".dep-v0").unwrap(), Some(&b"another"[..]), "{bits}");
            assert_eq!(Elf::parse(&twice).unwrap().count, 3);
            assert!(section(&twice, ".shstrtab").unwrap().is_some());
        }
    }

    #[test]
    fn what_is_no_whole_program() {
        assert_eq!(section(b"#!/bin/sh", ".dep-v0").unwrap(), None);
        assert!(section(b"\x7fELF\x02\x01", ".dep-v0").is_err());
        let whole = sample(64);
        for length in [0, 7, 40, 64, whole.len() - 1] {
            assert!(with_section(&whole[..length], ".dep-v0", b"x").is_err(), "{length}");
        }
        let mut large = whole.clone();
        put(&mut large, WIDE.shoff, 8, usize::MAX - 8);
        assert!(with_section(&large, ".dep-v0", b"x").is_err());
    }
}
