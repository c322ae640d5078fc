//! The aggregates that SQLite is taught: exact sums, intervals, spreads, arrays.

use super::functions::{PURE, compare, integer, own, packed, real, type_of};
use super::{Value, ValueRef};
use crate::sql::error::SqlError;
use crate::sql::types::Type;
use crate::sql::value::{output, value_ref};
use crate::sql::{array, interval, numeric};
use bigdecimal::{BigDecimal, Zero};
use rusqlite::Connection as Sqlite;
use rusqlite::functions::{Aggregate, Context};

/// Registers them on a new connection.
pub fn register(sqlite: &Sqlite) -> rusqlite::Result<()> {
    sqlite.create_aggregate_function("sb_sum", 1, PURE, Sum { average: false })?;
    sqlite.create_aggregate_function("sb_percentile", 5, PURE, super::percentile::Percentile)?;
    sqlite.create_aggregate_function("sb_array_agg", 2, PURE, ArrayAgg)?;
    sqlite.create_aggregate_function("sb_single", 1, PURE, Single)?;
    sqlite.create_aggregate_function("sb_avg", 1, PURE, Sum { average: true })?;
    sqlite.create_aggregate_function("sb_string_agg_distinct", 2, PURE, DistinctAgg { array: false })?;
    sqlite.create_aggregate_function("sb_array_agg_distinct", 2, PURE, DistinctAgg { array: true })?;
    sqlite.create_aggregate_function("sb_spread", 3, PURE, Spread)?;
    sqlite.create_aggregate_function("sb_spread_float", 3, PURE, FloatSpread)?;
    sqlite.create_aggregate_function("sb_interval_sum", 1, PURE, IntervalSum { average: false })?;
    sqlite.create_aggregate_function("sb_interval_avg", 1, PURE, IntervalSum { average: true })?;
    Ok(())
}

/// The values of a group as an array; the second argument is their type.
struct ArrayAgg;

impl Aggregate<Vec<Option<String>>, Value> for ArrayAgg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<Option<String>>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, items: &mut Vec<Option<String>>) -> rusqlite::Result<()> {
        items.push(array::shown(type_of(context, 1), context.get_raw(0)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, items: Option<Vec<Option<String>>>) -> rusqlite::Result<Value> {
        let text =
            |items: Vec<Option<String>>| Value::Text(array::format(items.iter().map(Option::as_deref)));
        Ok(items.map_or(Value::Null, text))
    }
}

/// The value of the only row that there may be.
struct Single;

impl Aggregate<Option<Value>, Value> for Single {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<Value>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, value: &mut Option<Value>) -> rusqlite::Result<()> {
        if value.is_some() {
            let message = "more than one row returned by a subquery used as an expression";
            return Err(packed(SqlError::new("21000", message)));
        }
        *value = Some(own(context.get_raw(0)).map_err(packed)?);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, value: Option<Option<Value>>) -> rusqlite::Result<Value> {
        Ok(value.flatten().unwrap_or(Value::Null))
    }
}

/// Exact sums and averages.
struct Sum {
    average: bool,
}

impl Aggregate<(BigDecimal, i64), Value> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<(BigDecimal, i64)> {
        Ok((BigDecimal::zero(), 0))
    }

    fn step(&self, context: &mut Context<'_>, total: &mut (BigDecimal, i64)) -> rusqlite::Result<()> {
        let value = own(context.get_raw(0)).map_err(packed)?;
        if value == Value::Null {
            return Ok(());
        }
        let text = output(Type::Numeric.into(), value_ref(&value));
        total.0 += numeric::stored(&text).map_err(packed)?;
        total.1 += 1;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<(BigDecimal, i64)>) -> rusqlite::Result<Value> {
        let Some((sum, count)) = total.filter(|(_, count)| *count > 0) else { return Ok(Value::Null) };
        let result = if self.average { numeric::divide(&sum, &BigDecimal::from(count)) } else { Ok(sum) };
        result.map(|value| Value::Text(numeric::format(&value))).map_err(packed)
    }
}

/// Sums and averages of intervals.
struct IntervalSum {
    average: bool,
}

impl Aggregate<(interval::Interval, i64), Value> for IntervalSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<(interval::Interval, i64)> {
        Ok(Default::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut (interval::Interval, i64)) -> rusqlite::Result<()> {
        let ValueRef::Text(text) = context.get_raw(0) else { return Ok(()) };
        let span = crate::sql::value::utf8(text).and_then(interval::stored);
        total.0 = span.and_then(|span| total.0.plus(span)).map_err(packed)?;
        total.1 += 1;
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        total: Option<(interval::Interval, i64)>,
    ) -> rusqlite::Result<Value> {
        let Some((sum, count)) = total.filter(|(_, count)| *count > 0) else { return Ok(Value::Null) };
        let result = if self.average { sum.over(count as f64) } else { Ok(sum) };
        result.map(|span| Value::Text(span.to_string())).map_err(packed)
    }
}

