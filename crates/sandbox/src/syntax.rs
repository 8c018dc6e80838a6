//! Words syntax errors the way clients of the reference know them.

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{InterpolatedStringErrorType, LexicalErrorType, ParseError, ParseErrorType};

/// `Syntax error: <msg> (<unknown>, line n)`.
pub(crate) fn error_text(message: &str, line: usize) -> String {
    format!("Syntax error: {message} (<unknown>, line {line})")
}

/// One-based line of a byte offset; newlines are already normalised to `\n`.
pub(crate) fn line_of(source: &str, offset: usize) -> usize {
    let end = offset.min(source.len());
    source.as_bytes()[..end]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1
}

/// Text for a parser error, with the most frequent messages of CPython where they can be told.
pub(crate) fn describe(error: &ParseError, source: &str) -> String {
    let line = line_of(source, usize::from(error.location.start()));
    if let Some((bracket, opened_at)) = never_closed(error, source) {
        return error_text(&format!("'{bracket}' was never closed"), opened_at);
    }
    match &error.error {
        ParseErrorType::Lexical(LexicalErrorType::UnclosedStringError) => {
            let message = format!("unterminated string literal (detected at line {line})");
            error_text(&message, line)
        }
        ParseErrorType::Lexical(LexicalErrorType::IndentationError) => {
            error_text("unindent does not match any outer indentation level", line)
        }
        ParseErrorType::Lexical(LexicalErrorType::LineContinuationError) => {
            error_text("unexpected character after line continuation character", line)
        }
        ParseErrorType::Lexical(LexicalErrorType::FStringError(kind))
        | ParseErrorType::FStringError(kind) => {
            let message = match kind {
                InterpolatedStringErrorType::SingleRbrace => "f-string: single '}' is not allowed".to_owned(),
                InterpolatedStringErrorType::UnclosedLbrace => "f-string: expecting '}'".to_owned(),
                other => format!("f-string: {other}"),
            };
            error_text(&message, line)
        }
        ParseErrorType::UnexpectedIndentation => error_text("unexpected indent", line),
        ParseErrorType::RecursionLimitExceeded => error_text(TOO_DEEP, line),
        ParseErrorType::PositionalAfterKeywordArgument => {
            error_text("positional argument follows keyword argument", line)
        }
        ParseErrorType::OtherError(text) if text.starts_with("Expected an indented block") => {
            // Kept in the parser's wording after the first letter: both name the construct.
            error_text(&text.replacen("Expected", "expected", 1), line)
        }
        ParseErrorType::ExpectedToken {
            expected: TokenKind::Colon,
            ..
        } => error_text("expected ':'", line),
        _ => error_text("invalid syntax", line),
    }
}

/// Message for trees nobody should walk.
pub(crate) const TOO_DEEP: &str = "too many nested parentheses";

/// At the end of the source an open bracket is the better message; finds the innermost one.
fn never_closed(error: &ParseError, source: &str) -> Option<(char, usize)> {
    let rest = source.get(usize::from(error.location.start())..)?;
    if !rest.trim().is_empty() {
        return None;
    }
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut line = 1;
    let mut chars = source.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match (quote, c) {
            (Some(_), '\\') => {
                line += usize::from(chars.next() == Some('\n'));
            }
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') => while chars.next_if(|&c| c != '\n').is_some() {},
            (None, '(' | '[' | '{') => open.push((c, line)),
            (None, ')' | ']' | '}') => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

#[cfg(test)]
mod tests {
    use ruff_python_parser::parse_module;

    use super::*;

    #[test]
    fn texts() {
        let cases = [
            (
                "def transform(d):\n    return {\n",
                "Syntax error: '{' was never closed (<unknown>, line 2)",
            ),
            (
                "def f(:\n  pass",
                "Syntax error: invalid syntax (<unknown>, line 1)",
            ),
            (
                "x = 'a",
                "Syntax error: unterminated string literal (detected at line 1) (<unknown>, line 1)",
            ),
            (
                "x = 1\n  y = 2",
                "Syntax error: unexpected indent (<unknown>, line 2)",
            ),
            (
                "def f()\n    pass",
                "Syntax error: expected ':' (<unknown>, line 1)",
            ),
        ];
        for (source, expected) in cases {
            let error = parse_module(source).expect_err(source);
            assert_eq!(describe(&error, source), expected, "{source}");
        }
    }
}
