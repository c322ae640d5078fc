//! The catalogues in examples/: planned as a whole, and built as far as no engine is needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oci::layout::{Layout, document};
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};
use serde_json::Value;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn xtask(target: &Path, catalogue: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--spec")
        .arg(catalogue)
        .args(args)
        .env("CARGO_TARGET_DIR", target)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .unwrap()
}

fn printed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every image that the catalogue plans: `level repository variant: tags`.
fn plan(name: &str) -> Vec<String> {
    let temp = tempfile::tempdir().unwrap();
    let catalogue = examples().join(name).join("images.toml");
    let args =
        ["image", "--image", "all", "--variant", "all", "--platform", "all", "--dry-run", "--format", "json"];
    let plan = printed(&xtask(temp.path(), &catalogue, &args));
    let line = |image: &Value| {
        assert_eq!(image["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
        let tags: Vec<&str> = image["tags"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
        format!("{} {}: {}", image["level"], image["repository"].as_str().unwrap(), tags.join(" "))
    };
    plan["images"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn order_levels_and_tags() {
    let check = |name: &str, expect: &[&str]| assert_eq!(plan(name), expect, "{name}");
    // One level is built at once; each image comes after the one that it stands on.
    check(
        "platform",
        &[
            "0 platform/foundation: 1.4.0-alpine 1.4-alpine 1-alpine alpine 1.4.0 1.4 1 latest",
            "1 platform/java: 1.4.0-alpine 1.4-alpine 1-alpine alpine 1.4.0 1.4 1 latest",
            "1 platform/postgresql: 17.6.0-alpine 17.6-alpine 17-alpine alpine 17.6.0 17.6 17 latest",
            "1 platform/objects: 1.4.0-alpine 1.4-alpine 1-alpine alpine 1.4.0 1.4 1 latest",
            "2 platform/catalog: 0.104.2-alpine 0.104-alpine alpine 0.104.2 0.104 latest",
            "2 platform/cluster: 4.0.5-alpine 4.0-alpine 4-alpine alpine 4.0.5 4.0 4 latest",
        ],
    );
    check(
        "extension",
        &["0 ledger/ledger: 1.0.0-pg18-bookworm 1.0-pg18-bookworm 1-pg18-bookworm pg18-bookworm \
           1.0.0-pg18 1.0-pg18 1-pg18 pg18 bookworm latest"],
    );
    check(
        "devtools",
        &[
            "0 team/collector: 0.3.0-debian 0.3-debian debian 0.3.0 0.3 latest",
            "0 team/scanner: 0.3.0-python 0.3-python python 0.3.0 0.3 latest",
            "0 team/toolchain: 0.3.0-debian 0.3-debian debian 0.3.0 0.3 latest",
        ],
    );
    check(
        "webapp",
        &[
            "0 tasks/api: 2.1.0-python 2.1-python 2-python python 2.1.0 2.1 2 latest",
            "0 tasks/web: 2.1.0-node 2.1-node 2-node node 2.1.0 2.1 2 latest",
            "1 tasks/migrate: 2.1.0-python 2.1-python 2-python python 2.1.0 2.1 2 latest",
            "1 tasks/worker: 2.1.0-python 2.1-python 2-python python 2.1.0 2.1 2 latest",
        ],
    );
}

#[test]
fn every_example_is_tried() {
    let mut found: Vec<String> = fs::read_dir(examples())
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, ["devtools", "extension", "platform", "webapp"]);
}

/// A root file system that stands in for every foreign base: what the images need of one, and nothing else.
fn base(path: &Path) {
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for (path, contents) in [("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("etc/group", "root:x:0:\n")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, contents.as_bytes()).unwrap();
    }
    tar.finish().unwrap();
}

/// The configurations that building `name` on stand-ins gives for both platforms, by image.
fn build(name: &str, variants: &[&str]) -> BTreeMap<String, ImageConfiguration> {
    let temp = tempfile::tempdir().unwrap();
    base(&temp.path().join("base.tar"));
    let catalogue = examples().join(name).join("images.toml");
    let output = temp.path().join("oci").display().to_string();
    let bases: Vec<String> =
        variants.iter().map(|v| format!("{v}={}", temp.path().join("base.tar").display())).collect();
    let mut args = vec!["image", "--offline", "--image", "all", "--platform", "all", "--output", &output];
    args.extend(["--format", "json"]);
    bases.iter().for_each(|base| args.extend(["--base", base]));
    let results = printed(&xtask(&temp.path().join("target"), &catalogue, &args));
    let layout = Layout::open(temp.path().join("oci")).unwrap();
    let mut configs = BTreeMap::new();
    for image in results["images"].as_array().unwrap() {
        let root = layout
            .index()
            .unwrap()
            .manifests()
            .iter()
            .find(|d| d.digest().to_string() == image["digest"])
            .cloned();
        let index: ImageIndex = document(layout.blobs(), &root.unwrap()).unwrap();
        assert_eq!(index.manifests().len(), 2, "{image}");
        let manifest: ImageManifest = document(layout.blobs(), &index.manifests()[0]).unwrap();
        let config = document(layout.blobs(), manifest.config()).unwrap();
        configs.insert(image["image"].as_str().unwrap().to_string(), config);
    }
    configs
}

/// `user entrypoint cmd env… label`, as the image has them.
fn check(image: &ImageConfiguration, user: &str, run: &[&str], env: &str, version: &str) {
    let config = image.config().as_ref().unwrap();
    assert_eq!(config.user().as_deref().unwrap_or(""), user);
    let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    assert_eq!([words(config.entrypoint()), words(config.cmd())].concat(), run);
    assert!(words(config.env()).iter().any(|e| e == env), "{env} in {:?}", config.env());
    let labels = config.labels().as_ref().unwrap();
    assert_eq!(labels["org.opencontainers.image.version"], version);
}

#[test]
fn a_platform_is_built_level_by_level() {
    let images = build("platform", &["alpine"]);
    assert_eq!(images.len(), 6);
    let start = "/usr/local/bin/start";
    check(&images["foundation"], "1000:1000", &[], "LANG=C.UTF-8", "1.4.0");
    check(&images["catalog"], "1000:1000", &[start, "catalog"], "JAVA_HOME=/opt/java", "0.104.2");
    check(&images["cluster"], "1000:1000", &[start, "cluster"], "LANG=C.UTF-8", "4.0.5");
    let layers = |name: &str| images[name].rootfs().diff_ids().clone();
    for (below, above) in [("foundation", "java"), ("java", "catalog"), ("postgresql", "cluster")] {
        assert!(layers(above).starts_with(&layers(below)), "{above} has all layers of {below}");
    }
    let labels = images["cluster"].config().as_ref().unwrap().labels().clone().unwrap();
    assert_eq!(labels["org.opencontainers.image.base.name"], "platform/postgresql:17.6.0-alpine");
}

#[test]
fn an_extension_has_each_architectures_own_file() {
    let images = build("extension", &["bookworm"]);
    let run = ["docker-entrypoint.sh", "postgres", "-c", "shared_preload_libraries=ledger"];
    let env = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    check(&images["ledger"], "", &run, env, "1.0.0");
}

#[test]
fn services_share_layers_and_differ_in_their_task() {
    let images = build("webapp", &["node", "python"]);
    assert_eq!(images.len(), 4);
    check(&images["web"], "1001:1001", &["node", "server.js"], "PORT=3000", "2.1.0");
    check(&images["worker"], "1001:1001", &["python", "-m", "api", "--work"], "LOG_FORMAT=json", "2.1.0");
    assert_eq!(images["migrate"].rootfs().diff_ids(), images["api"].rootfs().diff_ids());
}

#[test]
fn what_cannot_be_built_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let check = |name: &str, args: &[&str], code: i32, expect: &str| {
        let output = xtask(temp.path(), &examples().join(name).join("images.toml"), args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && stderr.contains(expect), "{name} {args:?}: {stderr}");
    };
    check(
        "devtools",
        &["image"],
        2,
        "is built by a Docker engine from scanner/Dockerfile; add `--builder docker`",
    );
    check(
        "extension",
        &["image", "--offline"],
        1,
        "bases.lock: has no digest for the base `docker.io/library/postgres",
    );
    check("extension", &["image", "--platform", "linux/arm/v7"], 2, "unknown platform `linux/arm/v7`");
    check("extension", &["generate", "--check"], 2, "--spec");
    check("devtools", &["compose"], 1, "has no `[stacks]`; add one, such as `[stacks.basic]`");
    check("devtools", &["k8s"], 1, "has no `[kubernetes]`; add it, with `base` and `overlays`");
    check("nowhere", &["image", "--dry-run"], 1, "nowhere/images.toml: cannot read");
    fs::write(
        temp.path().join("images.toml"),
        fs::read_to_string(examples().join("webapp/images.toml"))
            .unwrap()
            .replace("version = \"2.1.0\"\n", ""),
    )
    .unwrap();
    let output = xtask(temp.path(), &temp.path().join("images.toml"), &["image", "--dry-run"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing field `version`"));
}

#[test]
fn the_stack_and_the_manifests_of_the_services_are_what_lies_beside_the_catalogue() {
    let (temp, folder) = (tempfile::tempdir().unwrap(), examples().join("webapp"));
    let catalogue = temp.path().join("images.toml");
    fs::copy(folder.join("images.toml"), &catalogue).unwrap();
    for command in ["compose", "k8s"] {
        let output = xtask(&temp.path().join("target"), &catalogue, &[command]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (made, kept) = (files(&temp.path().join(command)), files(&folder.join(command)));
        assert!(made.len() > 2 && made.keys().eq(kept.keys()), "{:?}\n{:?}", made.keys(), kept.keys());
        for (path, text) in made {
            assert!(
                kept[&path] == text,
                "examples/webapp/{command}/{path} is not what the catalogue says; run \
                 `cargo xtask {command} --spec examples/webapp/images.toml`"
            );
        }
    }
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// A cache whose base was tampered with is no dead end.
#[test]
fn a_damaged_base_is_found_and_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let (tar, output) = (temp.path().join("base.tar"), temp.path().join("oci"));
    base(&tar);
    let catalogue = examples().join("extension/images.toml");
    let run = |args: &[&str]| {
        let output = xtask(&temp.path().join("target"), &catalogue, args);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let import = ["base", "import", "bookworm", tar.to_str().unwrap(), "--platform", "linux/amd64"];
    let out = output.to_str().unwrap();
    let image = ["image", "--offline", "--platform", "linux/amd64", "--output", out];
    let again = ["image", "--offline", "--platform", "linux/amd64", "--output", out, "--explain"];
    assert_eq!(run(&import).0, Some(0));
    assert_eq!(run(&image).0, Some(0));
    let layout = Layout::open(&output).unwrap();
    let root = layout.index().unwrap().manifests()[0].clone();
    let index: ImageIndex = document(layout.blobs(), &root).unwrap();
    let manifest: ImageManifest = document(layout.blobs(), &index.manifests()[0]).unwrap();
    let digest = manifest.layers()[0].digest().digest().to_string();
    let blob = temp.path().join("target/oci-cache/blobs/sha256").join(&digest);
    let mut bytes = fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let (code, said) = run(&again);
    assert!(code == Some(1) && said.contains("run the same command again"), "{said}");
    assert!(!blob.exists());
    // What was imported can't be fetched: the error says what to do.
    let (code, said) = run(&again);
    assert!(code == Some(1) && said.contains("--base bookworm=ROOTFS"), "{said}");
    assert_eq!(run(&import).0, Some(0));
    assert_eq!(run(&again).0, Some(0));
}
