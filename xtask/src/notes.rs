//! `cargo xtask notes`: what a release tells, from the changelog, the record of the push and the registries' tags.

use std::path::{Path, PathBuf};

use anyhow::Result;
use plan::Spec;
use plan::release::changelog;
use plan::release::notes::{Published, render};
use plan::tags::output::github_outputs;
use semver::Version;

use crate::facts::Workspace;
use crate::publish::record::{Record, Recorded};
use crate::publish::tags;
use crate::push;
use crate::tags::write_github;
use crate::ui::Ui;

/// Write the notes of the release that was pushed: changes, tags, digests and sizes
///
/// The tags are those that stand for its images now, in the registries. Prints Markdown.
#[derive(clap::Args)]
pub struct Args {
    /// What `cargo xtask push` wrote down [default: target/publish.json]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Also write them to this file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also write them to the summary of a step of a GitHub workflow
    #[arg(long)]
    github: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let path = self.record.clone().unwrap_or_else(|| push::default_record(workspace));
        let text = notes(workspace, &workspace.spec()?, &path)?;
        if let Some(output) = &self.output {
            let dir = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            oci::cache::write_atomically(output, dir, text.as_bytes())?;
            ui.line("wrote", output.display());
        }
        if self.github {
            write_github(&github_outputs(&[]), &text)?;
        }
        print!("{text}");
        Ok(())
    }
}

/// The notes of what the record tells of.
pub fn notes(workspace: &Workspace, spec: &Spec, record: &Path) -> Result<String> {
    let record = Record::read(record)?;
    let client = push::client(spec, &Ui::new(true))?;
    let changes = match record.version.parse::<Version>() {
        Ok(version) => {
            workspace.read("CHANGELOG.md").ok().and_then(|text| changelog::of_version(&text, &version))
        }
        Err(_) => None,
    };
    let mut images = Vec::new();
    for image in &record.images {
        images.push(published(&client, spec, &record.version, image)?);
    }
    Ok(render(&spec.project.title, &record.version, &changes.unwrap_or_default(), &images))
}

fn published(client: &registry::Client, spec: &Spec, version: &str, image: &Recorded) -> Result<Published> {
    let mut names = Vec::new();
    if let Ok(version) = version.parse::<Version>() {
        // All that it could be called; what it is called the registries say.
        for name in plan::tags::newest(&spec.tags, &spec.images[&image.image], &version, &image.variant) {
            for repository in image.repositories()? {
                let stands_for = tags::resolve(client, &repository, &name)?.map(|s| s.digest);
                if stands_for.as_ref() == Some(image.root.digest()) && !names.contains(&name) {
                    names.push(name.clone());
                }
            }
        }
    }
    Ok(Published {
        title: format!("{} ({})", image.image, image.variant),
        repositories: image.repositories.clone(),
        digest: image.root.digest().to_string(),
        tags: names,
        platforms: image
            .platforms
            .iter()
            .map(|p| (p.platform.clone(), p.manifest.digest().to_string(), p.compressed_bytes))
            .collect(),
    })
}
