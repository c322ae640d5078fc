//! What a container costs, in the words of its goals.

use super::super::{Figure, Row};
use super::{Usage, WORK};

/// Processor and memory, of the same work without and with a container.
pub fn of_usage(bare: &Usage, container: &Usage) -> Vec<Figure> {
    let mut figures = vec![Figure::new(
        "memory beyond bare (goal: under 50)",
        "MB",
        (container.memory - bare.memory) / 1e6,
    )];
    if bare.cpu > 0.0 {
        figures.push(Figure::new(
            "processor beyond bare (goal: under 2)",
            "%",
            (container.cpu / bare.cpu - 1.0) * 100.0,
        ));
    }
    figures
}

/// Queries, commits and latency, from the medians of the races.
pub fn of_work(rows: &[Row]) -> Vec<Figure> {
    let seconds = |what: &str| rows.iter().find(|row| row.what == what).map(|row| row.seconds);
    let mut figures = Vec::new();
    for (bare, container, script, clients, transactions) in WORK {
        let (Some(bare), Some(container)) = (seconds(bare), seconds(container)) else { continue };
        let (name, goal) = if script == "select-only" { ("queries", 98) } else { ("writes", 95) };
        figures.push(Figure::new(
            &format!("{name} of bare, clients: {clients} (goal: over {goal})"),
            "%",
            bare / container * 100.0,
        ));
        if clients == "1" {
            let count: f64 = transactions.parse().unwrap_or(1.0);
            figures.push(Figure::new(
                "latency of a query beyond bare (goal: under 1)",
                "ms",
                (container - bare) / count * 1e3,
            ));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_signs() {
        let row = |what: &str, seconds: f64| Row {
            what: what.into(),
            seconds,
            range: (seconds, seconds),
            rounds: 9,
            ratio: None,
        };
        let (bare, container, ..) = WORK[0];
        let figures = of_work(&[row(bare, 1.0), row(container, 1.25)]);
        assert_eq!(figures.len(), 2);
        assert_eq!((figures[0].value, figures[0].unit.as_str()), (80.0, "%"));
        assert!((figures[1].value - 0.0125).abs() < 1e-9, "{figures:?}");
        assert!(of_work(&[]).is_empty());
        let usage = |cpu, memory| Usage { cpu, written: 0.0, memory };
        let figures = of_usage(&usage(2.0, 10e6), &usage(2.1, 12e6));
        assert!((figures[0].value - 2.0).abs() < 1e-9 && (figures[1].value - 5.0).abs() < 1e-9);
        assert_eq!(of_usage(&usage(0.0, 1e6), &usage(1.0, 1e6)).len(), 1);
    }
}
