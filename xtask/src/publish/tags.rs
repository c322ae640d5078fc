//! The second phase: what tags stand for in the registries now, and moving them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context as _, Result, bail};
use oci_spec::image::Descriptor;
use plan::Spec;
use plan::promote::{self, Asked, Change, Move, Names, Standing};
use registry::{Client, Repository};

use super::record::Record;
use crate::ui::Ui;

/// The annotation that says which version a tag stands for.
const VERSION: &str = "org.opencontainers.image.version";

/// The tags of each repository of the record.
pub fn existing(client: &Client, record: &Record) -> Result<BTreeMap<String, Vec<String>>> {
    let mut existing = BTreeMap::new();
    for image in &record.images {
        for repository in image.repositories()? {
            if let Entry::Vacant(entry) = existing.entry(repository.to_string()) {
                entry.insert(match client.tags(&repository) {
                    // That is how some registries answer for a repository without tags.
                    Err(e) if e.is_not_found() => Vec::new(),
                    answer => answer?,
                });
            }
        }
    }
    Ok(existing)
}

/// What a promotion of the record comes to: each tag, old to new.
pub fn plan(client: &Client, spec: &Spec, asked: &Asked, record: &Record) -> Result<(Names, Vec<Move>)> {
    let images = record.for_promotion();
    let names = promote::wanted(spec, asked, &images, &existing(client, record)?)?;
    let mut standing = BTreeMap::new();
    for wanted in &names.wanted {
        let repository = Repository::parse(&wanted.repository)?;
        if let Some(mut now) = resolve(client, &repository, &wanted.tag)? {
            if now.digest != wanted.to {
                now.version = version(client, &repository, &wanted.tag)?;
            }
            standing.insert((wanted.repository.clone(), wanted.tag.clone()), now);
        }
    }
    let moves = promote::moves(&names, &standing);
    Ok((names, moves))
}

/// What the tag stands for; also one that the registry does not list.
pub fn resolve(client: &Client, repository: &Repository, tag: &str) -> Result<Option<Standing>> {
    match client.resolve(&repository.tagged(tag)?) {
        Ok(found) => Ok(Some(Standing { digest: found.digest().clone(), version: None })),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// The version that the image of a tag says it is.
fn version(client: &Client, repository: &Repository, tag: &str) -> Result<Option<String>> {
    let descriptor: Descriptor = client.resolve(&repository.tagged(tag)?)?;
    let bytes = client.manifest(repository, &descriptor)?;
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(document["annotations"][VERSION].as_str().map(String::from))
}

/// Writes the tags, in their order. After an error those before it are written, the others are as they were.
pub fn apply(client: &Client, moves: &[Move], ui: &Ui) -> Result<()> {
    if let Some(refusal) = promote::refusal(moves) {
        bail!("{refusal}; no tag was touched");
    }
    let pending: Vec<&Move> = moves.iter().filter(|m| m.change != Change::Unchanged).collect();
    let mut written = 0;
    for group in pending.chunk_by(|a, b| (&a.repository, &a.to) == (&b.repository, &b.to)) {
        let repository = Repository::parse(&group[0].repository)?;
        let names: Vec<String> = group.iter().map(|m| m.tag.clone()).collect();
        client.tag(&repository, &group[0].to, &names).with_context(|| {
            format!(
                "{repository}: not all of {} were moved; {written} other tags were, and the same command goes on",
                names.join(" ")
            )
        })?;
        written += group.len();
        for Move { tag, from, to, .. } in group {
            let from = from.as_ref().map_or_else(|| "nothing".into(), promote::short);
            ui.line("tagged", format_args!("{repository}:{tag} {from} → {}", promote::short(to)));
        }
    }
    if written == 0 {
        ui.line("unchanged", format_args!("{} tags", moves.len()));
    }
    Ok(())
}

/// What a withdrawal comes to: only tags that stand for the withdrawn release, and have somewhere to return to.
pub fn withdrawal(client: &Client, spec: &Spec, record: &Record, version: &str) -> Result<Vec<Move>> {
    let existing = existing(client, record)?;
    let mut moves = Vec::new();
    for image in &record.images {
        for repository in image.repositories()? {
            let name = repository.to_string();
            let returns = promote::withdrawal(spec, &image.image, &image.variant, version, &existing[&name])?;
            for back in returns {
                let digest_of =
                    |tag: &str| Ok::<_, anyhow::Error>(resolve(client, &repository, tag)?.map(|s| s.digest));
                let (now, withdrawn) = (digest_of(&back.tag)?, digest_of(&back.withdrawn)?);
                let instead = back.instead.as_deref().map(digest_of).transpose()?.flatten();
                let Some(to) = instead.filter(|_| now.is_some() && now == withdrawn) else { continue };
                let step = Move {
                    repository: name.clone(),
                    tag: back.tag,
                    from: now,
                    to,
                    change: Change::Moved,
                    why: back.why,
                };
                moves.push((back.rank, step));
            }
        }
    }
    moves.sort_by_key(|(rank, _)| *rank);
    Ok(moves.into_iter().map(|(_, step)| step).collect())
}
