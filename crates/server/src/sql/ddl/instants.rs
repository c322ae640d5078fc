//! Literals of instants in definitions. One without a zone is read in the zone of the session that defines, once:
//! in the text that is kept it gets its offset, so that it means the same to whoever reads the definition later.

use crate::engine::Value;
use crate::sql::compile::{Compiler, expression_string};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use crate::sql::value::input;
use crate::sql::zone;
use crate::sql::{datetime, walk};
use sqlparser::ast::{Expr, Statement, Value as Literal};

/// The statement with offsets, if a literal in it needs one.
pub(super) fn settled(statement: &Statement, compiler: &Compiler<'_>) -> Result<Option<Statement>> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for (text, ty) in &compiler.literals {
        // Words such as `now` are no fixed instants.
        if *ty != Type::Timestamptz || !text.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let here = input(Type::Timestamptz.into(), text, true)?;
        let elsewhere = zone::in_utc(|| input(Type::Timestamptz.into(), text, true))?;
        if let (Value::Integer(instant), true) = (&here, here != elsewhere) {
            found.push((text, datetime::format(Type::Timestamptz, *instant)));
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    let as_text =
        |(text, ty): &&(String, Type)| ty.is_string() && found.iter().any(|(known, _)| known == text);
    if let Some((text, _)) = compiler.literals.iter().find(as_text) {
        let what = format!("'{text}' as text and as an instant without a zone in one definition");
        return Err(SqlError::unsupported(what));
    }
    let mut statement = statement.clone();
    walk::change_exprs(&mut statement, &mut |expr| {
        let value = match expr {
            Expr::Value(value) => value,
            Expr::TypedString(typed) => &mut typed.value,
            _ => return,
        };
        let text = expression_string(&value.value);
        if let Some((_, fixed)) = found.iter().find(|(known, _)| text.as_deref() == Some(*known)) {
            value.value = Literal::SingleQuotedString(fixed.clone());
        }
    });
    Ok(Some(statement))
}

/// Refuses a check whose outcome depends on the session's zone. Postgres takes it; here a backup is checked by
/// looking at every row again, which would then call a sound one damaged.
pub(super) fn refuse_zoned(name: &str, sql: &str) -> Result<()> {
    if !calls_zoned(sql) {
        return Ok(());
    }
    let message = format!("check constraint \"{name}\" depends on the session's time zone");
    let hint = "Say which zone is meant, as in at AT TIME ZONE 'UTC'.";
    Err(SqlError::new("42P17", message).hint(hint))
}

/// Whether the text for SQLite calls a function that asks for the session's zone.
fn calls_zoned(sql: &str) -> bool {
    let mut quote = None;
    let bare: String = sql
        .chars()
        .filter(|c| match quote {
            None if matches!(c, '\'' | '"') => {
                quote = Some(*c);
                false
            }
            None => true,
            Some(open) => {
                if *c == open {
                    quote = None;
                }
                false
            }
        })
        .collect();
    ["sb_zoned_", "pg_zoned_"].iter().any(|prefix| bare.contains(prefix))
}

#[cfg(test)]
mod tests {
    use super::calls_zoned;

    #[test]
    fn only_calls_count() {
        for (sql, expect) in [
            ("(sb_zoned_cast(\"at\", 1184, 1082, -1, 1) > 5)", true),
            ("(\"it's\" > pg_zoned_extract_text_timestamptz('x', \"at\"))", true),
            ("(\"a\" = 'it''s sb_zoned_cast(')", false),
            ("(\"pg_zoned_x\" > sb_cast(\"at\", 1, 2, 3, 4))", false),
        ] {
            assert_eq!(calls_zoned(sql), expect, "{sql}");
        }
    }
}
