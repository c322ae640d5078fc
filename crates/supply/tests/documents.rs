//! The documents against their published schemas, and what they are believed to say.

use jsonschema::Uri;
use oci::contents::{Found, Item, Kind, Tree};
use oci::entry::Owner;
use serde_json::{Value, json};
use supply::auditable::{Crate, CrateList, Scope, embed};
use supply::finding::{Finding, Report, Severity, ignores};
use supply::inventory::{CrateFact, CrateFacts, Inventory, inventory};
use supply::sbom::{Claim, Format, Subject};

/// The schemas that the CycloneDX schema refers to.
struct Schemas;

impl jsonschema::Retrieve for Schemas {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let text = match uri.as_str().rsplit('/').next().unwrap_or_default() {
            "spdx.SNAPSHOT.schema.json" => include_str!("schemas/spdx.SNAPSHOT.schema.json"),
            "jsf-0.82.SNAPSHOT.schema.json" => include_str!("schemas/jsf-0.82.SNAPSHOT.schema.json"),
            "cryptography-defs.SNAPSHOT.schema.json" => {
                include_str!("schemas/cryptography-defs.SNAPSHOT.schema.json")
            }
            other => return Err(format!("no schema {other}").into()),
        };
        Ok(serde_json::from_str(text)?)
    }
}

