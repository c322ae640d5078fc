//! One client's connection to a database: statements, transactions, definitions.

use super::database::{Database, lock};
use super::error::translate;
use super::functions;
use super::interrupt::{Interrupt, Reason};
use super::{Value, ValueRef};
use crate::sql::catalog::{Catalog, Kind, is_temporary};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::Sequence;
use crate::sql::{datetime, quote};
use rusqlite::{CachedStatement, Connection as Sqlite};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// Instructions of SQLite's machine between two looks at the interrupt.
const INSTRUCTIONS: i32 = 2000;

/// What SQL functions know of their session.
#[derive(Default)]
pub(super) struct SessionState {
    /// The transaction's start, microseconds since 2000.
    pub now: i64,
    /// The backend's number.
    pub pid: i32,
    /// `currval`, by sequence.
    pub current: HashMap<String, i64>,
    /// `lastval`.
    pub last: Option<i64>,
    /// Sequences to be written with the transaction.
    pub touched: HashSet<String>,
    /// What set_config wants: parameter, value, and whether only for the transaction.
    pub wanted: Vec<(String, String, bool)>,
    /// What pg_notify wants: channel and message.
    pub messages: Vec<(String, String)>,
}

/// One client's connection.
pub struct Connection {
    pub(super) sqlite: Sqlite,
    pub(super) database: Arc<Database>,
    /// Stops the running statement.
    pub interrupt: Arc<Interrupt>,
    pub(super) state: Arc<Mutex<SessionState>>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) seen: Option<u64>,
    pub(super) holds_lock: bool,
    pub(super) changed_definitions: bool,
    /// There may be temporary tables that the end of a transaction concerns.
    pub(super) passing: bool,
}

impl Connection {
    /// Connects to a database.
    pub fn open(database: Arc<Database>, interrupt: Arc<Interrupt>, pid: i32) -> Result<Self> {
        let mut sqlite = database.connect()?;
        let state =
            Arc::new(Mutex::new(SessionState { now: datetime::now(), pid, ..SessionState::default() }));
        functions::register(&sqlite, &database, &state).map_err(|error| super::error::simple(&error))?;
        let watched = Arc::clone(&interrupt);
        sqlite
            .progress_handler(INSTRUCTIONS, Some(move || watched.error().is_some()))
            .map_err(|error| super::error::simple(&error))?;
        let catalog = Arc::default();
        let mut connection = Self {
            sqlite,
            database,
            interrupt,
            state,
            catalog,
            seen: None,
            holds_lock: false,
            changed_definitions: false,
            passing: false,
        };
        connection.catalog()?;
        Ok(connection)
    }

    /// Teaches the connection how to stop other sessions: by number, and whether for good.
    pub fn teach_signals(&self, signal: impl Fn(i32, Reason) -> Result<bool> + Send + 'static) -> Result<()> {
        functions::signals(&self.sqlite, signal).map_err(|error| self.error(&error))
    }

    /// Teaches the connection what to answer about replication.
    pub fn teach_replication(
        &self,
        ask: impl Fn(&str, &Value) -> Result<Value> + Send + 'static,
    ) -> Result<()> {
        functions::replication(&self.sqlite, ask).map_err(|error| self.error(&error))
    }

    /// Teaches the connection advisory locks: by the function's name and the lock's number.
    pub fn teach_locks(&self, lock: impl Fn(&str, i64) -> Result<bool> + Send + 'static) -> Result<()> {
        functions::locks(&self.sqlite, lock).map_err(|error| self.error(&error))
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database.name
    }

    /// Gives back the memory of compiled statements, definitions and cached pages.
    pub fn shrink(&mut self) -> Result<()> {
        self.drop_definitions();
        self.sqlite.flush_prepared_statement_cache();
        self.sqlite.release_memory().map_err(|error| self.error(&error))
    }

    /// The database's sequences.
    pub fn sequences(&self) -> Vec<Sequence> {
        lock(&self.database.sequences).values().cloned().collect()
    }

    /// What set_config has asked for since the last look: parameter, value, and whether only for the transaction.
    pub fn wanted_settings(&self) -> Vec<(String, String, bool)> {
        std::mem::take(&mut lock(&self.state).wanted)
    }

    /// What pg_notify has asked for since the last look: channel and message.
    pub fn wanted_messages(&self) -> Vec<(String, String)> {
        std::mem::take(&mut lock(&self.state).messages)
    }

    /// Notes the start of a transaction, for `now()`.
    pub fn start_clock(&self) {
        lock(&self.state).now = datetime::now();
    }

    /// Whether SQLite has a transaction open.
    pub fn in_transaction(&self) -> bool {
        !self.sqlite.is_autocommit()
    }

