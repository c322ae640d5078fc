//! `docker/images.toml`, the one source of truth, as types. An unknown key is an error, and so is a name that
//! nothing defines.

mod check;
pub mod ci;
mod image;
pub mod publish;
pub mod stack;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use oci_spec::image::Platform;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::tags::TagSpec;

pub use ci::CiSpec;
use image::RawImage;
pub use image::{From, ImageSpec};
pub use publish::PublishSpec;
use stack::{KubernetesSpec, StackSpec};
pub(crate) use text::parse_toml;
use text::{duration, octal, size};

/// The whole catalogue.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What all images say of their origin.
    pub project: Project,
    /// What can be built for, by name (`linux/arm/v7`).
    pub platforms: BTreeMap<String, PlatformSpec>,
    /// How registries are reached, by host; one that is not here is reached as usual.
    pub registries: BTreeMap<String, RegistrySpec>,
    /// What compiles programs in a Dockerfile; without it none is generated that does.
    pub source_build: Option<SourceBuild>,
    /// The bases to build on, by name.
    pub variants: BTreeMap<String, VariantSpec>,
    /// The images, by name, each with what it inherits.
    pub images: BTreeMap<String, ImageSpec>,
    /// The names of the images, each after the one that it is made from.
    pub order: Vec<String>,
    /// How images are called.
    pub tags: TagSpec,
    /// How they are published.
    pub publish: PublishSpec,
    /// The pipelines that build them elsewhere.
    pub ci: Option<CiSpec>,
    /// What Docker's Official Images want to know.
    pub stackbrew: Option<StackbrewSpec>,
    /// Services that run together, by name, each with what it takes from others.
    pub stacks: BTreeMap<String, StackSpec>,
    /// What of them becomes manifests for Kubernetes.
    pub kubernetes: Option<KubernetesSpec>,
    /// What the images and stacks run on and with.
    pub compatibility: Vec<Claim>,
}

/// A thing that ours works with, and how that is known.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Claim {
    /// A heading: engines, orchestrators, clients.
    pub group: String,
    /// What it is.
    pub name: String,
    /// Its versions, as far as they are known to work.
    pub versions: String,
    /// The step of the gate that tries it; none where nothing does.
    pub by: Option<String>,
    /// What to know.
    #[serde(default)]
    pub note: String,
}

/// The catalogue as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawSpec {
    project: Project,
    platforms: BTreeMap<String, PlatformSpec>,
    #[serde(default)]
    registries: BTreeMap<String, RegistrySpec>,
    source_build: Option<SourceBuild>,
    variants: BTreeMap<String, VariantSpec>,
    images: BTreeMap<String, RawImage>,
    tags: TagSpec,
    #[serde(default)]
    publish: PublishSpec,
    ci: Option<CiSpec>,
    stackbrew: Option<StackbrewSpec>,
    #[serde(default)]
    stacks: BTreeMap<String, StackSpec>,
    kubernetes: Option<KubernetesSpec>,
    #[serde(default)]
    compatibility: Vec<Claim>,
}

/// The labels that all images share (image-spec "annotations", pre-defined keys).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Project {
    /// `org.opencontainers.image.title`.
    pub title: String,
    /// `org.opencontainers.image.description`.
    pub description: String,
    /// `org.opencontainers.image.vendor`.
    pub vendor: String,
    /// `org.opencontainers.image.url`.
    pub url: String,
    /// `org.opencontainers.image.source`.
    pub source: String,
    /// `org.opencontainers.image.documentation`.
    pub documentation: String,
    /// `org.opencontainers.image.licenses`, an SPDX expression.
    pub licenses: String,
    /// The image that is built when none is named.
    pub default_image: String,
    /// The version of its images, for a catalogue that is not of a Cargo workspace, whose packages have one.
    pub version: Option<semver::Version>,
}

/// How one platform is built for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PlatformSpec {
    /// The ways to build programs for it, the best first.
    #[serde(default)]
    pub toolchains: Vec<Toolchain>,
}