/// Variance and standard deviation of decimals; then whether of a sample, and whether the root is wanted.
struct Spread;

#[derive(Default)]
struct Squares {
    count: i64,
    sum: BigDecimal,
    squares: BigDecimal,
    sample: bool,
    root: bool,
}

impl Aggregate<Squares, Value> for Spread {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Squares> {
        Ok(Squares::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Squares) -> rusqlite::Result<()> {
        let ValueRef::Text(text) = context.get_raw(0) else { return Ok(()) };
        let value = crate::sql::value::utf8(text).and_then(numeric::stored).map_err(packed)?;
        total.count += 1;
        total.squares += &value * &value;
        total.sum += value;
        (total.sample, total.root) = (integer(context, 1) != 0, integer(context, 2) != 0);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<Squares>) -> rusqlite::Result<Value> {
        let Some(total) = total.filter(|total| total.count > i64::from(total.sample)) else {
            return Ok(Value::Null);
        };
        let count = BigDecimal::from(total.count);
        let spread = &count * &total.squares - &total.sum * &total.sum;
        if spread <= BigDecimal::zero() {
            return Ok(Value::Text("0".to_owned()));
        }
        let divisor = &count * BigDecimal::from(total.count - i64::from(total.sample));
        let variance = numeric::divide(&spread, &divisor).map_err(packed)?;
        let result = if total.root { numeric::sqrt(&variance) } else { variance };
        Ok(Value::Text(numeric::format(&result)))
    }
}

/// The same of floats, by the numerically stable recurrence.
struct FloatSpread;

#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    sample: bool,
    root: bool,
}

impl Aggregate<Moments, Value> for FloatSpread {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Moments> {
        Ok(Moments::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Moments) -> rusqlite::Result<()> {
        if context.get_raw(0) == ValueRef::Null {
            return Ok(());
        }
        let value = real(context.get_raw(0));
        total.count += 1.0;
        let delta = value - total.mean;
        total.mean += delta / total.count;
        total.squares += delta * (value - total.mean);
        (total.sample, total.root) = (integer(context, 1) != 0, integer(context, 2) != 0);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<Moments>) -> rusqlite::Result<Value> {
        let Some(total) = total else { return Ok(Value::Null) };
        let divisor = total.count - f64::from(u8::from(total.sample));
        if divisor <= 0.0 {
            return Ok(Value::Null);
        }
        let variance = total.squares / divisor;
        Ok(Value::Real(if total.root { variance.sqrt() } else { variance }))
    }
}

/// string_agg and array_agg with DISTINCT: the values sorted, each once.
struct DistinctAgg {
    array: bool,
}

/// The values, with the type of an array's or the separator of a text's.
type Distinct = (Vec<Value>, Option<Type>, String);

impl Aggregate<Distinct, Value> for DistinctAgg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Distinct> {
        Ok(Distinct::default())
    }

    fn step(&self, context: &mut Context<'_>, items: &mut Distinct) -> rusqlite::Result<()> {
        let value = own(context.get_raw(0)).map_err(packed)?;
        if self.array {
            items.1 = Some(type_of(context, 1));
        } else if value == Value::Null {
            return Ok(());
        } else {
            items.2 = context.get_raw(1).as_str().unwrap_or_default().to_owned();
        }
        items.0.push(value);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, items: Option<Distinct>) -> rusqlite::Result<Value> {
        let Some((mut values, ty, separator)) = items.filter(|(values, ..)| !values.is_empty()) else {
            return Ok(Value::Null);
        };
        let ty = ty.unwrap_or(Type::Text);
        // NULL comes last.
        let null = |value: &Value| *value == Value::Null;
        let order = |a: &Value, b: &Value| {
            null(a).cmp(&null(b)).then_with(|| compare(ty, value_ref(a), value_ref(b)))
        };
        values.sort_by(order);
        values.dedup_by(|a, b| order(a, b).is_eq());
        let shown: Vec<Option<String>> =
            values.iter().map(|value| array::shown(ty, value_ref(value))).collect();
        Ok(Value::Text(if self.array {
            array::format(shown.iter().map(Option::as_deref))
        } else {
            shown.into_iter().flatten().collect::<Vec<_>>().join(&separator)
        }))
    }
}
