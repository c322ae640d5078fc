//! What an image can be told off for without any database: its user, its modes, secrets in it, leftovers of a package
//! manager, licences.

use oci::contents::{Item, Kind};
use oci_spec::image::ImageConfiguration;

use crate::finding::{Finding, Severity};
use crate::inventory::Inventory;
use crate::{licence, policy};

/// Files larger than this are no text that holds a secret, in bytes.
pub const MAX_TEXT: u64 = 1 << 20;

fn finding(severity: Severity, rule: &str, place: impl Into<String>, message: impl Into<String>) -> Finding {
    Finding { severity, rule: rule.into(), place: place.into(), message: message.into(), tool: "native" }
}

/// The configuration: user, environment, history. `secret` tells by which word a text looks like a secret.
pub fn config(config: &ImageConfiguration, secret: fn(&str) -> Option<&'static str>) -> Vec<Finding> {
    let mut found = Vec::new();
    let settings = config.config().clone().unwrap_or_default();
    if let Err(reason) = policy::user(settings.user().as_deref().unwrap_or_default()) {
        found.push(finding(Severity::High, "root-user", "config/User", reason));
    }
    for variable in settings.env().iter().flatten() {
        let name = variable.split('=').next().unwrap_or_default();
        if let Some(word) = secret(variable) {
            let message =
                format!("its name has {word} in it, and everybody who can pull the image can read it");
            found.push(finding(Severity::Critical, "secret-in-env", format!("config/Env/{name}"), message));
        }
    }
    for (number, entry) in config.history().iter().flatten().enumerate() {
        let text = entry.created_by().as_deref().unwrap_or_default();
        let assigned = text.split_whitespace().find(|w| w.contains('=') && secret(w).is_some());
        if let Some(word) = assigned {
            let name = word.split('=').next().unwrap_or_default();
            let message = format!("a build step sets {name}, which stays readable in the history");
            found.push(finding(
                Severity::Critical,
                "secret-in-history",
                format!("config/History/{number}"),
                message,
            ));
        }
        if let Some(kind) = secret_text(text) {
            let message = format!("a build step shows {kind}");
            found.push(finding(
                Severity::Critical,
                "secret-in-history",
                format!("config/History/{number}"),
                message,
            ));
        }
    }
    found
}

/// One entry of a layer: its mode and place. Each layer counts, since what an upper one hides can still be pulled.
pub fn entry(item: &Item) -> Vec<Finding> {
    let mut found = Vec::new();
    let place = format!("/{}", item.path);
    let is_link = matches!(item.kind, Kind::Symlink(_) | Kind::HardLink(_) | Kind::Whiteout(_));
    if !is_link {
        if item.kind == Kind::File && item.mode & 0o6000 != 0 {
            let what = if item.mode & 0o4000 != 0 { "setuid" } else { "setgid" };
            let message = format!(
                "is {what} ({:04o}, owner {}): whoever runs it becomes another",
                item.mode, item.owner.uid
            );
            found.push(finding(Severity::Medium, what, &place, message));
        }
        let is_sticky_dir = item.kind == Kind::Dir && item.mode & 0o1000 != 0;
        if item.mode & 0o002 != 0 && !is_sticky_dir && item.kind != Kind::Other {
            let message = format!("everybody may write it ({:04o})", item.mode);
            found.push(finding(Severity::High, "world-writable", &place, message));
        }
    }
    let caches = [
        "var/cache/apk/",
        "var/cache/apt/archives/",
        "var/lib/apt/lists/",
        "root/.cache/",
        "root/.cargo/registry/",
    ];
    let kept = item.path.ends_with("/lock") || item.path.contains("/partial") || item.size == 0;
    if item.kind == Kind::File && !kept && caches.iter().any(|c| item.path.starts_with(c)) {
        found.push(finding(Severity::Low, "package-cache", &place, "is left over from a package manager"));
    }
    let name = item.path.rsplit('/').next().unwrap_or_default();
    if item.kind == Kind::File
        && matches!(name, "id_rsa" | "id_ed25519" | "id_ecdsa" | ".netrc" | ".npmrc" | ".pypirc")
    {
        found.push(finding(
            Severity::High,
            "secret-file",
            &place,
            "is a file that holds credentials by its name",
        ));
    }
    found
}

/// The content of a file, where it is text.
pub fn text(path: &str, contents: &[u8]) -> Option<Finding> {
    let text = std::str::from_utf8(contents).ok().filter(|t| !t.contains('\0'))?;
    let kind = secret_text(text)?;
    Some(finding(Severity::Critical, "secret-in-file", format!("/{path}"), format!("holds {kind}")))
}

