//! Kubernetes' pods without a cluster: what an overlay's manifests say of each container is done by this engine, and
//! everybody has the names, and searches for them, as a cluster gives them. Tried is that the pods find each other, get
//! ready by their own probes, and go on when the primary's is gone.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use plan::spec::stack::OverlaySpec;
use plan::stack::{Pins, kubernetes};
use serde_json::{Map, Value, json};

use super::running::{Running, write};
use super::{Scene, need, stand_ins};
use crate::verify::skip;

const OVERLAY: &str = "replicated";
const DOMAIN: &str = "svc.cluster.local";
const PATIENCE: Duration = Duration::from_secs(90);

pub fn replicated(scene: &Scene) -> Result<()> {
    need("psql", "postgresql-client")?;
    let overlays = scene.spec.kubernetes.as_ref().map(|kubernetes| &kubernetes.overlays);
    let Some(overlay) = overlays.and_then(|overlays| overlays.get(OVERLAY)) else {
        return skip(format!("the catalogue has no overlay `{OVERLAY}`"));
    };
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let root = folder.path().join("pods");
    for secret in kubernetes::secrets(scene.spec, overlay) {
        write(&root.join("secrets").join(secret), "of-the-test")?;
    }
    let cluster = Cluster::new(scene, overlay);
    let mut services = Map::new();
    for pod in &cluster.pods {
        services.insert(pod.name.clone(), cluster.service(scene, &root, pod)?);
    }
    let volumes: Map<String, Value> =
        cluster.pods.iter().flat_map(Pod::claims).map(|(volume, _)| (volume, json!({}))).collect();
    let file = json!({ "services": services, "volumes": volumes });
    // JSON is YAML.
    write(&root.join("compose.yaml"), &file.to_string())?;
    let running = Running::of(scene.engine, folder, &root, "pods")?;
    running.compose.output(&["up", "--detach", "--no-build"])?;

    for pod in cluster.pods.iter().filter(|pod| !pod.is_task) {
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            pod.until_probed(&running, probe)?;
        }
    }
    let proxy = cluster.pods.iter().find(|pod| pod.port("write").is_some()).context("no pod takes writes")?;
    let (write, read) = (proxy.published(&running, "write")?, proxy.published(&running, "read")?);
    running.until(write, "select pg_is_in_recovery()", "f", PATIENCE)?;
    running.until(read, "select pg_is_in_recovery()", "t", PATIENCE)?;
    running.query(write, "create table kept (n bigint primary key); insert into kept values (1)")?;
    running.until(read, "select count(*) from kept", "1", PATIENCE)?;
    for task in cluster.pods.iter().filter(|pod| pod.is_task) {
        let output = running.compose.raw(&["run", "--rm", "-T", &task.name])?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success() && said.contains("written and checked"), "{}: {said}", task.name);
    }
    let mut sets = cluster.pods.iter().filter(|pod| pod.set.is_some());
    let (primary, replica) = (sets.next().context("no primary")?, sets.next().context("no replica")?);
    running.engine.output(&["kill", &running.compose.container(&primary.name)?])?;
    running.compose.output(&["exec", "-T", &replica.name, "scratchbird", "promote"])?;
    let limit = Duration::from_secs(10);
    running.until(write, "insert into kept values (2); select count(*) from kept", "2", limit)?;
    running.until(read, "select pg_is_in_recovery(), (select count(*) from kept)", "t|2", PATIENCE)?;
    Ok(())
}

/// What an overlay has.
struct Cluster {
    namespace: String,
    objects: Vec<Value>,
    pods: Vec<Pod>,
}

/// A pod of one container.
struct Pod {
    name: String,
    /// The Service that governs the StatefulSet that it is of.
    set: Option<String>,
    is_task: bool,
    labels: Value,
    spec: Value,
}

