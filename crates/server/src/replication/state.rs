//! What a server knows of itself between two starts: `replication/state.json` in the data directory.

use super::record::Chain;
use crate::sql::error::{Result, SqlError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a server knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Names the history that a primary's first start began; random.
    pub generation: String,
    /// Counts the promotions in it.
    pub timeline: u32,
    /// It writes its own log; otherwise it follows another server's.
    pub primary: bool,
    /// It became a primary by promotion, whatever its settings say.
    #[serde(default)]
    pub promoted: bool,
    /// The later timeline that ended this one; 0 is none.
    #[serde(default)]
    pub fenced_by: u32,
    /// Its data is of no use any more: the next start copies the primary's.
    #[serde(default)]
    pub stale: bool,
    /// A replica's name at the primary.
    #[serde(default)]
    pub slot: String,
    /// Everything before this place is in the databases' files, whatever happens.
    #[serde(default)]
    pub applied: u64,
    /// A copied database holds everything before its place already.
    #[serde(default)]
    pub copied: BTreeMap<u32, u64>,
}

/// The directory for everything of replication in a data directory.
pub fn directory(data: &Path) -> PathBuf {
    data.join("replication")
}

/// The log's directory.
pub fn log_directory(data: &Path) -> PathBuf {
    directory(data).join("log")
}

impl State {
    /// Reads it; `None` where there is none.
    pub fn read(data: &Path) -> Result<Option<Self>> {
        let path = directory(data).join("state.json");
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| damaged(&path, &error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(damaged(&path, &error)),
        }
    }

    /// Writes it in one step.
    pub fn write(&self, data: &Path) -> Result<()> {
        write_json(&directory(data), "state.json", self)
    }
}

/// Writes a JSON file in one step, durable when this returns.
pub fn write_json(directory: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        let temporary = directory.join(format!("{name}.tmp"));
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(temporary, directory.join(name))?;
        File::open(directory)?.sync_all()
    };
    let shown = directory.join(name);
    write().map_err(|error| SqlError::new("58030", format!("can't write `{}`: {error}", shown.display())))
}

/// A new generation's name.
pub fn random_name() -> Result<String> {
    let mut bytes: Chain = [0; 16];
    getrandom::fill(&mut bytes[..8])
        .map_err(|error| SqlError::new("58000", format!("no random numbers: {error}")))?;
    Ok(super::record::show_chain(&bytes)[..16].to_owned())
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> SqlError {
    SqlError::new("58000", format!("can't read `{}`: {error}", path.display()))
}
