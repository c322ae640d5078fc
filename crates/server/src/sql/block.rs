//! DO: statements and IF in PL/pgSQL's words, with no variables and no loops.
//!
//! That is what tools send: sqlx's macros, and scripts that ask before they change something. The parser knows IF but
//! neither DO nor the block, so the body travels as a parameter's value and is parsed when its plan is made.

use super::error::{Result, SqlError};
use super::literal_text;
use super::sequences::{is_blank, keyword};
use sqlparser::ast::{ConditionalStatements, Expr, Set, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// What DO is for the parser.
const DO: &str = "sb_do";

/// One thing of a block after the other.
#[derive(Debug, Clone)]
pub enum Part {
    /// A statement.
    Run(Box<Statement>),
    /// The first condition that holds decides; an `ELSE` has none.
    If(Vec<(Option<Expr>, Vec<Part>)>),
}

/// Rewrites one statement, without its end.
pub(super) fn adapt(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let solid: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !is_blank(token)).collect();
    let [first, rest @ ..] = solid.as_slice() else { return Ok(tokens) };
    if matches!(&first.token, Token::Word(word) if word.value.eq_ignore_ascii_case("elsif")) {
        // The parser has it with one more letter; behind a semicolon it begins a piece of its own.
        let elseif = TokenWithSpan::new(Token::make_keyword("ELSEIF"), first.span);
        let rest = tokens.iter().skip_while(|token| is_blank(token)).skip(1).cloned();
        return Ok(std::iter::once(elseif).chain(rest).collect());
    }
    if keyword(first) != Some(Keyword::DO) {
        return Ok(tokens);
    }
    let body = match rest {
        [body] => body,
        [body, language, name] | [language, name, body] if keyword(language) == Some(Keyword::LANGUAGE) => {
            if !name.token.to_string().eq_ignore_ascii_case("plpgsql") {
                let message = format!("language \"{}\" does not exist", name.token);
                return Err(SqlError::new("42704", message).at(name.span.start));
            }
            body
        }
        _ => return Err(SqlError::syntax("DO needs a body").at(first.span.start)),
    };
    let text = match &body.token {
        Token::DollarQuotedString(quoted) => quoted.value.clone(),
        Token::SingleQuotedString(text) => text.clone(),
        other => return Err(SqlError::syntax(format!("DO: `{other}` is no body")).at(body.span.start)),
    };
    let words = [
        Token::make_keyword("SET"),
        Token::make_keyword(DO),
        Token::make_keyword("TO"),
        Token::SingleQuotedString(text),
    ];
    Ok(words.into_iter().map(|token| TokenWithSpan::new(token, first.span)).collect())
}

/// The parts of DO, if that is what an assignment stands for.
pub(super) fn of(set: &Set) -> Option<Result<Vec<Part>>> {
    match set {
        Set::SingleAssignment { variable, values, .. } if variable.to_string() == DO => {
            Some(parse(&values.first().and_then(literal_text).unwrap_or_default()))
        }
        _ => None,
    }
}

fn parse(body: &str) -> Result<Vec<Part>> {
    let malformed = || SqlError::syntax("syntax error: a block is `BEGIN … END`");
    // Words are compared where they stand alone; what lies between is the parser's.
    let inside = body.trim().trim_end_matches(';').trim_end();
    let cut = |text: &str, count: usize| text.get(..count).map(str::to_ascii_lowercase);
    if cut(inside, 7).is_some_and(|word| word == "declare") {
        return Err(SqlError::unsupported("DECLARE in DO"));
    }
    let inside = inside.get(5..).filter(|_| cut(inside, 5).is_some_and(|word| word == "begin"));
    let inside = inside.filter(|rest| rest.starts_with(char::is_whitespace)).ok_or_else(malformed)?;
    let end = inside.len().checked_sub(3).and_then(|at| inside.split_at_checked(at));
    let (inside, _) = end.filter(|(_, end)| end.eq_ignore_ascii_case("end")).ok_or_else(malformed)?;
    super::parse(inside)?.into_iter().map(part).collect()
}

fn part(statement: Statement) -> Result<Part> {
    let Statement::If(branches) = statement else {
        return match statement {
            Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Savepoint { .. }
            | Statement::ReleaseSavepoint { .. } => {
                Err(SqlError::new("2D000", "invalid transaction termination"))
            }
            other => Ok(Part::Run(Box::new(other))),
        };
    };
    let blocks = std::iter::once(branches.if_block).chain(branches.elseif_blocks).chain(branches.else_block);
    let branch = |block: sqlparser::ast::ConditionalStatementBlock| {
        let statements = match block.conditional_statements {
            ConditionalStatements::Sequence { statements } => statements,
            ConditionalStatements::BeginEnd(_) => {
                return Err(SqlError::unsupported("a block in a block"));
            }
        };
        let parts = statements.into_iter().map(part).collect::<Result<Vec<_>>>()?;
        Ok((block.condition, parts))
    };
    blocks.map(branch).collect::<Result<Vec<_>>>().map(Part::If)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_parsed_or_refused() {
        let check = |sql: &str, expect: &str| {
            let parsed = crate::sql::parse(sql).and_then(|statements| match &statements[0] {
                Statement::Set(set) => of(set).unwrap(),
                other => panic!("{other}"),
            });
            let shown = match parsed {
                Ok(parts) => parts.iter().map(shown).collect::<Vec<_>>().join("; "),
                Err(error) => error.code.to_owned(),
            };
            assert_eq!(shown, expect, "{sql}");
        };
        fn shown(part: &Part) -> String {
            match part {
                Part::Run(statement) => statement.to_string(),
                Part::If(branches) => {
                    let branch = |(condition, parts): &(Option<Expr>, Vec<Part>)| {
                        let condition = condition.as_ref().map_or("else".to_owned(), Expr::to_string);
                        format!("{condition}: {}", parts.iter().map(shown).collect::<Vec<_>>().join(", "))
                    };
                    format!("if {}", branches.iter().map(branch).collect::<Vec<_>>().join(" | "))
                }
            }
        }
        check("DO $$BEGIN END$$", "");
        check("DO LANGUAGE plpgsql $x$ begin SET a = 1; DELETE FROM t; end; $x$", "SET a = 1; DELETE FROM t");
        check(
            "DO $$ BEGIN IF a THEN DELETE FROM t; ELSIF b THEN DELETE FROM u; ELSE DELETE FROM v; END IF; END $$",
            "if a: DELETE FROM t | b: DELETE FROM u | else: DELETE FROM v",
        );
        check("DO $$ BEGIN COMMIT; END $$", "2D000");
        check("DO $$ DECLARE x int; BEGIN END $$", "0A000");
        check("DO $$ SELECT 1 $$", "42601");
        check("DO $$ BEGIN LOOP; END $$", "42601");
        check("DO 'BEGIN END' LANGUAGE plperl", "42704");
        check("DO", "42601");
    }
}
