//! How an image came to be, as SLSA provenance 1.0 (<https://slsa.dev/spec/v1.0/provenance>): the predicate of an in-toto
//! statement about the image. All of it follows from the image and the sources, but for `runDetails`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::auditable::Scope;
use crate::elf;
use crate::error::{Error, Result};
use crate::inventory::{Inventory, same_parts};

/// The statement's predicate type.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// What a build type of ours ends with, behind the repository of the sources.
const BUILD_TYPE: &str = "/blob/main/docs/supply-chain.md#build-type";

/// What an image was built from.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// The repository of the sources.
    pub source: String,
    /// The commit; with `-dirty` behind it where files were changed.
    pub revision: String,
    /// The image's name in images.toml.
    pub image: String,
    /// Its variant.
    pub variant: String,
    /// Its platforms: one, or for an index all.
    pub platforms: Vec<String>,
    /// The time of files in layers, in seconds since 1970.
    pub layer_time: u64,
    /// What compiled the programs: the compiler's version, the target and the flags, of each platform.
    pub compilers: Vec<Compiler>,
    /// The reference and digest of the base, where there is one.
    pub base: Option<(String, String)>,
    /// Each layer's digest and what it was made from; for an index its images instead.
    pub parts: Vec<(String, String)>,
}

/// What compiled the programs of a platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiler {
    /// `rustc 1.89.0 (29483883e 2025-08-04)`.
    pub version: String,
    /// The target triple.
    pub target: String,
    /// The flags beyond the profile's.
    pub flags: Vec<String>,
    /// The C compiler and linker, where it is not the host's own.
    pub linker: Option<String>,
}

/// The fields that name the run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Who built: a URI.
    pub builder: String,
    /// The version of the builder.
    pub builder_version: String,
    /// Which run, where the builder gives it a name.
    pub invocation: Option<String>,
    /// When the statement was made, RFC 3339.
    pub finished: String,
}

/// The predicate.
pub fn predicate(build: &Build, inventory: &Inventory, run: &Run) -> Value {
    let commit = build.revision.trim_end_matches("-dirty");
    let mut dependencies = vec![match build.revision.is_empty() {
        true => json!({ "uri": format!("git+{}", build.source) }),
        false => json!({
            "uri": format!("git+{}@{}", build.source, build.revision),
            "digest": { "gitCommit": commit },
            "name": "sources",
        }),
    }];
    if let Some((reference, digest)) = &build.base {
        let hex = digest.trim_start_matches("sha256:");
        dependencies.push(json!({ "uri": reference, "digest": { "sha256": hex }, "name": "base" }));
    }
    for component in inventory.components.iter().filter(|c| c.scope.is_some()) {
        let mut dependency = json!({
            "uri": component.purl,
            "name": format!("{} {}", component.name, component.version),
            "annotations": { "scope": if component.scope == Some(Scope::Build) { "build" } else { "runtime" } },
        });
        if let Some(checksum) = &component.checksum {
            dependency["digest"] = json!({ "sha256": checksum });
        }
        if let Some(url) = &component.download {
            dependency["downloadLocation"] = json!(url);
        }
        dependencies.push(dependency);
    }
    let compilers: Vec<Value> = build
        .compilers
        .iter()
        .map(|c| json!({ "rustc": c.version, "target": c.target, "flags": c.flags, "linker": c.linker }))
        .collect();
    let parts: Vec<Value> = build
        .parts
        .iter()
        .map(|(digest, from)| {
            json!({ "name": from, "digest": { "sha256": digest.trim_start_matches("sha256:") } })
        })
        .collect();
    let mut metadata = json!({ "finishedOn": run.finished });
    if let Some(invocation) = &run.invocation {
        metadata["invocationId"] = json!(invocation);
    }
    json!({
        "buildDefinition": {
            "buildType": format!("{}{BUILD_TYPE}", build.source),
            "externalParameters": {
                "command": format!(
                    "cargo xtask image --image {} --variant {} --platform {}",
                    build.image, build.variant, build.platforms.join(",")
                ),
                "source": build.source,
                "revision": build.revision,
                "base": build.base.as_ref().map(|(reference, digest)| format!("{reference}@{digest}")),
            },
            "internalParameters": { "compilers": compilers, "sourceDateEpoch": build.layer_time },
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": { "id": run.builder, "version": { "xtask": run.builder_version } },
            "metadata": metadata,
            "byproducts": parts,
        },
    })
}

