//! Powers, exponentials and logarithms of `numeric`, to as many digits as Postgres shows.
//!
//! Each works on whole numbers that count units of 10^-digits, some digits finer than what is shown:
//! 1. the argument is brought near the point where its series is short: halved for the exponential, its root
//!    drawn for the logarithm;
//! 2. the series is summed until its terms vanish;
//! 3. the first step is undone.

use super::error::{Result, SqlError};
use super::numeric::{divide_to, groups, round, scale};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, One, Signed, ToPrimitive, Zero};

/// The least number of significant digits of a result.
const SIGNIFICANT: i64 = 16;
/// The most digits that are shown after the point.
const MOST_DIGITS: i64 = 1000;
/// Digits that are computed and not shown.
const GUARD: i64 = 12;
/// Results beyond e to this power are no numerics.
const LARGEST_EXPONENT: f64 = 6000.0;
const LOG10_E: f64 = std::f64::consts::LOG10_E;

/// `exp`
pub fn exp(x: &BigDecimal) -> Result<BigDecimal> {
    let rough = rough(x);
    if rough.abs() >= LARGEST_EXPONENT {
        return vanished(rough, MOST_DIGITS);
    }
    let shown = (SIGNIFICANT - (rough * LOG10_E) as i64).max(scale(x)).clamp(0, MOST_DIGITS);
    Ok(exp_to(x, shown))
}

/// `ln`
pub fn ln(x: &BigDecimal) -> Result<BigDecimal> {
    logarithmic(x)?;
    let shown = (SIGNIFICANT - ln_weight(x)).max(scale(x)).clamp(0, MOST_DIGITS);
    Ok(round(&ln_to(x, shown + GUARD), shown))
}

/// `log`, to any base.
pub fn log(base: &BigDecimal, x: &BigDecimal) -> Result<BigDecimal> {
    logarithmic(base)?;
    logarithmic(x)?;
    let (base_weight, weight) = (ln_weight(base), ln_weight(x));
    let shown = (SIGNIFICANT - (weight - base_weight)).max(scale(base)).max(scale(x)).clamp(0, MOST_DIGITS);
    let finer = shown + GUARD + weight.abs() + base_weight.abs();
    divide_to(&ln_to(x, finer), &ln_to(base, finer), shown)
}

/// `power`
pub fn power(base: &BigDecimal, exponent: &BigDecimal) -> Result<BigDecimal> {
    let whole = exponent.is_integer();
    if base.is_zero() && exponent.is_negative() {
        return Err(SqlError::new("2201F", "zero raised to a negative power is undefined"));
    }
    if base.is_negative() && !whole {
        let message = "a negative number raised to a non-integer power yields a complex result";
        return Err(SqlError::new("2201F", message));
    }
    if whole && let Some(times) = exponent.to_i32() {
        let shown = SIGNIFICANT.max(scale(base)).min(MOST_DIGITS);
        return whole_power(base, times, shown);
    }
    if base.is_zero() {
        return Ok(base.with_scale(SIGNIFICANT));
    }
    let weight = ln_weight(&base.abs());
    let digits = 25 + scale(exponent) + (rough(exponent).abs() + 1.0).log10() as i64;
    let decimal = rough(&(ln_to(&base.abs(), digits) * exponent));
    if decimal.abs() > LARGEST_EXPONENT {
        return vanished(decimal, MOST_DIGITS);
    }
    let decimal = (decimal * LOG10_E) as i64;
    let shown = (SIGNIFICANT - decimal).max(scale(base)).max(scale(exponent)).clamp(0, MOST_DIGITS);
    let finer = shown + decimal.max(0) - weight + GUARD + digits;
    let result = exp_to(&(ln_to(&base.abs(), finer) * exponent), shown);
    // A negative base has come here with a whole exponent that is beyond 32 bits.
    let odd = base.is_negative() && !(exponent % BigDecimal::from(2)).is_zero();
    Ok(if odd { -result } else { result })
}

