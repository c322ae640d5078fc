//! Time zones: by name, by abbreviation, or as POSIX writes them.
//!
//! The zone database is built into the program, as images have none. A session is one thread, and its zone is
//! that thread's: dates and times are read and shown in it. A thread that serves no session has UTC. What is
//! stored is UTC always, and what depends on the zone never gets into an index: the functions that do are not
//! deterministic to SQLite.

mod database;
pub mod functions;

use super::datetime::{self, DAY, EPOCH_DAYS};
use super::error::{Result, SqlError};
use super::types::Type;
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::borrow::Cow;
use std::cell::RefCell;

/// Abbreviations that Postgres knows by default: seconds east of UTC or the zone whose rules it stands for, and `D`
/// for summer time.
const ABBREVIATIONS: &str = include_str!("abbreviations.txt");
/// The rules of a POSIX text that names a summer time and says nothing of when it is.
const POSIX_RULES: &str = ",M3.2.0,M11.1.0";
/// Zones that a thread keeps; reading one from the database takes longer than most uses of it.
const KEPT: usize = 16;

/// A time zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// Its name, as SHOW tells it.
    pub name: Cow<'static, str>,
    rules: Rules,
}

#[derive(Debug, Clone)]
enum Rules {
    /// Seconds east of UTC, always, under an abbreviation.
    Fixed(i32, Cow<'static, str>),
    Changing(TimeZone),
}

/// What a zone has at one moment.
pub struct Local {
    /// Seconds east of UTC.
    pub offset: i32,
    /// The zone's name for it.
    pub abbreviation: String,
    /// Whether it is summer time.
    pub summer: bool,
}

thread_local! {
    static SESSION: RefCell<Zone> = const { RefCell::new(Zone::UTC) };
    static KNOWN: RefCell<Vec<(String, Zone)>> = const { RefCell::new(Vec::new()) };
}

/// The session's zone.
pub fn session() -> Zone {
    SESSION.with_borrow(Zone::clone)
}

/// Does something with the session's zone.
pub fn with<T>(work: impl FnOnce(&Zone) -> T) -> T {
    SESSION.with_borrow(work)
}

/// Whether the session's zone is UTC, under that name.
pub fn is_utc() -> bool {
    with(|zone| zone.name == Zone::UTC.name)
}

/// From now on the session has a zone; whether that is another one than before.
pub fn enter(name: &str) -> bool {
    let Some(zone) = Zone::named(name) else { return false };
    SESSION.replace(zone).name != name
}

/// Does something as a session in UTC does it.
pub fn in_utc<T>(work: impl FnOnce() -> T) -> T {
    let before = SESSION.replace(Zone::UTC);
    let result = work();
    SESSION.set(before);
    result
}

/// Whether the session's zone has a part in the conversion between two types.
pub fn matters(from: Type, to: Type) -> bool {
    let base = |ty: Type| ty.element().unwrap_or(ty);
    let instant = |ty: Type| base(ty) == Type::Timestamptz;
    instant(from) != instant(to) || (base(to) == Type::Timetz && base(from) != Type::Timetz)
}

impl Zone {
    /// The zone in which everything is stored.
    pub const UTC: Self = Self { name: Cow::Borrowed("UTC"), rules: Rules::Fixed(0, Cow::Borrowed("UTC")) };

    /// The zone that a setting means: a name of the database, a POSIX text, or hours east of UTC.
    pub fn of_setting(text: &str) -> Option<Self> {
        match text.trim().parse::<f64>() {
            Ok(hours) if hours.abs() <= 168.0 => Some(Self::offset_named((hours * 3600.0) as i32)),
            Ok(_) => None,
            Err(_) => Self::named(text),
        }
    }

    /// The zone of seconds east of UTC, under the name that POSIX gives it.
    pub fn offset_named(seconds: i32) -> Self {
        let shown = clock(seconds.unsigned_abs());
        let (own, other) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
        let rules = Rules::Fixed(seconds, format!("{own}{shown}").into());
        Self { name: format!("<{own}{shown}>{other}{shown}").into(), rules }
    }

    /// The zone of a name in the database, or of a POSIX text.
    pub fn named(text: &str) -> Option<Self> {
        if text == Self::UTC.name {
            return Some(Self::UTC);
        }
        let kept = KNOWN.with_borrow(|known| known.iter().find(|(name, _)| name == text).cloned());
        if let Some((_, zone)) = kept {
            return Some(zone);
        }
        let zone = in_database(text).or_else(|| posix(&text.to_ascii_uppercase()))?;
        KNOWN.with_borrow_mut(|known| {
            known.truncate(KEPT - 1);
            known.insert(0, (text.to_owned(), zone.clone()));
        });
        Some(zone)
    }

