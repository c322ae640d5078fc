//! Into a registry: all images by their digests first, names only when everything is there.
//!
//! What a push needs of an image is its root descriptor and a blob store that holds all below it: the cache, or a
//! layout ([`oci::layout::Layout::blobs`]).

pub mod collect;
#[cfg(test)]
mod faults;
pub mod record;
pub mod tags;
pub mod upload;

use anyhow::{Context as _, Result};
use oci::Blobs;
use oci_spec::image::Descriptor;
use registry::{Client, Push, Repository};

use crate::ui::{Ui, Usage};

/// An image on its way.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its index or manifest.
    pub root: Descriptor,
    /// Where it goes.
    pub to: Repository,
    /// The tags that it gets, floating ones last.
    pub tags: Vec<String>,
    /// Repositories that may have some of its blobs, such as its base's.
    pub mount_from: Vec<Repository>,
}

/// Sends what the registry lacks of the images, with all they consist of, by digest. No tag is touched; images
/// after the first also mount from the repositories of those before.
pub fn by_digest(client: &Client, blobs: &Blobs, images: &[Outgoing], ui: &Ui) -> Result<()> {
    for (i, image) in images.iter().enumerate() {
        let mut mount_from = image.mount_from.clone();
        mount_from.extend(images[..i].iter().map(|before| before.to.clone()).filter(|to| *to != image.to));
        mount_from.dedup();
        client
            .push(blobs, &image.root, &image.to, &Push { tags: Vec::new(), mount_from })
            .context("no tag was touched; the same command goes on where this one stopped")?;
        ui.line("pushed", format_args!("{}@{}", image.to, image.root.digest()));
    }
    Ok(())
}

/// Points the tags at the images, which the registry has. Exact tags of all images come before any floating one.
pub fn tag(client: &Client, blobs: &Blobs, images: &[Outgoing], ui: &Ui) -> Result<()> {
    let most = images.iter().map(|image| image.tags.len()).max().unwrap_or(0);
    for position in 0..most {
        for image in images {
            let Some(tag) = image.tags.get(position) else { continue };
            client.push_tags(blobs, &image.root, &image.to, std::slice::from_ref(tag))?;
        }
    }
    for image in images.iter().filter(|image| !image.tags.is_empty()) {
        ui.line("tagged", format_args!("{} {}", image.to, image.tags.join(" ")));
    }
    Ok(())
}

/// Where the image `repository` goes when the user typed `destination`: that very repository, or with a `/` at its end
/// the repository of that name below it.
pub fn repository(destination: &str, repository: &str) -> Result<Repository> {
    let whole = match destination.strip_suffix('/') {
        Some(prefix) => format!("{prefix}/{repository}"),
        None => destination.to_string(),
    };
    Repository::parse(&whole).map_err(|e| {
        Usage(format!("{e}; allowed is REGISTRY/NAME, or REGISTRY/PREFIX/ to add the image's own name"))
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let check = |destination: &str, expect: Result<&str, &str>| match (
            repository(destination, "acme/app"),
            expect,
        ) {
            (Ok(found), Ok(expect)) => assert_eq!(found.to_string(), expect),
            (Err(e), Err(expect)) => {
                assert!(crate::ui::is_usage(&e) && e.to_string().contains(expect), "{e}");
            }
            (found, expect) => panic!("{destination}: {found:?}, not {expect:?}"),
        };
        check("ghcr.io/birds/db", Ok("ghcr.io/birds/db"));
        check("ghcr.io/birds/", Ok("ghcr.io/birds/acme/app"));
        check("localhost:5000/", Ok("localhost:5000/acme/app"));
        check("birds/db", Ok("docker.io/birds/db"));
        check("ghcr.io/birds/db:1", Err("a repository has no tag"));
        check("ghcr.io/Birds", Err("allowed is REGISTRY/NAME"));
        check("", Err("allowed is REGISTRY/NAME"));
    }
}
