//! How large images are, against their budgets and against earlier ones: by layer and by file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::spec::Budget;

/// One image of one platform, as it lies in a layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// `repository:tag`.
    pub name: String,
    /// As in images.toml.
    pub variant: String,
    /// `linux/amd64`.
    pub platform: String,
    /// The digest of its manifest.
    pub digest: String,
    /// Bottom first.
    pub layers: Vec<MeasuredLayer>,
}

/// A layer of a [`Measured`] image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeasuredLayer {
    /// Which one: `base`, or what the plan calls it.
    pub from: String,
    /// Bytes as pulled.
    pub compressed: u64,
    /// Bytes of its tar.
    pub unpacked: u64,
    /// Its files and their bytes, by path.
    pub files: BTreeMap<String, u64>,
}

/// What grew (or shrank: less than 0), in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// As pulled, of the whole image.
    pub compressed: i64,
    /// Unpacked, of the whole image.
    pub unpacked: i64,
    /// By layer, unpacked; what did not change is left out.
    pub layers: Vec<(String, i64)>,
    /// By file, what changed most first; a file that is in no layer of one side counts 0 there.
    pub files: Vec<(String, i64)>,
}

impl Measured {
    /// Bytes as pulled.
    pub fn compressed(&self) -> u64 {
        self.layers.iter().map(|l| l.compressed).sum()
    }

    /// Bytes of all its layers' tars.
    pub fn unpacked(&self) -> u64 {
        self.layers.iter().map(|l| l.unpacked).sum()
    }

    /// The largest files, with their bytes.
    pub fn largest(&self, most: usize) -> Vec<(&str, u64)> {
        let files = self.layers.iter().flat_map(|l| &l.files);
        let mut files: Vec<(&str, u64)> = files.map(|(path, bytes)| (path.as_str(), *bytes)).collect();
        files.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        files.truncate(most);
        files
    }

    /// What is larger here than in `old`.
    pub fn since(&self, old: &Measured) -> Growth {
        let total = |of: fn(&Measured) -> u64| difference(of(self), of(old));
        let by_layer = |image: &Measured| {
            let mut sizes = BTreeMap::<String, u64>::new();
            for layer in &image.layers {
                *sizes.entry(layer.from.clone()).or_default() += layer.unpacked;
            }
            sizes
        };
        let by_file = |image: &Measured| -> BTreeMap<String, u64> {
            image.layers.iter().flat_map(|l| l.files.clone()).collect()
        };
        Growth {
            compressed: total(Measured::compressed),
            unpacked: total(Measured::unpacked),
            layers: changes(&by_layer(old), &by_layer(self)),
            files: changes(&by_file(old), &by_file(self)),
        }
    }
}

fn difference(new: u64, old: u64) -> i64 {
    i64::try_from(i128::from(new) - i128::from(old)).unwrap_or(if new > old { i64::MAX } else { i64::MIN })
}

/// What is not the same in `new` as in `old`, what changed most first; what is on one side alone counts 0 on the other.
pub fn changes(old: &BTreeMap<String, u64>, new: &BTreeMap<String, u64>) -> Vec<(String, i64)> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let size = |of: &BTreeMap<String, u64>, name: &String| of.get(name).copied().unwrap_or(0);
    let mut list: Vec<(String, i64)> = names
        .into_iter()
        .map(|name| (name.clone(), difference(size(new, name), size(old, name))))
        .filter(|(_, change)| *change != 0)
        .collect();
    list.sort_by(|a, b| b.1.abs().cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    list
}

/// A table for people: the image, its budget, its layers, its `most` largest files, and what grew.
pub fn render(
    image: &Measured,
    budget: Option<&Budget>,
    against: Option<(&str, &Growth)>,
    most: usize,
) -> String {
    let mut text = format!("{} {}\n", image.name, image.platform);
    let mut line = |what: &str, compressed: String, unpacked: String| {
        let _ = writeln!(text, "  {what:<12} {compressed:>26} {unpacked:>28}");
    };
    line("", "compressed".into(), "unpacked".into());
    for layer in &image.layers {
        line(&layer.from, bytes(layer.compressed), bytes(layer.unpacked));
    }
    let of = |found: u64, allowed: Option<u64>| match allowed {
        Some(allowed) if allowed > 0 => {
            format!("{} ({} % of {})", bytes(found), found * 100 / allowed, bytes(allowed))
        }
        _ => bytes(found),
    };
    line(
        "all",
        of(image.compressed(), budget.map(|b| b.compressed)),
        of(image.unpacked(), budget.map(|b| b.unpacked)),
    );
    if let Some((what, growth)) = against {
        line(&format!("since {what}"), change(growth.compressed), change(growth.unpacked));
        for (name, by) in &growth.layers {
            let _ = writeln!(text, "  {name} layer {}", change(*by));
        }
        for (path, by) in growth.files.iter().take(most) {
            let _ = writeln!(text, "  /{path} {}", change(*by));
        }
        let more = growth.files.len().saturating_sub(most);
        if more > 0 {
            let _ = writeln!(text, "  {more} more files changed their size");
        }
    } else {
        for (path, size) in image.largest(most) {
            let _ = writeln!(text, "  /{path} {}", bytes(size));
        }
    }
    text
}

