//! JUnit's XML, which test dashboards and CI services read, by the schema of Jenkins' xUnit plugin (`junit-10.xsd`).

use quick_xml::Writer;
use quick_xml::events::{BytesText, Event};

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It holds.
    Passed,
    /// It does not, with what was seen.
    Failed(&'a str),
    /// It was not tried, with the reason.
    Skipped(&'a str),
}

/// One thing that was tried.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What it was tried on; cases of one subject make a suite.
    pub subject: &'a str,
    /// What should hold.
    pub name: &'a str,
    /// What came of it.
    pub outcome: Outcome<'a>,
    /// How long it took.
    pub seconds: f64,
}

/// The document: a suite a subject, in the order of their first cases.
///
/// # Errors
/// None that a buffer in memory could give.
pub fn render(name: &str, cases: &[Case]) -> std::io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(quick_xml::events::BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut subjects: Vec<&str> = Vec::new();
    for case in cases {
        if !subjects.contains(&case.subject) {
            subjects.push(case.subject);
        }
    }
    let totals = Totals::of(cases.iter());
    writer
        .create_element("testsuites")
        .with_attributes([
            ("name", name),
            ("tests", &totals.tests),
            ("failures", &totals.failures),
            ("errors", "0"),
            ("time", &totals.time),
        ])
        .write_inner_content(|writer| {
            for subject in subjects {
                suite(writer, subject, cases)?;
            }
            Ok(())
        })?;
    let mut text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

/// What suites say of their cases, as text.
struct Totals {
    tests: String,
    failures: String,
    skipped: String,
    time: String,
}

impl Totals {
    fn of<'a>(cases: impl Iterator<Item = &'a Case<'a>> + Clone) -> Totals {
        let count = |wanted: fn(&Outcome) -> bool| cases.clone().filter(|c| wanted(&c.outcome)).count();
        Totals {
            tests: cases.clone().count().to_string(),
            failures: count(|o| matches!(o, Outcome::Failed(_))).to_string(),
            skipped: count(|o| matches!(o, Outcome::Skipped(_))).to_string(),
            // An empty sum of floats is -0, which the schema takes for no time.
            time: seconds(cases.map(|c| c.seconds).fold(0.0, |a, b| a + b)),
        }
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}

fn suite(writer: &mut Writer<Vec<u8>>, subject: &str, cases: &[Case]) -> std::io::Result<()> {
    let own = cases.iter().filter(|case| case.subject == subject);
    let totals = Totals::of(own.clone());
    let shown = allowed(subject);
    writer
        .create_element("testsuite")
        .with_attributes([
            ("name", shown.as_str()),
            ("tests", &totals.tests),
            ("failures", &totals.failures),
            ("errors", "0"),
            ("skipped", &totals.skipped),
            ("time", &totals.time),
        ])
        .write_inner_content(|writer| {
            for case in own {
                let (name, time) = (allowed(case.name), seconds(case.seconds));
                let element = writer.create_element("testcase").with_attributes([
                    ("classname", shown.as_str()),
                    ("name", &name),
                    ("time", &time),
                ]);
                let (tag, why) = match case.outcome {
                    Outcome::Passed => {
                        element.write_empty()?;
                        continue;
                    }
                    Outcome::Failed(why) => ("failure", allowed(why)),
                    Outcome::Skipped(why) => ("skipped", allowed(why)),
                };
                element.write_inner_content(|writer| {
                    writer
                        .create_element(tag)
                        .with_attribute(("message", why.as_str()))
                        .write_text_content(BytesText::new(&why))
                        .map(drop)
                })?;
            }
            Ok(())
        })?;
    Ok(())
}

/// The text without what no XML document may contain, however it is escaped (XML 1.0, 2.2): logs hold such characters.
fn allowed(text: &str) -> String {
    let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [Case; 4] = [
        Case { subject: "a:1", name: "starts", outcome: Outcome::Passed, seconds: 1.25 },
        Case {
            subject: "b:<1>",
            name: "says \"no\" & goes",
            outcome: Outcome::Failed("<script>\u{1b}[0m]]>"),
            seconds: 0.5,
        },
        Case {
            subject: "a:1",
            name: "is \u{0} healthy",
            outcome: Outcome::Skipped("no engine"),
            seconds: 0.0,
        },
        Case { subject: "a:1", name: "stops", outcome: Outcome::Failed("late"), seconds: 1234.5 },
    ];

    #[test]
    fn a_suite_a_subject() {
        let text = render("verify", &CASES).unwrap();
        let check = |expect: &str| assert!(text.contains(expect), "{expect} in\n{text}");
        check(r#"<testsuites name="verify" tests="4" failures="2" errors="0" time="1236.250">"#);
        check(r#"<testsuite name="a:1" tests="3" failures="1" errors="0" skipped="1" time="1235.750">"#);
        check(r#"<testcase classname="a:1" name="starts" time="1.250"/>"#);
        check(r#"<skipped message="no engine">no engine</skipped>"#);
        check(r#"name="says &quot;no&quot; &amp; goes""#);
        check("b:&lt;1&gt;");
        check("&lt;script&gt;\u{fffd}[0m]]&gt;");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{0}'), "{text}");
        assert_eq!(text.matches("<testsuite ").count(), 2, "{text}");
    }

    #[test]
    fn nothing_tried_is_a_document_too() {
        let text = render("verify", &[]).unwrap();
        assert!(text.contains(r#"tests="0""#), "{text}");
    }

    /// libxml's own validator, the schema that CI services use.
    #[test]
    #[allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "it asks another program")]
    fn it_is_valid_by_the_common_schema() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let xmllint = |text: &str| {
            let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas/junit-10.xsd");
            let mut child = Command::new("xmllint")
                .args(["--noout", "--schema", schema, "-"])
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .ok()?;
            child.stdin.take()?.write_all(text.as_bytes()).ok()?;
            let output = child.wait_with_output().ok()?;
            Some((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
        };
        for cases in [&CASES[..], &[]] {
            let text = render("verify", cases).unwrap();
            let Some((valid, words)) = xmllint(&text) else {
                println!("skipped: no xmllint; on Debian run `apt-get install libxml2-utils`");
                return;
            };
            assert!(valid, "{words}\n{text}");
        }
        let broken = render("verify", &CASES).unwrap().replace(" name=\"starts\"", "");
        assert!(!xmllint(&broken).unwrap().0, "a case without a name is valid");
    }
}
