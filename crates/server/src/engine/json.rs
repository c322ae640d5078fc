//! The SQL functions behind json and jsonb.

use super::functions::{PURE, flag, integer, packed, pure, type_of};
use super::{Value, ValueRef};
use crate::sql::error::{Result, SqlError};
use crate::sql::json::document::{self, Put};
use crate::sql::json::{parse, write};
use crate::sql::types::Type;
use crate::sql::value::{output, utf8};
use crate::sql::zone::Zone;
use crate::sql::{array, datetime};
use rusqlite::Connection as Sqlite;
use rusqlite::functions::{Aggregate, Context};
use serde_json::Value as Json;

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
            let key = Json::String(output(pair[0].0.into(), pair[0].1));
            let colon = if row { ":" } else { " : " };
            parts.push(format!("{key}{colon}{}", to_json(pair[1].1, pair[1].0)));
        }
        Ok(Value::Text(format!("{{{}}}", parts.join(if row { "," } else { ", " }))))
    })?;
    strict(sqlite, "sb_json_get", 2, |c| Ok(member(c)?.map_or(Value::Null, |found| shown(&found))))?;
    strict(sqlite, "sb_json_text", 2, |c| Ok(member(c)?.map_or(Value::Null, |found| as_text(&found))))?;
    strict(sqlite, "sb_json_path", 3, |c| {
        let (document, path) = (json(c, 0)?, path(c, 1)?);
        let found = document::at_path(&document, &path);
        Ok(found.map_or(Value::Null, |found| if integer(c, 2) != 0 { as_text(found) } else { shown(found) }))
    })?;
    strict(sqlite, "sb_json_contains", 2, |c| Ok(flag(document::contains(&json(c, 0)?, &json(c, 1)?))))?;
    strict(sqlite, "sb_json_has", 2, |c| Ok(flag(document::has_key(&json(c, 0)?, text(c, 1)?))))?;
    strict(sqlite, "sb_json_has_all", 3, |c| {
        let (document, keys) = (json(c, 0)?, path(c, 1)?);
        let mut keys = keys.iter().flatten();
        let has = |key: &String| document::has_key(&document, key);
        Ok(flag(if integer(c, 2) != 0 { keys.all(has) } else { keys.any(has) }))
    })?;
    strict(sqlite, "sb_json_concat", 2, |c| Ok(shown(&document::concatenated(json(c, 0)?, json(c, 1)?))))?;
    strict(sqlite, "sb_json_without", 3, |c| {
        let by_position = integer(c, 2) != 0;
        let step = if by_position { integer(c, 1).to_string() } else { text(c, 1)?.to_owned() };
        Ok(shown(&document::without(json(c, 0)?, &step, by_position)?))
    })?;
    strict(sqlite, "sb_json_without_path", 2, |c| {
        Ok(shown(&document::without_path(json(c, 0)?, &path(c, 1)?)?))
    })?;
    strict(sqlite, "sb_json_set", 4, |c| {
        let (document, path, new) = (json(c, 0)?, path(c, 1)?, json(c, 2)?);
        Ok(shown(&document::set(document, &path, new, integer(c, 3) != 0, Put::Replace)?))
    })?;
    strict(sqlite, "sb_json_insert", 4, |c| {
        let (document, path, new) = (json(c, 0)?, path(c, 1)?, json(c, 2)?);
        let how = if integer(c, 3) != 0 { Put::After } else { Put::Before };
        Ok(shown(&document::set(document, &path, new, true, how)?))
    })?;
    strict(sqlite, "sb_json_strip", 1, |c| Ok(shown(&document::stripped(json(c, 0)?))))?;
    strict(sqlite, "sb_json_pretty", 1, |c| {
        let mut out = String::new();
        document::pretty(&json(c, 0)?, 0, &mut out);
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
            let value = value.map_or(Json::Null, Json::String);
            parts.push(format!("{} : {value}", Json::String(key)));
        }
        Ok(Value::Text(format!("{{{}}}", parts.join(", "))))
    })?;
    strict(sqlite, "sb_json_rows", 2, |c| rows(&json(c, 0)?, text(c, 1)?).map(Value::Text))?;
    strict(sqlite, "sb_json_array", 2, |c| {
        let list = parse(&rows(&json(c, 0)?, text(c, 1)?)?)?;
        let items: Vec<Option<&str>> = list.as_array().into_iter().flatten().map(Json::as_str).collect();
        Ok(Value::Text(array::format(items)))
    })?;
    sqlite.create_aggregate_function("sb_json_agg", 2, PURE, JsonAgg)?;
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

