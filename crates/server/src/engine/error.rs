//! From SQLite's errors to SQLSTATE and Postgres' wording.

use crate::sql::catalog::{Catalog, split};
use crate::sql::error::SqlError;
use rusqlite::ffi::ErrorCode;

/// An error outside a client's statement.
pub fn simple(error: &rusqlite::Error) -> SqlError {
    translate(error, &Catalog::default())
}

/// An error of a client's statement; the catalogue gives constraints their names.
pub fn translate(error: &rusqlite::Error, catalog: &Catalog) -> SqlError {
    if let Some((_, place)) = error.to_string().split_once("non-deterministic functions prohibited in ") {
        return mutable(place);
    }
    let rusqlite::Error::SqliteFailure(failure, message) = error else {
        let text = error.to_string();
        return SqlError::unpack(&text).unwrap_or_else(|| SqlError::new("XX000", text));
    };
    let text = message.clone().unwrap_or_else(|| failure.to_string());
    if let Some(packed) = SqlError::unpack(&text) {
        return packed;
    }
    match failure.code {
        ErrorCode::ConstraintViolation => constraint(&text, failure.extended_code, catalog),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            SqlError::new("40001", "could not serialize access due to concurrent update")
        }
        ErrorCode::DiskFull => SqlError::new("53100", "could not extend file: no space left on device"),
        ErrorCode::SystemIoFailure => {
            SqlError::new("58030", format!("could not read or write a file: {text}"))
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => SqlError::new("XX001", text),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            SqlError::new("25006", format!("the data directory can't be written: {text}"))
        }
        ErrorCode::CannotOpen => SqlError::new("58P01", format!("could not open a file: {text}")),
        ErrorCode::OutOfMemory => SqlError::new("53200", "out of memory"),
        ErrorCode::TooBig => SqlError::new("54000", "value or row is too big"),
        ErrorCode::OperationInterrupted => SqlError::new("57014", "canceling statement due to user request"),
        _ => other(&text),
    }
}

/// What depends on the session or the moment can't be kept by an index or a generated column.
fn mutable(place: &str) -> SqlError {
    let message = if place.starts_with("index expressions") {
        "functions in index expression must be marked IMMUTABLE"
    } else if place.starts_with("partial index") {
        "functions in index predicate must be marked IMMUTABLE"
    } else {
        "generation expression is not immutable"
    };
    SqlError::new("42P17", message)
}

fn constraint(text: &str, extended: i32, catalog: &Catalog) -> SqlError {
    let (what, rest) = text.split_once(" constraint failed: ").unwrap_or((text, ""));
    let first = rest.split(", ").next().unwrap_or(rest);
    let key = first.rsplit_once('.').map_or(first, |(table, _)| table);
    let (schema, table) = split(key);
    let about = |error: SqlError| error.about(b's', schema).about(b't', table);
    match what {
        "UNIQUE" | "PRIMARY KEY" => {
            let columns: Vec<&str> =
                rest.split(", ").map(|c| c.rsplit_once('.').map_or(c, |(_, c)| c)).collect();
            // An index over an expression is named itself.
            let named = rest.strip_prefix("index '").map(|name| name.trim_end_matches('\'').to_owned());
            let known = catalog.unique_name(key, &columns).map(str::to_owned);
            let name = named.or(known).unwrap_or_else(|| format!("{table}_{}_key", columns.join("_")));
            let message = format!("duplicate key value violates unique constraint \"{name}\"");
            about(SqlError::new("23505", message)).about(b'n', name)
        }
        "NOT NULL" => {
            let column = first.rsplit_once('.').map_or(first, |(_, column)| column);
            let message = format!(
                "null value in column \"{column}\" of relation \"{table}\" violates not-null constraint"
            );
            about(SqlError::new("23502", message)).about(b'c', column)
        }
        "CHECK" => {
            let owner = catalog.relations.values().find(|r| r.constraints.iter().any(|c| c.name == rest));
            let table = owner.map_or("", |relation| relation.base());
            let message = format!("new row for relation \"{table}\" violates check constraint \"{rest}\"");
            SqlError::new("23514", message).about(b't', table).about(b'n', rest)
        }
        _ if text.starts_with("FOREIGN KEY") => {
            SqlError::new("23503", "insert, update or delete violates a foreign key constraint")
        }
        _ if extended == rusqlite::ffi::SQLITE_CONSTRAINT_DATATYPE => SqlError::new("42804", text),
        _ => SqlError::new("23000", text),
    }
}

fn other(text: &str) -> SqlError {
    let after =
        |prefix: &str| text.strip_prefix(prefix).map(|rest| rest.split(" in ").next().unwrap_or(rest));
    if let Some(table) = after("no such table: ") {
        let table = table.trim_start_matches("main.");
        return SqlError::new("42P01", format!("relation \"{table}\" does not exist"));
    }
    if let Some(column) = after("no such column: ") {
        return SqlError::new("42703", format!("column \"{column}\" does not exist"));
    }
    if text.contains("integer overflow") {
        return SqlError::new("22003", "bigint out of range");
    }
    if text.contains("foreign key mismatch") {
        return SqlError::new("42830", text);
    }
    if text.contains("misuse of aggregate") {
        return SqlError::new("42803", "aggregate functions are not allowed here");
    }
    if text.contains("misuse of window function") {
        return SqlError::new("42P20", "window functions are not allowed here");
    }
    if text.contains("Recursion limit") || text.contains("stack overflow") {
        return SqlError::new("54001", "stack depth limit exceeded");
    }
    if text.contains("too many") || text.contains("too large") {
        return SqlError::new("54000", text);
    }
    SqlError::new("XX000", text)
}
