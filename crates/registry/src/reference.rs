//! Names of registries, repositories, tags and digests: parsed once, normalised as Docker does it
//! (`alpine` → `docker.io/library/alpine:latest`), with messages that say what to write instead.
//!
//! `oci_spec`'s [`Reference`] is the result; its own parser is not used, because it says "invalid reference
//! format" for everything, takes no IPv6 host, and compiles a large regular expression.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use oci_spec::distribution::Reference;
use oci_spec::image::Digest;

use crate::error::{Error, Result, Subject};

/// Docker Hub's name in references; its API lies elsewhere, see [`api_host`].
const DOCKER_HUB: &str = "docker.io";

/// The longest repository name that registries accept, in bytes.
const NAME_MAX: usize = 255;

/// The longest tag, in bytes (distribution-spec, "Pulling manifests").
const TAG_MAX: usize = 128;

/// A repository in a registry, normalised: `docker.io/library/alpine`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: String,
    name: String,
}

impl Repository {
    /// Parses `[registry/]name`, without tag and digest.
    ///
    /// # Errors
    /// [`Error::Input`] that says what is wrong.
    pub fn parse(input: &str) -> Result<Repository> {
        let (name, tag, digest) = split(input)?;
        if tag.is_some() || digest.is_some() {
            return Err(Error::input(
                input,
                format!("a repository has no tag and no digest here, write `{name}`"),
            ));
        }
        parse_name(input, name)
    }

    /// The repository of a reference.
    pub fn of(reference: &Reference) -> Repository {
        Repository { registry: reference.registry().into(), name: reference.repository().into() }
    }

    /// The registry as the user names it, with its port if it has one: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The name within the registry: `library/alpine`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The reference to a tag in this repository.
    ///
    /// # Errors
    /// [`Error::Input`] when `tag` is not one; see [`check_tag`].
    pub fn tagged(&self, tag: &str) -> Result<Reference> {
        check_tag(tag)?;
        Ok(Reference::with_tag(self.registry.clone(), self.name.clone(), tag.into()))
    }

    /// The reference to a digest in this repository.
    pub fn at(&self, digest: &Digest) -> Reference {
        Reference::with_digest(self.registry.clone(), self.name.clone(), digest.to_string())
    }

    pub(crate) fn subject(&self, target: &str) -> Box<Subject> {
        let (registry, repository) = (self.registry.clone(), self.name.clone());
        Box::new(Subject { registry, repository, target: target.into() })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

/// Parses `[registry/]name[:tag][@digest]`. Without tag and digest the tag is `latest`.
///
/// # Errors
/// [`Error::Input`] that says what is wrong.
pub fn parse(input: &str) -> Result<Reference> {
    let (name, tag, digest) = split(input)?;
    let Repository { registry, name } = parse_name(input, name)?;
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    if let Some(digest) = digest {
        check_digest(digest)?;
    }
    Ok(match (tag, digest) {
        (Some(tag), Some(digest)) => {
            Reference::with_tag_and_digest(registry, name, tag.into(), digest.into())
        }
        (None, Some(digest)) => Reference::with_digest(registry, name, digest.into()),
        (tag, None) => Reference::with_tag(registry, name, tag.unwrap_or("latest").into()),
    })
}

/// Whether `tag` is `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution-spec, "Pulling manifests").
///
/// # Errors
/// [`Error::Input`] that says which character or length is wrong.
pub fn check_tag(tag: &str) -> Result<()> {
    let fail = |problem: String| Err(Error::input(tag, problem));
    if tag.is_empty() {
        return fail("a tag cannot be empty".into());
    }
    if tag.len() > TAG_MAX {
        return fail(format!("a tag has at most {TAG_MAX} characters, not {}", tag.len()));
    }
    if let Some(bad) = tag.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-".contains(*c)) {
        return fail(format!("a tag has letters, digits, `.`, `_` and `-` only, not `{bad}`"));
    }
    if tag.starts_with(['.', '-']) {
        return fail("a tag starts with a letter, a digit or `_`".into());
    }
    Ok(())
}

/// The digest or, without one, the tag: what follows `manifests/` in a request.
pub(crate) fn target(reference: &Reference) -> &str {
    reference.digest().or(reference.tag()).unwrap_or("latest")
}

/// Where the API of `registry` is: Docker Hub's is not where its name says.
pub(crate) fn api_host(registry: &str) -> &str {
    if registry == DOCKER_HUB { "registry-1.docker.io" } else { registry }
}

/// One name for each registry: Docker Hub has several, also in credential files.
pub(crate) fn canonical_registry(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        other => other,
    }
}

/// Whether `host[:port]` is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
pub(crate) fn is_loopback(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest
            .split(']')
            .next()
            .and_then(|ip| ip.parse::<Ipv6Addr>().ok())
            .is_some_and(|ip| ip.is_loopback());
    }
    let name = host.split(':').next().unwrap_or(host);
    name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// The digest in `text`, which must be SHA-256: nothing else can be verified by the store.
pub(crate) fn check_digest(text: &str) -> Result<Digest> {
    let digest: Digest = text.parse().map_err(|e| Error::input(text, format!("not a digest: {e}")))?;
    if digest.algorithm().as_ref() != "sha256" {
        return Err(Error::input(text, "only sha256 digests are supported"));
    }
    Ok(digest)
}

