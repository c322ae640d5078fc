//! Values in and out: text and binary on the wire, SQLite's classes inside, and casts between types.

use super::error::{Result, SqlError};
use super::types::{Type, Typed};
use super::{array, datetime, interval, json, labels, numeric, timetz};
use crate::engine::{Value, ValueRef};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;

/// The value of a literal or a text parameter, as the type's input function reads it.
pub fn input(to: Typed, text: &str, explicit: bool) -> Result<Value> {
    let value = match to.ty {
        Type::Bool => {
            let parsed = settings::parse_bool(text).ok_or_else(|| invalid(to.ty, text))?;
            Value::Integer(i64::from(parsed))
        }
        Type::Int2
        | Type::Int4
        | Type::Int8
        | Type::Oid
        | Type::Regclass
        | Type::Regtype
        | Type::Regnamespace => Value::Integer(integer(to.ty, text)?),
        Type::Float4 | Type::Float8 => Value::Real(float(to.ty, text)?),
        Type::Numeric => {
            let known = numeric::unusual(text);
            let parsed = numeric::parse(text).ok_or_else(|| known.unwrap_or_else(|| invalid(to.ty, text)))?;
            Value::Text(numeric::format(&parsed))
        }
        Type::Bytea => Value::Blob(bytea(text)?),
        Type::Date | Type::Time | Type::Timetz | Type::Timestamp | Type::Timestamptz => {
            Value::Integer(datetime::parse(to.ty, text)?)
        }
        Type::Interval => Value::Text(interval::parse(text, None)?.to_string()),
        Type::Uuid => Value::Text(uuid(text).ok_or_else(|| invalid(to.ty, text))?),
        Type::Json => Value::Text(json::check(text)?),
        Type::Jsonb => Value::Text(json::normalise(text)?),
        ty if ty.element().is_some() => {
            Value::Text(array::canonical(ty.element().unwrap_or(Type::Text), text)?)
        }
        _ if text.contains('\0') => {
            return Err(SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
        }
        _ => Value::Text(text.to_owned()),
    };
    modify(value, to, explicit)
}

/// Applies length, precision and range of the declared type to a value of that type.
pub fn modify(value: Value, to: Typed, explicit: bool) -> Result<Value> {
    match (to.ty, value) {
        (Type::Varchar | Type::Bpchar, Value::Text(text)) => characters(text, to, explicit).map(Value::Text),
        (Type::Name, Value::Text(text)) => Ok(Value::Text(text.chars().take(63).collect())),
        (Type::Numeric, Value::Text(text)) if to.typmod >= 0 => {
            let rounded = numeric::apply_typmod(&numeric::stored(&text)?, to.typmod)?;
            Ok(Value::Text(numeric::format(&rounded)))
        }
        (Type::Time | Type::Timestamp | Type::Timestamptz, Value::Integer(micros)) => {
            Ok(Value::Integer(datetime::apply_typmod(micros, to.typmod)))
        }
        (Type::Timetz, Value::Integer(packed)) => {
            let (clock, east) = timetz::unpack(packed);
            Ok(Value::Integer(timetz::pack(datetime::apply_typmod(clock, to.typmod), east)))
        }
        (ty, Value::Integer(number)) if ty.is_integer() => in_range(ty, number).map(Value::Integer),
        (_, value) => Ok(value),
    }
}

/// Converts a stored value from one type to another.
pub fn cast(value: Value, from: Type, to: Typed, explicit: bool) -> Result<Value> {
    if value == Value::Null {
        return Ok(value);
    }
    if from == to.ty || (from.is_string() && to.ty.is_string()) {
        return modify(value, to, explicit);
    }
    if matches!(from, Type::Unknown) || from.is_string() || matches!(from, Type::Json | Type::Jsonb) {
        let text = output(from.into(), value_ref(&value));
        return input(to, &text, explicit);
    }
    if from.element().is_some() && to.ty.element().is_some() {
        return input(to, &output(from.into(), value_ref(&value)), explicit);
    }
    if to.ty.is_string() {
        // A boolean becomes a word when it is cast, and a letter when it is shown.
        let text = match (from, &value) {
            (Type::Bool, Value::Integer(flag)) => (if *flag != 0 { "true" } else { "false" }).to_owned(),
            _ => output(from.into(), value_ref(&value)),
        };
        return modify(Value::Text(text), to, explicit);
    }
    let cast = match (from, to.ty, value) {
        (f, t, Value::Integer(n)) if f.is_integer() && t.is_integer() => Value::Integer(n),
        (f, t, Value::Integer(n)) if f.is_integer() && t.is_float() => Value::Real(n as f64),
        (f, Type::Numeric, Value::Integer(n)) if f.is_integer() => Value::Text(n.to_string()),
        (f, Type::Bool, Value::Integer(n)) if f.is_integer() => Value::Integer(i64::from(n != 0)),
        (Type::Bool, t, Value::Integer(n)) if t.is_integer() => Value::Integer(n),
        (f, t, Value::Real(x)) if f.is_float() && t.is_float() => Value::Real(narrow(t, x)?),
        (f, t, Value::Real(x)) if f.is_float() && t.is_integer() => {
            let rounded = x.round_ties_even();
            // The largest i64 is no float; the first float beyond it is.
            let legal = (i64::MIN as f64..i64::MAX as f64).contains(&rounded);
            Value::Integer(if legal { rounded as i64 } else { return Err(out_of_range(t)) })
        }
        (f, Type::Numeric, Value::Real(x)) if f.is_float() => {
            let text = format_float(f, x);
            let parsed = numeric::parse(&text);
            let parsed =
                parsed.ok_or_else(|| SqlError::new("22003", format!("cannot convert {text} to numeric")))?;
            Value::Text(numeric::format(&parsed))
        }
        (Type::Numeric, t, Value::Text(text)) if t.is_integer() => {
            let rounded = numeric::format(&numeric::round(&numeric::stored(&text)?, 0));
            Value::Integer(rounded.parse().map_err(|_| out_of_range(t))?)
        }
        (Type::Numeric, t, Value::Text(text)) if t.is_float() => Value::Real(float(t, &text)?),
        (
            f @ (Type::Timestamp | Type::Timestamptz),
            t @ (Type::Date | Type::Time | Type::Timestamp | Type::Timestamptz),
            Value::Integer(n),
        )
        | (f @ Type::Date, t @ (Type::Timestamp | Type::Timestamptz), Value::Integer(n))
        | (f @ (Type::Time | Type::Timestamptz), t @ Type::Timetz, Value::Integer(n))
        | (f @ Type::Timetz, t @ Type::Time, Value::Integer(n)) => Value::Integer(datetime::convert(f, t, n)),
        (Type::Time, Type::Interval, Value::Integer(micros)) => {
            Value::Text(interval::Interval { micros, ..interval::Interval::default() }.to_string())
        }
        (Type::Interval, Type::Time, Value::Text(text)) => {
            Value::Integer(interval::stored(&text)?.micros.rem_euclid(datetime::DAY))
        }
        (f, t, _) => return Err(SqlError::new("42846", format!("cannot cast type {f} to {t}"))),
    };
    modify(cast, to, explicit)
}

/// [`output`], but borrowed where the value is kept as it is shown.
pub fn shown(of: Typed, value: ValueRef<'_>) -> Cow<'_, str> {
    match (of.ty, value) {
        (Type::Text | Type::Varchar | Type::Numeric | Type::Uuid | Type::Jsonb, ValueRef::Text(text)) => {
            String::from_utf8_lossy(text)
        }
        (_, value) => Cow::Owned(output(of, value)),
    }
}

/// The text form of a value, as the type's output function writes it.
pub fn output(of: Typed, value: ValueRef<'_>) -> String {
    match (of.ty, value) {
        (_, ValueRef::Null) => String::new(),
        (Type::Bool, ValueRef::Integer(flag)) => (if flag != 0 { "t" } else { "f" }).to_owned(),
        (
            ty @ (Type::Date | Type::Time | Type::Timetz | Type::Timestamp | Type::Timestamptz),
            ValueRef::Integer(n),
        ) => datetime::format(ty, n),
        (ty, ValueRef::Integer(number)) if ty.is_float() => format_float(ty, number as f64),
        (_, ValueRef::Integer(number)) => number.to_string(),
        (ty, ValueRef::Real(number)) => format_float(ty, number),
        (Type::Bpchar, ValueRef::Text(text)) => {
            let text = String::from_utf8_lossy(text);
            let width = usize::try_from(of.typmod - 4).unwrap_or(0);
            format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count())))
        }
        (ty @ (Type::TimestamptzArray | Type::EnumArray(_)), ValueRef::Text(text)) => {
            array::output_array(ty, &String::from_utf8_lossy(text))
        }
        (Type::Enum(_), ValueRef::Text(text)) => labels::label(&String::from_utf8_lossy(text)).to_owned(),
        (_, ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        (_, ValueRef::Blob(bytes)) => {
            let mut text = String::with_capacity(2 + bytes.len() * 2);
            text.push_str("\\x");
            for byte in bytes {
                text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
                text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            }
            text
        }
    }
}

