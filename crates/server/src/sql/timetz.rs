//! `time with time zone`: a clock and how far east of UTC it hangs.
//!
//! Both are packed into one number, so that it sorts, and is found in an index, as Postgres sorts such times: first by
//! the moment of a day in UTC, and what is the same moment from east to west.

use super::datetime::{self, DAY};
use super::error::{Result, SqlError};
use super::fields::{extract_interval, no_field};
use super::functions::{Scalar, int, number, row, span, text, text_result, zoned};
use super::interval::Interval;
use super::types::Type;
use super::types::Type::{Float8, Numeric, Text, Timestamptz, Timetz};
use super::zone::{self, Zone};
use crate::engine::{Value, ValueRef};

/// The bits of the zone, which is less than 16 hours to either side.
const ZONE_BITS: u32 = 17;
const SECOND: i64 = 1_000_000;

/// A clock's microseconds and the seconds that it is east of UTC, as one number.
pub fn pack(clock: i64, east: i32) -> i64 {
    let west = (1 << (ZONE_BITS - 1)) - i64::from(east);
    ((clock - i64::from(east) * SECOND) << ZONE_BITS) | west
}

/// A clock's microseconds and the seconds that it is east of UTC.
pub fn unpack(packed: i64) -> (i64, i32) {
    let east = (1 << (ZONE_BITS - 1)) - (packed & ((1 << ZONE_BITS) - 1));
    ((packed >> ZONE_BITS) + east * SECOND, i32::try_from(east).unwrap_or(0))
}

/// A clock with the zone of the session, as it is today.
pub fn today(clock: i64) -> i64 {
    zone::with(|zone| {
        let day = zone.local(datetime::now()).div_euclid(DAY);
        pack(clock, zone.offset(zone.instant(day * DAY + clock)))
    })
}

/// An instant's clock in the session's zone.
pub fn of_instant(instant: i64) -> i64 {
    zone::with(|zone| pack(zone.local(instant).rem_euclid(DAY), zone.offset(instant)))
}

/// The text, such as `12:30:00+01`.
pub fn format(packed: i64) -> String {
    let (clock, east) = unpack(packed);
    datetime::format(Type::Time, clock) + &zone::signed(east)
}

/// Turned on by an interval, whose days and months don't count; the zone stays.
fn turned(packed: i64, by: i64) -> Value {
    let (clock, east) = unpack(packed);
    int(pack((clock + by).rem_euclid(DAY), east))
}

/// The same moment in another zone.
fn moved(packed: i64, east: i32) -> Value {
    let (clock, old) = unpack(packed);
    int(pack((clock + i64::from(east - old) * SECOND).rem_euclid(DAY), east))
}

fn extract(args: &[ValueRef<'_>]) -> Result<String> {
    let (field, (clock, east)) = (text(args, 0)?.to_ascii_lowercase(), unpack(number(args, 1)));
    let span = |micros| Interval { micros, ..Interval::default() };
    match field.as_str() {
        "timezone" => Ok(east.to_string()),
        "timezone_hour" => Ok((east / 3600).to_string()),
        "timezone_minute" => Ok((east / 60 % 60).to_string()),
        "epoch" => extract_interval("epoch", span(clock - i64::from(east) * SECOND)),
        "hour" | "minute" | "second" | "milliseconds" | "microseconds" => {
            extract_interval(&field, span(clock))
        }
        other => Err(no_field(other, "time with time zone")),
    }
}

/// See above.
pub(super) const FUNCTIONS: &[Scalar] = &[
    row("timetz_pl_interval", &[Timetz, Type::Interval], Timetz, |a| {
        Ok(turned(number(a, 0), span(a, 1)?.micros % DAY))
    }),
    row("timetz_mi_interval", &[Timetz, Type::Interval], Timetz, |a| {
        Ok(turned(number(a, 0), -(span(a, 1)?.micros % DAY)))
    }),
    row("datetimetz_pl", &[Type::Date, Timetz], Timestamptz, |a| {
        let (clock, east) = unpack(number(a, 1));
        let start = datetime::convert(Type::Date, Type::Timestamp, number(a, 0));
        if datetime::is_infinite(start) {
            return Ok(int(start));
        }
        let moment = start.checked_add(clock - i64::from(east) * SECOND);
        moment.map(int).ok_or_else(|| SqlError::new("22008", "timestamp out of range"))
    }),
    row("extract", &[Text, Timetz], Numeric, |a| text_result(extract(a)?)),
    row("date_part", &[Text, Timetz], Float8, |a| Ok(Value::Real(extract(a)?.parse().unwrap_or(0.0)))),
    // What a zone has changes with the day, and today's counts.
    zoned("timezone", &[Text, Timetz], Timetz, |a| {
        let zone = Zone::of_text(text(a, 0)?)?;
        Ok(moved(number(a, 1), zone.offset(datetime::now())))
    }),
    row("timezone", &[Type::Interval, Timetz], Timetz, |a| {
        let east = zone::functions::offset(span(a, 0)?)? / SECOND;
        let far = || SqlError::new("22009", "time zone displacement out of range");
        let east = i32::try_from(east).ok().filter(|east| east.abs() < 16 * 3600).ok_or_else(far)?;
        Ok(moved(number(a, 1), east))
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_sort_as_the_times() {
        let read = |text: &str| datetime::parse(Timetz, text).unwrap();
        let sorted = [
            "00:00+15:59:59",
            "12:00:00+02",
            "13:00:00+03",
            "12:00:00+01",
            "11:00:00+00",
            "10:00:00-01",
            "12:00:00.5+00",
            "23:59:59.999999+00",
            "24:00:00-15:59:59",
        ];
        let mut shuffled = sorted;
        shuffled.reverse();
        shuffled.sort_by_key(|text| read(text));
        // The same moment: the one further east is first.
        assert_eq!(shuffled[1..3], ["13:00:00+03", "12:00:00+02"]);
        shuffled.swap(1, 2);
        assert_eq!(shuffled, sorted);
        for text in &sorted[1..8] {
            assert_eq!(format(read(text)), *text);
        }
        assert_eq!(unpack(read("24:00:00-15:59:59")), (DAY, -57_599));
    }
}
