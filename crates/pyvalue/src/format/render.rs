//! `format(value, specification)` for JSON values.

use serde_json::Value;

use super::{
    MAX_FORMAT_WIDTH, float,
    spec::{Align, Spec, Target, parse, shown},
};
use crate::{
    convert::type_name,
    error::{PyError, PyErrorKind},
    number::{Num, float_repr},
    repr::pystr,
    text::{len_chars, slice_str},
};

pub(super) fn format_value(value: &Value, spec: &str) -> Result<String, PyError> {
    if spec.is_empty() {
        return Ok(pystr(value).into_owned());
    }
    let type_name = type_name(value);
    if let Value::String(text) = value {
        let spec = parse(spec, Target::Text, type_name)?;
        return format_text(text, &spec);
    }
    match Num::of_value(value) {
        Some(Num::Int(int)) => {
            let spec = parse(spec, Target::Int, type_name)?;
            format_int(int, &spec, type_name)
        }
        Some(Num::Float(float)) => {
            let spec = parse(spec, Target::Float, type_name)?;
            format_float(float, &spec, type_name)
        }
        None => Err(PyError::type_error(format!(
            "unsupported format string passed to {type_name}.__format__"
        ))),
    }
}

fn format_text(text: &str, spec: &Spec) -> Result<String, PyError> {
    if let Some(kind) = spec.kind.filter(|kind| *kind != 's') {
        return Err(unknown_kind(kind, "str"));
    }
    let problem = if let Some(sign) = spec.sign {
        if sign == ' ' {
            "Space not allowed"
        } else {
            "Sign not allowed"
        }
    } else if spec.no_negative_zero {
        "Negative zero coercion (z) not allowed"
    } else if spec.alternate {
        "Alternate form (#) not allowed"
    } else if spec.align == Align::AfterSign {
        "'=' alignment not allowed"
    } else {
        let limit = spec.precision.and_then(|precision| i64::try_from(precision).ok());
        let number = Parts {
            sign: "",
            prefix: "",
            digits: "",
            tail: slice_str(text, None, limit),
        };
        return Ok(number.lay_out(spec, 3));
    };
    Err(PyError::value(format!("{problem} in string format specifier")))
}

fn format_int(value: i128, spec: &Spec, type_name: &str) -> Result<String, PyError> {
    let kind = match spec.kind.unwrap_or('d') {
        kind @ ('b' | 'c' | 'd' | 'o' | 'x' | 'X' | 'n') => kind,
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%' => return format_float(value as f64, spec, type_name),
        other => return Err(unknown_kind(other, type_name)),
    };
    if spec.precision.is_some() {
        return Err(PyError::value(
            "Precision not allowed in integer format specifier",
        ));
    }
    if spec.no_negative_zero {
        return Err(PyError::value(
            "Negative zero coercion (z) not allowed in integer format specifier",
        ));
    }
    if kind == 'c' {
        return format_char(value, spec);
    }
    let magnitude = value.unsigned_abs();
    let (prefix, digits, group) = match kind {
        'b' => ("0b", format!("{magnitude:b}"), 4),
        'o' => ("0o", format!("{magnitude:o}"), 4),
        'x' => ("0x", format!("{magnitude:x}"), 4),
        'X' => ("0X", format!("{magnitude:X}"), 4),
        _ => ("", magnitude.to_string(), 3),
    };
    let prefix = if spec.alternate { prefix } else { "" };
    let number = Parts {
        sign: sign_text(value < 0, spec),
        prefix,
        digits: &digits,
        tail: "",
    };
    Ok(number.lay_out(spec, group))
}

fn format_char(code: i128, spec: &Spec) -> Result<String, PyError> {
    if spec.sign.is_some() {
        return Err(PyError::value(
            "Sign not allowed with integer format specifier 'c'",
        ));
    }
    if spec.alternate {
        return Err(PyError::value(
            "Alternate form (#) not allowed with integer format specifier 'c'",
        ));
    }
    let overflow = |text: &str| PyError::new(PyErrorKind::OverflowError, text);
    let code = i64::try_from(code).map_err(|_| overflow("Python int too large to convert to C long"))?;
    let code = u32::try_from(code)
        .ok()
        .filter(|code| *code <= u32::from(char::MAX))
        .ok_or_else(|| overflow("%c arg not in range(0x110000)"))?;
    let c = char::from_u32(code)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
        .to_string();
    Ok(Parts {
        sign: "",
        prefix: "",
        digits: "",
        tail: &c,
    }
    .lay_out(spec, 3))
}

