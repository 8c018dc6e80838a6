//! Reads calls from text.

use serde_json::Value;

use super::literal::Literals;
use crate::Object;
use crate::chat::ToolCall;

/// A text and the calls found in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParsedText {
    /// Without the markup of the calls.
    pub content: String,
    /// In order.
    pub calls: Vec<ToolCall>,
}

/// Opening markers with their closing ones. A missing closing marker is forgiven: models stop right after the object.
const MARKERS: [(&str, &str); 8] = [
    ("<function_call>", "</function_call>"),
    ("<tool_call>", "</tool_call>"),
    ("<|tool_call|>", "</|tool_call|>"),
    ("<|tool_call|>", "<|/tool_call|>"),
    ("<|tool_call|>", "<|tool_call_end|>"),
    ("```tool_code", "```"),
    ("```tool_call", "```"),
    ("[TOOL_CALLS]", "[/TOOL_CALLS]"),
];

/// Calls beyond this number in one answer are left as text.
const MAX_CALLS: usize = 64;
/// Markers looked at in one answer; a text full of them must not cost its square.
const MAX_MARKERS: usize = 256;

/// Finds calls in `text`. Markup around something that is no call stays in the text. With `bare`, an answer that is
/// nothing but a call object (or a list of them, code fence allowed) of a tool in `names` counts as well.
#[must_use]
pub fn parse_calls(text: &str, names: &[String], bare: bool) -> ParsedText {
    let mut result = ParsedText::default();
    let mut rest = text;
    for _ in 0..MAX_MARKERS {
        if result.calls.len() >= MAX_CALLS {
            break;
        }
        let Some(start) = next_marker(rest) else { break };
        let (before, marked) = rest.split_at(start);
        match take_call(marked) {
            Some((calls, after)) => {
                result.content.push_str(before);
                result.calls.extend(calls);
                rest = after;
            }
            None => {
                // Not a call: keep the marker's first character as text and look on behind it.
                let step = marked.chars().next().map_or(1, char::len_utf8);
                result.content.push_str(&rest[..start + step]);
                rest = &rest[start + step..];
            }
        }
    }
    result.content.push_str(rest);
    if result.calls.is_empty() && bare {
        let calls = bare_calls(text, names);
        if !calls.is_empty() {
            return ParsedText {
                content: String::new(),
                calls,
            };
        }
    }
    if !result.calls.is_empty() {
        result.content = result.content.trim().to_owned();
    }
    result
}

fn next_marker(text: &str) -> Option<usize> {
    let opens = |start: usize| MARKERS.iter().any(|(open, _)| text[start..].starts_with(open));
    text.match_indices(['<', '`', '['])
        .map(|(start, _)| start)
        .find(|start| opens(*start))
}

/// Reads the call at the start of `marked` and what follows it.
fn take_call(marked: &str) -> Option<(Vec<ToolCall>, &str)> {
    for (open, close) in MARKERS {
        let Some(body) = marked.strip_prefix(open) else {
            continue;
        };
        let (calls, after) = read_body(body)?;
        let trimmed = after.trim_start();
        if let Some(after) = trimmed.strip_prefix(close) {
            return Some((calls, after));
        }
        // Two markers share an opening; the other pair may close it.
        let other = MARKERS.iter().find(|(o, c)| *o == open && trimmed.starts_with(c));
        return Some((calls, other.map_or(after, |(_, c)| &trimmed[c.len()..])));
    }
    None
}

/// The calls at the start of a marked text: JSON, Python's notation of an object or of a call, or tags.
fn read_body(body: &str) -> Option<(Vec<ToolCall>, &str)> {
    let mut values = serde_json::Deserializer::from_str(body).into_iter::<Value>();
    if let Some(Ok(value)) = values.next() {
        let after = &body[values.byte_offset()..];
        return calls_of(value).map(|calls| (calls, after));
    }
    let start = body.trim_start();
    if start.starts_with(['{', '[']) {
        let mut literals = Literals::new(start);
        let value = literals.value(0)?;
        return calls_of(value).map(|calls| (calls, literals.rest()));
    }
    if start.starts_with('<') {
        return tagged_function(start);
    }
    let mut calls = Vec::new();
    let mut rest = start;
    while calls.len() < MAX_CALLS {
        let mut literals = Literals::new(rest);
        let Some((name, arguments)) = literals.call() else {
            break;
        };
        calls.push(named(name, arguments));
        rest = literals.rest();
    }
    if calls.is_empty() {
        return tagged_pairs(start);
    }
    Some((calls, rest))
}

fn named(name: String, arguments: Object) -> ToolCall {
    ToolCall::from_wire(None, name, Value::Object(arguments))
}

/// `<function=name><parameter=key>value</parameter>…</function>`
fn tagged_function(text: &str) -> Option<(Vec<ToolCall>, &str)> {
    let (name, mut rest) = text.strip_prefix("<function=")?.split_once('>')?;
    let mut arguments = Object::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("</function>") {
            return Some((vec![named(name.trim().to_owned(), arguments)], after));
        }
        let (key, tail) = rest.strip_prefix("<parameter=")?.split_once('>')?;
        let (value, tail) = tail.split_once("</parameter>")?;
        arguments.insert(key.trim().to_owned(), tag_value(value));
        rest = tail;
    }
}