impl Cluster {
    fn new(scene: &Scene, overlay: &OverlaySpec) -> Cluster {
        let objects: Vec<Value> =
            kubernetes::objects(scene.spec, &Pins::new(), overlay).into_values().collect();
        let mut pods = Vec::new();
        for object in &objects {
            let is_task = object["kind"] == "CronJob";
            let pointer = if is_task { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
            let Some(template) = object.pointer(pointer) else { continue };
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let set = object["spec"]["serviceName"].as_str().map(String::from);
            for number in 0..object["spec"]["replicas"].as_u64().unwrap_or(1) {
                let name = if set.is_some() { format!("{name}-{number}") } else { name.to_string() };
                let (labels, spec) = (template["metadata"]["labels"].clone(), template["spec"].clone());
                pods.push(Pod { name, set: set.clone(), is_task, labels, spec });
            }
        }
        Cluster { namespace: overlay.namespace.clone(), objects, pods }
    }

    fn find(&self, kind: &str, name: &Value) -> Result<&Value> {
        let found = self.objects.iter().find(|o| o["kind"] == kind && &o["metadata"]["name"] == name);
        found.with_context(|| format!("there is no {kind} {name}"))
    }

    /// The names that lead to a pod: its own, and those of the Services that select it. A Service that changes the port
    /// needs a cluster's proxy.
    fn names(&self, pod: &Pod) -> Vec<String> {
        let whole = |name: &str| format!("{name}.{}.{DOMAIN}", self.namespace);
        let own = pod.set.iter().map(|set| whole(&format!("{}.{set}", pod.name)));
        let services = self.objects.iter().filter(|object| object["kind"] == "Service").filter(|service| {
            let selector = service["spec"]["selector"].as_object();
            let is_chosen =
                selector.is_some_and(|wanted| wanted.iter().all(|(key, value)| &pod.labels[key] == value));
            let is_same = |port: &Value| {
                port["targetPort"].as_str().and_then(|name| pod.port(name)) == port["port"].as_u64()
            };
            is_chosen && service["spec"]["ports"].as_array().is_some_and(|ports| ports.iter().all(is_same))
        });
        own.chain(services.filter_map(|service| service["metadata"]["name"].as_str()).map(whole)).collect()
    }

    /// A container's variables.
    fn environment(&self, container: &Value) -> Result<Map<String, Value>> {
        let mut variables = Map::new();
        for from in container["envFrom"].as_array().into_iter().flatten() {
            let map = self.find("ConfigMap", &from["configMapRef"]["name"])?;
            variables.extend(map["data"].as_object().cloned().unwrap_or_default());
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = match &variable["valueFrom"]["fieldRef"]["fieldPath"] {
                Value::Null => variable["value"].clone(),
                path if path == "metadata.namespace" => json!(self.namespace),
                path => bail!("the field {path} of a pod is not known here"),
            };
            variables.insert(variable["name"].as_str().unwrap_or_default().into(), value);
        }
        // Compose would replace what a container is to see.
        Ok(variables.into_iter().map(|(name, value)| (name, escaped(&value))).collect())
    }

    /// What Compose is told of a pod.
    fn service(&self, scene: &Scene, root: &Path, pod: &Pod) -> Result<Value> {
        let (spec, container) = (&pod.spec, &pod.spec["containers"][0]);
        let reference = container["image"].as_str().unwrap_or_default();
        let image = match scene.images.get(reference) {
            Some(id) => id.clone(),
            None => stand_ins::image(scene.engine, reference)?,
        };
        let (mut tmpfs, mut volumes) = (Vec::new(), Vec::new());
        volumes.extend(pod.claims().into_iter().map(|(volume, path)| format!("{volume}:{path}")));
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            let path = mount["mountPath"].as_str().unwrap_or_default();
            let named = |volume: &&Value| volume["name"] == mount["name"];
            let Some(volume) = spec["volumes"].as_array().into_iter().flatten().find(named) else { continue };
            if volume["emptyDir"].is_object() {
                tmpfs.push(path.to_string());
            } else if let Some(name) = volume["configMap"].get("name") {
                let key = mount["subPath"].as_str().context("a ConfigMap without a subPath")?;
                let text = self.find("ConfigMap", name)?["data"][key].as_str().context("no such key")?;
                let file = format!("files/{}/{key}", pod.name);
                write(&root.join(&file), text)?;
                volumes.push(format!("./{file}:{path}:ro"));
            } else {
                for item in volume["secret"]["items"].as_array().into_iter().flatten() {
                    let (key, file) = (item["key"].as_str(), item["path"].as_str());
                    let (key, file) = key.zip(file).context("a secret's item without key or path")?;
                    volumes.push(format!("./secrets/{key}:{path}/{file}:ro"));
                }
            }
        }
        let security = &spec["securityContext"];
        let memory = container["resources"]["limits"]["memory"].as_str().unwrap_or_default();
        let ports: Vec<String> = container["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|port| format!("127.0.0.1::{}", port["containerPort"]))
            .collect();
        let search = [format!("{}.{DOMAIN}", self.namespace), DOMAIN.into(), "cluster.local".into()];
        let mut service = json!({
            "image": image,
            "environment": self.environment(container)?,
            "user": format!("{}:{}", security["runAsUser"], security["runAsGroup"]),
            "read_only": container["securityContext"]["readOnlyRootFilesystem"],
            "cap_drop": container["securityContext"]["capabilities"]["drop"],
            "security_opt": ["no-new-privileges:true"],
            "mem_limit": memory.replace("Gi", "g").replace("Mi", "m"),
            "tmpfs": tmpfs,
            "volumes": volumes,
            "ports": ports,
            "networks": { "default": { "aliases": self.names(pod) } },
            "dns_search": search,
            "dns_opt": ["ndots:5"],
        });
        if pod.is_task {
            service["profiles"] = json!(["task"]);
        }
        if let Some(args) = container["args"].as_array() {
            service["command"] = args.iter().map(escaped).collect();
        }
        Ok(service)
    }
}

/// A text in which Compose replaces nothing.
fn escaped(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| text.replace('$', "$$").into())
}

