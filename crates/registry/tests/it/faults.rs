//! One fault at every request in turn: push and pull come to the same end as without it.

use std::sync::atomic::{AtomicUsize, Ordering};

use registry::{Client, Config, Push};

use crate::{Store, client, config};
use registry_testing::{Fault, Server};

fn push_options() -> Push {
    Push { tags: vec!["1.0.0".into(), "latest".into()], mount_from: Vec::new() }
}

/// How many requests `work` makes, and that with `fault` at any one of them it ends the same way.
fn at_every_request(server: &Server, faults: &[Fault], reset: impl Fn(), work: impl Fn()) {
    reset();
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&count);
    server.on(move |_, _| {
        counter.fetch_add(1, Ordering::SeqCst);
        None
    });
    work();
    let total = count.load(Ordering::SeqCst);
    assert!(total > 3, "{total} requests");
    for fault in faults {
        for n in 0..total {
            reset();
            let (fault, seen) = (fault.clone(), AtomicUsize::new(0));
            server.on(move |_, _| (seen.fetch_add(1, Ordering::SeqCst) == n).then(|| fault.clone()));
            work();
        }
    }
}

fn every_fault() -> Vec<Fault> {
    vec![
        Fault::CutBefore,
        Fault::CutAfter,
        Fault::CutHeaders,
        Fault::CutBody(0),
        Fault::CutBody(17),
        Fault::Answer(503, Vec::new(), "busy"),
        Fault::Answer(429, vec![("retry-after", "0".into())], ""),
    ]
}

#[test]
fn a_push_survives_a_fault_at_every_request() {
    let mut all = every_fault();
    all.extend([0, 1, 1500].map(Fault::CutUpload));
    let some = vec![Fault::CutAfter, Fault::CutUpload(1500)];
    for (parallel, chunk_bytes, faults) in [(1, None, all), (1, Some(2000), some.clone()), (4, None, some)] {
        let (server, store) = (Server::start(), Store::new());
        let (root, to) = (store.index(), server.repository("a"));
        let client = || Client::new(Config { parallel, chunk_bytes, ..config() }).unwrap();
        client().push(&store.blobs, &root, &to, &push_options()).unwrap();
        let expected = server.state().content();
        let reset = || {
            let mut state = server.state();
            (state.blobs, state.manifests, state.tags) = Default::default();
        };
        at_every_request(&server, &faults, reset, || {
            client().push(&store.blobs, &root, &to, &push_options()).unwrap();
            assert!(server.state().content() == expected);
        });
    }
}

#[test]
fn a_pull_survives_a_fault_at_every_request() {
    for parallel in [1, 4] {
        let (server, store) = (Server::start(), Store::new());
        let (root, to) = (store.index(), server.repository("a"));
        client().push(&store.blobs, &root, &to, &push_options()).unwrap();
        let mut faults = every_fault();
        faults.extend([Fault::CutBody(2999), Fault::Truncate, Fault::Extend, Fault::Corrupt]);
        at_every_request(
            &server,
            &faults,
            || (),
            || {
                let (client, target) = (Client::new(Config { parallel, ..config() }).unwrap(), Store::new());
                let pulled = client.pull(&to.at(root.digest()), &[], &target.blobs).unwrap();
                assert_eq!((pulled.root, pulled.manifests.len()), (root.clone(), 2));
                assert!(target.contents() == store.contents());
                target.assert_clean();
            },
        );
    }
}

#[test]
fn an_interrupted_run_is_finished_by_the_next() {
    let (server, store) = (Server::start(), Store::new());
    let (root, to) = (store.index(), server.repository("a"));
    let impatient = || {
        let mut config = config();
        config.retry.attempts = 1;
        Client::new(config).unwrap()
    };
    // Every run gets one request further before the connection is gone for good.
    let run_until_done = |work: &dyn Fn(&Client) -> registry::Result<()>| {
        for allowed in 0..100 {
            let seen = AtomicUsize::new(0);
            server
                .on(move |_, _| (seen.fetch_add(1, Ordering::SeqCst) >= allowed).then_some(Fault::CutBefore));
            if work(&impatient()).is_ok() {
                return allowed;
            }
            let state = server.state();
            assert!(state.tags.is_empty() || state.manifests.len() == 3, "a tag before its image");
        }
        panic!("never done");
    };
    assert!(run_until_done(&|client| client.push(&store.blobs, &root, &to, &push_options())) > 3);
    let target = Store::new();
    let reference = to.tagged("latest").unwrap();
    run_until_done(&|client| client.pull(&reference, &[], &target.blobs).map(drop));
    assert!(target.contents() == store.contents());
}
