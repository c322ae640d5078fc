//! Kubernetes: a kustomize base, and overlays that say only what they change.
//!
//! 1. [`objects`] makes the whole set of objects of a base or an overlay from its stacks.
//! 2. What an overlay has and the base has not is a resource of its own; what differs is a JSON patch (RFC 6902); what
//!    it has not is deleted. Applied to the base they give the overlay's set again, which a test holds.

mod diff;
mod objects;
mod pod;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{MARK, Pins, Stack, yaml};
use crate::GeneratedFile;
use crate::spec::Spec;
use crate::spec::stack::{FileContents, KubernetesSpec, OverlaySpec, Rendered, ServiceSpec, StackSpec};

/// The objects of a base or an overlay, by the file that each stands in.
pub type Objects = BTreeMap<String, Value>;

/// Every file below `k8s/`.
pub fn files(spec: &Spec, pins: &Pins) -> Vec<GeneratedFile> {
    let Some(kubernetes) = &spec.kubernetes else { return Vec::new() };
    let base = objects(spec, pins, &base_overlay(kubernetes));
    let mut files =
        vec![readme(spec, kubernetes), file("base/kustomization.yaml", &kustomization(base.keys()))];
    files.extend(base.iter().map(|(name, object)| file(&format!("base/{name}"), object)));
    for (name, overlay) in &kubernetes.overlays {
        files.extend(overlay_files(spec, pins, &base, name, overlay));
    }
    files
}

/// The whole set of objects that an overlay's stacks ask for.
pub fn objects(spec: &Spec, pins: &Pins, overlay: &OverlaySpec) -> Objects {
    let merged = merged(spec, overlay);
    let stack = Stack { spec, name: &overlay.namespace, stack: &merged, pins };
    let list = objects::objects(&stack, overlay.service_monitor);
    list.into_iter().map(|object| (file_name(&object), object)).collect()
}

/// The base as if it were an overlay of its one stack.
pub fn base_overlay(kubernetes: &KubernetesSpec) -> OverlaySpec {
    OverlaySpec { stacks: vec![kubernetes.base.clone()], namespace: String::new(), service_monitor: false }
}

/// The secrets that the pods of an overlay mount.
pub fn secrets(spec: &Spec, overlay: &OverlaySpec) -> Vec<String> {
    let merged = merged(spec, overlay);
    Stack { spec, name: "", stack: &merged, pins: &Pins::new() }
        .secrets()
        .into_iter()
        .map(String::from)
        .collect()
}

/// One stack of all that an overlay names.
fn merged(spec: &Spec, overlay: &OverlaySpec) -> StackSpec {
    let stacks = || overlay.stacks.iter().filter_map(|name| spec.stacks.get(name));
    let mut services: BTreeMap<String, ServiceSpec> = BTreeMap::new();
    let mut files: BTreeMap<String, FileContents> = BTreeMap::new();
    for stack in stacks() {
        for (name, service) in stack.services.iter().filter(|(_, service)| service.on_demand != Some(true)) {
            services.entry(name.clone()).or_insert_with(|| service.clone());
        }
        for (path, contents) in &stack.files {
            files.entry(path.clone()).or_insert_with(|| contents.clone());
        }
    }
    StackSpec {
        title: stacks().map(|stack| stack.title.clone()).next().unwrap_or_default(),
        description: String::new(),
        notes: String::new(),
        outputs: Vec::new(),
        services,
        files,
    }
}

