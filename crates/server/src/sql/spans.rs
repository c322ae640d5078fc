//! Intervals in words: what Postgres reads as one, and the fields that a declaration keeps of it.
//!
//! A text is read from its end, because what stands behind a number says what the number counts: `1 2:03` is a
//! day and a clock. No field may be named twice.

use super::datetime::DAY;
use super::error::{Result, SqlError};
use super::interval::{HOUR, Interval};
use super::numeric;
use bigdecimal::{BigDecimal, Zero};
use sqlparser::ast::{DateTimeField, IntervalFields};

const MINUTE: i64 = HOUR / 60;
const SECOND: i64 = MINUTE / 60;
/// The bits of the fields in a modifier, as Postgres numbers them.
const MONTHS: i32 = 1 << 1;
const YEARS: i32 = 1 << 2;
const DAYS: i32 = 1 << 3;
const HOURS: i32 = 1 << 10;
const MINUTES: i32 = 1 << 11;
const SECONDS: i32 = 1 << 12;
const ALL_FIELDS: i32 = 0x7fff;
const ALL_DIGITS: i32 = 0xffff;

/// The modifier of a declared interval: `interval day to minute`, `interval(3)`; -1 if it says nothing.
pub fn typmod(fields: Option<&IntervalFields>, precision: Option<u64>) -> i32 {
    let range = fields.map(|fields| match fields {
        IntervalFields::Year => YEARS,
        IntervalFields::Month => MONTHS,
        IntervalFields::Day => DAYS,
        IntervalFields::Hour => HOURS,
        IntervalFields::Minute => MINUTES,
        IntervalFields::Second => SECONDS,
        IntervalFields::YearToMonth => YEARS | MONTHS,
        IntervalFields::DayToHour => DAYS | HOURS,
        IntervalFields::DayToMinute => DAYS | HOURS | MINUTES,
        IntervalFields::DayToSecond => DAYS | HOURS | MINUTES | SECONDS,
        IntervalFields::HourToMinute => HOURS | MINUTES,
        IntervalFields::HourToSecond => HOURS | MINUTES | SECONDS,
        IntervalFields::MinuteToSecond => MINUTES | SECONDS,
    });
    modifier(range, precision)
}

/// The modifier of `interval '…' DAY TO SECOND(3)`; `None` for fields that no interval has.
pub fn literal_typmod(
    first: Option<&DateTimeField>,
    last: Option<&DateTimeField>,
    precision: Option<u64>,
) -> Option<i32> {
    const LADDER: [i32; 6] = [YEARS, MONTHS, DAYS, HOURS, MINUTES, SECONDS];
    let Some(first) = first else { return Some(modifier(None, precision)) };
    let rung = |field: &DateTimeField| {
        Some(match field {
            DateTimeField::Year => 0,
            DateTimeField::Month => 1,
            DateTimeField::Day => 2,
            DateTimeField::Hour => 3,
            DateTimeField::Minute => 4,
            DateTimeField::Second => 5,
            _ => return None,
        })
    };
    let from = rung(first)?;
    let to = last.map_or(Some(from), rung)?;
    let range = LADDER.get(from..=to)?.iter().fold(0, |range, field| range | field);
    Some(modifier(Some(range), precision))
}

fn modifier(range: Option<i32>, precision: Option<u64>) -> i32 {
    if range.is_none() && precision.is_none() {
        return -1;
    }
    let digits = precision.map_or(ALL_DIGITS, |digits| digits.min(6) as i32);
    (range.unwrap_or(ALL_FIELDS) << 16) | digits
}

/// What follows the word `interval` in the name of a type with a modifier.
pub fn shown(typmod: i32) -> String {
    const NAMES: [(i32, &str); 6] = [
        (YEARS, "year"),
        (MONTHS, "month"),
        (DAYS, "day"),
        (HOURS, "hour"),
        (MINUTES, "minute"),
        (SECONDS, "second"),
    ];
    let (range, digits) = (typmod >> 16, typmod & ALL_DIGITS);
    let mut text = String::new();
    if range != ALL_FIELDS {
        let mut names = NAMES.iter().filter(|(bit, _)| range & bit != 0).map(|(_, name)| *name);
        let first = names.next().unwrap_or_default();
        text = format!(" {first}");
        if let Some(last) = names.next_back() {
            text += &format!(" to {last}");
        }
    }
    if digits != ALL_DIGITS {
        text += &format!("({digits})");
    }
    text
}