/// Writes the wire's binary form of a value; NULL is the caller's business.
pub fn send(of: Typed, value: ValueRef<'_>, out: &mut BytesMut) -> Result<()> {
    match (of.ty, value) {
        (Type::Bool, ValueRef::Integer(flag)) => out.put_u8(u8::from(flag != 0)),
        (Type::Int2, ValueRef::Integer(n)) => out.put_i16(i16::try_from(n).map_err(|_| out_of_range(of.ty))?),
        (Type::Int4 | Type::Date, ValueRef::Integer(n)) => {
            out.put_i32(i32::try_from(n).map_err(|_| out_of_range(of.ty))?);
        }
        (Type::Oid | Type::Regclass | Type::Regtype | Type::Regnamespace, ValueRef::Integer(n)) => {
            out.put_u32(u32::try_from(n).map_err(|_| out_of_range(of.ty))?)
        }
        (Type::Int8 | Type::Time | Type::Timestamp | Type::Timestamptz, ValueRef::Integer(n)) => {
            out.put_i64(n)
        }
        (Type::Timetz, ValueRef::Integer(n)) => {
            let (clock, east) = timetz::unpack(n);
            out.put_i64(clock);
            out.put_i32(-east);
        }
        (Type::Float4, ValueRef::Real(x)) => out.put_f32(x as f32),
        (Type::Float8, ValueRef::Real(x)) => out.put_f64(x),
        (Type::Float4, ValueRef::Integer(n)) => out.put_f32(n as f32),
        (Type::Float8, ValueRef::Integer(n)) => out.put_f64(n as f64),
        (Type::Bytea, ValueRef::Blob(bytes)) => out.put_slice(bytes),
        (Type::Numeric, value) => numeric::send(&numeric::stored(&output(of, value))?, out),
        (Type::Interval, value) => interval::stored(&output(of, value))?.send(out),
        (Type::Uuid, ValueRef::Text(text)) => {
            let digits: Vec<u8> =
                text.iter().filter_map(|c| char::from(*c).to_digit(16)).map(|d| d as u8).collect();
            digits.chunks_exact(2).for_each(|pair| out.put_u8(pair[0] << 4 | pair[1]));
        }
        (Type::Jsonb, ValueRef::Text(text)) => {
            out.put_u8(1);
            out.put_slice(text);
        }
        (Type::Record | Type::RecordArray, _) => {
            return Err(SqlError::unsupported(format!("type {} in binary form", of.ty)));
        }
        (ty, value) => match ty.element() {
            Some(element) => array::send_array(element, &output(of, value), out)?,
            None => out.put_slice(output(of, value).as_bytes()),
        },
    }
    Ok(())
}

