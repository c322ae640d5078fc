//! A database file: write lock, sequences, checkpoints.

use super::error::simple;
use super::gate::{Gate, Tickets};
use super::interrupt::Interrupt;
use super::write_lock::WriteLock;
use super::{vacuum, wal};
use crate::log;
use crate::sql::catalog::{Catalog, is_temporary};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::Sequence;
use rusqlite::config::DbConfig;
use rusqlite::{Connection as Sqlite, OpenFlags};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a checkpoint waits for the write lock: it comes again, and on a primary nothing is captured meanwhile.
/// Whoever waits so goes before other writers, so a transaction of usual length is outwaited.
const PATIENCE: Duration = Duration::from_millis(100);
/// What a new database holds: the catalogue that SQLite's own schema can't be.
const BOOTSTRAP: &str = "
    CREATE TABLE __sb_catalog (name TEXT PRIMARY KEY, definition TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE __sb_sequence (
        name TEXT PRIMARY KEY, start INTEGER NOT NULL, increment INTEGER NOT NULL, min INTEGER NOT NULL,
        max INTEGER NOT NULL, cycle INTEGER NOT NULL, last INTEGER NOT NULL, called INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// A database file, shared by its connections.
pub struct Database {
    /// The database's name.
    pub name: String,
    /// Its number, which names its file.
    pub oid: i64,
    /// Its file.
    pub path: PathBuf,
    /// Whether it may be written, and who waits for replicas.
    pub(super) gate: Arc<Gate>,
    /// Its commits, counted.
    pub tickets: Tickets,
    /// Counts the committed changes of definitions, so that connections know when to read them again.
    pub(super) generation: AtomicU64,
    /// The definitions of a generation, which all sessions share.
    pub(super) definitions: Mutex<(u64, Arc<Catalog>)>,
    pub(super) sequences: Mutex<HashMap<String, Sequence>>,
    writer: WriteLock,
    log: Log,
    /// One connection stays open, so that the WAL is not removed with the last client.
    keeper: Mutex<Sqlite>,
}

/// The write lock, given back when this is dropped: after a panic too.
struct Turn<'a>(&'a Database);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.unlock_writer();
    }
}

impl Database {
    /// Makes a new database file.
    pub fn create(path: &Path) -> Result<()> {
        let sqlite = open_file(path, true)?;
        // The pages know their owners, so that VACUUM can move the last ones into gaps. The file has its first page
        // already, so it must be written anew.
        sqlite.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").map_err(|error| simple(&error))?;
        sqlite.execute_batch(BOOTSTRAP).map_err(|error| simple(&error))?;
        sqlite.close().map_err(|(_, error)| simple(&error))
    }

    /// Opens a database file.
    pub fn open(name: &str, oid: i64, path: &Path, gate: Arc<Gate>) -> Result<Self> {
        vacuum::forget(path);
        let keeper = open_file(path, false)?;
        let database = Self {
            name: name.to_owned(),
            oid,
            path: path.to_owned(),
            gate,
            tickets: Tickets::default(),
            generation: AtomicU64::new(0),
            definitions: Mutex::new((u64::MAX, Arc::default())),
            sequences: Mutex::new(read_sequences(&keeper)?),
            writer: WriteLock::default(),
            log: Log::open(path)?,
            keeper: Mutex::new(keeper),
        };
        Ok(database)
    }

    /// A client's handle. It doesn't flush the log itself: see [`Log`].
    pub(super) fn connect(&self) -> Result<Sqlite> {
        let sqlite = open_file(&self.path, false)?;
        sqlite.execute_batch("PRAGMA synchronous = NORMAL").map_err(|error| simple(&error))?;
        Ok(sqlite)
    }

    /// Notes a commit, and gives its ticket; the write lock is still held.
    pub(super) fn committed(&self) -> u64 {
        self.log.written.fetch_add(1, Ordering::SeqCst);
        self.tickets.take()
    }

    /// Waits until everything committed so far, by whomever, survives a loss of power.
    pub fn wait_durable(&self) -> Result<()> {
        self.log.flush()
    }

    /// Waits for the write lock; a cancel request ends the wait.
    pub(super) fn lock_writer(&self, interrupt: &Interrupt) -> Result<()> {
        self.log.check()?;
        self.writer.take(|| interrupt.error().map_or(Ok(()), Err))?;
        // Whoever closed the gate meanwhile wants no writes that were waiting either.
        self.gate.check().inspect_err(|_| self.unlock_writer())
    }

