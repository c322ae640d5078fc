//! Ordered-set aggregates: `percentile_cont(0.5) WITHIN GROUP (ORDER BY x)` and its like.

use super::function::{arguments, no_function};
use super::{Compiler, Frag, cast_call};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use sqlparser::ast::{Function, OrderBySort};

impl Compiler<'_> {
    /// The engine collects the values, sorts them, and picks.
    pub(super) fn ordered_set(&mut self, name: &str, function: &Function) -> Result<Frag> {
        let (direct, distinct, star) = arguments(&function.args)?;
        let [term] = function.within_group.as_slice() else {
            return Err(SqlError::unsupported("WITHIN GROUP with several expressions"));
        };
        if distinct || star {
            return Err(SqlError::syntax("cannot use DISTINCT with WITHIN GROUP"));
        }
        if function.over.is_some() {
            return Err(SqlError::unsupported(format!("OVER for ordered-set aggregate {name}")));
        }
        let value = self.expr(&term.expr)?;
        let mut value = self.settle(value)?;
        let mut types: Vec<Type> = Vec::new();
        let fraction = match direct.as_slice() {
            [fraction] => {
                let fraction = self.expr(fraction)?;
                types.push(if fraction.untyped() { Type::Float8 } else { fraction.ty() });
                self.coerce(fraction, Type::Float8)?.sql
            }
            _ => "0".to_owned(),
        };
        types.push(value.ty());
        let picks = match (name, direct.len()) {
            ("percentile_cont", 1) if value.ty().is_number() => {
                value = cast_call(&value, Type::Float8.into(), false);
                "cont"
            }
            ("percentile_disc", 1) => "disc",
            ("mode", 0) => "mode",
            _ => return Err(no_function(name, &types)),
        };
        let filter = match &function.filter {
            Some(filter) => format!(" FILTER (WHERE {})", self.condition("FILTER", filter)?),
            None => String::new(),
        };
        self.note_aggregate();
        let descends = u8::from(matches!(term.options.sort, Some(OrderBySort::Desc)));
        let (sql, oid) = (&value.sql, value.ty().oid());
        let call = format!("sb_percentile({sql}, {oid}, {fraction}, '{picks}', {descends}){filter}");
        // Without rows nobody looks at the fraction.
        let call = if picks == "mode" { call } else { format!("coalesce({call}, sb_fraction({fraction}))") };
        Ok(Frag::new(call, value.typed))
    }
}
