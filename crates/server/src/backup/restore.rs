//! From an archive to a cluster: all of it or nothing.
//!
//! 1. An archive that lies in a file is read to its end and compared before anything is written.
//! 2. It is unpacked aside, in the folder in which a first start builds too. What comes through a pipe is compared
//!    only here; nothing counts yet.
//! 3. The engine checks every database, then the parts move to their places, and last the version file makes them a
//!    cluster. A kill at any moment before leaves an empty data directory for everybody who looks.

use super::archive::{self, Label};
use super::target::unpack;
use crate::cluster;
use crate::engine;
use crate::sql::error::SqlError;
use std::fs::{self, File};
use std::io::{Error, Read, Result};
use std::path::{Path, PathBuf};

/// What is restored, and to where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The archive; `None` is standard input.
    pub archive: Option<PathBuf>,
    /// The data directory, empty or not there.
    pub directory: PathBuf,
    /// Where the configuration files of the archive go, if they are wanted.
    pub settings: Option<PathBuf>,
}

/// Restores a cluster; gives the archive's label.
pub fn restore(options: &Options) -> Result<Label> {
    let directory = &options.directory;
    cluster::vacant(directory).map_err(failed)?;
    if let Some(path) = &options.archive {
        let file = File::open(path).and_then(|file| archive::read(file, |_, _| Ok(())));
        file.map_err(|error| Error::new(error.kind(), format!("`{}`: {error}", path.display())))?;
    }
    let _lock = cluster::lock(directory).map_err(failed)?;
    let build = cluster::clear(directory).map_err(failed)?;
    let result = fill(options, &build);
    if result.is_err() {
        // The next start or restore removes what stays.
        let _ = fs::remove_dir_all(&build);
    }
    result
}

fn fill(options: &Options, build: &Path) -> Result<Label> {
    let input: Box<dyn Read> = match &options.archive {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(std::io::stdin().lock()),
    };
    let mut configuration = Vec::new();
    let (label, manifest) = archive::read(input, |name, data| match name.strip_prefix("settings/") {
        None => unpack(&build.join(name), data),
        Some(name) => {
            let mut text = Vec::new();
            data.read_to_end(&mut text)?;
            configuration.push((name.to_owned(), text));
            Ok(())
        }
    })?;
    for name in manifest.keys().filter(|name| !name.starts_with("settings/")) {
        engine::check(&build.join(name), archive::has_catalog(name)).map_err(failed)?;
    }
    if let Some(directory) = &options.settings {
        for (name, text) in &configuration {
            unpack(&directory.join(name), &mut &text[..])?;
        }
    }
    cluster::install(&options.directory)
        .and_then(|()| cluster::finish(&options.directory))
        .map_err(failed)?;
    Ok(label)
}

fn failed(error: SqlError) -> Error {
    Error::other(error.message)
}