/// A Rust target with what compiles C and links for it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Toolchain {
    /// The Rust target.
    pub target: String,
    /// Flags for rustc, for this target alone.
    #[serde(default)]
    pub rustflags: Vec<String>,
    /// The C compiler, which links too; on a machine of that platform its own `cc` does it.
    pub cc: Option<String>,
    /// Whether cargo-zigbuild compiles and links instead of a `cc`.
    #[serde(default)]
    pub zig: bool,
    /// The command that installs the program.
    pub install: String,
}

/// The head of the library file of Docker's Official Images.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StackbrewSpec {
    /// `Name <address> (@github)`, each.
    pub maintainers: Vec<String>,
    /// Where the Dockerfiles are fetched from.
    pub git_repo: String,
}

/// The stage of a Dockerfile that compiles.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SourceBuild {
    /// The variant on whose base it runs: a Debian.
    pub variant: Variant,
    /// Its packages for that.
    pub packages: Vec<String>,
    /// The Rust release.
    pub rust: String,
    /// Flags for rustc.
    #[serde(default)]
    pub rustflags: Vec<String>,
}

/// A base.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VariantSpec {
    /// A fully qualified reference with a tag, or `scratch`.
    pub base: String,
}

/// The user of an image, with a group of the same name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct User {
    /// Name of user and group.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Home folder.
    pub home: String,
}

/// A static multi-call binary of the workspace.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Binary {
    /// The Cargo package, whose only binary has its name.
    pub package: String,
    /// Where it lies in the image, absolute.
    pub path: String,
    /// Names beside it that link to it.
    #[serde(default)]
    pub links: Vec<String>,
}

/// Docker's `HEALTHCHECK` in its exec form.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HealthcheckSpec {
    /// Program and arguments.
    pub test: Vec<String>,
    /// Such as `10s`.
    #[serde(deserialize_with = "duration")]
    pub interval: std::time::Duration,
    /// Such as `5s`.
    #[serde(deserialize_with = "duration")]
    pub timeout: std::time::Duration,
    /// Such as `30s`.
    #[serde(deserialize_with = "duration")]
    pub start_period: std::time::Duration,
    /// Failures in a row that make the container unhealthy.
    pub retries: u32,
}

/// A folder of an image.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Directory {
    /// Absolute.
    pub path: String,
    /// Permission bits as an octal string.
    #[serde(deserialize_with = "octal")]
    pub mode: u32,
    /// `root` or the image's user, whose group it is too; `:root` after the user gives it to root's group.
    pub owner: String,
}

/// How large an image of one variant may be, on any platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Budget {
    /// Bytes of all layers as they are stored and sent, such as `10MB` (1024 kB).
    #[serde(deserialize_with = "size")]
    pub compressed: u64,
    /// Bytes of all layers unpacked, as tars.
    #[serde(deserialize_with = "size")]
    pub unpacked: u64,
}

/// How a registry is reached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RegistrySpec {
    /// Hosts that pulls try before it, in order: `host[:port][/prefix]`.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// Whether it is spoken to in plain HTTP.
    #[serde(default)]
    pub insecure: bool,
}

/// A file of an image.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileSpec {
    /// Where it lies in the image, absolute.
    pub path: String,
    /// A file below the catalogue's root that it is a copy of. `{arch}` in it stands for the platform; see
    /// [`FileSpec::source_for`].
    pub source: Option<String>,
    /// Its text, where it is not a copy.
    pub contents: Option<String>,
    /// Permission bits as an octal string.
    #[serde(deserialize_with = "octal")]
    pub mode: u32,
    /// `root` or the image's user, whose group it is too; `:root` after the user gives it to root's group.
    pub owner: String,
}

impl FileSpec {
    /// What it is a copy of on `platform`.
    pub fn source_for(&self, platform: &Platform) -> Option<String> {
        self.source.as_ref().map(|source| source.replace("{arch}", &target_arch(platform)))
    }
}

/// A platform in one word, as a Dockerfile's TARGETARCH and TARGETVARIANT say it together: `amd64`, `arm64`, `armv7`.
pub fn target_arch(platform: &Platform) -> String {
    let name = oci::platform::display(platform);
    name.split('/').skip(1).collect()
}

