//! Documents as they are written: members with their blanks, their order and their repetitions.

use super::super::error::{Result, SqlError};
use super::quoted;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        SqlError::new("22P02", "invalid input syntax for type json").detail(error.to_string())
    })
}

/// The document in a text, without the blanks around it.
pub fn document(text: &str) -> Result<&RawValue> {
    read(text)
}

/// A string's text.
pub fn string(text: &str) -> Result<String> {
    read(text)
}

/// The items of an array.
pub fn items(text: &str) -> Result<Vec<&RawValue>> {
    read(text)
}

/// The members of an object, as they are written.
pub fn members(text: &str) -> Result<Vec<(String, &RawValue)>> {
    read::<Members<'_>>(text).map(|members| members.0)
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'a>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct InOrder;
        impl<'a> Visitor<'a> for InOrder {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> std::result::Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// `#>`: the value at the end of a path of keys and positions; the last of several with one key.
pub fn at_path<'a>(text: &'a str, path: &[Option<String>]) -> Result<Option<&'a str>> {
    let mut at = document(text)?.get();
    for step in path {
        let Some(step) = step else { return Ok(None) };
        let found = match at.as_bytes().first() {
            Some(b'{') => members(at)?.into_iter().rev().find(|(key, _)| key == step).map(|(_, value)| value),
            Some(b'[') => {
                let items = items(at)?;
                super::document::position(items.len(), step).and_then(|index| items.get(index).copied())
            }
            _ => None,
        };
        match found {
            Some(found) => at = found.get(),
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Without the members that are null, and without blanks.
pub fn stripped(text: &str) -> Result<String> {
    let text = document(text)?.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let kept = members(text)?.into_iter().filter(|(_, value)| value.get() != "null");
            let parts = kept.map(|(key, value)| Ok(format!("{}:{}", quoted(&key), stripped(value.get())?)));
            format!("{{{}}}", parts.collect::<Result<Vec<_>>>()?.join(","))
        }
        Some(b'[') => {
            let parts = items(text)?.into_iter().map(|item| stripped(item.get()));
            format!("[{}]", parts.collect::<Result<Vec<_>>>()?.join(","))
        }
        _ => text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_as_they_are_written() {
        let path = |steps: &[&str]| steps.iter().map(|step| Some((*step).to_owned())).collect::<Vec<_>>();
        for (text, steps, expect) in [
            (r#"{"a":[1,2.50]}"#, &["a"][..], Some("[1,2.50]")),
            (r#" {"a" : 1, "a" : {"b":2 } } "#, &["a"], Some(r#"{"b":2 }"#)),
            (r#"[1, {"b":  "x"}]"#, &["-1", "b"], Some("\"x\"")),
            ("[1]", &["1"], None),
            ("[1]", &["a"], None),
            ("1", &["a"], None),
            (" [ 1 ] ", &[], Some("[ 1 ]")),
        ] {
            assert_eq!(at_path(text, &path(steps)).unwrap(), expect, "{text} {steps:?}");
        }
        assert_eq!(stripped(r#"{"b": null, "a" : [null, {"c":null}]}"#).unwrap(), r#"{"a":[null,{}]}"#);
    }
}
