//! Python's `str.format` with keyword arguments taken from an object.
//!
//! Fields reach JSON data only: no Python attribute exists on it, so `{a.b}` always fails like an
//! unknown attribute (CPython would also show methods and `__class__`). Two limits that Python does
//! not have keep a short template from filling the memory: [`MAX_FORMAT_WIDTH`] and
//! [`MAX_FORMAT_OUTPUT_BYTES`].

mod field;
mod float;
mod render;
mod spec;

use crate::{
    Object,
    error::{PyError, PyErrorKind},
};

/// Largest field width and float precision.
pub const MAX_FORMAT_WIDTH: usize = 1 << 20;
/// Largest result of [`str_format`].
pub const MAX_FORMAT_OUTPUT_BYTES: usize = 64 << 20;

/// Templates may nest once: a field inside a format specification.
const MAX_NESTING: usize = 2;

/// `template.format(**values)`.
///
/// # Errors
///
/// The exception that Python raises, with its text: `KeyError` (`'name'`) for a missing key,
/// `IndexError` for positional fields, `ValueError` for a malformed template or specification,
/// `TypeError` and `AttributeError` for impossible accesses; `MemoryError` past the output limit.
pub fn str_format(template: &str, values: &Object) -> Result<String, PyError> {
    expand(template, values, MAX_NESTING)
}

fn expand(template: &str, values: &Object, nesting: usize) -> Result<String, PyError> {
    if nesting == 0 {
        return Err(PyError::value("Max string recursion exceeded"));
    }
    let mut output = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        output.push_str(&rest[..at]);
        let brace = if rest[at..].starts_with('{') { '{' } else { '}' };
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            output.push(brace);
            rest = after;
        } else if brace == '}' || rest.is_empty() {
            return Err(PyError::value(format!(
                "Single '{brace}' encountered in format string"
            )));
        } else {
            let markup = field::parse(&mut rest)?;
            let text = field::render(&markup, values, nesting)?;
            output.push_str(&text);
        }
        if output.len() > MAX_FORMAT_OUTPUT_BYTES {
            return Err(PyError::new(
                PyErrorKind::MemoryError,
                "formatted text is too large",
            ));
        }
    }
    output.push_str(rest);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: serde_json::Value) -> Object {
        Object::from_iter([("x".to_owned(), value)])
    }

    #[test]
    fn padding_is_limited() {
        let values = object(json!(1.5));
        assert_eq!(
            str_format("{x:1048576}", &values).map(|text| text.len()),
            Ok(MAX_FORMAT_WIDTH)
        );
        for template in ["{x:1048577}", "{x:.1048577f}", "{x:9999999999999999999f}"] {
            assert!(str_format(template, &values).is_err_and(|error| error.kind == PyErrorKind::ValueError));
        }
    }

    #[test]
    fn output_is_limited() {
        let values = object("a".repeat(MAX_FORMAT_OUTPUT_BYTES / 8).into());
        assert!(str_format(&"{x}".repeat(8), &values).is_ok());
        let result = str_format(&"{x}".repeat(9), &values);
        assert_eq!(result.map_err(|error| error.kind), Err(PyErrorKind::MemoryError));
    }

    #[test]
    fn surrogates_have_no_character() {
        assert_eq!(
            str_format("{x:c}", &object(json!(0xD800))).as_deref(),
            Ok("\u{fffd}")
        );
    }
}