    /// Does something while nobody writes.
    pub fn exclusively<T>(&self, work: impl FnOnce() -> T) -> T {
        loop {
            if let Some(_turn) = self.turn() {
                return work();
            }
        }
    }

    /// Does something while nobody writes, unless a transaction goes on for longer than a checkpoint waits.
    pub fn exclusively_soon<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        self.turn().map(|_turn| work())
    }

    fn turn(&self) -> Option<Turn<'_>> {
        self.writer.take_first(PATIENCE).then(|| Turn(self))
    }

    pub(super) fn unlock_writer(&self) {
        self.writer.release();
    }

    pub(super) fn definitions_changed(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes up definitions that came with another server's pages.
    pub fn adopt_definitions(&self, version: u64) {
        self.generation.store(version, Ordering::SeqCst);
    }

    /// Takes up sequences that came with another server's pages.
    pub fn adopt_sequences(&self) -> Result<()> {
        let stored = read_sequences(&lock(&self.keeper))?;
        *lock(&self.sequences) = stored;
        Ok(())
    }

    /// Forgets sequences that a rollback took back.
    pub(super) fn reread_sequences(&self, sqlite: &Sqlite) {
        if let Ok(stored) = read_sequences(sqlite) {
            let mut sequences = lock(&self.sequences);
            sequences.retain(|name, _| stored.contains_key(name) || is_temporary(name));
            for (name, sequence) in stored {
                sequences.entry(name).or_insert(sequence);
            }
        }
    }

    /// How much of the write-ahead log is in use, in bytes; 0 if the next writer starts it again.
    pub fn wal_used(&self) -> u64 {
        wal::used(&self.path)
    }

    /// Copies the write-ahead log into the file, all of it, so that the next writer starts it again: else it would grow
    /// for as long as somebody writes, and a log that is written over in place is flushed in two thirds of the time.
    /// What a reader of an old state needs, or a transaction that goes on for long, waits for the next checkpoint.
    pub fn checkpoint_whole(&self) -> Result<()> {
        // Most of it is copied while others write, and the rest is little.
        self.checkpoint(false)?;
        if self.wal_used() == 0 {
            return Ok(());
        }
        self.exclusively_soon(|| self.checkpoint(false)).unwrap_or(Ok(()))
    }

    /// Copies the write-ahead log into the file; `last` also empties the log, at shutdown.
    pub fn checkpoint(&self, last: bool) -> Result<()> {
        let mode = if last { "TRUNCATE" } else { "PASSIVE" };
        let keeper = lock(&self.keeper);
        let result = keeper.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        result.map_err(|error| {
            self.note(&error);
            simple(&error)
        })
    }

    /// Whether a flush has failed: nobody knows what is on the disk, and only the next start can tell.
    pub fn has_failed(&self) -> bool {
        self.log.failed.load(Ordering::SeqCst)
    }

    /// Looks whether an error of SQLite's is a failed flush.
    pub(super) fn note(&self, error: &rusqlite::Error) {
        use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
        let code = error.sqlite_error().map(|error| error.extended_code);
        if matches!(code, Some(SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC)) {
            self.log.failed.store(true, Ordering::SeqCst);
        }
    }
}

/// The write-ahead log and how far it is on the disk: many commits share one flush.
///
/// 1. A commit writes its frames while it holds the write lock, without flushing them, and is counted
///    in `written`. The next writer starts at once.
/// 2. Whoever has finished a transaction, a reader too, waits for `durable` to reach what `written` was
///    then. Nobody is told that a statement is complete before everything it saw is on the disk.
/// 3. One of those that wait flushes the log for all; those who come meanwhile wait for the next flush.
///
/// SQLite flushes by itself what consistency needs: the log before a checkpoint copies it, the file
/// before the log starts again, and the log's header. A flush that fails can't be repeated, because the
/// kernel may have dropped the pages: from then on nothing is acknowledged, and the server ends. The next start
/// writes what it finds in the log anew: see [`wal::rewrite`].
struct Log {
    file: File,
    written: AtomicU64,
    durable: AtomicU64,
    flushing: Mutex<bool>,
    flushed: Condvar,
    failed: AtomicBool,
}

