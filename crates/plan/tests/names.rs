//! What everything that is no release is called: branches, pull requests, schedules, commits.

use std::collections::BTreeMap;

use plan::Spec;
use plan::tags::context::Context;
use plan::tags::{GitRef, Request, Subject, Tags, check_legal, engine};

fn spec() -> Spec {
    Spec::parse("images.toml", include_str!("../../../docker/images.toml")).unwrap()
}

fn context(git_ref: &str) -> Context {
    Context {
        git_ref: GitRef::parse(git_ref),
        sha: "abc1234def5678abc1234def5678abc1234def56".into(),
        short_sha: 7,
        event: "push".into(),
        default_branch: Some("main".into()),
        base_ref: None,
        now: 1_578_616_200,
        commit_time: None,
        branches: vec!["main".into(), "topic-a".into(), "x/y-z".into(), "x-y/z".into()],
    }
}

fn tags(spec: &Spec, context: &Context, variants: &str) -> plan::Result<Tags> {
    let variants: Vec<String> = variants.split_whitespace().map(String::from).collect();
    let version = semver::Version::parse("1.0.0").unwrap();
    let request = Request {
        image: None,
        subject: Subject::Ref,
        variants: &variants,
        compats: &[],
        context,
        version: &version,
        git_tags: &["v0.9.0".into()],
        existing: &[],
        incomplete: false,
    };
    engine::tags(spec, &request)
}

/// The names without a suffix: those of the default variant that do not end in it.
fn plain(git_ref: &str) -> Vec<String> {
    let names = tags(&spec(), &context(git_ref), "").unwrap().names();
    names.into_iter().filter(|n| !n.ends_with("-alpine")).collect()
}

const COMMIT: &str = "sha-abc1234 git-abc1234 v1.0.0-abc1234";

#[test]
fn by_what_is_built() {
    let check = |git_ref: &str, expect: &str| {
        let expect = expect.replace("COMMIT", COMMIT);
        assert_eq!(plain(git_ref).join(" "), expect, "{git_ref}");
    };
    check("refs/heads/main", "main main-abc1234 edge COMMIT");
    check("refs/heads/develop", "develop develop-abc1234 COMMIT");
    check("refs/heads/feature/new-scanner", "feature-new-scanner feature-new-scanner-abc1234 COMMIT");
    check("refs/heads/Feature_1.x", "Feature_1.x Feature_1.x-abc1234 COMMIT");
    check("refs/pull/12/merge", "pr-12 COMMIT");
    check("refs/merge-requests/7/head", "pr-7 COMMIT");
    check("refs/tags/some-tag", "some-tag COMMIT");
    check("refs/tags/v1.2", "v1.2 COMMIT");
    check("refs/tags/v1.0.0", "alpine 1.0.0 1.0 1 latest");
    check("refs/tags/1.0.0", "alpine 1.0.0 1.0 1 latest");
    check("refs/tags/v0.8.9", "0.8.9 0.8");
    check("refs/tags/v1.0.0-rc.1", "1.0.0-rc.1");
}

#[test]
fn variants_and_events() {
    let names =
        |context: &Context, variants: &str| tags(&spec(), context, variants).unwrap().names().join(" ");
    let main = context("refs/heads/main");
    assert_eq!(
        names(&main, "debian"),
        "main-debian main-abc1234-debian edge-debian sha-abc1234-debian git-abc1234-debian v1.0.0-abc1234-debian"
    );
    let pull = context("refs/pull/3/merge");
    assert_eq!(names(&pull, "debian,distroless").matches("pr-3").count(), 2);
    let scheduled = Context { event: "schedule".into(), ..main };
    assert!(names(&scheduled, "alpine").starts_with("nightly-alpine sha-abc1234-alpine"));
    let release = Context { event: "schedule".into(), ..context("refs/tags/v1.0.0") };
    assert!(names(&release, "debian").starts_with("1.0.0-debian "), "a release is one, whenever it is built");
    let unknown = Context { sha: String::new(), ..context("refs/heads/x") };
    let result = tags(&spec(), &unknown, "debian").unwrap();
    assert_eq!((result.version.as_str(), result.names().join(" ").as_str()), ("x", "x-debian"));
    assert!(result.left.iter().any(|t| t.name == "sha-{{sha}}" && t.why == "`{{sha}}` is not known here"));
    assert!(
        result
            .left
            .iter()
            .any(|t| t.name == "edge" && t.why.contains("not the default branch, which is main"))
    );
}

#[test]
fn a_version_tag_that_is_no_version() {
    let error = tags(&spec(), &context("refs/tags/v1.0.0-alpine"), "").unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("use `--version 1.0.0 --variant alpine`"),
        "{error}"
    );
}

