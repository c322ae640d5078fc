//! TLS and the access rules, at the start and after a reload.

mod common;

use common::{Node, certificate, outcome, run, scratchbird, state, until};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

fn with(node: &Node, settings: &[&str]) -> Command {
    let mut command = node.command();
    for setting in settings {
        command.args(["-c", &setting.replace("DIR", &node.directory.path().display().to_string())]);
    }
    command
}

fn launch(node: &mut Node, settings: &[&str]) {
    node.child = Some(with(node, settings).stderr(std::process::Stdio::inherit()).spawn().unwrap());
    until("the server to accept connections", || node.ready());
}

const SSL: &[&str] = &["ssl=on", "ssl_cert_file=DIR/server.crt", "ssl_key_file=DIR/server.key"];

/// Asks for TLS and gives back the first answer, or what the handshake said.
fn handshake(node: &Node, trusted: &CertificateDer<'static>) -> Result<Vec<u8>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client =
        ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut socket = TcpStream::connect(("127.0.0.1", node.port)).unwrap();
    socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
    let mut tls = rustls::Stream::new(&mut client, &mut socket);
    let parameters = b"\0\x03\0\0user\0scratchbird\0\0";
    let length = u32::try_from(parameters.len() + 4).unwrap().to_be_bytes();
    tls.write_all(&[&length[..], parameters].concat()).map_err(|error| error.to_string())?;
    let mut first = vec![0; 24];
    tls.read_exact(&mut first).map_err(|error| error.to_string())?;
    Ok(first)
}

#[test]
fn tls_works_and_a_new_certificate_is_taken_up() {
    let mut node = Node::new(&[]);
    let first = certificate(&node, "server");
    launch(&mut node, SSL);
    let answer = handshake(&node, &first).unwrap();
    assert!(answer.starts_with(b"R") && answer.ends_with(b"SCRAM-SHA-256\0\0"), "{answer:?}");
    let dbname =
        format!("host=127.0.0.1 port={} user=scratchbird dbname=scratchbird sslmode=require", node.port);
    let psql = |sql: &str| {
        let mut command = Command::new("psql");
        command.args(["-XAtqd", &dbname, "-c", sql]).env("PGPASSWORD", common::PASSWORD).output()
    };
    if let Ok(output) = psql("SELECT repeat('x', 200000)") {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.stdout.len(), text), (200_001, String::new()));
    } else {
        eprintln!("skipped: no psql");
    }
    // Who doesn't ask gets plain text, here without a rule against it.
    run(async { assert_eq!(state(&node.connect().await, "SELECT 1").await, "00000") });
    let second = certificate(&node, "server");
    node.signal("-HUP");
    until("the new certificate", || handshake(&node, &second).is_ok());
    assert!(handshake(&node, &first).is_err());
    // A broken file changes nothing.
    fs::write(node.directory.path().join("server.crt"), "broken").unwrap();
    node.signal("-HUP");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert!(handshake(&node, &second).is_ok());
    // Bytes before the handshake are nobody's: they end the connection instead of counting as the client's.
    let mut socket = TcpStream::connect(("127.0.0.1", node.port)).unwrap();
    socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 9, 0, 3, 0, 0, 0]).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("unencrypted data after SSL request"), "{answer:?}");
    node.signal("-TERM");
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn wrong_files_stop_the_start() {
    let check = |prepare: &dyn Fn(&Node), settings: &[&str], words: &[&str]| {
        let node = Node::new(&[]);
        certificate(&node, "server");
        certificate(&node, "other");
        prepare(&node);
        let (code, text) = outcome(&mut with(&node, settings));
        assert_eq!(code, Some(1), "{text}");
        words.iter().for_each(|word| assert!(text.contains(word), "`{word}` is missing in: {text}"));
        assert!(!fs::exists(node.data()).unwrap(), "nothing is made before the files are read");
    };
    let put = |name: &'static str, text: &'static str| {
        move |node: &Node| fs::write(node.directory.path().join(name), text).unwrap()
    };
    let nothing = |_: &Node| {};
    check(&nothing, &SSL[..2], &["`ssl_key_file` is not set", "SCRATCHBIRD_SSL_KEY_FILE"]);
    check(&put("server.crt", "x"), SSL, &["`ssl_cert_file`", "server.crt", "no PEM certificate"]);
    check(&put("server.key", "x"), SSL, &["`ssl_key_file`", "server.key", "no unencrypted PEM private key"]);
    let other = ["ssl=on", "ssl_cert_file=DIR/other.crt", "ssl_key_file=DIR/server.key"];
    check(&nothing, &other, &["`ssl_key_file`", "doesn't go with certificate", "other.crt"]);
    let gone = ["ssl=on", "ssl_cert_file=DIR/gone.crt", "ssl_key_file=DIR/server.key"];
    check(&nothing, &gone, &["`ssl_cert_file`", "gone.crt", "No such file"]);
    let open = |node: &Node| {
        let key = node.directory.path().join("server.key");
        fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    };
    check(&open, SSL, &["`ssl_key_file`", "its mode is 0644", "chmod 600"]);
    check(&nothing, &["hba_file=DIR/hba"], &["`hba_file`", "hba` can't be read"]);
    check(
        &put("hba", "local all all trust\nhost all all peer\n"),
        &["hba_file=DIR/hba"],
        &["hba:2: ", "address `peer`"],
    );
    check(&put("hba", "\n"), &["hba_file=DIR/hba"], &["hba: there is no rule"]);
}

