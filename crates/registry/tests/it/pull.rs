//! What a pull does with answers that are wrong, slow, cut, from elsewhere, or there already.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oci_spec::image::{Descriptor, MediaType};
use registry::{Client, Config, Error, Push};
use serde_json::json;

use crate::{Store, client, config, noise, recording};
use registry_testing::{Fault, Request, Server};

fn is_blob(request: &Request) -> bool {
    request.method == "GET" && request.path.contains("/blobs/")
}

/// A server with one blob of 300,000 bytes and a fault at the first `times` requests for it.
fn blob_with(fault: Fault, times: usize) -> (Server, Descriptor) {
    let server = Server::start();
    let bytes = noise(300_000, 1);
    let digest = oci::digest::sha256(&bytes);
    let blob = Descriptor::new(MediaType::ImageLayer, bytes.len() as u64, digest.clone());
    server.state().blobs.insert(("a".into(), digest.to_string()), bytes);
    let seen = AtomicUsize::new(0);
    server.on(move |_, request| {
        (is_blob(request) && seen.fetch_add(1, Ordering::SeqCst) < times).then(|| fault.clone())
    });
    (server, blob)
}

#[test]
fn a_blob_arrives_whole_or_not_at_all() {
    let short = Config { stall_timeout: Duration::from_millis(300), ..config() };
    let check = |fault: Fault, times: usize, ignore_range: bool, expect: Result<&[&str], &str>| {
        let (server, blob) = blob_with(fault.clone(), times);
        server.state().ignore_range = ignore_range;
        let store = Store::new();
        let client = Client::new(short.clone()).unwrap();
        let result = client.fetch_blob(&server.repository("a"), &blob, &store.blobs);
        let ranges: Vec<String> =
            server.state().requests.iter().map(|r| r.header("range").unwrap_or("whole").to_owned()).collect();
        match (result, expect) {
            (Ok(()), Ok(expect)) => {
                assert_eq!(ranges, expect, "{fault:?}");
                store.blobs.verify(&blob).unwrap();
            }
            (Err(e), Err(expect)) => {
                assert!(
                    e.to_string().contains(expect) && e.to_string().contains(blob.digest().as_ref()),
                    "{e}"
                );
                assert!(!store.blobs.contains(&blob));
            }
            (got, _) => panic!("{fault:?}: {got:?}, not {expect:?}"),
        }
        store.assert_clean();
    };
    check(Fault::CutBody(100_000), 1, false, Ok(&["whole", "bytes=100000-"]));
    check(Fault::CutBody(100_000), 2, false, Ok(&["whole", "bytes=100000-", "bytes=200000-"]));
    check(Fault::CutBody(100_000), 1, true, Ok(&["whole", "bytes=100000-"]));
    check(Fault::Stall, 1, false, Ok(&["whole", "bytes=150000-"]));
    check(Fault::Truncate, 1, false, Ok(&["whole", "bytes=299999-"]));
    check(Fault::Extend, 1, false, Ok(&["whole", "whole"]));
    check(Fault::Corrupt, 1, false, Ok(&["whole", "whole"]));
    check(Fault::Answer(416, Vec::new(), ""), 0, false, Ok(&["whole"]));
    check(Fault::Corrupt, 9, false, Err("its content has the digest"));
    check(Fault::Extend, 9, false, Err("more than 300000 bytes"));
    check(Fault::CutBody(0), 9, false, Err("cannot read the blob"));
    check(Fault::CutBody(50_000), 99, true, Err("cannot read the blob"));
    check(Fault::Answer(404, Vec::new(), ""), 1, false, Err("HTTP 404"));
    check(Fault::Answer(500, Vec::new(), ""), 9, false, Err("HTTP 500"));
    check(Fault::Answer(200, Vec::new(), "short"), 9, false, Err("ended after 5 of 300000 bytes"));
}

#[test]
fn a_cut_blob_whose_rest_is_refused_starts_over() {
    let (server, blob) = blob_with(Fault::CutBody(1000), 1);
    let store = Store::new();
    let seen = AtomicUsize::new(0);
    server.on(move |_, _| match seen.fetch_add(1, Ordering::SeqCst) {
        0 => Some(Fault::CutBody(1000)),
        1 => Some(Fault::Answer(416, Vec::new(), "")),
        _ => None,
    });
    client().fetch_blob(&server.repository("a"), &blob, &store.blobs).unwrap();
    store.blobs.verify(&blob).unwrap();
}

