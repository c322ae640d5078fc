//! `json` is checked and kept as written; `jsonb` is normalised: keys sorted, duplicates and blanks dropped.

pub mod document;

use super::error::{Result, SqlError};
use serde_json::Value;

/// Checks the text and gives it back.
pub fn check(text: &str) -> Result<String> {
    parse(text).map(|_| text.to_owned())
}

/// The one text that all equal documents have.
pub fn normalise(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    write(&parse(text)?, &mut out);
    Ok(out)
}

/// Parses a document.
pub fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        SqlError::new("22P02", "invalid input syntax for type json").detail(error.to_string())
    })
}

/// Writes a document in jsonb's form.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in document::sorted(map).into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&Value::String(key.clone()).to_string());
                out.push_str(": ");
                write(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
