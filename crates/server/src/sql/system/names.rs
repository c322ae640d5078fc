//! Numbers and definitions of objects as text: what the `pg_get_…` functions and the `reg…` types show.

use super::objects::{columns, constraints, key_indexes, relations, schema_oid};
use super::{INFORMATION_SCHEMA, PG_CATALOG};
use crate::sql::catalog::{Catalog, Column, Constraint, Kind, Relation, is_temporary, split};
use crate::sql::compile::Context;
use crate::sql::quote;
use crate::sql::types::TYPES;

/// Every relation's number, and its name as `regclass` shows it: with its schema if that is not on the path.
pub fn relation_names(context: &Context<'_>) -> Vec<(i64, String)> {
    let own = relations(context.catalog).map(|relation| {
        let visible = context.is_visible(relation);
        (relation.oid, if visible { shown(relation.base()) } else { qualified(relation, relation.base()) })
    });
    let keys = key_indexes(context.catalog).map(|index| {
        let visible = context.is_visible(index.table);
        (index.oid, if visible { shown(index.name) } else { qualified(index.table, index.name) })
    });
    own.chain(keys).collect()
}

/// Every relation's number, schema and name.
pub fn relation_keys(catalog: &Catalog) -> Vec<(i64, &str, &str)> {
    let own = relations(catalog).map(|relation| (relation.oid, relation.schema(), relation.base()));
    own.chain(key_indexes(catalog).map(|index| (index.oid, index.table.schema(), index.name))).collect()
}

/// The numbers of the relations that a name without a schema doesn't reach.
pub fn invisible(context: &Context<'_>) -> Vec<i64> {
    let own = relations(context.catalog).filter(|relation| !context.is_visible(relation)).map(|r| r.oid);
    let keys = key_indexes(context.catalog).filter(|index| !context.is_visible(index.table));
    own.chain(keys.map(|index| index.oid)).collect()
}

/// Every type's number and name, as `regtype` shows them.
pub fn type_names(context: &Context<'_>) -> Vec<(i64, String)> {
    let builtin = TYPES.iter().map(|info| (i64::from(info.oid), info.display.to_owned()));
    builtin.chain(context.enumeration_names()).collect()
}

/// Every schema's number and name, as `regnamespace` shows them.
pub fn schema_names(catalog: &Catalog) -> Vec<(i64, String)> {
    let system = [(PG_CATALOG, "pg_catalog"), (INFORMATION_SCHEMA, "information_schema")];
    let temporary = catalog.relations.values().find(|r| is_temporary(&r.name)).map(Relation::schema);
    let own = catalog
        .schemas()
        .into_iter()
        .chain(temporary)
        .map(|name| (schema_oid(catalog, name), name.to_owned()));
    system.map(|(oid, name)| (oid, name.to_owned())).into_iter().chain(own).collect()
}

/// What `pg_get_constraintdef` says.
pub fn constraint_definitions(catalog: &Catalog) -> Vec<(i64, String)> {
    constraints(catalog).map(|(oid, _, constraint)| (oid, constraint_definition(constraint))).collect()
}

/// A constraint as `\\d` shows it.
pub fn constraint_definition(constraint: &Constraint) -> String {
    let list = |names: &[String]| names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    let columns = list(&constraint.columns);
    match (constraint.kind, &constraint.foreign) {
        ('p', _) => format!("PRIMARY KEY ({columns})"),
        ('u', _) => format!("UNIQUE ({columns})"),
        (_, Some(foreign)) => {
            let (schema, name) = split(&foreign.table);
            let prefix = if schema == "public" { String::new() } else { format!("{}.", shown(schema)) };
            let mut text = format!(
                "FOREIGN KEY ({columns}) REFERENCES {prefix}{}({})",
                shown(name),
                list(&foreign.columns)
            );
            for (event, action) in [("UPDATE", &foreign.on_update), ("DELETE", &foreign.on_delete)] {
                if !action.is_empty() {
                    text += &format!(" ON {event} {action}");
                }
            }
            text += if foreign.deferrable { " DEFERRABLE" } else { "" };
            text + if foreign.deferred { " INITIALLY DEFERRED" } else { "" }
        }
        _ => format!("CHECK (({}))", constraint.definition),
    }
}

