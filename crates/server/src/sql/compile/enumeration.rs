//! Enumerations in expressions: labels become values, and the types that a name or a number can mean.

use super::{Compiler, Context, Frag, cast_call, literal, relation_name};
use crate::engine::Value;
use crate::sql::catalog::{Relation, type_key};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::{self, Type, Typed};
use crate::sql::{array, datetime, labels};
use crate::sql::{value, zone};
use sqlparser::ast::{ArrayElemTypeDef, DataType};

impl Context<'_> {
    /// The type that a cast or a column names.
    pub fn declared(&self, data_type: &DataType) -> Result<Typed> {
        match data_type {
            DataType::Custom(name, arguments) if arguments.is_empty() => {
                let (schema, base) = relation_name(name)?;
                match self.enumeration(schema.as_deref(), &base) {
                    Some(found) => Ok(found.enum_type().into()),
                    None => types::declared(data_type),
                }
            }
            DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => {
                let inner = self.declared(inner)?.ty;
                let array = inner.array().ok_or_else(|| SqlError::unsupported(format!("type {inner}[]")))?;
                Ok(array.into())
            }
            _ => types::declared(data_type),
        }
    }

    /// A column's declared type, and whether it was one of the serial names.
    pub fn column_type(&self, data_type: &DataType) -> Result<(Typed, bool)> {
        match types::serial(data_type) {
            Some(ty) => Ok((ty.into(), true)),
            None => self.declared(data_type).map(|typed| (typed, false)),
        }
    }

    /// The enumeration of a name.
    pub fn enumeration(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        let found = |schema: &str| self.catalog.get(&type_key(schema, name));
        match schema {
            Some(schema) => found(schema),
            None => self.path.iter().find_map(|schema| found(schema)),
        }
    }

    /// Whether an enumeration is found without its schema.
    pub fn sees_enumeration(&self, found: &Relation) -> bool {
        self.enumeration(None, found.base()).is_some_and(|other| other.oid == found.oid)
    }

    /// The numbers and names of enumerations, as `regtype` shows them: with the schema if that is not on the path.
    pub fn enumeration_names(&self) -> Vec<(i64, String)> {
        let names = |found: &Relation| {
            let (name, array) =
                (found.enum_name(!self.sees_enumeration(found)), found.enum_array_type().oid());
            let shown = format!("{name}[]");
            [(found.oid, name), (array.into(), shown)]
        };
        self.catalog.enumerations().flat_map(names).collect()
    }

    /// A type's name as a cast writes it.
    pub fn type_name(&self, ty: Type) -> String {
        let own = self.enumeration_names().into_iter().find(|(oid, _)| *oid == i64::from(ty.oid()));
        own.map_or_else(|| ty.to_string(), |(_, name)| name)
    }

    /// An error with the names of enumerations where the types only know numbers.
    pub fn with_names(&self, mut error: SqlError) -> SqlError {
        for (oid, name) in self.enumeration_names() {
            let number = enum_number(oid);
            error.message = error.message.replace(&number, &name);
            error.hint = error.hint.map(|hint| hint.replace(&number, &name));
        }
        error
    }
}

/// How [`Type`] shows an enumeration, whose name it doesn't know.
fn enum_number(oid: i64) -> String {
    Type::Enum(u32::try_from(oid).unwrap_or(0)).to_string()
}

