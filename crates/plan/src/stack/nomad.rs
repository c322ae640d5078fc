//! A stack as a job for Nomad: one group a service, which finds the others through Nomad's own service discovery.

use std::fmt::Write as _;

use super::variable::literal;
use super::{Instance, Stack, go_duration};

/// `job.nomad.hcl`.
pub fn render(stack: &Stack) -> String {
    let mut text = format!(
        "# {}\njob {} {{\n  type = \"service\"\n",
        super::MARK,
        quote(&format!("{}-{}", stack.project(), stack.name))
    );
    for instance in stack.instances() {
        group(&mut text, stack, &instance);
    }
    text.push_str("}\n");
    text
}

fn group(text: &mut String, stack: &Stack, instance: &Instance) {
    let (name, service) = (&instance.name, instance.service);
    let _ = write!(text, "\n  group {} {{\n    count = 1\n", quote(name));
    for volume in instance.volumes.keys() {
        let _ = write!(
            text,
            "\n    # A host volume of the node: `host_volume` in its client's configuration.\n    volume {0} {{\n      type   = \"host\"\n      source = {0}\n    }}\n",
            quote(&format!("{}-{volume}", stack.project()))
        );
    }
    text.push_str("\n    network {\n");
    for port in &service.ports {
        let fixed = port
            .publish
            .as_deref()
            .and_then(literal)
            .map(|port| format!("        static = {port}\n"))
            .unwrap_or_default();
        let _ = write!(
            text,
            "      port {} {{\n{fixed}        to = {}\n      }}\n",
            quote(&port.name),
            port.port
        );
    }
    if let Some(http) = &service.http {
        let _ = write!(text, "      port \"http\" {{\n        to = {}\n      }}\n", http.port);
    }
    text.push_str("    }\n");
    if let Some(port) = service.ports.first() {
        let _ = write!(
            text,
            "\n    service {{\n      name     = {}\n      port     = {}\n      provider = \"nomad\"\n",
            quote(&format!("{}-{name}", stack.project())),
            quote(&port.name)
        );
        if let Some(http) = &service.http {
            let _ = write!(
                text,
                "\n      check {{\n        type     = \"http\"\n        port     = \"http\"\n        path     = {}\n        interval = \"5s\"\n        timeout  = \"2s\"\n      }}\n",
                quote(&http.ready)
            );
        }
        text.push_str("    }\n");
    }
    task(text, stack, instance);
    text.push_str("  }\n");
}

fn task(text: &mut String, stack: &Stack, instance: &Instance) {
    let (name, service) = (&instance.name, instance.service);
    let _ = write!(text, "\n    task {} {{\n      driver = \"docker\"\n", quote(name));
    if let Some(grace) = &service.stop_grace {
        let _ = writeln!(text, "      kill_timeout = {}", quote(&go_duration(grace)));
    }
    let _ = write!(
        text,
        "\n      config {{\n        image           = {}\n        readonly_rootfs = true\n        cap_drop        = [\"all\"]\n        security_opt    = [\"no-new-privileges\"]\n",
        quote(&stack.image(service))
    );
    if !service.command.is_empty() {
        let words: Vec<String> = service.command.iter().map(|word| quote(word)).collect();
        let _ = writeln!(text, "        args            = [{}]", words.join(", "));
    }
    let mut ports: Vec<String> = service.ports.iter().map(|port| quote(&port.name)).collect();
    ports.extend(service.http.as_ref().map(|_| quote("http")));
    let _ = writeln!(text, "        ports           = [{}]", ports.join(", "));
    for path in &service.tmpfs {
        let _ = write!(
            text,
            "\n        mount {{\n          type   = \"tmpfs\"\n          target = {}\n        }}\n",
            quote(path)
        );
    }
    text.push_str("      }\n");
    for (volume, path) in &instance.volumes {
        let _ = write!(
            text,
            "\n      volume_mount {{\n        volume      = {}\n        destination = {}\n      }}\n",
            quote(&format!("{}-{volume}", stack.project())),
            quote(path)
        );
    }
    text.push_str("\n      env {\n");
    for (variable, value) in stack.environment(service, |name| stack.hosts(name)) {
        let _ = writeln!(text, "        {variable} = {}", quote(value.as_str().unwrap_or_default()));
    }
    for (variable, secret) in &service.secrets {
        let _ = writeln!(text, "        {variable} = {}", quote(&format!("/secrets/{secret}")));
    }
    text.push_str("      }\n");
    let user = stack.user(service).unwrap_or_else(|| "0:0".into());
    let (uid, gid) = user.split_once(':').unwrap_or((&user, "0"));
    for secret in service.secrets.values() {
        // Double braces are Nomad's template language.
        let _ = write!(
            text,
            "\n      # From the job's Nomad variable; readable for the image's user alone.\n      template {{\n        destination = \"secrets/{secret}\"\n        perms       = \"0440\"\n        uid         = {uid}\n        gid         = {gid}\n        data        = \"{{{{ with nomadVar \\\"nomad/jobs/{job}\\\" }}}}{{{{ .{secret} }}}}{{{{ end }}}}\"\n      }}\n",
            job = format_args!("{}-{}", stack.project(), stack.name),
        );
    }
    let cpu = service.cpus.unwrap_or(1.0) * 1000.0;
    let memory =
        service.memory.as_deref().and_then(|text| settings::parse_size(text, 1)).unwrap_or(256 << 20) >> 20;
    let _ = write!(
        text,
        "\n      # MHz and MB.\n      resources {{\n        cpu    = {cpu:.0}\n        memory = {memory}\n      }}\n    }}\n"
    );
}

/// A string of HCL.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${"))
}
