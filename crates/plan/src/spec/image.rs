//! The images of the catalogue: as written, and with what they inherit.
//!
//! An image is built on each of its variants' bases, on another image (`from = "image:NAME"`), or by a Dockerfile.
//! What an image does not say it takes from the image below, as a Dockerfile's `FROM` does; folders, files, users
//! and programs lie in the layers below already and are not repeated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};

use super::{Binary, Budget, Directory, FileSpec, HealthcheckSpec, User, Variant};

/// What an image is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// The base of each of its variants.
    Variants,
    /// Another image of the catalogue, variant by variant.
    Image(String),
    /// A Dockerfile, by its path beside the catalogue's root; a Docker engine builds it.
    Dockerfile(String),
}

/// An image as images.toml has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RawImage {
    repository: String,
    version: Option<semver::Version>,
    category: Option<String>,
    #[serde(default = "from_variants", deserialize_with = "from")]
    from: From,
    #[serde(default)]
    variants: Vec<Variant>,
    default_variant: Option<Variant>,
    #[serde(default)]
    compat: Vec<String>,
    default_compat: Option<String>,
    user: Option<User>,
    binary: Option<Binary>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    working_dir: Option<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    stop_signal: Option<String>,
    healthcheck: Option<HealthcheckSpec>,
    #[serde(default)]
    no_healthcheck: bool,
    #[serde(default)]
    directories: Vec<Directory>,
    #[serde(default)]
    files: Vec<FileSpec>,
    #[serde(default)]
    budgets: BTreeMap<String, Budget>,
}

/// An image with what it inherits.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    /// The repository's name, which tags are appended to.
    pub repository: String,
    /// Its version, where it is not the project's.
    pub version: Option<semver::Version>,
    /// A word by which images are built together.
    pub category: Option<String>,
    /// What it is made from.
    pub from: From,
    /// The variants that exist of it.
    pub variants: Vec<Variant>,
    /// The one that owns the tags without a suffix.
    pub default_variant: Variant,
    /// Another program's versions that it is built for (`pg18`): an axis of the tags beside the variants.
    pub compat: Vec<String>,
    /// The one of these that owns `latest`.
    pub default_compat: Option<String>,
    /// The user that it runs as; root where there is none.
    pub user: Option<User>,
    /// Whether that user is this image's own and not one of an image below.
    pub adds_user: bool,
    /// The program that this image adds.
    pub binary: Option<Binary>,
    /// OCI `Entrypoint`.
    pub entrypoint: Vec<String>,
    /// OCI `Cmd`.
    pub cmd: Vec<String>,
    /// OCI `Env`, beside the base's.
    pub env: BTreeMap<String, String>,
    /// Labels beside the standard ones.
    pub labels: BTreeMap<String, String>,
    /// OCI `WorkingDir`; `/` where empty.
    pub working_dir: String,
    /// OCI `ExposedPorts`, sorted.
    pub ports: Vec<String>,
    /// OCI `Volumes`, sorted.
    pub volumes: Vec<String>,
    /// OCI `StopSignal`; SIGTERM where empty.
    pub stop_signal: String,
    /// Docker's `HEALTHCHECK`.
    pub healthcheck: Option<HealthcheckSpec>,
    /// Folders that this image adds.
    pub directories: Vec<Directory>,
    /// Files that this image adds.
    pub files: Vec<FileSpec>,
    /// How large it may be, by variant; without one, any size.
    pub budgets: BTreeMap<String, Budget>,
}

impl ImageSpec {
    /// Its version: its own, else the project's.
    pub fn version<'a>(&'a self, facts: &'a crate::Facts) -> &'a semver::Version {
        self.version.as_ref().unwrap_or(&facts.version)
    }
}

impl RawImage {
    /// The image that this one is made from.
    pub(super) fn below(&self) -> Option<&str> {
        match &self.from {
            From::Image(name) => Some(name),
            From::Variants | From::Dockerfile(_) => None,
        }
    }
}

fn from_variants() -> From {
    From::Variants
}

fn from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<From, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.split_once(':') {
        None if text == "variants" => Ok(From::Variants),
        Some(("image", name)) if !name.is_empty() => Ok(From::Image(name.into())),
        Some(("dockerfile", path)) if !path.is_empty() => Ok(From::Dockerfile(path.into())),
        _ => Err(serde::de::Error::custom(format!(
            "`{text}` is no origin; allowed are `variants`, `image:NAME` and `dockerfile:PATH`"
        ))),
    }
}

