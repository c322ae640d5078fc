//! From Postgres' syntax tree to SQLite's text.
//!
//! The compiler walks the tree and writes new text for every construct that it knows, with the types
//! of both sides in hand. What it does not know it refuses with 0A000 and its place: no text of a
//! client's reaches SQLite without having been understood.
//!
//! 1. A query's FROM makes a [`Scope`]: which names mean which column of which type.
//! 2. Each expression becomes a [`Frag`]: SQLite text with a Postgres type.
//! 3. An untyped literal or parameter takes its type from what it meets, as in Postgres.

mod array;
mod dml;
mod enumeration;
mod expr;
mod from;
mod function;
mod grouping;
mod json;
mod operator;
mod ordered;
mod overlaps;
mod privilege;
mod projection;
pub(in crate::sql) mod query;
mod sets;
mod system;
mod union;

use super::catalog::{Catalog, Kind, PUBLIC, Relation, TEMPORARY, is_temporary, key, schema_key};
use super::error::{Result, SqlError};
use super::system::Cluster;
use super::types::{Type, Typed};
use super::{fold, quote, value, walk, zone};
use crate::engine::Value;
pub(in crate::sql) use expr::string as expression_string;
use sqlparser::ast::{Ident, ObjectName};

/// What the compiler needs to know about the session.
pub struct Context<'a> {
    /// The database's relations.
    pub catalog: &'a Catalog,
    /// The role in force.
    pub user: &'a str,
    /// The role that logged in.
    pub login: &'a str,
    /// The role in force may do everything.
    pub superuser: bool,
    /// The database's name.
    pub database: &'a str,
    /// The cluster, for the system catalogues.
    pub cluster: &'a dyn Cluster,
    /// The schemas that a name without one is looked for in.
    pub path: &'a [String],
    /// The schema of the session's temporary tables.
    pub temporary: &'a str,
    /// The roles that the role in force is a member of, itself included.
    pub memberships: &'a [String],
}

impl Context<'_> {
    /// The relation of a name.
    pub fn find(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        let found = match schema {
            Some(TEMPORARY) => self.catalog.get(&key(self.temporary, name)),
            Some(schema) => self.catalog.get(&key(schema, name)),
            None => {
                let path = self.path.iter().map(String::as_str);
                std::iter::once(self.temporary).chain(path).find_map(|s| self.catalog.get(&key(s, name)))
            }
        };
        found.filter(|relation| relation.kind.is_relation())
    }

    /// The relation that a name means inside another: in that one's schema, or on the path.
    pub fn find_from(&self, from: &Relation, schema: Option<&str>, name: &str) -> Option<&Relation> {
        let near = || schema.is_none().then(|| self.catalog.get(&from.sibling(name))).flatten();
        self.find(schema, name).or_else(near)
    }

    /// Whether a view's query reads the relation of a key.
    pub fn reads(&self, view: &Relation, key: &str) -> bool {
        let parsed = super::parse(view.definition.as_deref().unwrap_or_default());
        let mut reader = |read: &ObjectName| {
            let found = relation_name(read).ok();
            let found = found.and_then(|(schema, name)| self.find_from(view, schema.as_deref(), &name));
            found.is_some_and(|found| found.name == key)
        };
        parsed.is_ok_and(|statements| walk::any_relation(&statements, &mut reader))
    }

    /// The materialized view without rows that a relation's query reads, directly or through views; or that it is.
    pub fn unpopulated(&self, relation: &Relation, itself: bool) -> Option<&Relation> {
        let empty = |r: &&Relation| r.kind == (Kind::Materialized { populated: false });
        // There is hardly ever one.
        let mut all = self.catalog.relations.values().filter(empty).peekable();
        all.peek()?;
        if itself && empty(&relation) {
            return self.catalog.get(&relation.name);
        }
        if itself && relation.kind != Kind::View {
            return None;
        }
        let read = self.catalog.relations.values();
        let mut read = read.filter(|r| r.kind.is_query() && r.name != relation.name);
        read.find_map(|r| if self.reads(relation, &r.name) { self.unpopulated(r, true) } else { None })
    }

    /// Whether a relation is found without its schema.
    pub fn is_visible(&self, relation: &Relation) -> bool {
        self.find(None, relation.base()).is_some_and(|found| found.name == relation.name)
    }

    /// Whether the role in force may do what a letter stands for.
    pub fn allows(&self, relation: &Relation, privilege: char) -> bool {
        self.superuser || self.memberships.iter().any(|role| relation.allows(role, privilege))
    }

    /// The schemas of the path that are there.
    pub fn existing_path(catalog: &Catalog, setting: &str, user: &str) -> Vec<String> {
        let parts = setting.split(',').map(|part| part.trim().trim_matches('"'));
        let parts = parts.map(|part| if part == "$user" { user } else { part });
        parts.filter(|part| catalog.has_schema(part)).map(str::to_owned).collect()
    }
}

