//! Dates and times: text in Postgres' ISO style, numbers since 2000-01-01 inside and on the wire.

use super::error::{Result, SqlError};
use super::timetz;
use super::types::Type;
use super::zone::{self, Local, Zone};
use jiff::Span;
use jiff::civil::{Date, DateTime, Time, date};

/// Microseconds in a day.
pub const DAY: i64 = 86_400_000_000;
const HOUR: i64 = DAY / 24;
/// Days from the Unix epoch to 2000-01-01.
pub const EPOCH_DAYS: i64 = 10_957;
const EPOCH: Date = date(2000, 1, 1);

/// Microseconds since 2000-01-01 00:00 UTC, now.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond() - EPOCH_DAYS * DAY
}

/// Whether a timestamp is `infinity` or `-infinity`.
pub fn is_infinite(micros: i64) -> bool {
    micros == i64::MAX || micros == i64::MIN
}

/// Parses a date, time or timestamp; an instant without a zone in its text is in the session's.
pub fn parse(ty: Type, text: &str) -> Result<i64> {
    let bad = |code| SqlError::new(code, format!("invalid input syntax for type {ty}: \"{text}\""));
    let out_of_range = || SqlError::new("22008", format!("date/time field value out of range: \"{text}\""));
    let trimmed = text.trim();
    if let Some((of, moment)) = keyword(trimmed) {
        return Ok(convert(of, ty, moment));
    }
    let (trimmed, before_christ) = match trimmed.get(trimmed.len().saturating_sub(3)..) {
        Some(era) if era.eq_ignore_ascii_case(" BC") => (trimmed[..trimmed.len() - 3].trim_end(), true),
        _ => (trimmed, false),
    };
    let clock_type = matches!(ty, Type::Time | Type::Timetz);
    let (day, clock) = match trimmed.find(['T', 't', ' ']) {
        // A clock may have a day before it, on which its zone depends.
        Some(split) if clock_type && fields(&trimmed[..split]).is_none() => (None, trimmed),
        Some(split) => (Some(&trimmed[..split]), trimmed[split + 1..].trim_start()),
        None if clock_type => (None, trimmed),
        None => {
            // A zone may follow the day at once.
            let zone = trimmed.find('+').or_else(|| trimmed.match_indices('-').nth(2).map(|(at, _)| at));
            let (day, zone) = trimmed.split_at(zone.unwrap_or(trimmed.len()));
            (Some(day), zone)
        }
    };
    let days = match day {
        Some(day) => {
            let fields = fields(day).ok_or_else(|| bad("22007"))?;
            let [year, month, day] = fields;
            let year = if before_christ { 1 - year } else { year };
            let small = |n: i64| i8::try_from(n).ok();
            let date = i16::try_from(year).ok().zip(small(month)).zip(small(day));
            let date = date.and_then(|((y, m), d)| Date::new(y, m, d).ok()).ok_or_else(out_of_range)?;
            days_of(date)
        }
        None => 0,
    };
    let (clock, zone) = clock.split_at(clock.find(zone_begins).unwrap_or(clock.len()));
    let (half, zone) = half_of_day(zone);
    let zone = read_zone(zone, || bad("22007"))?;
    let clock = clock.trim_end();
    let micros = if clock.is_empty() && day.is_some() {
        0
    } else {
        clock_micros(clock).ok_or_else(|| bad("22007"))?.ok_or_else(out_of_range)?
    };
    let noon = DAY / 2;
    let micros = match half {
        None => micros,
        Some(_) if micros >= noon + HOUR => return Err(out_of_range()),
        Some(after_noon) => micros % noon + if after_noon { noon } else { 0 },
    };
    Ok(match ty {
        Type::Date => days,
        Type::Time => micros,
        Type::Timetz => {
            let east = |zone: &Zone| zone.offset(zone.instant(days * DAY + micros));
            match zone {
                Some(zone) if day.is_none() && zone.changes() => return Err(bad("22007")),
                Some(zone) => timetz::pack(micros, east(&zone)),
                None if day.is_none() => timetz::today(micros),
                None => timetz::pack(micros, zone::with(east)),
            }
        }
        // A zone in the text of a timestamp without one is ignored, as in Postgres.
        Type::Timestamp => days * DAY + micros,
        _ => match zone {
            Some(zone) => zone.instant(days * DAY + micros),
            None => zone::with(|zone| zone.instant(days * DAY + micros)),
        },
    })
}

