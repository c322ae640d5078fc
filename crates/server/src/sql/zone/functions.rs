//! The functions of instants that ask the session for its zone, and those that are given one.

use crate::engine::{Value, ValueRef};
use crate::sql::datetime;
use crate::sql::error::{Result, SqlError};
use crate::sql::fields;
use crate::sql::functions::{Scalar, int, number, real, row, shown, span, text, text_result, zoned};
use crate::sql::interval::{self, Interval};
use crate::sql::types::Type;
use crate::sql::types::Type::{Float8, Int4, Numeric, Text, Timestamp, Timestamptz};
use crate::sql::zone::{self, Zone};

/// See above.
pub(in crate::sql) const FUNCTIONS: &[Scalar] = &[
    zoned("to_char", &[Timestamptz, Text], Text, |a| {
        zone::with(|zone| {
            text_result(datetime::to_char(
                zone.local(number(a, 0)),
                text(a, 1)?,
                Some(&zone.at(number(a, 0))),
            )?)
        })
    }),
    zoned("timestamptz_pl_interval", &[Timestamptz, Type::Interval], Timestamptz, |a| moved(a, span(a, 1)?)),
    zoned("timestamptz_mi_interval", &[Timestamptz, Type::Interval], Timestamptz, |a| {
        moved(a, span(a, 1)?.negated()?)
    }),
    zoned("age", &[Timestamptz, Timestamptz], Type::Interval, |a| {
        zone::with(|zone| shown(interval::age(zone.local(number(a, 0)), zone.local(number(a, 1)))?))
    }),
    zoned("extract", &[Text, Timestamptz], Numeric, |a| text_result(extract(a)?)),
    zoned("date_part", &[Text, Timestamptz], Float8, |a| Ok(Value::Real(extract(a)?.parse().unwrap_or(0.0)))),
    zoned("date_trunc", &[Text, Timestamptz], Timestamptz, |a| {
        zone::with(|zone| truncated(text(a, 0)?, number(a, 1), zone))
    }),
    zoned("date_trunc", &[Text, Timestamptz, Text], Timestamptz, |a| {
        truncated(text(a, 0)?, number(a, 1), &Zone::of_text(text(a, 2)?)?)
    }),
    zoned("make_timestamptz", &[Int4, Int4, Int4, Int4, Int4, Float8], Timestamptz, |a| {
        let local = made(a)?;
        zone::with(|zone| Ok(int(zone.instant(local))))
    }),
    zoned("make_timestamptz", &[Int4, Int4, Int4, Int4, Int4, Float8, Text], Timestamptz, |a| {
        let name = text(a, 6)?;
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            let message = format!("invalid input syntax for type numeric time zone: \"{name}\"");
            let hint = "Numeric time zones must have \"-\" or \"+\" as first character.";
            return Err(SqlError::new("22023", message).hint(hint));
        }
        let local = made(a)?;
        Ok(int(match datetime::offset(name) {
            Some(offset) => local - offset,
            None => Zone::of_text(name)?.instant(local),
        }))
    }),
    row("make_time", &[Int4, Int4, Float8], Type::Time, |a| {
        clock(number(a, 0), number(a, 1), real(a, 2)).map(int)
    }),
    row("isfinite", &[Type::Date], Type::Bool, |a| {
        Ok(int(i64::from(!datetime::is_infinite(datetime::convert(Type::Date, Timestamp, number(a, 0))))))
    }),
    row("isfinite", &[Timestamp], Type::Bool, |a| Ok(int(i64::from(!datetime::is_infinite(number(a, 0)))))),
    row("isfinite", &[Timestamptz], Type::Bool, |a| Ok(int(i64::from(!datetime::is_infinite(number(a, 0)))))),
    row("date_bin", &[Type::Interval, Timestamp, Timestamp], Timestamp, |a| {
        binned(span(a, 0)?, number(a, 1), number(a, 2))
    }),
    row("date_bin", &[Type::Interval, Timestamptz, Timestamptz], Timestamptz, |a| {
        binned(span(a, 0)?, number(a, 1), number(a, 2))
    }),
    row("make_timestamp", &[Int4, Int4, Int4, Int4, Int4, Float8], Timestamp, |a| made(a).map(int)),
    // The text of an instant within a document.
    zoned("sb_json_instant", &[Timestamptz], Text, |a| {
        text_result(datetime::json_text(&datetime::format(Timestamptz, number(a, 0))))
    }),
    row("timezone", &[Text, Timestamptz], Timestamp, |a| {
        Ok(int(Zone::of_text(text(a, 0)?)?.local(number(a, 1))))
    }),
    row("timezone", &[Text, Timestamp], Timestamptz, |a| {
        Ok(int(Zone::of_text(text(a, 0)?)?.instant(number(a, 1))))
    }),
    row("timezone", &[Type::Interval, Timestamptz], Timestamp, |a| {
        Ok(int(number(a, 1).saturating_add(offset(span(a, 0)?)?)))
    }),
    row("timezone", &[Type::Interval, Timestamp], Timestamptz, |a| {
        Ok(int(number(a, 1).saturating_sub(offset(span(a, 0)?)?)))
    }),
];

