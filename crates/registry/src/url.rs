//! The little that is needed of URLs: resolving a `Location` or `Link`, and comparing origins. A whole URL library
//! would bring Unicode tables for host names that no registry has.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a query's value (RFC 3986, "unreserved").
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `url` with the parameters `name=value` added.
pub(crate) fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut out = url.to_owned();
    for (name, value) in parameters {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(name);
        out.push('=');
        out.extend(utf8_percent_encode(value, VALUE));
    }
    out
}

/// `reference` as seen from `base` (RFC 3986 section 5): absolute, or relative to the host, path or query.
pub(crate) fn resolve(base: &str, reference: &str) -> Option<String> {
    let (scheme, rest) = base.split_once("://")?;
    if reference.starts_with("http://") || reference.starts_with("https://") {
        return Some(reference.to_owned());
    }
    if reference.is_empty() || reference.split(['/', '?', '#']).next()?.contains(':') {
        return None;
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let path = &rest[authority.len()..];
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    Some(if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{path}{reference}")
    } else {
        let folder = &path[..path.rfind('/').map_or(0, |i| i + 1)];
        let folder = if folder.is_empty() { "/" } else { folder };
        format!("{scheme}://{authority}{folder}{reference}")
    })
}

/// The next page that a `Link` header names (RFC 8288; distribution-spec, "Listing Tags").
pub(crate) fn next_link(link: &str) -> Option<&str> {
    link.split(',').find_map(|entry| {
        let (target, parameters) = entry.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |p: &str| matches!(p.trim().to_ascii_lowercase().as_str(), "rel=next" | "rel=\"next\"");
        parameters.split(';').any(is_next).then_some(target)
    })
}

/// Whether two URLs have the same scheme, host and port.
pub(crate) fn same_origin(a: &str, b: &str) -> bool {
    // A user name stays part of the host, so that nothing passes for the registry.
    fn origin(url: &str) -> Option<(&str, String)> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let default = if scheme == "https" { ":443" } else { ":80" };
        Some((scheme, authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase()))
    }
    origin(a).is_some() && origin(a) == origin(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        assert_eq!(with_query("http://h/p", &[]), "http://h/p");
        assert_eq!(
            with_query("http://h/p?_state=x", &[("digest", "sha256:ab"), ("from", "a/b")]),
            "http://h/p?_state=x&digest=sha256%3Aab&from=a%2Fb"
        );
    }

    #[test]
    fn references_are_resolved() {
        let check = |base: &str, reference: &str, expect: Option<&str>| {
            assert_eq!(resolve(base, reference).as_deref(), expect, "{reference} from {base}");
        };
        let base = "http://h:1/v2/a/tags/list?n=2";
        check(base, "https://x/y?z", Some("https://x/y?z"));
        check(base, "//x/y", Some("http://x/y"));
        check(base, "/v2/a?last=b", Some("http://h:1/v2/a?last=b"));
        check(base, "list?last=b", Some("http://h:1/v2/a/tags/list?last=b"));
        check(base, "?last=b:c", Some("http://h:1/v2/a/tags/list?last=b:c"));
        check("http://h", "a", Some("http://h/a"));
        check(base, "ftp://x/y", None);
        check(base, "", None);
    }

    #[test]
    fn links() {
        let check = |link: &str, expect: Option<&str>| assert_eq!(next_link(link), expect, "{link}");
        check(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("/v2/a/tags/list?last=b&n=2"));
        check(r#"<https://h/a>; title=x; REL=next"#, Some("https://h/a"));
        check(r#"<a>; rel="prev", <b>; rel="next""#, Some("b"));
        check("<a>; rel=\"prev\"", None);
        check("a; rel=next", None);
        check("", None);
    }

    #[test]
    fn origins() {
        let check = |a: &str, b: &str, expect: bool| assert_eq!(same_origin(a, b), expect, "{a} {b}");
        check("https://h/a?b", "https://h", true);
        check("https://H:443/a", "https://h", true);
        check("http://h:80", "http://h", true);
        check("http://h", "https://h", false);
        check("https://h:444", "https://h", false);
        check("https://h.evil", "https://h", false);
        check("https://h@evil/", "https://h", false);
        check("https://h?@evil/", "https://h", true);
        check("h", "h", false);
    }
}
