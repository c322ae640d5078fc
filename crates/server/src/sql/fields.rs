//! The fields of instants and intervals: `extract`, `date_part` and `date_trunc`.

use super::datetime;
use super::error::{Result, SqlError};
use super::interval::{self, Interval};
use super::numeric;
use crate::engine::{Value, ValueRef};
use bigdecimal::BigDecimal;

/// Functions that take NULL for an answer too.
pub const WITH_NULLS: &[super::array::Function] = &[("sb_overlaps", 4, |a| {
    let end = |index: usize| if let ValueRef::Integer(end) = a[index] { Some(end) } else { None };
    let period = |start, end| match (start, end) {
        (None, None) => None,
        (None, Some(end)) => Some((end, None)),
        (Some(start), Some(end)) if end < start => Some((end, Some(start))),
        (Some(start), end) => Some((start, end)),
    };
    let (first, second) = (period(end(0), end(1)), period(end(2), end(3)));
    let Some((mut first, mut second)) = first.zip(second) else { return Ok(Value::Null) };
    if second.0 < first.0 {
        std::mem::swap(&mut first, &mut second);
    }
    Ok(match (first, second) {
        ((a, Some(_)), (b, Some(_))) if a == b => Value::Integer(1),
        ((a, _), (b, _)) if a == b => Value::Null,
        ((_, None), _) => Value::Null,
        ((_, Some(end)), (start, _)) if start < end => Value::Integer(1),
        (_, (_, None)) => Value::Null,
        _ => Value::Integer(0),
    })
})];

/// The error for a unit that a type doesn't have.
pub(super) fn unknown_unit(unit: &str, ty: &str) -> SqlError {
    SqlError::new("22023", format!("unit \"{unit}\" not recognized for type {ty}"))
}

/// The same for `extract`, which knows those that other types have.
pub(super) fn no_field(unit: &str, ty: &str) -> SqlError {
    let known = "millennium century decade year isoyear quarter month week day dow isodow doy julian timezone \
                 timezone_hour timezone_minute";
    if known.split(' ').any(|known| known == unit) {
        return SqlError::new("0A000", format!("unit \"{unit}\" not supported for type {ty}"));
    }
    unknown_unit(unit, ty)
}

pub(super) fn extract_interval(field: &str, span: Interval) -> Result<String> {
    let field = field.to_ascii_lowercase();
    span.field(&field).ok_or_else(|| no_field(&field, "interval"))
}

pub(super) fn date_part(field: &str, micros: i64, ty: &str) -> Result<Value> {
    Ok(Value::Real(extract(field, micros, ty)?.parse().unwrap_or(0.0)))
}

/// A field of an instant, as the text of a numeric.
pub(super) fn extract(field: &str, micros: i64, ty: &str) -> Result<String> {
    let (days, clock) = (micros.div_euclid(datetime::DAY), micros.rem_euclid(datetime::DAY));
    let date = datetime::date_of(days).ok_or_else(|| SqlError::new("22008", "timestamp out of range"))?;
    let year = i64::from(date.year());
    let part = match field.to_ascii_lowercase().as_str() {
        "year" | "years" => year,
        "decade" => year.div_euclid(10),
        "century" => (year + 99).div_euclid(100),
        "millennium" => (year + 999).div_euclid(1000),
        "quarter" => i64::from((date.month() - 1) / 3 + 1),
        "month" | "months" | "mon" => date.month().into(),
        "week" | "weeks" => date.iso_week_date().week().into(),
        "isoyear" => date.iso_week_date().year().into(),
        "day" | "days" => date.day().into(),
        "doy" => date.day_of_year().into(),
        "dow" => date.weekday().to_sunday_zero_offset().into(),
        "isodow" => date.weekday().to_monday_one_offset().into(),
        "julian" => {
            let whole = days + 2_451_545;
            if clock == 0 || ty == "date" {
                return Ok(whole.to_string());
            }
            let part = numeric::divide(&BigDecimal::from(clock), &BigDecimal::from(datetime::DAY))?;
            return Ok(numeric::format(&(BigDecimal::from(whole) + part)));
        }
        "hour" | "hours" => clock / 3_600_000_000,
        "minute" | "minutes" => clock / 60_000_000 % 60,
        "second" | "seconds" => return Ok(interval::micros_text(clock % 60_000_000, 6)),
        "milliseconds" => return Ok(interval::micros_text(clock % 60_000_000, 3)),
        "microseconds" => clock % 60_000_000,
        "epoch" => return Ok(interval::micros_text(micros + datetime::EPOCH_DAYS * datetime::DAY, 6)),
        unit @ ("timezone" | "timezone_hour" | "timezone_minute") => {
            return Err(SqlError::new("0A000", format!("unit \"{unit}\" not supported for type {ty}")));
        }
        other => return Err(unknown_unit(other, ty)),
    };
    Ok(part.to_string())
}

/// A unit's name in the form that [`date_trunc`] has.
pub(super) fn singular(unit: &str) -> &str {
    match unit {
        "hours" | "hour" | "h" | "hr" | "hrs" => "hour",
        "minutes" | "min" | "mins" | "m" => "minute",
        "seconds" | "sec" | "secs" | "s" => "second",
        "millisecond" | "ms" | "msec" | "msecs" => "milliseconds",
        "microsecond" | "us" | "usec" | "usecs" => "microseconds",
        "days" | "d" => "day",
        "weeks" | "w" => "week",
        "months" | "mon" | "mons" => "month",
        "years" | "y" | "yr" | "yrs" => "year",
        "decades" | "dec" | "decs" => "decade",
        "centuries" | "cent" | "c" => "century",
        "millennia" | "mil" | "mils" => "millennium",
        other => other,
    }
}

/// The start of a unit, such as the month, in which a local time lies.
pub(super) fn date_trunc(field: &str, micros: i64, ty: &str) -> Result<i64> {
    if datetime::is_infinite(micros) {
        return Ok(micros);
    }
    let (days, clock) = (micros.div_euclid(datetime::DAY), micros.rem_euclid(datetime::DAY));
    let date = datetime::date_of(days).ok_or_else(|| SqlError::new("22008", "timestamp out of range"))?;
    let first = |year: i16, month: i8| jiff::civil::Date::new(year, month, 1).map_or(days, datetime::days_of);
    let within = |unit: i64| micros - clock.rem_euclid(unit);
    let field = field.to_ascii_lowercase();
    let start = match singular(&field) {
        "microseconds" => return Ok(micros),
        "milliseconds" => return Ok(within(1000)),
        "second" => return Ok(within(1_000_000)),
        "minute" => return Ok(within(60_000_000)),
        "hour" => return Ok(within(3_600_000_000)),
        "day" => days,
        "week" => days - i64::from(date.weekday().to_monday_zero_offset()),
        "month" => first(date.year(), date.month()),
        "quarter" => first(date.year(), (date.month() - 1) / 3 * 3 + 1),
        "year" => first(date.year(), 1),
        "decade" => first(date.year().div_euclid(10) * 10, 1),
        "century" => first((date.year() - 1).div_euclid(100) * 100 + 1, 1),
        "millennium" => first((date.year() - 1).div_euclid(1000) * 1000 + 1, 1),
        _ => return Err(unknown_unit(&field, ty)),
    };
    Ok(start * datetime::DAY)
}
