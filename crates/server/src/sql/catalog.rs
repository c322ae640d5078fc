//! What a database contains, as declared: the part that SQLite's own schema can't hold.

use super::extension::{self, PLPGSQL};
use super::system::shown;
use super::types::{Type, Typed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Between a schema and a name in a key: no name holds it.
const MARK: char = '\u{1}';
/// The schema that every database has from the start.
pub const PUBLIC: &str = "public";
/// The number of the extension that every database has.
const PLPGSQL_OID: i64 = 13_800;
/// What a client calls the schema of its session's temporary tables.
pub const TEMPORARY: &str = "pg_temp";

/// The relations of one database, by key.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Tables, views, indexes and sequences share one name space in each schema, as in Postgres; and there
    /// are the schemas themselves.
    pub relations: BTreeMap<String, Relation>,
}

/// The key of a relation: in `public` its name alone, so that such a table has its own name in SQLite too.
pub fn key(schema: &str, name: &str) -> String {
    if schema == PUBLIC { name.to_owned() } else { format!("{schema}{MARK}{name}") }
}

/// The key of a schema: no relation's.
pub fn schema_key(name: &str) -> String {
    format!("{MARK}{name}")
}

/// The key of a type: no relation's.
pub fn type_key(schema: &str, name: &str) -> String {
    format!("{schema}{MARK}{MARK}{name}")
}

/// The key of an extension: no relation's and no schema's.
pub fn extension_key(name: &str) -> String {
    format!("{MARK}{MARK}{name}")
}

/// The name, for SQLite alone, of the query behind a materialized view: no relation's.
pub fn query_key(key: &str) -> String {
    format!("{key}{MARK}{MARK}query")
}

/// A key's schema and name; a schema's own key has an empty schema.
pub fn split(key: &str) -> (&str, &str) {
    key.split_once(MARK).unwrap_or((PUBLIC, key))
}

/// Whether a key belongs to a session's temporary tables.
pub fn is_temporary(key: &str) -> bool {
    split(key).0.starts_with(TEMPORARY)
}

/// A key as SQLite's text names it.
pub fn stored(key: &str) -> String {
    format!("{}.{}", if is_temporary(key) { "\"temp\"" } else { "\"main\"" }, super::quote(key))
}

/// A table, view, index or sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relation {
    /// Its key, which is also its name in SQLite.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its number in the catalogues.
    pub oid: i64,
    /// The role that made it.
    pub owner: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its keys and checks; an index is a relation of its own.
    pub constraints: Vec<Constraint>,
    /// A view's query or a partial index's condition, as written.
    pub definition: Option<String>,
    /// For an index: the table it belongs to.
    pub parent: Option<String>,
    /// Who else than the owner may do what.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// What COMMENT ON said.
    #[serde(default)]
    pub comment: Option<String>,
    /// What becomes of a temporary table when the transaction ends, if not nothing.
    #[serde(default)]
    pub on_commit: Option<OnCommit>,
    /// An enumeration's values in their order; see [`super::labels`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// What becomes of a temporary table when the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnCommit {
    /// `ON COMMIT DROP`
    Drop,
    /// `ON COMMIT DELETE ROWS`
    DeleteRows,
}

/// What a role may do with a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role; empty for everybody.
    pub grantee: String,
    /// The letters of Postgres' access control lists, each with a star behind it if it may be given on.
    pub privileges: String,
    /// The role that gave it; empty for the owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub grantor: String,
}

impl Grant {
    /// What everybody may do with a new database.
    pub fn of_new_database() -> Vec<Self> {
        vec![Self::to_everybody("Tc")]
    }

    /// What everybody may do.
    pub fn to_everybody(privileges: &str) -> Self {
        Self { grantee: String::new(), privileges: privileges.to_owned(), grantor: String::new() }
    }

    /// Whether it holds the privilege of a letter.
    pub fn has(&self, letter: char) -> bool {
        self.privileges.contains(letter)
    }

    /// Whether that one may be given on.
    pub fn gives(&self, letter: char) -> bool {
        self.privileges.split_once(letter).is_some_and(|(_, rest)| rest.starts_with('*'))
    }
}

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A table.
    Table,
    /// A view.
    View,
    /// A materialized view.
    Materialized {
        /// Whether it has been filled; else it can't be read.
        populated: bool,
    },
    /// An index; unique or not.
    Index {
        /// Whether it refuses duplicates.
        unique: bool,
    },
    /// A sequence.
    Sequence,
    /// A schema.
    Schema,
    /// A schema that every database has, and that was dropped here.
    Dropped,
    /// An enumeration.
    Enum,
    /// An extension, whose definition is its schema.
    Extension,
    /// A database: in no catalogue, but with an owner and rights like the others.
    Database,
}

