//! VACUUM: the room of what was deleted goes back to the file system.

use super::backup::Snapshot;
use super::connection::Connection;
use super::pages::Copy;
use crate::sql::error::{Result, SqlError};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a database is written anew.
fn aside(database: &Path) -> PathBuf {
    database.with_extension("vacuum")
}

/// Removes what a killed server left there.
pub(super) fn forget(database: &Path) {
    for extension in ["vacuum", "vacuum-journal", "vacuum-wal", "vacuum-shm"] {
        // Mostly there is none; one that can't be removed is in nobody's way before the next VACUUM FULL.
        let _ = fs::remove_file(database.with_extension(extension));
    }
}

impl Connection {
    /// Moves the last pages of the file into its gaps. The file becomes shorter with the next checkpoint.
    pub fn vacuum(&mut self) -> Result<()> {
        self.begin_write()?;
        let done = self.run("PRAGMA main.incremental_vacuum", &[], &mut |_| Ok(true));
        if done.is_err() {
            self.rollback();
        }
        done?;
        self.commit()
    }

    /// Writes the whole database anew, every table in one piece.
    ///
    /// SQLite's own VACUUM does this through a copy in memory, because there is no other place for temporary things
    /// here. So a copy is made beside the file, and its pages go into the file like those of another server: in one
    /// transaction, through the write-ahead log, while others read on.
    pub fn vacuum_full(&mut self) -> Result<()> {
        self.database.gate.check()?;
        self.database.lock_writer(&self.interrupt)?;
        self.holds_lock = true;
        forget(&self.database.path);
        let done = self.write_anew(&aside(&self.database.path));
        forget(&self.database.path);
        match done {
            Ok(()) => self.settle(),
            Err(error) => {
                self.release();
                Err(error)
            }
        }
    }

    fn write_anew(&self, aside: &Path) -> Result<()> {
        let name = aside.to_str().ok_or_else(|| {
            SqlError::new("58030", format!("`{}`: VACUUM FULL needs a path in UTF-8", aside.display()))
        })?;
        // Indexes may call the server's functions, which this connection knows.
        self.execute("VACUUM INTO ?1", &[super::Value::Text(name.to_owned())])?;
        let written = Snapshot::take(aside)?;
        let pages = written.size()? / u64::from(written.page_size()?);
        let pages = u32::try_from(pages).map_err(|_| SqlError::new("54000", "the database is too big"))?;
        let mut copy = Copy::open(&self.database.path)?;
        written.each_page(|number, page| match self.interrupt.error() {
            // A transaction that is not committed is rolled back when its connection is closed.
            Some(error) => Err(error),
            None => copy.put(number, page),
        })?;
        copy.commit(pages).map(|_| ())
    }
}
