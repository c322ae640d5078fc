//! What the manifests name is there: a cluster takes an object that names what nobody has, and waits for it for ever.

use std::collections::BTreeSet;

use plan::Spec;
use plan::stack::kubernetes::{base_overlay, objects, secrets};
use plan::stack::{Pins, project};
use serde_json::Value;

/// The objects of a base or an overlay.
struct Cluster {
    project: String,
    secrets: Vec<String>,
    objects: Vec<Value>,
}

/// A workload's pods.
struct Pods<'a> {
    workload: &'a Value,
    template: &'a Value,
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether all that a selector wants is among the labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("a selector");
    !wanted.is_empty() && wanted.iter().all(|(key, value)| &labels[key] == value)
}

impl Pods<'_> {
    fn labels(&self) -> &Value {
        &self.template["metadata"]["labels"]
    }

    fn container(&self) -> &Value {
        &self.template["spec"]["containers"][0]
    }

    fn has_port(&self, port: &Value) -> bool {
        list(&self.container()["ports"]).any(|own| &own["name"] == port || &own["containerPort"] == port)
    }
}

impl Cluster {
    fn kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    fn find(&self, kind: &str, name: &Value) -> Result<&Value, String> {
        let found = self.kind(kind).find(|object| &object["metadata"]["name"] == name);
        found.ok_or_else(|| format!("there is no {kind} {name}"))
    }

