//! No promise of `cargo xtask compose test` is kept by default: each fails on a catalogue or an image that breaks it, and
//! says what. What other programs judge (Compose, promtool, kustomize, HAProxy) is broken inside the tests themselves.
//!
//! Ignored by `cargo test`, since it needs Docker and the images of the stacks; `cargo xtask ci` runs it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;

/// What is other in the catalogue or in the server's image, the promise that must notice, and a word of what it says.
struct Case {
    promise: &'static str,
    /// A text in docker/images.toml, and what stands there instead.
    catalogue: Option<(&'static str, &'static str)>,
    /// Instructions over the server's image.
    image: Option<&'static str>,
    word: &'static str,
}

const fn catalogue(promise: &'static str, from: &'static str, to: &'static str, word: &'static str) -> Case {
    Case { promise, catalogue: Some((from, to)), image: None, word }
}

const fn image(promise: &'static str, image: &'static str, word: &'static str) -> Case {
    Case { promise, catalogue: None, image: Some(image), word }
}

const CASES: &[Case] = &[
    catalogue("keeps its rows, closed and bounded", "pids = 512\n", "", "db: PidsLimit is"),
    catalogue(
        "keeps its rows, and logs JSON",
        "LOG_FORMAT = \"json\"",
        "LOG_FORMAT = \"text\"",
        "its log is no JSON",
    ),
    catalogue(
        "keeps its rows, and logs each statement",
        "LOG_STATEMENT = \"all\"",
        "LOG_STATEMENT = \"none\"",
        "its log does not tell the statement",
    ),
    catalogue(
        "begins with its seed, and its client asks",
        "    (2, '2024-05-02 11:45:00', 'church tower'),\n",
        "",
        "the seed left 2 sightings",
    ),
    catalogue(
        "serves the tests beside it",
        "env = { SCRATCHBIRD_HOST_AUTH_METHOD = \"trust\" }",
        "env = { SCRATCHBIRD_PORT = \"5433\", SCRATCHBIRD_HOST_AUTH_METHOD = \"trust\" }",
        "`psql --command 'select version()'`",
    ),
    catalogue(
        "restores what was copied under load",
        "command = [\"restore\", \"/backup\"]",
        "command = [\"restore\", \"/nothing\"]",
        "/nothing",
    ),
    catalogue(
        "has series for every expression",
        "http = { port = 8080,",
        "http = { port = 8081,",
        "prometheus.yml has no target db:8080",
    ),
    // What nobody scrapes has no series, and what Prometheus does not load wakes nobody.
    catalogue(
        "has series for every expression",
        "metrics = \"/metrics\", primary",
        "metrics = \"/nothing\", primary",
        "no series for",
    ),
    catalogue(
        "has series for every expression",
        ", \"alerts.yml\" = \"/etc/prometheus/alerts.yml\" }",
        " }",
        "Prometheus has the rules []",
    ),
    catalogue(
        "does what its README says",
        "$ docker volume rm scratchbird-with-backup_data      # what is restored replaces it\n",
        "",
        "`docker compose run --rm --no-deps restore` fails",
    ),
    catalogue(
        "the pods of an overlay work under the names of a cluster",
        "ready = \"/readyz\", metrics = \"/metrics\", primary",
        "ready = \"/nothing\", metrics = \"/metrics\", primary",
        "readinessProbe at /nothing: 404",
    ),
    // A task's own volume instead of one that outlives it.
    catalogue(
        "deployed on a swarm, serves and keeps its rows",
        "volumes = { data = \"/var/lib/scratchbird/data\" }\nstorage = \"1GB\"",
        "volumes = { data = \"/backup\" }\nstorage = \"1GB\"",
        "`select count(*) from kept` is not `2`",
    ),
    catalogue(
        "deployed on a swarm, serves and keeps its rows",
        "publish = \"${DB_PORT:-5432}\", known-as = [\"write\", \"read\"] }]",
        "publish = \"${DB_PORT:-5432}\" }, { name = \"again\", port = 5433, publish = \"${DB_PORT:-5432}\" }]",
        "duplicate published ports",
    ),
    // The command is taken, and nothing comes of it.
    image(
        "goes on within 10 s after its primary died",
        "USER root\nRUN mkdir /first && printf '#!/bin/sh\\n' > /first/scratchbird && chmod 755 /first/scratchbird\n\
         USER 1000:1000\nENV PATH=/first:/usr/local/bin:/usr/bin:/bin",
        "is not `4` after 10 s",
    ),
    image(
        "keeps what it acknowledged, whichever links fail",
        "ENTRYPOINT [\"/bin/sh\", \"-c\", \"unset SCRATCHBIRD_SYNCHRONOUS_REPLICAS; \
         exec /usr/local/bin/scratchbird entrypoint serve\"]\nCMD []",
        "commits were acknowledged that no replica has",
    ),
];

