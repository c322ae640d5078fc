//! From text to values: sizes, times, booleans, words and lists, in Postgres' spellings.

use crate::Kind;

/// A parsed value, in the unit its kind counts in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, a path, or one of an enumeration's words.
    Text(String),
    /// A switch.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Bytes.
    Size(u64),
    /// Milliseconds.
    Time(u64),
    /// The items of a list, trimmed.
    List(Vec<String>),
}

impl std::fmt::Display for Value {
    /// As `SHOW` prints it; [`Setting::parse`](crate::Setting::parse) reads it back.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(on) => f.write_str(if *on { "on" } else { "off" }),
            Self::Int(number) => write!(f, "{number}"),
            Self::Size(bytes) => f.write_str(&format_size(*bytes)),
            Self::Time(milliseconds) => f.write_str(&format_time(*milliseconds)),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

const SIZES: &[(&str, u64)] = &[("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];
const TIMES: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

pub(crate) fn parse(kind: &Kind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let not_allowed = || format!("allowed is {}", allowed(kind));
    match *kind {
        Kind::Text | Kind::Path => Ok(Value::Text(text.to_owned())),
        Kind::Bool => parse_bool(text).map(Value::Bool).ok_or_else(not_allowed),
        Kind::Int { min, max } => {
            let number = text.parse::<i64>().ok().filter(|number| (min..=max).contains(number));
            number.map(Value::Int).ok_or_else(not_allowed)
        }
        Kind::Size { unit, min, max } => {
            let bytes = parse_size(text, unit).filter(|bytes| (min..=max).contains(bytes));
            bytes.map(Value::Size).ok_or_else(not_allowed)
        }
        Kind::Time { unit, min, max } => {
            let time = parse_time(text, unit).filter(|time| (min..=max).contains(time));
            time.map(Value::Time).ok_or_else(not_allowed)
        }
        Kind::Enum(words) => {
            let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
            word.map(|word| Value::Text((*word).to_owned())).ok_or_else(not_allowed)
        }
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::List(items.map(str::to_owned).collect()))
        }
    }
}

pub(crate) fn allowed(kind: &Kind) -> String {
    match *kind {
        Kind::Text => "any text".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Bool => "on or off".to_owned(),
        Kind::Int { min, max } => format!("a whole number from {min} to {max}"),
        Kind::Size { min, max, .. } => {
            let (min, max) = (format_size(min), format_size(max));
            format!("a size from {min} to {max}, with a unit of B, kB, MB, GB or TB")
        }
        Kind::Time { min, max, .. } => {
            let (min, max) = (format_time(min), format_time(max));
            format!("a time from {min} to {max}, with a unit of ms, s, min, h or d")
        }
        Kind::Enum(words) => words.join(", "),
        Kind::List => "a list separated by commas".to_owned(),
    }
}

/// Parses Postgres' spellings of a boolean, unique prefixes included.
pub fn parse_bool(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let is = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if is("true", 1) || is("yes", 1) || is("on", 2) || text == "1" {
        return Some(true);
    }
    let no = is("false", 1) || is("no", 1) || is("off", 2) || text == "0";
    no.then_some(false)
}

/// Parses a size into bytes; a number without a unit counts `unit` bytes.
pub fn parse_size(text: &str, unit: u64) -> Option<u64> {
    scaled(text, unit, SIZES, |given, known| given == known || (known == "kB" && given == "KB"))
}

/// Parses a time into milliseconds; a number without a unit counts `unit` milliseconds.
pub fn parse_time(text: &str, unit: u64) -> Option<u64> {
    scaled(text, unit, TIMES, |given, known| given == known)
}

/// Writes bytes with the largest unit that divides them.
pub fn format_size(bytes: u64) -> String {
    with_unit(bytes, SIZES)
}

/// Writes milliseconds with the largest unit that divides them.
pub fn format_time(milliseconds: u64) -> String {
    with_unit(milliseconds, TIMES)
}

fn scaled(text: &str, unit: u64, units: &[(&str, u64)], same: fn(&str, &str) -> bool) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse::<u64>().ok()?;
    let suffix = text[digits..].trim();
    if suffix.is_empty() {
        return number.checked_mul(unit);
    }
    let (_, factor) = units.iter().find(|(known, _)| same(suffix, known))?;
    number.checked_mul(*factor)
}

fn with_unit(value: u64, units: &[(&str, u64)]) -> String {
    if value == 0 {
        return "0".to_owned();
    }
    let (name, factor) = units.iter().find(|(_, factor)| value.is_multiple_of(*factor)).unwrap_or(&("", 1));
    format!("{}{name}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Kind = Kind::Size { unit: 8192, min: 8192, max: 1 << 40 };
    const TIME: Kind = Kind::Time { unit: 1000, min: 0, max: 86_400_000 };

    fn check(kind: Kind, text: &str, expect: Result<&str, &str>) {
        let got = parse(&kind, text).map(|value| value.to_string());
        assert_eq!(got.as_deref().map_err(String::as_str), expect, "{text:?}");
    }

    #[test]
    fn values_are_parsed_and_shown_as_postgres_does() {
        check(SIZE, "128MB", Ok("128MB"));
        check(SIZE, "1024kB", Ok("1MB"));
        check(SIZE, " 2 ", Ok("16kB"));
        check(SIZE, "1 GB", Ok("1GB"));
        let sizes = "allowed is a size from 8kB to 1TB, with a unit of B, kB, MB, GB or TB";
        check(SIZE, "1XB", Err(sizes));
        check(SIZE, "-1", Err(sizes));
        check(SIZE, "99999999999999999999GB", Err(sizes));
        check(SIZE, "", Err(sizes));
        check(TIME, "5min", Ok("5min"));
        check(TIME, "90", Ok("90s"));
        check(TIME, "1500ms", Ok("1500ms"));
        check(TIME, "0", Ok("0"));
        check(TIME, "2d", Err("allowed is a time from 0 to 1d, with a unit of ms, s, min, h or d"));
        check(Kind::Bool, "T", Ok("on"));
        check(Kind::Bool, "of", Ok("off"));
        check(Kind::Bool, "o", Err("allowed is on or off"));
        check(Kind::Bool, "", Err("allowed is on or off"));
        check(Kind::Int { min: 1, max: 9 }, "9", Ok("9"));
        check(Kind::Int { min: 1, max: 9 }, "10", Err("allowed is a whole number from 1 to 9"));
        check(Kind::Int { min: 1, max: 9 }, "five", Err("allowed is a whole number from 1 to 9"));
        check(Kind::Enum(&["text", "json"]), "JSON", Ok("json"));
        check(Kind::Enum(&["text", "json"]), "xml", Err("allowed is text, json"));
        check(Kind::List, "127.0.0.1, ::1,", Ok("127.0.0.1,::1"));
    }
}
