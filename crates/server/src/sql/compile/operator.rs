//! Operators: arithmetic, comparison, logic, text, and membership.

use super::{Compiler, Frag, cast_call, wider};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use sqlparser::ast::{BinaryOperator as Op, Expr, Query};

impl Compiler<'_> {
    pub(super) fn binary(&mut self, left: &Expr, op: &Op, right: &Expr) -> Result<Frag> {
        match op {
            Op::Overlaps => self.overlaps(left, right),
            Op::And | Op::Or => {
                let (a, b) =
                    (self.condition(&op.to_string(), left)?, self.condition(&op.to_string(), right)?);
                Ok(Frag::new(format!("({a} {op} {b})"), Type::Bool))
            }
            Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => {
                self.comparison(left, &op.to_string(), right)
            }
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo | Op::PGExp => {
                let (a, b) = (self.expr(left)?, self.expr(right)?);
                if let Some(frag) = self.json_operator(op, &a, &b)? {
                    return Ok(frag);
                }
                if *op == Op::PGExp {
                    return self.call("power", vec![a, b]);
                }
                self.arithmetic(&op.to_string(), a, b)
            }
            Op::StringConcat => {
                let (a, b) = (self.expr(left)?, self.expr(right)?);
                if let Some(frag) = self.json_operator(op, &a, &b)? {
                    return Ok(frag);
                }
                if a.ty().element().is_some() || b.ty().element().is_some() {
                    return self.array_concat(a, b);
                }
                if !a.untyped() && !b.untyped() && !a.ty().is_string() && !b.ty().is_string() {
                    return Err(no_operator("||", a.ty(), b.ty()));
                }
                let (a, b) = (self.as_text(a)?, self.as_text(b)?);
                Ok(Frag::new(format!("({} || {})", a.sql, b.sql), Type::Text))
            }
            Op::BitwiseAnd
            | Op::BitwiseOr
            | Op::PGBitwiseShiftLeft
            | Op::PGBitwiseShiftRight
            | Op::PGBitwiseXor => {
                let (a, b) = (self.expr(left)?, self.expr(right)?);
                let (operands, ty) = self.unify("operand", vec![a, b])?;
                if !ty.is_integer() {
                    return Err(no_operator(&op.to_string(), ty, ty));
                }
                let (a, b) = (&operands[0].sql, &operands[1].sql);
                let sql = match op {
                    // SQLite has no exclusive or.
                    Op::PGBitwiseXor => format!("(({a} | {b}) - ({a} & {b}))"),
                    _ => format!("({a} {op} {b})"),
                };
                Ok(Frag::new(sql, ty))
            }
            Op::PGRegexMatch => self.regex(left, right, "sb_regex", ""),
            Op::PGRegexIMatch => self.regex(left, right, "sb_iregex", ""),
            Op::PGRegexNotMatch => self.regex(left, right, "sb_regex", "NOT "),
            Op::PGRegexNotIMatch => self.regex(left, right, "sb_iregex", "NOT "),
            Op::PGLikeMatch => self.like("sb_like", false, left, right, None),
            Op::PGILikeMatch => self.like("sb_ilike", false, left, right, None),
            Op::PGNotLikeMatch => self.like("sb_like", true, left, right, None),
            Op::PGNotILikeMatch => self.like("sb_ilike", true, left, right, None),
            Op::Arrow
            | Op::LongArrow
            | Op::HashArrow
            | Op::HashLongArrow
            | Op::HashMinus
            | Op::Question
            | Op::QuestionPipe
            | Op::QuestionAnd => {
                let (a, b) = (self.expr(left)?, self.expr(right)?);
                let frag = self.json_operator(op, &a, &b)?;
                frag.ok_or_else(|| no_operator(&op.to_string(), a.ty(), b.ty()))
            }
            Op::AtArrow | Op::ArrowAt | Op::PGOverlap => self.array_relation(left, op, right),
            Op::PGCustomBinaryOperator(parts) => {
                match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                    ["pg_catalog", "~"] => self.regex(left, right, "sb_regex", ""),
                    ["pg_catalog", "!~"] => self.regex(left, right, "sb_regex", "NOT "),
                    ["pg_catalog", "="] => self.comparison(left, "=", right),
                    _ => Err(SqlError::unsupported(format!("operator {op}"))),
                }
            }
            other => Err(SqlError::unsupported(format!("operator {other}"))),
        }
    }

    /// A comparison of two expressions, with both sides brought to one type.
    pub(super) fn comparison(&mut self, left: &Expr, op: &str, right: &Expr) -> Result<Frag> {
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) {
            return self.row_comparison(left, op, right);
        }
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let (a, b) = self.matched(a, op, b)?;
        Ok(Frag::new(format!("({} {op} {})", a.comparable(), b.comparable()), Type::Bool))
    }

    /// Rows compare by their first fields that differ.
    fn row_comparison(&mut self, left: &[Expr], op: &str, right: &[Expr]) -> Result<Frag> {
        if left.len() != right.len() || left.is_empty() {
            return Err(SqlError::syntax("unequal number of entries in row expressions"));
        }
        let each = |this: &mut Self, op: &str| {
            let pairs = left.iter().zip(right).map(|(a, b)| this.comparison(a, op, b).map(|frag| frag.sql));
            pairs.collect::<Result<Vec<_>>>()
        };
        let sql = match op {
            "=" | "IS NOT DISTINCT FROM" => each(self, op)?.join(" AND "),
            "<>" | "IS DISTINCT FROM" => each(self, op)?.join(" OR "),
            _ => {
                // (a, b) <= (c, d) is a < c, or a = c and b <= d.
                let strict = op.trim_end_matches('=');
                let (equal, less, last) = (each(self, "=")?, each(self, strict)?, each(self, op)?);
                let end = last.len() - 1;
                let alternatives = (0..=end).map(|index| {
                    let mut terms = equal[..index].to_vec();
                    terms.push(if index == end { last[index].clone() } else { less[index].clone() });
                    format!("({})", terms.join(" AND "))
                });
                alternatives.collect::<Vec<_>>().join(" OR ")
            }
        };
        Ok(Frag::new(format!("({sql})"), Type::Bool))
    }

    /// Both sides of an operator in one type.
    pub(super) fn matched(&mut self, a: Frag, op: &str, b: Frag) -> Result<(Frag, Frag)> {
        let ty = match (a.untyped(), b.untyped()) {
            (true, true) => Type::Text,
            (true, false) => b.ty(),
            (false, true) => a.ty(),
            (false, false) => wider(a.ty(), b.ty()).ok_or_else(|| no_operator(op, a.ty(), b.ty()))?,
        };
        // An untyped literal beside varchar or char is text: a length must not cut or refuse it.
        let ty = if matches!(ty, Type::Varchar | Type::Name) { Type::Text } else { ty };
        // Whole numbers and floats compare as they are, and so can use an index.
        let alike = |x: &Frag| !x.untyped() && (x.ty().is_integer() || x.ty().is_float());
        if alike(&a) && alike(&b) && !ty.is_string() {
            return Ok((a, b));
        }
        Ok((self.coerce(a, ty)?, self.coerce(b, ty)?))
    }

    /// `+ - * / %`, with Postgres' result types, overflow and division errors.
    pub(super) fn arithmetic(&mut self, op: &str, a: Frag, b: Frag) -> Result<Frag> {
        if let Some(name) = temporal(op, &a, &b) {
            let swapped = op == "+" && a.ty() == Type::Interval && b.ty() != Type::Interval && !b.untyped();
            let swapped = swapped || (op == "*" && b.ty() == Type::Interval);
            return self.call(name, if swapped { vec![b, a] } else { vec![a, b] });
        }
        if op == "+" && matches!((a.ty(), b.ty()), (Type::Date, Type::Timetz) | (Type::Timetz, Type::Date)) {
            let pair = if a.ty() == Type::Date { vec![a, b] } else { vec![b, a] };
            return self.call("datetimetz_pl", pair);
        }
        if op == "+" && matches!((a.ty(), b.ty()), (Type::Date, Type::Time) | (Type::Time, Type::Date)) {
            let (date, time) = if a.ty() == Type::Date { (a, b) } else { (b, a) };
            let date = self.coerce(date, Type::Timestamp)?;
            return Ok(Frag::new(format!("({} + {})", date.sql, time.sql), Type::Timestamp));
        }
        let days = |f: &Frag| f.ty() == Type::Date;
        let number = |f: &Frag| f.untyped() || f.ty().is_integer();
        match (op, a.ty(), b.ty()) {
            ("-", Type::Date, Type::Date) => {
                return Ok(Frag::new(format!("({} - {})", a.sql, b.sql), Type::Int4));
            }
            ("+" | "-", _, _) if days(&a) && number(&b) => {
                let b = self.coerce(b, Type::Int4)?;
                return Ok(Frag::new(format!("({} {op} {})", a.sql, b.sql), Type::Date));
            }
            ("+", _, _) if days(&b) && number(&a) => {
                let a = self.coerce(a, Type::Int4)?;
                return Ok(Frag::new(format!("({} + {})", a.sql, b.sql), Type::Date));
            }
            _ => {}
        }
        let (x, y) = (a.ty(), b.ty());
        let (a, b) = match (a.untyped(), b.untyped()) {
            (true, true) => (self.coerce(a, Type::Int4)?, self.coerce(b, Type::Int4)?),
            _ => self.matched(a, op, b)?,
        };
        let ty = wider(a.ty(), b.ty()).filter(|ty| ty.is_number()).ok_or_else(|| no_operator(op, x, y))?;
        if ty.is_float() && op == "%" {
            return Err(no_operator(op, x, y));
        }
        let name = match op {
            "+" => "sb_add",
            "-" => "sb_sub",
            "*" => "sb_mul",
            "/" => "sb_div",
            _ => "sb_mod",
        };
        Ok(Frag::new(format!("{name}({}, {}, {})", a.sql, b.sql, ty.oid()), ty))
    }

    /// Anything as text, for `||`.
    pub(super) fn as_text(&mut self, frag: Frag) -> Result<Frag> {
        if frag.untyped() || frag.ty().is_string() {
            return self.coerce(frag, Type::Text);
        }
        Ok(cast_call(&frag, Type::Text.into(), true))
    }

    pub(super) fn like(
        &mut self,
        name: &str,
        negated: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<Frag> {
        let text = self.expr_as(expr, Type::Text)?;
        let pattern = self.expr_as(pattern, Type::Text)?;
        let escape = escape.map(|escape| self.expr_as(escape, Type::Text)).transpose()?;
        let escape = escape.map_or_else(|| "'\\'".to_owned(), |escape| escape.sql);
        let not = if negated { "NOT " } else { "" };
        Ok(Frag::new(format!("({not}{name}({}, {}, {escape}))", text.sql, pattern.sql), Type::Bool))
    }

    fn regex(&mut self, left: &Expr, right: &Expr, name: &str, not: &str) -> Result<Frag> {
        let text = self.expr_as(left, Type::Text)?;
        let pattern = self.expr_as(right, Type::Text)?;
        Ok(Frag::new(format!("({not}{name}({}, {}))", text.sql, pattern.sql), Type::Bool))
    }

    pub(super) fn in_list(&mut self, expr: &Expr, list: &[Expr], negated: bool) -> Result<Frag> {
        if matches!(expr, Expr::Tuple(_)) {
            let tests = list.iter().map(|item| self.comparison(expr, "=", item).map(|frag| frag.sql));
            let tests = tests.collect::<Result<Vec<_>>>()?.join(" OR ");
            let not = if negated { "NOT " } else { "" };
            return Ok(Frag::new(format!("({not}({tests}))"), Type::Bool));
        }
        let mut frags = vec![self.expr(expr)?];
        for item in list {
            frags.push(self.expr(item)?);
        }
        let what = "IN";
        let ty = self.common(what, &frags.iter().collect::<Vec<_>>())?;
        let ty = if ty == Type::Varchar { Type::Text } else { ty };
        let frags = frags.into_iter().map(|frag| self.coerce(frag, ty)).collect::<Result<Vec<_>>>()?;
        let items: Vec<&str> = frags[1..].iter().map(|frag| frag.sql.as_str()).collect();
        let not = if negated { "NOT " } else { "" };
        Ok(Frag::new(format!("({} {not}IN ({}))", frags[0].comparable(), items.join(", ")), Type::Bool))
    }

    pub(super) fn in_subquery(&mut self, expr: &Expr, query: &Query, negated: bool) -> Result<Frag> {
        if let Expr::Tuple(fields) = expr {
            return self.row_in_subquery(fields, query, negated);
        }
        let frag = self.expr(expr)?;
        let (sql, columns) = self.query(query)?;
        let [column] = columns.as_slice() else {
            return Err(SqlError::syntax("subquery has too many columns"));
        };
        let frag = if frag.untyped() { self.coerce(frag, column.typed.ty)? } else { frag };
        let same = frag.ty() == column.typed.ty
            || (frag.ty().is_string() && column.typed.ty.is_string())
            || (frag.ty().is_integer() && column.typed.ty.is_integer());
        let inner = Frag::new("\"v\"", column.typed);
        let not = if negated { "NOT " } else { "" };
        if same {
            return Ok(Frag::new(format!("({} {not}IN ({sql}))", frag.comparable()), Type::Bool));
        }
        let ty =
            wider(frag.ty(), column.typed.ty).ok_or_else(|| no_operator("=", frag.ty(), column.typed.ty))?;
        let (frag, inner) = (self.coerce(frag, ty)?, self.coerce(inner, ty)?);
        let (outer, inner) = (frag.comparable(), inner.sql);
        Ok(Frag::new(
            format!("({outer} {not}IN (WITH \"w\"(\"v\") AS ({sql}) SELECT {inner} FROM \"w\"))"),
            Type::Bool,
        ))
    }
}