/// A predicate without the fields that name the run: the same for the same image. Others are left as they are.
pub fn without_run(predicate: &Value) -> Value {
    let mut rest = predicate.clone();
    if let Some(details) = rest.get_mut("runDetails").and_then(Value::as_object_mut) {
        details.remove("metadata");
    }
    rest
}

/// What provenance says of an image that the image says too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// The commit, with `-dirty` behind it where files were changed.
    pub revision: String,
    /// The digest of the base, where there is one.
    pub base: Option<String>,
    /// The package URLs of the crates.
    pub crates: BTreeSet<String>,
    /// The digests of the layers, bottom first; of an index those of its images.
    pub parts: Vec<String>,
}

impl Claim {
    /// Reads a predicate; none where it is of another build type, about which others know.
    pub fn read(predicate: &Value) -> Option<Claim> {
        let definition = &predicate["buildDefinition"];
        definition["buildType"].as_str().filter(|of| of.ends_with(BUILD_TYPE))?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let digest = |value: &Value| format!("sha256:{}", text(&value["digest"]["sha256"]));
        let dependencies = list(&definition["resolvedDependencies"]);
        let named = |name: &str| dependencies.iter().find(|d| d["name"] == name);
        let sources = named("sources").map(|d| text(&d["uri"]));
        let crates = dependencies.iter().filter(|d| d["annotations"]["scope"].is_string());
        Some(Claim {
            revision: sources
                .and_then(|uri| uri.rsplit_once('@').map(|(_, revision)| revision.to_string()))
                .unwrap_or_default(),
            base: named("base").map(digest),
            crates: crates.map(|d| text(&d["uri"])).collect(),
            parts: list(&predicate["runDetails"]["byproducts"]).iter().map(digest).collect(),
        })
    }

    /// Checks that the claim is what was found in the image.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first thing that it does not say, or says otherwise.
    pub fn check(&self, found: &Claim) -> Result<()> {
        let invalid = |problem: String| Err(Error::invalid("provenance", problem));
        let base = |claim: &Claim| claim.base.clone().unwrap_or_else(|| "none".into());
        if self.parts != found.parts {
            let first = self.parts.iter().find(|part| !found.parts.contains(part));
            return invalid(match first {
                Some(part) => format!("tells how {part} was made, which the image does not have"),
                None => "does not tell how each part of the image was made, in their order".into(),
            });
        }
        if self.revision != found.revision {
            let (said, is) = (&self.revision, &found.revision);
            return invalid(format!("names the commit `{said}`, the image `{is}`"));
        }
        if self.base != found.base {
            return invalid(format!("names the base {}, the image {}", base(self), base(found)));
        }
        same_parts("provenance", &self.purls(), &found.purls())
    }

    fn purls(&self) -> BTreeSet<&str> {
        self.crates.iter().map(String::as_str).collect()
    }
}