fn overlay_files(
    spec: &Spec,
    pins: &Pins,
    base: &Objects,
    name: &str,
    overlay: &OverlaySpec,
) -> Vec<GeneratedFile> {
    let wanted = objects(spec, pins, overlay);
    let mut files = Vec::new();
    let mut put = |path: &str, value: &Value| files.push(file(&format!("overlays/{name}/{path}"), value));
    let mut resources = vec![json!("../../base"), json!("namespace.yaml")];
    let mut patches = Vec::new();
    for (path, object) in wanted.iter().filter(|(path, _)| !base.contains_key(*path)) {
        put(path, object);
        resources.push(json!(path));
    }
    for (path, object) in base {
        let target = json!({ "kind": object["kind"], "name": object["metadata"]["name"] });
        let Some(wanted) = wanted.get(path) else {
            let mut patch = json!({ "$patch": "delete" });
            for key in ["apiVersion", "kind"] {
                patch[key] = object[key].clone();
            }
            patch["metadata"] = json!({ "name": object["metadata"]["name"] });
            patches.push(json!({ "target": target, "patch": yaml::text(&patch) }));
            continue;
        };
        let operations = diff::operations(object, wanted);
        if !operations.is_empty() {
            let patch = format!("patch-{path}");
            put(&patch, &Value::Array(operations));
            patches.push(json!({ "target": target, "path": patch }));
        }
    }
    let mut labels = Map::new();
    for mode in ["enforce", "audit", "warn"] {
        labels.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".into());
    }
    put(
        "namespace.yaml",
        &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": overlay.namespace, "labels": labels } }),
    );
    let mut kustomization = kustomization(std::iter::empty());
    kustomization["namespace"] = json!(overlay.namespace);
    kustomization["resources"] = json!(resources);
    if !patches.is_empty() {
        kustomization["patches"] = json!(patches);
    }
    let secrets = secrets(spec, overlay);
    if !secrets.is_empty() {
        let list: Vec<String> = secrets.iter().map(|secret| format!("{secret}=secrets/{secret}")).collect();
        // Without a suffix, since what mounts it is written beforehand.
        kustomization["secretGenerator"] = json!([{ "name": super::project(spec), "files": list, "options": { "disableNameSuffixHash": true } }]);
    }
    put("kustomization.yaml", &kustomization);
    files
}

fn kustomization<'a>(resources: impl Iterator<Item = &'a String>) -> Value {
    let resources: Vec<&String> = resources.collect();
    json!({ "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources })
}

/// The file of an object.
fn file_name(object: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    format!("{}-{}.yaml", word(&object["kind"]), word(&object["metadata"]["name"]))
}

fn file(path: &str, object: &Value) -> GeneratedFile {
    GeneratedFile { path: format!("k8s/{path}"), contents: yaml::document(MARK, object) }
}

fn readme(spec: &Spec, kubernetes: &KubernetesSpec) -> GeneratedFile {
    use std::fmt::Write as _;
    let mut text = format!(
        "<!-- {MARK} -->\n# Kubernetes\n\n\
         A [kustomize](https://kustomize.io) base, and overlays that say only what they change.\n\n\
         | overlay | what | namespace |\n|---|---|---|\n"
    );
    for (name, overlay) in &kubernetes.overlays {
        let stacks: Vec<String> = overlay
            .stacks
            .iter()
            .map(|name| spec.stacks.get(name).map_or(name.clone(), |stack| stack.title.clone()))
            .collect();
        let _ = writeln!(text, "| `{name}` | {} | `{}` |", stacks.join("; "), overlay.namespace);
    }
    let Some((name, overlay)) = kubernetes.overlays.iter().next_back() else {
        return GeneratedFile { path: "k8s/README.md".into(), contents: text };
    };
    let has_proxy = kubernetes.overlays.values().any(|overlay| {
        let files = merged(spec, overlay).files;
        files.values().any(|file| matches!(file, FileContents::Render(Rendered::Haproxy)))
    });
    let secrets = secrets(spec, overlay);
    text.push_str("\n```console\n");
    if !secrets.is_empty() {
        let _ = writeln!(text, "$ mkdir k8s/overlays/{name}/secrets");
    }
    for secret in secrets {
        let _ = writeln!(text, "$ openssl rand -hex 16 > k8s/overlays/{name}/secrets/{secret}");
    }
    let _ = writeln!(text, "$ kubectl apply --kustomize k8s/overlays/{name}\n```");
    if let Some(secret) = &kubernetes.pull_secret {
        let _ = writeln!(
            text,
            "\nA private registry's credentials are the Secret `{secret}`, which every pod names:\n\n```console\n\
             $ kubectl --namespace {} create secret docker-registry {secret} --docker-server=… --docker-username=… --docker-password=…\n```",
            overlay.namespace
        );
    }
    text.push_str(
        "\nEvery pod fits the `restricted` Pod Security Standard, which the namespaces enforce. `cargo xtask k8s --digest`\n\
         prints the manifests with their images pinned. ServiceMonitors need Prometheus' operator in the cluster.\n",
    );
    if has_proxy {
        text.push_str(
            "\nWhere the cluster's domain is not `cluster.local`, say it to the proxy: `CLUSTER_DOMAIN` in its Deployment.\n",
        );
    }
    GeneratedFile { path: "k8s/README.md".into(), contents: text }
}
