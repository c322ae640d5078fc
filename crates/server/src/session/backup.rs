//! `BASE_BACKUP`: the archive of the whole cluster as the data of a COPY, for superusers.
//!
//! The command has the name that Postgres' replication protocol gives it, but it works on every connection, so that a
//! backup needs nothing but a user and a password.

use super::Session;
use super::wire::Wire;
use crate::backup::{archive, source};
use crate::engine::Interrupt;
use crate::sql::error::{Result, SqlError};
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::response::CommandComplete;
use std::io::{Error, Write};

/// Whether a query is this command, which SQL's parser doesn't know.
pub(super) fn is_command(text: &str) -> bool {
    text.trim().trim_end_matches(';').trim_end().eq_ignore_ascii_case("BASE_BACKUP")
}

impl Session {
    pub(super) fn base_backup(&mut self) -> Result<()> {
        if !self.superuser {
            return Err(SqlError::new("42501", "must be superuser to make a backup"));
        }
        self.connection.interrupt.arm(0);
        self.wire.put(&CopyOutResponse::new(0, 0, Vec::new()))?;
        let settings = source::settings_files(&self.server.settings);
        let mut out = Pieces { wire: &mut self.wire, interrupt: &self.connection.interrupt };
        let written = archive::write(self.server.cluster.directory(), &settings, &mut out);
        self.connection.interrupt.disarm();
        if let Some(error) = self.connection.interrupt.error() {
            return Err(error);
        }
        written.map_err(|error| SqlError::new("58030", error.to_string()))?;
        self.wire.put(&CopyDone::new())?;
        self.wire.put(&CommandComplete::new("BASE_BACKUP".to_owned()))
    }
}

/// What is written goes to the client as COPY's data.
struct Pieces<'a> {
    wire: &'a mut Wire,
    interrupt: &'a Interrupt,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(error) = self.interrupt.error() {
            return Err(Error::other(error.message));
        }
        self.wire.put(&CopyData::new(bytes.to_vec().into())).map_err(|error| Error::other(error.message))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
