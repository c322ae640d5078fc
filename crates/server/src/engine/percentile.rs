//! The ordered-set aggregates: the values of a group sorted, and one of them, or what lies between two.

use super::functions::{compare, integer, own, packed, real, type_of};
use super::{Value, ValueRef};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use crate::sql::value::value_ref;
use rusqlite::functions::{Aggregate, Context};

/// `sb_percentile(value, type, fraction, what, descends)`; what is `cont`, `disc` or `mode`.
pub struct Percentile;

pub struct Group {
    values: Vec<Value>,
    ty: Type,
    fraction: Option<f64>,
    what: String,
    descends: bool,
}

impl Aggregate<Group, Value> for Percentile {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Group> {
        let what = String::new();
        Ok(Group { values: Vec::new(), ty: Type::Text, fraction: None, what, descends: false })
    }

    fn step(&self, context: &mut Context<'_>, group: &mut Group) -> rusqlite::Result<()> {
        if group.what.is_empty() {
            group.ty = type_of(context, 1);
            group.fraction = (context.get_raw(2) != ValueRef::Null).then(|| real(context.get_raw(2)));
            group.what = context.get_raw(3).as_str().unwrap_or_default().to_owned();
            group.descends = integer(context, 4) != 0;
        }
        if context.get_raw(0) != ValueRef::Null {
            group.values.push(own(context.get_raw(0)).map_err(packed)?);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, group: Option<Group>) -> rusqlite::Result<Value> {
        let Some(mut group) = group else { return Ok(Value::Null) };
        let fraction = match (group.fraction, group.what.as_str()) {
            (_, "mode") => 0.0,
            (None, _) => return Ok(Value::Null),
            (Some(fraction), _) => checked(fraction).map_err(packed)?,
        };
        let ty = group.ty;
        group.values.sort_by(|a, b| compare(ty, value_ref(a), value_ref(b)));
        if group.descends {
            group.values.reverse();
        }
        let values = group.values;
        let Some(last) = values.len().checked_sub(1) else { return Ok(Value::Null) };
        Ok(match group.what.as_str() {
            "cont" => {
                let place = fraction * last as f64;
                let (low, high) = (place.floor(), place.ceil());
                let at = |place: f64| real(value_ref(&values[place as usize]));
                Value::Real(if low == high {
                    at(low)
                } else {
                    at(low) + (place - low) * (at(high) - at(low))
                })
            }
            "disc" => {
                let place = (fraction * values.len() as f64).ceil() as usize;
                values[place.saturating_sub(1).min(last)].clone()
            }
            _ => most_frequent(ty, &values),
        })
    }
}

/// A fraction that names a place among values.
pub fn checked(fraction: f64) -> Result<f64> {
    let message = || format!("percentile value {fraction} is not between 0 and 1");
    let legal = (0.0..=1.0).contains(&fraction);
    if legal { Ok(fraction) } else { Err(SqlError::new("22003", message())) }
}

/// The value that is there most often; of several the first.
fn most_frequent(ty: Type, sorted: &[Value]) -> Value {
    let same = |a: &Value, b: &Value| compare(ty, value_ref(a), value_ref(b)).is_eq();
    let mut best: &[Value] = &[];
    for run in sorted.chunk_by(same) {
        if run.len() > best.len() {
            best = run;
        }
    }
    best.first().cloned().unwrap_or(Value::Null)
}
