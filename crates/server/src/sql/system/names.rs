//! Numbers and definitions of objects as text: what the `pg_get_…` functions and the `reg…` types show.

use super::objects::{columns, constraints, key_indexes};
use super::{INFORMATION_SCHEMA, PG_CATALOG, PUBLIC};
use crate::sql::catalog::{Catalog, Kind};
use crate::sql::quote;
use crate::sql::types::TYPES;

/// Every relation's number and name, as `regclass` shows them.
pub fn relation_names(catalog: &Catalog) -> Vec<(i64, String)> {
    let own = catalog.relations.values().map(|relation| (relation.oid, shown(&relation.name)));
    own.chain(key_indexes(catalog).map(|index| (index.oid, shown(index.name)))).collect()
}

/// Every type's number and name, as `regtype` shows them.
pub fn type_names() -> Vec<(i64, String)> {
    TYPES.iter().map(|info| (i64::from(info.oid), info.display.to_owned())).collect()
}

/// Every schema's number and name, as `regnamespace` shows them.
pub fn schema_names() -> Vec<(i64, String)> {
    [(PG_CATALOG, "pg_catalog"), (PUBLIC, "public"), (INFORMATION_SCHEMA, "information_schema")]
        .map(|(oid, name)| (oid, name.to_owned()))
        .into()
}

/// What `pg_get_constraintdef` says.
pub fn constraint_definitions(catalog: &Catalog) -> Vec<(i64, String)> {
    constraints(catalog).map(|(oid, _, constraint)| (oid, constraint.definition.clone())).collect()
}

/// What `pg_get_viewdef` says.
pub fn view_definitions(catalog: &Catalog) -> Vec<(i64, String)> {
    let views = catalog.relations.values().filter(|relation| relation.kind == Kind::View);
    views.map(|view| (view.oid, format!(" {};", view.definition.as_deref().unwrap_or_default()))).collect()
}

/// What `pg_get_indexdef` says.
pub fn index_definitions(catalog: &Catalog) -> Vec<(i64, String)> {
    let keys = key_indexes(catalog).map(|index| {
        let columns: Vec<String> = index.columns.iter().map(|column| shown(column)).collect();
        (index.oid, index_definition(index.name, true, &index.table.name, &columns.join(", "), ""))
    });
    let own = catalog.relations.values().filter_map(|relation| {
        let Kind::Index { unique } = relation.kind else { return None };
        let columns: Vec<String> = relation.columns.iter().map(|column| shown(&column.name)).collect();
        let rest = relation.definition.as_deref().unwrap_or_default();
        let table = relation.parent.as_deref().unwrap_or_default();
        Some((relation.oid, index_definition(&relation.name, unique, table, &columns.join(", "), rest)))
    });
    keys.chain(own).collect()
}

fn index_definition(name: &str, unique: bool, table: &str, columns: &str, rest: &str) -> String {
    let unique = if unique { "UNIQUE " } else { "" };
    format!("CREATE {unique}INDEX {} ON public.{} USING btree ({columns}){rest}", shown(name), shown(table))
}

/// The columns of each index, under `index * 100 + number`.
pub fn index_columns(catalog: &Catalog) -> Vec<(i64, String)> {
    let numbered =
        |oid: i64, names: Vec<String>| (1..).zip(names).map(move |(n, name)| (oid * 100 + n, name));
    let keys = key_indexes(catalog).flat_map(|index| numbered(index.oid, index.columns.to_vec()));
    let own = catalog.relations.values().filter(|relation| matches!(relation.kind, Kind::Index { .. }));
    let own =
        own.flat_map(|index| numbered(index.oid, index.columns.iter().map(|c| c.name.clone()).collect()));
    keys.chain(own).collect()
}

/// The sequence behind each serial and identity column, by `table.column`.
pub fn serial_sequences(catalog: &Catalog) -> Vec<(String, String)> {
    let serial = columns(catalog).filter_map(|(table, _, column)| {
        let sequence = column.default.as_deref()?.strip_prefix("nextval('")?.strip_suffix("')")?;
        Some((format!("{}.{}", table.name, column.name), format!("public.{sequence}")))
    });
    serial.collect()
}

/// A name as Postgres shows it: quoted only where it must be.
pub fn shown(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { quote(name) }
}