fn logarithmic(x: &BigDecimal) -> Result<()> {
    match x.sign() {
        bigdecimal::num_bigint::Sign::Plus => Ok(()),
        bigdecimal::num_bigint::Sign::NoSign => Err(SqlError::new("2201E", "cannot take logarithm of zero")),
        bigdecimal::num_bigint::Sign::Minus => {
            Err(SqlError::new("2201E", "cannot take logarithm of a negative number"))
        }
    }
}

/// A result that is too large is an error, one that is too small is zero.
fn vanished(exponent: f64, shown: i64) -> Result<BigDecimal> {
    if exponent > 0.0 {
        return Err(SqlError::new("22003", "value overflows numeric format"));
    }
    Ok(BigDecimal::zero().with_scale(shown.clamp(0, MOST_DIGITS)))
}

/// By squaring; every step keeps only the digits that the result shows.
fn whole_power(base: &BigDecimal, times: i32, shown: i64) -> Result<BigDecimal> {
    if base.is_zero() {
        let result = if times == 0 { BigDecimal::one() } else { BigDecimal::zero() };
        return Ok(result.with_scale(shown));
    }
    // The decimal weight of the result says how much must be kept, and whether it is a number at all.
    let weight = rough(&ln_to(&base.abs(), 20)) * LOG10_E * f64::from(times);
    if weight > 131_072.0 {
        return vanished(1.0, shown);
    }
    if weight + 1.0 < -(shown as f64) - 1.0 {
        return Ok(BigDecimal::zero().with_scale(shown));
    }
    let kept = (weight.abs() as i64 + shown + GUARD + 16).unsigned_abs();
    let kept = std::num::NonZeroU64::new(kept).unwrap_or(std::num::NonZeroU64::MIN);
    let mut result = BigDecimal::one();
    let mut square = base.clone();
    let mut left = times.unsigned_abs();
    while left > 0 {
        if left % 2 == 1 {
            result = (result * &square).with_precision_round(kept, bigdecimal::RoundingMode::HalfUp);
        }
        left /= 2;
        if left > 0 {
            square = square.square().with_precision_round(kept, bigdecimal::RoundingMode::HalfUp);
        }
    }
    if times < 0 { divide_to(&BigDecimal::one(), &result, shown) } else { Ok(round(&result, shown)) }
}

/// The decimal weight of a logarithm, as Postgres estimates it from the leading digits.
fn ln_weight(x: &BigDecimal) -> i64 {
    let near = (x * BigDecimal::from(10)).to_f64().is_some_and(|tenfold| (9.0..=11.0).contains(&tenfold));
    if near {
        let rest = x - BigDecimal::one();
        let (_, digits, weight) = groups(&rest);
        let Some(first) = digits.first() else { return 0 };
        return weight * 4 + f64::from(*first).log10() as i64;
    }
    let (_, digits, weight) = groups(x);
    let mut leading = digits.first().copied().map_or(1.0, f64::from);
    let mut decimal = weight * 4;
    if let Some(second) = digits.get(1) {
        leading = leading * 10_000.0 + f64::from(*second);
        decimal -= 4;
    }
    (leading.ln() + decimal as f64 * std::f64::consts::LN_10).abs().log10() as i64
}

/// e^x, rounded to so many digits after the point.
fn exp_to(x: &BigDecimal, shown: i64) -> BigDecimal {
    // Halved until the series converges by two digits a term; each squaring doubles the relative error.
    let halvings = (rough(x).abs().max(0.01) * 128.0).log2().max(0.0) as u32;
    let digits = shown + (rough(x).max(0.0) * LOG10_E) as i64 + GUARD + i64::from(halvings);
    let unit = ten(digits);
    let small = units(x, digits) >> halvings;
    let (mut sum, mut term, mut count) = (unit.clone(), unit.clone(), 0_u32);
    while !term.is_zero() {
        count += 1;
        term = &term * &small / &unit / count;
        sum += &term;
    }
    for _ in 0..halvings {
        sum = &sum * &sum / &unit;
    }
    round(&BigDecimal::new(sum, digits), shown)
}