#[test]
fn a_manifest_is_verified() {
    let check = |fault: Fault, times: usize, expect: Option<&str>| {
        let (server, store, target) = (Server::start(), Store::new(), Store::new());
        let to = server.repository("a");
        let root = store.image("amd64", &[b"layer"]);
        client().push(&store.blobs, &root, &to, &Push::default()).unwrap();
        let seen = AtomicUsize::new(0);
        server.on(move |_, r| {
            let hit = r.method == "GET" && r.path.contains("/manifests/");
            (hit && seen.fetch_add(1, Ordering::SeqCst) < times).then(|| fault.clone())
        });
        let result = client().pull(&to.at(root.digest()), &[], &target.blobs);
        match expect {
            None => assert_eq!(result.unwrap().root, root),
            Some(expect) => {
                let message = result.unwrap_err().to_string();
                assert!(message.contains(expect) && message.contains(root.digest().as_ref()), "{message}");
                assert!(target.contents().is_empty());
            }
        }
    };
    check(Fault::Corrupt, 1, None);
    check(Fault::Corrupt, 9, Some("the manifest's content has the digest"));
    check(Fault::Truncate, 9, Some("the manifest's content has the digest"));
    check(Fault::Answer(403, Vec::new(), ""), 1, Some("docker login 127.0.0.1"));
    let long: &str = "x".repeat(5 << 20).leak();
    check(Fault::Answer(200, Vec::new(), long), 1, Some("an answer has more than 4194304 bytes"));
}

#[test]
fn what_the_store_has_is_not_fetched() {
    let (server, store) = (Server::start(), Store::new());
    let (root, to) = (store.index(), server.repository("a"));
    client().push(&store.blobs, &root, &to, &Push { tags: vec!["t".into()], ..Push::default() }).unwrap();
    server.take_log();
    client().pull(&to.tagged("t").unwrap(), &[], &store.blobs).unwrap();
    assert_eq!(server.take_log(), ["HEAD /v2/a/manifests/t"]);
}

#[test]
fn a_registry_that_tells_no_digest_is_asked_for_the_manifest() {
    let (server, store) = (Server::start(), Store::new());
    let (root, to) = (store.index(), server.repository("a"));
    client().push(&store.blobs, &root, &to, &Push { tags: vec!["t".into()], ..Push::default() }).unwrap();
    server.state().no_digest_header = true;
    assert_eq!(client().resolve(&to.tagged("t").unwrap()).unwrap(), root);
}

#[test]
fn docker_media_types_are_taken_and_their_bytes_kept() {
    let (server, store, target) = (Server::start(), Store::new(), Store::new());
    let docker = |name: &str| MediaType::Other(format!("application/vnd.docker.distribution.{name}.v2+json"));
    let config =
        store.put_json("application/vnd.docker.container.image.v1+json".into(), &json!({"os": "linux"}));
    let layer =
        store.blobs.put("application/vnd.docker.image.rootfs.diff.tar.gzip".into(), b"layer").unwrap();
    let manifest =
        json!({"schemaVersion": 2, "mediaType": docker("manifest"), "config": config, "layers": [layer]});
    // White space that no serializer of ours would write.
    let manifest = store.blobs.put(docker("manifest"), format!("{manifest:#}\n").as_bytes()).unwrap();
    let list = json!({"schemaVersion": 2, "mediaType": docker("manifest.list"), "manifests": [manifest]});
    let list = store.put_json(docker("manifest.list"), &list);
    let to = server.repository("a");
    client().push(&store.blobs, &list, &to, &Push::default()).unwrap();
    let pulled = client().pull(&to.at(list.digest()), &[], &target.blobs).unwrap();
    assert_eq!((pulled.root.media_type(), pulled.manifests), (&docker("manifest.list"), vec![manifest]));
    assert!(target.contents() == store.contents());
}

#[test]
fn platforms_limit_a_pull() {
    let (server, store) = (Server::start(), Store::new());
    let to = server.repository("a");
    let index = store.index();
    client().push(&store.blobs, &index, &to, &Push::default()).unwrap();
    let single = store.image("amd64", &[b"x"]);
    client().push(&store.blobs, &single, &to, &Push::default()).unwrap();
    let check = |root: &Descriptor, platforms: &[&str], expect: Result<usize, &str>| {
        let target = Store::new();
        let platforms: Vec<_> = platforms.iter().map(|p| oci::platform::parse(p).unwrap()).collect();
        match (client().pull(&to.at(root.digest()), &platforms, &target.blobs), expect) {
            (Ok(pulled), Ok(blobs)) => assert_eq!((&pulled.root, target.contents().len()), (root, blobs)),
            (Err(e), Err(expect)) => assert!(e.to_string().contains(expect), "{e}"),
            (got, _) => panic!("{got:?}, not {expect:?}"),
        }
    };
    check(&index, &[], Ok(8));
    check(&index, &["linux/amd64"], Ok(5));
    check(&index, &["linux/arm64/v8", "linux/amd64"], Ok(8));
    check(&index, &["linux/riscv64"], Err("no image for linux/riscv64, there are: linux/amd64, linux/arm64"));
    check(&single, &["linux/amd64"], Ok(3));
    check(&single, &["linux/arm64"], Err("no image for linux/arm64, there is: linux/amd64"));
}

