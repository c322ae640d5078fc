//! `pg_catalog` and `information_schema`: what clients ask to learn what a database contains.
//!
//! A system relation is written into the statement as VALUES, made from the definitions that the statement
//! is compiled with. So it is always right, needs no storage, and joins like any other table. What belongs
//! to the cluster (roles, databases, sessions) comes through [`Cluster`]; a statement that read any of
//! this is compiled again for each run.

use super::catalog::{Catalog, Column, Constraint, Identity, Kind, Relation};
use super::compile::literal;
use super::plan::Sequence;
use super::quote;
use super::types::{TYPES, Type};
use crate::engine::Value;

/// What belongs to the cluster.
pub trait Cluster {
    /// All roles.
    fn roles(&self) -> Vec<Role>;
    /// All databases: number, name, owner.
    fn databases(&self) -> Vec<(i64, String, String)>;
    /// Who is connected.
    fn sessions(&self) -> Vec<Activity>;
    /// The replicas that follow this server.
    fn standbys(&self) -> Vec<Standby>;
    /// The database's sequences.
    fn sequences(&self) -> Vec<Sequence>;
}

/// A role as the catalogues show it.
#[derive(Clone)]
pub struct Role {
    /// Its number.
    pub oid: i64,
    /// Its name.
    pub name: String,
    /// It may do everything.
    pub superuser: bool,
    /// It may log in.
    pub login: bool,
    /// It may copy the cluster.
    pub replication: bool,
}

/// A session as `pg_stat_activity` shows it.
pub struct Activity {
    /// The backend's number.
    pub pid: i32,
    /// The role.
    pub user: String,
    /// It is a replica's, and in no database.
    pub replica: bool,
    /// The database.
    pub database: String,
    /// Whether a statement runs.
    pub active: bool,
}

/// A replica as `pg_stat_replication` and `pg_replication_slots` show it.
pub struct Standby {
    /// What it calls itself.
    pub name: String,
    /// The role it logged in as.
    pub user: String,
    /// Where it connects from.
    pub address: String,
    /// Its session; 0 if it is away.
    pub pid: i32,
    /// The place in the log up to which it was sent.
    pub sent: String,
    /// What is durable there.
    pub flushed: String,
    /// What is in its databases.
    pub applied: String,
    /// The log no longer holds what it needs.
    pub lost: bool,
    /// Bytes of the log that it has not made durable.
    pub behind: i64,
    /// It has everything.
    pub caught_up: bool,
    /// Commits wait for replicas.
    pub synchronous: bool,
}

/// A cluster without anything, for statements compiled outside a server.
#[cfg(test)]
pub struct Nothing;

#[cfg(test)]
impl Cluster for Nothing {
    fn roles(&self) -> Vec<Role> {
        Vec::new()
    }

    fn databases(&self) -> Vec<(i64, String, String)> {
        Vec::new()
    }

    fn sessions(&self) -> Vec<Activity> {
        Vec::new()
    }

    fn standbys(&self) -> Vec<Standby> {
        Vec::new()
    }

    fn sequences(&self) -> Vec<Sequence> {
        Vec::new()
    }
}

/// What the rows are made from.
pub struct Source<'a> {
    /// The database's definitions.
    pub catalog: &'a Catalog,
    /// The rest of the cluster.
    pub cluster: &'a dyn Cluster,
    /// The database's name.
    pub database: &'a str,
    /// All roles.
    pub roles: &'a [Role],
}

type Rows = Vec<Vec<Value>>;

