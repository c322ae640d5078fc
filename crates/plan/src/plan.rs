//! Spec, facts and selection → the plan: which images, for which platforms, from which bases, under which tags.
//!
//! Nothing here looks into a base, so the plan can be shown before anything was fetched or built. What depends on
//! a base's content is decided afterwards, by [`crate::filesystem`] and [`crate::config`], just as purely.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use oci_spec::image::{Digest, Platform};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::spec::{From, ImageSpec, PlatformSpec, Spec, Variant};
use crate::tags;
use crate::toolchain::{self, Candidate};

/// What the user asked for, as typed.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Names of images, or `all`; empty means the catalogue's default image.
    pub images: Vec<String>,
    /// Words by which images belong together; adds every image of that category.
    pub categories: Vec<String>,
    /// Names, or `all`; empty means the image's default variant.
    pub variants: Vec<String>,
    /// Names, or `all`; empty means the host's platform.
    pub platforms: Vec<String>,
    /// `VARIANT=SOURCE`.
    pub bases: Vec<String>,
}

/// The plan.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The Rust targets to build for, in order.
    pub targets: Vec<Target>,
    /// The images to assemble, in order.
    pub images: Vec<PlannedImage>,
}

/// One `cargo build`.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// The platform that it is for.
    #[serde(serialize_with = "as_text")]
    pub platform: Platform,
    /// The Cargo packages, built together.
    pub packages: Vec<String>,
    /// How they are built.
    pub toolchain: Candidate,
}

/// One image: an index over one manifest a platform.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedImage {
    /// Its name in images.toml.
    pub image: String,
    /// Its variant.
    pub variant: Variant,
    /// Its version.
    pub version: String,
    /// Its repository.
    pub repository: String,
    /// Its tags, the exact one first.
    pub tags: Vec<String>,
    /// Its platforms.
    #[serde(serialize_with = "as_texts")]
    pub platforms: Vec<Platform>,
    /// What it is built on.
    pub base: BaseChoice,
    /// How many images lie between it and a base: those of one level do not depend on each other.
    pub level: usize,
    /// Whether it was asked for, or is only needed by another.
    pub wanted: bool,
    /// Whether it is the catalogue's default image.
    pub is_default_image: bool,
}

/// Where a base comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum BaseChoice {
    /// The empty base.
    Scratch,
    /// The reference that images.toml names, at the digest that the lock names.
    Pinned {
        /// As in images.toml.
        reference: String,
        /// As in bases.lock.
        digest: Digest,
    },
    /// The reference that images.toml names, for which the lock has no digest yet: it can be planned, not built.
    Unpinned {
        /// As in images.toml.
        reference: String,
        /// The lock's file.
        lock: String,
    },
    /// What `--base` named: a file, a folder or a reference.
    Given {
        /// As typed.
        source: String,
    },
    /// Another image of the plan, in the same variant.
    Image {
        /// Its name in images.toml.
        image: String,
    },
    /// Whatever its Dockerfile says; a Docker engine builds it.
    Dockerfile {
        /// Its path beside the catalogue's root.
        path: String,
    },
}

impl PlannedImage {
    /// `repository:tag`, with the exact tag.
    pub fn name(&self) -> String {
        format!("{}:{}", self.repository, self.tags[0])
    }

    /// The name of `tag` in a layout: the tag alone for the catalogue's default image, else with the repository, so
    /// that one layout holds all images.
    pub fn layout_name(&self, tag: &str) -> String {
        if self.is_default_image { tag.to_string() } else { format!("{}:{tag}", self.repository) }
    }
}

