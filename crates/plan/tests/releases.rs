//! What releases are called: our own tables, the practice of docker-library as recorded, and the grammar of names.

use std::collections::BTreeSet;

use plan::Spec;
use plan::tags::context::Context;
use plan::tags::grammar::{Grammar, Name, Stem};
use plan::tags::release::{self, Level, Policy, Suffix};
use plan::tags::version::Version;
use plan::tags::{GitRef, Request, Subject, Tags, engine};

const CATALOGUE: &str = include_str!("../../../docker/images.toml");

fn parse(changes: &[(&str, &str)]) -> Result<Spec, String> {
    let mut text = CATALOGUE.to_string();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Spec::parse("images.toml", &text).map_err(|e| e.to_string())
}

/// Our catalogue, as if the server were built for two versions of Postgres.
fn with_compat() -> Spec {
    let line = "default-variant = \"alpine\"\n";
    let compat = format!("{line}compat = [\"pg17\", \"pg18\"]\ndefault-compat = \"pg18\"\n");
    parse(&[(line, &compat)]).unwrap()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

fn context(git_ref: &str) -> Context {
    Context {
        git_ref: GitRef::parse(git_ref),
        sha: "abc1234def5678abc1234def5678abc1234def56".into(),
        short_sha: 7,
        event: "push".into(),
        default_branch: Some("main".into()),
        base_ref: None,
        now: 0,
        commit_time: None,
        branches: Vec::new(),
    }
}

/// A release of `version`, where git has these tags and the registry those.
fn release(
    spec: &Spec,
    version: &str,
    variants: &str,
    compats: &str,
    git: &str,
    existing: &str,
) -> plan::Result<Tags> {
    engine::tags(
        spec,
        &Request {
            image: None,
            subject: Subject::Version(version.into()),
            variants: &words(variants),
            compats: &words(compats),
            context: &context(""),
            version: &semver::Version::new(9, 9, 9),
            git_tags: &words(git),
            existing: &words(existing),
            incomplete: false,
        },
    )
}

#[test]
fn what_floats_and_what_stays() {
    let spec = parse(&[]).unwrap();
    let check = |version: &str, variants: &str, git: &str, existing: &str, expect: &str, left: &str| {
        let tags = release(&spec, version, variants, "", git, existing).unwrap();
        let names =
            |list: &[plan::tags::Tag]| list.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(" ");
        let got = (names(&tags.tags), names(&tags.left));
        assert_eq!(
            (got.0.as_str(), got.1.as_str()),
            (expect, left),
            "{version} {variants} after {git} {existing}"
        );
    };
    let full = "1.2.3-alpine 1.2-alpine 1-alpine alpine 1.2.3 1.2 1 latest";
    // First releases, and ones in order.
    check("1.2.3", "", "", "", full, "");
    check("1.2.3", "", "v1.2.2 v1.1.9 v0.9.0", "", full, "");
    check("1.2.3", "", "v1.2.3", "1.2.3 1.2.3-alpine 1.2 1 latest alpine", full, "");
    check("v1.2.3", "alpine", "", "", full, "");
    check("1.2.3", "debian", "", "", "1.2.3-debian 1.2-debian 1-debian debian", "");
    check(
        "1.2.3",
        "debian,distroless",
        "",
        "",
        "1.2.3-debian 1.2-debian 1-debian debian 1.2.3-distroless 1.2-distroless 1-distroless distroless",
        "",
    );
    check(
        "1.2.3",
        "all",
        "",
        "",
        &format!(
            "{full} 1.2.3-debian 1.2-debian 1-debian debian 1.2.3-distroless 1.2-distroless 1-distroless distroless"
        ),
        "",
    );
    // Backports, known from git or from the registry alone.
    for (git, existing) in
        [("v1.3.0", ""), ("1.3.0", ""), ("", "1.3.0-debian"), ("", "1.3.0"), ("v1.3.0 v1.2.2", "1.3 latest")]
    {
        check("1.2.9", "", git, existing, "1.2.9-alpine 1.2-alpine 1.2.9 1.2", "1-alpine alpine 1 latest");
    }
    check("1.2.9", "", "v2.0.0", "", "1.2.9-alpine 1.2-alpine 1-alpine 1.2.9 1.2 1", "alpine latest");
    check("1.2.9", "", "v1.2.10", "", "1.2.9-alpine 1.2.9", "1.2-alpine 1-alpine alpine 1.2 1 latest");
    check("1.9.0", "debian", "v1.10.0", "", "1.9.0-debian 1.9-debian", "1-debian debian");
    // Pre-releases take nothing and block nothing.
    check("1.2.3", "", "v1.3.0-rc.1 v2.0.0-alpha", "2.0.0-beta.2-alpine", full, "");
    check(
        "2.0.0-rc.1",
        "",
        "v1.0.0",
        "",
        "2.0.0-rc.1-alpine 2.0.0-rc.1",
        "2.0-alpine 2-alpine alpine 2.0 2 latest",
    );
    check(
        "2.0.0",
        "debian",
        "v2.0.0-rc.1",
        "2.0.0-rc.1-debian",
        "2.0.0-debian 2.0-debian 2-debian debian",
        "",
    );
    // 0.x.
    check("0.4.0", "", "", "", "0.4.0-alpine 0.4-alpine alpine 0.4.0 0.4 latest", "0-alpine 0");
    check("0.4.1", "", "v0.5.0", "", "0.4.1-alpine 0.4-alpine 0.4.1 0.4", "0-alpine alpine 0 latest");
    check("0.0.1", "debian", "", "", "0.0.1-debian 0.0-debian debian", "0-debian");
    // Build metadata.
    check("1.2.3+build.5", "", "", "", full, "");
    check("1.2.3+b", "", "v1.2.3+b", "1.2.3", full, "");
    check("1.2.3", "", "v1.2.2+b", "", full, "");
    // Names that are no versions, or none of ours.
    check(
        "1.2.3",
        "",
        "v2 v2.0 release-3.0.0 nightly",
        "main sha-1234567 2.0 99 edge 4.0.0-ubuntu",
        full,
        "",
    );
}

#[test]
fn levels_and_zero_are_the_catalogues_choice() {
    let zero = parse(&[("zero-major = false", "zero-major = true")]).unwrap();
    let names =
        |spec: &Spec, version: &str| release(spec, version, "debian", "", "", "").unwrap().names().join(" ");
    assert_eq!(names(&zero, "0.4.0"), "0.4.0-debian 0.4-debian 0-debian debian");
    let few = parse(&[("levels = [\"minor\", \"major\", \"latest\"]", "levels = [\"latest\"]")]).unwrap();
    assert_eq!(names(&few, "1.4.0"), "1.4.0-debian debian");
}

#[test]
fn a_compatibility_suffix_is_an_axis_of_its_own() {
    let spec = with_compat();
    let check = |version: &str, variants: &str, compats: &str, git: &str, expect: &str| {
        let tags = release(&spec, version, variants, compats, git, "").unwrap();
        assert_eq!(tags.names().join(" "), expect, "{version} {variants} {compats} after {git}");
    };
    check(
        "1.0.0",
        "",
        "",
        "",
        "1.0.0-pg18-alpine 1.0-pg18-alpine 1-pg18-alpine pg18-alpine 1.0.0-pg18 1.0-pg18 1-pg18 pg18 alpine latest",
    );
    check(
        "1.0.0",
        "debian",
        "pg18",
        "",
        "1.0.0-pg18-debian 1.0-pg18-debian 1-pg18-debian pg18-debian debian",
    );
    check("1.0.0", "debian", "pg17", "", "1.0.0-pg17-debian 1.0-pg17-debian 1-pg17-debian pg17-debian");
    check(
        "1.0.0",
        "",
        "pg17",
        "",
        "1.0.0-pg17-alpine 1.0-pg17-alpine 1-pg17-alpine pg17-alpine 1.0.0-pg17 1.0-pg17 1-pg17 pg17",
    );
    check("0.2.0", "debian", "pg18", "", "0.2.0-pg18-debian 0.2-pg18-debian pg18-debian debian");
    check("1.0.0-rc.1", "", "pg18", "", "1.0.0-rc.1-pg18-alpine 1.0.0-rc.1-pg18");
    check("1.0.1", "debian", "", "v1.1.0", "1.0.1-pg18-debian 1.0-pg18-debian");
    check(
        "1.0.0",
        "debian",
        "all",
        "",
        "1.0.0-pg17-debian 1.0-pg17-debian 1-pg17-debian pg17-debian 1.0.0-pg18-debian 1.0-pg18-debian 1-pg18-debian pg18-debian debian",
    );
    // The registry's suffixed tags count.
    let tags = release(&spec, "1.0.1", "debian", "", "", "1.1.0-pg17-alpine").unwrap();
    assert_eq!(tags.names().join(" "), "1.0.1-pg18-debian 1.0-pg18-debian");
}

#[test]
fn every_name_has_a_reason() {
    let spec = parse(&[]).unwrap();
    let check = |version: &str, git: &str, name: &str, expect: &str| {
        let tags = release(&spec, version, "", "", git, "").unwrap();
        let tag =
            tags.tags.iter().chain(&tags.left).find(|t| t.name == name).unwrap_or_else(|| panic!("{name}"));
        assert!(tag.why.contains(expect), "{name}: {}", tag.why);
    };
    check("1.2.3", "", "1.2.3", "the full version 1.2.3");
    check("1.2.3", "", "1.2", "1.2.3 is the highest stable version of the series 1.2");
    check(
        "1.2.9",
        "v1.3.0",
        "1",
        "not moved: 1.3.0 is the highest stable version of the series 1, not 1.2.9",
    );
    check("1.2.9", "v1.3.0 v2.0.0", "latest", "not moved: 2.0.0 is the highest stable version, not 1.2.9");
    check("2.0.0-rc.1", "", "latest", "2.0.0-rc.1 is a pre-release");
    check("0.1.0", "", "0", "`zero-major = true` in images.toml");
}

#[test]
fn what_is_refused() {
    let check = |spec: &Spec,
                 version: &str,
                 variants: &str,
                 compats: &str,
                 git: &str,
                 existing: &str,
                 expect: &str| {
        let error = release(spec, version, variants, compats, git, existing).unwrap_err();
        let text = error.to_string();
        assert!(error.is_usage() && text.contains(expect) && !text.contains('\n'), "{text}");
    };
    let (spec, compat) = (parse(&[]).unwrap(), with_compat());
    for version in ["1.2", "", "x", "1.2.3.4", "01.2.3", "1.2.3-", "latest"] {
        check(&spec, version, "", "", "", "", "must be MAJOR.MINOR.PATCH[-PRE-RELEASE][+BUILD]");
    }
    check(
        &spec,
        "1.0.0-alpine",
        "",
        "",
        "",
        "",
        "`alpine` is a variant, not a pre-release; use `--version 1.0.0 --variant alpine`",
    );
    check(&spec, "1.0.0-rc.1-debian", "", "", "", "", "use `--version 1.0.0-rc.1 --variant debian`");
    check(
        &compat,
        "1.0.0-pg18",
        "",
        "",
        "",
        "",
        "is a compatibility suffix, not a pre-release; use `--version 1.0.0 --compat pg18`",
    );
    check(&spec, "1.2.3+a", "", "", "v1.2.3+b", "", "differ in build metadata alone, which no tag can hold");
    check(&spec, "1.2.3+a", "", "", "v1.2.3", "", "such as `--version 1.2.4`");
    check(&spec, "1.2.3", "", "", "", "1.2.3+b", "version `1.2.3` and the existing `1.2.3+b` differ");
    check(
        &spec,
        "1.2.3",
        "alpin",
        "",
        "",
        "",
        "unknown variant `alpin`, did you mean `alpine`?; allowed: alpine",
    );
    check(&spec, "1.2.3", "", "pg18", "", "", "--compat `pg18`: the image has no compatibility suffixes");
    check(
        &compat,
        "1.2.3",
        "",
        "pg81",
        "",
        "",
        "unknown compatibility suffix `pg81`, did you mean `pg17`?; allowed: pg17, pg18",
    );
    check(&spec, &format!("1.0.0-{}", "a".repeat(120)), "", "", "", "", "characters; allowed are up to 128");
}

#[test]
fn a_shallow_checkout_can_tell_no_backport() {
    let spec = parse(&[]).unwrap();
    let refused = |version: &str, git: &str, existing: &str| {
        let (git, existing, context) = (words(git), words(existing), context(""));
        let request = Request {
            image: None,
            subject: Subject::Version(version.into()),
            variants: &[],
            compats: &[],
            context: &context,
            version: &semver::Version::new(1, 0, 0),
            git_tags: &git,
            existing: &existing,
            incomplete: true,
        };
        engine::tags(&spec, &request).is_err()
    };
    assert!(refused("1.2.3", "", "") && refused("1.2.3", "v1.2.3", ""));
    assert!(!refused("1.2.3-rc.1", "", ""), "a pre-release moves nothing");
    assert!(!refused("1.2.3", "v1.2.2", ""));
}

#[test]
fn catalogues_with_ambiguous_names() {
    let check = |changes: &[(&str, &str)], expect: &str| {
        let error = parse(changes).unwrap_err();
        assert!(error.contains(expect) && !error.contains('\n'), "{error}");
    };
    let line = "default-variant = \"alpine\"\n";
    let compat = |text: &str| format!("{line}{text}\n");
    for (name, expect) in [("rc", "`rc` reads as a pre-release"), ("beta2", "`beta` reads as a pre-release")]
    {
        let renamed =
            [format!("[variants.{name}]"), format!("\nvariant = \"{name}\""), format!("\"{name}\",")];
        let old = ["[variants.debian]", "\nvariant = \"debian\"", "\"debian\","];
        let changes: Vec<(&str, &str)> = old.into_iter().zip(renamed.iter().map(String::as_str)).collect();
        check(&changes, expect);
    }
    check(
        &[(line, &compat("compat = [\"pg18\"]"))],
        "images.server.default-compat: must be one of `compat` (pg18)",
    );
    check(&[(line, &compat("default-compat = \"pg18\""))], "images.server.default-compat: must be one of");
    let with = |names: &str| compat(&format!("compat = [{names}]\ndefault-compat = \"pg18\""));
    check(
        &[(line, &with("\"pg18\", \"alpine\""))],
        "images.server.compat: `alpine` is there twice, or a variant too",
    );
    check(&[(line, &with("\"pg18\", \"pg18\""))], "`pg18` is there twice");
    check(&[(line, &with("\"pg18\", \"pg-19\""))], "`pg-19` must be lower-case letters and digits");
    check(&[(line, &with("\"pg18\", \"latest\""))], "`latest` reads as");
    check(&[("levels = [\"minor\"", "levels = [\"patch\"")], "unknown variant `patch`");
    check(&[("zero-major", "zero-mayor")], "unknown field `zero-mayor`, did you mean `zero-major`?");
    let names = |text: &str| format!("default-branch = [\"{text}\"]");
    let edge = "default-branch = [\"edge\"]";
    check(&[(edge, &names("latest"))], "template `latest`: is the name of a release");
    check(&[(edge, &names("alpine"))], "is the name of a release");
    check(&[(edge, &names("{{brnach}}"))], "unknown expression `brnach`, did you mean `branch`?");
    check(&[(edge, &names("{{branch"))], "`{{` has no `}}`");
    check(&[(edge, &names("-x"))], "starts with `-` or `.`");
    check(&[(edge, &names("a/b"))], "holds `/`");
}

#[test]
fn docker_librarys_practice() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/docker-library.json");
    // The engine is pure, its tests may read what they compare with.
    #[expect(clippy::disallowed_methods, reason = "a test's own data")]
    let Ok(text) = std::fs::read_to_string(path) else {
        #[expect(clippy::disallowed_macros, reason = "a test says what it left out")]
        {
            eprintln!("skipped: {path} is not there");
        }
        return;
    };
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let strings = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_string()).collect()
    };
    let (mut standard, mut special) = (0, Vec::new());
    for vector in document["vectors"].as_array().unwrap() {
        let (id, input) = (vector["id"].as_str().unwrap(), &vector["input"]);
        if vector["rule"] != "standard" {
            special.push(id);
            continue;
        }
        let levels: Vec<Level> = serde_json::from_value(input["levels"].clone()).unwrap();
        let suffixes: Vec<Suffix> =
            strings(&input["variant_suffixes"]).iter().map(|s| Suffix::full(s)).collect();
        let policy = Policy { levels: &levels, zero_major: false, suffixes: &suffixes };
        let version = Version::parse(input["version"].as_str().unwrap()).unwrap();
        let released: Vec<Version> =
            strings(&input["released"]).iter().map(|v| Version::parse(v).unwrap()).collect();
        assert_eq!(!version.is_stable(), input["prerelease"].as_bool().unwrap(), "{id}");
        let got: BTreeSet<String> =
            release::names(&version, &policy, &released).names().into_iter().collect();
        assert_eq!(got, strings(&vector["expect"]["tags"]).into_iter().collect(), "{id}");
        standard += 1;
    }
    assert_eq!((standard, special.len()), (79, 24), "not applicable: {special:?}");
}

