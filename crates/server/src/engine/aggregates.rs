//! The aggregates that SQLite is taught: exact sums, intervals, spreads, arrays.

use super::functions::{PURE, compare, integer, own, packed, real, type_of};
use super::{Value, ValueRef};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use crate::sql::value::{no_nan, output, value_ref};
use crate::sql::{array, interval, numeric};
use bigdecimal::{BigDecimal, Zero};
use rusqlite::Connection as Sqlite;
use rusqlite::functions::{Aggregate, Context, WindowAggregate};
use std::collections::VecDeque;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Registers them on a new connection.
pub fn register(sqlite: &Sqlite) -> rusqlite::Result<()> {
    sqlite.create_aggregate_function("sb_percentile", 5, PURE, super::percentile::Percentile)?;
    sqlite.create_aggregate_function("sb_string_agg_distinct", 2, PURE, DistinctAgg { array: false })?;
    sqlite.create_aggregate_function("sb_array_agg_distinct", 2, PURE, DistinctAgg { array: true })?;
    running(sqlite, "sb_sum", 1, Sum { average: false })?;
    running(sqlite, "sb_avg", 1, Sum { average: true })?;
    running(sqlite, "sb_sum_float", 1, FloatSum { average: false, narrow: false })?;
    running(sqlite, "sb_sum_real", 1, FloatSum { average: false, narrow: true })?;
    running(sqlite, "sb_avg_float", 1, FloatSum { average: true, narrow: false })?;
    running(sqlite, "sb_array_agg", 2, ArrayAgg)?;
    running(sqlite, "sb_spread", 3, Spread)?;
    running(sqlite, "sb_spread_float", 3, FloatSpread)?;
    running(sqlite, "sb_interval_sum", 1, IntervalSum { average: false })?;
    running(sqlite, "sb_interval_avg", 1, IntervalSum { average: true })
}

fn running<R: Running>(sqlite: &Sqlite, name: &str, count: i32, of: R) -> rusqlite::Result<()> {
    sqlite.create_window_function(name, count, PURE, Windowed(of))
}

/// An aggregate that also runs over a window: rows come in at its end and leave at its start.
trait Running: Send + 'static {
    type Total: Default + Send + UnwindSafe + RefUnwindSafe;

    /// A row comes in, or leaves where `sign` is -1.
    fn step(&self, context: &Context<'_>, total: &mut Self::Total, sign: i8) -> Result<()>;

    /// What the rows come to.
    fn outcome(&self, total: &Self::Total) -> Result<Value>;
}

struct Windowed<R>(R);

impl<R: Running> Aggregate<R::Total, Value> for Windowed<R> {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<R::Total> {
        Ok(R::Total::default())
    }

    fn step(&self, context: &mut Context<'_>, total: &mut R::Total) -> rusqlite::Result<()> {
        self.0.step(context, total, 1).map_err(packed)
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<R::Total>) -> rusqlite::Result<Value> {
        total.map_or(Ok(Value::Null), |total| self.0.outcome(&total)).map_err(packed)
    }
}

impl<R: Running> WindowAggregate<R::Total, Value> for Windowed<R> {
    fn value(&self, total: Option<&mut R::Total>) -> rusqlite::Result<Value> {
        total.map_or(Ok(Value::Null), |total| self.0.outcome(total)).map_err(packed)
    }

    fn inverse(&self, context: &mut Context<'_>, total: &mut R::Total) -> rusqlite::Result<()> {
        self.0.step(context, total, -1).map_err(packed)
    }
}

/// The values of a group as an array; the second argument is their type.
struct ArrayAgg;

impl Running for ArrayAgg {
    type Total = VecDeque<Option<String>>;

    fn step(&self, context: &Context<'_>, items: &mut Self::Total, sign: i8) -> Result<()> {
        if sign > 0 {
            items.push_back(array::shown(type_of(context, 1), context.get_raw(0)));
        } else {
            items.pop_front();
        }
        Ok(())
    }

    fn outcome(&self, items: &Self::Total) -> Result<Value> {
        if items.is_empty() {
            return Ok(Value::Null);
        }
        Ok(Value::Text(array::format(items.iter().map(Option::as_deref))))
    }
}

/// Exact sums and averages.
struct Sum {
    average: bool,
}

impl Running for Sum {
    type Total = (BigDecimal, i64);

    fn step(&self, context: &Context<'_>, total: &mut Self::Total, sign: i8) -> Result<()> {
        let value = own(context.get_raw(0))?;
        if value == Value::Null {
            return Ok(());
        }
        let value = numeric::stored(&output(Type::Numeric.into(), value_ref(&value)))?;
        if sign > 0 {
            total.0 += value;
        } else {
            total.0 -= value;
        }
        total.1 += i64::from(sign);
        Ok(())
    }

    fn outcome(&self, (sum, count): &Self::Total) -> Result<Value> {
        if *count == 0 {
            return Ok(Value::Null);
        }
        if self.average {
            return numeric::divide(sum, &BigDecimal::from(*count)).map(|v| Value::Text(numeric::format(&v)));
        }
        Ok(Value::Text(numeric::format(sum)))
    }
}

/// Sums and averages of floats: those of SQLite are NULL where Postgres' are NaN, and infinite where Postgres refuses.
struct FloatSum {
    average: bool,
    /// Of `real`, whose sums are rounded at each step.
    narrow: bool,
}

