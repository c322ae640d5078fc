//! Where bytes lie, as nested rectangles: a tree, what of it is worth drawing, and where each part goes.
//!
//! The layout is the squarified one of Bruls, Huizing and van Wijk (2000):
//! 1. Parts are taken from the largest to the smallest, and laid in a row along the shorter side of what is left.
//! 2. A part joins the row as long as that makes the worst shape in the row better, that is nearer to a square.
//! 3. Else the row is fixed, and the next begins in the rectangle that is left.

/// Something that takes room, made of parts that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The last part of its path, or what it is.
    pub name: String,
    /// Bytes, with all its parts.
    pub bytes: u64,
    /// What it is made of; none for a file.
    pub children: Vec<Node>,
}

/// A rectangle, in hundredths of the whole's width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Node {
    /// A part without parts.
    pub fn leaf(name: impl Into<String>, bytes: u64) -> Node {
        Node { name: name.into(), bytes, children: Vec::new() }
    }

    /// A part of parts, with their bytes.
    pub fn of(name: impl Into<String>, children: Vec<Node>) -> Node {
        Node { name: name.into(), bytes: children.iter().map(|c| c.bytes).sum(), children }
    }

    /// Folders of files that are given by their paths.
    pub fn of_files<'a>(name: &str, files: impl IntoIterator<Item = (&'a str, u64)>) -> Node {
        let mut root = Node { name: name.into(), bytes: 0, children: Vec::new() };
        for (path, bytes) in files {
            root.add(&mut path.split('/').filter(|part| !part.is_empty()), bytes);
        }
        root
    }

    fn add<'a>(&mut self, parts: &mut impl Iterator<Item = &'a str>, bytes: u64) {
        self.bytes += bytes;
        let Some(part) = parts.next() else { return };
        // Paths come sorted: what they share is at the end.
        match self.children.last_mut().filter(|last| last.name == part) {
            Some(last) => last.add(parts, bytes),
            None => {
                let mut node = Node::leaf(part, 0);
                node.add(parts, bytes);
                self.children.push(node);
            }
        }
    }

    /// What is worth drawing: largest first; a folder with one part alone is one with it, and the parts below `least`
    /// bytes of a folder are one.
    #[must_use]
    pub fn pruned(mut self, least: u64) -> Node {
        while self.children.len() == 1 && !self.children[0].children.is_empty() {
            let only = self.children.remove(0);
            self.name = format!("{}/{}", self.name, only.name);
            self.children = only.children;
        }
        let (large, small): (Vec<Node>, Vec<Node>) =
            self.children.into_iter().filter(|c| c.bytes > 0).partition(|child| child.bytes >= least);
        self.children = large.into_iter().map(|child| child.pruned(least)).collect();
        self.children.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.name.cmp(&b.name)));
        match small.len() {
            0 => {}
            1 => self.children.extend(small.into_iter().map(|one| Node::leaf(one.name, one.bytes))),
            many => {
                let bytes = small.iter().map(|s| s.bytes).sum();
                self.children.push(Node::leaf(format!("{many} smaller"), bytes));
            }
        }
        self
    }
}

/// Where parts of these bytes go, in their order: the largest has to be first. `aspect` is the whole's width by its
/// height.
pub fn layout(bytes: &[u64], aspect: f64) -> Vec<Rect> {
    let total: f64 = bytes.iter().map(|b| *b as f64).sum();
    if total <= 0.0 {
        return vec![Rect { x: 0.0, y: 0.0, width: 0.0, height: 0.0 }; bytes.len()];
    }
    // The whole is `aspect` wide and 1 high; areas are in that.
    let areas: Vec<f64> = bytes.iter().map(|b| *b as f64 / total * aspect).collect();
    let mut free = Rect { x: 0.0, y: 0.0, width: aspect, height: 1.0 };
    let (mut rects, mut start) = (Vec::new(), 0);
    while start < areas.len() {
        let side = free.width.min(free.height);
        let mut end = start + 1;
        while end < areas.len() && worst(&areas[start..=end], side) <= worst(&areas[start..end], side) {
            end += 1;
        }
        place(&areas[start..end], &mut free, &mut rects);
        start = end;
    }
    let percent = |r: Rect| Rect {
        x: r.x / aspect * 100.0,
        y: r.y * 100.0,
        width: r.width / aspect * 100.0,
        height: r.height * 100.0,
    };
    rects.into_iter().map(percent).collect()
}