/// Name, tag and digest.
fn split(input: &str) -> Result<(&str, Option<&str>, Option<&str>)> {
    for scheme in ["https://", "http://", "docker://", "oci://"] {
        if let Some(rest) = input.strip_prefix(scheme) {
            return Err(Error::input(input, format!("a reference has no scheme, write `{rest}`")));
        }
    }
    let (rest, digest) = match input.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (input, None),
    };
    // A colon before the last slash belongs to a port.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    Ok((name, tag, digest))
}

fn parse_name(input: &str, name: &str) -> Result<Repository> {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            check_registry(input, first)?;
            (canonical_registry(first), rest)
        }
        _ => (DOCKER_HUB, name),
    };
    let name = match registry == DOCKER_HUB && !path.contains('/') && !path.is_empty() {
        true => format!("library/{path}"),
        false => path.to_owned(),
    };
    if name.is_empty() {
        return Err(Error::input(input, "the repository's name is missing"));
    }
    if name.len() > NAME_MAX {
        return Err(Error::input(
            input,
            format!("a repository's name has at most {NAME_MAX} characters, not {}", name.len()),
        ));
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        let problem = format!("a repository's name is lower-case, write `{}`", path.to_ascii_lowercase());
        return Err(Error::input(input, problem));
    }
    match name.split('/').find(|part| !is_component(part)) {
        Some("") => Err(Error::input(input, "a repository's name has no empty part between slashes")),
        Some(part) => Err(Error::input(
            input,
            format!(
                "`{part}` is not a part of a repository's name: lower-case letters and digits, between them `.`, `_`, `__` or `-`"
            ),
        )),
        None => Ok(Repository { registry: registry.into(), name }),
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (distribution-spec, "Pulling manifests").
fn is_component(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_well = part.starts_with(alphanumeric) && part.ends_with(alphanumeric);
    ends_well
        && part.split(alphanumeric).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.chars().all(|c| c == '-')
        })
}

fn check_registry(input: &str, registry: &str) -> Result<()> {
    let (host, port) = match registry.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((ip, rest)) if ip.parse::<Ipv6Addr>().is_ok() => {
            ("v6", rest.strip_prefix(':').or((!rest.is_empty()).then_some("?")))
        }
        Some(_) => ("", None),
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let port_ok = port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0));
    if host.split('.').all(label) && port_ok {
        return Ok(());
    }
    Err(Error::input(
        input,
        format!("`{registry}` is not a registry: a host name or address, with `:port` where it is not 443"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn references() {
        let check = |input: &str, expect: std::result::Result<&str, &str>| {
            let input = input.replace("HEX", HEX);
            match (parse(&input), expect) {
                (Ok(r), Ok(expect)) => assert_eq!(r.whole(), expect.replace("HEX", HEX), "{input}"),
                (Err(e), Err(expect)) => assert!(e.to_string().contains(expect), "{e}"),
                (got, _) => panic!("{input}: {got:?}, not {expect:?}"),
            }
        };
        check("alpine", Ok("docker.io/library/alpine:latest"));
        check("alpine:3.22", Ok("docker.io/library/alpine:3.22"));
        check("docker.io/alpine", Ok("docker.io/library/alpine:latest"));
        check("index.docker.io/library/alpine", Ok("docker.io/library/alpine:latest"));
        check("org/app@sha256:HEX", Ok("docker.io/org/app@sha256:HEX"));
        check("ghcr.io/org/app:1@sha256:HEX", Ok("ghcr.io/org/app:1@sha256:HEX"));
        check("localhost/app", Ok("localhost/app:latest"));
        check("localhost:5000/a/b:t", Ok("localhost:5000/a/b:t"));
        check("[::1]:5000/a", Ok("[::1]:5000/a:latest"));
        check("test.com:tag", Ok("docker.io/library/test.com:tag"));
        check("a--b/c__d.e:_x", Ok("docker.io/a--b/c__d.e:_x"));
        check("", Err("name is missing"));
        check("localhost:5000/", Err("name is missing"));
        check("https://ghcr.io/a", Err("write `ghcr.io/a`"));
        check("docker://alpine", Err("write `alpine`"));
        check("Alpine", Err("write `alpine`"));
        check("ghcr.io/Org/app", Err("write `org/app`"));
        check("ghcr.io/a//b", Err("no empty part"));
        check("a/_b", Err("`_b` is not a part"));
        check("a..b", Err("`a..b` is not a part"));
        check("a___b", Err("`a___b` is not a part"));
        check("host:99999/a", Err("`host:99999` is not a registry"));
        check("-a.b/c", Err("`-a.b` is not a registry"));
        check("[::g]:1/c", Err("is not a registry"));
        check("a:", Err("cannot be empty"));
        check("a:-x", Err("starts with a letter"));
        check("a:1+2", Err("not `+`"));
        check(&format!("a:{}", "x".repeat(129)), Err("at most 128"));
        check(&"x".repeat(256), Err("at most 255"));
        check("a@sha256:12", Err("not a digest"));
        check(&format!("a@sha512:{HEX}{HEX}"), Err("only sha256"));
    }

    #[test]
    fn repositories_have_no_tag() {
        let repository = Repository::parse("ghcr.io/org/app").unwrap();
        assert_eq!((repository.registry(), repository.name()), ("ghcr.io", "org/app"));
        assert!(Repository::parse("alpine:3").unwrap_err().to_string().contains("write `alpine`"));
    }

    #[test]
    fn loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["localhost.example", "128.0.0.1", "127.0.0.1.example", "[::2]:5000", "10.0.0.1", "example"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