fn json(context: &Context<'_>, index: usize) -> Result<Json> {
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

/// A string as it is, null as NULL, anything else as its document.
fn as_text(document: &Json) -> Value {
    match document {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text.clone()),
        other => shown(other),
    }
}

fn member(context: &Context<'_>) -> Result<Option<Json>> {
    let document = json(context, 0)?;
    let found = match context.get_raw(1) {
        ValueRef::Integer(index) => {
            let length = document.as_array().map_or(0, Vec::len) as i64;
            let index = usize::try_from(if index < 0 { length + index } else { index }).ok();
            index.and_then(|index| document.get(index))
        }
        _ => document.get(text(context, 1)?),
    };
    Ok(found.cloned())
}

/// What a function in FROM returns, as an array of texts or of pairs for SQLite's own json_each.
fn rows(document: &Json, what: &str) -> Result<String> {
    let cell = |value: &Json, text: bool| match if text { as_text(value) } else { shown(value) } {
        Value::Text(text) => Json::String(text),
        _ => Json::Null,
    };
    let text = what.ends_with("text");
    let list: Vec<Json> = match (what, document) {
        ("elements" | "elements_text", Json::Array(items)) => {
            items.iter().map(|item| cell(item, text)).collect()
        }
        ("elements" | "elements_text", other) => {
            let kind = if other.is_object() { "an object" } else { "a scalar" };
            return Err(SqlError::new("22023", format!("cannot extract elements from {kind}")));
        }
        ("keys", Json::Object(map)) => {
            document::sorted(map).into_iter().map(|(key, _)| Json::String(key.clone())).collect()
        }
        ("keys", other) => {
            let kind = if other.is_array() { "an array" } else { "a scalar" };
            return Err(SqlError::new("22023", format!("cannot call jsonb_object_keys on {kind}")));
        }
        (_, Json::Object(map)) => {
            let pair = |(key, value): (&String, &Json)| {
                Json::Array(vec![Json::String(key.clone()), cell(value, text)])
            };
            document::sorted(map).into_iter().map(pair).collect()
        }
        _ => return Err(SqlError::new("22023", "cannot call jsonb_each on a non-object")),
    };
    Ok(Json::Array(list).to_string())
}

/// The values of a group as a JSON array; the second argument is their type.
struct JsonAgg;

impl Aggregate<Vec<String>, Value> for JsonAgg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, items: &mut Vec<String>) -> rusqlite::Result<()> {
        items.push(to_json(context.get_raw(0), type_of(context, 1)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, items: Option<Vec<String>>) -> rusqlite::Result<Value> {
        Ok(items.map_or(Value::Null, |items| Value::Text(format!("[{}]", items.join(", ")))))
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
        ty if ty.is_number() => text,
        Type::Timestamp => Json::String(datetime::json_text(&text)).to_string(),
        _ => serde_json::Value::String(text).to_string(),
    }
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
        items.0.push(format!("{} : {value}", Json::String(key.to_owned())));
        items.1 = integer(context, 3) != 0;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, items: Option<(Vec<String>, bool)>) -> rusqlite::Result<Value> {
        let Some((items, normal)) = items else { return Ok(Value::Null) };
        if !normal {
            return Ok(Value::Text(format!("{{ {} }}", items.join(", "))));
        }
        let text = format!("{{{}}}", items.join(","));
        crate::sql::json::normalise(&text).map(Value::Text).map_err(packed)
    }
}
