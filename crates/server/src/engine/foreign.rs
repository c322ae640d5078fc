//! Which foreign key an error is about: SQLite says only that there is one.
//!
//! 1. Often one constraint alone can be meant: the only one of the table that got a row, or the only one that refers to
//!    the table that lost one.
//! 2. Else the statement is run once more with its checks put off, SQLite is asked which row refers to nothing, and
//!    everything is taken back. That reads the tables in question, and happens on the way to an error only.

use super::connection::Connection;
use super::{Value, ValueRef};
use crate::sql::catalog::{Constraint, Relation, is_temporary};
use crate::sql::error::{Result, SqlError};
use crate::sql::quote;

/// A foreign key and its table.
type Key<'c> = (&'c Relation, &'c Constraint);

impl Connection {
    /// The error with the name of its constraint, after a statement that made these changes.
    pub fn name_foreign_key(
        &self,
        error: SqlError,
        sql: &str,
        params: &[Value],
        changes: &[(String, char)],
    ) -> SqlError {
        let changed = |table: &str, letters: &str| {
            changes.iter().any(|(name, letter)| name == table && letters.contains(*letter))
        };
        let mut candidates = Vec::new();
        for (table, key) in self.foreign_keys() {
            let refers = changed(&table.name, "aw");
            let referred = key.foreign.as_ref().is_some_and(|foreign| changed(&foreign.table, "wd"));
            if refers || referred {
                candidates.push((table, key));
            }
        }
        let cascades = |(_, key): &Key<'_>| {
            key.foreign.as_ref().is_some_and(|foreign| {
                !matches!(foreign.on_delete.as_str(), "" | "RESTRICT")
                    || !matches!(foreign.on_update.as_str(), "" | "RESTRICT")
            })
        };
        let found = match candidates.as_slice() {
            [(table, key)] => Some(((*table).clone(), (*key).clone(), changed(&table.name, "aw"))),
            candidates => {
                // What cascades can meet any other foreign key.
                let tables: Vec<&Relation> = if candidates.iter().any(cascades) {
                    self.foreign_keys().map(|(table, _)| table).collect()
                } else {
                    candidates.iter().map(|(table, _)| *table).collect()
                };
                // Without an answer the error stays as it is.
                let found = self.probe(sql, params, &tables).ok().flatten();
                found.map(|(table, key)| (table.clone(), key.clone(), changed(&table.name, "aw")))
            }
        };
        found.map_or(error, |(table, key, refers)| named(&table, &key, refers))
    }

    /// The error of a COMMIT with the name of its constraint.
    pub(super) fn named_at_commit(&self, error: SqlError) -> SqlError {
        let tables: Vec<&Relation> = self.foreign_keys().map(|(table, _)| table).collect();
        match self.broken(&tables) {
            Ok(Some((table, key))) => named(table, key, true),
            // Without an answer the error stays as it is.
            _ => error,
        }
    }

    /// Refuses rows that refer to nothing, though their constraints are deferred.
    pub fn check_foreign_keys(&self) -> Result<()> {
        let tables: Vec<&Relation> = self.foreign_keys().map(|(table, _)| table).collect();
        self.broken(&tables)?.map_or(Ok(()), |(table, key)| Err(named(table, key, true)))
    }

    /// The oldest table first, as Postgres checks them.
    fn foreign_keys(&self) -> impl Iterator<Item = Key<'_>> {
        let mut tables: Vec<&Relation> = self.catalog.relations.values().collect();
        tables.sort_by_key(|table| table.oid);
        tables.into_iter().flat_map(|table| {
            table.constraints.iter().filter(|key| key.kind == 'f').map(move |key| (table, key))
        })
    }

    fn probe(&self, sql: &str, params: &[Value], tables: &[&Relation]) -> Result<Option<Key<'_>>> {
        self.batch("SAVEPOINT sb_foreign")?;
        let found = self
            .batch("PRAGMA defer_foreign_keys = ON")
            .and_then(|()| self.run(sql, params, &mut |_| Ok(true)))
            .and_then(|_| self.broken_of(tables));
        let back = self
            .batch("ROLLBACK TO sb_foreign")
            .and_then(|()| self.batch("RELEASE sb_foreign"))
            .and_then(|()| self.batch("PRAGMA defer_foreign_keys = OFF"));
        let found = found?;
        back?;
        Ok(found.and_then(|(table, columns)| self.key_of(&table, &columns)))
    }

    fn broken(&self, tables: &[&Relation]) -> Result<Option<Key<'_>>> {
        Ok(self.broken_of(tables)?.and_then(|(table, columns)| self.key_of(&table, &columns)))
    }

    fn key_of(&self, table: &str, columns: &[String]) -> Option<Key<'_>> {
        self.foreign_keys().find(|(relation, key)| relation.name == table && key.columns == columns)
    }

    /// The first row that refers to nothing: its table, and the columns of the foreign key.
    fn broken_of(&self, tables: &[&Relation]) -> Result<Option<(String, Vec<String>)>> {
        for table in tables {
            let database = if is_temporary(&table.name) { "temp" } else { "main" };
            let (name, mut number) = (quote(&table.name), None);
            self.run(&format!("PRAGMA {database}.foreign_key_check({name})"), &[], &mut |row| {
                number = row.get(3).and_then(|value| value.as_i64().ok());
                Ok(false)
            })?;
            let Some(number) = number else { continue };
            let mut columns = Vec::new();
            self.run(&format!("PRAGMA {database}.foreign_key_list({name})"), &[], &mut |row| {
                if let [ValueRef::Integer(id), ValueRef::Integer(place), _, ValueRef::Text(from), ..] = row
                    && *id == number
                {
                    columns.push((*place, String::from_utf8_lossy(from).into_owned()));
                }
                Ok(true)
            })?;
            columns.sort();
            return Ok(Some((table.name.clone(), columns.into_iter().map(|(_, name)| name).collect())));
        }
        Ok(None)
    }
}

/// Postgres' words: the table that got a row is named first, or the one that lost one.
fn named(table: &Relation, key: &Constraint, refers: bool) -> SqlError {
    let (name, base) = (&key.name, table.base());
    let parent = key.foreign.as_ref().map_or("", |foreign| crate::sql::catalog::split(&foreign.table).1);
    let message = if refers {
        format!("insert or update on table \"{base}\" violates foreign key constraint \"{name}\"")
    } else {
        format!(
            "update or delete on table \"{parent}\" violates foreign key constraint \"{name}\" on table \"{base}\""
        )
    };
    SqlError::new("23503", message).about(b's', table.schema()).about(b't', base).about(b'n', name)
}
