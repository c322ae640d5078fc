//! Images as `cargo xtask image` makes them, of a made-up program on a made-up base, in a layout: for the commands that
//! take images apart.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oci::digest::sha256;
use oci::image::{Image, Part, index};
use oci::layout::{self, Named};
use oci::stream::Compression;
use oci::{Cache, Source};
use oci_spec::image::{Descriptor, Digest, History};
use plan::config::BaseIdentity;
use plan::filesystem::{BuiltBinary, Inputs};
use plan::{Facts, Revision, Spec};

/// What EM_X86_64 and EM_AARCH64 are in an ELF header.
pub const AMD64: u8 = 62;
pub const ARM64: u8 = 183;

/// A program that no machine runs: an ELF header, and what it asks to be started by.
pub fn program(machine: u8, interpreter: Option<&str>) -> Vec<u8> {
    let mut bytes = vec![0u8; 64];
    bytes[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    bytes[16..20].copy_from_slice(&[2, 0, machine, 0]);
    bytes[52..54].copy_from_slice(&64u16.to_le_bytes());
    if let Some(interpreter) = interpreter {
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[54..58].copy_from_slice(&[56, 0, 1, 0]);
        let size = (interpreter.len() as u64 + 1).to_le_bytes();
        let mut header = vec![0u8; 56];
        header[..8].copy_from_slice(&[3, 0, 0, 0, 4, 0, 0, 0]);
        header[8..16].copy_from_slice(&120u64.to_le_bytes());
        header[32..40].copy_from_slice(&size);
        header[40..48].copy_from_slice(&size);
        bytes.extend(header);
        bytes.extend(interpreter.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Something in a root file system.
pub enum Item<'a> {
    Dir(&'a str),
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

/// A root file system like Alpine's, with `more` in it; what `more` has too is as there.
pub fn root_file_system(path: &Path, machine: u8, more: &[Item]) {
    let busybox = program(machine, Some("/lib/ld-musl.so.1"));
    let name = |item: &Item| match item {
        Item::Dir(path) | Item::File(path, _) | Item::Link(path, _) => (*path).to_string(),
    };
    let usual = [
        Item::Dir("bin"),
        Item::File("bin/busybox", &busybox),
        Item::Dir("etc"),
        Item::File("etc/os-release", b"ID=alpine\nVERSION_ID=3.20.3\n"),
        Item::File("etc/passwd", b"root:x:0:0:root:/root:/bin/ash\n"),
        Item::File("etc/group", b"root:x:0:\n"),
        Item::Dir("lib"),
        Item::File("lib/ld-musl.so.1", &busybox),
        Item::Dir("tmp"),
        Item::Dir("usr"),
        Item::Dir("usr/local"),
        Item::Dir("usr/local/bin"),
        Item::Dir("var"),
        Item::Dir("var/lib"),
    ];
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for item in usual.iter().filter(|usual| !more.iter().any(|m| name(m) == name(usual))).chain(more) {
        let mut header = tar::Header::new_gnu();
        let (kind, mode, content): (_, _, &[u8]) = match item {
            Item::Dir(_) => (tar::EntryType::Directory, 0o755, b""),
            Item::File(_, content) => (tar::EntryType::Regular, 0o755, content),
            Item::Link(_, target) => {
                header.set_link_name(target).unwrap();
                (tar::EntryType::Symlink, 0o777, b"")
            }
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name(item), content).unwrap();
    }
    tar.finish().unwrap();
}

/// A folder with a layout in it and a target folder of its own for xtask.
pub struct World {
    pub dir: tempfile::TempDir,
    /// What images say that they stand on.
    pub base: String,
}

impl World {
    pub fn new() -> World {
        World { dir: tempfile::tempdir().unwrap(), base: "localhost/alpine:imported".into() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `oci:DIR:NAME` of an image in the layout `layout`.
    pub fn image(&self, layout: &str, name: &str) -> String {
        format!("oci:{}:{name}", self.path(layout).display())
    }

    /// Puts the server's image for linux/amd64 over that base into `layout` under `name`, as `cargo xtask image` would at
    /// `commit`, with those bytes as its program.
    pub fn build(&self, layout: &str, name: &str, commit: &str, base: &Path, program: &[u8]) -> Descriptor {
        self.build_as(layout, name, commit, (base, None), program)
    }

    /// The same, with a label that names another digest as the base's.
    pub fn build_as(
        &self,
        layout: &str,
        name: &str,
        commit: &str,
        (base, claimed): (&Path, Option<&Digest>),
        program: &[u8],
    ) -> Descriptor {
        let text = fs::read_to_string(root().join("docker/images.toml")).unwrap();
        let mut spec = Spec::parse("docker/images.toml", &text).unwrap();
        let version: semver::Version = env!("CARGO_PKG_VERSION").parse().unwrap();
        spec.project.version.get_or_insert_with(|| version.clone());
        let platform = oci::platform::parse("linux/amd64").unwrap();
        let facts = Facts {
            version,
            revision: Some(Revision { commit: commit.into(), time: 1_700_000_000, dirty: false }),
            source_date_epoch: None,
            host: platform.clone(),
            programs: Default::default(),
            rust_targets: Default::default(),
            lock: Default::default(),
        };
        let cache = Cache::create(&self.path("cache")).unwrap();
        let imported = oci::import::import(&cache, base, None, &platform).unwrap();
        let base = oci::base::read(&cache, &imported.manifest).unwrap();
        let file = self.path("program");
        fs::write(&file, program).unwrap();
        let source = Source { path: file, digest: sha256(program), size: program.len() as u64 };
        let binary = BuiltBinary { source, elf: oci::platform::elf(program) };
        let package = spec.images["server"].binary.as_ref().unwrap().package.clone();
        let inputs = Inputs { binaries: [(package, binary)].into(), ..Inputs::default() };
        let planned = plan::filesystem::layers(&spec, &facts, "server", &platform, &base, &inputs).unwrap();
        let mut parts: Vec<Part> = std::iter::zip(&base.layers, &base.history)
            .map(|(layer, history)| Part { layer: layer.clone(), history: history.clone() })
            .collect();
        for layer in planned {
            let (layer, _) = cache.layer_as(&layer.entries, facts.layer_time(), Compression::Gzip).unwrap();
            parts.push(Part { layer, history: History::default() });
        }
        let identity = BaseIdentity {
            reference: Some(self.base.clone()),
            digest: Some(claimed.unwrap_or(&imported.digest).to_string()),
            env: base.env.clone(),
        };
        let config = plan::config::config(&spec, &facts, "server", &identity);
        let image = Image::assemble(cache.blobs(), &platform, &facts.created(), &parts, &config).unwrap();
        let root = index(cache.blobs(), std::slice::from_ref(&image), &config.labels).unwrap();
        let named = Named { name: name.into(), descriptor: root };
        layout::update(&self.path(layout), cache.blobs(), &[named]).unwrap();
        image.manifest
    }

    /// A command of ours that is still to be run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(args).env("CARGO_TARGET_DIR", self.path("target"));
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("COSIGN_PASSWORD");
        command
    }

    pub fn xtask(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command that succeeds prints.
    pub fn succeeds(&self, args: &[&str]) -> String {
        let output = self.xtask(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Checks that a command fails with that code and one line that says that. Gives its stdout.
    pub fn fails(&self, args: &[&str], code: i32, expect: &str) -> String {
        let output = self.xtask(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        let told = stderr.lines().any(|line| line.starts_with("error: ") && line.contains(expect));
        assert!(told, "{args:?}: wanted `{expect}` in {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A key of the tests.
pub fn key(name: &str) -> String {
    root().join("crates/signing/tests/keys").join(name).display().to_string()
}

/// The commit that is checked out, if this is a checkout.
pub fn head() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// A program for amd64 that names its crates, by name and version, as cargo-auditable has it; the first is the program.
pub fn program_of(crates: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = program(AMD64, None);
    // A table of two sections behind the names of sections, of which one is there.
    bytes[40] = 80;
    (bytes[58], bytes[60], bytes[62]) = (64, 2, 1);
    bytes.extend_from_slice(b"\0.shstrtab\0\0\0\0\0\0");
    bytes.resize(80 + 128, 0);
    let names = &mut bytes[144..];
    (names[0], names[4], names[24], names[32]) = (1, 3, 64, 11);
    let one = |(i, (name, version)): (usize, &(&str, &str))| supply::auditable::Crate {
        name: (*name).into(),
        version: (*version).into(),
        source: if i == 0 { "local" } else { "crates.io" }.into(),
        root: i == 0,
        ..Default::default()
    };
    let list = supply::auditable::CrateList { packages: crates.iter().enumerate().map(one).collect() };
    supply::auditable::embed(&bytes, &list).unwrap()
}