/// The worst shape of a row along `side`: how often the short side goes into the long one.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let thickness = sum / side;
    let shape = |area: &f64| {
        let length = area / thickness;
        (length / thickness).max(thickness / length)
    };
    row.iter().map(shape).fold(0.0, f64::max)
}

/// Fixes a row along the shorter side of what is free.
fn place(row: &[f64], free: &mut Rect, rects: &mut Vec<Rect>) {
    let sum: f64 = row.iter().sum();
    let upright = free.width >= free.height;
    // What is left beside something enormous is nothing, by rounding.
    let thickness = sum / if upright { free.height } else { free.width }.max(f64::EPSILON);
    let mut at = 0.0;
    for area in row {
        let length = if thickness > 0.0 { area / thickness } else { 0.0 };
        rects.push(if upright {
            Rect { x: free.x, y: free.y + at, width: thickness, height: length }
        } else {
            Rect { x: free.x + at, y: free.y, width: length, height: thickness }
        });
        at += length;
    }
    if upright {
        free.x += thickness;
        free.width -= thickness;
    } else {
        free.y += thickness;
        free.height -= thickness;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_have_the_areas_and_do_not_overlap() {
        for bytes in [&[6, 6, 4, 3, 2, 2, 1][..], &[1], &[1000, 1, 1], &[5; 40], &[u64::MAX / 2, 1]] {
            let rects = layout(bytes, 1.5);
            assert_eq!(rects.len(), bytes.len());
            let total: f64 = bytes.iter().map(|b| *b as f64).sum();
            for (rect, bytes) in rects.iter().zip(bytes) {
                let expect = *bytes as f64 / total * 10_000.0;
                assert!((rect.width * rect.height - expect).abs() < 1e-6 * 10_000.0, "{rect:?} {expect}");
                assert!(rect.x > -1e-6 && rect.x + rect.width < 100.0 + 1e-6, "{rect:?}");
                assert!(rect.y > -1e-6 && rect.y + rect.height < 100.0 + 1e-6, "{rect:?}");
            }
            for (i, a) in rects.iter().enumerate() {
                for b in &rects[..i] {
                    let overlap = |a: f64, aw: f64, b: f64, bw: f64| (a + aw).min(b + bw) - a.max(b);
                    let (w, h) = (overlap(a.x, a.width, b.x, b.width), overlap(a.y, a.height, b.y, b.height));
                    assert!(w < 1e-6 || h < 1e-6, "{a:?} {b:?}");
                }
            }
        }
        assert_eq!(layout(&[], 1.0), []);
        assert_eq!(layout(&[0, 0], 1.0)[1].width, 0.0);
    }

    #[test]
    fn shapes_are_near_to_squares() {
        let rects = layout(&[6, 6, 4, 3, 2, 2, 1], 1.5);
        for r in rects {
            let (width, height) = (r.width * 1.5, r.height);
            assert!(width / height < 3.0 && height / width < 3.0, "{r:?}");
        }
    }

    #[test]
    fn folders_of_paths() {
        let files =
            [("etc/passwd", 10), ("usr/local/bin/x", 500), ("usr/local/bin/y", 300), ("usr/share/z", 5)];
        let node = Node::of_files("/", files);
        assert_eq!((node.bytes, node.children.len()), (815, 2));
        let node = node.pruned(20);
        let names: Vec<(&str, u64)> = node.children.iter().map(|c| (c.name.as_str(), c.bytes)).collect();
        assert_eq!(
            names,
            [("usr", 805), ("passwd", 10)].map(|(n, b)| (if n == "passwd" { "etc" } else { n }, b))
        );
        let usr = &node.children[0];
        assert_eq!(usr.children[0].name, "local/bin");
        assert_eq!(usr.children[0].children.len(), 2);
        assert_eq!(usr.children[1], Node::leaf("share", 5));
    }

    #[test]
    fn what_is_small_is_one() {
        let node = Node::of(
            "x",
            vec![Node::leaf("a", 1), Node::leaf("b", 2), Node::leaf("c", 100), Node::leaf("d", 0)],
        );
        let pruned = node.pruned(10);
        assert_eq!(pruned.children, [Node::leaf("c", 100), Node::leaf("2 smaller", 3)]);
        assert_eq!(pruned.bytes, 103);
    }
}
