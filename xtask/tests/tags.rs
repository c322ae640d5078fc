//! `cargo xtask tags` as users and workflows meet it: in a workspace and a git repository of the test's own, with a
//! CI's variables only where the test sets them.
#![expect(
    clippy::disallowed_methods,
    reason = "the ban is for xtask itself; a test keeps the CI's variables away"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// A workspace with our catalogue, without git.
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        let manifest = "[workspace]\n[package]\nname = \"xtask\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[[bin]]\nname = \"xtask\"\npath = \"main.rs\"\n";
        fs::write(world.path("Cargo.toml"), manifest).unwrap();
        fs::write(world.path("main.rs"), "fn main() {}").unwrap();
        fs::create_dir(world.path("docker")).unwrap();
        let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/images.toml");
        fs::copy(catalogue, world.path("docker/images.toml")).unwrap();
        world
    }

    /// With a repository on `main`, whose one commit bears these tags.
    fn with_git(tags: &[&str]) -> World {
        let world = World::new();
        world.git(&["init", "--quiet", "--initial-branch", "main"]);
        world.git(&["commit", "--quiet", "--allow-empty", "--message", "first"]);
        for tag in tags {
            world.git(&["tag", tag]);
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, contents: &str) -> String {
        fs::write(self.path(name), contents).unwrap();
        self.path(name).display().to_string()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["GITHUB_", "CI_", "GIT_", "DOCKER_METADATA_"].iter().any(|p| text.starts_with(p)) {
                command.env_remove(&name);
            }
        }
        command
            .current_dir(self.dir.path())
            .env_remove("SOURCE_DATE_EPOCH")
            .env("CARGO_MANIFEST_DIR", self.dir.path())
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Test")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "test@example.org")))
            .env("GIT_COMMITTER_DATE", "2020-01-07T12:00:00Z");
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = self.command("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)], stdin: &str) -> Output {
        let mut child = self
            .command(env!("CARGO_BIN_EXE_xtask"))
            .arg("tags")
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that fails early does not read its input.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn tags(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.run(arguments, variables, "");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn check(&self, arguments: &[&str], variables: &[(&str, &str)], expect: &str) {
        let tags = self.tags(arguments, variables);
        assert_eq!(
            tags.split_whitespace().collect::<Vec<_>>().join(" "),
            expect,
            "{arguments:?} {variables:?}"
        );
    }

    fn fails(&self, arguments: &[&str], variables: &[(&str, &str)], code: i32, expect: &str) {
        let output = self.run(arguments, variables, "");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = stderr.lines().filter(|l| l.starts_with("error: ")).collect();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(
            errors.len() == 1 && errors[0].contains(expect),
            "{arguments:?}: wanted `{expect}` in {stderr}"
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

const SHA: &str = "abc1234def5678abc1234def5678abc1234def56";

#[test]
fn releases() {
    let world = World::with_git(&["v1.2.2", "v0.9.0"]);
    let full = "1.2.3-alpine 1.2-alpine 1-alpine alpine 1.2.3 1.2 1 latest";
    world.check(&["--version", "1.2.3"], &[], full);
    world.check(&["--ref", "refs/tags/v1.2.3", "--sha", SHA], &[], full);
    world.check(
        &["--version", "1.2.3", "--variant", "debian"],
        &[],
        "1.2.3-debian 1.2-debian 1-debian debian",
    );
    world.check(&["--version", "2.0.0-rc.1", "--variant", "debian"], &[], "2.0.0-rc.1-debian");
    world.check(
        &["--version", "1.2.3", "--variant", "debian", "--image", "Acme/Birds", "--image", "ghcr.io/acme/birds"],
        &[],
        "acme/birds:1.2.3-debian acme/birds:1.2-debian acme/birds:1-debian acme/birds:debian \
         ghcr.io/acme/birds:1.2.3-debian ghcr.io/acme/birds:1.2-debian ghcr.io/acme/birds:1-debian ghcr.io/acme/birds:debian",
    );
    // A backport, by git's tags.
    world.check(&["--version", "0.8.1", "--variant", "debian"], &[], "0.8.1-debian 0.8-debian");
    let explained = world.tags(&["--version", "1.1.9", "--variant", "debian", "--explain"], &[]);
    let lines: Vec<&str> = explained.lines().collect();
    assert_eq!(lines[0], "1.1.9-debian  the full version 1.1.9");
    assert!(
        lines.contains(
            &"# 1-debian: not moved: 1.2.2 is the highest stable version of the series 1, not 1.1.9"
        )
    );
    let digest = format!("sha256:{}", "0a".repeat(32));
    let pinned = world.tags(&["--version", "1.2.3", "--image", "acme/birds", "--digest", &digest], &[]);
    assert!(pinned.ends_with(&format!("acme/birds:latest\nacme/birds@{digest}\n")), "{pinned}");
}

#[test]
fn what_the_registry_has() {
    let world = World::with_git(&[]);
    let backport = "1.2.9-debian 1.2-debian";
    let arguments = |source| ["--version", "1.2.9", "--variant", "debian", "--existing", source];
    let file = world.write("existing", "1.3.0-alpine\nlatest\n");
    world.check(&arguments(&file), &[], backport);
    let output = world.run(&arguments("-"), &[], "{\"Tags\": [\"1.3.0\", \"1\"]}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" "),
        backport
    );
    let output = world.run(&arguments("-"), &[], "");
    assert!(
        String::from_utf8_lossy(&output.stdout).ends_with("\ndebian\n"),
        "an empty registry holds nothing back"
    );
    world.fails(&arguments("missing"), &[], 2, "--existing `missing`: cannot read");
    let wrong = world.write("wrong", "1.2.3\nnot a tag\n");
    world.fails(&arguments(&wrong), &[], 2, "--existing: line 2: `not a tag`");
    // A clone without history can't tell what a backport is.
    let clone = World::new();
    let source = format!("file://{}", world.dir.path().display());
    world.git(&["commit", "--quiet", "--allow-empty", "--message", "second"]);
    clone.git(&["clone", "--quiet", "--bare", "--depth", "1", &source, ".git"]);
    clone.fails(&["--version", "1.2.9"], &[], 2, "run `git fetch --tags --unshallow`, or name what exists");
    clone.check(&arguments(&file), &[], backport);
}

#[test]
fn what_git_says() {
    let world = World::with_git(&[]);
    let short = &world.git(&["rev-parse", "HEAD"])[..7];
    let commit = |suffix: &str| format!("sha-{short}{suffix} git-{short}{suffix} v1.0.0-{short}{suffix}");
    let debian = ["--variant", "debian"];
    world.check(&debian, &[], &format!("main-debian main-{short}-debian edge-debian {}", commit("-debian")));
    world.git(&["checkout", "--quiet", "-b", "feature/x"]);
    world.check(&debian, &[], &format!("feature-x-debian feature-x-{short}-debian {}", commit("-debian")));
    // A tag that stands on what is checked out without a branch: of several the highest.
    world.git(&["tag", "v1.4.0"]);
    world.git(&["tag", "v1.10.0"]);
    world.git(&["checkout", "--quiet", "--detach"]);
    world.check(&debian, &[], "1.10.0-debian 1.10-debian 1-debian debian");
    let none = World::new();
    none.fails(
        &[],
        &[],
        2,
        "neither a flag, nor a CI's variables, nor git say what is built; give `--version VERSION`",
    );
    none.check(
        &["--version", "1.0.0", "--variant", "debian"],
        &[],
        "1.0.0-debian 1.0-debian 1-debian debian",
    );
    none.check(&["--ref", "refs/heads/x", "--variant", "debian"], &[], "x-debian");
}

#[test]
fn what_github_says() {
    let world = World::with_git(&["v2.0.0"]);
    let payload = world.write(
        "event.json",
        r#"{"number": 12, "repository": {"default_branch": "trunk"}, "pull_request": {"base": {"ref": "dev"}, "head": {"sha": "beefbeef"}},
            "head_commit": {"id": "abc1234def5678abc1234def5678abc1234def56", "timestamp": "2021-02-03T04:05:06Z"}}"#,
    );
    let github = |git_ref: &'static str, event: &'static str| {
        [("GITHUB_REF", git_ref), ("GITHUB_SHA", SHA), ("GITHUB_EVENT_NAME", event)]
    };
    let check = |git_ref, event, arguments: &[&str], expect: &str| {
        let variables = [&github(git_ref, event)[..], &[("GITHUB_EVENT_PATH", payload.as_str())]].concat();
        let arguments = [&["--variant", "debian"], arguments].concat();
        let expect = expect.replace("COMMIT", "sha-abc1234-debian git-abc1234-debian v1.0.0-abc1234-debian");
        world.check(&arguments, &variables, &expect);
    };
    check("refs/heads/trunk", "push", &[], "trunk-debian trunk-abc1234-debian edge-debian COMMIT");
    check("refs/heads/main", "push", &[], "main-debian main-abc1234-debian COMMIT");
    check("refs/heads/main", "schedule", &[], "nightly-debian COMMIT");
    check("refs/pull/12/merge", "pull_request", &[], "pr-12-debian COMMIT");
    check("refs/heads/trunk", "pull_request_target", &[], "pr-12-debian COMMIT");
    check("refs/tags/v1.9.0", "push", &[], "1.9.0-debian 1.9-debian 1-debian");
    check("refs/heads/main", "push", &["--version", "2.0.1"], "2.0.1-debian 2.0-debian 2-debian debian");
    let rules = |git_ref, event, rules: &[&str], expect: &str| {
        let variables = [&github(git_ref, event)[..], &[("GITHUB_EVENT_PATH", payload.as_str())]].concat();
        let arguments: Vec<&str> = rules.iter().flat_map(|rule| ["--rule", rule]).collect();
        world.check(&arguments, &variables, expect);
    };
    rules("refs/heads/trunk", "push", &["type=edge", "type=sha"], "edge sha-abc1234");
    rules(
        "refs/pull/12/merge",
        "pull_request",
        &["type=ref,event=pr", "type=raw,to-{{base_ref}}"],
        "pr-12 to-dev",
    );
    rules("refs/heads/x", "push", &["type=raw,value={{commit_date 'YYYY-MM-DD'}}"], "2021-02-03");
    rules(
        "refs/tags/v1.2.3",
        "push",
        &["type=semver,pattern={{major}}.{{minor}}\ntype=semver,pattern={{version}}"],
        "1.2 1.2.3 latest",
    );
    world.fails(
        &[],
        &[("GITHUB_REF", "refs/heads/x"), ("GITHUB_EVENT_PATH", "missing.json")],
        1,
        "GITHUB_EVENT_PATH: missing.json: cannot read",
    );
    let broken = world.write("broken.json", "{");
    world.fails(&[], &[("GITHUB_REF", "refs/heads/x"), ("GITHUB_EVENT_PATH", &broken)], 2, "is no JSON");
}

#[test]
fn what_gitlab_says() {
    let world = World::with_git(&[]);
    let check = |variables: &[(&str, &str)], expect: &str| {
        let sha = ("CI_COMMIT_SHA", SHA);
        let variables = [variables, &[sha, ("CI_DEFAULT_BRANCH", "trunk")]].concat();
        world.check(&["--rule", "type=ref,event=branch\ntype=ref,event=tag\ntype=ref,event=pr\ntype=edge\ntype=sha\ntype=schedule"], &variables, expect);
    };
    check(&[("CI_COMMIT_BRANCH", "trunk")], "edge trunk sha-abc1234");
    check(&[("CI_COMMIT_BRANCH", "a/b")], "a-b sha-abc1234");
    check(&[("CI_COMMIT_TAG", "v1.0.0")], "v1.0.0 sha-abc1234 latest");
    check(
        &[("CI_MERGE_REQUEST_IID", "5"), ("CI_PIPELINE_SOURCE", "merge_request_event")],
        "pr-5 sha-abc1234",
    );
    check(
        &[("CI_COMMIT_BRANCH", "trunk"), ("CI_PIPELINE_SOURCE", "schedule")],
        "nightly edge trunk sha-abc1234",
    );
}

#[test]
fn for_programs() {
    let world = World::with_git(&["v2.0.0"]);
    let arguments =
        ["--version", "1.2.3", "--variant", "debian", "--format", "json", "--image", "acme/birds"];
    let json: serde_json::Value = serde_json::from_str(&world.tags(&arguments, &[])).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["explain", "labels", "tags", "version"]);
    assert_eq!((&json["version"], &json["tags"][0]), (&"1.2.3".into(), &"acme/birds:1.2.3-debian".into()));
    assert!(
        json["explain"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["tag"] == "debian" && e["why"].as_str().unwrap().contains("not moved: 2.0.0"))
    );
    let label =
        |key: &str| json["labels"][format!("org.opencontainers.image.{key}")].as_str().unwrap().to_string();
    assert_eq!((label("version").as_str(), label("title").as_str()), ("1.2.3", "ScratchBird"));
    assert_eq!(
        (label("created"), label("revision")),
        ("2020-01-07T12:00:00Z".into(), world.git(&["rev-parse", "HEAD"]))
    );
    let now = [
        "--now",
        "2031-01-02T03:04:05+02:00",
        "--format",
        "json",
        "--rule",
        "type=raw,value={{date 'HHmm'}}",
    ];
    let json: serde_json::Value = serde_json::from_str(&world.tags(&now, &[])).unwrap();
    assert_eq!(json["tags"], serde_json::json!(["0104"]));
    assert_eq!(json["labels"]["org.opencontainers.image.created"], "2031-01-02T01:04:05Z");
    world.check(&["--rule", "{{date 'YYYY'}}"], &[("SOURCE_DATE_EPOCH", "0")], "1970");
}

#[test]
fn for_github() {
    let world = World::with_git(&["v2.0.0"]);
    let (output, summary) =
        (world.write("output", "before=1\n"), world.path("summary").display().to_string());
    let variables = [("GITHUB_OUTPUT", output.as_str()), ("GITHUB_STEP_SUMMARY", summary.as_str())];
    let arguments =
        ["--version", "1.2.3", "--variant", "debian", "--image", "acme/birds", "--format", "github"];
    let printed = world.tags(&arguments, &variables);
    assert_eq!(printed, "acme/birds:1.2.3-debian\nacme/birds:1.2-debian\nacme/birds:1-debian\n");
    // Read as the runner does.
    let text = fs::read_to_string(&output).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("before=1"));
    let mut outputs = std::collections::BTreeMap::new();
    while let Some((name, end)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        outputs.insert(name, value.join("\n"));
    }
    assert_eq!(outputs.keys().copied().collect::<Vec<_>>(), ["json", "labels", "tags", "version"]);
    assert_eq!((outputs["version"].as_str(), outputs["tags"].as_str()), ("1.2.3", printed.trim_end()));
    assert!(outputs["labels"].contains("\norg.opencontainers.image.title=ScratchBird\n"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&outputs["json"]).unwrap()["version"], "1.2.3");
    let summary = fs::read_to_string(&summary).unwrap();
    assert!(summary.contains("| `1.2.3-debian` | the full version 1.2.3 |"), "{summary}");
    assert!(summary.contains("| not `debian` | not moved: 2.0.0"), "{summary}");
    let way_out = "GITHUB_OUTPUT or GITHUB_STEP_SUMMARY is not set, so this is no step of a GitHub workflow; use `--format json`";
    world.fails(&arguments, &[], 2, way_out);
    world.fails(&arguments, &variables[..1], 2, way_out);
    let nowhere = world.path("no/such").display().to_string();
    world.fails(&arguments, &[("GITHUB_OUTPUT", &nowhere), variables[1]], 1, "no/such: cannot write");
}

#[test]
fn wrong_usage() {
    let world = World::with_git(&[]);
    let usage = |arguments: &[&str], expect: &str| world.fails(arguments, &[], 2, expect);
    usage(&["--version", "1.2"], "version `1.2`: must be MAJOR.MINOR.PATCH");
    usage(&["--version", "1.0.0-alpine"], "use `--version 1.0.0 --variant alpine`");
    usage(&["--version", "1.0.0", "--variant", "alpin"], "unknown variant `alpin`, did you mean `alpine`?");
    usage(&["--ref", "main"], "--ref `main`: must be a ref in full: `refs/heads/NAME`");
    usage(
        &["--ref", "refs/heads/x", "--sha", "xyz"],
        "--sha `xyz`: must be a commit id of 7 to 64 hexadecimal digits",
    );
    usage(&["--now", "yesterday"], "--now `yesterday`: must be a time since 1970 as in RFC 3339");
    usage(&["--image", "a b"], "--image `a b`: must be a repository without a tag");
    usage(&["--rule", "type=semvre"], "unknown type `semvre`, did you mean `semver`?");
    usage(&["--flavor", "latest=x"], "allowed: auto, true, false");
    usage(&["--rule", "x", "--variant", "alpine"], "--variant has no meaning for --rule and --flavor");
    usage(&["--rule", "x", "--existing", "-"], "--existing has no meaning for --rule");
    usage(&["--version", "1.0.0", "--digest", "sha256:1"], "--digest `sha256:1`: must be `sha256:` and 64");
    for typo in [&["--verison", "1.0.0"][..], &["--version", "1.0.0", "--sha", SHA], &["--format", "xml"]] {
        assert_eq!(world.run(typo, &[], "").status.code(), Some(2), "{typo:?}");
    }
    let silent = world.run(&["--rule", "type=ref,event=tag"], &[], "");
    assert!(silent.status.success() && silent.stdout.is_empty());
    assert!(String::from_utf8_lossy(&silent.stderr).contains("no rule gives a tag here"));
}
