//! What holds for every stack, and what is refused.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

const REAL: &str = include_str!("../../../../docker/images.toml");

fn spec() -> Spec {
    let mut spec = crate::testing::spec();
    spec.project.version = Some(semver::Version::new(1, 2, 3));
    spec
}

fn parsed(files: &[GeneratedFile]) -> BTreeMap<&str, Value> {
    let yaml = files.iter().filter(|file| file.path.ends_with(".yaml"));
    yaml.map(|file| {
        let value = serde_saphyr::from_str(&file.contents);
        (file.path.as_str(), value.unwrap_or_else(|e| panic!("{}: {e}", file.path)))
    })
    .collect()
}

#[test]
fn mistakes_are_told_in_one_line_with_the_way_out() {
    let check = |from: &str, to: &str, expect: &str| {
        assert!(REAL.contains(from), "{from}");
        let error = Spec::parse("docker/images.toml", &REAL.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expect) && !error.contains('\n'), "{error}");
    };
    check(
        "SCRATCHBIRD_MAX_CONNECTIONS = ",
        "SCRATCHBIRD_MAX_CONECTIONS = ",
        "stacks.prod.services.db.env: the server knows no variable `SCRATCHBIRD_MAX_CONECTIONS`, did you mean \
         `SCRATCHBIRD_MAX_CONNECTIONS`?",
    );
    check(
        "${MAX_CONNECTIONS:-200}",
        "${MAX_CONNECTIONS:-many}",
        "`SCRATCHBIRD_MAX_CONNECTIONS=many`: allowed is",
    );
    check(
        "SESSION_TIMEOUT = \"5min\"",
        "SESSION_TIMEOUT = \"5 minutes\"",
        "with a unit of ms, s, min, h or d",
    );
    check("{ PGHOST = \"{{db}}\"", "{ PGHSOT = \"{{db}}\"", "did you mean `PGHOST`?");
    check(
        "SCRATCHBIRD_LOG_LEVEL = \"debug\"",
        "SCRATCHBIRD_PASSWORD = \"x\"",
        "looks like a secret (PASSWORD)",
    );
    check(
        "{ SCRATCHBIRD_PASSWORD_FILE = \"password\" }",
        "{ SCRATCHBIRD_PASWORD_FILE = \"password\" }",
        "did you mean `SCRATCHBIRD_PASSWORD_FILE`?",
    );
    check("like = \"basic/db\"", "like = \"basic/bd\"", "no service `basic/bd` is defined");
    check("like = \"multi-node/db\"", "like = \"multi-node/replica\"", "services go in a circle");
    check(
        "image = \"image:client\"",
        "image = \"image:cleint\"",
        "no image `cleint` is defined, did you mean `client`?",
    );
    check(
        "docker.io/library/haproxy:3.2-alpine",
        "haproxy",
        "must be `image:NAME` or fully qualified with a tag",
    );
    check("memory = \"8GB\"", "memory = \"8 gigs\"", "`8 gigs` is no size");
    check("cpus = 2.0", "cpus = 0.0", "cpus: must be more than 0");
    check("every = \"6h\"", "every = \"often\"", "`often` is no time");
    check("every = \"6h\"", "every = \"5h\"", "whole hours that divide a day");
    check("every = \"6h\"", "every = \"90s\"", "whole minutes that divide an hour");
    check(
        "pids = 64\n\n[stacks.multi-node.files]",
        "pids = 64\nreplicas = 2\n\n[stacks.multi-node.files]",
        "with `replicas = 2`: one container alone can have a port of the machine",
    );
    check("after = [\"prometheus\"]", "after = [\"promotheus\"]", "did you mean `prometheus`?");
    check("mounts = { seed = ", "mounts = { sed = ", "no file `sed` is defined");
    check(
        "[stacks.ci-cd]\n",
        "[stacks.CI]\nservices = {}\ntitle = \"\"\ndescription = \"\"\n[stacks.ci-cd]\n",
        "`CI` must be lower-case letters",
    );
    check(
        "base = \"basic\"",
        "base = \"bsaic\"",
        "kubernetes.base: no stack `bsaic` is defined, did you mean `basic`?",
    );
    check("stacks = [\"prod\"", "stacks = [\"prood\"", "no stack `prood` is defined, did you mean `prod`?");
    check("render = \"haproxy\"", "render = \"nginx\"", "unknown variant `nginx`");
    check("stop-grace = \"1min\"", "stop-grave = \"1min\"", "did you mean `stop-grace`?");
}

