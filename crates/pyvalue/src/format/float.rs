//! Digits of a non-negative float in the presentation types of `format`.

use crate::number::{place_point, push_exponent, split_exponent};

/// No double has more significant decimal digits; what is asked beyond them is zeros.
const MAX_EXACT_DIGITS: usize = 1100;

/// `f`: fixed point.
pub(super) fn fixed(value: f64, precision: usize, alternate: bool) -> String {
    let exact = precision.min(MAX_EXACT_DIGITS);
    let mut text = format!("{value:.exact$}");
    pad_zeros(&mut text, precision - exact);
    if alternate && precision == 0 {
        text.push('.');
    }
    text
}

/// `e`: exponent notation.
pub(super) fn scientific(value: f64, precision: usize, alternate: bool) -> String {
    let exact = precision.min(MAX_EXACT_DIGITS);
    let rounded = format!("{value:.exact$e}");
    let (mantissa, exponent) = split_exponent(&rounded);
    let mut text = mantissa.to_owned();
    pad_zeros(&mut text, precision - exact);
    if alternate && precision == 0 {
        text.push('.');
    }
    push_exponent(&mut text, 'e', exponent);
    text
}

/// `g`: `precision` significant digits in the shorter of both notations. `keep_point` is the variant
/// without a presentation type, which never looks like an integer.
pub(super) fn general(value: f64, precision: usize, alternate: bool, keep_point: bool) -> String {
    let precision = precision.max(1);
    let exact = (precision - 1).min(MAX_EXACT_DIGITS);
    let rounded = format!("{value:.exact$e}");
    let (mantissa, exponent) = split_exponent(&rounded);
    let first_exponent_form = i64::try_from(precision).unwrap_or(i64::MAX) - i64::from(keep_point);
    let use_exponent = exponent < -4 || i64::from(exponent) >= first_exponent_form;

    let mut text = if use_exponent {
        mantissa.to_owned()
    } else {
        place_point(&mantissa.replace('.', ""), exponent)
    };
    if alternate {
        if !text.contains('.') {
            text.push('.');
        }
        pad_zeros(&mut text, precision - 1 - exact);
    } else if text.contains('.') {
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
    }
    if use_exponent {
        push_exponent(&mut text, 'e', exponent);
    } else if keep_point && !text.contains('.') {
        text.push_str(".0");
    }
    text
}

fn pad_zeros(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n('0', count));
}