/// Cuts an interval to the fields and the digits that a modifier keeps.
pub fn kept(mut span: Interval, typmod: i32) -> Interval {
    if typmod < 0 {
        return span;
    }
    let (range, digits) = (typmod >> 16, typmod & ALL_DIGITS);
    if range != ALL_FIELDS {
        // The last field of the range is the finest that is kept; coarser ones are kept always.
        if range & (DAYS | HOURS | MINUTES | SECONDS) == 0 {
            span = Interval { months: span.months, ..Interval::default() };
            if range == YEARS {
                span.months -= span.months % 12;
            }
        } else {
            let unit = match range {
                range if range & SECONDS != 0 => 1,
                range if range & MINUTES != 0 => MINUTE,
                range if range & HOURS != 0 => HOUR,
                _ => i64::MAX,
            };
            span.micros -= span.micros % unit;
            if unit == i64::MAX {
                span.micros = 0;
            }
        }
    }
    if let Ok(digits @ 0..=5) = u32::try_from(digits) {
        let unit = 10_i64.pow(6 - digits);
        let half = unit / 2 * span.micros.signum();
        span.micros = span.micros.saturating_add(half) / unit * unit;
    }
    span
}

/// Reads an interval: `1 year 2 days 03:04:05`, `1-2`, `P1Y2DT3H`, `5 minutes ago`. What a number without a unit
/// counts, the modifier says: seconds if there is none.
pub fn parse(text: &str, typmod: i32) -> Result<Interval> {
    let bad = || SqlError::new("22007", format!("invalid input syntax for type interval: \"{text}\""));
    let overflow = || SqlError::new("22015", format!("interval field value out of range: \"{text}\""));
    let lower = text.trim().to_ascii_lowercase();
    let read = match lower.strip_prefix('p') {
        Some(iso) => iso_parts(iso),
        None => words(&lower, if typmod < 0 { ALL_FIELDS } else { typmod >> 16 }),
    };
    match read {
        Ok(span) => Ok(kept(span, typmod)),
        Err(Trouble::Syntax) => Err(bad()),
        Err(Trouble::Overflow) => Err(overflow()),
    }
}

enum Trouble {
    Syntax,
    Overflow,
}

type Read<T> = std::result::Result<T, Trouble>;

/// What a number counts.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// So many months.
    Months(i32),
    /// So many days.
    Days(i32),
    /// So many microseconds.
    Clock(i64),
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "millennium" | "millennia" | "mil" | "mils" => Unit::Months(12_000),
        "century" | "centuries" | "c" | "cent" => Unit::Months(1200),
        "decade" | "decades" | "dec" | "decs" => Unit::Months(120),
        "year" | "years" | "yr" | "yrs" | "y" => Unit::Months(12),
        "month" | "months" | "mon" | "mons" => Unit::Months(1),
        "week" | "weeks" | "w" => Unit::Days(7),
        "day" | "days" | "d" => Unit::Days(1),
        "hour" | "hours" | "hr" | "hrs" | "h" => Unit::Clock(HOUR),
        "minute" | "minutes" | "min" | "mins" | "m" => Unit::Clock(MINUTE),
        "second" | "seconds" | "sec" | "secs" | "s" => Unit::Clock(SECOND),
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => {
            Unit::Clock(1000)
        }
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" | "usecond" | "useconds" => Unit::Clock(1),
        _ => return None,
    })
}

/// The bit by which a unit is known to have been named.
fn mark(unit: Unit, fraction: bool) -> u32 {
    match unit {
        Unit::Months(12_000) => 1,
        Unit::Months(1200) => 2,
        Unit::Months(120) => 4,
        Unit::Months(12) => 8,
        Unit::Months(_) => 16,
        Unit::Days(7) => 32,
        Unit::Days(_) => 64,
        Unit::Clock(HOUR) => 128,
        Unit::Clock(MINUTE) => 256,
        // A fraction of a second says how many milliseconds and microseconds there are.
        Unit::Clock(SECOND) if fraction => 512 | 1024 | 2048,
        Unit::Clock(SECOND) => 512,
        Unit::Clock(1000) => 1024,
        Unit::Clock(_) => 2048,
    }
}

const CLOCK_MARKS: u32 = 128 | 256 | 512 | 1024 | 2048;

