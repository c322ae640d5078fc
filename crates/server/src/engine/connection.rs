//! One client's connection to a database: statements, transactions, definitions.

use super::database::{Database, lock};
use super::error::translate;
use super::functions;
use super::{Value, ValueRef};
use crate::sql::catalog::{Catalog, Kind, OnCommit, Relation, is_temporary};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{Sequence, Step};
use crate::sql::{datetime, quote};
use rusqlite::{CachedStatement, Connection as Sqlite};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// Instructions of SQLite's machine between two looks at the interrupt.
const INSTRUCTIONS: i32 = 2000;

/// Where the definitions of the session's temporary tables are kept.
const TEMPORARY_CATALOG: &str = "CREATE TABLE IF NOT EXISTS temp.__sb_temporary (name TEXT PRIMARY KEY, definition TEXT NOT NULL) STRICT, WITHOUT ROWID";

fn catalog_of(key: &str) -> &'static str {
    if is_temporary(key) { "temp.__sb_temporary" } else { "main.__sb_catalog" }
}

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
        self.limit(timeout_ms);
    }

    /// What goes on may take this long; 0 is no limit.
    pub fn limit(&self, timeout_ms: u64) {
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
    state: Arc<Mutex<SessionState>>,
    pub(super) catalog: Arc<Catalog>,
    seen: Option<u64>,
    pub(super) holds_lock: bool,
    changed_definitions: bool,
    /// There may be temporary tables that the end of a transaction concerns.
    passing: bool,
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

    /// The definitions as this connection sees them now.
    pub fn catalog(&mut self) -> Result<Arc<Catalog>> {
        let generation = self.database.generation.load(Ordering::SeqCst);
        if self.seen != Some(generation) && !self.changed_definitions {
            let read = |table: &str| -> rusqlite::Result<Vec<String>> {
                let mut statement = self.sqlite.prepare_cached(&format!("SELECT definition FROM {table}"))?;
                statement.query_map([], |row| row.get(0))?.collect()
            };
            let mut catalog = Catalog::default();
            let mut texts = read(catalog_of("")).map_err(|error| self.error(&error))?;
            if self.has_temporary()? {
                texts.extend(read("temp.__sb_temporary").map_err(|error| self.error(&error))?);
            }
            for text in texts {
                let relation: Relation = serde_json::from_str(&text)
                    .map_err(|error| SqlError::new("XX001", format!("the catalogue is damaged: {error}")))?;
                catalog.relations.insert(relation.name.clone(), relation);
            }
            self.catalog = Arc::new(catalog);
            self.seen = Some(generation);
        }
        Ok(Arc::clone(&self.catalog))
    }

    /// Reads the definitions again before the next statement.
    pub fn forget_definitions(&mut self) {
        self.seen = None;
    }

    /// Whether the session has, or had, temporary tables.
    fn has_temporary(&self) -> Result<bool> {
        let mut found = false;
        self.run("SELECT 1 FROM temp.sqlite_schema WHERE name = '__sb_temporary'", &[], &mut |_| {
            found = true;
            Ok(true)
        })?;
        Ok(found)
    }

    /// The temporary tables that the end of a transaction concerns.
    pub fn passing_tables(&mut self) -> Result<Vec<(String, OnCommit)>> {
        if !self.passing {
            return Ok(Vec::new());
        }
        let catalog = self.catalog()?;
        let passing = catalog.relations.values().filter_map(|r| Some((r.base().to_owned(), r.on_commit?)));
        let tables: Vec<(String, OnCommit)> = passing.collect();
        self.passing = !tables.is_empty();
        Ok(tables)
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

    /// Carries out changes of definitions; gives back what the client should know.
    pub fn apply(&mut self, steps: &[Step]) -> Result<Vec<String>> {
        let mut notices = Vec::new();
        for step in steps {
            match step {
                Step::Sql(sql) => {
                    self.execute(sql, &[])?;
                }
                Step::Rewrite { table, sql } => self.rewrite(table, sql)?,
                Step::Refuse { sql, error } => {
                    let mut found = false;
                    self.run(sql, &[], &mut |_| {
                        found = true;
                        Ok(false)
                    })?;
                    if found {
                        return Err(error.clone());
                    }
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

    /// Replaces a table's text in SQLite's schema. The next statement reads the schema again, here and in
    /// every other connection; a rollback takes the text back like any row.
    fn rewrite(&self, table: &str, sql: &str) -> Result<()> {
        let database = if is_temporary(table) { "temp" } else { "main" };
        let mut version = 0;
        self.run(&format!("PRAGMA {database}.schema_version"), &[], &mut |row| {
            version = row.first().and_then(|value| value.as_i64().ok()).unwrap_or(0);
            Ok(true)
        })?;
        self.batch("PRAGMA writable_schema = ON")?;
        let update =
            format!("UPDATE {database}.sqlite_schema SET sql = ?1 WHERE type = 'table' AND name = ?2");
        let written = self.execute(&update, &[Value::Text(sql.to_owned()), Value::Text(table.to_owned())]);
        let counted = self.batch(&format!("PRAGMA {database}.schema_version = {}", version + 1));
        self.batch("PRAGMA writable_schema = OFF")?;
        counted?;
        // A pragma believes what was read of the schema before; a query notices that it is out of date.
        self.run(&format!("SELECT 1 FROM {database}.sqlite_schema LIMIT 1"), &[], &mut |_| Ok(true))?;
        match written? {
            1 => Ok(()),
            _ => Err(SqlError::new("XX000", format!("table {table:?} is not in the schema"))),
        }
    }

    fn put(&mut self, relation: &Relation) -> Result<()> {
        self.catalog()?;
        let text =
            serde_json::to_string(relation).map_err(|error| SqlError::new("XX000", error.to_string()))?;
        let params = [Value::Text(relation.name.clone()), Value::Text(text)];
        if is_temporary(&relation.name) {
            self.batch(TEMPORARY_CATALOG)?;
        }
        let table = catalog_of(&relation.name);
        self.execute(&format!("INSERT OR REPLACE INTO {table} (name, definition) VALUES (?1, ?2)"), &params)?;
        Arc::make_mut(&mut self.catalog).relations.insert(relation.name.clone(), relation.clone());
        self.passing |= relation.on_commit.is_some();
        self.changed_definitions = true;
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        self.catalog()?;
        let params = [Value::Text(name.to_owned())];
        if !self.catalog.relations.contains_key(name) {
            return Ok(());
        }
        self.execute(&format!("DELETE FROM {} WHERE name = ?1", catalog_of(name)), &params)?;
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
        if is_temporary(&sequence.name) {
            return Ok(());
        }
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

    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        let result = self.sqlite.prepare_cached(sql).and_then(|mut statement| statement.raw_execute());
        result.map(|_| ()).map_err(|error| self.error(&error))
    }

    fn error(&self, error: &rusqlite::Error) -> SqlError {
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
