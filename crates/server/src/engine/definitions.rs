//! The definitions of a database: how a connection reads them, and how it carries out their changes.

use super::Value;
use super::connection::Connection;
use super::database::lock;
use crate::sql::catalog::{Catalog, Kind, OnCommit, Relation, is_temporary};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{Sequence, Step};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where the definitions of the session's temporary tables are kept.
const TEMPORARY_CATALOG: &str = "CREATE TABLE IF NOT EXISTS temp.__sb_temporary (name TEXT PRIMARY KEY, definition TEXT NOT NULL) STRICT, WITHOUT ROWID";

fn catalog_of(key: &str) -> &'static str {
    if is_temporary(key) { "temp.__sb_temporary" } else { "main.__sb_catalog" }
}

impl Connection {
    /// The definitions as this connection sees them now.
    pub fn catalog(&mut self) -> Result<Arc<Catalog>> {
        let generation = self.database.generation.load(Ordering::SeqCst);
        if self.seen != Some(generation) && !self.changed_definitions {
            // Outside a transaction all see the same, unless they have tables of their own.
            let common = !self.in_transaction() && !self.has_temporary()?;
            let known = lock(&self.database.definitions).clone();
            if common && known.0 == generation {
                self.catalog = known.1;
                self.seen = Some(generation);
                return Ok(Arc::clone(&self.catalog));
            }
            let read = |table: &str| -> rusqlite::Result<Vec<String>> {
                let mut statement = self.sqlite.prepare_cached(&format!("SELECT definition FROM {table}"))?;
                statement.query_map([], |row| row.get(0))?.collect()
            };
            let mut catalog = Catalog::default();
            let mut texts = read(catalog_of("")).map_err(|error| self.error(&error))?;
            if !common && self.has_temporary()? {
                texts.extend(read("temp.__sb_temporary").map_err(|error| self.error(&error))?);
            }
            for text in texts {
                let relation: Relation = serde_json::from_str(&text)
                    .map_err(|error| SqlError::new("XX001", format!("the catalogue is damaged: {error}")))?;
                catalog.relations.insert(relation.name.clone(), relation);
            }
            self.catalog = Arc::new(catalog);
            if common {
                *lock(&self.database.definitions) = (generation, Arc::clone(&self.catalog));
            }
            self.seen = Some(generation);
        }
        Ok(Arc::clone(&self.catalog))
    }

    /// Lets go of the definitions until the next statement, outside a transaction.
    pub(super) fn drop_definitions(&mut self) {
        if !self.changed_definitions {
            self.seen = None;
            self.catalog = Arc::default();
        }
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

    /// Carries out changes of definitions; what the client should know is the caller's to say.
    pub fn apply(&mut self, steps: &[Step]) -> Result<()> {
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
                Step::Notice(_) | Step::Warning(_) => {}
            }
        }
        Ok(())
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

    pub(super) fn write_sequence(&self, sequence: &Sequence) -> Result<()> {
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
}
