//! Materialized views in the parser's words: it knows neither `WITH NO DATA` nor REFRESH, nor that they can be altered.

use super::error::{Result, SqlError};
use super::sequences::{is_blank, keyword};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// What REFRESH MATERIALIZED VIEW is for the parser: a parameter, with the name and the options as its values.
pub(super) const REFRESH: &str = "sb_refresh";
/// The options in the second value.
pub(super) const CONCURRENTLY: char = 'c';
/// See above.
pub(super) const NO_DATA: char = 'n';

/// Rewrites one statement, without its end.
pub(super) fn adapt(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut solid: Vec<TokenWithSpan> = tokens.iter().filter(|token| !is_blank(token)).cloned().collect();
    let is = |token: Option<&TokenWithSpan>, word: &str| {
        token
            .is_some_and(|token| matches!(&token.token, Token::Word(w) if w.value.eq_ignore_ascii_case(word)))
    };
    if !(is(solid.get(1), "MATERIALIZED") && is(solid.get(2), "VIEW")) {
        let secure = is(solid.get(1), "SECURE") && is(solid.get(2), "MATERIALIZED");
        // That word is the parser's for what is said below.
        return if secure { Err(syntax(&solid[1])) } else { Ok(tokens) };
    }
    let spaced = |tokens: Vec<TokenWithSpan>| {
        let blank = |span| TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span);
        tokens.into_iter().flat_map(|token| [blank(token.span), token]).collect()
    };
    let word = |text: &str, like: &TokenWithSpan| TokenWithSpan::new(Token::make_keyword(text), like.span);
    let mut no_data = false;
    if is(solid.last(), "DATA") {
        no_data = is(solid.get(solid.len() - 2), "NO");
        let with = solid.len() - if no_data { 3 } else { 2 };
        if is(solid.get(with), "WITH") {
            solid.truncate(with);
        }
    }
    if is(solid.first(), "REFRESH") {
        let concurrently = is(solid.get(3), "CONCURRENTLY");
        let name = &solid[if concurrently { 4 } else { 3 }..];
        let dotted = |(index, token): (usize, &TokenWithSpan)| {
            matches!((index % 2, &token.token), (0, Token::Word(_)) | (1, Token::Period))
        };
        if name.len().is_multiple_of(2) || !name.iter().enumerate().all(dotted) {
            return Err(syntax(name.last().unwrap_or(&solid[2])));
        }
        let name: String = name.iter().map(|token| token.token.to_string()).collect();
        let options = [(concurrently, CONCURRENTLY), (no_data, NO_DATA)];
        let options = options.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect();
        let first = &solid[0];
        let values = [Token::SingleQuotedString(name), Token::Comma, Token::SingleQuotedString(options)];
        let values = values.into_iter().map(|token| TokenWithSpan::new(token, first.span));
        let head = [word("SET", first), word(REFRESH, first), word("TO", first)];
        return Ok(spaced(head.into_iter().chain(values).collect()));
    }
    match keyword(&solid[0]) {
        Some(Keyword::ALTER) => {
            solid.splice(1..3, [word("TABLE", &tokens[0])]);
        }
        Some(Keyword::CREATE) if no_data => solid.insert(1, word("SECURE", &tokens[0])),
        Some(Keyword::CREATE) => {}
        _ => return Ok(tokens),
    }
    Ok(spaced(solid))
}

fn syntax(token: &TokenWithSpan) -> SqlError {
    SqlError::syntax(format!("syntax error at or near \"{}\"", token.token)).at(token.span.start)
}

#[cfg(test)]
mod tests {
    fn check(sql: &str, expect: &str) {
        let got = match super::super::parse(sql) {
            Ok(statements) => statements.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Err(error) => error.code.to_owned(),
        };
        assert_eq!(got, expect, "{sql}");
    }

    #[test]
    fn spellings_are_put_into_the_parsers_words() {
        check("CREATE MATERIALIZED VIEW m AS SELECT 1 WITH DATA", "CREATE MATERIALIZED VIEW m AS SELECT 1");
        check(
            "select 1; create materialized view if not exists s.m (a) as select 1 with no data;",
            "SELECT 1; CREATE SECURE MATERIALIZED VIEW IF NOT EXISTS s.m (a) AS SELECT 1",
        );
        check("REFRESH MATERIALIZED VIEW \"S\".m", "SET sb_refresh = '\"S\".m', ''");
        check("refresh materialized view concurrently m with data", "SET sb_refresh = 'm', 'c'");
        check("REFRESH MATERIALIZED VIEW CONCURRENTLY m WITH NO DATA", "SET sb_refresh = 'm', 'cn'");
        check("ALTER MATERIALIZED VIEW m RENAME TO n", "ALTER TABLE m RENAME TO n");
        check("DROP MATERIALIZED VIEW IF EXISTS m", "DROP MATERIALIZED VIEW IF EXISTS m");
        for sql in [
            "REFRESH MATERIALIZED VIEW",
            "REFRESH MATERIALIZED VIEW m n",
            "REFRESH MATERIALIZED VIEW m WITH",
            "CREATE SECURE MATERIALIZED VIEW m AS SELECT 1",
            "CREATE MATERIALIZED VIEW m AS SELECT 1 WITH NO",
        ] {
            check(sql, "42601");
        }
    }
}
