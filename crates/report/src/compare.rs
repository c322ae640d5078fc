//! Two runs of one benchmark, row by row. Machines are noisy: a difference counts only where the rounds of one lie
//! wholly beside those of the other, and everything else is called noise.

use std::fmt::Write as _;

use crate::history::{Row, Run};

/// What can be said of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every round of the new run was faster than every round of the old one.
    Faster,
    /// Every round was slower.
    Slower,
    /// The rounds overlap.
    Noise,
    /// One of the two has too few rounds to say: a spread takes three.
    Unknown,
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::Noise => "noise",
            Verdict::Unknown => "too few rounds",
        }
    }
}

/// What can be said of a row that both runs have.
pub fn verdict(old: &Row, new: &Row) -> Verdict {
    if old.rounds < 3 || new.rounds < 3 {
        return Verdict::Unknown;
    }
    if new.range.1 < old.range.0 {
        return Verdict::Faster;
    }
    if new.range.0 > old.range.1 { Verdict::Slower } else { Verdict::Noise }
}

/// A table of two runs, with what makes them hard to compare.
pub fn render(kind: &str, old: &Run, new: &Run) -> String {
    let mut text = format!("{kind}: {} → {}\n", old.commit, new.commit);
    if old.machine != new.machine {
        let _ = writeln!(text, "not the same machine: {} → {}", old.machine, new.machine);
    }
    for (which, run) in [("old", old), ("new", new)] {
        if run.load >= 1.0 {
            let _ = writeln!(text, "the {which} run was measured beside other work: load {:.1}", run.load);
        }
    }
    let names = old.rows.iter().map(|r| &r.what).chain(old.figures.iter().map(|f| &f.what));
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let change = |old: f64, new: f64| {
        if old == 0.0 { "n/a".to_string() } else { format!("{:+.1} %", (new / old - 1.0) * 100.0) }
    };
    for row in &old.rows {
        let Some(other) = new.rows.iter().find(|other| other.what == row.what) else {
            let _ = writeln!(text, "{:width$}  only in the old run", row.what);
            continue;
        };
        let _ = writeln!(
            text,
            "{:width$}  {:>9.3} → {:>9.3} s  {:>9}  {}",
            row.what,
            row.seconds,
            other.seconds,
            change(row.seconds, other.seconds),
            verdict(row, other).word()
        );
    }
    for figure in &old.figures {
        if let Some(other) = new.figures.iter().find(|other| other.what == figure.what) {
            let _ = writeln!(
                text,
                "{:width$}  {:>9.1} → {:>9.1} {}  {:>9}",
                figure.what,
                figure.value,
                other.value,
                figure.unit,
                change(figure.value, other.value)
            );
        }
    }
    for row in new.rows.iter().filter(|row| !old.rows.iter().any(|other| other.what == row.what)) {
        let _ = writeln!(text, "{:width$}  only in the new run", row.what);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::run;

    #[test]
    fn only_rounds_that_lie_apart_count() {
        let check = |old: (f64, f64), new: (f64, f64), expect: Verdict| {
            let row = |range| run("a", &[("x", 1.0, 0.0, 0.0)]).rows.remove(0).with(range, 9);
            assert_eq!(verdict(&row(old), &row(new)), expect, "{old:?} {new:?}");
            assert_eq!(verdict(&row(old).with(old, 2), &row(new)), Verdict::Unknown);
        };
        check((1.0, 2.0), (0.5, 0.9), Verdict::Faster);
        check((1.0, 2.0), (2.1, 3.0), Verdict::Slower);
        check((1.0, 2.0), (1.9, 3.0), Verdict::Noise);
        check((1.0, 2.0), (1.2, 1.3), Verdict::Noise);
        check((1.0, 1.0), (1.0, 1.0), Verdict::Noise);
    }

    impl Row {
        fn with(self, range: (f64, f64), rounds: usize) -> Row {
            Row { range, rounds, ..self }
        }
    }

    #[test]
    fn the_table() {
        let old = run("aaaa", &[("push", 2.0, 1.9, 2.1), ("gone", 1.0, 1.0, 1.0)]);
        let mut new = run("bbbb", &[("push", 1.0, 0.9, 1.1), ("come", 1.0, 1.0, 1.0)]);
        let text = render("registry", &old, &new);
        let check = |text: &str, expect: &str| assert!(text.contains(expect), "{expect} in\n{text}");
        check(&text, "registry: aaaa → bbbb\n");
        check(&text, "2.000 →     1.000 s    -50.0 %  faster");
        check(&text, "gone    only in the old run");
        check(&text, "come    only in the new run");
        check(&text, "12.5 →      12.5 MB     +0.0 %");
        assert!(!text.contains("machine") && !text.contains("load"), "{text}");
        new.machine = "4 cores".into();
        new.load = 3.25;
        let text = render("registry", &old, &new);
        check(&text, "not the same machine: 2 cores → 4 cores");
        check(&text, "the new run was measured beside other work: load 3.2");
    }
}
