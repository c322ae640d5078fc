//! The extended protocol: Parse, Bind, Describe, Execute, Close.

use super::execute::Rows;
use super::wire::format_of;
use super::{Session, Transaction};
use crate::engine::Value;
use crate::sql;
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{Plan, Steps};
use crate::sql::types::Type;
use crate::sql::value;
use bytes::BytesMut;
use pgwire::messages::PgWireFrontendMessage as Frontend;
use pgwire::messages::data::{DataRow, NoData, ParameterDescription};
use pgwire::messages::extendedquery::{Bind, BindComplete, Execute, Parse, ParseComplete, PortalSuspended};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};
use sqlparser::ast::Statement;
use std::collections::VecDeque;
use std::sync::Arc;

/// A prepared statement.
pub(super) struct Prepared {
    text: String,
    /// `None` for an empty query.
    pub(super) statement: Option<Statement>,
    pub(super) params: Vec<Type>,
    pub(super) plan: Option<Arc<Plan>>,
    /// The definitions that the plan was made with.
    catalog: Arc<sql::catalog::Catalog>,
    /// The session's count of what else plans depend on.
    epoch: u64,
}

impl Prepared {
    /// Whether the plan was made with these definitions, in this epoch of its session.
    pub(super) fn fits(&self, catalog: &Arc<sql::catalog::Catalog>, epoch: u64) -> bool {
        Arc::ptr_eq(&self.catalog, catalog) && self.epoch == epoch
    }

    /// Whether the plan may be kept for another run.
    pub(super) fn lasting(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| !plan.volatile)
    }
}

/// A statement with its parameters, perhaps half read.
pub(super) struct Portal {
    prepared: Arc<Prepared>,
    plan: Option<Arc<Plan>>,
    params: Vec<Value>,
    formats: Vec<i16>,
    /// Rows that an Execute with a limit has left, and the tag for the end.
    rest: Option<(VecDeque<BytesMut>, String)>,
}

impl Session {
    pub(super) fn extended(&mut self, message: Frontend) -> Result<()> {
        match message {
            Frontend::Parse(parse) => self.parse(&parse),
            Frontend::Bind(bind) => self.bind(&bind),
            Frontend::Describe(describe) => {
                self.describe(describe.target_type, &describe.name.unwrap_or_default())
            }
            Frontend::Execute(execute) => self.execute_portal(&execute),
            Frontend::Close(close) => self.close(close.target_type, &close.name.unwrap_or_default()),
            // What is left of a COPY that failed.
            Frontend::CopyData(_) | Frontend::CopyDone(_) | Frontend::CopyFail(_) => Ok(()),
            _ => Err(SqlError::fatal("08P01", "unexpected message")),
        }
    }

