//! How two images differ: configuration field by field, layers file by file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use oci::Blobs;
use oci::contents::{Item, Kind, read_layer};
use oci::digest::Hasher;
use oci::layout::document;
use oci_spec::image::{Descriptor, ImageManifest};
use serde::Serialize;
use serde_json::Value;

/// A difference between the published image and the rebuilt one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `config`, or the layer by its place, the bottom one 0.
    pub part: String,
    /// A path in the layer, or a field of the configuration.
    pub place: String,
    /// As published; nothing where it is not there.
    pub published: Option<String>,
    /// As rebuilt.
    pub rebuilt: Option<String>,
}

impl Difference {
    /// For people.
    pub fn line(&self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not there".into());
        format!("{} {}: {} → {}", self.part, self.place, shown(&self.published), shown(&self.rebuilt))
    }
}

/// Compares two images: configuration field by field, layers file by file where their digests differ.
pub fn differences(
    (published_blobs, published): (&Blobs, &Descriptor),
    (rebuilt_blobs, rebuilt): (&Blobs, &Descriptor),
) -> Result<Vec<Difference>> {
    let (left, right): (ImageManifest, ImageManifest) =
        (document(published_blobs, published)?, document(rebuilt_blobs, rebuilt)?);
    let mut found = Vec::new();
    let (a, b): (Value, Value) =
        (document(published_blobs, left.config())?, document(rebuilt_blobs, right.config())?);
    let (mut fields_a, mut fields_b) = (BTreeMap::new(), BTreeMap::new());
    flatten("", &a, &mut fields_a);
    flatten("", &b, &mut fields_b);
    compare("config", &fields_a, &fields_b, &mut found);
    for number in 0..left.layers().len().max(right.layers().len()) {
        let (a, b) = (left.layers().get(number), right.layers().get(number));
        if a.map(Descriptor::digest) == b.map(Descriptor::digest) {
            continue;
        }
        found.extend(layer_differences(
            &format!("layer {number}"),
            (published_blobs, a),
            (rebuilt_blobs, b),
        )?);
    }
    Ok(found)
}

/// Compares two layers that have different digests, file by file; a layer that is not there has no files.
pub fn layer_differences(
    part: &str,
    (published_blobs, published): (&Blobs, Option<&Descriptor>),
    (rebuilt_blobs, rebuilt): (&Blobs, Option<&Descriptor>),
) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    compare(part, &files(published_blobs, published)?, &files(rebuilt_blobs, rebuilt)?, &mut found);
    if found.is_empty() {
        let digest = |d: Option<&Descriptor>| d.map(|d| d.digest().to_string());
        found.push(Difference {
            part: part.into(),
            place: "the same files in other bytes".into(),
            published: digest(published),
            rebuilt: digest(rebuilt),
        });
    }
    Ok(found)
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| flatten(&format!("{path}/{k}"), v, out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| flatten(&format!("{path}/{i}"), v, out))
        }
        scalar => drop(out.insert(path.to_string(), scalar.to_string())),
    }
}

fn files(blobs: &Blobs, layer: Option<&Descriptor>) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let Some(layer) = layer else { return Ok(files) };
    read_layer(blobs, layer, |item, content| {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = content.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
        files.insert(format!("/{}", item.path), describe(item, hasher.finish().0.as_ref()));
        Ok(())
    })?;
    Ok(files)
}

fn describe(item: &Item, digest: &str) -> String {
    let what = match &item.kind {
        Kind::Dir => "folder".into(),
        Kind::File => digest.to_string(),
        Kind::Symlink(target) => format!("link to {target}"),
        Kind::HardLink(target) => format!("hard link to {target}"),
        Kind::Other => "device".into(),
        Kind::Whiteout(_) => "whiteout".into(),
    };
    format!("{what} mode {:04o} owner {}:{} time {}", item.mode, item.owner.uid, item.owner.gid, item.mtime)
}

fn compare(
    part: &str,
    published: &BTreeMap<String, String>,
    rebuilt: &BTreeMap<String, String>,
    found: &mut Vec<Difference>,
) {
    let places: BTreeSet<&String> = published.keys().chain(rebuilt.keys()).collect();
    for place in places {
        let (a, b) = (published.get(place), rebuilt.get(place));
        if a != b {
            found.push(Difference {
                part: part.into(),
                place: place.clone(),
                published: a.cloned(),
                rebuilt: b.cloned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::entry::{Entry, Owner};
    use oci::image::{Image, Part};
    use oci_spec::image::History;

    fn image(blobs: &Blobs, files: &[(&str, &str, u32)], user: &str) -> Descriptor {
        let entries: Vec<Entry> = files
            .iter()
            .map(|(path, text, mode)| Entry::Inline {
                path: (*path).into(),
                contents: (*text).into(),
                mode: *mode,
                owner: Owner::ROOT,
            })
            .collect();
        let layer = oci::layer::build(&entries, 0, oci::stream::Compression::Gzip, blobs).unwrap();
        let config = oci::Config { user: user.into(), ..oci::Config::default() };
        let platform = oci::platform::parse("linux/amd64").unwrap();
        let parts = [Part { layer, history: History::default() }];
        Image::assemble(blobs, &platform, "2026-01-01T00:00:00Z", &parts, &config).unwrap().manifest
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(temp.path()).unwrap();
        let published = image(&blobs, &[("a", "1", 0o644), ("b", "1", 0o644)], "1");
        let check = |files: &[(&str, &str, u32)], user: &str, expect: &[&str]| {
            let rebuilt = image(&blobs, files, user);
            let found = differences((&blobs, &published), (&blobs, &rebuilt)).unwrap();
            let shown: Vec<String> = found
                .iter()
                .filter(|d| !d.place.contains("diff_ids"))
                .map(|d| format!("{} {}", d.part, d.place))
                .collect();
            assert_eq!(shown, expect);
        };
        check(&[("a", "1", 0o644), ("b", "1", 0o644)], "1", &[]);
        check(&[("a", "2", 0o644), ("b", "1", 0o600)], "1", &["layer 0 /a", "layer 0 /b"]);
        check(&[("a", "1", 0o644), ("c", "1", 0o644)], "1", &["layer 0 /b", "layer 0 /c"]);
        check(&[("a", "1", 0o644), ("b", "1", 0o644)], "2", &["config /config/User"]);
    }
}
