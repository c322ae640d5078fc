//! ALTER SEQUENCE, whose options come as text.

use super::Maker;
use crate::sql::catalog::Kind;
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{Sequence, Step};

impl Maker<'_, '_> {
    /// `name` and the options, as written.
    pub(in crate::sql) fn alter_sequence(&mut self, name: &str, options: &str) -> Result<()> {
        let (schema, base) = crate::sql::split_name(name);
        let context = self.compiler.context;
        let found = context.find(schema.as_deref(), &base).filter(|relation| relation.kind == Kind::Sequence);
        let missing = || SqlError::new("42P01", format!("relation \"{base}\" does not exist"));
        let mut relation = found.ok_or_else(missing)?.clone();
        self.must_own(&relation)?;
        let mut states = context.cluster.sequences().into_iter();
        let mut state = states.find(|state| state.name == relation.name).ok_or_else(missing)?;
        let mut words = options.split_whitespace().peekable();
        let mut changed = false;
        while let Some(word) = words.next() {
            let mut number = |skipped: &str| -> Result<i64> {
                words.next_if(|next| next.eq_ignore_ascii_case(skipped));
                let text = words.next().unwrap_or_default();
                text.parse().map_err(|_| SqlError::syntax(format!("syntax error at or near \"{text}\"")))
            };
            match word.to_ascii_uppercase().as_str() {
                "INCREMENT" => state.increment = number("BY")?,
                "MINVALUE" => state.min = number("")?,
                "MAXVALUE" => state.max = number("")?,
                "START" => state.start = number("WITH")?,
                "CACHE" => {
                    number("")?;
                }
                "CYCLE" => state.cycle = true,
                "RESTART" => {
                    let given = words
                        .peek()
                        .is_some_and(|next| next.eq_ignore_ascii_case("with") || next.parse::<i64>().is_ok());
                    let at = if given {
                        words.next_if(|next| next.eq_ignore_ascii_case("with"));
                        let text = words.next().unwrap_or_default();
                        text.parse()
                            .map_err(|_| SqlError::syntax(format!("syntax error at or near \"{text}\"")))?
                    } else {
                        state.start
                    };
                    (state.last, state.called) = (at, false);
                }
                "NO" => match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                    "CYCLE" => state.cycle = false,
                    "MINVALUE" => state.min = if state.increment > 0 { 1 } else { i64::MIN + 1 },
                    "MAXVALUE" => state.max = if state.increment > 0 { i64::MAX } else { -1 },
                    other => return Err(SqlError::syntax(format!("syntax error at or near \"{other}\""))),
                },
                "OWNED" => {
                    words.next();
                    relation.parent = self.owner_of(words.next().unwrap_or_default())?;
                    continue;
                }
                "OWNER" => {
                    words.next();
                    relation.owner = crate::sql::split_name(words.next().unwrap_or_default()).1;
                    continue;
                }
                other => return Err(SqlError::unsupported(format!("ALTER SEQUENCE {other}"))),
            }
            changed = true;
        }
        check(&state)?;
        if changed {
            self.steps.push(Step::PutSequence(state));
        }
        self.put(relation);
        Ok(())
    }

    /// The table of OWNED BY `[schema.]table.column`.
    fn owner_of(&self, text: &str) -> Result<Option<String>> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        let (table, column) =
            text.rsplit_once('.').ok_or_else(|| SqlError::syntax("invalid OWNED BY option"))?;
        let (schema, base) = crate::sql::split_name(table);
        let found = self.compiler.context.find(schema.as_deref(), &base);
        let missing = || SqlError::new("42P01", format!("relation \"{base}\" does not exist"));
        let relation = found.ok_or_else(missing)?;
        let (_, column) = crate::sql::split_name(column);
        if relation.column(&column).is_none() {
            let message = format!("column \"{column}\" of relation \"{base}\" does not exist");
            return Err(SqlError::new("42703", message));
        }
        Ok(Some(relation.name.clone()))
    }
}

fn check(state: &Sequence) -> Result<()> {
    if state.increment == 0 {
        return Err(SqlError::new("22023", "INCREMENT must not be zero"));
    }
    if state.min > state.max || !(state.min..=state.max).contains(&state.last) {
        let message =
            format!("RESTART value ({}) is out of range {} to {}", state.last, state.min, state.max);
        return Err(SqlError::new("22023", message));
    }
    Ok(())
}
