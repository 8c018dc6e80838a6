//! One readable line a record.

use serde_json::Value;

use super::term::{Style, Terminal};

/// Longest text shown of a value.
const MAX_TEXT: usize = 160;

/// What a record says to a person; `None` for records that only repeat what another one shows.
pub(crate) fn line(terminal: &Terminal, record: &Value, depth: usize) -> Option<String> {
    let text = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    let status = text("status");
    let kind = record
        .pointer("/effect/type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if status == "started" {
        return None;
    }
    let (mark, style, what) = match (status, kind) {
        ("failed", _) => ("✗", Style::Red, text("error").to_owned()),
        ("waiting", _) => ("…", Style::Yellow, wait_text(record)),
        (_, "resume") => ("▶", Style::Cyan, "resumed".to_owned()),
        (_, "emit_event") => return event_line(terminal, record, depth),
        (_, "") => (
            "■",
            Style::Green,
            format!("output {}", compact(record.pointer("/result/output"))),
        ),
        (_, "answer_user") => ("»", Style::Bold, answer(record)),
        (_, "llm_call") => ("✓", Style::Magenta, model(record)),
        (_, "tool_calls") => ("✓", Style::Cyan, tools(record)),
        (_, kind) => (
            "✓",
            Style::Green,
            format!("{kind} {}", compact(record.get("result"))),
        ),
    };
    let clock = text("ended_at").get(11..19).unwrap_or("        ").to_owned();
    Some(format!(
        "{} {}{} {} {}",
        terminal.paint(Style::Dim, &clock),
        "  ".repeat(depth),
        terminal.paint(style, mark),
        terminal.paint(Style::Dim, text("node_id")),
        what
    ))
}

fn event_line(terminal: &Terminal, record: &Value, depth: usize) -> Option<String> {
    let name = record
        .pointer("/result/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // The end of the run is announced once, by the follower.
    if name == "abstract.status" {
        return None;
    }
    let delivered = record.pointer("/result/delivered").and_then(Value::as_i64);
    let reached = delivered
        .map(|n| format!(" → {n} listener{}", if n == 1 { "" } else { "s" }))
        .unwrap_or_default();
    let clock = record
        .get("ended_at")
        .and_then(Value::as_str)
        .and_then(|t| t.get(11..19))
        .unwrap_or("        ");
    Some(format!(
        "{} {}{} event {name}{reached}",
        terminal.paint(Style::Dim, clock),
        "  ".repeat(depth),
        terminal.paint(Style::Cyan, "◆"),
    ))
}

fn answer(record: &Value) -> String {
    record
        .pointer("/result/message")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn model(record: &Value) -> String {
    let result = &record["result"];
    let name = result["model"]
        .as_str()
        .or_else(|| record.pointer("/effect/payload/model")?.as_str())
        .unwrap_or("model");
    let tokens = result.pointer("/usage/total_tokens").and_then(Value::as_i64);
    let tokens = tokens.map(|n| format!(", {n} tokens")).unwrap_or_default();
    let said = match result["tool_calls"].as_array().filter(|calls| !calls.is_empty()) {
        Some(calls) => {
            let names: Vec<&str> = calls.iter().filter_map(|call| call["name"].as_str()).collect();
            format!("wants {}", names.join(", "))
        }
        None => result["content"]
            .as_str()
            .map_or_else(|| compact(result.get("data")), shorten),
    };
    format!("{name}{tokens}: {said}")
}

fn tools(record: &Value) -> String {
    let results = record.pointer("/result/results").and_then(Value::as_array);
    let parts: Vec<String> = results
        .into_iter()
        .flatten()
        .map(|result| {
            let name = result["name"].as_str().unwrap_or("tool");
            match result["success"].as_bool() {
                Some(true) => format!("{name} ✓"),
                _ => format!(
                    "{name} ✗ {}",
                    result["error"].as_str().map(shorten).unwrap_or_default()
                ),
            }
        })
        .collect();
    parts.join(", ")
}

fn wait_text(record: &Value) -> String {
    let wait = &record["result"]["wait"];
    match wait["reason"].as_str().unwrap_or_default() {
        "user" if wait.pointer("/details/mode").and_then(Value::as_str) == Some("approval_required") => {
            "waits for your approval".to_owned()
        }
        "user" => format!("asks: {}", wait["prompt"].as_str().unwrap_or_default()),
        "until" => format!("waits until {}", wait["until"].as_str().unwrap_or_default()),
        "subworkflow" => format!(
            "runs {}",
            wait.pointer("/details/sub_workflow_id")
                .and_then(Value::as_str)
                .unwrap_or_default()
        ),
        "event" => format!(
            "waits for event {}",
            wait["wait_key"].as_str().unwrap_or_default()
        ),
        "job" => "waits for an external worker".to_owned(),
        other => format!("waits ({other})"),
    }
}

/// A value as one short line.
pub(crate) fn compact(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => shorten(text),
        Some(other) => shorten(&other.to_string()),
    }
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_TEXT {
        return line;
    }
    line.chars().take(MAX_TEXT - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_say_what_happened() {
        let terminal = Terminal::new(true);
        let record = |status: &str, kind: &str, result: Value| json!({"status": status, "node_id": "n", "ended_at": "2026-01-01T10:20:30+00:00", "effect": {"type": kind, "payload": {}}, "result": result});
        let show = |record: &Value| line(&terminal, record, 1).unwrap_or_default();
        assert_eq!(
            show(&record("completed", "answer_user", json!({"message": "hi"}))),
            "10:20:30   » n hi"
        );
        let asked = json!({"wait": {"reason": "user", "prompt": "Name?"}});
        assert_eq!(
            show(&record("waiting", "ask_user", asked)),
            "10:20:30   … n asks: Name?"
        );
        assert!(line(&terminal, &record("started", "llm_call", Value::Null), 0).is_none());
        let tools = json!({"results": [{"name": "a", "success": true}, {"name": "b", "success": false, "error": "no"}]});
        assert_eq!(
            show(&record("completed", "tool_calls", tools)),
            "10:20:30   ✓ n a ✓, b ✗ no"
        );
    }
}
