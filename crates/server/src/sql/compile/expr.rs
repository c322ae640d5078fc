//! Expressions.

use super::{Compiler, Frag, Shape, cast_call, literal, place, qualified};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::{Type, Typed};
use crate::sql::{fold, interval, quote, value, walk};
use sqlparser::ast::{
    CastKind, CeilFloorKind, DataType, DateTimeField, Expr, Ident, TrimWhereField, UnaryOperator,
    Value as Literal,
};

impl Compiler<'_> {
    /// Compiles an expression, and names its place if it can't be compiled.
    pub(in crate::sql) fn expr(&mut self, expr: &Expr) -> Result<Frag> {
        self.expr_inner(expr).map_err(|error| error.at(walk::start(expr)))
    }

    /// Compiles an expression and converts it to a type.
    pub(in crate::sql) fn expr_as(&mut self, expr: &Expr, to: Type) -> Result<Frag> {
        let frag = self.expr(expr)?;
        self.coerce(frag, to).map_err(|error| error.at(walk::start(expr)))
    }

    /// Compiles a condition: WHERE, HAVING, ON, CASE WHEN, CHECK.
    pub(in crate::sql) fn condition(&mut self, what: &str, expr: &Expr) -> Result<String> {
        let frag = self.expr(expr)?;
        if !frag.untyped() && frag.ty() != Type::Bool {
            let message = format!("argument of {what} must be type boolean, not type {}", frag.ty());
            return Err(SqlError::new("42804", message).at(walk::start(expr)));
        }
        Ok(self.coerce(frag, Type::Bool)?.sql)
    }

    fn expr_inner(&mut self, expr: &Expr) -> Result<Frag> {
        match expr {
            Expr::Value(value) => self.literal(&value.value),
            Expr::Identifier(ident) => self.column(None, ident),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] => self.column(Some(table), column),
                [_, table, column] => self.column(Some(table), column),
                _ => Err(SqlError::unsupported(format!("reference {expr}"))),
            },
            Expr::Nested(inner) => {
                let frag = self.expr(inner)?;
                Ok(Frag { sql: format!("({})", frag.sql), ..frag })
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::Cast { expr, data_type: DataType::Custom(name, _), .. }
                if name.to_string().trim_start_matches("pg_catalog.") == "regproc" =>
            {
                self.function_name(expr)
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } => {
                let to = self.context.declared(data_type)?;
                self.cast(expr, to)
            }
            Expr::TypedString(typed) => {
                let to = self.context.declared(&typed.data_type)?;
                let text = string(&typed.value.value).ok_or_else(|| SqlError::syntax("expected a string"))?;
                Ok(Frag::new(literal(&self.read(to, &text, true)?), to))
            }
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => self.postfix(inner, "IS NULL"),
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => self.postfix(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.truth(inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => self.truth(inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => self.truth(inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => self.truth(inner, "IS NOT FALSE"),
            Expr::IsDistinctFrom(a, b) => self.comparison(a, "IS DISTINCT FROM", b),
            Expr::IsNotDistinctFrom(a, b) => self.comparison(a, "IS NOT DISTINCT FROM", b),
            Expr::Between { expr, negated, low, high } => {
                let low = self.comparison(expr, if *negated { "<" } else { ">=" }, low)?;
                let high = self.comparison(expr, if *negated { ">" } else { "<=" }, high)?;
                let word = if *negated { "OR" } else { "AND" };
                Ok(Frag::new(format!("({} {word} {})", low.sql, high.sql), Type::Bool))
            }
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated),
            Expr::Exists { subquery, negated } => {
                let (sql, _) = self.query(subquery)?;
                let not = if *negated { "NOT " } else { "" };
                Ok(Frag::new(format!("({not}EXISTS ({sql}))"), Type::Bool))
            }
            Expr::Subquery(query) => {
                let (sql, columns) = self.query(query)?;
                match columns.as_slice() {
                    [column] => Ok(Frag::new(format!("({sql})"), column.typed)),
                    _ => Err(SqlError::syntax("subquery must return only one column")),
                }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let conditions: Vec<_> =
                    conditions.iter().map(|when| (&when.condition, &when.result)).collect();
                self.case(operand.as_deref(), &conditions, else_result.as_deref())
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like("sb_like", *negated, expr, pattern, escape_char.as_deref())
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like("sb_ilike", *negated, expr, pattern, escape_char.as_deref())
            }
            Expr::Function(function) => self.function(function),
            Expr::Extract { field, expr, .. } => {
                let field = match field {
                    DateTimeField::Custom(ident) => fold(ident),
                    other => other.to_string().to_ascii_lowercase(),
                };
                let source = self.expr(expr)?;
                let literal = Frag { shape: Shape::Literal(field), ..Frag::new("", Type::Unknown) };
                self.call("extract", vec![literal, source])
            }
            Expr::Position { expr, r#in } => self.call_exprs("strpos", &[r#in, expr]),
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments = vec![&**expr, &**overlay_what, &**overlay_from];
                arguments.extend(overlay_for.as_deref());
                self.call_exprs("overlay", &arguments)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let one = Expr::Value(Literal::Number("1".to_owned(), false).into());
                let from = substring_from.as_deref().unwrap_or(&one);
                let mut arguments = vec![&**expr, from];
                arguments.extend(substring_for.as_deref());
                self.call_exprs("substring", &arguments)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let mut arguments = vec![&**expr];
                arguments.extend(trim_what.as_deref());
                self.call_exprs(name, &arguments)
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.call_exprs("ceil", &[expr])
            }
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                self.call_exprs("floor", &[expr])
            }
            Expr::Collate { expr, collation } => {
                let name = collation.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "c" | "posix" | "default" | "ucs_basic" => self.expr(expr),
                    _ => Err(SqlError::new(
                        "42704",
                        format!("collation \"{name}\" for encoding \"UTF8\" does not exist"),
                    )),
                }
            }
            Expr::AnyOp { left, compare_op, right, .. } => self.any(left, compare_op, right),
            Expr::Tuple(_) => Err(SqlError::unsupported("row constructor")),
            Expr::AllOp { left, compare_op, right } => self.all(left, compare_op, right),
            Expr::Array(array) => self.array(&array.elem),
            Expr::CompoundFieldAccess { root, access_chain } => self.subscript(root, access_chain),
            Expr::Interval(interval) => {
                let unit = interval.last_field.as_ref().or(interval.leading_field.as_ref());
                let unit = unit.map(|unit| unit.to_string().to_ascii_lowercase());
                let text = match &*interval.value {
                    Expr::Value(value) => match &value.value {
                        Literal::Number(text, _) => Some(text.clone()),
                        value => string(value),
                    },
                    _ => None,
                };
                let text = text.ok_or_else(|| SqlError::unsupported("interval of anything but a literal"))?;
                let parsed = interval::parse(&text, unit.as_deref())?;
                let sql = literal(&crate::engine::Value::Text(parsed.to_string()));
                Ok(Frag { not_null: true, ..Frag::new(sql, Type::Interval) })
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.call_exprs("timezone", &[time_zone, timestamp]),
            other => Err(SqlError::unsupported(format!("expression {}", shorten(&other.to_string())))),
        }
    }

    fn literal(&mut self, value: &Literal) -> Result<Frag> {
        if let Some(text) = string(value) {
            if text.contains('\0') {
                return Err(SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
            }
            let sql = literal(&crate::engine::Value::Text(text.clone()));
            return Ok(Frag { shape: Shape::Literal(text), ..Frag::new(sql, Type::Unknown) });
        }
        match value {
            Literal::Null => Ok(Frag { shape: Shape::Null, ..Frag::new("NULL", Type::Unknown) }),
            Literal::Boolean(flag) => {
                Ok(Frag { not_null: true, ..Frag::new(if *flag { "1" } else { "0" }, Type::Bool) })
            }
            Literal::Number(text, _) => number(text),
            Literal::Placeholder(name) => {
                let index = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
                let index = index.filter(|index| (1..=65_535).contains(index));
                let index =
                    index.ok_or_else(|| SqlError::new("42P02", format!("there is no parameter {name}")))? - 1;
                if self.params.len() <= index {
                    self.params.resize(index + 1, None);
                }
                let sql = format!("?{}", index + 1);
                Ok(match self.params[index] {
                    Some(ty) => self.parameter(index, ty)?,
                    None => Frag { shape: Shape::Param(index), ..Frag::new(sql, Type::Unknown) },
                })
            }
            other => Err(SqlError::unsupported(format!("literal {other}"))),
        }
    }

    fn column(&mut self, table: Option<&Ident>, column: &Ident) -> Result<Frag> {
        let (name, table_name) = (fold(column), table.map(fold));
        for scope in self.scopes.iter().rev() {
            let tables =
                scope.tables.iter().filter(|t| table_name.as_ref().is_none_or(|name| t.alias == *name));
            let mut hits =
                tables.flat_map(|t| t.columns.iter().filter(|c| c.name == name).map(move |c| (t, c)));
            let Some((hit, found)) = hits.next() else { continue };
            let merged = table.is_none() && scope.merged.contains(&name);
            if hits.next().is_some() && !merged {
                let message = format!("column reference \"{name}\" is ambiguous");
                return Err(SqlError::new("42702", message).at(place(column)));
            }
            // SQLite itself merges the sides of USING under the bare name.
            let sql = match &found.sql {
                Some(sql) => sql.clone(),
                None if merged => quote(&name),
                None => qualified(&hit.alias, &name),
            };
            let (not_null, origin) = (found.not_null, found.origin);
            return Ok(Frag { not_null, origin, ..Frag::new(sql, found.typed) });
        }
        if table.is_none()
            && let Some(frag) = self.keyword(&name, column)
        {
            return Ok(frag);
        }
        // A function's alias alone stands for its only column.
        let lone = self
            .scopes
            .iter()
            .rev()
            .flat_map(|scope| &scope.tables)
            .find(|t| t.alias == name && table.is_none());
        if let Some([only]) = lone.map(|table| table.columns.as_slice())
            && let Some(sql) = &only.sql
        {
            return Ok(Frag::new(sql.clone(), only.typed));
        }
        Err(match (table, table_name) {
            (Some(ident), Some(table))
                if !self.scopes.iter().any(|s| s.tables.iter().any(|t| t.alias == table)) =>
            {
                let message = format!("missing FROM-clause entry for table \"{table}\"");
                SqlError::new("42P01", message).at(place(ident))
            }
            (Some(ident), Some(table)) => {
                SqlError::new("42703", format!("column {table}.{name} does not exist")).at(place(ident))
            }
            _ => SqlError::new("42703", format!("column \"{name}\" does not exist")).at(place(column)),
        })
    }

    /// Functions that SQL writes without parentheses, and that the parser takes for names.
    fn keyword(&mut self, name: &str, ident: &Ident) -> Option<Frag> {
        if ident.quote_style.is_some() {
            return None;
        }
        match name {
            "current_user" | "session_user" | "user" | "current_role" | "current_catalog"
            | "current_schema" | "current_timestamp" | "current_date" | "localtimestamp" | "current_time"
            | "localtime" => self.call(name, Vec::new()).ok(),
            _ => None,
        }
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr) -> Result<Frag> {
        match op {
            UnaryOperator::Not => {
                Ok(Frag::new(format!("(NOT {})", self.condition("NOT", expr)?), Type::Bool))
            }
            UnaryOperator::Plus => self.expr(expr),
            UnaryOperator::Minus => {
                // `-9223372036854775808` is a number, though its digits alone are none.
                if let Expr::Value(value) = expr
                    && let Literal::Number(text, _) = &value.value
                {
                    return number(&format!("-{text}"));
                }
                let frag = self.expr(expr)?;
                if frag.ty() == Type::Interval {
                    return self.call("interval_um", vec![frag]);
                }
                let zero = Frag::new("0", Type::Int4);
                self.arithmetic("-", zero, frag)
            }
            UnaryOperator::BitwiseNot => {
                let frag = self.expr(expr)?;
                if !frag.ty().is_integer() {
                    return Err(SqlError::new("42883", format!("operator does not exist: ~ {}", frag.ty())));
                }
                Ok(Frag::new(format!("(~{})", frag.sql), frag.typed))
            }
            UnaryOperator::PGAbs => self.call_exprs("abs", &[expr]),
            other => Err(SqlError::unsupported(format!("operator {other}"))),
        }
    }

    /// A cast to `regproc`: the catalogues have functions by their names alone.
    fn function_name(&mut self, expr: &Expr) -> Result<Frag> {
        let frag = self.expr(expr)?;
        let Shape::Literal(text) = &frag.shape else { return self.coerce(frag, Type::Text) };
        let (_, name) = crate::sql::split_name(text);
        Ok(Frag { not_null: true, ..Frag::new(literal(&crate::engine::Value::Text(name)), Type::Text) })
    }

    /// An explicit cast.
    fn cast(&mut self, expr: &Expr, to: Typed) -> Result<Frag> {
        let frag = self.expr(expr)?;
        if matches!(to.ty, Type::Regclass | Type::Regtype | Type::Regnamespace) {
            return self.named_number(frag, to.ty);
        }
        if to.ty.is_string() && matches!(frag.ty(), Type::Regclass | Type::Regtype | Type::Regnamespace) {
            return Ok(self.shown_name(frag));
        }
        match &frag.shape {
            Shape::Null => Ok(Frag { typed: to, shape: Shape::Typed, ..frag }),
            Shape::Literal(text) => {
                let parsed = self.read(to, text, true)?;
                Ok(Frag { not_null: true, ..Frag::new(literal(&parsed), to) })
            }
            Shape::Param(_) => {
                let typed = self.coerce(frag, to.ty)?;
                if to.typmod < 0 { Ok(typed) } else { Ok(cast_call(&typed, to, true)) }
            }
            Shape::Typed if frag.ty() == to.ty && to.typmod < 0 => Ok(Frag { typed: to, ..frag }),
            Shape::Typed if frag.ty().enumeration().or(to.ty.enumeration()).is_some() => {
                self.cast_enumeration(&frag, to)
            }
            Shape::Typed => Ok(cast_call(&frag, to, true)),
        }
    }

    fn postfix(&mut self, expr: &Expr, words: &str) -> Result<Frag> {
        let frag = self.expr(expr)?;
        let frag = self.settle(frag)?;
        Ok(Frag { not_null: true, ..Frag::new(format!("({} {words})", frag.sql), Type::Bool) })
    }

    fn truth(&mut self, expr: &Expr, words: &str) -> Result<Frag> {
        let what = words.trim_end_matches(" TRUE").trim_end_matches(" FALSE");
        let condition = self.condition(what, expr)?;
        Ok(Frag { not_null: true, ..Frag::new(format!("({condition} {words})"), Type::Bool) })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[(&Expr, &Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<Frag> {
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for (condition, result) in conditions {
            tests.push(match operand {
                Some(operand) => self.comparison(operand, "=", condition)?.sql,
                None => self.condition("CASE/WHEN", condition)?,
            });
            results.push(self.expr(result)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.expr(otherwise)?);
        }
        let (results, ty) = self.unify("CASE", results)?;
        let mut sql = "(CASE".to_owned();
        for (test, result) in tests.iter().zip(&results) {
            sql += &format!(" WHEN {test} THEN {}", result.sql);
        }
        if let Some(result) = results.get(tests.len()) {
            sql += &format!(" ELSE {}", result.sql);
        }
        Ok(Frag::new(sql + " END)", ty))
    }
}

/// A number's type is the smallest that holds it.
fn number(text: &str) -> Result<Frag> {
    let digits = text.replace('_', "");
    let frag = if let Ok(number) = digits.parse::<i64>() {
        let ty = if i32::try_from(number).is_ok() { Type::Int4 } else { Type::Int8 };
        Frag::new(literal(&crate::engine::Value::Integer(number)), ty)
    } else {
        let parsed = value::input(Type::Numeric.into(), &digits, true);
        let parsed = parsed.map_err(|_| {
            SqlError::syntax(format!("trailing junk after numeric literal at or near \"{text}\""))
        })?;
        Frag::new(literal(&parsed), Type::Numeric)
    };
    Ok(Frag { not_null: true, ..frag })
}

/// The text of any of the string literals.
pub(in crate::sql) fn string(value: &Literal) -> Option<String> {
    match value {
        Literal::SingleQuotedString(text)
        | Literal::EscapedStringLiteral(text)
        | Literal::UnicodeStringLiteral(text)
        | Literal::NationalStringLiteral(text) => Some(text.clone()),
        Literal::DollarQuotedString(quoted) => Some(quoted.value.clone()),
        _ => None,
    }
}

fn shorten(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { short + "…" } else { short }
}
