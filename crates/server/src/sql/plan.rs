//! What a statement asks for, ready to run.

use super::block::{self, Part};
use super::catalog::Relation;
use super::compile::query::changing;
use super::compile::{Before, Compiler, Context, Output};
use super::error::{Result, SqlError};
use super::rights::Change;
use super::types::{Type, Typed};
use super::{copying, ddl, fold, setting};
use sqlparser::ast::{
    CloseCursor, CopyTarget, DataType, Declare, DiscardObject, Ident, Reset, SetExpr, Statement,
    TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};

/// A statement ready to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// The result columns; none for a statement without rows.
    pub columns: Vec<Output>,
    /// The parameters' types.
    pub params: Vec<Type>,
    /// The command tag, without the row count.
    pub tag: &'static str,
    /// It takes the write lock.
    pub writes: bool,
    /// Its class for `log_statement`.
    pub class: Class,
    /// It is right for one run only, because it holds parts of the catalogues.
    pub volatile: bool,
    /// Its functions may ask the session for something: a parameter's new value, a notification.
    pub asks: bool,
    /// Changes within WITH, which come first.
    pub before: Vec<Before>,
    /// The tables that it changes, each with the letter of the privilege that this takes.
    pub changes: Vec<(String, char)>,
}

/// The classes that `log_statement` tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Changes definitions.
    Ddl,
    /// Changes data.
    Mod,
    /// Anything else.
    Other,
    /// Carries a password: never logged.
    Secret,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// SQLite text that returns rows or changes them.
    Run(String),
    /// A plan of SQLite's.
    Explain {
        /// The statement.
        sql: String,
        /// Shown as a document rather than as lines: with the result's columns, and whether an outer join may have
        /// made them NULL, which is what sqlx's compile-time checks look for.
        json: Option<Vec<(String, bool)>>,
    },
    /// A change of definitions, in steps.
    Ddl(Vec<Step>),
    /// BEGIN
    Begin {
        /// All statements see one snapshot.
        snapshot: bool,
        /// Writing is refused.
        read_only: bool,
    },
    /// COMMIT
    Commit,
    /// ROLLBACK
    Rollback,
    /// SAVEPOINT
    Savepoint(String),
    /// RELEASE SAVEPOINT
    Release(String),
    /// ROLLBACK TO SAVEPOINT
    RollbackTo(String),
    /// SET and RESET; no value is the default.
    Set {
        /// The parameter.
        name: String,
        /// Its new value.
        value: Option<String>,
        /// Until the transaction ends.
        local: bool,
    },
    /// SET CONSTRAINTS; whether they are checked at the end of the transaction.
    Constraints {
        /// Whether they are checked at its end.
        deferred: bool,
    },
    /// PREPARE
    Prepare {
        /// The statement's name.
        name: Ident,
        /// The types given.
        types: Vec<DataType>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// DECLARE … CURSOR
    Declare {
        /// The cursor's name.
        name: String,
        /// Its query.
        plan: Box<Plan>,
        /// It may go backwards.
        scroll: bool,
        /// It outlives the transaction.
        hold: bool,
    },
    /// FETCH and MOVE
    Fetch {
        /// The cursor's name.
        name: String,
        /// Where to.
        steps: Steps,
        /// No rows are wanted.
        silent: bool,
    },
    /// CLOSE; no name is all.
    Close(Option<String>),
    /// LISTEN
    Listen(String),
    /// UNLISTEN; no name is all.
    Unlisten(Option<String>),
    /// NOTIFY
    Notify {
        /// The channel.
        channel: String,
        /// The message.
        text: String,
    },
    /// SHOW
    Show(String),
    /// COPY … FROM STDIN
    CopyIn(Box<CopyIn>),
    /// COPY … TO STDOUT
    CopyOut(Box<CopyOut>),
    /// CREATE, ALTER and DROP of what belongs to the cluster.
    Cluster(ClusterChange),
    /// DEALLOCATE and DISCARD; no name is all.
    Deallocate(Option<String>),
    /// SET ROLE; no name is the role that logged in.
    SetRole(Option<String>),
    /// DISCARD ALL
    Discard,
    /// VACUUM
    Vacuum {
        /// The whole file is written anew.
        full: bool,
        /// ANALYZE comes after it.
        analyze: bool,
    },
    /// DO
    Block(Vec<Part>),
    /// Nothing to do here, such as DISCARD PLANS.
    Nothing,
}