    fn parse(&mut self, parse: &Parse) -> Result<()> {
        let name = parse.name.clone().unwrap_or_default();
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(SqlError::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        let key = (parse.query.clone(), parse.type_oids.clone());
        let catalog = self.connection.catalog()?;
        let prepared = match self.plans.get(&key).filter(|prepared| prepared.fits(&catalog, self.epoch)) {
            Some(prepared) => {
                if let Some(statement) = &prepared.statement {
                    self.check_failed(statement)?;
                }
                prepared
            }
            None => {
                let prepared = Arc::new(self.prepare(parse)?);
                if prepared.lasting() {
                    self.plans.put(key, Arc::clone(&prepared));
                }
                prepared
            }
        };
        self.statements.insert(name, prepared);
        self.wire.put(&ParseComplete::new())
    }

    fn prepare(&mut self, parse: &Parse) -> Result<Prepared> {
        let placed = |error: SqlError| on_one_line(error, &parse.query);
        let mut statements = sql::parse(&parse.query).map_err(placed)?;
        if statements.len() > 1 {
            return Err(SqlError::syntax("cannot insert multiple commands into a prepared statement"));
        }
        let statement = statements.pop();
        let mut declared = Vec::new();
        for oid in &parse.type_oids {
            declared.push(match oid {
                0 | 705 => None,
                oid => {
                    let known = match Type::from_oid(*oid) {
                        Some(Type::Enum(oid) | Type::EnumArray(oid))
                            if self.connection.catalog()?.enumeration(oid).is_none() =>
                        {
                            None
                        }
                        known => known,
                    };
                    Some(known.ok_or_else(|| SqlError::unsupported(format!("parameter type {oid}")))?)
                }
            });
        }
        if let Some(statement) = &statement {
            self.check_failed(statement)?;
        }
        self.make_prepared(&parse.query, statement, &declared).map_err(placed)
    }

    /// Plans a statement and keeps what a later change of definitions needs to plan it again.
    pub(super) fn make_prepared(
        &mut self,
        text: &str,
        statement: Option<Statement>,
        declared: &[Option<Type>],
    ) -> Result<Prepared> {
        let plan = match &statement {
            Some(statement) => Some(Arc::new(self.plan(statement, declared)?)),
            None => None,
        };
        let params = plan.as_ref().map(|plan| plan.params.clone()).unwrap_or_default();
        let catalog = self.connection.catalog()?;
        Ok(Prepared { text: text.to_owned(), statement, params, plan, catalog, epoch: self.epoch })
    }

    fn bind(&mut self, bind: &Bind) -> Result<()> {
        let name = bind.statement_name.clone().unwrap_or_default();
        let prepared = self.prepared(&name)?;
        self.seat.activity.begins(&prepared.text);
        let given = bind.parameters.len();
        if given != prepared.params.len() {
            let message = format!(
                "bind message supplies {given} parameters, but prepared statement \"{name}\" requires {}",
                prepared.params.len()
            );
            return Err(SqlError::new("08P01", message));
        }
        let mut params = Vec::with_capacity(given);
        for (index, (bytes, ty)) in bind.parameters.iter().zip(&prepared.params).enumerate() {
            params.push(match bytes {
                None => Value::Null,
                Some(bytes) if format_of(&bind.parameter_format_codes, index) == 0 => {
                    value::input((*ty).into(), value::utf8(bytes)?, true)?
                }
                Some(bytes) => value::recv(*ty, bytes)?,
            });
        }
        let plan = self.current_plan(&name, &prepared)?;
        let formats = bind.result_column_format_codes.clone();
        if let Some(statement) = &prepared.statement {
            self.check_failed(statement)?;
        }
        let portal = Portal { prepared, plan, params, formats, rest: None };
        self.portals.insert(bind.portal_name.clone().unwrap_or_default(), portal);
        self.wire.put(&BindComplete::new())
    }

    /// The plan, made anew if the definitions have changed since Parse.
    fn current_plan(&mut self, name: &str, prepared: &Arc<Prepared>) -> Result<Option<Arc<Plan>>> {
        let catalog = self.connection.catalog()?;
        let Some(statement) = &prepared.statement else { return Ok(None) };
        let volatile = prepared.plan.as_ref().is_some_and(|plan| plan.volatile);
        if prepared.fits(&catalog, self.epoch) && !volatile {
            return Ok(prepared.plan.clone());
        }
        let declared: Vec<Option<Type>> = prepared.params.iter().map(|ty| Some(*ty)).collect();
        let plan = Arc::new(self.plan(statement, &declared)?);
        let old = prepared.plan.as_ref().map(|plan| plan.columns.as_slice()).unwrap_or_default();
        if plan.columns != old {
            return Err(SqlError::new("0A000", "cached plan must not change result type"));
        }
        let renewed = Prepared {
            text: prepared.text.clone(),
            statement: Some(statement.clone()),
            params: prepared.params.clone(),
            plan: Some(Arc::clone(&plan)),
            catalog,
            epoch: self.epoch,
        };
        self.statements.insert(name.to_owned(), Arc::new(renewed));
        Ok(Some(plan))
    }

    fn prepared(&self, name: &str) -> Result<Arc<Prepared>> {
        let message = || match name {
            "" => "unnamed prepared statement does not exist".to_owned(),
            name => format!("prepared statement \"{name}\" does not exist"),
        };
        self.statements.get(name).cloned().ok_or_else(|| SqlError::new("26000", message()))
    }

    fn describe(&mut self, kind: u8, name: &str) -> Result<()> {
        let (plan, formats) = if kind == b'S' {
            let prepared = self.prepared(name)?;
            let types = prepared.params.iter().map(|ty| ty.oid()).collect();
            self.wire.put(&ParameterDescription::new(types))?;
            (prepared.plan.clone(), Vec::new())
        } else if let Some(columns) = self.cursor_columns(name) {
            return self.wire.describe(&columns, &[]);
        } else {
            let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
            (portal.plan.clone(), portal.formats.clone())
        };
        match plan {
            Some(plan) if !plan.columns.is_empty() => self.wire.describe(&plan.columns, &formats),
            _ => self.wire.put(&NoData::new()),
        }
    }

    /// MOVE over a portal that is half read.
    pub(super) fn skip_rows(&mut self, name: &str, steps: Steps) -> Result<Option<u64>> {
        let Some(portal) = self.portals.get_mut(name) else { return Ok(None) };
        let Steps::Forward(count @ 0..) = steps else {
            return Err(SqlError::new("55000", "cursor can only scan forward"));
        };
        let Some((rows, _)) = &mut portal.rest else {
            return Err(SqlError::unsupported("MOVE over a portal that was not read yet"));
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(rows.len());
        rows.drain(..count);
        Ok(Some(count as u64))
    }

    /// Whether there is such a portal.
    pub(super) fn has_portal(&self, name: &str) -> bool {
        self.portals.contains_key(name)
    }

    fn execute_portal(&mut self, execute: &Execute) -> Result<()> {
        let name = execute.name.clone().unwrap_or_default();
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        let limit = usize::try_from(execute.max_rows).unwrap_or(0);
        let Some(plan) = portal.plan.clone() else {
            self.portals.insert(name, portal);
            return self.wire.put(&EmptyQueryResponse::new());
        };
        if let Some(statement) = &portal.prepared.statement {
            self.check_failed(statement)?;
        }
        if portal.rest.is_none() && (limit == 0 || plan.columns.is_empty()) {
            let mut rows = Rows::Send(&portal.formats);
            let tag = self.execute(&plan, &portal.params, &portal.prepared.text, &mut rows)?;
            return self.wire.put(&CommandComplete::new(tag));
        }
        let (mut rows, tag) = match portal.rest.take() {
            Some(rest) => rest,
            None => {
                let mut kept = Vec::new();
                let mut rows = Rows::Keep(&portal.formats, &mut kept);
                let tag = self.execute(&plan, &portal.params, &portal.prepared.text, &mut rows)?;
                (VecDeque::from(kept), tag)
            }
        };
        let count =
            i16::try_from(plan.columns.len()).map_err(|_| SqlError::new("54011", "too many columns"))?;
        let take = if limit == 0 { rows.len() } else { limit.min(rows.len()) };
        for data in rows.drain(..take) {
            self.wire.put(&DataRow::new(data, count))?;
        }
        if rows.is_empty() {
            return self.wire.put(&CommandComplete::new(tag));
        }
        portal.rest = Some((rows, tag));
        // In an implicit transaction the portal ends with the next Sync.
        self.portals.insert(name, portal);
        debug_assert!(self.transaction != Transaction::Failed);
        self.wire.put(&PortalSuspended::new())
    }
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new("34000", format!("portal \"{name}\" does not exist"))
}

/// Only Parse knows the text, so the place is turned into characters here.
fn on_one_line(mut error: SqlError, text: &str) -> SqlError {
    if let Some(position) = error.position(text) {
        // One line that long has the position as its column.
        error.at = u32::try_from(position).ok().map(|column| (1, column));
    }
    error
}
