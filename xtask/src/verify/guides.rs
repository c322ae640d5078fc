//! The guides: each command that they show is run, and prints what they show; what is not run has a reason.

pub mod document;
mod published;
#[cfg(test)]
mod rules;
mod run;

use anyhow::{Context as _, Result, ensure};

use self::document::{Document, Runner};
use super::skip;
use crate::engine::Engine;
use crate::facts::{self, Workspace};

/// The guides that `cargo xtask verify` runs, as paths from the workspace's root.
pub fn all(workspace: &Workspace) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in texts(workspace)? {
        let document = Document::parse(&workspace.read(&path)?).with_context(|| path.clone())?;
        if document.runner == Some(Runner::Verify) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Every Markdown file of the workspace, sorted.
fn texts(workspace: &Workspace) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pending = vec![workspace.root.clone()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type()?.is_dir() {
                if name != "target" && name != ".git" && path != workspace.target {
                    pending.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "md") {
                let path = path.strip_prefix(&workspace.root).expect("it lies below");
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Runs the commands of `guide`, a path below the workspace.
pub fn holds(workspace: &Workspace, guide: &str) -> Result<()> {
    let document = Document::parse(&workspace.read(guide)?).with_context(|| guide.to_string())?;
    let steps = run::steps(&document).with_context(|| guide.to_string())?;
    ensure!(
        !steps.is_empty(),
        "{guide}: has no `console` block to try; say who runs it: `<!-- run by … -->`"
    );
    let has_containers = document.runner == Some(Runner::Verify);
    if has_containers && !matches!(Engine::find(), Ok(engine) if engine.to_string() == "docker") {
        return skip("no Docker engine answers");
    }
    for program in ["bash"].into_iter().chain(document.needs.iter().map(String::as_str)) {
        if facts::find_program(program).is_none() {
            return skip(format!("there is no {program}; `cargo xtask doctor` says how to get it"));
        }
    }
    let folder = tempfile::tempdir()?;
    run::furnish(&workspace.root, folder.path())?;
    let scene = match guide {
        published::GUIDE => published::scene(workspace, folder.path())?,
        _ => published::Scene::default(),
    };
    let local = run::Local::new()?;
    if has_containers {
        run::sweep();
    }
    let outputs = run::run(&steps, &local, folder.path(), &scene.variables);
    if has_containers {
        run::sweep();
    }
    run::check(&steps, &outputs?, &local).with_context(|| guide.to_string())
}
