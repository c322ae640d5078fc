//! The rows of the catalogues about relations: `pg_class`, `pg_attribute`, `pg_index`, `pg_constraint`.

use super::objects::{
    action, collation, columns, constraints, has_index, key_indexes, kind_letter, numbers, owner, referred,
    relations, schema_oid,
};
use super::{Rows, Source, n, t, yes};
use crate::engine::Value;
use crate::sql::catalog::{Catalog, Column, Constraint, Grant, Identity, Kind, Relation, is_temporary};
use crate::sql::compile::Compiler;

pub(super) fn pg_class(source: &Source<'_>) -> Rows {
    let catalog = source.catalog;
    let row = |of: &Relation, oid: i64, name: &str, kind: &str, columns: usize, flags: [bool; 2]| {
        let [indexed, foreign] = flags;
        let access = match kind {
            "r" | "m" => 2,
            "i" => 403,
            _ => 0,
        };
        let checks = of.constraints.iter().filter(|c| c.kind == 'c' && kind == "r").count();
        let persistence = if is_temporary(&of.name) { "t" } else { "p" };
        let mut row = vec![n(oid), t(name), n(schema_oid(catalog, of.schema())), n(0), n(0)];
        row.extend([n(owner(source, &of.owner)), n(access), n(oid), n(0), n(0)]);
        row.extend([Value::Real(-1.0), n(0), n(0), yes(indexed), yes(false), t(persistence), t(kind)]);
        row.extend([n(columns as i64), n(checks as i64), yes(matches!(kind, "v" | "m"))]);
        // Postgres keeps foreign keys by triggers, and clients look for keys where there are some.
        let populated = of.kind != Kind::Materialized { populated: false };
        row.extend([foreign, false, false, false, populated].map(yes));
        row.extend([t(if matches!(kind, "r" | "m") { "d" } else { "n" }), yes(false), n(0)]);
        row
    };
    let mut foreign = Vec::new();
    for (_, table, constraint) in constraints(catalog) {
        foreign
            .extend(referred(catalog, constraint).into_iter().flat_map(|(other, _)| [table.oid, other.oid]));
    }
    let mut rows = Vec::new();
    for relation in relations(catalog) {
        let flags = [has_index(catalog, relation), foreign.contains(&relation.oid)];
        let (kind, columns) = (kind_letter(relation.kind), relation.columns.len());
        let mut line = row(relation, relation.oid, relation.base(), kind, columns, flags);
        line.push(access_list(relation));
        rows.push(line);
    }
    for index in key_indexes(catalog) {
        rows.push(row(index.table, index.oid, index.name, "i", index.columns.len(), [false, false]));
    }
    rows
}

/// Who may do what, as Postgres writes it: `{owner=arwdDxt/owner,reader=r/owner}`.
pub(super) fn access_list(relation: &Relation) -> Value {
    let usual = match relation.kind {
        Kind::Database => Grant::of_new_database(),
        _ => Vec::new(),
    };
    if relation.grants == usual {
        return Value::Null;
    }
    let own = format!("{0}={1}/{0}", relation.owner, relation.kind.privileges());
    let others = relation.grants.iter();
    let others = others.map(|grant| {
        let grantor = if grant.grantor.is_empty() { &relation.owner } else { &grant.grantor };
        format!("{}={}/{grantor}", grant.grantee, grant.privileges)
    });
    let mut items: Vec<String> = others.collect();
    // What everybody has from the start comes before what the owner has.
    let first = usual.iter().zip(&relation.grants).take_while(|(usual, now)| usual.grantee == now.grantee);
    items.insert(first.count(), own);
    t(&crate::sql::array::format(items.iter().map(|item| Some(item.as_str()))))
}

pub(super) fn pg_attribute(source: &Source<'_>) -> Rows {
    let row = |oid: i64, number: i64, column: &Column| {
        let ty = column.typed().ty;
        let identity = match column.identity {
            Some(Identity::Always) => "a",
            Some(Identity::ByDefault) => "d",
            None => "",
        };
        let mut row = vec![n(oid), t(&column.name), n(column.type_oid.into()), n(-1)];
        row.extend([n(ty.info().size.into()), n(number), n(i64::from(ty.element().is_some()))]);
        row.extend([n(column.typmod.into()), yes(column.not_null)]);
        row.push(yes(column.generated || (column.default.is_some() && column.identity.is_none())));
        row.extend([yes(false), t(identity), t(if column.generated { "s" } else { "" })]);
        row.extend([yes(false), yes(true), n(collation(ty)), t(""), t("p")]);
        row
    };
    let own = columns(source.catalog).map(|(relation, number, column)| row(relation.oid, number, column));
    let indexes = relations(source.catalog)
        .filter(|relation| matches!(relation.kind, Kind::Index { .. }))
        .flat_map(|index| {
            (1..).zip(&index.columns).map(|(number, column)| row(index.oid, number, column)).collect::<Rows>()
        });
    let keys = key_indexes(source.catalog).flat_map(|index| {
        let found = index.columns.iter().filter_map(|column| index.table.column(column));
        (1..).zip(found).map(|(number, column)| row(index.oid, number, column)).collect::<Rows>()
    });
    own.chain(indexes).chain(keys).collect()
}