impl Compiler<'_> {
    /// The value of a literal, as its type's input function reads it.
    pub(super) fn read(&mut self, to: Typed, text: &str, explicit: bool) -> Result<Value> {
        let moment =
            matches!(to.ty, Type::Date | Type::Time | Type::Timetz | Type::Timestamp | Type::Timestamptz);
        self.momentary |= moment && datetime::is_word(text);
        if !zone::is_utc() {
            self.literals.push((text.to_owned(), to.ty));
        }
        match to.ty {
            Type::Enum(oid) => {
                let found = self.known_enumeration(oid)?;
                let values = found.labels.iter().map(String::as_str);
                labels::find(found.base(), values, text).map(|value| Value::Text(value.to_owned()))
            }
            Type::EnumArray(oid) => {
                let found = self.known_enumeration(oid)?;
                let value = |item: &Option<String>| {
                    let values = found.labels.iter().map(String::as_str);
                    item.as_ref().map(|item| labels::find(found.base(), values, item)).transpose()
                };
                let values = array::parse(text)?.iter().map(value).collect::<Result<Vec<_>>>()?;
                Ok(Value::Text(array::format(values)))
            }
            _ => value::input(to, text, explicit),
        }
    }

    /// A parameter of a type, counted from 0: of an enumeration it holds the label.
    pub(super) fn parameter(&self, index: usize, ty: Type) -> Result<Frag> {
        let sql = format!("?{}", index + 1);
        match ty {
            Type::Enum(_) | Type::EnumArray(_) => self.labelled(&sql, ty),
            _ => Ok(Frag::new(sql, ty)),
        }
    }

    /// A cast with an enumeration on one of its sides.
    pub(super) fn cast_enumeration(&mut self, frag: &Frag, to: Typed) -> Result<Frag> {
        match (frag.ty(), to.ty) {
            (from, Type::Enum(_) | Type::EnumArray(_)) if from.is_string() => self.labelled(&frag.sql, to.ty),
            (Type::TextArray | Type::VarcharArray, Type::EnumArray(_)) => self.labelled(&frag.sql, to.ty),
            (Type::Enum(_) | Type::EnumArray(_), ty) if ty.is_string() => Ok(cast_call(frag, to, true)),
            (Type::EnumArray(_), Type::TextArray | Type::VarcharArray) => Ok(cast_call(frag, to, true)),
            (from, ty) => Err(SqlError::new("42846", format!("cannot cast type {from} to {ty}"))),
        }
    }

    /// `enum_first`, `enum_last`.
    pub(super) fn enumeration_end(&self, name: &str, of: &Frag) -> Result<Option<Frag>> {
        let Type::Enum(oid) = of.ty() else { return Ok(None) };
        let found = self.known_enumeration(oid)?;
        let value = if name == "enum_first" { found.labels.first() } else { found.labels.last() };
        let value = value.map_or(Value::Null, |value| Value::Text(value.clone()));
        Ok(Some(Frag::new(literal(&value), of.typed)))
    }

    /// `enum_range`: all values, or those from one to another.
    pub(super) fn enumeration_range(&mut self, ends: &[Frag]) -> Result<Option<Frag>> {
        let Some(oid) = ends.iter().find_map(|end| end.ty().enumeration()) else { return Ok(None) };
        let list = literal(&Value::Text(labels::list(&self.known_enumeration(oid)?.labels)));
        let mut list = vec![list];
        for end in ends.iter().rev() {
            list.insert(0, self.coerce(end.clone(), Type::Enum(oid))?.sql);
        }
        if let [_, list] = list.as_mut_slice() {
            return Ok(Some(Frag::new(format!("sb_enum_range(NULL, NULL, {list})"), Type::EnumArray(oid))));
        }
        Ok(Some(Frag::new(format!("sb_enum_range({})", list.join(", ")), Type::EnumArray(oid))))
    }

    /// Text as a value of an enumeration, or as an array of them.
    fn labelled(&self, sql: &str, ty: Type) -> Result<Frag> {
        let found = self.known_enumeration(ty.enumeration().unwrap_or(0))?;
        let name = literal(&Value::Text(found.base().to_owned()));
        let list = literal(&Value::Text(labels::list(&found.labels)));
        let call = if ty.element().is_some() { "sb_enum_array" } else { "sb_enum" };
        Ok(Frag::new(format!("{call}({sql}, {name}, {list})"), ty))
    }

    fn known_enumeration(&self, oid: u32) -> Result<&Relation> {
        let missing = || SqlError::new("42704", format!("type with OID {oid} does not exist"));
        self.context.catalog.enumeration(oid).ok_or_else(missing)
    }
}
