//! The command line as a user meets it, wrong input first. Nothing here builds the server or needs an engine.
#![expect(
    clippy::disallowed_methods,
    reason = "the ban is for xtask itself; a test finds programs on the PATH"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A cargo target folder of its own: what the commands leave behind can be looked at.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        World { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env_remove("SOURCE_DATE_EPOCH")
            .env_remove("XTASK_REGISTRY_MIRRORS")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .current_dir(self.dir.path());
        command
    }

    fn xtask(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_xtask")).args(args).output().unwrap()
    }

    /// Runs into an error of one line that contains `expect`, with that exit code and nothing on stdout.
    fn fails(&self, args: &[&str], code: i32, expect: &str) {
        check_failure(&self.xtask(args), &format!("{args:?}"), code, expect);
    }

    fn works(&self, args: &[&str]) -> String {
        let output = self.xtask(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What lies in the cache, but for its lock.
    fn cached(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut pending = vec![self.path("target/oci-cache")];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    pending.push(entry.path());
                } else if entry.file_name() != "lock" {
                    names.push(entry.path().display().to_string());
                }
            }
        }
        names
    }
}

fn check_failure(output: &Output, what: &str, code: i32, expect: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = stderr.lines().filter(|l| l.starts_with("error: ")).collect();
    assert_eq!(output.status.code(), Some(code), "{what}: {stderr}");
    assert!(errors.len() == 1 && errors[0].contains(expect), "{what}: wanted `{expect}` in {stderr}");
    assert!(output.stdout.is_empty(), "{what}: {}", String::from_utf8_lossy(&output.stdout));
}

/// A root file system with an ELF header of that machine as its shell.
fn root_file_system(machine: u8) -> Vec<u8> {
    let mut elf = vec![0; 64];
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[18] = machine;
    let mut tar = tar::Builder::new(Vec::new());
    for (path, contents) in [("etc/passwd", &b"root:x:0:0:root:/root:/bin/sh\n"[..]), ("bin/sh", &elf)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, contents).unwrap();
    }
    tar.into_inner().unwrap()
}

const AMD64: u8 = 62;
const ARM64: u8 = 183;

/// The machine number of this host, and one that it is not.
fn machines() -> (u8, u8) {
    if cfg!(target_arch = "aarch64") { (ARM64, AMD64) } else { (AMD64, ARM64) }
}