/// Where a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// So many rows on, or back, with all rows on the way.
    Forward(i64),
    /// To the row of this number; a negative one counts from the end.
    Absolute(i64),
    /// To the row that is so many rows on.
    Relative(i64),
}

/// One step of a change of definitions.
#[derive(Debug, Clone)]
pub enum Step {
    /// SQLite text.
    Sql(String),
    /// The text of a table in SQLite's schema.
    Rewrite {
        /// The table's key.
        table: String,
        /// Its new text.
        sql: String,
    },
    /// A query that may find no row.
    Refuse {
        /// The query.
        sql: String,
        /// The error if it does.
        error: SqlError,
    },
    /// A relation is new or different.
    Put(Box<Relation>),
    /// A relation is gone.
    Remove(String),
    /// A sequence is new.
    PutSequence(Sequence),
    /// A sequence starts again.
    RestartSequence(String),
    /// Something the client should know.
    Notice(String),
    /// Something that was asked for and not done.
    Warning(SqlError),
}

/// A sequence's definition and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its name.
    pub name: String,
    /// Its first value.
    pub start: i64,
    /// The step.
    pub increment: i64,
    /// The smallest value.
    pub min: i64,
    /// The largest value.
    pub max: i64,
    /// Whether it starts again at its end.
    pub cycle: bool,
    /// The last value given, or the next one if none was given.
    pub last: i64,
    /// Whether `last` was given.
    pub called: bool,
}

/// COPY … FROM STDIN.
#[derive(Debug, Clone)]
pub struct CopyIn {
    /// The INSERT for one row, with a parameter a column.
    pub sql: String,
    /// The columns' types, in the order of the fields.
    pub types: Vec<Typed>,
    /// How the data is written.
    pub format: CopyFormat,
}

/// COPY … TO STDOUT.
#[derive(Debug, Clone)]
pub struct CopyOut {
    /// The query.
    pub sql: String,
    /// Its columns.
    pub columns: Vec<Output>,
    /// How the data is written.
    pub format: CopyFormat,
}

/// How COPY's data is written.
#[derive(Debug, Clone)]
pub struct CopyFormat {
    /// CSV rather than text.
    pub csv: bool,
    /// Postgres' binary form.
    pub binary: bool,
    /// The field separator.
    pub delimiter: char,
    /// What stands for NULL.
    pub null: String,
    /// The first line holds names.
    pub header: bool,
    /// CSV's quote.
    pub quote: char,
}

/// A change of what belongs to the cluster.
#[derive(Debug, Clone)]
pub enum ClusterChange {
    /// CREATE DATABASE
    CreateDatabase {
        /// Its name.
        name: String,
        /// Whose it is; whoever creates it where nobody is named.
        owner: Option<String>,
    },
    /// DROP DATABASE
    DropDatabase {
        /// Its name.
        name: String,
        /// IF EXISTS
        if_exists: bool,
    },
    /// CREATE ROLE and CREATE USER
    CreateRole {
        /// Its name.
        name: String,
        /// What it may do.
        role: RoleChange,
    },
    /// ALTER ROLE
    AlterRole {
        /// Its name.
        name: String,
        /// What changes.
        role: RoleChange,
    },
    /// GRANT and REVOKE of membership
    Member {
        /// The roles.
        roles: Vec<String>,
        /// Who becomes a member of them.
        members: Vec<String>,
        /// Whether it is given.
        give: bool,
    },
    /// GRANT and REVOKE on databases
    Access {
        /// The databases.
        databases: Vec<String>,
        /// Who gets or loses it; empty for everybody.
        grantees: Vec<String>,
        /// What changes.
        change: Change,
    },
    /// DROP ROLE
    DropRole {
        /// Its name.
        name: String,
        /// IF EXISTS
        if_exists: bool,
    },
}

/// What a role may do; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct RoleChange {
    /// May log in.
    pub login: Option<bool>,
    /// May do everything.
    pub superuser: Option<bool>,
    /// May copy the cluster.
    pub replication: Option<bool>,
    /// Its password; `Some(None)` removes it.
    pub password: Option<Option<String>>,
}