#[test]
fn names_that_cannot_be_kept() {
    let check = |branch: &str, expect: &str| {
        let name = plain(&format!("refs/heads/{branch}")).remove(0);
        let (stem, hash) = name.rsplit_once('-').unwrap();
        assert_eq!(stem, expect, "{branch}: {name}");
        assert!(hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{branch}: {name}");
    };
    // Characters that no tag has, and places where it has not all.
    check("my/feature#1245", "my-feature-1245");
    check("a b", "a-b");
    check("größe", "gr-e");
    check(".hidden", "hidden");
    check("-x", "x");
    check("a+b", "a-b");
    // Another branch has the name already, or could.
    check("topic/a", "topic-a");
    check("x/y-z", "x-y-z");
    check("x-y/z", "x-y-z");
    // Names with another meaning.
    check("edge", "edge");
    check("nightly", "nightly");
    check("pr-12", "pr-12");
    check("sha-abc1234", "sha-abc1234");
    check("v2.0.0-1234567", "v2.0.0-1234567");
    check("main-abc1234", "main-abc1234");
    check("main-debian", "main-debian");
    check("latest", "ref-latest");
    check("alpine", "ref-alpine");
    check("1.2", "ref-1.2");
    check("1.2.3", "ref-1.2.3");
    check("1", "ref-1");
    check("1.0-debian", "ref-1.0-debian");
    assert_eq!(plain("refs/heads/topic-a")[0], "topic-a", "who is called so keeps it");
    assert!(plain("refs/heads/1.2.3")[1].starts_with("ref-1.2.3-abc1234-"));
    assert!(plain("refs/tags/1.2")[0].starts_with("ref-1.2-"));
    assert_eq!(plain("refs/heads/pr-x")[0], "pr-x");
    assert_eq!(plain("refs/heads/release/1.2")[0], "release-1.2");
    check(&"b".repeat(300), &"b".repeat(128 - "-distroless".len() - "-12345678".len()));
    assert!(plain("refs/tags/topic-a")[0].starts_with("topic-a-"), "a branch has the name");
}

#[test]
fn no_two_branches_share_a_tag_and_every_tag_is_legal() {
    let spec = spec();
    let (a, b) = ("a".repeat(130), "a".repeat(131));
    let (c, d) = (format!("{}/x", "c".repeat(125)), format!("{}-x", "c".repeat(125)));
    let branches = [
        "main",
        "develop",
        "a#b",
        "a b",
        "a~b",
        "a!b",
        "a--b",
        "a%b",
        ".x",
        "x",
        "-x",
        "..x",
        "1.2",
        "1.2.3",
        "v1.2.3",
        "latest",
        "alpine",
        "debian",
        "main-debian",
        "main-alpine",
        "edge",
        "nightly",
        "pr-1",
        "pr-12",
        "sha-abc1234",
        "git-abc1234",
        "main-abc1234",
        "1.0.0-debian",
        "ß",
        "ü",
        "日本",
        "feature/x",
        "Feature/x",
        "_",
        "_.",
        &a,
        &b,
        &c,
        &d,
    ];
    for variant in ["alpine", "debian"] {
        let mut owners: BTreeMap<String, &str> = BTreeMap::new();
        for branch in branches {
            let all = Context {
                branches: branches.map(String::from).to_vec(),
                ..context(&format!("refs/heads/{branch}"))
            };
            for name in tags(&spec, &all, variant).unwrap().names() {
                check_legal(&name).unwrap_or_else(|e| panic!("{branch}: {name}: {e}"));
                // The commit's names are every branch's; here all are of one commit.
                if COMMIT
                    .split(' ')
                    .any(|c| name == c || name.strip_suffix(variant) == Some(&format!("{c}-")))
                {
                    continue;
                }
                if let Some(other) = owners.insert(name.clone(), branch) {
                    panic!("{name} is {other}'s and {branch}'s");
                }
            }
        }
        assert!(owners.len() >= branches.len() * 2);
    }
}

#[test]
fn templates_of_another_catalogue() {
    let text = include_str!("../../../docker/images.toml");
    let with = |key: &str, templates: &str| {
        let start = text.find(&format!("\n{key} = [")).unwrap() + 1;
        let end = start + text[start..].find('\n').unwrap();
        Spec::parse("images.toml", &format!("{}{key} = [{templates}]{}", &text[..start], &text[end..]))
            .unwrap()
    };
    let check = |spec: &Spec, context: &Context, expect: &str| {
        assert_eq!(tags(spec, context, "debian").unwrap().names()[0], format!("{expect}-debian"));
    };
    let branch = context("refs/heads/a/b");
    check(&with("branch", "\"{{date 'YYYYMMDD'}}-{{branch}}\""), &branch, "20200110-a-b");
    check(&with("branch", "\"b_{{{branch}}}.{{sha}}\""), &branch, "b_a-b.abc1234");
    check(&with("branch", "\"{{date 'HH:mm' tz='Asia/Tokyo'}}\""), &branch, "09-30");
    let pull = Context { base_ref: Some("release/1".into()), ..context("refs/pull/4/merge") };
    check(&with("pull-request", "\"pr-{{number}}-to-{{base_ref}}\""), &pull, "pr-4-to-release-1");
    let scheduled = Context { event: "schedule".into(), ..context("refs/heads/main") };
    check(&with("schedule", "\"{{date 'YYYYMMDD'}}\""), &scheduled, "20200110");
    let dated = with("schedule", "\"{{date 'YYYY-MM-DD'}}\"");
    check(&dated, &scheduled, "2020-01-10");
    check(&dated, &context("refs/heads/develop"), "develop");
    let taken = tags(&dated, &context("refs/heads/1999-12-31"), "debian").unwrap().version;
    assert!(taken.starts_with("1999-12-31-"), "a schedule may give that name: {taken}");
}
