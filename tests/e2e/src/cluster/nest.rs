//! Flows of the scenarios that look at single runs.

use serde_json::{Value, json};

use crate::{Bundle, Flow};

pub(super) const BUNDLE: &str = "nest";

/// - `call`: one model call with the run's own prompt; `poison` is the same under a name of its own;
/// - `ask`: a question, whose answer is the output;
/// - `tree`: a run whose child's child asks a question;
/// - `listen`: waits for the event named by its input;
/// - `alarm`: waits until the time given by its input;
/// - `talk`: sixty messages with very short waits between some of them;
/// - `busy`: waits for the event named by its input, then messages with very short waits between them;
/// - `blink`: one message.
pub(super) fn bundle() -> Bundle {
    let route = json!({"provider": "openai-compatible", "model": "gpt-4o-mini"});
    let call = |id: &str| {
        Flow::new(id, &["p1"])
            .step("start", "l1", "llm_call", route.clone())
            .step("l1", "end", "on_flow_end", json!({}))
            .data("start.p1", "l1.prompt")
            .data("l1.response", "end.answer")
    };
    let listen = Flow::new("listen", &["key"])
        .node("w", "wait_event", json!({}))
        .then("start", "w")
        .step("w", "end", "on_flow_end", json!({}))
        .data("start.key", "w.event_key");
    let alarm = Flow::new("alarm", &["at"])
        .node(
            "t",
            "wait_until",
            json!({"effectConfig": {"durationType": "timestamp"}}),
        )
        .then("start", "t")
        .step("t", "end", "on_flow_end", json!({}))
        .data("start.at", "t.duration");
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
        [
            call("call"),
            call("poison"),
            above("tree", "middle"),
            above("middle", "ask"),
            ask,
            listen,
            alarm,
            talk(),
            busy(),
            Flow::new("blink", &[])
                .step("start", "a", "answer_user", json!({"message": "here"}))
                .step("a", "end", "on_flow_end", json!({})),
        ],
    )
}

fn busy() -> Flow {
    let mut flow = Flow::new("busy", &["key"])
        .node("w", "wait_event", json!({}))
        .then("start", "w")
        .data("start.key", "w.event_key");
    let mut last = "w".to_owned();
    for n in 0..8 {
        let (say, wait) = (format!("a{n}"), format!("w{n}"));
        flow = flow
            .step(&last, &say, "answer_user", json!({"message": "busy"}))
            .step(&say, &wait, "wait_until", json!({"duration": 0.01}));
        last = wait;
    }
    flow.step(&last, "end", "on_flow_end", json!({}))
}

fn talk() -> Flow {
    let mut flow = Flow::new("talk", &[]);
    let mut last = "start".to_owned();
    for n in 0..60 {
        let say = format!("a{n}");
        flow = flow.step(
            &last,
            &say,
            "answer_user",
            json!({"message": format!("message {n}")}),
        );
        last = say;
        if n % 4 == 3 {
            let wait = format!("w{n}");
            flow = flow.step(&last, &wait, "wait_until", json!({"duration": 0.02}));
            last = wait;
        }
    }
    flow.step(&last, "end", "on_flow_end", json!({}))
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
