//! The system catalogues in a statement: relations, and the functions that read them.

use super::{Compiler, Frag, Output, Shape, cast_call, literal};
use crate::engine::Value;
use crate::sql::error::{Result, SqlError};
use crate::sql::system::{self, Source};
use crate::sql::types::{TYPES, Type};
use sqlparser::ast::Expr;

/// What has no object here is always NULL.
const NULLS: &[(&str, Type)] = &[
    ("shobj_description", Type::Text),
    ("pg_get_triggerdef", Type::Text),
    ("pg_get_ruledef", Type::Text),
    ("pg_get_functiondef", Type::Text),
    ("pg_get_function_sqlbody", Type::Text),
    ("pg_describe_object", Type::Text),
    ("pg_get_function_result", Type::Text),
    ("pg_get_function_arguments", Type::Text),
    ("pg_get_function_identity_arguments", Type::Text),
    ("pg_get_statisticsobjdef_columns", Type::Text),
    ("pg_get_partkeydef", Type::Text),
    ("pg_get_partition_constraintdef", Type::Text),
    ("pg_partition_ancestors", Type::Regclass),
    ("pg_tablespace_location", Type::Text),
    // SQLite doesn't count the pages of one table.
    ("pg_relation_size", Type::Int8),
    ("pg_table_size", Type::Int8),
    ("pg_indexes_size", Type::Int8),
    ("pg_total_relation_size", Type::Int8),
    ("pg_tablespace_size", Type::Int8),
    ("inet_server_addr", Type::Text),
    ("inet_client_addr", Type::Text),
];

/// The numbers of the catalogues that others refer to.
const SYSTEM: &[(&str, i64)] = &[
    ("pg_class", 1259),
    ("pg_namespace", 2615),
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_proc", 1255),
    ("pg_constraint", 2606),
    ("pg_attrdef", 2604),
    ("pg_database", 1262),
    ("pg_authid", 1260),
    ("pg_trigger", 2620),
    ("pg_tablespace", 1213),
    ("pg_extension", 3079),
    ("pg_enum", 3501),
    ("pg_am", 2601),
    ("pg_index", 2610),
    ("pg_language", 2612),
    ("pg_opclass", 2616),
    ("pg_opfamily", 2753),
    ("pg_operator", 2617),
    ("pg_rewrite", 2618),
];

/// The number of such a catalogue.
pub(super) fn number_of(name: &str) -> Option<i64> {
    SYSTEM.iter().find(|(known, _)| *known == name).map(|(_, oid)| *oid)
}

/// What is true of everything here.
const ALWAYS: &[&str] = &[
    "pg_function_is_visible",
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_opfamily_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "has_function_privilege",
    "has_type_privilege",
    "has_tablespace_privilege",
    "pg_has_role",
];

