//! Where a backup comes from.

use super::{archive, dump};
use crate::client::target::Target;
use crate::client::{Client, Event, Lost};
use settings::Resolved;
use std::io::{Error, Result, Write};
use std::path::{Path, PathBuf};

/// Where a backup comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The files of a data directory, whether a server runs over them or not.
    Directory(Box<Resolved>),
    /// A server, asked over the protocol.
    Server(Box<Target>),
}

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The archive of the whole cluster.
    Archive,
    /// One database as SQL text.
    Sql,
}

impl Source {
    /// Writes the backup, uncompressed.
    pub fn write(&self, kind: Kind, out: &mut dyn Write) -> Result<()> {
        match (self, kind) {
            (Self::Directory(settings), Kind::Archive) => {
                archive::write(Path::new(settings.text("data_directory")), &settings_files(settings), out)
            }
            (Self::Directory(_), Kind::Sql) => Err(Error::other("SQL text comes from a running server")),
            (Self::Server(target), kind) => from_server(target, kind, out),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(settings) => write!(f, "`{}`", settings.text("data_directory")),
            Self::Server(target) => write!(f, "{target}"),
        }
    }
}

/// The files that configure a server, by their names in an archive; only those that are there.
pub fn settings_files(settings: &Resolved) -> Vec<(String, PathBuf)> {
    let files = [("scratchbird.conf", "config_file"), ("pg_hba.conf", "hba_file")];
    let files = files.map(|(name, setting)| (name.to_owned(), PathBuf::from(settings.text(setting))));
    files.into_iter().filter(|(_, path)| path.is_file()).collect()
}

fn from_server(target: &Target, kind: Kind, out: &mut dyn Write) -> Result<()> {
    let lost = |lost: Lost| Error::other(lost.to_string());
    let mut client = Client::connect(target).map_err(lost)?;
    if kind == Kind::Sql {
        return dump::write(&mut client, out);
    }
    client.query("BASE_BACKUP").map_err(lost)?;
    let mut result = Err(Error::other("the server sent no backup"));
    loop {
        match client.event().map_err(lost)? {
            Event::CopyData(data) => out.write_all(&data)?,
            Event::Done(_) => result = Ok(()),
            Event::Error(report) => result = Err(Error::other(report.line())),
            Event::Ready => return result,
            _ => {}
        }
    }
}