/// Reads the wire's binary form of a parameter.
pub fn recv(ty: Type, bytes: &[u8]) -> Result<Value> {
    let malformed = || SqlError::new("22P03", format!("incorrect binary data format for type {ty}"));
    let value = match ty {
        Type::Bool => {
            Value::Integer(i64::from(*bytes.first().filter(|_| bytes.len() == 1).ok_or_else(malformed)? != 0))
        }
        Type::Int2 => Value::Integer(i16::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into()),
        Type::Int4 | Type::Date => {
            Value::Integer(i32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into())
        }
        Type::Oid | Type::Regclass | Type::Regtype | Type::Regnamespace => {
            Value::Integer(u32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into())
        }
        Type::Int8 | Type::Time | Type::Timestamp | Type::Timestamptz => {
            Value::Integer(i64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?))
        }
        Type::Timetz => {
            let (clock, west) = bytes.split_at_checked(8).ok_or_else(malformed)?;
            let clock = i64::from_be_bytes(clock.try_into().map_err(|_| malformed())?);
            let west = i32::from_be_bytes(west.try_into().map_err(|_| malformed())?);
            let legal = (0..=datetime::DAY).contains(&clock) && west.unsigned_abs() < 16 * 3600;
            Value::Integer(if legal { timetz::pack(clock, -west) } else { return Err(malformed()) })
        }
        Type::Float4 | Type::Float8 => {
            let number = match ty {
                Type::Float4 => f32::from_be_bytes(bytes.try_into().map_err(|_| malformed())?).into(),
                _ => f64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?),
            };
            Value::Real(if number.is_nan() { return Err(no_nan()) } else { number })
        }
        Type::Bytea => Value::Blob(bytes.to_vec()),
        Type::Numeric => Value::Text(numeric::format(&numeric::recv(bytes).ok_or_else(malformed)?)),
        Type::Interval => Value::Text(interval::Interval::recv(bytes).ok_or_else(malformed)?.to_string()),
        Type::Uuid => {
            let _: [u8; 16] = bytes.try_into().map_err(|_| malformed())?;
            let hex = output(Type::Bytea.into(), ValueRef::Blob(bytes));
            Value::Text(uuid(&hex[2..]).ok_or_else(malformed)?)
        }
        Type::Jsonb => {
            let text = bytes.strip_prefix(&[1]).ok_or_else(malformed)?;
            return input(ty.into(), utf8(text)?, true);
        }
        _ => match ty.element() {
            Some(element) => Value::Text(array::recv_array(element, bytes).ok_or_else(malformed)?),
            None => return input(ty.into(), utf8(bytes)?, true),
        },
    };
    Ok(value)
}

