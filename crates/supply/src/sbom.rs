//! An image's software bill of materials, in the two formats that tools read. Both are of one [`Inventory`], are the same
//! for the same image, and name the image by its digest.

use std::collections::{BTreeMap, BTreeSet};

use oci::digest::sha256;
use oci_spec::image::Digest;
use serde_json::{Value, json};

use crate::auditable::Scope;
use crate::copyright;
use crate::error::{Error, Result};
use crate::inventory::{Component, Inventory, quote, same_parts};

/// The image that a bill is of.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its repository's last part: `scratchbird`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of the platform's manifest.
    pub digest: Digest,
    /// The platform: `linux/amd64`.
    pub platform: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Who made it.
    pub vendor: String,
    /// Where its sources are.
    pub source: String,
    /// Its licence.
    pub licence: Option<String>,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CycloneDX 1.6, JSON.
    CycloneDx,
    /// SPDX 2.3, JSON.
    Spdx,
}

impl Format {
    /// Both.
    pub const ALL: [Format; 2] = [Format::CycloneDx, Format::Spdx];

    /// What in-toto statements call a predicate of this format.
    pub fn predicate_type(self) -> &'static str {
        match self {
            Format::CycloneDx => "https://cyclonedx.org/bom",
            Format::Spdx => "https://spdx.dev/Document",
        }
    }

    /// How files of this format end.
    pub fn extension(self) -> &'static str {
        match self {
            Format::CycloneDx => "cdx.json",
            Format::Spdx => "spdx.json",
        }
    }

    /// The bill of `subject`.
    pub fn render(self, subject: &Subject, inventory: &Inventory) -> Value {
        match self {
            Format::CycloneDx => cyclonedx(subject, inventory),
            Format::Spdx => spdx(subject, inventory),
        }
    }
}

/// Who says so, in both formats.
const TOOL: &str = "scratchbird-xtask";

fn image_purl(subject: &Subject) -> String {
    let digest = quote(subject.digest.as_ref());
    let architecture = subject.platform.split_once('/').map_or("", |(_, rest)| rest);
    format!(
        "pkg:oci/{}@{digest}?arch={}&tag={}",
        quote(&subject.name),
        quote(architecture),
        quote(&subject.version)
    )
}

/// A UUID that depends on the image and the format alone (RFC 9562, version 8).
fn uuid(subject: &Subject, format: &str) -> String {
    let digest = sha256(format!("{format} {}", subject.digest).as_bytes());
    let hex = digest.digest();
    let variant = ["8", "9", "a", "b"][usize::from(hex.as_bytes()[16] & 3)];
    format!("{}-{}-8{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// <https://cyclonedx.org/docs/1.6/json/>
fn cyclonedx(subject: &Subject, inventory: &Inventory) -> Value {
    let image = image_purl(subject);
    let licences = |licence: &Option<String>| match licence {
        Some(expression) => json!([{ "expression": expression }]),
        None => json!([]),
    };
    let mut components: Vec<Value> = Vec::new();
    if let Some(distribution) = &inventory.distribution {
        components.push(json!({
            "type": "operating-system",
            "bom-ref": format!("os:{}@{}", distribution.id, distribution.version),
            "name": distribution.id,
            "version": distribution.version,
            "description": distribution.title,
        }));
    }
    for component in &inventory.components {
        let mut value = json!({
            "type": if component.is_program { "application" } else { "library" },
            "bom-ref": component.purl,
            "name": component.name,
            "version": component.version,
            "purl": component.purl,
            // What only took part in the build is not in the image.
            "scope": if component.scope == Some(Scope::Build) { "excluded" } else { "required" },
            "licenses": licences(&component.licence),
        });
        if let Some(checksum) = &component.checksum {
            value["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        if let Some(url) = &component.download {
            value["externalReferences"] = json!([{ "type": "distribution", "url": url }]);
        }
        components.push(value);
    }
    let mut dependencies = vec![json!({ "ref": image, "dependsOn": top_level(inventory) })];
    dependencies
        .extend(inventory.components.iter().map(|c| json!({ "ref": c.purl, "dependsOn": c.depends })));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(subject, "cyclonedx")),
        "version": 1,
        "metadata": {
            "timestamp": subject.created,
            "tools": { "components": [{ "type": "application", "name": TOOL }] },
            "supplier": { "name": subject.vendor },
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": subject.name,
                "version": subject.version,
                "purl": image,
                "hashes": [{ "alg": "SHA-256", "content": subject.digest.digest() }],
                "licenses": licences(&subject.licence),
                "externalReferences": [{ "type": "vcs", "url": subject.source }],
                "properties": [{ "name": "oci:platform", "value": subject.platform }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// What nothing else in the image needs: the programs, and the packages that were installed for their own sake.
fn top_level(inventory: &Inventory) -> Vec<&str> {
    let needed: BTreeSet<&str> =
        inventory.components.iter().flat_map(|c| c.depends.iter().map(String::as_str)).collect();
    inventory.components.iter().map(|c| c.purl.as_str()).filter(|purl| !needed.contains(purl)).collect()
}

/// <https://spdx.github.io/spdx-spec/v2.3/>
fn spdx(subject: &Subject, inventory: &Inventory) -> Value {
    const IMAGE: &str = "SPDXRef-Image";
    let ids: BTreeMap<&str, String> =
        inventory.components.iter().map(|c| (c.purl.as_str(), spdx_id(&c.purl))).collect();
    let mut packages = vec![json!({
        "SPDXID": IMAGE,
        "name": subject.name,
        "versionInfo": subject.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "supplier": format!("Organization: {}", subject.vendor),
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": subject.licence.as_deref().unwrap_or("NOASSERTION"),
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{ "algorithm": "SHA256", "checksumValue": subject.digest.digest() }],
        "externalRefs": [purl_reference(&image_purl(subject))],
    })];
    let relation = |from: &str, kind: &str, to: &str| json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to });
    let mut relationships = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE)];
    for component in &inventory.components {
        let id = ids[component.purl.as_str()].as_str();
        packages.push(spdx_package(id, component));
        relationships.push(match component.scope {
            Some(Scope::Build) => relation(id, "BUILD_DEPENDENCY_OF", IMAGE),
            _ => relation(IMAGE, "CONTAINS", id),
        });
        let needed = component.depends.iter().filter_map(|purl| ids.get(purl.as_str()));
        relationships.extend(needed.map(|to| relation(id, "DEPENDS_ON", to)));
    }
    if let Some(distribution) = &inventory.distribution {
        packages.push(json!({
            "SPDXID": "SPDXRef-OperatingSystem",
            "name": distribution.id,
            "versionInfo": distribution.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION",
            "copyrightText": "NOASSERTION",
            "primaryPackagePurpose": "OPERATING_SYSTEM",
        }));
        relationships.push(relation(IMAGE, "CONTAINS", "SPDXRef-OperatingSystem"));
    }
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{}-{}", subject.name, subject.version),
        "documentNamespace": format!("{}/spdx/{}", subject.source, uuid(subject, "spdx")),
        "creationInfo": {
            "created": subject.created,
            "creators": [format!("Organization: {}", subject.vendor), format!("Tool: {TOOL}")],
        },
        "packages": packages,
        "relationships": relationships,
    });
    let unlisted = unlisted_licences(inventory);
    if !unlisted.is_empty() {
        document["hasExtractedLicensingInfos"] = json!(unlisted);
    }
    document
}

