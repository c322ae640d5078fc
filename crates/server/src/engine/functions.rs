//! The SQL functions, aggregates and collations that SQLite is taught.

use super::connection::SessionState;
use super::database::{Database, lock};
use super::interrupt::Reason;
use super::{Value, ValueRef};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::{Type, Typed};
use crate::sql::value::{cast, out_of_range};
use crate::sql::{
    array, datetime, extension, fields, functions, interval, labels, numeric, pattern, strings, zone,
};
use bigdecimal::{BigDecimal, Zero};
use rusqlite::Connection as Sqlite;
use rusqlite::functions::{Context, FunctionFlags};
use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

pub(super) const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);
const IMPURE: FunctionFlags = FunctionFlags::SQLITE_UTF8;

/// Registers everything on a new connection.
pub fn register(
    sqlite: &Sqlite,
    database: &Arc<Database>,
    state: &Arc<Mutex<SessionState>>,
) -> rusqlite::Result<()> {
    for scalar in functions::all() {
        let flags = if scalar.zoned { IMPURE } else { PURE };
        strict(sqlite, &scalar.sql_name(), scalar, flags, scalar.eval)?;
        if let Some(name) = scalar.old_name() {
            strict(sqlite, &name, scalar, PURE, |args| zone::in_utc(|| (scalar.eval)(args)))?;
        }
    }
    for (name, arity, eval) in array::FUNCTIONS.iter().chain(fields::WITH_NULLS) {
        sqlite.create_scalar_function(*name, *arity, PURE, move |context| {
            let args: Vec<ValueRef<'_>> = (0..context.len()).map(|index| context.get_raw(index)).collect();
            eval(&args).map_err(packed)
        })?;
    }
    pure(sqlite, "sb_cast", 5, |c| {
        // Definitions of earlier versions convert by it what depends on the zone: those knew no zone but UTC.
        if zone::matters(type_of(c, 1), type_of(c, 2)) { zone::in_utc(|| cast_of(c)) } else { cast_of(c) }
    })?;
    impure(sqlite, "sb_zoned_cast", 5, cast_of)?;
    pure(sqlite, "sb_enum", 3, |c| {
        let (Ok(text), Ok(of), Ok(list)) =
            (c.get_raw(0).as_str(), c.get_raw(1).as_str(), c.get_raw(2).as_str())
        else {
            return Ok(Value::Null);
        };
        labels::find_in(of, list, text).map(|value| Value::Text(value.to_owned()))
    })?;
    pure(sqlite, "sb_add", 3, |c| arithmetic(c, i64::checked_add, |a, b| Ok(a + b), |x, y| Ok(x + y)))?;
    pure(sqlite, "sb_sub", 3, |c| arithmetic(c, i64::checked_sub, |a, b| Ok(a - b), |x, y| Ok(x - y)))?;
    pure(sqlite, "sb_mul", 3, |c| {
        arithmetic(c, i64::checked_mul, |a, b| Ok(a * b), |x, y| product(x, y, x * y))
    })?;
    pure(sqlite, "sb_div", 3, |c| {
        let quotient = |x: f64, y: f64| if y == 0.0 { Err(zero()) } else { product(x, y, x / y) };
        arithmetic(c, i64::checked_div, |a, b| numeric::divide(&a, &b), quotient)
    })?;
    // The counts of shifts are taken by the width of the processor's register, which has 32 bits.
    pure(sqlite, "sb_shl", 3, |c| shifted(c, i32::wrapping_shl))?;
    pure(sqlite, "sb_shr", 3, |c| shifted(c, i32::wrapping_shr))?;
    // What an empty group makes of a fraction.
    pure(sqlite, "sb_fraction", 1, |c| match c.get_raw(0) {
        ValueRef::Null => Ok(Value::Null),
        value => super::percentile::checked(real(value)).map(|_| Value::Null),
    })?;
    pure(sqlite, "sb_mod", 3, |c| {
        arithmetic(
            c,
            |a, b| (b != 0).then(|| a.wrapping_rem(b)),
            |a, b| if b.is_zero() { Err(zero()) } else { Ok(a % b) },
            // Floats have no remainder in Postgres either.
            |_, _| Err(zero()),
        )
    })?;
    pure(sqlite, "sb_gcd", 3, |c| {
        if c.get_raw(0) == ValueRef::Null || c.get_raw(1) == ValueRef::Null {
            return Ok(Value::Null);
        }
        let (mut a, mut b) = (integer(c, 0).unsigned_abs(), integer(c, 1).unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let ty = type_of(c, 2);
        let result = i64::try_from(a).map_err(|_| out_of_range(ty))?;
        crate::sql::value::in_range(ty, result).map(Value::Integer)
    })?;
    pure(sqlite, "sb_format", -1, |c| {
        let args: Vec<Option<&str>> = (0..c.len()).map(|index| c.get_raw(index).as_str().ok()).collect();
        strings::format(&args)
    })?;
    pure(sqlite, "sb_like", 3, |c| nullable(c, |t| pattern::like(t[0], t[1], t[2], false).map(flag)))?;
    pure(sqlite, "sb_ilike", 3, |c| nullable(c, |t| pattern::like(t[0], t[1], t[2], true).map(flag)))?;
    pure(sqlite, "sb_regex", 2, |c| nullable(c, |t| pattern::regex(t[0], t[1], false).map(flag)))?;
    pure(sqlite, "sb_iregex", 2, |c| nullable(c, |t| pattern::regex(t[0], t[1], true).map(flag)))?;
    pure(sqlite, "sb_greatest", -1, |c| extreme(c, Ordering::Greater))?;
    pure(sqlite, "sb_least", -1, |c| extreme(c, Ordering::Less))?;
    pure(sqlite, "sb_concat_ws", -1, |c| {
        let ValueRef::Text(separator) = c.get_raw(0) else { return Ok(Value::Null) };
        let parts: Vec<String> =
            (1..c.len()).filter_map(|i| c.get_raw(i).as_str().ok().map(str::to_owned)).collect();
        Ok(Value::Text(parts.join(&String::from_utf8_lossy(separator))))
    })?;
    pure(sqlite, "sb_not_null", 2, |c| {
        if c.get_raw(0) != ValueRef::Null {
            return own(c.get_raw(0));
        }
        let column = c.get_raw(1).as_str().unwrap_or_default();
        Err(SqlError::new("23502", format!("null value in column \"{column}\" violates not-null constraint")))
    })?;
    pure(sqlite, "sb_limit", 2, |c| match c.get_raw(0) {
        ValueRef::Integer(number) if number < 0 => {
            let what = c.get_raw(1).as_str().unwrap_or_default();
            let code = if what == "LIMIT" { "2201W" } else { "2201X" };
            Err(SqlError::new(code, format!("{what} must not be negative")))
        }
        ValueRef::Null if c.get_raw(1) == ValueRef::Text(b"OFFSET") => Ok(Value::Integer(0)),
        ValueRef::Null => Ok(Value::Integer(-1)),
        other => own(other),
    })?;
    // ROW(…): the type and the value of each field in turn.
    pure(sqlite, "sb_row", -1, |c| {
        let fields =
            (0..c.len() / 2).map(|index| array::shown(type_of(c, 2 * index), c.get_raw(2 * index + 1)));
        Ok(Value::Text(array::record(fields)))
    })?;
    // generate_series as an array, for result columns.
    pure(sqlite, "sb_series", -1, |c| {
        if (0..c.len()).any(|index| c.get_raw(index) == ValueRef::Null) {
            return Ok(Value::Null);
        }
        let (mut at, stop) = (integer(c, 0), integer(c, 1));
        let step = if c.len() > 2 { integer(c, 2) } else { 1 };
        if step == 0 {
            return Err(SqlError::new("22023", "step size cannot equal zero"));
        }
        let mut items = Vec::new();
        while if step > 0 { at <= stop } else { at >= stop } {
            if items.len() >= 10_000_000 {
                return Err(SqlError::new("54000", "the series is too long for a result column"));
            }
            items.push(at.to_string());
            let Some(next) = at.checked_add(step) else { break };
            at = next;
        }
        Ok(Value::Text(array::format(items.iter().map(|item| Some(item.as_str())))))
    })?;
    pure(sqlite, "sb_step", 1, |c| match integer(c, 0) {
        0 => Err(SqlError::new("22023", "step size cannot equal zero")),
        step => Ok(Value::Integer(step)),
    })?;
    // A name as a text, with its schema or the one given, as the catalogues compare it.
    pure(sqlite, "sb_qualified", 2, |c| {
        let ValueRef::Text(name) = c.get_raw(0) else { return Ok(Value::Null) };
        let (schema, name) = crate::sql::split_name(crate::sql::value::utf8(name)?);
        let schema = schema.as_deref().unwrap_or(c.get_raw(1).as_str().unwrap_or_default());
        Ok(Value::Text(format!("{schema}.{name}")))
    })?;
    pure(sqlite, "sb_format_type", 2, |c| {
        let typmod = if c.get_raw(1) == ValueRef::Null { -1 } else { integer(c, 1) as i32 };
        Ok(Value::Text(Typed { ty: type_of(c, 0), typmod }.to_string()))
    })?;
    sqlite.create_collation("sb_numeric", |a, b| match (numeric::parse(a), numeric::parse(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    })?;
    sqlite.create_collation("sb_interval", |a, b| match (interval::stored(a), interval::stored(b)) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.cmp(b),
    })?;
    sqlite.create_collation("sb_numbers", |a, b| array::compare(a, b, true))?;
    sqlite.create_collation("sb_array", |a, b| array::compare(a, b, false))?;
    pure(sqlite, "sb_direction", 1, |c| {
        let step = interval::stored(c.get_raw(0).as_str().unwrap_or_default())?;
        match step.cmp(&interval::Interval::default()) {
            Ordering::Equal => Err(SqlError::new("22023", "step size cannot equal zero")),
            ordering => Ok(Value::Integer(ordering as i64)),
        }
    })?;
    super::aggregates::register(sqlite)?;
    super::json::register(sqlite)?;
    session(sqlite, database, state)
}

/// One of the functions of `sql`, which NULL makes NULL.
fn strict(
    sqlite: &Sqlite,
    name: &str,
    scalar: &functions::Scalar,
    flags: FunctionFlags,
    eval: impl Fn(&[ValueRef<'_>]) -> Result<Value> + Send + 'static,
) -> rusqlite::Result<()> {
    let arity = i32::try_from(scalar.args.len()).unwrap_or(-1);
    sqlite.create_scalar_function(name, arity, flags, move |context| {
        let args: Vec<ValueRef<'_>> = (0..context.len()).map(|index| context.get_raw(index)).collect();
        if args.contains(&ValueRef::Null) {
            return Ok(Value::Null);
        }
        eval(&args).and_then(number).map_err(packed)
    })
}

/// Value, type, wanted type and modifier, and whether the client asked for the cast.
fn cast_of(c: &Context<'_>) -> Result<Value> {
    let (from, to) = (type_of(c, 1), Typed { ty: type_of(c, 2), typmod: integer(c, 3) as i32 });
    cast(own(c.get_raw(0))?, from, to, integer(c, 4) != 0)
}

/// `sb_signal(pid, reason)`, behind pg_cancel_backend and pg_terminate_backend.
pub fn signals(
    sqlite: &Sqlite,
    signal: impl Fn(i32, Reason) -> Result<bool> + Send + 'static,
) -> rusqlite::Result<()> {
    impure(sqlite, "sb_signal", 2, move |c| {
        let Ok(pid) = i32::try_from(integer(c, 0)) else { return Ok(flag(false)) };
        let reason = if integer(c, 1) == 0 { Reason::Cancel } else { Reason::Terminate };
        signal(pid, reason).map(flag)
    })
}

/// `sb_replication(name, argument)`, behind Postgres' functions about replication.
pub fn replication(
    sqlite: &Sqlite,
    ask: impl Fn(&str, &Value) -> Result<Value> + Send + 'static,
) -> rusqlite::Result<()> {
    impure(sqlite, "sb_replication", 2, move |c| {
        let argument = Value::try_from(c.get_raw(1)).unwrap_or(Value::Null);
        ask(c.get_raw(0).as_str().unwrap_or_default(), &argument)
    })
}

/// `sb_lock(function, number)`, behind the advisory locks.
pub fn locks(
    sqlite: &Sqlite,
    lock: impl Fn(&str, i64) -> Result<bool> + Send + 'static,
) -> rusqlite::Result<()> {
    impure(sqlite, "sb_lock", 2, move |c| {
        lock(c.get_raw(0).as_str().unwrap_or_default(), integer(c, 1)).map(flag)
    })
}

/// Functions that depend on the session or on chance.
fn session(
    sqlite: &Sqlite,
    database: &Arc<Database>,
    state: &Arc<Mutex<SessionState>>,
) -> rusqlite::Result<()> {
    let shared = Arc::clone(state);
    impure(sqlite, "sb_now", 0, move |_| Ok(Value::Integer(lock(&shared).now)))?;
    impure(sqlite, "sb_clock", 0, |_| Ok(Value::Integer(datetime::now())))?;
    let shared = Arc::clone(state);
    impure(sqlite, "sb_pid", 0, move |_| Ok(Value::Integer(i64::from(lock(&shared).pid))))?;
    impure(sqlite, "sb_random", 0, |_| {
        let bits = u64::from_ne_bytes(random()?) >> 11;
        Ok(Value::Real(bits as f64 / (1_u64 << 53) as f64))
    })?;
    impure(sqlite, "sb_uuid", 0, |_| extension::uuid(random()?, 4))?;
    impure(sqlite, "sb_timed_uuid", 0, |_| extension::timed(datetime::now(), random()?))?;
    impure(sqlite, "sb_random_bytes", 1, |c| {
        if c.get_raw(0) == ValueRef::Null {
            return Ok(Value::Null);
        }
        let count = usize::try_from(integer(c, 0)).ok().filter(|count| (1..=1024).contains(count));
        let bytes: [u8; 1024] = random()?;
        let bytes = count.and_then(|count| bytes.get(..count));
        bytes
            .map(|bytes| Value::Blob(bytes.to_vec()))
            .ok_or_else(|| SqlError::new("39000", "Length not in range"))
    })?;
    let (shared, owner) = (Arc::clone(state), Arc::clone(database));
    impure(sqlite, "sb_nextval", 1, move |c| {
        let name = sequence_name(c);
        let mut sequences = lock(&owner.sequences);
        let sequence = sequences.get_mut(&name).ok_or_else(|| no_sequence(&name))?;
        let next =
            if sequence.called { sequence.last.checked_add(sequence.increment) } else { Some(sequence.last) };
        let next = next.filter(|next| (sequence.min..=sequence.max).contains(next));
        let wrapped =
            sequence.cycle.then_some(if sequence.increment > 0 { sequence.min } else { sequence.max });
        let next = next.or(wrapped).ok_or_else(|| {
            let (word, bound) =
                if sequence.increment > 0 { ("maximum", sequence.max) } else { ("minimum", sequence.min) };
            SqlError::new("2200H", format!("nextval: reached {word} value of sequence \"{name}\" ({bound})"))
        })?;
        (sequence.last, sequence.called) = (next, true);
        let mut state = lock(&shared);
        state.current.insert(name.clone(), next);
        state.last = Some(next);
        state.touched.insert(name);
        Ok(Value::Integer(next))
    })?;
    let (shared, owner) = (Arc::clone(state), Arc::clone(database));
    impure(sqlite, "sb_setval", 3, move |c| {
        let (name, value) = (sequence_name(c), integer(c, 1));
        let mut sequences = lock(&owner.sequences);
        let sequence = sequences.get_mut(&name).ok_or_else(|| no_sequence(&name))?;
        if !(sequence.min..=sequence.max).contains(&value) {
            return Err(SqlError::new(
                "22003",
                format!("setval: value {value} is out of bounds for sequence \"{name}\""),
            ));
        }
        (sequence.last, sequence.called) = (value, integer(c, 2) != 0);
        let mut state = lock(&shared);
        state.current.insert(name.clone(), value);
        state.touched.insert(name);
        Ok(Value::Integer(value))
    })?;
    let shared = Arc::clone(state);
    impure(sqlite, "sb_currval", 1, move |c| {
        let name = sequence_name(c);
        let value = lock(&shared).current.get(&name).copied();
        let message = format!("currval of sequence \"{name}\" is not yet defined in this session");
        value.map(Value::Integer).ok_or_else(|| SqlError::new("55000", message))
    })?;
    let shared = Arc::clone(state);
    impure(sqlite, "sb_notify", 2, move |c| {
        let text = |index: usize| c.get_raw(index).as_str().unwrap_or_default().to_owned();
        if text(0).is_empty() {
            return Err(SqlError::new("22023", "channel name cannot be empty"));
        }
        lock(&shared).messages.push((text(0), text(1)));
        Ok(Value::Text(String::new()))
    })?;
    let shared = Arc::clone(state);
    impure(sqlite, "sb_set_config", 3, move |c| {
        let ValueRef::Text(name) = c.get_raw(0) else {
            return Err(SqlError::new("22004", "SET requires parameter name"));
        };
        let name = crate::sql::value::utf8(name)?.to_ascii_lowercase();
        let value = c.get_raw(1).as_str().unwrap_or_default().to_owned();
        let mut state = lock(&shared);
        state.wanted.push((name, value.clone(), integer(c, 2) != 0));
        Ok(Value::Text(value))
    })?;
    let shared = Arc::clone(state);
    impure(sqlite, "sb_lastval", 0, move |_| {
        let value = lock(&shared).last;
        value
            .map(Value::Integer)
            .ok_or_else(|| SqlError::new("55000", "lastval is not yet defined in this session"))
    })
}

pub(super) fn pure(
    sqlite: &Sqlite,
    name: &str,
    arity: i32,
    eval: impl Fn(&Context<'_>) -> Result<Value> + Send + 'static,
) -> rusqlite::Result<()> {
    sqlite.create_scalar_function(name, arity, PURE, move |context| {
        eval(context).and_then(number).map_err(packed)
    })
}

fn impure(
    sqlite: &Sqlite,
    name: &str,
    arity: i32,
    eval: impl Fn(&Context<'_>) -> Result<Value> + Send + 'static,
) -> rusqlite::Result<()> {
    sqlite.create_scalar_function(name, arity, IMPURE, move |context| eval(context).map_err(packed))
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn packed(error: SqlError) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(error.pack().into())
}

/// A copy of an argument; text that is no UTF-8 is an error.
pub(super) fn own(value: ValueRef<'_>) -> Result<Value> {
    Value::try_from(value).map_err(|error| SqlError::new("22021", error.to_string()))
}

pub(super) fn integer(context: &Context<'_>, index: usize) -> i64 {
    context.get_raw(index).as_i64().unwrap_or(0)
}

pub(super) fn type_of(context: &Context<'_>, index: usize) -> Type {
    u32::try_from(integer(context, index)).ok().and_then(Type::from_oid).unwrap_or(Type::Text)
}

pub(super) fn flag(on: bool) -> Value {
    Value::Integer(i64::from(on))
}

fn zero() -> SqlError {
    SqlError::new("22012", "division by zero")
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| SqlError::new("58000", format!("no random numbers: {error}")))?;
    Ok(bytes)
}

fn sequence_name(context: &Context<'_>) -> String {
    crate::sql::key_of_text(context.get_raw(0).as_str().unwrap_or_default())
}

fn no_sequence(key: &str) -> SqlError {
    let (_, name) = crate::sql::catalog::split(key);
    SqlError::new("42P01", format!("relation \"{name}\" does not exist"))
}

/// Calls with all arguments as text; NULL among them gives NULL.
fn nullable(context: &Context<'_>, eval: impl Fn(&[&str]) -> Result<Value>) -> Result<Value> {
    let mut texts = Vec::with_capacity(context.len());
    for index in 0..context.len() {
        match context.get_raw(index) {
            ValueRef::Null => return Ok(Value::Null),
            ValueRef::Text(bytes) => texts.push(crate::sql::value::utf8(bytes)?),
            _ => texts.push(""),
        }
    }
    eval(&texts)
}

/// A shift of a number of 16 or 32 bits.
fn shifted(context: &Context<'_>, shift: fn(i32, u32) -> i32) -> Result<Value> {
    if context.get_raw(0) == ValueRef::Null || context.get_raw(1) == ValueRef::Null {
        return Ok(Value::Null);
    }
    let number = shift(integer(context, 0) as i32, integer(context, 1) as u32);
    let narrow = type_of(context, 2) == Type::Int2;
    Ok(Value::Integer(if narrow { i64::from(number as i16) } else { i64::from(number) }))
}

/// One operation for whole numbers, floats and decimals; the third argument is the result type.
fn arithmetic(
    context: &Context<'_>,
    whole: fn(i64, i64) -> Option<i64>,
    exact: fn(BigDecimal, BigDecimal) -> Result<BigDecimal>,
    float: fn(f64, f64) -> Result<f64>,
) -> Result<Value> {
    let (a, b, ty) = (context.get_raw(0), context.get_raw(1), type_of(context, 2));
    match (a, b) {
        (ValueRef::Null, _) | (_, ValueRef::Null) => Ok(Value::Null),
        (ValueRef::Text(a), ValueRef::Text(b)) => {
            let (a, b) = (crate::sql::value::utf8(a)?, crate::sql::value::utf8(b)?);
            Ok(Value::Text(numeric::format(&exact(numeric::stored(a)?, numeric::stored(b)?)?)))
        }
        (ValueRef::Integer(a), ValueRef::Integer(b)) if !ty.is_float() => {
            // Of the five operations only division and remainder have no result for 1 and 0.
            if b == 0 && whole(1, 0).is_none() {
                return Err(zero());
            }
            let result = whole(a, b).ok_or_else(|| out_of_range(ty))?;
            crate::sql::value::in_range(ty, result).map(Value::Integer)
        }
        (a, b) => {
            let (x, y) = (real(a), real(b));
            let result = crate::sql::value::narrow(ty, float(x, y)?)?;
            if result.is_infinite() && x.is_finite() && y.is_finite() {
                return Err(SqlError::new("22003", "value out of range: overflow"));
            }
            Ok(Value::Real(result))
        }
    }
}

/// A product or quotient that is not zero, unless one of its parts is.
fn product(x: f64, y: f64, result: f64) -> Result<f64> {
    if result == 0.0 && x != 0.0 && y.is_finite() && y != 0.0 {
        return Err(SqlError::new("22003", "value out of range: underflow"));
    }
    Ok(result)
}

/// SQLite keeps NaN as NULL, which would be a silent change.
fn number(value: Value) -> Result<Value> {
    match value {
        Value::Real(number) if number.is_nan() => Err(crate::sql::value::no_nan()),
        value => Ok(value),
    }
}

pub(super) fn real(value: ValueRef<'_>) -> f64 {
    match value {
        ValueRef::Real(number) => number,
        ValueRef::Integer(number) => number as f64,
        _ => 0.0,
    }
}

fn extreme(context: &Context<'_>, wanted: Ordering) -> Result<Value> {
    let ty = type_of(context, 0);
    let mut best: Option<ValueRef<'_>> = None;
    for index in 1..context.len() {
        let candidate = context.get_raw(index);
        if candidate == ValueRef::Null {
            continue;
        }
        let better = best.is_none_or(|best| compare(ty, candidate, best) == wanted);
        if better {
            best = Some(candidate);
        }
    }
    best.map_or(Ok(Value::Null), own)
}

pub(super) fn compare(ty: Type, a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a, b) {
        (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        (ValueRef::Text(a), ValueRef::Text(b)) if ty == Type::Numeric => {
            let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(numeric::parse);
            parse(a).cmp(&parse(b))
        }
        (ValueRef::Text(a), ValueRef::Text(b)) if ty == Type::Interval => {
            let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|t| interval::stored(t).ok());
            parse(a).cmp(&parse(b))
        }
        (ValueRef::Text(a), ValueRef::Text(b)) if ty.element().is_some() => {
            let numbers = ty.element().is_some_and(Type::is_number);
            array::compare(&String::from_utf8_lossy(a), &String::from_utf8_lossy(b), numbers)
        }
        (ValueRef::Text(a) | ValueRef::Blob(a), ValueRef::Text(b) | ValueRef::Blob(b)) => a.cmp(b),
        (a, b) => real(a).total_cmp(&real(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Connection, check};

    #[test]
    fn what_earlier_versions_defined_stays_in_utc() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.db");
        Database::create(&path).unwrap();
        let database = || Arc::new(Database::open("old", 1, &path, Arc::default()).unwrap());
        let connection = Connection::open(database(), Arc::default(), 0).unwrap();
        // As they wrote an index on `at::date`, one on `date_trunc('day', at)` and a generated text.
        for sql in [
            "CREATE TABLE t (at INTEGER, shown TEXT GENERATED ALWAYS AS (sb_cast(at, 1184, 25, -1, 1)) STORED) STRICT",
            "CREATE INDEX a ON t (sb_cast(at, 1184, 1082, -1, 1))",
            "CREATE INDEX b ON t (pg_date_trunc_text_timestamptz('day', at))",
            "CREATE INDEX c ON t (sb_to_json(at, 1184))",
        ] {
            connection.execute(sql, &[]).unwrap();
        }
        zone::enter("Asia/Tokyo");
        connection.execute("INSERT INTO t (at) VALUES (72000000000)", &[]).unwrap();
        let mut found = Vec::new();
        connection
            .run("SELECT shown, sb_zoned_cast(at, 1184, 25, -1, 1) FROM t", &[], &mut |row| {
                found.extend(row.iter().map(|value| value.as_str().unwrap().to_owned()));
                Ok(true)
            })
            .unwrap();
        zone::enter("UTC");
        assert_eq!(found, ["2000-01-01 20:00:00+00", "2000-01-02 05:00:00+09"]);
        drop(connection);
        check(&path, true).unwrap();
    }
}
