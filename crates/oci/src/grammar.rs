//! What the image-spec demands of a single document, before anything is compared with other blobs: required fields,
//! their types, and the grammars of media types (RFC 6838), digests, URLs and base64 that no type of `oci-spec` checks.

use serde_json::{Map, Value};

/// The kinds of documents of the image-spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// "content descriptor".
    Descriptor,
    /// "image manifest".
    Manifest,
    /// "image index".
    Index,
    /// "image configuration".
    Config,
    /// "image layout", the file `oci-layout`.
    Layout,
}

/// What is wrong with the document, one line each, with the path of the field; nothing when it is valid.
pub fn problems(kind: Kind, bytes: &[u8]) -> Vec<String> {
    let mut check = Check::default();
    match serde_json::from_slice::<Value>(bytes) {
        Err(e) => check.problem("", format!("is no JSON: {e}")),
        Ok(Value::Object(object)) => check.document(kind, &object),
        Ok(_) => check.problem("", "is no JSON object"),
    }
    check.problems
}

/// RFC 6838 section 4.2: two names of up to 127 characters.
pub fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        name.len() <= 127
            && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, sub)| is_name(kind) && is_name(sub))
}

/// image-spec "descriptor", Digests: `algorithm:encoded`, with the rules of the registered algorithms.
pub fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else { return false };
    let is_component =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_hex = |length: usize| {
        encoded.len() == length && encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    algorithm.split(['+', '.', '_', '-']).all(is_component)
        && match algorithm {
            "sha256" => is_hex(64),
            "sha512" => is_hex(128),
            _ => {
                !encoded.is_empty()
                    && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b))
            }
        }
}

/// RFC 3986: a scheme, and no character that a URL can't have.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b))
}

/// RFC 4648 section 4, with padding.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

type Object = Map<String, Value>;

#[derive(Default)]
struct Check {
    problems: Vec<String>,
}

impl Check {
    fn problem(&mut self, at: &str, problem: impl std::fmt::Display) {
        let space = if at.is_empty() { "" } else { ": " };
        self.problems.push(format!("{at}{space}{problem}"));
    }

    fn document(&mut self, kind: Kind, object: &Object) {
        match kind {
            Kind::Descriptor => self.descriptor("", object),
            Kind::Manifest => {
                self.header(object, "application/vnd.oci.image.manifest.v1+json");
                self.descriptor_at("config", object, true);
                let layers = self.list("layers", object, true, Check::descriptor_value);
                if layers == Some(0) {
                    self.problem("layers", "must have at least one entry");
                }
                self.descriptor_at("subject", object, false);
            }
            Kind::Index => {
                self.header(object, "application/vnd.oci.image.index.v1+json");
                self.list("manifests", object, true, |check, at, value| {
                    check.descriptor_value(at, value);
                    if let Some(platform) = value.get("platform") {
                        check.platform(&format!("{at}.platform"), platform);
                    }
                });
                self.descriptor_at("subject", object, false);
            }
            Kind::Config => self.config(object),
            Kind::Layout => {
                if object.get("imageLayoutVersion").and_then(Value::as_str) != Some("1.0.0") {
                    self.problem("imageLayoutVersion", "must be `1.0.0`");
                }
            }
        }
    }

