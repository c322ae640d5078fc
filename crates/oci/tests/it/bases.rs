//! Root file systems, layouts and archives become bases.

use std::io::{Read as _, Write as _};

use oci::base::{self, Base, Node};
use oci::{archive, import};
use oci_spec::image::MediaType;

use super::*;

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
