//! Runs the loop on the real kernel with scripted outcomes.

use std::{collections::VecDeque, sync::Arc};

use ag_kernel::{HostAnswers, Outcome, RunAux, StepEnv, Stepped, Tick, ToolCatalogue};
use ag_types::{
    EffectKind, IdGen as _, Object, RunHead, RunState, RunStatus, SystemClock, SystemIds, Timestamp, Wait,
};
use serde_json::{Value, json};

use crate::ReactAgent;

/// What happens next.
pub(super) enum Event {
    /// The wanted effect, which must be of this kind, ends with this result.
    Result(EffectKind, Value),
    /// The wait of the run ends with this payload.
    Answer(Value),
}

/// A model reply of text.
pub(super) fn says(content: &str) -> Event {
    model(json!({"content": content, "tool_calls": null, "finish_reason": "stop"}))
}

/// A model reply with calls `(name, arguments, call id)`.
pub(super) fn calls(calls: &[(&str, Value, &str)]) -> Event {
    let list: Vec<_> = calls
        .iter()
        .map(|(name, arguments, id)| json!({"name": name, "arguments": arguments, "call_id": id}))
        .collect();
    model(json!({"content": null, "reasoning": null, "tool_calls": list, "finish_reason": "tool_calls"}))
}

/// Any model reply.
pub(super) fn model(result: Value) -> Event {
    Event::Result(EffectKind::LlmCall, result)
}

/// Results of a tool batch `(call id, name, success, output or error)`.
pub(super) fn results(results: &[(&str, &str, bool, &str)]) -> Event {
    let list: Vec<_> = results
        .iter()
        .map(|(id, name, success, text)| {
            let (output, error) = if *success { (json!(text), Value::Null) } else { (Value::Null, json!(text)) };
            json!({"call_id": id, "runtime_call_id": "r", "name": name, "success": success, "output": output, "error": error})
        })
        .collect();
    Event::Result(
        EffectKind::ToolCalls,
        json!({"mode": "executed", "results": list}),
    )
}

struct Tools;

impl ToolCatalogue for Tools {
    fn spec(&self, name: &str) -> Option<Value> {
        (name != "vanished").then(|| json!({"name": name, "description": "d", "parameters": {}}))
    }
    fn names(&self) -> Vec<String> {
        vec!["read_file".into(), "write_file".into()]
    }
}

/// Variables as the agent node makes them.
pub(super) fn vars(task: &str, tools: &[&str], max_iterations: i64) -> Value {
    json!({
        "context": {"task": task, "messages": []},
        "scratchpad": {"iteration": 0, "max_iterations": max_iterations},
        "_runtime": {"inbox": [], "provider": "openai-compatible", "model": "gpt-4o-mini", "allowed_tools": tools},
        "_temp": {},
        "_limits": {"max_iterations": max_iterations, "max_output_tokens": 16000, "max_tokens": 128000},
    })
}

/// A run that has come to rest, with what it asked for.
pub(super) struct Played {
    pub(super) run: RunState,
    /// Node and recorded payload of every effect that was performed outside.
    pub(super) effects: Vec<(String, EffectKind, Object)>,
    /// The waits it rested on.
    pub(super) waits: Vec<Wait>,
    /// `node status type` of every ledger record.
    pub(super) rows: Vec<String>,
}

impl Played {
    /// The output without what differs from run to run.
    pub(super) fn output(&self) -> Value {
        let mut output = self.run.output.clone().unwrap_or_default();
        for message in output["messages"].as_array_mut().into_iter().flatten() {
            let message = message.as_object_mut().expect("message");
            assert!(
                message.shift_remove("timestamp").is_some_and(|ts| ts.is_string()),
                "{message:?}"
            );
            let metadata = message["metadata"].as_object_mut().expect("metadata");
            let id = metadata.shift_remove("message_id").unwrap_or_default();
            assert_eq!(
                id.as_str().map(|id| (id.len(), id.starts_with("msg_"))),
                Some((36, true)),
                "{message:?}"
            );
        }
        output
    }

    /// Payloads of one kind of effect.
    pub(super) fn payloads(&self, kind: EffectKind) -> Vec<&Object> {
        self.effects
            .iter()
            .filter(|effect| effect.1 == kind)
            .map(|effect| &effect.2)
            .collect()
    }
}

/// Plays the script; every event must be used and the run must end with it (or wait when the script is over).
pub(super) fn play(vars: &Value, script: Vec<Event>) -> Played {
    let mut script = VecDeque::from(script);
    let (zone, host) = (jiff::tz::TimeZone::UTC, HostAnswers::default());
    let now = Timestamp::from_micros(1_795_174_322_790_001);
    let env = StepEnv {
        now,
        zone: &zone,
        locale: "en_US",
        ids: &SystemIds,
        clock: &SystemClock,
        host: &host,
        tools: &Tools,
    };
    let run = RunState {
        head: RunHead {
            run_id: SystemIds.run_id(),
            workflow_id: "visual_react_agent_f_n".into(),
            actor_id: None,
            session_id: None,
            parent_run_id: None,
            created_at: now,
        },
        status: RunStatus::Running,
        current_node: ag_kernel::Workflow::entry_node(&ReactAgent).to_owned(),
        vars: vars.as_object().cloned().expect("vars are an object"),
        waiting: None,
        output: None,
        error: None,
        updated_at: now,
    };
    let mut tick = Tick::new(run, RunAux::default(), 0, Arc::new(SystemIds));
    let (mut effects, mut waits) = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        match tick
            .step(&ReactAgent, &env)
            .expect("the loop asks the host nothing")
        {
            Stepped::Moved => {}
            Stepped::Terminal => break,
            Stepped::Waiting => {
                waits.push(tick.run.waiting.clone().expect("a wait"));
                match script.pop_front() {
                    Some(Event::Answer(payload)) => tick.resume(payload, None, now),
                    Some(Event::Result(kind, _)) => panic!("waits, but the script has a result of {kind:?}"),
                    None => break,
                }
            }
            Stepped::Effect(request) => {
                let open = request.open;
                let result = match script.pop_front() {
                    Some(Event::Result(kind, result)) if kind == open.kind => result,
                    _ => panic!(
                        "unexpected {:?} at {}: {:?}",
                        open.kind, open.node_id, open.payload
                    ),
                };
                effects.push((open.node_id, open.kind, open.payload));
                tick.apply(Outcome::Done { result, state: None }, Vec::new(), &env);
            }
        }
    }
    assert!(script.is_empty(), "the run ended early: {:?}", tick.run.error);
    let rows = tick.take_writes().records.iter().map(|line| row(line)).collect();
    Played {
        run: tick.run,
        effects,
        waits,
        rows,
    }
}

fn row(line: &str) -> String {
    let record: Value = serde_json::from_str(line).expect("a record");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!(
        "{} {} {}",
        text(&record["node_id"]),
        text(&record["status"]),
        text(&record["effect"]["type"])
    )
}
