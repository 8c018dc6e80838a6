//! Number tokens of Python source.

use super::Parser;
use crate::number::Num;

impl Parser<'_> {
    /// A decimal, hexadecimal, octal or binary integer, or a float.
    pub(super) fn unsigned_number(&mut self) -> Option<Num> {
        let rest = self.rest();
        let radix = match rest.get(..2) {
            Some("0x" | "0X") => Some(16),
            Some("0o" | "0O") => Some(8),
            Some("0b" | "0B") => Some(2),
            _ => None,
        };
        let (number, length) = match radix {
            Some(radix) => {
                prefixed_integer(&rest[2..], radix).map(|(number, length)| (number, length + 2))?
            }
            None => decimal(rest)?,
        };
        // A letter right after it makes it another token (`1j`, `12ab`).
        if rest[length..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        self.at += length;
        Some(number)
    }
}

/// Digits after `0x`, `0o` or `0b`, with the length read. An underscore may follow the prefix.
fn prefixed_integer(text: &str, radix: u32) -> Option<(Num, usize)> {
    let length = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let token = &text[..length];
    let digits = token.strip_prefix('_').unwrap_or(token);
    if !well_grouped(digits) {
        return None;
    }
    let digits = digits.replace('_', "");
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = match i128::from_str_radix(&digits, radix) {
        Ok(value) => Num::Int(value),
        Err(_) => Num::Float(
            digits
                .chars()
                .filter_map(|c| c.to_digit(radix))
                .fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit)),
        ),
    };
    Some((number, length))
}

/// A decimal integer or float, with the length read.
fn decimal(text: &str) -> Option<(Num, usize)> {
    let bytes = text.as_bytes();
    let whole = run(bytes, 0);
    let mut end = whole;
    let mut fraction = (whole, whole);
    let mut is_float = false;
    if bytes.get(end) == Some(&b'.') {
        is_float = true;
        fraction = (end + 1, run(bytes, end + 1));
        end = fraction.1;
    }
    if whole == 0 && fraction.0 == fraction.1 {
        return None;
    }
    let mut exponent = (end, end);
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        exponent = (end + 1 + sign, run(bytes, end + 1 + sign));
        if exponent.0 == exponent.1 {
            return None;
        }
        is_float = true;
        end = exponent.1;
    }
    let parts = [(0, whole), fraction, exponent];
    if !parts
        .iter()
        .all(|(from, to)| from == to || well_grouped(&text[*from..*to]))
    {
        return None;
    }
    let token = text[..end].replace('_', "");
    if is_float {
        return Some((Num::Float(token.parse().ok()?), end));
    }
    // `007` was octal once and is refused; only zero may be written with leading zeros. Very long
    // integers are refused like in `int()`.
    let has_leading_zero = token.starts_with('0') && token.bytes().any(|byte| byte != b'0');
    if has_leading_zero || token.len() > 4300 {
        return None;
    }
    Some((Num::from_digits(&token), end))
}

/// End of the run of digits and underscores that starts at `from`.
fn run(bytes: &[u8], from: usize) -> usize {
    let length = bytes
        .iter()
        .skip(from)
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'_')
        .count();
    from + length
}

/// Whether the digits are not empty and each underscore stands between two of them.
fn well_grouped(digits: &str) -> bool {
    digits.split('_').all(|group| !group.is_empty())
}