fn words(text: &str, range: i32) -> Read<Interval> {
    let spaced = separated(text);
    let mut words: Vec<&str> = spaced.split_whitespace().filter(|word| *word != "@").collect();
    let ago = words.last() == Some(&"ago");
    if ago {
        words.pop();
    }
    let bare = match range {
        YEARS => Unit::Months(12),
        range if range & SECONDS != 0 => Unit::Clock(SECOND),
        range if range & MINUTES != 0 => Unit::Clock(MINUTE),
        range if range & HOURS != 0 => Unit::Clock(HOUR),
        range if range & DAYS != 0 => Unit::Days(1),
        _ => Unit::Months(1),
    };
    let (mut of, mut named) = (bare, false);
    let (mut total, mut seen, mut any) = (Interval::default(), 0_u32, false);
    for word in words.iter().rev() {
        if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            // Two units for one number, or a unit at the start.
            if named {
                return Err(Trouble::Syntax);
            }
            (of, named) = (unit(word).ok_or(Trouble::Syntax)?, true);
            continue;
        }
        let (sign, digits) = match word.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let (part, marks) = if digits.contains(':') {
            of = Unit::Days(1);
            let micros = clock(digits, range)?;
            (Interval { micros: sign * micros, ..Interval::default() }, CLOCK_MARKS)
        } else if let Some((years, months)) = digits.split_once('-') {
            of = Unit::Months(1);
            let number = |part: &str| {
                let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                if !digits {
                    Err(Trouble::Syntax)
                } else {
                    part.parse::<i32>().map_err(|_| Trouble::Overflow)
                }
            };
            let (years, months) = (number(years)?, number(months)?);
            if months > 11 {
                return Err(Trouble::Overflow);
            }
            let months = years.checked_mul(12).and_then(|n| n.checked_add(months));
            let months = months.ok_or(Trouble::Overflow)? * sign as i32;
            (Interval { months, ..Interval::default() }, 8 | 16)
        } else {
            let count = counted(word)?;
            let fraction = !(&count - count.with_scale(0)).is_zero();
            let part = measured(&count, of)?;
            let marks = mark(of, fraction);
            if of == Unit::Clock(HOUR) {
                of = Unit::Days(1);
            }
            (part, marks)
        };
        if seen & marks != 0 {
            return Err(Trouble::Syntax);
        }
        (seen, named, any) = (seen | marks, false, true);
        total = total.plus(part).map_err(|_| Trouble::Overflow)?;
    }
    if !any || named {
        return Err(Trouble::Syntax);
    }
    if ago { total.negated().map_err(|_| Trouble::Overflow) } else { Ok(total) }
}

/// `1day2h` with blanks between numbers and units.
fn separated(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut previous = ' ';
    for c in text.chars() {
        let number = |c: char| c.is_ascii_digit() || c == '.';
        if (number(previous) && c.is_ascii_alphabetic()) || (previous.is_ascii_alphabetic() && number(c)) {
            spaced.push(' ');
        }
        spaced.push(c);
        previous = c;
    }
    spaced
}

fn counted(word: &str) -> Read<BigDecimal> {
    let legal = word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-'));
    if legal { numeric::parse(word).ok_or(Trouble::Syntax) } else { Err(Trouble::Syntax) }
}

/// Hours and minutes, and seconds; two parts are minutes and seconds where nothing else is wanted, or where the
/// last has a fraction.
fn clock(text: &str, range: i32) -> Read<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let whole = |part: &str| -> Read<i64> {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Trouble::Syntax);
        }
        part.parse().map_err(|_| Trouble::Overflow)
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [minutes, seconds] if range == MINUTES | SECONDS || seconds.contains('.') => {
            (0, whole(minutes)?, *seconds)
        }
        [hours, minutes] => (whole(hours)?, whole(minutes)?, "0"),
        [hours, minutes, seconds] => (whole(hours)?, whole(minutes)?, *seconds),
        _ => return Err(Trouble::Syntax),
    };
    let seconds = counted(seconds)?;
    let seconds = micros_of(&seconds, SECOND).ok_or(Trouble::Overflow)?;
    if minutes >= 60 || !(0..=60 * SECOND).contains(&seconds) {
        return Err(Trouble::Overflow);
    }
    let clock = hours.checked_mul(HOUR).and_then(|micros| micros.checked_add(minutes * MINUTE + seconds));
    clock.ok_or(Trouble::Overflow)
}

/// A count of units of so many microseconds.
fn micros_of(count: &BigDecimal, unit: i64) -> Option<i64> {
    let product = count * BigDecimal::from(unit);
    numeric::format(&numeric::round(&product, 0)).parse().ok()
}

/// A count of units. A fraction of a year counts in whole months, one of a month in days and the clock.
fn measured(count: &BigDecimal, unit: Unit) -> Read<Interval> {
    let (whole, rest) = split(count).ok_or(Trouble::Overflow)?;
    let times = |each: i32| {
        let total = whole.checked_mul(each.into()).and_then(|total| i32::try_from(total).ok());
        total.ok_or(Trouble::Overflow)
    };
    let of_days = |days: f64| {
        let micros = (days.fract() * DAY as f64).round_ties_even() as i64;
        Interval { days: days.trunc() as i32, micros, ..Interval::default() }
    };
    let parts = match unit {
        Unit::Months(1) => Interval { months: times(1)?, ..Interval::default() }.plus(of_days(rest * 30.0)),
        Unit::Months(each) => {
            let more = (rest * f64::from(each)).round_ties_even() as i32;
            let months = times(each)?.checked_add(more).ok_or(Trouble::Overflow)?;
            Ok(Interval { months, ..Interval::default() })
        }
        Unit::Days(each) => {
            let days = Interval { days: times(each)?, ..Interval::default() };
            days.plus(of_days(rest * f64::from(each)))
        }
        Unit::Clock(unit) => {
            let micros = micros_of(count, unit).ok_or(Trouble::Overflow)?;
            Ok(Interval { micros, ..Interval::default() })
        }
    };
    parts.map_err(|_| Trouble::Overflow)
}

