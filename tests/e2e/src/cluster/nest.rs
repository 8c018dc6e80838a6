//! Flows of the scenarios that look at single runs.

use serde_json::{Value, json};

use crate::{Bundle, Flow};

pub(super) const BUNDLE: &str = "nest";

/// - `call`: one model call with the run's own prompt;
/// - `ask`: a question, whose answer is the output;
/// - `tree`: a run whose child's child asks a question.
pub(super) fn bundle() -> Bundle {
    let route = json!({"provider": "openai-compatible", "model": "gpt-4o-mini"});
    let call = Flow::new("call", &["p1"])
        .step("start", "l1", "llm_call", route)
        .step("l1", "end", "on_flow_end", json!({}))
        .data("start.p1", "l1.prompt")
        .data("l1.response", "end.answer");
    let ask = Flow::new("ask", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .step("q", "end", "on_flow_end", json!({}))
        .data("q.response", "end.answer");
    let above = |id: &str, below: &str| {
        Flow::new(id, &[])
            .node("sub", "subflow", json!({"subflowId": below}))
            .then("start", "sub")
            .step("sub", "end", "on_flow_end", json!({}))
    };
    Bundle::new(
        BUNDLE,
        [call, above("tree", "middle"), above("middle", "ask"), ask],
    )
}

/// The prompt of a named run; names are unique in a cluster.
pub(super) fn prompt(name: &str) -> String {
    format!("please-{name}.")
}

pub(super) fn input(name: &str) -> Value {
    json!({"p1": prompt(name)})
}

/// The first call of each named run hangs for longer than any scenario waits; further ones are answered at once.
pub(super) fn first_calls_hang(names: &[String]) -> Value {
    let rules: Vec<_> = names
        .iter()
        .map(|name| {
            json!({
                "when": {"last_user": prompt(name)},
                "replies": [{"delay_ms": 100_000, "content": "late"}, {"content": "fine"}],
            })
        })
        .collect();
    json!({"rules": rules, "default": {"content": "fine"}})
}
