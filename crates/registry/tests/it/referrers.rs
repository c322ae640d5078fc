//! Lists of referrers: the registry's own, and the fallback index that several writers change at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci_spec::image::Descriptor;
use registry::{Client, Push, Repository};
use serde_json::json;

use crate::{Store, client};
use registry_testing::{Fault, Server};

const SBOM: &str = "application/spdx+json";
const SIGNATURE: &str = "application/vnd.example.signature";

fn push(store: &Store, root: &Descriptor, to: &Repository) {
    client().push(&store.blobs, root, to, &Push::default()).unwrap();
}

fn digests(list: &[Descriptor]) -> Vec<String> {
    let mut digests: Vec<String> = list.iter().map(|d| d.digest().to_string()).collect();
    digests.sort();
    digests
}

#[test]
fn referrers_are_listed_with_and_without_the_api() {
    for (api, page) in [(true, None), (true, Some(1)), (false, None)] {
        let (server, store) = (Server::start(), Store::new());
        server.state().referrers_api = api;
        server.state().page = page;
        let to = server.repository("a");
        let image = store.image("amd64", &[b"x"]);
        push(&store, &image, &to);
        let list = |artifact_type| client().referrers(&to, image.digest(), artifact_type).unwrap();
        assert!(list(None).is_empty());
        let all = [
            store.artifact(&image, SBOM, "one"),
            store.artifact(&image, SIGNATURE, "two"),
            store.artifact(&image, SIGNATURE, "three"),
        ];
        all.iter().for_each(|artifact| push(&store, artifact, &to));
        assert_eq!(digests(&list(None)), digests(&all), "{api}");
        assert_eq!(digests(&list(Some(SIGNATURE))), digests(&all[1..]));
        let sbom = &list(Some(SBOM))[0];
        assert_eq!(sbom.artifact_type().as_ref().unwrap().as_ref(), SBOM);
        assert_eq!(sbom.annotations().as_ref().unwrap()["note"], "one");
        // A second push changes nothing.
        server.take_log();
        push(&store, &all[0], &to);
        assert!(server.take_log().iter().all(|l| l.starts_with("HEAD") || l.starts_with("GET")));
        client().delete(&to.at(all[0].digest())).unwrap();
        assert_eq!(digests(&list(None)), digests(&all[1..]));
        let fallback = format!("sha256-{}", image.digest().digest());
        assert_eq!(server.state().tags.contains_key(&("a".into(), fallback)), !api);
    }
}

#[test]
fn an_artifact_that_was_pushed_but_not_listed_is_listed_by_the_next_push() {
    let (server, store) = (Server::start(), Store::new());
    let to = server.repository("a");
    let image = store.image("amd64", &[b"x"]);
    let artifact = store.artifact(&image, SBOM, "");
    push(&store, &artifact, &to);
    server.state().tags.clear();
    push(&store, &artifact, &to);
    assert_eq!(digests(&client().referrers(&to, image.digest(), None).unwrap()), digests(&[artifact]));
}

#[test]
fn answers_that_are_no_list_mean_that_there_is_no_api() {
    for (status, body) in [(200, "<html>hello</html>"), (400, ""), (405, ""), (501, "")] {
        let (server, store) = (Server::start(), Store::new());
        let to = server.repository("a");
        let image = store.image("amd64", &[b"x"]);
        server.on(move |_, r| {
            r.path
                .contains("/referrers/")
                .then(|| Fault::Answer(status, vec![("content-type", "text/html".into())], body))
        });
        let artifact = store.artifact(&image, SBOM, "");
        push(&store, &artifact, &to);
        assert_eq!(digests(&client().referrers(&to, image.digest(), None).unwrap()), digests(&[artifact]));
    }
}

#[test]
fn a_fallback_index_that_others_overwrite_is_written_again() {
    // After the n-th write, for the n in `overwritten`, another writer puts back what it had read before.
    let check = |overwritten: std::ops::Range<usize>, expect: Result<usize, &str>| {
        let (server, store) = (Arc::new(Server::start()), Store::new());
        let to = server.repository("a");
        let image = store.image("amd64", &[b"x"]);
        let (theirs, ours) = (store.artifact(&image, SBOM, "theirs"), store.artifact(&image, SBOM, "ours"));
        push(&store, &theirs, &to);
        let tag = ("a".to_owned(), format!("sha256-{}", image.digest().digest()));
        let before = server.state().tags[&tag].clone();
        let writes = Arc::new(AtomicUsize::new(0));
        let (seen, other) = (Arc::clone(&writes), Arc::clone(&server));
        server.on(move |_, r| {
            let is_index = r.path.contains(&tag.1);
            if is_index && r.method == "PUT" {
                seen.fetch_add(1, Ordering::SeqCst);
            } else if is_index && overwritten.contains(&seen.load(Ordering::SeqCst)) {
                other.state().tags.insert(tag.clone(), before.clone());
            }
            None
        });
        let result = client().push(&store.blobs, &ours, &to, &Push::default());
        server.on(|_, _| None);
        match expect {
            Ok(count) => {
                result.unwrap();
                assert_eq!(writes.load(Ordering::SeqCst), count);
                let listed = client().referrers(&to, image.digest(), None).unwrap();
                assert_eq!(digests(&listed), digests(&[theirs, ours]));
            }
            Err(expect) => assert!(result.unwrap_err().to_string().contains(expect)),
        }
    };
    check(0..0, Ok(1));
    check(1..2, Ok(2));
    check(1..4, Ok(4));
    check(1..99, Err("other writers have undone a change 10 times"));
}

#[test]
fn threads_of_one_client_do_not_lose_each_others_referrers() {
    let (server, store) = (Server::start(), Store::new());
    let to = server.repository("a");
    let image = store.image("amd64", &[b"x"]);
    let all: Vec<Descriptor> = (0..8).map(|i| store.artifact(&image, SBOM, &i.to_string())).collect();
    let client = client();
    std::thread::scope(|scope| {
        for artifact in &all {
            let (client, store, to): (&Client, _, _) = (&client, &store, &to);
            scope.spawn(move || client.push(&store.blobs, artifact, to, &Push::default()).unwrap());
        }
    });
    assert_eq!(digests(&client.referrers(&to, image.digest(), None).unwrap()), digests(&all));
}

#[test]
fn what_others_wrote_into_a_fallback_index_is_kept() {
    let (server, store) = (Server::start(), Store::new());
    let to = server.repository("a");
    let image = store.image("amd64", &[b"x"]);
    push(&store, &image, &to);
    let tag = format!("sha256-{}", image.digest().digest());
    let index = store.put_json(
        "application/vnd.oci.image.index.v1+json".into(),
        &json!({"schemaVersion": 2, "manifests": [image], "annotations": {"by": "another"}}),
    );
    client().push(&store.blobs, &index, &to, &Push { tags: vec![tag.clone()], ..Push::default() }).unwrap();
    push(&store, &store.artifact(&image, SBOM, ""), &to);
    let digest = server.state().tags[&("a".into(), tag)].clone();
    let (_, bytes) = server.state().manifests[&("a".into(), digest)].clone();
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        (&document["annotations"]["by"], document["manifests"].as_array().unwrap().len()),
        (&json!("another"), 2)
    );
}
