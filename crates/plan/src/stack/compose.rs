//! A stack by the Compose Specification, in what both `docker compose` and docker-compose 1.29 understand.

use serde_json::{Map, Value, json};

use super::{Instance, MARK, Stack, docker_size, go_duration, yaml};
use crate::spec::HealthcheckSpec;

/// `compose.yaml`.
pub fn render(stack: &Stack) -> String {
    let instances = stack.instances();
    let services: Map<String, Value> =
        instances.iter().map(|instance| (instance.name.clone(), service(stack, instance))).collect();
    let mut document = Map::from_iter([("services".to_string(), Value::Object(services))]);
    let volumes: Map<String, Value> = instances
        .iter()
        .flat_map(|instance| instance.volumes.keys())
        .map(|volume| (volume.clone(), json!({})))
        .collect();
    if !volumes.is_empty() {
        document.insert("volumes".into(), volumes.into());
    }
    let secrets: Map<String, Value> = stack
        .secrets()
        .into_iter()
        .map(|secret| (secret.to_string(), json!({ "file": format!("./secrets/{secret}") })))
        .collect();
    if !secrets.is_empty() {
        document.insert("secrets".into(), secrets.into());
    }
    let comment = format!("{MARK}\n{}: see README.md.", stack.stack.title);
    yaml::document(&comment, &Value::Object(document))
}

/// `compose.watch.yaml`: what `docker compose watch` rebuilds on a change; docker-compose 1.29 would refuse it.
pub fn watch(stack: &Stack) -> Option<String> {
    let built: Map<String, Value> = stack
        .stack
        .services
        .iter()
        .filter(|(_, service)| service.build == Some(true))
        .map(|(name, _)| {
            let paths = ["Cargo.toml", "Cargo.lock", "crates"];
            let watch: Vec<Value> = paths
                .iter()
                .map(|path| json!({ "action": "rebuild", "path": format!("../../{path}") }))
                .collect();
            (name.clone(), json!({ "develop": { "watch": watch } }))
        })
        .collect();
    let comment =
        format!("{MARK}\nFor `docker compose --file compose.yaml --file compose.watch.yaml watch`.");
    (!built.is_empty()).then(|| yaml::document(&comment, &json!({ "services": built })))
}

fn service(stack: &Stack, instance: &Instance) -> Value {
    let service = instance.service;
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        if value != json!([]) && value != json!({}) && value != json!("") && !value.is_null() {
            out.insert(key.into(), value);
        }
    };
    put("image", stack.image(service).into());
    if service.build == Some(true) {
        let variant =
            service.variant.as_ref().or_else(|| stack.own_image(service).map(|image| &image.default_variant));
        let file = variant.map(|variant| format!("docker/{variant}/source.Dockerfile"));
        put("build", json!({ "context": "../..", "dockerfile": file }));
    }
    let mut command: Vec<String> =
        service.command.iter().map(|word| stack.addressed(word, |name| stack.hosts(name))).collect();
    if let Some(schedule) = &service.schedule {
        command.extend([schedule.flag.clone(), schedule.every.clone()]);
    }
    put("command", command.into());
    put("restart", if service.on_demand == Some(true) { "no" } else { "unless-stopped" }.into());
    if service.on_demand == Some(true) {
        put("profiles", json!(["tools"]));
    }
    let after: Map<String, Value> = service
        .after
        .iter()
        .flat_map(|name| stack.instance_names(name))
        .map(|name| (name, json!({ "condition": "service_healthy" })))
        .collect();
    put("depends_on", after.into());
    let mut environment: Map<String, Value> = service
        .env
        .iter()
        .map(|(name, value)| (name.clone(), stack.addressed(value, |name| stack.hosts(name)).into()))
        .collect();
    for (variable, secret) in &service.secrets {
        environment.insert(variable.clone(), format!("/run/secrets/{secret}").into());
    }
    put("environment", environment.into());
    let mut secrets: Vec<&String> = service.secrets.values().collect();
    secrets.dedup();
    put("secrets", json!(secrets));
    let ports: Vec<Value> = service
        .ports
        .iter()
        .filter_map(|port| {
            Some(format!("${{BIND:-127.0.0.1}}:{}:{}", port.publish.as_ref()?, port.port).into())
        })
        .collect();
    put("ports", ports.into());
    if let Some(alias) = instance.alias {
        put("networks", json!({ "default": { "aliases": [alias] } }));
    }
    let mut volumes: Vec<Value> =
        instance.volumes.iter().map(|(volume, path)| format!("{volume}:{path}").into()).collect();
    volumes.extend(service.mounts.iter().map(|(from, to)| Value::from(format!("./{from}:{to}:ro"))));
    put("volumes", volumes.into());
    put("tmpfs", json!(service.tmpfs));
    if let Some(check) = stack.healthcheck(service) {
        put("healthcheck", healthcheck(check));
    }
    if service.user.is_some() {
        put("user", json!(service.user));
    }
    put("read_only", true.into());
    put("cap_drop", json!(["ALL"]));
    put("security_opt", json!(["no-new-privileges:true"]));
    put("mem_limit", json!(service.memory.as_deref().map(docker_size)));
    put("cpus", json!(service.cpus));
    put("pids_limit", json!(service.pids));
    put("stop_grace_period", json!(service.stop_grace.as_deref().map(go_duration)));
    put("logging", json!({ "driver": "json-file", "options": { "max-size": "10m", "max-file": "3" } }));
    Value::Object(out)
}

/// A check as Compose and Swarm write it.
pub fn healthcheck(check: &HealthcheckSpec) -> Value {
    let time = |d: std::time::Duration| humantime::format_duration(d).to_string().replace(' ', "");
    let test: Vec<&str> = std::iter::once("CMD").chain(check.test.iter().map(String::as_str)).collect();
    json!({
        "test": test,
        "interval": time(check.interval),
        "timeout": time(check.timeout),
        "start_period": time(check.start_period),
        "retries": check.retries,
    })
}
