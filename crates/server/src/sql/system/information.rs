//! `information_schema`.

use super::objects::{checked_columns, columns, constraints, default_shown, referred, relations};
use super::{Rows, Source, System, constraint_definitions, n, schema_names, t};
use crate::engine::Value;
use crate::sql::catalog::{Column, Constraint, Grant, Identity, Kind, Relation, is_temporary, schema_key};
use crate::sql::plan::Sequence;
use crate::sql::sequence_key;
use crate::sql::types::{Type, Typed};

pub(super) const INFORMATION: &[System] = &[
    System {
        name: "schemata",
        columns: "catalog_name schema_name schema_owner default_character_set_catalog default_character_set_schema \
            default_character_set_name sql_path:varchar",
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
        columns: "table_catalog table_schema table_name table_type:varchar self_referencing_column_name \
            reference_generation:varchar user_defined_type_catalog user_defined_type_schema \
            user_defined_type_name is_insertable_into:varchar is_typed:varchar commit_action:varchar",
        rows: |source| {
            let row = |relation: &Relation| {
                let temporary = is_temporary(&relation.name);
                let kind = match relation.kind {
                    Kind::Table if temporary => "LOCAL TEMPORARY",
                    Kind::Table => "BASE TABLE",
                    Kind::View => "VIEW",
                    _ => return None,
                };
                let mut row = vec![t(source.database), t(relation.schema()), t(relation.base()), t(kind)];
                row.resize(9, Value::Null);
                row.extend([word(relation.kind == Kind::Table), word(false)]);
                row.push(if temporary { t("PRESERVE") } else { Value::Null });
                Some(row)
            };
            relations(source.catalog).filter_map(row).collect()
        },
    },
    System {
        name: "columns",
        columns: "table_catalog table_schema table_name column_name ordinal_position:int4 column_default:varchar \
            is_nullable:varchar data_type:varchar character_maximum_length:int4 character_octet_length:int4 \
            numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 datetime_precision:int4 \
            interval_type:varchar interval_precision:int4 character_set_catalog character_set_schema \
            character_set_name collation_catalog collation_schema collation_name domain_catalog domain_schema \
            domain_name udt_catalog udt_schema udt_name scope_catalog scope_schema scope_name \
            maximum_cardinality:int4 dtd_identifier is_self_referencing:varchar is_identity:varchar \
            identity_generation:varchar identity_start:varchar identity_increment:varchar \
            identity_maximum:varchar identity_minimum:varchar identity_cycle:varchar is_generated:varchar \
            generation_expression:varchar is_updatable:varchar",
        rows: |source| {
            let sequences = source.cluster.sequences();
            let row = |(relation, number, column): (&Relation, i64, &Column)| {
                let shown = column.default.is_some() && column.identity.is_none() && !column.generated;
                let default = column.default.as_deref().unwrap_or_default();
                let mut row = vec![t(source.database), t(relation.schema()), t(relation.base())];
                row.extend([t(&column.name), n(number)]);
                row.push(if shown { t(&default_shown(source.catalog, column)) } else { Value::Null });
                row.push(word(!column.not_null));
                row.extend(describe(source, column.typed()));
                row.extend([t(&number.to_string()), word(false), word(column.identity.is_some())]);
                row.push(match column.identity {
                    Some(Identity::Always) => t("ALWAYS"),
                    Some(Identity::ByDefault) => t("BY DEFAULT"),
                    None => Value::Null,
                });
                let key = column.identity.and_then(|_| sequence_key(default));
                let sequence = key.and_then(|key| sequences.iter().find(|sequence| sequence.name == key));
                row.extend(match sequence {
                    Some(s) => [s.start, s.increment, s.max, s.min].map(|number| t(&number.to_string())),
                    None => [const { Value::Null }; 4],
                });
                row.push(word(sequence.is_some_and(|sequence| sequence.cycle)));
                row.push(t(if column.generated { "ALWAYS" } else { "NEVER" }));
                row.push(if column.generated { t(default) } else { Value::Null });
                row.push(word(relation.kind == Kind::Table));
                row
            };
            let shown = |relation: &Relation| !matches!(relation.kind, Kind::Materialized { .. });
            columns(source.catalog).filter(|(relation, ..)| shown(relation)).map(row).collect()
        },
    },
    System {
        name: "element_types",
        columns: "object_catalog object_schema object_name object_type:varchar collection_type_identifier \
            data_type:varchar character_maximum_length:int4 character_octet_length:int4 character_set_catalog \
            character_set_schema character_set_name collation_catalog collation_schema collation_name \
            numeric_precision:int4 numeric_precision_radix:int4 numeric_scale:int4 datetime_precision:int4 \
            interval_type:varchar interval_precision:int4 domain_default:varchar udt_catalog udt_schema udt_name \
            scope_catalog scope_schema scope_name maximum_cardinality:int4 dtd_identifier",
        rows: |source| {
            let row = |(relation, number, column): (&Relation, i64, &Column)| {
                let element = column.typed().ty.element()?;
                let mut row = vec![t(source.database), t(relation.schema()), t(relation.base()), t("TABLE")];
                let described = describe(source, element.into());
                row.extend([t(&number.to_string()), described[0].clone()]);
                row.resize(21, Value::Null);
                row.extend_from_slice(&described[18..21]);
                row.resize(28, Value::Null);
                row.push(t(&format!("a{number}")));
                Some(row)
            };
            columns(source.catalog).filter_map(row).collect()
        },
    },
    System {
        name: "views",
        columns: "table_catalog table_schema table_name view_definition:varchar check_option:varchar \
            is_updatable:varchar is_insertable_into:varchar is_trigger_updatable:varchar \
            is_trigger_deletable:varchar is_trigger_insertable_into:varchar",
        rows: |source| {
            let row = |view: &Relation| {
                let definition = t(view.definition.as_deref().unwrap_or_default());
                let mut row =
                    vec![t(source.database), t(view.schema()), t(view.base()), definition, t("NONE")];
                row.resize(10, word(false));
                row
            };
            let views = relations(source.catalog).filter(|relation| relation.kind == Kind::View);
            views.map(row).collect()
        },
    },
    System {
        name: "sequences",
        columns: "sequence_catalog sequence_schema sequence_name data_type:varchar numeric_precision:int4 \
            numeric_precision_radix:int4 numeric_scale:int4 start_value:varchar minimum_value:varchar \
            maximum_value:varchar increment:varchar cycle_option:varchar",
        rows: |source| {
            let identity = columns(source.catalog).filter(|(_, _, column)| column.identity.is_some());
            let identity: Vec<String> =
                identity.filter_map(|(_, _, column)| sequence_key(column.default.as_deref()?)).collect();
            let row = |sequence: Sequence| {
                let relation =
                    source.catalog.get(&sequence.name).filter(|_| !identity.contains(&sequence.name))?;
                let mut row = vec![t(source.database), t(relation.schema()), t(relation.base())];
                let small = sequence.max == i64::from(i32::MAX);
                let (name, bits) = if small { ("integer", 32) } else { ("bigint", 64) };
                row.extend([t(name), n(bits), n(2), n(0)]);
                let numbers = [sequence.start, sequence.min, sequence.max, sequence.increment];
                row.extend(numbers.map(|number| t(&number.to_string())));
                row.push(word(sequence.cycle));
                Some(row)
            };
            source.cluster.sequences().into_iter().filter_map(row).collect()
        },
    },
    System {
        name: "table_constraints",
        columns: "constraint_catalog constraint_schema constraint_name table_catalog table_schema table_name \
            constraint_type:varchar is_deferrable:varchar initially_deferred:varchar enforced:varchar \
            nulls_distinct:varchar",
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
                let mut row = vec![database.clone(), schema.clone(), name, database, schema, table, t(kind)];
                let foreign = constraint.foreign.as_ref();
                row.push(word(foreign.is_some_and(|foreign| foreign.deferrable)));
                row.push(word(foreign.is_some_and(|foreign| foreign.deferred)));
                row.push(word(true));
                row.push(if constraint.kind == 'u' { word(true) } else { Value::Null });
                row
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
                    'c' => (table, checked_columns(table, constraint)),
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
        name: "check_constraints",
        columns: "constraint_catalog constraint_schema constraint_name check_clause:varchar",
        rows: |source| {
            let definitions = constraint_definitions(source.catalog);
            let row = |(oid, table, constraint): (i64, &Relation, &Constraint)| {
                let (_, definition) = definitions.iter().find(|(known, _)| *known == oid)?;
                let clause = t(definition.strip_prefix("CHECK ")?);
                Some(vec![t(source.database), t(table.schema()), t(&constraint.name), clause])
            };
            constraints(source.catalog).filter_map(row).collect()
        },
    },
    System {
        name: "constraint_table_usage",
        columns: "table_catalog table_schema table_name constraint_catalog constraint_schema constraint_name",
        rows: |source| {
            let row = |(_, table, constraint): (i64, &Relation, &Constraint)| {
                let of = match constraint.kind {
                    'f' => referred(source.catalog, constraint)?.0,
                    'p' | 'u' => table,
                    _ => return None,
                };
                let mut row = vec![t(source.database), t(of.schema()), t(of.base())];
                row.extend([t(source.database), t(table.schema()), t(&constraint.name)]);
                Some(row)
            };
            constraints(source.catalog).filter_map(row).collect()
        },
    },
    System {
        name: "table_privileges",
        columns: PRIVILEGES,
        rows: |source| privileges(source).map(|grant| grant.row(source)).collect(),
    },
    System {
        name: "role_table_grants",
        columns: PRIVILEGES,
        rows: |source| role_privileges(source).map(|grant| grant.row(source)).collect(),
    },
    System {
        name: "column_privileges",
        columns: COLUMN_PRIVILEGES,
        rows: |source| privileges(source).flat_map(|grant| grant.columns(source)).collect(),
    },
    System {
        name: "role_column_grants",
        columns: COLUMN_PRIVILEGES,
        rows: |source| role_privileges(source).flat_map(|grant| grant.columns(source)).collect(),
    },
    System {
        name: "enabled_roles",
        columns: "role_name",
        rows: |source| source.roles.iter().map(|role| vec![t(&role.name)]).collect(),
    },
    System {
        name: "applicable_roles",
        columns: "grantee role_name is_grantable:varchar",
        rows: |source| {
            let row = |(role, member): (String, String)| vec![t(&member), t(&role), word(false)];
            source.cluster.members().into_iter().map(row).collect()
        },
    },
    System {
        name: "information_schema_catalog_name",
        columns: "catalog_name",
        rows: |source| vec![vec![t(source.database)]],
    },
    System {
        name: "character_sets",
        columns: "character_set_catalog character_set_schema character_set_name character_repertoire form_of_use \
            default_collate_catalog default_collate_schema default_collate_name",
        rows: |source| {
            vec![vec![Value::Null, Value::Null, t("UTF8"), t("UCS"), t("UTF8"), t(source.database)]]
        },
    },
];

