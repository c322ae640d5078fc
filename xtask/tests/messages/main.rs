//! docs/messages.md and docs/messages-building.md have every message that a user can meet, and no other.

mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use scan::Message;

/// A page, and where its messages are made.
const PAGES: [(&str, &[&str]); 2] = [
    ("docs/messages.md", &["crates/server/src", "crates/settings/src"]),
    (
        "docs/messages-building.md",
        &[
            "xtask/src",
            "crates/plan/src",
            "crates/oci/src",
            "crates/registry/src",
            "crates/signing/src",
            "crates/supply/src",
            "crates/report/src",
        ],
    ),
];

/// Probes and benchmarks: what they say is a finding, and stands in their tables.
const FINDINGS: [&str; 3] = ["xtask/src/verify/", "xtask/src/bench/", "xtask/src/compose/test"];

/// Where statements are understood and run. What is said of a statement is Postgres' text, and Postgres' documentation
/// explains it; what is said of the server's own operation has one of [`OPERATION`].
const STATEMENTS: [&str; 3] =
    ["crates/server/src/sql/", "crates/server/src/engine/", "crates/server/src/session/"];

/// The SQLSTATEs of the server's operation: connections, logins, resources, operators, the system, damage; and of
/// read-only servers, idle sessions and commits that wait for replicas.
const OPERATION: [&str; 9] = ["08", "25006", "25P03", "28", "40003", "53", "57", "58", "XX001"];

/// A bug of the server's: "cannot happen".
const INTERNAL: &str = "XX000";

/// Whether a message must be in the documents.
fn is_wanted(path: &str, message: &Message) -> bool {
    let Message { maker, code, .. } = message;
    if FINDINGS.iter().any(|folder| path.starts_with(folder)) || code.as_deref() == Some(INTERNAL) {
        return false;
    }
    if STATEMENTS.iter().any(|folder| path.starts_with(folder)) {
        return match code {
            Some(code) => OPERATION.iter().any(|class| code.starts_with(class)),
            None => maker.contains("log::"),
        };
    }
    // What has so few words of its own says only where something happened (`FILE: cannot read`), or hands another
    // message on (`FLAG: …`).
    let least = if matches!(maker.as_str(), "context" | "with_context" | "f.write_str") { 3 } else { 2 };
    words(&message.text) >= least
}

fn words(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() >= 2).count()
}

/// What is compared: without backticks, and without what differs at the ends.
fn bare(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars().filter(|c| *c != '`') {
        if character != '…' || !out.ends_with('…') {
            out.push(if character == '\n' { ' ' } else { character });
        }
    }
    out.trim_matches([' ', '…', ':', ';', ',', '.']).to_owned()
}

/// The entries of a page: the bare message, and whether something is said of it.
fn entries(page: &str) -> Vec<(String, bool)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(message, cause)| (bare(message), words(cause) > 0)).collect()
}

/// What is wrong with a page, given all messages of its sources by their path.
fn faults(page: &str, text: &str, messages: &[(String, Message)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for (entry, is_explained) in entries(text) {
        if !is_explained {
            faults.push(format!("{page}: `{entry}` has no cause"));
        }
        if !known.insert(entry.clone()) {
            faults.push(format!("{page}: `{entry}` is there twice"));
        }
    }
    let mut made = BTreeSet::new();
    for (path, message) in messages {
        let plain = bare(&message.text);
        if is_wanted(path, message) && !known.contains(&plain) && !made.contains(&plain) {
            faults.push(format!("{page}: `{plain}` is missing ({path}:{})", message.line));
        }
        made.insert(plain);
    }
    let left = known.difference(&made);
    faults.extend(left.map(|entry| format!("{page}: nothing says `{entry}`")));
    faults
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The Rust files below a folder, with their texts, but for those of tests.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let root = root();
    let mut files = BTreeMap::new();
    let mut pending = vec![root.join(folder)];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(&root).unwrap().display().to_string(), text);
            }
        }
    }
    let mut tests = BTreeSet::new();
    for (path, text) in &files {
        let below = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"].iter().find_map(|end| path.strip_suffix(end));
        for module in scan::test_modules(text).unwrap() {
            tests.insert(format!("{}/{module}.rs", below.unwrap()));
        }
    }
    files.retain(|path, _| !tests.contains(path));
    files
}

