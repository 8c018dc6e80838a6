//! JSON bodies: what counts as one, and where a broken one breaks.

use serde_json::{Value, error::Category, json};

use super::issue::{Given, Issue, Loc};

/// Parses a body. NaN, Infinity, numbers beyond the range of doubles, lone surrogates and nesting deeper than 128
/// levels are syntax errors (architecture D7).
///
/// # Errors
/// A `json_invalid` issue at the offset, counted in characters.
pub fn parse(bytes: &[u8]) -> Result<Value, Box<Issue>> {
    serde_json::from_slice(bytes).map_err(|error| broken(bytes, &error))
}

fn broken(bytes: &[u8], error: &serde_json::Error) -> Box<Issue> {
    let offset = match error.classify() {
        Category::Eof => bytes.len(),
        _ => {
            let before: usize = bytes
                .split_inclusive(|b| *b == b'\n')
                .take(error.line() - 1)
                .map(<[u8]>::len)
                .sum();
            (before + error.column().saturating_sub(1)).min(bytes.len())
        }
    };
    // Continuation bytes of UTF-8 are no characters.
    let offset = bytes
        .iter()
        .take(offset)
        .filter(|byte| **byte & 0xC0 != 0x80)
        .count();
    Box::new(Issue {
        kind: "json_invalid",
        loc: vec!["body".into(), Loc::Index(offset)],
        msg: "JSON decode error".into(),
        input: Given::Value(json!({})),
        ctx: Some(("error", reason(&error.to_string()).into())),
    })
}

fn reason(text: &str) -> &'static str {
    const REASONS: [(&str, &str); 9] = [
        ("trailing characters", "Extra data"),
        (
            "trailing comma",
            "Expecting property name enclosed in double quotes",
        ),
        (
            "key must be a string",
            "Expecting property name enclosed in double quotes",
        ),
        ("expected `,`", "Expecting ',' delimiter"),
        ("expected `:`", "Expecting ':' delimiter"),
        ("control character", "Invalid control character at"),
        ("EOF while parsing a string", "Unterminated string starting at"),
        ("escape", "Invalid \\escape"),
        ("number out of range", "Number out of range"),
    ];
    REASONS
        .into_iter()
        .find(|(ours, _)| text.contains(ours))
        .map_or("Expecting value", |(_, theirs)| theirs)
}

/// `application/json` and `application/<any>+json`.
pub(super) fn is_json(content_type: Option<&str>) -> bool {
    let Some((kind, subtype)) = content_type.and_then(|text| text.split(';').next()?.trim().split_once('/'))
    else {
        return false;
    };
    let subtype = subtype.to_ascii_lowercase();
    kind.eq_ignore_ascii_case("application") && (subtype == "json" || subtype.ends_with("+json"))
}
