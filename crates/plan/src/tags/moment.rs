//! Dates in the formats of moment.js, which metadata-action's `{{date}}` takes: English names, weeks from Sunday.

use jiff::Timestamp;
use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZoneDatabase;

/// Longest first, so that `YYYY` is not read as two `YY`.
const TOKENS: &[&str] = &[
    "YYYYYY", "YYYYY", "gggg", "GGGG", "YYYY", "DDDD", "DDDo", "MMMM", "dddd", "LLLL", "llll", "MMM", "DDD",
    "ddd", "LTS", "LLL", "lll", "Mo", "MM", "Qo", "Do", "DD", "do", "dd", "wo", "ww", "Wo", "WW", "YY", "gg",
    "GG", "HH", "hh", "kk", "mm", "ss", "ZZ", "zz", "LT", "LL", "ll", "M", "Q", "D", "d", "e", "E", "w", "W",
    "Y", "A", "a", "H", "h", "k", "m", "s", "Z", "z", "X", "x", "L", "l",
];

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

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The time, in seconds since 1970, in a zone of the IANA database (which is built in) and in that format.
///
/// # Errors
/// The zone is unknown, the format empty, or the time out of range.
pub fn format(seconds: u64, zone: &str, format: &str) -> Result<String, String> {
    if format.is_empty() {
        return Err("the date's format is empty; give one such as `YYYYMMDD`".into());
    }
    let zone = TimeZoneDatabase::bundled().get(zone).map_err(|_| {
        format!("unknown time zone `{zone}`; allowed are names such as `UTC` and `Europe/Berlin`")
    })?;
    let time = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok());
    let time =
        time.ok_or_else(|| format!("{seconds} seconds since 1970 are no date before the year 10000"))?;
    Ok(expand(&time.to_zoned(zone), format))
}

