//! docker/metadata-action's rules: what a pasted `tags:` block gives.

use plan::tags::context::Context;
use plan::tags::flavor::Flavor;
use plan::tags::{GitRef, Tags, check_legal, metadata, rule};

fn context(git_ref: &str) -> Context {
    Context {
        git_ref: GitRef::parse(git_ref),
        sha: "860c1904a1ce19322e91ac35af1ab07466440c37".into(),
        short_sha: 7,
        event: "push".into(),
        default_branch: Some("master".into()),
        base_ref: Some("dev".into()).filter(|_: &String| git_ref.contains("pull")),
        now: 1_578_616_200,
        commit_time: Some(1_578_400_000),
        branches: Vec::new(),
    }
}

fn tags(rules: &str, flavor: &str, context: &Context) -> plan::Result<Tags> {
    let typed = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_string()] };
    metadata::tags(&rule::parse(&typed(rules))?, &Flavor::parse(&typed(flavor))?, context)
}

fn check_in(context: &Context, rules: &str, flavor: &str, expect: &str) {
    let tags = tags(rules, flavor, context).unwrap();
    assert_eq!(tags.names().join(" "), expect, "{rules} | {flavor} | {context:?}");
    assert_eq!(tags.version, expect.split(' ').next().unwrap(), "the version is the first tag");
    for name in tags.names() {
        check_legal(&name).unwrap();
    }
}

fn check(git_ref: &str, rules: &str, flavor: &str, expect: &str) {
    check_in(&context(git_ref), rules, flavor, expect);
}

const MASTER: &str = "refs/heads/master";
const DEV: &str = "refs/heads/dev";
const TAG: &str = "refs/tags/v1.2.3";
const RC: &str = "refs/tags/v2.0.8-beta.67";
const PULL: &str = "refs/pull/2/merge";

#[test]
fn the_default_rules() {
    check(MASTER, "", "", "master");
    check("refs/heads/releases/v1", "", "", "releases-v1");
    check(TAG, "", "", "v1.2.3 latest");
    check(RC, "", "", "v2.0.8-beta.67 latest");
    check(PULL, "", "", "pr-2");
    check("", "", "", "");
    check_in(&Context { event: "schedule".into(), ..context(MASTER) }, "", "", "nightly master");
}

#[test]
fn semver() {
    let pattern = |pattern: &str| format!("type=semver,pattern={pattern}");
    let stable = |text: &str, expect: &str| check(TAG, &pattern(text), "", &format!("{expect} latest"));
    stable("{{raw}}", "v1.2.3");
    stable("{{version}}", "1.2.3");
    stable("{{major}}.{{minor}}", "1.2");
    stable("v{{major}}", "v1");
    stable("{{minor}}", "2");
    stable("{{patch}}", "3");
    stable("{{ major }}-{{{minor}}}", "1-2");
    stable("{{version}}-{{sha}}", "1.2.3-860c190");
    // A pre-release has its full version under every pattern but the raw one.
    for text in
        ["{{version}}", "{{major}}.{{minor}}", "{{major}}", "v{{version}}", "{{raw}}x", "{{raw}}.{{version}}"]
    {
        check(RC, &pattern(text), "", "2.0.8-beta.67");
    }
    check(RC, &pattern("{{raw}}"), "", "v2.0.8-beta.67");
    check(RC, &pattern("{{ raw }}"), "", "v2.0.8-beta.67");
    check(RC, "type=semver,pattern={{version}}\ntype=semver,pattern={{major}}", "", "2.0.8-beta.67");
    // Build metadata.
    let build = "refs/tags/v9.5.7-alpha.2+fork.3.1.8";
    check(build, &pattern("{{version}}"), "", "9.5.7-alpha.2");
    check(build, &pattern("{{raw}}"), "", "v9.5.7-alpha.2-fork.3.1.8");
    check("refs/tags/1.2.3+b7", &pattern("{{version}}-{{build}}"), "", "1.2.3-b7 latest");
    check("refs/tags/1.2.3+b7", &pattern("{{raw}}"), "", "1.2.3-b7 latest");
    // Strict.
    for tag in ["v1.2", "1", "some", "=1.2.3", "V1.2.3", "v01.2.3", "1.2.3.4", "release/1.2.3", "vv1.2.3"] {
        check(&format!("refs/tags/{tag}"), &pattern("{{version}}"), "", "");
    }
    check(MASTER, &pattern("{{version}}"), "", "");
    check(PULL, &pattern("{{version}}"), "", "");
    // value= and match=.
    check(DEV, "type=semver,pattern={{version}},value=v1.0.0", "", "1.0.0 latest");
    check(DEV, "type=semver,pattern={{major}},value=2.0.0-rc.1", "", "2.0.0-rc.1");
    check(DEV, "type=semver,pattern={{version}},value=", "", "");
    check("refs/tags/p1/v1.2.3", "type=semver,pattern={{version}},match=v(\\d.\\d.\\d)$", "", "1.2.3 latest");
    check("refs/tags/p1/v1.2.3", "type=semver,pattern={{version}},match=\\d.\\d.\\d", "", "1.2.3 latest");
    check("refs/tags/v1.2.3", "type=semver,pattern={{version}},match=x(.*)", "", "1.2.3 latest");
    check(DEV, "type=semver,pattern={{version}},value=p1/v1.0.0,match=v(\\d.\\d.\\d)$", "", "1.0.0 latest");
    check(TAG, "type=semver,pattern={{version}},value={{tag}}", "", "1.2.3 latest");
    // The usual block.
    check(
        TAG,
        "type=ref,event=branch\n type=ref,event=pr\n type=semver,pattern={{version}}\n type=semver,pattern={{major}}.{{minor}}\n type=semver,pattern={{major}}\n type=sha",
        "",
        "1.2.3 1.2 1 sha-860c190 latest",
    );
    check(
        "refs/tags/v0.1.2",
        "type=semver,pattern={{major}},enable=false\ntype=semver,pattern={{version}}",
        "",
        "0.1.2 latest",
    );
}