impl Log {
    fn open(database: &Path) -> Result<Self> {
        let path = wal::path(database);
        let file = File::open(&path).map_err(|error| {
            SqlError::new("58030", format!("could not open `{}`: {error}", path.display()))
        })?;
        Ok(Self {
            file,
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            flushing: Mutex::new(false),
            flushed: Condvar::new(),
            failed: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<()> {
        if self.failed.load(Ordering::SeqCst) {
            let message = "could not flush the write-ahead log to the disk; the server must be restarted";
            return Err(SqlError::new("58030", message));
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let target = self.written.load(Ordering::SeqCst);
        while self.durable.load(Ordering::SeqCst) < target {
            let mut flushing = lock(&self.flushing);
            while *flushing {
                flushing = self.flushed.wait(flushing).unwrap_or_else(PoisonError::into_inner);
            }
            self.check()?;
            if self.durable.load(Ordering::SeqCst) >= target {
                break;
            }
            *flushing = true;
            drop(flushing);
            let upto = self.written.load(Ordering::SeqCst);
            match self.file.sync_data() {
                Ok(()) => self.durable.store(upto, Ordering::SeqCst),
                Err(error) => {
                    log::error(&format!("can't flush a write-ahead log: {error}"));
                    self.failed.store(true, Ordering::SeqCst);
                }
            }
            *lock(&self.flushing) = false;
            self.flushed.notify_all();
        }
        Ok(())
    }
}

/// A lock whose holder panicked still guards consistent data here: every change is one assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a file with the settings that every connection has.
pub(super) fn open_file(path: &Path, create: bool) -> Result<Sqlite> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let open = || -> rusqlite::Result<Sqlite> {
        let sqlite = Sqlite::open_with_flags(path, flags)?;
        sqlite.busy_timeout(Duration::from_secs(5))?;
        sqlite.set_prepared_statement_cache_capacity(64);
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        // Checkpoints have a schedule of their own; sorting stays in memory because the root may be read-only.
        sqlite.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;",
        )?;
        Ok(sqlite)
    };
    open().map_err(|error| {
        let SqlError { code, message, .. } = simple(&error);
        SqlError::new(code, format!("could not open `{}`: {message}", path.display()))
    })
}

fn read_sequences(sqlite: &Sqlite) -> Result<HashMap<String, Sequence>> {
    let read = || -> rusqlite::Result<HashMap<String, Sequence>> {
        let mut statement = sqlite
            .prepare("SELECT name, start, increment, min, max, cycle, last, called FROM __sb_sequence")?;
        let rows = statement.query_map([], |row| {
            Ok(Sequence {
                name: row.get(0)?,
                start: row.get(1)?,
                increment: row.get(2)?,
                min: row.get(3)?,
                max: row.get(4)?,
                cycle: row.get(5)?,
                last: row.get(6)?,
                called: row.get(7)?,
            })
        })?;
        rows.map(|row| row.map(|sequence| (sequence.name.clone(), sequence))).collect()
    };
    read().map_err(|error| simple(&error))
}

#[cfg(test)]
mod tests {
    use super::Database;
    use crate::engine::{Gate, wal};
    use std::sync::Arc;
    use std::thread::scope;

    #[test]
    fn a_log_starts_again_though_its_writer_never_pauses() {
        const BEYOND: u64 = 64 << 10;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        Database::create(&path).unwrap();
        let database = Database::open("a", 1, &path, Arc::new(Gate::default())).unwrap();
        scope(|scope| {
            let writer = scope.spawn(|| {
                let sqlite = database.connect().unwrap();
                sqlite.execute_batch("CREATE TABLE t (x)").unwrap();
                let (mut used, mut starts) = (0, 0);
                for _ in 0..20_000 {
                    database.exclusively(|| {
                        sqlite.execute("INSERT INTO t VALUES (randomblob(2000))", []).unwrap()
                    });
                    starts += u32::from(database.wal_used() < used);
                    used = database.wal_used();
                    if starts == 5 {
                        break;
                    }
                }
                starts
            });
            while !writer.is_finished() {
                if database.wal_used() > BEYOND {
                    database.checkpoint_whole().unwrap();
                }
            }
            assert_eq!(writer.join().unwrap(), 5);
        });
        database.checkpoint_whole().unwrap();
        assert_eq!(database.wal_used(), 0, "all is copied");
        assert!(std::fs::metadata(wal::path(&path)).unwrap().len() > BEYOND, "and the log keeps its room");
    }
}
