//! GitLab's pipeline: gate, build, publish. A project includes it: `include: ci/gitlab-ci.yml`.

use std::fmt::Write as _;

use super::{Build, HEADER, REPORT, VERIFIED, builds, hosts, image_line, rust, variable};
use crate::GeneratedFile;
use crate::spec::{CiSpec, Spec};

/// When a release is published.
const IS_RELEASE: &str = "$CI_COMMIT_TAG =~ /^v[0-9]/";

/// The pipeline.
pub fn pipeline(spec: &Spec, ci: &CiSpec) -> GeneratedFile {
    let mut text = format!(
        "{HEADER}stages: [gate, build, publish]

workflow:
  auto_cancel:
    on_new_commit: interruptible
  rules:
    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
    - if: {IS_RELEASE}

default:
  image: {}

variables:
  CARGO_HOME: $CI_PROJECT_DIR/.cargo-home
  CARGO_TERM_COLOR: always
  # All commits and tags: what may be called `latest` depends on them.
  GIT_DEPTH: 0
  RUSTUP_TOOLCHAIN: \"{}\"

gate:
  stage: gate
  interruptible: true
  cache:
    key:
      prefix: gate
      files: [Cargo.lock]
    paths: [.cargo-home, target]
  rules:
    - if: {IS_RELEASE}
      when: never
    - when: on_success
  script:
    - cargo xtask doctor --install
    - cargo xtask ci
  artifacts:
    when: always
    paths: [{REPORT}]
    reports:
      junit: {VERIFIED}
    expire_in: 30 days

build:
  stage: build
  needs: []
  interruptible: true
  parallel:
    matrix:
",
        ci.gitlab_image,
        rust(spec)
    );
    for Build { platform, gitlab, name, .. } in builds(spec, ci) {
        let _ = writeln!(text, "      - {{ PLATFORM: {platform}, RUNNER: {gitlab}, NAME: {name} }}");
    }
    let _ = write!(
        text,
        "  tags: [$RUNNER]
  script:
    - cargo xtask doctor --install --platform \"$PLATFORM\"
    - {}
  artifacts:
    paths: [layouts]
    expire_in: 3 days

.merged:
  stage: publish
  script:
    - cargo xtask merge layouts/*

merge:
  extends: .merged
  needs: [build]
  rules:
    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"
  script:
    - !reference [.merged, script]
    - cargo xtask push --dry-run

.publish:
  extends: .merged
  resource_group: publish
  variables:
    XTASK_REGISTRY_LOGINS: |
",
        image_line(spec, " --output \"layouts/$NAME\"")
    );
    for host in hosts(spec) {
        let name = variable(host);
        let _ = writeln!(text, "      {host} $REGISTRY_{name}_USERNAME $REGISTRY_{name}_TOKEN");
    }
    let _ = write!(
        text,
        "
publish:
  extends: .publish
  needs: [gate, build]
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  script:
    - !reference [.merged, script]
    - cargo xtask push
    - cargo xtask promote

release:
  extends: .publish
  needs: [build]
  rules:
    - if: {IS_RELEASE}
  script:
    - !reference [.merged, script]
    - cargo xtask release --publish --execute
    - cargo xtask notes --output notes.md
  artifacts:
    paths: [notes.md]
"
    );
    GeneratedFile { path: "ci/gitlab-ci.yml".into(), contents: text }
}
