//! SET, as a plan.

use super::error::{Result, SqlError};
use super::plan::{Action, Plan};
use super::zone::Zone;
use super::{expr_text, fold, spans};
use sqlparser::ast::{ContextModifier, Expr, Set};

/// The plan of SET.
pub(super) fn plan(set: &Set) -> Result<Plan> {
    let local = match set {
        Set::SingleAssignment { scope, .. } => *scope == Some(ContextModifier::Local),
        Set::SetTimeZone { local, .. } => *local,
        _ => false,
    };
    let assigned =
        |name: String, value: Option<String>| Ok(Plan::new(Action::Set { name, value, local }, "SET"));
    match set {
        Set::SingleAssignment { variable, values, .. } => {
            let texts: Vec<String> = values.iter().map(text).collect();
            if variable.to_string() == super::spelling::CONSTRAINTS {
                let deferred = texts.iter().any(|text| text == "deferred");
                return Ok(Plan::new(Action::Constraints { deferred }, "SET CONSTRAINTS"));
            }
            let is_default = values.len() == 1 && texts[0].eq_ignore_ascii_case("default");
            assigned(variable.to_string().to_lowercase(), (!is_default).then(|| texts.join(", ")))
        }
        Set::SetRole { role_name, .. } => {
            Ok(Plan::new(Action::SetRole(role_name.as_ref().map(fold).filter(|name| name != "none")), "SET"))
        }
        Set::SetTimeZone { value, .. } => assigned("timezone".to_owned(), zone(value)?),
        Set::SetNames { charset_name, .. } => {
            assigned("client_encoding".to_owned(), Some(fold(charset_name)))
        }
        Set::SetTransaction { .. } => {
            assigned("transaction_isolation".to_owned(), Some("read committed".to_owned()))
        }
        other => Err(SqlError::unsupported(other.to_string())),
    }
}

/// What SET TIME ZONE names; nothing for LOCAL and DEFAULT.
fn zone(value: &Expr) -> Result<Option<String>> {
    match value {
        Expr::Identifier(ident) if ["local", "default"].contains(&fold(ident).as_str()) => Ok(None),
        Expr::Interval(interval) => {
            let (first, last) = (interval.leading_field.as_ref(), interval.last_field.as_ref());
            let typmod = spans::literal_typmod(first, last, None).unwrap_or(-1);
            let parsed = spans::parse(&text(&interval.value), typmod)?;
            let seconds = i32::try_from(parsed.micros / 1_000_000).ok();
            let seconds = seconds.filter(|_| parsed.months == 0 && parsed.days == 0);
            let message = "interval time zone must not have months or days";
            let seconds = seconds.ok_or_else(|| SqlError::new("22023", message))?;
            Ok(Some(Zone::offset_named(seconds).name.into_owned()))
        }
        _ => Ok(Some(text(value))),
    }
}

/// The text of a setting's value.
pub(super) fn text(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => fold(ident),
        _ => expr_text(expr),
    }
}
