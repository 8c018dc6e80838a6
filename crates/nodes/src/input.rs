//! Reading pins with the conversions of the flow contract.

use std::borrow::Cow;

use ag_kernel::{Exception, Interrupt};
use ag_pyvalue::{PyError, coerce_bool, opt_float, opt_int, opt_str, pystr, to_float};
use ag_types::Object;
use ag_visualflow::node::Inputs;
use serde_json::{Number, Value};

/// A Python exception as an interrupt of the step.
pub(crate) fn raised(error: PyError) -> Interrupt {
    Interrupt::Raise(Exception::of(error.class_name(), error.message))
}

/// Text of a pin; null reads as `None`, as it does for a Python string conversion.
pub(crate) fn text_or<'a>(inputs: &'a Inputs<'_>, pin: &str, default: &'a str) -> Cow<'a, str> {
    inputs.get(pin).map_or(Cow::Borrowed(default), pystr)
}

/// Text of a pin; absent and null read as the empty text.
pub(crate) fn text_or_blank<'a>(inputs: &'a Inputs<'_>, pin: &str) -> Cow<'a, str> {
    inputs.non_null(pin).map_or(Cow::Borrowed(""), pystr)
}

/// Trimmed text of a string pin that is not blank.
pub(crate) fn opt_text(inputs: &Inputs<'_>, pin: &str) -> Option<String> {
    inputs.get(pin).and_then(opt_str)
}

/// Whole number of a pin, where it has one.
pub(crate) fn opt_i64(inputs: &Inputs<'_>, pin: &str) -> Option<i64> {
    inputs.get(pin).and_then(opt_int)
}

/// Number of a pin, where it has one that JSON can hold.
pub(crate) fn opt_f64(inputs: &Inputs<'_>, pin: &str) -> Option<f64> {
    inputs
        .get(pin)
        .and_then(opt_float)
        .filter(|number| number.is_finite())
}

/// Number of a pin; absent gives the default, null and other texts are errors.
pub(crate) fn float_or(inputs: &Inputs<'_>, pin: &str, default: f64) -> Result<f64, Interrupt> {
    inputs
        .get(pin)
        .map_or(Ok(default), |value| to_float(value).map_err(raised))
}

/// Lenient boolean of a pin.
pub(crate) fn flag(inputs: &Inputs<'_>, pin: &str, default: bool) -> bool {
    inputs
        .non_null(pin)
        .map_or(default, |value| coerce_bool(value).unwrap_or(false))
}

/// The first of these pins, then of these `effectConfig` keys, whose value is neither null nor empty text.
pub(crate) fn first<'a>(inputs: &'a Inputs<'_>, names: &[&str]) -> Option<&'a Value> {
    let filled = |value: &&Value| !value.is_null() && value.as_str() != Some("");
    let pins = names.iter().filter_map(|name| inputs.get(name));
    let config = names.iter().filter_map(|name| inputs.config.effect_config(name));
    pins.chain(config).find(filled)
}

/// A float result. JSON has neither infinity nor NaN, so such a result is an error instead of a value.
pub(crate) fn number(value: f64) -> Result<Value, Interrupt> {
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| Exception::value("Out of range float values are not JSON compliant").into())
}

/// `{key: value}`.
pub(crate) fn one(key: &str, value: Value) -> Value {
    let mut object = Object::new();
    object.insert(key.to_owned(), value);
    Value::Object(object)
}

/// `{"result": value}`.
pub(crate) fn result(value: impl Into<Value>) -> Value {
    one("result", value.into())
}

/// Resolved values of the declared pins in declared order; of all pins where the node declares none.
pub(crate) fn variadic<'a>(inputs: &'a Inputs<'_>) -> Vec<&'a Value> {
    match inputs.config.inputs.as_deref() {
        Some(pins) if !pins.is_empty() => pins.iter().filter_map(|pin| inputs.get(&pin.id)).collect(),
        _ => inputs.values.values().collect(),
    }
}

/// Replaces the escapes that the editor's separators use: `\n`, `\t`, `\r`.
pub(crate) fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
        .replace("\\t", "\t")
        .replace("\\r", "\r")
}
