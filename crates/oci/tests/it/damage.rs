//! The validator finds every way in which a layout can be broken.

use oci::validate::{self, Depth};

use super::*;

/// Breaks the layout by `harm` and expects a problem that contains `expect`.
fn finds(expect: &str, harm: impl Fn(&Fixture, &Image, &Descriptor, &Path)) {
    let fixture = Fixture::new();
    let (image, index) = fixture.image("one");
    fixture.write(&[("one", &index)]).unwrap();
    let root = fixture.layout_dir();
    // The cache's blobs are hard links of these: give the layout its own before it is harmed.
    for (path, contents) in snapshot(&root) {
        fs::remove_file(&path).unwrap();
        fs::write(&path, contents).unwrap();
    }
    harm(&fixture, &image, &index, &root);
    let problems = validate::layout(&root, None, Depth::Layers);
    assert!(problems.iter().any(|p| p.contains(expect)), "wanted `{expect}` among {problems:#?}");
}

/// Replaces a JSON document by an edited one, with every digest above it made right again, so that nothing but
/// the edit is wrong.
fn edit(
    root: &Path,
    image: &Image,
    index: &Descriptor,
    which: &str,
    change: impl Fn(&mut serde_json::Value),
) {
    let blobs = root.join("blobs/sha256");
    let load = |d: &Descriptor| -> serde_json::Value {
        serde_json::from_slice(&fs::read(blobs.join(d.digest().digest())).unwrap()).unwrap()
    };
    let store = |value: &serde_json::Value| {
        let bytes = oci::json::to_vec(value);
        let digest = oci::digest::sha256(&bytes);
        fs::write(blobs.join(digest.digest()), &bytes).unwrap();
        (digest.to_string(), bytes.len())
    };
    let (mut config, mut manifest, mut index_doc) = (load(&image.config), load(&image.manifest), load(index));
    let mut top: serde_json::Value =
        serde_json::from_slice(&fs::read(root.join("index.json")).unwrap()).unwrap();
    let point = |parent: &mut serde_json::Value, (digest, size): (String, usize)| {
        parent["digest"] = digest.into();
        parent["size"] = size.into();
    };
    if which == "config" {
        change(&mut config);
    }
    point(&mut manifest["config"], store(&config));
    if which == "manifest" {
        change(&mut manifest);
    }
    point(&mut index_doc["manifests"][0], store(&manifest));
    if which == "index" {
        change(&mut index_doc);
    }
    point(&mut top["manifests"][0], store(&index_doc));
    if which == "top" {
        change(&mut top);
    }
    fs::write(root.join("index.json"), oci::json::to_vec(&top)).unwrap();
}

#[test]
fn the_validator_finds_damaged_files() {
    finds("cannot read", |_, _, _, root| fs::remove_file(root.join("oci-layout")).unwrap());
    finds("imageLayoutVersion `9`", |_, _, _, root| {
        fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).unwrap();
    });
    finds("cannot read", |_, _, _, root| fs::remove_file(root.join("index.json")).unwrap());
    finds("index.json: EOF", |_, _, _, root| fs::write(root.join("index.json"), "{").unwrap());
    for which in 0..4 {
        let path = move |root: &Path, image: &Image, index: &Descriptor| {
            let digest = [
                index.digest(),
                image.manifest.digest(),
                image.config.digest(),
                image.layers[0].descriptor.digest(),
            ][which]
                .clone();
            root.join("blobs/sha256").join(digest.digest())
        };
        finds("cannot open", |_, image, index, root| fs::remove_file(path(root, image, index)).unwrap());
        finds("bytes instead of", |_, image, index, root| {
            let path = path(root, image, index);
            let contents = fs::read(&path).unwrap();
            fs::write(&path, &contents[..contents.len() - 1]).unwrap();
        });
        finds("its content has the digest", |_, image, index, root| {
            let path = path(root, image, index);
            let mut contents = fs::read(&path).unwrap();
            let middle = contents.len() / 2;
            contents[middle] ^= 1;
            fs::write(&path, &contents).unwrap();
        });
    }
}

#[test]
fn the_validator_finds_documents_that_disagree() {
    let breaks = |expect: &str, which: &str, change: &dyn Fn(&mut serde_json::Value)| {
        finds(expect, |_, image, index, root| edit(root, image, index, which, change));
    };
    breaks("schemaVersion is 1", "manifest", &|m| m["schemaVersion"] = 1.into());
    breaks("schemaVersion is 3", "index", &|i| i["schemaVersion"] = 3.into());
    breaks("is not its descriptor's", "manifest", &|m| {
        m["mediaType"] = "application/vnd.oci.image.index.v1+json".into()
    });
    breaks("is no image's", "manifest", &|m| m["config"]["mediaType"] = "text/plain".into());
    breaks("is no layer's type", "manifest", &|m| m["layers"][0]["mediaType"] = "text/plain".into());
    breaks("0 layers but 1 diff_ids", "manifest", &|m| m["layers"] = serde_json::json!([]));
    breaks("its diff_id is", "config", &|c| {
        c["rootfs"]["diff_ids"][0] = format!("sha256:{}", "0".repeat(64)).into()
    });
    breaks("1 layers but 2 diff_ids", "config", &|c| c["rootfs"]["diff_ids"] = serde_json::json!(["a", "b"]));
    breaks("1 layers but 0 history", "config", &|c| c["history"] = serde_json::json!([]));
    breaks("rootfs.type is `x`", "config", &|c| c["rootfs"]["type"] = "x".into());
    breaks("listed as linux/amd64 but configured as linux/arm64", "config", &|c| {
        c["architecture"] = "arm64".into()
    });
    breaks("has no platform", "index", &|i| {
        drop(i["manifests"][0].as_object_mut().unwrap().remove("platform"))
    });
    breaks("has linux/amd64 twice", "index", &|i| {
        let twice = i["manifests"][0].clone();
        i["manifests"].as_array_mut().unwrap().push(twice);
    });
    breaks("no legal reference name", "top", &|t| {
        t["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "-bad".into();
    });
    breaks("is no image", "top", &|t| t["manifests"][0]["mediaType"] = "text/plain".into());
    breaks("missing field", "config", &|c| drop(c.as_object_mut().unwrap().remove("rootfs")));
}

#[test]
fn the_validator_finds_bad_layers() {
    let breaks = |expect: &str, tar: Vec<u8>| {
        finds(expect, move |_, image, index, root| {
            let digest = oci::digest::sha256(&tar);
            fs::write(root.join("blobs/sha256").join(digest.digest()), &tar).unwrap();
            edit(root, image, index, "manifest", |m| {
                m["layers"][0] = serde_json::json!({
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": digest.to_string(),
                    "size": tar.len(),
                });
            });
        });
    };
    breaks("`a` is there twice", tar_of(&[("a", FILE, b"1"), ("a", FILE, b"2")], true));
    breaks(
        "`./a/` is there twice",
        tar_of(&[("a", FILE, b"1"), ("./a/", tar::EntryType::Directory, b"")], true),
    );
    breaks("`a/../../b` leaves the image", tar_of(&[("a/../../b", FILE, b"1")], true));
    breaks("no end-of-archive marker", tar_of(&[("a", FILE, b"1")], false));
    breaks("layer sha256:", tar_of(&[("a", FILE, b"1")], true)[..700].to_vec());
    breaks("layer sha256:", b"\x1f\x8b rubbish".to_vec());
}
