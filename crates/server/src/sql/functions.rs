//! The scalar functions: name, argument types, result type, and the code.
//!
//! One row is one overload. The engine registers each under its own SQLite name, and the compiler
//! picks the row whose arguments fit. A NULL argument gives NULL without calling the code.

use super::error::{Result, SqlError};
use super::fields::{date_part, date_trunc, extract_interval, no_field, numeric_part, unknown_unit};
use super::interval::Interval;
use super::strings::{bounded, count, initcap, left, overlay, quoted, substring};
use super::types::Type;
use super::{datetime, interval, json, numeric, pattern, transcendental, value};
use crate::engine::{Value, ValueRef};
use Type::{Bytea, Float8, Int4, Int8, Numeric, Text, Timestamp, Timestamptz};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::{RoundingMode, Signed};

/// One overload of a function.
pub struct Scalar {
    /// The name in Postgres.
    pub name: &'static str,
    /// The types it takes.
    pub args: &'static [Type],
    /// The type it returns.
    pub returns: Type,
    /// The code; its arguments are never NULL.
    pub eval: fn(&[ValueRef<'_>]) -> Result<Value>,
    /// Whether it asks for the session's zone.
    pub zoned: bool,
}

impl Scalar {
    /// The name it is registered under.
    pub fn sql_name(&self) -> String {
        self.name_after(if self.zoned { "pg_zoned_" } else { "pg_" })
    }

    /// The name under which definitions that earlier versions made call it: those knew no zone but UTC.
    pub fn old_name(&self) -> Option<String> {
        self.zoned.then(|| self.name_after("pg_"))
    }

    fn name_after(&self, prefix: &str) -> String {
        let mut name = format!("{prefix}{}", self.name);
        for ty in self.args {
            name += "_";
            name += ty.info().name;
        }
        name
    }
}

type Eval = fn(&[ValueRef<'_>]) -> Result<Value>;

pub(super) const fn row(name: &'static str, args: &'static [Type], returns: Type, eval: Eval) -> Scalar {
    Scalar { name, args, returns, eval, zoned: false }
}

pub(super) const fn zoned(name: &'static str, args: &'static [Type], returns: Type, eval: Eval) -> Scalar {
    Scalar { name, args, returns, eval, zoned: true }
}

/// Every scalar function that needs nothing of the session.
pub fn all() -> impl Iterator<Item = &'static Scalar> {
    SCALARS
        .iter()
        .chain(super::zone::functions::FUNCTIONS)
        .chain(super::timetz::FUNCTIONS)
        .chain(super::extension::FUNCTIONS)
}

const SCALARS: &[Scalar] = &[
    row("lower", &[Text], Text, |a| text_result(text(a, 0)?.to_lowercase())),
    row("upper", &[Text], Text, |a| text_result(text(a, 0)?.to_uppercase())),
    row("initcap", &[Text], Text, |a| text_result(initcap(text(a, 0)?))),
    row("length", &[Text], Int4, |a| Ok(int(count(text(a, 0)?)))),
    row("length", &[Bytea], Int4, |a| Ok(int(bytes(a, 0).len() as i64))),
    row("char_length", &[Text], Int4, |a| Ok(int(count(text(a, 0)?)))),
    row("character_length", &[Text], Int4, |a| Ok(int(count(text(a, 0)?)))),
    row("octet_length", &[Text], Int4, |a| Ok(int(text(a, 0)?.len() as i64))),
    row("octet_length", &[Bytea], Int4, |a| Ok(int(bytes(a, 0).len() as i64))),
    row("strpos", &[Text, Text], Int4, |a| {
        let (text, part) = (text(a, 0)?, text(a, 1)?);
        Ok(int(text.find(part).map_or(0, |index| count(&text[..index]) + 1)))
    }),
    row("substring", &[Text, Int4], Text, |a| text_result(substring(text(a, 0)?, number(a, 1), i64::MAX)?)),
    row("substring", &[Text, Int4, Int4], Text, |a| {
        text_result(substring(text(a, 0)?, number(a, 1), number(a, 2))?)
    }),
    row("substr", &[Text, Int4], Text, |a| text_result(substring(text(a, 0)?, number(a, 1), i64::MAX)?)),
    row("substr", &[Text, Int4, Int4], Text, |a| {
        text_result(substring(text(a, 0)?, number(a, 1), number(a, 2))?)
    }),
    row("left", &[Text, Int4], Text, |a| text_result(left(text(a, 0)?, number(a, 1)))),
    row("right", &[Text, Int4], Text, |a| {
        let (text, n) = (text(a, 0)?, number(a, 1));
        let skip = if n < 0 { -n } else { (count(text) - n).max(0) };
        text_result(text.chars().skip(usize::try_from(skip).unwrap_or(usize::MAX)).collect())
    }),
    row("btrim", &[Text], Text, |a| text_result(text(a, 0)?.trim_matches(' ').to_owned())),
    row("ltrim", &[Text], Text, |a| text_result(text(a, 0)?.trim_start_matches(' ').to_owned())),
    row("rtrim", &[Text], Text, |a| text_result(text(a, 0)?.trim_end_matches(' ').to_owned())),
    row("btrim", &[Text, Text], Text, |a| trim(a, true, true)),
    row("ltrim", &[Text, Text], Text, |a| trim(a, true, false)),
    row("rtrim", &[Text, Text], Text, |a| trim(a, false, true)),
    row("replace", &[Text, Text, Text], Text, |a| {
        let (from, to) = (text(a, 1)?, text(a, 2)?);
        let source = text(a, 0)?;
        text_result(if from.is_empty() { source.to_owned() } else { source.replace(from, to) })
    }),
    row("reverse", &[Text], Text, |a| text_result(text(a, 0)?.chars().rev().collect())),
    row("repeat", &[Text, Int4], Text, |a| {
        let times = usize::try_from(number(a, 1)).unwrap_or(0);
        text_result(bounded(text(a, 0)?, times)?.repeat(times))
    }),
    row("lpad", &[Text, Int4], Text, |a| pad(a, " ", true)),
    row("rpad", &[Text, Int4], Text, |a| pad(a, " ", false)),
    row("lpad", &[Text, Int4, Text], Text, |a| pad(a, text(a, 2)?, true)),
    row("rpad", &[Text, Int4, Text], Text, |a| pad(a, text(a, 2)?, false)),
    row("split_part", &[Text, Text, Int4], Text, |a| {
        let (source, separator, field) = (text(a, 0)?, text(a, 1)?, number(a, 2));
        let parts: Vec<&str> =
            if separator.is_empty() { vec![source] } else { source.split(separator).collect() };
        let length = parts.len() as i64;
        let index = if field < 0 { length + field } else { field - 1 };
        if field == 0 {
            return Err(SqlError::new("22023", "field position must not be zero"));
        }
        text_result(
            usize::try_from(index).ok().and_then(|i| parts.get(i)).map_or(String::new(), |p| (*p).to_owned()),
        )
    }),
    row("ascii", &[Text], Int4, |a| {
        Ok(int(text(a, 0)?.chars().next().map_or(0, |c| i64::from(u32::from(c)))))
    }),
    row("chr", &[Int4], Text, |a| {
        if number(a, 0) == 0 {
            return Err(SqlError::new("54000", "null character not permitted"));
        }
        let code = u32::try_from(number(a, 0)).ok().and_then(char::from_u32);
        text_result(code.ok_or_else(|| SqlError::new("22023", "requested character not valid"))?.to_string())
    }),
    row("starts_with", &[Text, Text], Type::Bool, |a| {
        Ok(int(i64::from(text(a, 0)?.starts_with(text(a, 1)?))))
    }),
    row("quote_ident", &[Text], Text, |a| {
        let name = text(a, 0)?;
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        text_result(if plain { name.to_owned() } else { super::quote(name) })
    }),
    row("quote_literal", &[Text], Text, |a| text_result(quoted(text(a, 0)?))),
    row("translate", &[Text, Text, Text], Text, |a| {
        let (from, to): (Vec<char>, Vec<char>) =
            (text(a, 1)?.chars().collect(), text(a, 2)?.chars().collect());
        let turned = text(a, 0)?.chars().filter_map(|c| match from.iter().position(|f| *f == c) {
            Some(index) => to.get(index).copied(),
            None => Some(c),
        });
        text_result(turned.collect())
    }),
    row("overlay", &[Text, Text, Int4], Text, |a| {
        let length = count(text(a, 1)?);
        text_result(overlay(text(a, 0)?, text(a, 1)?, number(a, 2), length)?)
    }),
    row("overlay", &[Text, Text, Int4, Int4], Text, |a| {
        text_result(overlay(text(a, 0)?, text(a, 1)?, number(a, 2), number(a, 3))?)
    }),
    row("regexp_replace", &[Text, Text, Text], Text, |a| {
        text_result(pattern::replace(text(a, 0)?, text(a, 1)?, text(a, 2)?, "")?)
    }),
    row("regexp_replace", &[Text, Text, Text, Text], Text, |a| {
        text_result(pattern::replace(text(a, 0)?, text(a, 1)?, text(a, 2)?, text(a, 3)?)?)
    }),
    row("to_hex", &[Int4], Text, |a| text_result(format!("{:x}", number(a, 0) as i32))),
    row("to_hex", &[Int8], Text, |a| text_result(format!("{:x}", number(a, 0)))),
    row("pg_size_pretty", &[Int8], Text, |a| text_result(size_pretty(number(a, 0)))),
    row("md5", &[Text], Text, |a| text_result(format!("{:x}", md5::compute(text(a, 0)?)))),
    row("md5", &[Bytea], Text, |a| text_result(format!("{:x}", md5::compute(bytes(a, 0))))),
    row("width_bucket", &[Numeric, Numeric, Numeric, Int4], Int4, |a| {
        let part = |index| text(a, index).and_then(numeric::stored);
        let (x, low, high, count) = (part(0)?, part(1)?, part(2)?, number(a, 3));
        if count <= 0 || low == high {
            let what = if count <= 0 {
                "count must be greater than zero"
            } else {
                "lower bound cannot equal upper bound"
            };
            return Err(SqlError::new("2201G", what));
        }
        let (x, width) = if low < high { (x - &low, high - low) } else { (&low - x, low - high) };
        let bucket =
            (&x * bigdecimal::BigDecimal::from(count) / &width).with_scale_round(0, RoundingMode::Floor);
        let bucket: i64 = numeric::format(&bucket).parse().map_err(|_| value::out_of_range(Int4))?;
        Ok(int((bucket + 1).clamp(0, count + 1)))
    }),
    row("encode", &[Bytea, Text], Text, |a| match text(a, 1)? {
        "hex" => text_result(value::output(Bytea.into(), a[0])[2..].to_owned()),
        "base64" => {
            // Lines of 76 characters, as in mail.
            let encoded = STANDARD.encode(bytes(a, 0)).into_bytes();
            let lines: Vec<String> =
                encoded.chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            text_result(lines.join("\n"))
        }
        "escape" => {
            let escaped = bytes(a, 0).iter().map(|byte| match byte {
                b'\\' => "\\\\".to_owned(),
                0 | 128.. => format!("\\{byte:03o}"),
                byte => char::from(*byte).to_string(),
            });
            text_result(escaped.collect())
        }
        other => Err(unknown_encoding(other)),
    }),
    row("decode", &[Text, Text], Bytea, |a| match text(a, 1)? {
        "hex" => value::input(Bytea.into(), &format!("\\x{}", text(a, 0)?), true),
        "base64" => {
            let packed: String = text(a, 0)?.split_ascii_whitespace().collect();
            let decoded = STANDARD.decode(packed);
            decoded.map(Value::Blob).map_err(|_| SqlError::new("22023", "invalid base64 end sequence"))
        }
        other => Err(unknown_encoding(other)),
    }),
    row("div", &[Numeric, Numeric], Numeric, |a| {
        let (a, b) = (numeric::stored(text(a, 0)?)?, numeric::stored(text(a, 1)?)?);
        decimal(&numeric::truncated_quotient(&a, &b, 0)?)
    }),
    row("make_date", &[Int4, Int4, Int4], Type::Date, |a| {
        let part = |index| i8::try_from(number(a, index)).ok();
        // There is no year 0: -1 comes before 1.
        let year = number(a, 0) + i64::from(number(a, 0) < 0);
        let year = i16::try_from(year).ok().filter(|_| number(a, 0) != 0);
        let date = year.zip(part(1)).zip(part(2));
        let date = date.and_then(|((year, month), day)| jiff::civil::Date::new(year, month, day).ok());
        let message = || {
            let (year, month, day) = (number(a, 0), number(a, 1), number(a, 2));
            SqlError::new("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"))
        };
        date.map(|date| int(datetime::days_of(date))).ok_or_else(message)
    }),
    row("to_char", &[Timestamp, Text], Text, |a| {
        text_result(datetime::to_char(number(a, 0), text(a, 1)?, None)?)
    }),
    row("json_array_length", &[Type::Json], Int4, |a| array_length(text(a, 0)?)),
    row("jsonb_array_length", &[Type::Jsonb], Int4, |a| array_length(text(a, 0)?)),
    row("abs", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).abs()))),
    row("abs", &[Numeric], Numeric, |a| decimal(&exact(a, 0)?.abs())),
    row("sign", &[Float8], Float8, |a| {
        Ok(Value::Real(if real(a, 0) == 0.0 { 0.0 } else { real(a, 0).signum() }))
    }),
    row("sign", &[Numeric], Numeric, |a| decimal(&numeric::stored(text(a, 0)?)?.signum())),
    row("round", &[Numeric], Numeric, |a| decimal(&numeric::round(&numeric::stored(text(a, 0)?)?, 0))),
    row("round", &[Numeric, Int4], Numeric, |a| rounded(a, RoundingMode::HalfUp)),
    row("round", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).round_ties_even()))),
    row("trunc", &[Numeric], Numeric, |a| {
        decimal(&numeric::stored(text(a, 0)?)?.with_scale_round(0, RoundingMode::Down))
    }),
    row("trunc", &[Numeric, Int4], Numeric, |a| rounded(a, RoundingMode::Down)),
    row("trunc", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).trunc()))),
    row("ceil", &[Numeric], Numeric, |a| {
        decimal(&numeric::stored(text(a, 0)?)?.with_scale_round(0, RoundingMode::Ceiling))
    }),
    row("ceil", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).ceil()))),
    row("ceiling", &[Numeric], Numeric, |a| {
        decimal(&numeric::stored(text(a, 0)?)?.with_scale_round(0, RoundingMode::Ceiling))
    }),
    row("ceiling", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).ceil()))),
    row("floor", &[Numeric], Numeric, |a| {
        decimal(&numeric::stored(text(a, 0)?)?.with_scale_round(0, RoundingMode::Floor))
    }),
    row("floor", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).floor()))),
    row("sqrt", &[Float8], Float8, |a| {
        let x = real(a, 0);
        if x < 0.0 { Err(negative_root()) } else { Ok(Value::Real(x.sqrt())) }
    }),
    row("sqrt", &[Numeric], Numeric, |a| {
        let x = exact(a, 0)?;
        if x.is_negative() { Err(negative_root()) } else { decimal(&numeric::square_root(&x)) }
    }),
    row("power", &[Float8, Float8], Float8, float_power),
    row("pow", &[Float8, Float8], Float8, float_power),
    row("power", &[Numeric, Numeric], Numeric, |a| {
        decimal(&transcendental::power(&exact(a, 0)?, &exact(a, 1)?)?)
    }),
    row("pow", &[Numeric, Numeric], Numeric, |a| {
        decimal(&transcendental::power(&exact(a, 0)?, &exact(a, 1)?)?)
    }),
    row("exp", &[Float8], Float8, |a| {
        let x = real(a, 0);
        let result = x.exp();
        if result == 0.0 && x.is_finite() { Err(underflow()) } else { bounded_by(result, &[x]) }
    }),
    row("exp", &[Numeric], Numeric, |a| decimal(&transcendental::exp(&exact(a, 0)?)?)),
    row("ln", &[Float8], Float8, |a| logarithm(real(a, 0), f64::ln)),
    row("ln", &[Numeric], Numeric, |a| decimal(&transcendental::ln(&exact(a, 0)?)?)),
    row("log", &[Float8], Float8, |a| logarithm(real(a, 0), f64::log10)),
    row("log", &[Numeric], Numeric, |a| {
        decimal(&transcendental::log(&bigdecimal::BigDecimal::from(10), &exact(a, 0)?)?)
    }),
    row("log10", &[Float8], Float8, |a| logarithm(real(a, 0), f64::log10)),
    row("log10", &[Numeric], Numeric, |a| {
        decimal(&transcendental::log(&bigdecimal::BigDecimal::from(10), &exact(a, 0)?)?)
    }),
    row("log", &[Numeric, Numeric], Numeric, |a| {
        decimal(&transcendental::log(&exact(a, 0)?, &exact(a, 1)?)?)
    }),
    row("pi", &[], Float8, |_| Ok(Value::Real(std::f64::consts::PI))),
    row("sin", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).sin()))),
    row("cos", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).cos()))),
    row("tan", &[Float8], Float8, |a| Ok(Value::Real(real(a, 0).tan()))),
    row("timestamp_pl_interval", &[Timestamp, Type::Interval], Timestamp, |a| {
        Ok(int(interval::moved(number(a, 0), span(a, 1)?)?))
    }),
    row("timestamp_mi_interval", &[Timestamp, Type::Interval], Timestamp, |a| {
        Ok(int(interval::moved(number(a, 0), span(a, 1)?.negated()?)?))
    }),
    row("time_pl_interval", &[Type::Time, Type::Interval], Type::Time, |a| {
        Ok(int((number(a, 0) + span(a, 1)?.micros).rem_euclid(datetime::DAY)))
    }),
    row("time_mi_interval", &[Type::Time, Type::Interval], Type::Time, |a| {
        Ok(int((number(a, 0) - span(a, 1)?.micros).rem_euclid(datetime::DAY)))
    }),
    row("timestamp_mi", &[Timestamp, Timestamp], Type::Interval, |a| {
        shown(interval::between(number(a, 0), number(a, 1))?)
    }),
    row("timestamptz_mi", &[Timestamptz, Timestamptz], Type::Interval, |a| {
        shown(interval::between(number(a, 0), number(a, 1))?)
    }),
    row("time_mi_time", &[Type::Time, Type::Time], Type::Interval, |a| {
        shown(Interval { micros: number(a, 0) - number(a, 1), ..Interval::default() })
    }),
    row("interval_pl", &[Type::Interval, Type::Interval], Type::Interval, |a| {
        shown(span(a, 0)?.plus(span(a, 1)?)?)
    }),
    row("interval_mi", &[Type::Interval, Type::Interval], Type::Interval, |a| {
        shown(span(a, 0)?.plus(span(a, 1)?.negated()?)?)
    }),
    row("interval_um", &[Type::Interval], Type::Interval, |a| shown(span(a, 0)?.negated()?)),
    row("interval_mul", &[Type::Interval, Float8], Type::Interval, |a| shown(span(a, 0)?.times(real(a, 1))?)),
    row("interval_div", &[Type::Interval, Float8], Type::Interval, |a| match real(a, 1) {
        0.0 => Err(SqlError::new("22012", "division by zero")),
        divisor => shown(span(a, 0)?.over(divisor)?),
    }),
    row("justify_days", &[Type::Interval], Type::Interval, |a| shown(span(a, 0)?.justify_days()?)),
    row("justify_hours", &[Type::Interval], Type::Interval, |a| shown(span(a, 0)?.justify_hours()?)),
    row("justify_interval", &[Type::Interval], Type::Interval, |a| shown(span(a, 0)?.justify()?)),
    row("age", &[Timestamp, Timestamp], Type::Interval, |a| {
        shown(interval::age(number(a, 0), number(a, 1))?)
    }),
    row("make_interval", &[Int4, Int4, Int4, Int4, Int4, Int4, Float8], Type::Interval, |a| {
        let part = |index: usize, each: i64| {
            i32::try_from(number(a, index) * each).map_err(|_| value::out_of_range(Int4))
        };
        let micros =
            number(a, 4) * 3_600_000_000 + number(a, 5) * 60_000_000 + (real(a, 6) * 1e6).round() as i64;
        let (months, days) =
            (part(0, 12)?.saturating_add(part(1, 1)?), part(2, 7)?.saturating_add(part(3, 1)?));
        shown(Interval { months, days, micros })
    }),
    row("date_part", &[Text, Type::Interval], Float8, |a| {
        let field = extract_interval(text(a, 0)?, span(a, 1)?)?;
        Ok(Value::Real(field.parse().unwrap_or(0.0)))
    }),
    row("extract", &[Text, Type::Interval], Numeric, |a| {
        text_result(extract_interval(text(a, 0)?, span(a, 1)?)?)
    }),
    row("extract", &[Text, Type::Time], Numeric, |a| {
        let clock = Interval { micros: number(a, 1), ..Interval::default() };
        match text(a, 0)?.to_ascii_lowercase().as_str() {
            field @ ("hour" | "minute" | "second" | "milliseconds" | "microseconds" | "epoch") => {
                text_result(extract_interval(field, clock)?)
            }
            other => Err(no_field(other, "time without time zone")),
        }
    }),
    row("extract", &[Text, Type::Date], Numeric, |a| {
        let field = text(a, 0)?.to_ascii_lowercase();
        if ["hour", "minute", "second", "milliseconds", "microseconds"].contains(&field.as_str()) {
            let message = format!("unit \"{field}\" not supported for type date");
            return Err(SqlError::new("0A000", message));
        }
        match numeric_part(&field, datetime::convert(Type::Date, Timestamp, number(a, 1)), "date")? {
            Value::Text(part) => {
                text_result(part.split_once('.').map_or(part.clone(), |(whole, _)| whole.to_owned()))
            }
            other => Ok(other),
        }
    }),
    row("extract", &[Text, Timestamp], Numeric, |a| {
        numeric_part(text(a, 0)?, number(a, 1), "timestamp without time zone")
    }),
    row("date_trunc", &[Text, Type::Interval], Type::Interval, |a| {
        let unit = text(a, 0)?.to_ascii_lowercase();
        shown(span(a, 1)?.truncated(&unit).ok_or_else(|| unknown_unit(&unit, "interval"))?)
    }),
    row("date_part", &[Text, Type::Time], Float8, |a| {
        let clock = Interval { micros: number(a, 1), ..Interval::default() };
        Ok(Value::Real(extract_interval(text(a, 0)?, clock)?.parse().unwrap_or(0.0)))
    }),
    row("date_part", &[Text, Timestamp], Float8, |a| {
        date_part(text(a, 0)?, number(a, 1), "timestamp without time zone")
    }),
    row("date_trunc", &[Text, Timestamp], Timestamp, |a| {
        date_trunc(text(a, 0)?, number(a, 1), "timestamp without time zone").map(int)
    }),
    row("to_timestamp", &[Float8], Timestamptz, |a| match real(a, 0) {
        f64::INFINITY => Ok(int(i64::MAX)),
        f64::NEG_INFINITY => Ok(int(i64::MIN)),
        seconds => {
            let micros = (seconds * 1e6).round() as i64;
            let micros = micros.saturating_sub(datetime::EPOCH_DAYS * datetime::DAY);
            let known = datetime::date_of(micros.div_euclid(datetime::DAY)).map(|_| int(micros));
            known.ok_or_else(|| SqlError::new("22008", format!("timestamp out of range: \"{seconds}\"")))
        }
    }),
    row("json_typeof", &[Type::Json], Text, |a| json_typeof(text(a, 0)?)),
    row("jsonb_typeof", &[Type::Jsonb], Text, |a| json_typeof(text(a, 0)?)),
    row("pg_encoding_to_char", &[Int4], Type::Name, |_| text_result("UTF8".to_owned())),
    row("pg_wal_lsn_diff", &[Text, Text], Int8, |a| {
        crate::replication::status::distance(text(a, 0)?, text(a, 1)?).map(int)
    }),
];

