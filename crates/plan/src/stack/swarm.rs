//! A stack for Docker Swarm: `docker stack deploy`. What a single host mounts from its disk are configs and secrets
//! here, which Swarm brings to whichever node runs the service.

use serde_json::{Map, Value, json};

use super::compose::healthcheck;
use super::variable::literal;
use super::{Instance, MARK, Stack, docker_size, go_duration, yaml};

/// `stack.yaml`.
pub fn render(stack: &Stack) -> String {
    let instances = stack.instances();
    let services: Map<String, Value> =
        instances.iter().map(|instance| (instance.name.clone(), service(stack, instance))).collect();
    let volumes: Map<String, Value> =
        instances.iter().flat_map(|i| i.volumes.keys()).map(|volume| (volume.clone(), json!({}))).collect();
    let secrets: Map<String, Value> =
        stack.secrets().into_iter().map(|secret| (secret.to_string(), json!({ "external": true }))).collect();
    let configs: Map<String, Value> =
        stack.stack.files.keys().map(|path| (config(path), json!({ "file": format!("./{path}") }))).collect();
    let mut document = json!({ "version": "3.9", "services": services });
    for (key, map) in [("volumes", volumes), ("secrets", secrets), ("configs", configs)] {
        if !map.is_empty() {
            document[key] = Value::Object(map);
        }
    }
    let comment =
        format!("{MARK}\nFor `docker stack deploy`, whose format still wants a version; see README.md.");
    yaml::document(&comment, &document)
}

/// A config's name for a file.
fn config(path: &str) -> String {
    path.replace(['/', '.'], "-")
}

fn service(stack: &Stack, instance: &Instance) -> Value {
    let service = instance.service;
    let mut command: Vec<String> =
        service.command.iter().map(|word| stack.addressed(word, |name| stack.hosts(name))).collect();
    if let Some(schedule) = &service.schedule {
        command.extend([schedule.flag.clone(), schedule.every.clone()]);
    }
    let mut environment = stack.environment(service, |name| stack.hosts(name));
    for (variable, secret) in &service.secrets {
        environment.insert(variable.clone(), format!("/run/secrets/{secret}").into());
    }
    let limit = |cpus: Option<f64>, memory: Option<String>| json!({ "cpus": cpus.map(|c| c.to_string()), "memory": memory });
    // A name leads to the task itself: a virtual address would forget connections that are idle for 15 minutes.
    let mut deploy = json!({
        "replicas": 1,
        "endpoint_mode": "dnsrr",
        "update_config": { "order": "stop-first", "failure_action": "rollback" },
        "resources": { "limits": limit(service.cpus, service.memory.as_deref().map(docker_size)) },
    });
    if !instance.volumes.is_empty() {
        // A local volume lies on one node: without this, a restart elsewhere would find an empty one.
        let label = format!("node.labels.{}.{} == true", stack.project(), instance.name);
        deploy["placement"] = json!({ "constraints": [label] });
    }
    let mut out = json!({
        "image": stack.image(service),
        "environment": environment,
        "deploy": deploy,
        "read_only": true,
        "cap_drop": ["ALL"],
    });
    let ports: Vec<Value> = service
        .ports
        .iter()
        .filter_map(|port| {
            let published: u16 = literal(port.publish.as_deref()?)?.parse().ok()?;
            Some(json!({ "target": port.port, "published": published, "mode": "host" }))
        })
        .collect();
    let volumes: Vec<String> =
        instance.volumes.iter().map(|(volume, path)| format!("{volume}:{path}")).collect();
    let tmpfs: Vec<Value> =
        service.tmpfs.iter().map(|path| json!({ "type": "tmpfs", "target": path })).collect();
    let mounts: Vec<Value> = volumes.into_iter().map(Value::from).chain(tmpfs).collect();
    let configs: Vec<Value> = service
        .mounts
        .iter()
        .flat_map(|(from, to)| {
            // A folder is what lies in it: configs are single files.
            stack.stack.files.keys().filter_map(move |path| {
                let rest = path.strip_prefix(from.as_str())?;
                (rest.is_empty() || rest.starts_with('/'))
                    .then(|| json!({ "source": config(path), "target": format!("{to}{rest}") }))
            })
        })
        .collect();
    let optional = [
        ("command", Value::from(command)),
        ("secrets", json!(service.secrets.values().collect::<Vec<_>>())),
        ("ports", ports.into()),
        ("volumes", mounts.into()),
        ("configs", configs.into()),
        ("user", json!(service.user)),
        ("stop_grace_period", json!(service.stop_grace.as_deref().map(go_duration))),
        ("healthcheck", stack.healthcheck(service).map_or(Value::Null, healthcheck)),
    ];
    if let Some(alias) = instance.alias {
        out["networks"] = json!({ "default": { "aliases": [alias] } });
    }
    for (key, value) in optional {
        if !value.is_null() && value != json!([]) {
            out[key] = value;
        }
    }
    out
}
