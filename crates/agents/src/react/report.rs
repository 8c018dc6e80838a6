//! Calls and cycles as text: the digest of a finished run and the scratchpad of the prompt.

use ag_pyvalue::{dumps_unicode, len_chars, pyrepr_str, pystr};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::state;

/// A call in one line. What a file shall contain is named by length and digest only.
pub(super) fn action(call: &Value) -> String {
    let name = state::text(call, "name").unwrap_or_default();
    let arguments = call.get("arguments").unwrap_or(&Value::Null);
    let repr = |key: &str, default: &str| {
        let value = arguments.get(key).filter(|value| !value.is_null());
        pyrepr_str(&value.map_or(default.into(), pystr))
    };
    match name {
        "write_file" => {
            let content = arguments
                .get("content")
                .filter(|content| !content.is_null())
                .map(pystr)
                .unwrap_or_default();
            let digest = hex::encode(&Sha256::digest(content.as_bytes())[..6]);
            format!(
                "write_file(file_path={}, mode={}, content=<str len={} sha256={digest}>)",
                repr("file_path", ""),
                repr("mode", "w"),
                len_chars(&content),
            )
        }
        "execute_command" => format!("execute_command(command={})", repr("command", "")),
        _ => format!("{name}({})", dumps_unicode(arguments)),
    }
}

/// The digest of a run (spec §10.5); parts without content are left out.
pub(super) fn report(task: &str, cycles: &[Value]) -> String {
    let mut out = String::new();
    if !task.is_empty() {
        out.push_str(&format!("task: {task}\n"));
    }
    out.push_str(&format!("cycles: {}", cycles.len()));
    for (number, cycle) in (1_i64..).zip(cycles) {
        let number = cycle.get("i").and_then(Value::as_i64).unwrap_or(number);
        out.push_str(&format!("\n\ncycle {number}"));
        if let Some(thought) = state::text(cycle, "thought") {
            out.push_str(&format!("\n- thought: {thought}"));
        }
        heading(
            &mut out,
            "\n- actions:",
            members(cycle, "tool_calls").map(|call| format!("\n  - {}", action(call))),
        );
        let seen = members(cycle, "observations").map(|seen| {
            let (name, text) = observation(seen);
            let verdict = if succeeded(seen) { "OK" } else { "ERR" };
            format!("\n  - [{name}] {verdict}: {text}")
        });
        heading(&mut out, "\n- observations:", seen);
    }
    out
}

/// How much of the cycles a prompt shows; lengths in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Excerpt {
    /// Newest cycles to show.
    pub(super) cycles: usize,
    /// Of a thought.
    pub(super) thought: usize,
    /// Of an observation, and of an action.
    pub(super) observation: usize,
}

/// The newest cycles for a prompt.
pub(super) fn scratchpad(cycles: &[Value], limits: Excerpt) -> String {
    let mut out = String::new();
    let from = cycles.len().saturating_sub(limits.cycles);
    for cycle in &cycles[from..] {
        let number = cycle.get("i").and_then(Value::as_i64).unwrap_or_default();
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("[cycle {number}]\n"));
        if let Some(thought) = state::text(cycle, "thought") {
            out.push_str(&format!("thought: {}\n", state::clip(thought, limits.thought)));
        }
        let actions = members(cycle, "tool_calls")
            .map(|call| format!("- {}\n", state::clip(&action(call), limits.observation)));
        heading(&mut out, "actions:\n", actions);
        let seen = members(cycle, "observations").map(|seen| {
            let (name, text) = observation(seen);
            let failed = if succeeded(seen) { "" } else { "Error: " };
            format!("- [{name}]: {failed}{}\n", state::clip(text, limits.observation))
        });
        heading(&mut out, "observations:\n", seen);
    }
    out
}

fn heading(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let before = out.len();
    out.push_str(title);
    let begin = out.len();
    out.extend(lines);
    if out.len() == begin {
        out.truncate(before);
    }
}

fn members<'v>(cycle: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    cycle.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn succeeded(observation: &Value) -> bool {
    observation.get("success") == Some(&Value::Bool(true))
}

/// Tool and text of an observation, without the marks that its message carries.
fn observation(seen: &Value) -> (&str, &str) {
    let name = state::text(seen, "name").unwrap_or_default();
    let text = seen.get("rendered").and_then(Value::as_str).unwrap_or_default();
    let text = text
        .strip_prefix('[')
        .and_then(|text| text.strip_prefix(name))
        .and_then(|t| t.strip_prefix("]: "))
        .unwrap_or(text);
    (
        name,
        if succeeded(seen) {
            text
        } else {
            text.strip_prefix("Error: ").unwrap_or(text)
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actions() {
        for (call, expected) in [
            (
                json!({"name": "read_file", "arguments": {"file_path": "é", "n": 1}}),
                "read_file({\"file_path\": \"é\", \"n\": 1})",
            ),
            (
                json!({"name": "write_file", "arguments": {"file_path": "o.txt", "content": "x"}}),
                "write_file(file_path='o.txt', mode='w', content=<str len=1 sha256=2d711642b726>)",
            ),
            (
                json!({"name": "execute_command", "arguments": {"command": "id"}}),
                "execute_command(command='id')",
            ),
            (json!({"name": "x"}), "x(null)"),
        ] {
            assert_eq!(action(&call), expected);
        }
    }

    #[test]
    fn excerpts_are_short() {
        let cycle = |i: i64| {
            json!({"i": i, "thought": "t".repeat(20), "tool_calls": [{"name": "a", "arguments": {}}],
                "observations": [{"name": "a", "success": false, "rendered": "[a]: Error: broken"}]})
        };
        let text = scratchpad(
            &[cycle(1), cycle(2), cycle(3)],
            Excerpt {
                cycles: 2,
                thought: 3,
                observation: 6,
            },
        );
        assert_eq!(
            text,
            "[cycle 2]\nthought: ttt…\nactions:\n- a({})\nobservations:\n- [a]: Error: broken\n\
             \n[cycle 3]\nthought: ttt…\nactions:\n- a({})\nobservations:\n- [a]: Error: broken\n"
        );
    }

    #[test]
    fn empty_parts_are_left_out() {
        assert_eq!(report("", &[]), "cycles: 0");
        assert_eq!(
            report(
                "T",
                &[json!({"i": 4, "thought": "", "tool_calls": [], "observations": []})]
            ),
            "task: T\ncycles: 1\n\ncycle 4"
        );
    }
}
