//! The SQL functions behind json and jsonb.

use super::functions::{PURE, flag, integer, packed, pure, type_of};
use super::{Value, ValueRef};
use crate::sql::error::{Result, SqlError};
use crate::sql::json::document::{self, Put};
use crate::sql::json::{self, Json, parse, quoted, write};
use crate::sql::types::Type;
use crate::sql::value::{input, output, utf8, value_ref};
use crate::sql::zone::Zone;
use crate::sql::{array, datetime};
use rusqlite::Connection as Sqlite;
use rusqlite::functions::{Aggregate, Context};

/// Registers them on a new connection.
pub fn register(sqlite: &Sqlite) -> rusqlite::Result<()> {
    sqlite.create_collation("sb_jsonb", |a, b| match (parse(a), parse(b)) {
        _ if a == b => std::cmp::Ordering::Equal,
        (Ok(a), Ok(b)) => document::compare(&a, &b),
        _ => a.cmp(b),
    })?;
    pure(sqlite, "sb_to_json", 2, |c| {
        let null = c.get_raw(0) == ValueRef::Null;
        Ok(if null { Value::Null } else { Value::Text(to_json(c.get_raw(0), type_of(c, 1))) })
    })?;
    // Whether it is an object; then type and value in turn.
    pure(sqlite, "sb_json_build", -1, |c| {
        let items: Vec<(Type, ValueRef<'_>)> =
            (1..c.len()).step_by(2).map(|index| (type_of(c, index), c.get_raw(index + 1))).collect();
        // 0 is an array, 1 an object, 2 a row, which has no blanks.
        let row = integer(c, 0) == 2;
        if integer(c, 0) == 0 {
            let items: Vec<String> = items.iter().map(|(ty, value)| to_json(*value, *ty)).collect();
            return Ok(Value::Text(format!("[{}]", items.join(", "))));
        }
        if !items.len().is_multiple_of(2) {
            return Err(SqlError::new("22023", "argument list must have even number of elements"));
        }
        let mut parts = Vec::new();
        for pair in items.chunks(2) {
            if pair[0].1 == ValueRef::Null {
                return Err(SqlError::new("22004", "null value not allowed for object key"));
            }
            let of = pair[0].0;
            if matches!(of, Type::Json | Type::Jsonb | Type::Record) || of.element().is_some() {
                let message = "key value must be scalar, not array, composite, or json";
                return Err(SqlError::new("22023", message));
            }
            let key = quoted(&output(of.into(), pair[0].1));
            let colon = if row { ":" } else { " : " };
            parts.push(format!("{key}{colon}{}", to_json(pair[1].1, pair[1].0)));
        }
        Ok(Value::Text(format!("{{{}}}", parts.join(if row { "," } else { ", " }))))
    })?;
    strict(sqlite, "sb_json_get", 2, |c| Ok(member(c)?.map_or(Value::Null, written)))?;
    strict(sqlite, "sb_json_text", 2, |c| member(c)?.map_or(Ok(Value::Null), as_text))?;
    strict(sqlite, "sb_json_path", 3, |c| match json::at_path(text(c, 0)?, &path(c, 1)?)? {
        None => Ok(Value::Null),
        Some(found) if integer(c, 2) != 0 => as_text(found),
        Some(found) => Ok(written(found)),
    })?;
    strict(sqlite, "sb_json_contains", 2, |c| Ok(flag(document::contains(&tree(c, 0)?, &tree(c, 1)?))))?;
    strict(sqlite, "sb_json_has", 2, |c| Ok(flag(document::has_key(&tree(c, 0)?, text(c, 1)?))))?;
    strict(sqlite, "sb_json_has_all", 3, |c| {
        let (document, keys) = (tree(c, 0)?, path(c, 1)?);
        let mut keys = keys.iter().flatten();
        let has = |key: &String| document::has_key(&document, key);
        Ok(flag(if integer(c, 2) != 0 { keys.all(has) } else { keys.any(has) }))
    })?;
    strict(sqlite, "sb_json_concat", 2, |c| Ok(shown(&document::concatenated(tree(c, 0)?, tree(c, 1)?))))?;
    strict(sqlite, "sb_json_without", 3, |c| {
        let by_position = integer(c, 2) != 0;
        let step = if by_position { integer(c, 1).to_string() } else { text(c, 1)?.to_owned() };
        Ok(shown(&document::without(tree(c, 0)?, &step, by_position)?))
    })?;
    strict(sqlite, "sb_json_without_path", 2, |c| {
        Ok(shown(&document::without_path(tree(c, 0)?, &path(c, 1)?)?))
    })?;
    strict(sqlite, "sb_json_set", 4, |c| {
        let (document, path, new) = (tree(c, 0)?, path(c, 1)?, tree(c, 2)?);
        Ok(shown(&document::set(document, &path, new, integer(c, 3) != 0, Put::Replace)?))
    })?;
    strict(sqlite, "sb_json_insert", 4, |c| {
        let (document, path, new) = (tree(c, 0)?, path(c, 1)?, tree(c, 2)?);
        let how = if integer(c, 3) != 0 { Put::After } else { Put::Before };
        Ok(shown(&document::set(document, &path, new, true, how)?))
    })?;
    strict(sqlite, "sb_json_strip", 1, |c| Ok(shown(&document::stripped(tree(c, 0)?))))?;
    strict(sqlite, "sb_json_strip_written", 1, |c| json::stripped(text(c, 0)?).map(Value::Text))?;
    strict(sqlite, "sb_json_pretty", 1, |c| {
        let mut out = String::new();
        document::pretty(&tree(c, 0)?, 0, &mut out);
        Ok(Value::Text(out))
    })?;
    strict(sqlite, "sb_json_object", 2, |c| {
        let (keys, values) = (path(c, 0)?, path(c, 1)?);
        if keys.len() != values.len() {
            return Err(SqlError::new("2202E", "mismatched array dimensions"));
        }
        let mut parts = Vec::new();
        for (key, value) in keys.into_iter().zip(values) {
            let key = key.ok_or_else(|| SqlError::new("22004", "null value not allowed for object key"))?;
            let value = value.map_or("null".to_owned(), |value| quoted(&value));
            parts.push(format!("{} : {value}", quoted(&key)));
        }
        Ok(Value::Text(format!("{{{}}}", parts.join(", "))))
    })?;
    strict(sqlite, "sb_json_rows", 2, |c| rows(text(c, 0)?, text(c, 1)?).map(Value::Text))?;
    strict(sqlite, "sb_json_array", 2, |c| {
        let list = parse(&rows(text(c, 0)?, text(c, 1)?)?)?;
        let Json::Array(items) = &list else { return Ok(Value::Null) };
        Ok(Value::Text(array::format(items.iter().map(Json::as_str))))
    })?;
    sqlite.create_aggregate_function("sb_json_agg", 2, PURE, JsonAgg { normal: false })?;
    sqlite.create_aggregate_function("sb_jsonb_agg", 2, PURE, JsonAgg { normal: true })?;
    sqlite.create_aggregate_function("sb_json_object_agg", 4, PURE, ObjectAgg)
}

/// A function that gives NULL for NULL.
fn strict(
    sqlite: &Sqlite,
    name: &str,
    arity: i32,
    eval: impl Fn(&Context<'_>) -> Result<Value> + Send + 'static,
) -> rusqlite::Result<()> {
    pure(sqlite, name, arity, move |c| {
        let null = (0..c.len()).any(|index| c.get_raw(index) == ValueRef::Null);
        if null { Ok(Value::Null) } else { eval(c) }
    })
}

fn text<'c>(context: &'c Context<'_>, index: usize) -> Result<&'c str> {
    match context.get_raw(index) {
        ValueRef::Text(bytes) => utf8(bytes),
        _ => Err(SqlError::new("42804", "a function met an argument of another class than text")),
    }
}

fn tree(context: &Context<'_>, index: usize) -> Result<Json> {
    parse(text(context, index)?)
}

fn path(context: &Context<'_>, index: usize) -> Result<Vec<Option<String>>> {
    array::parse(text(context, index)?)
}

fn shown(document: &Json) -> Value {
    let mut text = String::new();
    write(document, &mut text);
    Value::Text(text)
}

fn written(document: &str) -> Value {
    Value::Text(document.to_owned())
}

/// A string as it is, null as NULL, anything else as its document.
fn as_text(document: &str) -> Result<Value> {
    Ok(match document.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b'"') => match parse(document)? {
            Json::String(text) => Value::Text(text),
            _ => written(document),
        },
        _ => written(document),
    })
}