/// The rustc that a program says it was compiled with, in its section `.comment`: `rustc version 1.89.0 (…)`.
///
/// # Errors
/// [`crate::Error::Invalid`] when the program is damaged.
pub fn compiler(program: &[u8]) -> Result<Option<String>> {
    let Some(comment) = elf::section(program, ".comment")? else { return Ok(None) };
    let text = String::from_utf8_lossy(comment);
    Ok(text.split('\0').find_map(|line| line.strip_prefix("rustc version ")).map(|v| format!("rustc {v}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> Build {
        Build {
            source: "https://example.org/x".into(),
            revision: "0123-dirty".into(),
            image: "server".into(),
            variant: "alpine".into(),
            platforms: vec!["linux/amd64".into()],
            base: Some(("docker.io/library/alpine:3".into(), "sha256:ab".into())),
            parts: vec![("sha256:cd".into(), "the server layer".into())],
            ..Build::default()
        }
    }

    #[test]
    fn all_but_the_run_follows_from_the_image() {
        let inventory = Inventory::default();
        let run = |time: &str| Run { finished: time.into(), ..Run::default() };
        let first = predicate(&build(), &inventory, &run("1"));
        let second = predicate(&build(), &inventory, &run("2"));
        assert_eq!(first["buildDefinition"], second["buildDefinition"]);
        assert_ne!(first, second);
        assert_eq!(without_run(&first), without_run(&second));
        assert_eq!(without_run(&json!([1])), json!([1]));
        let dependencies = &first["buildDefinition"]["resolvedDependencies"];
        assert_eq!(dependencies[0]["uri"], "git+https://example.org/x@0123-dirty");
        assert_eq!(dependencies[0]["digest"]["gitCommit"], "0123");
        assert_eq!(dependencies[1]["digest"]["sha256"], "ab");
        assert_eq!(first["runDetails"]["byproducts"][0]["digest"]["sha256"], "cd");
    }

    #[test]
    fn what_it_says_is_held_against_the_image() {
        let component = |name: &str, scope| crate::inventory::Component {
            purl: format!("pkg:cargo/{name}@1"),
            name: name.into(),
            version: "1".into(),
            scope,
            is_program: false,
            licence: None,
            checksum: None,
            download: None,
            depends: Vec::new(),
        };
        let components = vec![
            component("a", Some(Scope::Runtime)),
            component("b", Some(Scope::Build)),
            component("musl", None),
        ];
        let inventory = Inventory { distribution: None, components };
        let said = predicate(&build(), &inventory, &Run::default());
        let truth = Claim {
            revision: "0123-dirty".into(),
            base: Some("sha256:ab".into()),
            crates: ["pkg:cargo/a@1", "pkg:cargo/b@1"].map(String::from).into(),
            parts: vec!["sha256:cd".into()],
        };
        assert_eq!(Claim::read(&said), Some(truth.clone()));
        let check = |change: fn(&mut Claim), expect: &str| {
            let mut found = truth.clone();
            change(&mut found);
            let error = truth.check(&found).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        truth.check(&truth).unwrap();
        check(
            |c| c.parts[0] = "sha256:ce".into(),
            "tells how sha256:cd was made, which the image does not have",
        );
        check(|c| c.parts.push("sha256:ce".into()), "does not tell how each part of the image was made");
        check(|c| c.revision = "0124".into(), "names the commit `0123-dirty`, the image `0124`");
        check(|c| c.base = None, "names the base sha256:ab, the image none");
        check(|c| drop(c.crates.pop_first()), "lists what the image does not have: pkg:cargo/a@1");
        check(|c| c.crates.extend(["c".to_string()]), "provenance: leaves out what the image has: c");
        // From nothing, of no commit.
        let bare = predicate(&Build::default(), &Inventory::default(), &Run::default());
        assert_eq!(Claim::read(&bare), Some(Claim::default()));
        for others in
            [json!({}), json!({ "buildDefinition": { "buildType": "https://mobyproject.org/buildkit@v1" } })]
        {
            assert_eq!(Claim::read(&others), None);
        }
    }

    #[test]
    fn the_compiler_that_a_program_names() {
        let program = elf::with_section(
            &elf::sample(64),
            ".comment",
            b"GCC: (Debian) 12\0rustc version 1.89.0 (29483883e 2025-08-04)\0",
        )
        .unwrap();
        assert_eq!(compiler(&program).unwrap().as_deref(), Some("rustc 1.89.0 (29483883e 2025-08-04)"));
        assert_eq!(compiler(&elf::sample(32)).unwrap(), None);
    }
}