    /// Whether this connection may write.
    pub fn is_writer(&self) -> bool {
        self.holds_lock
    }

    /// Takes the write lock and starts to write, if this has not happened yet.
    pub fn begin_write(&mut self) -> Result<()> {
        if self.holds_lock {
            return Ok(());
        }
        self.database.gate.check()?;
        self.database.lock_writer(&self.interrupt)?;
        self.holds_lock = true;
        // In a snapshot an upgrade is tried by the statement itself, and fails with 40001 if others wrote.
        let result = if self.in_transaction() { Ok(()) } else { self.batch("BEGIN IMMEDIATE") };
        if result.is_err() {
            self.release();
        }
        result
    }

    /// Starts a transaction whose statements all see one state.
    pub fn begin_snapshot(&mut self) -> Result<()> {
        self.batch("BEGIN")?;
        self.sqlite
            .query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))
            .map_err(|e| self.error(&e))
    }

    /// Ends the transaction, and waits until all that it changed and saw is durable. An error means that
    /// nothing was changed, except 58030 from the flush itself: then only a restart can tell.
    pub fn commit(&mut self) -> Result<()> {
        if !self.in_transaction() {
            self.release();
            return self.database.wait_durable();
        }
        let open = if self.holds_lock { self.database.gate.check() } else { Ok(()) };
        let result = open
            .and_then(|()| self.persist_sequences())
            .and_then(|()| self.count_definitions())
            .and_then(|()| self.batch("COMMIT"));
        if let Err(error) = result {
            // The transaction is still open, so that what is wrong with it can be seen.
            let error = if error.code == "23503" { self.named_at_commit(error) } else { error };
            self.rollback();
            return Err(error);
        }
        if std::mem::take(&mut self.changed_definitions) {
            self.database.definitions_changed();
            self.seen = None;
        }
        self.settle()
    }

    /// Lets the next writer in, and waits until what was committed is safe.
    pub(super) fn settle(&mut self) -> Result<()> {
        let ticket = self.holds_lock.then(|| self.database.committed());
        self.release();
        let Some(ticket) = ticket else { return self.database.wait_durable() };
        self.database.gate.wake();
        self.database.wait_durable()?;
        self.database.gate.wait_replicated(&self.database.tickets, ticket, &self.interrupt)
    }

    /// The file's own count of changed definitions tells replicas when to read them again.
    fn count_definitions(&self) -> Result<()> {
        if !self.changed_definitions {
            return Ok(());
        }
        let version = self.sqlite.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0));
        let version = version.map_err(|error| self.error(&error))?.wrapping_add(1) & i32::MAX;
        let sql = format!("PRAGMA user_version = {version}");
        self.sqlite.execute_batch(&sql).map_err(|error| self.error(&error))
    }

    /// Takes everything back.
    pub fn rollback(&mut self) {
        if self.in_transaction() {
            // It can only fail when SQLite has rolled back by itself.
            let _ = self.sqlite.execute_batch("ROLLBACK");
        }
        if std::mem::take(&mut self.changed_definitions) {
            self.seen = None;
            self.database.reread_sequences(&self.sqlite);
        }
        lock(&self.state).touched.clear();
        self.release();
    }

    pub(super) fn release(&mut self) {
        if std::mem::take(&mut self.holds_lock) {
            self.database.unlock_writer();
        }
    }

    /// SAVEPOINT
    pub fn savepoint(&mut self, name: &str) -> Result<()> {
        self.batch(&format!("SAVEPOINT {}", quote(name)))
    }

    /// RELEASE SAVEPOINT
    pub fn release_savepoint(&mut self, name: &str) -> Result<()> {
        self.batch(&format!("RELEASE {}", quote(name)))
    }

    /// ROLLBACK TO SAVEPOINT
    pub fn rollback_to(&mut self, name: &str) -> Result<()> {
        self.batch(&format!("ROLLBACK TO {}", quote(name)))?;
        if self.changed_definitions {
            // What this transaction still sees is only in the file.
            self.changed_definitions = false;
            self.seen = None;
            self.catalog()?;
            self.changed_definitions = true;
        }
        Ok(())
    }

    /// A statement that is compiled once and run often.
    pub fn repeated(&self, sql: &str) -> Result<Repeated<'_>> {
        let statement = self.sqlite.prepare_cached(sql).map_err(|error| self.error(&error))?;
        Ok(Repeated { connection: self, statement })
    }

    /// Runs one statement, hands each row to `row`, and counts the rows changed.
    pub fn run(
        &self,
        sql: &str,
        params: &[Value],
        row: &mut dyn FnMut(&[ValueRef<'_>]) -> Result<bool>,
    ) -> Result<u64> {
        self.repeated(sql)?.run(params, row)
    }

    /// Runs a change and keeps what it returns in a temporary table.
    pub fn keep_returned(&self, table: &str, sql: &str, width: usize, params: &[Value]) -> Result<()> {
        if width == 0 {
            return self.execute(sql, params).map(|_| ());
        }
        let mut rows: Vec<Vec<Value>> = Vec::new();
        self.run(sql, params, &mut |line| {
            let row: std::result::Result<Vec<Value>, _> =
                line.iter().map(|value| Value::try_from(*value)).collect();
            rows.push(row.map_err(|error| SqlError::new("22021", error.to_string()))?);
            Ok(true)
        })?;
        let names: Vec<String> = (1..=width).map(|index| format!("c{index}")).collect();
        let marks: Vec<String> = (1..=width).map(|index| format!("?{index}")).collect();
        self.forget_returned(table)?;
        self.execute(&format!("CREATE TABLE temp.{} ({})", quote(table), names.join(", ")), &[])?;
        let insert = format!("INSERT INTO temp.{} VALUES ({})", quote(table), marks.join(", "));
        rows.iter().try_for_each(|row| self.execute(&insert, row).map(|_| ()))
    }

    /// Drops such a table.
    pub fn forget_returned(&self, table: &str) -> Result<()> {
        self.execute(&format!("DROP TABLE IF EXISTS temp.{}", quote(table)), &[]).map(|_| ())
    }

    /// Runs one statement that returns no rows.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.run(sql, params, &mut |_| Ok(true))
    }

    /// SQLite's plan of a statement, one line a step, indented.
    pub fn explain(&self, sql: &str, params: &[Value]) -> Result<Vec<String>> {
        let mut depths = HashMap::from([(0, 0_usize)]);
        let mut lines = Vec::new();
        self.run(&format!("EXPLAIN QUERY PLAN {sql}"), params, &mut |row| {
            if let [ValueRef::Integer(id), ValueRef::Integer(parent), _, ValueRef::Text(text)] = row {
                let depth = depths.get(parent).copied().unwrap_or(0);
                depths.insert(*id, depth + 1);
                lines.push(format!("{}{}", "  ".repeat(depth), String::from_utf8_lossy(text)));
            }
            Ok(true)
        })?;
        Ok(lines)
    }

    /// Sequences are counted in memory and written with the transaction that used them.
    fn persist_sequences(&self) -> Result<()> {
        let touched = std::mem::take(&mut lock(&self.state).touched);
        for name in touched {
            let sequence = lock(&self.database.sequences).get(&name).cloned();
            if let Some(sequence) = sequence {
                self.write_sequence(&sequence)?;
            }
        }
        Ok(())
    }

    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        let result = self.sqlite.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        result.map(|_| ()).map_err(|error| self.error(&error))
    }

    pub(super) fn error(&self, error: &rusqlite::Error) -> SqlError {
        self.database.note(error);
        let interrupted = error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted);
        let reason = if interrupted { self.interrupt.error() } else { None };
        reason.unwrap_or_else(|| translate(error, &self.catalog))
    }
}

