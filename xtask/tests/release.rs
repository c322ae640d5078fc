//! Releases of a tiny project, for real: a git repository, five releases, a registry in this process and Debian's
//! `docker-registry`; then everything that keeps a release from happening.
#![expect(
    clippy::disallowed_methods,
    reason = "the ban is for xtask itself; a test gives its children a PATH"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use registry::{Client, Config, Repository};
use registry_testing::real::Registry;
use registry_testing::{Fault, Server};

/// A project with a repository of its own.
struct Project {
    dir: tempfile::TempDir,
    to: Vec<String>,
}

const PUBLISH: &str = r#"
[publish]
to = [TO]
branches = ["main", "release/*"]
gate = ["generate --check"]
checks = ["generate --check"]
"#;

impl Project {
    fn new(hosts: &[&str]) -> Project {
        let dir = tempfile::tempdir().unwrap();
        let project = Project { dir, to: hosts.iter().map(|h| format!("{h}/acme/app")).collect() };
        let to: Vec<String> = hosts.iter().map(|h| format!("\"{h}/\"")).collect();
        project.write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"xtask\"]\n\n[workspace.package]\nversion = \"0.9.0\"\nedition = \"2024\"\n",
        );
        project.write(
            "xtask/Cargo.toml",
            "[package]\nname = \"xtask\"\nversion.workspace = true\nedition.workspace = true\n",
        );
        project.write("xtask/src/main.rs", "fn main() {}\n");
        let spec = include_str!("fixtures/images.toml").to_string() + &PUBLISH.replace("TO", &to.join(", "));
        project.write("docker/images.toml", &spec);
        project.write("app", "first\n");
        project.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n- The first.\n");
        project.write(".gitignore", "/target\n");
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.git(&["config", "user.name", "Releaser"]);
        project.git(&["config", "user.email", "releaser@example.org"]);
        project.works(&["generate"]);
        project.commit("feat: begin");
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// A program in the project, away from what surrounds this test.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        for name in ["PATH", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTC", "CARGO"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let home =
            |name: &str| std::env::var_os("HOME").map(|home| Path::new(&home).join(name).into_os_string());
        for (name, default) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            command.envs(std::env::var_os(name).or_else(|| home(default)).map(|value| (name, value)));
        }
        command
            .env("CARGO_MANIFEST_DIR", self.path("xtask"))
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = self.command("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A commit of all that is there, and of a change of the one file that the image holds.
    fn commit(&self, message: &str) {
        self.write("app", &format!("{message}\n"));
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn xtask(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_xtask")).args(arguments).output().unwrap()
    }

    fn works(&self, arguments: &[&str]) -> String {
        let output = self.xtask(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// One line of error with `expect` in it.
    fn fails(&self, arguments: &[&str], code: i32, expect: &str) {
        let output = self.xtask(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().rev().find(|l| l.starts_with("error: ")).unwrap_or_default();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(last.contains(expect), "{arguments:?}: wanted `{expect}` in {stderr}");
    }

    fn release(&self, ask: &str) {
        self.works(&["release", ask, "--execute"]);
    }

    /// What the image tags of each repository stand for.
    fn tags(&self) -> Vec<BTreeMap<String, String>> {
        let client = Client::new(Config::default()).unwrap();
        let of = |to: &String| {
            let repository = Repository::parse(to).unwrap();
            let tags = match client.tags(&repository) {
                Err(e) if e.is_not_found() => Vec::new(),
                tags => tags.unwrap(),
            };
            let digest =
                |tag: &str| client.resolve(&repository.tagged(tag).unwrap()).unwrap().digest().to_string();
            tags.into_iter().map(|tag| (tag.clone(), digest(&tag))).collect()
        };
        self.to.iter().map(of).collect()
    }

    /// The digest of each variant that a release pushed.
    fn digests(&self, version: &str) -> BTreeMap<String, String> {
        let record: serde_json::Value =
            serde_json::from_str(&self.read(&format!("target/releases/{version}/publish.json"))).unwrap();
        let images = record["images"].as_array().unwrap();
        let pair = |image: &serde_json::Value| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
            (text(&image["variant"]), text(&image["root"]["digest"]))
        };
        images.iter().map(pair).collect()
    }
}

#[test]
fn five_releases_tag_by_tag() {
    let local = Server::start();
    let real = Registry::start("");
    let mut hosts = vec![local.host.as_str()];
    hosts.extend(real.iter().map(|real| real.host.as_str()));
    let project = Project::new(&hosts);
    let mut digests: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    // After each release: what every tag stands for, as `TAG=VERSION`, for the variant without a suffix.
    let mut check = |ask: &str, version: &str, expect: &str| {
        project.release(ask);
        digests.insert(version.into(), project.digests(version));
        assert_eq!(project.git(&["describe", "--exact-match"]).trim(), format!("v{version}"));
        for (repository, tags) in project.to.iter().zip(project.tags()) {
            let mut wanted = BTreeMap::new();
            for pair in expect.split(' ') {
                let (tag, version) = pair.split_once('=').unwrap();
                let of = &digests[version];
                wanted.insert(tag.to_string(), of["one"].clone());
                let suffixed =
                    |variant: &str| if tag == "latest" { variant.into() } else { format!("{tag}-{variant}") };
                wanted.insert(suffixed("one"), of["one"].clone());
                wanted.insert(suffixed("two"), of["two"].clone());
            }
            assert_eq!(tags, wanted, "{repository} after {version}");
        }
        let notes = project.read(&format!("target/releases/{version}/notes.md"));
        for digest in digests[version].values() {
            assert!(notes.contains(digest), "{notes}");
        }
        assert!(notes.contains(&format!("`{version}`")) && notes.contains("| linux/arm64 |"), "{notes}");
    };
    check("1.0.0", "1.0.0", "1.0.0=1.0.0 1.0=1.0.0 1=1.0.0 latest=1.0.0");
    project.commit("feat: more");
    check("minor", "1.1.0", "1.0.0=1.0.0 1.0=1.0.0 1.1.0=1.1.0 1.1=1.1.0 1=1.1.0 latest=1.1.0");
    project.git(&["switch", "--quiet", "--create", "release/1.0", "v1.0.0"]);
    project.commit("fix: less");
    check("patch", "1.0.1", "1.0.0=1.0.0 1.0.1=1.0.1 1.0=1.0.1 1.1.0=1.1.0 1.1=1.1.0 1=1.1.0 latest=1.1.0");
    project.git(&["switch", "--quiet", "main"]);
    project.commit("feat!: all is different");
    let before = "1.0.0=1.0.0 1.0.1=1.0.1 1.0=1.0.1 1.1.0=1.1.0 1.1=1.1.0 1=1.1.0";
    check("2.0.0-rc.1", "2.0.0-rc.1", &format!("{before} latest=1.1.0 2.0.0-rc.1=2.0.0-rc.1"));
    check(
        "major",
        "2.0.0",
        &format!("{before} 2.0.0-rc.1=2.0.0-rc.1 2.0.0=2.0.0 2.0=2.0.0 2=2.0.0 latest=2.0.0"),
    );
    let changelog = project.read("CHANGELOG.md");
    for part in [
        "## Unreleased\n\n## 2.0.0 - ",
        "### Breaking\n\n- all is different\n",
        "\n- The first.\n",
        "### Added\n\n- more\n",
    ] {
        assert!(changelog.contains(part), "{part} in {changelog}");
    }
    // A rebuild in CI must find the very images: the same commit gives the same digest.
    project.git(&["switch", "--quiet", "--detach", "v1.1.0"]);
    project.works(&["image", "--variant", "all", "--platform", "all"]);
    project.works(&["push"]);
    let out = project.works(&["promote", "--version", "1.1.0", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(json["moves"].as_array().unwrap().iter().all(|m| m["change"] == "unchanged"), "{out}");
    assert_eq!(
        json["references"][0].as_str().unwrap(),
        format!("{}@{}", project.to[0], digests["1.1.0"]["one"])
    );
}

#[test]
fn a_dry_run_says_everything_and_does_nothing() {
    let server = Server::start();
    let project = Project::new(&[&server.host]);
    let text = project.works(&["release", "minor"]);
    for line in [
        "release 0.10.0 of main (a dry run: nothing is changed; `--execute` does it)",
        "gate  cargo xtask generate --check",
        "version  0.9.0 → 0.10.0 in Cargo.toml",
        "tag  git tag --annotate v0.10.0",
        "images  cargo xtask image --variant all --platform all",
        "0.10.0-one 0.10-one one 0.10.0 0.10 latest",
        "- The first.",
        "- begin",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(project.git(&["status", "--porcelain"]).is_empty() && project.git(&["tag"]).is_empty());
    assert!(!project.path("target/releases").exists() && server.take_log().is_empty());
}

#[test]
fn what_keeps_a_release_from_happening() {
    let server = Server::start();
    let project = Project::new(&[&server.host]);
    project.fails(&["release", "pathc"], 2, "unknown step `pathc`, did you mean `patch`?");
    project.fails(&["release", "0.1.0"], 2, "the sources are 0.9.0 already");
    project.write("stray", "");
    for arguments in [&["release", "patch", "--execute"][..], &["release", "patch"]] {
        project.fails(arguments, 1, "1 files are not committed, such as `?? stray`; commit or stash them");
    }
    fs::remove_file(project.path("stray")).unwrap();
    project.git(&["switch", "--quiet", "--create", "topic"]);
    project.fails(
        &["release", "patch", "--execute"],
        1,
        "branch `topic`: releases are cut from main, release/*",
    );
    project.git(&["switch", "--quiet", "--detach"]);
    project.fails(&["release", "patch", "--execute"], 1, "no branch is checked out; run `git switch main`");
    project.git(&["switch", "--quiet", "main"]);
    project.git(&["tag", "v1.0.0"]);
    project.fails(&["release", "1.0.0", "--execute"], 1, "tag `v1.0.0` exists");
    project.fails(
        &["promote", "--version", "1.0.0"],
        1,
        "nothing was pushed yet; run `cargo xtask push` first",
    );
    project.fails(&["push"], 1, "holds no images; run `cargo xtask image");
    // The gate: what is generated was changed by hand.
    fs::write(project.path("docs/reference.md"), "by hand").unwrap();
    project.commit("docs: by hand");
    project.fails(
        &["release", "patch", "--execute"],
        1,
        "step 2 of 10, gate: nothing is public yet, and `cargo xtask release 0.9.1 --execute` goes on here",
    );
    assert_eq!(project.git(&["log", "--format=%s", "--max-count=1"]).trim(), "docs: by hand");
    assert!(server.take_log().is_empty());
    // What is mended must be checked from the start.
    project.works(&["generate"]);
    project.commit("docs: generate");
    project.fails(&["release", "patch", "--execute"], 1, "was begun on commit");
    project.fails(&["release", "minor", "--execute"], 2, "release 0.9.1: is unfinished");
    fs::remove_file(project.path("target/releases/unfinished.json")).unwrap();
    project.release("patch");
    // `latest` and its like belong to the v1.0.0 that git knows.
    assert_eq!(project.tags()[0].len(), 6);
}

#[test]
fn a_release_that_is_cut_goes_on_and_ends_the_same() {
    let server = Server::start();
    // At the first upload, at the first manifest, at an exact tag, at the last one.
    let project = Project::new(&[&server.host]);
    for part in ["/blobs/uploads/", "/manifests/sha256:", "/manifests/1.0.0", "/manifests/latest"] {
        let hit = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&hit);
        server.on(move |_, r| {
            let write = ["PUT", "POST"].contains(&r.method.as_str());
            (write && r.path.contains(part)).then(|| {
                seen.store(true, Ordering::SeqCst);
                Fault::Answer(403, Vec::new(), "")
            })
        });
        project.fails(
            &["release", "1.0.0", "--execute"],
            1,
            "`cargo xtask release 1.0.0 --execute` goes on here",
        );
        assert!(hit.load(Ordering::SeqCst), "{part}");
        let tagged = !server.state().tags.is_empty();
        assert_eq!(tagged, part == "/manifests/latest", "{part}");
    }
    server.on(|_, _| None);
    project.release("1.0.0");
    let tags = &project.tags()[0];
    assert_eq!((tags.len(), &tags["latest"]), (12, &tags["1.0.0-one"]));
    assert_eq!(project.git(&["rev-list", "--count", "HEAD"]).trim(), "2", "one commit of the release");
    assert!(!project.path("target/releases/unfinished.json").exists());
}

#[test]
fn the_section_is_edited_before_it_lands() {
    let server = Server::start();
    let project = Project::new(&[&server.host]);
    project.write("target/editor", "#!/bin/sh\nsed -i 's/- begin/- BEGIN/' \"$1\"\n");
    let run = |editor: &str| {
        let mut command = project.command(env!("CARGO_BIN_EXE_xtask"));
        command.args(["release", "1.0.0", "--execute", "--edit"]).env("EDITOR", editor).output().unwrap()
    };
    let failed = run("false");
    assert!(!failed.status.success() && project.git(&["tag"]).is_empty());
    let output = run(&format!("sh {}", project.path("target/editor").display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(project.git(&["show", "v1.0.0:CHANGELOG.md"]).contains("- BEGIN\n"));
}

#[test]
fn prepared_here_and_published_in_ci() {
    let server = Server::start();
    let project = Project::new(&[&server.host]);
    let origin = project.path("target/origin.git");
    project.fails(&["release", "1.0.0", "--execute", "--prepare"], 1, "has no remote `origin`");
    project.git(&["init", "--quiet", "--bare", origin.to_str().unwrap()]);
    project.git(&["remote", "add", "origin", origin.to_str().unwrap()]);
    project.works(&["release", "1.0.0", "--execute", "--prepare"]);
    assert!(server.take_log().is_empty(), "nothing was published");
    assert_eq!(project.git(&["ls-remote", "--tags", "origin"]).lines().count(), 2, "the tag and its commit");
    // What CI does, on the tag: build, push, promote.
    let clone = project.path("target/clone");
    project.git(&[
        "clone",
        "--quiet",
        "--branch",
        "v1.0.0",
        origin.to_str().unwrap(),
        clone.to_str().unwrap(),
    ]);
    let ci = |arguments: &[&str]| {
        let mut command = project.command(env!("CARGO_BIN_EXE_xtask"));
        let output = command
            .env("CARGO_MANIFEST_DIR", clone.join("xtask"))
            .env("CARGO_TARGET_DIR", clone.join("target"))
            .envs([
                ("GITHUB_REF", "refs/tags/v1.0.0"),
                ("GITHUB_EVENT_NAME", "push"),
                ("GITHUB_ACTIONS", "true"),
            ])
            .current_dir(&clone)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    ci(&["image", "--variant", "all", "--platform", "all"]);
    ci(&["release", "--publish", "--execute"]);
    ci(&["notes", "--output", "notes.md"]);
    assert!(fs::read_to_string(clone.join("notes.md")).unwrap().contains("- The first."));
    assert_eq!(project.tags()[0].len(), 12);
}

#[test]
fn platforms_built_apart_give_the_digests_of_one_machine() {
    let server = Server::start();
    let project = Project::new(&[&server.host]);
    let together = project.works(&["image", "--variant", "all", "--platform", "all"]);
    for (platform, output) in [("linux/amd64", "target/a"), ("linux/arm64", "target/b")] {
        project.works(&["image", "--variant", "all", "--platform", platform, "--output", output]);
    }
    // In any order.
    let merged = project.works(&["merge", "target/b", "target/a", "--output", "target/merged"]);
    assert_eq!(merged, together);
    project.works(&["push", "--layout", "target/merged"]);
    project.fails(
        &["merge", "target/a"],
        1,
        "no layout has it for linux/arm64; build it there: `cargo xtask image",
    );
    project.fails(&["merge", "target/none"], 1, "give what `cargo xtask image --output` wrote");
    project.works(&["merge", "target/a", "--platform", "linux/amd64", "--output", "target/one"]);
    project.commit("feat: another");
    project.works(&["image", "--variant", "all", "--platform", "linux/arm64", "--output", "target/c"]);
    project.fails(&["merge", "target/a", "target/c"], 1, "build all platforms from one commit");
    project.fails(&["merge", "target/a", "target/b", "target/c"], 1, "have different images for linux/arm64");
    project.fails(&["push", "--layout", "target/merged"], 1, "was made from");
}

#[test]
fn attestations_are_made_before_anything_is_public() {
    let server = Server::start();
    let project = Project::new(&[&server.host]);
    let spec = project.read("docker/images.toml");
    let attest = "attest = [\"attest {{image}} --key env://RELEASE_KEY\", \"sign {{image}} --key env://RELEASE_KEY\"]\n";
    project.write("docker/images.toml", &spec.replace("checks =", &format!("{attest}checks =")));
    project.commit("chore: sign");
    let run = |key: Option<&str>| {
        let mut command = project.command(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["release", "1.0.0", "--execute"])
            .envs(key.map(|key| ("RELEASE_KEY", key)))
            .output()
            .unwrap()
    };
    let refused = run(None);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("the variable `RELEASE_KEY` is not set"), "{stderr}");
    assert!(server.take_log().is_empty(), "nothing is public");
    let output = run(Some(include_str!("../../crates/signing/tests/keys/openssl.pem")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let client = Client::new(Config::default()).unwrap();
    let repository = Repository::parse(&project.to[0]).unwrap();
    let latest = client.resolve(&repository.tagged("latest").unwrap()).unwrap();
    let signature = format!("sha256-{}.sig", latest.digest().digest());
    assert!(client.resolve(&repository.tagged(&signature).unwrap()).is_ok(), "{signature}");
    let referrers = client.referrers(&repository, latest.digest(), None).unwrap();
    assert!(referrers.len() >= 2, "a signature and provenance: {referrers:?}");
}

/// What a guide shows is what one sees. Its `console` blocks run in order, in a project of their own; the registry in
/// it is called ghcr.io, digests are other ones, and a line `…` stands for any number of lines.
#[test]
fn the_guide_shows_what_is_printed() {
    let guide = include_str!("../../docs/release.md");
    let server = Server::start();
    let project = Project::new(&[&server.host]);
    let mut commands = 0;
    for part in guide.split("```console\n").skip(1).map(|part| part.split("```").next().unwrap()) {
        for block in part.split("$ ").skip(1) {
            let (command, shown) = block.split_once('\n').unwrap_or((block, ""));
            let refused = command.split_once("  # the registry refuses ").map(|(_, path)| path.to_string());
            server.on(move |_, r| {
                let hit =
                    refused.as_ref().is_some_and(|path| r.method == "PUT" && r.path.ends_with(path.as_str()));
                hit.then(|| Fault::Answer(403, Vec::new(), ""))
            });
            let line = command.split("  #").next().unwrap().trim();
            let printed = project.says(line).replace(&server.host, "ghcr.io");
            let printed = printed.replace(&format!("{}/", project.dir.path().display()), "");
            let (printed, shown) = (anonymous(&printed), anonymous(shown));
            assert!(matches(&shown, &printed), "docs/release.md: `{command}` prints\n{}", printed.join("\n"));
            commands += 1;
        }
    }
    assert!(commands >= 12, "{commands} commands");
}

impl Project {
    /// What a command prints, to stdout and stderr.
    fn says(&self, line: &str) -> String {
        let line = line.replace("cargo xtask", env!("CARGO_BIN_EXE_xtask"));
        let mut command = self.command("sh");
        command.env("SOURCE_DATE_EPOCH", "1767225600");
        let output = command.args(["-c", &format!("({line}) 2>&1")]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The lines that are not empty, with `<digest>` for every digest and commit.
fn anonymous(text: &str) -> Vec<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let end = rest[start..].find(|c: char| !c.is_ascii_hexdigit()).map_or(rest.len(), |i| start + i);
        out.push_str(&rest[..start]);
        let word = &rest[start..end];
        if word.len() >= 12 && word.bytes().any(|b| b.is_ascii_digit()) {
            out.push_str("<digest>");
        } else {
            out.push_str(word);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out.lines().map(|line| line.trim_end().to_string()).filter(|line| !line.is_empty()).collect()
}

/// Whether the lines are those shown, where `…` stands for any.
fn matches(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=printed.len()).any(|skip| matches(rest, &printed[skip..]))
        }
        Some((first, rest)) => {
            printed.split_first().is_some_and(|(line, more)| line == first && matches(rest, more))
        }
    }
}
