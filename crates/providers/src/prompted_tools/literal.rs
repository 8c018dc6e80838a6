//! Python's notation of values and calls, as far as models use it: `read_file(path="a", lines=[1, 2])` and
//! `{'name': 'f', 'ok': True}`. Nothing is executed.

use serde_json::{Number, Value};

use crate::Object;

/// Values inside values.
const MAX_DEPTH: usize = 32;

/// A reader over a text.
pub(super) struct Literals<'t> {
    rest: &'t str,
}

impl<'t> Literals<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text }
    }

    /// What was not read.
    pub(super) fn rest(&self) -> &'t str {
        self.rest
    }

    /// `name(key=value, …)`; `print(…)` around it is seen through. Arguments without a name make it no call: their
    /// names are not known here.
    pub(super) fn call(&mut self) -> Option<(String, Object)> {
        let name = self.name()?;
        self.take('(')?;
        if name == "print" {
            let call = self.call()?;
            self.take(')')?;
            return Some(call);
        }
        let mut arguments = Object::new();
        loop {
            self.skip();
            if self.take(')').is_some() {
                // `default_api.read_file`: only the last part is a name of ours.
                let name = name.rsplit('.').next().unwrap_or(&name).to_owned();
                return Some((name, arguments));
            }
            let key = self.name()?;
            self.take('=')?;
            let value = self.value(0)?;
            arguments.insert(key, value);
            if self.take(',').is_none() && !self.skipped().starts_with(')') {
                return None;
            }
        }
    }

    /// One value.
    pub(super) fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.skipped().chars().next()? {
            '\'' | '"' => self.text().map(Value::String),
            '[' => self.items('[', ']', depth).map(Value::Array),
            '(' => self.items('(', ')', depth).map(Value::Array),
            '{' => self.object(depth).map(Value::Object),
            c if c.is_ascii_digit() || c == '-' || c == '+' => self.number(),
            _ => match self.name()?.as_str() {
                "True" | "true" => Some(Value::Bool(true)),
                "False" | "false" => Some(Value::Bool(false)),
                "None" | "null" => Some(Value::Null),
                _ => None,
            },
        }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn skipped(&mut self) -> &'t str {
        self.skip();
        self.rest
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        self.rest = self.skipped().strip_prefix(wanted)?;
        Some(())
    }

    fn name(&mut self) -> Option<String> {
        let text = self.skipped();
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':')))
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return None;
        }
        self.rest = rest;
        Some(name.to_owned())
    }

    fn items(&mut self, open: char, close: char, depth: usize) -> Option<Vec<Value>> {
        self.take(open)?;
        let mut items = Vec::new();
        loop {
            if self.take(close).is_some() {
                return Some(items);
            }
            items.push(self.value(depth + 1)?);
            if self.take(',').is_none() && !self.skipped().starts_with(close) {
                return None;
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Object> {
        self.take('{')?;
        let mut object = Object::new();
        loop {
            if self.take('}').is_some() {
                return Some(object);
            }
            self.skip();
            let key = self.text()?;
            self.take(':')?;
            let value = self.value(depth + 1)?;
            object.insert(key, value);
            if self.take(',').is_none() && !self.skipped().starts_with('}') {
                return None;
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let text = self.rest;
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E' | '_')))
            .unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        let digits = digits.replace('_', "");
        let number = match digits.parse::<i64>() {
            Ok(whole) => Number::from(whole),
            Err(_) => Number::from_f64(digits.parse().ok()?)?,
        };
        self.rest = rest;
        Some(Value::Number(number))
    }

    /// A text in single, double or three quotes, with the usual escapes.
    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let end = match self.rest.starts_with(&triple) {
            true => triple.as_str(),
            false => &triple[..1],
        };
        let body = &self.rest[end.len()..];
        let mut out = String::new();
        let mut at = 0;
        while let Some(c) = body[at..].chars().next() {
            if body[at..].starts_with(end) {
                self.rest = &body[at + end.len()..];
                return Some(out);
            }
            at += c.len_utf8();
            if c != '\\' {
                out.push(c);
                continue;
            }
            let escaped = body[at..].chars().next()?;
            at += escaped.len_utf8();
            match escaped {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                '\n' => {}
                'u' => {
                    let code = body.get(at..at + 4)?;
                    out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                    at += 4;
                }
                '\\' | '\'' | '"' => out.push(escaped),
                other => out.extend(['\\', other]),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_and_calls() {
        let value = |text: &str| Literals::new(text).value(0);
        assert_eq!(
            value("{'a': [1, -2.5, (True,)], \"b\": None, 'c': 'it\\'s\\n\\u00e9'}"),
            Some(json!({"a": [1, -2.5, [true]], "b": null, "c": "it's\né"}))
        );
        assert_eq!(value("'''a'b\nc'''"), Some(json!("a'b\nc")));
        for bad in ["", "{", "'a", "[1 2]", "{1: 2}", "__import__('os')", "1e999"] {
            assert_eq!(value(bad), None, "{bad}");
        }
        assert_eq!(value(&"[".repeat(1000)), None);

        let call = |text: &str| {
            Literals::new(text)
                .call()
                .map(|(name, args)| (name, Value::Object(args)))
        };
        assert_eq!(
            call("print(default_api.read_file(file_path=\"a.txt\", start_line = 1,))"),
            Some((
                "read_file".to_owned(),
                json!({"file_path": "a.txt", "start_line": 1})
            ))
        );
        assert_eq!(call("f()"), Some(("f".to_owned(), json!({}))));
        for bad in ["f(1)", "f", "f(x=open('a'))", "f(x=1 y=2)", "1(x=2)"] {
            assert_eq!(call(bad), None, "{bad}");
        }
    }
}
