//! Running one statement: locks and transactions around it, its answer to the client.

use super::extended::Prepared;
use super::server::Surroundings;
use super::wire::format_of;
use super::{Session, Transaction};
use crate::engine::{Value, ValueRef};
use crate::log;
use crate::sql::catalog::{OnCommit, TEMPORARY};
use crate::sql::compile::{Context, Output};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{Action, Class, ClusterChange, Plan, Step, plan};
use crate::sql::system::closure;
use crate::sql::types::{Type, Typed};
use crate::sql::{quote, value};
use bytes::{BufMut, BytesMut};
use pgwire::messages::data::DataRow;
use pgwire::messages::response::CommandComplete;
use sqlparser::ast::Statement;
use std::time::Instant;

/// Where the rows of a statement go.
pub(super) enum Rows<'r> {
    /// To the client.
    Send(&'r [i16]),
    /// Into a portal that is read in parts.
    Keep(&'r [i16], &'r mut Vec<BytesMut>),
}

impl Session {
    /// One statement of a simple query.
    pub(super) fn statement(&mut self, statement: &Statement, text: &str, alone: bool) -> Result<()> {
        self.check_failed(statement)?;
        let plan = self.plan(statement, &[])?;
        if !plan.params.is_empty() {
            return Err(SqlError::new("42P02", "there is no parameter $1"));
        }
        if needs_to_be_alone(&plan.action) && !alone {
            return Err(SqlError::new(
                "25001",
                format!("{} cannot run inside a transaction block", plan.tag),
            ));
        }
        self.answer(&plan, &[], text)
    }

    /// A simple query whose plan was kept.
    pub(super) fn prepared_statement(
        &mut self,
        prepared: &Prepared,
        params: &[Value],
        text: &str,
    ) -> Result<()> {
        let (Some(statement), Some(plan)) = (&prepared.statement, &prepared.plan) else { return Ok(()) };
        self.check_failed(statement)?;
        self.answer(plan, params, text)
    }

    /// Runs a plan for a simple query: description, rows, tag.
    fn answer(&mut self, plan: &Plan, params: &[Value], text: &str) -> Result<()> {
        if !plan.columns.is_empty() {
            self.wire.describe(&plan.columns, &[])?;
        }
        let tag = self.execute(plan, params, text, &mut Rows::Send(&[]))?;
        self.wire.put(&CommandComplete::new(tag))
    }

    /// In a failed transaction only its end is allowed.
    pub(super) fn check_failed(&self, statement: &Statement) -> Result<()> {
        let ends = matches!(statement, Statement::Commit { .. } | Statement::Rollback { .. });
        if self.transaction != Transaction::Failed || ends {
            return Ok(());
        }
        let message = "current transaction is aborted, commands ignored until end of transaction block";
        Err(SqlError::new("25P02", message))
    }

    /// Understands a statement in the light of the definitions that hold now.
    pub(super) fn plan(&mut self, statement: &Statement, declared: &[Option<Type>]) -> Result<Plan> {
        match statement {
            Statement::Execute { name: Some(name), parameters, .. } => {
                let statement = self.executed(name, parameters)?;
                let plan = self.plan(&statement, declared)?;
                return Ok(Plan { volatile: true, ..plan });
            }
            Statement::Explain { statement: inner, .. } if matches!(**inner, Statement::Execute { .. }) => {
                let Statement::Execute { name: Some(name), parameters, .. } = &**inner else {
                    return Err(SqlError::syntax("EXECUTE needs a name"));
                };
                let mut explained = statement.clone();
                if let Statement::Explain { statement, .. } = &mut explained {
                    **statement = self.executed(name, parameters)?;
                }
                let plan = self.plan(&explained, declared)?;
                return Ok(Plan { volatile: true, ..plan });
            }
            Statement::Fetch { name, direction, position, into } => {
                let plan = self.plan_fetch(name, direction, position, into.as_ref())?;
                return Ok(Plan { volatile: true, ..plan });
            }
            _ => {}
        }
        self.with_context(|context| plan(statement, context, declared))
    }

