//! The objects around the pods: workloads, Services, ConfigMaps, budgets, policies.

use serde_json::{Map, Value, json};

use super::pod;
use crate::spec::stack::{FileContents, PortSpec, Rendered, ScheduleSpec, ServiceSpec};
use crate::stack::haproxy;
use crate::stack::{Stack, quantity};

/// The variable of a pod's namespace, whichever overlay puts it there.
const NAMESPACE: &str = "POD_NAMESPACE";

/// The variable of the domain under which the cluster has its names.
const CLUSTER_DOMAIN: &str = "CLUSTER_DOMAIN";

/// The label of the one Service of each pod through which it is scraped: by each Service that a monitor selects, its
/// pods are scraped once more.
const SCRAPED: &str = "scratchbird.dev/metrics";

/// Every object of the stack.
pub fn objects(stack: &Stack, service_monitor: bool) -> Vec<Value> {
    let project = stack.project();
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": project, "labels": { "app.kubernetes.io/part-of": project } },
        "automountServiceAccountToken": false,
    });
    let mut list = vec![account];
    for (name, service) in &stack.stack.services {
        let service = Service { stack, name, service };
        list.extend(service.config_maps());
        list.extend(service.claims());
        list.push(service.workload());
        list.extend(service.services());
        if service.service.schedule.is_none() {
            list.push(service.disruption_budget());
        }
        list.push(service.network_policy());
        if service_monitor && service.service.http.as_ref().is_some_and(|http| http.metrics.is_some()) {
            list.push(service.service_monitor());
        }
    }
    list
}

/// A service on its way to Kubernetes.
pub struct Service<'a> {
    /// The stack that it is of.
    pub stack: &'a Stack<'a>,
    /// Its name there.
    pub name: &'a str,
    /// What it is.
    pub service: &'a ServiceSpec,
}

