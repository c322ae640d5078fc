//! SQL: parse Postgres' dialect, understand it, and write what SQLite should do.
//!
//! `text → parse → plan (compile, ddl) → session → engine`. Nothing here touches a database; what a
//! statement means is decided from the syntax tree and the [`catalog::Catalog`] alone.

pub mod array;
pub mod block;
pub mod catalog;
pub mod compile;
mod copying;
mod createdb;
pub mod datetime;
pub mod ddl;
pub mod error;
pub mod extension;
pub mod fields;
pub mod functions;
pub mod interval;
pub mod json;
pub mod labels;
mod materialized;
pub mod numeric;
pub mod pattern;
pub mod plan;
pub mod rights;
mod sequences;
mod setting;
mod spans;
mod spelling;
pub mod strings;
pub mod system;
pub mod timetz;
mod transcendental;
pub mod types;
mod vacuum;
pub mod value;
pub mod walk;
pub mod zone;

use error::{Result, SqlError};
use sqlparser::ast::{Expr, Ident, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

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
        .with_tokens_with_locations(spelling::adapted(createdb::adapt(tokens)?)?))
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
    literal_text(expr).unwrap_or_else(|| expr.to_string())
}

/// The text of a literal or a word, for SET and defaults of options.
fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            sqlparser::ast::Value::SingleQuotedString(text)
            | sqlparser::ast::Value::EscapedStringLiteral(text) => Some(text.clone()),
            sqlparser::ast::Value::Number(text, _) => Some(text.clone()),
            sqlparser::ast::Value::Boolean(flag) => Some((if *flag { "on" } else { "off" }).to_owned()),
            _ => None,
        },
        _ => None,
    }
}