#[test]
fn the_pages_have_every_message_and_no_other() {
    let mut found = Vec::new();
    for (page, folders) in PAGES {
        let mut messages = Vec::new();
        for (path, text) in folders.iter().flat_map(|folder| sources(folder)) {
            let of = scan::messages(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
            messages.extend(of.into_iter().map(|message| (path.clone(), message)));
        }
        assert!(messages.len() > 300, "{page}: only {} messages are found", messages.len());
        found.extend(faults(page, &std::fs::read_to_string(root().join(page)).unwrap(), &messages));
    }
    assert!(
        found.is_empty(),
        "{} faults; every message has a row with its cause:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn a_message_is_found_wherever_it_is_made() {
    let check = |source: &str, expect: &[&str]| {
        let found = scan::messages(&format!("fn f() {{ {source} }}")).unwrap();
        let found: Vec<&str> = found.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(found, expect, "{source}");
    };
    check(r#"bail!("{}: no {{x}} in {file:?}", path.display());"#, &["…: no {x} in …"]);
    check(r#"ensure!(a == b, "not {a}"); ensure!(c)"#, &["not …"]);
    check(r#"x.context("no {braces}").with_context(|| format!("in {x}"))"#, &["no {braces}", "in …"]);
    check(r#"Err(Failure::usage("use it"))"#, &["use it"]);
    check(r#"Err(SqlError::new("58030", format!("no {x}")))"#, &["no …"]);
    check(r#"Err(match x { A => "one".into(), B => format!("two {x}") })"#, &["one", "two …"]);
    check(r#"Error::invalid("subject", "problem")"#, &["problem"]);
    check(r#"Err(Error::Document { file, problem: format!("no {x}") })"#, &["no …"]);
    check(r#"let why = format!("because {x}"); return Err(why.into());"#, &["because …"]);
    check(r#"let wrong = || format!("wrong {x}"); x.ok_or_else(wrong)?;"#, &["wrong …"]);
    check(r#"let way = || format!("go {x}"); bail!("{}!", way())"#, &["…!", "go …"]);
    check(r#"crate::log::error(&format!("no {x}")); log::info("fine")"#, &["no …"]);
    check(r#"log::event(Level::Error, "bad", &[]); log::event(Level::Info, "good", &[])"#, &["bad"]);
    check(r#"eprintln!("warning: {x}"); eprintln!("done")"#, &["warning: …"]);
    check(r#"println!("data"); format!("text {x}"); Ok("fine")"#, &[]);
    check(r#"} #[cfg(test)] mod tests { fn g() { bail!("in a test") }"#, &[]);
    check(r#"} #[derive(Error)] enum E { #[error("it is {0}")] A(u8) "#, &["it is …"]);
    check(r#"wrong() } fn wrong() -> String { format!("far {x}") } fn g() { Err(wrong())"#, &["far …"]);
    check(r#"} const NONE: &str = "there is none"; fn g() { Err(NONE.into())"#, &["there is none"]);
    assert_eq!(scan::test_modules("mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\nmod c {}").unwrap(), ["b"]);
}

#[test]
fn what_is_missing_and_what_is_left_over_is_found() {
    let check = |path: &str, source: &str, row: &str, expect: &str| {
        let source = format!("fn f() {{ {source} }}");
        let messages = scan::messages(&source).unwrap().into_iter();
        let messages: Vec<_> = messages.map(|message| (path.to_owned(), message)).collect();
        let page = format!("# Page\n\n| message | cause |\n|---|---|\n{row}\n");
        let found = faults("page.md", &page, &messages).join("\n");
        assert!(found.contains(expect) && found.is_empty() == expect.is_empty(), "{source} {row}\n→ {found}");
    };
    let here = "xtask/src/x.rs";
    let no_bird = r#"bail!("{}: no `{bird}` here; run `birds`", 1)"#;
    check(here, no_bird, "| `…: no … here; run birds` | It flew away. |", "");
    check(here, no_bird, "| `no … here; run birds` | It flew away. |", "");
    check(here, no_bird, "", "`no … here; run birds` is missing (xtask/src/x.rs:1)");
    check(here, no_bird, "| `no … here` | It flew away. |", "nothing says `no … here`");
    check(here, no_bird, "| `no … here; run birds` | |", "has no cause");
    check(here, no_bird, &"| `no … here; run birds` | It flew. |\n".repeat(2), "is there twice");
    check(here, "", "| `no … here` | It flew away. |", "nothing says `no … here`");
    // What only says where, or hands on.
    check(here, r#"x.with_context(|| format!("{x}: cannot read")); bail!("{x}: {y}")"#, "", "");
    check(here, r#"x.context("it has no name")"#, "", "`it has no name` is missing");
    check("xtask/src/verify/x.rs", no_bird, "", "");
    // Of a statement, of the server's operation, and a bug.
    let sql = "crates/server/src/sql/x.rs";
    check(sql, r#"SqlError::new("42P01", "no such table")"#, "", "");
    check(sql, r#"SqlError::new("53100", "the disk is full")"#, "", "`the disk is full` is missing");
    check(sql, r#"log::error("the disk is full")"#, "", "`the disk is full` is missing");
    check("crates/server/src/x.rs", r#"SqlError::new("42P01", "no such thing")"#, "", "is missing");
    check("crates/server/src/x.rs", r#"SqlError::new("XX000", "it has no form")"#, "", "");
}
