//! Signatures and attestations as a user meets them, bad input first: a tiny image in a layout, signed, attested in part,
//! and then forged in every way.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use oci::entry::{Entry, Owner};
use oci::image::{Config, Image, Part, index};
use oci::layout::{self, Layout, Named};
use oci::{Blobs, digest};
use oci_spec::image::{Descriptor, History, MediaType};
use serde_json::{Value, json};
use signing::PrivateKey;
use signing::bundle::{self, Bundle};
use signing::dsse;
use supply::inventory::{Component, Inventory};
use supply::provenance::{self, Build};
use supply::sbom::Subject;

fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/signing/tests/keys")
}

struct World {
    dir: tempfile::TempDir,
    image: Descriptor,
}

impl World {
    /// A layout with one image, named `t`.
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(dir.path().join("blobs")).unwrap();
        let entry = Entry::Inline { path: "a".into(), contents: "x".into(), mode: 0o644, owner: Owner::ROOT };
        let layer = oci::layer::build(&[entry], 0, oci::stream::Compression::Gzip, &blobs).unwrap();
        let parts = [Part { layer, history: History::default() }];
        let config = Config { user: "1000:1000".into(), ..Config::default() };
        let platform = oci::platform::parse("linux/amd64").unwrap();
        let image = Image::assemble(&blobs, &platform, "2026-01-01T00:00:00Z", &parts, &config).unwrap();
        let root = index(&blobs, std::slice::from_ref(&image), &Default::default()).unwrap();
        let named = Named { name: "t".into(), descriptor: root };
        layout::update(&dir.path().join("oci"), &blobs, &[named]).unwrap();
        World { image: image.manifest, dir }
    }

    fn layout(&self) -> PathBuf {
        self.dir.path().join("oci")
    }

    fn xtask(&self, args: &[&str], password: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.env("CARGO_TARGET_DIR", self.dir.path().join("target")).env_remove("COSIGN_PASSWORD");
        if let Some(password) = password {
            command.env("COSIGN_PASSWORD", password);
        }
        let image = format!("oci:{}:t", self.layout().display());
        command.args(args.iter().map(|a| if *a == "IMAGE" { image.as_str() } else { a })).output().unwrap()
    }

    fn sign(&self, key: &str, password: Option<&str>) -> Output {
        self.xtask(&["sign", "IMAGE", "--key", keys().join(key).to_str().unwrap()], password)
    }

    /// What `verify` says with that public key.
    fn verify(&self, key: &str) -> String {
        let output = self.xtask(&["verify", "IMAGE", "--key", keys().join(key).to_str().unwrap()], None);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Attaches a statement by hand: what it says and of whom is up to the caller.
    fn attach(&self, about: &str, subject: &str, predicate_type: &str, predicate: &Value) {
        let key = PrivateKey::parse(&fs::read_to_string(keys().join("openssl.pem")).unwrap(), None).unwrap();
        let blobs = Blobs::create(self.dir.path().join("forge")).unwrap();
        let statement = dsse::statement("t", &about.parse().unwrap(), predicate_type, predicate);
        let bundle = Bundle::new(dsse::sign(&key, &statement), &key.public());
        let layer = blobs.put(MediaType::from(bundle::MEDIA_TYPE), &bundle.to_vec()).unwrap();
        let config = blobs.put(MediaType::EmptyJSON, b"{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::ImageManifest, "artifactType": bundle::MEDIA_TYPE,
            "config": config, "layers": [layer],
            "subject": { "mediaType": MediaType::ImageManifest, "digest": subject, "size": 1 },
        });
        let manifest = blobs.put(MediaType::ImageManifest, &oci::json::to_vec(&manifest)).unwrap();
        let mut listed = serde_json::to_value(&manifest).unwrap();
        listed["artifactType"] = json!(bundle::MEDIA_TYPE);
        let list = json!({ "schemaVersion": 2, "mediaType": MediaType::ImageIndex, "manifests": [listed] });
        let list = blobs.put(MediaType::ImageIndex, &oci::json::to_vec(&list)).unwrap();
        let name = format!("sha256-{}", self.image.digest().digest());
        layout::update(&self.layout(), &blobs, &[Named { name, descriptor: list }]).unwrap();
    }
}

