//! `[stacks]` and `[kubernetes]` of images.toml: services that run together, told once for every orchestrator.
//!
//! A service may be `like = "stack/service"`: what it does not say it takes from that one, and what both say of
//! variables, volumes, mounts and secrets is put together.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{HealthcheckSpec, Spec, Variant};
use crate::error::suggest;
use crate::stack::settings_check;

/// Services that are started together, and what lies beside them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StackSpec {
    /// A heading.
    pub title: String,
    /// What it is good for, in a sentence or two.
    pub description: String,
    /// What a user should know beyond how it is started: Markdown, for its README.
    #[serde(default)]
    pub notes: String,
    /// What is written for it.
    #[serde(default = "compose_alone")]
    pub outputs: Vec<Output>,
    /// Its services, by the name that they reach each other under.
    pub services: BTreeMap<String, ServiceSpec>,
    /// Files beside it that services mount, by path.
    #[serde(default)]
    pub files: BTreeMap<String, FileContents>,
}

/// A kind of file that a stack is told in.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// The Compose Specification, in `compose/<stack>`.
    Compose,
    /// Docker Swarm, in `swarm/<stack>`.
    Swarm,
    /// Nomad, in `nomad/<stack>`.
    Nomad,
    /// A workflow of GitHub Actions with a service container, in `compose/<stack>`.
    GithubActions,
    /// A pipeline of GitLab with a service container, in `compose/<stack>`.
    GitlabCi,
}

fn compose_alone() -> Vec<Output> {
    vec![Output::Compose]
}

/// What is in a file beside a stack.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileContents {
    /// This text.
    Text(String),
    /// What is written from the stack's services.
    Render(Rendered),
}

/// A file that follows from a stack's services.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Rendered {
    /// HAProxy's configuration: what writes and what reads, by the roles that the servers tell.
    Haproxy,
    /// Prometheus' configuration: every service with metrics.
    Prometheus,
    /// Prometheus' alert rules.
    Alerts,
    /// Grafana's data source.
    GrafanaDatasource,
    /// Where Grafana finds dashboards.
    GrafanaDashboards,
    /// A dashboard for Grafana.
    GrafanaDashboard,
}

/// One service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceSpec {
    /// `stack/service`: what this one does not say is that one's.
    pub like: Option<String>,
    /// `image:NAME` of this catalogue, or a fully qualified reference with a tag.
    pub image: Option<String>,
    /// The variant of the catalogue's image; its default variant, unless given.
    pub variant: Option<Variant>,
    /// Arguments, instead of the image's.
    #[serde(default)]
    pub command: Vec<String>,
    /// Variables. `${NAME:-default}` and `${NAME:?why it is needed}` ask the user's environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Secrets, mounted as files in /run/secrets: the variable that names the file, and the secret.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// What it listens on.
    #[serde(default)]
    pub ports: Vec<PortSpec>,
    /// The port with its probes and metrics.
    pub http: Option<HttpSpec>,
    /// What it keeps: the volume and where it is mounted.
    #[serde(default)]
    pub volumes: BTreeMap<String, String>,
    /// How large a volume is, where somebody has to know it.
    pub storage: Option<String>,
    /// What lies beside the stack and is mounted to be read: the path there and the path in the container.
    #[serde(default)]
    pub mounts: BTreeMap<String, String>,
    /// Folders in memory.
    #[serde(default)]
    pub tmpfs: Vec<String>,
    /// Its check, instead of the image's.
    pub healthcheck: Option<HealthcheckSpec>,
    /// The services that must be healthy before it starts.
    #[serde(default)]
    pub after: Vec<String>,
    /// Its share of processors, such as `0.5`.
    pub cpus: Option<f64>,
    /// The memory it may have, such as `512MB`.
    pub memory: Option<String>,
    /// How many processes and threads it may have.
    pub pids: Option<u32>,
    /// How many of it there are, each with volumes of its own.
    pub replicas: Option<u32>,
    /// The image's user, where the catalogue does not say it: `uid:gid`.
    pub user: Option<String>,
    /// A task to be repeated instead of a service.
    pub schedule: Option<ScheduleSpec>,
    /// Whether it is started only when it is asked for.
    pub on_demand: Option<bool>,
    /// Whether Compose also knows how to build its image from the checkout.
    pub build: Option<bool>,
    /// How long it may take to stop, such as `30s`.
    pub stop_grace: Option<String>,
}

/// A port that a service listens on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PortSpec {
    /// What it is called, in lower-case letters.
    pub name: String,
    /// Its number.
    pub port: u16,
    /// The variable by which a user says where it is published, with its default: `${DB_PORT:-5432}`.
    pub publish: Option<String>,
    /// Other names under which it is reached in Kubernetes, each on [`PortSpec::at`].
    #[serde(default)]
    pub known_as: Vec<String>,
    /// The port of those names, where it is another than this one.
    pub at: Option<u16>,
}