struct System {
    name: &'static str,
    columns: &'static str,
    rows: fn(&Source<'_>) -> Rows,
}

const PG_CATALOG: i64 = 11;
const PUBLIC: i64 = 2200;
const INFORMATION_SCHEMA: i64 = 13_000;

/// A system relation's columns and its text for SQLite.
pub fn relation(
    schema: Option<&str>,
    name: &str,
    source: &Source<'_>,
) -> Option<(String, Vec<(&'static str, Type)>)> {
    let (list, empty): (&[System], &[(&str, &str)]) = match schema {
        None | Some("pg_catalog") => (PG, EMPTY),
        Some("information_schema") => (INFORMATION, &[]),
        _ => return None,
    };
    let (columns, rows) = match list.iter().find(|system| system.name == name) {
        Some(system) => (system.columns, (system.rows)(source)),
        None => (empty.iter().find(|(known, _)| *known == name)?.1, Vec::new()),
    };
    let columns: Vec<(&str, Type)> = columns.split_whitespace().map(column).collect();
    let names: Vec<String> = columns.iter().map(|(name, _)| quote(name)).collect();
    if rows.is_empty() {
        let nulls: Vec<String> = names.iter().map(|name| format!("NULL AS {name}")).collect();
        return Some((format!("(SELECT {} WHERE 0)", nulls.join(", ")), columns));
    }
    let lines: Vec<String> = rows.iter().map(|row| line(row, columns.len())).collect();
    let sql =
        format!("(WITH \"w\" ({}) AS (VALUES {}) SELECT * FROM \"w\")", names.join(", "), lines.join(", "));
    Some((sql, columns))
}

/// `name:type`; `name` without a type is in the catalogue's most common one.
fn column(spec: &'static str) -> (&'static str, Type) {
    let (name, ty) = spec.split_once(':').unwrap_or((spec, "name"));
    (name, TYPES.iter().find(|info| info.name == ty).map_or(Type::Text, |info| info.ty))
}

/// Columns at the end that a row leaves out are NULL.
fn line(row: &[Value], width: usize) -> String {
    let nulls = std::iter::repeat_n("NULL".to_owned(), width.saturating_sub(row.len()));
    format!("({})", row.iter().map(literal).chain(nulls).collect::<Vec<_>>().join(", "))
}

/// A subquery that finds the text of a number; the pairs come from one of the functions below.
pub fn text_of(pairs: &[(i64, String)], number: &str) -> String {
    let lines: Vec<String> =
        pairs.iter().map(|(oid, text)| format!("({oid}, {})", literal(&t(text)))).collect();
    if lines.is_empty() {
        return format!("nullif({number}, {number})");
    }
    format!("(SELECT \"column2\" FROM (VALUES {}) WHERE \"column1\" = {number})", lines.join(", "))
}

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

fn t(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn n(number: i64) -> Value {
    Value::Integer(number)
}

fn yes(flag: bool) -> Value {
    Value::Integer(i64::from(flag))
}

/// The index behind a primary key or a unique constraint, which has no relation of its own here.
struct KeyIndex<'a> {
    oid: i64,
    name: &'a str,
    table: &'a Relation,
    columns: &'a [String],
    primary: bool,
}

/// Constraints and their indexes have numbers far above the relations', made from the table's.
fn constraint_oid(table: &Relation, index: usize) -> i64 {
    1_000_000_000 + table.oid * 100 + i64::try_from(index).unwrap_or(0)
}

fn constraints(catalog: &Catalog) -> impl Iterator<Item = (i64, &Relation, &Constraint)> {
    catalog.relations.values().flat_map(|table| {
        let numbered = table.constraints.iter().enumerate();
        numbered.map(move |(index, constraint)| (constraint_oid(table, index), table, constraint))
    })
}

fn key_indexes(catalog: &Catalog) -> impl Iterator<Item = KeyIndex<'_>> {
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

fn number_of(table: &Relation, column: &str) -> i64 {
    table.columns.iter().position(|known| known.name == column).map_or(0, |index| index as i64 + 1)
}

fn numbers(table: &Relation, columns: &[String], separator: &str) -> String {
    let numbers: Vec<String> = columns.iter().map(|column| number_of(table, column).to_string()).collect();
    numbers.join(separator)
}

/// The table and the columns that a foreign key refers to, read from its definition.
fn referred<'a>(source: &'a Source<'_>, constraint: &Constraint) -> Option<(&'a Relation, Vec<String>)> {
    let rest = constraint.definition.split_once(" REFERENCES ")?.1;
    let (table, rest) = rest.split_once('(')?;
    let columns = rest.split_once(')')?.0;
    let relation = source.catalog.get(table)?;
    Some((relation, columns.split(", ").map(str::to_owned).collect()))
}

fn action(constraint: &Constraint, event: &str) -> &'static str {
    let Some((_, rest)) = constraint.definition.split_once(&format!(" ON {event} ")) else { return "a" };
    match rest {
        rest if rest.starts_with("CASCADE") => "c",
        rest if rest.starts_with("SET NULL") => "n",
        rest if rest.starts_with("SET DEFAULT") => "d",
        rest if rest.starts_with("RESTRICT") => "r",
        _ => "a",
    }
}

