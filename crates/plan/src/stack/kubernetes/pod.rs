//! Pods that the `restricted` Pod Security Standard admits.

use serde_json::{Map, Value, json};

use super::objects::{Service, hosts};
use crate::stack::quantity;

/// A pod's spec.
pub fn spec(service: &Service) -> Value {
    let mut pod = json!({
        "serviceAccountName": service.stack.project(),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": security(service),
        "containers": [container(service)],
    });
    let volumes = volumes(service);
    if !volumes.is_empty() {
        pod["volumes"] = volumes.into();
    }
    if let Some(secret) = service.stack.spec.kubernetes.as_ref().and_then(|k| k.pull_secret.as_ref()) {
        pod["imagePullSecrets"] = json!([{ "name": secret }]);
    }
    if let Some(grace) = &service.service.stop_grace {
        pod["terminationGracePeriodSeconds"] =
            json!(settings::parse_time(grace, 1000).unwrap_or(30_000) / 1000);
    }
    if service.service.replicas.unwrap_or(1) > 1 {
        pod["topologySpreadConstraints"] = json!([{
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": service.selector() },
        }]);
    }
    pod
}

/// A digest of what a running pod does not notice when it changes: a change of it replaces the pod.
pub fn digest(service: &Service) -> String {
    let files: Vec<(String, String)> =
        service.files().into_iter().map(|(_, path, text)| (path, text)).collect();
    let environment: Vec<String> =
        service.environment().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!("{environment:?}{files:?}");
    oci::digest::sha256(text.as_bytes()).to_string().chars().skip("sha256:".len()).take(16).collect()
}

fn security(service: &Service) -> Value {
    let mut context = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
    let user = service.stack.user(service.service);
    if let Some((uid, gid)) = user.as_deref().and_then(|user| user.split_once(':')) {
        for (key, id) in [("runAsUser", uid), ("runAsGroup", gid), ("fsGroup", gid)] {
            if let Ok(id) = id.parse::<u32>() {
                context[key] = id.into();
            }
        }
        context["fsGroupChangePolicy"] = "OnRootMismatch".into();
    }
    context
}

fn container(service: &Service) -> Value {
    let spec = service.service;
    let mut out = Map::from_iter([
        ("name".to_string(), json!(service.name)),
        ("image".to_string(), json!(service.stack.image(spec))),
        ("imagePullPolicy".to_string(), json!("IfNotPresent")),
        (
            "securityContext".to_string(),
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            }),
        ),
    ]);
    let mut put = |key: &str, value: Value| {
        if value != json!([]) && value != json!({}) {
            out.insert(key.into(), value);
        }
    };
    let host = |name: &str| hosts(service.stack, name);
    let command: Vec<String> = spec.command.iter().map(|word| service.stack.addressed(word, host)).collect();
    put("args", json!(command));
    if !service.environment().is_empty() {
        put("envFrom", json!([{ "configMapRef": { "name": format!("{}-env", service.object_name()) } }]));
    }
    put("env", service.of_the_cluster().into());
    let mut ports: Vec<Value> =
        spec.ports.iter().map(|port| json!({ "name": port.name, "containerPort": port.port })).collect();
    ports.extend(spec.http.iter().map(|http| json!({ "name": "http", "containerPort": http.port })));
    put("ports", ports.into());
    put("resources", resources(service));
    put("volumeMounts", mounts(service).into());
    if spec.schedule.is_none() {
        if let Some(http) = &spec.http {
            let get =
                |path: &str| json!({ "httpGet": { "path": path, "port": "http" }, "timeoutSeconds": 2 });
            let with = |mut probe: Value, period: u32, failures: u32| {
                probe["periodSeconds"] = period.into();
                probe["failureThreshold"] = failures.into();
                probe
            };
            // Ten minutes to begin with: a first start may restore much. Then three misses count.
            put("startupProbe", with(get(&http.live), 2, 300));
            put("livenessProbe", with(get(&http.live), 10, 3));
            put("readinessProbe", with(get(&http.ready), 5, 2));
        } else if let Some(port) = spec.ports.first() {
            let probe =
                json!({ "tcpSocket": { "port": port.name }, "periodSeconds": 5, "failureThreshold": 3 });
            put("readinessProbe", probe);
        }
    }
    Value::Object(out)
}

/// Memory is granted as it is limited, so that nobody is evicted for having used it; processors may be lent.
fn resources(service: &Service) -> Value {
    let (mut requests, mut limits) = (Map::new(), Map::new());
    if let Some(memory) = &service.service.memory {
        requests.insert("memory".into(), quantity(memory).into());
        limits.insert("memory".into(), quantity(memory).into());
    }
    if let Some(cpus) = service.service.cpus {
        let milli = |cpus: f64| Value::from(format!("{:.0}m", cpus * 1000.0));
        requests.insert("cpu".into(), milli(cpus / 2.0));
        limits.insert("cpu".into(), milli(cpus));
    }
    if limits.is_empty() { json!({}) } else { json!({ "requests": requests, "limits": limits }) }
}

fn mounts(service: &Service) -> Vec<Value> {
    let spec = service.service;
    let mut list: Vec<Value> =
        spec.volumes.iter().map(|(volume, path)| json!({ "name": volume, "mountPath": path })).collect();
    list.extend(spec.tmpfs.iter().map(|path| json!({ "name": memory_volume(path), "mountPath": path })));
    list.extend(service.files().into_iter().map(
        |(key, path, _)| json!({ "name": "files", "mountPath": path, "subPath": key, "readOnly": true }),
    ));
    if !spec.secrets.is_empty() {
        list.push(json!({ "name": "secrets", "mountPath": "/run/secrets", "readOnly": true }));
    }
    list
}

fn volumes(service: &Service) -> Vec<Value> {
    let spec = service.service;
    let mut list: Vec<Value> = spec
        .tmpfs
        .iter()
        .map(|path| json!({ "name": memory_volume(path), "emptyDir": { "medium": "Memory", "sizeLimit": "64Mi" } }))
        .collect();
    if spec.schedule.is_some() {
        list.extend(spec.volumes.keys().map(|volume| {
            let claim = format!("{}-{volume}", service.object_name());
            json!({ "name": volume, "persistentVolumeClaim": { "claimName": claim } })
        }));
    }
    if !service.files().is_empty() {
        list.push(
            json!({ "name": "files", "configMap": { "name": format!("{}-files", service.object_name()) } }),
        );
    }
    if !spec.secrets.is_empty() {
        let mut names: Vec<&String> = spec.secrets.values().collect();
        names.dedup();
        let items: Vec<Value> = names.iter().map(|name| json!({ "key": name, "path": name })).collect();
        let secret = json!({ "secretName": service.stack.project(), "defaultMode": 0o440, "items": items });
        list.push(json!({ "name": "secrets", "secret": secret }));
    }
    list
}

/// A name for a folder in memory.
fn memory_volume(path: &str) -> String {
    format!("memory{}", path.replace('/', "-"))
}