    /// The zone that a text in an expression means: an abbreviation, a name, or a POSIX text.
    pub fn of_text(text: &str) -> Result<Self> {
        let unknown = || SqlError::new("22023", format!("time zone \"{text}\" not recognized"));
        Self::abbreviated(text).or_else(|| Self::named(text)).ok_or_else(unknown)
    }

    /// The zone that an abbreviation means.
    pub fn abbreviated(text: &str) -> Option<Self> {
        let found = abbreviations().find(|(name, ..)| name.eq_ignore_ascii_case(text));
        found.and_then(|(name, value, _)| abbreviation(name, value))
    }

    /// Whether its offset depends on the day.
    pub fn changes(&self) -> bool {
        matches!(self.rules, Rules::Changing(_))
    }

    /// What holds in the zone at an instant.
    pub fn at(&self, instant: i64) -> Local {
        match &self.rules {
            Rules::Fixed(offset, abbreviation) => {
                Local { offset: *offset, abbreviation: abbreviation.clone().into_owned(), summer: false }
            }
            Rules::Changing(rules) => {
                let info = rules.to_offset_info(timestamp(instant));
                let (offset, summer) = (info.offset().seconds(), info.dst().is_dst());
                Local { offset, abbreviation: info.abbreviation().to_owned(), summer }
            }
        }
    }

    /// Seconds east of UTC at an instant.
    pub fn offset(&self, instant: i64) -> i32 {
        match &self.rules {
            Rules::Fixed(offset, _) => *offset,
            Rules::Changing(rules) => rules.to_offset(timestamp(instant)).seconds(),
        }
    }

    /// What the zone's clocks and calendars show at an instant.
    pub fn local(&self, instant: i64) -> i64 {
        if datetime::is_infinite(instant) {
            return instant;
        }
        instant.saturating_add(i64::from(self.offset(instant)) * 1_000_000)
    }

