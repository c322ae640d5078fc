//! VACUUM's options, which the parser knows in another system's spelling.
//!
//! `FULL` is the parser's own word, and `ANALYZE` becomes its `REINDEX`; the others tune what there is nothing of here.
//! The whole database is one file, so which tables are named makes no difference, but for the first: it must exist.

use super::error::{Result, SqlError};
use super::sequences::{is_blank, keyword};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// Options that change nothing here.
const IDLE: [&str; 10] = [
    "FREEZE",
    "VERBOSE",
    "DISABLE_PAGE_SKIPPING",
    "SKIP_LOCKED",
    "INDEX_CLEANUP",
    "PROCESS_TOAST",
    "PROCESS_MAIN",
    "TRUNCATE",
    "PARALLEL",
    "SKIP_DATABASE_STATS",
];

/// Rewrites one statement, without its end.
pub(super) fn adapt(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let solid: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !is_blank(token)).collect();
    let [first, rest @ ..] = solid.as_slice() else { return Ok(tokens) };
    if keyword(first) != Some(Keyword::VACUUM) {
        return Ok(tokens);
    }
    let parenthesised = rest.first().is_some_and(|token| token.token == Token::LParen);
    let options = if parenthesised { listed(&rest[1..])? } else { plain(rest) };
    let (full, analyze, tables) = options;
    let mut adapted = vec![(*first).clone()];
    let words = [(full, "FULL"), (analyze, "REINDEX")].into_iter().filter(|(wanted, _)| *wanted);
    adapted.extend(words.map(|(_, word)| TokenWithSpan::new(Token::make_keyword(word), first.span)));
    // A list of columns or of more tables follows the first table's name.
    let name = |token: &&&TokenWithSpan| matches!(token.token, Token::Word(_) | Token::Period);
    adapted.extend(tables.iter().take_while(name).map(|token| (*token).clone()));
    let blank = |token: TokenWithSpan| {
        let span = token.span;
        [token, TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span)]
    };
    Ok(adapted.into_iter().flat_map(blank).collect())
}

/// Whether it is full, whether it analyzes, and the rest.
type Options<'t> = (bool, bool, &'t [&'t TokenWithSpan]);

/// `VACUUM FULL VERBOSE ANALYZE t`
fn plain<'t>(tokens: &'t [&'t TokenWithSpan]) -> Options<'t> {
    let (mut full, mut analyze, mut rest) = (false, false, tokens);
    while let [first, more @ ..] = rest {
        match keyword(first) {
            Some(Keyword::FULL) => full = true,
            Some(Keyword::ANALYZE) => analyze = true,
            Some(Keyword::FREEZE | Keyword::VERBOSE) => {}
            _ => break,
        }
        rest = more;
    }
    (full, analyze, rest)
}

/// `VACUUM (FULL, ANALYZE false, PARALLEL 2) t`
fn listed<'t>(tokens: &'t [&'t TokenWithSpan]) -> Result<Options<'t>> {
    let end = tokens.iter().position(|token| token.token == Token::RParen);
    let end = end.ok_or_else(|| SqlError::syntax("syntax error at end of input"))?;
    let (mut full, mut analyze) = (false, false);
    for option in tokens[..end].split(|token| token.token == Token::Comma) {
        let Some((name, value)) = option.split_first() else {
            return Err(SqlError::syntax("VACUUM's list of options has an empty place"));
        };
        let off = value.first().map(|token| token.token.to_string().to_uppercase());
        let on = !matches!(off.as_deref(), Some("FALSE" | "OFF" | "0"));
        match name.token.to_string().to_uppercase().as_str() {
            "FULL" => full = on,
            "ANALYZE" => analyze = on,
            known if IDLE.contains(&known) => {}
            other => {
                let message = format!("unrecognized VACUUM option \"{}\"", other.to_lowercase());
                return Err(SqlError::syntax(message).at(name.span.start));
            }
        }
    }
    Ok((full, analyze, &tokens[end + 1..]))
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Statement;

    #[test]
    fn options_are_read_as_postgres_does() {
        let check = |sql: &str, expect: &str| {
            let got = match super::super::parse(sql).map(|mut all| all.pop()) {
                Ok(Some(Statement::Vacuum(vacuum))) => {
                    let table = vacuum.table_name.map_or("-".to_owned(), |name| name.to_string());
                    format!("{} {} {table}", vacuum.full, vacuum.reindex)
                }
                Ok(other) => format!("{other:?}"),
                Err(error) => error.code.to_owned(),
            };
            assert_eq!(got, expect, "{sql}");
        };
        check("VACUUM", "false false -");
        check("vacuum full", "true false -");
        check("VACUUM FULL FREEZE VERBOSE ANALYZE t", "true true t");
        check("VACUUM ANALYZE s.\"T\" (a, b), u", "false true s.\"T\"");
        check("VACUUM (FULL, ANALYZE off, PARALLEL 2) t", "true false t");
        check("VACUUM (SKIP_DATABASE_STATS, ANALYZE) t", "false true t");
        check("SELECT 1; VACUUM (FULL 0)", "false false -");
        check("VACUUM (NOTHING)", "42601");
        check("VACUUM (FULL", "42601");
    }
}