/// `name <arg_key>key</arg_key><arg_value>value</arg_value>…`
fn tagged_pairs(text: &str) -> Option<(Vec<ToolCall>, &str)> {
    let (name, _) = text.split_once("<arg_key>")?;
    let mut rest = &text[name.len()..];
    let name = name.trim();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return None;
    }
    let mut arguments = Object::new();
    while let Some(tail) = rest.trim_start().strip_prefix("<arg_key>") {
        let (key, tail) = tail.split_once("</arg_key>")?;
        let tail = tail.trim_start().strip_prefix("<arg_value>")?;
        let (value, tail) = tail.split_once("</arg_value>")?;
        arguments.insert(key.trim().to_owned(), tag_value(value));
        rest = tail;
    }
    Some((vec![named(name.to_owned(), arguments)], rest))
}

/// The text of a tag: whole lines lose the breaks around them; what is JSON but no text is taken as that.
fn tag_value(text: &str) -> Value {
    let text = text.strip_prefix('\n').unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    match serde_json::from_str(text.trim()) {
        Ok(Value::String(_)) | Err(_) => Value::from(text),
        Ok(value) => value,
    }
}

fn calls_of(value: Value) -> Option<Vec<ToolCall>> {
    match value {
        Value::Array(items) if !items.is_empty() => items.into_iter().map(call_of).collect(),
        other => call_of(other).map(|call| vec![call]),
    }
}

fn call_of(value: Value) -> Option<ToolCall> {
    let Value::Object(mut map) = value else {
        return None;
    };
    // {"type": "function", "function": {"name", "arguments"}}
    if let Some(Value::Object(inner)) = map.get_mut("function") {
        let inner = std::mem::take(inner);
        let id = map.get("id").and_then(Value::as_str).map(str::to_owned);
        return call_of(Value::Object(inner)).map(|call| ToolCall { id, ..call });
    }
    let name = ["name", "function", "tool", "tool_name"]
        .iter()
        .find_map(|key| map.get(*key).and_then(Value::as_str))?;
    let name = name.trim().to_owned();
    if name.is_empty() {
        return None;
    }
    let arguments = ["arguments", "parameters", "args", "input"]
        .iter()
        .find_map(|key| map.remove(*key));
    let id = ["id", "call_id"]
        .iter()
        .find_map(|key| map.get(*key).and_then(Value::as_str))
        .map(str::to_owned);
    Some(ToolCall::from_wire(id, name, arguments.unwrap_or(Value::Null)))
}

fn bare_calls(text: &str, names: &[String]) -> Vec<ToolCall> {
    let mut text = text.trim();
    if let Some(inner) = text.strip_prefix("```").and_then(|text| text.strip_suffix("```")) {
        text = inner.split_once('\n').map_or("", |(_, body)| body).trim();
    }
    if !text.starts_with(['{', '[']) {
        return Vec::new();
    }
    // Several objects may follow each other.
    let mut calls = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let Some(found) = value.ok().and_then(calls_of) else {
            return Vec::new();
        };
        calls.extend(found);
        if calls.len() > MAX_CALLS {
            return Vec::new();
        }
    }
    if calls.iter().all(|call| names.contains(&call.name)) {
        calls
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> ParsedText {
        parse_calls(text, &["f".to_owned()], true)
    }

    #[test]
    fn every_known_format() {
        let call = r#"{"name":"f","arguments":{"x":1}}"#;
        for text in [
            format!("<function_call>{call}</function_call>"),
            format!("<tool_call>\n{call}\n</tool_call>"),
            format!("<|tool_call|>{call}</|tool_call|>"),
            format!("<|tool_call|>{call}<|/tool_call|>"),
            format!("<tool_call>{call}"),
            format!("```tool_code\n{call}\n```"),
            format!("```json\n{call}\n```"),
            call.to_owned(),
            format!("[{call}]"),
            r#"{"type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}"#.to_owned(),
            r#"<tool_call>{"name":"f","parameters":{"x":1}}</tool_call>"#.to_owned(),
            "```tool_code\nprint(f(x=1))\n```".to_owned(),
            "<tool_call>{'name': 'f', 'arguments': {'x': 1}}</tool_call>".to_owned(),
            "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>".to_owned(),
            "<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n</tool_call>".to_owned(),
            format!("[TOOL_CALLS][{call}]"),
        ] {
            let found = parse(&text);
            assert_eq!(found.content, "", "{text}");
            assert_eq!(found.calls.len(), 1, "{text}");
            assert_eq!(json!(found.calls[0].arguments), json!({"x":1}), "{text}");
        }
    }

    #[test]
    fn text_around_calls_is_kept() {
        let found = parse(
            "a <tool_call>{\"name\":\"f\"}</tool_call> b <tool_call>{\"name\":\"g\",\"arguments\":\"?\"}</tool_call> c",
        );
        assert_eq!(found.content, "a  b  c");
        assert_eq!(found.calls.len(), 2);
        assert_eq!(found.calls[1].raw_arguments.as_deref(), Some("?"));
    }

    #[test]
    fn what_is_no_call_stays() {
        for text in [
            "plain",
            "<tool_call>oops</tool_call>",
            "{\"name\":\"other\",\"arguments\":{}}",
            "see {\"name\":\"f\"} there",
            "<tool_call>",
            "```tool_code\nimport os\n```",
            "<tool_call><function=f><parameter=x>1</tool_call>",
            "see [TOOL_CALLS] there",
            "{\"answer\":42}",
        ] {
            assert_eq!(
                parse(text),
                ParsedText {
                    content: text.to_owned(),
                    calls: Vec::new()
                },
                "{text}"
            );
        }
        let long = "<tool_call>".repeat(20_000);
        assert_eq!(parse(&long).content, long);
    }
}
