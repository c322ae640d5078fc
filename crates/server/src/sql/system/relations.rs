//! The rows of the catalogues about relations: `pg_class`, `pg_attribute`, `pg_index`, `pg_constraint`.

use super::objects::{
    action, collation, columns, constraints, has_index, key_indexes, kind_letter, numbers, owner, referred,
};
use super::{PUBLIC, Rows, Source, n, t, yes};
use crate::engine::Value;
use crate::sql::catalog::{Column, Constraint, Identity, Kind, Relation};

pub(super) fn pg_class(source: &Source<'_>) -> Rows {
    let row = |oid: i64, name: &str, kind: &str, of: i64, columns: usize, checks: usize, flags: [bool; 2]| {
        let [indexed, foreign] = flags;
        let access = match kind {
            "r" => 2,
            "i" => 403,
            _ => 0,
        };
        let mut row = vec![n(oid), t(name), n(PUBLIC), n(0), n(0), n(of), n(access), n(oid), n(0), n(0)];
        row.extend([Value::Real(-1.0), n(0), n(0), yes(indexed), yes(false), t("p"), t(kind)]);
        row.extend([n(columns as i64), n(checks as i64), yes(kind == "v")]);
        // Postgres keeps foreign keys by triggers, and clients look for keys where there are some.
        row.extend([foreign, false, false, false, true].map(yes));
        row.extend([t(if kind == "r" { "d" } else { "n" }), yes(false), n(0)]);
        row
    };
    let mut foreign = Vec::new();
    for (_, table, constraint) in constraints(source.catalog) {
        let other = if constraint.kind == 'f' { referred(source, constraint) } else { None };
        foreign.extend(other.into_iter().flat_map(|(other, _)| [table.oid, other.oid]));
    }
    let mut rows = Vec::new();
    for relation in source.catalog.relations.values().filter(|relation| relation.kind != Kind::Schema) {
        let checks = relation.constraints.iter().filter(|constraint| constraint.kind == 'c').count();
        rows.push(row(
            relation.oid,
            &relation.name,
            kind_letter(relation.kind),
            owner(source, &relation.owner),
            relation.columns.len(),
            checks,
            [has_index(source.catalog, relation), foreign.contains(&relation.oid)],
        ));
        if let Some(row) = rows.last_mut() {
            row.push(access_list(relation));
        }
    }
    for index in key_indexes(source.catalog) {
        let of = owner(source, &index.table.owner);
        rows.push(row(index.oid, index.name, "i", of, index.columns.len(), 0, [false, false]));
    }
    rows
}

/// Who may do what, as Postgres writes it: `{owner=arwdDxt/owner,reader=r/owner}`.
fn access_list(relation: &Relation) -> Value {
    if relation.grants.is_empty() {
        return Value::Null;
    }
    let own = format!("{0}={1}/{0}", relation.owner, relation.all_privileges());
    let others = relation.grants.iter();
    let others = others.map(|grant| format!("{}={}/{}", grant.grantee, grant.privileges, relation.owner));
    let items: Vec<String> = std::iter::once(own).chain(others).collect();
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
    let indexes = source.catalog.relations.values();
    let indexes = indexes.filter(|relation| matches!(relation.kind, Kind::Index { .. })).flat_map(|index| {
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
    let own = source.catalog.relations.values().filter_map(|index| {
        let Kind::Index { unique } = index.kind else { return None };
        let table = source.catalog.get(index.parent.as_deref()?)?;
        let columns: Vec<String> = index.columns.iter().map(|column| column.name.clone()).collect();
        Some(row(index.oid, table, &columns, unique, false))
    });
    keys.chain(own).collect()
}

pub(super) fn pg_constraint(source: &Source<'_>) -> Rows {
    let row = |(oid, table, constraint): (i64, &Relation, &Constraint)| {
        let foreign = (constraint.kind == 'f').then(|| referred(source, constraint)).flatten();
        let letter = |text: &str| t(if constraint.kind == 'f' { text } else { " " });
        let index = if matches!(constraint.kind, 'p' | 'u') { oid + 50 } else { 0 };
        let mut row = vec![n(oid), t(&constraint.name), n(PUBLIC), t(&constraint.kind.to_string())];
        row.extend([yes(false), yes(false), yes(true), n(table.oid), n(0), n(index), n(0)]);
        row.push(n(foreign.as_ref().map_or(0, |(relation, _)| relation.oid)));
        row.extend([letter(action(constraint, "UPDATE")), letter(action(constraint, "DELETE")), letter("s")]);
        row.extend([yes(true), n(0), yes(constraint.kind != 'c')]);
        row.push(t(&format!("{{{}}}", numbers(table, &constraint.columns, ","))));
        row.push(foreign.map_or(Value::Null, |(relation, columns)| {
            t(&format!("{{{}}}", numbers(relation, &columns, ",")))
        }));
        row
    };
    constraints(source.catalog).map(row).collect()
}
