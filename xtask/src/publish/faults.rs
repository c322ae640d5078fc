//! Publishing against two registries in this process: whatever request is cut, the next run comes to the same end,
//! and no tag moves before everything is up everywhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use oci::image::{Image, Part, index};
use oci::layout::{self, Named};
use oci::{Cache, Entry, Layout, Owner};
use oci_spec::image::{Descriptor, HistoryBuilder, MediaType};
use plan::promote::{Asked, Change, Move};
use plan::tags::{Context, Subject};
use plan::{Facts, Lock, PlannedImage, Selection, Spec};
use registry::{Client, Config, Repository, Retry};
use registry_testing::{Fault, Request, Server};
use serde_json::json;

use super::record::Record;
use super::{collect, tags, upload};
use crate::ui::Ui;

/// Two variants of one image, of one file each.
const SPEC: &str = include_str!("../../tests/fixtures/images.toml");

/// A layout with the images of one version, and where they go.
struct World {
    dir: tempfile::TempDir,
    spec: Spec,
    version: &'static str,
    variants: &'static str,
    git_tags: Vec<String>,
    servers: Vec<Server>,
}

impl World {
    fn new(version: &'static str, git_tags: &[&str]) -> World {
        World::of(version, "all", git_tags)
    }

    fn of(version: &'static str, variants: &'static str, git_tags: &[&str]) -> World {
        let world = World {
            dir: tempfile::tempdir().unwrap(),
            spec: Spec::parse("images.toml", SPEC).unwrap(),
            version,
            variants,
            git_tags: git_tags.iter().map(|t| (*t).into()).collect(),
            servers: vec![Server::start(), Server::start()],
        };
        // One registry lists referrers itself, the other leaves that to us.
        world.servers[0].state().referrers_api = true;
        world.build("content");
        world
    }

    /// The same registries, another version in a layout of its own.
    fn then(self, version: &'static str, git_tags: &[&str]) -> World {
        let mut next = World::new(version, git_tags);
        next.servers = self.servers;
        next
    }

    fn facts(&self) -> Facts {
        Facts {
            version: self.version.parse().unwrap(),
            revision: None,
            source_date_epoch: None,
            host: oci::platform::parse("linux/amd64").unwrap(),
            programs: ["cc".into()].into(),
            rust_targets: ["x86_64-unknown-linux-gnu".into()].into(),
            lock: Lock::default(),
        }
    }

    fn planned(&self) -> Vec<PlannedImage> {
        let selection = Selection {
            variants: vec![self.variants.into()],
            platforms: vec!["linux/amd64".into()],
            ..Selection::default()
        };
        plan::plan(&self.spec, &self.facts(), &selection).unwrap().images
    }

    fn layout(&self) -> PathBuf {
        self.dir.path().join("oci")
    }

    fn record(&self) -> PathBuf {
        self.dir.path().join("publish.json")
    }

    /// Assembles the images, with a signature as cosign names it and an SBOM as a referrer.
    fn build(&self, content: &str) {
        let cache = Cache::create(&self.dir.path().join("cache")).unwrap();
        let mut named = Vec::new();
        for planned in self.planned() {
            let entry = Entry::Inline {
                path: "file".into(),
                contents: format!("{content} {} {}", self.version, planned.variant).into_bytes(),
                mode: 0o644,
                owner: Owner::default(),
            };
            let (layer, _) = cache.layer(&[entry], 0).unwrap();
            let history = HistoryBuilder::default().created_by("test").build().unwrap();
            let config = oci::Config {
                labels: BTreeMap::from([("org.opencontainers.image.version".into(), self.version.into())]),
                ..oci::Config::default()
            };
            let platform = oci::platform::parse("linux/amd64").unwrap();
            let time = "1980-01-01T00:00:00Z";
            let image =
                Image::assemble(cache.blobs(), &platform, time, &[Part { layer, history }], &config).unwrap();
            let root = index(cache.blobs(), &[image], &config.labels).unwrap();
            named.extend(planned.tags.iter().map(|t| Named { name: t.clone(), descriptor: root.clone() }));
            named.push(Named {
                name: format!("sha256-{}.sig", root.digest().digest()),
                descriptor: artifact(&cache, "signature", None),
            });
            named.push(Named {
                name: format!("sbom-{}", planned.variant),
                descriptor: artifact(&cache, "sbom", Some(&root)),
            });
        }
        layout::update(&self.layout(), cache.blobs(), &named).unwrap();
    }

    fn collect(&self) -> Result<Record> {
        let to: Vec<Repository> = self.servers.iter().map(|s| s.repository("acme/app")).collect();
        collect::collect(&self.layout(), &self.planned(), None, |_| Ok(to.clone()))
    }

    fn push(&self, client: &Client) -> Result<Record> {
        let mut record = self.collect()?;
        if let Ok(earlier) = Record::read(&self.record()) {
            record.go_on_from(&earlier);
        }
        let layout = Layout::open(self.layout())?;
        upload::upload(client, layout.blobs(), &mut record, &self.record(), &Ui::new(true))?;
        Ok(record)
    }