/// What `pg_get_viewdef` says.
pub fn view_definitions(catalog: &Catalog) -> Vec<(i64, String)> {
    let views = relations(catalog).filter(|relation| relation.kind.is_query());
    views.map(|view| (view.oid, format!(" {};", view.definition.as_deref().unwrap_or_default()))).collect()
}

/// What `pg_get_indexdef` says.
pub fn index_definitions(catalog: &Catalog) -> Vec<(i64, String)> {
    let keys = key_indexes(catalog).map(|index| {
        let columns: Vec<String> = index.columns.iter().map(|column| shown(column)).collect();
        (index.oid, index_definition(index.name, true, index.table, &columns.join(", "), None))
    });
    let own = relations(catalog).filter_map(|relation| {
        let Kind::Index { unique } = relation.kind else { return None };
        let table = catalog.get(relation.parent.as_deref()?)?;
        let columns: Vec<String> = relation.columns.iter().map(index_column).collect();
        let condition = relation.definition.as_deref();
        Some((relation.oid, index_definition(relation.base(), unique, table, &columns.join(", "), condition)))
    });
    keys.chain(own).collect()
}

/// A column or an expression of an index, with its direction.
fn index_column(column: &Column) -> String {
    let direction = if column.descending { " DESC" } else { "" };
    format!("{}{direction}", index_term(column))
}

fn index_term(column: &Column) -> String {
    match &column.default {
        // A call needs no parentheses.
        Some(expr) if expr.ends_with(')') && expr.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            expr.clone()
        }
        Some(expr) => format!("({expr})"),
        None => shown(&column.name),
    }
}

fn index_definition(
    name: &str,
    unique: bool,
    table: &Relation,
    columns: &str,
    condition: Option<&str>,
) -> String {
    let unique = if unique { "UNIQUE " } else { "" };
    let rest = condition.map(|text| format!(" WHERE ({text})")).unwrap_or_default();
    let on = qualified(table, table.base());
    format!("CREATE {unique}INDEX {} ON {on} USING btree ({columns}){rest}", shown(name))
}

/// The columns of each index, under `index * 100 + number`.
pub fn index_columns(catalog: &Catalog) -> Vec<(i64, String)> {
    let numbered =
        |oid: i64, names: Vec<String>| (1..).zip(names).map(move |(n, name)| (oid * 100 + n, name));
    let keys = key_indexes(catalog)
        .flat_map(|index| numbered(index.oid, index.columns.iter().map(|column| shown(column)).collect()));
    let own = relations(catalog).filter(|relation| matches!(relation.kind, Kind::Index { .. }));
    let own = own.flat_map(|index| numbered(index.oid, index.columns.iter().map(index_term).collect()));
    keys.chain(own).collect()
}

/// The sequence behind each serial and identity column, by `table.column`.
pub fn serial_sequences(catalog: &Catalog) -> Vec<(String, String)> {
    let serial = columns(catalog).filter_map(|(table, _, column)| {
        let key = crate::sql::sequence_key(column.default.as_deref()?)?;
        let sequence = catalog.get(&key)?;
        let of = format!("{}.{}.{}", table.schema(), table.base(), column.name);
        Some((of, qualified(sequence, sequence.base())))
    });
    serial.collect()
}

/// What COMMENT ON said: the object's number, the catalogue's, the column's, the text.
pub fn comments(catalog: &Catalog) -> Vec<(i64, i64, i64, String)> {
    let mut comments = Vec::new();
    for relation in catalog.relations.values().filter(|r| r.kind != Kind::Extension) {
        let (oid, class) = match relation.kind {
            Kind::Schema => (schema_oid(catalog, relation.base()), 2615),
            Kind::Enum => (relation.oid, 1247),
            _ => (relation.oid, 1259),
        };
        comments.extend(relation.comment.clone().map(|text| (oid, class, 0, text)));
        for (number, column) in (1..).zip(&relation.columns) {
            comments.extend(column.comment.clone().map(|text| (oid, class, number, text)));
        }
    }
    let extensions = catalog.extensions().into_iter();
    comments.extend(extensions.filter_map(|extension| Some((extension.oid, 3079, 0, extension.comment?))));
    comments
}

fn qualified(relation: &Relation, name: &str) -> String {
    format!("{}.{}", shown(relation.schema()), shown(name))
}

/// A name as Postgres shows it: quoted only where it must be.
pub fn shown(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { quote(name) }
}