impl Kind {
    /// What messages call it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Materialized { .. } => "materialized view",
            Self::Index { .. } => "index",
            Self::Sequence => "sequence",
            Self::Schema | Self::Dropped => "schema",
            Self::Enum => "type",
            Self::Extension => "extension",
            Self::Database => "database",
        }
    }

    /// Whether it shares the name space of tables.
    pub fn is_relation(self) -> bool {
        self.has_rows() || matches!(self, Self::Index { .. } | Self::Sequence)
    }

    /// Whether it can be read as a table.
    pub fn has_rows(self) -> bool {
        self.is_query() || self == Self::Table
    }

    /// Whether a query says what is in it.
    pub fn is_query(self) -> bool {
        matches!(self, Self::View | Self::Materialized { .. })
    }

    /// The letters of an owner's privileges, in the order in which Postgres shows them.
    pub fn privileges(self) -> &'static str {
        match self {
            Self::Sequence => "rwU",
            Self::Schema | Self::Dropped => "UC",
            Self::Database => "CTc",
            _ => "arwdDxt",
        }
    }
}

/// A column as declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type's number.
    pub type_oid: u32,
    /// Its type's modifier.
    pub typmod: i32,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Its default, or what it is generated from, as written in Postgres' dialect; of an index's column the
    /// expression.
    pub default: Option<String>,
    /// Whether it is an identity column.
    pub identity: Option<Identity>,
    /// Whether SQLite computes it.
    pub generated: bool,
    /// Of an index's column: whether it descends.
    #[serde(default)]
    pub descending: bool,
    /// What COMMENT ON said.
    #[serde(default)]
    pub comment: Option<String>,
}

impl Column {
    /// Its type.
    pub fn typed(&self) -> Typed {
        Typed { ty: Type::from_oid(self.type_oid).unwrap_or(Type::Text), typmod: self.typmod }
    }
}

/// How an identity column takes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    /// `GENERATED ALWAYS`
    Always,
    /// `GENERATED BY DEFAULT`
    ByDefault,
}

/// A key or a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name, in messages and `\d`.
    pub name: String,
    /// `p`, `u`, `c` or `f`, as in `pg_constraint`.
    pub kind: char,
    /// The columns it covers.
    pub columns: Vec<String>,
    /// A check's condition, as written; else empty.
    pub definition: String,
    /// What a foreign key refers to.
    #[serde(default)]
    pub foreign: Option<Foreign>,
    /// A primary key that is SQLite's row id. Every other key is a unique index of its name.
    #[serde(default)]
    pub row_id: bool,
    /// What COMMENT ON said.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What a foreign key refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foreign {
    /// The key of the table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// ON DELETE, in SQL's words; empty for NO ACTION.
    pub on_delete: String,
    /// ON UPDATE, in SQL's words; empty for NO ACTION.
    pub on_update: String,
    /// Whether it is checked at the end of the transaction.
    pub deferred: bool,
    /// Whether it could be.
    pub deferrable: bool,
}

impl Relation {
    /// Its schema.
    pub fn schema(&self) -> &str {
        split(&self.name).0
    }

    /// Its name without the schema; a schema's own name.
    pub fn base(&self) -> &str {
        split(&self.name).1.trim_start_matches(MARK)
    }

    /// Its name for messages.
    pub fn shown(&self) -> String {
        match (self.schema(), self.base()) {
            (PUBLIC | "", name) => name.to_owned(),
            (schema, name) => format!("{schema}.{name}"),
        }
    }

    /// The type that an enumeration is.
    pub fn enum_type(&self) -> Type {
        Type::Enum(u32::try_from(self.oid).unwrap_or(0))
    }

    /// The type of its arrays.
    pub fn enum_array_type(&self) -> Type {
        Type::EnumArray(u32::try_from(self.oid).unwrap_or(0))
    }

    /// An enumeration's name as it is written, with its schema or without.
    pub fn enum_name(&self, with_schema: bool) -> String {
        let name = shown(self.base());
        if with_schema { format!("{}.{name}", shown(self.schema())) } else { name }
    }

    /// The key of another relation in the same schema.
    pub fn sibling(&self, name: &str) -> String {
        key(self.schema(), name)
    }