/// The natural logarithm of a positive number, with so many digits after the point, the last ones uncertain.
fn ln_to(x: &BigDecimal, shown: i64) -> BigDecimal {
    let digits = shown.max(0) + GUARD;
    // A factor of a power of ten comes out first, so that the root is drawn of a number near one.
    let (whole, exponent) = x.as_bigint_and_exponent();
    let tens = i64::try_from(whole.to_string().len()).unwrap_or(i64::MAX) - exponent;
    let tens = if tens.abs() <= 1 { 0 } else { tens };
    let reduced = BigDecimal::new(whole, exponent + tens);
    let mut sum = ln_near_one(&units(&reduced, digits), digits);
    if tens != 0 {
        let finer = digits + 8;
        let ten_units = ln_near_one(&(ten(finer) * 10), finer);
        sum += ten_units * tens / ten(8);
    }
    BigDecimal::new(sum, digits)
}

/// ln of a number of units, in units: roots until it is near one, then the series of the inverse hyperbolic
/// tangent.
fn ln_near_one(x: &BigInt, digits: i64) -> BigInt {
    let finer = 10;
    let (unit, mut x) = (ten(digits + finer), x * ten(finer));
    let (mut doublings, near) = (1_u32, &unit / 64);
    while (&x - &unit).abs() > near {
        x = (x * &unit).sqrt();
        doublings += 1;
    }
    let ratio = (&x - &unit) * &unit / (&x + &unit);
    let square = &ratio * &ratio / &unit;
    let (mut sum, mut power, mut odd) = (ratio.clone(), ratio, 1_u32);
    loop {
        power = &power * &square / &unit;
        odd += 2;
        let term = &power / odd;
        if term.is_zero() {
            break;
        }
        sum += term;
    }
    (sum << doublings) / ten(finer)
}

fn rough(x: &BigDecimal) -> f64 {
    x.to_f64().unwrap_or(f64::MAX)
}

fn units(x: &BigDecimal, digits: i64) -> BigInt {
    round(x, digits).as_bigint_and_exponent().0
}

fn ten(digits: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(digits).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::numeric::{format, parse};
    use super::*;

    fn check(got: Result<BigDecimal>, expect: &str, what: &str) {
        let got = got.map_or_else(|error| error.code.to_owned(), |value| format(&value));
        assert_eq!(got, expect, "{what}");
    }

    #[test]
    fn powers_have_the_digits_that_postgres_shows() {
        for (base, exponent, expect) in [
            ("2.0", "10", "1024.0000000000000000"),
            ("-2.0", "3", "-8.0000000000000000"),
            ("2.0", "-2", "0.2500000000000000"),
            ("2.0", "0.5", "1.4142135623730950"),
            ("0.0", "0", "1.0000000000000000"),
            ("0.0", "-1", "2201F"),
            ("-1.5", "0.5", "2201F"),
            ("10.0", "200000", "22003"),
        ] {
            check(power(&parse(base).unwrap(), &parse(exponent).unwrap()), expect, base);
        }
    }

    #[test]
    fn exponentials_and_logarithms_have_the_digits_that_postgres_shows() {
        for (x, expect) in [
            ("0.0", "1.0000000000000000"),
            ("1.0", "2.7182818284590452"),
            ("-1.0", "0.3678794411714423"),
            ("10.5", "36315.502674246638"),
            ("7000.0", "22003"),
        ] {
            check(exp(&parse(x).unwrap()), expect, x);
        }
        for (x, expect) in [
            ("1.0", "0.0000000000000000"),
            ("2.0", "0.6931471805599453"),
            ("10.0", "2.3025850929940457"),
            ("0.5", "-0.6931471805599453"),
            ("0", "2201E"),
            ("-1", "2201E"),
        ] {
            check(ln(&parse(x).unwrap()), expect, x);
        }
        check(log(&parse("10").unwrap(), &parse("1000.0").unwrap()), "3.0000000000000000", "log");
        check(log(&parse("1").unwrap(), &parse("2.0").unwrap()), "22012", "log to the base of one");
    }
}
