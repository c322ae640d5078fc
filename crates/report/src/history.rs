//! What was measured, run by run: a file of JSON lines a kind of benchmark, in `bench/`. A line is only ever added, so
//! that two branches that measured merge by keeping both.

use serde::{Deserialize, Serialize};

/// A run of one benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The commit that was measured, with `-dirty` where files were changed since.
    pub commit: String,
    /// When, as RFC 3339 in UTC.
    pub time: String,
    /// The machine, in a line.
    pub machine: String,
    /// How busy the machine was before, apart from this: the load of one minute, in processes.
    pub load: f64,
    /// What was timed.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// What was read once.
    #[serde(default)]
    pub figures: Vec<Figure>,
    /// What could not be measured, and why.
    #[serde(default)]
    pub skipped: Vec<String>,
}

/// The times of one contender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// Median, in seconds.
    pub seconds: f64,
    /// The fastest and the slowest round, in seconds.
    pub range: (f64, f64),
    /// How many rounds counted.
    pub rounds: usize,
    /// Against which row, and this row's time divided by that one's.
    pub ratio: Option<(String, f64)>,
}

/// What doesn't vary from round to round, or is no time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was read.
    pub what: String,
    /// Of what it is so many.
    pub unit: String,
    /// How many.
    pub value: f64,
}

impl Figure {
    /// A figure.
    pub fn new(what: &str, unit: &str, value: f64) -> Figure {
        Figure { what: what.into(), unit: unit.into(), value }
    }
}

/// Why a history can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line is no run.
    #[error("{file}:{line}: is no run: {reason}; remove the line, `cargo xtask bench --record` writes them")]
    Line {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What the parser says.
        reason: serde_json::Error,
    },
}

/// The runs in a file's text, in the order of the file; `file` is its name for errors.
///
/// # Errors
/// [`Error::Line`] at the first line that is no run.
pub fn parse(file: &str, text: &str) -> Result<Vec<Run>, Error> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|reason| Error::Line {
                file: file.into(),
                line: number + 1,
                reason,
            })
        })
        .collect()
}

/// The line to add for a run.
///
/// # Panics
/// Never: a run holds nothing that JSON can't.
pub fn line(run: &Run) -> String {
    serde_json::to_string(run).expect("numbers, texts and lists are JSON") + "\n"
}

/// The last run of a commit that is named by its beginning.
pub fn of_commit<'a>(runs: &'a [Run], commit: &str) -> Option<&'a Run> {
    runs.iter().rev().find(|run| run.commit.starts_with(commit))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run(commit: &str, rows: &[(&str, f64, f64, f64)]) -> Run {
        let row = |(what, seconds, low, high): &(&str, f64, f64, f64)| Row {
            what: (*what).into(),
            seconds: *seconds,
            range: (*low, *high),
            rounds: 9,
            ratio: None,
        };
        Run {
            commit: commit.into(),
            time: "2026-01-01T00:00:00Z".into(),
            machine: "2 cores".into(),
            load: 0.1,
            rows: rows.iter().map(row).collect(),
            figures: vec![Figure::new("memory", "MB", 12.5)],
            skipped: vec![],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let runs = [run("aaaa", &[("x", 1.0, 0.9, 1.1)]), run("bbbb", &[]), run("aaaa-dirty", &[])];
        let text: String = runs.iter().map(line).collect();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(parse("bench/x.jsonl", &format!("{text}\n")).unwrap(), runs);
        assert_eq!(of_commit(&runs, "aa").unwrap().commit, "aaaa-dirty");
        assert_eq!(of_commit(&runs, "bbbb").unwrap().commit, "bbbb");
        assert_eq!(of_commit(&runs, "cc"), None);
    }

    #[test]
    fn a_broken_line_is_named() {
        let text = format!("{}{{\"commit\": 1}}\n", line(&run("a", &[])));
        let error = parse("bench/x.jsonl", &text).unwrap_err().to_string();
        assert!(error.starts_with("bench/x.jsonl:2: is no run: invalid type"), "{error}");
        // A merge that went wrong.
        let error = parse("f", "<<<<<<< HEAD\n").unwrap_err().to_string();
        assert!(error.starts_with("f:1: "), "{error}");
    }
}
