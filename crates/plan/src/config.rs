//! How a container of a planned image runs, and what its labels say.

use std::collections::BTreeMap;

use oci_spec::image::{
    ANNOTATION_BASE_IMAGE_DIGEST, ANNOTATION_BASE_IMAGE_NAME, ANNOTATION_CREATED, ANNOTATION_DESCRIPTION,
    ANNOTATION_DOCUMENTATION, ANNOTATION_LICENSES, ANNOTATION_REVISION, ANNOTATION_SOURCE, ANNOTATION_TITLE,
    ANNOTATION_URL, ANNOTATION_VENDOR, ANNOTATION_VERSION,
};

use crate::facts::Facts;
use crate::spec::{HealthcheckSpec, Spec};

/// PATH where the base sets none: the one that Debian's and Alpine's official images have.
pub(crate) const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is known of the base once it is at hand.
#[derive(Clone, Debug, Default)]
pub struct BaseIdentity {
    /// The fully qualified reference, where the base came from one.
    pub reference: Option<String>,
    /// The digest of the image that it was; none for `scratch`.
    pub digest: Option<String>,
    /// The `NAME=value`s that it sets.
    pub env: Vec<String>,
}

/// The configuration of the image `name`.
///
/// # Panics
/// When `name` is none of the Spec's images.
pub fn config(spec: &Spec, facts: &Facts, name: &str, base: &BaseIdentity) -> oci::Config {
    let image = &spec.images[name];
    let mut env = base.env.clone();
    if !env.iter().any(|e| e.starts_with("PATH=")) {
        env.insert(0, PATH.into());
    }
    for (name, value) in &image.env {
        let prefix = format!("{name}=");
        env.retain(|e| !e.starts_with(&prefix));
        env.push(format!("{name}={value}"));
    }
    oci::Config {
        user: image.user.as_ref().map(|u| format!("{}:{}", u.uid, u.gid)).unwrap_or_default(),
        env,
        entrypoint: image.entrypoint.clone(),
        cmd: image.cmd.clone(),
        working_dir: image.working_dir.clone(),
        exposed_ports: image.ports.clone(),
        volumes: image.volumes.clone(),
        labels: labels(spec, facts, image.version(facts), base)
            .into_iter()
            .chain(image.labels.clone())
            .collect(),
        stop_signal: image.stop_signal.clone(),
        healthcheck: image.healthcheck.as_ref().map(healthcheck),
    }
}

fn labels(
    spec: &Spec,
    facts: &Facts,
    version: &semver::Version,
    base: &BaseIdentity,
) -> BTreeMap<String, String> {
    let project = &spec.project;
    let version = semver::Version { build: semver::BuildMetadata::EMPTY, ..version.clone() };
    let optional = [
        (ANNOTATION_REVISION, facts.revision_label()),
        (ANNOTATION_BASE_IMAGE_NAME, base.reference.clone()),
        (ANNOTATION_BASE_IMAGE_DIGEST, base.digest.clone()),
    ];
    [
        (ANNOTATION_TITLE, &project.title),
        (ANNOTATION_DESCRIPTION, &project.description),
        (ANNOTATION_VENDOR, &project.vendor),
        (ANNOTATION_URL, &project.url),
        (ANNOTATION_SOURCE, &project.source),
        (ANNOTATION_DOCUMENTATION, &project.documentation),
        (ANNOTATION_LICENSES, &project.licenses),
        (ANNOTATION_VERSION, &version.to_string()),
        (ANNOTATION_CREATED, &facts.created()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_string(), value.clone()))
    .chain(optional.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))))
    .collect()
}

fn healthcheck(spec: &HealthcheckSpec) -> oci::Healthcheck {
    let nanos = |d: std::time::Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    oci::Healthcheck {
        test: std::iter::once("CMD".to_string()).chain(spec.test.iter().cloned()).collect(),
        interval: nanos(spec.interval),
        timeout: nanos(spec.timeout),
        start_period: nanos(spec.start_period),
        retries: spec.retries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{facts, spec};

    #[test]
    fn environment() {
        let check = |base: &[&str], own: &[(&str, &str)], expect: &[&str]| {
            let mut spec = spec();
            let image = spec.images.get_mut("server").unwrap();
            image.env = own.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            let base =
                BaseIdentity { env: base.iter().map(|e| (*e).into()).collect(), ..BaseIdentity::default() };
            assert_eq!(config(&spec, &facts(), "server", &base).env, expect);
        };
        check(&[], &[], &[PATH]);
        check(&["PATH=/bin"], &[("A", "1")], &["PATH=/bin", "A=1"]);
        check(&["A=0", "B=2"], &[("A", "1")], &[PATH, "B=2", "A=1"]);
    }

    #[test]
    fn how_it_runs_and_what_it_says() {
        let base = BaseIdentity {
            reference: Some("docker.io/library/alpine:3.24".into()),
            digest: Some("sha256:abc".into()),
            env: Vec::new(),
        };
        let config = config(&spec(), &facts(), "server", &base);
        assert_eq!((config.user.as_str(), config.stop_signal.as_str()), ("1000:1000", "SIGTERM"));
        let healthcheck = config.healthcheck.unwrap();
        assert_eq!(healthcheck.test, ["CMD", "/usr/local/bin/scratchbird-healthcheck"]);
        assert_eq!((healthcheck.interval, healthcheck.retries), (10_000_000_000, 3));
        let label = |key: &str| config.labels[&format!("org.opencontainers.image.{key}")].as_str();
        assert_eq!(label("base.name"), "docker.io/library/alpine:3.24");
        assert_eq!(label("base.digest"), "sha256:abc");
        assert_eq!((label("version"), label("revision")), ("1.2.3", "c0ffee"));
        assert_eq!(label("created"), "2023-11-14T22:13:20Z");
        assert_eq!(config.labels.len(), 12);
    }
}
