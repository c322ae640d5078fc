//! From entries to a layout, an archive and back; and every way in which a layout can be broken is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use oci::base::{self, Base, Node};
use oci::image::{self, Config, Healthcheck, Image, Part};
use oci::import;
use oci::layout::{self, Layout, Named};
use oci::validate::{self, Depth};
use oci::{Cache, Entry, Owner, archive, platform};
use oci_spec::image::{Descriptor, HistoryBuilder, MediaType};

const MTIME: u64 = 315_532_800;

struct Fixture {
    dir: tempfile::TempDir,
    cache: Cache,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::create(&dir.path().join("cache")).unwrap();
        Fixture { dir, cache }
    }

    fn layout_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("oci")
    }

    /// An image of one layer with one file, and its index.
    fn image(&self, contents: &str) -> (Image, Descriptor) {
        let entries = [
            Entry::Dir { path: "etc".into(), mode: 0o755, owner: Owner::ROOT },
            Entry::Inline {
                path: "etc/motd".into(),
                contents: contents.into(),
                mode: 0o644,
                owner: Owner::ROOT,
            },
        ];
        let (layer, _) = self.cache.layer(&entries, MTIME).unwrap();
        let history = HistoryBuilder::default().created_by("a test").build().unwrap();
        let config = Config {
            user: "1000:1000".into(),
            env: vec!["PATH=/usr/bin".into()],
            entrypoint: vec!["/usr/bin/scratchbird".into()],
            exposed_ports: vec!["5432/tcp".into()],
            labels: (0..20).map(|i| (format!("label{i}"), format!("value{i}"))).collect(),
            healthcheck: Some(Healthcheck {
                test: vec!["CMD".into(), "true".into()],
                retries: 3,
                ..Healthcheck::default()
            }),
            ..Config::default()
        };
        let amd64 = platform::parse("linux/amd64").unwrap();
        let blobs = self.cache.blobs();
        let image =
            Image::assemble(blobs, &amd64, "1980-01-01T00:00:00Z", &[Part { layer, history }], &config)
                .unwrap();
        let index = image::index(blobs, std::slice::from_ref(&image), &config.labels).unwrap();
        (image, index)
    }

    fn write(&self, named: &[(&str, &Descriptor)]) -> oci::Result<bool> {
        let images: Vec<Named> =
            named.iter().map(|(name, d)| Named { name: (*name).into(), descriptor: (*d).clone() }).collect();
        layout::update(&self.layout_dir(), self.cache.blobs(), &images)
    }
}

/// Every path below `dir` with its content, to compare two states of a folder.
fn snapshot(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                pending.push(entry.path());
            } else {
                files.insert(entry.path().display().to_string(), fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

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

/// A tar of raw headers, to make what no careful writer would.
fn tar_of(entries: &[(&str, tar::EntryType, &[u8])], end: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, kind, contents) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(contents.len() as u64);
        if kind.is_symlink() {
            header.set_size(0);
            header.set_link_name(std::str::from_utf8(contents).unwrap()).unwrap();
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        if !kind.is_symlink() {
            out.extend_from_slice(contents);
            out.resize(out.len().next_multiple_of(512), 0);
        }
    }
    if end {
        out.resize(out.len() + 1024, 0);
    }
    out
}

const FILE: tar::EntryType = tar::EntryType::Regular;

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

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An ELF header of that machine: enough for the architecture to be told.
fn elf(machine: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18] = machine;
    bytes
}

fn read_base(fixture: &Fixture, source: &Path, name: Option<&str>) -> oci::Result<(import::Imported, Base)> {
    let imported = import::import(&fixture.cache, source, name, &platform::parse("linux/amd64").unwrap())?;
    let base = base::read(&fixture.cache, &imported.manifest)?;
    Ok((imported, base))
}

