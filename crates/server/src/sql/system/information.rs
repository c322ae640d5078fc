//! `information_schema`.

use super::objects::{columns, constraints, default_shown, referred};
use super::{Rows, System, n, t};
use crate::engine::Value;
use crate::sql::catalog::{Column, Constraint, Identity, Kind, Relation};
use crate::sql::types::Type;

pub(super) const INFORMATION: &[System] = &[
    System {
        name: "schemata",
        columns: "catalog_name schema_name schema_owner",
        rows: |source| {
            ["pg_catalog", "public", "information_schema"]
                .map(|name| vec![t(source.database), t(name), t("pg_database_owner")])
                .into()
        },
    },
    System {
        name: "tables",
        columns: "table_catalog table_schema table_name table_type:varchar is_insertable_into:varchar",
        rows: |source| {
            let relations = source.catalog.relations.values();
            relations
                .filter_map(|relation| {
                    let kind = match relation.kind {
                        Kind::Table => "BASE TABLE",
                        Kind::View => "VIEW",
                        _ => return None,
                    };
                    let writable = if relation.kind == Kind::Table { "YES" } else { "NO" };
                    Some(vec![t(source.database), t("public"), t(&relation.name), t(kind), t(writable)])
                })
                .collect()
        },
    },
    System {
        name: "columns",
        columns: "table_catalog table_schema table_name column_name ordinal_position:int4 column_default:varchar \
            is_nullable:varchar data_type:varchar character_maximum_length:int4 numeric_precision:int4 \
            numeric_scale:int4 datetime_precision:int4 udt_name is_identity:varchar identity_generation:varchar \
            is_generated:varchar",
        rows: |source| {
            let row = |(relation, number, column): (&Relation, i64, &Column)| {
                let typed = column.typed();
                let word = |flag: bool| t(if flag { "YES" } else { "NO" });
                let shown = column.default.is_some() && column.identity.is_none();
                let characters = matches!(typed.ty, Type::Varchar | Type::Bpchar) && typed.typmod >= 4;
                let decimal = typed.ty == Type::Numeric && typed.typmod >= 4;
                let precision = match typed.ty {
                    Type::Int2 => n(16),
                    Type::Int4 => n(32),
                    Type::Int8 => n(64),
                    Type::Float4 => n(24),
                    Type::Float8 => n(53),
                    _ if decimal => n(i64::from((typed.typmod - 4) >> 16)),
                    _ => Value::Null,
                };
                let scale = match typed.ty {
                    _ if decimal => n(i64::from((typed.typmod - 4) & 0xffff)),
                    ty if ty.is_integer() => n(0),
                    _ => Value::Null,
                };
                let instant = matches!(typed.ty, Type::Time | Type::Timestamp | Type::Timestamptz);
                let array = typed.ty.element().is_some();
                vec![
                    t(source.database),
                    t("public"),
                    t(&relation.name),
                    t(&column.name),
                    n(number),
                    if shown { t(&default_shown(column)) } else { Value::Null },
                    word(!column.not_null),
                    t(if array { "ARRAY" } else { typed.ty.info().display }),
                    if characters { n(i64::from(typed.typmod - 4)) } else { Value::Null },
                    precision,
                    scale,
                    if instant {
                        n(if typed.typmod < 0 { 6 } else { typed.typmod.into() })
                    } else {
                        Value::Null
                    },
                    t(typed.ty.info().name),
                    word(column.identity.is_some()),
                    match column.identity {
                        Some(Identity::Always) => t("ALWAYS"),
                        Some(Identity::ByDefault) => t("BY DEFAULT"),
                        None => Value::Null,
                    },
                    t(if column.generated { "ALWAYS" } else { "NEVER" }),
                ]
            };
            columns(source.catalog).map(row).collect()
        },
    },
    System {
        name: "views",
        columns: "table_catalog table_schema table_name view_definition:varchar",
        rows: |source| {
            let views = source.catalog.relations.values().filter(|relation| relation.kind == Kind::View);
            views
                .map(|view| {
                    let definition = t(view.definition.as_deref().unwrap_or_default());
                    vec![t(source.database), t("public"), t(&view.name), definition]
                })
                .collect()
        },
    },
    System {
        name: "sequences",
        columns: "sequence_catalog sequence_schema sequence_name",
        rows: |source| {
            let relations = source.catalog.relations.values();
            relations
                .filter(|relation| relation.kind == Kind::Sequence)
                .map(|sequence| vec![t(source.database), t("public"), t(&sequence.name)])
                .collect()
        },
    },
    System {
        name: "table_constraints",
        columns: "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name \
            constraint_type:varchar is_deferrable:varchar initially_deferred:varchar",
        rows: |source| {
            let row = |(_, table, constraint): (i64, &Relation, &Constraint)| {
                let kind = match constraint.kind {
                    'p' => "PRIMARY KEY",
                    'u' => "UNIQUE",
                    'f' => "FOREIGN KEY",
                    _ => "CHECK",
                };
                let (database, schema) = (t(source.database), t("public"));
                let (name, table) = (t(&constraint.name), t(&table.name));
                vec![
                    database.clone(),
                    schema.clone(),
                    name,
                    database,
                    schema,
                    table,
                    t(kind),
                    t("NO"),
                    t("NO"),
                ]
            };
            constraints(source.catalog).map(row).collect()
        },
    },
    System {
        name: "key_column_usage",
        columns: "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name \
            column_name ordinal_position:int4 position_in_unique_constraint:int4",
        rows: |source| {
            let keys = constraints(source.catalog).filter(|(_, _, constraint)| constraint.kind != 'c');
            keys.flat_map(|(_, table, constraint)| {
                (1..)
                    .zip(&constraint.columns)
                    .map(|(position, column)| {
                        let (database, schema) = (t(source.database), t("public"));
                        let (name, table) = (t(&constraint.name), t(&table.name));
                        let unique = if constraint.kind == 'f' { n(position) } else { Value::Null };
                        vec![
                            database.clone(),
                            schema.clone(),
                            name,
                            database,
                            schema,
                            table,
                            t(column),
                            n(position),
                            unique,
                        ]
                    })
                    .collect::<Rows>()
            })
            .collect()
        },
    },
    System {
        name: "constraint_column_usage",
        columns: "table_catalog table_schema table_name column_name constraint_catalog constraint_schema \
            constraint_name",
        rows: |source| {
            let mut rows = Vec::new();
            for (_, table, constraint) in constraints(source.catalog) {
                let (table, columns) = match constraint.kind {
                    'f' => match referred(source, constraint) {
                        Some((relation, columns)) => (relation, columns),
                        None => continue,
                    },
                    _ => (table, constraint.columns.clone()),
                };
                for column in columns {
                    let (database, schema) = (t(source.database), t("public"));
                    let (name, table) = (t(&constraint.name), t(&table.name));
                    rows.push(vec![
                        database.clone(),
                        schema.clone(),
                        table,
                        t(&column),
                        database,
                        schema,
                        name,
                    ]);
                }
            }
            rows
        },
    },
];
