//! What a push sends and what it leaves out.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Client, Config, Error, Push};

use crate::{Store, client, config, noise, recording};
use registry_testing::{Fault, Server};

fn tagged(tags: &[&str]) -> Push {
    Push { tags: tags.iter().map(|t| (*t).to_owned()).collect(), mount_from: Vec::new() }
}

#[test]
fn an_unchanged_push_is_head_requests_only() {
    let (server, store) = (Server::start(), Store::new());
    let (root, to) = (store.index(), server.repository("a"));
    client().push(&store.blobs, &root, &to, &tagged(&["1", "latest"])).unwrap();
    server.take_log();
    client().push(&store.blobs, &root, &to, &tagged(&["1", "latest"])).unwrap();
    let log = server.take_log();
    assert!(log.len() == 5 && log.iter().all(|line| line.starts_with("HEAD ")), "{log:?}");
}

#[test]
fn tags_after_a_push_by_digest_come_from_the_store() {
    let (server, store) = (Server::start(), Store::new());
    let (root, to) = (store.index(), server.repository("a"));
    let tags = ["1".to_owned(), "latest".to_owned()];
    client().push(&store.blobs, &root, &to, &tagged(&[])).unwrap();
    server.take_log();
    client().push_tags(&store.blobs, &root, &to, &tags).unwrap();
    let changes: Vec<String> = server.take_log().into_iter().filter(|l| !l.starts_with("HEAD")).collect();
    assert!(changes.len() == 2 && changes[1].starts_with("PUT /v2/a/manifests/latest"), "{changes:?}");
    client().push_tags(&store.blobs, &root, &to, &tags).unwrap();
    let log = server.take_log();
    assert!(log.len() == 2 && log.iter().all(|line| line.starts_with("HEAD ")), "{log:?}");
    let error = client().push_tags(&store.blobs, &root, &to, &["a b".to_owned()]).unwrap_err();
    assert!(error.to_string().contains("not ` `") && server.take_log().is_empty(), "{error}");
}

#[test]
fn a_changed_layer_alone_is_sent_and_tags_come_last() {
    let (server, store) = (Server::start(), Store::new());
    let to = server.repository("a");
    let base = noise(2000, 1);
    client().push(&store.blobs, &store.image("amd64", &[&base, b"old"]), &to, &tagged(&[])).unwrap();
    server.take_log();
    let root = store.image("amd64", &[&base, b"new"]);
    client().push(&store.blobs, &root, &to, &tagged(&["1", "latest"])).unwrap();
    let changes: Vec<String> = server.take_log().into_iter().filter(|l| !l.starts_with("HEAD")).collect();
    let expect = [
        "POST /v2/a/blobs/uploads/",
        "PUT /v2/a/blobs/uploads/",
        "PUT /v2/a/manifests/sha256:",
        "PUT /v2/a/manifests/1",
        "PUT /v2/a/manifests/latest",
    ];
    assert!(
        changes.len() == 5 && changes.iter().zip(expect).all(|(got, e)| got.starts_with(e)),
        "{changes:?}"
    );
    assert_eq!(server.state().tags[&("a".into(), "latest".into())], root.digest().to_string());
}

#[test]
fn base_layers_are_mounted_or_uploaded_where_that_is_refused() {
    let (server, store) = (Server::start(), Store::new());
    let base = noise(2000, 1);
    client()
        .push(&store.blobs, &store.image("amd64", &[&base]), &server.repository("base"), &tagged(&[]))
        .unwrap();
    let root = store.image("amd64", &[&base, b"own"]);
    let check = |name: &str, mount_from: &[&str], refuse: bool, mounted: usize, sessions: usize| {
        server.state().refuse_mounts = refuse;
        server.take_log();
        let mount_from = mount_from.iter().map(|from| server.repository(from)).collect();
        let (config, events) = recording();
        let push = Push { tags: vec!["t".into()], mount_from };
        Client::new(config).unwrap().push(&store.blobs, &root, &server.repository(name), &push).unwrap();
        let log = server.take_log();
        assert_eq!(log.iter().filter(|l| l.starts_with("POST")).count(), sessions, "{log:?}");
        let events = events.lock().unwrap();
        assert_eq!(
            events.iter().filter(|e| e.contains("Mounted { from: \"base\" }")).count(),
            mounted,
            "{events:?}"
        );
        let all = server.state().blobs.keys().filter(|(repository, _)| repository == name).count();
        assert_eq!(all, 3);
    };
    // The config and the base layer are in the base; the session that a refused mount opens is used.
    check("b", &["base"], false, 2, 3);
    check("c", &["base"], true, 0, 3);
    check("d", &["nothing", "base"], false, 2, 6);
    check("e", &[], false, 0, 3);
}