fn fails(output: &Output, code: i32, expect: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(
        stderr.lines().any(|l| l.starts_with("error: ") && l.contains(expect)),
        "wanted `{expect}` in {stderr}"
    );
}

#[test]
fn bad_keys_leave_the_layout_alone() {
    let world = World::new();
    let before = fs::read(world.layout().join("index.json")).unwrap();
    let truncated = world.dir.path().join("truncated.pem");
    let whole = fs::read_to_string(keys().join("openssl.pem")).unwrap();
    fs::write(&truncated, &whole[..whole.len() / 2]).unwrap();
    let check =
        |key: &str, password: Option<&str>, expect: &str| fails(&world.sign(key, password), 1, expect);
    check(truncated.to_str().unwrap(), None, "is no whole key");
    check("cosign.key", Some("wrong"), "the password is wrong");
    check("cosign.key", None, "COSIGN_PASSWORD");
    check("openssl.pub", None, "is a `PUBLIC KEY`");
    check("nowhere.pem", None, "cannot read");
    fails(&world.xtask(&["sign", "IMAGE"], None), 2, "nothing to sign with");
    fails(
        &world.xtask(&["sign", "./x", "--key", keys().join("openssl.pem").to_str().unwrap()], None),
        2,
        "oci:DIR:TAG",
    );
    assert_eq!(fs::read(world.layout().join("index.json")).unwrap(), before);
}

#[test]
fn signing_twice_changes_nothing_and_other_signatures_stay() {
    let world = World::new();
    assert!(world.sign("openssl.pem", None).status.success());
    let once = fs::read(world.layout().join("index.json")).unwrap();
    assert!(world.sign("openssl.pem", None).status.success());
    assert_eq!(fs::read(world.layout().join("index.json")).unwrap(), once);
    assert!(world.sign("cosign.key", Some("correct-horse")).status.success());
    for key in ["openssl.pub", "cosign.pub"] {
        let said = world.verify(key);
        // Index and image are signed and carry the bundle; the image is whole.
        assert_eq!(said.matches("passed oci:").count(), 5, "{said}");
    }
    assert!(world.verify("openssl.pub").contains("no signed https://cyclonedx.org/bom refers to it"));
}

#[test]
fn a_policy_trusts_only_keys_that_it_names() {
    let world = World::new();
    assert!(world.sign("openssl.pem", None).status.success());
    let policy = world.dir.path().join("policy.toml");
    let verify = |text: &str, more: &[&str]| {
        fs::write(&policy, text).unwrap();
        let policy = policy.to_str().unwrap();
        world.xtask(&[&["verify", "IMAGE", "--policy", policy][..], more].concat(), None)
    };
    let trusted = keys().join("openssl.pub").display().to_string();
    let names = |key: &str| format!("keys = [{key:?}]\nrequire = [\"signature\"]\nallow-dirty = true\n");
    for nobody in ["", "keys = []\n", "require = []\nallow-root = true\nallow-dirty = true\n"] {
        fails(&verify(nobody, &[]), 2, "`keys` is empty: no key is trusted, so no image can pass");
    }
    // The project's own names none, until somebody has a key.
    fails(&world.xtask(&["verify", "IMAGE", "--policy"], None), 2, "docker/policy.toml: `keys` is empty");
    let says = |output: Output, verdict: &str| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = |line: &str| line.trim_start().starts_with(verdict) && line.contains("policy: is signed");
        assert!(text.lines().any(line), "{verdict}: {text}");
    };
    says(verify(&names(&trusted), &[]), "passed");
    let other = keys().join("cosign.pub").display().to_string();
    says(verify(&names(&other), &[]), "FAILED");
    says(verify("require = [\"signature\"]", &["--key", &trusted]), "passed");
    fails(&verify("keys = [\"gone.pub\"]", &[]), 1, "policy.toml: keys: ");
    fails(&verify("key = []", &[]), 1, "policy.toml:1: unknown field `key`");
}

/// Who the image is.
fn subject(world: &World) -> Subject {
    let text = || String::from("birds");
    Subject {
        name: text(),
        version: text(),
        digest: world.image.digest().clone(),
        platform: "linux/amd64".into(),
        created: "2026-01-01T00:00:00Z".into(),
        vendor: text(),
        source: "https://example.org/birds".into(),
        licence: None,
    }
}