    /// The instant at which the zone's clocks and calendars show something. What they skip in spring is counted
    /// on from before, and of what they show twice in autumn the second is meant, as Postgres has it.
    pub fn instant(&self, local: i64) -> i64 {
        if datetime::is_infinite(local) {
            return local;
        }
        let offset = match &self.rules {
            Rules::Fixed(offset, _) => *offset,
            Rules::Changing(rules) => {
                match datetime::civil(local).map(|c| rules.to_ambiguous_timestamp(c).offset()) {
                    Some(AmbiguousOffset::Unambiguous { offset }) => offset.seconds(),
                    Some(AmbiguousOffset::Gap { before, .. }) => before.seconds(),
                    Some(AmbiguousOffset::Fold { after, .. }) => after.seconds(),
                    None => 0,
                }
            }
        };
        local.saturating_sub(i64::from(offset) * 1_000_000)
    }
}

/// Every name of the database with what holds there now, for `pg_timezone_names`.
pub fn names() -> impl Iterator<Item = (&'static str, Local)> {
    let now = datetime::now();
    database::entries().filter_map(move |(name, _)| Some((name, in_database(name)?.at(now))))
}

/// Every abbreviation with its seconds east of UTC and whether it is summer time, for `pg_timezone_abbrevs`.
pub fn abbreviated_now() -> impl Iterator<Item = (&'static str, i32, bool)> {
    let now = datetime::now();
    abbreviations()
        .filter_map(move |(name, value, summer)| Some((name, abbreviation(name, value)?.offset(now), summer)))
}

/// Seconds as a zone shows them: hours, then minutes and seconds where there are any.
pub fn clock(seconds: u32) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (minutes, rest) {
        (0, 0) => format!("{hours:02}"),
        (_, 0) => format!("{hours:02}:{minutes:02}"),
        _ => format!("{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// An offset as output shows it, such as `+05:30`.
pub fn signed(seconds: i32) -> String {
    format!("{}{}", if seconds < 0 { '-' } else { '+' }, clock(seconds.unsigned_abs()))
}

fn abbreviations() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    ABBREVIATIONS.lines().filter_map(|line| {
        let mut parts = line.split(' ');
        Some((parts.next()?, parts.next()?, parts.next().is_some()))
    })
}

fn abbreviation(name: &'static str, value: &'static str) -> Option<Zone> {
    let Ok(seconds) = value.parse() else { return Zone::named(value) };
    Some(Zone { name: name.into(), rules: Rules::Fixed(seconds, name.into()) })
}

fn in_database(text: &str) -> Option<Zone> {
    let (name, data) = database::get(text)?;
    let rules = TimeZone::tzif(name, data).ok()?;
    let changes = rules.following(Timestamp::MIN).next().is_some();
    let info = rules.to_offset_info(Timestamp::UNIX_EPOCH);
    let (offset, abbreviation) = (info.offset().seconds(), info.abbreviation().to_owned());
    let rules = if changes { Rules::Changing(rules) } else { Rules::Fixed(offset, abbreviation.into()) };
    Some(Zone { name: name.into(), rules })
}

/// `EST5`, `<+03>-3`, `+02:30` (here the sign counts to the west), `EST5EDT`, `CET-1CEST,M3.5.0,M10.5.0/3`.
fn posix(text: &str) -> Option<Zone> {
    let (name, rest) = match text.strip_prefix('<') {
        Some(inside) => inside.split_once('>')?,
        None => text.split_at(text.find(|c: char| !c.is_ascii_alphabetic())?),
    };
    let digits = rest.trim_start_matches(['+', '-']);
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(digits.len());
    let seconds = west(&digits[..end]).filter(|_| rest.len() - digits.len() <= 1)?;
    let offset = if rest.starts_with('-') { seconds } else { -seconds };
    let rules = if end == digits.len() {
        Rules::Fixed(offset, name.to_owned().into())
    } else {
        let rules = TimeZone::posix(text).or_else(|_| TimeZone::posix(&format!("{text}{POSIX_RULES}")));
        Rules::Changing(rules.ok()?)
    };
    Some(Zone { name: text.to_owned().into(), rules })
}

/// `5`, `05:30`, `05:30:15` in seconds; a week is the most that Postgres takes.
fn west(text: &str) -> Option<i32> {
    let mut seconds = 0;
    let mut parts = text.split(':');
    for (limit, each) in [(167, 3600), (59, 60), (59, 1)] {
        let Some(part) = parts.next() else { break };
        seconds += part.parse::<i32>().ok().filter(|number| *number <= limit)? * each;
    }
    parts.next().is_none().then_some(seconds)
}

fn timestamp(instant: i64) -> Timestamp {
    let micros = instant.saturating_add(EPOCH_DAYS * DAY);
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> i64 {
        in_utc(|| datetime::parse(Type::Timestamptz, text)).unwrap()
    }

    #[test]
    fn zones_are_found_as_postgres_finds_them() {
        for (setting, name, offset) in [
            ("europe/paris", "Europe/Paris", 3600),
            ("UTC", "UTC", 0),
            ("-7", "<-07>+07", -25_200),
            ("5.5", "<+05:30>-05:30", 19_800),
            ("EST5EDT", "EST5EDT", -18_000),
            ("xyz5xdt", "XYZ5XDT", -18_000),
            ("<+03>-03", "<+03>-03", 10_800),
            ("+02", "<+02>-02", 7200),
            ("+02:30", "+02:30", -9000),
            ("utc-3", "UTC-3", 10_800),
        ] {
            let zone = Zone::of_setting(setting).unwrap_or_else(|| panic!("{setting}"));
            assert_eq!(zone.name, name);
            assert_eq!(zone.offset(instant("2024-01-15")), offset, "{setting}");
        }
        for setting in ["", "Mars", "Europe/Nowhere", "1000", "--5", "A5:99", "PST"] {
            assert!(Zone::of_setting(setting).is_none(), "{setting}");
        }
        assert_eq!(Zone::of_text("pst").unwrap().offset(0), -28_800);
        assert_eq!(Zone::of_text("Mars").unwrap_err().code, "22023");
        assert!(abbreviated_now().count() > 150);
        assert_eq!(abbreviated_now().count(), abbreviations().count(), "one stands for an unknown zone");
    }

    #[test]
    fn what_clocks_skip_or_show_twice_is_standard_time() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        for (local, expect) in [
            ("2024-03-31 01:59:59", "2024-03-31 00:59:59"),
            ("2024-03-31 02:30", "2024-03-31 01:30"),
            ("2024-03-31 03:00", "2024-03-31 01:00"),
            ("2024-10-27 02:30", "2024-10-27 01:30"),
            ("2024-07-01 12:00", "2024-07-01 10:00"),
            ("1890-01-01", "1889-12-31 23:06:32"),
        ] {
            assert_eq!(zone.instant(instant(local)), instant(expect), "{local}");
        }
        assert_eq!(zone.local(instant("2024-03-31 01:00")), instant("2024-03-31 03:00"));
        assert_eq!(zone.local(i64::MAX), i64::MAX);
        let summer = zone.at(instant("2024-07-01"));
        assert_eq!((summer.abbreviation.as_str(), summer.summer, summer.offset), ("CEST", true, 7200));
        assert_eq!(
            (signed(-2670), signed(19_800), signed(0)),
            ("-00:44:30".into(), "+05:30".into(), "+00".into())
        );
    }
}
