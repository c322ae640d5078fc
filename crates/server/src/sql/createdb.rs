//! The options of CREATE DATABASE, which the parser doesn't know in Postgres' spelling.
//!
//! `OWNER name` becomes the parser's own `CLONE name`, which is then read as the owner; the encoding and the template
//! are looked at and left out, because here there is one of them.

use super::error::{Result, SqlError};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Rewrites the options wherever the statement begins.
pub(super) fn adapt(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let keyword =
        |token: &Token| if let Token::Word(word) = token { word.keyword } else { Keyword::NoKeyword };
    let mut adapted = Vec::with_capacity(tokens.len());
    let mut tokens =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).peekable();
    let mut position = 0;
    let mut first = Keyword::NoKeyword;
    let mut is_ours = false;
    while let Some(mut token) = tokens.next() {
        position = if token.token == Token::SemiColon { 0 } else { position + 1 };
        let word = keyword(&token.token);
        match position {
            1 => first = word,
            2 => is_ours = first == Keyword::CREATE && word == Keyword::DATABASE,
            // The third is the name, whatever it is.
            4.. if is_ours => {
                let name = token.token.to_string().to_uppercase();
                match name.as_str() {
                    "WITH" | "=" => continue,
                    "OWNER" => {
                        tokens.next_if(|next| next.token == Token::Eq);
                        let clone =
                            Word { value: "CLONE".to_owned(), quote_style: None, keyword: Keyword::CLONE };
                        token.token = Token::Word(clone);
                    }
                    "ENCODING" | "TEMPLATE" | "LC_COLLATE" | "LC_CTYPE" | "LOCALE" => {
                        tokens.next_if(|next| next.token == Token::Eq);
                        let Some(value) = tokens.next() else {
                            return Err(SqlError::syntax("syntax error at end of input"));
                        };
                        known(&name, &value)?;
                        continue;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        adapted.push(token);
    }
    Ok(adapted)
}

fn known(option: &str, value: &TokenWithSpan) -> Result<()> {
    let (text, allowed): (String, &[&str]) = match (&value.token, option) {
        (Token::SingleQuotedString(text), "ENCODING") => (text.to_uppercase(), &["UTF8", "UTF-8", "UNICODE"]),
        (Token::SingleQuotedString(text), "LC_COLLATE" | "LC_CTYPE" | "LOCALE") => {
            (text.to_uppercase(), &["C", "POSIX", "C.UTF-8", "C.UTF8", "EN_US.UTF-8", "EN_US.UTF8"])
        }
        (Token::Word(word), "TEMPLATE") => (word.value.to_lowercase(), &["template0", "template1"]),
        (Token::Word(word), _) if word.keyword == Keyword::DEFAULT => return Ok(()),
        (other, _) => (other.to_string(), &[]),
    };
    if allowed.contains(&text.as_str()) {
        return Ok(());
    }
    let message = format!("CREATE DATABASE with {option} {}", value.token);
    Err(SqlError::unsupported(message).at(value.span.start))
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Statement;

    fn check(sql: &str, expect: &str) {
        let got = match super::super::parse(sql).map(|mut all| all.pop()) {
            Ok(Some(Statement::CreateDatabase { db_name, clone, .. })) => {
                format!("{db_name} {}", clone.map_or_else(|| "-".to_owned(), |owner| owner.to_string()))
            }
            Ok(other) => format!("{other:?}"),
            Err(error) => error.code.to_owned(),
        };
        assert_eq!(got, expect, "{sql}");
    }

    #[test]
    fn options_are_read_as_postgres_does() {
        check("CREATE DATABASE a", "a -");
        check("create database \"with\" owner = \"Big Owl\"", "\"with\" \"Big Owl\"");
        check(
            "SELECT 1; CREATE DATABASE owner WITH OWNER wren ENCODING 'UTF8' TEMPLATE template0;",
            "owner wren",
        );
        check("CREATE DATABASE a TEMPLATE = template1 LC_COLLATE 'C'", "a -");
        check("CREATE DATABASE a ENCODING 'LATIN1'", "0A000");
        check("CREATE DATABASE a TEMPLATE b", "0A000");
        check("CREATE DATABASE a ENCODING", "42601");
        check("CREATE DATABASE a OWNER", "42601");
    }
}
