//! Result columns: what stands between SELECT and FROM, and how Postgres names it.

use super::{Compiler, Output, qualified, relation_name};
use crate::sql::error::{Result, SqlError};
use crate::sql::{fold, quote, types};
use sqlparser::ast::{
    DataType, Expr, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TrimWhereField, Value,
};

impl Compiler<'_> {
    /// A list of result expressions, each with its name.
    pub(super) fn projection(&mut self, items: &[SelectItem]) -> Result<(Vec<String>, Vec<Output>)> {
        let mut texts = Vec::new();
        let mut columns = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    let name = match item {
                        SelectItem::ExprWithAlias { alias, .. } => fold(alias),
                        _ => output_name(expr),
                    };
                    let frag = self.expr(expr)?;
                    let frag = self.settle(frag)?;
                    texts.push(format!("{} AS {}", frag.sql, quote(&name)));
                    columns.push(Output { name, typed: frag.typed, origin: frag.origin });
                }
                SelectItem::Wildcard(_) => self.star(None, &mut texts, &mut columns)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let (_, table) = relation_name(name)?;
                    self.star(Some(&table), &mut texts, &mut columns)?;
                }
                other => return Err(SqlError::unsupported(format!("select item {other}"))),
            }
        }
        if texts.is_empty() {
            return Err(SqlError::unsupported("SELECT without columns"));
        }
        Ok((texts, columns))
    }

    fn star(&self, only: Option<&str>, texts: &mut Vec<String>, columns: &mut Vec<Output>) -> Result<()> {
        let Some(scope) = self.scopes.last() else { return Ok(()) };
        let tables: Vec<_> =
            scope.tables.iter().filter(|t| only.is_none_or(|name| t.alias == name)).collect();
        if tables.is_empty() {
            return Err(match only {
                Some(name) => {
                    SqlError::new("42P01", format!("missing FROM-clause entry for table \"{name}\""))
                }
                None => SqlError::syntax("SELECT * with no tables specified is not valid"),
            });
        }
        let merged = if only.is_none() { &scope.merged[..] } else { &[] };
        for name in merged {
            let found = tables.iter().flat_map(|t| &t.columns).find(|column| column.name == *name);
            let Some(found) = found else { continue };
            texts.push(format!("{} AS {}", quote(name), quote(name)));
            columns.push(Output { name: name.clone(), typed: found.typed, origin: found.origin });
        }
        for table in tables {
            for column in table.columns.iter().filter(|column| !merged.contains(&column.name)) {
                let sql = column.sql.clone().unwrap_or_else(|| qualified(&table.alias, &column.name));
                texts.push(format!("{sql} AS {}", quote(&column.name)));
                columns.push(Output {
                    name: column.name.clone(),
                    typed: column.typed,
                    origin: column.origin,
                });
            }
        }
        Ok(())
    }
}

/// The name of a result column without an alias, as Postgres chooses it.
pub(super) fn output_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => fold(ident),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold).unwrap_or_default(),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => output_name(inner),
        Expr::Function(function) => {
            function.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default()
        }
        // The outermost type, unless what is cast has a name of its own.
        Expr::Cast { expr, data_type, .. } => match &**expr {
            Expr::Cast { .. } | Expr::TypedString(_) | Expr::Value(_) | Expr::Interval(_)
                if !has_name(expr) =>
            {
                type_name(data_type)
            }
            expr => match output_name(expr) {
                name if name != "?column?" => name,
                _ => type_name(data_type),
            },
        },
        Expr::TypedString(typed) => type_name(&typed.data_type),
        Expr::Case { else_result, .. } => match else_result.as_deref().map(output_name) {
            Some(name) if name != "?column?" => name,
            _ => "case".to_owned(),
        },
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::CompoundFieldAccess { root, .. } => output_name(root),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Substring { shorthand: true, .. } => "substr".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { trim_where: Some(TrimWhereField::Leading), .. } => "ltrim".to_owned(),
        Expr::Trim { trim_where: Some(TrimWhereField::Trailing), .. } => "rtrim".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => "bool".to_owned(),
        Expr::Subquery(query) => match &*query.body {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => output_name(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => fold(alias),
                _ => "?column?".to_owned(),
            },
            _ => "?column?".to_owned(),
        },
        _ => "?column?".to_owned(),
    }
}

/// Whether it is not only a literal in one type or another.
fn has_name(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, .. } => has_name(expr),
        Expr::Nested(inner) => has_name(inner),
        Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => false,
        _ => true,
    }
}

/// The name of a type as a result column's: of one that isn't built in the last part as written.
fn type_name(data_type: &DataType) -> String {
    match (types::declared(data_type), data_type) {
        (Ok(typed), _) => typed.ty.info().name.to_owned(),
        (_, DataType::Custom(name, _)) => {
            name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default()
        }
        _ => String::new(),
    }
}
