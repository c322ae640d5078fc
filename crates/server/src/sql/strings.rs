//! What the functions of text do with their arguments.

use super::error::{Result, SqlError};
use crate::engine::Value;

pub(super) fn count(text: &str) -> i64 {
    text.chars().count() as i64
}

/// A text as a literal; one with a backslash says that it is to be read with escapes.
pub(super) fn quoted(text: &str) -> String {
    let escapes = if text.contains('\\') { "E" } else { "" };
    format!("{escapes}'{}'", text.replace('\'', "''").replace('\\', "\\\\"))
}

pub(super) fn initcap(text: &str) -> String {
    let mut start = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase())
        } else {
            out.extend(c.to_lowercase())
        }
        start = !c.is_alphanumeric();
    }
    out
}

pub(super) fn substring(text: &str, from: i64, length: i64) -> Result<String> {
    if length < 0 {
        return Err(SqlError::new("22011", "negative substring length not allowed"));
    }
    let end = from.saturating_add(length);
    let start = from.max(1);
    let take = usize::try_from(end - start).unwrap_or(0);
    Ok(text.chars().skip(usize::try_from(start - 1).unwrap_or(usize::MAX)).take(take).collect())
}

pub(super) fn left(text: &str, n: i64) -> String {
    let take = if n < 0 { (count(text) + n).max(0) } else { n };
    text.chars().take(usize::try_from(take).unwrap_or(0)).collect()
}

pub(super) fn overlay(text: &str, part: &str, from: i64, length: i64) -> Result<String> {
    if from <= 0 {
        return Err(SqlError::new("22011", "negative substring length not allowed"));
    }
    let before = substring(text, 1, from - 1)?;
    let after = substring(text, from.saturating_add(length).max(1), i64::MAX)?;
    Ok(before + part + &after)
}

/// `format`: `%s`, `%I`, `%L` and `%%`, in turn or by position (`%2$s`).
pub fn format(args: &[Option<&str>]) -> Result<Value> {
    let Some(Some(template)) = args.first() else { return Ok(Value::Null) };
    let mut out = String::new();
    let mut next = 1;
    let mut rest = *template;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if after[digits..].starts_with('$') && after[..digits].parse() == Ok(0) {
            let message = "format specifies argument 0, but arguments are numbered from 1";
            return Err(SqlError::new("22023", message));
        }
        let (index, after) = match after[digits..].strip_prefix('$') {
            Some(tail) if digits > 0 => (after[..digits].parse().unwrap_or(usize::MAX), tail),
            _ => (next, after),
        };
        let kind = after
            .chars()
            .next()
            .ok_or_else(|| SqlError::new("22023", "unterminated format() type specifier"))?;
        rest = &after[kind.len_utf8()..];
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value =
            *args.get(index).ok_or_else(|| SqlError::new("22023", "too few arguments for format()"))?;
        next = index + 1;
        match (kind, value) {
            ('s', value) => out.push_str(value.unwrap_or_default()),
            ('I', Some(name)) => out.push_str(&super::system::shown(name)),
            ('I', None) => {
                return Err(SqlError::new("22004", "null values cannot be formatted as an SQL identifier"));
            }
            ('L', Some(text)) => out.push_str(&quoted(text)),
            ('L', None) => out.push_str("NULL"),
            (other, _) => {
                return Err(SqlError::new(
                    "22023",
                    format!("unrecognized format() type specifier \"{other}\""),
                ));
            }
        }
    }
    out.push_str(rest);
    Ok(Value::Text(out))
}

pub(super) fn bounded(text: &str, times: usize) -> Result<&str> {
    let legal = text.len().checked_mul(times).is_some_and(|length| length < 1 << 28);
    if legal { Ok(text) } else { Err(SqlError::new("54000", "requested length too large")) }
}
