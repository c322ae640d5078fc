//! A database that takes pages: what replication brings is applied through SQLite's own `sqlite_dbpage` table.
//! Reading pages is in `backup.rs`.

use super::database::open_file;
use super::error::simple;
use crate::sql::error::Result;
use rusqlite::{Connection as Sqlite, params};
use std::path::Path;

/// A database that takes another server's pages. SQLite doesn't notice when the definitions change under its own
/// connection, so this one is asked nothing about tables.
pub struct Copy {
    sqlite: Sqlite,
    /// The size before the transaction that is open.
    pages: Option<u32>,
    first_page: bool,
}

impl Copy {
    /// Opens a database file for pages. It is not flushed at each commit: see [`super::Database::flush`].
    pub fn open(path: &Path) -> Result<Self> {
        let sqlite = open_file(path, false)?;
        sqlite.execute_batch("PRAGMA synchronous = NORMAL").map_err(|error| simple(&error))?;
        Ok(Self { sqlite, pages: None, first_page: false })
    }

    /// Puts a page; the first one begins a transaction.
    pub fn put(&mut self, number: u32, data: &[u8]) -> Result<()> {
        self.begin()?;
        self.first_page |= number == 1;
        self.insert(number, Some(data))
    }

    /// Ends the transaction at a size; readers go over to it with their next transaction. Gives the version of the
    /// definitions if they may have changed.
    pub fn commit(&mut self, size: u32) -> Result<Option<u64>> {
        self.begin()?;
        if self.pages.take().is_some_and(|before| before > size) {
            // SQLite cuts the file here, after everything else that was put.
            self.insert(size + 1, None)?;
        }
        self.sqlite.execute_batch("COMMIT").map_err(|error| simple(&error))?;
        if !std::mem::take(&mut self.first_page) {
            return Ok(None);
        }
        let version = self.sqlite.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
        version.map(|version| u64::try_from(version).ok()).map_err(|error| simple(&error))
    }

    fn begin(&mut self) -> Result<()> {
        if self.pages.is_none() {
            self.sqlite.execute_batch("BEGIN IMMEDIATE").map_err(|error| simple(&error))?;
            let pages = self.sqlite.query_row("PRAGMA page_count", [], |row| row.get(0));
            self.pages = Some(pages.map_err(|error| simple(&error))?);
        }
        Ok(())
    }

    fn insert(&self, number: u32, data: Option<&[u8]>) -> Result<()> {
        let mut statement = self
            .sqlite
            .prepare_cached("INSERT INTO sqlite_dbpage (pgno, data) VALUES (?1, ?2)")
            .map_err(|error| simple(&error))?;
        statement.execute(params![number, data]).map(|_| ()).map_err(|error| simple(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::backup::Snapshot;
    use super::super::wal;
    use super::*;
    use std::fs::File;

    /// The bytes that SQLite counts for itself at each commit.
    fn without_counters(mut page: Vec<u8>, number: u32) -> Vec<u8> {
        if number == 1 {
            page[24..28].fill(0);
            page[92..100].fill(0);
        }
        page
    }

    fn pages(path: &Path) -> Vec<Vec<u8>> {
        let mut pages = Vec::new();
        let snapshot = Snapshot::take(path).unwrap();
        snapshot
            .each_page(|number, page| {
                pages.push(without_counters(page.to_vec(), number));
                Ok(())
            })
            .unwrap();
        pages
    }

    #[test]
    fn a_copy_follows_its_original_through_growth_vacuum_and_a_log_that_starts_again() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a.db"), directory.path().join("b.db"));
        let original = open_file(&from, true).unwrap();
        original.execute_batch("CREATE TABLE t (x); PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::copy(&from, &to).unwrap();
        let mut copy = Copy::open(&to).unwrap();
        let reader = Snapshot::take(&to).unwrap();
        let log = File::open(wal::path(&from)).unwrap();
        let mut position = wal::Position::default();
        let steps = [
            "INSERT INTO t SELECT randomblob(500) FROM no_such_table",
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT INTO t SELECT randomblob(500) FROM n",
            "BEGIN; CREATE TABLE u AS SELECT * FROM t; DELETE FROM t; COMMIT",
            "BEGIN; DELETE FROM u; ROLLBACK",
            "DELETE FROM u WHERE rowid > 100; VACUUM",
            "PRAGMA wal_checkpoint(RESTART); CREATE INDEX i ON u (x); PRAGMA user_version = 7",
        ];
        for step in steps {
            // The first one fails: nothing changes.
            let _ = original.execute_batch(step);
            let changes = wal::changes(&log, position).unwrap();
            assert!(changes.end == position || changes.database_pages > 0);
            position = changes.end;
            for (number, at) in &changes.pages {
                copy.put(*number, &changes.page(&log, *at).unwrap()).unwrap();
            }
            if changes.database_pages > 0 {
                copy.commit(changes.database_pages).unwrap();
            }
            assert!(pages(&from) == pages(&to), "after {step}");
        }
        let fresh = open_file(&to, false).unwrap();
        for (what, sqlite) in [("original", &original), ("copy", &fresh)] {
            let check: String = sqlite.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(check, "ok", "{what}");
        }
        let rows: i64 = reader.sqlite.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "an old reader keeps its state");
        assert_eq!(wal::end(&from).unwrap(), position);
    }

    #[test]
    fn damaged_and_unfinished_frames_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let original = open_file(&path, true).unwrap();
        original.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        let whole = wal::end(&path).unwrap();
        original.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        let bytes = std::fs::read(wal::path(&path)).unwrap();
        for (cut, flip) in
            [(bytes.len() - 1, None), (bytes.len(), Some(bytes.len() - 9)), (bytes.len(), Some(33))]
        {
            let mut damaged = bytes[..cut].to_vec();
            if let Some(at) = flip {
                damaged[at] ^= 1;
            }
            let file = directory.path().join("damaged-wal");
            std::fs::write(&file, damaged).unwrap();
            let found = wal::changes(&File::open(&file).unwrap(), wal::Position::default()).unwrap().end;
            let expect = if flip == Some(33) { wal::Position::default() } else { whole };
            assert_eq!(found, expect, "{cut} {flip:?}");
        }
    }
}