#[test]
fn a_root_file_system_becomes_a_base() {
    let fixture = Fixture::new();
    let tar = tar_of(
        &[
            ("./", tar::EntryType::Directory, b""),
            ("./bin", tar::EntryType::Symlink, b"usr/bin"),
            ("./etc/", tar::EntryType::Directory, b""),
            ("./etc/passwd", FILE, b"root:x:0:0:root:/root:/bin/sh\n"),
            ("./usr/bin/sh", FILE, &elf(62)),
        ],
        true,
    );
    let path = |name: &str| fixture.dir.path().join(name);
    fs::write(path("plain.tar"), &tar).unwrap();
    fs::write(path("packed.tar.gz"), gz(&tar)).unwrap();
    for (name, kept) in [("plain.tar", false), ("packed.tar.gz", true)] {
        let (imported, base) = read_base(&fixture, &path(name), None).unwrap();
        assert_eq!(base.files["bin"], Node::Symlink("usr/bin".into()));
        assert_eq!(base.files["usr/bin/sh"], Node::File);
        assert_eq!(base.texts["etc/passwd"], "root:x:0:0:root:/root:/bin/sh\n");
        assert_eq!(base.architecture, Some(oci_spec::image::Arch::Amd64));
        assert_eq!((base.layers.len(), base.history.len()), (1, 1));
        assert_eq!(base.layers[0].diff_id, oci::digest::sha256(&tar));
        let bytes = fs::read(fixture.cache.blobs().path(base.layers[0].descriptor.digest())).unwrap();
        assert_eq!(bytes == fs::read(path(name)).unwrap(), kept, "a gzip blob stays as it is");
        // Both questions are answered from the cache now, with the same answers.
        assert_eq!(read_base(&fixture, &path(name), None).unwrap(), (imported, base));
    }
    let base = read_base(&fixture, &path("plain.tar"), None).unwrap().1;
    assert_eq!(base.resolve("bin/scratchbird").unwrap(), "usr/bin/scratchbird");
    assert_eq!(base.resolve("usr/local/bin/x").unwrap(), "usr/local/bin/x");
    assert_eq!(base.lookup("bin/sh").unwrap().0, "usr/bin/sh");
    assert!(base.resolve("etc/passwd/x").unwrap_err().to_string().contains("is a file there"));
}

#[test]
fn links_that_go_in_a_circle() {
    let base = Base {
        files: [
            ("a", Node::Symlink("b".into())),
            ("b", Node::Symlink("/a".into())),
            ("up", Node::Symlink("../../..".into())),
        ]
        .map(|(p, n)| (p.to_string(), n))
        .into(),
        ..Base::default()
    };
    assert!(base.resolve("a/x").unwrap_err().to_string().contains("in a circle"));
    assert!(base.lookup("a").is_none());
    assert_eq!(base.resolve("up/etc/x").unwrap(), "etc/x");
}

#[test]
fn whiteouts_and_later_layers() {
    let fixture = Fixture::new();
    let layers = [
        tar_of(
            &[
                ("a/1", FILE, b""),
                ("a/2", FILE, b""),
                ("b/1", FILE, b""),
                ("c/x", FILE, b""),
                ("c", tar::EntryType::Directory, b""),
            ],
            true,
        ),
        tar_of(
            &[
                ("a/.wh.1", FILE, b""),
                ("b/.wh..wh..opq", FILE, b""),
                ("b/2", FILE, b""),
                ("c", tar::EntryType::Symlink, b"a"),
            ],
            true,
        ),
    ];
    let blobs = fixture.cache.blobs();
    let parts: Vec<_> = layers
        .iter()
        .map(|tar| Part {
            layer: oci::Layer {
                descriptor: blobs.put(MediaType::ImageLayer, tar).unwrap(),
                diff_id: oci::digest::sha256(tar),
                unpacked: tar.len() as u64,
            },
            history: HistoryBuilder::default().build().unwrap(),
        })
        .collect();
    let amd64 = platform::parse("linux/amd64").unwrap();
    let image = Image::assemble(blobs, &amd64, "1980-01-01T00:00:00Z", &parts, &Config::default()).unwrap();
    let base = base::read(&fixture.cache, &image.manifest).unwrap();
    let files: Vec<&str> = base.files.keys().map(String::as_str).collect();
    assert_eq!(files, ["a/2", "b/2", "c"]);
    assert_eq!(base.files["c"], Node::Symlink("a".into()));
}

