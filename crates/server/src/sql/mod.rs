//! SQL: parse Postgres' dialect, understand it, and write what SQLite should do.
//!
//! `text → parse → plan (compile, ddl) → session → engine`. Nothing here touches a database; what a
//! statement means is decided from the syntax tree and the [`catalog::Catalog`] alone.

pub mod array;
pub mod catalog;
pub mod compile;
mod createdb;
pub mod datetime;
pub mod ddl;
pub mod error;
pub mod functions;
pub mod interval;
pub mod json;
pub mod numeric;
pub mod pattern;
pub mod plan;
pub mod system;
pub mod types;
pub mod value;

use error::{Result, SqlError};
use sqlparser::ast::{Expr, Ident, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

/// The Postgres version whose behaviour clients may expect.
pub const POSTGRES_VERSION: &str = "15.0";

/// The most tokens on one path of the tree.
const MAX_PATH: usize = 2000;
/// The most parentheses inside each other.
const MAX_NESTING: usize = 200;

/// The answer to `SELECT version()`.
pub fn version() -> String {
    format!("PostgreSQL {POSTGRES_VERSION} (ScratchBird {})", env!("CARGO_PKG_VERSION"))
}

/// Parses a query string into its statements.
pub fn parse(text: &str) -> Result<Vec<Statement>> {
    parser(text)?.parse_statements().map_err(syntax_error)
}

/// Parses a single expression, such as a default kept in the catalogue.
pub fn parse_expr(text: &str) -> Result<Expr> {
    parser(text)?.parse_expr().map_err(syntax_error)
}

/// A name as Postgres means it: folded to lower case unless quoted.
pub fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// A name quoted for SQLite or for SQL.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The key of the relation that a text such as `public."My seq"` names; without a schema it is in `public`.
pub fn key_of_text(text: &str) -> String {
    if text.contains('\u{1}') {
        return text.to_owned();
    }
    let (schema, name) = split_name(text);
    catalog::key(schema.as_deref().unwrap_or(catalog::PUBLIC), &name)
}

/// A text such as `public."My seq"` in its parts, folded where they aren't quoted.
pub fn split_name(text: &str) -> (Option<String>, String) {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.trim().chars() {
        match (c, parts.last_mut()) {
            ('"', _) => quoted = !quoted,
            ('.', _) if !quoted => parts.push(String::new()),
            (c, Some(part)) if quoted => part.push(c),
            (c, Some(part)) => part.extend(c.to_lowercase()),
            (_, None) => {}
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop(), name)
}

/// The key of the sequence that a default such as `nextval('t_id_seq')` counts by.
pub fn sequence_key(default: &str) -> Option<String> {
    let name = default.strip_prefix("nextval('")?.strip_suffix("')")?;
    Some(key_of_text(name.strip_suffix("'::regclass").unwrap_or(name)))
}

fn parser(text: &str) -> Result<Parser<'static>> {
    const DIALECT: PostgreSqlDialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&DIALECT, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| syntax_error(error.into()))?;
    check_depth(&tokens)?;
    Ok(Parser::new(&DIALECT)
        .with_recursion_limit(100)
        .with_tokens_with_locations(adapted(createdb::adapt(tokens)?)))
}

/// Refuses what would make a tree so deep that following it exhausts a thread's stack. A chain such as
/// `1 + 1 + …` or `SELECT … UNION SELECT …` grows the tree by a level each, and only a comma or a
/// closing parenthesis ends it; so the tokens that may be on one path are counted.
fn check_depth(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut path = vec![0_usize];
    let mut total = 0;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket => path.push(0),
            Token::RParen | Token::RBracket if path.len() > 1 => total -= path.pop().unwrap_or(0),
            Token::Comma | Token::SemiColon => {
                if let Some(top) = path.last_mut() {
                    total -= std::mem::take(top);
                }
            }
            _ => {}
        }
        if let Some(top) = path.last_mut() {
            *top += 1;
            total += 1;
        }
        if total > MAX_PATH || path.len() > MAX_NESTING {
            let message = "stack depth limit exceeded: the statement is nested too deeply";
            return Err(SqlError::new("54001", message).at(token.span.start));
        }
    }
    Ok(())
}

/// What SET CONSTRAINTS is for the parser: a parameter like others.
pub(super) const CONSTRAINTS: &str = "sb_constraints";