/// A result column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its type.
    pub typed: Typed,
    /// The table's column that it is, if it is one as it is.
    pub origin: Option<Origin>,
}

/// A table's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The table's number.
    pub table: i64,
    /// The column's number.
    pub column: i16,
    /// An outer join may have made it NULL.
    pub outer: bool,
}

/// A change within WITH: what it returns is kept in a table of the session's own until the statement ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The table's name.
    pub table: String,
    /// The change.
    pub sql: String,
    /// How many columns it returns.
    pub width: usize,
}

/// The compiler; one for each statement.
pub struct Compiler<'a> {
    pub(super) context: &'a Context<'a>,
    /// The types of `$1`, `$2`, …, where known.
    pub params: Vec<Option<Type>>,
    /// The statement changes something, so it needs the write lock.
    pub writes: bool,
    /// The text holds parts of the catalogues, so it is right for one run only.
    pub volatile: bool,
    /// A literal in it, such as `now`, means another moment in each run.
    pub momentary: bool,
    /// A function in it asks the session for something.
    pub asks: bool,
    /// Changes within WITH, which come first.
    pub before: Vec<Before>,
    /// The tables that it changes, each with the letter of the privilege that this takes.
    pub changes: Vec<(String, char)>,
    /// The literals that were read and as which types, where the session's zone is not UTC.
    pub literals: Vec<(String, Type)>,
    /// A view is defined, and not read.
    pub defining: bool,
    /// How many queries the present one is inside.
    depth: usize,
    /// An INSERT that gives identity columns values of its own.
    overriding: bool,
    scopes: Vec<Scope>,
    ctes: Vec<(String, Vec<Output>)>,
}

/// The names that one query level can see.
#[derive(Default)]
struct Scope {
    tables: Vec<ScopeTable>,
    /// Columns that a JOIN … USING merged.
    merged: Vec<String>,
    /// The level groups or aggregates.
    aggregates: bool,
    /// What the set-returning calls among the result columns are in one row, in their order.
    sets: std::collections::VecDeque<Frag>,
}

struct ScopeTable {
    alias: String,
    columns: Vec<ScopeColumn>,
}

#[derive(Clone)]
struct ScopeColumn {
    name: String,
    typed: Typed,
    not_null: bool,
    /// Its text for SQLite, where that is not the table's alias and the column's name.
    sql: Option<String>,
    origin: Option<Origin>,
}

/// A piece of SQLite text with its Postgres type.
#[derive(Debug, Clone)]
pub struct Frag {
    /// The text.
    pub sql: String,
    /// The type, with its modifier.
    pub typed: Typed,
    /// Whether it is still untyped.
    pub shape: Shape,
    /// It can't be NULL.
    pub not_null: bool,
    /// The table's column that it is, if it is one as it is.
    pub origin: Option<Origin>,
}

/// How far an expression's type is settled.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// It has its type.
    Typed,
    /// A string literal that can still become anything.
    Literal(String),
    /// A parameter without a type yet, counted from 0.
    Param(usize),
    /// NULL.
    Null,
}

impl Frag {
    fn new(sql: impl Into<String>, typed: impl Into<Typed>) -> Self {
        Self { sql: sql.into(), typed: typed.into(), shape: Shape::Typed, not_null: false, origin: None }
    }

    fn ty(&self) -> Type {
        self.typed.ty
    }

    fn untyped(&self) -> bool {
        self.shape != Shape::Typed
    }

    /// The text, with the collation that makes decimals and intervals compare by what they mean.
    fn comparable(&self) -> String {
        match self.ty().collation() {
            Some(name) => format!("({}) COLLATE {name}", self.sql),
            None => self.sql.clone(),
        }
    }
}

