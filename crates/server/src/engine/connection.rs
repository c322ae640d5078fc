//! One client's connection to a database: statements, transactions, definitions.

use super::database::{Database, lock};
use super::error::translate;
use super::functions;
use super::{Value, ValueRef};
use crate::sql::catalog::{Catalog, Kind, Relation};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{Sequence, Step};
use crate::sql::{datetime, quote};
use rusqlite::Connection as Sqlite;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// Instructions of SQLite's machine between two looks at the interrupt.
const INSTRUCTIONS: i32 = 2000;

/// Why a running statement should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The client asked.
    Cancel = 1,
    /// The server shuts down, or an administrator ended the session.
    Terminate = 2,
}

/// Stops a running statement from another thread, or at a deadline.
#[derive(Debug, Default)]
pub struct Interrupt {
    reason: AtomicU8,
    /// Microseconds since 2000, 0 for none.
    deadline: AtomicI64,
}

impl Interrupt {
    /// Asks the running statement to stop.
    pub fn raise(&self, reason: Reason) {
        self.reason.fetch_max(reason as u8, Ordering::SeqCst);
    }

    /// Whether the session is to end.
    pub fn terminated(&self) -> bool {
        self.reason.load(Ordering::SeqCst) == Reason::Terminate as u8
    }

    /// Starts a statement: an earlier cancel request is forgotten, a termination is not.
    pub fn arm(&self, timeout_ms: u64) {
        let _ = self.reason.compare_exchange(Reason::Cancel as u8, 0, Ordering::SeqCst, Ordering::SeqCst);
        let micros = i64::try_from(timeout_ms).unwrap_or(0).saturating_mul(1000);
        let deadline = if micros == 0 { 0 } else { datetime::now() + micros };
        self.deadline.store(deadline, Ordering::SeqCst);
    }

    /// Ends a statement: its deadline no longer counts.
    pub fn disarm(&self) {
        self.deadline.store(0, Ordering::SeqCst);
    }

    /// The error to stop with, if there is a reason to stop.
    pub fn error(&self) -> Option<SqlError> {
        match self.reason.load(Ordering::SeqCst) {
            0 => {}
            1 => return Some(SqlError::new("57014", "canceling statement due to user request")),
            _ => {
                return Some(SqlError::fatal("57P01", "terminating connection due to administrator command"));
            }
        }
        let deadline = self.deadline.load(Ordering::SeqCst);
        let late = deadline != 0 && datetime::now() >= deadline;
        late.then(|| SqlError::new("57014", "canceling statement due to statement timeout"))
    }
}

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
}

