//! Prometheus: what is scraped, and what wakes somebody.

use serde_json::{Value, json};

use super::monitoring::ALERTS;
use super::{MARK, Stack, yaml};

/// `prometheus.yml`.
pub fn config(stack: &Stack) -> String {
    let targets: Vec<String> = stack
        .instances()
        .iter()
        .filter_map(|instance| {
            let http = instance.service.http.as_ref().filter(|http| http.metrics.is_some())?;
            Some(format!("{}:{}", instance.name, http.port))
        })
        .collect();
    let document = json!({
        "global": { "scrape_interval": "5s", "evaluation_interval": "15s" },
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            { "job_name": stack.project(), "static_configs": [{ "targets": targets }] },
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
