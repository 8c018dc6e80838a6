//! One replacement field: `{name!conversion:specification}`.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::Value;

use super::{expand, render::format_value};
use crate::{
    Object,
    convert::type_name,
    error::{PyError, PyErrorKind},
    repr::{pyrepr, pyrepr_str, pystr},
};

/// The parts of a field as they stand in the template.
pub(super) struct Markup<'t> {
    name: &'t str,
    conversion: Option<char>,
    spec: &'t str,
}

/// Reads a field after its opening brace and moves `rest` behind its closing one.
pub(super) fn parse<'t>(rest: &mut &'t str) -> Result<Markup<'t>, PyError> {
    let text = *rest;
    let name_end = name_end(text)?;
    let name = &text[..name_end];
    let mut chars = text[name_end..].chars();
    let mut conversion = None;
    match chars.next() {
        Some('}') => {
            *rest = chars.as_str();
            return Ok(Markup {
                name,
                conversion,
                spec: "",
            });
        }
        Some('!') => {
            conversion = chars.next();
            if conversion.is_none() {
                return Err(PyError::value(
                    "end of string while looking for conversion specifier",
                ));
            }
            match chars.next() {
                Some('}') => {
                    *rest = chars.as_str();
                    return Ok(Markup {
                        name,
                        conversion,
                        spec: "",
                    });
                }
                Some(':') | None => {}
                Some(_) => return Err(PyError::value("expected ':' after conversion specifier")),
            }
        }
        Some(_) => {}
        None => return Err(PyError::value("expected '}' before end of string")),
    }
    let text = chars.as_str();
    let spec_end = closing_brace(text)?;
    *rest = &text[spec_end + 1..];
    Ok(Markup {
        name,
        conversion,
        spec: &text[..spec_end],
    })
}

/// Where the name ends: at `}`, `:` or `!` outside square brackets, or at the end of the text.
fn name_end(text: &str) -> Result<usize, PyError> {
    let mut in_brackets = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b']' => in_brackets = false,
            _ if in_brackets => {}
            b'[' => in_brackets = true,
            b'{' => return Err(PyError::value("unexpected '{' in field name")),
            b'}' | b':' | b'!' => return Ok(at),
            _ => {}
        }
    }
    Ok(text.len())
}

/// Where the specification ends: at the brace that closes the field, past nested ones.
fn closing_brace(text: &str) -> Result<usize, PyError> {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Ok(at);
        }
    }
    Err(PyError::value("unmatched '{' in format spec"))
}

/// Looks the value up, converts it and formats it.
pub(super) fn render(markup: &Markup<'_>, values: &Object, nesting: usize) -> Result<String, PyError> {
    let value = lookup(markup.name, values)?;
    let value = match markup.conversion {
        None => value,
        Some('s') => Cow::Owned(Value::String(pystr(&value).into_owned())),
        Some('r') => Cow::Owned(Value::String(pyrepr(&value))),
        Some('a') => Cow::Owned(Value::String(ascii(&value))),
        Some(other) => {
            let shown = if ('!'..='~').contains(&other) {
                other.to_string()
            } else {
                format!("\\x{:x}", u32::from(other))
            };
            return Err(PyError::value(format!("Unknown conversion specifier {shown}")));
        }
    };
    if markup.spec.contains('{') {
        let spec = expand(markup.spec, values, nesting - 1)?;
        format_value(&value, &spec)
    } else {
        format_value(&value, markup.spec)
    }
}

/// Python's `ascii(value)`.
fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for c in pyrepr(value).chars() {
        // Writing to a String cannot fail.
        let _ = match u32::from(c) {
            0..=0x7f => {
                text.push(c);
                Ok(())
            }
            code @ 0x80..=0xff => write!(text, "\\x{code:02x}"),
            code @ 0x100..=0xffff => write!(text, "\\u{code:04x}"),
            code => write!(text, "\\U{code:08x}"),
        };
    }
    text
}

/// Resolves `name`, `name[key]`, `name.attribute` and chains of them.
fn lookup<'v>(path: &str, values: &'v Object) -> Result<Cow<'v, Value>, PyError> {
    let first_end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at(first_end);
    // There are no positional arguments, so numbered and automatic fields always miss.
    let position = if first.is_empty() { Some(0) } else { index(first)? };
    if let Some(position) = position {
        return Err(PyError::new(
            PyErrorKind::IndexError,
            format!("Replacement index {position} out of range for positional args tuple"),
        ));
    }
    let mut value = Cow::Borrowed(values.get(first).ok_or_else(|| missing_key(first))?);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (key, after) = after
                .split_once(']')
                .ok_or_else(|| PyError::value("Missing ']' in format string"))?;
            if key.is_empty() {
                return Err(PyError::value("Empty attribute in format string"));
            }
            value = match value {
                Cow::Borrowed(container) => item(container, key)?,
                Cow::Owned(container) => Cow::Owned(item(&container, key)?.into_owned()),
            };
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let attribute = &after[..end];
            if attribute.is_empty() {
                return Err(PyError::value("Empty attribute in format string"));
            }
            return Err(PyError::new(
                PyErrorKind::AttributeError,
                format!("'{}' object has no attribute '{attribute}'", type_name(&value)),
            ));
        } else {
            return Err(PyError::value(
                "Only '.' or '[' may follow ']' in format field specifier",
            ));
        }
    }
    Ok(value)
}

/// `container[key]`, where a key of digits is an integer.
fn item<'v>(container: &'v Value, key: &str) -> Result<Cow<'v, Value>, PyError> {
    let index = index(key)?;
    let out_of_range =
        |what: &str| PyError::new(PyErrorKind::IndexError, format!("{what} index out of range"));
    match (container, index) {
        // Keys of JSON objects are strings, never integers.
        (Value::Object(_), Some(index)) => Err(PyError::new(PyErrorKind::KeyError, index.to_string())),
        (Value::Object(object), None) => object.get(key).map(Cow::Borrowed).ok_or_else(|| missing_key(key)),
        (Value::Array(items), Some(index)) => items
            .get(index)
            .map(Cow::Borrowed)
            .ok_or_else(|| out_of_range("list")),
        (Value::Array(_), None) => Err(PyError::type_error(
            "list indices must be integers or slices, not str",
        )),
        (Value::String(text), Some(index)) => {
            let c = text.chars().nth(index).ok_or_else(|| out_of_range("string"))?;
            Ok(Cow::Owned(Value::String(c.to_string())))
        }
        (Value::String(_), None) => Err(PyError::type_error("string indices must be integers, not 'str'")),
        _ => Err(PyError::type_error(format!(
            "'{}' object is not subscriptable",
            type_name(container)
        ))),
    }
}

fn missing_key(key: &str) -> PyError {
    PyError::new(PyErrorKind::KeyError, pyrepr_str(key))
}

/// The integer that a part made of digits denotes. Python checks the size while it reads, so too many
/// digits are an error even when something else follows.
fn index(text: &str) -> Result<Option<usize>, PyError> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let digits = &text[..length];
    if digits.is_empty() {
        return Ok(None);
    }
    let value = digits
        .parse::<isize>()
        .map_err(|_| PyError::value("Too many decimal digits in format string"))?;
    Ok(usize::try_from(value).ok().filter(|_| length == text.len()))
}
