//! json and jsonb in expressions: operators, functions, and functions that return rows.

use super::operator::no_operator;
use super::{Compiler, Frag, cast_call};
use crate::sql::error::Result;
use crate::sql::types::Type;
use sqlparser::ast::BinaryOperator as Op;

fn is_json(frag: &Frag) -> bool {
    matches!(frag.ty(), Type::Json | Type::Jsonb)
}

impl Compiler<'_> {
    /// The operators that only documents have, and those that they share with arrays and text.
    pub(super) fn json_operator(&mut self, op: &Op, a: &Frag, b: &Frag) -> Result<Option<Frag>> {
        let refuse = || Err(no_operator(&op.to_string(), a.ty(), b.ty()));
        let (left, json) = (a.ty(), is_json(a));
        let frag = match op {
            Op::Arrow | Op::LongArrow => {
                if !json {
                    return refuse();
                }
                let key = self.settle(b.clone())?;
                let key = if key.ty().is_integer() { key } else { self.coerce(key, Type::Text)? };
                match op {
                    Op::LongArrow => Frag::new(format!("sb_json_text({}, {})", a.sql, key.sql), Type::Text),
                    _ => Frag::new(format!("sb_json_get({}, {})", a.sql, key.sql), left),
                }
            }
            Op::HashArrow | Op::HashLongArrow => {
                if !json {
                    return refuse();
                }
                let path = self.coerce(b.clone(), Type::TextArray)?.sql;
                match op {
                    Op::HashLongArrow => Frag::new(format!("sb_json_path({}, {path}, 1)", a.sql), Type::Text),
                    _ => Frag::new(format!("sb_json_path({}, {path}, 0)", a.sql), left),
                }
            }
            Op::AtArrow | Op::ArrowAt if a.ty() == Type::Jsonb || b.ty() == Type::Jsonb => {
                let (a, b) =
                    (self.coerce(a.clone(), Type::Jsonb)?.sql, self.coerce(b.clone(), Type::Jsonb)?.sql);
                let (outer, inner) = if *op == Op::AtArrow { (a, b) } else { (b, a) };
                Frag::new(format!("sb_json_contains({outer}, {inner})"), Type::Bool)
            }
            Op::Question if left == Type::Jsonb => {
                let key = self.coerce(b.clone(), Type::Text)?.sql;
                Frag::new(format!("sb_json_has({}, {key})", a.sql), Type::Bool)
            }
            Op::QuestionPipe | Op::QuestionAnd if left == Type::Jsonb => {
                let keys = self.coerce(b.clone(), Type::TextArray)?.sql;
                let all = u8::from(*op == Op::QuestionAnd);
                Frag::new(format!("sb_json_has_all({}, {keys}, {all})", a.sql), Type::Bool)
            }
            Op::StringConcat if a.ty() == Type::Jsonb || b.ty() == Type::Jsonb => {
                if (!a.untyped() && !json) || (!b.untyped() && !is_json(b)) {
                    return Ok(None);
                }
                let (a, b) =
                    (self.coerce(a.clone(), Type::Jsonb)?.sql, self.coerce(b.clone(), Type::Jsonb)?.sql);
                Frag::new(format!("sb_json_concat({a}, {b})"), Type::Jsonb)
            }
            Op::Minus if left == Type::Jsonb => {
                let by_position = u8::from(b.ty().is_integer());
                let key = if b.ty().is_integer() { b.clone() } else { self.coerce(b.clone(), Type::Text)? };
                Frag::new(format!("sb_json_without({}, {}, {by_position})", a.sql, key.sql), Type::Jsonb)
            }
            Op::HashMinus if left == Type::Jsonb => {
                let path = self.coerce(b.clone(), Type::TextArray)?.sql;
                Frag::new(format!("sb_json_without_path({}, {path})", a.sql), Type::Jsonb)
            }
            _ => return Ok(None),
        };
        Ok(Some(frag))
    }

    /// Functions on documents.
    pub(super) fn json_function(&mut self, name: &str, args: &[Frag]) -> Result<Option<Frag>> {
        let (ty, short) = match name.strip_prefix("jsonb_") {
            Some(short) => (Type::Jsonb, short),
            None => match name.strip_prefix("json_") {
                Some(short) => (Type::Json, short),
                None => return Ok(None),
            },
        };
        Ok(Some(match (short, args) {
            ("set" | "insert", [document, path, new, rest @ ..]) if rest.len() < 2 && ty == Type::Jsonb => {
                let document = self.coerce(document.clone(), Type::Jsonb)?.sql;
                let path = self.coerce(path.clone(), Type::TextArray)?.sql;
                let new = self.coerce(new.clone(), Type::Jsonb)?.sql;
                let flag = match rest.first() {
                    Some(flag) => self.coerce(flag.clone(), Type::Bool)?.sql,
                    None => if short == "set" { "1" } else { "0" }.to_owned(),
                };
                Frag::new(format!("sb_json_{short}({document}, {path}, {new}, {flag})"), ty)
            }
            ("extract_path" | "extract_path_text", [document, path @ ..]) if !path.is_empty() => {
                let document = self.coerce(document.clone(), ty)?.sql;
                let mut steps = Vec::new();
                for step in path {
                    steps.push(self.coerce(step.clone(), Type::Text)?.sql);
                }
                let text = short.ends_with("text");
                let path = format!("sb_array({}, {})", Type::Text.oid(), steps.join(", "));
                let returns = if text { Type::Text } else { ty };
                Frag::new(format!("sb_json_path({document}, {path}, {})", u8::from(text)), returns)
            }
            ("strip_nulls", [document]) => {
                let document = self.coerce(document.clone(), ty)?.sql;
                let name = if ty == Type::Jsonb { "sb_json_strip" } else { "sb_json_strip_written" };
                Frag::new(format!("{name}({document})"), ty)
            }
            ("pretty", [document]) if ty == Type::Jsonb => {
                let document = self.coerce(document.clone(), ty)?.sql;
                Frag::new(format!("sb_json_pretty({document})"), Type::Text)
            }
            ("object", [keys, values]) => {
                let keys = self.coerce(keys.clone(), Type::TextArray)?.sql;
                let values = self.coerce(values.clone(), Type::TextArray)?.sql;
                let built = Frag::new(format!("sb_json_object({keys}, {values})"), Type::Json);
                if ty == Type::Jsonb { cast_call(&built, ty.into(), true) } else { built }
            }
            _ => return Ok(None),
        }))
    }

    /// A function on documents that returns rows: its document, what of it, and its columns.
    pub(super) fn json_rows(&mut self, name: &str, args: &[Frag]) -> Result<Option<JsonRows>> {
        let [document] = args else { return Ok(None) };
        let Some((what, ty, columns)) = rows_of(name) else { return Ok(None) };
        let document = self.coerce(document.clone(), ty)?.sql;
        Ok(Some(JsonRows { document, what, columns }))
    }

    /// What a document is to hold: of an instant its text, which is in the session's zone.
    pub(super) fn for_json(&mut self, value: Frag) -> Result<Frag> {
        if value.ty() == Type::Timestamptz { self.call("sb_json_instant", vec![value]) } else { Ok(value) }
    }

    /// `json_object_agg` and its like.
    pub(super) fn json_aggregate(&mut self, name: &str, args: &[Frag]) -> Result<Option<Frag>> {
        let ty = match name {
            "json_object_agg" => Type::Json,
            "jsonb_object_agg" => Type::Jsonb,
            _ => return Ok(None),
        };
        let [key, value] = args else { return Ok(None) };
        let (key, value) = (self.as_text(key.clone())?, self.settle(value.clone())?);
        let value = self.for_json(value)?;
        let call = format!(
            "sb_json_object_agg({}, {}, {}, {})",
            key.sql,
            value.sql,
            value.ty().oid(),
            u8::from(ty == Type::Jsonb)
        );
        Ok(Some(Frag::new(call, ty)))
    }
}

/// A function on documents that returns rows.
pub(super) struct JsonRows {
    /// The document's text for SQLite.
    pub document: String,
    /// What is wanted of it.
    pub what: &'static str,
    /// The columns.
    pub columns: Vec<(&'static str, Type)>,
}

/// What a function wants of a document, the document's type, and the columns.
type RowsOf = (&'static str, Type, Vec<(&'static str, Type)>);

/// What is known of a function by its name.
pub(super) fn rows_of(name: &str) -> Option<RowsOf> {
    let (ty, short) = match name.strip_prefix("jsonb_") {
        Some(short) => (Type::Jsonb, short),
        None => (Type::Json, name.strip_prefix("json_")?),
    };
    let keys = if ty == Type::Json { "json_object_keys" } else { "jsonb_object_keys" };
    let (what, columns) = match short {
        "array_elements" => ("elements", vec![("value", ty)]),
        "array_elements_text" => ("elements_text", vec![("value", Type::Text)]),
        "object_keys" => ("keys", vec![(keys, Type::Text)]),
        "each" => ("each", vec![("key", Type::Text), ("value", ty)]),
        "each_text" => ("each_text", vec![("key", Type::Text), ("value", Type::Text)]),
        _ => return None,
    };
    Some((what, ty, columns))
}