#[test]
fn help() {
    let world = World::new();
    let text = world.works(&[]);
    for word in ["Usage: cargo xtask", "image", "base", "verify", "bench", "generate", "--variant distroless"]
    {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert_eq!(world.works(&["--help"]), text);
    assert!(world.works(&["image", "--help"]).contains("Examples:"));
}

#[test]
fn wrong_usage_is_exit_code_2_with_the_nearest_name() {
    let world = World::new();
    world.fails(
        &["image", "--variant", "alpin"],
        2,
        "unknown variant `alpin`, did you mean `alpine`?; allowed: alpine, debian, distroless",
    );
    world.fails(&["image", "--platform", "linux/amd46"], 2, "did you mean `linux/amd64`?");
    world.fails(&["image", "--base", "alpine"], 2, "--base `alpine`: must be VARIANT=SOURCE");
    world.fails(&["image", "--variant", "debian", "--base", "alpine=x"], 2, "add `--variant alpine`");
    world.fails(&["image", "--image", "servre"], 2, "unknown image `servre`, did you mean `server`?");
    world.fails(&["image", "--push", "ghcr.io/a/b:1"], 2, "a repository has no tag and no digest here");
    world.fails(&["image", "--image", "ci"], 2, "add `--builder docker`");
    world.fails(&["image", "--builder-name", "x"], 2, "add `--builder buildx`");
    world.fails(&["image", "--builder", "docker", "--platform", "all"], 2, "use `--builder buildx`");
    world.fails(&["dockerfile", "--stage", "x", "--variant", "alpin"], 2, "did you mean `alpine`?");
    world.fails(&["image", "--push", ""], 2, "allowed is REGISTRY/NAME");
    world.fails(&["base", "import", "alpin", "x"], 2, "did you mean `alpine`?");
    world.fails(&["base", "update", "alpin"], 2, "did you mean `alpine`?");
    world.fails(&["verify", "--engine", "dokcer"], 2, "did you mean `docker`?");
    for typo in [&["imgae"][..], &["image", "--varaint", "alpine"], &["image", "--format", "xml"]] {
        let output = world.xtask(typo);
        assert_eq!(output.status.code(), Some(2), "{typo:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("similar") || typo.contains(&"xml"),
            "{typo:?}"
        );
    }
}

/// As `cargo xtask … | head -n 1` meets it, at the first byte.
#[test]
fn when_nobody_reads_any_more_it_ends_quietly() {
    let world = World::new();
    let run = |args: &[&str], both: bool| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = world.command(env!("CARGO_BIN_EXE_xtask"));
        if both {
            command.stderr(writer.try_clone().unwrap());
        }
        let output = command.args(args).stdout(writer).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let version = ["tags", "--version", "1.2.3"];
    for args in [
        &version[..],
        &["tags", "--version", "1.2.3", "--format", "json"],
        &["image", "--dry-run", "--variant", "all"],
        &["ci", "--fast", "--dry-run"],
        &["base", "list"],
        &["compose", "basic"],
        &["completion", "bash"],
    ] {
        let (code, said) = run(args, false);
        assert_eq!(code, Some(141), "{args:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("error"), "{args:?}: {said}");
    }
    assert_eq!(run(&version, true).0, Some(141));
    // Nothing is printed before what is wrong: that is still told, and has its own exit code.
    let (code, said) = run(&["tags", "--version", "one"], false);
    assert!(code == Some(2) && said.starts_with("error: "), "{code:?} {said}");
}

#[test]
fn a_dry_run_prints_the_plan_and_touches_nothing() {
    let world = World::new();
    let text = world.works(&["image", "--variant", "all", "--platform", "all", "--dry-run"]);
    for word in [
        "-alpine for linux/amd64, linux/arm/v7, linux/arm64",
        "on nothing",
        "alpine:3.24@sha256:",
        "aarch64-unknown-linux-gnu",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&world.works(&["image", "--dry-run", "--format", "json"])).unwrap();
    assert_eq!(json["images"][0]["variant"], "alpine");
    assert!(!world.path("target").exists());
}

#[test]
fn bases_that_do_not_do() {
    let world = World::new();
    let (own, foreign) = machines();
    let write = |name: &str, contents: &[u8]| {
        fs::write(world.path(name), contents).unwrap();
        format!("alpine={}", world.path(name).display())
    };
    let whole = root_file_system(own);
    let image = |base: &str, expect: &str| world.fails(&["image", "--base", base], 1, expect);
    image(&write("cut.tar", &whole[..1500]), "cut.tar: is no whole tar");
    image(&write("empty.tar", b""), "empty.tar: is no whole tar");
    image(&write("words.tar", &b"no tar ".repeat(300)), "words.tar: is no whole tar");
    image(&write("foreign.tar", &root_file_system(foreign)), "give a base for linux/");
    image("alpine=./missing.tar.gz", "--base alpine=./missing.tar.gz: there is no such file");
    image("alpine=UPPER", "`UPPER`");
    world.fails(&["compose", "up", "ci-cd"], 2, "the stack `ci-cd` is not for Compose; allowed: basic, ");
    let pulled = ["image", "--offline", "--base", "alpine=docker.io/library/alpine:3.24"];
    world.fails(&pulled, 1, "would be pulled; leave --offline out, or give a file instead");
    assert_eq!(world.cached().iter().filter(|n| n.contains("oci-cache/tmp/")).count(), 0);
    assert!(!world.path("target/oci").exists());
}

#[test]
fn a_registry_that_cannot_be_reached_leaves_three_ways_out() {
    let world = World::new();
    let ways_out = |output: &Output, what: &str| {
        for way in [
            "--base alpine=ROOTFS",
            "cargo xtask base import alpine",
            "XTASK_REGISTRY_MIRRORS=docker.io=HOST",
        ] {
            check_failure(output, what, 1, way);
        }
    };
    ways_out(&world.xtask(&["image", "--offline"]), "--offline");
    // A proxy where nothing listens: no connection leaves this machine.
    let output = world
        .command(env!("CARGO_BIN_EXE_xtask"))
        .args(["image"])
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("https_proxy", "http://127.0.0.1:1")
        .output()
        .unwrap();
    ways_out(&output, "no network");
}

#[test]
fn an_import_is_kept_listed_and_used_offline() {
    let world = World::new();
    let (own, foreign) = machines();
    fs::write(world.path("rootfs.tar"), root_file_system(own)).unwrap();
    fs::write(world.path("foreign.tar"), root_file_system(foreign)).unwrap();
    let rootfs = world.path("rootfs.tar").display().to_string();
    let printed = world.works(&["base", "import", "alpine", &rootfs]);
    assert!(printed.starts_with("alpine linux/") && printed.contains("sha256:"), "{printed}");
    let list = world.works(&["base", "list"]);
    assert!(
        list.contains(&format!("imported from {rootfs}")) && list.contains("distroless: built from nothing"),
        "{list}"
    );
    assert!(list.contains("debian: docker.io/library/debian:"), "{list}");
    world.fails(
        &["base", "import", "alpine", &world.path("foreign.tar").display().to_string()],
        1,
        "the base is for linux/",
    );
    world.fails(&["base", "import", "distroless", &rootfs], 2, "allowed: alpine, debian");
    // The base is there now: what stops the run is the next thing that is missing.
    let tools = world.path("tools");
    fs::create_dir(&tools).unwrap();
    for name in ["git", "rustc"] {
        let path = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|d| d.join(name))
            .find(|p| p.exists());
        std::os::unix::fs::symlink(path.unwrap(), tools.join(name)).unwrap();
    }
    let output = world
        .command(env!("CARGO_BIN_EXE_xtask"))
        .args(["image", "--offline"])
        .env("PATH", &tools)
        .output()
        .unwrap();
    check_failure(&output, "no compiler", 1, "run `apt-get install gcc libc6-dev`");
}

/// A file size limit fails writes half-way as a full disk does, without a file system of its own.
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let world = World::new();
    let mut noise = vec![0; 600_000];
    let mut state = 7u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(noise.len() as u64);
    tar.append_data(&mut header, "etc/noise", &noise[..]).unwrap();
    fs::write(world.path("rootfs.tar"), tar.into_inner().unwrap()).unwrap();
    let run = |limit: &str| {
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
        let xtask = env!("CARGO_BIN_EXE_xtask");
        world
            .command("bash")
            .args(["-c", &script, "bash", xtask, "base", "import", "alpine", "rootfs.tar"])
            .output()
            .unwrap()
    };
    check_failure(&run("100"), "a full disk", 1, "File too large");
    assert_eq!(world.cached(), [""; 0]);
    assert!(run("unlimited").status.success());
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let world = World::new();
    fs::write(world.path("target"), "a file, not a folder").unwrap();
    let output = world.xtask(&["base", "list"]);
    check_failure(&output, "a file for a folder", 1, &world.path("target/oci-cache").display().to_string());
}