/// A crate that no image of these tests has.
fn wren() -> Component {
    Component {
        purl: "pkg:cargo/wren@1".into(),
        name: "wren".into(),
        version: "1".into(),
        scope: Some(Default::default()),
        is_program: false,
        licence: None,
        checksum: None,
        download: None,
        depends: Vec::new(),
    }
}

#[test]
fn forgeries_are_told_apart() {
    let other = format!("sha256:{}", "b".repeat(64));
    let check = |forge: &dyn Fn(&World), expect: &str| {
        let world = World::new();
        assert!(world.sign("openssl.pem", None).status.success());
        forge(&world);
        let said = world.verify("openssl.pub");
        assert!(said.contains(expect), "wanted `{expect}` in {said}");
        assert!(said.contains("error: "), "{said}");
    };
    let own = |w: &World| w.image.digest().to_string();
    check(&|w| w.attach(&own(w), &other, "p", &Value::Null), "its subject is sha256:bbbb");
    check(
        &|w| w.attach(&other, &own(w), "p", &Value::Null),
        "the signature is of another digest: sha256:bbbb",
    );
    let bill = json!({ "bomFormat": "CycloneDX", "metadata": { "component": { "hashes": [{ "content": "b".repeat(64) }] } } });
    check(
        &|w| w.attach(&own(w), &own(w), "https://cyclonedx.org/bom", &bill),
        "SBOM: is of another image: sha256:bbbb",
    );
    // Of this image, and not true: it has nothing in it.
    for format in supply::sbom::Format::ALL {
        let made_up = |w: &World| {
            let bill =
                format.render(&subject(w), &Inventory { components: vec![wren()], ..Inventory::default() });
            w.attach(&own(w), &own(w), format.predicate_type(), &bill);
        };
        check(&made_up, "SBOM: lists what the image does not have: pkg:cargo/wren@1");
    }
    let origin = |build: Build, inventory: &Inventory| {
        let predicate = provenance::predicate(&build, inventory, &Default::default());
        move |w: &World| w.attach(&own(w), &own(w), provenance::PREDICATE_TYPE, &predicate)
    };
    let nothing = Inventory::default();
    let parts = vec![(other.clone(), "wood".into())];
    check(&origin(Build { parts, ..Build::default() }, &nothing), "provenance: tells how sha256:bbbb");
    check(
        &origin(Build::default(), &nothing),
        "provenance: does not tell how each part of the image was made",
    );
    let foreign = json!({ "buildDefinition": { "buildType": "https://example.org/nest" } });
    check(
        &|w| w.attach(&own(w), &own(w), provenance::PREDICATE_TYPE, &foreign),
        "its provenance is of another build type",
    );
    // A signature that lies under this image's tag and is of another one.
    check(
        &|w| {
            let layout = Layout::open(w.layout()).unwrap();
            let index = layout.index().unwrap();
            let tag = |d: &Descriptor| format!("sha256-{}.sig", d.digest().digest());
            let root = layout.resolve(Some("t")).unwrap();
            let of_root =
                index.manifests().iter().find(|d| layout::ref_name(d) == Some(&tag(&root))).unwrap().clone();
            let blobs = Blobs::at(w.layout());
            let forged = Named { name: tag(&w.image), descriptor: of_root };
            // Without the bundle, which would be right.
            let empty = json!({ "schemaVersion": 2, "mediaType": MediaType::ImageIndex, "manifests": [] });
            let store = Blobs::create(w.dir.path().join("forge")).unwrap();
            let empty = store.put(MediaType::ImageIndex, &oci::json::to_vec(&empty)).unwrap();
            for part in layout::closure(&blobs, &forged.descriptor).unwrap() {
                blobs.link_into(&store, &part).unwrap();
            }
            let none = Named { name: format!("sha256-{}", w.image.digest().digest()), descriptor: empty };
            layout::update(&w.layout(), &store, &[forged, none]).unwrap();
        },
        "is signed with the key: the signature is of another digest",
    );
    check(
        &|w| {
            let layout = Layout::open(w.layout()).unwrap();
            let manifest: Value = layout::document(layout.blobs(), &w.image).unwrap();
            let layer = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
            let path = layout.blobs().path(&layer);
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            assert_ne!(digest::sha256(&bytes), layer);
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        },
        "is whole, to the last layer entry: blob sha256:",
    );
}