    fn pods(&self) -> Vec<Pods<'_>> {
        let pods = |workload| {
            let pointers = ["/spec/template", "/spec/jobTemplate/spec/template"];
            let template = pointers.iter().find_map(|pointer| Value::pointer(workload, pointer))?;
            Some(Pods { workload, template })
        };
        self.objects.iter().filter_map(pods).collect()
    }

    /// # Errors
    /// The first name that leads nowhere.
    fn check(&self) -> Result<(), String> {
        for pods in self.pods() {
            self.check_pods(&pods)
                .map_err(|e| format!("{}: {e}", text(&pods.workload["metadata"]["name"])))?;
        }
        for object in &self.objects {
            self.check_selector(object).map_err(|e| {
                format!("{} {}: {e}", text(&object["kind"]), text(&object["metadata"]["name"]))
            })?;
        }
        Ok(())
    }

    fn check_pods(&self, pods: &Pods) -> Result<(), String> {
        let (spec, container) = (&pods.template["spec"], pods.container());
        self.find("ServiceAccount", &spec["serviceAccountName"])?;
        let known = self.hosts();
        for from in list(&container["envFrom"]) {
            let map = self.find("ConfigMap", &from["configMapRef"]["name"])?;
            for (variable, value) in map["data"].as_object().expect("data") {
                let words = text(value).split(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c)));
                for host in words.filter(|word| word.starts_with(&format!("{}-", self.project))) {
                    if !known.contains(host) {
                        return Err(format!("{variable}: nobody is called {host}"));
                    }
                }
            }
        }
        let templates: Vec<&Value> = list(&pods.workload["spec"]["volumeClaimTemplates"])
            .map(|claim| &claim["metadata"]["name"])
            .collect();
        for mount in list(&container["volumeMounts"]) {
            let name = &mount["name"];
            let Some(volume) = list(&spec["volumes"]).find(|volume| &volume["name"] == name) else {
                if templates.contains(&name) {
                    continue;
                }
                return Err(format!("there is no volume {name}"));
            };
            if let Some(map) = volume["configMap"].get("name") {
                let map = self.find("ConfigMap", map)?;
                if map["data"].get(text(&mount["subPath"])).is_none() {
                    return Err(format!("no file {}", mount["subPath"]));
                }
            }
            if let Some(claim) = volume["persistentVolumeClaim"].get("claimName") {
                self.find("PersistentVolumeClaim", claim)?;
            }
            for item in list(&volume["secret"]["items"]) {
                if !self.secrets.iter().any(|secret| item["key"] == **secret) {
                    return Err(format!("there is no secret {}", item["key"]));
                }
            }
        }
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            for action in ["httpGet", "tcpSocket"] {
                if let Some(port) = container[probe][action].get("port").filter(|port| !pods.has_port(port)) {
                    return Err(format!("{probe}: there is no port {port}"));
                }
            }
        }
        if let Some(name) = pods.workload["spec"].get("serviceName") {
            let service = self.find("Service", name)?;
            if service["spec"]["clusterIP"] != "None" || !selects(&service["spec"]["selector"], pods.labels())
            {
                return Err(format!("{name} does not govern it"));
            }
        }
        Ok(())
    }

    /// Every name under which something is reached.
    fn hosts(&self) -> BTreeSet<String> {
        let mut hosts: BTreeSet<String> =
            self.kind("Service").map(|service| text(&service["metadata"]["name"]).to_string()).collect();
        for set in self.kind("StatefulSet") {
            for number in 0..set["spec"]["replicas"].as_u64().unwrap_or(1) {
                let (name, service) = (text(&set["metadata"]["name"]), text(&set["spec"]["serviceName"]));
                hosts.insert(format!("{name}-{number}.{service}"));
            }
        }
        hosts
    }

    fn check_selector(&self, object: &Value) -> Result<(), String> {
        let spec = &object["spec"];
        let (selector, ports): (&Value, Vec<&Value>) = match text(&object["kind"]) {
            "Service" => (&spec["selector"], list(&spec["ports"]).map(|port| &port["targetPort"]).collect()),
            "PodDisruptionBudget" => (&spec["selector"]["matchLabels"], vec![]),
            "NetworkPolicy" => {
                let ports = list(&spec["ingress"]).flat_map(|rule| list(&rule["ports"]));
                (&spec["podSelector"]["matchLabels"], ports.map(|port| &port["port"]).collect())
            }
            "ServiceMonitor" => return self.check_monitor(spec),
            _ => return Ok(()),
        };
        let all = self.pods();
        let chosen: Vec<&Pods> = all.iter().filter(|pods| selects(selector, pods.labels())).collect();
        let [pods] = chosen[..] else { return Err(format!("it selects {} workloads", chosen.len())) };
        match ports.into_iter().find(|port| !pods.has_port(port)) {
            Some(port) => Err(format!("there is no port {port}")),
            None => Ok(()),
        }
    }

    /// By each Service that a monitor selects its pods are scraped once.
    fn check_monitor(&self, spec: &Value) -> Result<(), String> {
        let selector = &spec["selector"]["matchLabels"];
        let services: Vec<&Value> = self
            .kind("Service")
            .filter(|service| selects(selector, &service["metadata"]["labels"]))
            .collect();
        let [service] = services[..] else { return Err(format!("it selects {} Services", services.len())) };
        for endpoint in list(&spec["endpoints"]) {
            if !list(&service["spec"]["ports"]).any(|port| port["name"] == endpoint["port"]) {
                return Err(format!("there is no port {}", endpoint["port"]));
            }
        }
        Ok(())
    }
}

fn clusters() -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for text in
        [include_str!("../../../docker/images.toml"), include_str!("../../../examples/webapp/images.toml")]
    {
        let mut spec = Spec::parse("images.toml", text).unwrap();
        spec.project.version.get_or_insert(semver::Version::new(1, 2, 3));
        let kubernetes = spec.kubernetes.as_ref().unwrap();
        let base = base_overlay(kubernetes);
        for overlay in kubernetes.overlays.values().chain([&base]) {
            clusters.push(Cluster {
                project: project(&spec),
                secrets: secrets(&spec, overlay),
                objects: objects(&spec, &Pins::new(), overlay).into_values().collect(),
            });
        }
    }
    clusters
}

