//! The JSON that Python writes, turned into JSON.
//!
//! Python's writer knows bare `NaN` and `Infinity`, integers of any size, and puts spaces between tokens. A record is
//! served as its stored text, so the text must become exactly what the reference sent: no spaces, every character
//! that need not be escaped as it is, numbers untouched. Only what JSON or this gateway cannot hold changes, and is
//! counted (difference X17). Nothing is parsed into values: this is one pass over bytes with a stack of brackets.

use std::borrow::Cow;

/// Values that could not be kept as they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repairs {
    /// `NaN`, `Infinity`, `-Infinity` and numbers beyond doubles, now null.
    pub non_finite: u64,
    /// Integers outside 64 bits, now doubles.
    pub big_integers: u64,
    /// Halves of surrogate pairs and bytes that are no UTF-8, now U+FFFD.
    pub surrogates: u64,
}

impl std::ops::AddAssign for Repairs {
    fn add_assign(&mut self, other: Self) {
        self.non_finite += other.non_finite;
        self.big_integers += other.big_integers;
        self.surrogates += other.surrogates;
    }
}

/// Deepest nesting that the rest of the gateway reads.
const MAX_DEPTH: usize = 120;

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or cut off.
    #[error("not JSON at byte {0}")]
    Syntax(usize),
    /// Deeper than the gateway reads.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    Depth,
}

/// The text as UTF-8, foreign bytes replaced and counted.
pub fn utf8<'a>(bytes: &'a [u8], repairs: &mut Repairs) -> Cow<'a, str> {
    let text = String::from_utf8_lossy(bytes);
    if let Cow::Owned(replaced) = &text {
        let now = replaced.matches('\u{fffd}').count();
        let before = bytes
            .windows(3)
            .filter(|window| *window == "\u{fffd}".as_bytes())
            .count();
        repairs.surrogates += now.saturating_sub(before) as u64;
    }
    text
}

/// The next value of `text` from byte `from` on, appended to `out`; where it ends.
///
/// # Errors
/// [`JsonError`]; `out` then holds a part.
pub fn value(text: &str, from: usize, out: &mut String, repairs: &mut Repairs) -> Result<usize, JsonError> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        text,
        at: from,
        out,
        repairs,
    };
    reader.value()?;
    Ok(reader.at)
}

/// Every value of a text that holds nothing else, as the reference recovers a line on which several were written.
/// What follows the last readable one is lost; `true` if that happened.
pub fn values(text: &str, repairs: &mut Repairs, mut each: impl FnMut(String)) -> bool {
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if at >= text.len() {
            return false;
        }
        let mut out = String::with_capacity(text.len() - at);
        match value(text, at, &mut out, repairs) {
            Ok(end) => at = end,
            Err(_) => return true,
        }
        each(out);
    }
}

