//! `information_schema`.

use super::objects::{columns, constraints, default_shown, referred, relations};
use super::{Rows, System, n, schema_names, t};
use crate::engine::Value;
use crate::sql::catalog::{Column, Constraint, Grant, Identity, Kind, Relation, schema_key};
use crate::sql::types::Type;

pub(super) const INFORMATION: &[System] = &[
    System {
        name: "schemata",
        columns: "catalog_name schema_name schema_owner",
        rows: |source| {
            let row = |(_, name): (i64, String)| {
                let owner = source.catalog.get(&schema_key(&name)).map_or("pg_database_owner", |s| &s.owner);
                vec![t(source.database), t(&name), t(owner)]
            };
            schema_names(source.catalog).into_iter().map(row).collect()
        },
    },
    System {
        name: "tables",
        columns: "table_catalog table_schema table_name table_type:varchar is_insertable_into:varchar",
        rows: |source| {
            let relations = relations(source.catalog);
            relations
                .filter_map(|relation| {
                    let kind = match relation.kind {
                        Kind::Table => "BASE TABLE",
                        Kind::View => "VIEW",
                        _ => return None,
                    };
                    let writable = if relation.kind == Kind::Table { "YES" } else { "NO" };
                    Some(vec![
                        t(source.database),
                        t(relation.schema()),
                        t(relation.base()),
                        t(kind),
                        t(writable),
                    ])
                })
                .collect()
        },
    },
    System {
        name: "columns",
        columns: "table_catalog table_schema table_name column_name ordinal_position:int4 column_default:varchar \
            is_nullable:varchar data_type:varchar character_maximum_length:int4 numeric_precision:int4 \
            numeric_scale:int4 datetime_precision:int4 udt_name is_identity:varchar identity_generation:varchar \
            is_generated:varchar generation_expression:varchar",
        rows: |source| {
            let row = |(relation, number, column): (&Relation, i64, &Column)| {
                let typed = column.typed();
                let word = |flag: bool| t(if flag { "YES" } else { "NO" });
                let shown = column.default.is_some() && column.identity.is_none() && !column.generated;
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
                let instant =
                    matches!(typed.ty, Type::Time | Type::Timetz | Type::Timestamp | Type::Timestamptz);
                let array = typed.ty.element().is_some();
                let own = typed.ty.enumeration().and_then(|oid| source.catalog.enumeration(oid));
                vec![
                    t(source.database),
                    t(relation.schema()),
                    t(relation.base()),
                    t(&column.name),
                    n(number),
                    if shown { t(&default_shown(source.catalog, column)) } else { Value::Null },
                    word(!column.not_null),
                    t(match (array, own) {
                        (true, _) => "ARRAY",
                        (_, Some(_)) => "USER-DEFINED",
                        _ => typed.ty.info().display,
                    }),
                    if characters { n(i64::from(typed.typmod - 4)) } else { Value::Null },
                    precision,
                    scale,
                    if instant {
                        n(if typed.typmod < 0 { 6 } else { typed.typmod.into() })
                    } else {
                        Value::Null
                    },
                    t(&match own {
                        Some(own) if array => format!("_{}", own.base()),
                        Some(own) => own.base().to_owned(),
                        None => typed.ty.info().name.to_owned(),
                    }),
                    word(column.identity.is_some()),
                    match column.identity {
                        Some(Identity::Always) => t("ALWAYS"),
                        Some(Identity::ByDefault) => t("BY DEFAULT"),
                        None => Value::Null,
                    },
                    t(if column.generated { "ALWAYS" } else { "NEVER" }),
                    if column.generated {
                        t(column.default.as_deref().unwrap_or_default())
                    } else {
                        Value::Null
                    },
                ]
            };
            columns(source.catalog)
                .filter(|(relation, ..)| !matches!(relation.kind, Kind::Materialized { .. }))
                .map(row)
                .collect()
        },
    },
    System {
        name: "views",
        columns: "table_catalog table_schema table_name view_definition:varchar",
        rows: |source| {
            let views = relations(source.catalog).filter(|relation| relation.kind == Kind::View);
            views
                .map(|view| {
                    let definition = t(view.definition.as_deref().unwrap_or_default());
                    vec![t(source.database), t(view.schema()), t(view.base()), definition]
                })
                .collect()
        },
    },
    System {
        name: "sequences",
        columns: "sequence_catalog sequence_schema sequence_name",
        rows: |source| {
            let relations = relations(source.catalog);
            relations
                .filter(|relation| relation.kind == Kind::Sequence)
                .map(|sequence| vec![t(source.database), t(sequence.schema()), t(sequence.base())])
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
                let (database, schema) = (t(source.database), t(table.schema()));
                let (name, table) = (t(&constraint.name), t(table.base()));
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
                        let (database, schema) = (t(source.database), t(table.schema()));
                        let (name, table) = (t(&constraint.name), t(table.base()));
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
                    'f' => match referred(source.catalog, constraint) {
                        Some((relation, foreign)) => (relation, foreign.columns.clone()),
                        None => continue,
                    },
                    _ => (table, constraint.columns.clone()),
                };
                for column in columns {
                    let (database, schema) = (t(source.database), t(table.schema()));
                    let (name, table) = (t(&constraint.name), t(table.base()));
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
    System {
        name: "referential_constraints",
        columns: "constraint_catalog constraint_schema constraint_name unique_constraint_catalog \
            unique_constraint_schema unique_constraint_name match_option:varchar update_rule:varchar \
            delete_rule:varchar",
        rows: |source| {
            let row = |(_, table, constraint): (i64, &Relation, &Constraint)| {
                let (other, foreign) = referred(source.catalog, constraint)?;
                let columns: Vec<&str> = foreign.columns.iter().map(String::as_str).collect();
                let rule = |words: &str| t(if words.is_empty() { "NO ACTION" } else { words });
                Some(vec![
                    t(source.database),
                    t(table.schema()),
                    t(&constraint.name),
                    t(source.database),
                    t(other.schema()),
                    source.catalog.unique_name(&other.name, &columns).map_or(Value::Null, t),
                    t("NONE"),
                    rule(&foreign.on_update),
                    rule(&foreign.on_delete),
                ])
            };
            constraints(source.catalog).filter_map(row).collect()
        },
    },
    System {
        name: "table_privileges",
        columns: "grantor grantee table_catalog table_schema table_name privilege_type:varchar \
            is_grantable:varchar with_hierarchy:varchar",
        rows: |source| {
            let words = [
                ('r', "SELECT"),
                ('a', "INSERT"),
                ('w', "UPDATE"),
                ('d', "DELETE"),
                ('D', "TRUNCATE"),
                ('x', "REFERENCES"),
                ('t', "TRIGGER"),
            ];
            let mut rows = Vec::new();
            for table in relations(source.catalog).filter(|r| matches!(r.kind, Kind::Table | Kind::View)) {
                let own = Grant {
                    grantee: table.owner.clone(),
                    privileges: table.kind.privileges().chars().flat_map(|letter| [letter, '*']).collect(),
                    grantor: String::new(),
                };
                for grant in std::iter::once(&own).chain(&table.grants) {
                    let or = |name: &'_ str, other: &str| if name.is_empty() { t(other) } else { t(name) };
                    for (letter, word) in words.iter().filter(|(letter, _)| grant.has(*letter)) {
                        let mut row = vec![or(&grant.grantor, &table.owner), or(&grant.grantee, "PUBLIC")];
                        let gives = if grant.gives(*letter) { "YES" } else { "NO" };
                        row.push(t(source.database));
                        row.extend([table.schema(), table.base(), word, gives, "NO"].map(t));
                        rows.push(row);
                    }
                }
            }
            rows
        },
    },
];