const PRIVILEGES: &str = "grantor grantee table_catalog table_schema table_name privilege_type:varchar \
    is_grantable:varchar with_hierarchy:varchar";

const COLUMN_PRIVILEGES: &str = "grantor grantee table_catalog table_schema table_name column_name \
    privilege_type:varchar is_grantable:varchar";

/// One thing that one role may do with a table or a view.
struct Privilege<'a> {
    table: &'a Relation,
    grantor: String,
    grantee: String,
    letter: char,
    word: &'static str,
    grantable: bool,
}

impl Privilege<'_> {
    fn row(&self, source: &Source<'_>) -> Vec<Value> {
        let mut row = vec![t(&self.grantor), t(&self.grantee), t(source.database), t(self.table.schema())];
        row.extend([t(self.table.base()), t(self.word), word(self.grantable), word(self.letter == 'r')]);
        row
    }

    /// The same for each column, where columns can have it.
    fn columns(&self, source: &Source<'_>) -> Rows {
        if !"rawx".contains(self.letter) {
            return Rows::new();
        }
        let row = |column: &Column| {
            let mut row =
                vec![t(&self.grantor), t(&self.grantee), t(source.database), t(self.table.schema())];
            row.extend([t(self.table.base()), t(&column.name), t(self.word), word(self.grantable)]);
            row
        };
        self.table.columns.iter().map(row).collect()
    }
}

