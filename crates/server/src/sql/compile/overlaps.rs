//! `(start, end) OVERLAPS (start, end)`, where an end may be an interval from the start.

use super::operator::no_operator;
use super::{Compiler, Frag, wider};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use sqlparser::ast::Expr;

impl Compiler<'_> {
    pub(super) fn overlaps(&mut self, left: &Expr, right: &Expr) -> Result<Frag> {
        let mut ends = Vec::new();
        for (side, period) in [("left", left), ("right", right)] {
            let Expr::Tuple(pair) = period else {
                return Err(SqlError::syntax("OVERLAPS needs a pair in parentheses on either side"));
            };
            let [start, end] = pair.as_slice() else {
                let message = format!("wrong number of parameters on {side} side of OVERLAPS expression");
                return Err(SqlError::syntax(message));
            };
            ends.extend([self.expr(start)?, self.expr(end)?]);
        }
        // Intervals have no part in the common type; a date is the moment at which it begins.
        let known = |frag: &&Frag| !frag.untyped() && frag.ty() != Type::Interval;
        let mut types = ends.iter().filter(known).map(Frag::ty);
        let first = types.next().unwrap_or(Type::Timestamptz);
        let common =
            types.try_fold(first, |a, b| wider(a, b).ok_or_else(|| no_operator("overlaps", a, b)))?;
        let common = if common == Type::Date { Type::Timestamp } else { common };
        let plus = match common {
            Type::Time => "time_pl_interval",
            Type::Timetz => "timetz_pl_interval",
            Type::Timestamp => "timestamp_pl_interval",
            Type::Timestamptz => "timestamptz_pl_interval",
            other => return Err(no_operator("overlaps", other, other)),
        };
        let mut args = Vec::new();
        let mut ends = ends.into_iter();
        while let (Some(start), Some(end)) = (ends.next(), ends.next()) {
            let start = self.coerce(start, common)?;
            let end = match end.ty() {
                Type::Interval if !end.untyped() => self.call(plus, vec![start.clone(), end])?,
                _ => self.coerce(end, common)?,
            };
            args.extend([start.sql, end.sql]);
        }
        Ok(Frag::new(format!("sb_overlaps({})", args.join(", ")), Type::Bool))
    }
}
