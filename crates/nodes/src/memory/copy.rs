//! Copies pins into a payload, each only where it has a usable value.

use crate::prelude::*;

/// Trimmed texts.
pub(super) fn texts(inputs: &Inputs<'_>, pins: &[&str], payload: &mut Object) {
    payload.extend(
        pins.iter()
            .filter_map(|pin| Some(((*pin).to_owned(), opt_text(inputs, pin)?.into()))),
    );
}

/// Whole numbers.
pub(super) fn integers(inputs: &Inputs<'_>, pins: &[&str], payload: &mut Object) {
    payload.extend(
        pins.iter()
            .filter_map(|pin| Some(((*pin).to_owned(), opt_i64(inputs, pin)?.into()))),
    );
}

/// Numbers.
pub(super) fn floats(inputs: &Inputs<'_>, pins: &[&str], payload: &mut Object) {
    payload.extend(
        pins.iter()
            .filter_map(|pin| Some(((*pin).to_owned(), opt_f64(inputs, pin)?.into()))),
    );
}

/// Truth values.
pub(super) fn flags(inputs: &Inputs<'_>, pins: &[&str], payload: &mut Object) {
    let value = |pin: &str| {
        inputs
            .non_null(pin)
            .map(|value| coerce_bool(value).unwrap_or(false))
    };
    payload.extend(
        pins.iter()
            .filter_map(|pin| Some(((*pin).to_owned(), value(pin)?.into()))),
    );
}
