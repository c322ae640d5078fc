//! `pg_catalog` and `information_schema`: what clients ask to learn what a database contains.
//!
//! A system relation is written into the statement as VALUES, made from the definitions that the statement
//! is compiled with. So it is always right, needs no storage, and joins like any other table. What belongs
//! to the cluster (roles, databases, sessions) comes through [`Cluster`]; a statement that read any of
//! this is compiled again for each run.

mod empty;
mod information;
mod names;
mod objects;
mod pg;
mod relations;
mod statistics;

use super::catalog::{Catalog, Relation};
use super::compile::literal;
use super::plan::Sequence;
use super::quote;
use super::types::{TYPES, Type};
use crate::engine::Value;
pub use names::*;
use std::net::SocketAddr;

/// What belongs to the cluster.
pub trait Cluster {
    /// All roles.
    fn roles(&self) -> Vec<Role>;
    /// Which role each role is a member of: role and member.
    fn members(&self) -> Vec<(String, String)>;
    /// All databases.
    fn databases(&self) -> Vec<Relation>;
    /// Who is connected.
    fn sessions(&self) -> Vec<Activity>;
    /// The database's sequences.
    fn sequences(&self) -> Vec<Sequence>;
    /// The replicas that follow this server.
    fn standbys(&self) -> Vec<Standby>;
    /// The parameters of the session and of the server, with their values.
    fn settings(&self) -> Vec<(String, String)>;
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
    /// Where the client is, if not on a Unix socket.
    pub address: Option<SocketAddr>,
    /// What it does, for those who may know.
    pub seen: Option<Seen>,
}

/// What a session does; instants are in microseconds since 2000.
#[derive(Clone)]
pub struct Seen {
    /// What the client calls itself.
    pub application: String,
    /// The statement that runs, or ran last.
    pub query: String,
    /// `active`, `idle`, `idle in transaction` and what Postgres calls a failed one.
    pub state: &'static str,
    /// When the client came.
    pub connected: i64,
    /// When the transaction began, if there is one.
    pub transaction: Option<i64>,
    /// When the statement began, if there was one.
    pub statement: Option<i64>,
    /// When `state` was something else.
    pub changed: i64,
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

    fn members(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn databases(&self) -> Vec<Relation> {
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

    fn settings(&self) -> Vec<(String, String)> {
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
    let (lists, empty): (&[&[System]], &[(&str, &str)]) = match schema {
        None | Some("pg_catalog") => (&[pg::PG, statistics::STATISTICS], empty::EMPTY),
        Some("information_schema") => (&[information::INFORMATION], empty::EMPTY_INFORMATION),
        _ => return None,
    };
    let (columns, rows) = match lists.iter().copied().flatten().find(|system| system.name == name) {
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

fn t(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn n(number: i64) -> Value {
    Value::Integer(number)
}

fn yes(flag: bool) -> Value {
    Value::Integer(i64::from(flag))
}

/// A role and all that it is a member of, directly or not.
pub fn closure(members: &[(String, String)], role: &str) -> Vec<String> {
    let mut found = vec![role.to_owned()];
    let mut next = 0;
    while let Some(member) = found.get(next).cloned() {
        let more = members.iter().filter(|(_, of)| *of == member).map(|(role, _)| role);
        let fresh: Vec<String> = more.filter(|role| !found.contains(role)).cloned().collect();
        found.extend(fresh);
        next += 1;
    }
    found
}
