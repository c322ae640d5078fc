//! What no type of the catalogue says: names refer to something, paths are absolute, nothing is secret.

use super::{From, ImageSpec, Spec, stack};
use crate::error::suggest;
use crate::secrets::secret_word;

impl Spec {
    /// What no type says: names refer to something, paths are absolute.
    pub(super) fn check(&self) -> Result<(), String> {
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

    fn check_image(&self, name: &str, image: &ImageSpec) -> Result<(), String> {
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
        let owned = |what: &str, path: &str, owner: &str| -> Result<(), String> {
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

/// Whether a path of an image is absolute.
pub(super) fn absolute(what: &str, path: &str) -> Result<(), String> {
    if path.starts_with('/') && !path.ends_with('/') {
        return Ok(());
    }
    Err(format!("{what}: path `{path}` must be absolute, without a `/` at its end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = include_str!("../../../../docker/images.toml");

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
}
