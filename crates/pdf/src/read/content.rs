//! The operators of a content stream, one at a time. Nothing is kept but the operands of the current one.

/// An operand that matters for text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Number(f64),
    Text(Vec<u8>),
    Name(Vec<u8>),
    /// Of `TJ`: strings and numbers; anything else inside is left out.
    List(Vec<Operand>),
    /// The `ActualText` of a property list.
    Actual(Vec<u8>),
    /// Something else.
    Other,
}

/// Most operands an operator has; more are a broken stream.
const MAX_OPERANDS: usize = 64;
/// Deepest nesting of lists and dictionaries that is looked into.
const MAX_DEPTH: usize = 32;

/// Reads a content stream.
pub(super) struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    pub(super) fn new(content: &'a [u8]) -> Self {
        Self { rest: content }
    }

    /// The next operator, its operands put into `operands`.
    pub(super) fn next(&mut self, operands: &mut Vec<Operand>) -> Option<&'a [u8]> {
        operands.clear();
        loop {
            self.skip_space();
            let byte = *self.rest.first()?;
            let operand = match byte {
                b'(' | b'<' | b'[' | b'/' => self.value(0),
                b'+' | b'-' | b'.' | b'0'..=b'9' => self.number(),
                b')' | b'>' | b']' | b'{' | b'}' => {
                    self.rest = &self.rest[1..];
                    continue;
                }
                _ => {
                    let word = self.word();
                    match word {
                        b"true" | b"false" | b"null" => Operand::Other,
                        b"BI" => {
                            self.skip_inline_image();
                            operands.clear();
                            continue;
                        }
                        _ => return Some(word),
                    }
                }
            };
            if operands.len() < MAX_OPERANDS {
                operands.push(operand);
            }
        }
    }

    fn skip_space(&mut self) {
        loop {
            let space = self.rest.iter().take_while(|byte| is_space(**byte)).count();
            self.rest = &self.rest[space..];
            if self.rest.first() != Some(&b'%') {
                return;
            }
            let line = self.rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            self.rest = &self.rest[line.unwrap_or(self.rest.len())..];
        }
    }

    /// At least one byte, so that reading always gets on.
    fn word(&mut self) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|byte| is_space(*byte) || is_delimiter(*byte));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()).max(1));
        self.rest = rest;
        word
    }

    fn number(&mut self) -> Operand {
        let word = self.word();
        let text = std::str::from_utf8(word).unwrap_or_default();
        // `--5` and `1.2.3` occur in the wild; what cannot be read counts as nothing.
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.map_or(Operand::Other, Operand::Number)
    }

    fn value(&mut self, depth: usize) -> Operand {
        match self.rest {
            [b'(', ..] => Operand::Text(self.literal()),
            [b'<', b'<', ..] => self.dictionary(depth),
            [b'<', ..] => Operand::Text(self.hex()),
            [b'[', ..] => self.list(depth),
            [b'/', ..] => Operand::Name(self.name()),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Operand {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        loop {
            self.skip_space();
            match self.rest.first() {
                None => break,
                Some(b']') => {
                    self.rest = &self.rest[1..];
                    break;
                }
                Some(_) if depth >= MAX_DEPTH => self.rest = &self.rest[1..],
                Some(b'(' | b'<' | b'[' | b'/' | b'+' | b'-' | b'.' | b'0'..=b'9') => {
                    let item = self.value(depth + 1);
                    if matches!(item, Operand::Number(_) | Operand::Text(_)) {
                        items.push(item);
                    }
                }
                Some(_) => {
                    self.word();
                }
            }
        }
        Operand::List(items)
    }

    fn dictionary(&mut self, depth: usize) -> Operand {
        self.rest = &self.rest[2..];
        let mut actual = None;
        let mut key = Vec::new();
        loop {
            self.skip_space();
            match self.rest {
                [] => break,
                [b'>', b'>', ..] => {
                    self.rest = &self.rest[2..];
                    break;
                }
                [_, ..] if depth >= MAX_DEPTH => self.rest = &self.rest[1..],
                [b'(' | b'<' | b'[' | b'/' | b'+' | b'-' | b'.' | b'0'..=b'9', ..] => {
                    match self.value(depth + 1) {
                        Operand::Name(name) => key = name,
                        Operand::Text(text) if key == b"ActualText" => actual = Some(text),
                        _ => {}
                    }
                }
                _ => {
                    self.word();
                }
            }
        }
        actual.map_or(Operand::Other, Operand::Actual)
    }

    fn name(&mut self) -> Vec<u8> {
        self.rest = &self.rest[1..];
        let end = self
            .rest
            .iter()
            .position(|byte| is_space(*byte) || is_delimiter(*byte));
        let (raw, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let mut name = Vec::with_capacity(raw.len());
        let mut raw = raw.iter().copied();
        while let Some(byte) = raw.next() {
            let escaped = (byte == b'#')
                .then(|| Some(digit(raw.clone().next()?)? * 16 + digit(raw.clone().nth(1)?)?))
                .flatten();
            match escaped {
                Some(value) => {
                    name.push(value);
                    raw.nth(1);
                }
                None => name.push(byte),
            }
        }
        name
    }

    fn literal(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 0_usize;
        let mut at = 0;
        while let Some(byte) = self.rest.get(at).copied() {
            at += 1;
            match byte {
                b'(' => {
                    if depth > 0 {
                        text.push(byte);
                    }
                    depth += 1;
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    text.push(byte);
                }
                b'\\' => at += escape(self.rest.get(at..).unwrap_or_default(), &mut text),
                _ => text.push(byte),
            }
        }
        self.rest = self.rest.get(at..).unwrap_or_default();
        text
    }

    fn hex(&mut self) -> Vec<u8> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == b'>')
            .unwrap_or(self.rest.len());
        let digits: Vec<u8> = self.rest[1..end].iter().filter_map(|byte| digit(*byte)).collect();
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        digits
            .chunks(2)
            .map(|pair| pair[0] * 16 + pair.get(1).copied().unwrap_or(0))
            .collect()
    }

    /// From `BI` to behind `EI`. The bytes between are no operators, whatever they look like.
    fn skip_inline_image(&mut self) {
        let mut from = 0;
        while let Some(found) = self.rest.get(from..).and_then(|rest| find(rest, b"EI")) {
            let at = from + found;
            let before = at == 0 || is_space(self.rest[at - 1]);
            let after = self.rest.get(at + 2).is_none_or(|byte| is_space(*byte));
            if before && after {
                self.rest = &self.rest[at + 2..];
                return;
            }
            from = at + 2;
        }
        self.rest = &[];
    }
}

