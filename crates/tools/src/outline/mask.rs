//! Source text with comments and strings blanked out, so that braces and keywords mean what they seem to.
//!
//! The result has the same length and the same line ends as the source.

/// Lexical habits of a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `//`, nested `/* */`, `"` strings, raw strings, character literals beside lifetimes.
    Rust,
    /// `#`, `'` and `"` strings.
    R,
}

pub(super) fn mask(source: &str, style: Style) -> String {
    let mut masker = Masker {
        bytes: source.as_bytes(),
        out: source.as_bytes().to_vec(),
        at: 0,
    };
    while masker.at < masker.bytes.len() {
        masker.step(style);
    }
    // Only whole comments and strings are blanked, but a string may end inside a character of a broken source.
    String::from_utf8(masker.out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

struct Masker<'a> {
    bytes: &'a [u8],
    out: Vec<u8>,
    at: usize,
}

impl Masker<'_> {
    fn step(&mut self, style: Style) {
        let byte = self.bytes[self.at];
        let next = self.bytes.get(self.at + 1).copied();
        match (style, byte) {
            (Style::R, b'#') => self.line(),
            (Style::Rust, b'/') if next == Some(b'/') => self.line(),
            (Style::Rust, b'/') if next == Some(b'*') => self.block_comment(),
            (_, b'"') => self.string(b'"'),
            (Style::R, b'\'') => self.string(b'\''),
            (Style::Rust, b'\'') => self.character(),
            (Style::Rust, b'r') if matches!(next, Some(b'"' | b'#')) && !self.in_word() => self.raw_string(),
            _ => self.at += 1,
        }
    }

    fn blank(&mut self) {
        if self.at < self.bytes.len() {
            if self.bytes[self.at] != b'\n' {
                self.out[self.at] = b' ';
            }
            self.at += 1;
        }
    }

    fn line(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| *byte != b'\n') {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"*/") {
                depth = depth.saturating_sub(1);
                self.blank();
                self.blank();
                if depth == 0 {
                    return;
                }
            } else if rest.starts_with(b"/*") {
                depth += 1;
                self.blank();
                self.blank();
            } else {
                self.blank();
            }
        }
    }

    fn string(&mut self, quote: u8) {
        self.blank();
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match byte {
                b'\\' => {
                    self.blank();
                    self.blank();
                }
                _ => {
                    self.blank();
                    if byte == quote {
                        return;
                    }
                }
            }
        }
    }

    /// `'x'` or `'\n'` is a character, `'a` a lifetime.
    fn character(&mut self) {
        let rest = &self.bytes[self.at + 1..];
        let escaped = rest.first() == Some(&b'\\');
        // The longest literal is `'\u{10ffff}'`.
        let skip = if escaped { 2 } else { 1 };
        let close = rest
            .iter()
            .take(12)
            .skip(skip)
            .position(|byte| *byte == b'\'')
            .map(|at| at + skip);
        let one_character = close.is_some_and(|end| {
            escaped || std::str::from_utf8(&rest[..end]).is_ok_and(|text| text.chars().count() == 1)
        });
        match close.filter(|_| one_character) {
            Some(end) => (0..end + 2).for_each(|_| self.blank()),
            None => self.at += 1,
        }
    }

    fn in_word(&self) -> bool {
        self.at > 0
            && matches!(self.bytes[self.at - 1], b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
            && self.bytes[self.at - 1] != b'b'
    }

    fn raw_string(&mut self) {
        let hashes = self.bytes[self.at + 1..]
            .iter()
            .take_while(|byte| **byte == b'#')
            .count();
        if self.bytes.get(self.at + 1 + hashes) != Some(&b'"') {
            self.at += 1;
            return;
        }
        (0..hashes + 2).for_each(|_| self.blank());
        let end: Vec<u8> = std::iter::once(b'"')
            .chain(std::iter::repeat_n(b'#', hashes))
            .collect();
        while self.at < self.bytes.len() && !self.bytes[self.at..].starts_with(&end) {
            self.blank();
        }
        (0..end.len()).for_each(|_| self.blank());
    }
}
