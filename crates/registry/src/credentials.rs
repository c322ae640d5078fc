//! Who the user is: Docker's `config.json`, Podman's `auth.json`, and the helper programs that they name.
//!
//! What the configuration itself says comes first. Then, for one repository, in each file in order:
//! 1. the helper that `credHelpers` names for the registry;
//! 2. the helper that `credsStore` names for all;
//! 3. the entry of `auths` that fits best: `quay.io/org/app`, `quay.io/org`, `quay.io`.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::config::{Config, Event};
use crate::error::{Error, Result};
use crate::reference::{Repository, canonical_registry};

/// What proves who the user is. Has no `Debug`: it must not get into a log.
#[derive(Clone)]
pub(crate) enum Credential {
    /// A name and a password or access token.
    Basic { user: String, secret: String },
    /// An OAuth 2 refresh token, to be exchanged for access tokens.
    Identity(String),
    /// A ready access token.
    Access(String),
}

impl Credential {
    /// The value of an `Authorization` header of the Basic scheme.
    pub(crate) fn basic(&self) -> Option<String> {
        match self {
            Credential::Basic { user, secret } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))))
            }
            _ => None,
        }
    }
}

/// The credential for `repository`, if the configured files have one.
pub(crate) fn find(config: &Config, repository: &Repository) -> Result<Option<Credential>> {
    if let Some((user, secret)) = config.logins.get(repository.registry()) {
        return Ok(Some(Credential::Basic { user: user.clone(), secret: secret.clone() }));
    }
    for path in &config.credential_files {
        let Some(file) = read(path)? else { continue };
        let registry = repository.registry();
        let helper =
            file.cred_helpers.iter().find(|(key, _)| normalised(key) == registry).map(|(_, name)| name);
        for name in helper.into_iter().chain(&file.creds_store) {
            if let Some(credential) = ask_helper(config, name, registry) {
                return Ok(Some(credential));
            }
        }
        if let Some(entry) = best_entry(&file.auths, repository) {
            return entry.credential(path).map(Some);
        }
    }
    Ok(None)
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CredentialFile {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Entry {
    fn is_empty(&self) -> bool {
        [&self.auth, &self.username, &self.identitytoken, &self.registrytoken].iter().all(|s| s.is_empty())
    }

    fn credential(&self, path: &Path) -> Result<Credential> {
        if !self.identitytoken.is_empty() {
            return Ok(Credential::Identity(self.identitytoken.clone()));
        }
        if !self.registrytoken.is_empty() {
            return Ok(Credential::Access(self.registrytoken.clone()));
        }
        if self.auth.is_empty() {
            return Ok(Credential::Basic { user: self.username.clone(), secret: self.password.clone() });
        }
        let pair = STANDARD.decode(self.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            // Docker has written a trailing zero byte there.
            Some((user, secret)) => {
                Ok(Credential::Basic { user: user.into(), secret: secret.trim_end_matches('\0').into() })
            }
            None => Err(Error::File {
                path: path.into(),
                problem: "an `auth` is not the base64 of `user:password`".into(),
            }),
        }
    }
}

fn read(path: &Path) -> Result<Option<CredentialFile>> {
    let fail = |problem: String| Error::File { path: path.into(), problem };
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(file) => Ok(Some(file)),
            // serde's own message could quote a secret.
            Err(e) => Err(fail(format!("not a credential file, line {} column {}", e.line(), e.column()))),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fail(format!("cannot be read: {e}"))),
    }
}

/// The entry whose key is the longest prefix of the repository, ending at a slash.
fn best_entry<'a>(auths: &'a HashMap<String, Entry>, repository: &Repository) -> Option<&'a Entry> {
    let full = repository.to_string();
    auths
        .iter()
        .filter(|(_, entry)| !entry.is_empty())
        .map(|(key, entry)| (normalised(key), entry))
        .filter(|(key, _)| {
            full.strip_prefix(key).is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
        })
        .max_by_key(|(key, _)| key.len())
        .map(|(_, entry)| entry)
}