/// Reads what follows a backslash; returns how many bytes that were.
fn escape(rest: &[u8], text: &mut Vec<u8>) -> usize {
    let Some(byte) = rest.first().copied() else {
        return 0;
    };
    match byte {
        b'0'..=b'7' => {
            let digits = rest
                .iter()
                .take(3)
                .take_while(|byte| (b'0'..=b'7').contains(byte))
                .count();
            let value = rest[..digits]
                .iter()
                .fold(0_u16, |value, byte| value * 8 + u16::from(byte - b'0'));
            text.push((value & 0xff) as u8);
            return digits;
        }
        b'\r' if rest.get(1) == Some(&b'\n') => return 2,
        b'\r' | b'\n' => {}
        b'n' => text.push(b'\n'),
        b'r' => text.push(b'\r'),
        b't' => text.push(b'\t'),
        b'b' => text.push(8),
        b'f' => text.push(12),
        other => text.push(other),
    }
    1
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0 | 12)
}

fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
    )
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_come_with_their_operands() {
        let content = b"% note\n/F1 12 Tf (a\\(b\\)\\051 (in) \\101\\\nx) Tj [(A) -250 <4 2> /skip] TJ\n\
            BI /W 1 ID \x00EIx\x01 EI /Span << /Lang (en) /ActualText <FEFF0041> >> BDC q";
        let mut scanner = Scanner::new(content);
        let mut operands = Vec::new();
        let mut all = Vec::new();
        while let Some(operator) = scanner.next(&mut operands) {
            all.push((String::from_utf8_lossy(operator).into_owned(), operands.clone()));
        }
        let text = |text: &[u8]| Operand::Text(text.to_vec());
        let expected = [
            ("Tf", vec![Operand::Name(b"F1".to_vec()), Operand::Number(12.0)]),
            ("Tj", vec![text(b"a(b)) (in) Ax")]),
            (
                "TJ",
                vec![Operand::List(vec![
                    text(b"A"),
                    Operand::Number(-250.0),
                    text(b"B"),
                ])],
            ),
            (
                "BDC",
                vec![
                    Operand::Name(b"Span".to_vec()),
                    Operand::Actual(vec![0xfe, 0xff, 0, 0x41]),
                ],
            ),
            ("q", vec![]),
        ];
        let all: Vec<_> = all
            .iter()
            .map(|(name, operands)| (name.as_str(), operands.clone()))
            .collect();
        assert_eq!(all, expected);
    }
}
