//! Debian's machine-readable copyright files (<https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>): what a
//! package's files are under, as an SPDX expression.
//!
//! Debian has names of its own. One that SPDX has not becomes `LicenseRef-debian-…`: left out, a package would look freer
//! than it is. Files that are not machine-readable say nothing here.

use std::collections::BTreeSet;

use crate::licence;

/// What names that SPDX lacks begin with.
pub const REFERENCE: &str = "LicenseRef-debian-";

/// The licences of all of a package's files together, of the text of its `copyright` file.
pub fn expression(text: &str) -> Option<String> {
    let mut stanzas = text.split("\n\n").map(|stanza| stanza.trim_start_matches('\n'));
    let header = stanzas.clone().next()?;
    if !header.to_ascii_lowercase().starts_with("format") {
        return None;
    }
    // A stanza without files only quotes a licence's text.
    let of_files = stanzas.by_ref().filter(|stanza| field(stanza, "Files").is_some());
    let parts: BTreeSet<String> =
        of_files.filter_map(|stanza| field(stanza, "License")).map(|name| alternatives(&name)).collect();
    let many = parts.len() > 1;
    let parts: Vec<String> =
        parts.into_iter().map(|part| if many { in_brackets(part) } else { part }).collect();
    licence::expression(&parts.join(" AND "))
}

/// The first line of a field, which is a short name where the field is `License`.
fn field(stanza: &str, name: &str) -> Option<String> {
    let line = stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_string())
}

/// `A or B, and C`: a comma binds less than the words, `and` more than `or` ("License short name").
fn alternatives(text: &str) -> String {
    let text = text.replace(" and/or ", " or ");
    for (comma, word) in [(", or ", " OR "), (", and ", " AND ")] {
        if let Some((left, right)) = text.rsplit_once(comma) {
            return [left, right].map(|side| in_brackets(alternatives(side))).join(word);
        }
    }
    let all_of =
        |text: &str| text.split(" and ").map(|name| one(name.trim())).collect::<Vec<_>>().join(" AND ");
    let choices: Vec<String> = text.split(" or ").map(all_of).collect();
    choices.join(" OR ")
}

fn in_brackets(expression: String) -> String {
    if expression.contains(" OR ") { format!("({expression})") } else { expression }
}

/// The SPDX expression of one short name.
fn one(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let found = match lower.split_once(" with ") {
        Some((base, exception)) => with(base, exception),
        None => plain(&lower),
    };
    let found = found.or_else(|| licence::expression(name)).filter(|e| licence::expression(e).is_some());
    found.unwrap_or_else(|| {
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let name = name.replace('+', " or later");
        format!("{REFERENCE}{}", name.trim().chars().map(safe).collect::<String>())
    })
}

fn with(base: &str, exception: &str) -> Option<String> {
    let exception = match exception.trim_end_matches(" exception") {
        "bison" | "bison-2.2" => "Bison-exception-2.2",
        "libtool" => "Libtool-exception",
        "linux-syscall-note" => "Linux-syscall-note",
        "font" => "Font-exception-2.0",
        _ => return None,
    };
    Some(format!("{} WITH {exception}", plain(base)?))
}

/// Debian's short names, in lower case, where they are not SPDX's.
fn plain(name: &str) -> Option<String> {
    let known = match name {
        "expat" | "mit" => "MIT",
        "x11" => "X11",
        "apache-2" => "Apache-2.0",
        "artistic" => "Artistic-1.0",
        "artistic-2" => "Artistic-2.0",
        "bsd-2-clause" => "BSD-2-Clause",
        "bsd-3-clause" => "BSD-3-Clause",
        "bsd-4-clause" => "BSD-4-Clause",
        "bsd-4-clause-uc" => "BSD-4-Clause-UC",
        "cc0" => "CC0-1.0",
        "isc" => "ISC",
        "zlib" => "Zlib",
        // Without a version any version may be taken.
        "gpl" => "GPL-1.0-or-later",
        "lgpl" => "LGPL-2.0-or-later",
        _ => return versioned(name),
    };
    Some(known.to_string())
}

/// `GPL-2+`, `LGPL-2.1`, `GFDL-NIV-1.3+`.
fn versioned(name: &str) -> Option<String> {
    let (name, which) = match name.strip_suffix('+') {
        Some(name) => (name, "or-later"),
        None => (name, "only"),
    };
    let (family, version) = name.rsplit_once('-')?;
    let version = if version.contains('.') { version.to_string() } else { format!("{version}.0") };
    let (family, more) = match family {
        "gpl" | "lgpl" | "agpl" | "gfdl" => (family.to_ascii_uppercase(), ""),
        "gfdl-niv" => ("GFDL".into(), "-no-invariants"),
        _ => return None,
    };
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    version.split('.').all(number).then(|| format!("{family}-{version}{more}-{which}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(licences: &[&str]) -> String {
        let header =
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x\n";
        let stanza = |name: &&str| {
            format!("\nFiles: *\nCopyright: 2020 Somebody\nLicense: {name}\n The text.\n .\n More.\n")
        };
        let quoted = "\nLicense: AGPL-3\n A text that only stands here.\n";
        [header.to_string()].into_iter().chain(licences.iter().map(stanza)).chain([quoted.into()]).collect()
    }

    #[test]
    fn short_names() {
        let check = |name: &str, expect: &str| {
            assert_eq!(expression(&file(&[name])).as_deref(), Some(expect), "{name}");
        };
        check("Expat", "MIT");
        check("GPL-2", "GPL-2.0-only");
        check("GPL-3+", "GPL-3.0-or-later");
        check("LGPL-2.1+", "LGPL-2.1-or-later");
        check("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later");
        check("BSD-3-clause", "BSD-3-Clause");
        check("MPL-2.0", "MPL-2.0");
        check("GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2");
        check("public-domain", "LicenseRef-debian-public-domain");
        check("GPL-2+ with a foo exception", "LicenseRef-debian-GPL-2-or-later-with-a-foo-exception");
        check("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0");
        check("GPL-1+ or Artistic, and Expat", "(GPL-1.0-or-later OR Artistic-1.0) AND MIT");
        check("ISC and/or LGPL-2.1+", "ISC OR LGPL-2.1-or-later");
    }

    #[test]
    fn all_files_count_and_only_files() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(expression(text).as_deref(), expect);
        check(&file(&["GPL-2+", "Expat", "GPL-2+"]), Some("GPL-2.0-or-later AND MIT"));
        check(&file(&["GPL-1+ or Artistic", "Expat"]), Some("(GPL-1.0-or-later OR Artistic-1.0) AND MIT"));
        check(&file(&[]), None);
        check("This is the Debian prepackaged version of GNU libc.\n\nLicense: GPL\n", None);
        check("", None);
    }
}