fn privileges<'a>(source: &Source<'a>) -> impl Iterator<Item = Privilege<'a>> {
    const WORDS: [(char, &str); 7] = [
        ('r', "SELECT"),
        ('a', "INSERT"),
        ('w', "UPDATE"),
        ('d', "DELETE"),
        ('D', "TRUNCATE"),
        ('x', "REFERENCES"),
        ('t', "TRIGGER"),
    ];
    let tables = relations(source.catalog).filter(|table| matches!(table.kind, Kind::Table | Kind::View));
    tables.flat_map(|table| {
        let own = Grant {
            grantee: table.owner.clone(),
            privileges: table.kind.privileges().chars().flat_map(|letter| [letter, '*']).collect(),
            grantor: String::new(),
        };
        let all = std::iter::once(own).chain(table.grants.iter().cloned());
        all.flat_map(move |grant| {
            let or = |name: &str, other: &str| if name.is_empty() { other } else { name }.to_owned();
            let had = WORDS.into_iter().filter(|(letter, _)| grant.has(*letter));
            let privilege = |(letter, word)| Privilege {
                table,
                grantor: or(&grant.grantor, &table.owner),
                grantee: or(&grant.grantee, "PUBLIC"),
                letter,
                word,
                grantable: grant.gives(letter),
            };
            had.map(privilege).collect::<Vec<_>>()
        })
    })
}