#[test]
fn an_output_that_cannot_be_written_stops_the_run_before_it_builds() {
    let world = World::new();
    fs::write(world.path("file"), "").unwrap();
    let output = world.path("file/oci").display().to_string();
    world.fails(&["image", "--variant", "distroless", "--output", &output], 1, "cannot write in");
    assert!(world.cached().is_empty());
}

/// What the probe would compile and start is tried in a container test; what must not pass by default is told here.
#[test]
fn a_catalogue_without_zig_has_nothing_to_try() {
    let world = World::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut spec: toml::Table = fs::read_to_string(root.join("docker/images.toml")).unwrap().parse().unwrap();
    for platform in spec["platforms"].as_table_mut().unwrap().iter_mut().map(|(_, platform)| platform) {
        platform["toolchains"].as_array_mut().unwrap().retain(|toolchain| toolchain.get("zig").is_none());
    }
    let version = env!("CARGO_PKG_VERSION").to_string();
    spec["project"].as_table_mut().unwrap().insert("version".into(), version.into());
    let path = world.path("images.toml");
    fs::write(&path, spec.to_string()).unwrap();
    let path = path.display().to_string();
    let args = ["--spec", &path, "verify", "--variant", "distroless", "--probe", "when zig compiles it"];
    let output = world.xtask(&args);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no foreign platform has a toolchain with `zig = true`"), "{said}");
}

/// The catalogue of another workspace: a copy of ours with one line changed.
fn broken_catalogue(change: &[(&str, &str)]) -> (tempfile::TempDir, Output) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let copy = tempfile::tempdir().unwrap();
    let mut manifest = fs::File::create(copy.path().join("Cargo.toml")).unwrap();
    manifest
        .write_all(b"[workspace]\n[package]\nname = \"xtask\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[[bin]]\nname = \"xtask\"\npath = \"main.rs\"\n")
        .unwrap();
    fs::write(copy.path().join("main.rs"), "fn main() {}").unwrap();
    fs::create_dir(copy.path().join("docker")).unwrap();
    let mut spec = fs::read_to_string(root.join("docker/images.toml")).unwrap();
    for (from, to) in change {
        assert!(spec.contains(from), "{from}");
        spec = spec.replacen(from, to, 1);
    }
    fs::write(copy.path().join("docker/images.toml"), spec).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["image", "--dry-run"])
        .env("CARGO_MANIFEST_DIR", copy.path())
        .env("CARGO_TARGET_DIR", copy.path().join("target"))
        .output()
        .unwrap();
    (copy, output)
}

#[test]
fn a_catalogue_with_a_mistake() {
    let check = |change: &[(&str, &str)], expect: &str| {
        check_failure(&broken_catalogue(change).1, &format!("{change:?}"), 1, expect);
    };
    check(&[("retries", "retrys")], "unknown field `retrys`, did you mean `retries`?");
    check(&[("[project]", "[project")], "docker/images.toml:");
    check(&[("uid = 1000", "uid = \"1000\"")], "expected u32");
    // A catalogue without a lock can be planned.
    let (_copy, output) = broken_catalogue(&[]);
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && plan.contains("not pinned yet: `cargo xtask base update`"), "{plan}");
}
