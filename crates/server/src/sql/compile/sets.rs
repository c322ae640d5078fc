//! Functions that return rows: as result columns, and in FROM.

use super::function::{arguments, no_function};
use super::{Compiler, Frag, relation_name};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::{Type, Typed};
use sqlparser::ast::{Expr, FunctionArguments, ObjectName, Select, SelectItem};

impl Compiler<'_> {
    /// Set-returning calls that are result columns become one more table of FROM, which steps through all of
    /// their arrays at once.
    pub(super) fn set_items(&mut self, select: &Select) -> Result<Option<String>> {
        let mut calls = Vec::new();
        for item in &select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                continue;
            };
            let expr = if let Expr::Cast { expr, .. } = expr { expr } else { expr };
            // `(f(x)).field`
            let expr = match expr {
                Expr::CompoundFieldAccess { root, .. } => match &**root {
                    Expr::Nested(inner) => inner,
                    _ => expr,
                },
                _ => expr,
            };
            if let Expr::Function(function) = expr
                && is_set(&function.name)
            {
                calls.push(function);
            }
        }
        let mut arrays = Vec::new();
        for function in &calls {
            let (list, _, _) = arguments(&function.args)?;
            let (_, name) = relation_name(&function.name)?;
            let array = match list.as_slice() {
                [array] if name == "unnest" || name == EXPAND => self.expr(array)?,
                [document]
                    if super::json::rows_of(&name).is_some_and(|(_, _, columns)| columns.len() == 1) =>
                {
                    let document = self.expr(document)?;
                    let missing = no_function(&name, &[document.ty()]);
                    let rows = self.json_rows(&name, &[document])?.ok_or(missing)?;
                    let element = rows.columns[0].1;
                    let array = element.array().unwrap_or(Type::TextArray);
                    Frag::new(format!("sb_json_array({}, '{}')", rows.document, rows.what), array)
                }
                [start, stop, step @ ..] if name == "generate_series" && step.len() < 2 => {
                    let mut ends = vec![self.expr(start)?, self.expr(stop)?];
                    ends.extend(step.iter().map(|step| self.expr(step)).collect::<Result<Vec<_>>>()?);
                    let (ends, ty) = self.unify("generate_series", ends)?;
                    if !ty.is_integer() {
                        return Err(SqlError::unsupported(format!(
                            "generate_series of {ty} as a result column"
                        )));
                    }
                    let list: Vec<&str> = ends.iter().map(|end| end.sql.as_str()).collect();
                    let array = ty.array().unwrap_or(Type::Int8Array);
                    Frag::new(format!("sb_series({})", list.join(", ")), array)
                }
                [array, _] if name == "generate_subscripts" => self.expr(array)?,
                _ => return Err(SqlError::unsupported(format!("{name} as a result column"))),
            };
            let array = match array.ty() {
                Type::Int2vector => {
                    Frag::new(format!("sb_string_to_array({}, ' ')", array.sql), Type::Int2Array)
                }
                ty if ty.element().is_some() => array,
                ty => return Err(no_function(&name, &[ty])),
            };
            arrays.push((name, array));
        }
        if arrays.is_empty() {
            return Ok(None);
        }
        let longest =
            super::array::longest(&arrays.iter().map(|(_, array)| array.clone()).collect::<Vec<_>>());
        let sets = arrays.iter().map(|(name, array)| {
            let element = array.ty().element().unwrap_or(Type::Text);
            let position = "(\"sb_set\".\"key\" + 1)";
            if name == EXPAND {
                let inside = format!("{position} <= coalesce(sb_cardinality({}), 0)", array.sql);
                let item = format!("sb_array_get({}, {position}, {})", array.sql, element.oid());
                let (text, number) = (Type::Text.oid(), Type::Int4.oid());
                let row = format!(
                    "sb_json_build(1, {text}, 'x', {number}, {item}, {text}, 'n', {number}, {position})"
                );
                return Frag::new(format!("(CASE WHEN {inside} THEN {row} END)"), Type::Json);
            }
            if name != "generate_subscripts" {
                Frag::new(format!("sb_array_get({}, {position}, {})", array.sql, element.oid()), element)
            } else {
                let inside = format!("{position} <= coalesce(sb_cardinality({}), 0)", array.sql);
                Frag::new(format!("(CASE WHEN {inside} THEN {position} END)"), Type::Int4)
            }
        });
        let sets = sets.collect();
        if let Some(scope) = self.scopes.last_mut() {
            scope.sets = sets;
        }
        Ok(Some(format!("json_each(sb_array_values({longest}, {})) AS \"sb_set\"", Type::Text.oid())))
    }

    /// A function in FROM.
    pub(super) fn set_function(
        &mut self,
        name: &ObjectName,
        args: &FunctionArguments,
    ) -> Result<(String, Typed)> {
        let (_, function) = relation_name(name)?;
        let (arguments, _, _) = arguments(args)?;
        let here = self.scopes.pop();
        let frags = arguments.iter().map(|argument| self.expr(argument)).collect::<Result<Vec<_>>>();
        self.scopes.extend(here);
        let frags = frags?;
        match (function.as_str(), frags.len()) {
            ("generate_series", 2 | 3) => {
                let instant = |f: &Frag| matches!(f.ty(), Type::Date | Type::Timestamp | Type::Timestamptz);
                if frags.len() == 3 && frags[..2].iter().any(instant) {
                    return self.instants(frags);
                }
                let (mut frags, ty) = self.unify("generate_series", frags)?;
                if !ty.is_integer() {
                    return Err(SqlError::unsupported(format!("generate_series of {ty}")));
                }
                if frags.len() == 2 {
                    frags.push(Frag::new("1", ty));
                }
                let (start, stop, step) = (&frags[0].sql, &frags[1].sql, &frags[2].sql);
                let going =
                    format!("CASE WHEN sb_step({step}) > 0 THEN \"n\" <= {stop} ELSE \"n\" >= {stop} END");
                let sql = format!(
                    "(WITH RECURSIVE \"s\"(\"n\") AS (SELECT {start} UNION ALL SELECT \"n\" + {step} FROM \"s\" WHERE {going}) \
                     SELECT \"n\" FROM \"s\" WHERE {going})"
                );
                Ok((sql, ty.into()))
            }
            _ => {
                let frag = self.call(&function, frags)?;
                Ok((format!("(SELECT {} AS \"v\")", frag.sql), frag.typed))
            }
        }
    }
}