/// Checks bytes from the wire for UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or(0);
        SqlError::new("22021", format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"))
    })
}

/// A borrowed view of an owned value.
pub fn value_ref(value: &Value) -> ValueRef<'_> {
    ValueRef::from(value)
}

/// The error of a number that does not fit its type.
pub fn out_of_range(ty: Type) -> SqlError {
    SqlError::new("22003", format!("{ty} out of range"))
}

/// Checks a whole number against its type.
pub fn in_range(ty: Type, number: i64) -> Result<i64> {
    let fits = match ty {
        Type::Int2 => i16::try_from(number).is_ok(),
        Type::Int4 => i32::try_from(number).is_ok(),
        Type::Oid | Type::Regclass | Type::Regtype | Type::Regnamespace => u32::try_from(number).is_ok(),
        _ => true,
    };
    fits.then_some(number).ok_or_else(|| out_of_range(ty))
}

/// The shortest text that reads back to the same float, in Postgres' form.
pub fn format_float(ty: Type, number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return (if number > 0.0 { "Infinity" } else { "-Infinity" }).to_owned();
    }
    let (magnitude, limit) = match ty {
        Type::Float4 => (f64::from((number as f32).abs()), 1e6),
        _ => (number.abs(), 1e15),
    };
    // The bounds are those of the type itself: the float next to 0.0001 is that number's.
    let least = if ty == Type::Float4 { f64::from(1e-4_f32) } else { 1e-4 };
    if magnitude == 0.0 || (least..limit).contains(&magnitude) {
        return if ty == Type::Float4 { (number as f32).to_string() } else { number.to_string() };
    }
    let scientific = if ty == Type::Float4 { format!("{:e}", number as f32) } else { format!("{number:e}") };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn invalid(ty: Type, text: &str) -> SqlError {
    SqlError::new("22P02", format!("invalid input syntax for type {ty}: \"{text}\""))
}

fn integer(ty: Type, text: &str) -> Result<i64> {
    let out = |_| SqlError::new("22003", format!("value \"{text}\" is out of range for type {ty}"));
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(ty, text));
    }
    let number = trimmed.parse::<i64>().map_err(|_| out(()))?;
    in_range(ty, number).map_err(|_| out(()))
}

fn float(ty: Type, text: &str) -> Result<f64> {
    let trimmed = text.trim();
    let number = trimmed.parse::<f64>().map_err(|_| invalid(ty, text))?;
    if number.is_nan() {
        return Err(no_nan());
    }
    let named = trimmed.trim_start_matches(['-', '+']).starts_with(['i', 'I', 'n', 'N']);
    if number.is_infinite() && !named {
        return Err(SqlError::new("22003", format!("\"{trimmed}\" is out of range for type {ty}")));
    }
    narrow(ty, number)
}

/// The error of a value that SQLite would keep as NULL, which would be a silent change.
pub fn no_nan() -> SqlError {
    SqlError::unsupported("the value NaN")
}

/// A number as its type holds it.
pub fn narrow(ty: Type, number: f64) -> Result<f64> {
    if ty != Type::Float4 {
        return Ok(number);
    }
    let narrowed = f64::from(number as f32);
    if narrowed.is_infinite() && number.is_finite() {
        return Err(SqlError::new("22003", "value out of range: overflow"));
    }
    Ok(narrowed)
}

/// Blanks beyond the length are dropped; other characters are an error unless the cast is explicit.
/// `char(n)` is kept without trailing blanks, so that they don't count in comparisons.
fn characters(text: String, to: Typed, explicit: bool) -> Result<String> {
    let Some(length) = usize::try_from(to.typmod - 4).ok().filter(|_| to.typmod >= 4) else {
        return Ok(if to.ty == Type::Bpchar { text.trim_end_matches(' ').to_owned() } else { text });
    };
    let cut = text.char_indices().nth(length).map(|(index, _)| index);
    let kept = match cut {
        None => text,
        Some(index) if explicit || text[index..].bytes().all(|b| b == b' ') => text[..index].to_owned(),
        Some(_) => {
            return Err(SqlError::new("22001", format!("value too long for type {to}")));
        }
    };
    Ok(if to.ty == Type::Bpchar { kept.trim_end_matches(' ').to_owned() } else { kept })
}

