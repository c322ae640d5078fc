//! One database as SQL text: what `backup --sql` writes.
//!
//! Everything is asked over the protocol, of Postgres' own catalogues, in one snapshot. The text is what `psql` reads:
//! it restores into this server and, as far as the types are there, into PostgreSQL.
//!
//! 1. Schemas, extensions, types, sequences that no column owns, then tables with keys and checks; a table comes after
//!    those that it refers to.
//! 2. The rows, as COPY's lines, and the sequences' positions.
//! 3. Other indexes, then views in the order of their making.
//! 4. Comments, owners and access rights. Roles are in the archive, not here, so those who are named must be there; an
//!    object of the database's owner becomes its who reads the text in.

mod rights;

use crate::client::scanner::literal;
use crate::client::{Client, Event, Lost};
use crate::sql::quote;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, Result, Write};

type Row = Vec<Option<String>>;

const OWN: &str =
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg_temp%'";

/// Writes the database that a client is connected to.
pub fn write(client: &mut Client, out: &mut dyn Write) -> Result<()> {
    let mut dump = Dump { client };
    dump.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
    writeln!(out, "-- Made by ScratchBird {}; read it with psql.", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;")?;
    for row in dump.rows(&format!(
        "SELECT nspname FROM pg_namespace n WHERE {OWN} AND nspname <> 'public' ORDER BY nspname"
    ))? {
        writeln!(out, "CREATE SCHEMA {};", quote(text(&row, 0)))?;
    }
    for row in dump.rows(
        "SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
         WHERE e.extname <> 'plpgsql' ORDER BY e.extname",
    )? {
        let (name, schema) = (quote(text(&row, 0)), quote(text(&row, 1)));
        writeln!(out, "CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA {schema};")?;
    }
    dump.types(out)?;
    let tables = dump.tables()?;
    let sequences = dump.sequences(&tables)?;
    for sequence in sequences.iter().filter(|sequence| !sequence.owned) {
        writeln!(out, "CREATE SEQUENCE {}{};", sequence.name, sequence.options)?;
    }
    for table in ordered(&tables) {
        writeln!(out, "CREATE TABLE {} (\n    {}\n);", table.name, table.items.join(",\n    "))?;
    }
    for table in ordered(&tables) {
        let columns = table.stored.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        if !columns.is_empty() {
            writeln!(out, "COPY {} ({columns}) FROM stdin;", table.name)?;
            dump.copy(&format!("COPY {} ({columns}) TO STDOUT", table.name), out)?;
            writeln!(out, "\\.")?;
        }
    }
    for sequence in &sequences {
        if let Some(position) = &sequence.position {
            writeln!(out, "SELECT setval({}, {position});", sequence.reference)?;
        }
    }
    dump.indexes('r', out)?;
    dump.views(out)?;
    dump.indexes('m', out)?;
    dump.comments(out)?;
    dump.rights(out)?;
    dump.run("COMMIT")
}

struct Table {
    oid: String,
    name: String,
    /// Columns and constraints, as CREATE TABLE has them.
    items: Vec<String>,
    /// The columns that hold values of their own.
    stored: Vec<String>,
    /// The tables that it refers to.
    parents: BTreeSet<String>,
    /// The columns that count by a sequence of their own.
    counted: Vec<String>,
}

struct Sequence {
    name: String,
    owned: bool,
    /// What names it in a function's argument.
    reference: String,
    options: String,
    /// What `setval` gets, if the sequence was used.
    position: Option<String>,
}

struct Dump<'a> {
    client: &'a mut Client,
}

