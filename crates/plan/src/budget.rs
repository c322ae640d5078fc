//! Whether an image keeps its size, and what takes the room where it does not.

use oci::{Entry, Layer};

use crate::error::{Error, Result};
use crate::spec::{ImageSpec, Variant};

/// How many files are named when a budget is exceeded.
const LARGEST: usize = 3;

/// Compares the layers of an image (bottom first, each with the word for its origin) with its budget. `entries` are what
/// is in ours.
///
/// # Errors
/// [`Error::Misfit`] with the layers by size and the largest files.
pub fn check(
    image: &ImageSpec,
    name: &str,
    variant: &Variant,
    layers: &[(&Layer, &str)],
    entries: &[Entry],
) -> Result<()> {
    let Some(budget) = image.budgets.get(&variant.0) else { return Ok(()) };
    let compressed: u64 = layers.iter().map(|(layer, _)| layer.descriptor.size()).sum();
    let unpacked: u64 = layers.iter().map(|(layer, _)| layer.unpacked).sum();
    for (what, found, allowed) in
        [("compressed", compressed, budget.compressed), ("unpacked", unpacked, budget.unpacked)]
    {
        if found <= allowed {
            continue;
        }
        let size =
            |layer: &Layer| if what == "compressed" { layer.descriptor.size() } else { layer.unpacked };
        let mut parts: Vec<(u64, &str)> = layers.iter().map(|(layer, from)| (size(layer), *from)).collect();
        parts.sort_by(|a, b| b.cmp(a));
        let parts: Vec<String> = parts.iter().map(|(bytes, from)| format!("{from} {bytes}")).collect();
        return Err(Error::Misfit(format!(
            "{name} has {found} bytes {what}, {} more than its budget of {allowed} (images.toml, budgets.{variant}); layers: {}; largest files of ours: {}",
            found - allowed,
            parts.join(", "),
            largest(entries).join(", ")
        )));
    }
    Ok(())
}

fn largest(entries: &[Entry]) -> Vec<String> {
    let mut files: Vec<(u64, &str)> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::File { path, source, .. } => Some((source.size, path.as_str())),
            Entry::Inline { path, contents, .. } => Some((contents.len() as u64, path.as_str())),
            Entry::Dir { .. } | Entry::Symlink { .. } => None,
        })
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    files.iter().take(LARGEST).map(|(bytes, path)| format!("/{path} {bytes}")).collect()
}

#[cfg(test)]
mod tests {
    use oci_spec::image::{Descriptor, MediaType};

    use super::{check as check_budget, *};

    #[test]
    fn who_takes_the_room() {
        let spec = crate::testing::spec();
        let image = &spec.images["server"];
        let mb = 1 << 20;
        let layer = |size: u64, unpacked: u64| {
            let digest = oci::digest::sha256(&size.to_le_bytes());
            let descriptor = Descriptor::new(MediaType::ImageLayerGzip, size, digest.clone());
            Layer { descriptor, diff_id: digest, unpacked }
        };
        let inline = |path: &str, size: usize| Entry::Inline {
            path: path.into(),
            contents: vec![0; size],
            mode: 0o644,
            owner: oci::Owner::ROOT,
        };
        let entries = [inline("etc/small", 1), inline("usr/large", 50)];
        let check = |system: &Layer, server: &Layer, expect: &str| {
            let layers = [(system, "system"), (server, "server")];
            let result = check_budget(
                image,
                "scratchbird:1-distroless",
                &Variant("distroless".into()),
                &layers,
                &entries,
            );
            match result {
                Ok(()) => assert_eq!(expect, ""),
                Err(e) => assert!(!expect.is_empty() && e.to_string().contains(expect), "{e}"),
            }
        };
        check(&layer(mb, mb), &layer(mb, mb), "");
        check(&layer(mb, mb), &layer(20 * mb, mb), "compressed, 15728640 more than its budget of 6291456");
        check(&layer(mb, mb), &layer(20 * mb, mb), "layers: server 20971520, system 1048576");
        check(&layer(mb, mb), &layer(mb, 20 * mb), "bytes unpacked");
        check(&layer(mb, mb), &layer(mb, 20 * mb), "files of ours: /usr/large 50, /etc/small 1");
    }
}
