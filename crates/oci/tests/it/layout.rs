//! Layouts and archives are written whole, left alone when nothing changes, and mended.

use std::collections::BTreeSet;

use oci::archive;
use oci::layout::{self, Layout};
use oci::validate::{self, Depth};

use super::*;

#[test]
fn golden_image() {
    let fixture = Fixture::new();
    let (image, index) = fixture.image("welcome\n");
    let read = |d: &Descriptor| String::from_utf8(fixture.cache.blobs().read(d).unwrap()).unwrap();
    assert_eq!(
        index.digest().to_string(),
        "sha256:647aa2b0353851e51db343aefdb20f9f93a8381d8952b44412ba0a453a6f4460",
        "the bytes of an image changed; now:\nindex {}\nmanifest {}\nconfig {}",
        read(&index),
        read(&image.manifest),
        read(&image.config),
    );
}

#[test]
fn a_layout_is_written_read_updated_and_left_alone_when_nothing_changes() {
    let fixture = Fixture::new();
    let (_, one) = fixture.image("one");
    let (_, two) = fixture.image("two");
    let root = fixture.layout_dir();
    assert!(fixture.write(&[("1.0.0-alpine", &one), ("alpine", &one)]).unwrap());
    assert_eq!(validate::layout(&root, None, Depth::Layers), [""; 0]);
    let before = snapshot(&root);
    assert!(!fixture.write(&[("1.0.0-alpine", &one), ("alpine", &one)]).unwrap());
    assert_eq!(snapshot(&root), before);

    let layout = Layout::open(&root).unwrap();
    assert_eq!(layout.resolve(Some("alpine")).unwrap().digest(), one.digest());
    assert_eq!(layout.resolve(None).unwrap().digest(), one.digest());
    let error = layout.resolve(Some("debian")).unwrap_err().to_string();
    assert!(error.contains("`debian`, only `1.0.0-alpine`, `alpine`"), "{error}");

    // A name moves on; the other stays; what nothing names any more goes.
    assert!(fixture.write(&[("alpine", &two)]).unwrap());
    let error = layout.resolve(None).unwrap_err().to_string();
    assert!(error.contains("several images"), "{error}");
    assert_eq!(layout.resolve(Some("1.0.0-alpine")).unwrap().digest(), one.digest());
    assert!(fixture.write(&[("1.0.0-alpine", &two)]).unwrap());
    assert!(!layout.blobs().contains(&one));
    assert_eq!(validate::layout(&root, None, Depth::Layers), [""; 0]);
    assert_eq!(snapshot(&root).len(), 2 + 4, "oci-layout, index.json; index, manifest, config, layer");
}

#[test]
fn a_failed_update_leaves_the_layout_as_it_was() {
    let fixture = Fixture::new();
    let (_, one) = fixture.image("one");
    let (image, two) = fixture.image("two");
    let layer = fixture.cache.blobs().path(image.layers[0].descriptor.digest());
    fs::remove_file(&layer).unwrap();
    fixture.write(&[("two", &two)]).unwrap_err();
    assert!(!fixture.layout_dir().exists(), "a layout that was not there is still not there");

    fixture.write(&[("one", &one)]).unwrap();
    let before = snapshot(&fixture.layout_dir());
    let error = fixture.write(&[("two", &two)]).unwrap_err().to_string();
    assert!(error.contains(&layer.display().to_string()), "{error}");
    assert_eq!(snapshot(&fixture.layout_dir()), before);

    let stranger = fixture.dir.path().join("home");
    fs::create_dir(&stranger).unwrap();
    fs::write(stranger.join("letter"), "dear").unwrap();
    let error = layout::update(&stranger, fixture.cache.blobs(), &[]).unwrap_err().to_string();
    assert!(error.contains("no OCI layout"), "{error}");
    assert_eq!(snapshot(&stranger).len(), 1);
}

#[test]
fn a_damaged_layout_is_mended_by_the_next_update() {
    let fixture = Fixture::new();
    let (image, one) = fixture.image("one");
    let root = fixture.layout_dir();
    for victim in [one.digest(), image.config.digest(), image.layers[0].descriptor.digest()] {
        fixture.write(&[("one", &one)]).unwrap();
        let path = Layout::open(&root).unwrap().blobs().path(victim);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "rubbish").unwrap();
        assert_ne!(validate::layout(&root, None, Depth::Blobs), [""; 0]);
        assert!(fixture.write(&[("one", &one)]).unwrap());
        assert_eq!(validate::layout(&root, None, Depth::Layers), [""; 0]);
    }
    fs::write(root.join("index.json"), "{").unwrap();
    assert!(fixture.write(&[("one", &one)]).unwrap());
    assert_eq!(validate::layout(&root, None, Depth::Layers), [""; 0]);
}

#[test]
fn an_archive_is_the_same_every_time_and_refuses_damaged_blobs() {
    let fixture = Fixture::new();
    let (image, index) = fixture.image("one");
    let tags = vec!["one".to_string()];
    let write = |fixture: &Fixture, out: &mut Vec<u8>| {
        let archived = archive::Archived {
            root: &index,
            docker: &image.manifest,
            repository: "example/scratchbird",
            tags: &tags,
        };
        archive::write(fixture.cache.blobs(), &[archived], MTIME, "image.tar", out)
    };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    write(&fixture, &mut first).unwrap();
    write(&fixture, &mut second).unwrap();
    assert!(first == second);
    assert!(String::from_utf8_lossy(&first).contains("docker.io/example/scratchbird:one"));
    let layer = fixture.cache.blobs().path(image.layers[0].descriptor.digest());
    fs::remove_file(&layer).unwrap();
    fs::write(&layer, "rubbish").unwrap();
    write(&fixture, &mut second).unwrap_err();
}

#[test]
fn wanted_names_that_are_missing_are_a_problem() {
    let fixture = Fixture::new();
    let (_, index) = fixture.image("one");
    fixture.write(&[("one", &index)]).unwrap();
    let wanted: BTreeSet<String> = ["one".to_string(), "two".to_string()].into();
    let problems = validate::layout(&fixture.layout_dir(), Some(&wanted), Depth::Blobs);
    assert_eq!(problems, ["index.json: names no image `two`"]);
}