/// Spellings that the parser does not know, in words that it knows: COPY's switches may be `on` and `off`,
/// VACUUM has options without parentheses, which change nothing here, SET CONSTRAINTS is no parameter,
/// MOVE is a FETCH of no rows, and TABLE a SELECT.
fn adapted(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut adapted: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut statement = Keyword::NoKeyword;
    let mut previous = Keyword::NoKeyword;
    let (mut constraints, mut moving, mut fetching, mut first) = (false, false, false, true);
    let mut start = 0;
    for mut token in tokens {
        let (word, span) = (|text: &str| Token::make_keyword(text), token.span);
        let end = matches!(token.token, Token::SemiColon | Token::EOF);
        if end && fetching {
            finish_fetch(&mut adapted, start, moving);
        }
        if end {
            (statement, previous) = (Keyword::NoKeyword, Keyword::NoKeyword);
            (constraints, moving, fetching, first) = (false, false, false, true);
        }
        let Token::Word(found) = &mut token.token else {
            if let (true, Token::Number(digits, _)) = (fetching, &mut token.token)
                && adapted.last().is_some_and(|last| last.token == Token::Minus)
            {
                // A count or a place may be negative.
                adapted.pop();
                digits.insert(0, '-');
            }
            if !constraints {
                adapted.push(token);
            }
            continue;
        };
        let keyword = found.keyword;
        if statement == Keyword::NoKeyword {
            statement = keyword;
        }
        if first && keyword == Keyword::TABLE {
            // TABLE t is short for SELECT * FROM t.
            first = false;
            let blank = Token::Whitespace(Whitespace::Space);
            for token in [word("SELECT"), blank.clone(), Token::Mul, blank, word("FROM")] {
                adapted.push(TokenWithSpan::new(token, span));
            }
            continue;
        }
        if std::mem::take(&mut first)
            && ["move", "fetch"].iter().any(|word| found.value.eq_ignore_ascii_case(word))
        {
            (fetching, moving, start) = (true, found.value.eq_ignore_ascii_case("move"), adapted.len());
            token.token = word("FETCH");
        } else if statement == Keyword::SET
            && previous == Keyword::SET
            && found.value.eq_ignore_ascii_case("constraints")
        {
            constraints = true;
            for text in [CONSTRAINTS, "TO"] {
                adapted.push(TokenWithSpan::new(word(text), span));
                adapted.push(TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span));
            }
            continue;
        } else if constraints {
            // Which constraints are meant makes no difference.
            if keyword == Keyword::DEFERRED || keyword == Keyword::IMMEDIATE {
                adapted.push(token);
            }
            continue;
        } else if statement == Keyword::VACUUM
            && previous == Keyword::VACUUM
            && matches!(keyword, Keyword::FULL | Keyword::FREEZE | Keyword::VERBOSE | Keyword::ANALYZE)
        {
            continue;
        } else if statement == Keyword::COPY && matches!(previous, Keyword::FREEZE | Keyword::HEADER) {
            match keyword {
                Keyword::ON => found.keyword = Keyword::TRUE,
                Keyword::OFF => found.keyword = Keyword::FALSE,
                _ => {}
            }
        }
        previous = keyword;
        adapted.push(token);
    }
    if fetching {
        finish_fetch(&mut adapted, start, moving);
    }
    adapted
}

/// FETCH may leave out FROM before the cursor's name, and MOVE wants no rows.
fn finish_fetch(tokens: &mut Vec<TokenWithSpan>, start: usize, moving: bool) {
    let is_word = |token: &TokenWithSpan| matches!(token.token, Token::Word(_));
    let named = |token: &TokenWithSpan| matches!(&token.token, Token::Word(word) if matches!(word.keyword, Keyword::FROM | Keyword::IN));
    let Some(name) = tokens[start..].iter().rposition(is_word).map(|index| start + index) else { return };
    let span = tokens[name].span;
    let blank = || TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span);
    if moving {
        tokens.extend([blank(), TokenWithSpan::new(Token::make_keyword("INTO"), span), blank()]);
        tokens.push(TokenWithSpan::new(Token::make_keyword("sb_move"), span));
    }
    if name > start && !tokens[start..].iter().any(named) {
        // `FETCH c` and `FETCH 2 c`: a lone name needs a direction too.
        let lone = !tokens[start + 1..name].iter().any(|token| !matches!(token.token, Token::Whitespace(_)));
        let words: &[&str] = if lone { &["NEXT", "FROM"] } else { &["FROM"] };
        for word in words.iter().rev() {
            tokens.insert(name, blank());
            tokens.insert(name, TokenWithSpan::new(Token::make_keyword(word), span));
        }
    }
}

fn syntax_error(error: ParserError) -> SqlError {
    let (ParserError::ParserError(message) | ParserError::TokenizerError(message)) = error else {
        return SqlError::new("54001", "stack depth limit exceeded");
    };
    let (message, place) =
        message.split_once(" at Line: ").map_or((message.as_str(), None), |(m, p)| (m, Some(p)));
    let mut error =
        SqlError::syntax(format!("syntax error: {}", message.trim_start_matches("sql parser error: ")));
    if let Some((line, column)) = place.and_then(|place| place.split_once(", Column: ")) {
        error.at = line.trim().parse().ok().zip(column.trim().parse().ok());
    }
    error
}

/// The text of an expression that stands for a setting's value.
fn expr_text(expr: &Expr) -> String {
    plan::literal_text(expr).unwrap_or_else(|| expr.to_string())
}
