//! `json` is checked and kept as written; `jsonb` is normalised: keys sorted, duplicates and blanks dropped. Numbers
//! are decimals of any length, as in `numeric`.

pub mod document;
mod raw;

use super::error::{Result, SqlError};
use super::numeric;
use bigdecimal::BigDecimal;
pub use raw::{at_path, items, members, stripped};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, with its digits.
    Number(BigDecimal),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }
}

/// Checks the text and gives it back.
pub fn check(text: &str) -> Result<String> {
    raw::document(text).map(|_| text.to_owned())
}

/// The text without the blanks around it, if it is a document.
pub fn document(text: &str) -> Result<&str> {
    raw::document(text).map(RawValue::get)
}

/// The one text that all equal documents have.
pub fn normalise(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    write(&parse(text)?, &mut out);
    Ok(out)
}

/// Parses a document.
pub fn parse(text: &str) -> Result<Json> {
    tree(raw::document(text)?)
}

fn tree(document: &RawValue) -> Result<Json> {
    let text = document.get();
    Ok(match text.as_bytes().first() {
        Some(b'n') => Json::Null,
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'"') => Json::String(raw::string(text)?),
        Some(b'[') => Json::Array(items(text)?.into_iter().map(tree).collect::<Result<_>>()?),
        Some(b'{') => {
            let mut map = BTreeMap::new();
            for (key, value) in members(text)? {
                map.insert(key, tree(value)?);
            }
            Json::Object(map)
        }
        _ => {
            let number = numeric::parse(text);
            Json::Number(number.ok_or_else(|| SqlError::new("22003", "value overflows numeric format"))?)
        }
    })
}

/// A string in quotes, with what must be escaped escaped.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes a document in jsonb's form.
pub fn write(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(on) => out.push_str(if *on { "true" } else { "false" }),
        Json::Number(number) => out.push_str(&numeric::format(number)),
        Json::String(text) => out.push_str(&quoted(text)),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Json::Object(map) => {
            out.push('{');
            for (index, (key, item)) in document::sorted(map).into_iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(&quoted(key));
                out.push_str(": ");
                write(item, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_normalised_and_keeps_its_digits() {
        for (text, expect) in [
            (r#" { "bb" : 1, "a" : [ 1 , null ], "a": 2.50 } "#, r#"{"a": 2.50, "bb": 1}"#),
            ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
            ("1e3", "1000"),
            ("-0", "0"),
            (r#""a\u00e9\n""#, "\"a\u{e9}\\n\""),
            ("[]", "[]"),
            ("{1}", "22P02"),
            ("01", "22P02"),
            ("1e99999", "22003"),
        ] {
            assert_eq!(normalise(text).unwrap_or_else(|error| error.code.to_owned()), expect, "{text}");
        }
    }
}