    /// Does something in the light of the definitions that hold now.
    pub(super) fn with_context<T>(&mut self, work: impl FnOnce(&Context<'_>) -> Result<T>) -> Result<T> {
        let catalog = self.connection.catalog()?;
        let setting = self.parameters.show("search_path", &self.server.settings)?;
        let path = Context::existing_path(&catalog, &setting, &self.user);
        let temporary = format!("{TEMPORARY}_{}", self.seat.pid);
        let memberships = if self.superuser {
            vec![self.user.clone()]
        } else {
            closure(&self.server.cluster.members()?, &self.user)
        };
        let context = Context {
            path: &path,
            temporary: &temporary,
            memberships: &memberships,
            login: &self.login.0,
            catalog: &catalog,
            user: &self.user,
            superuser: self.superuser,
            database: self.connection.database(),
            cluster: &Surroundings {
                server: &self.server,
                connection: &self.connection,
                parameters: &self.parameters,
                superuser: self.superuser,
                memberships: &memberships,
                access: &self.access,
            },
        };
        work(&context)
    }

    /// Runs a plan and gives back its command tag.
    pub(super) fn execute(
        &mut self,
        plan: &Plan,
        params: &[Value],
        text: &str,
        rows: &mut Rows<'_>,
    ) -> Result<String> {
        let started = Instant::now();
        if plan.class == Class::Secret {
            self.seat.activity.hides(plan.tag);
        }
        self.server.metrics.statement(plan.tag);
        self.connection.interrupt.arm(self.parameters.timeout("statement_timeout"));
        let result = self.execute_armed(plan, params, rows);
        self.connection.interrupt.disarm();
        self.log_statement(plan, text, started);
        result
    }

    pub(super) fn execute_armed(
        &mut self,
        plan: &Plan,
        params: &[Value],
        rows: &mut Rows<'_>,
    ) -> Result<String> {
        if let Some(error) = self.connection.interrupt.error() {
            return Err(error);
        }
        self.prepare_transaction(plan)?;
        let tag = plan.tag.to_owned();
        match &plan.action {
            Action::Run(sql) => {
                for change in &plan.before {
                    self.connection.keep_returned(&change.table, &change.sql, change.width, params)?;
                }
                let tag = self.run_sql(plan, sql, params, rows)?;
                for change in &plan.before {
                    self.connection.forget_returned(&change.table)?;
                }
                if plan.asks {
                    self.apply_wanted()?;
                }
                return Ok(tag);
            }
            Action::Explain { sql, json: None } => {
                for line in self.connection.explain(sql, params)? {
                    self.text_row(&plan.columns, &line, rows)?;
                }
            }
            Action::Explain { sql, json: Some(outputs) } => {
                let shown = explained(&self.connection.explain(sql, params)?, outputs);
                self.text_row(&plan.columns, &shown.to_string(), rows)?;
            }
            Action::Show(name) => {
                let shown = self.parameters.show(name, &self.server.settings)?;
                self.text_row(&plan.columns, &shown, rows)?;
            }
            Action::Ddl(steps) => {
                self.connection.apply(steps)?;
                for step in steps {
                    match step {
                        Step::Notice(text) => self.wire.notice("NOTICE", "00000", text)?,
                        Step::Warning(warning) => {
                            self.wire.notice("WARNING", warning.code, &warning.message)?
                        }
                        _ => {}
                    }
                }
            }
            Action::Begin { snapshot, read_only } => match self.transaction {
                Transaction::Idle => {
                    self.connection.start_clock();
                    self.transaction = Transaction::Open { snapshot: *snapshot, read_only: *read_only };
                }
                _ => self.wire.notice("WARNING", "25001", "there is already a transaction in progress")?,
            },
            Action::Commit => return self.commit(),
            Action::Rollback => {
                if self.transaction == Transaction::Idle {
                    self.wire.notice("WARNING", "25P01", "there is no transaction in progress")?;
                }
                self.end_transaction(false)?;
                self.connection.rollback();
                self.rolled_back = true;
            }
            Action::Savepoint(name) => {
                self.needs_block("SAVEPOINT")?;
                if !self.server.cluster.gate.is_closed() {
                    self.connection.begin_write()?;
                } else if !self.connection.in_transaction() {
                    self.connection.begin_snapshot()?;
                }
                self.connection.savepoint(name)?;
                self.savepoints.push(name.clone());
            }
            Action::Release(name) => {
                let index = self.find_savepoint(name, "RELEASE SAVEPOINT")?;
                self.connection.release_savepoint(name)?;
                self.access.release(index);
                self.savepoints.truncate(index);
            }
            Action::RollbackTo(name) => {
                let index = self.find_savepoint(name, "ROLLBACK TO SAVEPOINT")?;
                self.connection.rollback_to(name)?;
                self.access.roll_back_to(index);
                self.savepoints.truncate(index + 1);
                self.transaction = Transaction::Open { snapshot: false, read_only: false };
            }
            Action::Set { name, value, local } => self.set_parameter(name, value.as_deref(), *local)?,
            Action::Constraints { deferred: true } => {}
            Action::Constraints { deferred: false } => self.connection.check_foreign_keys()?,
            Action::Prepare { name, types, statement } => self.prepare_statement(name, types, statement)?,
            Action::Declare { name, plan, scroll, hold } => self.declare(name, plan, *scroll, *hold)?,
            Action::Fetch { name, steps, silent } => {
                let count = self.fetch(name, *steps, *silent, rows)?;
                return Ok(format!("{tag} {count}"));
            }
            Action::SetRole(name) => self.set_role(name.as_deref())?,
            Action::Close(name) => self.close_cursor(name.as_deref())?,
            Action::Listen(channel) => self.listen(channel),
            Action::Unlisten(channel) => self.unlisten(channel.as_deref()),
            Action::Notify { channel, text } => self.notify(channel, text),
            Action::CopyIn(copy) => return self.copy_in(copy),
            Action::CopyOut(copy) => return self.copy_out(copy),
            Action::Cluster(change) => self.change_cluster(change)?,
            Action::Deallocate(name) => match name {
                Some(name) if self.statements.remove(name).is_none() => {
                    return Err(SqlError::new(
                        "26000",
                        format!("prepared statement \"{name}\" does not exist"),
                    ));
                }
                Some(_) => {}
                None => self.statements.clear(),
            },
            Action::Discard => {
                self.statements.clear();
                self.cursors.clear();
                self.unlisten(None);
                self.set_role(None)?;
                self.set_parameter("all", None, false)?;
            }
            Action::Block(parts) => self.run_block(parts)?,
            Action::Vacuum { full, analyze } => self.vacuum(*full, *analyze)?,
            Action::Nothing => {}
        }
        Ok(tag)
    }

    /// Starts what the statement needs: a write, a snapshot, or just the clock.
    fn prepare_transaction(&mut self, plan: &Plan) -> Result<()> {
        match self.transaction {
            Transaction::Open { read_only: true, .. } if plan.writes => {
                let message =
                    format!("cannot execute {} in a read-only transaction", plan.tag.trim_end_matches(" 0"));
                return Err(SqlError::new("25006", message));
            }
            _ if plan.writes && self.server.cluster.gate.is_closed() => {
                let tag = plan.tag.trim_end_matches(" 0");
                let message = format!("cannot execute {tag} in a read-only transaction");
                return Err(SqlError::new("25006", message).hint(self.server.replication.why_closed()));
            }
            Transaction::Open { snapshot: true, .. }
                if !self.connection.in_transaction() && plan.tag != "COMMIT" =>
            {
                self.connection.begin_snapshot()?;
            }
            Transaction::Idle if !self.connection.in_transaction() => self.connection.start_clock(),
            _ => {}
        }
        if plan.writes { self.connection.begin_write() } else { Ok(()) }
    }

    fn run_sql(&mut self, plan: &Plan, sql: &str, params: &[Value], rows: &mut Rows<'_>) -> Result<String> {
        let Self { connection, wire, .. } = self;
        let mut count = 0_u64;
        let result = connection.run(sql, params, &mut |line| {
            count += 1;
            match rows {
                Rows::Send(formats) => wire.put(&encode(&plan.columns, formats, line)?)?,
                Rows::Keep(formats, kept) => kept.push(encode(&plan.columns, formats, line)?.data),
            }
            Ok(true)
        });
        let changed = match result {
            Err(error) if error.code == "23503" => {
                return Err(connection.name_foreign_key(error, sql, params, &plan.changes));
            }
            result => result?,
        };
        let count = if plan.class == Class::Mod && plan.columns.is_empty() { changed } else { count };
        Ok(format!("{} {count}", plan.tag))
    }

    fn text_row(&mut self, columns: &[Output], text: &str, rows: &mut Rows<'_>) -> Result<()> {
        let line = [ValueRef::Text(text.as_bytes())];
        match rows {
            Rows::Send(formats) => self.wire.put(&encode(columns, formats, &line)?),
            Rows::Keep(formats, kept) => {
                kept.push(encode(columns, formats, &line)?.data);
                Ok(())
            }
        }
    }

    fn commit(&mut self) -> Result<String> {
        match self.transaction {
            Transaction::Failed => {
                self.end_transaction(false)?;
                self.connection.rollback();
                self.rolled_back = true;
                return Ok("ROLLBACK".to_owned());
            }
            Transaction::Idle => {
                self.wire.notice("WARNING", "25P01", "there is no transaction in progress")?
            }
            Transaction::Open { .. } => {}
        }
        self.transaction = Transaction::Idle;
        // An error within the block that a savepoint took back doesn't count.
        self.rolled_back = false;
        let committed = self.commit_all();
        self.end_transaction(committed.is_ok())?;
        committed.map(|()| "COMMIT".to_owned())
    }

    /// Commits, after temporary tables got what they were made with for that.
    pub(super) fn commit_all(&mut self) -> Result<()> {
        for (table, what) in self.connection.passing_tables()? {
            let table = format!("pg_temp.{}", quote(&table));
            let text = match what {
                OnCommit::Drop => format!("DROP TABLE {table}"),
                OnCommit::DeleteRows => format!("DELETE FROM {table}"),
            };
            for statement in crate::sql::parse(&text)? {
                let plan = self.plan(&statement, &[])?;
                if let Err(error) = self.execute_armed(&plan, &[], &mut Rows::Send(&[])) {
                    self.connection.rollback();
                    return Err(error);
                }
            }
        }
        self.server.cluster.check_access(&self.access.last())?;
        self.connection.commit()?;
        self.commit_access()
    }

    fn end_transaction(&mut self, committed: bool) -> Result<()> {
        self.transaction = Transaction::Idle;
        self.savepoints.clear();
        self.access.clear();
        self.portals.clear();
        self.cursors.retain(|_, cursor| cursor.hold && committed);
        self.server.advisory.release(self.seat.pid, true);
        self.settle_notifications(committed);
        self.settle_parameters(committed)
    }

    fn needs_block(&self, what: &str) -> Result<()> {
        if self.transaction != Transaction::Idle {
            return Ok(());
        }
        Err(SqlError::new("25P01", format!("{what} can only be used in transaction blocks")))
    }

    fn find_savepoint(&self, name: &str, what: &str) -> Result<usize> {
        self.needs_block(what)?;
        // SQLite takes everything back by itself when a change is interrupted.
        let found = self
            .savepoints
            .iter()
            .rposition(|known| known == name)
            .filter(|_| self.connection.in_transaction());
        found.ok_or_else(|| SqlError::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    /// SET ROLE: what may be done is from now on what that role may do.
    fn set_role(&mut self, name: Option<&str>) -> Result<()> {
        let (login, all) = self.login.clone();
        let name = name.unwrap_or(&login);
        let role = self.server.cluster.role(name)?;
        let role = role.ok_or_else(|| SqlError::new("22023", format!("role \"{name}\" does not exist")))?;
        if !all && !closure(&self.server.cluster.members()?, &login).iter().any(|known| known == name) {
            return Err(SqlError::new("42501", format!("permission denied to set role \"{name}\"")));
        }
        self.superuser = role.superuser;
        self.user = role.name;
        self.replan();
        Ok(())
    }

    fn log_statement(&self, plan: &Plan, text: &str, started: Instant) {
        let milliseconds = started.elapsed().as_millis();
        let asked = match plan.class {
            Class::Secret => return,
            Class::Ddl => 1,
            Class::Mod => 2,
            Class::Other => 3,
        };
        let slow = log::min_duration() > 0 && milliseconds >= u128::from(log::min_duration());
        if log::statements() >= asked || slow {
            let (pid, duration) = (self.seat.pid.to_string(), milliseconds.to_string());
            let fields = [
                ("pid", pid.as_str()),
                ("user", self.user.as_str()),
                ("database", self.connection.database()),
                ("duration_ms", duration.as_str()),
                ("statement", text),
            ];
            log::event(log::Level::Info, "statement", &fields);
        }
    }
}

/// Whether a statement is a transaction of its own.
pub(super) fn needs_to_be_alone(action: &Action) -> bool {
    match action {
        Action::Cluster(change) => !matches!(change, ClusterChange::Access { .. }),
        Action::Vacuum { .. } => true,
        _ => false,
    }
}

/// A plan as a document in Postgres' form. Each output has a name of its own, so that the node below can tell which of
/// them an outer join may leave out.
fn explained(steps: &[String], outputs: &[(String, bool)]) -> serde_json::Value {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in outputs {
        let taken = names.contains(name);
        names.push(if taken { format!("{name} ({})", names.len() + 1) } else { name.clone() });
    }
    let outer: Vec<&String> =
        names.iter().zip(outputs).filter(|(_, (_, outer))| *outer).map(|(name, _)| name).collect();
    let mut plan = serde_json::json!({ "Node Type": "Result", "Output": names, "Steps": steps });
    if !outer.is_empty() {
        plan["Join Type"] = "Left".into();
        plan["Plans"] = serde_json::json!([
            { "Node Type": "Result", "Parent Relationship": "Inner", "Output": outer }
        ]);
    }
    serde_json::json!([{ "Plan": plan }])
}

/// One row as the client wants it.
pub(super) fn encode(columns: &[Output], formats: &[i16], line: &[ValueRef<'_>]) -> Result<DataRow> {
    let mut data = BytesMut::with_capacity(line.len() * 16);
    for (index, value) in line.iter().enumerate() {
        if *value == ValueRef::Null {
            data.put_i32(-1);
            continue;
        }
        let typed = columns.get(index).map_or(Typed::from(Type::Text), |column| column.typed);
        if format_of(formats, index) == 0 {
            let text = value::shown(typed, *value);
            data.put_i32(i32::try_from(text.len()).map_err(|_| SqlError::new("54000", "value is too big"))?);
            data.put_slice(text.as_bytes());
            continue;
        }
        let start = data.len();
        data.put_i32(0);
        value::send(typed, *value, &mut data)?;
        let length =
            i32::try_from(data.len() - start - 4).map_err(|_| SqlError::new("54000", "value is too big"))?;
        data[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    let count = i16::try_from(line.len()).map_err(|_| SqlError::new("54011", "too many columns"))?;
    Ok(DataRow::new(data, count))
}
