//! The flows of the workload and how their ledgers look when nothing disturbs them.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{Api, Bundle, Flow, wait};

pub(crate) const BUNDLE: &str = "crash";

/// What a run does and what its client does to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Three messages.
    Chain,
    /// Messages with waits between them.
    Timers,
    /// The same, paused and resumed by its client.
    PausedTimers,
    /// A question that is answered.
    Answered,
    /// A question whose run is cancelled.
    Cancelled,
    /// A wait for an event that its client sends.
    Signalled,
    /// A child run with a message and a wait.
    Parent,
    /// Two model calls with a message between them.
    Model,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Chain,
        Self::Timers,
        Self::PausedTimers,
        Self::Answered,
        Self::Cancelled,
        Self::Signalled,
        Self::Parent,
        Self::Model,
    ];

    pub(super) fn flow(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Timers | Self::PausedTimers => "timers",
            Self::Answered | Self::Cancelled => "ask",
            Self::Signalled => "signal",
            Self::Parent => "parent",
            Self::Model => "model",
        }
    }

    pub(super) fn end(self) -> &'static str {
        if self == Self::Cancelled {
            "cancelled"
        } else {
            "completed"
        }
    }

    /// What its client waits for before it sends its command.
    pub(super) fn asks(self) -> Option<&'static str> {
        match self {
            Self::Answered | Self::Cancelled => Some("user"),
            Self::Signalled => Some("event"),
            _ => None,
        }
    }
}

/// Input of a run; the prompts are unique, so that the journal tells whose call it was, and so is the event.
pub(crate) fn input(name: &str) -> Value {
    json!({"p1": prompt(name, 1), "p2": prompt(name, 2), "key": format!("evt:global:global:{}", event(name))})
}

fn event(name: &str) -> String {
    format!("signal-{name}")
}

pub(crate) fn prompt(name: &str, call: u32) -> String {
    format!("prompt-{name}-{call}.")
}

/// Node of each model call.
pub(super) const CALLS: [(u32, &str); 2] = [(1, "l1"), (2, "l2")];

/// Every model call takes this long.
pub(crate) fn upstream_script(delay_ms: u64) -> Value {
    json!({"default": {"content": "fine", "delay_ms": delay_ms}})
}

/// Answers of this size, which a run keeps as artifacts where [`INLINE_BYTES`] is set to less.
pub(crate) fn long_answers() -> Value {
    json!({"default": {"content": "fine ".repeat(800), "delay_ms": 20}})
}

/// Variable that says from which size on a run's values are artifacts.
pub(crate) const INLINE_BYTES: &str = "ABSTRACTRUNTIME_MAX_INLINE_BYTES";

pub(crate) fn bundle() -> Bundle {
    let say = |text: &str| json!({"message": text});
    let pause = json!({"duration": 0.25});
    let chain = Flow::new("chain", &[])
        .step("start", "a1", "answer_user", say("one"))
        .step("a1", "a2", "answer_user", say("two"))
        .step("a2", "a3", "answer_user", say("three"))
        .step("a3", "end", "on_flow_end", json!({}));
    let timers = Flow::new("timers", &[])
        .step("start", "a1", "answer_user", say("one"))
        .step("a1", "w1", "wait_until", pause.clone())
        .step("w1", "a2", "answer_user", say("two"))
        .step("a2", "w2", "wait_until", pause.clone())
        .step("w2", "a3", "answer_user", say("three"))
        .step("a3", "end", "on_flow_end", json!({}));
    let ask = Flow::new("ask", &[])
        .step("start", "q", "ask_user", json!({"prompt": "well?"}))
        .step("q", "end", "on_flow_end", json!({}))
        .data("q.response", "end.response");
    let signal = Flow::new("signal", &["key"])
        .node("w", "wait_event", json!({}))
        .then("start", "w")
        .step("w", "end", "on_flow_end", json!({}))
        .data("start.key", "w.event_key")
        .data("w.event_data", "end.data");
    let child = Flow::new("child", &[])
        .step("start", "a1", "answer_user", say("from the child"))
        .step("a1", "w1", "wait_until", pause)
        .step("w1", "end", "on_flow_end", json!({}));
    let parent = Flow::new("parent", &[])
        .step("start", "a1", "answer_user", say("before"))
        .node("sub", "subflow", json!({"subflowId": "child"}))
        .then("a1", "sub")
        .step("sub", "a2", "answer_user", say("after"))
        .step("a2", "end", "on_flow_end", json!({}));
    // Named on the node, so that no default has to be configured first.
    let route = json!({"provider": "openai-compatible", "model": "gpt-4o-mini"});
    let model = Flow::new("model", &["p1", "p2"])
        .step("start", "l1", "llm_call", route.clone())
        .step("l1", "a1", "answer_user", say("between"))
        .step("a1", "l2", "llm_call", route)
        .step("l2", "end", "on_flow_end", json!({}))
        .data("start.p1", "l1.prompt")
        .data("start.p2", "l2.prompt")
        .data("l1.response", "end.r1")
        .data("l2.response", "end.r2");
    Bundle::new(BUNDLE, [chain, timers, ask, signal, parent, child, model])
}

