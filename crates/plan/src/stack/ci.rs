//! A database beside the tests of somebody's own project: service containers of GitHub Actions and of GitLab.

use serde_json::{Map, Value, json};

use super::variable::literal;
use super::{MARK, Stack, yaml};
use crate::spec::stack::ServiceSpec;

/// What shows that the service is there, and how a test reaches it.
pub const QUERY: &str = "psql --command 'select version()'";

/// A workflow for GitHub Actions. It waits for services until their images' health checks pass.
pub fn github(stack: &Stack) -> String {
    let services: Map<String, Value> = stack
        .stack
        .services
        .iter()
        .map(|(name, service)| {
            let ports: Vec<String> = service.ports.iter().map(|port| format!("{0}:{0}", port.port)).collect();
            let value = json!({ "image": stack.image(service), "env": environment(service), "ports": ports });
            (name.clone(), value)
        })
        .collect();
    // The commit that our own workflows have; a catalogue without any names the action alone.
    let commit =
        stack.spec.ci.as_ref().and_then(|ci| ci.actions.get("actions/checkout")).map(|a| a.commit.as_str());
    let document = json!({
        "name": "test",
        "on": ["push", "pull_request"],
        "permissions": { "contents": "read" },
        "jobs": { "test": {
            "runs-on": "ubuntu-24.04",
            "timeout-minutes": 10,
            "services": services,
            "env": client(stack, "127.0.0.1"),
            "steps": [
                { "uses": format!("actions/checkout@{}", commit.unwrap_or("v7")), "with": { "persist-credentials": false } },
                { "name": "ask the database", "run": QUERY },
            ],
        } },
    });
    let comment = format!(
        "{MARK}\nCopy to .github/workflows/ of your project and put your tests where the query stands."
    );
    yaml::document(&comment, &document)
}

/// A pipeline for GitLab. Its runner waits until the first exposed port answers.
pub fn gitlab(stack: &Stack) -> String {
    let services: Vec<Value> = stack
        .stack
        .services
        .iter()
        .map(|(name, service)| {
            json!({ "name": stack.image(service), "alias": name, "variables": environment(service) })
        })
        .collect();
    let host = stack.stack.services.keys().next().map_or("", String::as_str);
    let document = json!({ "test": {
        "image": "docker.io/library/debian:trixie-slim",
        "services": services,
        "variables": client(stack, host),
        "before_script": ["apt-get update", "apt-get install --yes --no-install-recommends postgresql-client"],
        "script": [QUERY],
    } });
    let comment =
        format!("{MARK}\nFor .gitlab-ci.yml of your project; put your tests where the query stands.");
    yaml::document(&comment, &document)
}

/// The service's variables; nobody is there to be asked for one.
pub fn environment(service: &ServiceSpec) -> Map<String, Value> {
    service.env.iter().filter_map(|(name, value)| Some((name.clone(), literal(value)?.into()))).collect()
}

/// What a client under test finds the database with.
pub fn client(stack: &Stack, host: &str) -> Value {
    let service = stack.stack.services.values().next();
    let set = |name: &str| service.and_then(|service| literal(service.env.get(name)?));
    let setting = |name: &str| set(name).unwrap_or_else(|| default(name));
    json!({
        "PGHOST": host,
        "PGUSER": setting("SCRATCHBIRD_USER"),
        "PGDATABASE": setting("SCRATCHBIRD_DB"),
    })
}

/// What the server takes where nothing is set.
fn default(variable: &str) -> String {
    settings::by_env(variable)
        .map(|setting| setting.default)
        .filter(|d| !d.is_empty())
        .unwrap_or("scratchbird")
        .into()
}
