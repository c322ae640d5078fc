//! Errors as a client sees them: SQLSTATE, message in Postgres' wording, detail, hint and position.

/// An error on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// The five characters of SQLSTATE.
    pub code: &'static str,
    /// One line, lower-case, no full stop.
    pub message: String,
    /// More about this case.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the statement's text, as a line and a column from 1.
    pub at: Option<(u32, u32)>,
    /// The session ends after this error.
    pub fatal: bool,
    /// What it is about.
    pub about: Option<Box<About>>,
}

/// What an error is about, by the protocol's letters: `s` schema, `t` table, `c` column, `n` constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About(pub Vec<(u8, String)>);

/// A result whose error can be sent to a client.
pub type Result<T> = std::result::Result<T, SqlError>;

impl SqlError {
    /// An error with a code and a message.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None, at: None, fatal: false, about: None }
    }

    /// A construct that this server does not translate (0A000).
    pub fn unsupported(construct: impl std::fmt::Display) -> Self {
        Self::new("0A000", format!("{construct} is not supported"))
    }

    /// A syntax error (42601).
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new("42601", message)
    }

    /// A message that ends the session.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(code, message) }
    }

    /// Adds a detail line.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint line.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what it is about, by the protocol's letter.
    pub fn about(mut self, letter: u8, name: impl Into<String>) -> Self {
        self.about.get_or_insert_default().0.push((letter, name.into()));
        self
    }

    /// Adds a place in the statement, unless an inner step knew it better.
    pub fn at(mut self, location: sqlparser::tokenizer::Location) -> Self {
        if self.at.is_none() && location.line > 0 {
            self.at = u32::try_from(location.line).ok().zip(u32::try_from(location.column).ok());
        }
        self
    }

    /// The place as Postgres counts it: characters from the start of the query text, from 1.
    pub fn position(&self, query: &str) -> Option<usize> {
        let (line, column) = self.at?;
        let before: usize =
            query.split('\n').take(usize::try_from(line).ok()? - 1).map(|l| l.chars().count() + 1).sum();
        Some(before + usize::try_from(column).ok()?)
    }

    /// Packs the error into one string, the only thing an SQL function can hand through SQLite.
    pub fn pack(&self) -> String {
        format!("\u{1}{}\u{1}{}", self.code, self.message)
    }

    /// Reads back what [`SqlError::pack`] wrote.
    pub fn unpack(text: &str) -> Option<Self> {
        let (code, message) = text.strip_prefix('\u{1}')?.split_once('\u{1}')?;
        let code = CODES.iter().find(|known| **known == code)?;
        Some(Self::new(code, message))
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)
    }
}

impl std::error::Error for SqlError {}

/// The codes that SQL functions raise.
const CODES: &[&str] = &[
    "0A000", "21000", "22001", "22003", "22004", "22007", "22008", "22011", "22012", "22015", "2201B",
    "2201E", "2201F", "2201G", "2201W", "2201X", "22021", "22023", "2200H", "2202E", "22P02", "22P03",
    "23502", "23514", "39000", "42704", "42501", "42804", "42846", "42P01", "54000", "55000", "57014",
    "58000",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_sqlite() {
        for code in CODES {
            let error = SqlError::new(code, "value \"x\" is out of range");
            assert_eq!(SqlError::unpack(&error.pack()), Some(error));
        }
        assert_eq!(SqlError::unpack("no such table: t"), None);
    }

    #[test]
    fn a_position_counts_characters_over_lines() {
        let mut error = SqlError::syntax("x");
        error.at = Some((2, 3));
        assert_eq!(error.position("sölect\n  x"), Some(10));
    }
}