/// Makes the plan.
///
/// # Errors
/// [`Error::Unknown`] and [`Error::Usage`] for what can't be asked for.
pub fn plan(spec: &Spec, facts: &Facts, selection: &Selection) -> Result<Plan> {
    let overrides = overrides(spec, &selection.bases)?;
    let mut platforms: Vec<(Platform, &PlatformSpec)> = Vec::new();
    for name in
        chosen(&selection.platforms, || vec![oci::platform::display(&facts.host)], spec.platforms.keys())
    {
        let (platform, platform_spec) = spec.platform(&name)?;
        if !platforms.iter().any(|(p, _)| *p == platform) {
            platforms.push((platform, platform_spec));
        }
    }
    let names = image_names(spec, selection)?;
    let wanted = image_variants(spec, &names, &selection.variants)?;
    let mut images = Vec::new();
    for name in &spec.order {
        let image = &spec.images[name];
        for variant in &image.variants {
            let key = (name.clone(), variant.clone());
            let is_wanted = wanted.contains(&key);
            if !is_wanted && !wanted.iter().any(|(above, v)| v == variant && is_below(spec, name, above)) {
                continue;
            }
            images.push(PlannedImage {
                image: name.clone(),
                version: image.version(facts).to_string(),
                repository: image.repository.clone(),
                tags: tags::newest(&spec.tags, image, image.version(facts), variant),
                platforms: platforms.iter().map(|(p, _)| p.clone()).collect(),
                base: base(spec, image, variant, &overrides, facts),
                variant: variant.clone(),
                level: level(spec, image),
                wanted: is_wanted,
                is_default_image: *name == spec.project.default_image,
            });
        }
    }
    // In the order of the command line, as long as each comes after the one that it is made from.
    let rank = |image: &PlannedImage| {
        wanted.iter().position(|(name, variant)| *name == image.image && *variant == image.variant)
    };
    images.sort_by_key(|image| (image.level, rank(image).unwrap_or(0)));
    let targets = targets(spec, &platforms, &images, facts);
    for variant in overrides.keys() {
        if !images.iter().any(|i| i.variant.0 == *variant) {
            return Err(Error::Usage(format!(
                "--base {variant}=…: the variant `{variant}` is not being built; add `--variant {variant}`"
            )));
        }
    }
    Ok(Plan { targets, images })
}

/// The names that were asked for: each may be a list with commas, `all` means every one, none the default.
fn chosen<'a>(
    typed: &[String],
    default: impl FnOnce() -> Vec<String>,
    all: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let names: Vec<String> = typed
        .iter()
        .flat_map(|t| t.split(','))
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(String::from)
        .collect();
    if names.is_empty() {
        default()
    } else if names.iter().any(|n| n == "all") {
        all.cloned().collect()
    } else {
        names
    }
}

/// The images that were asked for by name or category.
fn image_names(spec: &Spec, selection: &Selection) -> Result<Vec<String>> {
    let split = |typed: &[String]| chosen(typed, Vec::new, spec.order.iter());
    let mut names = split(&selection.images);
    for name in &names {
        if !spec.images.contains_key(name) {
            return Err(Error::unknown("image", name, spec.images.keys()));
        }
    }
    for category in split(&selection.categories) {
        let known: BTreeSet<&str> = spec.images.values().filter_map(|i| i.category.as_deref()).collect();
        if !known.contains(category.as_str()) {
            return Err(Error::unknown("category", &category, known));
        }
        let members = spec.order.iter().filter(|n| spec.images[*n].category.as_ref() == Some(&category));
        names.extend(members.cloned());
    }
    if names.is_empty() {
        names.push(spec.project.default_image.clone());
    }
    Ok(names)
}

/// Each image with each of its variants that was asked for. A variant that one image lacks is left out of that one,
/// unless none has it.
fn image_variants(spec: &Spec, names: &[String], typed: &[String]) -> Result<Vec<(String, Variant)>> {
    let mut list: Vec<(String, Variant)> = Vec::new();
    let all: BTreeSet<String> =
        names.iter().flat_map(|n| &spec.images[n].variants).map(|v| v.0.clone()).collect();
    for name in names {
        let image = &spec.images[name];
        let default = || vec![image.default_variant.0.clone()];
        let own: Vec<String> = image.variants.iter().map(|v| v.0.clone()).collect();
        for variant in chosen(typed, default, own.iter()) {
            if !all.contains(&variant) {
                return Err(Error::unknown("variant", &variant, &all));
            }
            let key = (name.clone(), Variant(variant));
            if image.variants.contains(&key.1) && !list.contains(&key) {
                list.push(key);
            }
        }
    }
    Ok(list)
}

/// Whether `above` is made from `name`, over however many others.
fn is_below(spec: &Spec, name: &str, above: &str) -> bool {
    let mut current = above;
    while let From::Image(below) = &spec.images[current].from {
        if below == name {
            return true;
        }
        current = below;
    }
    false
}

fn level(spec: &Spec, image: &ImageSpec) -> usize {
    match &image.from {
        From::Image(below) => level(spec, &spec.images[below]) + 1,
        From::Variants | From::Dockerfile(_) => 0,
    }
}

