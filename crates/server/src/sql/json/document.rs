//! What jsonb's operators and functions do with documents.

use super::super::error::{Result, SqlError};
use super::Json as Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

type Map = BTreeMap<String, Value>;

/// The order of jsonb: null, strings, numbers, booleans, arrays, objects; more members come later.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::String(_) => 1,
        Value::Number(_) => 2,
        Value::Bool(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    };
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
            let mut pairs = a.iter().zip(b).map(|(a, b)| compare(a, b));
            pairs.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (Value::Object(a), Value::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            let (a, b) = (sorted(a), sorted(b));
            let pairs = a.iter().zip(&b);
            let mut pairs =
                pairs.map(|((k, v), (l, w))| (k.len(), *k).cmp(&(l.len(), *l)).then_with(|| compare(v, w)));
            pairs.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        }),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// The members of an object in jsonb's order: short keys first.
pub fn sorted(map: &Map) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| (key.len(), *key));
    entries
}

/// `@>`: every part of `b` is in `a` at the same place.
pub fn contains(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            b.iter().all(|(key, value)| a.get(key).is_some_and(|own| contains(own, value)))
        }
        (Value::Array(a), Value::Array(b)) => b
            .iter()
            .all(|value| a.iter().any(|own| contains(own, value) && own.is_array() == value.is_array())),
        // An array holds a scalar as if it stood in an array.
        (Value::Array(a), b) if !b.is_object() => a.iter().any(|own| compare(own, b).is_eq()),
        (a, b) => compare(a, b).is_eq(),
    }
}

/// `?`: a key of an object, or a string in an array.
pub fn has_key(document: &Value, key: &str) -> bool {
    match document {
        Value::Object(map) => map.contains_key(key),
        Value::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
        Value::String(text) => text == key,
        _ => false,
    }
}

/// The index that a step of a path means, if there is one.
pub fn position(length: usize, step: &str) -> Option<usize> {
    let number = step.parse::<i64>().ok()?;
    let number = if number < 0 { i64::try_from(length).ok()? + number } else { number };
    usize::try_from(number).ok().filter(|index| *index < length)
}

/// `||`: objects are merged, anything else becomes one array.
pub fn concatenated(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Object(mut a), Value::Object(b)) => {
            a.extend(b);
            Value::Object(a)
        }
        (a, b) => {
            let list = |value| if let Value::Array(items) = value { items } else { vec![value] };
            let mut items = list(a);
            items.extend(list(b));
            Value::Array(items)
        }
    }
}

/// `- key` and `- position`
pub fn without(mut document: Value, step: &str, by_position: bool) -> Result<Value> {
    match &mut document {
        Value::Object(map) if !by_position => {
            map.remove(step);
        }
        Value::Array(items) if by_position => {
            if let Some(index) = position(items.len(), step) {
                items.remove(index);
            }
        }
        Value::Array(items) => items.retain(|item| item.as_str() != Some(step)),
        Value::Object(_) => {
            return Err(SqlError::new("22023", "cannot delete from object using integer index"));
        }
        _ => return Err(SqlError::new("22023", "cannot delete from scalar")),
    }
    Ok(document)
}

/// `#-`: without what is at the end of a path.
pub fn without_path(mut document: Value, path: &[Option<String>]) -> Result<Value> {
    let Some((last, parents)) = path.split_last() else { return Ok(document) };
    if !document.is_object() && !document.is_array() {
        return Err(SqlError::new("22023", "cannot delete path in scalar"));
    }
    if let (Some(last), Some(parent)) = (last, parent_of(&mut document, parents)) {
        match parent {
            Value::Object(map) => {
                map.remove(last);
            }
            Value::Array(items) => {
                if let Some(index) = position(items.len(), last) {
                    items.remove(index);
                }
            }
            _ => {}
        }
    }
    Ok(document)
}

fn parent_of<'v>(document: &'v mut Value, path: &[Option<String>]) -> Option<&'v mut Value> {
    path.iter().try_fold(document, |value, step| {
        let step = step.as_deref()?;
        match value {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => {
                let index = position(items.len(), step)?;
                items.get_mut(index)
            }
            _ => None,
        }
    })
}