/// Converts between the date and time types, instants by the session's zone.
pub fn convert(from: Type, to: Type, value: i64) -> i64 {
    let local = match from {
        _ if from == to => return value,
        Type::Date if value == i64::from(i32::MAX) => i64::MAX,
        Type::Date if value == i64::from(i32::MIN) => i64::MIN,
        Type::Date => value.saturating_mul(DAY),
        Type::Timestamptz if to == Type::Timetz => return timetz::of_instant(value),
        Type::Timestamptz => zone::with(|zone| zone.local(value)),
        Type::Timetz => timetz::unpack(value).0,
        _ => value,
    };
    match to {
        Type::Date if local == i64::MAX => i32::MAX.into(),
        Type::Date if local == i64::MIN => i32::MIN.into(),
        Type::Date => local.div_euclid(DAY),
        // A whole day is a time too.
        Type::Time if from == Type::Timetz => local,
        Type::Time => local.rem_euclid(DAY),
        Type::Timetz => timetz::today(local),
        Type::Timestamptz => zone::with(|zone| zone.instant(local)),
        _ => local,
    }
}

/// Date and clock in the calendar's form, to the second, if the calendar reaches that far.
pub fn civil(local: i64) -> Option<DateTime> {
    let date = date_of(local.div_euclid(DAY))?;
    let seconds = local.rem_euclid(DAY) / 1_000_000;
    let part = |number: i64| i8::try_from(number).ok();
    let time = Time::new(part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?, 0).ok()?;
    Some(DateTime::from_parts(date, time))
}

/// Rounds microseconds to a declared number of digits.
pub fn apply_typmod(value: i64, typmod: i32) -> i64 {
    let Ok(digits @ 0..=5) = u32::try_from(typmod) else { return value };
    if is_infinite(value) {
        return value;
    }
    let unit = 10_i64.pow(6 - digits);
    (value + unit / 2).div_euclid(unit) * unit
}

/// The text Postgres shows with `datestyle = ISO`, an instant in the session's zone.
pub fn format(ty: Type, value: i64) -> String {
    match ty {
        Type::Date => format_days(value),
        Type::Time => format_clock(value),
        Type::Timetz => timetz::format(value),
        Type::Timestamptz => zone::with(|zone| format_in(zone, value)),
        _ => format_local(value),
    }
}

/// The text of an instant in a zone.
pub fn format_in(zone: &Zone, instant: i64) -> String {
    let local = format_local(zone.local(instant));
    if is_infinite(instant) {
        return local;
    }
    let offset = zone::signed(zone.offset(instant));
    match local.strip_suffix(" BC") {
        Some(local) => format!("{local}{offset} BC"),
        None => local + &offset,
    }
}

/// A timestamp's text as a JSON document has it.
pub fn json_text(text: &str) -> String {
    let whole_hours = text.rfind(['+', '-']).is_some_and(|at| at > 10 && text.len() == at + 3);
    text.replacen(' ', "T", 1) + if whole_hours { ":00" } else { "" }
}

fn format_local(micros: i64) -> String {
    if is_infinite(micros) {
        return format_days(micros);
    }
    let day = format_days(micros.div_euclid(DAY));
    let clock = format_clock(micros.rem_euclid(DAY));
    // The era comes last.
    match day.strip_suffix(" BC") {
        Some(day) => format!("{day} {clock} BC"),
        None => day + " " + &clock,
    }
}

