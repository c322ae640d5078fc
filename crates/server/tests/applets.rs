//! One binary with many names: each answers for itself.

mod common;

use std::os::unix::process::CommandExt as _;

const APPLETS: [&str; 6] = ["serve", "entrypoint", "initdb", "ready", "healthcheck", "config"];

/// What the binary prints under the name `called`.
fn call(called: &str, args: &[&str]) -> String {
    let output = common::scratchbird().arg0(called).args(args).output().unwrap();
    assert!(output.status.success(), "{called} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_applet_tells_what_it_is_by_name_and_by_argument() {
    for applet in APPLETS {
        for text in [
            call("scratchbird", &[applet, "--help"]),
            call(applet, &["--help"]),
            call(&format!("/usr/local/bin/scratchbird-{applet}"), &["--help"]),
        ] {
            assert!(
                text.starts_with(&format!("{applet}: ")) && text.contains("usage: scratchbird"),
                "{text}"
            );
        }
        assert!(call(applet, &["--version"]).starts_with(&format!("{applet} (scratchbird) ")));
    }
    for client in ["psql", "sql", "createdb", "dropdb"] {
        assert!(call(client, &["--help"]).starts_with("usage: "), "{client}");
        assert!(call(client, &["--version"]).contains(env!("CARGO_PKG_VERSION")), "{client}");
    }
    assert!(call("scratchbird", &["--version"]).starts_with("scratchbird "));
    let help = call("scratchbird", &["--help"]);
    assert!(APPLETS.iter().all(|applet| help.contains(applet)), "{help}");
}