#[test]
fn sources_that_are_no_base() {
    let fixture = Fixture::new();
    let tar = tar_of(&[("etc/passwd", FILE, &[b'x'; 3000])], true);
    let check = |name: &str, contents: &[u8], expect: &str| {
        let path = fixture.dir.path().join(name);
        fs::write(&path, contents).unwrap();
        let error = read_base(&fixture, &path, None).unwrap_err().to_string();
        assert!(error.contains(expect) && error.contains(name), "{name}: {error}");
        assert!(!error.contains('\n'), "{error}");
    };
    check("empty.tar", b"", "is no whole tar");
    check(
        "text.tar",
        b"hello, this is no tar at all, just some words that go on for a while".repeat(20).as_slice(),
        "is no whole tar",
    );
    for cut in [100, 512, 600, 1024, 3000, 4096] {
        check("cut.tar", &tar[..cut], "is no whole tar");
    }
    let packed = gz(&tar);
    for cut in [3, 12, packed.len() / 2, packed.len() - 9, packed.len() - 1] {
        check("cut.tar.gz", &packed[..cut], "is no whole tar");
    }
    let missing = read_base(&fixture, Path::new("/nowhere/base.tar"), None).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/base.tar: cannot read"), "{missing}");
}

#[test]
fn layouts_and_archives_come_back_in() {
    let fixture = Fixture::new();
    let (one, index) = fixture.image("one");
    fixture.write(&[("one", &index)]).unwrap();
    let tags = vec!["one".to_string(), "uno".to_string()];
    let file = fixture.dir.path().join("image.tar");
    let archived =
        archive::Archived { root: &index, docker: &one.manifest, repository: "scratchbird", tags: &tags };
    archive::write(fixture.cache.blobs(), &[archived], MTIME, "image.tar", fs::File::create(&file).unwrap())
        .unwrap();

    let other = Fixture::new();
    let (from_layout, base) = read_base(&other, &fixture.layout_dir(), None).unwrap();
    assert_eq!(
        (from_layout.digest.clone(), &from_layout.manifest.digest().clone()),
        (index.digest().clone(), one.manifest.digest())
    );
    assert_eq!(base.env, ["PATH=/usr/bin"]);
    let from_archive = read_base(&other, &file, Some("uno")).unwrap().0;
    assert_eq!(from_archive, from_layout);

    // Without the OCI documents the same tar is what `docker save` writes.
    let mut docker = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(fs::File::open(&file).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if entry.header().entry_type().is_file()
            && !["oci-layout", "index.json"].contains(&path.to_str().unwrap())
        {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            docker.append_data(&mut entry.header().clone(), path, &contents[..]).unwrap();
        }
    }
    fs::write(&file, docker.into_inner().unwrap()).unwrap();
    let (_, from_docker) = read_base(&other, &file, Some("scratchbird:uno")).unwrap();
    assert_eq!(from_docker, base);
    let error = read_base(&other, &file, Some("scratchbird:due")).unwrap_err().to_string();
    assert!(error.contains("scratchbird:one, scratchbird:uno"), "{error}");

    let arm = platform::parse("linux/arm/v7").unwrap();
    let error = import::import(&other.cache, &fixture.layout_dir(), None, &arm).unwrap_err().to_string();
    assert!(error.contains("no manifest for linux/arm/v7, only for linux/amd64"), "{error}");
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

/// The real Alpine root file system, where the checkout has it beside it.
#[test]
fn a_real_root_file_system() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/bases/alpine-minirootfs-3.20.3-x86_64.tar.gz");
    if !path.exists() {
        eprintln!("skipped: no Alpine root file system beside the checkout");
        return;
    }
    let fixture = Fixture::new();
    let (_, base) = read_base(&fixture, &path, None).unwrap();
    assert_eq!(base.architecture, Some(oci_spec::image::Arch::Amd64));
    assert_eq!(base.lookup("bin/sh").unwrap().0, "bin/busybox");
    assert!(base.texts["etc/passwd"].starts_with("root:x:0:0:"));
}