#[test]
fn pep440() {
    let case = |tag: &str, pattern: &str, expect: &str| {
        check(&format!("refs/tags/{tag}"), &format!("type=pep440,pattern={pattern}"), "", expect);
    };
    case("1.2.3", "{{raw}}", "1.2.3 latest");
    case("v1.2.3", "{{raw}}", "v1.2.3 latest");
    case("v1.2.3", "{{version}}", "1.2.3 latest");
    case("1.2.3", "{{major}}.{{minor}}", "1.2 latest");
    case("1.2.3", "v{{major}}", "v1 latest");
    case("1.2", "{{patch}}", "0 latest");
    case("v1.2.3rc2", "{{raw}}", "v1.2.3rc2");
    case("1.2.3rc2", "{{version}}", "1.2.3rc2");
    case("1.2.3rc2", "{{major}}.{{minor}}", "1.2.3rc2");
    case("1.2.3post1", "{{major}}.{{minor}}", "1.2.3.post1");
    case("1.2.3beta2", "{{major}}.{{minor}}", "1.2.3b2");
    case("1.0dev4", "{{major}}.{{minor}}", "1.0.dev4");
    case("1!2.0", "{{version}}", "1-2.0 latest");
    case("1.0+local", "{{version}}", "1.0-local latest");
    case("main", "{{version}}", "");
    case("p1/v1.2.3", "{{version}},match=v(\\d.\\d.\\d)$", "1.2.3 latest");
    check(DEV, "type=pep440,pattern={{version}},value=1.0", "", "1.0 latest");
}

#[test]
fn parts_of_tags() {
    let case = |tag: &str, rule: &str, expect: &str| {
        check(&format!("refs/tags/{tag}"), &format!("type=match,{rule}"), "", expect)
    };
    case("v1.2.3", "pattern=\\d.\\d.\\d", "1.2.3 latest");
    case("v2.0.8-beta.67", "pattern=v(.*),group=1", "2.0.8-beta.67 latest");
    case("v2.0.8-beta.67", "pattern=v(\\d.\\d),group=1", "2.0 latest");
    case("20200110-RC2", "pattern=\\d+", "20200110 latest");
    case("p1/v1.2.3", "pattern=p1/v(\\d.\\d.\\d),group=1", "1.2.3 latest");
    case("V1.2", "pattern=/v(\\d\\.\\d)/i,group=1", "1.2 latest");
    case("v1.2-rc", "pattern=^v\\d\\.\\d(?!-rc)", "");
    case("v1.2", "pattern=^v\\d\\.\\d(?!-rc)", "v1.2 latest");
    case("v1.2", "pattern=x", "");
    case("v1.2", "pattern=v,group=2", "");
    case("v12", "\"pattern=\\d{1,2}\"", "12 latest");
    check(DEV, "type=match,pattern=v(.*),group=1,value=v1.0.0", "", "1.0.0 latest");
    check(DEV, "type=match,pattern=.*", "", "");
}

