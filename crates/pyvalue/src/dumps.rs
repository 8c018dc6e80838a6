//! JSON text in the layout of Python's `json.dumps`.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::walk::{Layout, Style, walk};

/// The arguments of `json.dumps` that change its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpOptions {
    /// `ensure_ascii`: everything outside printable ASCII becomes `\uXXXX` (surrogate pairs beyond
    /// the basic plane).
    pub ascii: bool,
    /// Keys in code point order.
    pub sort_keys: bool,
    /// Spaces per level; `None` keeps everything on one line. Unbounded: cap what users may choose.
    pub indent: Option<usize>,
    /// The separators after an item and after a key.
    pub separators: (&'static str, &'static str),
}

impl DumpOptions {
    /// `json.dumps(value)`.
    pub const DEFAULT: Self = Self {
        ascii: true,
        sort_keys: false,
        indent: None,
        separators: (", ", ": "),
    };

    /// `json.dumps(value, ensure_ascii=False)`.
    pub const UNICODE: Self = Self {
        ascii: false,
        ..Self::DEFAULT
    };

    /// The canonical form that identities are computed from: sorted keys, no spaces, ASCII only.
    pub const CANONICAL: Self = Self {
        ascii: true,
        sort_keys: true,
        indent: None,
        separators: (",", ":"),
    };

    /// `json.dumps(value, ensure_ascii=False, indent=2)`.
    pub const PRETTY: Self = Self::UNICODE.with_indent(2);

    /// Sets the indent, and the item separator that Python then uses.
    pub const fn with_indent(self, spaces: usize) -> Self {
        Self {
            indent: Some(spaces),
            separators: (",", self.separators.1),
            ..self
        }
    }

    /// Sets `sort_keys`.
    pub const fn with_sorted_keys(self, sort_keys: bool) -> Self {
        Self { sort_keys, ..self }
    }
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

struct AsciiJson;
struct UnicodeJson;

impl Style for AsciiJson {
    const NULL: &'static str = "null";
    const TRUE: &'static str = "true";
    const FALSE: &'static str = "false";

    fn string<O: FnMut(&str)>(&self, text: &str, out: &mut O) {
        // U+007F is escaped here and kept in the other style; that is what Python does.
        write_json_string(text, |c| !(' '..='~').contains(&c), out);
    }
}

impl Style for UnicodeJson {
    const NULL: &'static str = "null";
    const TRUE: &'static str = "true";
    const FALSE: &'static str = "false";

    fn string<O: FnMut(&str)>(&self, text: &str, out: &mut O) {
        write_json_string(text, |c| c < ' ', out);
    }
}

/// Writes JSON text piece by piece into a sink, for digests and streams.
pub fn write_dumps(value: &Value, options: &DumpOptions, out: &mut impl FnMut(&str)) {
    let layout = Layout {
        sort_keys: options.sort_keys,
        indent: options.indent,
        item_separator: options.separators.0,
        key_separator: options.separators.1,
    };
    if options.ascii {
        walk(value, &layout, &AsciiJson, out);
    } else {
        walk(value, &layout, &UnicodeJson, out);
    }
}

/// JSON text with the given options.
pub fn dumps(value: &Value, options: DumpOptions) -> String {
    let mut text = String::new();
    write_dumps(value, &options, &mut |piece| text.push_str(piece));
    text
}

/// `json.dumps(value)`.
pub fn dumps_default(value: &Value) -> String {
    dumps(value, DumpOptions::DEFAULT)
}

/// `json.dumps(value, ensure_ascii=False)`.
pub fn dumps_unicode(value: &Value) -> String {
    dumps(value, DumpOptions::UNICODE)
}

/// The canonical form: `json.dumps(value, sort_keys=True, separators=(",", ":"))`.
pub fn dumps_compact_sorted_ascii(value: &Value) -> String {
    dumps(value, DumpOptions::CANONICAL)
}

/// A text in the canonical form, with its quotes, piece by piece into a sink.
pub fn write_canonical_text(text: &str, out: &mut impl FnMut(&str)) {
    AsciiJson.string(text, out);
}

/// `json.dumps(value, ensure_ascii=False, indent=2)`.
pub fn dumps_pretty(value: &Value) -> String {
    dumps(value, DumpOptions::PRETTY)
}

/// SHA-256 of the canonical form as 64 lower-case hexadecimal digits.
pub fn canonical_sha256_hex(value: &Value) -> String {
    let mut digest = Sha256::new();
    write_dumps(value, &DumpOptions::CANONICAL, &mut |piece| {
        digest.update(piece.as_bytes());
    });
    hex::encode(digest.finalize())
}

fn write_json_string(text: &str, must_escape: impl Fn(char) -> bool, out: &mut impl FnMut(&str)) {
    out("\"");
    let mut plain_from = 0;
    let mut at = 0;
    let mut escape = String::new();
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    // Most texts are plain from end to end, so bytes are looked at first and characters only where it matters.
    while let Some(run) = text.as_bytes()[at..].iter().position(|byte| !is_plain(*byte)) {
        let offset = at + run;
        let Some(c) = text[offset..].chars().next() else {
            break;
        };
        at = offset + c.len_utf8();
        let short = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            _ if must_escape(c) => {
                escape.clear();
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(escape, "\\u{unit:04x}");
                }
                &escape
            }
            _ => continue,
        };
        out(&text[plain_from..offset]);
        out(short);
        plain_from = at;
    }
    out(&text[plain_from..]);
    out("\"");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_digest_is_that_of_the_canonical_text() {
        let value = json!({"b": 0.7, "a": ["é", 1e-7, 1.0, null]});
        let text = dumps_compact_sorted_ascii(&value);
        assert_eq!(text, r#"{"a":["\u00e9",1e-07,1.0,null],"b":0.7}"#);
        assert_eq!(
            canonical_sha256_hex(&value),
            hex::encode(Sha256::digest(text.as_bytes()))
        );
    }

    #[test]
    fn order_of_keys_does_not_change_the_digest() {
        let one = json!({"a": 1, "b": {"c": 2, "d": 3}});
        let other = json!({"b": {"d": 3, "c": 2}, "a": 1});
        assert_eq!(canonical_sha256_hex(&one), canonical_sha256_hex(&other));
        assert_ne!(
            canonical_sha256_hex(&one),
            canonical_sha256_hex(&json!({"a": 1.0, "b": {"c": 2, "d": 3}}))
        );
    }
}
