//! `numeric`: exact decimals, stored as text so that no digit and no trailing zero is lost.

use super::error::{Result, SqlError};
use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, RoundingMode, Zero};
use bytes::{BufMut, BytesMut};

/// The least number of significant digits a quotient shows.
const QUOTIENT_DIGITS: i64 = 16;

/// Parses a decimal, or `None` if the text is none.
pub fn parse(text: &str) -> Option<BigDecimal> {
    let text = text.trim();
    let legal = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E');
    if text.is_empty() || !text.chars().all(legal) {
        return None;
    }
    let value = text.parse::<BigDecimal>().ok()?;
    let (_, scale) = value.as_bigint_and_exponent();
    // Beyond this a few characters of input would become megabytes of digits.
    if !(-1000..=16_383).contains(&scale) {
        return None;
    }
    Some(if scale < 0 { value.with_scale(0) } else { value })
}

/// The error of a value that a numeric can have in Postgres, and none here: NaN and the infinities.
pub fn unusual(text: &str) -> Option<SqlError> {
    let word = text.trim().trim_start_matches(['+', '-']).to_ascii_lowercase();
    let known = matches!(word.as_str(), "nan" | "inf" | "infinity");
    known.then(|| SqlError::unsupported(format!("the value {} of type numeric", text.trim())))
}

/// Reads a stored value back; a stored value is always legal.
pub fn stored(text: &str) -> Result<BigDecimal> {
    parse(text)
        .ok_or_else(|| SqlError::new("22P02", format!("invalid input syntax for type numeric: \"{text}\"")))
}

/// The text Postgres shows: plain digits, never an exponent.
pub fn format(value: &BigDecimal) -> String {
    let text = value.to_plain_string();
    if value.is_zero() { text.trim_start_matches('-').to_owned() } else { text }
}

/// Rounds to the declared scale and checks the declared precision.
pub fn apply_typmod(value: &BigDecimal, typmod: i32) -> Result<BigDecimal> {
    if typmod < 0 {
        return Ok(value.clone());
    }
    let (precision, scale) = (i64::from((typmod - 4) >> 16), i64::from((typmod - 4) & 0xffff));
    let rounded = round(value, scale);
    let whole = i64::try_from(rounded.digits()).unwrap_or(i64::MAX) - scale;
    if !rounded.is_zero() && whole > precision - scale {
        let limit = precision - scale;
        let bound = if limit == 0 { "1".to_owned() } else { format!("10^{limit}") };
        return Err(SqlError::new("22003", "numeric field overflow").detail(format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
        )));
    }
    Ok(rounded)
}

/// Rounds half away from zero, as Postgres does.
pub fn round(value: &BigDecimal, scale: i64) -> BigDecimal {
    value.with_scale_round(scale, RoundingMode::HalfUp)
}

/// Divides with the scale that Postgres selects: at least 16 significant digits, never fewer than an operand's.
pub fn divide(a: &BigDecimal, b: &BigDecimal) -> Result<BigDecimal> {
    if b.is_zero() {
        return Err(SqlError::new("22012", "division by zero"));
    }
    let ((weight_a, first_a), (weight_b, first_b)) = (weight(a), weight(b));
    let quotient_weight = weight_a - weight_b - i64::from(first_a <= first_b);
    let scale = (QUOTIENT_DIGITS - quotient_weight * 4).max(scale(a)).max(scale(b)).clamp(0, 1000);
    divide_to(a, b, scale)
}

/// Divides to so many digits after the point.
pub fn divide_to(a: &BigDecimal, b: &BigDecimal, scale: i64) -> Result<BigDecimal> {
    // One digit more, to round by.
    Ok(round(&truncated_quotient(a, b, scale + 1)?, scale))
}

/// The quotient without what follows so many digits after the point.
pub fn truncated_quotient(a: &BigDecimal, b: &BigDecimal, scale: i64) -> Result<BigDecimal> {
    if b.is_zero() {
        return Err(SqlError::new("22012", "division by zero"));
    }
    // One integer division: both are brought to integers.
    let (a_digits, a_exponent) = a.as_bigint_and_exponent();
    let (b_digits, b_exponent) = b.as_bigint_and_exponent();
    let shift = scale + b_exponent - a_exponent;
    let (mut dividend, mut divisor) = (a_digits, b_digits);
    let ten = BigInt::from(10);
    let power = u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX);
    if shift >= 0 {
        dividend *= ten.pow(power)
    } else {
        divisor *= ten.pow(power)
    }
    Ok(BigDecimal::new(dividend / divisor, scale))
}

/// The square root, with as many digits as a quotient would show; of a negative number zero.
pub fn sqrt(value: &BigDecimal) -> BigDecimal {
    let (weight, _) = weight(value);
    // The root of a number of 2n digits has n, in groups of four.
    root(value, QUOTIENT_DIGITS - (weight + 1) * 2)
}

/// `sqrt` of a numeric, with the digits that Postgres' function of that name shows.
pub fn square_root(value: &BigDecimal) -> BigDecimal {
    let (weight, _) = weight(value);
    root(value, QUOTIENT_DIGITS - (weight * 2 + 1))
}

