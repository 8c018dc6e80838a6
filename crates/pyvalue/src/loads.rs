//! JSON text as Python's `json.loads` reads it, with its error texts.
//!
//! More lenient than strict JSON where Python is: bare `NaN`, `Infinity` and `-Infinity` (they
//! become `null` here, like numbers beyond the range of doubles) and lone surrogate escapes (they
//! become U+FFFD). Python calls a number without fraction and exponent an integer, so `-0` is 0.

use serde_json::Value;

use crate::{
    Object,
    error::{PyError, PyErrorKind},
    number::Num,
    text::EscapedText,
};

/// Containers inside containers that text may describe. Lower than serde_json's 127 because parsed
/// values are stored inside larger documents which must stay readable.
pub const MAX_DEPTH: usize = 100;

/// Parses JSON text the way Python does.
///
/// # Errors
///
/// `JSONDecodeError` with Python's message and position (line, column and offset in code points), or
/// `RecursionError` past [`MAX_DEPTH`].
pub fn json_loads_lenient(text: &str) -> Result<Value, PyError> {
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
        depth: 0,
    };
    if text.starts_with('\u{feff}') {
        return Err(parser.error("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
    }
    parser.skip_space();
    let value = parser.value()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error("Extra data", parser.at));
    }
    Ok(value)
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    /// Byte offset of the next unread byte, always on a character boundary.
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn error(&self, what: &str, offset: usize) -> PyError {
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        let chars = before.chars().count();
        PyError::new(
            PyErrorKind::JsonDecodeError,
            format!("{what}: line {line} column {column} (char {chars})"),
        )
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn value(&mut self) -> Result<Value, PyError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.nested("object", Self::object),
            Some(b'[') => self.nested("array", Self::array),
            Some(b'n') if self.take("null") => Ok(Value::Null),
            Some(b't') if self.take("true") => Ok(Value::Bool(true)),
            Some(b'f') if self.take("false") => Ok(Value::Bool(false)),
            Some(b'N') if self.take("NaN") => Ok(Value::Null),
            Some(b'I') if self.take("Infinity") => Ok(Value::Null),
            Some(b'-') if self.take("-Infinity") => Ok(Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.error("Expecting value", self.at)),
        }
    }

    fn nested(
        &mut self,
        kind: &str,
        parse: impl FnOnce(&mut Self) -> Result<Value, PyError>,
    ) -> Result<Value, PyError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PyError::new(
                PyErrorKind::RecursionError,
                format!(
                    "maximum recursion depth exceeded while decoding a JSON {kind} from a unicode string"
                ),
            ));
        }
        // The opening bracket.
        self.at += 1;
        self.skip_space();
        let value = parse(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, PyError> {
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.take("]") {
                return Ok(Value::Array(items));
            }
            if !self.take(",") {
                return Err(self.error("Expecting ',' delimiter", self.at));
            }
            self.skip_space();
        }
    }

    fn object(&mut self) -> Result<Value, PyError> {
        let mut object = Object::new();
        if self.take("}") {
            return Ok(Value::Object(object));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("Expecting property name enclosed in double quotes", self.at));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(":") {
                return Err(self.error("Expecting ':' delimiter", self.at));
            }
            self.skip_space();
            let value = self.value()?;
            object.insert(key, value);
            self.skip_space();
            if self.take("}") {
                return Ok(Value::Object(object));
            }
            if !self.take(",") {
                return Err(self.error("Expecting ',' delimiter", self.at));
            }
            self.skip_space();
        }
    }

    fn number(&mut self) -> Result<Value, PyError> {
        let start = self.at;
        let mut at = start + usize::from(self.peek() == Some(b'-'));
        let digits = |from: usize| {
            self.bytes[from..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count()
        };
        match self.bytes.get(at) {
            // A leading zero stands alone; what follows is not part of the number.
            Some(b'0') => at += 1,
            Some(b'1'..=b'9') => at += digits(at),
            _ => return Err(self.error("Expecting value", start)),
        }
        let integer_end = at;
        if self.bytes.get(at) == Some(&b'.') && digits(at + 1) > 0 {
            at += 1 + digits(at + 1);
        }
        if matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            let signed = matches!(self.bytes.get(at + 1), Some(b'+' | b'-'));
            let exponent = at + 1 + usize::from(signed);
            if exponent < self.bytes.len() && digits(exponent) > 0 {
                at = exponent + digits(exponent);
            }
        }
        self.at = at;
        let token = &self.text[start..at];
        let number = if at == integer_end {
            Num::from_digits(token)
        } else {
            Num::Float(token.parse().unwrap_or(f64::NAN))
        };
        Ok(number.into_value())
    }

    fn string(&mut self) -> Result<String, PyError> {
        let quote = self.at;
        self.at += 1;
        let mut text = EscapedText::default();
        loop {
            let run_start = self.at;
            while self
                .peek()
                .is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
            {
                self.at += 1;
            }
            text.push_str(&self.text[run_start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text.finish());
                }
                Some(b'\\') => self.escape(quote, &mut text)?,
                Some(_) => return Err(self.error("Invalid control character at", self.at)),
                None => return Err(self.error("Unterminated string starting at", quote)),
            }
        }
    }

    fn escape(&mut self, quote: usize, text: &mut EscapedText) -> Result<(), PyError> {
        let backslash = self.at;
        let plain = match self.bytes.get(backslash + 1) {
            None => return Err(self.error("Unterminated string starting at", quote)),
            Some(b'u') => {
                let code = self
                    .text
                    .get(backslash + 2..backslash + 6)
                    // Python wants at least the closing quote behind the digits.
                    .filter(|_| backslash + 6 < self.text.len())
                    .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
                    .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                    .ok_or_else(|| self.error("Invalid \\uXXXX escape", backslash + 1))?;
                self.at = backslash + 6;
                // Four hexadecimal digits are always a code point or a surrogate.
                let _ = text.push_code(code);
                return Ok(());
            }
            Some(b'"') => "\"",
            Some(b'\\') => "\\",
            Some(b'/') => "/",
            Some(b'b') => "\u{8}",
            Some(b'f') => "\u{c}",
            Some(b'n') => "\n",
            Some(b'r') => "\r",
            Some(b't') => "\t",
            Some(_) => return Err(self.error("Invalid \\escape", backslash)),
        };
        text.push_str(plain);
        self.at = backslash + 2;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json_cannot_hold_becomes_null_or_a_replacement() {
        let cases = [
            (
                "[NaN, Infinity, -Infinity, 1e999]",
                json!([null, null, null, null]),
            ),
            (r#""\ud800x\ud83d\ude00\udc00""#, json!("\u{fffd}x😀\u{fffd}")),
            ("[-0, -0.0]", json!([0, -0.0])),
            ("18446744073709551616", json!(18446744073709551616.0)),
            (r#"{"a": 1, "b": 2, "a": 3}"#, json!({"a": 3, "b": 2})),
        ];
        for (text, expected) in cases {
            assert_eq!(json_loads_lenient(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(json_loads_lenient(&nested(MAX_DEPTH)).is_ok());
        let error = json_loads_lenient(&nested(MAX_DEPTH + 1)).map_err(|error| error.kind);
        assert_eq!(error, Err(PyErrorKind::RecursionError));
        assert!(json_loads_lenient(&"{\"a\":[".repeat(100_000)).is_err());
    }

    #[test]
    fn siblings_do_not_count_as_depth() {
        let text = format!("[{}0]", "[],{},".repeat(200));
        assert!(json_loads_lenient(&text).is_ok());
    }
}