/// jsonb_set and jsonb_insert: a value put at the end of a path.
pub fn set(
    mut document: Value,
    path: &[Option<String>],
    new: Value,
    create: bool,
    how: Put,
) -> Result<Value> {
    if !document.is_object() && !document.is_array() {
        return Err(SqlError::new("22023", "cannot set path in scalar"));
    }
    let Some((last, parents)) = path.split_last() else { return Ok(document) };
    if path.iter().any(Option::is_none) {
        return Err(SqlError::new("22004", "path element is null"));
    }
    let Some(last) = last else { return Ok(document) };
    match parent_of(&mut document, parents) {
        Some(Value::Object(map)) => {
            let there = map.contains_key(last);
            if there && how != Put::Replace {
                return Err(SqlError::new("22023", "cannot replace existing key")
                    .hint("Try using the function jsonb_set to replace key value."));
            }
            if there || create {
                map.insert(last.clone(), new);
            }
        }
        Some(Value::Array(items)) => {
            let number = last.parse::<i64>().map_err(|_| {
                SqlError::new(
                    "22P02",
                    format!("path element at position {} is not an integer: \"{last}\"", path.len()),
                )
            })?;
            match (position(items.len(), last), how) {
                (Some(index), Put::Replace) => items[index] = new,
                (Some(index), Put::Before) => items.insert(index, new),
                (Some(index), Put::After) => items.insert(index + 1, new),
                (None, _) if create && number < 0 => items.insert(0, new),
                (None, _) if create => items.push(new),
                _ => {}
            }
        }
        _ => {}
    }
    Ok(document)
}

/// Where a value goes beside the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// In its place.
    Replace,
    /// Before it.
    Before,
    /// Behind it.
    After,
}

/// Without the members that are null.
pub fn stripped(document: Value) -> Value {
    match document {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, stripped(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(stripped).collect()),
        other => other,
    }
}

/// jsonb_pretty
pub fn pretty(document: &Value, indent: usize, out: &mut String) {
    let (inner, outer) = (" ".repeat(indent + 4), " ".repeat(indent));
    match document {
        Value::Array(items) if !items.is_empty() => {
            out.push_str("[\n");
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                out.push_str(&inner);
                pretty(item, indent + 4, out);
            }
            out.push_str(&format!("\n{outer}]"));
        }
        Value::Object(map) if !map.is_empty() => {
            out.push_str("{\n");
            for (index, (key, item)) in sorted(map).into_iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                out.push_str(&format!("{inner}{}: ", super::quoted(key)));
                pretty(item, indent + 4, out);
            }
            out.push_str(&format!("\n{outer}}}"));
        }
        Value::Array(_) => out.push_str(&format!("[\n{outer}]")),
        Value::Object(_) => out.push_str(&format!("{{\n{outer}}}")),
        other => super::write(other, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        super::super::parse(text).unwrap()
    }

    fn text(value: &Value) -> String {
        let mut out = String::new();
        super::super::write(value, &mut out);
        out
    }

    #[test]
    fn documents_contain_and_compare_as_in_postgres() {
        for (a, b, expect) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{"b":[2]}"#, true),
            (r#"{"a":1}"#, r#"{"a":2}"#, false),
            ("[1,2,3]", "3", true),
            ("[1,[2]]", "[2]", false),
            ("[1,[2,3]]", "[[2]]", true),
            ("\"a\"", "\"a\"", true),
        ] {
            assert_eq!(contains(&parsed(a), &parsed(b)), expect, "{a} @> {b}");
        }
        let order = ["null", "\"z\"", "1", "2.5", "false", "[]", "[1]", "{}", r#"{"a":1}"#, r#"{"a":2}"#];
        for pair in order.windows(2) {
            assert!(compare(&parsed(pair[0]), &parsed(pair[1])).is_lt(), "{pair:?}");
        }
        assert!(compare(&parsed("1"), &parsed("1.0")).is_eq());
    }

    #[test]
    fn values_are_put_and_taken_at_paths() {
        let path = |steps: &[&str]| steps.iter().map(|step| Some((*step).to_owned())).collect::<Vec<_>>();
        for (document, steps, create, how, expect) in [
            (r#"{"a":[1,2]}"#, &["a", "1"][..], true, Put::Replace, r#"{"a": [1, 9]}"#),
            (r#"{"a":[1,2]}"#, &["a", "5"], true, Put::Replace, r#"{"a": [1, 2, 9]}"#),
            (r#"{"a":[1,2]}"#, &["b"], true, Put::Replace, r#"{"a": [1, 2], "b": 9}"#),
            (r#"{"a":[1,2]}"#, &["b"], false, Put::Replace, r#"{"a": [1, 2]}"#),
            (r#"{"a":[1,2]}"#, &["a", "0"], true, Put::Before, r#"{"a": [9, 1, 2]}"#),
            (r#"{"a":[1,2]}"#, &["a", "-1"], true, Put::After, r#"{"a": [1, 2, 9]}"#),
        ] {
            let got = set(parsed(document), &path(steps), parsed("9"), create, how).unwrap();
            assert_eq!(text(&got), expect, "{document} {steps:?}");
        }
        assert_eq!(
            text(&without_path(parsed(r#"{"a":{"b":1,"c":2}}"#), &path(&["a", "b"])).unwrap()),
            r#"{"a": {"c": 2}}"#
        );
        assert_eq!(
            set(parsed("1"), &path(&["a"]), parsed("2"), true, Put::Replace).unwrap_err().code,
            "22023"
        );
    }
}
