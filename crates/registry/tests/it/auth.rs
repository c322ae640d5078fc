//! Who is told which secret, and what happens when a token is worth nothing any more.

use registry::{Client, Config, Push};
use serde_json::json;

use crate::{Store, config, credential_file, noise};
use registry_testing::{Auth, Fault, Server};

/// A server that wants tokens from its own realm, each good for `uses` requests.
fn bearer(uses: usize, expires_in: u64) -> Server {
    let server = Server::start();
    let realm = format!("http://{}/token", server.host);
    server.state().auth = Auth::Bearer { realm, uses, expires_in, left: Vec::new() };
    server
}

fn client_for(host: &str, entry: &serde_json::Value) -> (tempfile::TempDir, Client) {
    let dir = tempfile::tempdir().unwrap();
    let credential_files = vec![credential_file(dir.path(), host, entry)];
    let client = Client::new(Config { credential_files, ..config() }).unwrap();
    (dir, client)
}

fn round_trip(server: &Server, client: &Client) -> registry::Result<()> {
    let (store, target) = (Store::new(), Store::new());
    let (root, to) = (store.index(), server.repository("a"));
    client.push(&store.blobs, &root, &to, &Push { tags: vec!["t".into()], ..Push::default() })?;
    client.pull(&to.tagged("t").unwrap(), &[], &target.blobs)?;
    assert!(target.contents() == store.contents());
    Ok(())
}

/// How many tokens were given out.
fn issued(server: &Server) -> usize {
    match &server.state().auth {
        Auth::Bearer { left, .. } => left.len(),
        _ => 0,
    }
}

#[test]
fn tokens_and_passwords() {
    let (basic, identity) = (json!({"auth": "dTpw"}), json!({"auth": "dTpw", "identitytoken": "identity"}));
    let wrong = json!({"auth": "dTp3cm9uZw=="});
    let check = |server: Server, entry: &serde_json::Value, expect: Result<(), &str>| {
        let (_dir, client) = client_for(&server.host, entry);
        match (round_trip(&server, &client), expect) {
            (Ok(()), Ok(())) => {}
            (Err(e), Err(expect)) => assert!(e.to_string().contains(expect), "{e}"),
            (got, _) => panic!("{got:?}, not {expect:?}"),
        }
        server
    };
    assert!(issued(&check(bearer(1000, 300), &basic, Ok(()))) <= 2);
    // Each token is good for one request only, or said to expire at once.
    assert!(issued(&check(bearer(1, 300), &basic, Ok(()))) > 20);
    check(bearer(2, 300), &basic, Ok(()));
    assert!(issued(&check(bearer(1000, 0), &basic, Ok(()))) > 20);
    check(bearer(3, 300), &identity, Ok(()));
    check(bearer(3, 300), &wrong, Err("cannot get a token: HTTP 401, UNAUTHORIZED"));
    check(bearer(0, 300), &basic, Err("HTTP 401; to give credentials"));
    let with_password = || {
        let server = Server::start();
        server.state().auth = Auth::Basic("Basic dTpw");
        server
    };
    check(with_password(), &basic, Ok(()));
    check(with_password(), &wrong, Err("docker login 127.0.0.1"));
    check(with_password(), &json!({}), Err("HTTP 401"));
}

#[test]
fn a_token_is_asked_for_what_is_done_and_what_the_registry_wants() {
    let server = bearer(1000, 300);
    let (_dir, client) = client_for(&server.host, &json!({"auth": "dTpw"}));
    round_trip(&server, &client).unwrap();
    let tokens: Vec<String> = server
        .state()
        .requests
        .iter()
        .filter(|r| r.path.starts_with("/token"))
        .map(|r| r.path.clone())
        .collect();
    let with = |actions| {
        format!("/token?service=test&scope=repository%3Aa%3A{actions}&scope=repository%3Aextra%3Apull")
    };
    assert_eq!(tokens[0], with("pull%2Cpush"));
    assert!(tokens[1].starts_with("/token?service=test&scope=repository%3Aa%3Apull"), "{tokens:?}");
}

#[test]
fn authorization_never_goes_to_another_host() {
    for auth in ["bearer", "basic"] {
        let (server, elsewhere, store, target) =
            (bearer(1000, 300), Server::start(), Store::new(), Store::new());
        if auth == "basic" {
            server.state().auth = Auth::Basic("Basic dTpw");
        }
        let (_dir, client) = client_for(&server.host, &json!({"auth": "dTpw"}));
        let root = store.image("amd64", &[&noise(3000, 1)]);
        let to = server.repository("a");
        client.push(&store.blobs, &root, &to, &Push::default()).unwrap();
        // Blob downloads go to blob storage, and so do uploads.
        elsewhere.state().blobs = server.state().blobs.clone();
        let storage = elsewhere.host.clone();
        server.on(move |_, r| {
            let authorized = r.header("authorization").is_some();
            let location = || vec![("location", format!("http://{storage}{}", r.path))];
            match r.method.as_str() {
                "GET" if authorized && r.path.contains("/blobs/") => Some(Fault::Answer(307, location(), "")),
                "POST" if authorized && r.path.contains("/uploads/") => {
                    Some(Fault::Answer(202, location(), ""))
                }
                _ => None,
            }
        });
        client.pull(&to.at(root.digest()), &[], &target.blobs).unwrap();
        let other = store.image("arm64", &[&noise(3000, 2)]);
        client.push(&store.blobs, &other, &to, &Push::default()).unwrap_err();
        let asked = elsewhere.state();
        assert!(
            asked.requests.iter().any(|r| r.method == "GET")
                && asked.requests.iter().any(|r| r.method == "PUT")
        );
        assert!(asked.requests.iter().all(|r| r.header("authorization").is_none()));
        // Each request says who it comes from.
        assert!(
            asked
                .requests
                .iter()
                .all(|r| r.header("user-agent").unwrap().starts_with("scratchbird-registry/"))
        );
    }
}

#[test]
fn an_identity_token_is_not_sent_on() {
    let (server, elsewhere) = (bearer(9, 300), Server::start());
    let (_dir, client) = client_for(&server.host, &json!({"identitytoken": "identity"}));
    let location = format!("http://{}/token", elsewhere.host);
    server.on(move |_, r| {
        r.path.starts_with("/token").then(|| Fault::Answer(307, vec![("location", location.clone())], ""))
    });
    let error = round_trip(&server, &client).unwrap_err().to_string();
    assert!(error.contains("cannot get a token: HTTP 307 sends it on to another host"), "{error}");
    assert!(elsewhere.take_log().is_empty());
}

#[test]
fn a_realm_in_plain_http_elsewhere_gets_no_password() {
    let server = Server::start();
    let realm = "http://tokens.example/token".to_owned();
    server.state().auth = Auth::Bearer { realm, uses: 1, expires_in: 1, left: Vec::new() };
    let (_dir, client) = client_for(&server.host, &json!({"auth": "dTpw"}));
    let error = round_trip(&server, &client).unwrap_err().to_string();
    assert!(error.contains("`tokens.example` in plain HTTP"), "{error}");
}

#[test]
fn threads_share_tokens() {
    let server = bearer(1000, 300);
    let dir = tempfile::tempdir().unwrap();
    let credential_files = vec![credential_file(dir.path(), &server.host, &json!({"auth": "dTpw"}))];
    let client = Client::new(Config { credential_files, parallel: 4, ..config() }).unwrap();
    round_trip(&server, &client).unwrap();
    assert_eq!(issued(&server), 2, "one to pull and one to push");
}
