//! Every compose.yaml against the JSON schema of the Compose Specification, which lies beside the checkout or not.

use std::path::Path;

use plan::Spec;
use plan::stack::{self, Pins};
use serde_json::{Value, json};

const CATALOGUES: &[(&str, &str)] = &[
    ("docker/images.toml", include_str!("../../../docker/images.toml")),
    ("examples/webapp/images.toml", include_str!("../../../examples/webapp/images.toml")),
];

#[test]
fn every_stack_fits_the_specification() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compose-spec.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no schema of the Compose Specification at {}", path.display());
        return;
    };
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut seen = 0;
    for (name, text) in CATALOGUES {
        let mut spec = Spec::parse(name, text).unwrap();
        spec.project.version.get_or_insert(semver::Version::new(1, 2, 3));
        for file in stack::all(&spec, &Pins::new()) {
            if !file.path.ends_with("/compose.yaml") && !file.path.ends_with("/compose.watch.yaml") {
                continue;
            }
            let mut document: Value = serde_saphyr::from_str(&file.contents).unwrap();
            let problems: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
            assert!(problems.is_empty(), "{}: {problems:?}", file.path);
            // Each of them would be refused with a mistake in it.
            let (_, service) = document["services"].as_object_mut().unwrap().iter_mut().next().unwrap();
            service["imgae"] = json!("x");
            assert!(!validator.is_valid(&document), "{}: takes an unknown key", file.path);
            seen += 1;
        }
    }
    assert!(seen >= 9, "{seen} files");
}