#[derive(Default)]
struct Floats {
    count: i64,
    /// As Postgres adds.
    sum: f64,
    /// What adding has rounded away: only rows that leave a window need it, because taking them out brings it to light.
    lost: f64,
    left: bool,
    /// How many of the values are infinite: above and below.
    infinite: [i64; 2],
}

impl Running for FloatSum {
    type Total = Floats;

    fn step(&self, context: &Context<'_>, total: &mut Floats, sign: i8) -> Result<()> {
        if context.get_raw(0) == ValueRef::Null {
            return Ok(());
        }
        let value = real(context.get_raw(0));
        total.count += i64::from(sign);
        total.left |= sign < 0;
        if value.is_infinite() {
            total.infinite[usize::from(value < 0.0)] += i64::from(sign);
            return Ok(());
        }
        let (before, value) = (total.sum, value * f64::from(sign));
        total.sum += value;
        total.lost += if before.abs() >= value.abs() {
            (before - total.sum) + value
        } else {
            (value - total.sum) + before
        };
        if self.narrow {
            total.sum = f64::from(total.sum as f32);
        }
        if total.sum.is_finite() {
            return Ok(());
        }
        Err(SqlError::new("22003", "value out of range: overflow"))
    }

    fn outcome(&self, total: &Floats) -> Result<Value> {
        let sum = match total.infinite {
            _ if total.count == 0 => return Ok(Value::Null),
            [0, 0] if total.left && !self.narrow => total.sum + total.lost,
            [0, 0] => total.sum,
            [_, 0] => f64::INFINITY,
            [0, _] => f64::NEG_INFINITY,
            _ => return Err(no_nan()),
        };
        Ok(Value::Real(if self.average { sum / total.count as f64 } else { sum }))
    }
}

/// Sums and averages of intervals.
struct IntervalSum {
    average: bool,
}

impl Running for IntervalSum {
    type Total = (interval::Interval, i64);

    fn step(&self, context: &Context<'_>, total: &mut Self::Total, sign: i8) -> Result<()> {
        let ValueRef::Text(text) = context.get_raw(0) else { return Ok(()) };
        let span = crate::sql::value::utf8(text).and_then(interval::stored)?;
        total.0 = total.0.plus(if sign > 0 { span } else { span.negated()? })?;
        total.1 += i64::from(sign);
        Ok(())
    }

    fn outcome(&self, (sum, count): &Self::Total) -> Result<Value> {
        if *count == 0 {
            return Ok(Value::Null);
        }
        let result = if self.average { sum.times(1.0 / *count as f64)? } else { *sum };
        Ok(Value::Text(result.to_string()))
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

impl Running for Spread {
    type Total = Squares;

    fn step(&self, context: &Context<'_>, total: &mut Squares, sign: i8) -> Result<()> {
        let ValueRef::Text(text) = context.get_raw(0) else { return Ok(()) };
        let value = crate::sql::value::utf8(text).and_then(numeric::stored)?;
        total.count += i64::from(sign);
        let square = &value * &value;
        if sign > 0 {
            total.squares += square;
            total.sum += value;
        } else {
            total.squares -= square;
            total.sum -= value;
        }
        (total.sample, total.root) = (integer(context, 1) != 0, integer(context, 2) != 0);
        Ok(())
    }

    fn outcome(&self, total: &Squares) -> Result<Value> {
        if total.count <= i64::from(total.sample) {
            return Ok(Value::Null);
        }
        let count = BigDecimal::from(total.count);
        let spread = &count * &total.squares - &total.sum * &total.sum;
        if spread <= BigDecimal::zero() {
            return Ok(Value::Text("0".to_owned()));
        }
        let divisor = &count * BigDecimal::from(total.count - i64::from(total.sample));
        let variance = numeric::divide(&spread, &divisor)?;
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
    infinite: i64,
    sample: bool,
    root: bool,
}

impl Running for FloatSpread {
    type Total = Moments;

    fn step(&self, context: &Context<'_>, total: &mut Moments, sign: i8) -> Result<()> {
        if context.get_raw(0) == ValueRef::Null {
            return Ok(());
        }
        let value = real(context.get_raw(0));
        (total.sample, total.root) = (integer(context, 1) != 0, integer(context, 2) != 0);
        if value.is_infinite() {
            total.infinite += i64::from(sign);
            return Ok(());
        }
        let (before, delta) = (total.count, value - total.mean);
        total.count += f64::from(sign);
        if total.count == 0.0 {
            (total.mean, total.squares) = (0.0, 0.0);
        } else if sign > 0 {
            total.mean += delta / total.count;
            total.squares += delta * (value - total.mean);
        } else {
            let mean = (total.mean * before - value) / total.count;
            total.squares -= delta * (value - mean);
            total.mean = mean;
        }
        Ok(())
    }

    fn outcome(&self, total: &Moments) -> Result<Value> {
        let count = total.count + total.infinite as f64;
        let divisor = count - f64::from(u8::from(total.sample));
        if divisor <= 0.0 {
            return Ok(Value::Null);
        }
        if total.infinite > 0 {
            return Err(no_nan());
        }
        let variance = total.squares.max(0.0) / divisor;
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
