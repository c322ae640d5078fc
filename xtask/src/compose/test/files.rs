//! Whether the programs that the files are for take them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use duct::cmd;
use plan::spec::stack::Output;
use plan::stack::{self, Pins, kubernetes};

use super::running::{unpack, write};
use super::{Scene, need};
use crate::compose::Compose;
use crate::verify::skip;

pub fn compose(scene: &Scene) -> Result<()> {
    for (name, stack) in &scene.spec.stacks {
        if !stack.outputs.contains(&Output::Compose) {
            continue;
        }
        let folder = unpack(scene, name)?;
        let root = folder.path().join(name);
        let none = Pins::new();
        for secret in stack::find(scene.spec, name, &none)?.secrets() {
            write(&root.join("secrets").join(secret), "x")?;
        }
        write(&root.join("wrong.yaml"), r#"{"services": {"db": {"imgae": "x"}}}"#)?;
        for compose in Compose::all(&root)? {
            let check = |overrides: &[PathBuf]| {
                compose.clone().with_files(name, overrides).output(&["config", "--quiet"])
            };
            check(&[])?;
            // What it must refuse, so that taking a file means something.
            ensure!(check(&["wrong.yaml".into()]).is_err(), "{name}: Compose takes an unknown key");
        }
    }
    Ok(())
}

pub fn swarm(scene: &Scene) -> Result<()> {
    let files = stack::all(scene.spec, &Pins::new());
    let folder = tempfile::tempdir()?;
    for file in files.iter().filter(|file| file.path.starts_with("swarm/")) {
        write(&folder.path().join(&file.path), &file.contents)?;
    }
    let help = cmd!("docker", "stack", "config", "--help").stdout_null().stderr_null().unchecked().run()?;
    if !help.status.success() {
        return skip("this docker has no `stack config`");
    }
    let config = |path: &str| {
        let config = cmd!("docker", "stack", "config", "--compose-file", folder.path().join(path));
        config.stdout_null().stderr_capture().unchecked().run()
    };
    let mut seen = 0;
    for file in files.iter().filter(|file| file.path.ends_with("/stack.yaml")) {
        let output = config(&file.path)?;
        ensure!(output.status.success(), "{}: {}", file.path, String::from_utf8_lossy(&output.stderr).trim());
        write(&folder.path().join("wrong.yaml"), &file.contents.replacen("image:", "imgae:", 1))?;
        ensure!(!config("wrong.yaml")?.status.success(), "{}: Docker takes an unknown key", file.path);
        seen += 1;
    }
    ensure!(seen > 0, "there is no stack for Swarm");
    Ok(())
}

pub fn kustomize(scene: &Scene) -> Result<()> {
    need("kubectl", "kubernetes-client")?;
    let help = cmd!("kubectl", "kustomize", "--help").stdout_null().stderr_null().unchecked().run()?;
    if !help.status.success() {
        return skip("this kubectl has no kustomize");
    }
    let Some(manifests) = &scene.spec.kubernetes else { return skip("the catalogue has no [kubernetes]") };
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("k8s");
    for file in kubernetes::files(scene.spec, &Pins::new()) {
        write(&folder.path().join(&file.path), &file.contents)?;
    }
    let build = |path: &str| -> Result<String> {
        Ok(cmd!("kubectl", "kustomize", root.join(path)).stdout_capture().stderr_capture().run()?.stdout)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    build("base").context("base")?;
    for (name, overlay) in &manifests.overlays {
        let path = format!("overlays/{name}");
        ensure!(build(&path).is_err(), "{path} is built without its secrets");
        for secret in kubernetes::secrets(scene.spec, overlay) {
            write(&root.join(&path).join("secrets").join(secret), "x")?;
        }
        let text = build(&path).context(path)?;
        let kinds = text.lines().filter(|line| line.starts_with("kind: ")).count();
        // What the stacks ask for, the namespace and the Secret.
        let expect = kubernetes::objects(scene.spec, &Pins::new(), overlay).len() + 2;
        ensure!(kinds == expect, "{name}: {kinds} objects, not {expect}");
    }
    Ok(())
}

pub fn promtool(scene: &Scene) -> Result<()> {
    need("promtool", "prometheus")?;
    let folder = unpack(scene, "monitoring")?;
    let root = folder.path().join("monitoring");
    let check = |what: &str, file: &str| {
        cmd!("promtool", "check", what, root.join(file)).stdout_capture().stderr_capture().unchecked().run()
    };
    for (what, file) in [("config", "prometheus.yml"), ("rules", "alerts.yml")] {
        let output = check(what, file)?;
        ensure!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    write(&root.join("alerts.yml"), "groups: [{name: x, rules: [{alert: y, expr: 'sum('}]}]")?;
    ensure!(!check("rules", "alerts.yml")?.status.success(), "promtool takes a broken expression");
    Ok(())
}

pub fn haproxy(scene: &Scene) -> Result<()> {
    need("haproxy", "haproxy")?;
    let folder = unpack(scene, "multi-node")?;
    let path = folder.path().join("multi-node/haproxy.cfg");
    let check = || cmd!("haproxy", "-c", "-f", &path).stdout_capture().stderr_capture().unchecked().run();
    let output = check()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let wrong = std::fs::read_to_string(&path)?.replace("default_backend", "default_bakend");
    write(&path, &wrong)?;
    ensure!(!check()?.status.success(), "HAProxy takes an unknown keyword");
    Ok(())
}
