//! Whether an image keeps its size, and what takes the room where it does not.

use std::collections::BTreeMap;

use oci::{Entry, Layer};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::spec::{ImageSpec, Variant};

/// How many layers, files or crates are named when a budget is exceeded.
const LARGEST: usize = 3;

/// What takes the room in an image, to be kept until its next build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The layers by the word for their origin: compressed and unpacked bytes.
    pub layers: BTreeMap<String, (u64, u64)>,
    /// Our files, by path.
    pub files: BTreeMap<String, u64>,
}

impl Sizes {
    /// Of the layers of an image, each with the word for its origin, and of the entries that are ours.
    pub fn of(layers: &[(&Layer, &str)], entries: &[Entry]) -> Sizes {
        let mut sizes = Sizes::default();
        for (layer, from) in layers {
            let sum = sizes.layers.entry((*from).to_string()).or_default();
            *sum = (sum.0 + layer.descriptor.size(), sum.1 + layer.unpacked);
        }
        for entry in entries {
            let size = match entry {
                Entry::File { source, .. } => source.size,
                Entry::Inline { contents, .. } => contents.len() as u64,
                Entry::Dir { .. } | Entry::Symlink { .. } => continue,
            };
            sizes.files.insert(format!("/{}", entry.path()), size);
        }
        sizes
    }
}

/// Compares an image with its budget; `before` is what it was when it last kept it.
///
/// # Errors
/// [`Error::Budget`] with layers and files by their growth, or by size where nothing is known of before.
pub fn check(
    image: &ImageSpec,
    name: &str,
    variant: &Variant,
    sizes: &Sizes,
    before: Option<&Sizes>,
) -> Result<()> {
    let Some(budget) = image.budgets.get(&variant.0) else { return Ok(()) };
    let compressed: u64 = sizes.layers.values().map(|size| size.0).sum();
    let unpacked: u64 = sizes.layers.values().map(|size| size.1).sum();
    let exceeded = [
        ("compressed", compressed, budget.compressed, (|size| size.0) as fn(&(u64, u64)) -> u64),
        ("unpacked", unpacked, budget.unpacked, |size| size.1),
    ];
    for (what, found, allowed, pick) in exceeded {
        if found <= allowed {
            continue;
        }
        let layer_sizes = |sizes: &Sizes| sizes.layers.iter().map(|(k, v)| (k.clone(), pick(v))).collect();
        let layers: BTreeMap<String, u64> = layer_sizes(sizes);
        let layers = largest(&layers, before.map(layer_sizes).as_ref());
        let files = largest(&sizes.files, before.map(|b| &b.files));
        return Err(Error::Budget(format!(
            "{name} has {found} bytes {what}, {} more than its budget of {allowed} (images.toml, budgets.{variant}); layers: {layers}; files of ours: {files}",
            found - allowed,
        )));
    }
    Ok(())
}

/// The entries that grew most, or where nothing is known of before the largest, for people.
pub fn largest(now: &BTreeMap<String, u64>, before: Option<&BTreeMap<String, u64>>) -> String {
    let growth = |name: &str, size: u64| {
        before.map(|b| i128::from(size) - i128::from(b.get(name).copied().unwrap_or_default()))
    };
    let mut list: Vec<(Option<i128>, u64, &String)> =
        now.iter().map(|(name, size)| (growth(name, *size), *size, name)).collect();
    list.sort_by(|a, b| b.cmp(a));
    let show = |(growth, size, name): &(Option<i128>, u64, &String)| match growth {
        Some(growth) => format!("{name} {size} ({growth:+})"),
        None => format!("{name} {size}"),
    };
    list.iter().take(LARGEST).map(show).collect::<Vec<_>>().join(", ")
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
        let sizes =
            |system: &Layer, server: &Layer| Sizes::of(&[(system, "system"), (server, "server")], &entries);
        let check = |sizes: &Sizes, before: Option<&Sizes>, expect: &str| {
            let variant = Variant("distroless".into());
            match check_budget(image, "scratchbird:1-distroless", &variant, sizes, before) {
                Ok(()) => assert_eq!(expect, ""),
                Err(e) => assert!(!expect.is_empty() && e.to_string().contains(expect), "{e}"),
            }
        };
        let small = sizes(&layer(mb, mb), &layer(mb, mb));
        let large = sizes(&layer(mb, mb), &layer(20 * mb, mb));
        check(&small, None, "");
        check(&large, None, "compressed, 15728640 more than its budget of 6291456");
        check(&large, None, "layers: server 20971520, system 1048576");
        check(&sizes(&layer(mb, mb), &layer(mb, 20 * mb)), None, "bytes unpacked");
        check(&large, None, "files of ours: /usr/large 50, /etc/small 1");
        // What grew stands first, however small it is.
        let mut before = small.clone();
        before.files = [("/usr/large".into(), 50), ("/etc/small".into(), 0)].into();
        check(&large, Some(&before), "layers: server 20971520 (+19922944), system 1048576 (+0)");
        check(&large, Some(&before), "files of ours: /etc/small 1 (+1), /usr/large 50 (+0)");
    }
}
