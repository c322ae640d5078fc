//! Cuts a script into statements and backslash commands, as psql does.
//!
//! 1. Lines go in one at a time, because the data of COPY FROM STDIN lies between them.
//! 2. A statement ends at a `;` outside of quotes, comments and parentheses.
//! 3. A backslash outside of quotes and comments starts a command, which ends with its line.
//! 4. `:name`, `:'name'` and `:"name"` are replaced outside of quotes and comments by what is set when
//!    the scan comes by, so that a command earlier in the same line counts.

use std::collections::BTreeMap;

/// psql's variables.
pub type Variables = BTreeMap<String, String>;

/// A part of a script.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A statement, and the number of its first line.
    Statement(String, usize),
    /// A command without its backslash, and its line's number.
    Command(String, usize),
}

/// Inside what the scan is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    Nothing,
    /// `'…'`; in `E'…'` a backslash escapes.
    Text {
        escapes: bool,
    },
    /// `"…"`
    Name,
    /// `$tag$…$tag$`
    Dollar(String),
    /// `/* … */`, nested.
    Comment(usize),
}

/// The scanner.
pub struct Scanner {
    inside: Inside,
    statement: String,
    /// The line of the statement's first character.
    first_line: usize,
    line: Vec<char>,
    at: usize,
    number: usize,
    depth: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            inside: Inside::Nothing,
            statement: String::new(),
            first_line: 1,
            line: Vec::new(),
            at: 0,
            number: 0,
            depth: 0,
        }
    }
}

impl Scanner {
    /// Adds the next line, with its line feed.
    pub fn push_line(&mut self, line: &str) {
        self.line = line.chars().collect();
        self.at = 0;
        self.number += 1;
    }

    /// Counts lines that somebody else has read: the data of COPY.
    pub fn skip_lines(&mut self, count: usize) {
        self.number += count;
    }

    /// The number of the last line.
    pub fn line_number(&self) -> usize {
        self.number
    }

    /// Whether a statement has begun.
    pub fn is_within(&self) -> bool {
        !self.statement.is_empty()
    }

    /// What is left at the end: a statement without its `;`.
    pub fn finish(&mut self) -> Option<(String, usize)> {
        (self.inside, self.depth) = (Inside::Nothing, 0);
        let rest = std::mem::take(&mut self.statement);
        let rest = rest.trim_end();
        (!rest.is_empty()).then(|| (rest.to_owned(), self.first_line))
    }

    /// The next piece; `None` when another line is needed.
    pub fn next(&mut self, variables: &Variables) -> Option<Piece> {
        while let Some(&character) = self.line.get(self.at) {
            self.at += 1;
            let following = self.line.get(self.at).copied();
            match &self.inside {
                Inside::Text { escapes: true } if character == '\\' => {
                    self.put(character);
                    self.copy(1);
                }
                Inside::Text { .. } => self.closing(character, character == '\''),
                Inside::Name => self.closing(character, character == '"'),
                Inside::Dollar(tag) => {
                    let ends = character == '$' && self.starts_with(tag);
                    let length = tag.chars().count();
                    self.put(character);
                    if ends {
                        self.copy(length);
                        self.inside = Inside::Nothing;
                    }
                }
                &Inside::Comment(depth) => {
                    self.put(character);
                    let pair = (character, following);
                    if pair == ('*', Some('/')) || pair == ('/', Some('*')) {
                        self.copy(1);
                        let depth = if character == '*' { depth - 1 } else { depth + 1 };
                        self.inside = if depth == 0 { Inside::Nothing } else { Inside::Comment(depth) };
                    }
                }
                Inside::Nothing => match (character, following) {
                    ('-', Some('-')) => {
                        let rest: String = self.line[self.at - 1..].iter().collect();
                        self.at = self.line.len();
                        if self.is_within() {
                            self.statement += &rest;
                        }
                    }
                    ('/', Some('*')) => {
                        self.put(character);
                        self.copy(1);
                        self.inside = Inside::Comment(1);
                    }
                    ('\'', _) => {
                        self.inside = Inside::Text { escapes: self.after_e() };
                        self.put(character);
                    }
                    ('"', _) => {
                        self.inside = Inside::Name;
                        self.put(character);
                    }
                    ('$', _) => {
                        let tag = if self.after_word() { None } else { self.dollar_tag() };
                        self.put(character);
                        if let Some(tag) = tag {
                            self.copy(tag.chars().count());
                            self.inside = Inside::Dollar(tag);
                        }
                    }
                    ('\\', _) => return Some(self.command()),
                    (':', Some(':' | '=')) => {
                        self.put(character);
                        self.copy(1);
                    }
                    (':', _) => self.variable(variables),
                    (';', _) if self.depth == 0 => {
                        self.put(character);
                        let statement = std::mem::take(&mut self.statement);
                        return Some(Piece::Statement(statement, self.first_line));
                    }
                    ('(', _) => {
                        self.depth += 1;
                        self.put(character);
                    }
                    (')', _) => {
                        self.depth = self.depth.saturating_sub(1);
                        self.put(character);
                    }
                    // White space before a statement doesn't belong to it.
                    _ if character.is_whitespace() && !self.is_within() => {}
                    _ => self.put(character),
                },
            }
        }
        None
    }

