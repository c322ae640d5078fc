//! Plans that a session keeps, so that a statement that comes again is neither parsed nor compiled again.
//!
//! A simple query carries its values in its text. [`normalise`] takes the plain integers out of it, so
//! that `… WHERE id = 7` and `… WHERE id = 8` share one plan with a parameter. It leaves alone whatever
//! it can't be sure of; such a statement takes the long way.

use super::Session;
use super::extended::Prepared;
use crate::engine::Value;
use crate::sql;
use crate::sql::types::Type;
use std::collections::HashMap;
use std::sync::Arc;

/// Plans that a session keeps.
const CAPACITY: usize = 64;
/// Longer texts are rarely sent twice.
const MAX_TEXT: usize = 4096;

/// Plans by statement text, with their parameters' types.
#[derive(Default)]
pub(super) struct Plans {
    known: HashMap<(String, Vec<u32>), Arc<Prepared>>,
}

impl Plans {
    pub(super) fn get(&self, key: &(String, Vec<u32>)) -> Option<Arc<Prepared>> {
        self.known.get(key).cloned()
    }

    pub(super) fn put(&mut self, key: (String, Vec<u32>), prepared: Arc<Prepared>) {
        if key.0.len() > MAX_TEXT {
            return;
        }
        if self.known.len() >= CAPACITY {
            self.known.clear();
        }
        self.known.insert(key, prepared);
    }

    /// Forgets everything: a setting that plans depend on has changed.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

impl Session {
    /// The plan and the values of a simple query that was seen before, or that can be kept.
    pub(super) fn remembered(&mut self, text: &str) -> Option<(Arc<Prepared>, Vec<Value>)> {
        let (key, numbers) = normalise(text)?;
        let params = numbers.into_iter().map(Value::Integer).collect::<Vec<_>>();
        let key = (key, vec![Type::Int4.oid(); params.len()]);
        let catalog = self.connection.catalog().ok()?;
        if let Some(prepared) = self.plans.get(&key).filter(|prepared| prepared.fits(&catalog, self.epoch)) {
            return Some((prepared, params));
        }
        // Whatever is wrong with it is told by the long way, which knows the places in the text.
        let mut statements = sql::parse(&key.0).ok()?;
        let statement = statements.pop().filter(|_| statements.is_empty())?;
        let prepared =
            self.make_prepared(&key.0, Some(statement), &vec![Some(Type::Int4); params.len()]).ok()?;
        let prepared = Arc::new(prepared);
        if prepared.lasting() {
            self.plans.put(key, Arc::clone(&prepared));
        }
        Some((prepared, params))
    }
}

/// The text with `$1`, `$2`, … for its plain integers, and the integers.
fn normalise(text: &str) -> Option<(String, Vec<i64>)> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let word_end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let kinds = ["select", "insert", "update", "delete", "begin", "commit", "end", "rollback"];
    if text.len() > MAX_TEXT || !kinds.contains(&text[..word_end].to_ascii_lowercase().as_str()) {
        return None;
    }
    let bytes = text.as_bytes();
    let mut key = String::with_capacity(text.len());
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let start = at;
        match byte {
            // Parameters, dollar quotes, comments, several statements.
            b'$' | b';' | b'\\' => return None,
            b'-' if bytes.get(at + 1) == Some(&b'-') => return None,
            b'/' if bytes.get(at + 1) == Some(&b'*') => return None,
            b'\'' | b'"' => {
                at += 1 + bytes[at + 1..].iter().position(|b| *b == byte)? + 1;
                // A backslash may mean an escape, and a doubled quote just begins the next piece.
                if bytes[start..at].contains(&b'\\') {
                    return None;
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => {
                at += word_length(&bytes[at..]);
                // Here a number is a position, a length or a unit, and no value.
                let positional = ["order", "group", "distinct", "partition", "interval", "cast", "over"];
                if positional.iter().any(|word| text[start..at].eq_ignore_ascii_case(word)) {
                    return None;
                }
            }
            b':' if bytes.get(at + 1) == Some(&b':') => return None,
            b'0'..=b'9' | b'.' => {
                at += word_length(&bytes[at..]);
                let piece = &text[start..at];
                // A negated literal must stay in the same type, so the largest are left alone.
                if piece.len() > 9 || !piece.bytes().all(|b| b.is_ascii_digit()) {
                    key.push_str(piece);
                    continue;
                }
                numbers.push(piece.parse().ok()?);
                key.push('$');
                key.push_str(&numbers.len().to_string());
                continue;
            }
            _ => at += 1,
        }
        key.push_str(text.get(start..at)?);
    }
    Some((key, numbers))
}

/// The length of a word or a number, with all that sticks to it.
fn word_length(bytes: &[u8]) -> usize {
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | 0x80..);
    bytes.iter().position(|b| !inside(b)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_integers_become_parameters() {
        let check = |text: &str, expect: Option<(&str, &[i64])>| {
            let got = normalise(text);
            let got = got.as_ref().map(|(key, numbers)| (key.as_str(), numbers.as_slice()));
            assert_eq!(got, expect, "{text:?}");
        };
        check("SELECT a FROM t1 WHERE b=12;", Some(("SELECT a FROM t1 WHERE b=$1", &[12])));
        check(
            "UPDATE t SET x = x + -5 WHERE y = 'it''s 7'",
            Some(("UPDATE t SET x = x + -$1 WHERE y = 'it''s 7'", &[5])),
        );
        check(
            "select 1.5, .5, 1e3, 0x1f, 12345678901",
            Some(("select 1.5, .5, 1e3, 0x1f, 12345678901", &[])),
        );
        check("INSERT INTO \"t 1\" VALUES (1, 22)", Some(("INSERT INTO \"t 1\" VALUES ($1, $2)", &[1, 22])));
        check("BEGIN", Some(("BEGIN", &[])));
        check("SELECT ü FROM t LIMIT 3", Some(("SELECT ü FROM t LIMIT $1", &[3])));
        for text in [
            "",
            "CREATE TABLE t (x int)",
            "SELECT $1",
            "SELECT 1; SELECT 2",
            "SELECT 1 -- c",
            "SELECT 'a\\'",
            "SELECT x FROM t ORDER BY 1",
            "SELECT x FROM t group by 1",
            "SELECT 'open",
            "SELECT 5::varchar(2)",
            "SELECT $$1$$",
            "SELECT interval '1' day",
            "SELECT /* 1 */ 1",
        ] {
            check(text, None);
        }
    }
}
