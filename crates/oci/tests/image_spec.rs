//! The specification's own examples of valid and invalid documents, where they are at hand.

use std::path::Path;

use oci::grammar::{Kind, problems};

#[test]
fn the_specifications_documents() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/image-spec.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        println!("skipped: {} is not there", file.display());
        return;
    };
    let vectors: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    let list = vectors["vectors"].as_array().unwrap();
    for vector in list {
        let kind = match vector["document_kind"].as_str().unwrap() {
            "image-manifest-schema.json" => Kind::Manifest,
            "image-index-schema.json" => Kind::Index,
            "config-schema.json" => Kind::Config,
            "image-layout-schema.json" => Kind::Layout,
            "content-descriptor.json" => Kind::Descriptor,
            other => panic!("{other}"),
        };
        let found = problems(kind, vector["text"].as_str().unwrap().as_bytes());
        if found.is_empty() != (vector["expect"] == "accept") {
            wrong.push(format!("{} {}: {found:?}", vector["id"], vector["comment"]));
        }
    }
    assert!(wrong.is_empty() && list.len() == 65, "{} of {}: {wrong:#?}", wrong.len(), list.len());
}
