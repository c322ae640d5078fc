//! The zone database in the program, as `build.rs` packs it: unpacked when a session first names a zone.

use flate2::read::ZlibDecoder;
use std::io::Read;
use std::sync::LazyLock;

static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.zlib"));

/// The names with the places of their rules, and the rules.
static DATABASE: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
    let mut unpacked = Vec::new();
    // What the build has packed can be unpacked; a test reads every zone.
    let read = ZlibDecoder::new(PACKED).read_to_end(&mut unpacked);
    let end = unpacked.windows(2).position(|pair| pair == b"\n\n").filter(|_| read.is_ok());
    let rules = unpacked.split_off(end.map_or(unpacked.len(), |end| end + 2));
    (String::from_utf8(unpacked).unwrap_or_default(), rules)
});

/// The name as the database writes it, and the zone's rules as a TZif file has them.
pub fn get(wanted: &str) -> Option<(&'static str, &'static [u8])> {
    entries().find(|(name, ..)| name.eq_ignore_ascii_case(wanted))
}

/// All zones, by name.
pub fn entries() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let (index, rules) = &*DATABASE;
    index.lines().filter_map(|line| {
        let mut parts = line.split(' ');
        let name = parts.next()?;
        let (start, length): (usize, usize) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((name, rules.get(start..start + length)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn every_zone_is_there() {
        assert!(entries().count() > 500);
        for (name, rules) in entries() {
            TimeZone::tzif(name, rules).unwrap();
        }
        let (name, paris) = get("europe/PARIS").unwrap();
        assert_eq!((name, &paris[..4]), ("Europe/Paris", &b"TZif"[..]));
        assert!(get("Europe/Nowhere").is_none());
    }
}