#[test]
fn rules_decide_who_comes_in() {
    let mut node = Node::new(&[]);
    certificate(&node, "server");
    let rules = |node: &Node, text: &str| fs::write(node.directory.path().join("hba"), text).unwrap();
    rules(
        &node,
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhost postgres all all scram-sha-256\n",
    );
    launch(&mut node, &[SSL, &["hba_file=DIR/hba"]].concat());
    let socket = node.directory.path().display().to_string();
    let sql = |node: &Node, host: &str, database: &str, password: &str| {
        let mut command = scratchbird();
        let port = node.port.to_string();
        command.args([
            "sql",
            "-wh",
            host,
            "-p",
            &port,
            "-U",
            "scratchbird",
            "-d",
            database,
            "-c",
            "SELECT 1",
        ]);
        outcome(command.env("PGPASSWORD", password).env("PGSSLMODE", "disable"))
    };
    assert_eq!(sql(&node, &socket, "scratchbird", "").0, Some(0), "local clients are trusted");
    assert_eq!(sql(&node, "127.0.0.1", "postgres", common::PASSWORD).0, Some(0));
    assert_eq!(sql(&node, "127.0.0.1", "postgres", "wrong").0, Some(2));
    let (code, text) = sql(&node, "127.0.0.1", "scratchbird", common::PASSWORD);
    let expect = "no pg_hba.conf entry for host \"127.0.0.1\", user \"scratchbird\", database \"scratchbird\", no encryption";
    assert!(code == Some(2) && text.contains(expect), "{text}");
    let tls =
        format!("host=127.0.0.1 port={} user=scratchbird dbname=scratchbird sslmode=require", node.port);
    if let Ok(output) = Command::new("psql")
        .args(["-Xd", &tls, "-c", "SELECT 1"])
        .env("PGPASSWORD", common::PASSWORD)
        .output()
    {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // Probes are answered whatever the rules say.
    assert!(node.ready());
    rules(&node, "local all all reject\nhost all all all scram-sha-256\n");
    node.signal("-HUP");
    until("the new rules", || sql(&node, "127.0.0.1", "scratchbird", common::PASSWORD).0 == Some(0));
    let (_, text) = sql(&node, &socket, "scratchbird", common::PASSWORD);
    assert!(text.contains("pg_hba.conf rejects connection for host \"[local]\""), "{text}");
    rules(&node, "nonsense\n");
    node.signal("-HUP");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(sql(&node, "127.0.0.1", "scratchbird", common::PASSWORD).0, Some(0), "the old rules stay");
    node.signal("-TERM");
    assert_eq!(node.wait().code(), Some(0));
}

#[test]
fn the_client_checks_the_server_as_much_as_it_is_asked_to() {
    let mut node = Node::new(&[]);
    certificate(&node, "server");
    certificate(&node, "other");
    launch(&mut node, SSL);
    let (port, directory) = (node.port.to_string(), node.directory.path().to_owned());
    let path = |name: &str| directory.join(name).display().to_string();
    let psql = |host: &str, mode: &str, root: &str| {
        let mut command = scratchbird();
        command.args(["psql", "-h", host, "-p", &port, "-U", "scratchbird", "-c", "SELECT 1"]);
        command.env("PGPASSWORD", common::PASSWORD).env("PGSSLMODE", mode).env("HOME", "/nonexistent");
        if !root.is_empty() {
            command.env("PGSSLROOTCERT", path(root));
        }
        command
    };
    let check = |host: &str, mode: &str, root: &str, expect: &str| {
        let (code, text) = outcome(&mut psql(host, mode, root));
        let good = if expect.is_empty() { code == Some(0) } else { code == Some(2) && text.contains(expect) };
        assert!(good, "{host} {mode} {root}: {code:?} {text}");
    };
    for mode in ["disable", "allow", "prefer", "require"] {
        check("127.0.0.1", mode, "", "");
    }
    check("localhost", "require", "server.crt", "");
    check("localhost", "require", "other.crt", "invalid peer certificate");
    check("localhost", "verify-ca", "server.crt", "");
    check("127.0.0.1", "verify-ca", "server.crt", "");
    check("localhost", "verify-ca", "other.crt", "invalid peer certificate");
    check("localhost", "verify-ca", "", "root.crt\" can't be used");
    check("localhost", "verify-ca", "server.key", "can't be used");
    check("localhost", "verify-full", "server.crt", "");
    check("127.0.0.1", "verify-full", "server.crt", "not valid for name");
    // Under `hostssl` alone a client without TLS is kept out, and `allow` finds the way.
    fs::write(path("hba"), "hostssl all all all scram-sha-256\n").unwrap();
    node.signal("-TERM");
    node.wait();
    launch(&mut node, &[SSL, &["hba_file=DIR/hba"]].concat());
    check("localhost", "disable", "", "no pg_hba.conf entry");
    check("localhost", "allow", "", "");
    check("localhost", "prefer", "", "");
    // Where the server has no TLS, only those connect that don't insist.
    node.signal("-TERM");
    node.wait();
    launch(&mut node, &[]);
    check("localhost", "prefer", "", "");
    check("localhost", "require", "", "server does not support SSL");
    check("localhost", "verify-full", "server.crt", "server does not support SSL");
}
