//! `docker/images.toml`, the one source of truth, as types. An unknown key is an error, and so is a name that
//! nothing defines.

pub mod ci;
mod image;
pub mod publish;
pub mod stack;

use std::collections::BTreeMap;
use std::fmt;

use oci_spec::image::Platform;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Result, suggest};
use crate::secrets::secret_word;
use crate::tags::TagSpec;

pub use ci::CiSpec;
use image::RawImage;
pub use image::{From, ImageSpec};
pub use publish::PublishSpec;
use stack::{KubernetesSpec, StackSpec};

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

fn duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<std::time::Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|e| serde::de::Error::custom(format!("`{text}` is no duration such as `10s`: {e}")))
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    settings::parse_size(&text, 1)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no size such as `20MB`")))
}

fn octal<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{text}` is no mode; allowed are octal digits up to \"7777\", such as \"0755\""
        ))
    })
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

    /// What no type says: names refer to something, paths are absolute.
    fn check(&self) -> std::result::Result<(), String> {
        for name in self.platforms.keys() {
            let canonical = oci::platform::parse(name).map(|p| oci::platform::display(&p));
            if canonical.as_deref().ok() != Some(name) {
                return Err(format!(
                    "platforms.\"{name}\": must be written os/architecture[/variant], such as `linux/arm/v7`"
                ));
            }
        }
        let has_programs = self.images.values().any(|image| image.binary.is_some());
        for (name, platform) in &self.platforms {
            if platform.toolchains.is_empty() && has_programs {
                return Err(format!(
                    "platforms.\"{name}\": needs at least one toolchain, since images have a `binary`"
                ));
            }
            for toolchain in &platform.toolchains {
                if toolchain.cc.is_some() == toolchain.zig {
                    return Err(format!(
                        "platforms.\"{name}\": the toolchain {} needs either `cc` or `zig = true`",
                        toolchain.target
                    ));
                }
            }
        }
        for (name, variant) in &self.variants {
            // A suffix of tags: `1.0.0-alpine` must never read as a pre-release.
            if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                || !name.starts_with(|c: char| c.is_ascii_lowercase())
            {
                return Err(format!(
                    "variants.{name}: must be lower-case letters and digits, a letter first"
                ));
            }
            let host = variant.base.split('/').next().unwrap_or_default();
            if variant.base != "scratch"
                && !(variant.base.contains('/') && (host.contains(['.', ':']) || host == "localhost"))
            {
                return Err(format!(
                    "variants.{name}.base: `{}` must be fully qualified, such as `docker.io/library/alpine:3.24`, or `scratch`",
                    variant.base
                ));
            }
        }
        if !self.images.contains_key(&self.project.default_image) {
            return Err(format!(
                "project.default-image: no image `{}` is defined",
                self.project.default_image
            ));
        }
        if let Some(ci) = &self.ci {
            if self.source_build.is_none() {
                return Err("ci: needs `source-build`, which says the compiler; the same everywhere gives the same digests".into());
            }
            ci.check(self.platforms.keys())?;
        }
        // What is wrong below is told of the image below.
        let images = self.order.iter().map(|name| (name.as_str(), &self.images[name]));
        self.publish.check(&self.images)?;
        stack::check(self)?;
        self.tags.check(images, &self.images[&self.project.default_image])?;
        self.images.iter().try_for_each(|(name, image)| self.check_image(name, image))?;
        if let Some(builder) = &self.source_build
            && !self.variants.contains_key(&builder.variant.0)
        {
            return Err(format!("source-build.variant: no variant `{}` is defined", builder.variant));
        }
        Ok(())
    }

    fn check_image(&self, name: &str, image: &ImageSpec) -> std::result::Result<(), String> {
        let here = format!("images.{name}");
        for variant in &image.variants {
            if !self.variants.contains_key(&variant.0) {
                let names: Vec<&String> = self.variants.keys().collect();
                let hint = suggest(&variant.0, &names).map(|n| format!(", did you mean `{n}`?"));
                return Err(format!(
                    "{here}.variants: no variant `{variant}` is defined{}",
                    hint.unwrap_or_default()
                ));
            }
            if let From::Image(below) = &image.from
                && !self.images[below].variants.contains(variant)
            {
                return Err(format!("{here}.variants: `{below}` has no variant `{variant}`"));
            }
        }
        if !image.working_dir.is_empty() {
            absolute(&format!("{here}.working-dir"), &image.working_dir)?;
        }
        let user = image.user.as_ref().map(|u| u.name.as_str());
        let owned = |what: &str, path: &str, owner: &str| -> std::result::Result<(), String> {
            absolute(&format!("{here}.{what}"), path)?;
            if owner == "root" || Some(owner.strip_suffix(":root").unwrap_or(owner)) == user {
                return Ok(());
            }
            let allowed = user.map(|u| format!(", {u}, {u}:root")).unwrap_or_default();
            Err(format!("{here}.{what}: `{path}` has the owner `{owner}`; allowed: root{allowed}"))
        };
        if let From::Image(below) = &image.from
            && let From::Dockerfile(path) = &self.images[below].from
        {
            return Err(format!(
                "{here}.from: `{below}` is built by an engine from {path}; write a Dockerfile for `{name}` too, or give both `from = \"variants\"`"
            ));
        }
        for directory in &image.directories {
            owned("directories", &directory.path, &directory.owner)?;
        }
        if let Some((variable, word)) = image
            .env
            .iter()
            .find_map(|(name, value)| Some((name, secret_word(name).filter(|_| !value.is_empty())?)))
        {
            return Err(format!(
                "{here}.env: `{variable}` looks like a secret ({word}), and everybody can read an image's environment; give it to the container, or name a file by `{variable}_FILE`"
            ));
        }
        for file in &image.files {
            owned("files", &file.path, &file.owner)?;
            if file.mode & 0o6000 != 0 {
                return Err(format!(
                    "{here}.files: `{}` has the mode {:04o}; setuid and setgid files are not allowed",
                    file.path, file.mode
                ));
            }
            if file.source.is_some() == file.contents.is_some() {
                return Err(format!("{here}.files: `{}` needs either `source` or `contents`", file.path));
            }
        }
        for variant in image.budgets.keys() {
            if !image.variants.iter().any(|v| v.0 == *variant) {
                return Err(format!("{here}.budgets: it has no variant `{variant}`"));
            }
        }
        if let Some(binary) = &image.binary {
            absolute(&format!("{here}.binary"), &binary.path)?;
            if let Some(link) = binary.links.iter().find(|l| l.contains('/') || l.is_empty()) {
                return Err(format!("{here}.binary.links: `{link}` must be a plain file name"));
            }
        }
        Ok(())
    }
}