    fn moves(&self, client: &Client, record: &Record) -> Result<Vec<Move>> {
        let context = Context {
            git_ref: None,
            sha: String::new(),
            short_sha: 7,
            event: String::new(),
            default_branch: None,
            base_ref: None,
            now: 0,
            commit_time: None,
            branches: Vec::new(),
        };
        let asked = Asked {
            subject: &Subject::Version(self.version.into()),
            context: &context,
            version: &self.version.parse()?,
            git_tags: &self.git_tags,
            incomplete: false,
        };
        Ok(tags::plan(client, &self.spec, &asked, record)?.1)
    }

    /// Both phases.
    fn publish(&self, client: &Client) -> Result<()> {
        let record = self.push(client)?;
        let moves = self.moves(client, &record)?;
        upload::verify(client, &record)?;
        tags::apply(client, &moves, &Ui::new(true))
    }

    /// Of each registry its image tags with the start of their digests.
    fn tags(&self) -> Vec<BTreeMap<String, String>> {
        let of = |server: &Server| {
            let state = server.state();
            let tags = state.tags.iter().filter(|((_, tag), _)| !tag.starts_with("sha256-"));
            tags.map(|((_, tag), digest)| (tag.clone(), digest.clone())).collect()
        };
        self.servers.iter().map(of).collect()
    }

    fn clear(&self) {
        for server in &self.servers {
            let mut state = server.state();
            (state.blobs, state.manifests, state.tags) = Default::default();
        }
        let _ = std::fs::remove_file(self.record());
    }

    /// Asks `hook` before each request to any of the registries.
    fn on(&self, hook: impl Fn(usize, &Request) -> Option<Fault> + Send + Sync + 'static) {
        let (hook, count) = (Arc::new(hook), Arc::new(AtomicUsize::new(0)));
        for server in &self.servers {
            let (hook, count) = (Arc::clone(&hook), Arc::clone(&count));
            server.on(move |_, request| hook(count.fetch_add(1, Ordering::SeqCst), request));
        }
    }
}

/// A manifest of that type, about `subject` if there is one.
fn artifact(cache: &Cache, kind: &str, subject: Option<&Descriptor>) -> Descriptor {
    let blobs = cache.blobs();
    let empty = blobs.put(MediaType::EmptyJSON, b"{}").unwrap();
    let mut manifest = json!({"schemaVersion": 2, "mediaType": MediaType::ImageManifest,
        "artifactType": format!("application/{kind}"), "config": empty, "layers": [empty]});
    if let Some(subject) = subject {
        manifest["subject"] = json!(subject);
    }
    blobs.put(MediaType::ImageManifest, &oci::json::to_vec(&manifest)).unwrap()
}

/// A client that gives up at the first failure.
fn client() -> Client {
    let ms = Duration::from_millis;
    let retry = Retry { attempts: 1, first: ms(1), longest: ms(1), patience: ms(1) };
    Client::new(Config { retry, parallel: 1, settle: ms(1), ..Config::default() }).unwrap()
}

/// Publishes with a fault at every `step`th request, and once more where that failed: always to the same end.
fn cut_at(world: &World, faults: &[Fault], step: usize) {
    let total = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&total);
    world.on(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        None
    });
    world.publish(&client()).unwrap();
    let expected: Vec<_> = world.servers.iter().map(|s| s.state().content()).collect();
    let manifests: Vec<usize> = world.servers.iter().map(|s| s.state().manifests.len()).collect();
    let total = total.load(Ordering::SeqCst);
    assert!(total > 60, "{total} requests");
    for fault in faults {
        for n in (0..total).step_by(step) {
            world.clear();
            let fault = fault.clone();
            world.on(move |i, _| (i == n).then(|| fault.clone()));
            // Some requests may fail: those that only find out what need not be sent.
            let first = world.publish(&client());
            let up: Vec<usize> = world.servers.iter().map(|s| s.state().manifests.len()).collect();
            let tagged = world.tags().iter().any(|tags| !tags.is_empty());
            let whole = up.iter().zip(&manifests).all(|(up, all)| up >= all);
            assert!(!tagged || whole, "{n}: a tag before its image");
            if let Err(error) = first {
                let text = format!("{error:#}");
                assert!(!text.contains('\n'), "{text}");
                world.publish(&client()).unwrap_or_else(|e| panic!("request {n} cut: {e:#}"));
            }
            let end: Vec<_> = world.servers.iter().map(|s| s.state().content()).collect();
            assert!(end == expected, "request {n} cut: another end");
        }
    }
}

#[test]
fn a_cut_at_every_request_changes_nothing_in_the_end() {
    cut_at(&World::of("1.2.3", "one", &["v1.2.2"]), &[Fault::CutBefore, Fault::CutAfter], 1);
}

#[test]
fn several_images_and_a_registry_that_fails() {
    cut_at(&World::new("1.2.3", &["v1.2.2"]), &[Fault::Answer(500, Vec::new(), "")], 7);
}

