//! Literal and regular-expression replacement within a range of lines.

use std::fmt::Write as _;
use std::ops::Range;

use regex::{NoExpand, RegexBuilder};

use crate::text::cut;

/// What to replace.
pub(super) struct Edit<'a> {
    pub(super) pattern: &'a str,
    pub(super) replacement: &'a str,
    pub(super) regex: bool,
    /// `None` for all.
    pub(super) max: Option<usize>,
    pub(super) start_line: Option<i64>,
    pub(super) end_line: Option<i64>,
}

/// The new text and what was done in words.
pub(super) fn apply(old: &str, edit: &Edit<'_>, shown: &str) -> Result<(String, String), String> {
    if edit.pattern.is_empty() {
        return Err("pattern must not be empty".to_owned());
    }
    if edit.max == Some(0) {
        return Err("max_replacements must be -1 or at least 1".to_owned());
    }
    let range = line_range(old, edit.start_line, edit.end_line)?;
    let part = &old[range.clone()];
    let (changed, count) = if edit.regex {
        by_regex(part, edit)?
    } else {
        literally(part, edit)
    };
    if count == 0 {
        return Err(no_match(old, edit, shown));
    }
    let new = format!("{}{changed}{}", &old[..range.start], &old[range.end..]);
    Ok((
        new,
        format!("{count} replacement{}", if count == 1 { "" } else { "s" }),
    ))
}

/// Bytes of the lines asked for.
fn line_range(text: &str, start: Option<i64>, end: Option<i64>) -> Result<Range<usize>, String> {
    let total = text.lines().count();
    let first = start.unwrap_or(1);
    if first < 1 {
        return Err(format!("start_line must be at least 1 (got {first})"));
    }
    if let Some(end) = end
        && first > end
    {
        return Err(format!(
            "start_line ({first}) cannot be greater than end_line ({end})"
        ));
    }
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    if first > total.max(1) {
        return Err(format!("Start line {first} exceeds file length ({total} lines)"));
    }
    let after = |line: usize| {
        if line == 0 {
            0
        } else {
            text.match_indices('\n')
                .nth(line - 1)
                .map_or(text.len(), |(at, _)| at + 1)
        }
    };
    let last = end.and_then(|end| usize::try_from(end).ok()).unwrap_or(total);
    Ok(after(first - 1)..after(last))
}

fn literally(part: &str, edit: &Edit<'_>) -> (String, usize) {
    let max = edit.max.unwrap_or(usize::MAX);
    let count = part.matches(edit.pattern).take(max).count();
    if count > 0 {
        return (part.replacen(edit.pattern, edit.replacement, max), count);
    }
    // Models write \n for files that end their lines with \r\n.
    if part.contains("\r\n") && edit.pattern.contains('\n') && !edit.pattern.contains('\r') {
        let pattern = edit.pattern.replace('\n', "\r\n");
        let count = part.matches(&pattern).take(max).count();
        if count > 0 {
            let replacement = edit.replacement.replace("\r\n", "\n").replace('\n', "\r\n");
            return (part.replacen(&pattern, &replacement, max), count);
        }
    }
    (String::new(), 0)
}

fn by_regex(part: &str, edit: &Edit<'_>) -> Result<(String, usize), String> {
    let regex = RegexBuilder::new(edit.pattern)
        .multi_line(true)
        .size_limit(4 * 1024 * 1024)
        .build()
        .map_err(|error| format!("Invalid regex pattern '{}': {error}", edit.pattern))?;
    let max = edit.max.unwrap_or(usize::MAX);
    let count = regex.find_iter(part).take(max).count();
    if count == 0 {
        return Ok((String::new(), 0));
    }
    // For the library 0 means all.
    let limit = edit.max.unwrap_or(0);
    let changed = if edit.replacement.contains('\\') {
        regex
            .replacen(part, limit, template(edit.replacement).as_str())
            .into_owned()
    } else {
        regex
            .replacen(part, limit, NoExpand(edit.replacement))
            .into_owned()
    };
    Ok((changed, count))
}

/// A replacement with `\1`, `\g<name>` and escapes in the notation of the library.
fn template(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('$', _) => out.push_str("$$"),
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                out.push_str("${");
                // Two digits at most, as in Python.
                for _ in 0..2 {
                    if let Some(digit) = chars.next_if(char::is_ascii_digit) {
                        out.push(digit);
                    }
                }
                out.push('}');
            }
            ('\\', Some('g')) => {
                chars.next();
                if chars.next_if_eq(&'<').is_some() {
                    let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                    let _ = write!(out, "${{{name}}}");
                } else {
                    out.push_str("\\g");
                }
            }
            ('\\', Some(escaped)) => {
                chars.next();
                match escaped {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    '\\' => out.push('\\'),
                    other => {
                        out.push('\\');
                        out.push(other);
                    }
                }
            }
            (other, _) => out.push(other),
        }
    }
    out
}