/// A zone given as an interval, in microseconds east of UTC.
pub(in crate::sql) fn offset(span: Interval) -> Result<i64> {
    if span.months == 0 && span.days == 0 {
        return Ok(span.micros);
    }
    Err(SqlError::new("22023", format!("interval time zone \"{span}\" must not include months or days")))
}

/// Months and days by the zone's calendar, so that a day may have 23 or 25 hours; then the clock.
fn moved(args: &[ValueRef<'_>], by: Interval) -> Result<Value> {
    let mut at = number(args, 0);
    zone::with(|zone| {
        for part in [
            Interval { months: by.months, ..Interval::default() },
            Interval { days: by.days, ..Interval::default() },
        ] {
            if part != Interval::default() {
                at = zone.instant(interval::moved(zone.local(at), part)?);
            }
        }
        interval::moved(at, Interval { micros: by.micros, ..Interval::default() }).map(int)
    })
}

fn extract(args: &[ValueRef<'_>]) -> Result<String> {
    let (field, instant) = (text(args, 0)?.to_ascii_lowercase(), number(args, 1));
    let (offset, local) = zone::with(|zone| (zone.offset(instant), zone.local(instant)));
    Ok(match field.as_str() {
        "timezone" => offset.to_string(),
        "timezone_hour" => (offset / 3600).to_string(),
        "timezone_minute" => (offset / 60 % 60).to_string(),
        "epoch" => fields::extract("epoch", instant, "timestamp with time zone")?,
        field => fields::extract(field, local, "timestamp with time zone")?,
    })
}

/// Up to the hour the clock stays as it is; a day begins when the zone's clocks say so.
fn truncated(field: &str, instant: i64, zone: &Zone) -> Result<Value> {
    let local = zone.local(instant);
    let start = fields::date_trunc(field, local, "timestamp with time zone")?;
    let field = field.to_ascii_lowercase();
    let field = fields::singular(&field);
    let within_day = ["microseconds", "milliseconds", "second", "minute", "hour"].contains(&field);
    Ok(int(if within_day { instant - (local - start) } else { zone.instant(start) }))
}

/// The moment of year, month, day, hour, minute and second.
fn made(args: &[ValueRef<'_>]) -> Result<i64> {
    let part = |index: usize| number(args, index);
    let small = |index: usize| i8::try_from(part(index)).ok();
    // There is no year 0: -1 comes before 1.
    let year = i16::try_from(if part(0) < 0 { part(0) + 1 } else { part(0) }).ok().filter(|_| part(0) != 0);
    let date = year.zip(small(1)).zip(small(2)).and_then(|((y, m), d)| jiff::civil::Date::new(y, m, d).ok());
    let date = date.ok_or_else(|| {
        SqlError::new(
            "22008",
            format!("date field value out of range: {}-{:02}-{:02}", part(0), part(1), part(2)),
        )
    })?;
    Ok(datetime::days_of(date) * datetime::DAY + clock(part(3), part(4), real(args, 5))?)
}

/// Microseconds of a day.
fn clock(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let legal = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    let micros = hour.saturating_mul(60).saturating_add(minute).saturating_mul(60_000_000);
    let micros = micros.saturating_add((second * 1e6).round_ties_even() as i64);
    if legal && micros <= datetime::DAY {
        return Ok(micros);
    }
    let message = format!("time field value out of range: {hour}:{minute:02}:{second:02}");
    Err(SqlError::new("22008", message))
}

/// The start of the stride in which a moment lies, counted from an origin.
fn binned(stride: Interval, moment: i64, origin: i64) -> Result<Value> {
    if stride.months != 0 {
        return Err(SqlError::unsupported(
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let width =
        i64::from(stride.days).checked_mul(datetime::DAY).and_then(|days| days.checked_add(stride.micros));
    let width = width.filter(|width| *width > 0);
    let width = width.ok_or_else(|| SqlError::new("22008", "stride must be greater than zero"))?;
    if datetime::is_infinite(moment) {
        return Ok(int(moment));
    }
    let gone = || SqlError::new("22008", "interval out of range");
    let past = moment.checked_sub(origin).ok_or_else(gone)?;
    Ok(int(moment - past.rem_euclid(width)))
}