fn base(
    spec: &Spec,
    image: &ImageSpec,
    variant: &Variant,
    overrides: &BTreeMap<String, String>,
    facts: &Facts,
) -> BaseChoice {
    match (&image.from, overrides.get(&variant.0)) {
        (From::Image(below), _) => BaseChoice::Image { image: below.clone() },
        (From::Dockerfile(path), _) => BaseChoice::Dockerfile { path: path.clone() },
        (From::Variants, Some(source)) => BaseChoice::Given { source: source.clone() },
        (From::Variants, None) => pinned(&spec.variants[&variant.0].base, facts),
    }
}

fn overrides(spec: &Spec, typed: &[String]) -> Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for text in typed {
        let Some((variant, source)) = text.split_once('=').filter(|(_, source)| !source.is_empty()) else {
            return Err(Error::Usage(format!(
                "--base `{text}`: must be VARIANT=SOURCE, such as `alpine=rootfs.tar.gz`"
            )));
        };
        if !spec.variants.contains_key(variant) {
            return Err(Error::unknown("variant", variant, spec.variants.keys()));
        }
        if map.insert(variant.to_string(), source.to_string()).is_some() {
            return Err(Error::Usage(format!("--base {variant}=… is given twice")));
        }
    }
    Ok(map)
}

fn pinned(reference: &str, facts: &Facts) -> BaseChoice {
    if reference == "scratch" {
        return BaseChoice::Scratch;
    }
    match facts.lock.bases.get(reference) {
        Some(locked) => BaseChoice::Pinned { reference: reference.into(), digest: locked.digest.clone() },
        None => BaseChoice::Unpinned { reference: reference.into(), lock: facts.lock.file.clone() },
    }
}

/// One build a platform, of every program that the images hold.
fn targets(
    spec: &Spec,
    platforms: &[(Platform, &PlatformSpec)],
    images: &[PlannedImage],
    facts: &Facts,
) -> Vec<Target> {
    let programs = images.iter().filter_map(|i| spec.images[&i.image].binary.as_ref());
    let packages: BTreeSet<String> = programs.map(|b| b.package.clone()).collect();
    if packages.is_empty() {
        return Vec::new();
    }
    let target = |(platform, platform_spec): &(Platform, &PlatformSpec)| Target {
        platform: platform.clone(),
        packages: packages.iter().cloned().collect(),
        toolchain: toolchain::choose(toolchain::candidates(platform, platform_spec, facts)),
    };
    platforms.iter().map(target).collect()
}

impl Plan {
    /// The plan for people.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for target in &self.targets {
            let platform = oci::platform::display(&target.platform);
            let Candidate { target: triple, rustflags, program, has_program, install, .. } =
                &target.toolchain;
            let missing =
                if *has_program { String::new() } else { format!(", which is missing: `{install}`") };
            let (packages, flags) = (target.packages.join(" "), rustflags.join(" "));
            let _ = writeln!(
                text,
                "build     {packages} for {platform}: {triple} {flags}, C by {program}{missing}"
            );
        }
        for planned in &self.images {
            let platforms: Vec<String> = planned.platforms.iter().map(oci::platform::display).collect();
            let base = match &planned.base {
                BaseChoice::Scratch => "nothing".to_string(),
                BaseChoice::Pinned { reference, digest } => format!("{reference}@{digest}"),
                BaseChoice::Unpinned { reference, .. } => {
                    format!("{reference}, not pinned yet: `cargo xtask base update`")
                }
                BaseChoice::Given { source } => source.clone(),
                BaseChoice::Image { image } => format!("{image} ({})", planned.variant),
                BaseChoice::Dockerfile { path } => path.clone(),
            };
            let _ = writeln!(text, "assemble  {} for {} on {base}", planned.name(), platforms.join(", "));
            let _ = writeln!(text, "tag       {}", planned.tags.join(" "));
        }
        text
    }
}

fn as_text<S: serde::Serializer>(platform: &Platform, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&oci::platform::display(platform))
}

