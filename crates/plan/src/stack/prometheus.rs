//! Prometheus: what is scraped, and what wakes somebody.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::monitoring::ALERTS;
use super::{MARK, Stack, yaml};

/// `prometheus.yml`.
pub fn config(stack: &Stack) -> String {
    let mut by_path: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for instance in stack.instances() {
        let http = instance.service.http.as_ref();
        if let Some((http, path)) = http.and_then(|http| Some((http, http.metrics.as_deref()?))) {
            by_path.entry(path).or_default().push(format!("{}:{}", instance.name, http.port));
        }
    }
    let target = |(path, targets): (&str, Vec<String>)| match path {
        "/metrics" => json!({ "targets": targets }),
        path => json!({ "targets": targets, "labels": { "__metrics_path__": path } }),
    };
    let targets: Vec<Value> = by_path.into_iter().map(target).collect();
    let document = json!({
        "global": { "scrape_interval": "5s", "evaluation_interval": "15s" },
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            { "job_name": stack.project(), "static_configs": targets },
        ],
    });
    yaml::document(MARK, &document)
}

/// `alerts.yml`.
pub fn alerts(stack: &Stack) -> String {
    let rules: Vec<Value> = ALERTS
        .iter()
        .map(|alert| {
            json!({
                "alert": alert.name,
                "expr": format!("{} {}", alert.value, alert.condition),
                "for": alert.lasting,
                "labels": { "severity": alert.severity },
                "annotations": { "summary": alert.summary },
            })
        })
        .collect();
    yaml::document(MARK, &json!({ "groups": [{ "name": stack.project(), "rules": rules }] }))
}
