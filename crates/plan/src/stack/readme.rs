//! A stack's README: what it is, how it is started, used and stopped.

use std::fmt::Write as _;

use super::variable::literal;
use super::{MARK, Stack};
use crate::spec::stack::Output;

/// The README of the stack in `dir`: compose, swarm or nomad.
pub fn render(stack: &Stack, dir: &str) -> String {
    let mut text =
        format!("<!-- {MARK} -->\n# {}\n\n{}\n", stack.stack.title, stack.stack.description.trim());
    match dir {
        "compose" if stack.stack.outputs.contains(&Output::Compose) => compose(&mut text, stack),
        "compose" => notes(&mut text, stack),
        "swarm" => swarm(&mut text, stack),
        "nomad" => nomad(&mut text, stack),
        _ => {}
    }
    text
}

fn compose(text: &mut String, stack: &Stack) {
    text.push_str("\n## Start\n\n```console\n$ cp .env.example .env        # and change what you need\n");
    if !stack.secrets().is_empty() {
        // 0755 and 0644: the user in the container reads them, who is another than the one on this machine.
        text.push_str("$ mkdir -p secrets\n");
        for secret in stack.secrets() {
            let _ = writeln!(text, "$ openssl rand -hex 16 > secrets/{secret}");
        }
    }
    text.push_str("$ docker compose up --detach --wait\n```\n");
    if !stack.secrets().is_empty() {
        text.push_str(
            "\nThe files in `secrets/` are mounted as they are: the container's user must be able to read them. Keep the\n\
             folder that holds this stack for yourself (`chmod 700 .`).\n",
        );
    }
    let _ = write!(
        text,
        "\nFrom a checkout, with the images just built, and `.env` and secrets made where there are none:\n\n```console\n$ cargo xtask compose up {0}\n$ cargo xtask compose down {0}\n```\n",
        stack.name
    );
    text.push_str("\n## What runs\n\n| service | image | reached at | memory | processors | keeps |\n|---|---|---|---|---|---|\n");
    for instance in stack.instances() {
        let service = instance.service;
        let ports: Vec<String> = service
            .ports
            .iter()
            .filter_map(|port| {
                Some(format!("127.0.0.1:{} ({})", literal(port.publish.as_deref()?)?, port.name))
            })
            .collect();
        let keeps: Vec<String> = instance.volumes.keys().map(|volume| format!("`{volume}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {} | {} | {} |",
            instance.name,
            stack.image(service),
            ports.join(", "),
            service.memory.as_deref().unwrap_or(""),
            service.cpus.map(|cpus| cpus.to_string()).unwrap_or_default(),
            keeps.join(" "),
        );
    }
    text.push_str(
        "\nEvery container has a read-only root file system, no capabilities and no way to gain any.\n",
    );
    notes(text, stack);
    text.push_str(
        "\n## Stop\n\n```console\n$ docker compose down             # keeps the volumes\n$ docker compose down --volumes   # and everything in them is gone\n```\n",
    );
}

fn notes(text: &mut String, stack: &Stack) {
    if !stack.stack.notes.is_empty() {
        let _ = write!(text, "\n{}\n", stack.stack.notes.trim());
    }
}

fn swarm(text: &mut String, stack: &Stack) {
    text.push_str("\n```console\n");
    for secret in stack.secrets() {
        let _ = writeln!(text, "$ openssl rand -hex 16 | docker secret create {secret} -");
    }
    for instance in stack.instances().iter().filter(|instance| !instance.volumes.is_empty()) {
        let _ = writeln!(
            text,
            "$ docker node update --label-add {}.{}=true NODE   # where its volume lies",
            stack.project(),
            instance.name
        );
    }
    let _ = write!(text, "$ docker stack deploy --compose-file stack.yaml {}\n```\n", stack.project());
}

fn nomad(text: &mut String, stack: &Stack) {
    text.push_str("\n```console\n");
    let job = format!("{}-{}", stack.project(), stack.name);
    let secrets: Vec<String> =
        stack.secrets().iter().map(|s| format!("{s}=\"$(openssl rand -hex 16)\"")).collect();
    if !secrets.is_empty() {
        let _ = writeln!(text, "$ nomad var put nomad/jobs/{job} {}", secrets.join(" "));
    }
    text.push_str(
        "$ nomad job run job.nomad.hcl\n```\n\nIts volumes are host volumes, by the names in the job.\n",
    );
}
