//! The first phase: everything of a record to where it goes, by digest. No tag of an image is touched.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use oci::Blobs;
use registry::{Client, Repository};

use super::record::{Record, Recorded};
use super::{Outgoing, by_digest, tag};
use crate::ui::Ui;

/// Sends what is missing, and writes down in `path` how far it came.
pub fn upload(client: &Client, blobs: &Blobs, record: &mut Record, path: &Path, ui: &Ui) -> Result<()> {
    record.write(path)?;
    let images = record.images.clone();
    for (i, image) in images.iter().enumerate() {
        for to in image.repositories()? {
            let reference = format!("{to}@{}", image.root.digest());
            let sent_already = record.pushed.contains(&reference) && is_whole(client, image, &to)?;
            if sent_already {
                ui.line("present", &reference);
                continue;
            }
            send(client, blobs, image, &to, &siblings(&images[..i], &to)?, ui)?;
            record.pushed.insert(reference);
            record.write(path)?;
        }
    }
    Ok(())
}

/// The image, then what refers to it.
fn send(
    client: &Client,
    blobs: &Blobs,
    image: &Recorded,
    to: &Repository,
    siblings: &[Repository],
    ui: &Ui,
) -> Result<()> {
    let mut mount_from = siblings.to_vec();
    mount_from.extend(image.base.as_deref().map(Repository::parse).transpose()?);
    let outgoing = |root: &oci_spec::image::Descriptor, tags: &[String]| Outgoing {
        root: root.clone(),
        to: to.clone(),
        tags: tags.to_vec(),
        mount_from: mount_from.clone(),
    };
    by_digest(client, blobs, &[outgoing(&image.root, &[])], ui)?;
    for companion in &image.companions {
        let outgoing = outgoing(&companion.root, companion.tag.as_slice());
        by_digest(client, blobs, std::slice::from_ref(&outgoing), ui)?;
        // The name of a signature is made of the digest that it signs: it is no name of the image.
        tag(client, blobs, &[outgoing], ui)?;
    }
    Ok(())
}

/// The repositories of the images before this one that lie in the same registry: they have common layers.
fn siblings(before: &[Recorded], to: &Repository) -> Result<Vec<Repository>> {
    let mut list = Vec::new();
    for image in before {
        let of_registry = |r: &Repository| r.registry() == to.registry() && r != to;
        list.extend(image.repositories()?.into_iter().filter(of_registry));
    }
    list.sort();
    list.dedup();
    Ok(list)
}

/// Whether the repository has every manifest of the image and of what refers to it.
fn is_whole(client: &Client, image: &Recorded, to: &Repository) -> Result<bool> {
    for descriptor in image.manifests() {
        match client.resolve(&to.at(descriptor.digest())) {
            Ok(found) if found.size() == descriptor.size() => {}
            Ok(_) => return Ok(false),
            Err(e) if e.is_not_found() => return Ok(false),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(true)
}

/// Makes sure that every image is whole everywhere, before a tag moves.
pub fn verify(client: &Client, record: &Record) -> Result<()> {
    if let Some(missing) = record.missing().first() {
        bail!("{missing}: was not pushed; run `cargo xtask push`; no tag was touched");
    }
    for image in &record.images {
        for to in image.repositories()? {
            if !is_whole(client, image, &to).context("no tag was touched")? {
                bail!(
                    "{to}@{}: the registry does not have all of it any more; run `cargo xtask push`; no tag was touched",
                    image.root.digest()
                );
            }
        }
    }
    Ok(())
}