fn absolute(what: &str, path: &str) -> std::result::Result<(), String> {
    if path.starts_with('/') && !path.ends_with('/') {
        return Ok(());
    }
    Err(format!("{what}: path `{path}` must be absolute, without a `/` at its end"))
}

/// Parses TOML; what is wrong comes with line and column, in one line.
pub(crate) fn parse_toml<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        let at = e.span().map(|span| {
            let before = text.get(..span.start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |i| i + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        });
        Error::Document { file: file.into(), at, problem: one_line(e.message()) }
    })
}

/// serde's `unknown field` with the nearest of the expected ones in front.
fn one_line(message: &str) -> String {
    let message = message.lines().map(str::trim).collect::<Vec<_>>().join(", ");
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.starts_with("unknown field"), quoted.split_first()) {
        (true, Some((wrong, known))) => match suggest(wrong, known) {
            Some(near) => {
                message.replacen(&format!("`{wrong}`"), &format!("`{wrong}`, did you mean `{near}`?"), 1)
            }
            None => message,
        },
        _ => message,
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
    fn mistakes_are_told_in_one_line_with_place_and_way_out() {
        let check = |from: &str, to: &str, expect: &str| {
            assert!(REAL.contains(from), "{from}");
            let error = Spec::parse("docker/images.toml", &REAL.replacen(from, to, 1)).unwrap_err();
            let text = error.to_string();
            let line = REAL[..REAL.find(from).unwrap()].matches('\n').count() + 1;
            let expect = expect.replace("LINE", &line.to_string());
            assert!(text.contains(&expect) && text.starts_with("docker/images.toml"), "{text}");
            assert!(!text.contains('\n') && !error.is_usage(), "{text}");
        };
        check(
            "repository = ",
            "repositry = ",
            ":LINE:1: unknown field `repositry`, did you mean `repository`?",
        );
        check("[platforms.", "[platfroms.", "unknown field `platfroms`, did you mean `platforms`?");
        check("retries = 3", "retries = \"3\"", "expected u32");
        check("uid = 1000\n", "", "missing field `uid`");
        check("uid = 1000\n", "uid = -1\n", "invalid value");
        check("uid = 1000\n", "uid = \n", ":LINE:7: ");
        check("interval = \"10s\"", "interval = \"10\"", "`10` is no duration such as `10s`");
        check("mode = \"0755\"", "mode = \"0789\"", "`0789` is no mode");
        check("mode = \"0755\"", "mode = \"77777\"", "`77777` is no mode");
        check(
            "owner = \"scratchbird\"",
            "owner = \"bob\"",
            "has the owner `bob`; allowed: root, scratchbird, scratchbird:root",
        );
        check("env = { ", "env = { DB_TOKEN = \"x\", ", "`DB_TOKEN` looks like a secret (TOKEN)");
        check("compressed = \"", "compressed = \"x", "is no size such as `20MB`");
        check("path = \"/backup\"", "path = \"backup\"", "path `backup` must be absolute");
        check("path = \"/backup\"", "path = \"/backup/\"", "path `/backup/` must be absolute");
        check(
            "\"debian\", \"dist",
            "\"debain\", \"dist",
            "no variant `debain` is defined, did you mean `debian`?",
        );
        check("default-variant = \"alpine\"", "default-variant = \"x\"", "`x` is not among its variants");
        check(
            "base = \"docker.io/library/alpine:3.24\"",
            "base = \"alpine:3.24\"",
            "must be fully qualified",
        );
        check("[variants.alpine]", "[variants.rc-1]", "variants.rc-1: must be lower-case");
        check("cc = \"x86_64-linux-gnu-gcc\"\n", "", "needs either `cc` or `zig = true`");
        check("\"linux/arm/v7\"", "\"linux/arm/v7/x\"", "must be written os/architecture");
        check("\"linux/arm64\"", "\"linux/arm64/v8\"", "must be written os/architecture");
        check("\"initdb\"", "\"bin/initdb\"", "must be a plain file name");
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
