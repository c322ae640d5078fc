//! VACUUM: the engine gives room back, and a checkpoint makes the file shorter.

use super::{Session, Transaction};
use crate::replication::capture;
use crate::sql::error::{Result, SqlError};

impl Session {
    pub(super) fn vacuum(&mut self, full: bool, analyze: bool) -> Result<()> {
        if self.transaction != Transaction::Idle || self.connection.in_transaction() {
            return Err(SqlError::new("25001", "VACUUM cannot run inside a transaction block"));
        }
        if !self.superuser {
            let message = "permission denied to vacuum the database, skipping it: only superusers may";
            return self.wire.notice("WARNING", "01000", message);
        }
        if full {
            self.connection.vacuum_full()?;
        } else {
            self.connection.vacuum()?;
        }
        if analyze {
            self.connection.begin_write()?;
            self.connection.execute("ANALYZE", &[])?;
            self.connection.commit()?;
        }
        capture::checkpoint(&self.server, 0).map(|_| ())
    }
}
