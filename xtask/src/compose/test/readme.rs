//! The READMEs of the stacks, followed to the letter: from `cp .env.example .env` to `docker compose down --volumes`.
//!
//! Only what a README takes for granted is another: the images, the ports that are free, and the project's name, so that
//! a stack of the same name that runs on this machine is left alone.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use duct::cmd;
use plan::spec::stack::Output;
use plan::stack::{self, Pins};
use serde_json::json;

use super::running::{images, ports, unpack, write};
use super::{Scene, need};
use crate::compose::Compose;
use crate::facts;
use crate::verify::guides::document::Document;
use crate::verify::skip;

/// How long one README may take.
const LIMIT: &str = "300";

/// Stops at the first command that fails, and names it.
const PROLOGUE: &str = r#"exec 2>&1 </dev/null
set -eE -o pipefail
unset PGHOST PGUSER PGDATABASE PGSSLMODE
trap 'echo "\`$BASH_COMMAND\` fails"' ERR
"#;

pub fn followed(scene: &Scene) -> Result<()> {
    for (program, package) in [("psql", "postgresql-client"), ("openssl", "openssl"), ("bash", "bash")] {
        need(program, package)?;
    }
    let home = tempfile::tempdir()?;
    let Some(plugin) = plugin(home.path())? else {
        return skip(
            "neither `docker compose` nor a docker-compose of version 2; on Debian 13 run `apt-get install docker-compose`",
        );
    };
    for (name, stack) in &scene.spec.stacks {
        if stack.outputs.contains(&Output::Compose) {
            follow(scene, name, plugin.as_ref()).with_context(|| format!("compose/{name}/README.md"))?;
        }
    }
    Ok(())
}

/// The variable by which `docker compose` is understood, if it needs one; `None` if nothing helps.
fn plugin(home: &Path) -> Result<Option<Option<(&'static str, OsString)>>> {
    if cmd!("docker", "compose", "version").stdout_null().stderr_null().unchecked().run()?.status.success() {
        return Ok(Some(None));
    }
    for path in facts::find_programs("docker-compose") {
        let version = cmd!(&path, "version", "--short").stdout_capture().stderr_null().unchecked().run()?;
        if version.status.success() && !version.stdout.starts_with(b"1.") {
            std::fs::create_dir(home.join("cli-plugins"))?;
            std::os::unix::fs::symlink(&path, home.join("cli-plugins/docker-compose"))?;
            return Ok(Some(Some(("DOCKER_CONFIG", home.into()))));
        }
    }
    Ok(None)
}

fn follow(scene: &Scene, name: &str, plugin: Option<&(&'static str, OsString)>) -> Result<()> {
    let none = Pins::new();
    let stack = stack::find(scene.spec, name, &none)?;
    let folder = unpack(scene, name)?;
    let root = folder.path().join(name);
    // Its own image is not to be had here, and nothing stands in for it.
    let is_here = |service: &str| service != "grafana";
    let mut change = images(scene, &stack, is_here)?;
    if let Some(absent) = change["services"].get_mut("grafana") {
        *absent = json!({ "profiles": ["absent"] });
    }
    write(&root.join("images.yaml"), &change.to_string())?;
    let own = format!("verify-readme-{name}-{}", std::process::id());
    let theirs = format!("{}-{name}", stack.project());
    let mut texts = Vec::new();
    for file in [".env.example", "README.md"] {
        let text = std::fs::read_to_string(root.join(file)).context(file)?;
        texts.push(text.replace(&theirs, &own));
    }
    ensure!(texts[0].contains(&format!("COMPOSE_PROJECT_NAME={own}\n")), ".env.example names no project");
    write(&root.join(".env.example"), &texts[0])?;
    let mut script = String::from(PROLOGUE);
    let mut count = 0;
    for block in Document::parse(&texts[1])?.blocks.iter().filter(|block| block.language == "console") {
        for command in block.commands()? {
            // Those are for a checkout, and what watches has no end.
            if !command.text.starts_with("cargo ") && !command.text.contains(" watch") {
                script.push_str(&command.text);
                script.push('\n');
                count += 1;
            }
        }
    }
    ensure!(count > 4, "only {count} commands are shown");
    let mut bash = cmd!("timeout", LIMIT, "bash", "-c", script)
        .dir(&root)
        .env("COMPOSE_FILE", "compose.yaml:images.yaml")
        .stdout_capture()
        .unchecked();
    for (variable, port) in ports(&stack)? {
        bash = bash.env(if variable == "DB_PORT" { "PGPORT" } else { &variable }, port.to_string());
        bash = bash.env(&variable, port.to_string());
    }
    if let Some((variable, value)) = plugin {
        bash = bash.env(variable, value);
    }
    let output = bash.run()?;
    // What a failure has left; a README that was followed to its end leaves nothing.
    let compose = Compose::find(&root)?.with_files(&own, &[]);
    let left = compose.output(&["ps", "--quiet"])?;
    compose.output(&["down", "--volumes", "--timeout", "3", "--remove-orphans"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}", said.trim().replace('\n', " | "));
    ensure!(left.is_empty(), "its last command leaves containers");
    Ok(())
}
