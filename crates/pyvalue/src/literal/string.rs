//! String tokens of Python source.

use serde_json::Value;

use super::{Literal, Parser};
use crate::text::EscapedText;

impl Parser<'_> {
    /// One or more adjacent strings, which Python joins.
    pub(super) fn strings(&mut self) -> Option<Literal> {
        let mut text = String::new();
        loop {
            text.push_str(&self.one_string()?);
            self.skip_space();
            let rest = self.rest();
            let prefix = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            if !rest[prefix..].starts_with(['\'', '"']) {
                return Some(Literal::Scalar(Value::String(text)));
            }
        }
    }

    /// A string with its prefix. Bytes (`b`) and formatted strings (`f`) are refused.
    fn one_string(&mut self) -> Option<String> {
        let rest = self.rest();
        let prefix = rest.find(['\'', '"'])?;
        let is_raw = match &rest[..prefix] {
            "" | "u" | "U" => false,
            "r" | "R" => true,
            _ => return None,
        };
        self.at += prefix;
        let body = self.rest();
        let quote = if body.starts_with('\'') { "'" } else { "\"" };
        let triple = if quote == "'" { "'''" } else { "\"\"\"" };
        let delimiter = if body.starts_with(triple) { triple } else { quote };
        self.at += delimiter.len();
        self.string_body(delimiter, is_raw)
    }

    fn string_body(&mut self, delimiter: &str, is_raw: bool) -> Option<String> {
        let mut text = EscapedText::default();
        loop {
            let rest = self.rest();
            let run = rest.find(['\\', '\'', '"', '\n', '\r'])?;
            text.push_str(&rest[..run]);
            self.at += run;
            let rest = &rest[run..];
            if rest.starts_with(delimiter) {
                self.at += delimiter.len();
                return Some(text.finish());
            }
            if rest.starts_with('\\') {
                self.backslash(is_raw, &mut text)?;
            } else if rest.starts_with(['\n', '\r']) {
                if delimiter.len() == 1 {
                    return None;
                }
                self.line_break();
                text.push_str("\n");
            } else {
                text.push_str(&rest[..1]);
                self.at += 1;
            }
        }
    }

    /// Consumes one line break of any system; source text has only `\n`.
    fn line_break(&mut self) {
        self.at += if self.rest().starts_with("\r\n") { 2 } else { 1 };
    }

    fn backslash(&mut self, is_raw: bool, text: &mut EscapedText) -> Option<()> {
        self.at += 1;
        let next = self.rest().chars().next()?;
        if matches!(next, '\n' | '\r') {
            self.line_break();
            if is_raw {
                text.push_str("\\\n");
            }
            return Some(());
        }
        if is_raw {
            text.push_str("\\");
            text.push_str(&self.rest()[..next.len_utf8()]);
            self.at += next.len_utf8();
            return Some(());
        }
        if matches!(next, '0'..='7') {
            let digits = self
                .rest()
                .bytes()
                .take(3)
                .take_while(|byte| matches!(byte, b'0'..=b'7'))
                .count();
            return self.code(0, digits, 8, text);
        }
        let plain = match next {
            '\\' => "\\",
            '\'' => "'",
            '"' => "\"",
            'a' => "\u{7}",
            'b' => "\u{8}",
            'f' => "\u{c}",
            'n' => "\n",
            'r' => "\r",
            't' => "\t",
            'v' => "\u{b}",
            'x' => return self.code(1, 2, 16, text),
            'u' => return self.code(1, 4, 16, text),
            'U' => return self.code(1, 8, 16, text),
            // Names of characters would need the whole Unicode name table.
            'N' => return None,
            _ => {
                // Unknown escapes keep their backslash; the character is read as ordinary text.
                text.push_str("\\");
                return Some(());
            }
        };
        text.push_str(plain);
        self.at += 1;
        Some(())
    }

    /// Reads exactly `length` digits after `skip` bytes as a code point.
    fn code(&mut self, skip: usize, length: usize, radix: u32, text: &mut EscapedText) -> Option<()> {
        let digits = self.rest().get(skip..skip + length)?;
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        text.push_code(u32::from_str_radix(digits, radix).ok()?)?;
        self.at += skip + length;
        Some(())
    }
}