#[test]
fn every_container_is_closed_bounded_and_checked() {
    let files = all(&spec(), &Pins::new());
    let documents = parsed(&files);
    let mut seen = 0;
    for (path, document) in documents.iter().filter(|(path, _)| path.ends_with("/compose.yaml")) {
        assert!(document.get("version").is_none() && document.get("name").is_none(), "{path}");
        for (name, service) in document["services"].as_object().unwrap() {
            let at = format!("{path}: {name}");
            assert_eq!(service["read_only"], true, "{at}");
            assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{at}");
            assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{at}");
            for limit in ["mem_limit", "cpus", "pids_limit"] {
                assert!(!service[limit].is_null(), "{at}: no {limit}");
            }
            let on_demand = !service["profiles"].is_null();
            assert!(on_demand || !service["healthcheck"].is_null(), "{at}: no healthcheck");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} containers");
}

#[test]
fn the_same_catalogue_gives_the_same_bytes() {
    assert_eq!(all(&spec(), &Pins::new()), all(&spec(), &Pins::new()));
}

#[test]
fn images_are_pinned_wherever_they_stand() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let spec = spec();
    let pins = Pins::from([("scratchbird:1.2.3-alpine".to_string(), digest.clone())]);
    for path in [
        "compose/prod/compose.yaml",
        "swarm/prod/stack.yaml",
        "nomad/prod/job.nomad.hcl",
        "k8s/base/statefulset-scratchbird-db.yaml",
        "compose/ci-cd/gitlab-ci.yaml",
    ] {
        let files = all(&spec, &pins);
        let file = files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path}"));
        assert!(file.contents.contains(&format!("scratchbird:1.2.3-alpine@{digest}")), "{path}");
    }
    assert_eq!(foreign(&spec)[0], "docker.io/grafana/grafana:12.1.0");
}

#[test]
fn a_proxy_knows_every_database_and_nothing_else() {
    let files = all(&spec(), &Pins::new());
    let config = &files.iter().find(|file| file.path == "compose/multi-node/haproxy.cfg").unwrap().contents;
    let servers: Vec<&str> = config.lines().filter(|line| line.trim_start().starts_with("server ")).collect();
    let one = [
        "    server db db:5432",
        "    server replica-1 replica-1:5432",
        "    server replica-2 replica-2:5432",
    ];
    assert_eq!(servers, [one, one].concat());
    let pods =
        &files.iter().find(|file| file.path.ends_with("scratchbird-proxy-files.yaml")).unwrap().contents;
    let whole = "server scratchbird-replica-1 \
                 \"scratchbird-replica-1.scratchbird-replica-headless.${POD_NAMESPACE}.svc.${CLUSTER_DOMAIN}\":5432";
    assert!(pods.contains(whole), "{pods}");
}

#[test]
fn what_is_scraped_is_at_its_own_path() {
    let config = |text: &str| {
        let mut spec = Spec::parse("docker/images.toml", text).unwrap();
        spec.project.version = Some(semver::Version::new(1, 2, 3));
        let files = all(&spec, &Pins::new());
        let file = files.iter().find(|file| file.path == "compose/monitoring/prometheus.yml").unwrap();
        serde_saphyr::from_str::<Value>(&file.contents).unwrap()["scrape_configs"][0]["static_configs"]
            .clone()
    };
    assert_eq!(config(REAL), serde_json::json!([{ "targets": ["db:8080"] }]));
    let other = REAL.replacen("metrics = \"/metrics\", primary", "metrics = \"/m\", primary", 1);
    assert_eq!(
        config(&other),
        serde_json::json!([{ "targets": ["db:8080"], "labels": { "__metrics_path__": "/m" } }])
    );
}

#[test]
fn what_is_asked_of_the_environment_is_in_the_example() {
    let files = all(&spec(), &Pins::new());
    for compose in files.iter().filter(|file| file.path.ends_with("/compose.yaml")) {
        let path = compose.path.replace("compose.yaml", ".env.example");
        let example = &files.iter().find(|file| file.path == path).unwrap().contents;
        for asked in variable::variables(&compose.contents) {
            assert!(example.contains(&format!("{}=", asked.name)), "{path}: no {}", asked.name);
        }
    }
}

/// Each overlay, applied to the base as kustomize does it, is the whole set of its stacks' objects.
#[test]
fn overlays_give_what_their_stacks_ask_for() {
    let spec = spec();
    let files = kubernetes::files(&spec, &Pins::new());
    let documents = parsed(&files);
    let kubernetes = spec.kubernetes.as_ref().unwrap();
    let base = kubernetes::objects(&spec, &Pins::new(), &kubernetes::base_overlay(kubernetes));
    for (name, overlay) in &kubernetes.overlays {
        let root = format!("k8s/overlays/{name}/");
        let kustomization = &documents[format!("{root}kustomization.yaml").as_str()];
        let mut result = base.clone();
        for patch in kustomization["patches"].as_array().unwrap() {
            let path = patch["path"].as_str().unwrap();
            let operations =
                serde_json::from_value(documents[format!("{root}{path}").as_str()].clone()).unwrap();
            let object = result.get_mut(path.strip_prefix("patch-").unwrap()).unwrap();
            json_patch::patch(object, &json_patch::Patch(operations)).unwrap();
        }
        for path in kustomization["resources"].as_array().unwrap().iter().filter_map(Value::as_str) {
            if path != "../../base" && path != "namespace.yaml" {
                result.insert(path.to_string(), documents[format!("{root}{path}").as_str()].clone());
            }
        }
        assert_eq!(result, kubernetes::objects(&spec, &Pins::new(), overlay), "{name}");
        assert_eq!(
            documents[format!("{root}namespace.yaml").as_str()]["metadata"]["name"],
            overlay.namespace.as_str()
        );
    }
}
