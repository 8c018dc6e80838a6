//! Numbers: the text of a float, and integers and floats on one exact scale.

use std::{cmp::Ordering, fmt::Write as _};

use serde_json::{Number, Value};

/// A Python `int` or `float`. `i128` holds every JSON integer with its sign.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Num {
    Int(i128),
    Float(f64),
}

impl Num {
    pub(crate) fn of(number: &Number) -> Self {
        if let Some(value) = number.as_i64() {
            Self::Int(value.into())
        } else if let Some(value) = number.as_u64() {
            Self::Int(value.into())
        } else {
            Self::Float(number.as_f64().unwrap_or(f64::NAN))
        }
    }

    /// The number behind a JSON number or boolean (`True` is the integer 1).
    pub(crate) fn of_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(Self::Int((*flag).into())),
            Value::Number(number) => Some(Self::of(number)),
            _ => None,
        }
    }

    /// Nearest double; ties to even, as in Python's `float(int)`.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        match self {
            Self::Int(value) => value == 0,
            Self::Float(value) => value == 0.0,
        }
    }

    /// Exact comparison: an integer is never rounded to a double first.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => compare_int_float(a, b),
            (Self::Float(a), Self::Int(b)) => compare_int_float(b, a).map(Ordering::reverse),
        }
    }

    /// The JSON value: integers beyond 64 bits become doubles, NaN and infinities `null`.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Int(value) => {
                if let Ok(value) = i64::try_from(value) {
                    Value::from(value)
                } else if let Ok(value) = u64::try_from(value) {
                    Value::from(value)
                } else {
                    Value::from(value as f64)
                }
            }
            // `Value::from` maps what JSON cannot hold to null.
            Self::Float(value) => Value::from(value),
        }
    }

    /// Reads plain ASCII digits; what does not fit `i128` becomes a double.
    pub(crate) fn from_digits(digits: &str) -> Self {
        match digits.parse::<i128>() {
            Ok(value) => Self::Int(value),
            Err(_) => Self::Float(digits.parse().unwrap_or(f64::INFINITY)),
        }
    }
}

fn compare_int_float(int: i128, float: f64) -> Option<Ordering> {
    const TWO_POW_127: f64 = (1_u128 << 127) as f64;
    if float.is_nan() {
        return None;
    }
    if float >= TWO_POW_127 {
        return Some(Ordering::Less);
    }
    if float < -TWO_POW_127 {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    // Inside the range above the cast is exact.
    let by_whole = int.cmp(&(whole as i128));
    Some(by_whole.then_with(|| whole.partial_cmp(&float).unwrap_or(Ordering::Equal)))
}

/// Two texts with `n` digits can be equally near to a double only if half a unit of the last digit is
/// below the double's own precision of 2^-53, so `n` is at least 16. One less, for safety.
const FEWEST_TIE_DIGITS: usize = 15;

/// Python's `repr(float)`: shortest digits that read back as the same double, `.0` kept, exponent
/// notation below 1e-4 and from 1e16 with a sign and at least two digits.
pub fn float_repr(value: f64) -> String {
    let mut text = String::new();
    push_float(&mut text, value);
    text
}

/// Appends [`float_repr`] to a buffer.
pub(crate) fn push_float(text: &mut String, value: f64) {
    if value.is_nan() {
        return text.push_str("nan");
    }
    if value.is_infinite() {
        return text.push_str(if value < 0.0 { "-inf" } else { "inf" });
    }
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        // The usual case: the same layout as Rust's, too few digits for the tie rule below.
        let start = text.len();
        // Writing to a String cannot fail.
        let _ = write!(text, "{value:?}");
        if text.len() - start < FEWEST_TIE_DIGITS {
            return;
        }
        text.truncate(start);
    }
    let shortest = shortest_digits(value);
    let (mantissa, exponent) = split_exponent(&shortest);
    if (-4..16).contains(&exponent) {
        let (sign, mantissa) = mantissa
            .strip_prefix('-')
            .map_or(("", mantissa), |rest| ("-", rest));
        text.push_str(sign);
        let placed = place_point(&mantissa.replace('.', ""), exponent);
        text.push_str(&placed);
        if !placed.contains('.') {
            text.push_str(".0");
        }
    } else {
        text.push_str(mantissa);
        push_exponent(text, 'e', exponent);
    }
}