#[test]
fn a_forbidden_mount_is_an_upload() {
    let (server, store) = (Server::start(), Store::new());
    server.on(|_, r| r.path.contains("mount=").then(|| Fault::Answer(403, Vec::new(), "")));
    let push = Push { tags: Vec::new(), mount_from: vec![server.repository("base")] };
    client().push(&store.blobs, &store.image("amd64", &[b"x"]), &server.repository("a"), &push).unwrap();
    assert_eq!(server.state().blobs.len(), 2);
}

#[test]
fn uploads_go_on_where_they_were_cut() {
    let bytes = noise(500_000, 5);
    let check = |chunk: Option<u64>, min_chunk: Option<usize>, fault: Option<Fault>, expect: &[&str]| {
        let (server, store) = (Server::start(), Store::new());
        server.state().min_chunk = min_chunk;
        let root = store.image("amd64", &[&bytes]);
        let seen = AtomicUsize::new(0);
        let what = format!("{chunk:?} {min_chunk:?} {fault:?}");
        server.on(move |_, r| {
            let big = r.header("content-length").is_some_and(|n| n.len() >= 6);
            fault.clone().filter(|_| big && seen.fetch_add(1, Ordering::SeqCst) == 0)
        });
        let client = Client::new(Config { chunk_bytes: chunk, ..config() }).unwrap();
        client.push(&store.blobs, &root, &server.repository("a"), &tagged(&[])).unwrap();
        // Of each request that sent more than the small config: method, and where it began.
        let sent: Vec<String> = server
            .state()
            .requests
            .iter()
            .filter(|r| r.body.len() > 60 && r.path.contains("/blobs/"))
            .map(|r| format!("{} {} {}", r.method, r.header("content-range").unwrap_or("-"), r.body.len()))
            .collect();
        assert_eq!(sent, expect, "{what}");
        assert!(server.state().blobs.values().any(|stored| *stored == bytes));
    };
    check(None, None, None, &["PUT - 500000"]);
    check(
        Some(200_000),
        None,
        None,
        &["PATCH 0-199999 200000", "PATCH 200000-399999 200000", "PATCH 400000-499999 100000"],
    );
    check(Some(200_000), Some(300_000), None, &["PATCH 0-299999 300000", "PATCH 300000-499999 200000"]);
    check(None, None, Some(Fault::CutUpload(300_000)), &["PUT - 300000", "PATCH 300000-499999 200000"]);
    check(
        Some(400_000),
        None,
        Some(Fault::CutUpload(100_000)),
        &["PATCH 0-399999 100000", "PATCH 100000-499999 400000"],
    );
    // The answer was cut: the blob is there, nothing is sent again.
    check(None, None, Some(Fault::CutAfter), &["PUT - 500000"]);
    // The session is gone, the blob is not there: from the start.
    check(None, None, Some(Fault::Answer(404, Vec::new(), "")), &["PUT - 500000", "PUT - 500000"]);
}

