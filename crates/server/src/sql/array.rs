//! One-dimensional arrays. An array is kept as its text in Postgres' form (`{1,NULL,"a b"}`), every element
//! in the canonical form of its type, so that equal arrays are equal texts; instants are kept in UTC.

use super::error::{Result, SqlError};
use super::types::Type;
use super::value::{input, output, send, value_ref};
use super::zone::Zone;
use super::{datetime, labels};
use crate::engine::{Value, ValueRef};
use bytes::{BufMut, BytesMut};

/// The text of a record, in Postgres' form: `(1,,"a b")`.
pub fn record(fields: impl Iterator<Item = Option<String>>) -> String {
    let special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || c.is_whitespace();
    let field = |field: Option<String>| match field {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains(special) => {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
        }
        Some(text) => text,
    };
    format!("({})", fields.map(field).collect::<Vec<_>>().join(","))
}

/// The elements of an array's text.
pub fn parse(text: &str) -> Result<Vec<Option<String>>> {
    let malformed =
        |detail: &str| SqlError::new("22P02", format!("malformed array literal: \"{text}\"")).detail(detail);
    let mut inside = text.trim();
    // Bounds other than from 1 are not kept.
    if inside.starts_with('[') {
        inside = inside.split_once('=').map_or(inside, |(_, rest)| rest.trim());
    }
    let inside = inside
        .strip_prefix('{')
        .ok_or_else(|| malformed("Array value must start with \"{\" or dimension information."))?;
    let inside = inside.strip_suffix('}').ok_or_else(|| malformed("Unexpected end of input."))?;
    let mut items = Vec::new();
    if inside.trim().is_empty() {
        return Ok(items);
    }
    let mut characters = inside.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut item = String::new();
        let quoted = characters.next_if_eq(&'"').is_some();
        let mut closed = !quoted;
        while let Some(c) = characters.peek().copied() {
            match c {
                '"' if quoted && !closed => closed = true,
                '\\' => {
                    characters.next();
                    item.extend(characters.peek());
                }
                ',' if closed => break,
                c if quoted && closed && c.is_whitespace() => {}
                '{' | '}' if closed => return Err(SqlError::unsupported("an array of several dimensions")),
                _ if quoted && closed => return Err(malformed("Incorrectly quoted array element.")),
                '"' if !quoted => return Err(malformed("Incorrectly quoted array element.")),
                c => item.push(c),
            }
            characters.next();
        }
        if !closed {
            return Err(malformed("Unexpected end of input."));
        }
        if quoted {
            items.push(Some(item));
        } else {
            let item = item.trim_end();
            if item.is_empty() {
                return Err(malformed("Unexpected \",\" character."));
            }
            items.push((!item.eq_ignore_ascii_case("null")).then(|| item.to_owned()));
        }
        if characters.next().is_none() {
            return Ok(items);
        }
    }
}

/// The text of an array.
pub fn format<'a>(items: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut text = "{".to_owned();
    for (index, item) in items.into_iter().enumerate() {
        text.push_str(if index > 0 { "," } else { "" });
        let Some(item) = item else {
            text.push_str("NULL");
            continue;
        };
        let special = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | '"' | '\\');
        if item.is_empty() || item.eq_ignore_ascii_case("null") || item.contains(special) {
            text.push('"');
            text.push_str(&item.replace('\\', "\\\\").replace('"', "\\\""));
            text.push('"');
        } else {
            text.push_str(item);
        }
    }
    text + "}"
}

/// Reads an array, each element as its type reads it.
pub fn canonical(element: Type, text: &str) -> Result<String> {
    let mut items = Vec::new();
    for item in parse(text)? {
        items.push(match item {
            None => None,
            Some(item) => Some(element_text(element, value_ref(&input(element.into(), &item, true)?))),
        });
    }
    Ok(format(items.iter().map(Option::as_deref)))
}