/// The licences that SPDX's list lacks have to be told in the document (SPDX 2.3, 10): where in the image they stand.
fn unlisted_licences(inventory: &Inventory) -> Vec<Value> {
    let expressions = inventory.components.iter().filter_map(|c| c.licence.as_deref());
    let words: BTreeSet<&str> = expressions
        .flat_map(|expression| expression.split([' ', '(', ')']))
        .filter(|word| word.starts_with(copyright::REFERENCE))
        .collect();
    let told = |word: &&str| {
        let name = word.trim_start_matches(copyright::REFERENCE);
        let text = format!("`{name}`, whose text is in /usr/share/doc/*/copyright of the image");
        json!({ "licenseId": word, "name": name, "extractedText": text })
    };
    words.iter().map(told).collect()
}

fn spdx_package(id: &str, component: &Component) -> Value {
    let mut package = json!({
        "SPDXID": id,
        "name": component.name,
        "versionInfo": component.version,
        "downloadLocation": component.download.as_deref().unwrap_or("NOASSERTION"),
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": component.licence.as_deref().unwrap_or("NOASSERTION"),
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": if component.is_program { "APPLICATION" } else { "LIBRARY" },
        "externalRefs": [purl_reference(&component.purl)],
    });
    if let Some(checksum) = &component.checksum {
        package["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": checksum }]);
    }
    package
}

fn purl_reference(purl: &str) -> Value {
    json!({ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl })
}

/// An identifier has letters, digits, `.` and `-` alone (SPDX 2.3, 3.2); the hash keeps different names apart.
fn spdx_id(purl: &str) -> String {
    let plain: String = purl
        .trim_start_matches("pkg:")
        .split('?')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    format!("SPDXRef-{plain}-{}", &sha256(purl.as_bytes()).digest()[..8])
}

/// What a bill of either format says: of which image it is, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The hex digest of the image's manifest.
    pub digest: String,
    /// The package URLs of the parts.
    pub purls: BTreeSet<String>,
}

impl Claim {
    /// Reads a bill of ours.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is of neither format, or names no image.
    pub fn read(document: &Value) -> Result<Claim> {
        let text = |value: &Value| value.as_str().map(String::from);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let invalid = || Error::invalid("SBOM", "names no image by its SHA-256");
        if document["bomFormat"] == "CycloneDX" {
            let digest =
                text(&document["metadata"]["component"]["hashes"][0]["content"]).ok_or_else(invalid)?;
            let purls = list(&document["components"]).iter().filter_map(|c| text(&c["purl"])).collect();
            return Ok(Claim { digest, purls });
        }
        if document["spdxVersion"].is_string() {
            let packages = list(&document["packages"]);
            let is_image = |p: &&Value| p["primaryPackagePurpose"] == "CONTAINER";
            let image = packages.iter().find(is_image).ok_or_else(invalid)?;
            let digest = text(&image["checksums"][0]["checksumValue"]).ok_or_else(invalid)?;
            let purls = packages
                .iter()
                .filter(|p| !is_image(p))
                .filter_map(|p| text(&p["externalRefs"][0]["referenceLocator"]))
                .collect();
            return Ok(Claim { digest, purls });
        }
        Err(Error::invalid("SBOM", "is neither CycloneDX nor SPDX"))
    }

    /// Checks that the bill is of the image with that manifest and inventory.
    ///
    /// # Errors
    /// [`Error::Invalid`] that says of which image it is instead, or what it leaves out or makes up.
    pub fn check(&self, manifest: &Digest, inventory: &Inventory) -> Result<()> {
        if self.digest != manifest.digest() {
            return Err(Error::invalid(
                "SBOM",
                format!("is of another image: sha256:{} instead of {manifest}", self.digest),
            ));
        }
        let claimed: BTreeSet<&str> = self.purls.iter().map(String::as_str).collect();
        let found: BTreeSet<&str> = inventory.components.iter().map(|c| c.purl.as_str()).collect();
        same_parts("SBOM", &claimed, &found)
    }
}
