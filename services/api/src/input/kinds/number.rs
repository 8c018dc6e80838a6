//! Numbers with bounds.

use std::fmt::Display;

use serde_json::Value;

use super::{At, Kind};

/// Bounds of a number, checked in this order.
#[derive(Debug, Clone, Copy)]
struct Bounds<N> {
    gt: Option<N>,
    ge: Option<N>,
    lt: Option<N>,
    le: Option<N>,
}

impl<N: PartialOrd + Copy + Display + Into<Value>> Bounds<N> {
    const NONE: Self = Self {
        gt: None,
        ge: None,
        lt: None,
        le: None,
    };

    /// Comparisons are written so that NaN breaks every bound.
    fn check(&self, number: N, given: Value, at: &mut At<'_>) -> Option<N> {
        let broken = [
            (
                self.le,
                "less_than_equal",
                "less than or equal to",
                "le",
                self.le.is_none_or(|le| number <= le),
            ),
            (
                self.lt,
                "less_than",
                "less than",
                "lt",
                self.lt.is_none_or(|lt| number < lt),
            ),
            (
                self.ge,
                "greater_than_equal",
                "greater than or equal to",
                "ge",
                self.ge.is_none_or(|ge| number >= ge),
            ),
            (
                self.gt,
                "greater_than",
                "greater than",
                "gt",
                self.gt.is_none_or(|gt| number > gt),
            ),
        ]
        .into_iter()
        .find(|(.., holds)| !holds);
        match broken {
            Some((Some(bound), kind, words, name, _)) => at.out_of_bounds(
                kind,
                format!("Input should be {words} {bound}"),
                given,
                name,
                bound,
            ),
            _ => Some(number),
        }
    }
}

macro_rules! bounded {
    ($kind:ident, $number:ty) => {
        impl $kind {
            /// At least.
            #[must_use]
            pub const fn ge(mut self, bound: $number) -> Self {
                self.0.ge = Some(bound);
                self
            }

            /// More than.
            #[must_use]
            pub const fn gt(mut self, bound: $number) -> Self {
                self.0.gt = Some(bound);
                self
            }

            /// At most.
            #[must_use]
            pub const fn le(mut self, bound: $number) -> Self {
                self.0.le = Some(bound);
                self
            }

            /// Less than.
            #[must_use]
            pub const fn lt(mut self, bound: $number) -> Self {
                self.0.lt = Some(bound);
                self
            }
        }
    };
}

/// An integer.
#[derive(Debug, Clone, Copy)]
pub struct Int(Bounds<i64>);

/// An integer; texts and doubles without a fraction are understood. What lies beyond 64 bits becomes the nearest
/// integer there is.
pub const fn int() -> Int {
    Int(Bounds::NONE)
}

bounded!(Int, i64);

impl Kind for Int {
    type Out = i64;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<i64> {
        const FRACTION: &str = "Input should be a valid integer, got a number with a fractional part";
        let number = match &value {
            Value::Number(number) if number.is_i64() => number.as_i64(),
            Value::Number(number) if number.is_u64() => Some(i64::MAX),
            Value::Number(number) => match number.as_f64() {
                Some(number) if number.fract() == 0.0 => Some(number as i64),
                _ => return at.fail("int_from_float", FRACTION, value),
            },
            Value::Bool(flag) => Some(i64::from(*flag)),
            Value::String(text) => integer(text),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return at.fail("int_type", "Input should be a valid integer", value);
            }
        };
        match number {
            Some(number) => self.0.check(number, value, at),
            None => at.fail(
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
                value,
            ),
        }
    }
}

/// Decimal digits with an optional sign, single underscores between digits, and an optional fraction of zeros.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let (negative, digits) = match whole.as_bytes().first()? {
        b'-' => (true, &whole[1..]),
        b'+' => (false, &whole[1..]),
        _ => (false, whole),
    };
    let well_formed = digits
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !well_formed {
        return None;
    }
    let magnitude = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0_i64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
        });
    Some(if negative { -magnitude } else { magnitude })
}

/// A double.
#[derive(Debug, Clone, Copy)]
pub struct Float(Bounds<f64>);

/// A number; texts are understood.
pub const fn float() -> Float {
    Float(Bounds::NONE)
}

bounded!(Float, f64);

impl Kind for Float {
    type Out = f64;

    fn read(&self, value: Value, at: &mut At<'_>) -> Option<f64> {
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return at.fail("float_type", "Input should be a valid number", value);
            }
        };
        match number {
            Some(number) => self.0.check(number, value, at),
            None => at.fail(
                "float_parsing",
                "Input should be a valid number, unable to parse string as a number",
                value,
            ),
        }
    }
}
