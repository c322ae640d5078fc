//! Target folders whose layout holds an image of this checkout that was changed: as valid as before, and another one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use oci::layout::{self, Layout, Named};
use oci::stream::{self, Compression};
use oci::{Blobs, Cache, Entry, Owner};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType, Platform};
use serde_json::{Value, json};

/// Where the server's program lies in an image.
pub const PROGRAM: &str = "usr/local/bin/scratchbird";

/// Changes an image's configuration, and what lies in its topmost layer.
pub type Change = fn(&mut Value, &Platform, &mut [Entry]);

/// This checkout's target folder.
pub fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().unwrap()
}

/// A target folder without images, with the bases and tools of this checkout.
pub fn empty() -> tempfile::TempDir {
    let target = tempfile::tempdir_in(own()).unwrap();
    for shared in ["tools", "oci-cache"] {
        std::os::unix::fs::symlink(own().join(shared), target.path().join(shared)).unwrap();
    }
    target
}

/// A target folder with the changed image of that variant, under all of its names.
pub fn target(variant: &str, change: Change) -> tempfile::TempDir {
    let target = empty();
    let layout = Layout::open(own().join("oci")).expect("run `cargo xtask image --variant all`");
    let name = format!("{}-{variant}", env!("CARGO_PKG_VERSION"));
    let root = layout.resolve(Some(&name)).expect("run `cargo xtask image --variant all`");
    let cache = Cache::create(&target.path().join("blobs")).unwrap();
    for part in layout::closure(layout.blobs(), &root).unwrap() {
        layout.blobs().link_into(cache.blobs(), &part).unwrap();
    }
    let index: ImageIndex = layout::document(cache.blobs(), &root).unwrap();
    let manifests: Vec<Descriptor> =
        index.manifests().iter().map(|manifest| altered(cache.blobs(), manifest, change)).collect();
    let descriptor = oci::image::index_of(cache.blobs(), &manifests, &BTreeMap::new()).unwrap();
    let all = layout.index().unwrap();
    let names = all.manifests().iter().filter(|d| d.digest() == root.digest()).filter_map(layout::ref_name);
    let images: Vec<Named> =
        names.map(|name| Named { name: name.into(), descriptor: descriptor.clone() }).collect();
    layout::update(&target.path().join("oci"), cache.blobs(), &images).unwrap();
    target
}

fn altered(blobs: &Blobs, descriptor: &Descriptor, change: Change) -> Descriptor {
    let platform = descriptor.platform().as_ref().unwrap();
    let read: ImageManifest = layout::document(blobs, descriptor).unwrap();
    let (mut manifest, mut config): (Value, Value) =
        (json!(read), layout::document(blobs, read.config()).unwrap());
    let (mut entries, time) = entries(blobs, read.layers().last().unwrap());
    change(&mut config, platform, &mut entries);
    let layer = oci::layer::build(&entries, time, Compression::Gzip, blobs).unwrap();
    let last = |list: &mut Value, new: Value| *list.as_array_mut().unwrap().last_mut().unwrap() = new;
    last(&mut manifest["layers"], json!(layer.descriptor));
    last(&mut config["rootfs"]["diff_ids"], json!(layer.diff_id));
    let put = |kind, value: &Value| blobs.put(kind, &serde_json::to_vec(value).unwrap()).unwrap();
    manifest["config"] = json!(put(MediaType::ImageConfig, &config));
    let mut descriptor = json!(put(MediaType::ImageManifest, &manifest));
    descriptor["platform"] = json!(platform);
    serde_json::from_value(descriptor).unwrap()
}

/// What lies in a layer of ours, and the time of its files.
fn entries(blobs: &Blobs, layer: &Descriptor) -> (Vec<Entry>, u64) {
    let mut tar = tar::Archive::new(stream::decode(blobs.open(layer.digest()).unwrap()).unwrap());
    let (mut entries, mut time) = (Vec::new(), 0);
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let number = |field: std::io::Result<u64>| u32::try_from(field.unwrap()).unwrap();
        let owner = Owner { uid: number(header.uid()), gid: number(header.gid()) };
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        time = header.mtime().unwrap();
        let path = entry.path().unwrap().display().to_string().trim_end_matches('/').to_string();
        let target = entry.link_name().unwrap().map(|target| target.display().to_string());
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        entries.push(match (kind.is_dir(), target) {
            (true, _) => Entry::Dir { path, mode, owner },
            (false, Some(target)) => Entry::Symlink { path, target },
            (false, None) => Entry::Inline { path, contents, mode, owner },
        });
    }
    (entries, time)
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