/// A statement that is compiled once and run often.
pub struct Repeated<'c> {
    connection: &'c Connection,
    statement: CachedStatement<'c>,
}

impl Repeated<'_> {
    /// Runs it, hands each row to `row`, and counts the rows changed.
    pub fn run(
        &mut self,
        params: &[Value],
        row: &mut dyn FnMut(&[ValueRef<'_>]) -> Result<bool>,
    ) -> Result<u64> {
        let Self { connection, statement } = self;
        let wanted = statement.parameter_count();
        for (index, value) in params.iter().enumerate().take(wanted) {
            statement.raw_bind_parameter(index + 1, value).map_err(|error| connection.error(&error))?;
        }
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        while let Some(found) = rows.next().map_err(|error| connection.error(&error))? {
            let mut line = Vec::with_capacity(width);
            for index in 0..width {
                line.push(found.get_ref(index).map_err(|error| connection.error(&error))?);
            }
            if !row(&line)? {
                break;
            }
        }
        drop(rows);
        Ok(connection.sqlite.changes())
    }

    /// Runs it for what it does.
    pub fn execute(&mut self, params: &[Value]) -> Result<()> {
        self.run(params, &mut |_| Ok(true)).map(|_| ())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.rollback();
        let own = self.catalog.relations.values();
        let own = own.filter(|r| r.kind == Kind::Sequence && is_temporary(&r.name));
        for sequence in own {
            lock(&self.database.sequences).remove(&sequence.name);
        }
    }
}