#[test]
fn a_registry_that_refuses_keeps_every_tag_where_it_was() {
    let world = World::new("1.2.3", &[]);
    world.servers[1].on(|_, r| (r.method == "PUT").then(|| Fault::Answer(403, Vec::new(), "")));
    assert!(world.publish(&client()).is_err());
    assert!(world.tags().iter().all(BTreeMap::is_empty), "{:?}", world.tags());
    // What the other one has is not sent again.
    world.servers[0].take_log();
    world.servers[1].on(|_, _| None);
    world.publish(&client()).unwrap();
    let sent = world.servers[0].take_log();
    let first = world.collect().unwrap().images[0].root.digest().to_string();
    assert!(!sent.iter().any(|line| line.starts_with("PUT") && line.ends_with(&first)), "{sent:?}");
    assert_eq!(world.tags()[0], world.tags()[1]);
    assert_eq!(world.tags()[0].len(), 12);
}

#[test]
fn what_refers_to_an_image_travels_with_it() {
    let world = World::new("1.2.3", &[]);
    let record = world.push(&client()).unwrap();
    assert_eq!(record.images[0].companions.len(), 2, "{record:?}");
    for server in &world.servers {
        for image in &record.images {
            let to = server.repository("acme/app");
            let referrers = client().referrers(&to, image.root.digest(), Some("application/sbom")).unwrap();
            assert_eq!(referrers.len(), 1);
            let signature = format!("sha256-{}.sig", image.root.digest().digest());
            assert!(client().resolve(&to.tagged(&signature).unwrap()).is_ok());
        }
    }
}

#[test]
fn an_exact_version_never_changes_and_nothing_else_moves_then() {
    let world = World::new("1.2.3", &[]);
    world.publish(&client()).unwrap();
    let before = world.tags();
    world.build("other content");
    let error = format!("{:#}", world.publish(&client()).unwrap_err());
    assert!(
        error.contains("an exact version never changes") && error.contains("no tag was touched"),
        "{error}"
    );
    assert_eq!(world.tags(), before);
}

#[test]
fn releases_in_any_order() {
    let client = client();
    let world = World::new("1.0.0", &[]);
    world.publish(&client).unwrap();
    let world = world.then("1.1.0", &["v1.0.0"]);
    world.publish(&client).unwrap();
    let newest = world.tags();
    let world = world.then("1.0.1", &[]);
    world.publish(&client).unwrap();
    let tags = world.tags();
    let same = |tag: &str| assert_eq!(tags[0][tag], newest[0][tag], "{tag}");
    ["latest", "1", "1.1", "one", "two", "1-two", "1.0.0", "1.1.0-one"].into_iter().for_each(same);
    assert_ne!(tags[0]["1.0"], newest[0]["1.0"]);
    assert_eq!(tags[0]["1.0"], tags[0]["1.0.1"]);
    // The bad 1.1.0 is withdrawn: what floats returns to 1.0.1, the exact tags stay.
    let record = Record::read(&world.record()).unwrap();
    let moves = tags::withdrawal(&client, &world.spec, &record, "1.1.0").unwrap();
    assert!(moves.iter().all(|m| m.change == Change::Moved));
    tags::apply(&client, &moves, &Ui::new(true)).unwrap();
    let back = world.tags();
    for tags in &back {
        assert_eq!(
            (&tags["latest"], &tags["1"], &tags["one"]),
            (&tags["1.0.1"], &tags["1.0.1"], &tags["1.0.1"])
        );
        assert_eq!((&tags["two"], &tags["1.1"]), (&tags["1.0.1-two"], &newest[0]["1.1.0"]));
    }
    assert!(tags::withdrawal(&client, &world.spec, &record, "1.1.0").unwrap().is_empty(), "once is enough");
}

#[test]
fn what_is_no_release_is_not_pushed() {
    let check = |change: &dyn Fn(&mut World), expect: &str| {
        let mut world = World::new("1.2.3", &[]);
        change(&mut world);
        let error = format!("{:#}", world.push(&client()).unwrap_err());
        assert!(error.contains(expect) && !error.contains('\n'), "{error}");
        assert!(world.servers.iter().all(|server| server.take_log().is_empty()));
    };
    check(&|world| world.version = "1.2.4", "lacks acme/app:1.2.4-one");
    check(
        &|world| std::fs::remove_dir_all(world.layout()).unwrap(),
        "holds no images; run `cargo xtask image",
    );
    check(
        &|world| {
            let record = world.collect().unwrap();
            let layout = Layout::open(world.layout()).unwrap();
            let manifest = layout.blobs().path(record.images[0].platforms[0].manifest.digest());
            std::fs::write(manifest, b"{}").unwrap();
        },
        "run `cargo xtask image",
    );
    check(
        &|world| {
            let record = world.collect().unwrap();
            let layout = Layout::open(world.layout()).unwrap();
            let manifest: oci_spec::image::ImageManifest =
                layout::document(layout.blobs(), &record.images[0].platforms[0].manifest).unwrap();
            std::fs::write(layout.blobs().path(manifest.layers()[0].digest()), b"damaged").unwrap();
        },
        "is not valid",
    );
}