/// A ledger without what may differ between runs: node, status and effect of each record. A further attempt at an
/// effect that a crash interrupted is not a step of its own.
pub(crate) fn shape(records: &[Value]) -> Vec<String> {
    records
        .iter()
        .filter(|record| !(record["status"] == "started" && record["attempt"].as_u64() > Some(1)))
        .map(|record| {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            format!(
                "{}/{}/{}",
                text(&record["node_id"]),
                text(&record["status"]),
                text(&record["effect"]["type"])
            )
        })
        .collect()
}

/// The child named by a parent's ledger.
pub(super) fn child_of(records: &[Value]) -> Option<&str> {
    let waits = |record: &&Value| record["status"] == "waiting";
    let waiting = records
        .iter()
        .filter(waits)
        .map(|record| &record["result"]["wait"]["details"]);
    waiting
        .filter_map(|details| details["sub_run_id"].as_str())
        .next()
}

/// Expected shapes, own and of the child.
#[derive(Debug, Default)]
pub(crate) struct Golden {
    pub(super) own: HashMap<Kind, Vec<String>>,
    pub(super) child: Vec<String>,
}

/// Runs every kind once without disturbing it.
pub(crate) async fn golden(api: &Api) -> Result<Golden> {
    let limit = Duration::from_secs(20);
    let mut golden = Golden::default();
    for kind in Kind::ALL {
        let name = format!("golden-{kind:?}");
        let run = api.start(BUNDLE, kind.flow(), input(&name)).await?;
        if let Some(reason) = kind.asks() {
            wait::until("the question", limit, || async {
                Ok(api.run(&run).await?["waiting"]["reason"] == reason)
            })
            .await?;
            let (command, payload) = ask_command(kind, &name);
            api.command(&name, &run, command, payload).await?.ok()?;
        }
        let ended = api
            .until_status(&run, &["completed", "failed", "cancelled"], limit)
            .await?;
        let records = api.ledger(&run).await?;
        anyhow::ensure!(
            ended["status"] == kind.end(),
            "{kind:?} ended as {ended}; ledger {records:?}"
        );
        if kind == Kind::Parent {
            let child = child_of(&records).context("a parent without a child")?;
            golden.child = shape(&api.ledger(child).await?);
        }
        golden.own.insert(kind, shape(&records));
    }
    Ok(golden)
}

/// What the client of a waiting run sends.
pub(super) fn ask_command(kind: Kind, name: &str) -> (&'static str, Value) {
    match kind {
        Kind::Cancelled => ("cancel", json!({"reason": "not needed"})),
        Kind::Signalled => (
            "emit_event",
            json!({"name": event(name), "scope": "global", "payload": {"n": 1}}),
        ),
        _ => ("resume", json!({"payload": {"response": "yes"}})),
    }
}