fn as_texts<S: serde::Serializer>(
    platforms: &[Platform],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(platforms.iter().map(oci::platform::display))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{facts, spec};

    fn selection(variants: &str, platforms: &str, bases: &[&str]) -> Selection {
        let words = |text: &str| text.split_whitespace().map(String::from).collect();
        Selection {
            variants: words(variants),
            platforms: words(platforms),
            bases: bases.iter().map(|b| (*b).into()).collect(),
            ..Selection::default()
        }
    }

    #[test]
    fn what_is_selected() {
        let check = |variants: &str, platforms: &str, expect: &str| {
            let plan = plan(&spec(), &facts(), &selection(variants, platforms, &[])).unwrap();
            let summary: Vec<String> = plan
                .images
                .iter()
                .map(|i| {
                    format!(
                        "{}({})",
                        i.tags[0],
                        i.platforms.iter().map(oci::platform::display).collect::<Vec<_>>().join(" ")
                    )
                })
                .collect();
            assert_eq!(summary.join(", "), expect);
        };
        check("", "", "1.2.3-alpine(linux/amd64)");
        check("distroless", "", "1.2.3-distroless(linux/amd64)");
        check("debian,alpine debian", "", "1.2.3-debian(linux/amd64), 1.2.3-alpine(linux/amd64)");
        check(
            "all",
            "linux/arm/v7",
            "1.2.3-alpine(linux/arm/v7), 1.2.3-debian(linux/arm/v7), 1.2.3-distroless(linux/arm/v7)",
        );
        check("alpine", "all", "1.2.3-alpine(linux/amd64 linux/arm/v7 linux/arm64)");
        check("alpine", "linux/arm64/v8,linux/arm64", "1.2.3-alpine(linux/arm64)");
    }

    #[test]
    fn what_is_refused() {
        let check = |variants: &str, platforms: &str, bases: &[&str], expect: &str| {
            let error = plan(&spec(), &facts(), &selection(variants, platforms, bases)).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(expect) && error.is_usage() && !text.contains('\n'), "{text}");
        };
        check(
            "alpin",
            "",
            &[],
            "unknown variant `alpin`, did you mean `alpine`?; allowed: alpine, debian, distroless",
        );
        check("windows", "", &[], "unknown variant `windows`; allowed: ");
        check("", "linux/arm64v8", &[], "did you mean `linux/arm64`?");
        check("", "", &["alpine"], "must be VARIANT=SOURCE");
        check("", "", &["alpine="], "must be VARIANT=SOURCE");
        check("", "", &["alpin=x"], "did you mean `alpine`?");
        check("", "", &["alpine=x", "alpine=y"], "is given twice");
        check("alpine", "", &["debian=x"], "the variant `debian` is not being built; add `--variant debian`");
    }

    #[test]
    fn bases() {
        let base = |variant: &str, bases: &[&str]| {
            plan(&spec(), &facts(), &selection(variant, "", bases)).unwrap().images.remove(0).base
        };
        assert_eq!(base("distroless", &[]), BaseChoice::Scratch);
        assert_eq!(base("alpine", &["alpine=a=b.tar"]), BaseChoice::Given { source: "a=b.tar".into() });
        assert!(
            matches!(base("alpine", &[]), BaseChoice::Pinned { reference, .. } if reference.contains("alpine:"))
        );
        // Without a digest it can be planned, so that a new catalogue can be tried; building it asks for one.
        let unlocked = Facts { lock: Default::default(), ..facts() };
        let planned = plan(&spec(), &unlocked, &selection("alpine", "", &[])).unwrap();
        assert!(
            matches!(&planned.images[0].base, BaseChoice::Unpinned { reference, .. } if reference.contains("alpine:"))
        );
        assert!(
            planned.render().contains("not pinned yet: `cargo xtask base update`"),
            "{}",
            planned.render()
        );
    }

    #[test]
    fn a_missing_toolchain_stops_no_plan() {
        let two = selection("distroless", "linux/amd64,linux/arm64", &[]);
        let plan = plan(&spec(), &facts(), &two).unwrap();
        let programs: Vec<&str> = plan.targets.iter().map(|t| t.toolchain.program.as_str()).collect();
        assert_eq!(programs, ["cc", "aarch64-linux-gnu-gcc"]);
        let text = plan.render();
        assert!(text.contains("build     scratchbird for linux/arm64: aarch64-unknown-linux-gnu"), "{text}");
        assert!(!text.contains("which is missing"), "{text}");
        let bare = Facts { programs: Default::default(), ..facts() };
        let missing = super::plan(&spec(), &bare, &selection("distroless", "all", &[])).unwrap().render();
        assert!(missing.contains("cc, which is missing: `apt-get install gcc libc6-dev`"), "{missing}");
        assert!(missing.contains("missing: `apt-get install gcc-arm-linux-gnueabihf"), "{missing}");
        assert!(
            text.contains("assemble  scratchbird:1.2.3-distroless for linux/amd64, linux/arm64 on nothing"),
            "{text}"
        );
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["images"][0]["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    }
}