    fn put(&mut self, character: char) {
        if self.statement.is_empty() {
            self.first_line = self.number;
        }
        self.statement.push(character);
    }

    fn copy(&mut self, count: usize) {
        let end = (self.at + count).min(self.line.len());
        self.statement.extend(&self.line[self.at..end]);
        self.at = end;
    }

    /// A character within quotes. A doubled quote ends one text and begins the next: the same thing.
    fn closing(&mut self, character: char, ends: bool) {
        self.put(character);
        if ends {
            self.inside = Inside::Nothing;
        }
    }

    fn starts_with(&self, text: &str) -> bool {
        let rest = &self.line[self.at..];
        text.chars().enumerate().all(|(index, character)| rest.get(index) == Some(&character))
    }

    fn after_word(&self) -> bool {
        self.statement.chars().next_back().is_some_and(|c| is_word(c) || c == '$')
    }

    /// Whether the quote follows a lone `E`, or continues a text that did.
    fn after_e(&self) -> bool {
        let mut before = self.statement.chars().rev();
        matches!(before.next(), Some('e' | 'E')) && !before.next().is_some_and(is_word)
    }

    /// The rest of a `$tag$` after its first dollar sign.
    fn dollar_tag(&self) -> Option<String> {
        let rest = &self.line[self.at..];
        let end = rest.iter().position(|character| *character == '$')?;
        let legal = rest[..end].iter().all(|character| is_word(*character))
            && !rest.first().is_some_and(char::is_ascii_digit);
        legal.then(|| rest[..=end].iter().collect())
    }

    fn command(&mut self) -> Piece {
        let mut text: String = self.line[self.at..].iter().collect();
        text.truncate(text.trim_end().len());
        self.at = self.line.len();
        Piece::Command(text, self.number)
    }

    fn variable(&mut self, variables: &Variables) {
        let rest: String = self.line[self.at..].iter().collect();
        match substitute(&rest, variables) {
            Some((value, length)) => {
                for character in value.chars() {
                    self.put(character);
                }
                self.at += length;
            }
            None => self.put(':'),
        }
    }
}

/// What stands for `name…`, `'name'…` or `"name"…` after a colon, and how many characters that is.
pub fn substitute(rest: &str, variables: &Variables) -> Option<(String, usize)> {
    let quote = rest.chars().next().filter(|character| ['\'', '"'].contains(character));
    let name: String = rest.chars().skip(usize::from(quote.is_some())).take_while(|c| is_word(*c)).collect();
    let length = name.chars().count();
    let value = variables.get(&name).filter(|_| length > 0)?;
    let Some(quote) = quote else { return Some((value.clone(), length)) };
    if rest.chars().nth(length + 1) != Some(quote) {
        return None;
    }
    let text = if quote == '"' { crate::sql::quote(value) } else { literal(value) };
    Some((text, length + 2))
}