fn root(value: &BigDecimal, digits: i64) -> BigDecimal {
    let shown = digits.max(scale(value)).clamp(0, 1000);
    // The whole root of 100^n times as much has n digits of the fraction, and one more to round by.
    let (whole, _) = round(value, 2 * (shown + 1)).into_bigint_and_exponent();
    let root = if whole.sign() == Sign::Plus { whole.sqrt() } else { BigInt::default() };
    round(&BigDecimal::new(root, shown + 1), shown)
}

/// The digits after the point.
pub fn scale(value: &BigDecimal) -> i64 {
    value.as_bigint_and_exponent().1.max(0)
}

/// The base-10000 weight and first digit, as Postgres' numeric holds them.
fn weight(value: &BigDecimal) -> (i64, u32) {
    let (_, groups, weight) = groups(value);
    (weight, groups.first().copied().map_or(0, u32::from))
}

/// Sign, base-10000 digits without outer zeros, and the weight of the first.
pub(super) fn groups(value: &BigDecimal) -> (Sign, Vec<u16>, i64) {
    let (digits, exponent) = value.as_bigint_and_exponent();
    let sign = digits.sign();
    let mut text = digits.magnitude().to_string();
    // Align the point to a group of four digits.
    let fill = (4 - exponent.rem_euclid(4)) % 4;
    text.extend(std::iter::repeat_n('0', usize::try_from(fill).unwrap_or(0)));
    let lead = (4 - text.len() % 4) % 4;
    let text = "0".repeat(lead) + &text;
    let all: Vec<u16> =
        text.as_bytes().chunks(4).map(|c| c.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'))).collect();
    let weight = i64::try_from(all.len()).unwrap_or(0) - (exponent + fill) / 4 - 1;
    let skipped = all.iter().take_while(|group| **group == 0).count();
    let kept = all.iter().rposition(|group| *group != 0).map_or(0, |last| last + 1);
    if skipped >= kept {
        return (Sign::NoSign, Vec::new(), 0);
    }
    (sign, all[skipped..kept].to_vec(), weight - i64::try_from(skipped).unwrap_or(0))
}

/// Writes the wire's binary form.
pub fn send(value: &BigDecimal, out: &mut BytesMut) {
    let (sign, groups, weight) = groups(value);
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(i16::try_from(weight).unwrap_or(i16::MAX));
    out.put_u16(if sign == Sign::Minus { 0x4000 } else { 0 });
    out.put_u16(u16::try_from(scale(value)).unwrap_or(0));
    groups.iter().for_each(|group| out.put_u16(*group));
}

/// Reads the wire's binary form; `None` if it is malformed, NaN or infinite.
pub fn recv(bytes: &[u8]) -> Option<BigDecimal> {
    let word = |index: usize| Some(u16::from_be_bytes(bytes.get(index * 2..index * 2 + 2)?.try_into().ok()?));
    let (count, weight, sign, scale) = (usize::from(word(0)?), word(1)?.cast_signed(), word(2)?, word(3)?);
    if bytes.len() != 8 + count * 2 || !matches!(sign, 0 | 0x4000) || scale > 16_383 {
        return None;
    }
    let mut text = String::with_capacity(count * 4 + 1);
    for index in 0..count {
        let group = word(4 + index).filter(|group| *group < 10_000)?;
        text.push_str(&format!("{group:04}"));
    }
    let digits = BigInt::parse_bytes(if text.is_empty() { b"0" } else { text.as_bytes() }, 10)?;
    let digits = if sign == 0x4000 { -digits } else { digits };
    let exponent = (i64::try_from(count).ok()? - 1 - i64::from(weight)) * 4;
    let exponent = if count == 0 { 0 } else { exponent };
    Some(BigDecimal::new(digits, exponent).with_scale(i64::from(scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_have_the_digits_that_postgres_shows() {
        let check = |a: &str, b: &str, expect: &str| {
            assert_eq!(format(&divide(&parse(a).unwrap(), &parse(b).unwrap()).unwrap()), expect, "{a} / {b}");
        };
        check("1", "3", "0.33333333333333333333");
        check("1.0", "3.0", "0.33333333333333333333");
        check("10", "4", "2.5000000000000000");
        check("7", "2", "3.5000000000000000");
        check("-2", "3", "-0.66666666666666666667");
        check("0", "3", "0.00000000000000000000");
        check("100000", "3", "33333.333333333333");
        assert_eq!(divide(&parse("1").unwrap(), &parse("0.00").unwrap()).unwrap_err().code, "22012");
    }

    #[test]
    fn the_binary_form_round_trips() {
        for text in
            ["0", "0.00", "1", "-1", "10000", "0.0001", "12345.6789", "-0.5", "100000000", "1.10", "9999"]
        {
            let mut wire = BytesMut::new();
            send(&parse(text).unwrap(), &mut wire);
            assert_eq!(format(&recv(&wire).unwrap()), text);
        }
        assert_eq!(recv(&[0, 1, 0, 0]), None);
    }

    #[test]
    fn precision_and_scale_hold() {
        let check = |text: &str, expect: Option<&str>| {
            let typmod = ((5 << 16) | 2) + 4;
            let got = apply_typmod(&parse(text).unwrap(), typmod).ok().map(|value| format(&value));
            assert_eq!(got.as_deref(), expect, "{text}");
        };
        check("1.005", Some("1.01"));
        check("-1.005", Some("-1.01"));
        check("999.99", Some("999.99"));
        check("999.995", None);
        check("1e2", Some("100.00"));
        check("0.001", Some("0.00"));
    }
}