/// The `most` largest crates for people, and what grew.
pub fn render_crates(
    crates: &BTreeMap<String, u64>,
    against: Option<(&str, &[(String, i64)])>,
    most: usize,
) -> String {
    let mut largest: Vec<(&String, &u64)> = crates.iter().collect();
    largest.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut text = String::new();
    for (name, size) in largest.into_iter().take(most) {
        let _ = writeln!(text, "  crate {name} {}", bytes(*size));
    }
    if let Some((what, growth)) = against {
        for (name, by) in growth.iter().take(most) {
            let _ = writeln!(text, "  crate {name} {} since {what}", change(*by));
        }
    }
    text
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

fn change(by: i64) -> String {
    format!("{}{}", if by < 0 { '-' } else { '+' }, bytes(by.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer's origin, its compressed size, and its files.
    type Sketch<'a> = (&'a str, u64, &'a [(&'a str, u64)]);

    fn image(layers: &[Sketch]) -> Measured {
        let layer = |(from, compressed, files): &Sketch| MeasuredLayer {
            from: (*from).into(),
            compressed: *compressed,
            unpacked: files.iter().map(|f| f.1).sum(),
            files: files.iter().map(|(path, size)| ((*path).to_string(), *size)).collect(),
        };
        Measured {
            name: "scratchbird:1.0.0-alpine".into(),
            variant: "alpine".into(),
            platform: "linux/amd64".into(),
            digest: "sha256:0".into(),
            layers: layers.iter().map(layer).collect(),
        }
    }

    #[test]
    fn growth_has_a_layer_and_a_file() {
        let old = image(&[("base", 10, &[("bin/sh", 20)]), ("server", 5, &[("usr/bin/x", 8), ("old", 3)])]);
        let new = image(&[("base", 10, &[("bin/sh", 20)]), ("server", 9, &[("usr/bin/x", 18), ("new", 1)])]);
        let growth = new.since(&old);
        assert_eq!((growth.compressed, growth.unpacked), (4, 8));
        assert_eq!(growth.layers, [("server".to_string(), 8)]);
        let files = [("usr/bin/x", 10), ("old", -3), ("new", 1)].map(|(p, n)| (p.to_string(), n));
        assert_eq!(growth.files, files);
        assert_eq!(old.since(&old), Growth::default());
        assert_eq!(old.since(&new).unpacked, -8);
    }

    #[test]
    fn two_layers_of_one_name_count_together() {
        let new = image(&[("base", 1, &[("a", 1)]), ("base", 1, &[("b", 2)])]);
        assert_eq!(new.since(&image(&[])).layers, [("base".to_string(), 3)]);
    }

    #[test]
    fn the_table() {
        let new = image(&[("base", 3_600_000, &[("bin/sh", 800_000)]), ("server", 900, &[("x", 1_500_000)])]);
        let budget = Budget { compressed: 12_000_000, unpacked: 4_600_000 };
        let text = render(&new, Some(&budget), None, 1);
        let check = |expect: &str| assert!(text.contains(expect), "{expect} in\n{text}");
        check("scratchbird:1.0.0-alpine linux/amd64");
        check("3.6 MB (30 % of 12.0 MB)");
        check("2.3 MB (50 % of 4.6 MB)");
        check("  /x 1.5 MB\n");
        assert!(!text.contains("bin/sh"), "{text}");
        let growth = new.since(&image(&[("base", 3_600_000, &[("bin/sh", 800_000)])]));
        let text = render(&new, None, Some(("v1", &growth)), 5);
        assert!(text.contains("since v1") && text.contains("server layer +1.5 MB"), "{text}");
        let crates = |app: u64| BTreeMap::from([("app".to_string(), app), ("core".to_string(), 900)]);
        let growth = changes(&crates(100), &crates(1_100));
        let text = render_crates(&crates(1_100), Some(("v1", &growth)), 1);
        assert_eq!(text, "  crate app 1.1 kB\n  crate app +1.0 kB since v1\n");
        let shrunk = image(&[]).since(&new);
        assert!(render(&new, None, Some(("v1", &shrunk)), 1).contains("1 more files changed"));
    }
}
