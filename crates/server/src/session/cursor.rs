//! Cursors: DECLARE runs the query and keeps its rows, FETCH and MOVE step through them in both directions.

use super::execute::{Rows, encode};
use super::{Session, Transaction};
use crate::engine::Value;
use crate::sql::compile::Output;
use crate::sql::error::{Result, SqlError};
use crate::sql::fold;
use crate::sql::plan::{Action, Plan, Steps};
use crate::sql::value::value_ref;
use sqlparser::ast::{FetchDirection, FetchPosition, Ident, ObjectName, ValueWithSpan};

/// A query's rows and a place among them.
pub(super) struct Cursor {
    columns: Vec<Output>,
    rows: Vec<Vec<Value>>,
    /// 0 is before the first row, `rows.len() + 1` behind the last.
    at: usize,
    /// It may go backwards.
    scroll: bool,
    /// It outlives its transaction.
    pub(super) hold: bool,
}

impl Session {
    pub(super) fn declare(&mut self, name: &str, plan: &Plan, scroll: bool, hold: bool) -> Result<()> {
        if self.transaction == Transaction::Idle && !hold {
            return Err(SqlError::new("25P01", "DECLARE CURSOR can only be used in transaction blocks"));
        }
        if self.cursors.contains_key(name) {
            return Err(SqlError::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        let Action::Run(sql) = &plan.action else {
            return Err(SqlError::unsupported("a cursor over this statement"));
        };
        let mut rows = Vec::new();
        self.connection.run(sql, &[], &mut |line| {
            let row: std::result::Result<Vec<Value>, _> =
                line.iter().map(|value| Value::try_from(*value)).collect();
            rows.push(row.map_err(|error| SqlError::new("22021", error.to_string()))?);
            Ok(true)
        })?;
        let cursor = Cursor { columns: plan.columns.clone(), rows, at: 0, scroll, hold };
        self.cursors.insert(name.to_owned(), cursor);
        Ok(())
    }

    /// The plan of FETCH, or of MOVE, which is FETCH INTO nowhere.
    pub(super) fn plan_fetch(
        &self,
        name: &Ident,
        direction: &FetchDirection,
        position: &FetchPosition,
        into: Option<&ObjectName>,
    ) -> Result<Plan> {
        let (_, name) = (position, fold(name));
        let cursor = self.cursors.get(&name);
        if cursor.is_none() && !(self.has_portal(&name) && into.is_some()) {
            return Err(SqlError::new("34000", format!("cursor \"{name}\" does not exist")));
        }
        let columns =
            cursor.filter(|_| into.is_none()).map(|cursor| cursor.columns.clone()).unwrap_or_default();
        let number = |value: &ValueWithSpan| {
            value
                .to_string()
                .parse::<i64>()
                .map_err(|_| SqlError::syntax(format!("FETCH needs a number, not {value}")))
        };
        let optional = |value: &Option<ValueWithSpan>| value.as_ref().map_or(Ok(1), number);
        let steps = match direction {
            FetchDirection::Next => Steps::Forward(1),
            FetchDirection::Prior => Steps::Forward(-1),
            FetchDirection::First => Steps::Absolute(1),
            FetchDirection::Last => Steps::Absolute(-1),
            FetchDirection::Absolute { limit } => Steps::Absolute(number(limit)?),
            FetchDirection::Relative { limit } => Steps::Relative(number(limit)?),
            FetchDirection::All | FetchDirection::ForwardAll => Steps::Forward(i64::MAX),
            FetchDirection::Count { limit } => Steps::Forward(number(limit)?),
            FetchDirection::Forward { limit } => Steps::Forward(optional(limit)?),
            FetchDirection::Backward { limit } => Steps::Forward(optional(limit)?.saturating_neg()),
            FetchDirection::BackwardAll => Steps::Forward(-i64::MAX),
        };
        let silent = into.is_some();
        let tag = if silent { "MOVE" } else { "FETCH" };
        Ok(Plan { columns, ..Plan::new(Action::Fetch { name, steps, silent }, tag) })
    }

    pub(super) fn fetch(
        &mut self,
        name: &str,
        steps: Steps,
        silent: bool,
        rows: &mut Rows<'_>,
    ) -> Result<u64> {
        if !self.cursors.contains_key(name)
            && let Some(count) = self.skip_rows(name, steps)?
        {
            return Ok(count);
        }
        let cursor = self.cursors.get_mut(name);
        let cursor =
            cursor.ok_or_else(|| SqlError::new("34000", format!("cursor \"{name}\" does not exist")))?;
        let wanted = cursor.advance(steps)?;
        let count = wanted.len() as u64;
        if silent {
            return Ok(count);
        }
        for index in wanted {
            let line: Vec<_> = cursor.rows[index].iter().map(value_ref).collect();
            match rows {
                Rows::Send(formats) => self.wire.put(&encode(&cursor.columns, formats, &line)?)?,
                Rows::Keep(formats, kept) => kept.push(encode(&cursor.columns, formats, &line)?.data),
            }
        }
        Ok(count)
    }

    /// The columns of a cursor, which is also a portal for the protocol.
    pub(super) fn cursor_columns(&self, name: &str) -> Option<Vec<Output>> {
        self.cursors.get(name).map(|cursor| cursor.columns.clone())
    }

    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            None => self.cursors.clear(),
            Some(name) if self.cursors.remove(name).is_none() => {
                return Err(SqlError::new("34000", format!("cursor \"{name}\" does not exist")));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

impl Cursor {
    /// Moves, and gives back the numbers of the rows on the way.
    fn advance(&mut self, steps: Steps) -> Result<Vec<usize>> {
        let count = self.rows.len();
        let place = |wanted: i64| usize::try_from(wanted).unwrap_or(0).min(count + 1);
        let before = self.at;
        let at = self.at as i64;
        let (target, path) = match steps {
            Steps::Forward(n) if n >= 0 => {
                let last = place(at.saturating_add(n));
                let stop = if n == i64::MAX { count + 1 } else { last };
                (
                    stop,
                    if n == 0 {
                        (before..=before).collect()
                    } else {
                        (before + 1..=last.min(count)).collect::<Vec<_>>()
                    },
                )
            }
            Steps::Forward(n) => {
                let last = place(at.saturating_add(n));
                (last, (last.max(1)..before).rev().collect())
            }
            Steps::Absolute(n) => {
                let target = if n < 0 { place(count as i64 + 1 + n) } else { place(n) };
                (target, vec![target])
            }
            Steps::Relative(n) => {
                let target = place(at.saturating_add(n));
                (target, vec![target])
            }
        };
        if !self.scroll && target < before {
            return Err(SqlError::new("55000", "cursor can only scan forward")
                .hint("Declare it with SCROLL option to enable backward scan."));
        }
        self.at = target;
        Ok(path.into_iter().filter(|row| (1..=count).contains(row)).map(|row| row - 1).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stops_before_the_first_row_and_behind_the_last() {
        let rows = (0..5).map(|n| vec![Value::Integer(n)]).collect();
        let mut cursor = Cursor { columns: Vec::new(), rows, at: 0, scroll: true, hold: false };
        for (steps, expect, at) in [
            (Steps::Forward(2), vec![0, 1], 2),
            (Steps::Forward(0), vec![1], 2),
            (Steps::Forward(-1), vec![0], 1),
            (Steps::Forward(-5), vec![], 0),
            (Steps::Absolute(-1), vec![4], 5),
            (Steps::Forward(1), vec![], 6),
            (Steps::Forward(-i64::MAX), vec![4, 3, 2, 1, 0], 0),
            (Steps::Absolute(3), vec![2], 3),
            (Steps::Relative(-1), vec![1], 2),
            (Steps::Forward(i64::MAX), vec![2, 3, 4], 6),
            (Steps::Absolute(0), vec![], 0),
        ] {
            assert_eq!((cursor.advance(steps).unwrap(), cursor.at), (expect, at), "{steps:?}");
        }
        cursor.scroll = false;
        cursor.advance(Steps::Forward(2)).unwrap();
        assert_eq!(cursor.advance(Steps::Forward(-1)).unwrap_err().code, "55000");
    }
}
