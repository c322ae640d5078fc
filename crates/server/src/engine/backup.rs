//! A database file as a stream of pages: one state of it, read while others go on writing.
//!
//! The pages come through SQLite's own `sqlite_dbpage` table inside a read transaction. Unlike its backup API this
//! needs no second file on the server's disk and gives the pages byte for byte, so that a copy can go straight into a
//! socket or an archive, and replication can go on from it.

use super::database::{Database, open_file};
use super::error::simple;
use super::{Connection, ValueRef};
use crate::sql::error::{Result, SqlError};
use rusqlite::Connection as Sqlite;
use std::path::Path;
use std::sync::Arc;

/// One state of a database file, held while others go on writing. Until it is dropped the write-ahead log doesn't start
/// again, unless all that it holds is in the file already.
pub struct Snapshot {
    pub(super) sqlite: Sqlite,
}

impl Snapshot {
    /// Holds the present state.
    pub fn take(path: &Path) -> Result<Self> {
        let sqlite = open_file(path, false)?;
        sqlite
            .execute_batch("BEGIN")
            .and_then(|()| sqlite.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())))
            .map_err(|error| simple(&error))?;
        Ok(Self { sqlite })
    }

    /// The size of a page, in bytes.
    pub fn page_size(&self) -> Result<u32> {
        self.sqlite.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(|error| simple(&error))
    }

    /// The size of the copy, in bytes.
    pub fn size(&self) -> Result<u64> {
        let count = self.sqlite.query_row("PRAGMA page_count", [], |row| row.get::<_, u32>(0));
        Ok(u64::from(count.map_err(|error| simple(&error))?) * u64::from(self.page_size()?))
    }

    /// Hands over every page in order: its number and its bytes. One after the other they are a database file.
    pub fn each_page(&self, mut page: impl FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        let sql = "SELECT pgno, data FROM sqlite_dbpage ORDER BY pgno";
        let mut statement = self.sqlite.prepare(sql).map_err(|error| simple(&error))?;
        let mut rows = statement.query([]).map_err(|error| simple(&error))?;
        while let Some(row) = rows.next().map_err(|error| simple(&error))? {
            let number = row.get(0).map_err(|error| simple(&error))?;
            let data = row.get_ref(1).map_err(|error| simple(&error))?;
            page(number, data.as_blob().map_err(|_| SqlError::new("XX001", "a page can't be read"))?)?;
        }
        Ok(())
    }

    /// The databases' numbers, if this is the file of roles and databases.
    pub fn databases(&self) -> Result<Vec<(i64, String)>> {
        super::global::databases(&self.sqlite)
    }
}

/// Reads all of a database file that nobody uses, and says what is damaged. Indexes and checks may call the server's
/// own functions, so a file of a database is opened as the server does it.
pub fn check(path: &Path, has_catalog: bool) -> Result<()> {
    const CHECK: &str = "PRAGMA integrity_check(1)";
    let mut found = None;
    if has_catalog {
        let database = Arc::new(Database::open("check", 0, path, Arc::default())?);
        let connection = Connection::open(database, Arc::default(), 0)?;
        connection.run(CHECK, &[], &mut |row| {
            if let [ValueRef::Text(text)] = row {
                found = Some(String::from_utf8_lossy(text).into_owned());
            }
            Ok(true)
        })?;
    } else {
        let sqlite = open_file(path, false)?;
        found = sqlite.query_row(CHECK, [], |row| row.get(0)).map_err(|error| simple(&error))?;
    }
    match found.as_deref() {
        Some("ok") => Ok(()),
        other => Err(SqlError::new(
            "XX001",
            format!("`{}` is damaged: {}", path.display(), other.unwrap_or("the check tells nothing")),
        )),
    }
}