/// Writes the wire's binary form.
pub fn send_array(element: Type, text: &str, out: &mut BytesMut) -> Result<()> {
    let items = parse(text)?;
    out.put_i32(i32::from(!items.is_empty()));
    out.put_i32(i32::from(items.iter().any(Option::is_none)));
    out.put_u32(element.oid());
    if !items.is_empty() {
        out.put_i32(i32::try_from(items.len()).unwrap_or(i32::MAX));
        out.put_i32(1);
    }
    for item in items {
        let Some(item) = item else {
            out.put_i32(-1);
            continue;
        };
        let start = out.len();
        out.put_i32(0);
        send(element.into(), value_ref(&input(element.into(), &item, true)?), out)?;
        let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Reads the wire's binary form.
pub fn recv_array(element: Type, bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    let mut number = || {
        let (head, tail) = rest.split_at_checked(4)?;
        rest = tail;
        Some(i32::from_be_bytes(head.try_into().ok()?))
    };
    let (dimensions, _, oid) = (number()?, number()?, number()?);
    if u32::try_from(oid).ok()? != element.oid() || !(0..=1).contains(&dimensions) {
        return None;
    }
    let mut left = 0;
    if dimensions == 1 {
        left = number()?;
        number()?;
    }
    let mut items = Vec::new();
    for _ in 0..left {
        let (head, tail) = rest.split_at_checked(4)?;
        rest = tail;
        let length = i32::from_be_bytes(head.try_into().ok()?);
        if length < 0 {
            items.push(None);
            continue;
        }
        let (head, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = tail;
        let value = super::value::recv(element, head).ok()?;
        items.push(Some(element_text(element, value_ref(&value))));
    }
    rest.is_empty().then(|| format(items.iter().map(Option::as_deref)))
}

/// The functions over arrays that SQLite is taught: name, number of arguments, code. NULL as the first
/// argument gives NULL, except in `sb_array`.
pub type Function = (&'static str, i32, fn(&[ValueRef<'_>]) -> Result<Value>);

/// See [`Function`]; the engine registers them.
pub const FUNCTIONS: &[Function] = &[
    // The element type, then the elements.
    ("sb_array", -1, |a| {
        let ty = element(a, 0);
        let items: Vec<Option<String>> = a[1..].iter().map(|value| shown(ty, *value)).collect();
        Ok(Value::Text(format(items.iter().map(Option::as_deref))))
    }),
    // The stored values as a JSON array, for `json_each`.
    ("sb_array_values", 2, |a| {
        with(a, |items| {
            let mut values = Vec::new();
            for item in items {
                values.push(match item {
                    None => serde_json::Value::Null,
                    Some(item) => match input(element(a, 1).into(), &item, true)? {
                        Value::Integer(number) => number.into(),
                        Value::Real(number) => number.into(),
                        Value::Text(text) => text.into(),
                        _ => return Err(SqlError::unsupported("unnesting an array of this type")),
                    },
                });
            }
            Ok(Value::Text(serde_json::Value::Array(values).to_string()))
        })
    }),
    ("sb_array_get", 3, |a| {
        with(a, |items| {
            let index = integer(a, 1).and_then(|index| usize::try_from(index - 1).ok());
            match index.and_then(|index| items.get(index)) {
                Some(Some(item)) => input(element(a, 2).into(), item, true),
                _ => Ok(Value::Null),
            }
        })
    }),
    ("sb_array_length", 2, |a| {
        with(a, |items| {
            let legal = integer(a, 1) == Some(1) && !items.is_empty();
            Ok(if legal { Value::Integer(items.len() as i64) } else { Value::Null })
        })
    }),
    ("sb_cardinality", 1, |a| with(a, |items| Ok(Value::Integer(items.len() as i64)))),
    ("sb_array_cat", 2, |a| {
        let (left, right) = (items(a, 0)?, items(a, 1)?);
        let joined = left.iter().chain(&right).map(Option::as_deref);
        Ok(Value::Text(format(joined)))
    }),
    // Array, separator, what NULL becomes.
    ("sb_array_to_string", 3, |a| {
        with(a, |items| {
            let (Some(separator), null) = (text(a, 1), text(a, 2)) else { return Ok(Value::Null) };
            let parts: Vec<&str> = items.iter().filter_map(|item| item.as_deref().or(null)).collect();
            Ok(Value::Text(parts.join(separator)))
        })
    }),
    ("sb_string_to_array", 2, |a| {
        let Some(source) = text(a, 0) else { return Ok(Value::Null) };
        let parts: Vec<String> = match text(a, 1) {
            _ if source.is_empty() => Vec::new(),
            None => source.chars().map(String::from).collect(),
            Some("") => vec![source.to_owned()],
            Some(separator) => source.split(separator).map(str::to_owned).collect(),
        };
        Ok(Value::Text(format(parts.iter().map(|part| Some(part.as_str())))))
    }),
    // The array with labels for elements, the enumeration's name and its values.
    ("sb_enum_array", 3, |a| {
        with(a, |items| {
            let (of, list) = (text(a, 1).unwrap_or_default(), text(a, 2).unwrap_or_default());
            let value =
                |item: &Option<String>| item.as_ref().map(|item| labels::find_in(of, list, item)).transpose();
            let values = items.iter().map(value).collect::<Result<Vec<_>>>()?;
            Ok(Value::Text(format(values)))
        })
    }),
    // The values of an enumeration from one to another; NULL is its end.
    ("sb_enum_range", 3, |a| {
        let (from, to) = (text(a, 0), text(a, 1));
        let inside =
            |value: &&str| from.is_none_or(|from| from <= *value) && to.is_none_or(|to| *value <= to);
        let values = labels::listed(text(a, 2).unwrap_or_default()).filter(inside);
        Ok(Value::Text(format(values.map(Some))))
    }),
    // Array, old element, new element.
    ("sb_array_replace", 3, |a| {
        with(a, |items| {
            let (old, new) = (text(a, 1), text(a, 2));
            let replaced =
                items.iter().map(|item| if item.as_deref() == old { new } else { item.as_deref() });
            Ok(Value::Text(format(replaced)))
        })
    }),
    // Array, element, element type.
    ("sb_array_position", 3, |a| {
        with(a, |items| {
            let wanted = shown(element(a, 2), a[1]);
            let found = items.iter().position(|item| *item == wanted);
            Ok(found.map_or(Value::Null, |index| Value::Integer(index as i64 + 1)))
        })
    }),
    ("sb_array_remove", 3, |a| {
        with(a, |items| {
            let wanted = shown(element(a, 2), a[1]);
            let kept = items.iter().filter(|item| **item != wanted).map(Option::as_deref);
            Ok(Value::Text(format(kept)))
        })
    }),
    // Whether the first array holds every element of the second, and whether they share one.
    ("sb_array_contains", 2, |a| {
        let (left, right) = (items(a, 0)?, items(a, 1)?);
        Ok(Value::Integer(i64::from(right.iter().all(|item| item.is_some() && left.contains(item)))))
    }),
    ("sb_array_overlaps", 2, |a| {
        let (left, right) = (items(a, 0)?, items(a, 1)?);
        Ok(Value::Integer(i64::from(right.iter().any(|item| item.is_some() && left.contains(item)))))
    }),
];

/// An element's text; NULL stays NULL.
pub fn shown(ty: Type, value: ValueRef<'_>) -> Option<String> {
    (value != ValueRef::Null).then(|| element_text(ty, value))
}

/// A value's text inside an array: whoever reads it later may be in another zone.
pub fn element_text(ty: Type, value: ValueRef<'_>) -> String {
    match (ty, value) {
        (Type::Timestamptz, ValueRef::Integer(instant)) => datetime::format_in(&Zone::UTC, instant),
        // With its key, as a column has it.
        (Type::Enum(_), ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        _ => output(ty.into(), value),
    }
}

/// The text of an array as clients see it: instants in the session's zone, and of enumerations the labels.
pub fn output_array(of: Type, text: &str) -> String {
    let element = of.element().unwrap_or(Type::Text);
    let item = |item: &Option<String>| -> Result<Option<String>> {
        let value = item.as_ref().map(|item| input(element.into(), item, true)).transpose()?;
        Ok(value.map(|value| output(element.into(), value_ref(&value))))
    };
    let items = parse(text).and_then(|items| items.iter().map(item).collect::<Result<Vec<_>>>());
    // What is stored can be read; if it can't, it is shown as it is.
    items.map_or_else(|_| text.to_owned(), |items| format(items.iter().map(Option::as_deref)))
}

fn with(args: &[ValueRef<'_>], then: impl FnOnce(Vec<Option<String>>) -> Result<Value>) -> Result<Value> {
    if args.first() == Some(&ValueRef::Null) { Ok(Value::Null) } else { then(items(args, 0)?) }
}

fn items(args: &[ValueRef<'_>], index: usize) -> Result<Vec<Option<String>>> {
    text(args, index).map_or_else(|| Ok(Vec::new()), parse)
}

fn text<'a>(args: &[ValueRef<'a>], index: usize) -> Option<&'a str> {
    args.get(index).and_then(|value| value.as_str().ok())
}

fn integer(args: &[ValueRef<'_>], index: usize) -> Option<i64> {
    args.get(index).and_then(|value| value.as_i64().ok())
}

fn element(args: &[ValueRef<'_>], index: usize) -> Type {
    let oid = integer(args, index).and_then(|oid| u32::try_from(oid).ok());
    oid.and_then(Type::from_oid).unwrap_or(Type::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_and_shown_as_postgres_does() {
        let check = |element: Type, text: &str, expect: &str| {
            let got = canonical(element, text).unwrap_or_else(|error| error.code.to_owned());
            assert_eq!(got, expect, "{text}");
        };
        check(Type::Int4, "{1, 2,NULL}", "{1,2,NULL}");
        check(Type::Int4, " { } ", "{}");
        check(Type::Int4, "[0:1]={1,2}", "{1,2}");
        check(Type::Text, r#"{a,"b c","","d\"e",null,"null"}"#, r#"{a,"b c","","d\"e",NULL,"null"}"#);
        check(Type::Text, r"{a\,b}", "{\"a,b\"}");
        check(Type::Bool, "{yes,no}", "{t,f}");
        for text in ["1,2", "{1", "{1,}", "{,1}", "{\"a\"b}", "{\"a}", "{x}"] {
            check(Type::Int4, text, "22P02");
        }
        check(Type::Int4, "{{1},{2}}", "0A000");
        check(Type::Int2, "{40000}", "22003");
    }

    #[test]
    fn the_binary_form_round_trips() {
        for (element, text) in [(Type::Int4, "{1,NULL,3}"), (Type::Text, "{\"a b\",c}"), (Type::Int8, "{}")] {
            let mut bytes = BytesMut::new();
            send_array(element, text, &mut bytes).unwrap();
            assert_eq!(recv_array(element, &bytes).as_deref(), Some(text));
            assert_eq!(recv_array(element, &bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(recv_array(Type::Int4, b"short"), None);
    }
}