impl Dump<'_> {
    fn types(&mut self, out: &mut dyn Write) -> Result<()> {
        let types = format!(
            "SELECT t.oid, n.nspname, t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
             WHERE t.typtype = 'e' AND {OWN} ORDER BY t.oid"
        );
        for row in self.rows(&types)? {
            let sql = format!(
                "SELECT enumlabel FROM pg_enum WHERE enumtypid = {} ORDER BY enumsortorder",
                text(&row, 0)
            );
            let labels: Vec<String> = self.rows(&sql)?.iter().map(|row| literal(text(row, 0))).collect();
            let name = qualified(text(&row, 1), text(&row, 2));
            writeln!(out, "CREATE TYPE {name} AS ENUM ({});", labels.join(", "))?;
        }
        Ok(())
    }

    fn tables(&mut self) -> Result<Vec<Table>> {
        let sql = format!(
            "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r' AND {OWN} ORDER BY c.oid"
        );
        let mut tables = Vec::new();
        for row in self.rows(&sql)? {
            let mut table = Table {
                oid: text(&row, 0).to_owned(),
                name: qualified(text(&row, 1), text(&row, 2)),
                items: Vec::new(),
                stored: Vec::new(),
                parents: BTreeSet::new(),
                counted: Vec::new(),
            };
            self.columns(&mut table)?;
            self.constraints(&mut table)?;
            tables.push(table);
        }
        Ok(tables)
    }

    fn columns(&mut self, table: &mut Table) -> Result<()> {
        let sql = format!(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                    pg_get_expr(d.adbin, d.adrelid), pg_get_serial_sequence({}, a.attname)
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = {} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            literal(&table.name),
            table.oid
        );
        for row in self.rows(&sql)? {
            let (name, kind) = (text(&row, 0), text(&row, 1));
            let (identity, generated, default) = (text(&row, 3), text(&row, 4), text(&row, 5));
            // A default that counts by the column's own sequence is what `serial` means.
            let serial = default.starts_with("nextval(") && !text(&row, 6).is_empty();
            let kind = match (serial, kind) {
                (true, "smallint") => "smallserial",
                (true, "bigint") => "bigserial",
                (true, _) => "serial",
                (false, kind) => kind,
            };
            let mut item = format!("{} {kind}", quote(name));
            match (identity, generated, default) {
                ("a", ..) => item += " GENERATED ALWAYS AS IDENTITY",
                ("d", ..) => item += " GENERATED BY DEFAULT AS IDENTITY",
                (_, "s", expression) => item += &format!(" GENERATED ALWAYS AS ({expression}) STORED"),
                (.., default) if !serial && !default.is_empty() => item += &format!(" DEFAULT {default}"),
                _ => {}
            }
            if text(&row, 2) == "t" && identity.is_empty() && !serial {
                item += " NOT NULL";
            }
            table.items.push(item);
            if generated.is_empty() {
                table.stored.push(name.to_owned());
            }
            if serial || !identity.is_empty() {
                table.counted.push(name.to_owned());
            }
        }
        Ok(())
    }

    fn constraints(&mut self, table: &mut Table) -> Result<()> {
        let sql = format!(
            "SELECT conname, pg_get_constraintdef(oid), confrelid FROM pg_constraint
             WHERE conrelid = {} AND contype IN ('p', 'u', 'c', 'f') ORDER BY contype <> 'p', conname",
            table.oid
        );
        for row in self.rows(&sql)? {
            table.items.push(format!("CONSTRAINT {} {}", quote(text(&row, 0)), text(&row, 1)));
            if text(&row, 2) != "0" && text(&row, 2) != table.oid {
                table.parents.insert(text(&row, 2).to_owned());
            }
        }
        Ok(())
    }

    fn sequences(&mut self, tables: &[Table]) -> Result<Vec<Sequence>> {
        // The new server may give the sequence of a column another name: it is asked for by its column.
        let mut owned = BTreeMap::new();
        for table in tables {
            for column in &table.counted {
                let reference =
                    format!("pg_get_serial_sequence({}, {})", literal(&table.name), literal(column));
                let rows = self.rows(&format!("SELECT {reference}"))?;
                let name = rows.first().map(|row| text(row, 0)).unwrap_or_default();
                owned.insert(name.replace('"', ""), reference);
            }
        }
        let sql = "SELECT schemaname, sequencename, start_value, increment_by, min_value, max_value, cycle, last_value
                   FROM pg_sequences ORDER BY schemaname, sequencename";
        let mut found = Vec::new();
        for row in self.rows(sql)? {
            let plain = format!("{}.{}", text(&row, 0), text(&row, 1));
            let cycle = if text(&row, 6) == "t" { " CYCLE" } else { "" };
            let name = qualified(text(&row, 0), text(&row, 1));
            found.push(Sequence {
                owned: owned.contains_key(&plain),
                reference: owned.remove(&plain).unwrap_or_else(|| literal(&name)),
                name,
                options: format!(
                    " INCREMENT BY {} MINVALUE {} MAXVALUE {} START WITH {}{cycle}",
                    text(&row, 3),
                    text(&row, 4),
                    text(&row, 5),
                    text(&row, 2)
                ),
                position: row.get(7).cloned().flatten(),
            });
        }
        Ok(found)
    }

    /// The indexes of all relations of a kind.
    fn indexes(&mut self, kind: char, out: &mut dyn Write) -> Result<()> {
        // Those of keys come with the tables.
        let sql = format!(
            "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class r ON r.oid = i.indrelid
             WHERE {OWN} AND r.relkind = '{kind}' AND c.relname NOT IN (SELECT conname FROM pg_constraint WHERE contype IN ('p', 'u'))
             ORDER BY i.indexrelid"
        );
        for row in self.rows(&sql)? {
            writeln!(out, "{};", text(&row, 0))?;
        }
        Ok(())
    }

    fn views(&mut self, out: &mut dyn Write) -> Result<()> {
        let sql = format!(
            "SELECT n.nspname, c.relname, pg_get_viewdef(c.oid), c.relkind, c.relispopulated, c.oid FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {OWN} ORDER BY c.oid"
        );
        for row in self.rows(&sql)? {
            let query = text(&row, 2).trim().trim_end_matches(';');
            let (kind, data) = match (text(&row, 3), text(&row, 4)) {
                ("v", _) => ("VIEW", ""),
                (_, "t") => ("MATERIALIZED VIEW", " WITH DATA"),
                _ => ("MATERIALIZED VIEW", " WITH NO DATA"),
            };
            let name = qualified(text(&row, 0), text(&row, 1));
            let columns = self.rows(&format!(
                "SELECT attname FROM pg_attribute WHERE attrelid = {} AND attnum > 0 ORDER BY attnum",
                text(&row, 5)
            ))?;
            let columns: Vec<String> = columns.iter().map(|row| quote(text(row, 0))).collect();
            writeln!(out, "CREATE {kind} {name} ({}) AS {query}{data};", columns.join(", "))?;
        }
        Ok(())
    }

    fn run(&mut self, sql: &str) -> Result<()> {
        self.client.execute(sql).map_err(lost)?.map_err(|report| Error::other(report.line()))
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.client.query(sql).map_err(lost)?;
        let (mut rows, mut result) = (Vec::new(), Ok(()));
        loop {
            match self.client.event().map_err(lost)? {
                Event::Row(row) => rows.push(row),
                Event::Error(report) => result = Err(Error::other(report.line())),
                Event::Ready => return result.map(|()| rows),
                _ => {}
            }
        }
    }

    fn copy(&mut self, sql: &str, out: &mut dyn Write) -> Result<()> {
        self.client.query(sql).map_err(lost)?;
        let mut result = Ok(());
        loop {
            match self.client.event().map_err(lost)? {
                Event::CopyData(data) => out.write_all(&data)?,
                Event::Error(report) => result = Err(Error::other(report.line())),
                Event::Ready => return result,
                _ => {}
            }
        }
    }
}

// By value, as `map_err` hands it over.
#[allow(clippy::needless_pass_by_value)]
fn lost(lost: Lost) -> Error {
    Error::other(lost.to_string())
}

fn text(row: &Row, index: usize) -> &str {
    row.get(index).and_then(Option::as_deref).unwrap_or_default()
}

fn qualified(schema: &str, name: &str) -> String {
    if schema == "public" { quote(name) } else { format!("{}.{}", quote(schema), quote(name)) }
}

/// Tables after those that they refer to; those in a circle as they come.
fn ordered(tables: &[Table]) -> Vec<&Table> {
    let mut left: Vec<&Table> = tables.iter().collect();
    let mut done = Vec::new();
    while !left.is_empty() {
        let known: BTreeSet<&str> = left.iter().map(|table| table.oid.as_str()).collect();
        let free =
            left.iter().position(|table| !table.parents.iter().any(|parent| known.contains(parent.as_str())));
        done.push(left.remove(free.unwrap_or(0)));
    }
    done
}