/// A key of `auths` or `credHelpers` as it would stand in a reference: no scheme, no API version, one name for
/// Docker Hub.
fn normalised(key: &str) -> String {
    let key =
        key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key).trim_end_matches('/');
    let key = key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key);
    match key.split_once('/') {
        Some((host, rest)) => format!("{}/{rest}", canonical_registry(host)),
        None => canonical_registry(key).into(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Runs `docker-credential-NAME get` as Docker does: the registry on its standard input, JSON on its output.
fn ask_helper(config: &Config, name: &str, registry: &str) -> Option<Credential> {
    let program = format!("docker-credential-{name}");
    let server = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
    match run_helper(config, &program, server) {
        Ok(answer) => answer.map(|a| match a.username.as_str() {
            "<token>" => Credential::Identity(a.secret),
            _ => Credential::Basic { user: a.username, secret: a.secret },
        }),
        Err(problem) => {
            (config.on_event)(&Event::HelperFailed { program: &program, problem });
            None
        }
    }
}

fn run_helper(
    config: &Config,
    program: &str,
    server: &str,
) -> std::result::Result<Option<HelperAnswer>, String> {
    let mut child = Command::new(program)
        .arg("get")
        .env_clear()
        .envs(config.helper_environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("cannot be started: {e}"))?;
    // A helper that does not read its input fails by itself; its answer says more than a broken pipe.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(server.as_bytes()));
    let output = child.wait_with_output().map_err(|e| format!("cannot be read: {e}"))?;
    if output.status.success() {
        return match serde_json::from_slice(&output.stdout) {
            Ok(answer) => Ok(Some(answer)),
            Err(_) => Err("its output is not the JSON of a credential".into()),
        };
    }
    let said = String::from_utf8_lossy(&output.stdout);
    match said.contains("credentials not found") {
        true => Ok(None),
        false => Err(format!("{}: {}", output.status, said.lines().next().unwrap_or("no output"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, repository: &str) -> Result<Option<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, json).unwrap();
        let config = Config { credential_files: vec![dir.path().join("missing"), path], ..Config::default() };
        let credential = find(&config, &Repository::parse(repository).unwrap())?;
        Ok(credential.map(|c| match c {
            Credential::Basic { user, secret } => format!("{user}:{secret}"),
            Credential::Identity(token) => format!("identity {token}"),
            Credential::Access(token) => format!("access {token}"),
        }))
    }

    #[test]
    fn files() {
        let check = |json: &str, repository: &str, expect: Option<&str>| {
            assert_eq!(found(json, repository).unwrap().as_deref(), expect, "{repository} in {json}");
        };
        let hub = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}}}"#;
        check(hub, "alpine", Some("u:p"));
        check(hub, "ghcr.io/a/b", None);
        let spaces = r#"{"auths": {
            "quay.io": {"auth": "aG9zdDpw"}, "quay.io/org": {"auth": "b3JnOnA="}, "quay.io/org/app": {"auth": "YXBwOnA="}}}"#;
        check(spaces, "quay.io/org/app", Some("app:p"));
        check(spaces, "quay.io/org/application", Some("org:p"));
        check(spaces, "quay.io/other", Some("host:p"));
        check(r#"{"auths": {"a.io": {"username": "u", "password": "p:q"}}}"#, "a.io/b", Some("u:p:q"));
        check(r#"{"auths": {"a.io": {"auth": "dTo=", "identitytoken": "t"}}}"#, "a.io/b", Some("identity t"));
        check(r#"{"auths": {"a.io": {"registrytoken": "t"}}}"#, "a.io/b", Some("access t"));
        check(
            r#"{"auths": {"http://localhost:5000/v2/": {"auth": "dTpw"}}}"#,
            "localhost:5000/b",
            Some("u:p"),
        );
        check(r#"{"auths": {"a.io": {}}, "HttpHeaders": {"X": "y"}}"#, "a.io/b", None);
        check("{}", "a.io/b", None);
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        for json in [r#"{"auths": {"a.io": {"auth": "s3cret!"}}}"#, r#"{"auths": {"a.io": "s3cret"}}"#] {
            let message = found(json, "a.io/b").unwrap_err().to_string();
            assert!(message.contains("config.json") && !message.contains("s3cret"), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn helpers() {
        use std::os::unix::fs::PermissionsExt as _;
        use std::sync::{Arc, Mutex};

        let dir = tempfile::tempdir().unwrap();
        let helper = |name: &str, script: &str| {
            let path = dir.path().join(format!("docker-credential-{name}"));
            fs::write(&path, format!("#!/bin/sh\nread -r server\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        helper(
            "good",
            r#"echo "{\"ServerURL\": \"$server\", \"Username\": \"$USER_NAME\", \"Secret\": \"$server\"}""#,
        );
        helper("token", r#"echo '{"ServerURL": "", "Username": "<token>", "Secret": "refresh"}'"#);
        helper("none", "echo 'credentials not found in native keychain'; exit 1");
        helper("bad", "echo 'the keychain is locked'; exit 3");
        let check = |json: &str, repository: &str, expect: Option<&str>, failed: &str| {
            let path = dir.path().join("config.json");
            fs::write(&path, json).unwrap();
            let failures = Arc::new(Mutex::new(String::new()));
            let log = Arc::clone(&failures);
            let config = Config {
                credential_files: vec![path],
                helper_environment: vec![
                    ("PATH".into(), dir.path().into()),
                    ("USER_NAME".into(), "me".into()),
                ],
                on_event: Arc::new(move |event| {
                    if let Event::HelperFailed { program, problem } = event {
                        *log.lock().unwrap() += &format!("{program}: {problem}");
                    }
                }),
                ..Config::default()
            };
            let got = find(&config, &Repository::parse(repository).unwrap()).unwrap().map(|c| match c {
                Credential::Basic { user, secret } => format!("{user}:{secret}"),
                Credential::Identity(token) | Credential::Access(token) => token,
            });
            assert_eq!(got.as_deref(), expect, "{json}");
            assert!(failures.lock().unwrap().contains(failed), "{}", failures.lock().unwrap());
        };
        check(r#"{"credsStore": "good"}"#, "alpine", Some("me:https://index.docker.io/v1/"), "");
        check(
            r#"{"credHelpers": {"a.io:1": "good"}, "credsStore": "token"}"#,
            "a.io:1/b",
            Some("me:a.io:1"),
            "",
        );
        check(r#"{"credHelpers": {"a.io": "good"}, "credsStore": "token"}"#, "b.io/b", Some("refresh"), "");
        check(r#"{"credsStore": "none", "auths": {"a.io": {"auth": "dTpw"}}}"#, "a.io/b", Some("u:p"), "");
        check(
            r#"{"credsStore": "bad"}"#,
            "a.io/b",
            None,
            "docker-credential-bad: exit status: 3: the keychain is locked",
        );
        check(r#"{"credsStore": "absent"}"#, "a.io/b", None, "cannot be started");
    }
}
