//! `str()` and `repr()` of values.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::Value;

use crate::{
    number::push_number,
    text::is_printable,
    walk::{Layout, Style, walk},
};

const LAYOUT: Layout = Layout {
    sort_keys: false,
    indent: None,
    item_separator: ", ",
    key_separator: ": ",
};

struct ReprStyle;

impl Style for ReprStyle {
    const NULL: &'static str = "None";
    const TRUE: &'static str = "True";
    const FALSE: &'static str = "False";

    fn string<O: FnMut(&str)>(&self, text: &str, out: &mut O) {
        write_str_repr(text, out);
    }
}

/// Python's `str(value)`: strings as they are, everything else as [`pyrepr`].
pub fn pystr(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed("None"),
        Value::Bool(true) => Cow::Borrowed("True"),
        Value::Bool(false) => Cow::Borrowed("False"),
        Value::Number(number) => {
            let mut text = String::new();
            push_number(&mut text, number);
            Cow::Owned(text)
        }
        Value::Array(_) | Value::Object(_) => Cow::Owned(pyrepr(value)),
    }
}

/// Python's `repr(value)`.
pub fn pyrepr(value: &Value) -> String {
    let mut text = String::new();
    write_repr(value, &mut |piece| text.push_str(piece));
    text
}

/// Writes [`pyrepr`] piece by piece into a sink.
pub fn write_repr(value: &Value, out: &mut impl FnMut(&str)) {
    walk(value, &LAYOUT, &ReprStyle, out);
}

/// Python's `repr` of a string: single quotes unless the text holds `'` and no `"`.
pub fn pyrepr_str(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_str_repr(text, &mut |piece| quoted.push_str(piece));
    quoted
}

fn write_str_repr(text: &str, out: &mut impl FnMut(&str)) {
    let quote = if text.contains('\'') && !text.contains('"') {
        "\""
    } else {
        "'"
    };
    out(quote);
    let mut plain_from = 0;
    let mut escape = String::new();
    for (offset, c) in text.char_indices() {
        escape.clear();
        match c {
            '\\' => escape.push_str("\\\\"),
            '\n' => escape.push_str("\\n"),
            '\r' => escape.push_str("\\r"),
            '\t' => escape.push_str("\\t"),
            '\'' | '"' if quote.starts_with(c) => {
                escape.push('\\');
                escape.push(c);
            }
            _ if is_printable(c) => continue,
            _ => push_hex_escape(&mut escape, u32::from(c)),
        }
        out(&text[plain_from..offset]);
        out(&escape);
        plain_from = offset + c.len_utf8();
    }
    out(&text[plain_from..]);
    out(quote);
}

fn push_hex_escape(escape: &mut String, code: u32) {
    let _ = match code {
        0..=0xff => write!(escape, "\\x{code:02x}"),
        0x100..=0xffff => write!(escape, "\\u{code:04x}"),
        _ => write!(escape, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stack of a test thread is 2 MiB; a recursive writer would not survive this depth. The
    /// value is taken apart level by level because dropping it recurses as well.
    #[test]
    fn depth_does_not_exhaust_the_stack() {
        let depth = 200_000;
        let mut value = Value::Null;
        for _ in 0..depth {
            value = Value::Array(vec![value]);
        }
        let text = pyrepr(&value);
        assert_eq!(text.len(), 2 * depth + 4);
        assert!(crate::py_eq(&value, &value));
        assert_eq!(crate::dumps_default(&value).len(), 2 * depth + 4);
        while let Value::Array(mut items) = value {
            value = items.pop().unwrap_or_default();
        }
    }
}
