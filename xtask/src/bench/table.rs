//! Contenders take turns, and what their times come to.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use anyhow::{Context as _, Result};
pub use report::history::{Figure, Row};
use serde::Serialize;
use xshell::{Shell, cmd};

use crate::ui::Ui;

/// What was measured.
#[derive(Serialize)]
pub struct Table {
    /// The machine, in a line.
    pub machine: String,
    /// What took turns.
    pub rows: Vec<Row>,
    /// What is read once, since it doesn't vary from round to round.
    pub figures: Vec<Figure>,
    /// What could not be measured here, and why.
    pub skipped: Vec<String>,
}

impl Table {
    /// For people.
    pub fn render(&self) -> String {
        let mut text = format!("{}\n\n", self.machine);
        let width = self.rows.iter().map(|r| r.what.chars().count()).max().unwrap_or(0);
        let _ = writeln!(text, "{:width$}  {:>9}  {:>19}  {:>6}  ratio", "", "median s", "range s", "rounds");
        for row in &self.rows {
            let range = format!("{:.3} to {:.3}", row.range.0, row.range.1);
            let ratio = row.ratio.as_ref().map(|(what, r)| format!("{r:.2} of {what}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "{:width$}  {:>9.3}  {range:>19}  {:>6}  {ratio}",
                row.what, row.seconds, row.rounds
            );
        }
        for Figure { what, unit, value } in &self.figures {
            let _ = writeln!(text, "{what:width$}  {value:>9.2} {unit}");
        }
        for line in &self.skipped {
            let _ = writeln!(text, "skipped: {line}");
        }
        text
    }
}

/// One of those that take turns.
pub struct Contender<'a> {
    /// What it is.
    pub what: &'static str,
    /// Whose time this one's is divided by.
    pub against: Option<&'static str>,
    /// What has to be so before each round, and is not measured.
    pub prepare: Box<dyn FnMut() -> Result<()> + 'a>,
    pub run: Box<dyn FnMut() -> Result<()> + 'a>,
}

/// For a contender that needs nothing before a round.
pub fn nothing<'a>() -> Box<dyn FnMut() -> Result<()> + 'a> {
    Box::new(|| Ok(()))
}

/// Runs the contenders in turns and takes medians.
pub fn race(contenders: &mut [Contender], rounds: u32, ui: &Ui) -> Result<Vec<Row>> {
    let mut times: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            (contender.prepare)().with_context(|| contender.what.to_string())?;
            let start = Instant::now();
            (contender.run)().with_context(|| contender.what.to_string())?;
            // The first round warms caches and counts for nobody.
            if round > 0 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
        ui.line("round", format_args!("{round} of {rounds}"));
    }
    let medians: Vec<(&str, f64)> =
        contenders.iter().zip(&mut times).map(|(c, times)| (c.what, median(times))).collect();
    Ok(contenders
        .iter()
        .zip(&times)
        .zip(&medians)
        .map(|((contender, times), (what, seconds))| Row {
            what: (*what).to_string(),
            seconds: *seconds,
            range: (times[0], times[times.len() - 1]),
            rounds: times.len(),
            ratio: contender.against.and_then(|other| {
                let other_seconds = medians.iter().find(|(name, _)| *name == other)?.1;
                Some((other.to_string(), seconds / other_seconds))
            }),
        })
        .collect())
}

/// The middle of `times`, which are sorted by this.
pub fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { f64::midpoint(times[middle - 1], times[middle]) }
}

/// What a reader needs to know to compare.
pub fn machine(sh: &Shell) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':')).map_or("", |(_, m)| m.trim());
    let rustc = cmd!(sh, "rustc --version").quiet().read().unwrap_or_default();
    format!("{cores} cores, {model}, {} {}, {rustc}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_middle() {
        let check = |times: &mut [f64], expect: f64| assert_eq!(median(times), expect);
        check(&mut [3.0], 3.0);
        check(&mut [3.0, 1.0, 2.0], 2.0);
        check(&mut [4.0, 1.0, 2.0, 3.0], 2.5);
    }

    #[test]
    fn contenders_take_turns_and_the_first_round_does_not_count() {
        let order = RefCell::new(String::new());
        let mut contenders: Vec<Contender> = ["a", "b"]
            .map(|what| Contender {
                what,
                against: (what == "b").then_some("a"),
                prepare: nothing(),
                run: Box::new(|| {
                    order.borrow_mut().push_str(what);
                    Ok(())
                }),
            })
            .into();
        let rows = race(&mut contenders, 3, &Ui::new(true)).unwrap();
        drop(contenders);
        assert_eq!(order.into_inner(), "abababab");
        assert_eq!((rows[1].rounds, rows[1].ratio.as_ref().map(|r| r.0.as_str())), (3, Some("a")));
    }
}