#[test]
fn branches_pull_requests_and_commits() {
    check(MASTER, "type=ref,event=branch", "", "master");
    check("refs/heads/my/branch", "type=ref,event=branch", "", "my-branch");
    check("refs/heads/my/feature#1245", "type=ref,event=branch", "", "my-feature-1245");
    check(TAG, "type=ref,event=branch", "", "");
    check(TAG, "type=ref,event=tag", "", "v1.2.3 latest");
    check("refs/tags/a/b", "type=ref,event=tag", "", "a-b latest");
    check(DEV, "type=ref,event=tag", "", "");
    check(PULL, "type=ref,event=pr", "", "pr-2");
    check(PULL, "type=ref,event=pr,prefix=", "", "2");
    check(PULL, "type=ref,event=pr,prefix=pull-,suffix=-x", "", "pull-2-x");
    check(DEV, "type=ref,event=pr", "", "");
    check(DEV, "type=sha", "", "sha-860c190");
    check(DEV, "type=sha,format=short", "", "sha-860c190");
    check(DEV, "type=sha,format=long", "", "sha-860c1904a1ce19322e91ac35af1ab07466440c37");
    check(DEV, "type=sha,prefix=", "", "860c190");
    check(DEV, "type=sha,prefix=git-", "", "git-860c190");
    check(DEV, "type=sha,prefix={{branch}}-", "", "dev-860c190");
    check_in(&Context { short_sha: 12, ..context(DEV) }, "type=sha", "", "sha-860c1904a1ce");
    check_in(
        &Context { short_sha: 64, ..context(DEV) },
        "type=sha,prefix=",
        "",
        "860c1904a1ce19322e91ac35af1ab07466440c37",
    );
    check_in(&Context { sha: String::new(), ..context(DEV) }, "type=sha\ntype=raw,{{branch}}", "", "dev");
}

#[test]
fn edge_raw_and_schedule() {
    check(MASTER, "type=edge", "", "edge");
    check(DEV, "type=edge", "", "");
    check(DEV, "type=edge,branch=dev", "", "edge");
    check(MASTER, "type=edge,branch=dev", "", "");
    check(TAG, "type=edge", "", "");
    check(MASTER, "type=edge,suffix=-x", "", "edge-x");
    check_in(&Context { default_branch: None, ..context(MASTER) }, "type=edge", "", "");
    for rule in ["foo", "type=raw,foo", "type=raw,value=foo", "value=foo", "TYPE=raw, value = foo "] {
        check(DEV, rule, "", "foo");
    }
    check(DEV, "type=raw,value=a=b", "", "a-b");
    check(DEV, "type=raw,\"value=a,b\"", "", "a-b");
    check(DEV, "type=raw,value=", "", "");
    check(DEV, "type=raw,value=mytag-{{branch}}-{{sha}}", "", "mytag-dev-860c190");
    check(TAG, "type=raw,value={{branch}}x{{tag}}", "", "xv1.2.3");
    check(PULL, "type=raw,value=to-{{base_ref}}", "", "to-dev");
    check(MASTER, "type=raw,value=latest,enable={{is_default_branch}}", "", "latest");
    check(DEV, "type=raw,value=latest,enable={{is_default_branch}}", "", "");
    check(DEV, "type=raw,value=next,enable={{is_not_default_branch}}", "", "next");
    check(DEV, "type=raw,value={{date 'YYYYMMDD-HHmmss' tz='Asia/Tokyo'}}", "", "20200110-093000");
    check(DEV, "type=raw,value={{commit_date 'YYYYMMDD'}}", "", "20200107");
    let scheduled = Context { event: "schedule".into(), ..context(DEV) };
    check_in(&scheduled, "type=schedule", "", "nightly");
    check_in(&scheduled, "type=schedule,pattern={{date 'YYYYMMDD'}}", "", "20200110");
    check_in(&scheduled, "type=schedule,pattern=n-{{branch}}", "", "n-dev");
    check_in(&scheduled, "type=raw,value=x,enable={{is_default_branch}}", "", "x");
    check(DEV, "type=schedule", "", "");
}

#[test]
fn priorities() {
    check(MASTER, "type=sha\nfoo\ntype=ref,event=branch\ntype=edge", "", "edge master foo sha-860c190");
    check(MASTER, "type=ref,priority=2000,event=branch\ntype=edge", "", "master edge");
    check(MASTER, "a\nb\nc,priority=201", "", "c a b");
    check(MASTER, "a\nb\na", "", "a b");
    check(TAG, "type=sha,priority=901\ntype=semver,pattern={{version}}", "", "sha-860c190 1.2.3");
    check(TAG, "type=raw,value=latest\ntype=semver,pattern={{version}}", "", "1.2.3 latest");
    check(TAG, "type=raw,value=x,priority=-1\ntype=sha", "", "sha-860c190 x");
}

