//! `cargo xtask image --push`, through the program: to a registry that counts what it is asked, and to Debian's.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use registry::{Client, Config};
use registry_testing::Server;
use registry_testing::real::Registry;

/// A catalogue of one image of one file on nothing, in two variants.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images.toml");
        let text = fs::read_to_string(fixture).unwrap();
        let text = text.replace("title = \"App\"", "title = \"App\"\nversion = \"1.2.3\"");
        fs::write(world.path("images.toml"), text).unwrap();
        world.edit("first");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The application's file becomes another.
    fn edit(&self, text: &str) {
        fs::write(self.path("app"), text).unwrap();
    }

    fn push(&self, to: &str, variants: &str, login: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("--spec")
            .arg(self.path("images.toml"))
            .args(["image", "--platform", "linux/amd64,linux/arm64", "--variant", variants, "--push", to])
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            // No login of whoever runs this.
            .env("DOCKER_CONFIG", self.path("none"))
            .env_remove("REGISTRY_AUTH_FILE")
            .env_remove("XTASK_REGISTRY_LOGINS")
            .current_dir(self.dir.path());
        if let Some(login) = login {
            command.env("XTASK_REGISTRY_LOGINS", login);
        }
        command.output().unwrap()
    }

    /// Pushes, and gives the digests of the lines that are printed.
    fn pushed(&self, to: &str, variants: &str, login: Option<&str>) -> Vec<String> {
        let output = self.push(to, variants, login);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split_once('@').unwrap().1.to_string()).collect()
    }

    fn fails(&self, to: &str, login: Option<&str>, code: i32, expect: &str) {
        let output = self.push(to, "one", login);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(output.status.code(), Some(code), "{to}: {stderr}");
        assert!(errors.len() == 1 && errors[0].contains(expect), "{to}: wanted `{expect}` in {stderr}");
    }
}

/// What the registry was asked since the last time: `METHOD kind`, sorted.
fn asked(server: &Server) -> Vec<String> {
    let requests = std::mem::take(&mut server.state().requests);
    let kind =
        |path: &str| ["/manifests/", "/blobs/uploads/", "/blobs/"].into_iter().find(|k| path.contains(k));
    let mut lines: Vec<String> = requests
        .iter()
        .map(|request| format!("{} {}", request.method, kind(&request.path).unwrap_or(&request.path)))
        .collect();
    lines.sort();
    lines
}

#[test]
fn what_is_there_is_asked_for_and_not_sent() {
    let (world, server) = (World::new(), Server::start());
    let to = format!("{}/acme/app", server.host);
    let first = world.pushed(&to, "all", None);
    assert_eq!(first.len(), 2);
    let sent = asked(&server);
    assert!(sent.iter().any(|line| line == "PUT /blobs/uploads/"), "{sent:?}");
    // Unchanged: nothing but HEAD, one for each manifest (two platforms and the index, twice) and each tag.
    assert_eq!(world.pushed(&to, "all", None), first);
    let again = asked(&server);
    assert!(again.iter().all(|line| line.starts_with("HEAD /manifests/")), "{again:?}");
    let tags = server.state().tags.len();
    assert_eq!(again.len(), 2 * 3 + tags, "{again:?}");
    // One file more or less: the application's layer and what names it, and nothing of what stayed.
    let before: BTreeSet<(String, String)> = server.state().blobs.keys().cloned().collect();
    world.edit("second");
    let second = world.pushed(&to, "one", None);
    assert_ne!(second[0], first[0]);
    let new: Vec<Vec<u8>> = {
        let state = server.state();
        state.blobs.iter().filter(|(key, _)| !before.contains(key)).map(|(_, blob)| blob.clone()).collect()
    };
    let configs = new.iter().filter(|blob| blob.starts_with(b"{")).count();
    assert_eq!((new.len(), configs), (3, 2), "one layer, and a configuration for each platform");
}

#[test]
fn debians_registry_has_what_was_printed() {
    let Some(server) = Registry::start("auth: {htpasswd: {realm: here, path: HTPASSWD}}") else { return };
    let world = World::new();
    let to = format!("{}/acme/app", server.host);
    let login = format!("{} u p", server.host);
    // Refused: one line that says by whom, and nothing lies there.
    world.fails(&to, None, 1, &server.host);
    world.fails(&to, Some(&format!("{} u wrong", server.host)), 1, &server.host);
    assert!(!server.dir().join("data").exists());
    let digests = world.pushed(&to, "all", Some(&login));
    let logins = [(server.host.clone(), ("u".to_string(), "p".to_string()))].into();
    let client = Client::new(Config { logins, ..Config::default() }).unwrap();
    let app = server.repository("acme/app");
    let tags: BTreeSet<String> = client.tags(&app).unwrap().into_iter().collect();
    assert!(tags.len() > 6 && tags.contains("latest"), "{tags:?}");
    let digest = |tag: &str| client.resolve(&app.tagged(tag).unwrap()).unwrap().digest().to_string();
    assert_eq!([digest("1.2.3-one"), digest("1.2.3-two")], digests[..]);
    assert_eq!(digest("latest"), digests[0]);
    assert_eq!(world.pushed(&to, "all", Some(&login)), digests);
}

#[test]
fn a_registry_that_is_not_there() {
    let world = World::new();
    world.fails("127.0.0.1:1/acme/app", None, 1, "127.0.0.1:1");
    world.fails("127.0.0.1:1/ACME", None, 2, "allowed is REGISTRY/NAME");
}