/// A text as an SQL literal.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// A command's words: `'…'` with escapes, `"…"` as it is, variables replaced.
pub fn words(text: &str, variables: &Variables) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        while let Some(character) = rest.chars().next().filter(|character| !character.is_whitespace()) {
            rest = &rest[character.len_utf8()..];
            match character {
                '\'' | '"' => rest = quoted(rest, character, &mut word)?,
                ':' => match substitute(rest, variables) {
                    Some((value, length)) => {
                        word += &value;
                        let bytes: usize = rest.chars().take(length).map(char::len_utf8).sum();
                        rest = &rest[bytes..];
                    }
                    None => word.push(':'),
                },
                other => word.push(other),
            }
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

/// Reads up to the closing quote and gives back what follows it.
fn quoted<'t>(text: &'t str, quote: char, word: &mut String) -> Result<&'t str, String> {
    let mut characters = text.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' if quote == '\'' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => word.push('\n'),
                Some('t') => word.push('\t'),
                Some('r') => word.push('\r'),
                Some(other) => word.push(other),
                None => break,
            },
            _ if character != quote => word.push(character),
            _ if characters.peek().is_some_and(|(_, next)| *next == quote) => {
                word.push(quote);
                characters.next();
            }
            _ => return Ok(&text[index + quote.len_utf8()..]),
        }
    }
    Err("unterminated quoted string".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, expect: &[&str]) {
        let variables =
            Variables::from([("v".to_owned(), "it's".to_owned()), ("n".to_owned(), "7".to_owned())]);
        let mut scanner = Scanner::default();
        let mut got = Vec::new();
        for line in script.split_inclusive('\n') {
            scanner.push_line(line);
            while let Some(piece) = scanner.next(&variables) {
                got.push(match piece {
                    Piece::Statement(text, line) => format!("{line}:{text}"),
                    Piece::Command(text, line) => format!("{line}:\\{text}"),
                });
            }
        }
        got.extend(scanner.finish().map(|(text, line)| format!("{line}:{text}.")));
        assert_eq!(got, expect, "{script:?}");
    }

    #[test]
    fn statements_end_where_psql_ends_them() {
        check("SELECT 1; SELECT\n2;\n", &["1:SELECT 1;", "1:SELECT\n2;"]);
        check("\n\n a;b", &["3:a;", "3:b."]);
        check("SELECT ';''x;';\n", &["1:SELECT ';''x;';"]);
        check("SELECT E'\\';';", &["1:SELECT E'\\';';"]);
        check("SELECT 'a\\';x';", &["1:SELECT 'a\\';", "1:x';."]);
        check("SELECT $$;$$, $a$ $$;\n$a$;", &["1:SELECT $$;$$, $a$ $$;\n$a$;"]);
        check("SELECT a$b$;c$b$;", &["1:SELECT a$b$;", "1:c$b$;"]);
        check("SELECT $1;$2;", &["1:SELECT $1;", "1:$2;"]);
        check("-- a;b\nSELECT 1 -- c;d\n, 2;", &["2:SELECT 1 -- c;d\n, 2;"]);
        check("SELECT /* ; /* ; */ ; */ 1;", &["1:SELECT /* ; /* ; */ ; */ 1;"]);
        check("CREATE RULE r AS (a; b);c;", &["1:CREATE RULE r AS (a; b);", "1:c;"]);
        check("SELECT \"a;\"\"b;\";", &["1:SELECT \"a;\"\"b;\";"]);
        check("SELECT 'open\n;", &["1:SELECT 'open\n;."]);
        check("\\echo a;b\nSELECT 1 \\g\n", &["1:\\echo a;b", "2:\\g", "2:SELECT 1."]);
    }

    #[test]
    fn variables_are_replaced_outside_of_quotes() {
        check(
            "SELECT :n, :'v', :\"v\", ':n', :unset, a::int, :'n;",
            &["1:SELECT 7, 'it''s', \"it's\", ':n', :unset, a::int, :'n;."],
        );
        let variables = Variables::from([("v".to_owned(), "b c".to_owned())]);
        assert_eq!(words("a 'x\\ny''z' \"q r\" :v:v", &variables).unwrap(), ["a", "x\ny'z", "q r", "b cb c"]);
        assert!(words("'a", &variables).is_err());
        assert_eq!(literal("a\\b'"), " E'a\\\\b'''");
    }
}