/// Promises that are kept alone, as `xtask/src/compose/test.rs` says.
const ALONE: [&str; 4] = [
    "goes on within 10 s after its primary died",
    "keeps what it acknowledged, whichever links fail",
    "the pods of an overlay work under the names of a cluster",
    "deployed on a swarm, serves and keeps its rows",
];

/// The images that stacks run.
const REPOSITORIES: [&str; 3] = ["scratchbird", "scratchbird-client", "scratchbird-backup"];

fn docker(args: &[&str]) {
    let output = Command::new("docker").args(args).output().expect("docker does not start");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "docker {args:?}: {words}\nrun `cargo xtask image --image server --image client --image backup --load`"
    );
}

/// The stacks' images under a version of this test's own, which end with this value.
struct Images {
    version: String,
}

impl Images {
    fn new(folder: &Path, instructions: &str) -> Images {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let images = Images { version: format!("0.0.0-broken.{}.{number}", std::process::id()) };
        for repository in REPOSITORIES {
            let whole = format!("{repository}:{}-alpine", env!("CARGO_PKG_VERSION"));
            let own = images.name(repository);
            if repository == REPOSITORIES[0] {
                fs::write(folder.join("Dockerfile"), format!("FROM {whole}\n{instructions}\n")).unwrap();
                docker(&["build", "--quiet", "--tag", &own, &folder.display().to_string()]);
            } else {
                docker(&["tag", &whole, &own]);
            }
        }
        images
    }

    fn name(&self, repository: &str) -> String {
        format!("{repository}:{}-alpine", self.version)
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        let names = REPOSITORIES.map(|repository| self.name(repository));
        let _ = Command::new("docker").args(["image", "rm", "--force"]).args(names).output();
    }
}

/// What is wrong with a case, if anything.
fn missed(case: &Case) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = fs::read_to_string(root.join("docker/images.toml")).unwrap();
    if let Some((from, to)) = case.catalogue {
        assert!(text.contains(from), "docker/images.toml has no `{from}`");
        text = text.replacen(from, to, 1);
    }
    let images = case.image.map(|instructions| Images::new(folder.path(), instructions));
    let version = images.as_ref().map_or(env!("CARGO_PKG_VERSION"), |images| &images.version);
    let text = text.replacen("[project]\n", &format!("[project]\nversion = \"{version}\"\n"), 1);
    let path = folder.path().join("images.toml");
    fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["--quiet", "compose", "test", case.promise, "--format", "json", "--spec"])
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let [line] = &lines[..] else { return Some(format!("`{}` is no single promise: {said}", case.promise)) };
    let why = line["why"].as_str().unwrap_or_default();
    if line["outcome"] == "skipped" {
        println!("skipped: {}: {why}", case.promise);
        return None;
    }
    let is_caught = line["outcome"] == "failed" && output.status.code() == Some(1) && why.contains(case.word);
    (!is_caught).then(|| format!("`{}` says: {line}\nwithout: {}", case.promise, case.word))
}

#[test]
#[ignore = "needs Docker and the images of the stacks; `cargo xtask ci` runs it"]
fn what_is_wrong_with_a_stack_is_named() {
    if !Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no Docker engine answers");
        return;
    }
    let (alone, others): (Vec<&Case>, Vec<&Case>) =
        CASES.iter().partition(|case| ALONE.contains(&case.promise));
    let mut missed = at_once(1, &alone);
    missed.extend(at_once(3, &others));
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

/// Tries so many of the cases at once, each as soon as one before it has ended; what is wrong with them.
fn at_once(many: usize, cases: &[&Case]) -> Vec<String> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..many {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let missed = missed(case);
                    println!("{}: {} ({:.1} s)", case.promise, case.word, start.elapsed().as_secs_f64());
                    found.lock().unwrap().extend(missed);
                }
            });
        }
    });
    found.into_inner().unwrap()
}
