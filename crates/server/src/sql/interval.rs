//! `interval`: months, days and microseconds, kept as the text that Postgres shows.

use super::error::{Result, SqlError};
use super::{datetime, spans};
use bytes::{BufMut, BytesMut};
use std::cmp::Ordering;

/// Microseconds in an hour.
pub const HOUR: i64 = 3_600_000_000;
const DAY: i64 = datetime::DAY;

/// A span of time. The parts don't convert into each other by themselves: a day may have 23 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// The length by which intervals compare: a month has 30 days, a day 24 hours.
    fn length(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY) + i128::from(self.micros)
    }

    /// The parts of two intervals together.
    pub fn plus(self, other: Self) -> Result<Self> {
        let months = self.months.checked_add(other.months);
        let days = self.days.checked_add(other.days);
        let micros = self.micros.checked_add(other.micros);
        let parts = months.zip(days).zip(micros);
        parts.map(|((months, days), micros)| Self { months, days, micros }).ok_or_else(out_of_range)
    }

    /// The same span backwards.
    pub fn negated(self) -> Result<Self> {
        let parts = self.months.checked_neg().zip(self.days.checked_neg()).zip(self.micros.checked_neg());
        parts.map(|((months, days), micros)| Self { months, days, micros }).ok_or_else(out_of_range)
    }

    /// Multiplies every part; what is left of a month goes into days, what is left of a day into the clock.
    pub fn times(self, factor: f64) -> Result<Self> {
        self.scaled(|part| part * factor)
    }

    /// Divides every part, likewise.
    pub fn over(self, divisor: f64) -> Result<Self> {
        self.scaled(|part| part / divisor)
    }

    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<Self> {
        let (months, days) = (scale(f64::from(self.months)), scale(f64::from(self.days)));
        let fits = |x: f64| x.is_finite() && x.abs() <= f64::from(i32::MAX);
        let clean = |x: f64| (x * 1e6).round_ties_even() / 1e6;
        if !fits(months) || !fits(days) {
            return Err(out_of_range());
        }
        let month_days = clean(months.fract() * 30.0);
        let mut whole_days = days.trunc() + month_days.trunc();
        let mut seconds = clean((days.fract() + month_days.fract()) * 86_400.0);
        // More than a day may have come together.
        if seconds.abs() >= 86_400.0 {
            whole_days += (seconds / 86_400.0).trunc();
            seconds %= 86_400.0;
        }
        let micros = scale(self.micros as f64) + seconds * 1e6;
        // 2^63 itself is what i64::MAX becomes as a float, and is one too many.
        if !fits(whole_days) || !micros.is_finite() || micros.abs() >= i64::MAX as f64 {
            return Err(out_of_range());
        }
        Ok(Self {
            months: months.trunc() as i32,
            days: whole_days as i32,
            micros: micros.round_ties_even() as i64,
        })
    }

    /// 24 hours of the clock become a day.
    pub fn justify_hours(mut self) -> Result<Self> {
        let days = i32::try_from(self.micros / DAY).map_err(|_| out_of_range())?;
        (self.days, self.micros) = (self.days.checked_add(days).ok_or_else(out_of_range)?, self.micros % DAY);
        Ok(self.one_sign_of_days())
    }

    fn one_sign_of_days(mut self) -> Self {
        if self.days > 0 && self.micros < 0 {
            (self.days, self.micros) = (self.days - 1, self.micros + DAY);
        } else if self.days < 0 && self.micros > 0 {
            (self.days, self.micros) = (self.days + 1, self.micros - DAY);
        }
        self
    }

    /// 30 days become a month.
    pub fn justify_days(mut self) -> Result<Self> {
        let months = self.months.checked_add(self.days / 30).ok_or_else(out_of_range)?;
        (self.months, self.days) = (months, self.days % 30);
        if self.months > 0 && self.days < 0 {
            (self.months, self.days) = (self.months - 1, self.days + 30);
        } else if self.months < 0 && self.days > 0 {
            (self.months, self.days) = (self.months + 1, self.days - 30);
        }
        Ok(self)
    }

    /// Both, with one sign for all parts.
    pub fn justify(self) -> Result<Self> {
        // Counted together first: the parts alone may be beyond what each can hold.
        let days = i64::from(self.days) + self.micros / DAY;
        let months = i64::from(self.months) + days / 30;
        let mut done = Self {
            months: i32::try_from(months).map_err(|_| out_of_range())?,
            days: (days % 30) as i32,
            micros: self.micros % DAY,
        };
        if done.months > 0 && (done.days < 0 || (done.days == 0 && done.micros < 0)) {
            (done.months, done.days) = (done.months - 1, done.days + 30);
        } else if done.months < 0 && (done.days > 0 || (done.days == 0 && done.micros > 0)) {
            (done.months, done.days) = (done.months + 1, done.days - 30);
        }
        Ok(done.one_sign_of_days())
    }

    /// Writes the wire's binary form.
    pub fn send(self, out: &mut BytesMut) {
        out.put_i64(self.micros);
        out.put_i32(self.days);
        out.put_i32(self.months);
    }

    /// Reads the wire's binary form.
    pub fn recv(bytes: &[u8]) -> Option<Self> {
        let (micros, rest) = bytes.split_first_chunk::<8>()?;
        let (days, rest) = rest.split_first_chunk::<4>()?;
        Some(Self {
            micros: i64::from_be_bytes(*micros),
            days: i32::from_be_bytes(*days),
            months: i32::from_be_bytes(rest.try_into().ok()?),
        })
    }

    /// `extract`, as text for numeric.
    pub fn field(self, name: &str) -> Option<String> {
        let seconds = |micros: i64| micros_text(micros, 6);
        Some(match name {
            "year" | "years" => (self.months / 12).to_string(),
            "quarter" => (self.months % 12 / 3 + 1).to_string(),
            "month" | "months" | "mon" => (self.months % 12).to_string(),
            "decade" => (self.months / 120).to_string(),
            "century" => (self.months / 1200).to_string(),
            "millennium" => (self.months / 12_000).to_string(),
            "day" | "days" => self.days.to_string(),
            "hour" | "hours" => (self.micros / HOUR).to_string(),
            "minute" | "minutes" => (self.micros % HOUR / 60_000_000).to_string(),
            "second" | "seconds" => seconds(self.micros % 60_000_000),
            "milliseconds" => micros_text(self.micros % 60_000_000, 3),
            "microseconds" => (self.micros % 60_000_000).to_string(),
            "epoch" => {
                // A year has 365.25 days here, a month 30.
                let quarters = i128::from(self.months / 12) * 1461
                    + (i128::from(self.months % 12) * 30 + i128::from(self.days)) * 4;
                let micros = quarters * i128::from(DAY / 4) + i128::from(self.micros);
                let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
                format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
            }
            _ => return None,
        })
    }

    /// `date_trunc`
    pub fn truncated(self, unit: &str) -> Option<Self> {
        let months = |unit: i32| Self { months: self.months / unit * unit, ..Self::default() };
        let clock = |unit: i64| Self { micros: self.micros / unit * unit, ..self };
        Some(match unit {
            "millennium" => months(12_000),
            "century" => months(1200),
            "decade" => months(120),
            "year" => months(12),
            "quarter" => months(3),
            "month" => months(1),
            "day" => Self { micros: 0, ..self },
            "hour" => clock(HOUR),
            "minute" => clock(60_000_000),
            "second" => clock(1_000_000),
            "milliseconds" => clock(1000),
            "microseconds" => self,
            _ => return None,
        })
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.length().cmp(&other.length())
    }
}