/// The name of a variant: docker-library's word for the same image on another base.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
pub struct Variant(pub String);

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Spec {
    /// Parses and checks the text of `file`.
    ///
    /// # Errors
    /// [`Error::Document`] with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Spec> {
        let raw: RawSpec = parse_toml(file, text)?;
        let problem = |problem| Error::Document { file: file.into(), at: None, problem };
        let order = image::order(&raw.images).map_err(problem)?;
        let mut spec = Spec {
            project: raw.project,
            platforms: raw.platforms,
            registries: raw.registries,
            source_build: raw.source_build,
            variants: raw.variants,
            images: BTreeMap::new(),
            order,
            tags: raw.tags,
            publish: raw.publish,
            ci: raw.ci,
            stackbrew: raw.stackbrew,
            stacks: stack::resolve(&raw.stacks).map_err(problem)?,
            kubernetes: raw.kubernetes,
            compatibility: raw.compatibility,
        };
        let mut images = raw.images;
        for name in &spec.order {
            let Some(raw) = images.remove(name) else { continue };
            let below = raw.below().and_then(|below| spec.images.get(below));
            let image = ImageSpec::resolve(name, raw.clone(), below).map_err(problem)?;
            spec.images.insert(name.clone(), image);
        }
        spec.check().map_err(problem)?;
        Ok(spec)
    }

    /// The platform of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the names there are.
    pub fn platform(&self, name: &str) -> Result<(Platform, &PlatformSpec)> {
        let unknown = || Error::unknown("platform", name, self.platforms.keys());
        let platform = oci::platform::parse(name).map_err(|_| unknown())?;
        let canonical = oci::platform::display(&platform);
        let spec = self.platforms.get(&canonical).ok_or_else(unknown)?;
        Ok((platform, spec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = include_str!("../../../docker/images.toml");

    #[test]
    fn the_projects_own_catalogue() {
        let spec = Spec::parse("docker/images.toml", REAL).unwrap();
        assert_eq!(spec.platforms.keys().collect::<Vec<_>>(), ["linux/amd64", "linux/arm/v7", "linux/arm64"]);
        assert_eq!(spec.images["server"].default_variant.0, "alpine");
    }

    #[test]
    fn sources_by_platform() {
        let check = |source: &str, platform: &str, expect: &str| {
            let source = Some(source.to_string());
            let file =
                FileSpec { path: "/x".into(), source, contents: None, mode: 0o644, owner: "root".into() };
            assert_eq!(file.source_for(&oci::platform::parse(platform).unwrap()).unwrap(), expect);
        };
        check("lib/{arch}/x.so", "linux/amd64", "lib/amd64/x.so");
        check("lib/{arch}/x.so", "linux/arm64/v8", "lib/arm64/x.so");
        check("{arch}/{arch}", "linux/arm/v7", "armv7/armv7");
        check("plain", "linux/arm/v7", "plain");
    }

    #[test]
    fn platforms_by_name() {
        let spec = Spec::parse("docker/images.toml", REAL).unwrap();
        let check = |name: &str, expect: std::result::Result<&str, &str>| match (spec.platform(name), expect)
        {
            (Ok((_, platform)), Ok(target)) => assert_eq!(platform.toolchains[0].target, target),
            (Err(e), Err(text)) => assert!(e.is_usage() && e.to_string().contains(text), "{e}"),
            (got, expect) => panic!("{name}: {got:?}, not {expect:?}"),
        };
        check("linux/amd64", Ok("x86_64-unknown-linux-gnu"));
        check("linux/arm64/v8", Ok("aarch64-unknown-linux-gnu"));
        check(
            "linux/amd46",
            Err("unknown platform `linux/amd46`, did you mean `linux/amd64`?; allowed: linux/amd64"),
        );
        check("windows/amd64", Err("allowed: linux/amd64, linux/arm/v7, linux/arm64"));
        check("amd64", Err("allowed: linux/amd64"));
    }
}
