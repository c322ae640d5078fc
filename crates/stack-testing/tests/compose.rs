//! Every compose.yaml against the JSON schema of the Compose Specification, which lies beside the checkout or not.

use std::collections::BTreeSet;
use std::path::Path;

use plan::Spec;
use plan::stack::{self, Pins};
use serde_json::{Value, json};

const CATALOGUES: &[(&str, &str)] = &[
    ("docker/images.toml", include_str!("../../../docker/images.toml")),
    ("examples/webapp/images.toml", include_str!("../../../examples/webapp/images.toml")),
];

#[test]
fn every_stack_fits_the_specification() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compose-spec.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no schema of the Compose Specification at {}", path.display());
        return;
    };
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut seen = 0;
    for (name, text) in CATALOGUES {
        let mut spec = Spec::parse(name, text).unwrap();
        spec.project.version.get_or_insert(semver::Version::new(1, 2, 3));
        for file in stack::all(&spec, &Pins::new()) {
            if !file.path.ends_with("/compose.yaml") && !file.path.ends_with("/compose.watch.yaml") {
                continue;
            }
            let mut document: Value = serde_saphyr::from_str(&file.contents).unwrap();
            let problems: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{}: {problems:?}", file.path);
            if file.path.ends_with("/compose.yaml") {
                addresses(&document).unwrap_or_else(|problem| panic!("{}: {problem}", file.path));
            }
            // Each of them would be refused with a mistake in it.
            let (_, service) = document["services"].as_object_mut().unwrap().iter_mut().next().unwrap();
            service["imgae"] = json!("x");
            assert!(!validator.is_valid(&document), "{}: takes an unknown key", file.path);
            seen += 1;
        }
    }
    assert!(seen >= 9, "{seen} files");
}

/// # Errors
/// A port of the machine that two containers want, or a host that no container is.
fn addresses(document: &Value) -> Result<(), String> {
    let services = document["services"].as_object().unwrap();
    let mut ports = BTreeSet::new();
    let mut names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    for service in services.values() {
        for port in service["ports"].as_array().into_iter().flatten() {
            if !ports.insert(port.to_string()) {
                return Err(format!("{port} is wanted twice"));
            }
        }
        let aliases = service["networks"]["default"]["aliases"].as_array();
        names.extend(aliases.into_iter().flatten().filter_map(Value::as_str));
    }
    for (variable, value) in services.values().filter_map(|s| s["environment"].as_object()).flatten() {
        let value = value.as_str().unwrap_or_default();
        let hosts = match value.strip_prefix("http://") {
            Some(rest) => rest.split(':').next().unwrap_or_default(),
            None if variable.ends_with("HOST") => value,
            None => continue,
        };
        if let Some(host) = hosts.split(',').find(|host| !names.contains(host)) {
            return Err(format!("{variable}: no container is called {host}"));
        }
    }
    Ok(())
}

#[test]
fn addresses_that_lead_nowhere_are_found() {
    let check = |api: Value, expect: &str| {
        let web = json!({ "ports": ["1:1"], "environment": { "API_URL": "http://api:8000" } });
        let problem = addresses(&json!({ "services": { "web": web, "api-1": api } })).unwrap_err();
        assert!(problem.contains(expect), "{problem}");
    };
    check(json!({}), "API_URL: no container is called api");
    check(json!({ "ports": ["1:1"], "networks": { "default": { "aliases": ["api"] } } }), "is wanted twice");
}