fn owner(source: &Source<'_>, name: &str) -> i64 {
    source.roles.iter().find(|role| role.name == name).map_or(10, |role| role.oid)
}

fn kind_letter(kind: Kind) -> &'static str {
    match kind {
        Kind::Table => "r",
        Kind::View => "v",
        Kind::Index { .. } => "i",
        Kind::Sequence => "S",
        Kind::Schema => "n",
    }
}

const PG: &[System] = &[
    System {
        name: "pg_namespace",
        columns: "oid:oid nspname nspowner:oid nspacl:_text",
        rows: |_| schema_names().into_iter().map(|(oid, name)| vec![n(oid), t(&name), n(10)]).collect(),
    },
    System {
        name: "pg_class",
        columns: "oid:oid relname relnamespace:oid reltype:oid reloftype:oid relowner:oid relam:oid relfilenode:oid \
            reltablespace:oid relpages:int4 reltuples:float4 relallvisible:int4 reltoastrelid:oid relhasindex:bool \
            relisshared:bool relpersistence:char relkind:char relnatts:int2 relchecks:int2 relhasrules:bool \
            relhastriggers:bool relhassubclass:bool relrowsecurity:bool relforcerowsecurity:bool \
            relispopulated:bool relreplident:char relispartition:bool relrewrite:oid relacl:_text \
            reloptions:_text relpartbound:text",
        rows: pg_class,
    },
    System {
        name: "pg_attribute",
        columns: "attrelid:oid attname atttypid:oid attstattarget:int4 attlen:int2 attnum:int2 attndims:int4 \
            atttypmod:int4 attnotnull:bool atthasdef:bool atthasmissing:bool attidentity:char attgenerated:char \
            attisdropped:bool attislocal:bool attcollation:oid attcompression:char attstorage:char attacl:_text \
            attoptions:_text attfdwoptions:_text",
        rows: pg_attribute,
    },
    System {
        name: "pg_attrdef",
        columns: "oid:oid adrelid:oid adnum:int2 adbin:text",
        rows: |source| {
            let columns = columns(source.catalog).filter(|(_, _, column)| column.default.is_some());
            columns
                .filter(|(_, _, column)| column.identity.is_none())
                .map(|(table, number, column)| {
                    vec![
                        n(3_000_000_000 + table.oid * 64 + number),
                        n(table.oid),
                        n(number),
                        t(&default_shown(column)),
                    ]
                })
                .collect()
        },
    },
    System {
        name: "pg_type",
        columns: "oid:oid typname typnamespace:oid typowner:oid typlen:int2 typbyval:bool typtype:char \
            typcategory:char typispreferred:bool typisdefined:bool typdelim:char typrelid:oid typsubscript:text \
            typelem:oid typarray:oid typinput:text typoutput:text typreceive:text typsend:text typnotnull:bool \
            typbasetype:oid typtypmod:int4 typndims:int4 typcollation:oid typalign:char typstorage:char \
            typdefault:text typacl:_text",
        rows: |_| {
            let row = |info: &'static super::types::TypeInfo| {
                let element = info.ty.element().map_or(0, |ty| i64::from(ty.oid()));
                let array = info.ty.array().map_or(0, |ty| i64::from(ty.oid()));
                let pseudo = matches!(info.ty, Type::Unknown | Type::Void);
                let function = |suffix: &str| t(&format!("{}{suffix}", info.name));
                vec![
                    n(info.oid.into()),
                    t(info.name),
                    n(PG_CATALOG),
                    n(10),
                    n(info.size.into()),
                    yes(matches!(info.size, 1..=8)),
                    t(if pseudo { "p" } else { "b" }),
                    t(&info.category.to_string()),
                    yes(matches!(info.ty, Type::Text | Type::Bool | Type::Float8 | Type::Timestamptz)),
                    yes(true),
                    t(","),
                    n(0),
                    t(if element > 0 { "array_subscript_handler" } else { "-" }),
                    n(element),
                    n(array),
                    if element > 0 { t("array_in") } else { function("in") },
                    if element > 0 { t("array_out") } else { function("out") },
                    if element > 0 { t("array_recv") } else { function("recv") },
                    if element > 0 { t("array_send") } else { function("send") },
                    yes(false),
                    n(0),
                    n(-1),
                    n(0),
                    n(collation(info.ty)),
                    t("i"),
                    t(if info.size < 0 { "x" } else { "p" }),
                ]
            };
            TYPES.iter().map(row).collect()
        },
    },
    System {
        name: "pg_index",
        columns: "indexrelid:oid indrelid:oid indnatts:int2 indnkeyatts:int2 indisunique:bool \
            indnullsnotdistinct:bool indisprimary:bool indisexclusion:bool indimmediate:bool indisclustered:bool \
            indisvalid:bool indcheckxmin:bool indisready:bool indislive:bool indisreplident:bool \
            indkey:int2vector indcollation:int2vector indclass:int2vector indoption:int2vector indexprs:text \
            indpred:text",
        rows: pg_index,
    },
    System {
        name: "pg_constraint",
        columns: "oid:oid conname connamespace:oid contype:char condeferrable:bool condeferred:bool \
            convalidated:bool conrelid:oid contypid:oid conindid:oid conparentid:oid confrelid:oid \
            confupdtype:char confdeltype:char confmatchtype:char conislocal:bool coninhcount:int4 \
            connoinherit:bool conkey:_int2 confkey:_int2 conpfeqop:_oid conbin:text",
        rows: pg_constraint,
    },
    System {
        name: "pg_roles",
        columns: "rolname rolsuper:bool rolinherit:bool rolcreaterole:bool rolcreatedb:bool rolcanlogin:bool \
            rolreplication:bool rolconnlimit:int4 rolpassword:text rolvaliduntil:timestamptz rolbypassrls:bool \
            rolconfig:_text oid:oid",
        rows: |source| {
            let row = |role: &Role| {
                let all = role.superuser;
                vec![
                    t(&role.name),
                    yes(all),
                    yes(true),
                    yes(all),
                    yes(all),
                    yes(role.login),
                    yes(all || role.replication),
                    n(-1),
                    t("********"),
                    Value::Null,
                    yes(all),
                    Value::Null,
                    n(role.oid),
                ]
            };
            source.roles.iter().map(row).collect()
        },
    },
    System {
        name: "pg_user",
        columns: "usename usesysid:oid usecreatedb:bool usesuper:bool userepl:bool usebypassrls:bool passwd:text \
            valuntil:timestamptz useconfig:_text",
        rows: |source| {
            let roles = source.roles.iter().filter(|role| role.login);
            roles
                .map(|role| {
                    let all = yes(role.superuser);
                    vec![
                        t(&role.name),
                        n(role.oid),
                        all.clone(),
                        all.clone(),
                        all.clone(),
                        all,
                        t("********"),
                    ]
                })
                .collect()
        },
    },
    System {
        name: "pg_database",
        columns: "oid:oid datname datdba:oid encoding:int4 datlocprovider:char datistemplate:bool \
            datallowconn:bool datconnlimit:int4 datcollate:text datctype:text daticulocale:text \
            datcollversion:text datacl:_text dattablespace:oid",
        rows: |source| {
            let row = |(oid, name, of): (i64, String, String)| {
                vec![
                    n(oid),
                    t(&name),
                    n(owner(source, &of)),
                    n(6),
                    t("c"),
                    yes(false),
                    yes(true),
                    n(-1),
                    t("C.UTF-8"),
                    t("C.UTF-8"),
                    Value::Null,
                    Value::Null,
                    Value::Null,
                    n(1663),
                ]
            };
            source.cluster.databases().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_stat_activity",
        columns: "datid:oid datname pid:int4 leader_pid:int4 usesysid:oid usename application_name:text \
            client_addr:text client_hostname:text client_port:int4 backend_start:timestamptz \
            xact_start:timestamptz query_start:timestamptz state_change:timestamptz wait_event_type:text \
            wait_event:text state:text backend_xid:text backend_xmin:text query_id:int8 query:text \
            backend_type:text",
        rows: |source| {
            let databases = source.cluster.databases();
            let row = |session: Activity| {
                let database = databases.iter().find(|(_, name, _)| *name == session.database);
                let mut row = vec![Value::Null; 22];
                row[0] = database.map_or(Value::Null, |(oid, ..)| n(*oid));
                row[1] = if session.replica { Value::Null } else { t(&session.database) };
                row[2] = n(session.pid.into());
                row[4] = n(owner(source, &session.user));
                row[5] = t(&session.user);
                row[16] = t(if session.active { "active" } else { "idle" });
                row[21] = t(if session.replica { "walsender" } else { "client backend" });
                row
            };
            source.cluster.sessions().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_stat_replication",
        columns: "pid:int4 usesysid:oid usename application_name:text client_addr:text client_hostname:text \
            client_port:int4 backend_start:timestamptz backend_xmin:text state:text sent_lsn:text write_lsn:text \
            flush_lsn:text replay_lsn:text write_lag:interval flush_lag:interval replay_lag:interval \
            sync_priority:int4 sync_state:text reply_time:timestamptz",
        rows: |source| {
            let connected = source.cluster.standbys().into_iter().filter(|standby| standby.pid != 0);
            let row = |standby: Standby| {
                let (address, port) = standby.address.rsplit_once(':').unwrap_or((&standby.address, ""));
                let mut row = vec![Value::Null; 20];
                row[0] = n(standby.pid.into());
                row[1] = n(owner(source, &standby.user));
                row[2] = t(&standby.user);
                row[3] = t(&standby.name);
                row[4] = t(address.trim_matches(['[', ']']));
                row[6] = port.parse().map_or(Value::Null, n);
                row[9] = t(if standby.caught_up { "streaming" } else { "catchup" });
                row[10] = t(&standby.sent);
                row[11] = t(&standby.flushed);
                row[12] = t(&standby.flushed);
                row[13] = t(&standby.applied);
                row[17] = n(i64::from(standby.synchronous));
                row[18] = t(if standby.synchronous { "quorum" } else { "async" });
                row
            };
            connected.map(row).collect()
        },
    },
    System {
        name: "pg_replication_slots",
        columns: "slot_name plugin slot_type:text datoid:oid database temporary:bool active:bool active_pid:int4 \
            xmin:text catalog_xmin:text restart_lsn:text confirmed_flush_lsn:text wal_status:text \
            safe_wal_size:int8 two_phase:bool",
        rows: |source| {
            let row = |standby: Standby| {
                let mut row = vec![Value::Null; 15];
                row[0] = t(&standby.name);
                row[2] = t("physical");
                row[5] = yes(false);
                row[6] = yes(standby.pid != 0);
                row[7] = if standby.pid == 0 { Value::Null } else { n(standby.pid.into()) };
                row[10] = t(&standby.flushed);
                row[12] = t(if standby.lost { "lost" } else { "reserved" });
                row[14] = yes(false);
                row
            };
            source.cluster.standbys().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_tables",
        columns: "schemaname tablename tableowner tablespace hasindexes:bool hasrules:bool hastriggers:bool \
            rowsecurity:bool",
        rows: |source| {
            let tables = source.catalog.relations.values().filter(|relation| relation.kind == Kind::Table);
            tables
                .map(|table| {
                    let indexed = has_index(source.catalog, table);
                    vec![
                        t("public"),
                        t(&table.name),
                        t(&table.owner),
                        Value::Null,
                        yes(indexed),
                        yes(false),
                        yes(false),
                        yes(false),
                    ]
                })
                .collect()
        },
    },
    System {
        name: "pg_views",
        columns: "schemaname viewname viewowner definition:text",
        rows: |source| {
            let views = source.catalog.relations.values().filter(|relation| relation.kind == Kind::View);
            views
                .map(|view| {
                    let definition = view.definition.as_deref().unwrap_or_default();
                    vec![t("public"), t(&view.name), t(&view.owner), t(definition)]
                })
                .collect()
        },
    },
    System {
        name: "pg_indexes",
        columns: "schemaname tablename indexname tablespace indexdef:text",
        rows: |source| {
            let definitions = index_definitions(source.catalog);
            let of = |oid: i64| definitions.iter().find(|(known, _)| *known == oid).map(|(_, text)| t(text));
            let keys = key_indexes(source.catalog)
                .map(|index| (index.table.name.clone(), index.name.to_owned(), index.oid));
            let own = source.catalog.relations.values().filter_map(|relation| match relation.kind {
                Kind::Index { .. } => Some((relation.parent.clone()?, relation.name.clone(), relation.oid)),
                _ => None,
            });
            keys.chain(own)
                .map(|(table, name, oid)| {
                    let definition = of(oid).unwrap_or(Value::Null);
                    vec![t("public"), t(&table), t(&name), Value::Null, definition]
                })
                .collect()
        },
    },
    System {
        name: "pg_sequence",
        columns: "seqrelid:oid seqtypid:oid seqstart:int8 seqincrement:int8 seqmax:int8 seqmin:int8 seqcache:int8 \
            seqcycle:bool",
        rows: |source| {
            let row = |sequence: Sequence| {
                let relation = source.catalog.get(&sequence.name)?;
                let ty = if sequence.max == i64::from(i32::MAX) { Type::Int4 } else { Type::Int8 };
                let numbers = [sequence.start, sequence.increment, sequence.max, sequence.min, 1];
                let mut row = vec![n(relation.oid), n(ty.oid().into())];
                row.extend(numbers.map(n));
                row.push(yes(sequence.cycle));
                Some(row)
            };
            source.cluster.sequences().into_iter().filter_map(row).collect()
        },
    },
    System {
        name: "pg_depend",
        columns: "classid:oid objid:oid objsubid:int4 refclassid:oid refobjid:oid refobjsubid:int4 deptype:char",
        rows: |source| {
            let owned = columns(source.catalog).filter_map(|(table, number, column)| {
                let sequence = column.default.as_deref()?.strip_prefix("nextval('")?.strip_suffix("')")?;
                let sequence = source.catalog.get(sequence)?;
                let kind = if column.identity.is_some() { "i" } else { "a" };
                Some(vec![n(1259), n(sequence.oid), n(0), n(1259), n(table.oid), n(number), t(kind)])
            });
            owned.collect()
        },
    },
    System {
        name: "pg_am",
        columns: "oid:oid amname amhandler:text amtype:char",
        rows: |_| {
            vec![
                vec![n(2), t("heap"), t("heap_tableam_handler"), t("t")],
                vec![n(403), t("btree"), t("bthandler"), t("i")],
            ]
        },
    },
    System {
        name: "pg_collation",
        columns: "oid:oid collname collnamespace:oid collowner:oid collprovider:char collisdeterministic:bool \
            collencoding:int4 collcollate:text collctype:text",
        rows: |_| {
            [(100, "default", "d"), (950, "C", "c")]
                .map(|(oid, name, provider)| {
                    vec![n(oid), t(name), n(PG_CATALOG), n(10), t(provider), yes(true), n(-1), t("C"), t("C")]
                })
                .into()
        },
    },
    System {
        name: "pg_tablespace",
        columns: "oid:oid spcname spcowner:oid spcacl:_text spcoptions:_text",
        rows: |_| vec![vec![n(1663), t("pg_default"), n(10)]],
    },
];

/// What has no rows here.
const EMPTY: &[(&str, &str)] = &[
    ("pg_auth_members", "oid:oid roleid:oid member:oid grantor:oid admin_option:bool"),
    (
        "pg_policy",
        "oid:oid polname polrelid:oid polcmd:char polpermissive:bool polroles:_oid polqual:text polwithcheck:text",
    ),
    (
        "pg_statistic_ext",
        "oid:oid stxrelid:oid stxname stxnamespace:oid stxowner:oid stxstattarget:int4 stxkeys:int2vector stxkind:_char stxexprs:text",
    ),
    (
        "pg_publication",
        "oid:oid pubname pubowner:oid puballtables:bool pubinsert:bool pubupdate:bool pubdelete:bool pubtruncate:bool pubviaroot:bool",
    ),
    ("pg_publication_rel", "oid:oid prpubid:oid prrelid:oid prqual:text prattrs:_int2"),
    ("pg_publication_namespace", "oid:oid pnpubid:oid pnnspid:oid"),
    ("pg_subscription", "oid:oid subname subdbid:oid"),
    (
        "pg_trigger",
        "oid:oid tgrelid:oid tgparentid:oid tgname tgfoid:oid tgtype:int2 tgenabled:char tgisinternal:bool tgconstraint:oid tgdeferrable:bool",
    ),
    ("pg_inherits", "inhrelid:oid inhparent:oid inhseqno:int4 inhdetachpending:bool"),
    ("pg_partitioned_table", "partrelid:oid partstrat:char partnatts:int2"),
    ("pg_description", "objoid:oid classoid:oid objsubid:int4 description:text"),
    ("pg_shdescription", "objoid:oid classoid:oid description:text"),
    ("pg_enum", "oid:oid enumtypid:oid enumsortorder:float4 enumlabel"),
    ("pg_range", "rngtypid:oid rngsubtype:oid rngmultitypid:oid rngcollation:oid"),
    (
        "pg_proc",
        "oid:oid proname pronamespace:oid proowner:oid prolang:oid prokind:char prorettype:oid proargtypes:int2vector prosrc:text",
    ),
    ("pg_extension", "oid:oid extname extowner:oid extnamespace:oid extrelocatable:bool extversion:text"),
    ("pg_available_extensions", "name default_version:text installed_version:text comment:text"),
    ("pg_foreign_data_wrapper", "oid:oid fdwname fdwowner:oid"),
    ("pg_foreign_server", "oid:oid srvname srvowner:oid srvfdw:oid"),
    ("pg_foreign_table", "ftrelid:oid ftserver:oid ftoptions:_text"),
    ("pg_user_mapping", "oid:oid umuser:oid umserver:oid"),
    ("pg_rewrite", "oid:oid rulename ev_class:oid ev_type:char ev_enabled:char is_instead:bool"),
    ("pg_language", "oid:oid lanname lanowner:oid"),
    ("pg_operator", "oid:oid oprname oprnamespace:oid"),
    ("pg_opclass", "oid:oid opcmethod:oid opcname opcnamespace:oid opcdefault:bool"),
    ("pg_conversion", "oid:oid conname connamespace:oid"),
    ("pg_event_trigger", "oid:oid evtname"),
    ("pg_matviews", "schemaname matviewname matviewowner definition:text"),
    ("pg_locks", "locktype:text database:oid relation:oid pid:int4 mode:text granted:bool"),
    ("pg_prepared_xacts", "transaction:text gid:text"),
];

fn has_index(catalog: &Catalog, table: &Relation) -> bool {
    let own = |r: &Relation| {
        matches!(r.kind, Kind::Index { .. }) && r.parent.as_deref() == Some(table.name.as_str())
    };
    table.constraints.iter().any(|constraint| matches!(constraint.kind, 'p' | 'u'))
        || catalog.relations.values().any(own)
}

fn pg_class(source: &Source<'_>) -> Rows {
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
    t(&super::array::format(items.iter().map(|item| Some(item.as_str()))))
}

/// The columns of tables and views, with their numbers.
fn columns(catalog: &Catalog) -> impl Iterator<Item = (&Relation, i64, &Column)> {
    let relations = catalog.relations.values();
    relations.filter(|relation| matches!(relation.kind, Kind::Table | Kind::View)).flat_map(|relation| {
        (1..).zip(&relation.columns).map(move |(number, column)| (relation, number, column))
    })
}

fn default_shown(column: &Column) -> String {
    let default = column.default.as_deref().unwrap_or_default();
    // As Postgres shows what `serial` makes.
    match default.strip_prefix("nextval('").and_then(|rest| rest.strip_suffix("')")) {
        Some(sequence) => format!("nextval('{sequence}'::regclass)"),
        None if default.starts_with('\'') => format!("{default}::{}", column.typed().ty),
        None => default.to_owned(),
    }
}

fn collation(ty: Type) -> i64 {
    match ty {
        Type::Name => 950,
        ty if ty.is_string() && ty != Type::Char => 100,
        _ => 0,
    }
}

fn pg_attribute(source: &Source<'_>) -> Rows {
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

fn pg_index(source: &Source<'_>) -> Rows {
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

fn pg_constraint(source: &Source<'_>) -> Rows {
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

const INFORMATION: &[System] = &[
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
