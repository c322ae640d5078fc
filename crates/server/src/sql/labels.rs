//! The labels of enumerations, and how their values are kept.
//!
//! A value is kept as text: a key, a mark, the label. Keys sort in the declared order, so SQLite compares, sorts and
//! indexes the values as they are, and whoever shows one leaves away everything up to the mark. A key is the digits of a
//! fraction, which a new label between two others can always have more of; no key ever changes.

use super::error::{Result, SqlError};

/// Between a value's key and its label: no label holds it, and it sorts before every digit.
pub const MARK: char = '\u{1}';
/// Between values in a list.
const SEPARATOR: char = '\u{2}';
/// The digits of a key at the start.
const DIGITS: usize = 4;
/// The longest label, in bytes.
const LONGEST: usize = 63;

/// The label of a value; a label alone is its own.
pub fn label(value: &str) -> &str {
    value.split_once(MARK).map_or(value, |(_, label)| label)
}

/// The values of labels in their order.
pub fn values(labels: &[String]) -> Result<Vec<String>> {
    let mut values: Vec<String> = Vec::new();
    for label in labels {
        insert(&mut values, label, None)?;
    }
    Ok(values)
}

/// Adds a label to values in their order, at the end or at a place; a known one is an error.
pub fn insert(values: &mut Vec<String>, added: &str, at: Option<usize>) -> Result<()> {
    checked(values, added)?;
    let at = at.unwrap_or(values.len());
    let low = at.checked_sub(1).map_or("", |index| key(&values[index]));
    let key = between(low, values.get(at).map(|value| key(value)))?;
    values.insert(at, format!("{key}{MARK}{added}"));
    Ok(())
}

/// The list that [`find`] looks in.
pub fn list(values: &[String]) -> String {
    values.join(&SEPARATOR.to_string())
}

/// The value of a label; an unknown one is the error that the enumeration's input function gives.
pub fn find<'v>(of: &str, mut values: impl Iterator<Item = &'v str>, wanted: &str) -> Result<&'v str> {
    let found = values.find(|value| label(value) == wanted);
    found.ok_or_else(|| SqlError::new("22P02", format!("invalid input value for enum {of}: \"{wanted}\"")))
}

/// [`find`] in a list.
pub fn find_in<'v>(of: &str, list: &'v str, wanted: &str) -> Result<&'v str> {
    find(of, list.split(SEPARATOR), wanted)
}

/// The values of a list.
pub fn listed(list: &str) -> impl Iterator<Item = &str> {
    list.split(SEPARATOR).filter(|value| !value.is_empty())
}

/// Gives a label another name, in its place; the value before and after.
pub fn rename(values: &mut [String], old: &str, new: &str) -> Result<(String, String)> {
    let missing = || SqlError::new("22023", format!("\"{old}\" is not an existing enum label"));
    let at = values.iter().position(|value| label(value) == old).ok_or_else(missing)?;
    checked(values, new)?;
    let renamed = format!("{}{MARK}{new}", key(&values[at]));
    let before = std::mem::replace(&mut values[at], renamed.clone());
    Ok((before, renamed))
}

/// Refuses a label that is too long, or there already.
fn checked(values: &[String], added: &str) -> Result<()> {
    if added.len() > LONGEST || added.contains([MARK, SEPARATOR]) {
        let detail = format!("Labels must be {LONGEST} bytes or less.");
        return Err(SqlError::new("42602", format!("invalid enum label \"{added}\"")).detail(detail));
    }
    if values.iter().any(|value| label(value) == added) {
        return Err(SqlError::new("42710", format!("enum label \"{added}\" already exists")));
    }
    Ok(())
}

fn key(value: &str) -> &str {
    value.split_once(MARK).map_or("", |(key, _)| key)
}

/// A key above one and below another, or at the end.
fn between(low: &str, high: Option<&str>) -> Result<String> {
    let Some(high) = high else {
        let last = low.get(..DIGITS).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
        if last >= 0xffff {
            return Err(SqlError::new("54000", "an enumeration has at most 65535 labels"));
        }
        return Ok(format!("{:04x}", last + 1));
    };
    let digit = |text: &str, index: usize| {
        let digit = text.as_bytes().get(index).map(|byte| char::from(*byte));
        digit.and_then(|digit| digit.to_digit(16)).unwrap_or(0)
    };
    let mut key = String::new();
    // Up to here it is the same as the upper one, which then still bounds the next digit.
    let mut tied = true;
    for index in 0.. {
        let (least, bound) = (digit(low, index), if tied { digit(high, index) } else { 16 });
        let chosen = if bound >= least + 2 { (least + bound) / 2 } else { least };
        key.push(char::from_digit(chosen, 16).unwrap_or('0'));
        if chosen > least {
            break;
        }
        tied &= chosen == bound;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_sort_in_the_order_of_their_labels() {
        let mut known = values(&["b", "z"].map(str::to_owned)).unwrap();
        let mut expect = vec!["b".to_owned(), "z".to_owned()];
        // Many labels at one place, from both of its sides, and at both ends.
        for number in 0..200 {
            let at = match number % 4 {
                0 => 0,
                1 => expect.len(),
                2 => expect.len() / 2,
                _ => expect.len() / 2 + 1,
            };
            let new = format!("l{number}");
            insert(&mut known, &new, Some(at)).unwrap();
            expect.insert(at, new);
            assert!(known.is_sorted(), "{known:?}");
        }
        assert_eq!(known.iter().map(|value| label(value)).collect::<Vec<_>>(), expect);
        assert_eq!(label(find_in("e", &list(&known), "l7").unwrap()), "l7");
        let code = |result: Result<()>| result.unwrap_err().code;
        assert_eq!(code(insert(&mut known, "l7", None)), "42710");
        assert_eq!(code(insert(&mut known, &"x".repeat(64), None)), "42602");
        assert_eq!(find_in("e", &list(&known), "").unwrap_err().code, "22P02");
    }
}