impl Plan {
    /// A plan without rows and parameters.
    pub fn new(action: Action, tag: &'static str) -> Self {
        Self {
            action,
            columns: Vec::new(),
            params: Vec::new(),
            tag,
            writes: false,
            class: Class::Other,
            volatile: false,
            asks: false,
            before: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn ddl(steps: Vec<Step>, tag: &'static str) -> Self {
        Self { writes: true, class: Class::Ddl, ..Self::new(Action::Ddl(steps), tag) }
    }
}

/// Makes the plan of a statement. `declared` are the parameter types that the client gave.
pub fn plan(statement: &Statement, context: &Context<'_>, declared: &[Option<Type>]) -> Result<Plan> {
    let mut compiler = Compiler::new(context, declared);
    let mut plan = build(statement, context, &mut compiler).map_err(|error| context.with_names(error))?;
    plan.writes |= compiler.writes;
    plan.volatile = compiler.volatile || compiler.momentary;
    plan.asks = compiler.asks;
    plan.before = std::mem::take(&mut compiler.before);
    plan.changes = std::mem::take(&mut compiler.changes);
    // Its text is only right while the tables of the changes before it are there.
    plan.volatile |= !plan.before.is_empty();
    plan.params = compiler.params.iter().map(|ty| ty.unwrap_or(Type::Text)).collect();
    Ok(plan)
}

fn build(statement: &Statement, context: &Context<'_>, compiler: &mut Compiler<'_>) -> Result<Plan> {
    match statement {
        Statement::Query(query) if changing(&query.body).is_some() => {
            let tag = match &*query.body {
                SetExpr::Insert(_) => "INSERT 0",
                SetExpr::Update(_) => "UPDATE",
                _ => "DELETE",
            };
            Ok(change(compiler.changing_query(query)?, tag))
        }
        Statement::Query(query) => {
            let (sql, columns) = compiler.query(query)?;
            let (sql, columns) = compiler.shown_query(sql, columns);
            Ok(Plan { columns, ..Plan::new(Action::Run(sql), "SELECT") })
        }
        Statement::Insert(insert) => Ok(change(compiler.insert(insert)?, "INSERT 0")),
        Statement::Update(update) => Ok(change(compiler.update(update)?, "UPDATE")),
        Statement::Delete(delete) => Ok(change(compiler.delete(delete)?, "DELETE")),
        Statement::Explain { statement, analyze: false, format, options, .. } => {
            let json = |text: &str| text.eq_ignore_ascii_case("json");
            let named = options.iter().flatten().filter(|option| fold(&option.name) == "format");
            let json =
                format.as_ref().is_some_and(|format| format.to_string().to_lowercase().contains("json"))
                    || named.filter_map(|option| option.arg.as_ref()).any(|arg| json(&setting::text(arg)));
            let inner = build(statement, context, compiler)?;
            let Action::Run(sql) = inner.action else {
                return Err(SqlError::unsupported("EXPLAIN of this statement"));
            };
            let outer = |column: &Output| column.origin.is_some_and(|origin| origin.outer);
            let document = inner.columns.iter().map(|column| (column.name.clone(), outer(column)));
            let document = json.then(|| document.collect());
            let ty = if json { Type::Json } else { Type::Text };
            let columns = vec![Output { name: "QUERY PLAN".to_owned(), typed: ty.into(), origin: None }];
            Ok(Plan { columns, ..Plan::new(Action::Explain { sql, json: document }, "EXPLAIN") })
        }
        Statement::StartTransaction { modes, statements, begin, .. } if statements.is_empty() => {
            let snapshot = modes.iter().any(|mode| {
                matches!(
                    mode,
                    TransactionMode::IsolationLevel(
                        TransactionIsolationLevel::RepeatableRead | TransactionIsolationLevel::Serializable
                    )
                )
            });
            let read_only = modes
                .iter()
                .any(|mode| matches!(mode, TransactionMode::AccessMode(TransactionAccessMode::ReadOnly)));
            let tag = if *begin { "BEGIN" } else { "START TRANSACTION" };
            Ok(Plan::new(Action::Begin { snapshot, read_only }, tag))
        }
        Statement::Commit { chain: false, .. } => Ok(Plan::new(Action::Commit, "COMMIT")),
        Statement::Rollback { chain: false, savepoint: None } => Ok(Plan::new(Action::Rollback, "ROLLBACK")),
        Statement::Rollback { savepoint: Some(name), .. } => {
            Ok(Plan::new(Action::RollbackTo(fold(name)), "ROLLBACK"))
        }
        Statement::Savepoint { name } => Ok(Plan::new(Action::Savepoint(fold(name)), "SAVEPOINT")),
        Statement::ReleaseSavepoint { name } => Ok(Plan::new(Action::Release(fold(name)), "RELEASE")),
        Statement::Set(set) if block::of(set).is_some() => {
            let parts = block::of(set).unwrap_or_else(|| Ok(Vec::new()))?;
            Ok(Plan::new(Action::Block(parts), "DO"))
        }
        Statement::Set(set) => match ddl::altered_sequence(set, context, compiler)? {
            Some(steps) => Ok(Plan::ddl(steps, "ALTER SEQUENCE")),
            None => match ddl::refreshed(set, context, compiler)? {
                Some(steps) => Ok(Plan::ddl(steps, "REFRESH MATERIALIZED VIEW")),
                None => setting::plan(set),
            },
        },
        Statement::Reset(reset) => match &reset.reset {
            Reset::ConfigurationParameter(name) if name.to_string().eq_ignore_ascii_case("role") => {
                Ok(Plan::new(Action::SetRole(None), "RESET"))
            }
            Reset::ConfigurationParameter(name) => Ok(Plan::new(
                Action::Set { name: name.to_string().to_lowercase(), value: None, local: false },
                "RESET",
            )),
            Reset::ALL => {
                Ok(Plan::new(Action::Set { name: "all".to_owned(), value: None, local: false }, "RESET"))
            }
            Reset::SessionAuthorization => Err(SqlError::unsupported("RESET SESSION AUTHORIZATION")),
        },
        Statement::ShowVariable { variable } => {
            let words: Vec<String> = variable.iter().map(fold).collect();
            let name = match words.join(" ").as_str() {
                "transaction isolation level" => "transaction_isolation".to_owned(),
                "time zone" => "timezone".to_owned(),
                _ => words.join("."),
            };
            let columns = vec![Output { name: name.clone(), typed: Type::Text.into(), origin: None }];
            Ok(Plan { columns, ..Plan::new(Action::Show(name), "SHOW") })
        }
        Statement::Copy { source, to: false, target: CopyTarget::Stdin, options, legacy_options, .. } => {
            copying::copy_in(source, copying::copy_format(options, legacy_options)?, compiler)
        }
        Statement::Copy { source, to: true, target: CopyTarget::Stdout, options, legacy_options, .. } => {
            copying::copy_out(source, copying::copy_format(options, legacy_options)?, compiler)
        }
        Statement::Copy { target: CopyTarget::File { .. } | CopyTarget::Program { .. }, .. } => {
            let message = "COPY to or from a file or a program of the server's machine is not supported";
            Err(SqlError::new("0A000", message)
                .hint("psql's \\copy works with files on the client's machine."))
        }
        Statement::Vacuum(vacuum) => {
            if let Some(table) = &vacuum.table_name {
                compiler.target_with_rows(table)?;
            }
            Ok(Plan::new(Action::Vacuum { full: vacuum.full, analyze: vacuum.reindex }, "VACUUM"))
        }
        Statement::Analyze(_) => Ok(Plan::new(Action::Ddl(vec![Step::Sql("ANALYZE".to_owned())]), "ANALYZE")),
        Statement::Deallocate { name, .. } => {
            let name = fold(name);
            Ok(Plan::new(Action::Deallocate((name != "all").then_some(name)), "DEALLOCATE"))
        }
        Statement::Prepare { name, data_types, statement } => {
            let (name, types) = (name.clone(), data_types.clone());
            Ok(Plan::new(Action::Prepare { name, types, statement: statement.clone() }, "PREPARE"))
        }
        Statement::Declare { stmts } => match stmts.as_slice() {
            [declare] if declare.for_query.is_some() => declare_plan(declare, context, compiler),
            _ => Err(SqlError::unsupported("DECLARE of anything but a cursor")),
        },
        Statement::Close { cursor } => {
            let name = match cursor {
                CloseCursor::All => None,
                CloseCursor::Specific { name } => Some(fold(name)),
            };
            Ok(Plan::new(Action::Close(name), "CLOSE CURSOR"))
        }
        Statement::LISTEN { channel } => Ok(Plan::new(Action::Listen(fold(channel)), "LISTEN")),
        Statement::UNLISTEN { channel } => {
            let all = channel.value == "*";
            Ok(Plan::new(Action::Unlisten((!all).then(|| fold(channel))), "UNLISTEN"))
        }
        Statement::NOTIFY { channel, payload } => {
            let text = payload.clone().unwrap_or_default();
            let text = text
                .strip_prefix('\'')
                .and_then(|t| t.strip_suffix('\''))
                .map_or(text.clone(), str::to_owned);
            Ok(Plan::new(Action::Notify { channel: fold(channel), text }, "NOTIFY"))
        }
        Statement::Discard { object_type: DiscardObject::ALL } => {
            Ok(Plan::new(Action::Discard, "DISCARD ALL"))
        }
        Statement::Discard { .. } => Ok(Plan::new(Action::Nothing, "DISCARD")),
        _ => match ddl::cluster(statement)? {
            Some((change, tag)) => {
                let role =
                    matches!(change, ClusterChange::CreateRole { .. } | ClusterChange::AlterRole { .. });
                let class = if role { Class::Secret } else { Class::Ddl };
                Ok(Plan { class, ..Plan::new(Action::Cluster(change), tag) })
            }
            None => ddl::steps(statement, context, compiler).map(|(steps, tag)| Plan::ddl(steps, tag)),
        },
    }
}

fn change((sql, columns): (String, Vec<Output>), tag: &'static str) -> Plan {
    Plan { columns, class: Class::Mod, ..Plan::new(Action::Run(sql), tag) }
}

fn declare_plan(declare: &Declare, context: &Context<'_>, compiler: &mut Compiler<'_>) -> Result<Plan> {
    let (Some(query), [name]) = (&declare.for_query, declare.names.as_slice()) else {
        return Err(SqlError::syntax("a cursor needs a name and a query"));
    };
    let plan = Box::new(build(&Statement::Query(query.clone()), context, compiler)?);
    // Without a word about it Postgres lets simple queries scroll.
    let scroll = declare.scroll.unwrap_or(true);
    let hold = declare.hold == Some(true);
    Ok(Plan::new(Action::Declare { name: fold(name), plan, scroll, hold }, "DECLARE CURSOR"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::catalog::Catalog;
    use crate::sql::system::Nothing;

    fn check(text: &str, expect: &str) {
        let catalog = Catalog::default();
        let context = Context {
            catalog: &catalog,
            user: "u",
            login: "u",
            superuser: true,
            database: "d",
            cluster: &Nothing,
            path: &["public".to_owned()],
            temporary: "pg_temp_1",
            memberships: &["u".to_owned()],
        };
        let planned = crate::sql::parse(text).and_then(|statements| plan(&statements[0], &context, &[]));
        let got = match planned.map(|plan| plan.action) {
            Ok(Action::Run(sql)) => sql,
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("{} at {:?}", error.code, error.position(text)),
        };
        assert_eq!(got, expect, "{text}");
    }

    #[test]
    fn a_statement_is_compiled_whole_or_refused_with_its_place() {
        check("SELECT 1 AS a", "SELECT 1 AS \"a\"");
        check("SELECT $$it's$$", "SELECT 'it''s' AS \"?column?\"");
        check("SELECT 1 + 2", "SELECT sb_add(1, 2, 23) AS \"?column?\"");
        check("SELECT '2000-01-02'::date", "SELECT 1 AS \"date\"");
        check("SELECT $1::int ORDER BY 1", "SELECT ?1 AS \"int4\" ORDER BY 1 NULLS LAST");
        check(
            "SELECT x FROM (SELECT 1) AS v(x) WHERE x = '7'",
            "SELECT \"v\".\"x\" AS \"x\" FROM (WITH \"w\" (\"x\") AS (SELECT * FROM (SELECT 1 AS \"?column?\")) SELECT * FROM \"w\") AS \"v\" WHERE (\"v\".\"x\" = 7)",
        );
        check("SELECT x", "42703 at Some(8)");
        check("SELECT 1 FROM t", "42P01 at Some(15)");
        check("SELECT ARRAY[1]", "SELECT sb_array(23, 1) AS \"array\"");
        check(
            "SELECT 1 = ANY('{1,2}')",
            "SELECT (1 IN (SELECT \"value\" FROM json_each(sb_array_values('{1,2}', 23)))) AS \"?column?\"",
        );
        check("SELECT load_extension('x')", "42883 at Some(8)");
        check("PRAGMA writable_schema = 1", "0A000 at None");
        check("ATTACH DATABASE 'x' AS y", "0A000 at Some(17)");
    }
}