pub(super) fn text<'a>(args: &[ValueRef<'a>], index: usize) -> Result<&'a str> {
    match args.get(index) {
        Some(ValueRef::Text(bytes)) => value::utf8(bytes),
        _ => Err(SqlError::new("42804", "a function met an argument of another class than text")),
    }
}

pub(super) fn bytes<'a>(args: &[ValueRef<'a>], index: usize) -> &'a [u8] {
    match args.get(index) {
        Some(ValueRef::Blob(bytes) | ValueRef::Text(bytes)) => bytes,
        _ => &[],
    }
}

pub(super) fn number(args: &[ValueRef<'_>], index: usize) -> i64 {
    match args.get(index) {
        Some(ValueRef::Integer(number)) => *number,
        _ => 0,
    }
}

pub(super) fn real(args: &[ValueRef<'_>], index: usize) -> f64 {
    match args.get(index) {
        Some(ValueRef::Real(number)) => *number,
        Some(ValueRef::Integer(number)) => *number as f64,
        _ => 0.0,
    }
}

pub(super) fn int(number: i64) -> Value {
    Value::Integer(number)
}

pub(super) fn text_result(text: String) -> Result<Value> {
    Ok(Value::Text(text))
}

fn decimal(number: &bigdecimal::BigDecimal) -> Result<Value> {
    Ok(Value::Text(numeric::format(number)))
}

/// Bytes in the largest unit of which there are at least ten.
fn size_pretty(bytes: i64) -> String {
    let mut size = bytes;
    let units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    for (index, unit) in units.iter().enumerate() {
        if size.abs() < 10 * 1024 || index + 1 == units.len() {
            return format!("{size} {unit}");
        }
        // Rounded to the nearest, half away from zero.
        size = (size + size.signum() * 512) / 1024;
    }
    format!("{size} PB")
}

fn exact(args: &[ValueRef<'_>], index: usize) -> Result<bigdecimal::BigDecimal> {
    numeric::stored(text(args, index)?)
}

fn negative_root() -> SqlError {
    SqlError::new("2201F", "cannot take square root of a negative number")
}

fn underflow() -> SqlError {
    SqlError::new("22003", "value out of range: underflow")
}

/// A result that is finite if everything is that it was made of.
fn bounded_by(result: f64, of: &[f64]) -> Result<Value> {
    if result.is_infinite() && of.iter().all(|x| x.is_finite()) {
        return Err(SqlError::new("22003", "value out of range: overflow"));
    }
    Ok(Value::Real(result))
}

fn float_power(args: &[ValueRef<'_>]) -> Result<Value> {
    let (base, exponent) = (real(args, 0), real(args, 1));
    if base == 0.0 && exponent < 0.0 {
        return Err(SqlError::new("2201F", "zero raised to a negative power is undefined"));
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        let message = "a negative number raised to a non-integer power yields a complex result";
        return Err(SqlError::new("2201F", message));
    }
    let result = base.powf(exponent);
    if result == 0.0 && base != 0.0 && base.is_finite() && exponent.is_finite() {
        return Err(underflow());
    }
    bounded_by(result, &[base, exponent])
}

fn logarithm(x: f64, log: fn(f64) -> f64) -> Result<Value> {
    if x > 0.0 {
        return Ok(Value::Real(log(x)));
    }
    let what = if x == 0.0 { "zero" } else { "a negative number" };
    Err(SqlError::new("2201E", format!("cannot take logarithm of {what}")))
}

fn rounded(args: &[ValueRef<'_>], mode: RoundingMode) -> Result<Value> {
    let digits = number(args, 1).clamp(-1000, 1000);
    let rounded = numeric::stored(text(args, 0)?)?.with_scale_round(digits, mode);
    decimal(&rounded.with_scale(digits.max(0)))
}

fn trim(args: &[ValueRef<'_>], start: bool, end: bool) -> Result<Value> {
    let (source, set) = (text(args, 0)?, text(args, 1)?);
    let in_set = |c: char| set.contains(c);
    let source = if start { source.trim_start_matches(in_set) } else { source };
    text_result(if end { source.trim_end_matches(in_set) } else { source }.to_owned())
}

fn unknown_encoding(name: &str) -> SqlError {
    SqlError::new("22023", format!("unrecognized encoding: \"{name}\""))
}

fn array_length(text: &str) -> Result<Value> {
    match json::parse(text)? {
        json::Json::Array(items) => Ok(int(items.len() as i64)),
        json::Json::Object(_) => Err(SqlError::new("22023", "cannot get array length of a non-array")),
        _ => Err(SqlError::new("22023", "cannot get array length of a scalar")),
    }
}

fn pad(args: &[ValueRef<'_>], fill: &str, at_start: bool) -> Result<Value> {
    let (source, length) = (text(args, 0)?, number(args, 1));
    let length = usize::try_from(length).unwrap_or(0);
    bounded("x", length)?;
    let have = source.chars().count();
    if have >= length || fill.is_empty() {
        return text_result(source.chars().take(length).collect());
    }
    let padding: String = fill.chars().cycle().take(length - have).collect();
    text_result(if at_start { padding + source } else { source.to_owned() + &padding })
}

fn json_typeof(text: &str) -> Result<Value> {
    let name = match json::parse(text)? {
        json::Json::Null => "null",
        json::Json::Bool(_) => "boolean",
        json::Json::Number(_) => "number",
        json::Json::String(_) => "string",
        json::Json::Array(_) => "array",
        json::Json::Object(_) => "object",
    };
    text_result(name.to_owned())
}

pub(super) fn span(args: &[ValueRef<'_>], index: usize) -> Result<Interval> {
    interval::stored(text(args, index)?)
}

pub(super) fn shown(span: Interval) -> Result<Value> {
    text_result(span.to_string())
}
