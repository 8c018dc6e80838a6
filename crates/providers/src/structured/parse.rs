//! Reads JSON out of a model's text.

use serde_json::Value;

/// Places at which an embedded value is looked for; a text full of brackets must not cost its square.
const MAX_STARTS: usize = 64;

/// The JSON value in a text: the whole text, the inside of a code fence, or the first object or list in it.
#[must_use]
pub fn extract_json(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    if let Some(inner) = fenced(text)
        && let Ok(value) = serde_json::from_str(inner)
    {
        return Some(value);
    }
    text.char_indices()
        .filter(|(_, c)| matches!(c, '{' | '['))
        .take(MAX_STARTS)
        .find_map(|(start, _)| {
            first_value(&text[start..]).filter(|value| value.is_object() || value.is_array())
        })
}

/// The value at the start of a text, whatever follows it.
fn first_value(text: &str) -> Option<Value> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<Value>()
        .next()?
        .ok()
}

/// Inside of the first ``` fence.
fn fenced(text: &str) -> Option<&str> {
    let open = text.find("```")?;
    let after = &text[open + 3..];
    let body = &after[after.find('\n')? + 1..];
    let close = body.find("```").unwrap_or(body.len());
    Some(body[..close].trim())
}

/// [`extract_json`], with a text for the model when there is nothing.
///
/// # Errors
/// What is wrong, in words that a model can act on.
pub fn parse_reply(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("the reply is empty".to_owned());
    }
    extract_json(text).ok_or_else(|| "the reply is not valid JSON".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_in_every_packaging() {
        for text in [
            r#"{"a":1}"#,
            " {\"a\":1}\n",
            "```json\n{\"a\":1}\n```",
            "Sure:\n```\n{\"a\":1}\n```\nDone.",
            "The answer is {\"a\":1} as asked.",
            "a set {x} and then {\"a\":1}",
        ] {
            assert_eq!(extract_json(text), Some(json!({"a":1})), "{text}");
        }
        assert_eq!(extract_json("I would rather not"), None);
        assert_eq!(extract_json("12"), Some(json!(12)));
        assert_eq!(extract_json("see [1, 2]"), Some(json!([1, 2])));
        assert_eq!(extract_json(&"{".repeat(100_000)), None);
        assert_eq!(extract_json(&"[".repeat(100_000)), None);
    }
}