/// `to_char` with the common patterns; another word of capitals is refused, other characters are copied. A
/// timestamp without a zone shows none.
pub fn to_char(micros: i64, pattern: &str, zone: Option<&Local>) -> Result<String> {
    let (days, clock) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let date = date_of(days).ok_or_else(|| SqlError::new("22008", "timestamp out of range"))?;
    let seconds = clock / 1_000_000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let month = MONTHS[usize::from(date.month().unsigned_abs()) - 1];
    let weekday = WEEKDAYS[usize::from(date.weekday().to_sunday_zero_offset().unsigned_abs())];
    let offset = zone.map_or(0, |zone| zone.offset);
    let abbreviation = zone.map_or("", |zone| &zone.abbreviation);
    let patterns = [
        ("TZH", zone::signed(offset)[..3].to_owned()),
        ("TZM", format!("{:02}", offset.unsigned_abs() / 60 % 60)),
        ("TZ", abbreviation.to_uppercase()),
        ("tz", abbreviation.to_lowercase()),
        ("OF", zone::signed(offset)),
        ("YYYY", format!("{:04}", date.year())),
        ("YY", format!("{:02}", date.year() % 100)),
        ("MM", format!("{:02}", date.month())),
        ("DDD", format!("{:03}", date.day_of_year())),
        ("DD", format!("{:02}", date.day())),
        ("HH24", format!("{hour:02}")),
        ("HH12", format!("{:02}", (hour + 11) % 12 + 1)),
        ("HH", format!("{:02}", (hour + 11) % 12 + 1)),
        ("MI", format!("{minute:02}")),
        ("SS", format!("{second:02}")),
        ("MS", format!("{:03}", clock % 1_000_000 / 1000)),
        ("US", format!("{:06}", clock % 1_000_000)),
        ("AM", (if hour < 12 { "AM" } else { "PM" }).to_owned()),
        ("PM", (if hour < 12 { "AM" } else { "PM" }).to_owned()),
        ("Month", format!("{month:<9}")),
        ("Mon", month[..3].to_owned()),
        ("Day", format!("{weekday:<9}")),
        ("Dy", weekday[..3].to_owned()),
        ("ID", date.weekday().to_monday_one_offset().to_string()),
        ("D", (date.weekday().to_sunday_zero_offset() + 1).to_string()),
        ("Q", ((date.month() + 2) / 3).to_string()),
    ];
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            out.push_str(inside);
            rest = after;
            continue;
        }
        let found = patterns.iter().find(|(name, _)| rest.starts_with(name));
        if let Some((name, text)) = found {
            out.push_str(text);
            rest = &rest[name.len()..];
        } else if first.is_ascii_alphabetic() && first != 'T' && first != 'Z' {
            return Err(SqlError::unsupported(format!("to_char with the pattern `{rest}`")));
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(out)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The calendar date of a day number, if the calendar reaches that far.
pub fn date_of(days: i64) -> Option<Date> {
    // From the year 1 to 9999 by counting in whole cycles of 400 years that begin in March, which takes a tenth of the
    // time; the calendar itself knows what lies before.
    if !(-730_119..=2_921_939).contains(&days) {
        return Span::new().try_days(days).and_then(|span| EPOCH.checked_add(span)).ok();
    }
    let since = days + 730_425;
    let (cycle, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = i16::try_from(year + cycle * 400 + next).ok()?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// The day number of a calendar date.
pub fn days_of(date: Date) -> i64 {
    EPOCH.until(date).map_or(0, |span| i64::from(span.get_days()))
}

fn format_days(days: i64) -> String {
    match date_of(days) {
        Some(date) if date.year() > 0 => {
            let mut text = String::with_capacity(26);
            pad(&mut text, date.year().into(), 1000);
            text.push('-');
            pad(&mut text, date.month().into(), 10);
            text.push('-');
            pad(&mut text, date.day().into(), 10);
            text
        }
        Some(date) => format!("{:04}-{:02}-{:02} BC", 1 - i32::from(date.year()), date.month(), date.day()),
        None => (if days < 0 { "-infinity" } else { "infinity" }).to_owned(),
    }
}

fn format_clock(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = String::with_capacity(15);
    pad(&mut text, seconds / 3600, 10);
    text.push(':');
    pad(&mut text, seconds / 60 % 60, 10);
    text.push(':');
    pad(&mut text, seconds % 60, 10);
    if fraction != 0 {
        text.push('.');
        pad(&mut text, fraction, 100_000);
        text.truncate(text.trim_end_matches('0').len());
    }
    text
}

/// The digits of a number that is not negative, from the place of a power of ten on.
fn pad(text: &mut String, number: i64, mut place: i64) {
    while place > 0 {
        text.push(char::from(b'0' + u8::try_from(number / place % 10).unwrap_or(0)));
        place /= 10;
    }
}

/// Whether a text means another moment each day.
pub fn is_word(text: &str) -> bool {
    ["now", "today", "tomorrow", "yesterday"].iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

/// A word for a moment, and the type whose number it is given as.
fn keyword(text: &str) -> Option<(Type, i64)> {
    let today = || convert(Type::Timestamptz, Type::Date, now());
    Some(match text.to_ascii_lowercase().as_str() {
        "now" => (Type::Timestamptz, now()),
        "today" => (Type::Date, today()),
        "tomorrow" => (Type::Date, today() + 1),
        "yesterday" => (Type::Date, today() - 1),
        "epoch" => (Type::Timestamptz, -EPOCH_DAYS * DAY),
        "infinity" | "+infinity" => (Type::Timestamptz, i64::MAX),
        "-infinity" => (Type::Timestamptz, i64::MIN),
        _ => return None,
    })
}

/// `2024-1-31`, `2024/1/31` or `20240131`.
fn fields(text: &str) -> Option<[i64; 3]> {
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some([text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?]);
    }
    let mut parts = text.split(['-', '/']);
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i64>().ok())?;
    let year = parts.next().filter(|year| year.len() >= 4)?;
    let fields = [number(year)?, number(parts.next()?)?, number(parts.next()?)?];
    parts.next().is_none().then_some(fields)
}

fn zone_begins(c: char) -> bool {
    c == '+' || c == '-' || c.is_ascii_alphabetic()
}

/// Takes AM or PM from the front of what follows a clock: whether it is after noon, and the rest.
fn half_of_day(text: &str) -> (Option<bool>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word.to_ascii_lowercase().as_str() {
        "am" => (Some(false), rest.trim_start()),
        "pm" => (Some(true), rest.trim_start()),
        _ => (None, text),
    }
}

/// The zone at the end of a text: `Z`, `+02`, `+02:30`, `-0800`, `CET`, `Europe/Paris`, or none.
fn read_zone(text: &str, malformed: impl FnOnce() -> SqlError) -> Result<Option<Zone>> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with(['+', '-']) {
        let seconds = offset(text).map(|micros| micros / 1_000_000).and_then(|s| i32::try_from(s).ok());
        let far = || SqlError::new("22009", format!("time zone displacement out of range: \"{text}\""));
        let digits = text[1..].bytes().all(|b| b.is_ascii_digit() || b == b':') && text.len() > 1;
        let missing = || if digits { far() } else { malformed() };
        return seconds.map(|seconds| Some(Zone::offset_named(seconds))).ok_or_else(missing);
    }
    if text.eq_ignore_ascii_case("z") {
        return Ok(Some(Zone::UTC));
    }
    // A mere word that is no zone is a text that is no timestamp.
    let word = text.bytes().all(|b| b.is_ascii_alphabetic());
    Zone::of_text(text).map(Some).map_err(|error| if word { malformed() } else { error })
}

/// `+02`, `+02:30`, `-0800` or `+02:30:15`, in microseconds east of UTC.
pub fn offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.strip_prefix(['+', '-'])?.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize| digits.get(from..from + 2).map_or(Some(0), |two| two.parse::<i64>().ok());
    let hours = if digits.len() == 1 { digits.parse().ok()? } else { part(0)? };
    let seconds = hours * 3600 + part(2)? * 60 + part(4)?;
    (hours <= 15).then_some(sign * seconds * 1_000_000)
}