fn expand(time: &Zoned, format: &str) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        let literal = rest.strip_prefix('[').and_then(|r| r.split_once(']'));
        let fraction = rest.len() - rest.trim_start_matches('S').len();
        if let Some((text, after)) = literal {
            out.push_str(text);
            rest = after;
        } else if fraction > 0 {
            // Times here are whole seconds.
            out.push_str(&"0".repeat(fraction));
            rest = &rest[fraction..];
        } else if let Some(token) = TOKENS.iter().find(|t| rest.starts_with(**t)) {
            out.push_str(&value(time, token));
            rest = &rest[token.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

fn value(time: &Zoned, token: &str) -> String {
    let date = time.date();
    let (year, month, day) = (i64::from(time.year()), i64::from(time.month()), i64::from(time.day()));
    let (hour, minute, second) = (i64::from(time.hour()), i64::from(time.minute()), i64::from(time.second()));
    let weekday = i64::from(time.weekday().to_sunday_zero_offset());
    let iso = date.iso_week_date();
    let (week_year, week) = us_week(date);
    let name = |names: &[&str], index: i64, length: usize| {
        let name = usize::try_from(index).ok().and_then(|i| names.get(i)).unwrap_or(&"");
        name.chars().take(length).collect::<String>()
    };
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    match token {
        "YYYYYY" => format!("+{year:06}"),
        "YYYYY" => format!("{year:05}"),
        "YYYY" => format!("{year:04}"),
        "YY" => format!("{:02}", year % 100),
        "Y" => year.to_string(),
        "Q" => ((month + 2) / 3).to_string(),
        "Qo" => ordinal((month + 2) / 3),
        "MMMM" => name(&MONTHS, month - 1, usize::MAX),
        "MMM" => name(&MONTHS, month - 1, 3),
        "MM" => format!("{month:02}"),
        "Mo" => ordinal(month),
        "M" => month.to_string(),
        "DDDD" => format!("{:03}", date.day_of_year()),
        "DDDo" => ordinal(date.day_of_year().into()),
        "DDD" => date.day_of_year().to_string(),
        "DD" => format!("{day:02}"),
        "Do" => ordinal(day),
        "D" => day.to_string(),
        "dddd" => name(&DAYS, weekday, usize::MAX),
        "ddd" => name(&DAYS, weekday, 3),
        "dd" => name(&DAYS, weekday, 2),
        "do" => ordinal(weekday),
        "d" | "e" => weekday.to_string(),
        "E" => iso.weekday().to_monday_one_offset().to_string(),
        "ww" => format!("{week:02}"),
        "wo" => ordinal(week),
        "w" => week.to_string(),
        "WW" => format!("{:02}", iso.week()),
        "Wo" => ordinal(iso.week().into()),
        "W" => iso.week().to_string(),
        "gggg" => format!("{week_year:04}"),
        "gg" => format!("{:02}", week_year % 100),
        "GGGG" => format!("{:04}", iso.year()),
        "GG" => format!("{:02}", iso.year() % 100),
        "A" => if hour < 12 { "AM" } else { "PM" }.into(),
        "a" => if hour < 12 { "am" } else { "pm" }.into(),
        "HH" => format!("{hour:02}"),
        "H" => hour.to_string(),
        "hh" => format!("{twelve:02}"),
        "h" => twelve.to_string(),
        "kk" => format!("{:02}", if hour == 0 { 24 } else { hour }),
        "k" => if hour == 0 { 24 } else { hour }.to_string(),
        "mm" => format!("{minute:02}"),
        "m" => minute.to_string(),
        "ss" => format!("{second:02}"),
        "s" => second.to_string(),
        "Z" => offset(time, ":"),
        "ZZ" => offset(time, ""),
        "z" | "zz" => time.strftime("%Z").to_string(),
        "X" => time.timestamp().as_second().to_string(),
        "x" => time.timestamp().as_millisecond().to_string(),
        _ => expand(time, local_format(token)),
    }
}

/// The formats that stand for others.
fn local_format(token: &str) -> &'static str {
    match token {
        "LT" => "h:mm A",
        "LTS" => "h:mm:ss A",
        "L" => "MM/DD/YYYY",
        "l" => "M/D/YYYY",
        "LL" => "MMMM D, YYYY",
        "ll" => "MMM D, YYYY",
        "LLL" => "MMMM D, YYYY h:mm A",
        "lll" => "MMM D, YYYY h:mm A",
        "LLLL" => "dddd, MMMM D, YYYY h:mm A",
        _ => "ddd, MMM D, YYYY h:mm A",
    }
}

/// Year and number of the week, where weeks start on Sunday and the first one holds January 1.
fn us_week(date: Date) -> (i64, i64) {
    let first_weekday =
        |year: i16| Date::new(year, 1, 1).map_or(0, |d| i64::from(d.weekday().to_sunday_zero_offset()));
    let year = date.year();
    let day = i64::from(date.day_of_year()) - 1;
    let days = i64::from(date.days_in_year());
    // The last days of December belong to the week that holds the next January 1.
    if days - day <= first_weekday(year.saturating_add(1)) {
        return (i64::from(year) + 1, 1);
    }
    (i64::from(year), (day + first_weekday(year)) / 7 + 1)
}

fn offset(time: &Zoned, between: &str) -> String {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
}

fn ordinal(number: i64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let check = |seconds: u64, zone: &str, text: &str, expect: &str| {
            assert_eq!(format(seconds, zone, text).as_deref(), Ok(expect), "{text}");
        };
        // Friday, 2020-01-10T00:30:00Z.
        let time = 1_578_616_200;
        check(time, "UTC", "YYYYMMDD", "20200110");
        check(time, "Asia/Tokyo", "YYYYMMDD-HHmmss", "20200110-093000");
        check(time, "America/New_York", "YYYY-MM-DD HH:mm Z z", "2020-01-09 19:30 -05:00 EST");
        check(time, "utc", "dddd, MMMM Do YYYY, h:mm:ss a", "Friday, January 10th 2020, 12:30:00 am");
        check(time, "UTC", "YYYY-MM-DDTHH:mm:ss.SSS[Z]", "2020-01-10T00:30:00.000Z");
        check(time, "UTC", "YY M Mo D d dd ddd e E", "20 1 1st 10 5 Fr Fri 5 5");
        check(time, "UTC", "Q Qo DDD DDDo DDDD", "1 1st 10 10th 010");
        check(time, "UTC", "w ww wo W WW Wo gggg gg GGGG GG", "2 02 2nd 2 02 2nd 2020 20 2020 20");
        check(time, "UTC", "A H h hh k kk m s", "AM 0 12 12 24 24 30 0");
        check(time, "UTC", "X x ZZ", "1578616200 1578616200000 +0000");
        check(
            time,
            "UTC",
            "LT|LTS|L|l|LL|ll",
            "12:30 AM|12:30:00 AM|01/10/2020|1/10/2020|January 10, 2020|Jan 10, 2020",
        );
        check(time, "UTC", "lll|LLLL", "Jan 10, 2020 12:30 AM|Friday, January 10, 2020 12:30 AM");
        check(time, "UTC", "YYYYYY Y [YYYY] é", "+002020 2020 YYYY é");
        check(time, "Asia/Kolkata", "HHmm Z", "0600 +05:30");
        // The ends of years: weeks that belong to another one.
        check(1_609_372_800, "UTC", "YYYY-MM-DD gggg-ww GGGG-WW", "2020-12-31 2021-01 2020-53");
        check(1_640_908_800, "UTC", "YYYY-MM-DD gggg-ww GGGG-WW", "2021-12-31 2022-01 2021-52");
        check(1_672_444_800, "UTC", "YYYY-MM-DD gggg-ww GGGG-WW", "2022-12-31 2022-53 2022-52");
        check(1_672_531_200, "UTC", "YYYY-MM-DD gggg-ww GGGG-WW", "2023-01-01 2023-01 2022-52");
        for (number, expect) in
            [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd"), (113, "113th")]
        {
            assert_eq!(ordinal(number), expect);
        }
    }

    #[test]
    fn mistakes() {
        let check = |seconds: u64, zone: &str, text: &str, expect: &str| {
            let problem = format(seconds, zone, text).unwrap_err();
            assert!(problem.contains(expect), "{problem}");
        };
        check(0, "Mars/Olympus", "YYYY", "unknown time zone `Mars/Olympus`; allowed are names such as");
        check(0, "UTC", "", "format is empty");
        check(u64::MAX, "UTC", "YYYY", "are no date");
    }
}