/// The shortest digits that read back as the same double, in Rust's exponent notation.
///
/// Where two equally short texts are equally near, Python takes the one with the even last digit and
/// Rust's formatter the upper one. Such ties need a double that is known to one digit more; see
/// [`FEWEST_TIE_DIGITS`].
fn shortest_digits(value: f64) -> String {
    let shortest = format!("{value:e}");
    let (mantissa, _) = split_exponent(&shortest);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    if digits >= FEWEST_TIE_DIGITS {
        let decimals = digits - 1;
        // Rounds the exact value half to even. Next to a power of two the result may belong to the
        // neighbouring double.
        let nearest = format!("{value:.decimals$e}");
        if nearest.parse() == Ok(value) {
            return nearest;
        }
    }
    shortest
}

/// Writes digits with the point after the first one, moved by `exponent` places.
pub(crate) fn place_point(digits: &str, exponent: i32) -> String {
    let Ok(places) = usize::try_from(exponent) else {
        let zeros = usize::try_from(exponent.unsigned_abs() - 1).unwrap_or(0);
        return format!("0.{:0>zeros$}{digits}", "");
    };
    match digits.split_at_checked(places + 1) {
        Some((whole, "")) => whole.to_owned(),
        Some((whole, fraction)) => format!("{whole}.{fraction}"),
        None => format!("{digits:0<width$}", width = places + 1),
    }
}

/// Splits Rust's `1.5e-7` into mantissa and exponent.
pub(crate) fn split_exponent(text: &str) -> (&str, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa, exponent.parse().unwrap_or(0))
}

/// Appends an exponent in C's form: a sign and at least two digits.
pub(crate) fn push_exponent(text: &mut String, letter: char, exponent: i32) {
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(text, "{letter}{sign}{:02}", exponent.unsigned_abs());
}

/// Appends the Python text of a JSON number.
pub(crate) fn push_number(text: &mut String, number: &Number) {
    match Num::of(number) {
        Num::Int(value) => {
            let _ = write!(text, "{value}");
        }
        Num::Float(value) => push_float(text, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        let big = 9_007_199_254_740_993_i128;
        let cases = [
            (
                Num::Int(big),
                Num::Float(9_007_199_254_740_992.0),
                Ordering::Greater,
            ),
            (Num::Int(1), Num::Float(1.5), Ordering::Less),
            (Num::Int(-1), Num::Float(-1.5), Ordering::Greater),
            (Num::Float(-1.5), Num::Int(-1), Ordering::Less),
            (Num::Int(3), Num::Float(3.0), Ordering::Equal),
            (Num::Int(i128::from(u64::MAX)), Num::Float(1e300), Ordering::Less),
            (Num::Int(0), Num::Float(f64::NEG_INFINITY), Ordering::Greater),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.compare(b), Some(expected), "{a:?} {b:?}");
        }
    }

    #[test]
    fn ties_between_shortest_texts_go_to_even() {
        let cases = [
            ("814551705488034.25", "814551705488034.2"),
            ("814551705488034.75", "814551705488034.8"),
            ("-269458331113133.125", "-269458331113133.12"),
            ("0.137638092041015625", "0.13763809204101562"),
            // 2^-44: the nearest text of this length, one below, is another double.
            ("5.684341886080801486968994140625e-14", "5.684341886080802e-14"),
        ];
        for (exact, expected) in cases {
            assert_eq!(exact.parse().map(float_repr).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn special_floats_have_python_names() {
        assert_eq!(float_repr(f64::NAN), "nan");
        assert_eq!(float_repr(f64::NEG_INFINITY), "-inf");
        assert_eq!(float_repr(f64::INFINITY), "inf");
    }

    #[test]
    fn long_digits_become_doubles() {
        assert_eq!(
            Num::from_digits("18446744073709551615").into_value(),
            Value::from(u64::MAX)
        );
        assert_eq!(
            Num::from_digits("18446744073709551616").into_value(),
            Value::from(18446744073709551616.0)
        );
        assert_eq!(Num::from_digits(&"9".repeat(400)).into_value(), Value::Null);
    }
}