/// The names of images, each after those that it is made from.
///
/// # Errors
/// A name that nothing defines, or the circle, in one line.
pub(super) fn order(images: &BTreeMap<String, RawImage>) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut finished = BTreeSet::new();
    for name in images.keys() {
        let mut path = vec![name.as_str()];
        while let From::Image(below) = &images[path[path.len() - 1]].from {
            if !images.contains_key(below) {
                let names: Vec<&String> = images.keys().collect();
                let hint = crate::error::suggest(below, &names).map(|n| format!(", did you mean `{n}`?"));
                return Err(format!(
                    "images.{}.from: no image `{below}` is defined{}",
                    path[path.len() - 1],
                    hint.unwrap_or_default()
                ));
            }
            if let Some(start) = path.iter().position(|p| p == below) {
                return Err(format!("images go in a circle: {} -> {below}", path[start..].join(" -> ")));
            }
            path.push(below);
        }
        for name in path.into_iter().rev() {
            if finished.insert(name.to_string()) {
                done.push(name.to_string());
            }
        }
    }
    Ok(done)
}

impl ImageSpec {
    /// The image with what it takes from `below`, the image that it is made from.
    pub(super) fn resolve(name: &str, raw: RawImage, below: Option<&ImageSpec>) -> Result<ImageSpec, String> {
        let variants = match (raw.variants.is_empty(), below) {
            (false, _) => raw.variants,
            (true, Some(below)) => below.variants.clone(),
            (true, None) => return Err(format!("images.{name}: missing field `variants`")),
        };
        let default_variant = raw
            .default_variant
            .or_else(|| below.map(|b| b.default_variant.clone()).filter(|v| variants.contains(v)))
            .or_else(|| (variants.len() == 1).then(|| variants[0].clone()))
            .ok_or_else(|| format!("images.{name}: missing field `default-variant`"))?;
        if !variants.contains(&default_variant) {
            return Err(format!(
                "images.{name}.default-variant: `{default_variant}` is not among its variants"
            ));
        }
        // A new entrypoint makes the old command meaningless; Docker drops it too.
        let inherited_cmd = below.filter(|_| raw.entrypoint.is_none()).map(|b| b.cmd.clone());
        let extend = |own: BTreeMap<String, String>, inherited: Option<&BTreeMap<String, String>>| {
            inherited.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).chain(own).collect()
        };
        let union = |own: Vec<String>, inherited: Option<&Vec<String>>| {
            let all: BTreeSet<String> = inherited.into_iter().flatten().cloned().chain(own).collect();
            all.into_iter().collect()
        };
        Ok(ImageSpec {
            repository: raw.repository,
            version: raw.version,
            category: raw.category,
            from: raw.from,
            variants,
            default_variant,
            default_compat: raw.default_compat.or_else(|| below?.default_compat.clone()),
            compat: if raw.compat.is_empty() {
                below.map(|b| b.compat.clone()).unwrap_or_default()
            } else {
                raw.compat
            },
            adds_user: raw.user.is_some(),
            user: raw.user.or_else(|| below?.user.clone()),
            binary: raw.binary,
            cmd: raw.cmd.or(inherited_cmd).unwrap_or_default(),
            entrypoint: raw.entrypoint.or_else(|| Some(below?.entrypoint.clone())).unwrap_or_default(),
            env: extend(raw.env, below.map(|b| &b.env)),
            labels: extend(raw.labels, below.map(|b| &b.labels)),
            working_dir: raw.working_dir.or_else(|| Some(below?.working_dir.clone())).unwrap_or_default(),
            ports: union(raw.ports, below.map(|b| &b.ports)),
            volumes: union(raw.volumes, below.map(|b| &b.volumes)),
            stop_signal: raw.stop_signal.or_else(|| Some(below?.stop_signal.clone())).unwrap_or_default(),
            healthcheck: raw
                .healthcheck
                .or_else(|| below?.healthcheck.clone())
                .filter(|_| !raw.no_healthcheck),
            directories: raw.directories,
            files: raw.files,
            budgets: raw.budgets,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{From, Spec};

    fn catalogue(images: &str) -> Result<Spec, String> {
        let head = include_str!("../../../../docker/images.toml");
        let head = head[..head.find("[images.").unwrap()]
            .replace("default-image = \"server\"", "default-image = \"base\"");
        Spec::parse("images.toml", &format!("{head}\n{images}")).map_err(|e| e.to_string())
    }

    const BASE: &str = r#"
        [images.base]
        repository = "acme/base"
        variants = ["alpine", "debian"]
        default-variant = "debian"
        user = { name = "acme", uid = 1000, gid = 1000, home = "/home/acme" }
        entrypoint = ["/bin/run"]
        cmd = ["--all"]
        env = { A = "1", B = "2" }
        ports = ["80/tcp"]
        stop-signal = "SIGINT"
    "#;

    #[test]
    fn what_is_not_said_is_taken_from_below() {
        let spec = catalogue(&format!(
            "{BASE}\n[images.service]\nrepository = \"acme/service\"\nfrom = \"image:base\"\nenv = {{ B = \"3\" }}\nports = [\"81/tcp\"]\n\
             [images.tool]\nrepository = \"acme/tool\"\nfrom = \"image:service\"\nvariants = [\"alpine\"]\nentrypoint = [\"/bin/tool\"]\n"
        ))
        .unwrap();
        let service = &spec.images["service"];
        assert_eq!(service.from, From::Image("base".into()));
        assert_eq!(
            (&service.entrypoint[..], &service.cmd[..]),
            (&["/bin/run".to_string()][..], &["--all".to_string()][..])
        );
        assert_eq!(service.env.iter().map(|(k, v)| format!("{k}{v}")).collect::<Vec<_>>(), ["A1", "B3"]);
        assert_eq!(service.ports, ["80/tcp", "81/tcp"]);
        assert_eq!((service.default_variant.0.as_str(), service.variants.len()), ("debian", 2));
        assert!(!service.adds_user && service.user.as_ref().unwrap().uid == 1000);
        let tool = &spec.images["tool"];
        assert_eq!(
            (tool.cmd.len(), tool.stop_signal.as_str()),
            (0, "SIGINT"),
            "a new entrypoint drops the command"
        );
        assert_eq!(tool.default_variant.0, "alpine");
        assert_eq!(spec.order, ["base", "service", "tool"]);
    }

    #[test]
    fn what_can_be_dropped_or_differ() {
        let spec = catalogue(&format!(
            "{BASE}\nhealthcheck = {{ test = [\"/c\"], interval = \"1s\", timeout = \"1s\", start-period = \"1s\", retries = 1 }}\n\
             [images.job]\nrepository = \"acme/job\"\nfrom = \"image:base\"\nno-healthcheck = true\nversion = \"9.1.0\"\n"
        ))
        .unwrap();
        assert!(spec.images["base"].healthcheck.is_some() && spec.images["job"].healthcheck.is_none());
        let facts = crate::testing::facts();
        let version = |name: &str| spec.images[name].version(&facts).to_string();
        assert_eq!((version("base").as_str(), version("job").as_str()), ("1.2.3", "9.1.0"));
    }

    #[test]
    fn mistakes() {
        let check = |images: &str, expect: &str| {
            let error = catalogue(&format!("{BASE}\n{images}")).unwrap_err();
            assert!(error.contains(expect) && !error.contains('\n'), "{error}");
        };
        let image = |name: &str, rest: &str| format!("[images.{name}]\nrepository = \"{name}\"\n{rest}\n");
        check(
            &image("x", "from = \"image:bsae\""),
            "images.x.from: no image `bsae` is defined, did you mean `base`?",
        );
        check(
            &image("x", "from = \"images:base\""),
            "`images:base` is no origin; allowed are `variants`, `image:NAME`",
        );
        check(&image("x", ""), "images.x: missing field `variants`");
        check(
            &image("x", "variants = [\"alpine\", \"debian\"]"),
            "images.x: missing field `default-variant`",
        );
        check(
            &image("x", "from = \"image:base\"\nvariants = [\"distroless\"]"),
            "images.x.variants: `base` has no variant `distroless`",
        );
        check(
            &image(
                "x",
                "from = \"image:base\"\nbudgets = { distroless = { compressed = \"1MB\", unpacked = \"1MB\" } }",
            ),
            "images.x.budgets: it has no variant `distroless`",
        );
        check(
            &image(
                "x",
                "from = \"image:base\"\nfiles = [{ path = \"/a\", contents = \"x\", mode = \"4755\", owner = \"root\" }]",
            ),
            "`/a` has the mode 4755; setuid",
        );
        check(
            &image(
                "x",
                "from = \"image:base\"\nfiles = [{ path = \"/a\", mode = \"0755\", owner = \"root\" }]",
            ),
            "`/a` needs either `source` or `contents`",
        );
        let tool = image("tool", "from = \"dockerfile:Dockerfile\"\nvariants = [\"debian\"]");
        check(
            &(tool + &image("x", "from = \"image:tool\"")),
            "images.x.from: `tool` is built by an engine from Dockerfile",
        );
        let circle = image("a", "from = \"image:b\"")
            + &image("b", "from = \"image:c\"")
            + &image("c", "from = \"image:a\"");
        check(&circle, "images go in a circle: a -> b -> c -> a");
        check(&image("self", "from = \"image:self\""), "images go in a circle: self -> self");
    }
}