impl std::fmt::Display for Interval {
    /// Postgres' own style: `1 year 2 mons 3 days 04:05:06.7`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut written = false;
        let mut before = false;
        for (count, unit) in [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")] {
            if count == 0 {
                continue;
            }
            let plural = if count == 1 { "" } else { "s" };
            let sign = if before && count > 0 { "+" } else { "" };
            write!(f, "{}{sign}{count} {unit}{plural}", if written { " " } else { "" })?;
            (written, before) = (true, count < 0);
        }
        if self.micros == 0 && written {
            return Ok(());
        }
        let sign = match self.micros {
            micros if micros < 0 => "-",
            _ if before => "+",
            _ => "",
        };
        let micros = self.micros.unsigned_abs();
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        write!(f, "{}{sign}", if written { " " } else { "" })?;
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if fraction > 0 {
            write!(f, ".{}", format!("{fraction:06}").trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// Microseconds in a larger unit, with that many digits after the point.
pub fn micros_text(micros: i64, digits: usize) -> String {
    let unit = 10_u64.pow(u32::try_from(digits).unwrap_or(6));
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{sign}{}.{:0digits$}", micros / unit, micros % unit)
}

/// Reads an interval that is stored.
pub fn stored(text: &str) -> Result<Interval> {
    spans::parse(text, -1)
}

fn out_of_range() -> SqlError {
    SqlError::new("22008", "interval out of range")
}

/// Moves an instant: months first, the day cut to the month's length, then days, then the clock.
pub fn moved(micros: i64, by: Interval) -> Result<i64> {
    let gone = || SqlError::new("22008", "timestamp out of range");
    if datetime::is_infinite(micros) {
        return Ok(micros);
    }
    let (mut days, clock) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    if by.months != 0 {
        let date = datetime::date_of(days).ok_or_else(gone)?;
        let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
        let month = month.checked_add(by.months).ok_or_else(gone)?;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let first = i16::try_from(year).ok().zip(i8::try_from(month).ok());
        let first =
            first.and_then(|(year, month)| jiff::civil::Date::new(year, month, 1).ok()).ok_or_else(gone)?;
        let day = date.day().min(first.days_in_month());
        days = datetime::days_of(first) + i64::from(day) - 1;
    }
    let moved = (days + i64::from(by.days)).checked_mul(DAY).and_then(|m| m.checked_add(clock + by.micros));
    let moved = moved.ok_or_else(gone)?;
    datetime::date_of(moved.div_euclid(DAY)).map(|_| moved).ok_or_else(gone)
}

/// The days and the clock between two instants.
pub fn between(later: i64, earlier: i64) -> Result<Interval> {
    if datetime::is_infinite(later) || datetime::is_infinite(earlier) {
        return Err(SqlError::new("22008", "cannot subtract infinite timestamps"));
    }
    let micros = later.saturating_sub(earlier);
    Ok(Interval { days: (micros / DAY) as i32, micros: micros % DAY, months: 0 })
}

/// `age`: years, months and days by the calendar.
pub fn age(later: i64, earlier: i64) -> Result<Interval> {
    if later < earlier {
        return age(earlier, later)?.negated();
    }
    let gone = || SqlError::new("22008", "timestamp out of range");
    let date = |micros: i64| datetime::date_of(micros.div_euclid(DAY)).ok_or_else(gone);
    let (a, b) = (date(later)?, date(earlier)?);
    let mut months =
        (i32::from(a.year()) - i32::from(b.year())) * 12 + i32::from(a.month()) - i32::from(b.month());
    let mut days = i32::from(a.day()) - i32::from(b.day());
    let mut micros = later.rem_euclid(DAY) - earlier.rem_euclid(DAY);
    if micros < 0 {
        (micros, days) = (micros + DAY, days - 1);
    }
    if days < 0 {
        (days, months) = (days + i32::from(b.days_in_month()), months - 1);
    }
    Ok(Interval { months, days, micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_move_by_the_calendar() {
        let at = |text: &str| datetime::parse(crate::sql::types::Type::Timestamp, text).unwrap();
        for (from, by, expect) in [
            ("2024-01-31", "1 month", "2024-02-29"),
            ("2024-02-29", "1 year", "2025-02-28"),
            ("2024-03-31 10:00", "-1 month -1 day", "2024-02-28 10:00"),
            ("2023-12-31 23:30", "1 hour", "2024-01-01 00:30"),
        ] {
            assert_eq!(moved(at(from), stored(by).unwrap()).unwrap(), at(expect), "{from} + {by}");
        }
        assert_eq!(age(at("2024-03-01"), at("2023-01-15")).unwrap().to_string(), "1 year 1 mon 17 days");
        assert_eq!(stored("35 days 25:00").unwrap().justify().unwrap().to_string(), "1 mon 6 days 01:00:00");
    }
}
