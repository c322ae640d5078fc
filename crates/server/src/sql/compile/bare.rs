//! Columns that stand bare beside an aggregate or GROUP BY, which SQLite would answer with any row's value.

use super::query::output_index;
use super::{Compiler, Output, ScopeColumn, relation_name};
use crate::sql::catalog::Relation;
use crate::sql::error::{Result, SqlError};
use crate::sql::fold;
use sqlparser::ast::{Expr, GroupByExpr, Ident, OrderByExpr, Select, SelectItem};

/// The functions within which every column of the group may stand.
const AGGREGATES: [&str; 25] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "string_agg",
    "array_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "percentile_cont",
    "percentile_disc",
    "mode",
    "grouping",
    "rank",
];

impl Compiler<'_> {
    /// Refuses them in what is selected, in HAVING and in ORDER BY.
    pub(super) fn check_grouping(
        &self,
        select: &Select,
        order: &[OrderByExpr],
        columns: &[Output],
    ) -> Result<()> {
        let GroupByExpr::Expressions(list, _) = &select.group_by else { return Ok(()) };
        let aggregates = self.scopes.last().is_some_and(|scope| scope.aggregates);
        if list.is_empty() && !aggregates && select.having.is_none() {
            return Ok(());
        }
        let selected: Vec<Option<&Expr>> = select.projection.iter().map(expression).collect();
        // A key that is a number or an output column's name means what is selected there.
        let meant = |key| match output_index(key, columns) {
            Ok(Some(index)) if columns.len() == selected.len() => {
                let own = matches!(key, Expr::Identifier(ident) if self.owner(None, &fold(ident)).is_some());
                if own { Some(key) } else { selected.get(index).copied().flatten() }
            }
            _ => Some(key),
        };
        let keys: Vec<&Expr> = list.iter().filter_map(meant).collect();
        let written: Vec<String> = keys.iter().map(|key| shape(key)).collect();
        for expr in selected.iter().flatten() {
            self.bare(expr, &keys, &written)?;
        }
        if let Some(having) = &select.having {
            self.bare(having, &keys, &written)?;
        }
        for term in order {
            if output_index(&term.expr, columns)?.is_none() {
                self.bare(&term.expr, &keys, &written)?;
            }
        }
        Ok(())
    }

    /// The first bare column of an expression. What isn't looked into is let pass.
    fn bare(&self, expr: &Expr, keys: &[&Expr], written: &[String]) -> Result<()> {
        if written.contains(&shape(expr)) {
            return Ok(());
        }
        let each = |list: &[&Expr]| list.iter().try_for_each(|expr| self.bare(expr, keys, written));
        match expr {
            Expr::Identifier(ident) => self.bare_column(None, ident, keys),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, column] => self.bare_column(Some(table), column, keys),
                _ => Ok(()),
            },
            Expr::Nested(inner)
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Cast { expr: inner, .. }
            | Expr::Extract { expr: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner) => self.bare(inner, keys, written),
            Expr::BinaryOp { left, right, .. } => each(&[left, right]),
            Expr::Function(function) if function.over.is_none() => {
                let (_, name) = relation_name(&function.name)?;
                if AGGREGATES.contains(&name.as_str()) {
                    return Ok(());
                }
                match super::function::arguments(&function.args) {
                    // A key that the grouping set at hand does not have.
                    Ok((arguments, ..)) if name == "nullif" && arguments.first() == arguments.last() => {
                        Ok(())
                    }
                    Ok((arguments, ..)) => each(&arguments),
                    Err(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn bare_column(&self, table: Option<&Ident>, column: &Ident, keys: &[&Expr]) -> Result<()> {
        let name = fold(column);
        let Some((alias, found)) = self.owner(table, &name) else { return Ok(()) };
        let is_key = |wanted: &str| {
            keys.iter().any(|key| match key {
                Expr::Identifier(ident) => fold(ident) == wanted,
                Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                    [.., table, column] => fold(table) == alias && fold(column) == wanted,
                    _ => false,
                },
                _ => false,
            })
        };
        // A primary key among the keys determines the other columns of its table.
        let determined = match found.origin.and_then(|origin| self.relation_numbered(origin.table)) {
            // The catalogues' tables have their numbers for a key.
            None => is_key("oid"),
            Some(relation) => {
                let primary = relation.constraints.iter().find(|constraint| constraint.kind == 'p');
                primary.is_some_and(|primary| primary.columns.iter().all(|column| is_key(column)))
            }
        };
        if is_key(&name) || determined {
            return Ok(());
        }
        let message = format!(
            "column \"{alias}.{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
        );
        Err(SqlError::new("42803", message).at(column.span.start))
    }

    /// The innermost query's table that has a column, by its alias, and the column.
    fn owner(&self, table: Option<&Ident>, column: &str) -> Option<(&str, &ScopeColumn)> {
        let tables = &self.scopes.last()?.tables;
        let named = table.map(fold);
        let mut own = tables.iter().filter(|t| named.as_ref().is_none_or(|name| t.alias == *name));
        own.find_map(|t| Some((t.alias.as_str(), t.columns.iter().find(|c| c.name == column)?)))
    }

    fn relation_numbered(&self, oid: i64) -> Option<&Relation> {
        self.context.catalog.relations.values().find(|relation| relation.oid == oid)
    }
}

/// Whether an expression is the call of an aggregate, over all rows.
pub(super) fn is_aggregate(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    let name = relation_name(&function.name).map(|(_, name)| name).unwrap_or_default();
    function.over.is_none() && AGGREGATES.contains(&name.as_str())
}

fn expression(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// How an expression is written, without case, parentheses and tables' names: what is equal then may well be the same.
fn shape(expr: &Expr) -> String {
    let mut inner = expr;
    while let Expr::Nested(next) = inner {
        inner = next;
    }
    let text = inner.to_string().to_lowercase();
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == '"')) {
        // A name before a dot is a table's; digits before one are a number's.
        let table =
            word.strip_suffix('.').is_some_and(|name| name.starts_with(|c: char| !c.is_ascii_digit()));
        if !table {
            words.push(word);
        }
    }
    words.concat()
}