impl<'a> Compiler<'a> {
    /// A compiler with the parameter types that the client declared.
    pub fn new(context: &'a Context<'a>, params: &[Option<Type>]) -> Self {
        Self {
            context,
            params: params.to_vec(),
            writes: false,
            volatile: false,
            momentary: false,
            asks: false,
            before: Vec::new(),
            changes: Vec::new(),
            literals: Vec::new(),
            defining: false,
            depth: 0,
            overriding: false,
            scopes: Vec::new(),
            ctes: Vec::new(),
        }
    }

    /// Refuses what the role may not do with a relation.
    pub(super) fn check(&self, relation: &Relation, privilege: char) -> Result<()> {
        let schema = self.context.catalog.get(&schema_key(relation.schema()));
        let inside = match schema {
            Some(schema) => self.context.allows(schema, 'U'),
            None => relation.schema() == PUBLIC || is_temporary(&relation.name),
        };
        if !inside && !self.context.superuser {
            return Err(SqlError::new(
                "42501",
                format!("permission denied for schema {}", relation.schema()),
            ));
        }
        if self.context.allows(relation, privilege) {
            return Ok(());
        }
        let noun = relation.kind.noun();
        Err(SqlError::new("42501", format!("permission denied for {noun} {}", relation.base())))
    }

    /// Gives an untyped fragment a type; a typed one is converted if Postgres does so implicitly.
    pub(super) fn coerce(&mut self, frag: Frag, to: Type) -> Result<Frag> {
        let from = frag.ty();
        match &frag.shape {
            Shape::Null => Ok(Frag { typed: to.into(), ..frag }),
            Shape::Literal(text) => {
                let parsed = self.read(to.into(), text, true)?;
                Ok(Frag {
                    sql: literal(&parsed),
                    typed: to.into(),
                    shape: Shape::Typed,
                    not_null: true,
                    origin: None,
                })
            }
            Shape::Param(index) => {
                // The first use decides; a later use that disagrees converts.
                let known =
                    *self.params[*index].get_or_insert(if to == Type::Unknown { Type::Text } else { to });
                let typed = self.parameter(*index, known)?;
                if known.enumeration().or(to.enumeration()).is_some() && known != to {
                    return self.cast_enumeration(&typed, to.into());
                }
                if known == to { Ok(typed) } else { Ok(cast_call(&typed, to.into(), true)) }
            }
            Shape::Typed if from == to => Ok(frag),
            Shape::Typed if from.is_string() && to.is_string() => Ok(Frag { typed: to.into(), ..frag }),
            Shape::Typed if implicit(from, to) => Ok(cast_call(&frag, to.into(), false)),
            Shape::Typed => Err(mismatch(from, to)),
        }
    }

    /// Settles a fragment that nothing else gave a type: it is text.
    pub(super) fn settle(&mut self, frag: Frag) -> Result<Frag> {
        if frag.untyped() { self.coerce(frag, Type::Text) } else { Ok(frag) }
    }

    /// The type that several alternatives share, as in CASE, COALESCE, IN, UNION and VALUES.
    pub(super) fn common(&self, what: &str, frags: &[&Frag]) -> Result<Type> {
        let mut common: Option<Type> = None;
        for frag in frags.iter().filter(|frag| !frag.untyped()) {
            common = Some(match common {
                None => frag.ty(),
                Some(ty) => wider(ty, frag.ty()).ok_or_else(|| {
                    SqlError::new("42804", format!("{what} types {ty} and {} cannot be matched", frag.ty()))
                })?,
            });
        }
        Ok(common.unwrap_or(Type::Text))
    }

    /// Brings several alternatives to their common type.
    pub(super) fn unify(&mut self, what: &str, frags: Vec<Frag>) -> Result<(Vec<Frag>, Type)> {
        let common = self.common(what, &frags.iter().collect::<Vec<_>>())?;
        let frags = frags.into_iter().map(|frag| self.coerce(frag, common)).collect::<Result<Vec<_>>>()?;
        Ok((frags, common))
    }
}