/// One client's connection.
pub struct Connection {
    sqlite: Sqlite,
    database: Arc<Database>,
    /// Stops the running statement.
    pub interrupt: Arc<Interrupt>,
    state: Arc<Mutex<SessionState>>,
    catalog: Arc<Catalog>,
    seen: Option<u64>,
    holds_lock: bool,
    changed_definitions: bool,
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

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database.name
    }

    /// The definitions as this connection sees them now.
    pub fn catalog(&mut self) -> Result<Arc<Catalog>> {
        let generation = self.database.generation.load(Ordering::SeqCst);
        if self.seen != Some(generation) && !self.changed_definitions {
            let read = || -> rusqlite::Result<Vec<String>> {
                let mut statement = self.sqlite.prepare_cached("SELECT definition FROM main.__sb_catalog")?;
                statement.query_map([], |row| row.get(0))?.collect()
            };
            let mut catalog = Catalog::default();
            for text in read().map_err(|error| self.error(&error))? {
                let relation: Relation = serde_json::from_str(&text)
                    .map_err(|error| SqlError::new("XX001", format!("the catalogue is damaged: {error}")))?;
                catalog.relations.insert(relation.name.clone(), relation);
            }
            self.catalog = Arc::new(catalog);
            self.seen = Some(generation);
        }
        Ok(Arc::clone(&self.catalog))
    }

    /// Gives back the memory of compiled statements and cached pages.
    pub fn shrink(&self) -> Result<()> {
        self.sqlite.flush_prepared_statement_cache();
        self.sqlite.release_memory().map_err(|error| self.error(&error))
    }

    /// The database's sequences.
    pub fn sequences(&self) -> Vec<Sequence> {
        lock(&self.database.sequences).values().cloned().collect()
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
        if result.is_err() {
            self.rollback();
            return result;
        }
        if std::mem::take(&mut self.changed_definitions) {
            self.database.definitions_changed();
            self.seen = None;
        }
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

    fn release(&mut self) {
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

    /// Runs one statement, hands each row to `row`, and counts the rows changed.
    pub fn run(
        &self,
        sql: &str,
        params: &[Value],
        row: &mut dyn FnMut(&[ValueRef<'_>]) -> Result<bool>,
    ) -> Result<u64> {
        let mut statement = self.sqlite.prepare_cached(sql).map_err(|error| self.error(&error))?;
        let wanted = statement.parameter_count();
        for (index, value) in params.iter().enumerate().take(wanted) {
            statement.raw_bind_parameter(index + 1, value).map_err(|error| self.error(&error))?;
        }
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        while let Some(found) = rows.next().map_err(|error| self.error(&error))? {
            let mut line = Vec::with_capacity(width);
            for index in 0..width {
                line.push(found.get_ref(index).map_err(|error| self.error(&error))?);
            }
            if !row(&line)? {
                break;
            }
        }
        drop(rows);
        drop(statement);
        Ok(self.sqlite.changes())
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

    /// Carries out changes of definitions; gives back what the client should know.
    pub fn apply(&mut self, steps: &[Step]) -> Result<Vec<String>> {
        let mut notices = Vec::new();
        for step in steps {
            match step {
                Step::Sql(sql) => {
                    self.execute(sql, &[])?;
                }
                Step::Put(relation) => self.put(relation)?,
                Step::Remove(name) => self.remove(name)?,
                Step::PutSequence(sequence) => {
                    lock(&self.database.sequences).insert(sequence.name.clone(), sequence.clone());
                    self.write_sequence(sequence)?;
                    self.changed_definitions = true;
                }
                Step::RestartSequence(name) => {
                    let mut sequences = lock(&self.database.sequences);
                    if let Some(sequence) = sequences.get_mut(name) {
                        (sequence.last, sequence.called) = (sequence.start, false);
                        lock(&self.state).touched.insert(name.clone());
                    }
                }
                Step::Notice(text) => notices.push(text.clone()),
            }
        }
        Ok(notices)
    }

    fn put(&mut self, relation: &Relation) -> Result<()> {
        self.catalog()?;
        let text =
            serde_json::to_string(relation).map_err(|error| SqlError::new("XX000", error.to_string()))?;
        let params = [Value::Text(relation.name.clone()), Value::Text(text)];
        self.execute("INSERT OR REPLACE INTO main.__sb_catalog (name, definition) VALUES (?1, ?2)", &params)?;
        Arc::make_mut(&mut self.catalog).relations.insert(relation.name.clone(), relation.clone());
        self.changed_definitions = true;
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        self.catalog()?;
        let params = [Value::Text(name.to_owned())];
        self.execute("DELETE FROM main.__sb_catalog WHERE name = ?1", &params)?;
        let removed = Arc::make_mut(&mut self.catalog).relations.remove(name);
        if removed.is_some_and(|relation| relation.kind == Kind::Sequence) {
            self.execute("DELETE FROM main.__sb_sequence WHERE name = ?1", &params)?;
            lock(&self.database.sequences).remove(name);
        }
        self.changed_definitions = true;
        Ok(())
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

    fn write_sequence(&self, sequence: &Sequence) -> Result<()> {
        let params = [
            Value::Text(sequence.name.clone()),
            Value::Integer(sequence.start),
            Value::Integer(sequence.increment),
            Value::Integer(sequence.min),
            Value::Integer(sequence.max),
            Value::Integer(i64::from(sequence.cycle)),
            Value::Integer(sequence.last),
            Value::Integer(i64::from(sequence.called)),
        ];
        let sql = "INSERT OR REPLACE INTO main.__sb_sequence
                   (name, start, increment, min, max, cycle, last, called) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.execute(sql, &params).map(|_| ())
    }

    fn batch(&self, sql: &str) -> Result<()> {
        let result = self.sqlite.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        result.map(|_| ()).map_err(|error| self.error(&error))
    }

    fn error(&self, error: &rusqlite::Error) -> SqlError {
        let interrupted = error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted);
        let reason = if interrupted { self.interrupt.error() } else { None };
        reason.unwrap_or_else(|| translate(error, &self.catalog))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.rollback();
    }
}