/// A small generator (Knuth's linear congruence): the same cases in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A pre-release as Semantic Versioning allows, often of parts that look like suffixes.
    fn pre_release(&mut self) -> String {
        let parts = [
            "rc", "alpha", "alpine", "pg18", "debian", "x", "0", "7", "a-b", "alpine-", "-", "pg18x",
            "Alpine", "rc1",
        ];
        let count = 1 + self.below(3);
        let mut text = String::new();
        for i in 0..count {
            if i > 0 {
                text.push(if self.below(2) == 0 { '.' } else { '-' });
            }
            text.push_str(self.pick(&parts));
        }
        text
    }
}

#[test]
fn names_are_unambiguous_both_ways() {
    let grammar = Grammar { variants: words("alpine debian distroless"), compats: words("pg17 pg18") };
    let mut random = Random(1);
    let (mut rendered, mut refused, mut read) = (0, 0, 0);
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..40_000 {
        let number = |random: &mut Random| [0, 1, 2, 10, 18, 2026][random.below(6)];
        let numbers: Vec<u64> = (0..3).map(|_| number(&mut random)).collect();
        let some = |random: &mut Random, from: &[&str]| {
            (random.below(2) == 0).then(|| random.pick(from).to_string())
        };
        let compat = some(&mut random, &["pg17", "pg18"]);
        let variant = some(&mut random, &["alpine", "debian", "distroless"]);
        let stem = match random.below(6) {
            0 => Stem::Series(numbers[..1 + random.below(2)].to_vec()),
            1 => Stem::Newest,
            2 => Stem::Full(Version { numbers, pre: String::new(), build: String::new() }),
            _ => {
                let text = format!("{}.{}.{}-{}", numbers[0], numbers[1], numbers[2], random.pre_release());
                match release::parse_version(&grammar, &text) {
                    Ok(version) => Stem::Full(version),
                    Err(_) => {
                        // Refused exactly where the bare name would be read as something else.
                        let misread =
                            grammar.parse(&text).is_none_or(|n| n.variant.is_some() || n.compat.is_some());
                        assert!(misread, "{text}");
                        refused += 1;
                        continue;
                    }
                }
            }
        };
        let name = Name { stem, compat, variant };
        let text = Grammar::render(&name);
        assert_eq!(grammar.parse(&text).as_ref(), Some(&name), "{text}");
        assert_eq!(seen.entry(text.clone()).or_insert_with(|| name.clone()), &name, "{text}");
        rendered += 1;
        // And from any text: what is read is written the same.
        let parts = ["1", ".", "-", "0", "alpine", "pg18", "latest", "rc", "2", "01", "v", "main", "+"];
        let text: String = (0..1 + random.below(8)).map(|_| random.pick(&parts)).collect();
        if let Some(name) = grammar.parse(&text) {
            assert_eq!(Grammar::render(&name), text);
            read += 1;
        }
    }
    assert!(rendered > 20_000 && refused > 1_000 && read > 500, "{rendered} {refused} {read}");
}

#[test]
fn tags_that_exist() {
    let check = |text: &str, expect: &str| {
        assert_eq!(engine::parse_existing(text).unwrap().join(" "), expect, "{text}")
    };
    check("", "");
    check("1.2.3\n\n# note\n 1.2.3-alpine \r\nlatest\n", "1.2.3 1.2.3-alpine latest");
    check("ghcr.io/a/b:1.2.3\nlocalhost:5000/x:2.0.0@sha256:abcd\nv1.0.0+b", "1.2.3 2.0.0 v1.0.0+b");
    check(r#"{"name": "a/b", "tags": ["1.2.3", "latest"]}"#, "1.2.3 latest");
    check(r#"{"Repository": "a/b", "Tags": ["1.2.3"]}"#, "1.2.3");
    check(r#"{"name": "a/b", "tags": null}"#, "");
    for (text, expect) in [
        ("1.2.3\na b", "--existing: line 2: `a b`"),
        ("{", "--existing: starts as JSON"),
        ("é", "line 1"),
        ("a/b:1.0.0\nroot:x:0:0:/bin/bash", "line 2"),
    ] {
        let error = engine::parse_existing(text).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(expect), "{error}");
    }
}
