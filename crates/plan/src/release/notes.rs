//! The notes of a release: what changed, and each image with its tags, digest and sizes.

use std::fmt::Write as _;

/// One image as it was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its name and variant, for people.
    pub title: String,
    /// `repository` of each place.
    pub repositories: Vec<String>,
    /// Of its index.
    pub digest: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Of each platform its name, digest and bytes as they are sent.
    pub platforms: Vec<(String, String, u64)>,
}

/// The notes, as Markdown.
pub fn render(title: &str, version: &str, changes: &str, images: &[Published]) -> String {
    let mut text = format!("# {title} {version}\n");
    if !changes.is_empty() {
        let _ = write!(text, "\n{changes}\n");
    }
    text.push_str("\n## Images\n");
    for image in images {
        let tags: Vec<String> = image.tags.iter().map(|tag| format!("`{tag}`")).collect();
        let _ = write!(text, "\n### {}\n\n{}\n\n", image.title, tags.join(" "));
        text.push_str("| platform | digest | compressed |\n|---|---|---:|\n");
        let _ = writeln!(text, "| all | `{}` | |", image.digest);
        for (platform, digest, bytes) in &image.platforms {
            let _ = writeln!(text, "| {platform} | `{digest}` | {} |", megabytes(*bytes));
        }
        text.push_str("\n```console\n");
        for repository in &image.repositories {
            let _ = writeln!(text, "$ docker pull {repository}@{}", image.digest);
        }
        text.push_str("```\n");
    }
    text
}

/// `2.9 MB`.
fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        format!("{:.1} kB", bytes as f64 / 1e3)
    } else {
        format!("{:.1} MB", bytes as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image() {
        let image = Published {
            title: "server (alpine)".into(),
            repositories: vec!["ghcr.io/birds/db".into()],
            digest: "sha256:11".into(),
            tags: vec!["1.0.0".into(), "latest".into()],
            platforms: vec![
                ("linux/amd64".into(), "sha256:22".into(), 2_912_345),
                ("linux/arm64".into(), "sha256:33".into(), 500),
            ],
        };
        let text = render("Birds", "1.0.0", "- All is new.", &[image]);
        assert_eq!(
            text,
            "# Birds 1.0.0\n\n- All is new.\n\n## Images\n\n### server (alpine)\n\n`1.0.0` `latest`\n\n\
             | platform | digest | compressed |\n|---|---|---:|\n| all | `sha256:11` | |\n\
             | linux/amd64 | `sha256:22` | 2.9 MB |\n| linux/arm64 | `sha256:33` | 0.5 kB |\n\n\
             ```console\n$ docker pull ghcr.io/birds/db@sha256:11\n```\n"
        );
    }
}