/// Those that a role was given, and not everybody.
fn role_privileges<'a>(source: &Source<'a>) -> impl Iterator<Item = Privilege<'a>> {
    privileges(source).filter(|grant| grant.grantee != "PUBLIC")
}

fn word(yes: bool) -> Value {
    t(if yes { "YES" } else { "NO" })
}

/// A type as `columns` tells it, from `data_type` to `maximum_cardinality`.
fn describe(source: &Source<'_>, typed: Typed) -> Vec<Value> {
    let own = typed.ty.enumeration().and_then(|oid| source.catalog.enumeration(oid));
    let array = typed.ty.element().is_some();
    let text = matches!(typed.ty, Type::Varchar | Type::Bpchar | Type::Text);
    let characters =
        (typed.ty != Type::Text && text && typed.typmod >= 4).then(|| i64::from(typed.typmod - 4));
    let decimal = (typed.ty == Type::Numeric && typed.typmod >= 4).then(|| typed.typmod - 4);
    let binary = match typed.ty {
        Type::Int2 => Some(16),
        Type::Int4 => Some(32),
        Type::Int8 => Some(64),
        Type::Float4 => Some(24),
        Type::Float8 => Some(53),
        _ => None,
    };
    let or_null = |number: Option<i64>| number.map_or(Value::Null, n);
    let mut row = vec![t(match (array, own) {
        (true, _) => "ARRAY",
        (_, Some(_)) => "USER-DEFINED",
        _ => typed.ty.info().display,
    })];
    // A character has four bytes at most; what has no limit has Postgres' own, a gigabyte.
    row.extend([or_null(characters), or_null(text.then(|| characters.map_or(1 << 30, |count| count * 4)))]);
    row.push(or_null(binary.or(decimal.map(|modifier| i64::from(modifier >> 16)))));
    row.push(or_null(binary.map(|_| 2).or((typed.ty == Type::Numeric).then_some(10))));
    let scale = decimal.map(|modifier| i64::from(modifier & 0xffff));
    row.push(or_null(scale.or(typed.ty.is_integer().then_some(0))));
    row.push(or_null(match typed.ty {
        Type::Date => Some(0),
        Type::Time | Type::Timetz | Type::Timestamp | Type::Timestamptz | Type::Interval => {
            Some(if typed.typmod < 0 { 6 } else { i64::from(typed.typmod & 0xffff) })
        }
        _ => None,
    }));
    // Neither fields of intervals nor character sets, collations and domains.
    row.resize(18, Value::Null);
    row.extend([t(source.database), t(own.map_or("pg_catalog", Relation::schema))]);
    row.push(t(&match own {
        Some(own) if array => format!("_{}", own.base()),
        Some(own) => own.base().to_owned(),
        None => typed.ty.info().name.to_owned(),
    }));
    row.resize(25, Value::Null);
    row
}
