//! DO: its statements, one after the other, in the transaction of the whole.

use super::Session;
use super::execute::{Rows, needs_to_be_alone};
use crate::sql::block::Part;
use crate::sql::error::{Result, SqlError};
use sqlparser::ast::{Expr, Statement};

impl Session {
    pub(super) fn run_block(&mut self, parts: &[Part]) -> Result<()> {
        for part in parts {
            match part {
                Part::Run(statement) => self.run_part(statement)?,
                Part::If(branches) => {
                    for (condition, parts) in branches {
                        let holds = match condition {
                            Some(condition) => self.holds(condition)?,
                            None => true,
                        };
                        if holds {
                            self.run_block(parts)?;
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn run_part(&mut self, statement: &Statement) -> Result<()> {
        let plan = self.plan(statement, &[])?;
        if needs_to_be_alone(&plan.action) {
            let message = format!("{} cannot be executed from a function", plan.tag);
            return Err(SqlError::new("25001", message));
        }
        if !plan.columns.is_empty() {
            return Err(SqlError::syntax("query has no destination for result data"));
        }
        self.execute_armed(&plan, &[], &mut Rows::Send(&[])).map(|_| ())
    }

    fn holds(&mut self, condition: &Expr) -> Result<bool> {
        // The outer comparison makes it a boolean or an error, and NULL counts as false.
        let asked = crate::sql::parse(&format!("SELECT ({condition}) IS TRUE"))?;
        let [query] = asked.as_slice() else { return Err(SqlError::syntax("a condition is one expression")) };
        let plan = self.plan(query, &[])?;
        let mut kept = Vec::new();
        self.execute_armed(&plan, &[], &mut Rows::Keep(&[], &mut kept))?;
        // One field: its length, and `t` or `f`.
        Ok(kept.first().is_some_and(|row| row.ends_with(b"t")))
    }
}
