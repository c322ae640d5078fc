//! `.env.example`: every variable that a stack asks the user's environment for, with its default and its meaning.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Stack;
use super::variable::variables;

/// The variable by which Compose knows a stack from others.
const PROJECT: &str = "COMPOSE_PROJECT_NAME";

/// The file's text.
pub fn render(stack: &Stack) -> String {
    let mut asked: BTreeMap<&str, (Option<&str>, String)> = BTreeMap::new();
    for (name, service) in &stack.stack.services {
        for (variable, value) in &service.env {
            let meaning = match settings::by_env(variable) {
                Some(setting) => format!("{} Allowed: {}.", setting.doc, setting.allowed()),
                None => format!("{variable} of the service `{name}`."),
            };
            for asking in variables(value) {
                asked.entry(asking.name).or_insert((asking.default, meaning.clone()));
            }
        }
        for port in &service.ports {
            let meaning = format!("The port of this machine on which `{name}` is reached ({}).", port.name);
            for asking in port.publish.iter().flat_map(|publish| variables(publish)) {
                asked.entry(asking.name).or_insert((asking.default, meaning.clone()));
            }
        }
    }
    if stack.stack.services.values().any(|service| service.ports.iter().any(|port| port.publish.is_some())) {
        let meaning =
            "The address of this machine on which ports are reached; 0.0.0.0 is every one.".to_string();
        asked.insert("BIND", (Some("127.0.0.1"), meaning));
    }
    let mut text = format!(
        "# {}\n# Copy to .env and change what you need; what is commented out is the default.\n",
        super::MARK
    );
    let _ = write!(
        text,
        "\n# What containers, networks and volumes are called after; a second copy of this stack needs another name.\n\
         {PROJECT}={}-{}\n",
        stack.project(),
        stack.name
    );
    for (name, (default, meaning)) in asked {
        let _ = match default {
            Some(default) => write!(text, "\n# {meaning}\n#{name}={default}\n"),
            None => write!(text, "\n# {meaning} Needed.\n{name}=\n"),
        };
    }
    text
}