impl Compiler<'_> {
    /// generate_series over instants.
    fn instants(&mut self, mut frags: Vec<Frag>) -> Result<(String, Typed)> {
        let step = frags.pop().ok_or_else(|| no_function("generate_series", &[]))?;
        let step = self.coerce(step, Type::Interval)?.sql;
        let (ends, ty) = self.unify("generate_series", frags)?;
        let ty = if ty == Type::Timestamp { Type::Timestamp } else { Type::Timestamptz };
        let ends = ends.into_iter().map(|end| self.coerce(end, ty)).collect::<Result<Vec<_>>>()?;
        let (start, stop) = (&ends[0].sql, &ends[1].sql);
        let next = self.call(
            if ty == Type::Timestamp { "timestamp_pl_interval" } else { "timestamptz_pl_interval" },
            vec![Frag::new("\"n\"", ty), Frag::new(step.clone(), Type::Interval)],
        )?;
        let going =
            format!("CASE WHEN sb_direction({step}) > 0 THEN \"n\" <= {stop} ELSE \"n\" >= {stop} END");
        let sql = format!(
            "(WITH RECURSIVE \"s\"(\"n\") AS (SELECT {start} UNION ALL SELECT {} FROM \"s\" WHERE {going}) \
             SELECT \"n\" FROM \"s\" WHERE {going})",
            next.sql
        );
        Ok((sql, ty.into()))
    }
}

/// JDBC's way to number an index's columns: an element `x` and its place `n`.
const EXPAND: &str = "_pg_expandarray";

pub(super) fn is_set(name: &ObjectName) -> bool {
    relation_name(name).is_ok_and(|(_, name)| {
        let json = super::json::rows_of(&name).is_some_and(|(_, _, columns)| columns.len() == 1);
        json || matches!(name.as_str(), EXPAND | "unnest" | "generate_subscripts" | "generate_series")
    })
}
