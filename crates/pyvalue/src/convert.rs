//! Truth, types, and conversions to numbers.

use serde_json::Value;

use crate::{
    error::{PyError, PyErrorKind},
    number::Num,
    repr::pyrepr_str,
    text::{ascii_digits, slice_str, strip_py},
};

/// CPython refuses longer decimal texts because the conversion is quadratic there; kept for its
/// observable error.
const MAX_INT_DIGITS: usize = 4300;

/// Python's `type(value).__name__`.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// Python's `bool(value)`: false for null, zero, and empty strings and containers.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => !Num::of(number).is_zero(),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// The lenient boolean of pins and settings: booleans as they are, numbers by `!= 0`, strings true
/// exactly for true/1/yes/on (any case, trimmed). Null and containers say nothing (`None`); where no
/// other default is named, callers read that as false.
pub fn coerce_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(!Num::of(number).is_zero()),
        Value::String(text) => {
            let word = strip_py(text);
            Some(
                ["true", "1", "yes", "on"]
                    .iter()
                    .any(|yes| word.eq_ignore_ascii_case(yes)),
            )
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Python's `float(value)`. The result may be infinite or NaN when the text says so.
pub fn to_float(value: &Value) -> Result<f64, PyError> {
    if let Some(number) = Num::of_value(value) {
        return Ok(number.as_f64());
    }
    match value {
        Value::String(text) => parse_float(text).ok_or_else(|| {
            PyError::value(format!("could not convert string to float: {}", pyrepr_str(text)))
        }),
        _ => Err(PyError::type_error(format!(
            "float() argument must be a string or a real number, not '{}'",
            type_name(value)
        ))),
    }
}

/// Python's `int(value)`: floats are truncated, texts must be decimal integers. Results outside
/// `i64` are an `OverflowError` (Python has no such limit; everything that asks here does).
pub fn to_int(value: &Value) -> Result<i64, PyError> {
    match Num::of_value(value) {
        Some(Num::Int(int)) => return narrow(int),
        Some(Num::Float(float)) => return truncate(float),
        None => {}
    }
    match value {
        Value::String(text) => parse_int(text),
        _ => Err(PyError::type_error(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            type_name(value)
        ))),
    }
}

/// `int(float(value))`, or nothing for booleans and for what cannot be converted.
pub fn opt_int(value: &Value) -> Option<i64> {
    if value.is_boolean() {
        return None;
    }
    truncate(to_float(value).ok()?).ok()
}

/// `float(value)`, or nothing for booleans, NaN and what cannot be converted. May be infinite.
pub fn opt_float(value: &Value) -> Option<f64> {
    if value.is_boolean() {
        return None;
    }
    to_float(value).ok().filter(|float| !float.is_nan())
}

/// The trimmed text of a string that is not blank.
pub fn opt_str(value: &Value) -> Option<String> {
    let text = strip_py(value.as_str()?);
    (!text.is_empty()).then(|| text.to_owned())
}

fn narrow(int: i128) -> Result<i64, PyError> {
    i64::try_from(int).map_err(|_| {
        PyError::new(
            PyErrorKind::OverflowError,
            "cannot fit 'int' into an index-sized integer",
        )
    })
}

fn truncate(float: f64) -> Result<i64, PyError> {
    if float.is_nan() {
        return Err(PyError::value("cannot convert float NaN to integer"));
    }
    if float.is_infinite() {
        return Err(PyError::new(
            PyErrorKind::OverflowError,
            "cannot convert float infinity to integer",
        ));
    }
    // The cast saturates, far outside i64, so `narrow` still sees that the value is too large.
    narrow(float as i128)
}

fn parse_float(text: &str) -> Option<f64> {
    let digits = ascii_digits(strip_number(text));
    // Rust reads the same grammar as Python here: decimal digits with optional point and exponent,
    // or inf, infinity, nan in any case.
    without_underscores(&digits)?.parse().ok()
}

fn parse_int(text: &str) -> Result<i64, PyError> {
    let stripped = ascii_digits(strip_number(text));
    let (negative, digits) = match stripped.as_bytes().first() {
        Some(b'-') => (true, &stripped[1..]),
        Some(b'+') => (false, &stripped[1..]),
        _ => (false, &*stripped),
    };
    let digits = without_underscores(digits)
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| {
            let shown = pyrepr_str(text);
            let shown = slice_str(&shown, None, Some(200));
            PyError::value(format!("invalid literal for int() with base 10: {shown}"))
        })?;
    if digits.len() > MAX_INT_DIGITS {
        return Err(PyError::value(format!(
            "Exceeds the limit ({MAX_INT_DIGITS} digits) for integer string conversion: value has {} digits; \
             use sys.set_int_max_str_digits() to increase the limit",
            digits.len()
        )));
    }
    match Num::from_digits(&digits) {
        Num::Int(int) => narrow(if negative { -int } else { int }),
        Num::Float(_) => narrow(i128::MAX),
    }
}

/// Removes white space around a number. Unlike `str.strip`, CPython keeps U+001C..U+001F here and
/// then refuses them.
fn strip_number(text: &str) -> &str {
    text.trim_matches(char::is_whitespace)
}

/// Removes underscores, each of which must stand between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |index: Option<usize>| {
        index
            .and_then(|index| bytes.get(index))
            .is_some_and(u8::is_ascii_digit)
    };
    let well_placed = bytes.iter().enumerate().all(|(index, byte)| {
        *byte != b'_' || (is_digit(index.checked_sub(1)) && is_digit(index.checked_add(1)))
    });
    well_placed.then(|| text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lenient_scalars() {
        let ints = [
            (json!("3.9"), Some(3)),
            (json!(-2.5), Some(-2)),
            (json!(true), None),
            (json!(null), None),
            (json!("nan"), None),
            (json!("inf"), None),
            (json!(1e300), None),
            (json!([1]), None),
            (json!(" 1_0 "), Some(10)),
        ];
        for (value, expected) in ints {
            assert_eq!(opt_int(&value), expected, "{value}");
        }
        let floats = [
            (json!("0.5"), Some(0.5)),
            (json!(false), None),
            (json!("nan"), None),
            (json!("-inf"), Some(f64::NEG_INFINITY)),
            (json!({}), None),
        ];
        for (value, expected) in floats {
            assert_eq!(opt_float(&value), expected, "{value}");
        }
        assert_eq!(opt_str(&json!(" a\u{a0}")).as_deref(), Some("a"));
        assert_eq!(opt_str(&json!(" \u{1c}")), None);
        assert_eq!(opt_str(&json!(5)), None);
    }

    #[test]
    fn coerced_booleans() {
        let cases = [
            (json!(true), Some(true)),
            (json!(0.0), Some(false)),
            (json!(-1), Some(true)),
            (json!(" YES "), Some(true)),
            (json!("on"), Some(true)),
            (json!("1"), Some(true)),
            (json!("2"), Some(false)),
            (json!("no"), Some(false)),
            (json!(""), Some(false)),
            (json!(null), None),
            (json!([1]), None),
        ];
        for (value, expected) in cases {
            assert_eq!(coerce_bool(&value), expected, "{value}");
        }
    }

    #[test]
    fn integers_beyond_i64_are_refused() {
        for value in [
            json!(u64::MAX),
            json!(1e19),
            json!("9223372036854775808"),
            json!("9".repeat(60)),
        ] {
            assert_eq!(
                to_int(&value).map_err(|error| error.kind),
                Err(PyErrorKind::OverflowError),
                "{value}"
            );
        }
        assert_eq!(to_int(&json!("-9223372036854775808")), Ok(i64::MIN));
    }
}