/// Says that nothing matched, with the lines that come closest.
fn no_match(old: &str, edit: &Edit<'_>, shown: &str) -> String {
    let mut text = format!("No match for the pattern in '{shown}'");
    if edit.start_line.is_some() || edit.end_line.is_some() {
        text.push_str(" in the given line range");
    }
    text.push('.');
    let wanted = edit
        .pattern
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    if edit.regex || wanted.is_empty() {
        return text;
    }
    let closest = closest(old, wanted);
    if !closest.is_empty() {
        text.push_str(" Closest lines:");
        for (number, line) in closest {
            let _ = write!(text, "\n  {number}: {}", cut(line, 200));
        }
    }
    text
}

/// Up to three lines that share most words with `wanted`.
fn closest<'a>(text: &'a str, wanted: &str) -> Vec<(usize, &'a str)> {
    let split = |line: &str| -> Vec<String> {
        let words = line
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty());
        words.take(64).map(str::to_lowercase).collect()
    };
    let wanted_words = split(wanted);
    if wanted_words.is_empty() {
        return Vec::new();
    }
    let mut scored: Vec<(usize, usize, &str)> = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let words = split(line);
            let shared = wanted_words.iter().filter(|word| words.contains(word)).count();
            (shared * 2 >= wanted_words.len()).then_some((
                shared * 100 / (wanted_words.len() + words.len()),
                index + 1,
                line,
            ))
        })
        .collect();
    scored.sort_by_key(|(score, number, _)| (std::cmp::Reverse(*score), *number));
    scored
        .into_iter()
        .take(3)
        .map(|(_, number, line)| (number, line.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit<'a>(pattern: &'a str, replacement: &'a str) -> Edit<'a> {
        Edit {
            pattern,
            replacement,
            regex: false,
            max: None,
            start_line: None,
            end_line: None,
        }
    }

    fn regex<'a>(pattern: &'a str, replacement: &'a str) -> Edit<'a> {
        Edit {
            regex: true,
            ..edit(pattern, replacement)
        }
    }

    #[test]
    fn texts_are_replaced() {
        let cases: Vec<(&str, Edit<'_>, &str, &str)> = vec![
            ("a b a", edit("a", "x"), "x b x", "2 replacements"),
            (
                "a b a",
                Edit {
                    max: Some(1),
                    ..edit("a", "x")
                },
                "x b a",
                "1 replacement",
            ),
            (
                "a\na\na\n",
                Edit {
                    start_line: Some(2),
                    end_line: Some(2),
                    ..edit("a", "x")
                },
                "a\nx\na\n",
                "1 replacement",
            ),
            (
                "a\na",
                Edit {
                    start_line: Some(2),
                    ..edit("a", "")
                },
                "a\n",
                "1 replacement",
            ),
            ("a.b", edit(".", "$1"), "a$1b", "1 replacement"),
            ("a\r\nb\r\n", edit("a\nb", "c\nd"), "c\r\nd\r\n", "1 replacement"),
            (
                "x=1;y=2",
                regex(r"(\w)=(\d)", r"\2=\g<1>"),
                "1=x;2=y",
                "2 replacements",
            ),
            ("x=1", regex(r"(?P<n>\w)=", r"\g<n>$\n"), "x$\n1", "1 replacement"),
            ("x=1", regex("x", "$0"), "$0=1", "1 replacement"),
            ("a\nb", regex("^b$", "c"), "a\nc", "1 replacement"),
        ];
        for (old, edit, new, done) in cases {
            assert_eq!(
                apply(old, &edit, "f"),
                Ok((new.to_owned(), done.to_owned())),
                "{old:?} {}",
                edit.pattern
            );
        }
    }

    #[test]
    fn failures_help_to_do_better() {
        let text = "def load(path):\n    return open(path)\n";
        let error = apply(text, &edit("def load(file):", "x"), "f.py").expect_err("no match");
        assert_eq!(
            error,
            "No match for the pattern in 'f.py'. Closest lines:\n  1: def load(path):"
        );
        let cases = [
            (edit("", "x"), "pattern must not be empty"),
            (
                Edit {
                    max: Some(0),
                    ..edit("a", "x")
                },
                "max_replacements must be -1 or at least 1",
            ),
            (
                Edit {
                    start_line: Some(9),
                    ..edit("a", "x")
                },
                "Start line 9 exceeds file length (2 lines)",
            ),
            (
                Edit {
                    start_line: Some(2),
                    end_line: Some(1),
                    ..edit("a", "x")
                },
                "start_line (2) cannot be greater than end_line (1)",
            ),
        ];
        for (edit, expected) in cases {
            assert_eq!(apply(text, &edit, "f").expect_err(expected), expected);
        }
        assert!(
            apply(text, &regex("(", "x"), "f")
                .expect_err("regex")
                .starts_with("Invalid regex pattern '('")
        );
    }
}