    /// What manifest and index share.
    fn header(&mut self, object: &Object, media_type: &str) {
        if object.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
            self.problem("schemaVersion", "must be 2");
        }
        if let Some(found) = object.get("mediaType")
            && found.as_str() != Some(media_type)
        {
            self.problem("mediaType", format_args!("is {found}, must be `{media_type}`"));
        }
        self.media_type("", "artifactType", object, false);
        self.texts("annotations", object.get("annotations"));
    }

    fn media_type(&mut self, at: &str, field: &str, object: &Object, required: bool) {
        match object.get(field) {
            None if required => self.problem(at, format_args!("missing field `{field}`")),
            None => {}
            Some(value) if value.as_str().is_some_and(is_media_type) => {}
            Some(value) => self.problem(at, format_args!("{field} {value} is no media type")),
        }
    }

    fn descriptor_value(&mut self, at: &str, value: &Value) {
        match value.as_object() {
            Some(object) => self.descriptor(at, object),
            None => self.problem(at, "is no descriptor"),
        }
    }

    fn descriptor_at(&mut self, field: &str, object: &Object, required: bool) {
        match object.get(field) {
            Some(value) => self.descriptor_value(field, value),
            None if required => self.problem(field, "is missing"),
            None => {}
        }
    }

    fn descriptor(&mut self, at: &str, object: &Object) {
        self.media_type(at, "mediaType", object, true);
        self.media_type(at, "artifactType", object, false);
        if !object.get("digest").and_then(Value::as_str).is_some_and(is_digest) {
            self.problem(at, "digest must be `algorithm:encoded`");
        }
        // JSON's numbers may be larger than any file.
        if object.get("size").and_then(Value::as_u64).is_none_or(|size| i64::try_from(size).is_err()) {
            self.problem(at, "size must be a number of bytes");
        }
        for url in object.get("urls").and_then(Value::as_array).into_iter().flatten() {
            if !url.as_str().is_some_and(is_url) {
                self.problem(at, format_args!("{url} is no URL"));
            }
        }
        if object.get("data").is_some_and(|data| !data.as_str().is_some_and(is_base64)) {
            self.problem(at, "data must be base64");
        }
        self.texts(&format!("{at}.annotations"), object.get("annotations"));
    }

    fn platform(&mut self, at: &str, value: &Value) {
        for field in ["architecture", "os"] {
            if !value.get(field).is_some_and(Value::is_string) {
                self.problem(at, format_args!("{field} must be a text"));
            }
        }
        for field in ["variant", "os.version"] {
            self.text(at, field, value.get(field));
        }
    }

    fn config(&mut self, object: &Object) {
        self.platform("", &Value::Object(object.clone()));
        self.text("", "created", object.get("created"));
        self.text("", "author", object.get("author"));
        let rootfs = object.get("rootfs").and_then(Value::as_object);
        match rootfs {
            Some(rootfs) if rootfs.get("type").and_then(Value::as_str) == Some("layers") => {
                self.list("diff_ids", rootfs, true, |check, at, value| {
                    if !value.as_str().is_some_and(is_digest) {
                        check.problem(at, "is no digest");
                    }
                });
            }
            _ => self.problem("rootfs", "must have the type `layers`"),
        }
        self.list("history", object, false, |check, at, value| {
            if !value.is_object() {
                check.problem(at, "is no history entry");
            }
        });
        let Some(config) = object.get("config").filter(|c| !c.is_null()) else { return };
        let Some(config) = config.as_object() else { return self.problem("config", "is no object") };
        for field in ["User", "WorkingDir", "StopSignal"] {
            self.text("config", field, config.get(field));
        }
        for field in ["ExposedPorts", "Volumes"] {
            if config.get(field).is_some_and(|value| !value.is_object() && !value.is_null()) {
                self.problem("config", format_args!("{field} must be an object"));
            }
        }
        for field in ["Entrypoint", "Cmd"] {
            self.list(field, config, false, |check, at, value| check.text(at, "it", Some(value)));
        }
        self.list("Env", config, false, |check, at, value| {
            let name = value.as_str().and_then(|text| text.split_once('=')).map(|(name, _)| name);
            if name.is_none_or(str::is_empty) {
                check.problem(at, format_args!("{value} is no `NAME=value`"));
            }
        });
        self.texts("config.Labels", config.get("Labels"));
    }

    /// How many entries the list has; none where there is no list.
    fn list(
        &mut self,
        field: &str,
        object: &Object,
        required: bool,
        mut each: impl FnMut(&mut Check, &str, &Value),
    ) -> Option<usize> {
        match object.get(field) {
            Some(Value::Array(list)) => {
                for (i, value) in list.iter().enumerate() {
                    each(self, &format!("{field}[{i}]"), value);
                }
                return Some(list.len());
            }
            None | Some(Value::Null) if !required => {}
            None => self.problem(field, "is missing"),
            Some(_) => self.problem(field, "must be a list"),
        }
        None
    }

    fn text(&mut self, at: &str, field: &str, value: Option<&Value>) {
        if value.is_some_and(|value| !value.is_string() && !value.is_null()) {
            self.problem(at, format_args!("{field} must be a text"));
        }
    }

    fn texts(&mut self, at: &str, value: Option<&Value>) {
        match value {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) if map.values().all(Value::is_string) => {}
            Some(_) => self.problem(at, "must map texts to texts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        let check = |is: fn(&str) -> bool, good: &[&str], bad: &[&str]| {
            good.iter().for_each(|text| assert!(is(text), "{text}"));
            bad.iter().for_each(|text| assert!(!is(text), "{text}"));
        };
        let long = "a".repeat(128);
        check(
            is_media_type,
            &["a/b", "application/vnd.x+json"],
            &["a", "/b", "a/", ".a/b", "a/b/c", &format!("a/{long}")],
        );
        let (hex, upper) = ("0".repeat(64), "A".repeat(64));
        check(
            is_digest,
            &[&format!("sha256:{hex}"), "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g", "x:Y="],
            &["", "sha256", "sha256:", "sha256:0", ":x", "x++y:z", &format!("sha256:{upper}"), "x:a b"],
        );
        check(
            is_url,
            &["https://a/b?c#d", "urn:x"],
            &["", "a", "https:", "1a:b", "https://a b", "https://ä"],
        );
        check(is_base64, &["", "YQ==", "YWI=", "YWJj"], &["a", "YQ", "YQ=", "Y===", "YW J"]);
    }

    #[test]
    fn places_are_named() {
        let check =
            |kind: Kind, text: &str, expect: &[&str]| assert_eq!(problems(kind, text.as_bytes()), expect);
        check(Kind::Layout, "{}", &["imageLayoutVersion: must be `1.0.0`"]);
        check(Kind::Layout, "[]", &["is no JSON object"]);
        check(
            Kind::Manifest,
            r#"{"schemaVersion": 2, "layers": [{}]}"#,
            &[
                "config: is missing",
                "layers[0]: missing field `mediaType`",
                "layers[0]: digest must be `algorithm:encoded`",
                "layers[0]: size must be a number of bytes",
            ],
        );
    }
}