impl Pod {
    /// The volumes that it keeps, and where they are mounted.
    fn claims(&self) -> Vec<(String, String)> {
        let mounts = self.spec["containers"][0]["volumeMounts"].as_array().into_iter().flatten();
        let is_claimed = |mount: &&Value| {
            let volumes = self.spec["volumes"].as_array();
            let named = |volume: &&Value| volume["name"] == mount["name"];
            // A StatefulSet's templates stand elsewhere.
            volumes.into_iter().flatten().find(named).is_none_or(|v| v["persistentVolumeClaim"].is_object())
        };
        let claim = |mount: &Value| {
            let path = mount["mountPath"].as_str().unwrap_or_default();
            (format!("{}-{}", self.name, mount["name"].as_str().unwrap_or_default()), path.to_string())
        };
        mounts.filter(is_claimed).map(claim).collect()
    }

    /// The number of a port by its name.
    fn port(&self, name: &str) -> Option<u64> {
        let ports = self.spec["containers"][0]["ports"].as_array();
        ports.into_iter().flatten().find(|port| port["name"] == name)?["containerPort"].as_u64()
    }

    /// The port of this machine that leads to one of its.
    fn published(&self, running: &Running, name: &str) -> Result<u16> {
        let port = self.port(name).with_context(|| format!("{}: no port `{name}`", self.name))?.to_string();
        let address = running.compose.output(&["port", &self.name, &port])?;
        address.rsplit(':').next().and_then(|port| port.parse().ok()).with_context(|| address.clone())
    }

    /// Asks as the kubelet does until the answer is a success.
    fn until_probed(&self, running: &Running, probe: &str) -> Result<()> {
        let get = &self.spec["containers"][0][probe]["httpGet"];
        let (path, name) = get["path"]
            .as_str()
            .zip(get["port"].as_str())
            .with_context(|| format!("{}: no {probe} by HTTP", self.name))?;
        let (start, mut last) = (Instant::now(), String::new());
        while start.elapsed() < PATIENCE {
            // A container that ends and starts again is published anew.
            match self.published(running, name).and_then(|port| status(port, path)) {
                Ok(code) if (200..400).contains(&code) => return Ok(()),
                Ok(code) => last = code.to_string(),
                Err(error) => last = format!("{error:#}"),
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        let log = running.compose.output(&["logs", "--tail", "5", &self.name]).unwrap_or_default();
        bail!("{}: {probe} at {path}: {last}; its log ends: {}", self.name, log.replace('\n', " | "))
    }
}

/// The status of an answer.
fn status(port: u16, path: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.with_context(|| format!("no answer but `{answer}`"))
}
