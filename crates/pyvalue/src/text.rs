//! Strings by code point: white space, slices, printable characters, UTF-16 escapes.

use std::borrow::Cow;

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// Whether `str.isspace` counts the character as white space: Unicode's White_Space and the four
/// information separators U+001C..U+001F.
pub fn is_py_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `str.strip()`.
pub fn strip_py(text: &str) -> &str {
    text.trim_matches(is_py_space)
}

/// Python's `len(str)`: the number of code points.
pub fn len_chars(text: &str) -> usize {
    text.chars().count()
}

/// Python's `text[start:end]` by code points. A missing bound is open, a negative one counts from
/// the end, and bounds outside the text are clamped.
pub fn slice_str(text: &str, start: Option<i64>, end: Option<i64>) -> &str {
    let from = start.map_or(0, |bound| byte_offset(text, bound));
    let to = end.map_or(text.len(), |bound| byte_offset(text, bound));
    text.get(from..to).unwrap_or("")
}

/// Byte offset of a slice bound, clamped to the text.
fn byte_offset(text: &str, bound: i64) -> usize {
    let steps = usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX);
    if bound >= 0 {
        text.char_indices()
            .nth(steps)
            .map_or(text.len(), |(offset, _)| offset)
    } else {
        text.char_indices()
            .nth_back(steps - 1)
            .map_or(0, |(offset, _)| offset)
    }
}

/// Whether `str.isprintable` holds, which decides what `repr` escapes: every character except
/// controls, formats, surrogates, private use, unassigned, and separators other than the space.
pub(crate) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    !matches!(
        get_general_category(c),
        Category::Control
            | Category::Format
            | Category::Surrogate
            | Category::PrivateUse
            | Category::Unassigned
            | Category::LineSeparator
            | Category::ParagraphSeparator
            | Category::SpaceSeparator
    )
}

/// Replaces decimal digits of other scripts by ASCII digits, as `float` and `int` do before they
/// read a text.
pub(crate) fn ascii_digits(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| decimal_digit(c).unwrap_or(c)).collect())
}

/// The ASCII digit for a decimal digit of any script. Digits stand in runs of ten in the order of
/// their values (mathematical digits: five such runs side by side).
fn decimal_digit(c: char) -> Option<char> {
    let is_digit = |c: char| get_general_category(c) == Category::DecimalNumber;
    if c.is_ascii() || !is_digit(c) {
        return None;
    }
    let mut before = 0;
    while before < 50
        && char::from_u32(u32::from(c) - before - 1)
            .is_some_and(|previous| !previous.is_ascii() && is_digit(previous))
    {
        before += 1;
    }
    char::from_digit(before % 10, 10)
}

/// Collects text that arrives partly as UTF-16 escapes: a high and a low surrogate in a row become
/// one character, a lone one becomes U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct EscapedText {
    text: String,
    high: Option<u32>,
}

impl EscapedText {
    pub(crate) fn push_str(&mut self, run: &str) {
        if !run.is_empty() {
            self.settle();
            self.text.push_str(run);
        }
    }

    /// Adds the code point of an escape. `None` when it lies beyond U+10FFFF.
    pub(crate) fn push_code(&mut self, code: u32) -> Option<()> {
        match (self.high, code) {
            (Some(high), 0xDC00..=0xDFFF) => {
                self.high = None;
                self.text.push(char::from_u32(
                    0x1_0000 + ((high - 0xD800) << 10) + (code - 0xDC00),
                )?);
            }
            (_, 0xD800..=0xDBFF) => {
                self.settle();
                self.high = Some(code);
            }
            (_, 0xDC00..=0xDFFF) => {
                self.settle();
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
            _ => {
                self.settle();
                self.text.push(char::from_u32(code)?);
            }
        }
        Some(())
    }

    pub(crate) fn finish(mut self) -> String {
        self.settle();
        self.text
    }

    fn settle(&mut self) {
        if self.high.take().is_some() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_other_scripts_are_read() {
        assert_eq!(ascii_digits("١٢٣.५"), "123.5");
        // The end of the mathematical digits: MONOSPACE NINE, and the first, BOLD ZERO.
        assert_eq!(ascii_digits("\u{1d7ff}\u{1d7ce}"), "90");
        assert_eq!(ascii_digits("é²"), "é²");
    }

    #[test]
    fn extreme_bounds_do_not_panic() {
        assert_eq!(slice_str("añb", Some(i64::MIN), Some(i64::MAX)), "añb");
        assert_eq!(slice_str("añb", Some(i64::MAX), Some(i64::MIN)), "");
        assert_eq!(slice_str("", Some(-1), Some(1)), "");
    }

    #[test]
    fn lone_surrogates_are_replaced() {
        let mut text = EscapedText::default();
        for code in [0xD83D, 0xD83D, 0xDE00, 0xDE00, 0x41] {
            text.push_code(code).unwrap();
        }
        assert_eq!(text.finish(), "\u{fffd}😀\u{fffd}A");
        assert!(EscapedText::default().push_code(0x11_0000).is_none());
    }
}