impl Service<'_> {
    /// The name of its objects.
    pub fn object_name(&self) -> String {
        format!("{}-{}", self.stack.project(), self.name)
    }

    /// The labels that its pods are found by.
    pub fn selector(&self) -> Value {
        json!({ "app.kubernetes.io/name": self.stack.project(), "app.kubernetes.io/component": self.name })
    }

    fn labels(&self) -> Value {
        let mut labels = self.selector();
        labels["app.kubernetes.io/part-of"] = json!(self.stack.project());
        labels
    }

    fn object(&self, api: &str, kind: &str, name: &str, rest: Value) -> Value {
        let mut object = json!({
            "apiVersion": api, "kind": kind,
            "metadata": { "name": name, "labels": self.labels() },
        });
        if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
            object.extend(rest);
        }
        object
    }

    /// Its variables as they stand in a container.
    pub fn environment(&self) -> Map<String, Value> {
        let mut map = self.stack.environment(self.service, |name| hosts(self.stack, name));
        for (variable, secret) in &self.service.secrets {
            map.insert(variable.clone(), format!("/run/secrets/{secret}").into());
        }
        map
    }

    /// The files that it mounts: the key in its ConfigMap, where it lies in the container, and its text.
    pub fn files(&self) -> Vec<(String, String, String)> {
        let mut files = Vec::new();
        for (from, to) in &self.service.mounts {
            for (path, contents) in &self.stack.stack.files {
                let Some(rest) = path.strip_prefix(from.as_str()) else { continue };
                if rest.is_empty() || rest.starts_with('/') {
                    files.push((path.replace('/', "-"), format!("{to}{rest}"), self.contents(contents)));
                }
            }
        }
        files
    }

    /// A file's text; a proxy finds each pod by its own name, and by its whole one: HAProxy asks name servers itself
    /// and does not know resolv.conf's `search`.
    fn contents(&self, contents: &FileContents) -> String {
        if !matches!(contents, FileContents::Render(Rendered::Haproxy)) {
            return self.stack.contents(contents);
        }
        let pods = self.stack.databases().into_iter().flat_map(|(name, ..)| pods(self.stack, name));
        let label = |host: &str| host.split('.').next().unwrap_or(host).to_string();
        let whole = |host: String| format!("\"{host}.${{{NAMESPACE}}}.svc.${{{CLUSTER_DOMAIN}}}\"");
        let servers: Vec<(String, String)> = pods.map(|host| (label(&host), whole(host))).collect();
        haproxy::render(self.stack, &servers)
    }

    /// The variables that only the cluster knows, for files that name pods in full.
    pub fn of_the_cluster(&self) -> Vec<Value> {
        let names_pods = |(_, _, text): &(String, String, String)| text.contains(NAMESPACE);
        if !self.files().iter().any(names_pods) {
            return Vec::new();
        }
        vec![
            json!({ "name": NAMESPACE, "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } }),
            json!({ "name": CLUSTER_DOMAIN, "value": "cluster.local" }),
        ]
    }

    fn config_maps(&self) -> Vec<Value> {
        let mut maps = Vec::new();
        let name = self.object_name();
        let environment = self.environment();
        if !environment.is_empty() {
            maps.push(self.object("v1", "ConfigMap", &format!("{name}-env"), json!({ "data": environment })));
        }
        let files: Map<String, Value> =
            self.files().into_iter().map(|(key, _, text)| (key, text.into())).collect();
        if !files.is_empty() {
            maps.push(self.object("v1", "ConfigMap", &format!("{name}-files"), json!({ "data": files })));
        }
        maps
    }

    fn claim_spec(&self) -> Value {
        let size = quantity(self.service.storage.as_deref().unwrap_or("1GB"));
        json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } })
    }

    /// What a repeated task keeps outlives it.
    fn claims(&self) -> Vec<Value> {
        if self.service.schedule.is_none() {
            return Vec::new();
        }
        let claim = |volume: &String| {
            let name = format!("{}-{volume}", self.object_name());
            self.object("v1", "PersistentVolumeClaim", &name, json!({ "spec": self.claim_spec() }))
        };
        self.service.volumes.keys().map(claim).collect()
    }

    fn workload(&self) -> Value {
        let name = self.object_name();
        let template = json!({
            "metadata": {
                "labels": self.labels(),
                "annotations": { "scratchbird.dev/config": pod::digest(self) },
            },
            "spec": pod::spec(self),
        });
        if let Some(schedule) = &self.service.schedule {
            let mut template = template;
            template["spec"]["restartPolicy"] = "Never".into();
            return self.object(
                "batch/v1",
                "CronJob",
                &name,
                json!({ "spec": {
                "schedule": cron(schedule),
                "concurrencyPolicy": "Forbid",
                "successfulJobsHistoryLimit": 1,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": { "spec": { "backoffLimit": 2, "template": template } },
            } }),
            );
        }
        let replicas = self.service.replicas.unwrap_or(1);
        let mut spec = json!({
            "replicas": replicas,
            "selector": { "matchLabels": self.selector() },
            "template": template,
        });
        if self.service.volumes.is_empty() {
            return self.object("apps/v1", "Deployment", &name, json!({ "spec": spec }));
        }
        let claims: Vec<Value> = self
            .service
            .volumes
            .keys()
            .map(|volume| json!({ "metadata": { "name": volume }, "spec": self.claim_spec() }))
            .collect();
        spec["serviceName"] = format!("{name}-headless").into();
        spec["podManagementPolicy"] = "Parallel".into();
        spec["volumeClaimTemplates"] = claims.into();
        self.object("apps/v1", "StatefulSet", &name, json!({ "spec": spec }))
    }

    fn services(&self) -> Vec<Value> {
        if self.service.ports.is_empty() || self.service.schedule.is_some() {
            return Vec::new();
        }
        let name = self.object_name();
        let plain =
            |port: &PortSpec| json!({ "name": port.name, "port": port.port, "targetPort": port.name });
        let mut ports: Vec<Value> = self.service.ports.iter().map(plain).collect();
        if let Some(http) = &self.service.http {
            ports.push(json!({ "name": "http", "port": http.port, "targetPort": "http" }));
        }
        let mut list = vec![self.object(
            "v1",
            "Service",
            &name,
            json!({ "spec": { "selector": self.selector(), "ports": ports } }),
        )];
        if !self.service.volumes.is_empty() {
            // A pod must be found before it is ready: by its replicas, and by a proxy that asks for roles.
            list.push(self.object(
                "v1",
                "Service",
                &format!("{name}-headless"),
                json!({ "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": true,
                "selector": self.selector(),
                "ports": ports,
            } }),
            ));
        }
        for port in &self.service.ports {
            for alias in &port.known_as {
                let at = port.at.unwrap_or(port.port);
                let ports = json!([{ "name": "sql", "port": at, "targetPort": port.name }]);
                let spec = json!({ "spec": { "selector": self.selector(), "ports": ports } });
                list.push(self.object("v1", "Service", &format!("{}-{alias}", self.stack.project()), spec));
            }
        }
        if self.service.http.as_ref().is_some_and(|http| http.metrics.is_some()) {
            let own = usize::from(!self.service.volumes.is_empty());
            list[own]["metadata"]["labels"][SCRAPED] = "true".into();
        }
        // An alias belongs to no service in particular: whoever serves it may change.
        for alias in &mut list[1..] {
            let own = alias["metadata"]["name"] != json!(format!("{name}-headless"));
            if own && let Some(labels) = alias["metadata"]["labels"].as_object_mut() {
                labels.remove("app.kubernetes.io/component");
            }
        }
        list
    }

    fn disruption_budget(&self) -> Value {
        let spec = json!({ "maxUnavailable": 1, "selector": { "matchLabels": self.selector() } });
        self.object("policy/v1", "PodDisruptionBudget", &self.object_name(), json!({ "spec": spec }))
    }

    /// Who may reach it: the same stack, pods that are labelled as its clients, and monitoring its metrics.
    fn network_policy(&self) -> Value {
        let project = self.stack.project();
        let tcp = |port: Value| json!({ "protocol": "TCP", "port": port });
        let own = json!({ "podSelector": { "matchLabels": { "app.kubernetes.io/part-of": project } } });
        let clients = json!({ "podSelector": { "matchLabels": { format!("{project}-client"): "true" } } });
        let mut ingress = Vec::new();
        let mut ports: Vec<Value> = self.service.ports.iter().map(|port| tcp(json!(port.name))).collect();
        if !ports.is_empty() {
            ingress.push(json!({ "from": [own, clients], "ports": ports.clone() }));
        }
        if self.service.http.is_some() {
            let monitoring = json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "monitoring" } } });
            ingress.push(json!({ "from": [own, monitoring], "ports": [tcp(json!("http"))] }));
            ports.push(tcp(json!("http")));
        }
        let dns = json!({ "ports": [{ "protocol": "UDP", "port": 53 }, tcp(json!(53))] });
        let spec = json!({
            "podSelector": { "matchLabels": self.selector() },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": [dns, { "to": [own] }],
        });
        self.object("networking.k8s.io/v1", "NetworkPolicy", &self.object_name(), json!({ "spec": spec }))
    }

    fn service_monitor(&self) -> Value {
        let path = self.service.http.as_ref().and_then(|http| http.metrics.clone());
        let mut labels = self.selector();
        labels[SCRAPED] = "true".into();
        let spec = json!({
            "selector": { "matchLabels": labels },
            // The alerts' job.
            "jobLabel": "app.kubernetes.io/name",
            "endpoints": [{ "port": "http", "path": path, "interval": "15s" }],
        });
        self.object(
            "monitoring.coreos.com/v1",
            "ServiceMonitor",
            &self.object_name(),
            json!({ "spec": spec }),
        )
    }
}