fn format_float(value: f64, spec: &Spec, type_name: &str) -> Result<String, PyError> {
    if let Some(kind) = spec.kind.filter(|kind| !"eEfFgGn%".contains(*kind)) {
        return Err(unknown_kind(kind, type_name));
    }
    if spec
        .precision
        .is_some_and(|precision| precision > MAX_FORMAT_WIDTH)
    {
        return Err(PyError::value("precision too big"));
    }
    let value = if spec.kind == Some('%') {
        value * 100.0
    } else {
        value
    };
    let mut text = float_digits(value.abs(), spec);
    if matches!(spec.kind, Some('E' | 'F' | 'G')) {
        text.make_ascii_uppercase();
    }
    let shows_zero = || {
        !text
            .split(['e', 'E'])
            .next()
            .unwrap_or("")
            .contains(|c: char| c != '0' && c != '.')
    };
    let is_negative = value.is_sign_negative() && !value.is_nan() && !(spec.no_negative_zero && shows_zero());
    if spec.kind == Some('%') {
        text.push('%');
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, tail) = text.split_at(digits);
    Ok(Parts {
        sign: sign_text(is_negative, spec),
        prefix: "",
        digits,
        tail,
    }
    .lay_out(spec, 3))
}

fn float_digits(value: f64, spec: &Spec) -> String {
    if !value.is_finite() {
        return float_repr(value);
    }
    let precision = spec.precision.unwrap_or(6);
    match spec.kind {
        Some('f' | 'F' | '%') => float::fixed(value, precision, spec.alternate),
        Some('e' | 'E') => float::scientific(value, precision, spec.alternate),
        Some(_) => float::general(value, precision, spec.alternate, false),
        None => match spec.precision {
            Some(precision) => float::general(value, precision, spec.alternate, true),
            None => shortest(value, spec.alternate),
        },
    }
}

/// Without type and precision: the text of `repr`; the alternate form has a point even before a bare
/// exponent.
fn shortest(value: f64, alternate: bool) -> String {
    let text = float_repr(value);
    match text.split_once('e') {
        Some((mantissa, exponent)) if alternate && !mantissa.contains('.') => {
            format!("{mantissa}.e{exponent}")
        }
        _ => text,
    }
}

fn sign_text(is_negative: bool, spec: &Spec) -> &'static str {
    match (is_negative, spec.sign) {
        (true, _) => "-",
        (false, Some('+')) => "+",
        (false, Some(' ')) => " ",
        (false, _) => "",
    }
}

fn unknown_kind(kind: char, type_name: &str) -> PyError {
    PyError::value(format!(
        "Unknown format code '{}' for object of type '{type_name}'",
        shown(kind)
    ))
}

/// A number (or text, as `tail`) before padding and grouping.
struct Parts<'a> {
    sign: &'a str,
    prefix: &'a str,
    /// Digits before the decimal point: the only ones that are grouped.
    digits: &'a str,
    tail: &'a str,
}

impl Parts<'_> {
    fn lay_out(&self, spec: &Spec, group: usize) -> String {
        let fixed = self.sign.len() + self.prefix.len() + len_chars(self.tail);
        // Zeros that fill up to the width are grouped like digits.
        let least = if spec.fill == '0' && spec.align == Align::AfterSign {
            spec.width.saturating_sub(fixed)
        } else {
            0
        };
        let digits = group_digits(self.digits, spec.grouping, group, least);
        let padding = spec.width.saturating_sub(fixed + digits.len());
        let (before, inside, after) = match spec.align {
            Align::Left => (0, 0, padding),
            Align::Right => (padding, 0, 0),
            Align::Center => (padding / 2, 0, padding - padding / 2),
            Align::AfterSign => (0, padding, 0),
        };
        let fill = |count: usize| std::iter::repeat_n(spec.fill, count);
        let mut text =
            String::with_capacity(padding * spec.fill.len_utf8() + digits.len() + self.tail.len() + 3);
        text.extend(fill(before));
        text.push_str(self.sign);
        text.push_str(self.prefix);
        text.extend(fill(inside));
        text.push_str(&digits);
        text.push_str(self.tail);
        text.extend(fill(after));
        text
    }
}

/// Digits in groups, with zeros in front until they are `least` characters long. The result may be
/// one longer: a separator never comes first.
fn group_digits(digits: &str, separator: Option<char>, group: usize, least: usize) -> String {
    // Infinities and characters have no digits to group or to fill.
    if digits.is_empty() {
        return String::new();
    }
    let Some(separator) = separator else {
        let zeros = least.saturating_sub(digits.len());
        return "0".repeat(zeros) + digits;
    };
    // A full group takes one character more than its digits; a separator alone cannot lead, so it
    // pulls one more digit in front of it.
    let (full, part) = (least / (group + 1), least % (group + 1));
    let wanted = if least == 0 { 0 } else { full * group + part.max(1) };
    let count = digits.len().max(wanted);
    let zeros = count - digits.len();
    let mut text = String::with_capacity(count + count / group);
    for (index, digit) in std::iter::repeat_n('0', zeros).chain(digits.chars()).enumerate() {
        if index > 0 && (count - index).is_multiple_of(group) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}
