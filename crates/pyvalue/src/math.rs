//! Float arithmetic where Python differs from IEEE or from Rust.

use crate::error::{PyError, PyErrorKind};

/// Above this many decimals every double is its own rounding.
const MAX_DECIMALS: i64 = 323;
/// Below this every double rounds to zero.
const MIN_DECIMALS: i64 = -308;

/// Python's `round(value, decimals)`: half to even on the exact binary value, so 2.675 with two
/// decimals is 2.67. Infinite when a negative number of decimals rounds past the largest double; see
/// [`py_round`] for the error that Python raises there.
pub fn round_half_even(value: f64, decimals: i64) -> f64 {
    if !value.is_finite() || value == 0.0 || decimals > MAX_DECIMALS {
        return value;
    }
    if decimals < MIN_DECIMALS {
        return 0.0 * value;
    }
    match usize::try_from(decimals) {
        // Formatting works on the exact decimal expansion and reading is correctly rounded.
        Ok(places) => format!("{value:.places$}").parse().unwrap_or(value),
        Err(_) => round_whole(value, usize::try_from(decimals.unsigned_abs()).unwrap_or(0)),
    }
}

/// [`round_half_even`] with Python's error for a result that no double can hold.
pub fn py_round(value: f64, decimals: i64) -> Result<f64, PyError> {
    let rounded = round_half_even(value, decimals);
    if rounded.is_infinite() && value.is_finite() {
        return Err(PyError::new(
            PyErrorKind::OverflowError,
            "rounded value too large to represent",
        ));
    }
    Ok(rounded)
}

/// Rounds away the last `dropped` (at least one) digits before the decimal point.
fn round_whole(value: f64, dropped: usize) -> f64 {
    let magnitude = value.abs();
    let whole = format!("{:.0}", magnitude.trunc());
    let Some(kept) = whole.len().checked_sub(dropped) else {
        return 0.0_f64.copysign(value);
    };
    let (head, tail) = whole.split_at(kept);
    let tail = tail.as_bytes();
    let has_rest = tail[1..].iter().any(|digit| *digit != b'0') || magnitude.fract() != 0.0;
    let is_odd = head.bytes().last().is_some_and(|digit| digit % 2 == 1);
    let up = match tail[0].cmp(&b'5') {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => has_rest || is_odd,
        std::cmp::Ordering::Greater => true,
    };
    let head = if up { increment(head) } else { head.to_owned() };
    // A bare exponent (no digit kept) is not a number and means zero.
    let rounded = format!("{head}e{dropped}").parse::<f64>().unwrap_or(0.0);
    rounded.copysign(value)
}

/// Adds one to decimal digits.
fn increment(digits: &str) -> String {
    let nines = digits.bytes().rev().take_while(|digit| *digit == b'9').count();
    let (head, _) = digits.split_at(digits.len() - nines);
    let mut result = String::with_capacity(digits.len() + 1);
    match head.char_indices().next_back() {
        Some((offset, last)) => {
            result.push_str(&head[..offset]);
            let next = last
                .to_digit(10)
                .and_then(|digit| char::from_digit(digit + 1, 10));
            result.push(next.unwrap_or('9'));
        }
        None => result.push('1'),
    }
    result.extend(std::iter::repeat_n('0', nines));
    result
}

/// Python's `a % b` on floats: the result has the sign of `b`. NaN for a zero `b`, which Python
/// refuses; callers check it first because their message differs.
pub fn floor_mod(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0.0_f64.copysign(b)
    } else if (b < 0.0) != (rest < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// Python's `base ** exponent` on floats.
///
/// # Errors
///
/// `ZeroDivisionError` for zero to a negative power, `OverflowError` for results beyond the largest
/// double, and [`PyErrorKind::ComplexResult`] for a negative base with a fractional exponent.
pub fn py_pow(base: f64, exponent: f64) -> Result<f64, PyError> {
    if base == 0.0 && exponent < 0.0 && exponent.is_finite() {
        return Err(PyError::new(
            PyErrorKind::ZeroDivisionError,
            "0.0 cannot be raised to a negative power",
        ));
    }
    if base.is_finite() && exponent.is_finite() {
        if base < 0.0 && exponent.fract() != 0.0 {
            if base.abs().powf(exponent).is_infinite() {
                return Err(PyError::new(PyErrorKind::OverflowError, "complex exponentiation"));
            }
            return Err(PyError::new(
                PyErrorKind::ComplexResult,
                "Object of type complex is not JSON serializable",
            ));
        }
        let result = base.powf(exponent);
        if result.is_infinite() {
            return Err(PyError::new(
                PyErrorKind::OverflowError,
                "(34, 'Numerical result out of range')",
            ));
        }
        return Ok(result);
    }
    // IEEE's special values are also Python's.
    Ok(base.powf(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_limits() {
        assert_eq!(round_half_even(1.5, i64::MAX), 1.5);
        assert_eq!(
            round_half_even(-1.5e300, i64::MIN).to_bits(),
            (-0.0_f64).to_bits()
        );
        assert_eq!(round_half_even(f64::MAX, -308), f64::INFINITY);
        assert_eq!(
            py_round(f64::MAX, -308).map_err(|error| error.kind),
            Err(PyErrorKind::OverflowError)
        );
        assert!(py_round(f64::NAN, 2).is_ok_and(f64::is_nan));
        assert_eq!(round_half_even(5e-324, 323), 0.0);
    }

    #[test]
    fn zero_divisor_is_not_a_number() {
        assert!(floor_mod(1.0, 0.0).is_nan());
        assert!(floor_mod(0.0, 0.0).is_nan());
    }
}