fn bytea(text: &str) -> Result<Vec<u8>> {
    let bad = || SqlError::new("22P02", "invalid input syntax for type bytea");
    if let Some(hex) = text.strip_prefix("\\x") {
        let digits: Option<Vec<u32>> =
            hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
        let digits = digits.ok_or_else(|| SqlError::new("22023", "invalid hexadecimal digit"))?;
        if !digits.len().is_multiple_of(2) {
            return Err(SqlError::new("22023", "invalid hexadecimal data: odd number of digits"));
        }
        return Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = tail;
        } else if tail.first() == Some(&b'\\') {
            bytes.push(b'\\');
            rest = &tail[1..];
        } else {
            let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(bad)?;
            bytes.push(u8::from_str_radix(octal, 8).map_err(|_| bad())?);
            rest = &tail[3..];
        }
    }
    Ok(bytes)
}

fn uuid(text: &str) -> Option<String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(inner);
    let digits: String = inner.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
    Some(format!("{a}-{b}-{c}-{d}-{e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: Type, typmod: i32, text: &str, expect: &str) {
        let typed = Typed { ty, typmod };
        let got = input(typed, text, false);
        let got =
            got.map(|value| output(typed, value_ref(&value))).unwrap_or_else(|error| error.code.to_owned());
        assert_eq!(got, expect, "{typed} {text:?}");
    }

    #[test]
    fn literals_are_read_and_shown_as_postgres_does() {
        check(Type::Bool, -1, "yes", "t");
        check(Type::Bool, -1, "2", "22P02");
        check(Type::Int2, -1, "32768", "22003");
        check(Type::Int4, -1, " -7 ", "-7");
        check(Type::Int4, -1, "1.5", "22P02");
        check(Type::Int8, -1, "9223372036854775808", "22003");
        check(Type::Float8, -1, "1e15", "1e+15");
        check(Type::Float8, -1, "0.1", "0.1");
        check(Type::Float8, -1, "1e-5", "1e-05");
        check(Type::Float8, -1, "-Infinity", "-Infinity");
        check(Type::Float8, -1, "1e400", "22003");
        check(Type::Float4, -1, "16777217", "1.6777216e+07");
        check(Type::Varchar, 7, "abc", "abc");
        check(Type::Varchar, 7, "abc  ", "abc");
        check(Type::Varchar, 7, "abcd", "22001");
        check(Type::Bpchar, 7, "a", "a  ");
        check(Type::Bytea, -1, "\\xDEAD", "\\xdead");
        check(Type::Bytea, -1, "a\\\\\\001", "\\x615c01");
        check(Type::Bytea, -1, "\\x0", "22023");
        check(Type::Uuid, -1, "A0EEBC99-9C0B4EF8BB6D6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        check(Type::Uuid, -1, "x", "22P02");
        check(Type::Json, -1, "{\"a\": [1,2]}", "{\"a\": [1,2]}");
        check(Type::Json, -1, "{a}", "22P02");
        check(Type::Jsonb, -1, "{\"bb\":1,\"a\":[1,2],\"a\":null}", "{\"a\": null, \"bb\": 1}");
    }

    #[test]
    fn casts_follow_postgres() {
        let check = |value: Value, from: Type, to: Type, expect: &str| {
            let got = cast(value, from, to.into(), true);
            let got =
                got.map(|value| output(to.into(), value_ref(&value))).unwrap_or_else(|e| e.code.to_owned());
            assert_eq!(got, expect, "{from} to {to}");
        };
        check(Value::Real(2.5), Type::Float8, Type::Int4, "2");
        check(Value::Text("2.5".into()), Type::Numeric, Type::Int4, "3");
        check(Value::Real(1e10), Type::Float8, Type::Int4, "22003");
        check(Value::Integer(1), Type::Bool, Type::Text, "true");
        check(Value::Integer(5), Type::Int4, Type::Bool, "t");
        check(Value::Integer(0), Type::Date, Type::Timestamp, "2000-01-01 00:00:00");
        check(Value::Integer(0), Type::Date, Type::Int4, "42846");
        check(Value::Text("12".into()), Type::Text, Type::Int8, "12");
    }
}