fn member<'c>(context: &'c Context<'_>) -> Result<Option<&'c str>> {
    let document = text(context, 0)?;
    let first = document.trim_start().as_bytes().first().copied();
    let step = match context.get_raw(1) {
        ValueRef::Integer(index) if first == Some(b'[') => index.to_string(),
        ValueRef::Text(_) if first == Some(b'{') => text(context, 1)?.to_owned(),
        // A position in an object and a key in an array find nothing.
        _ => return Ok(None),
    };
    json::at_path(document, &[Some(step)])
}

/// What a function in FROM returns, as an array of texts or of pairs for SQLite's own json_each.
fn rows(document: &str, what: &str) -> Result<String> {
    let text = what.ends_with("text");
    let cell = |value: &str| -> Result<String> {
        let value = if text { as_text(value)? } else { written(value) };
        Ok(if let Value::Text(text) = value { quoted(&text) } else { "null".to_owned() })
    };
    let document = json::document(document)?;
    let first = document.as_bytes().first().copied();
    let wrong = |message: String| Err(SqlError::new("22023", message));
    let list: Vec<String> = match (what, first) {
        ("elements" | "elements_text", Some(b'[')) => {
            json::items(document)?.into_iter().map(|item| cell(item.get())).collect::<Result<_>>()?
        }
        ("elements" | "elements_text", first) => {
            let kind = if first == Some(b'{') { "an object" } else { "a scalar" };
            return wrong(format!("cannot extract elements from {kind}"));
        }
        ("keys", Some(b'{')) => json::members(document)?.into_iter().map(|(key, _)| quoted(&key)).collect(),
        ("keys", first) => {
            let kind = if first == Some(b'[') { "an array" } else { "a scalar" };
            return wrong(format!("cannot call jsonb_object_keys on {kind}"));
        }
        (_, Some(b'{')) => {
            let pair = |(key, value): (String, &serde_json::value::RawValue)| {
                cell(value.get()).map(|value| format!("[{},{value}]", quoted(&key)))
            };
            json::members(document)?.into_iter().map(pair).collect::<Result<_>>()?
        }
        _ => return wrong("cannot call jsonb_each on a non-object".to_owned()),
    };
    Ok(format!("[{}]", list.join(",")))
}