/// Whether Postgres converts without being asked.
pub(super) fn implicit(from: Type, to: Type) -> bool {
    from == to
        || (from.is_string() && to.is_string())
        || (from.is_number() && to.is_number() && from.rank() < to.rank())
        || (from.is_integer() && from.rank() == to.rank())
        || matches!(
            (from, to),
            (Type::Date, Type::Timestamp | Type::Timestamptz)
                | (Type::Timestamp, Type::Timestamptz)
                | (Type::Time, Type::Interval | Type::Timetz)
        )
        || from.element().zip(to.element()).is_some_and(|(from, to)| implicit(from, to))
}

/// Whether Postgres converts when it assigns to a column.
fn assignable(from: Type, to: Type) -> bool {
    implicit(from, to)
        || (from.is_number() && to.is_number())
        || (to.is_string() && from != Type::Bytea)
        || matches!(
            (from, to),
            (Type::Timestamptz | Type::Timestamp, Type::Timestamp | Type::Date | Type::Time)
                | (Type::Timestamptz, Type::Timetz)
                | (Type::Timetz, Type::Time)
                | (Type::Json, Type::Jsonb)
                | (Type::Jsonb, Type::Json)
                | (Type::Interval, Type::Time)
        )
        || from.element().zip(to.element()).is_some_and(|(from, to)| assignable(from, to))
}

/// The type both convert to.
pub(super) fn wider(a: Type, b: Type) -> Option<Type> {
    if a == b {
        Some(a)
    } else if a.is_string() && b.is_string() {
        Some(Type::Text)
    } else if implicit(a, b) {
        Some(b)
    } else if implicit(b, a) {
        Some(a)
    } else {
        None
    }
}

/// The call that converts a fragment's value.
pub(super) fn cast_call(frag: &Frag, to: Typed, explicit: bool) -> Frag {
    let (from, sql) = (frag.ty(), &frag.sql);
    // Conversions that can't fail are left to SQLite.
    if from.is_integer() && to.ty.is_integer() && from.rank() <= to.ty.rank() {
        return Frag { typed: to, ..frag.clone() };
    }
    let sql = match (from, to.ty) {
        (from, Type::Float8) if from.is_integer() => format!("CAST({sql} AS REAL)"),
        (from, Type::Numeric | Type::Text) if from.is_integer() && to.typmod < 0 => {
            format!("CAST({sql} AS TEXT)")
        }
        _ => {
            let call = if zone::matters(from, to.ty) { "sb_zoned_cast" } else { "sb_cast" };
            format!("{call}({sql}, {}, {}, {}, {})", from.oid(), to.ty.oid(), to.typmod, u8::from(explicit))
        }
    };
    Frag { sql, typed: to, shape: Shape::Typed, not_null: frag.not_null, origin: None }
}

/// SQLite's text for a stored value.
pub(super) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) if *number < 0 => format!("({number})"),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) if number.is_infinite() => {
            (if *number > 0.0 { "9e999" } else { "(-9e999)" }).to_owned()
        }
        Value::Real(number) => format!("({number:e})"),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => {
            let hex = value::output(Type::Bytea.into(), crate::engine::ValueRef::Blob(bytes));
            format!("X'{}'", &hex[2..])
        }
    }
}

fn mismatch(from: Type, to: Type) -> SqlError {
    SqlError::new("42804", format!("cannot convert type {from} to {to} implicitly"))
        .hint("You will need to rewrite or cast the expression.")
}

/// The place of a name.
fn place(ident: &Ident) -> sqlparser::tokenizer::Location {
    ident.span.start
}

/// A relation's schema, if one is given, and its name.
pub(super) fn relation_name(name: &ObjectName) -> Result<(Option<String>, String)> {
    let mut parts = Vec::new();
    for part in &name.0 {
        let ident = part.as_ident().ok_or_else(|| SqlError::unsupported(format!("name {name}")))?;
        parts.push(fold(ident));
    }
    match parts.as_mut_slice() {
        [relation] => Ok((None, std::mem::take(relation))),
        [schema, relation] => Ok((Some(std::mem::take(schema)), std::mem::take(relation))),
        _ => Err(SqlError::unsupported(format!("cross-database reference {name}"))),
    }
}

/// `"alias"."column"`, or the bare column where SQLite allows no table: in CHECK, generated columns and indexes.
fn qualified(alias: &str, column: &str) -> String {
    if alias.is_empty() { quote(column) } else { format!("{}.{}", quote(alias), quote(column)) }
}