impl Compiler<'_> {
    /// `(a, b) IN (SELECT …)`
    fn row_in_subquery(&mut self, fields: &[Expr], query: &Query, negated: bool) -> Result<Frag> {
        let (sql, columns) = self.query(query)?;
        if fields.len() != columns.len() {
            let what = if fields.len() < columns.len() { "many" } else { "few" };
            return Err(SqlError::syntax(format!("subquery has too {what} columns")));
        }
        let (mut outer, mut inner, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (field, column)) in fields.iter().zip(&columns).enumerate() {
            let name = format!("\"c{index}\"");
            let frag = self.expr(field)?;
            let (a, b) = self.matched(frag, "=", Frag::new(name.clone(), column.typed))?;
            outer.push(a.comparable());
            inner.push(b.sql);
            names.push(name);
        }
        let (outer, inner, names) = (outer.join(", "), inner.join(", "), names.join(", "));
        let not = if negated { "NOT " } else { "" };
        Ok(Frag::new(
            format!("(({outer}) {not}IN (WITH \"w\" ({names}) AS ({sql}) SELECT {inner} FROM \"w\"))"),
            Type::Bool,
        ))
    }
}

/// The function behind an operator on dates, times and intervals.
fn temporal(op: &str, a: &Frag, b: &Frag) -> Option<&'static str> {
    use Type::{Date, Interval, Time, Timestamp, Timestamptz, Timetz};
    // A literal beside an instant is an interval to add, or an instant to subtract.
    let (x, y) = (a.ty(), b.ty());
    Some(match (op, x, y) {
        ("+", Timestamptz, Interval) | ("+", Interval, Timestamptz) => "timestamptz_pl_interval",
        ("+", Timestamp | Date, Interval) | ("+", Interval, Timestamp | Date) => "timestamp_pl_interval",
        ("+", Timestamptz, Type::Unknown) => "timestamptz_pl_interval",
        ("+", Timestamp, Type::Unknown) => "timestamp_pl_interval",
        ("-", Timestamptz, Interval) => "timestamptz_mi_interval",
        ("-", Timestamp | Date, Interval) => "timestamp_mi_interval",
        ("+", Time, Interval) | ("+", Interval, Time) => "time_pl_interval",
        ("-", Time, Interval) => "time_mi_interval",
        ("+", Timetz, Interval) | ("+", Interval, Timetz) => "timetz_pl_interval",
        ("-", Timetz, Interval) => "timetz_mi_interval",
        ("-", Time, Time) => "time_mi_time",
        ("-", Timestamp | Date, Timestamp) | ("-", Timestamp, Date | Type::Unknown) => "timestamp_mi",
        ("-", Type::Unknown, Timestamp) => "timestamp_mi",
        ("-", Timestamptz, Timestamptz | Timestamp | Date | Type::Unknown) => "timestamptz_mi",
        ("-", Timestamp | Date | Type::Unknown, Timestamptz) => "timestamptz_mi",
        ("+", Interval, Interval | Type::Unknown) | ("+", Type::Unknown, Interval) => "interval_pl",
        ("-", Interval, Interval | Type::Unknown) | ("-", Type::Unknown, Interval) => "interval_mi",
        ("*", Interval, y) if y.is_number() => "interval_mul",
        ("*", x, Interval) if x.is_number() => "interval_mul",
        ("/", Interval, y) if y.is_number() => "interval_div",
        _ => return None,
    })
}

pub(super) fn no_operator(op: &str, a: Type, b: Type) -> SqlError {
    SqlError::new("42883", format!("operator does not exist: {a} {op} {b}")).hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    )
}