/// The values of a group as a JSON array; the second argument is their type.
struct JsonAgg {
    normal: bool,
}

impl Aggregate<Vec<String>, Value> for JsonAgg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, items: &mut Vec<String>) -> rusqlite::Result<()> {
        let of = type_of(context, 1);
        // Rows and arrays each begin a line, but the first.
        let nested = !self.normal && (of == Type::Record || of.element().is_some());
        let line = if nested && !items.is_empty() { "\n " } else { "" };
        items.push(format!("{line}{}", to_json(context.get_raw(0), of)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, items: Option<Vec<String>>) -> rusqlite::Result<Value> {
        let Some(items) = items else { return Ok(Value::Null) };
        let text = format!("[{}]", items.join(", "));
        if self.normal {
            json::normalise(&text).map(Value::Text).map_err(packed)
        } else {
            Ok(Value::Text(text))
        }
    }
}

/// A value as JSON. An instant comes here as such only from definitions of earlier versions, which knew no zone
/// but UTC.
fn to_json(value: ValueRef<'_>, ty: Type) -> String {
    let text = match (ty, value) {
        (Type::Timestamptz, ValueRef::Integer(instant)) => datetime::format_in(&Zone::UTC, instant),
        _ => output(ty.into(), value),
    };
    match ty {
        _ if value == ValueRef::Null => "null".to_owned(),
        Type::Bool => (if text == "t" { "true" } else { "false" }).to_owned(),
        Type::Json | Type::Jsonb => text,
        // A table's row comes as a document already, and `ROW(…)` as a text in parentheses.
        Type::Record if text.starts_with('{') => text,
        // No document has a number that is infinite.
        ty if ty.is_number() && !text.ends_with('y') => text,
        Type::Timestamp => quoted(&datetime::json_text(&text)),
        _ => match ty.element() {
            Some(element) => array_to_json(&text, element),
            None => quoted(&text),
        },
    }
}

/// An array's text as a JSON array.
fn array_to_json(text: &str, element: Type) -> String {
    let item = |item: Option<String>| match item {
        None => "null".to_owned(),
        Some(item) if element == Type::Timestamptz => quoted(&datetime::json_text(&item)),
        Some(item) => match input(element.into(), &item, true) {
            Ok(value) => to_json(value_ref(&value), element),
            Err(_) => quoted(&item),
        },
    };
    // What is stored can be read; if it can't, it is shown as it is.
    let items = array::parse(text);
    items.map_or_else(
        |_| quoted(text),
        |items| format!("[{}]", items.into_iter().map(item).collect::<Vec<_>>().join(",")),
    )
}

/// Keys and values of a group as an object; then the values' type, and whether it is jsonb.
struct ObjectAgg;

impl Aggregate<(Vec<String>, bool), Value> for ObjectAgg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<(Vec<String>, bool)> {
        Ok((Vec::new(), false))
    }

    fn step(&self, context: &mut Context<'_>, items: &mut (Vec<String>, bool)) -> rusqlite::Result<()> {
        let Ok(key) = text(context, 0) else {
            let error = SqlError::new("22004", "field name must not be null");
            return Err(packed(error));
        };
        let value = to_json(context.get_raw(1), type_of(context, 2));
        items.0.push(format!("{} : {value}", quoted(key)));
        items.1 = integer(context, 3) != 0;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, items: Option<(Vec<String>, bool)>) -> rusqlite::Result<Value> {
        let Some((items, normal)) = items else { return Ok(Value::Null) };
        if !normal {
            return Ok(Value::Text(format!("{{ {} }}", items.join(", "))));
        }
        let text = format!("{{{}}}", items.join(","));
        json::normalise(&text).map(Value::Text).map_err(packed)
    }
}
