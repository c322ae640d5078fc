//! The jobs for Nomad are HCL, and say of the stack what it is.

use plan::Spec;
use plan::spec::stack::Output;
use plan::stack::{self, Pins};
use serde_json::Value;

/// The job of a stack, as JSON: a block is an object below its labels.
fn parse(text: &str) -> Result<Value, String> {
    hcl::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn jobs_are_hcl_and_hold_every_service() {
    let spec = Spec::parse("docker/images.toml", include_str!("../../../docker/images.toml")).unwrap();
    let none = Pins::new();
    let mut seen = 0;
    for (name, stack) in spec.stacks.iter().filter(|(_, stack)| stack.outputs.contains(&Output::Nomad)) {
        let files = stack::find(&spec, name, &none).unwrap().files();
        let job = files.iter().find(|file| file.path.ends_with("job.nomad.hcl")).unwrap();
        let value = parse(&job.contents).unwrap_or_else(|error| panic!("{}: {error}", job.path));
        let groups = &value["job"][format!("scratchbird-{name}")]["group"];
        for (service, described) in &stack.services {
            let group = &groups[service];
            let task = &group["task"][service];
            assert_eq!(group["count"], 1, "{}", job.path);
            assert_eq!(task["driver"], "docker", "{}", job.path);
            assert_eq!(task["config"]["readonly_rootfs"], true);
            for port in described.ports.iter().filter(|port| port.publish.is_some()) {
                assert_eq!(group["network"]["port"][&port.name]["to"], port.port);
            }
            for variable in described.env.keys() {
                assert!(!task["env"][variable].is_null(), "{}: {variable} is missing", job.path);
            }
            for (variable, secret) in &described.secrets {
                assert_eq!(task["env"][variable], format!("/secrets/{secret}"));
            }
            seen += 1;
        }
        let broken = job.contents.replacen("group \"", "group \"\"", 1);
        assert!(parse(&broken).is_err(), "{}: the parser takes anything", job.path);
    }
    assert!(seen > 0);
}
