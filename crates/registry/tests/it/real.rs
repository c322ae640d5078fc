//! The client against Debian's `docker-registry` on a free port of this machine; skipped where it is not installed.

use std::fs;

use oci_spec::image::Descriptor;
use registry::{Client, Config, Push};
use registry_testing::real::Registry;
use serde_json::json;

use crate::{Store, client, config, credential_file, noise};

fn tagged(tags: &[&str]) -> Push {
    Push { tags: tags.iter().map(|t| (*t).to_owned()).collect(), mount_from: Vec::new() }
}

#[test]
fn an_image_goes_there_and_comes_back() {
    let Some(registry) = Registry::start("") else { return };
    let (store, to) = (Store::new(), registry.repository("org/app"));
    let root = store.index();
    for chunk_bytes in [None, Some(1000)] {
        let client = Client::new(Config { chunk_bytes, parallel: 4, ..config() }).unwrap();
        let to = if chunk_bytes.is_some() { registry.repository("org/pieces") } else { to.clone() };
        client.push(&store.blobs, &root, &to, &tagged(&["1.0.0", "latest"])).unwrap();
        let target = Store::new();
        let pulled = client.pull(&to.tagged("latest").unwrap(), &[], &target.blobs).unwrap();
        assert_eq!((pulled.root, pulled.manifests.len()), (root.clone(), 2));
        assert!(target.contents() == store.contents());
        assert_eq!(client.tags(&to).unwrap(), ["1.0.0", "latest"]);
    }
    let missing = client().resolve(&to.tagged("2").unwrap()).unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
    assert_eq!(client().tags(&registry.repository("nobody")).unwrap_err().status(), Some(404));
}

#[test]
fn blobs_are_mounted() {
    let Some(registry) = Registry::start("") else { return };
    let store = Store::new();
    let base = store.image("amd64", &[&noise(9000, 1)]);
    client().push(&store.blobs, &base, &registry.repository("base"), &tagged(&["3"])).unwrap();
    let root = store.image("amd64", &[&noise(9000, 1), b"own"]);
    // The base layer is not in the store any more: it can only be mounted.
    fs::remove_file(store.blobs.path(&oci::digest::sha256(&noise(9000, 1)))).unwrap();
    let push = Push { tags: vec!["1".into()], mount_from: vec![registry.repository("base")] };
    client().push(&store.blobs, &root, &registry.repository("app"), &push).unwrap();
    let target = Store::new();
    let reference = registry.repository("app").tagged("1").unwrap();
    client().pull(&reference, &[oci::platform::parse("linux/amd64").unwrap()], &target.blobs).unwrap();
    assert_eq!(target.contents().len(), 4);
}

#[test]
fn referrers_are_kept_in_the_fallback_index_and_deleted() {
    let Some(registry) = Registry::start("") else { return };
    let (store, to) = (Store::new(), registry.repository("app"));
    let image = store.image("amd64", &[b"x"]);
    client().push(&store.blobs, &image, &to, &tagged(&["1"])).unwrap();
    let all =
        [store.artifact(&image, "application/a", "one"), store.artifact(&image, "application/b", "two")];
    for artifact in &all {
        client().push(&store.blobs, artifact, &to, &Push::default()).unwrap();
    }
    let listed = |artifact_type| -> Vec<_> {
        let list = client().referrers(&to, image.digest(), artifact_type).unwrap();
        list.iter().map(Descriptor::digest).cloned().collect()
    };
    assert_eq!(listed(None), [all[0].digest().clone(), all[1].digest().clone()]);
    assert_eq!(listed(Some("application/b")), [all[1].digest().clone()]);
    client().delete(&to.at(all[0].digest())).unwrap();
    assert_eq!(listed(None), [all[1].digest().clone()]);
    client().delete(&to.at(image.digest())).unwrap();
    assert!(client().resolve(&to.at(image.digest())).unwrap_err().is_not_found());
}

#[test]
fn a_password_is_asked_for_and_given() {
    let Some(registry) = Registry::start("auth: {htpasswd: {realm: test, path: HTPASSWD}}") else { return };
    let (store, to) = (Store::new(), registry.repository("app"));
    let root = store.image("amd64", &[b"x"]);
    let refused = client().push(&store.blobs, &root, &to, &tagged(&["1"])).unwrap_err();
    assert_eq!(refused.status(), Some(401), "{refused}");
    let credential_files = vec![credential_file(registry.dir(), &registry.host, &json!({"auth": "dTpw"}))];
    let client = Client::new(Config { credential_files, ..config() }).unwrap();
    client.push(&store.blobs, &root, &to, &tagged(&["1"])).unwrap();
    assert_eq!(client.resolve(&to.tagged("1").unwrap()).unwrap(), root);
}