/// `None`: not a clock; `Some(None)`: a clock that shows no legal time.
fn clock_micros(text: &str) -> Option<Option<i64>> {
    let packed = text.split_once('.').map_or(text, |(whole, _)| whole);
    let unpacked;
    let text = match packed.len() {
        4 | 6 if packed.bytes().all(|b| b.is_ascii_digit()) => {
            let rest = if packed.len() == 6 { format!(":{}", &text[4..]) } else { String::new() };
            unpacked = format!("{}:{}{rest}", &text[..2], &text[2..4]);
            &unpacked
        }
        _ => text,
    };
    let mut parts = text.splitn(3, ':');
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i64>().ok())?;
    let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            let digits = format!("{:0<7}", fraction.chars().take(7).collect::<String>());
            let fraction =
                if fraction.bytes().all(|b| b.is_ascii_digit()) { number(&digits)? } else { return None };
            (number(whole)?, (fraction + 5) / 10)
        }
    };
    let legal = hours <= 24 && minutes < 60 && seconds <= 60;
    let micros = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction;
    Some((legal && micros <= DAY).then_some(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: Type, text: &str, expect: &str) {
        let got =
            parse(ty, text).map(|value| format(ty, value)).unwrap_or_else(|error| error.code.to_owned());
        assert_eq!(got, expect, "{ty} {text:?}");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let slowly = |days| Span::new().try_days(days).and_then(|span| EPOCH.checked_add(span)).ok();
        for days in
            (-800_000..3_000_000).step_by(97).chain([-730_120, -730_119, 2_921_939, 2_921_940, 59, 60])
        {
            assert_eq!(date_of(days), slowly(days), "{days}");
        }
    }

    #[test]
    fn text_is_read_and_shown_as_postgres_does() {
        check(Type::Date, "2024-2-29", "2024-02-29");
        check(Type::Date, "20240229", "2024-02-29");
        check(Type::Date, "1969-12-31", "1969-12-31");
        check(Type::Date, "2023-02-29", "22008");
        check(Type::Date, "never", "22007");
        check(Type::Date, "", "22007");
        check(Type::Time, "7:05", "07:05:00");
        check(Type::Time, "23:59:59.1234567", "23:59:59.123457");
        check(Type::Time, "25:00", "22008");
        check(Type::Timestamp, "2024-01-02T03:04:05.5Z", "2024-01-02 03:04:05.5");
        check(Type::Timestamp, "2024-01-02", "2024-01-02 00:00:00");
        check(Type::Timestamptz, "2024-01-02 03:04:05+02", "2024-01-02 01:04:05+00");
        check(Type::Timestamptz, "2024-01-02 03:04:05-08:30", "2024-01-02 11:34:05+00");
        check(Type::Timestamptz, "1999-12-31 23:59:59.000001 UTC", "1999-12-31 23:59:59.000001+00");
        check(Type::Timestamptz, "2024-01-02 03:04:05 Mars", "22007");
        check(Type::Timestamptz, "2024-01-02 03:04:05 Mars/Phobos", "22023");
        check(Type::Timestamptz, "2024-07-02 03:04:05 Europe/Paris", "2024-07-02 01:04:05+00");
        check(Type::Timestamptz, "2024-07-02 03:04:05 PST", "2024-07-02 11:04:05+00");
        check(Type::Timestamptz, "2024-07-02 EST5EDT", "2024-07-02 04:00:00+00");
        check(Type::Timestamptz, "infinity", "infinity");
        check(Type::Date, "-infinity", "-infinity");
        check(Type::Timestamp, "epoch", "1970-01-01 00:00:00");
        assert_eq!(parse(Type::Date, "2000-01-01").unwrap(), 0);
    }
}
