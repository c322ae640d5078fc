//! What came of the probes, for people, as JSON and as JUnit XML: the same lines each time.

use std::path::Path;

use anyhow::{Result, bail};
use report::junit;

use super::{Line, Outcome};
use crate::image::Format;
use crate::sbom;

/// Prints the result, writes JUnit XML to `file` where one is given, and fails if anything did.
pub fn finish(lines: &[Line], format: Format, file: Option<&Path>) -> Result<()> {
    if let Some(file) = file {
        sbom::write(file, xml(lines)?.as_bytes())?;
    }
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(lines)?),
        Format::Human => print!("{}", table(lines)),
    }
    let failed = count(lines, |o| matches!(o, Outcome::Failed(_)));
    if failed > 0 {
        bail!("{failed} of {} probes failed", lines.len());
    }
    if lines.is_empty() {
        bail!("nothing was tried: no probe is of that kind");
    }
    Ok(())
}

fn count(lines: &[Line], wanted: fn(&Outcome) -> bool) -> usize {
    lines.iter().filter(|line| wanted(&line.outcome)).count()
}

/// What did not pass, and how much did.
fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    for Line { subject, probe, outcome, .. } in lines {
        let (verb, why) = match outcome {
            Outcome::Failed(why) => ("failed", why),
            Outcome::Skipped(why) => ("skipped", why),
            Outcome::Passed => continue,
        };
        text += &format!("{verb}: {subject} {probe}: {why}\n");
    }
    let passed = count(lines, |o| matches!(o, Outcome::Passed));
    let failed = count(lines, |o| matches!(o, Outcome::Failed(_)));
    let skipped = count(lines, |o| matches!(o, Outcome::Skipped(_)));
    text + &format!("{passed} passed, {failed} failed, {skipped} skipped\n")
}

fn xml(lines: &[Line]) -> Result<String> {
    let cases: Vec<junit::Case> = lines.iter().map(case).collect();
    Ok(junit::render("cargo xtask verify", &cases)?)
}

fn case(line: &Line) -> junit::Case<'_> {
    let outcome = match &line.outcome {
        Outcome::Passed => junit::Outcome::Passed,
        Outcome::Failed(why) => junit::Outcome::Failed(why),
        Outcome::Skipped(why) => junit::Outcome::Skipped(why),
    };
    junit::Case { subject: &line.subject, name: line.probe, outcome, seconds: line.seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(outcomes: &[Outcome]) -> Vec<Line> {
        let line = |outcome: &Outcome| Line {
            subject: "x:1".into(),
            probe: "holds",
            outcome: outcome.clone(),
            seconds: 0.5,
        };
        outcomes.iter().map(line).collect()
    }

    #[test]
    fn a_failure_fails_the_command_and_a_skip_does_not() {
        let (passed, skipped, failed) =
            (Outcome::Passed, Outcome::Skipped("no psql".into()), Outcome::Failed("it <fell>".into()));
        let check = |outcomes: &[Outcome], expect: &str| {
            for format in [Format::Human, Format::Json] {
                let found = finish(&lines(outcomes), format, None).map_err(|e| e.to_string());
                assert_eq!(found.err().unwrap_or_default(), expect);
            }
        };
        check(&[passed.clone(), skipped.clone()], "");
        check(&[passed, skipped, failed], "1 of 3 probes failed");
        check(&[], "nothing was tried: no probe is of that kind");
    }

    #[test]
    fn the_table_the_json_and_the_xml_say_the_same() {
        let all = [Outcome::Passed, Outcome::Skipped("no psql".into()), Outcome::Failed("it <fell>".into())];
        let lines = lines(&all);
        assert_eq!(
            table(&lines),
            "skipped: x:1 holds: no psql\nfailed: x:1 holds: it <fell>\n1 passed, 1 failed, 1 skipped\n"
        );
        let json: serde_json::Value = serde_json::to_value(&lines).unwrap();
        let found: Vec<_> = json.as_array().unwrap().iter().map(|l| (&l["outcome"], &l["why"])).collect();
        assert_eq!(found[1], (&"skipped".into(), &"no psql".into()));
        assert_eq!(found[2], (&"failed".into(), &"it <fell>".into()));
        assert!(json[0].get("why").is_none() && json[0]["seconds"] == 0.5);
        let xml = xml(&lines).unwrap();
        for part in [
            r#"tests="3" failures="1" errors="0" skipped="1" time="1.500""#,
            r#"<testcase classname="x:1" name="holds" time="0.500"/>"#,
            r#"<skipped message="no psql">"#,
            r#"<failure message="it &lt;fell&gt;">"#,
        ] {
            assert!(xml.contains(part), "{part} in\n{xml}");
        }
    }

    #[test]
    fn the_file_is_written_also_when_something_failed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("junit.xml");
        finish(&lines(&[Outcome::Failed("x".into())]), Format::Json, Some(&file)).unwrap_err();
        assert!(std::fs::read_to_string(&file).unwrap().contains("<failure"));
        let error = finish(&lines(&[Outcome::Passed]), Format::Json, Some(&dir.path().join("no/x.xml")));
        assert!(error.unwrap_err().to_string().contains("cannot write"));
    }
}
