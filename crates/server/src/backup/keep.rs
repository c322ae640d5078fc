//! Which backups stay: so many, and none older than so.

use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// What the names of backups begin with, and what follows is the time of their making.
const PREFIX: &str = "scratchbird-";
const SUFFIX: &str = ".tar.gz";
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// How many backups stay, and for how long; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// At most so many.
    pub count: Option<usize>,
    /// At most so many seconds old.
    pub age: Option<i64>,
}

/// The name of a backup that is made now.
pub fn name(now: jiff::Timestamp) -> String {
    format!("{PREFIX}{}{SUFFIX}", now.strftime(TIME))
}

/// The time in a backup's name; anything else in the directory is none of ours.
fn time(name: &str) -> Option<jiff::Timestamp> {
    let text = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    jiff::civil::DateTime::strptime(TIME, text)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|z| z.timestamp())
}

/// The backups of a directory, oldest first.
pub fn list(directory: &Path) -> Result<Vec<(jiff::Timestamp, PathBuf)>> {
    let fail =
        |error: Error| Error::new(error.kind(), format!("can't read `{}`: {error}", directory.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if let Some(time) = time(&entry.file_name().to_string_lossy()) {
            found.push((time, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what is beyond the limits, never the newest; gives back what was removed.
pub fn apply(directory: &Path, limits: Limits, now: jiff::Timestamp) -> Result<Vec<PathBuf>> {
    let all = list(directory)?;
    let times: Vec<i64> = all.iter().map(|(time, _)| time.as_second()).collect();
    let mut removed = Vec::new();
    for index in surplus(&times, limits, now.as_second()) {
        let path = &all[index].1;
        std::fs::remove_file(path).map_err(|error| {
            Error::new(error.kind(), format!("can't remove `{}`: {error}", path.display()))
        })?;
        removed.push(path.clone());
    }
    Ok(removed)
}

/// Which of these, oldest first, are too many or too old.
fn surplus(times: &[i64], limits: Limits, now: i64) -> Vec<usize> {
    let older = times.len().saturating_sub(1);
    let beyond = |index: usize| limits.count.is_some_and(|count| times.len() - index > count.max(1));
    let old = |index: usize| limits.age.is_some_and(|age| now - times[index] > age);
    (0..older).filter(|index| beyond(*index) || old(*index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_always_stays() {
        let check = |times: &[i64], count: Option<usize>, age: Option<i64>, expect: &[usize]| {
            assert_eq!(surplus(times, Limits { count, age }, 100), expect, "{times:?} {count:?} {age:?}");
        };
        check(&[10, 50, 90], None, None, &[]);
        check(&[10, 50, 90], Some(2), None, &[0]);
        check(&[10, 50, 90], Some(0), None, &[0, 1]);
        check(&[10, 50, 90], None, Some(60), &[0]);
        check(&[10, 20, 30], None, Some(1), &[0, 1]);
        check(&[10, 50, 90], Some(2), Some(20), &[0, 1]);
        check(&[], Some(1), Some(1), &[]);
    }

    #[test]
    fn a_name_tells_its_time_and_foreign_files_are_left_alone() {
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(name(now), "scratchbird-20270115T080000Z.tar.gz");
        assert_eq!(time(&name(now)), Some(now));
        for other in
            ["scratchbird-.tar.gz", "scratchbird-20270115T080000Z.tar", "x", "scratchbird-2027.tar.gz"]
        {
            assert_eq!(time(other), None, "{other}");
        }
    }
}