/// Where a service is reached: what keeps something pod by pod, since each may have another role, else its Service.
pub fn hosts(stack: &Stack, name: &str) -> String {
    match stack.stack.services.get(name) {
        Some(service)
            if service.is_distinct()
                && (service.replicas.is_some() || service.env.contains_key("SCRATCHBIRD_PRIMARY_HOST")) =>
        {
            pods(stack, name).join(",")
        }
        _ => format!("{}-{name}", stack.project()),
    }
}

/// The names of a service's pods.
fn pods(stack: &Stack, name: &str) -> Vec<String> {
    let project = stack.project();
    let count = stack.stack.services.get(name).and_then(|service| service.replicas).unwrap_or(1);
    (0..count).map(|number| format!("{project}-{name}-{number}.{project}-{name}-headless")).collect()
}

/// The schedule in cron's words.
fn cron(schedule: &ScheduleSpec) -> String {
    match schedule.minutes() {
        minutes @ ..60 => format!("*/{minutes} * * * *"),
        minutes @ 60..1440 => format!("0 */{} * * *", minutes / 60),
        _ => "0 3 * * *".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        let check = |every: &str, expect: &str| {
            assert_eq!(cron(&ScheduleSpec { flag: String::new(), every: every.into() }), expect);
        };
        check("5min", "*/5 * * * *");
        check("1h", "0 */1 * * *");
        check("6h", "0 */6 * * *");
        check("1d", "0 3 * * *");
    }
}
