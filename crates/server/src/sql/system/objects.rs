//! What the catalogues have in common: constraints, the indexes behind keys, columns, and their numbers.

use super::Source;
use crate::sql::catalog::{Catalog, Column, Constraint, Foreign, Kind, PUBLIC, Relation, schema_key};
use crate::sql::types::Type;

/// The number of the schema of temporary tables.
const TEMPORARY_SCHEMA: i64 = 4_999_999;

/// The index behind a primary key or a unique constraint, which has no relation of its own here.
pub(super) struct KeyIndex<'a> {
    pub(super) oid: i64,
    pub(super) name: &'a str,
    pub(super) table: &'a Relation,
    pub(super) columns: &'a [String],
    pub(super) primary: bool,
}

/// Constraints and their indexes have numbers far above the relations', made from the table's.
pub(super) fn constraint_oid(table: &Relation, index: usize) -> i64 {
    1_000_000_000 + table.oid * 100 + i64::try_from(index).unwrap_or(0)
}

pub(super) fn constraints(catalog: &Catalog) -> impl Iterator<Item = (i64, &Relation, &Constraint)> {
    catalog.relations.values().flat_map(|table| {
        let numbered = table.constraints.iter().enumerate();
        numbered.map(move |(index, constraint)| (constraint_oid(table, index), table, constraint))
    })
}

pub(super) fn key_indexes(catalog: &Catalog) -> impl Iterator<Item = KeyIndex<'_>> {
    constraints(catalog).filter(|(_, _, constraint)| matches!(constraint.kind, 'p' | 'u')).map(
        |(oid, table, constraint)| KeyIndex {
            oid: oid + 50,
            name: &constraint.name,
            table,
            columns: &constraint.columns,
            primary: constraint.kind == 'p',
        },
    )
}

pub(super) fn number_of(table: &Relation, column: &str) -> i64 {
    table.columns.iter().position(|known| known.name == column).map_or(0, |index| index as i64 + 1)
}

pub(super) fn numbers(table: &Relation, columns: &[String], separator: &str) -> String {
    let numbers: Vec<String> = columns.iter().map(|column| number_of(table, column).to_string()).collect();
    numbers.join(separator)
}

/// The table that a foreign key refers to, and what it says.
pub(super) fn referred<'a>(
    catalog: &'a Catalog,
    constraint: &'a Constraint,
) -> Option<(&'a Relation, &'a Foreign)> {
    let foreign = constraint.foreign.as_ref()?;
    Some((catalog.get(&foreign.table)?, foreign))
}

/// The letter of a foreign key's action.
pub(super) fn action(words: &str) -> &'static str {
    match words {
        "CASCADE" => "c",
        "SET NULL" => "n",
        "SET DEFAULT" => "d",
        "RESTRICT" => "r",
        _ => "a",
    }
}

/// A schema's number.
pub(super) fn schema_oid(catalog: &Catalog, name: &str) -> i64 {
    match (catalog.get(&schema_key(name)), name) {
        (_, PUBLIC) => super::PUBLIC,
        (Some(schema), _) => schema.oid,
        _ => TEMPORARY_SCHEMA,
    }
}

/// Tables, views, indexes and sequences.
pub(super) fn relations(catalog: &Catalog) -> impl Iterator<Item = &Relation> {
    catalog.relations.values().filter(|relation| relation.kind.is_relation())
}

pub(super) fn owner(source: &Source<'_>, name: &str) -> i64 {
    source.roles.iter().find(|role| role.name == name).map_or(10, |role| role.oid)
}

pub(super) fn kind_letter(kind: Kind) -> &'static str {
    match kind {
        Kind::Table => "r",
        Kind::View => "v",
        Kind::Materialized { .. } => "m",
        Kind::Index { .. } => "i",
        Kind::Sequence => "S",
        _ => "n",
    }
}

pub(super) fn has_index(catalog: &Catalog, table: &Relation) -> bool {
    table.constraints.iter().any(|constraint| matches!(constraint.kind, 'p' | 'u'))
        || catalog.indexes(&table.name).next().is_some()
}

/// The columns of tables and views of either kind, with their numbers.
pub(super) fn columns(catalog: &Catalog) -> impl Iterator<Item = (&Relation, i64, &Column)> {
    let relations = catalog.relations.values();
    relations.filter(|relation| relation.kind.has_rows()).flat_map(|relation| {
        (1..).zip(&relation.columns).map(move |(number, column)| (relation, number, column))
    })
}

pub(super) fn default_shown(catalog: &Catalog, column: &Column) -> String {
    let default = column.default.as_deref().unwrap_or_default();
    // As Postgres shows what `serial` makes.
    match default.strip_prefix("nextval('").and_then(|rest| rest.strip_suffix("')")) {
        Some(sequence) => {
            format!("nextval('{}'::regclass)", sequence.rsplit('\u{1}').next().unwrap_or(sequence))
        }
        None if column.generated => format!("({default})"),
        None if default.starts_with('\'') && default.ends_with('\'') => {
            let ty = column.typed().ty;
            let own = catalog.enumeration(ty.oid()).map(|found| found.enum_name(found.schema() != PUBLIC));
            format!("{default}::{}", own.unwrap_or_else(|| ty.to_string()))
        }
        None => default.to_owned(),
    }
}

pub(super) fn collation(ty: Type) -> i64 {
    match ty {
        Type::Name => 950,
        ty if ty.is_string() && ty != Type::Char => 100,
        _ => 0,
    }
}
