//! Python literals, as `ast.literal_eval` reads them.
//!
//! What JSON has no form for is refused: sets, bytes, complex numbers, `...`. Tuples become lists
//! and dictionary keys become what `json.dumps` makes of them (`1` -> `"1"`, `None` -> `"null"`).
//! Keys are compared in that form, so `1` and `True` are two keys here and one in Python.

mod number;
mod string;

use serde_json::Value;

use crate::{Object, loads::MAX_DEPTH, number::Num, repr::pystr};

/// Reads a Python literal; `None` when the text is anything else or nested deeper than
/// [`MAX_DEPTH`].
pub fn literal_eval(text: &str) -> Option<Value> {
    // Python refuses source text with a NUL.
    if text.contains('\0') {
        return None;
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    parser.skip_lines();
    let value = parser.expression_list()?;
    parser.skip_lines();
    (parser.at == text.len()).then(|| value.into_json())
}

/// A literal before its conversion to JSON, which forgets the difference between `1` and `True` as
/// keys and between tuples and lists.
enum Literal {
    Scalar(Value),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Object),
}

impl Literal {
    fn into_json(self) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(items) | Self::Tuple(items) => Value::Array(items),
            Self::Dict(object) => Value::Object(object),
        }
    }

    /// The text of a dictionary key in JSON; containers cannot be keys there.
    fn into_key(self) -> Option<String> {
        match self {
            Self::Scalar(Value::String(text)) => Some(text),
            Self::Scalar(Value::Null) => Some("null".to_owned()),
            Self::Scalar(Value::Bool(flag)) => Some(flag.to_string()),
            Self::Scalar(number @ Value::Number(_)) => Some(pystr(&number).into_owned()),
            _ => None,
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Byte offset of the next unread character.
    at: usize,
    /// Open brackets; inside them line breaks and comments are white space.
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, token: char) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    /// Skips blanks between tokens, and line breaks where they do not end the expression.
    fn skip_space(&mut self) {
        if self.depth > 0 {
            return self.skip_lines();
        }
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\x0c') => self.at += 1,
                Some(b'\\') if self.rest().starts_with("\\\n") => self.at += 2,
                _ => return,
            }
        }
    }

    /// Skips blanks, line breaks and comments.
    fn skip_lines(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\x0c' | b'\n' | b'\r') => self.at += 1,
                Some(b'\\') if self.rest().starts_with("\\\n") => self.at += 2,
                Some(b'#') => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ => return,
            }
        }
    }

    /// The whole text: an expression, or several with commas, which are a tuple without brackets.
    fn expression_list(&mut self) -> Option<Literal> {
        let first = self.expression()?;
        self.skip_space();
        if !self.take(',') {
            return Some(first);
        }
        let mut items = vec![first.into_json()];
        loop {
            self.skip_space();
            if matches!(self.peek(), None | Some(b'\n' | b'\r' | b'#')) {
                return Some(Literal::Tuple(items));
            }
            items.push(self.expression()?.into_json());
            self.skip_space();
            if !self.take(',') {
                return Some(Literal::Tuple(items));
            }
        }
    }

    fn expression(&mut self) -> Option<Literal> {
        self.skip_space();
        match self.peek()? {
            b'[' => self.nested(Self::list),
            b'(' => self.nested(Self::parenthesised),
            b'{' => self.nested(Self::dict),
            b'+' | b'-' => self.signed_number(),
            b'.' | b'0'..=b'9' => self
                .unsigned_number()
                .map(|number| Literal::Scalar(number.into_value())),
            b'\'' | b'"' => self.strings(),
            _ => self.word(),
        }
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Option<Literal>) -> Option<Literal> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        // The opening bracket.
        self.at += 1;
        let value = parse(self)?;
        self.depth -= 1;
        Some(value)
    }

    /// Expressions up to `close`; the flag says whether there was a comma.
    fn items(&mut self, close: char) -> Option<(Vec<Literal>, bool)> {
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            self.skip_space();
            if self.take(close) {
                return Some((items, has_comma));
            }
            items.push(self.expression()?);
            self.skip_space();
            if self.take(',') {
                has_comma = true;
            } else {
                return self.take(close).then_some((items, has_comma));
            }
        }
    }

    fn list(&mut self) -> Option<Literal> {
        let (items, _) = self.items(']')?;
        Some(Literal::List(items.into_iter().map(Literal::into_json).collect()))
    }

    fn parenthesised(&mut self) -> Option<Literal> {
        let (mut items, has_comma) = self.items(')')?;
        if items.len() == 1 && !has_comma {
            return items.pop();
        }
        Some(Literal::Tuple(
            items.into_iter().map(Literal::into_json).collect(),
        ))
    }

    fn dict(&mut self) -> Option<Literal> {
        let mut object = Object::new();
        loop {
            self.skip_space();
            if self.take('}') {
                return Some(Literal::Dict(object));
            }
            let key = self.expression()?.into_key()?;
            self.skip_space();
            // A set has no colon and is refused here.
            if !self.take(':') {
                return None;
            }
            let value = self.expression()?.into_json();
            object.insert(key, value);
            self.skip_space();
            if !self.take(',') {
                return self.take('}').then_some(Literal::Dict(object));
            }
        }
    }

    /// A sign applies to a number only: not to another sign, not to a boolean.
    fn signed_number(&mut self) -> Option<Literal> {
        let is_negative = self.peek() == Some(b'-');
        self.at += 1;
        self.skip_space();
        let brackets = self.open_parentheses()?;
        let number = self.unsigned_number()?;
        self.close_parentheses(brackets)?;
        let number = match number {
            Num::Int(value) if is_negative => Num::Int(-value),
            Num::Float(value) if is_negative => Num::Float(-value),
            other => other,
        };
        Some(Literal::Scalar(number.into_value()))
    }

    fn open_parentheses(&mut self) -> Option<usize> {
        let mut count = 0;
        while self.take('(') {
            count += 1;
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            self.skip_space();
        }
        Some(count)
    }

    fn close_parentheses(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            self.skip_space();
            if !self.take(')') {
                return None;
            }
            self.depth -= 1;
        }
        Some(())
    }

    /// A name: one of the three constants, or the prefix of a string.
    fn word(&mut self) -> Option<Literal> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if rest[end..].starts_with(['\'', '"']) {
            return self.strings();
        }
        let value = match &rest[..end] {
            "None" => Value::Null,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            _ => return None,
        };
        self.at += end;
        Some(Literal::Scalar(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| "(".repeat(depth) + "1" + &")".repeat(depth);
        assert_eq!(literal_eval(&nested(MAX_DEPTH)), Some(Value::from(1)));
        assert_eq!(literal_eval(&nested(MAX_DEPTH + 1)), None);
        assert_eq!(literal_eval(&"[".repeat(1_000_000)), None);
        assert_eq!(literal_eval(&format!("-{}", nested(MAX_DEPTH + 1))), None);
    }

    #[test]
    fn no_json_form_is_refused() {
        for text in [
            "{1, 2}",
            "b'x'",
            "1j",
            "...",
            "{(1, 2): 3}",
            "{[1]: 2}",
            "set()",
            "f'x'",
            r"'\N{DASH}'",
            "a\0",
        ] {
            assert_eq!(literal_eval(text), None, "{text}");
        }
        assert_eq!(literal_eval("1e999"), Some(Value::Null));
        assert_eq!(
            literal_eval(r"'\ud83d\ude00\udc00'"),
            Some(Value::from("😀\u{fffd}"))
        );
    }
}