/// A text that holds one value.
///
/// # Errors
/// [`JsonError`].
pub fn document(bytes: &[u8], repairs: &mut Repairs) -> Result<String, JsonError> {
    let text = utf8(bytes, repairs);
    let text = text.trim_start_matches('\u{feff}');
    let mut out = String::with_capacity(text.len());
    let end = value(text, 0, &mut out, repairs)?;
    if text[end..].trim().is_empty() {
        Ok(out)
    } else {
        Err(JsonError::Syntax(end))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
    out: &'a mut String,
    repairs: &'a mut Repairs,
}

impl Reader<'_> {
    fn fail<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax(self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), JsonError> {
        // True = object, false = array.
        let mut open: Vec<bool> = Vec::new();
        loop {
            self.space();
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    if open.len() >= MAX_DEPTH {
                        return Err(JsonError::Depth);
                    }
                    let object = bracket == b'{';
                    self.at += 1;
                    self.out.push(char::from(bracket));
                    self.space();
                    let close = if object { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                        self.out.push(char::from(close));
                    } else {
                        open.push(object);
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => self.word()?,
            }
            // A value has ended: close what ends with it, or go to the next member.
            loop {
                let Some(object) = open.last().copied() else {
                    return Ok(());
                };
                self.space();
                match (self.peek(), object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        self.out.push(',');
                        if object {
                            self.space();
                            self.key()?;
                        }
                        break;
                    }
                    (Some(close @ b'}'), true) | (Some(close @ b']'), false) => {
                        self.at += 1;
                        self.out.push(char::from(close));
                        open.pop();
                    }
                    _ => return self.fail(),
                }
            }
        }
    }

    fn key(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return self.fail();
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return self.fail();
        }
        self.at += 1;
        self.out.push(':');
        Ok(())
    }

    fn word(&mut self) -> Result<(), JsonError> {
        for (word, written) in [
            ("null", "null"),
            ("true", "true"),
            ("false", "false"),
            ("NaN", ""),
            ("Infinity", ""),
        ] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                if written.is_empty() {
                    self.null();
                } else {
                    self.out.push_str(written);
                }
                return Ok(());
            }
        }
        self.fail()
    }

    fn null(&mut self) {
        self.repairs.non_finite += 1;
        self.out.push_str("null");
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.bytes[self.at..].starts_with(b"Infinity") {
                self.at += "Infinity".len();
                self.null();
                return Ok(());
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if self.digits() == 0 {
            return self.fail();
        }
        let mut integer = true;
        if self.peek() == Some(b'.') && matches!(self.bytes.get(self.at + 1), Some(b'0'..=b'9')) {
            integer = false;
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            let before = self.at;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                self.at = before;
            } else {
                integer = false;
            }
        }
        let token = &self.text[from..self.at];
        // Shorter ones fit, whatever they are.
        if token.len() < 19 && integer {
            self.out.push_str(token);
            return Ok(());
        }
        if integer && (token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok()) {
            self.out.push_str(token);
            return Ok(());
        }
        match token.parse::<f64>() {
            Ok(double) if double.is_finite() && integer => {
                self.repairs.big_integers += 1;
                let number = serde_json::Number::from_f64(double);
                self.out
                    .push_str(&number.map(|number| number.to_string()).unwrap_or_default());
            }
            Ok(double) if double.is_finite() => self.out.push_str(token),
            _ => self.null(),
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        self.out.push('"');
        loop {
            let from = self.at;
            while self
                .bytes
                .get(self.at)
                .is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f))
            {
                self.at += 1;
            }
            self.out.push_str(&self.text[from..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.out.push('"');
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return self.fail(),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let kind = self.bytes.get(self.at + 1).copied();
        let unit = match kind {
            Some(b'u') => {
                let unit = self.unit(self.at + 2)?;
                self.at += 6;
                unit
            }
            Some(short) => {
                let unit = match short {
                    b'"' | b'\\' | b'/' => short,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return self.fail(),
                };
                self.at += 2;
                u32::from(unit)
            }
            None => return self.fail(),
        };
        let high = (0xd800..0xdc00).contains(&unit);
        if high && self.bytes[self.at..].starts_with(b"\\u") {
            let low = self.unit(self.at + 2)?;
            if (0xdc00..0xe000).contains(&low) {
                self.at += 6;
                let joined = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                self.push(char::from_u32(joined));
                return Ok(());
            }
        }
        self.push(char::from_u32(unit));
        Ok(())
    }

    fn unit(&self, at: usize) -> Result<u32, JsonError> {
        let digits = self
            .bytes
            .get(at..at + 4)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or(JsonError::Syntax(self.at))
    }

    /// A character as Python's writer leaves it; `None` is half of a pair.
    fn push(&mut self, character: Option<char>) {
        let Some(character) = character else {
            self.repairs.surrogates += 1;
            self.out.push('\u{fffd}');
            return;
        };
        match character {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            '\n' => self.out.push_str("\\n"),
            '\r' => self.out.push_str("\\r"),
            '\t' => self.out.push_str("\\t"),
            '\u{8}' => self.out.push_str("\\b"),
            '\u{c}' => self.out.push_str("\\f"),
            control if control < ' ' => {
                self.out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => self.out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<String, JsonError>, Repairs) {
        let mut repairs = Repairs::default();
        (document(text.as_bytes(), &mut repairs), repairs)
    }

    #[test]
    fn text_becomes_what_the_reference_serves() {
        for (text, expected) in [
            (
                r#"{"a": 1, "b": [1.0, 1e-07, -0.5, 1E+16], "c": {}}"#,
                r#"{"a":1,"b":[1.0,1e-07,-0.5,1E+16],"c":{}}"#,
            ),
            ("[ ]", "[]"),
            (" null ", "null"),
            (
                r#""é \u00e9 \ud83d\ude00 \u0000\u001f\u007f \/ \n""#,
                "\"é é 😀 \\u0000\\u001f\u{7f} / \\n\"",
            ),
            (
                "[9223372036854775807, 18446744073709551615]",
                "[9223372036854775807,18446744073709551615]",
            ),
            ("\u{feff}[true, false]", "[true,false]"),
        ] {
            let (read, repairs) = read(text);
            assert_eq!(read.as_deref(), Ok(expected), "{text}");
            assert_eq!(repairs, Repairs::default(), "{text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_is_replaced_and_counted() {
        let big = "1".repeat(400);
        let text =
            format!(r#"[NaN, Infinity, -Infinity, 1e999, {big}, 1180591620717411303424, "\ud800x\udc00"]"#);
        let (read, repairs) = read(&text);
        assert_eq!(
            read.as_deref(),
            Ok("[null,null,null,null,null,1.1805916207174113e+21,\"\u{fffd}x\u{fffd}\"]")
        );
        assert_eq!(
            (repairs.non_finite, repairs.big_integers, repairs.surrogates),
            (5, 1, 2)
        );
        let mut repairs = Repairs::default();
        let bytes = [b"\"".as_slice(), &[0xed, 0xa0, 0x80], b"\""].concat();
        assert!(document(&bytes, &mut repairs).is_ok_and(|text| text.contains('\u{fffd}')));
        assert!(repairs.surrogates > 0);
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "{1:2}",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "nul",
            "-",
            "[1 2]",
            "1 2",
            "]",
            "{\"a\":1]",
        ] {
            assert!(read(text).0.is_err(), "{text}");
        }
        assert_eq!(read(&"[".repeat(200)).0, Err(JsonError::Depth));
    }

    #[test]
    fn values_on_one_line_are_all_recovered() {
        let mut found = Vec::new();
        let mut repairs = Repairs::default();
        let cut = values(r#"{"a": 1}{"b": 2} {"c""#, &mut repairs, |value| {
            found.push(value);
        });
        assert!(cut);
        assert_eq!(found, [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert!(!values("  ", &mut repairs, |_| ()));
    }
}