/// Probes and metrics of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpSpec {
    /// The port.
    pub port: u16,
    /// The path that answers 200 as long as the service need not be restarted.
    pub live: String,
    /// The path that answers 200 while the service can do its work.
    pub ready: String,
    /// The path of Prometheus' metrics.
    pub metrics: Option<String>,
    /// The path that answers 200 where writes are taken.
    pub primary: Option<String>,
    /// The path that answers 200 where reads of copies are answered.
    pub replica: Option<String>,
}

/// A task that is repeated.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScheduleSpec {
    /// The flag by which the program itself repeats it, where nothing else does.
    pub flag: String,
    /// How often: whole hours that divide a day, or whole minutes that divide an hour.
    pub every: String,
}

impl ScheduleSpec {
    /// Minutes between two runs.
    pub fn minutes(&self) -> u64 {
        settings::parse_time(&self.every, 1000).unwrap_or(0) / 60_000
    }

    /// Whether a clock's hands can say it: the time between two runs is always the same.
    fn is_even(&self) -> bool {
        let is_whole = settings::parse_time(&self.every, 1000).is_some_and(|time| time % 60_000 == 0);
        match self.minutes() {
            minutes @ 1..=59 => is_whole && 60 % minutes == 0,
            minutes @ 60..=1440 => is_whole && minutes % 60 == 0 && 1440 % minutes == 0,
            _ => false,
        }
    }
}

/// The manifests for Kubernetes: one stack is the base, others are overlays of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KubernetesSpec {
    /// The stack of the base.
    pub base: String,
    /// The Secret with the registry's credentials, which every pod names.
    pub pull_secret: Option<String>,
    /// The overlays, by name.
    pub overlays: BTreeMap<String, OverlaySpec>,
}

/// An overlay: stacks instead of the base's.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OverlaySpec {
    /// The stacks; where two have a service of one name, the first one's counts.
    pub stacks: Vec<String>,
    /// The namespace.
    pub namespace: String,
    /// Whether a ServiceMonitor says what to scrape, which needs Prometheus' operator in the cluster.
    #[serde(default)]
    pub service_monitor: bool,
}

impl ServiceSpec {
    /// Whether its containers differ from each other, by what each keeps.
    pub fn is_distinct(&self) -> bool {
        !self.volumes.is_empty()
    }

    /// This service, with what it does not say from `below`.
    fn over(self, below: &ServiceSpec) -> ServiceSpec {
        let put = |own: BTreeMap<String, String>, theirs: &BTreeMap<String, String>| {
            theirs.clone().into_iter().chain(own).filter(|(_, value)| !value.is_empty()).collect()
        };
        ServiceSpec {
            like: None,
            image: self.image.or_else(|| below.image.clone()),
            variant: self.variant.or_else(|| below.variant.clone()),
            command: if self.command.is_empty() { below.command.clone() } else { self.command },
            env: put(self.env, &below.env),
            secrets: put(self.secrets, &below.secrets),
            ports: if self.ports.is_empty() { below.ports.clone() } else { self.ports },
            http: self.http.or_else(|| below.http.clone()),
            volumes: put(self.volumes, &below.volumes),
            storage: self.storage.or_else(|| below.storage.clone()),
            mounts: put(self.mounts, &below.mounts),
            tmpfs: if self.tmpfs.is_empty() { below.tmpfs.clone() } else { self.tmpfs },
            healthcheck: self.healthcheck.or_else(|| below.healthcheck.clone()),
            after: if self.after.is_empty() { below.after.clone() } else { self.after },
            cpus: self.cpus.or(below.cpus),
            memory: self.memory.or_else(|| below.memory.clone()),
            pids: self.pids.or(below.pids),
            replicas: self.replicas.or(below.replicas),
            user: self.user.or_else(|| below.user.clone()),
            schedule: self.schedule.or_else(|| below.schedule.clone()),
            on_demand: self.on_demand.or(below.on_demand),
            build: self.build.or(below.build),
            stop_grace: self.stop_grace.or_else(|| below.stop_grace.clone()),
        }
    }
}

/// The stacks with what services take from each other.
///
/// # Errors
/// A service that is like none there is, or like itself, in one line.
pub(super) fn resolve(stacks: &BTreeMap<String, StackSpec>) -> Result<BTreeMap<String, StackSpec>, String> {
    let mut resolved = stacks.clone();
    for (name, stack) in &mut resolved {
        for (service_name, service) in &mut stack.services {
            let here = format!("stacks.{name}.services.{service_name}");
            *service = resolve_service(stacks, service.clone(), &here, 0)?;
            if service.image.is_none() {
                return Err(format!("{here}: missing field `image`"));
            }
        }
    }
    Ok(resolved)
}

fn resolve_service(
    stacks: &BTreeMap<String, StackSpec>,
    service: ServiceSpec,
    here: &str,
    depth: usize,
) -> Result<ServiceSpec, String> {
    let Some(like) = &service.like else {
        return Ok(service);
    };
    let found = like
        .split_once('/')
        .and_then(|(stack, service)| stacks.get(stack)?.services.get(service))
        .ok_or_else(|| format!("{here}.like: no service `{like}` is defined; write `stack/service`"))?;
    if depth > stacks.len() {
        return Err(format!("{here}.like: services go in a circle over `{like}`"));
    }
    let below = resolve_service(stacks, found.clone(), here, depth + 1)?;
    Ok(service.over(&below))
}