pub(super) fn pg_index(source: &Source<'_>) -> Rows {
    let row = |oid: i64, table: &Relation, columns: &[String], unique: bool, primary: bool| {
        let count = columns.len();
        let zeros = vec!["0"; count].join(" ");
        let mut row = vec![n(oid), n(table.oid), n(count as i64), n(count as i64), yes(unique), yes(false)];
        row.extend([yes(primary), yes(false), yes(true), yes(false), yes(true), yes(false)]);
        row.extend([yes(true), yes(true), yes(false), t(&numbers(table, columns, " "))]);
        row.extend([t(&zeros), t(&zeros), t(&zeros)]);
        row
    };
    let keys = key_indexes(source.catalog)
        .map(|index| row(index.oid, index.table, index.columns, true, index.primary));
    let own = relations(source.catalog).filter_map(|index| {
        let Kind::Index { unique } = index.kind else { return None };
        let table = source.catalog.get(index.parent.as_deref()?)?;
        let columns: Vec<String> = index.columns.iter().map(|column| column.name.clone()).collect();
        let mut row = row(index.oid, table, &columns, unique, false);
        let options: Vec<&str> = index.columns.iter().map(|c| if c.descending { "3" } else { "0" }).collect();
        row[18] = t(&options.join(" "));
        let expressions: Vec<&str> = index.columns.iter().filter_map(|c| c.default.as_deref()).collect();
        row.push(if expressions.is_empty() { Value::Null } else { t(&expressions.join(", ")) });
        row.push(index.definition.as_deref().map_or(Value::Null, t));
        Some(row)
    });
    keys.chain(own).collect()
}

pub(super) fn pg_constraint(source: &Source<'_>) -> Rows {
    let catalog = source.catalog;
    let row = |(oid, table, constraint): (i64, &Relation, &Constraint)| {
        let foreign = referred(catalog, constraint);
        let says = foreign.map(|(_, foreign)| foreign);
        let letter = |words: Option<&String>| t(words.map_or(" ", |words| action(words)));
        let index = match (constraint.kind, foreign) {
            ('p' | 'u', _) => oid + 50,
            (_, Some((other, says))) => index_of(catalog, other, &says.columns),
            _ => 0,
        };
        let schema = schema_oid(catalog, table.schema());
        let mut row = vec![n(oid), t(&constraint.name), n(schema), t(&constraint.kind.to_string())];
        row.extend([says.is_some_and(|f| f.deferrable), says.is_some_and(|f| f.deferred), true].map(yes));
        row.extend([n(table.oid), n(0), n(index), n(0)]);
        row.push(n(foreign.map_or(0, |(relation, _)| relation.oid)));
        row.extend([letter(says.map(|f| &f.on_update)), letter(says.map(|f| &f.on_delete))]);
        row.push(t(if says.is_some() { "s" } else { " " }));
        row.extend([yes(true), n(0), yes(constraint.kind != 'c')]);
        let columns = match constraint.kind {
            // A check has the columns that it reads.
            'c' => {
                let names = table.columns.iter().map(|column| column.name.clone());
                names.filter(|name| Compiler::reads(&constraint.definition, name)).collect()
            }
            _ => constraint.columns.clone(),
        };
        row.push(t(&format!("{{{}}}", numbers(table, &columns, ","))));
        row.push(foreign.map_or(Value::Null, |(relation, says)| {
            t(&format!("{{{}}}", numbers(relation, &says.columns, ",")))
        }));
        row.extend([Value::Null, Value::Null, Value::Null, Value::Null]);
        row.push(if constraint.kind == 'c' { t(&constraint.definition) } else { Value::Null });
        row
    };
    constraints(catalog).map(row).collect()
}

/// The number of the index that a foreign key relies on.
fn index_of(catalog: &Catalog, table: &Relation, columns: &[String]) -> i64 {
    let key = key_indexes(catalog).find(|index| index.table.oid == table.oid && index.columns == columns);
    let own = || {
        let same = |index: &&Relation| index.columns.iter().map(|c| &c.name).eq(columns);
        catalog.indexes(&table.name).find(same).map(|index| index.oid)
    };
    key.map(|index| index.oid).or_else(own).unwrap_or(0)
}
