//! Every manifest through Kubernetes' own types: what they don't know is lost on the way and found missing.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use plan::Spec;
use plan::stack::kubernetes::{base_overlay, objects};
use plan::stack::{self, Pins};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Prometheus' operator's, as far as we use it; anything else is an error.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceMonitor {
    api_version: String,
    kind: String,
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    spec: ServiceMonitorSpec,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceMonitorSpec {
    selector: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    job_label: Option<String>,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Endpoint {
    port: String,
    path: String,
    interval: String,
}

/// What is left of an object that went through `T`.
fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(object.clone()).map_err(|e| e.to_string())?;
    serde_json::to_value(typed).map_err(|e| e.to_string())
}

/// # Errors
/// What Kubernetes does not know of the object.
fn check(object: &Value) -> Result<(), String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let back = match kind {
        "ConfigMap" => through::<ConfigMap>(object),
        "CronJob" => through::<CronJob>(object),
        "Deployment" => through::<Deployment>(object),
        "Namespace" => through::<Namespace>(object),
        "NetworkPolicy" => through::<NetworkPolicy>(object),
        "PersistentVolumeClaim" => through::<PersistentVolumeClaim>(object),
        "PodDisruptionBudget" => through::<PodDisruptionBudget>(object),
        "Service" => through::<Service>(object),
        "ServiceAccount" => through::<ServiceAccount>(object),
        "ServiceMonitor" => through::<ServiceMonitor>(object),
        "StatefulSet" => through::<StatefulSet>(object),
        other => Err(format!("the kind `{other}` is not expected")),
    }?;
    lost(kind, object, &back)
}

/// # Errors
/// The path of the first value that `from` has and `to` has not.
fn lost(path: &str, from: &Value, to: &Value) -> Result<(), String> {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => from.iter().try_for_each(|(key, value)| {
            let path = format!("{path}.{key}");
            lost(&path, value, to.get(key).ok_or_else(|| format!("{path} is unknown"))?)
        }),
        (Value::Array(from), Value::Array(to)) if from.len() == to.len() => from
            .iter()
            .zip(to)
            .enumerate()
            .try_for_each(|(i, (from, to))| lost(&format!("{path}[{i}]"), from, to)),
        _ if from == to => Ok(()),
        _ => Err(format!("{path}: {from} became {to}")),
    }
}

fn catalogues() -> Vec<Spec> {
    let texts =
        [include_str!("../../../docker/images.toml"), include_str!("../../../examples/webapp/images.toml")];
    let parse = |text| {
        let mut spec = Spec::parse("images.toml", text).unwrap();
        spec.project.version.get_or_insert(semver::Version::new(1, 2, 3));
        spec
    };
    texts.into_iter().map(parse).collect()
}

#[test]
fn kubernetes_knows_every_field() {
    let mut seen = 0;
    for spec in catalogues() {
        for file in stack::kubernetes::files(&spec, &Pins::new()) {
            let ours = file.path.contains("/patch-") || file.path.ends_with("kustomization.yaml");
            if ours || !file.path.ends_with(".yaml") {
                continue;
            }
            let object: Value = serde_saphyr::from_str(&file.contents).unwrap();
            check(&object).unwrap_or_else(|problem| panic!("{}: {problem}", file.path));
            seen += 1;
        }
        // And what kustomize makes of the overlays: that they give these is held in plan's own tests.
        let manifests = spec.kubernetes.as_ref().unwrap();
        for overlay in manifests.overlays.values() {
            for (path, object) in objects(&spec, &Pins::new(), overlay) {
                check(&object).unwrap_or_else(|problem| panic!("{path}: {problem}"));
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen} manifests");
}

#[test]
fn a_field_that_is_none_is_found() {
    let spec = &catalogues()[0];
    let base = objects(spec, &Pins::new(), &base_overlay(spec.kubernetes.as_ref().unwrap()));
    let good = &base["statefulset-scratchbird-db.yaml"];
    check(good).unwrap();
    let wrong = |pointer: &str, value: Value, expect: &str| {
        let mut bad = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[key] = value;
        let problem = check(&bad).unwrap_err();
        assert!(problem.contains(expect), "{problem}");
    };
    wrong("/spec/replics", json!(1), "StatefulSet.spec.replics is unknown");
    wrong(
        "/spec/template/spec/containers/0/readinesProbe",
        json!({}),
        "containers[0].readinesProbe is unknown",
    );
    wrong("/spec/replicas", json!("many"), "invalid type");
}

/// The `restricted` profile of the Pod Security Standards, as Kubernetes' documentation lists it.
#[test]
fn pods_are_restricted() {
    for spec in catalogues() {
        for overlay in spec.kubernetes.as_ref().unwrap().overlays.values() {
            for (path, object) in objects(&spec, &Pins::new(), overlay) {
                let pods = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];
                let Some(pod) = pods.iter().find_map(|pointer| object.pointer(pointer)) else { continue };
                assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{path}");
                assert!(pod["securityContext"]["runAsUser"].as_u64() > Some(0), "{path}");
                assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{path}");
                assert!(pod["hostNetwork"].is_null() && pod["hostPID"].is_null(), "{path}");
                for container in pod["containers"].as_array().unwrap() {
                    let context = &container["securityContext"];
                    assert_eq!(context["allowPrivilegeEscalation"], false, "{path}");
                    assert_eq!(context["capabilities"], json!({ "drop": ["ALL"] }), "{path}");
                    assert_eq!(context["readOnlyRootFilesystem"], true, "{path}");
                    assert!(container["resources"]["limits"]["memory"].is_string(), "{path}");
                }
                let kinds = ["configMap", "emptyDir", "persistentVolumeClaim", "secret"];
                for volume in pod["volumes"].as_array().into_iter().flatten() {
                    assert!(kinds.iter().any(|kind| volume.get(kind).is_some()), "{path}: {volume}");
                }
            }
        }
    }
}
