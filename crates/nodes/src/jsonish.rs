//! Text that is nearly JSON, as models write it.

use ag_pyvalue::{MAX_DEPTH, json_loads_lenient, literal_eval, strip_py};
use serde_json::Value;

/// Places where an embedded value may begin; more are not tried.
const MAX_CANDIDATES: usize = 64;

/// The value of a text: strict JSON (a code fence is taken off first), else the first parseable object or list
/// inside it, else a Python literal.
///
/// # Errors
/// The JSON error of the whole text.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let body = unfence(strip_py(text));
    let error = match json_loads_lenient(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    embedded(body)
        .or_else(|| literal_eval(body))
        .ok_or_else(|| error.to_string())
}

/// The value of a text that is JSON or a Python list or dict as a whole; other texts stay texts.
pub(crate) fn structured(text: &str) -> Option<Value> {
    let body = unfence(strip_py(text));
    json_loads_lenient(body)
        .ok()
        .or_else(|| literal_eval(body).filter(|value| value.is_object() || value.is_array()))
}

/// The content of a text that is one fenced block.
fn unfence(text: &str) -> &str {
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else {
        return text;
    };
    inner
        .split_once('\n')
        .map_or(inner, |(_language, body)| body)
        .trim()
}

fn embedded(text: &str) -> Option<Value> {
    text.match_indices(['{', '['])
        .take(MAX_CANDIDATES)
        .find_map(|(start, _)| {
            let end = start + balanced_len(&text[start..])?;
            json_loads_lenient(&text[start..end]).ok()
        })
}

/// Length of the bracketed value at the start of `text`, strings skipped; `None` when it does not close.
fn balanced_len(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return None;
                }
            }
            b'}' | b']' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_of_models_are_read() {
        for (text, value) in [
            (
                r#"{"a": [1, 2.5, null, true, "é"]}"#,
                json!({"a": [1, 2.5, null, true, "é"]}),
            ),
            ("42", json!(42)),
            ("```json\n{\"k\": 1}\n```", json!({"k": 1})),
            ("```\n[1]\n```", json!([1])),
            (
                r#"Sure! Here it is: {"ok": true} hope it helps"#,
                json!({"ok": true}),
            ),
            (
                "{'a': True, 'b': None, 'c': (1, 2)}",
                json!({"a": true, "b": null, "c": [1, 2]}),
            ),
            ("[1,[2]] tail", json!([1, [2]])),
            (r#"prefix [not json] {"z": 1}"#, json!({"z": 1})),
            (r#"say "[" then {"a": "}"}"#, json!({"a": "}"})),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
        assert!(parse("hello world").is_err());
    }

    #[test]
    fn hostile_nesting_is_refused_quickly() {
        let deep = "[".repeat(200_000);
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("x {}{}", "[".repeat(5000), "]".repeat(5000))).is_err());
    }
}
