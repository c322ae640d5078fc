//! PREPARE and EXECUTE as statements.

use super::Session;
use crate::sql::error::{Result, SqlError};
use crate::sql::{fold, walk};
use sqlparser::ast::{CastKind, DataType, Expr, Ident, ObjectName, Statement, Value};
use std::sync::Arc;

impl Session {
    pub(super) fn prepare_statement(
        &mut self,
        name: &Ident,
        types: &[DataType],
        statement: &Statement,
    ) -> Result<()> {
        let name = fold(name);
        if self.statements.contains_key(&name) {
            return Err(SqlError::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        let types = self.with_context(|context| {
            types
                .iter()
                .map(|ty| context.declared(ty).map(|typed| Some(typed.ty)))
                .collect::<Result<Vec<_>>>()
        })?;
        let prepared = self.make_prepared(&statement.to_string(), Some(statement.clone()), &types)?;
        self.statements.insert(name, Arc::new(prepared));
        Ok(())
    }

    /// The statement that EXECUTE means: its arguments stand where the parameters stood.
    pub(super) fn executed(&mut self, name: &ObjectName, arguments: &[Expr]) -> Result<Statement> {
        let name = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        let prepared = self.statements.get(&name).cloned();
        let prepared = prepared
            .ok_or_else(|| SqlError::new("26000", format!("prepared statement \"{name}\" does not exist")))?;
        let statement = prepared.statement.clone();
        let mut statement = statement.ok_or_else(|| SqlError::syntax("the prepared statement is empty"))?;
        if prepared.params.len() != arguments.len() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            let detail =
                format!("Expected {} parameters but got {}.", prepared.params.len(), arguments.len());
            return Err(SqlError::syntax(message).detail(detail));
        }
        let names: Vec<String> = self
            .with_context(|context| Ok(prepared.params.iter().map(|ty| context.type_name(*ty)).collect()))?;
        let mut values = Vec::new();
        for (argument, name) in arguments.iter().zip(&names) {
            let parsed = crate::sql::parse_expr(&format!("NULL::{name}"))?;
            let Expr::Cast { data_type, .. } = parsed else { continue };
            values.push(Expr::Cast {
                kind: CastKind::DoubleColon,
                expr: Box::new(Expr::Nested(Box::new(argument.clone()))),
                data_type,
                format: None,
            });
        }
        walk::change_exprs(&mut statement, &mut |expr| {
            if let Expr::Value(value) = expr
                && let Value::Placeholder(placeholder) = &value.value
                && let Some(index) = placeholder.strip_prefix('$').and_then(|n| n.parse::<usize>().ok())
                && let Some(value) = values.get(index.wrapping_sub(1))
            {
                *expr = value.clone();
            }
        });
        Ok(statement)
    }
}