#[test]
fn flavors() {
    let semver = "type=semver,pattern={{version}}";
    check(TAG, semver, "latest=false", "1.2.3");
    check(RC, semver, "latest=true", "2.0.8-beta.67 latest");
    check(DEV, "type=ref,event=branch", "latest=true", "dev latest");
    check(DEV, semver, "latest=true", "");
    check(TAG, semver, "suffix=-alpine", "1.2.3-alpine latest");
    check(TAG, semver, "suffix=-alpine,onlatest=true", "1.2.3-alpine latest-alpine");
    check(TAG, semver, "prefix=p-\nsuffix=-s", "p-1.2.3-s latest");
    check(TAG, semver, "prefix=p-,onlatest=true\nsuffix=-s,onlatest=true", "p-1.2.3-s p-latest-s");
    check(TAG, &format!("{semver},prefix=,suffix="), "prefix=p-\nsuffix=-s", "1.2.3 latest");
    check(TAG, &format!("{semver},suffix=-own"), "prefix=p-\nsuffix=-s", "p-1.2.3-own latest");
    check(PULL, "type=ref,event=pr", "prefix=p-", "pr-2");
    check(DEV, "type=sha", "prefix=p-,suffix=-s", "sha-860c190-s");
    check(DEV, "type=ref,event=branch", "suffix=-{{sha}}", "dev-860c190");
    check(DEV, "", "suffix=-debian", "dev-debian");
    check(TAG, semver, "suffix=-{{sha}},onlatest=true", "1.2.3-860c190 latest-860c190");
}

#[test]
fn defects_that_are_put_right() {
    // Nothing is escaped for HTML.
    check("refs/heads/a'b", "type=raw,value={{branch}}", "", "a-b");
    check("refs/heads/a&b", "type=raw,value=x-{{branch}}", "", "x-a-b");
    // No `-` or `.` comes first; an empty expression leaves none behind.
    check(PULL, "type=sha,prefix={{branch}}-", "", "860c190");
    check(PULL, "type=raw,value=.{{branch}}-x", "", "x");
    check(PULL, "type=raw,value=-{{branch}}", "", "");
    // No tag is longer than 128 characters, and one that is cut is nobody else's.
    let long = |last: &str| {
        tags("type=ref,event=branch", "", &context(&format!("refs/heads/{}{last}", "x".repeat(150))))
            .unwrap()
            .version
    };
    assert_eq!((long("a").len(), long("b").len()), (128, 128));
    assert_ne!(long("a"), long("b"));
    // Two branches that differ in what is left out at the start.
    let names: Vec<String> = ["refs/heads/-x", "refs/heads/.x", "refs/heads/x"]
        .map(|r| tags("type=ref,event=branch", "", &context(r)).unwrap().version)
        .to_vec();
    assert!(
        names[0].starts_with("x-") && names[1].starts_with("x-") && names[0] != names[1] && names[2] == "x"
    );
    // `latest` is there once.
    check(
        TAG,
        "type=raw,value=latest,priority=950\ntype=semver,pattern={{version}}",
        "latest=true",
        "latest 1.2.3",
    );
}

#[test]
fn mistakes() {
    let check = |rules: &str, flavor: &str, expect: &str| {
        let error = tags(rules, flavor, &context(DEV)).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(expect), "{error}");
    };
    check(
        "type=raw,value=x,enable=yes",
        "",
        "--rule `type=raw,value=x,enable=yes`: enable=`yes`; allowed: true, false",
    );
    check("type=raw,value=x,enable=", "", "enable=``; allowed: true, false");
    check("type=raw,value=x,enable={{branch}}", "", "enable=`dev`; allowed: true, false");
    check("type=semvar", "", "unknown type `semvar`, did you mean `semver`?");
    check("", "latest=never", "--flavor `latest=never`");
}

#[test]
fn every_rule_says_why() {
    let tags = |rules: &str, git_ref: &str| tags(rules, "", &context(git_ref)).unwrap();
    let check = |rules: &str, git_ref: &str, name: &str, expect: &str| {
        let tags = tags(rules, git_ref);
        let found =
            tags.tags.iter().chain(&tags.left).find(|t| t.name == name).unwrap_or_else(|| panic!("{name}"));
        assert!(found.why.contains(expect), "{}", found.why);
    };
    let semver = "type=semver,pattern={{version}}";
    check(semver, TAG, "1.2.3", "a stable version, by `type=semver,pattern={{version}}`");
    check(semver, TAG, "latest", "the first rule that gave a tag, stands for a release");
    check(semver, RC, "latest", "is for no stable release");
    check(semver, DEV, semver, "is for git tags");
    check(semver, "refs/tags/v1.2", semver, "`v1.2` is no semantic version");
    check("type=edge", DEV, "type=edge", "is for the branch `master`");
    check("x,enable=false", DEV, "x,enable=false", "enable is false");
    check("type=match,pattern=q", TAG, "type=match,pattern=q", "does not match `v1.2.3`");
}