/// The whole part and the rest.
fn split(number: &BigDecimal) -> Option<(i64, f64)> {
    let whole = number.with_scale_round(0, bigdecimal::RoundingMode::Down);
    let rest = numeric::format(&(number - &whole)).parse().ok()?;
    Some((numeric::format(&whole).parse().ok()?, rest))
}

/// What follows the `P` of ISO 8601: units by letters, or `0001-02-03T04:05:06`.
fn iso_parts(text: &str) -> Read<Interval> {
    let mut total = Interval::default();
    let (mut in_clock, mut any) = (false, false);
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('t') {
            (in_clock, rest) = (true, after);
            if rest.contains(':') {
                let micros = clock(rest, ALL_FIELDS)?;
                total =
                    total.plus(Interval { micros, ..Interval::default() }).map_err(|_| Trouble::Overflow)?;
                return Ok(total);
            }
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Trouble::Syntax)?;
        let count = counted(&rest[..end])?;
        let unit = match (&rest[end..=end], in_clock) {
            ("m", true) => Unit::Clock(MINUTE),
            ("m", false) => Unit::Months(1),
            ("y", false) => Unit::Months(12),
            ("w", false) => Unit::Days(7),
            ("d", false) => Unit::Days(1),
            ("h", true) => Unit::Clock(HOUR),
            ("s", true) => Unit::Clock(SECOND),
            _ => return Err(Trouble::Syntax),
        };
        total = total.plus(measured(&count, unit)?).map_err(|_| Trouble::Overflow)?;
        (any, rest) = (true, &rest[end + 1..]);
    }
    if any { Ok(total) } else { Err(Trouble::Syntax) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, typmod: i32, expect: &str) {
        let got = parse(text, typmod).map_or_else(|error| error.code.to_owned(), |span| span.to_string());
        assert_eq!(got, expect, "{text:?}{}", if typmod < 0 { String::new() } else { shown(typmod) });
    }

    #[test]
    fn intervals_are_read_and_shown_as_postgres_does() {
        for (text, expect) in [
            ("1 day", "1 day"),
            ("1 year 2 months 3 days 04:05:06.7", "1 year 2 mons 3 days 04:05:06.7"),
            ("-1 days +02:03", "-1 days +02:03:00"),
            ("-1 +02:03", "-1 days +02:03:00"),
            ("1-2", "1 year 2 mons"),
            ("1-2 3 4:05:06", "1 year 2 mons 3 days 04:05:06"),
            ("90 minutes", "01:30:00"),
            ("1.5 days", "1 day 12:00:00"),
            ("0.5 month", "15 days"),
            ("1.1 years", "1 year 1 mon"),
            ("5 days ago", "-5 days"),
            ("P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"),
            ("P1.1Y3D", "1 year 1 mon 3 days"),
            ("2h30m", "02:30:00"),
            ("3", "00:00:03"),
            ("7 3:04", "7 days 03:04:00"),
            ("36:00", "36:00:00"),
            ("5:06.5", "00:05:06.5"),
            ("0", "00:00:00"),
            ("1 week", "7 days"),
            ("x", "22007"),
            ("", "22007"),
            ("1 fortnight", "22007"),
            ("7 8", "22007"),
            ("1 day 2 days", "22007"),
            ("1.5 s 2 ms", "22007"),
            ("day", "22007"),
            ("3000000000 days", "22015"),
            ("1:61", "22015"),
        ] {
            check(text, -1, expect);
        }
    }

    #[test]
    fn a_declaration_says_which_fields_are_kept() {
        use IntervalFields::{Day, DayToHour, MinuteToSecond, Second, Year};
        check("5 6", typmod(Some(&DayToHour), None), "5 days 06:00:00");
        check("5 6:07:08", typmod(Some(&DayToHour), None), "5 days 06:00:00");
        check("5 6:07", typmod(Some(&MinuteToSecond), None), "5 days 00:06:07");
        check("40 months", typmod(Some(&Year), None), "3 years");
        check("3 days 4 hours", typmod(Some(&Day), None), "3 days");
        check("1.2567", typmod(Some(&Second), Some(2)), "00:00:01.26");
        check("-1.2567", typmod(None, Some(1)), "-00:00:01.3");
        assert_eq!(shown(typmod(Some(&DayToHour), None)), " day to hour");
        assert_eq!(shown(typmod(None, Some(3))), "(3)");
    }
}
