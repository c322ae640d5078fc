//! When the next backup is due: at intervals, or by the five fields of cron, in UTC.

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan, tz::TimeZone};

/// When backups are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// So many seconds after each other.
    Every(i64),
    /// At the minutes that match.
    Cron(Box<[Vec<i8>; 5]>),
}

/// Names and ranges of cron's fields.
const FIELDS: [(&str, i8, i8); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
];

impl Schedule {
    /// Parses `minute hour day month weekday`; each is `*`, numbers, ranges `1-5` and steps `*/15`, with commas.
    pub fn cron(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() != FIELDS.len() {
            return Err(format!(
                "schedule `{text}`: it needs five fields, such as `30 3 * * *` for half past three"
            ));
        }
        let mut fields: [Vec<i8>; 5] = Default::default();
        for ((field, word), (name, least, most)) in fields.iter_mut().zip(words).zip(FIELDS) {
            let wrong = || {
                format!(
                    "schedule `{text}`: {name} `{word}`: allowed are `*` and {least} to {most}, as in `1,3-5,*/10`"
                )
            };
            for part in word.split(',') {
                field.extend(numbers(part, least, most).ok_or_else(wrong)?);
            }
        }
        // Sunday has two numbers.
        if fields[4].contains(&7) {
            fields[4].push(0);
        }
        let schedule = Self::Cron(Box::new(fields));
        match schedule.next(Timestamp::UNIX_EPOCH, None) {
            Some(_) => Ok(schedule),
            None => Err(format!("schedule `{text}`: there is no such day")),
        }
    }

    /// When the next backup is due, if the last good one was made then; `None` if never.
    pub fn next(&self, now: Timestamp, last: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Every(seconds) => {
                let due = last.and_then(|last| last.checked_add(seconds.seconds()).ok());
                Some(due.map_or(now, |due| due.max(now)))
            }
            Self::Cron(fields) => {
                let zoned = now.to_zoned(TimeZone::UTC).datetime();
                let mut time =
                    zoned.with().second(0).subsec_nanosecond(0).build().ok()?.checked_add(1.minute()).ok()?;
                // The calendar repeats after 28 years at most, up to 2100.
                let last = time.checked_add(28.years()).ok()?;
                while time < last {
                    if !day_matches(fields, time) {
                        time = time.date().tomorrow().ok()?.at(0, 0, 0, 0);
                    } else if !fields[1].contains(&time.hour()) {
                        time = time.with().minute(0).build().ok()?.checked_add(1.hour()).ok()?;
                    } else if !fields[0].contains(&time.minute()) {
                        time = time.checked_add(1.minute()).ok()?;
                    } else {
                        return time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
                    }
                }
                None
            }
        }
    }
}

/// Where both days are limited, either will do: so cron has it.
fn day_matches(fields: &[Vec<i8>; 5], time: DateTime) -> bool {
    let [_, _, days, months, weekdays] = fields;
    let day = days.contains(&time.day());
    let weekday = weekdays.contains(&time.weekday().to_sunday_zero_offset());
    let (any_day, any_weekday) = (days.len() >= 31, weekdays.len() >= 7);
    let fits = if any_day || any_weekday { day && weekday } else { day || weekday };
    months.contains(&time.month()) && fits
}

fn numbers(part: &str, least: i8, most: i8) -> Option<Vec<i8>> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
        None => (part, 1),
    };
    let number = |text: &str| text.parse::<i8>().ok().filter(|number| (least..=most).contains(number));
    let (from, to) = match range.split_once('-') {
        // Seven is Sunday once more, and no day of its own in `*`.
        _ if range == "*" => (least, if most == 7 { 6 } else { most }),
        Some((from, to)) => (number(from)?, number(to)?),
        None if part.contains('/') => (number(range)?, most),
        None => (number(range)?, number(range)?),
    };
    (from <= to).then(|| (from..=to).step_by(step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cron: &str, now: &str, expect: &str) {
        let next = Schedule::cron(cron).map(|schedule| schedule.next(now.parse().unwrap(), None).unwrap());
        assert_eq!(next.map_or_else(|error| error, |time| time.to_string()), expect, "{cron} after {now}");
    }

    #[test]
    fn the_next_time_is_cron_s() {
        check("* * * * *", "2026-02-28T23:59:30Z", "2026-03-01T00:00:00Z");
        check("30 3 * * *", "2026-11-21T03:30:00Z", "2026-11-22T03:30:00Z");
        check("*/20 1-2 * * *", "2026-11-21T01:40:00Z", "2026-11-21T02:00:00Z");
        check("0 0 29 2 *", "2026-11-21T00:00:00Z", "2028-02-29T00:00:00Z");
        check("0 6 * * 7", "2026-11-21T12:00:00Z", "2026-11-22T06:00:00Z");
        check("0 6 * * 1-5", "2026-11-21T12:00:00Z", "2026-11-23T06:00:00Z");
        check("0 0 1 * 3", "2026-11-21T12:00:00Z", "2026-11-25T00:00:00Z");
        check("5/30 4 * * *", "2026-11-21T04:06:00Z", "2026-11-21T04:35:00Z");
    }

    #[test]
    fn what_is_no_schedule_says_what_one_is() {
        for (cron, word) in [
            ("", "five fields"),
            ("60 * * * *", "minute `60`: allowed are `*` and 0 to 59"),
            ("* 5-3 * * *", "hour `5-3`"),
            ("* * 0 * *", "day of the month"),
            ("*/0 * * * *", "minute"),
            ("0 0 31 2 *", "no such day"),
        ] {
            let error = Schedule::cron(cron).unwrap_err();
            assert!(error.contains(word), "{cron}: {error}");
        }
    }

    #[test]
    fn an_interval_counts_from_the_last_good_backup() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let schedule = Schedule::Every(60);
        assert_eq!(schedule.next(at(100), None), Some(at(100)));
        assert_eq!(schedule.next(at(100), Some(at(90))), Some(at(150)));
        assert_eq!(schedule.next(at(100), Some(at(10))), Some(at(100)));
    }
}