/// What the schema of its format has against a bill.
fn problems(format: Format, document: &Value) -> Vec<String> {
    let schema = match format {
        Format::CycloneDx => include_str!("schemas/bom-1.6.SNAPSHOT.schema.json"),
        Format::Spdx => include_str!("schemas/spdx-2.3.schema.json"),
    };
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::options().with_retriever(Schemas).build(&schema).unwrap();
    validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

fn file(path: &str, mode: u32, contents: &[u8]) -> (String, Found) {
    let item = Item {
        path: path.into(),
        kind: Kind::File,
        mode,
        owner: Owner::ROOT,
        size: contents.len() as u64,
        mtime: 0,
    };
    (path.into(), Found { item, layer: 0, digest: None, contents: Some(contents.to_vec()) })
}

/// The smallest ELF file with a table of sections.
fn program() -> Vec<u8> {
    let mut out = vec![0; 64];
    out[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    out[40] = 80;
    (out[58], out[60], out[62]) = (64, 2, 1);
    out.extend_from_slice(b"\0.shstrtab\0\0\0\0\0\0");
    out.resize(80 + 128, 0);
    let names = &mut out[144..];
    (names[0], names[4], names[24], names[32]) = (1, 3, 64, 11);
    out
}

fn sample() -> Inventory {
    let crates = CrateList {
        packages: vec![
            Crate {
                name: "cc".into(),
                version: "1.0.0".into(),
                source: "crates.io".into(),
                kind: Scope::Build,
                ..Crate::default()
            },
            Crate {
                name: "libc".into(),
                version: "0.2.1".into(),
                source: "crates.io".into(),
                ..Crate::default()
            },
            Crate {
                name: "server".into(),
                version: "1.0.0".into(),
                source: "local".into(),
                dependencies: vec![0, 1],
                root: true,
                ..Crate::default()
            },
        ],
    };
    let apk = "P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\np:so:libc.musl=1\n\nP:busybox\nV:1.36\nA:x86_64\nL:custom\nD:so:libc.musl\n\n";
    let tree = Tree {
        files: [
            file("etc/os-release", 0o644, b"ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux\"\n"),
            file("lib/apk/db/installed", 0o644, apk.as_bytes()),
            file("usr/bin/server", 0o755, &embed(&program(), &crates).unwrap()),
            file("usr/bin/script", 0o755, b"#!/bin/sh\n"),
        ]
        .into(),
    };
    let fact = CrateFact { licence: Some("MIT/Apache-2.0".into()), checksum: Some("ab".repeat(32)) };
    let facts = CrateFacts::from([(("libc".into(), "0.2.1".into()), fact)]);
    inventory(&tree, &facts).unwrap()
}

fn subject(digit: char) -> Subject {
    Subject {
        name: "scratchbird".into(),
        version: "1.0.0".into(),
        digest: format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap(),
        platform: "linux/amd64".into(),
        created: "2026-01-02T03:04:05Z".into(),
        vendor: "The ScratchBird developers".into(),
        source: "https://example.org/scratchbird".into(),
        licence: Some("MIT OR Apache-2.0".into()),
    }
}

#[test]
fn the_inventory_of_an_image() {
    let inventory = sample();
    let purls: Vec<&str> = inventory.components.iter().map(|c| c.purl.as_str()).collect();
    assert_eq!(
        purls,
        [
            "pkg:apk/alpine/busybox@1.36?arch=x86_64&distro=alpine-3.20.3",
            "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.3",
            "pkg:cargo/cc@1.0.0",
            "pkg:cargo/libc@0.2.1",
            "pkg:generic/server@1.0.0",
        ]
    );
    assert_eq!(inventory.components[0].depends, [purls[1]]);
    assert_eq!(inventory.components[0].licence, None);
    assert_eq!(inventory.components[3].licence.as_deref(), Some("MIT OR Apache-2.0"));
    assert_eq!(inventory.components[4].depends, ["pkg:cargo/cc@1.0.0", "pkg:cargo/libc@0.2.1"]);
    assert!(inventory.components[4].is_program);
}

/// Distroless images have a file a package, and beside it the checksums of its files.
#[test]
fn the_inventory_of_a_distroless_base() {
    let package = |name: &str, more: &str| {
        format!("Package: {name}\nVersion: 1.2-3\nArchitecture: amd64\n{more}Description: of it\n")
    };
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: MIT\n";
    let tree = Tree {
        files: [
            file("etc/os-release", 0o644, b"ID=debian\nVERSION_ID=\"12\"\n"),
            file("var/lib/dpkg/status.d/libc6", 0o644, package("libc6", "").as_bytes()),
            file("var/lib/dpkg/status.d/libc6.md5sums", 0o644, b"0 Package: none\n"),
            file(
                "var/lib/dpkg/status.d/libssl3",
                0o644,
                package("libssl3", "Depends: libc6 (>= 1)\n").as_bytes(),
            ),
            file("usr/share/doc/libc6/copyright", 0o644, copyright.as_bytes()),
        ]
        .into(),
    };
    let found = inventory(&tree, &CrateFacts::new()).unwrap();
    let shown: Vec<(&str, Option<&str>)> =
        found.components.iter().map(|c| (c.purl.as_str(), c.licence.as_deref())).collect();
    let libc6 = "pkg:deb/debian/libc6@1.2-3?arch=amd64&distro=debian-12";
    let libssl3 = "pkg:deb/debian/libssl3@1.2-3?arch=amd64&distro=debian-12";
    assert_eq!(shown, [(libc6, Some("MIT")), (libssl3, None)]);
    assert_eq!(found.components[1].depends, [libc6]);
    for format in Format::ALL {
        assert_eq!(problems(format, &format.render(&subject('a'), &found)), Vec::<String>::new());
    }
}

#[test]
fn bills_follow_their_schemas() {
    for format in Format::ALL {
        let document = format.render(&subject('a'), &sample());
        assert_eq!(problems(format, &document), Vec::<String>::new());
        let empty = format.render(&subject('a'), &Inventory::default());
        assert_eq!(problems(format, &empty), Vec::<String>::new());
        // The check itself can fail.
        let breaches: &[(&str, Value)] = match format {
            Format::CycloneDx => &[
                ("/components/1/scope", json!("sometimes")),
                ("/serialNumber", json!("urn:uuid:1")),
                ("/specVersion", json!(1.6)),
            ],
            Format::Spdx => &[
                ("/relationships/0/relationshipType", json!("LIKES")),
                ("/packages/0/checksums/0/algorithm", json!("CRC")),
                ("/packages/0/name", Value::Null),
                ("/creationInfo", json!({})),
            ],
        };
        for (place, value) in breaches {
            let mut wrong = document.clone();
            *wrong.pointer_mut(place).unwrap() = value.clone();
            assert_ne!(problems(format, &wrong), Vec::<String>::new(), "{place}");
        }
    }
}

#[test]
fn spdx_names_every_part_once() {
    let document = Format::Spdx.render(&subject('a'), &sample());
    let packages = document["packages"].as_array().unwrap();
    let ids: std::collections::BTreeSet<&str> =
        packages.iter().filter_map(|p| p["SPDXID"].as_str()).collect();
    assert_eq!(ids.len(), packages.len());
    assert_eq!(packages.len(), 5 + 2);
    for relationship in document["relationships"].as_array().unwrap() {
        for end in ["spdxElementId", "relatedSpdxElement"] {
            let id = relationship[end].as_str().unwrap();
            assert!(id == "SPDXRef-DOCUMENT" || ids.contains(id), "{id}");
        }
    }
}

#[test]
fn a_bill_is_of_one_image_with_one_content() {
    let inventory = sample();
    for format in Format::ALL {
        let document = format.render(&subject('a'), &inventory);
        assert_eq!(document, format.render(&subject('a'), &inventory), "the same image, the same document");
        let claim = Claim::read(&document).unwrap();
        claim.check(&subject('a').digest, &inventory).unwrap();
        let check = |digit, change: fn(&mut Inventory), expect: &str| {
            let mut inventory = inventory.clone();
            change(&mut inventory);
            let error = claim.check(&subject(digit).digest, &inventory).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check('b', |_| (), "SBOM: is of another image: sha256:aaaa");
        check('a', |i| drop(i.components.pop()), "lists what the image does not have: pkg:generic/server");
        check(
            'a',
            |i| i.components[0].purl.push('x'),
            "leaves out what the image has: pkg:apk/alpine/busybox",
        );
    }
    for wrong in [json!({}), json!({"bomFormat": "CycloneDX"}), json!({"spdxVersion": "SPDX-2.3"}), json!(1)]
    {
        Claim::read(&wrong).unwrap_err();
    }
}

#[test]
fn sarif_follows_its_schema() {
    // The published schema has a regular expression with a bracket too many, which strict readers refuse.
    let text = include_str!("schemas/sarif-schema-2.1.0.json");
    let text = text.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}$");
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems = |document: &Value| -> Vec<String> {
        validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect()
    };
    let finding = |severity, tool, place: &str| Finding {
        severity,
        rule: "CVE-2026-0001".into(),
        place: place.into(),
        message: "what".into(),
        tool,
    };
    let mut report = Report {
        findings: vec![
            finding(Severity::Critical, "trivy", "pkg:apk/alpine/busybox@1.36?arch=x86_64"),
            finding(Severity::Medium, "native", "/a file/with ünicode"),
            finding(Severity::Low, "hadolint", "docker/alpine/Dockerfile:3"),
            finding(Severity::High, "rustsec", "pkg:cargo/libc@0.2.1"),
        ],
        unchecked: vec!["69 packages of the base: neither trivy nor grype is installed".into()],
        ..Report::default()
    };
    let ignore = "[[ignore]]\nid = \"CVE-2026-0001\"\nplace = \"pkg:cargo/libc@0.2.1\"\nreason = \"r\"\nexpires = 2026-12-31\n";
    report.settle("f", &ignores("f", ignore).unwrap(), "2026-01-01");
    assert_eq!((report.findings.len(), report.ignored.len()), (3, 1));
    assert_eq!(problems(&report.sarif("1.0.0")), Vec::<String>::new());
    assert_eq!(problems(&Report::default().sarif("1.0.0")), Vec::<String>::new());
    // The check itself can fail.
    let mut wrong = report.sarif("1.0.0");
    wrong["runs"][0]["results"][0]["level"] = json!("terrible");
    assert!(!problems(&wrong).is_empty());
    let mut wrong = report.sarif("1.0.0");
    wrong["runs"][0]["tool"]["driver"].as_object_mut().unwrap().remove("name");
    assert!(!problems(&wrong).is_empty());
}
