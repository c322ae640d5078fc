//! What the server says of an error or a remark, and how psql prints it.

use std::collections::BTreeMap;

/// How much of a report is printed, as psql's variable VERBOSITY has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// The message, its place, detail and hint.
    #[default]
    Default,
    /// SQLSTATE and the objects concerned too.
    Verbose,
    /// The message in one line.
    Terse,
    /// SQLSTATE alone.
    Sqlstate,
}

impl Verbosity {
    /// What the variable is set to.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "default" | "" => Self::Default,
            "verbose" => Self::Verbose,
            "terse" => Self::Terse,
            "sqlstate" => Self::Sqlstate,
            _ => return None,
        })
    }
}

/// What the server said, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    fields: BTreeMap<u8, String>,
}

impl Report {
    pub(super) fn new(fields: Vec<(u8, String)>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }

    fn field(&self, code: u8) -> &str {
        self.fields.get(&code).map_or("", String::as_str)
    }

    /// The five characters of SQLSTATE.
    pub fn code(&self) -> &str {
        self.field(b'C')
    }

    /// Whether the server says no more after it.
    pub fn ends_session(&self) -> bool {
        matches!(self.field(b'S'), "FATAL" | "PANIC")
    }

    /// One line: severity and message.
    pub fn line(&self) -> String {
        format!("{}:  {}", self.field(b'S'), self.field(b'M'))
    }

    /// As psql prints it: with the place in the statement's text, the detail and the hint.
    pub fn text(&self, query: &str, verbosity: Verbosity) -> String {
        let place: Option<usize> = self.field(b'P').parse().ok();
        let mut text = match verbosity {
            Verbosity::Sqlstate => return format!("{}:  {}\n", self.field(b'S'), self.code()),
            Verbosity::Terse => {
                let at = place.map(|at| format!(" at character {at}")).unwrap_or_default();
                return format!("{}{at}\n", self.line());
            }
            Verbosity::Verbose => format!("{}:  {}: {}\n", self.field(b'S'), self.code(), self.field(b'M')),
            Verbosity::Default => self.line() + "\n",
        };
        if let Some((number, line, column)) = place.and_then(|at| find(query, at)) {
            let label = format!("LINE {number}: ");
            let indent = " ".repeat(label.chars().count() + column);
            text += &format!("{label}{line}\n{indent}^\n");
        }
        let mut labels = vec![(b'D', "DETAIL"), (b'H', "HINT")];
        if verbosity == Verbosity::Verbose {
            labels.extend([(b's', "SCHEMA NAME"), (b't', "TABLE NAME"), (b'c', "COLUMN NAME")]);
            labels.extend([(b'd', "DATATYPE NAME"), (b'n', "CONSTRAINT NAME")]);
        }
        for (code, label) in labels {
            if let Some(field) = self.fields.get(&code) {
                text += &format!("{label}:  {field}\n");
            }
        }
        text
    }
}

/// The line number, the line and the column of a position that counts characters from 1.
fn find(query: &str, position: usize) -> Option<(usize, &str, usize)> {
    let mut column = position.checked_sub(1)?;
    for (number, line) in query.split('\n').enumerate() {
        let length = line.chars().count();
        if column <= length {
            return Some((number + 1, line, column));
        }
        column -= length + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_as_much_as_is_asked_for() {
        let fields =
            [(b'S', "ERROR"), (b'C', "42703"), (b'M', "no x"), (b'P', "12"), (b'H', "look"), (b't', "t")];
        let report = Report::new(fields.iter().map(|(code, text)| (*code, (*text).to_owned())).collect());
        let place = "LINE 2:  xyz\n         ^\nHINT:  look\n";
        for (word, expect) in [
            ("default", format!("ERROR:  no x\n{place}")),
            ("verbose", format!("ERROR:  42703: no x\n{place}TABLE NAME:  t\n")),
            ("terse", "ERROR:  no x at character 12\n".to_owned()),
            ("sqlstate", "ERROR:  42703\n".to_owned()),
        ] {
            let verbosity = Verbosity::of(word).unwrap();
            assert_eq!(report.text("SELECT 1,\n xyz", verbosity), expect, "{word}");
        }
        assert_eq!(Verbosity::of("loud"), None);
        assert_eq!(find("ab", 9), None);
    }
}