#[test]
fn what_manifests_name_is_there() {
    let clusters = clusters();
    for cluster in &clusters {
        cluster.check().unwrap();
    }
    assert!(clusters.iter().map(|cluster| cluster.objects.len()).sum::<usize>() > 60);
}

#[test]
fn a_pod_that_is_scraped_twice_is_found() {
    let mut clusters = clusters();
    let cluster = clusters.iter_mut().max_by_key(|cluster| cluster.objects.len()).unwrap();
    let is_it =
        |object: &&mut Value| object["metadata"]["name"] == "scratchbird-db" && object["kind"] == "Service";
    let service = cluster.objects.iter_mut().find(is_it).unwrap();
    service["metadata"]["labels"]["scratchbird.dev/metrics"] = "true".into();
    assert_eq!(cluster.check().unwrap_err(), "ServiceMonitor scratchbird-db: it selects 2 Services");
}

#[test]
fn a_name_that_leads_nowhere_is_found() {
    let check = |kind: &str, name: &str, pointer: &str, value: &str, expect: &str| {
        let mut clusters = clusters();
        let is_it = |object: &Value| object["kind"] == kind && object["metadata"]["name"] == name;
        // The overlay with most of all.
        let cluster = clusters.iter_mut().max_by_key(|cluster| cluster.objects.len()).unwrap();
        let object =
            cluster.objects.iter_mut().find(|object| is_it(object)).unwrap_or_else(|| panic!("{name}"));
        *object.pointer_mut(pointer).unwrap_or_else(|| panic!("{name}{pointer}")) = value.into();
        let problem = cluster.check().unwrap_err();
        assert!(problem.contains(expect), "{problem}");
    };
    let pod = "/spec/template/spec";
    let replica = "scratchbird-replica";
    check("Service", "scratchbird-write", "/spec/ports/0/targetPort", "rite", "no port \"rite\"");
    check("Service", "scratchbird-db", "/spec/selector/app.kubernetes.io~1name", "x", "selects 0 workloads");
    let headless = "scratchbird-replica-headless";
    check("StatefulSet", replica, "/spec/serviceName", "x", "nobody is called");
    check("Service", headless, "/spec/clusterIP", "10.0.0.1", "does not govern it");
    check("StatefulSet", replica, &format!("{pod}/serviceAccountName"), "x", "no ServiceAccount");
    check("StatefulSet", replica, &format!("{pod}/containers/0/volumeMounts/0/name"), "x", "no volume \"x\"");
    check(
        "StatefulSet",
        replica,
        &format!("{pod}/containers/0/livenessProbe/httpGet/port"),
        "x",
        "no port \"x\"",
    );
    check("StatefulSet", replica, &format!("{pod}/volumes/1/secret/items/0/key"), "x", "no secret \"x\"");
    check("Deployment", "scratchbird-proxy", &format!("{pod}/volumes/1/configMap/name"), "x", "no ConfigMap");
    check(
        "ConfigMap",
        "scratchbird-backup-env",
        "/data/PGHOST",
        "scratchbird-rite",
        "nobody is called scratchbird-rite",
    );
    check("ConfigMap", "scratchbird-proxy-files", "/data", "", "no file \"haproxy.cfg\"");
    check(
        "PodDisruptionBudget",
        replica,
        "/spec/selector/matchLabels/app.kubernetes.io~1component",
        "x",
        "selects 0",
    );
    check("NetworkPolicy", replica, "/spec/ingress/0/ports/0/port", "x", "no port \"x\"");
    check("ServiceMonitor", replica, "/spec/endpoints/0/port", "x", "no port \"x\"");
    let scraped = "/metadata/labels/scratchbird.dev~1metrics";
    check("Service", "scratchbird-replica-headless", scraped, "x", "selects 0 Services");
    let every = "/spec/selector/matchLabels/app.kubernetes.io~1component";
    check("ServiceMonitor", "scratchbird-db", every, "x", "selects 0 Services");
}
