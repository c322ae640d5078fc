//! Set operations and VALUES: several rows or branches with common types.

use super::{Compiler, Frag, Output, cast_call, wider};
use crate::sql::error::{Result, SqlError};
use crate::sql::quote;
use crate::sql::types::Type;
use sqlparser::ast::{SetExpr, SetOperator, SetQuantifier, Values};

impl Compiler<'_> {
    /// A query without ORDER BY: one branch or a set operation.
    pub(super) fn set_expr(&mut self, body: &SetExpr) -> Result<(String, Vec<Output>)> {
        match body {
            SetExpr::Select(select) => self.select(select, &[]),
            SetExpr::Query(query) => {
                let (sql, columns) = self.query(query)?;
                Ok((format!("SELECT * FROM ({sql})"), columns))
            }
            SetExpr::Values(values) => self.values(values, None),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let word = match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
                    (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => "UNION",
                    (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => "INTERSECT",
                    (SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => "EXCEPT",
                    (SetOperator::Intersect, SetQuantifier::All) => "INTERSECT",
                    (SetOperator::Except, SetQuantifier::All) => "EXCEPT",
                    _ => return Err(SqlError::unsupported(format!("{op} {set_quantifier}"))),
                };
                let counted = *set_quantifier == SetQuantifier::All && *op != SetOperator::Union;
                let (left_sql, left_columns) = self.set_expr(left)?;
                let (right_sql, right_columns) = self.set_expr(right)?;
                if left_columns.len() != right_columns.len() {
                    return Err(SqlError::syntax(format!(
                        "each {op} query must have the same number of columns"
                    )));
                }
                let mut columns = Vec::new();
                for (a, b) in left_columns.iter().zip(&right_columns) {
                    let (x, y) = (a.typed.ty, b.typed.ty);
                    let ty = wider(x, y).ok_or_else(|| {
                        SqlError::new("42804", format!("{op} types {x} and {y} cannot be matched"))
                    })?;
                    let typed = if a.typed == b.typed { a.typed } else { ty.into() };
                    columns.push(Output { name: a.name.clone(), typed, origin: None });
                }
                let left_sql = branch(&left_sql, &left_columns, &columns, false);
                let nested = matches!(**right, SetExpr::SetOperation { .. });
                let right_sql = branch(&right_sql, &right_columns, &columns, nested);
                let sql = if counted {
                    each_time(&left_sql, word, &right_sql, &columns)
                } else {
                    format!("{left_sql} {word} {right_sql}")
                };
                Ok((sql, columns))
            }
            _ => Err(SqlError::unsupported("data-modifying query")),
        }
    }

    /// VALUES; `targets` are the columns of an INSERT that it feeds.
    pub(super) fn values(
        &mut self,
        values: &Values,
        targets: Option<&[Type]>,
    ) -> Result<(String, Vec<Output>)> {
        let width = values.rows.first().map_or(0, |row| row.content.len());
        let mut rows = Vec::new();
        for row in &values.rows {
            if row.content.len() != width {
                return Err(SqlError::syntax("VALUES lists must all be the same length"));
            }
            let mut frags = Vec::new();
            for (index, expr) in row.content.iter().enumerate() {
                let frag = self.expr(expr)?;
                let target = targets.and_then(|targets| targets.get(index));
                frags.push(match target {
                    Some(ty) if frag.untyped() => self.coerce(frag, *ty)?,
                    _ => frag,
                });
            }
            rows.push(frags);
        }
        let mut columns = Vec::new();
        for index in 0..width {
            let ty = self.common("VALUES", &rows.iter().map(|row| &row[index]).collect::<Vec<_>>())?;
            columns.push(Output { name: format!("column{}", index + 1), typed: ty.into(), origin: None });
        }
        let mut lines = Vec::new();
        for row in rows {
            let mut items = Vec::new();
            for (frag, column) in row.into_iter().zip(&columns) {
                items.push(self.coerce(frag, column.typed.ty)?.sql);
            }
            lines.push(format!("({})", items.join(", ")));
        }
        Ok((format!("VALUES {}", lines.join(", ")), columns))
    }
}

/// One side of a set operation, converted to the common types where it has others.
fn branch(sql: &str, from: &[Output], to: &[Output], nested: bool) -> String {
    if from.iter().zip(to).all(|(from, to)| from.typed.ty == to.typed.ty) {
        return if nested { format!("SELECT * FROM ({sql})") } else { sql.to_owned() };
    }
    let mut names = Vec::new();
    let mut items = Vec::new();
    for (index, (from, to)) in from.iter().zip(to).enumerate() {
        let name = quote(&format!("c{index}"));
        let frag = Frag::new(name.clone(), from.typed);
        let frag = if from.typed.ty == to.typed.ty { frag } else { cast_call(&frag, to.typed, false) };
        items.push(format!("{} AS {}", frag.sql, quote(&to.name)));
        names.push(name);
    }
    let (names, items) = (names.join(", "), items.join(", "));
    format!("SELECT {items} FROM (WITH \"w\" ({names}) AS ({sql}) SELECT * FROM \"w\")")
}

/// INTERSECT ALL and EXCEPT ALL: a row counts as often as it is there, so equal rows are numbered to be different.
fn each_time(left: &str, word: &str, right: &str, columns: &[Output]) -> String {
    let name = |index: usize| quote(&format!("c{index}"));
    let all = 0..columns.len();
    let names = all.clone().map(name).collect::<Vec<_>>().join(", ");
    let keys = all.clone().map(|index| Frag::new(name(index), columns[index].typed).comparable());
    let keys = keys.collect::<Vec<_>>().join(", ");
    let numbered = |sql: &str| {
        format!(
            "SELECT {names}, row_number() OVER (PARTITION BY {keys}) \
             FROM (WITH \"w\" ({names}) AS ({sql}) SELECT * FROM \"w\")"
        )
    };
    let shown = all.map(|index| format!("{} AS {}", name(index), quote(&columns[index].name)));
    let (left, right) = (numbered(left), numbered(right));
    format!("SELECT {} FROM ({left} {word} {right})", shown.collect::<Vec<_>>().join(", "))
}