impl Compiler<'_> {
    pub(super) fn system_relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
    ) -> Option<(String, Vec<(&'static str, Type)>)> {
        let context = self.context;
        let (catalog, cluster, database) = (context.catalog, context.cluster, context.database);
        let roles = cluster.roles();
        let found = system::relation(schema, name, &Source { catalog, cluster, database, roles: &roles })?;
        self.volatile = true;
        Some(found)
    }

    /// The functions of pg_catalog that look things up.
    pub(super) fn system_function(&mut self, name: &str, args: &[Frag]) -> Result<Option<Frag>> {
        if let Some((_, ty)) = NULLS.iter().find(|(known, _)| *known == name) {
            return Ok(Some(Frag::new("NULL", *ty)));
        }
        if let Some(frag) = self.has_privilege(name, args)? {
            return Ok(Some(frag));
        }
        if ALWAYS.contains(&name) && !args.is_empty() {
            return Ok(Some(Frag::new("1", Type::Bool)));
        }
        let catalog = self.context.catalog;
        let text = |sql: String| Ok(Some(Frag::new(sql, Type::Text)));
        match (name, args) {
            ("pg_table_is_visible", [oid]) => {
                let oid = self.number(oid)?;
                let hidden: Vec<String> =
                    system::invisible(self.context).iter().map(i64::to_string).collect();
                let sql = if hidden.is_empty() {
                    "1".to_owned()
                } else {
                    format!("({oid} NOT IN ({}))", hidden.join(", "))
                };
                Ok(Some(Frag::new(sql, Type::Bool)))
            }
            ("pg_type_is_visible", [oid]) => {
                let oid = self.number(oid)?;
                let hidden = catalog.enumerations().filter(|found| !self.context.sees_enumeration(found));
                let hidden: Vec<String> = hidden.map(|found| found.oid.to_string()).collect();
                Ok(Some(Frag::new(format!("({oid} NOT IN ({}))", hidden.join(", ")), Type::Bool)))
            }
            ("obj_description", [oid, ..]) => {
                let oid = self.number(oid)?;
                let all = system::comments(catalog).into_iter().filter(|(_, _, number, _)| *number == 0);
                let all: Vec<(i64, String)> = all.map(|(oid, _, _, text)| (oid, text)).collect();
                text(system::text_of(&all, &oid))
            }
            ("col_description", [oid, column]) => {
                let (oid, column) = (self.number(oid)?, self.coerce(column.clone(), Type::Int4)?.sql);
                let all = system::comments(catalog).into_iter().filter(|(_, _, number, _)| *number > 0);
                let all: Vec<(i64, String)> =
                    all.map(|(oid, _, number, text)| (oid * 10_000 + number, text)).collect();
                text(system::text_of(&all, &format!("({oid} * 10000 + {column})")))
            }
            ("pg_get_expr", [expr, _, ..]) => Ok(Some(self.coerce(expr.clone(), Type::Text)?)),
            ("pg_get_constraintdef", [oid, ..]) => {
                let oid = self.number(oid)?;
                text(system::text_of(&system::constraint_definitions(catalog), &oid))
            }
            ("pg_get_viewdef", [oid, ..]) => {
                let oid = self.number(oid)?;
                text(system::text_of(&system::view_definitions(catalog), &oid))
            }
            ("pg_get_indexdef", [oid]) => {
                let oid = self.number(oid)?;
                text(system::text_of(&system::index_definitions(catalog), &oid))
            }
            ("pg_get_indexdef", [oid, column, ..]) => {
                let (oid, column) = (self.number(oid)?, self.coerce(column.clone(), Type::Int4)?.sql);
                let whole = system::text_of(&system::index_definitions(catalog), &oid);
                let columns = system::index_columns(catalog);
                let part = system::text_of(&columns, &format!("({oid} * 100 + {column})"));
                text(format!("(CASE WHEN {column} = 0 THEN {whole} ELSE {part} END)"))
            }
            ("pg_get_userbyid", [oid]) => {
                let oid = self.number(oid)?;
                let roles = self.context.cluster.roles().into_iter().map(|role| (role.oid, role.name));
                let found = system::text_of(&roles.collect::<Vec<_>>(), &oid);
                self.volatile = true;
                Ok(Some(Frag::new(format!("coalesce({found}, 'unknown (OID=' || {oid} || ')')"), Type::Name)))
            }
            ("pg_get_serial_sequence", [table, column]) => {
                let (table, column) = (
                    self.coerce(table.clone(), Type::Text)?.sql,
                    self.coerce(column.clone(), Type::Text)?.sql,
                );
                let lines: Vec<String> = system::serial_sequences(catalog)
                    .iter()
                    .map(|(of, name)| format!("({}, {})", quoted(of), quoted(name)))
                    .collect();
                self.volatile = true;
                if lines.is_empty() {
                    return text("NULL".to_owned());
                }
                text(format!(
                    "(SELECT \"column2\" FROM (VALUES {}) WHERE \"column1\" = sb_qualified({table}, {}) || '.' || {column} LIMIT 1)",
                    lines.join(", "),
                    quoted(self.first_schema())
                ))
            }
            ("to_regclass", [name]) => {
                let name = self.coerce(name.clone(), Type::Text)?;
                self.volatile = true;
                Ok(Some(Frag::new(self.number_of_name(&name.sql), Type::Regclass)))
            }
            ("to_regtype", [name]) => {
                let name = self.coerce(name.clone(), Type::Text)?;
                let lines: Vec<String> = TYPES
                    .iter()
                    .flat_map(|info| [info.name, info.display].map(|name| (info.oid, name)))
                    .map(|(oid, name)| (i64::from(oid), name.to_owned()))
                    .chain(self.context.enumeration_names())
                    .map(|(oid, name)| format!("({oid}, {})", quoted(&name)))
                    .collect();
                self.volatile = true;
                let sql = format!(
                    "(SELECT \"column1\" FROM (VALUES {}) WHERE \"column2\" = {} LIMIT 1)",
                    lines.join(", "),
                    name.sql
                );
                Ok(Some(Frag::new(sql, Type::Regtype)))
            }
            ("current_schemas", [implicit]) => {
                let implicit = self.coerce(implicit.clone(), Type::Bool)?.sql;
                let path = self.context.path.iter().map(|schema| Some(schema.as_str()));
                let own = quoted(&crate::sql::array::format(path.clone()));
                let all = quoted(&crate::sql::array::format(std::iter::once(Some("pg_catalog")).chain(path)));
                self.volatile = true;
                Ok(Some(Frag::new(
                    format!("(CASE WHEN {implicit} THEN {all} ELSE {own} END)"),
                    Type::NameArray,
                )))
            }
            ("pg_cancel_backend" | "pg_terminate_backend", [pid, ..]) => {
                let pid = self.coerce(pid.clone(), Type::Int4)?.sql;
                let terminate = u8::from(name == "pg_terminate_backend");
                Ok(Some(Frag::new(format!("sb_signal({pid}, {terminate})"), Type::Bool)))
            }
            (
                "pg_is_in_recovery"
                | "pg_current_wal_lsn"
                | "pg_last_wal_receive_lsn"
                | "pg_last_wal_replay_lsn"
                | "pg_last_xact_replay_timestamp"
                | "pg_switch_wal",
                [],
            ) => {
                let ty = match name {
                    "pg_is_in_recovery" => Type::Bool,
                    "pg_last_xact_replay_timestamp" => Type::Timestamptz,
                    _ => Type::Text,
                };
                Ok(Some(Frag::new(format!("sb_replication('{name}', NULL)"), ty)))
            }
            ("pg_promote", args @ ([] | [_] | [_, _])) => {
                let wait = match args.first() {
                    Some(wait) => self.coerce(wait.clone(), Type::Bool)?.sql,
                    None => "1".to_owned(),
                };
                let seconds = match args.get(1) {
                    Some(seconds) => self.coerce(seconds.clone(), Type::Int4)?.sql,
                    None => "60".to_owned(),
                };
                let sql = format!(
                    "sb_replication('pg_promote', CASE WHEN {wait} THEN nullif({seconds}, 0) ELSE 0 END)"
                );
                Ok(Some(Frag::new(sql, Type::Bool)))
            }
            ("pg_drop_replication_slot", [slot]) => {
                let slot = self.coerce(slot.clone(), Type::Text)?.sql;
                Ok(Some(Frag::new(format!("sb_replication('{name}', {slot})"), Type::Text)))
            }
            ("getdatabaseencoding", []) => text("'UTF8'".to_owned()),
            ("pg_char_to_encoding", [_]) => Ok(Some(Frag::new("6", Type::Int4))),
            ("pg_client_encoding", []) => text("'UTF8'".to_owned()),
            ("pg_database_size", [_]) => Ok(Some(Frag::new(
                "(SELECT \"page_count\" * \"page_size\" FROM pragma_page_count, pragma_page_size)",
                Type::Int8,
            ))),
            ("pg_relation_is_publishable", [_]) => Ok(Some(Frag::new("0", Type::Bool))),
            _ => Ok(None),
        }
    }

    /// An object's number among a function's arguments.
    fn number(&mut self, frag: &Frag) -> Result<String> {
        self.volatile = true;
        Ok(self.coerce(frag.clone(), Type::Oid)?.sql)
    }

    /// A cast to `regclass` or `regtype`.
    pub(super) fn named_number(&mut self, frag: Frag, to: Type) -> Result<Frag> {
        self.volatile = true;
        let text = match &frag.shape {
            Shape::Literal(text) => text.clone(),
            Shape::Typed if frag.ty().is_integer() => return Ok(Frag { typed: to.into(), ..frag }),
            _ if to == Type::Regclass => {
                let name = self.coerce(frag, Type::Text)?;
                return Ok(Frag::new(self.number_of_name(&name.sql), to));
            }
            _ => return Err(SqlError::unsupported(format!("a cast of {} to {to}", frag.ty()))),
        };
        if let Ok(number) = text.parse::<u32>() {
            return Ok(Frag::new(number.to_string(), to));
        }
        let (schema, name) = crate::sql::split_name(&text);
        let name = name.as_str();
        if to == Type::Regtype {
            let parsed = match crate::sql::parse_expr(&format!("NULL::{text}")) {
                Ok(Expr::Cast { data_type, .. }) => self.context.declared(&data_type).ok(),
                _ => None,
            };
            let found = parsed.map(|typed| typed.ty.oid());
            let found =
                found.ok_or_else(|| SqlError::new("42704", format!("type \"{text}\" does not exist")))?;
            return Ok(Frag::new(found.to_string(), to));
        }
        if to == Type::Regnamespace {
            let found =
                system::schema_names(self.context.catalog).into_iter().find(|(_, known)| known == name);
            let found =
                found.ok_or_else(|| SqlError::new("3F000", format!("schema \"{text}\" does not exist")))?;
            return Ok(Frag::new(found.0.to_string(), to));
        }
        let found = self.relation_number(schema.as_deref(), name);
        let oid = match (found, name) {
            (Some(oid), _) => oid,
            (None, name) if schema.as_deref().is_none_or(|schema| schema == "pg_catalog") => {
                let known = number_of(name);
                let there = || self.system_relation(Some("pg_catalog"), name).map(|_| 1);
                let missing = || SqlError::new("42P01", format!("relation \"{text}\" does not exist"));
                known.or_else(there).ok_or_else(missing)?
            }
            _ => return Err(SqlError::new("42P01", format!("relation \"{text}\" does not exist"))),
        };
        Ok(Frag::new(oid.to_string(), to))
    }

    /// The number of a relation or of the index behind a key.
    fn relation_number(&self, schema: Option<&str>, name: &str) -> Option<i64> {
        let context = self.context;
        let known = system::relation_keys(context.catalog);
        let within = |wanted: &str| {
            known.iter().find(|(_, schema, base)| *schema == wanted && *base == name).map(|(oid, ..)| *oid)
        };
        match schema {
            Some(schema) => within(schema),
            None => {
                let path = context.path.iter().map(String::as_str);
                std::iter::once(context.temporary).chain(path).find_map(within)
            }
        }
    }

    fn first_schema(&self) -> &str {
        self.context.path.first().map_or("public", String::as_str)
    }

    fn number_of_name(&self, name: &str) -> String {
        let known = system::relation_keys(self.context.catalog);
        let line = |(oid, schema, base): &(i64, &str, &str)| {
            format!("({oid}, {})", quoted(&format!("{schema}.{base}")))
        };
        let mut lines: Vec<String> = known.iter().map(line).collect();
        for (name, oid) in SYSTEM {
            for schema in ["pg_catalog", self.first_schema()] {
                if !known.iter().any(|(_, s, base)| *s == schema && base == name) {
                    lines.push(format!("({oid}, {})", quoted(&format!("{schema}.{name}"))));
                }
            }
        }
        let first = quoted(self.first_schema());
        format!(
            "(SELECT \"column1\" FROM (VALUES {}) WHERE \"column2\" = sb_qualified({name}, {first}))",
            lines.join(", ")
        )
    }

    /// A query whose columns are shown to a client: numbers of relations and types become names.
    pub(in crate::sql) fn shown_query(&mut self, sql: String, columns: Vec<Output>) -> (String, Vec<Output>) {
        let named =
            |column: &Output| matches!(column.typed.ty, Type::Regclass | Type::Regtype | Type::Regnamespace);
        if !columns.iter().any(named) {
            return (sql, columns);
        }
        let mut names = Vec::new();
        let mut items = Vec::new();
        let mut shown = Vec::new();
        for (index, column) in columns.into_iter().enumerate() {
            let name = format!("\"c{index}\"");
            let frag = self.shown_name(Frag::new(name.clone(), column.typed));
            names.push(name);
            items.push(frag.sql);
            shown.push(Output { typed: frag.typed, ..column });
        }
        let (names, items) = (names.join(", "), items.join(", "));
        (format!("WITH \"w\"({names}) AS ({sql}) SELECT {items} FROM \"w\""), shown)
    }

    /// A relation's or a type's number as the name that clients see.
    pub(super) fn shown_name(&mut self, frag: Frag) -> Frag {
        let pairs = match frag.ty() {
            Type::Regclass => {
                let system = SYSTEM.iter().map(|(name, oid)| (*oid, (*name).to_owned()));
                system::relation_names(self.context).into_iter().chain(system).collect()
            }
            Type::Regtype => system::type_names(self.context),
            Type::Regnamespace => system::schema_names(self.context.catalog),
            _ => return frag,
        };
        self.volatile = true;
        let number = cast_call(&Frag::new(frag.sql.clone(), Type::Int8), Type::Text.into(), false).sql;
        Frag::new(format!("coalesce({}, {number})", system::text_of(&pairs, &frag.sql)), Type::Text)
    }
}

fn quoted(text: &str) -> String {
    literal(&Value::Text(text.to_owned()))
}