    /// Whether a role that is no superuser may do what a letter stands for.
    pub fn allows(&self, user: &str, privilege: char) -> bool {
        let to = |grant: &&Grant| grant.grantee.is_empty() || grant.grantee == user;
        self.owner == user || self.grants.iter().filter(to).any(|grant| grant.has(privilege))
    }

    /// Whether a role that is no superuser may give on what a letter stands for.
    pub fn may_give(&self, user: &str, privilege: char) -> bool {
        let mut own = self.grants.iter().filter(|grant| grant.grantee == user);
        self.owner == user || own.any(|grant| grant.gives(privilege))
    }

    /// Something without columns and rights.
    pub fn new(name: &str, kind: Kind, oid: i64, owner: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            oid,
            owner: owner.to_owned(),
            columns: Vec::new(),
            constraints: Vec::new(),
            definition: None,
            parent: None,
            grants: Vec::new(),
            comment: None,
            on_commit: None,
            labels: Vec::new(),
        }
    }

    /// A database; without a word about rights everybody may connect to it and make temporary tables there.
    pub fn database(oid: i64, name: &str, owner: &str, grants: Option<Vec<Grant>>) -> Self {
        let grants = grants.unwrap_or_else(Grant::of_new_database);
        Self { grants, ..Self::new(name, Kind::Database, oid, owner) }
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Catalog {
    /// The relation of a key.
    pub fn get(&self, key: &str) -> Option<&Relation> {
        self.relations.get(key)
    }

    /// Whether there is such a schema for relations.
    pub fn has_schema(&self, name: &str) -> bool {
        match self.get(&schema_key(name)) {
            Some(schema) => schema.kind == Kind::Schema,
            None => name == PUBLIC,
        }
    }

    /// The schemas that have a record of their own, and `public`.
    pub fn schemas(&self) -> Vec<&str> {
        let own = self.relations.values().filter(|r| r.kind == Kind::Schema).map(Relation::base);
        let public = (self.get(&schema_key(PUBLIC)).is_none()).then_some(PUBLIC);
        public.into_iter().chain(own).collect()
    }

    /// The extensions: those that were asked for, and the one that every database has.
    pub fn extensions(&self) -> Vec<Relation> {
        let key = extension_key(PLPGSQL);
        let mut found: Vec<Relation> =
            self.relations.values().filter(|r| r.kind == Kind::Extension).cloned().collect();
        if let (None, Some(known)) = (self.get(&key), extension::by_name(PLPGSQL)) {
            found.push(Relation {
                definition: Some("pg_catalog".to_owned()),
                comment: Some(known.comment.to_owned()),
                ..Relation::new(&key, Kind::Extension, PLPGSQL_OID, "")
            });
        }
        found
    }

    /// The enumeration of a number.
    pub fn enumeration(&self, oid: u32) -> Option<&Relation> {
        self.enumerations().find(|found| found.oid == i64::from(oid))
    }

    /// All enumerations.
    pub fn enumerations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values().filter(|relation| relation.kind == Kind::Enum)
    }

    /// The indexes of a table.
    pub fn indexes(&self, table: &str) -> impl Iterator<Item = &Relation> {
        let own =
            move |r: &&Relation| matches!(r.kind, Kind::Index { .. }) && r.parent.as_deref() == Some(table);
        self.relations.values().filter(own)
    }

    /// The next free number for a relation; user objects start at 16384, as in Postgres.
    pub fn next_oid(&self) -> i64 {
        self.highest(false).unwrap_or(16_383) + 1
    }

    /// The next free number for a temporary relation.
    pub fn next_temporary_oid(&self) -> i64 {
        self.highest(true).unwrap_or(4_999_999) + 1
    }

    fn highest(&self, temporary: bool) -> Option<i64> {
        let own = self.relations.values().filter(|relation| is_temporary(&relation.name) == temporary);
        own.map(|relation| relation.oid).max()
    }

    /// The name of the constraint or unique index over exactly these columns.
    pub fn unique_name(&self, table: &str, columns: &[&str]) -> Option<&str> {
        let same = |names: &[String]| {
            names.len() == columns.len() && columns.iter().all(|c| names.iter().any(|n| n == c))
        };
        let constraints = self.get(table)?.constraints.iter();
        let constraint = constraints.filter(|c| matches!(c.kind, 'p' | 'u')).find(|c| same(&c.columns));
        let index = || {
            let unique = |r: &&Relation| r.kind == Kind::Index { unique: true };
            let names = |r: &Relation| r.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
            self.indexes(table).filter(unique).find(|r| same(&names(r))).map(Relation::base)
        };
        constraint.map(|constraint| constraint.name.as_str()).or_else(index)
    }
}