/// What no type says of stacks and manifests: names refer to something, sizes and variables are what they must be.
///
/// # Errors
/// The first mistake, in one line.
pub(super) fn check(spec: &Spec) -> Result<(), String> {
    for (name, stack) in &spec.stacks {
        dns_label(&format!("stacks.{name}"), name)?;
        for (service_name, service) in &stack.services {
            let here = format!("stacks.{name}.services.{service_name}");
            dns_label(&here, service_name)?;
            check_service(spec, stack, &here, service)?;
        }
    }
    let Some(kubernetes) = &spec.kubernetes else { return Ok(()) };
    let known = |here: &str, name: &String| {
        spec.stacks
            .contains_key(name)
            .then_some(())
            .ok_or_else(|| undefined(here, "stack", name, spec.stacks.keys()))
    };
    known("kubernetes.base", &kubernetes.base)?;
    for (name, overlay) in &kubernetes.overlays {
        let here = format!("kubernetes.overlays.{name}");
        dns_label(&format!("{here}.namespace"), &overlay.namespace)?;
        overlay.stacks.iter().try_for_each(|stack| known(&format!("{here}.stacks"), stack))?;
    }
    Ok(())
}

fn check_service(spec: &Spec, stack: &StackSpec, here: &str, service: &ServiceSpec) -> Result<(), String> {
    let image = service.image.as_deref().unwrap_or_default();
    match image.strip_prefix("image:") {
        Some(name) => {
            let image = spec
                .images
                .get(name)
                .ok_or_else(|| undefined(&format!("{here}.image"), "image", name, spec.images.keys()))?;
            if let Some(variant) =
                service.variant.as_ref().filter(|variant| !image.variants.contains(variant))
            {
                return Err(format!("{here}.variant: the image `{name}` has no variant `{variant}`"));
            }
        }
        None if !image.contains('/') || !image.rsplit('/').next().unwrap_or_default().contains(':') => {
            return Err(format!(
                "{here}.image: `{image}` must be `image:NAME` or fully qualified with a tag, such as `docker.io/library/haproxy:3.2`"
            ));
        }
        None => {}
    }
    for name in &service.after {
        if !stack.services.contains_key(name) {
            return Err(undefined(&format!("{here}.after"), "service", name, stack.services.keys()));
        }
    }
    for (what, value) in [("memory", &service.memory), ("storage", &service.storage)] {
        if let Some(value) = value
            && settings::parse_size(value, 1).is_none_or(|bytes| bytes == 0)
        {
            return Err(format!("{here}.{what}: `{value}` is no size such as `512MB`"));
        }
    }
    if service.cpus.is_some_and(|cpus| cpus.is_nan() || cpus <= 0.0) {
        return Err(format!("{here}.cpus: must be more than 0, such as `0.5`"));
    }
    let times = service.stop_grace.iter().map(|time| ("stop-grace", time));
    for (what, time) in
        times.chain(service.schedule.iter().map(|schedule| ("schedule.every", &schedule.every)))
    {
        if settings::parse_time(time, 1000).is_none_or(|time| time == 0) {
            return Err(format!("{here}.{what}: `{time}` is no time such as `30s` or `6h`"));
        }
    }
    if let Some(schedule) = service.schedule.as_ref().filter(|schedule| !schedule.is_even()) {
        return Err(format!(
            "{here}.schedule.every: `{}`: allowed are 1d, whole hours that divide a day, and whole minutes that divide \
             an hour, such as `6h`",
            schedule.every
        ));
    }
    for port in &service.ports {
        dns_label(&format!("{here}.ports"), &port.name)?;
        if let (Some(count @ 2..), Some(publish)) = (service.replicas, &port.publish) {
            return Err(format!(
                "{here}.ports: `publish = \"{publish}\"` with `replicas = {count}`: one container alone can have a port \
                 of the machine; publish a proxy before them"
            ));
        }
    }
    for from in service.mounts.keys() {
        let is_there = |path: &String| {
            path.strip_prefix(from.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !stack.files.keys().any(is_there) {
            return Err(undefined(&format!("{here}.mounts"), "file", from, stack.files.keys()));
        }
    }
    let folders = service.volumes.values().chain(service.mounts.values()).chain(&service.tmpfs);
    folders.into_iter().try_for_each(|path| super::check::absolute(here, path))?;
    settings_check::check(spec, here, service)
}

fn undefined<'a>(here: &str, kind: &str, name: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&String> = names.collect();
    let hint = suggest(name, &names).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    format!("{here}: no {kind} `{name}` is defined{hint}")
}

/// Names become host names: RFC 1123 labels.
fn dns_label(here: &str, name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty()
        && name.len() <= 40
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
    {
        return Ok(());
    }
    Err(format!("{here}: `{name}` must be lower-case letters, digits and `-`, at most 40"))
}