#[test]
fn a_corrupt_local_blob_is_told_apart_from_a_bad_registry() {
    let (server, store) = (Server::start(), Store::new());
    let root = store.image("amd64", &[&noise(1000, 1)]);
    let layer = store.blobs.path(&oci::digest::sha256(&noise(1000, 1)));
    std::fs::remove_file(&layer).unwrap();
    let check = |content: &[u8], expect: &str| {
        std::fs::write(&layer, content).unwrap();
        let error = client().push(&store.blobs, &root, &server.repository("a"), &tagged(&["t"])).unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
        assert!(server.state().tags.is_empty() && server.state().manifests.is_empty());
    };
    check(&noise(1000, 2), "its content has the digest");
    check(&noise(999, 1), "shorter than its descriptor says");
    std::fs::write(&layer, noise(1000, 1)).unwrap();
    server.on(|_, r| {
        (r.method == "PUT")
            .then(|| Fault::Answer(400, Vec::new(), r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#))
    });
    check(&noise(1000, 1), "HTTP 400, DIGEST_INVALID");
}

#[test]
fn an_empty_blob_and_a_session_elsewhere() {
    let (server, store, other) = (Server::start(), Store::new(), Server::start());
    let root = store.image("amd64", &[b""]);
    client().push(&store.blobs, &root, &server.repository("a"), &tagged(&[])).unwrap();
    assert!(server.state().blobs.values().any(Vec::is_empty));
    // The registry hands uploads to another host: they go there.
    let location = format!("http://{}/v2/a/blobs/uploads/u0", other.host);
    server.on(move |_, r| {
        (r.method == "POST").then(|| Fault::Answer(202, vec![("location", location.clone())], ""))
    });
    let root = store.image("arm64", &[]);
    client().push(&store.blobs, &root, &server.repository("a"), &tagged(&[])).unwrap_err();
    assert!(other.take_log().iter().any(|line| line == "PUT /v2/a/blobs/uploads/u0"));
}

#[test]
fn tags_are_checked_before_anything_is_sent() {
    let (server, store) = (Server::start(), Store::new());
    let root = store.image("amd64", &[]);
    let error =
        client().push(&store.blobs, &root, &server.repository("a"), &tagged(&["ok", "not ok"])).unwrap_err();
    assert!(matches!(error, Error::Input { .. }) && server.take_log().is_empty());
}

#[test]
fn tags_are_moved_listed_and_deleted() {
    let (server, store) = (Server::start(), Store::new());
    let to = server.repository("a");
    let (old, new) = (store.image("amd64", &[b"old"]), store.image("amd64", &[b"new"]));
    client().push(&store.blobs, &old, &to, &tagged(&["a", "b", "c", "d", "e"])).unwrap();
    client().push(&store.blobs, &new, &to, &tagged(&[])).unwrap();
    client().tag(&to, new.digest(), &["b".into(), "c".into()]).unwrap();
    assert_eq!(client().resolve(&to.tagged("b").unwrap()).unwrap(), new);
    assert_eq!(client().resolve(&to.tagged("a").unwrap()).unwrap(), old);
    for page in [None, Some(1), Some(2), Some(5)] {
        server.state().page = page;
        assert_eq!(client().tags(&to).unwrap(), ["a", "b", "c", "d", "e"], "{page:?}");
    }
    client().delete(&to.tagged("a").unwrap()).unwrap();
    client().delete(&to.at(new.digest())).unwrap();
    client().delete(&to.at(new.digest())).unwrap();
    assert!(client().resolve(&to.at(new.digest())).unwrap_err().is_not_found());
    // A list that goes on for ever does not.
    let list = server.repository("a");
    server.on(|_, _| {
        Some(Fault::Answer(200, vec![("link", "<list>; rel=\"next\"".into())], r#"{"tags":["x"]}"#))
    });
    assert!(client().tags(&list).unwrap_err().to_string().contains("that page again"));
    server.on(|_, _| Some(Fault::Answer(200, Vec::new(), r#"{"name":"a","tags":null}"#)));
    assert!(client().tags(&list).unwrap().is_empty());
    server.on(|_, _| Some(Fault::Answer(200, Vec::new(), "<html>")));
    assert!(client().tags(&list).unwrap_err().to_string().contains("the list of tags is not one"));
}

#[test]
fn a_store_that_lacks_a_part_pushes_nothing() {
    let (server, store) = (Server::start(), Store::new());
    let root = store.index();
    let child = store.blobs.read(&root).unwrap();
    let child: oci_spec::image::ImageIndex = serde_json::from_slice(&child).unwrap();
    std::fs::remove_file(store.blobs.path(child.manifests()[0].digest())).unwrap();
    let error = client().push(&store.blobs, &root, &server.repository("a"), &tagged(&["t"])).unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    assert!(server.take_log().is_empty());
}