/// What kind of secret stands in `text`, if one does: by the shapes that their issuers gave them.
fn secret_text(text: &str) -> Option<&'static str> {
    // A key is more than its first line, which programs and documentation have too.
    let is_body = |c: char| c.is_ascii_alphanumeric() || "+/=\r\n".contains(c);
    for marker in text.match_indices("PRIVATE KEY-----") {
        let rest = &text[marker.0 + marker.1.len()..];
        let before = &text[..marker.0];
        let begins = before.rfind("-----BEGIN ").is_some_and(|at| !before[at..].contains('\n'));
        if begins && rest.chars().take_while(|c| is_body(*c)).count() >= 64 {
            return Some("a private key");
        }
    }
    let shapes: [(&str, usize, &'static str); 7] = [
        ("AKIA", 16, "an AWS access key"),
        ("ghp_", 36, "a GitHub token"),
        ("github_pat_", 60, "a GitHub token"),
        ("glpat-", 20, "a GitLab token"),
        ("xoxb-", 20, "a Slack token"),
        ("crates.io-token-", 20, "a crates.io token"),
        ("npm_", 36, "an npm token"),
    ];
    for (prefix, length, kind) in shapes {
        for (at, _) in text.match_indices(prefix) {
            let starts_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
            let rest = &text[at + prefix.len()..];
            let body: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
            let upper =
                prefix != "AKIA" || body.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
            let exact = prefix != "AKIA" || body.len() == length;
            if starts_word && body.len() >= length && upper && exact {
                return Some(kind);
            }
        }
    }
    None
}

/// The parts whose licences are refused.
pub fn licences(inventory: &Inventory, refused: &[String]) -> Vec<Finding> {
    let is_refused = |expression: &String| licence::is_acceptable(expression, refused) == Some(false);
    let of = |c: &crate::inventory::Component| {
        let expression = c.licence.as_ref().filter(|e| is_refused(e))?;
        Some(finding(
            Severity::High,
            "licence",
            &c.purl,
            format!("is under {expression}, which docker/policy.toml refuses"),
        ))
    };
    inventory.components.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::entry::Owner;

    fn rules(kind: Kind, path: &str, mode: u32) -> Vec<String> {
        let item = Item { path: path.into(), kind, mode, owner: Owner::ROOT, size: 9, mtime: 0 };
        entry(&item).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn modes_and_places() {
        let check = |kind: Kind, path: &str, mode: u32, expect: &[&str]| {
            assert_eq!(rules(kind, path, mode), expect, "{path} {mode:o}");
        };
        check(Kind::File, "usr/bin/x", 0o755, &[]);
        check(Kind::File, "usr/bin/su", 0o4755, &["setuid"]);
        check(Kind::File, "usr/bin/wall", 0o2755, &["setgid"]);
        check(Kind::Dir, "var/mail", 0o2775, &[]);
        check(Kind::Dir, "tmp", 0o1777, &[]);
        check(Kind::Dir, "open", 0o777, &["world-writable"]);
        check(Kind::File, "etc/x", 0o666, &["world-writable"]);
        check(Kind::Symlink("x".into()), "etc/x", 0o777, &[]);
        check(Kind::Other, "dev/null", 0o666, &[]);
        check(Kind::File, "var/cache/apk/APKINDEX.tar.gz", 0o644, &["package-cache"]);
        check(Kind::File, "var/cache/apt/archives/lock", 0o640, &[]);
        check(Kind::File, "root/id_rsa", 0o600, &["secret-file"]);
    }

    #[test]
    fn secrets_by_their_shape() {
        let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", "A".repeat(64));
        let check = |text: &str, expect: Option<&str>| assert_eq!(secret_text(text), expect, "{text}");
        check(&key, Some("a private key"));
        check("-----BEGIN PRIVATE KEY-----\nsee the manual", None);
        check("expected a PRIVATE KEY-----", None);
        check("AKIAABCDEFGHIJKLMNOP", Some("an AWS access key"));
        check("AKIAabcdefghijklmnop", None);
        check(&format!("token: ghp_{}", "a".repeat(36)), Some("a GitHub token"));
        check(&format!("xghp_{}", "a".repeat(36)), None);
        check("ghp_short", None);
        assert!(text("x", key.as_bytes()).is_some() && text("x", b"\xff\xfe").is_none());
    }

    #[test]
    fn the_configuration() {
        let check = |json: serde_json::Value, expect: &[&str]| {
            let parsed: ImageConfiguration = serde_json::from_value(json).unwrap();
            let word = |text: &str| text.contains("PASSWORD").then_some("PASSWORD");
            let found: Vec<String> = config(&parsed, word).into_iter().map(|f| f.rule).collect();
            assert_eq!(found, expect);
        };
        let image = |config: serde_json::Value, step: &str| {
            serde_json::json!({
                "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] },
                "config": config, "history": [{ "created_by": step }],
            })
        };
        check(image(serde_json::json!({ "User": "1000:1000" }), "x"), &[]);
        check(image(serde_json::json!({}), "x"), &["root-user"]);
        check(image(serde_json::json!({ "User": "1", "Env": ["PASSWORD=x"] }), "x"), &["secret-in-env"]);
        check(image(serde_json::json!({ "User": "1" }), "RUN PASSWORD=x make"), &["secret-in-history"]);
        check(image(serde_json::json!({ "User": "1" }), "RUN reset PASSWORD"), &[]);
    }
}