#[test]
fn mirrors_are_asked_first_and_their_failures_told() {
    let (server, mirror, store) = (Server::start(), Server::start(), Store::new());
    let root = store.image("amd64", &[&noise(2000, 3)]);
    let push = Push { tags: vec!["t".into()], ..Push::default() };
    client().push(&store.blobs, &root, &server.repository("a"), &push).unwrap();
    // The mirror has the image below a prefix, but not the layer.
    client().push(&store.blobs, &root, &mirror.repository("cache/a"), &push).unwrap();
    mirror.state().blobs.retain(|_, bytes| bytes.len() != 2000);
    server.take_log();
    // Port 1 answers nobody.
    let (mut config, events) = recording();
    let mirrors = vec!["127.0.0.1:1".to_owned(), format!("{}/cache", mirror.host)];
    config.mirrors = [(server.host.clone(), mirrors)].into();
    let target = Store::new();
    let reference = server.repository("a").tagged("t").unwrap();
    Client::new(config).unwrap().pull(&reference, &[], &target.blobs).unwrap();
    assert!(target.contents() == store.contents());
    let layer = oci::digest::sha256(&noise(2000, 3));
    assert_eq!(server.take_log(), [format!("GET /v2/a/blobs/{layer}")]);
    let events = events.lock().unwrap();
    let failures: Vec<&String> = events.iter().filter(|e| e.starts_with("MirrorFailed")).collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].contains("127.0.0.1:1") && failures[1].contains("HTTP 404"), "{failures:?}");
}

#[test]
fn a_registry_that_asks_to_wait_is_waited_for_within_reason() {
    let check = |after: &str, expect: Option<&str>| {
        let (server, blob) = blob_with(Fault::Answer(429, vec![("retry-after", after.into())], ""), 1);
        let (store, start) = (Store::new(), Instant::now());
        let result = client().fetch_blob(&server.repository("a"), &blob, &store.blobs);
        match expect {
            None => result.unwrap(),
            Some(expect) => assert!(result.unwrap_err().to_string().contains(expect)),
        }
        start.elapsed()
    };
    assert!(check("1", None) >= Duration::from_secs(1));
    check("Sun, 06 Nov 1994 08:49:37 GMT", None);
    check("3600", Some("HTTP 429; the registry asks to wait 3600 s"));
}

#[test]
fn a_raised_flag_stops_everything() {
    let check =
        |fault: Option<Fault>,
         work: &dyn Fn(&Client, &Server, &Store, &Descriptor) -> registry::Result<()>| {
            let (server, blob) =
                blob_with(fault.clone().unwrap_or(Fault::CutBefore), if fault.is_some() { 9 } else { 0 });
            let (mut config, store) = (config(), Store::new());
            let cancel = std::sync::Arc::clone(&config.cancel);
            // Raised while the client waits for another attempt, or moves the first bytes.
            config.on_event = std::sync::Arc::new(move |_| cancel.store(true, Ordering::Relaxed));
            let start = Instant::now();
            let error = work(&Client::new(config).unwrap(), &server, &store, &blob).unwrap_err();
            assert!(matches!(error, Error::Cancelled) && start.elapsed() < Duration::from_secs(4), "{error}");
            store.assert_clean();
        };
    let fetch = |client: &Client, server: &Server, store: &Store, blob: &Descriptor| {
        client.fetch_blob(&server.repository("a"), blob, &store.blobs)
    };
    check(Some(Fault::Answer(429, vec![("retry-after", "5".into())], "")), &fetch);
    check(None, &fetch);
    check(None, &|client, server, store, _| {
        let root = store.image("amd64", &[&noise(300_000, 9)]);
        client.push(&store.blobs, &root, &server.repository("b"), &Push::default())
    });
}

#[test]
fn plain_http_is_not_spoken_to_others() {
    let server = Server::start();
    let elsewhere = "http://registry.example/v2/";
    server.on(move |_, _| Some(Fault::Answer(307, vec![("location", elsewhere.into())], "")));
    let error = client().resolve(&server.repository("a").tagged("t").unwrap()).unwrap_err().to_string();
    assert!(error.contains("`registry.example` in plain HTTP"), "{error}");
}

#[test]
fn redirects_end() {
    let server = Server::start();
    server.on(|_, _| Some(Fault::Answer(302, vec![("location", "/again".into())], "")));
    let error = client().resolve(&server.repository("a").tagged("t").unwrap()).unwrap_err().to_string();
    assert!(error.contains("more than 5 redirects"), "{error}");
}
