//! Recorded flows through compiler, executor and node types.
//!
//! Each line of `data/golden_flows.jsonl` is a flow with its input, the effects that the recorded run asked for (with
//! the results they had) and how the run ended. A small driver stands in for kernel and handlers: it compares every
//! payload and hands the recorded result back. Texts in angle brackets stand for values that differ from run to run.

use std::collections::VecDeque;

use ag_kernel::{HostAnswers, HostOp, Interrupt, StepEnv, ToolCatalogue, Workflow as _, vars::set_path};
use ag_nodes::Registry;
use ag_types::{EffectKind, RunHead, RunId, RunState, RunStatus, SystemClock, SystemIds, Timestamp};
use serde_json::{Map, Value, json};

const CASES: &str = include_str!("data/golden_flows.jsonl");

/// Steps of the longest recorded flow, with room.
const MAX_STEPS: usize = 60_000;

struct Tools;

impl ToolCatalogue for Tools {
    fn spec(&self, name: &str) -> Option<Value> {
        (name != "nonexistent_tool").then(|| json!({"name": name, "description": "", "parameters": {}}))
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn recorded_flows_behave_as_recorded() {
    let mut failures = Vec::new();
    let cases: Vec<Value> = CASES
        .lines()
        .map(|line| serde_json::from_str(line).expect("a case"))
        .collect();
    assert!(cases.len() > 100, "the recorded flows are there");
    for case in &cases {
        if let Err(difference) = replay(case) {
            failures.push(format!(
                "{}: {difference}",
                case["name"].as_str().unwrap_or_default()
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} differ:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

/// Runs one flow and names the first difference.
fn replay(case: &Value) -> Result<(), String> {
    let workflow = format!("vec-{}@1.0.0:main", case["name"].as_str().unwrap_or_default());
    let program = match ag_visualflow::compile(&case["flow"], &workflow, &Registry, None) {
        Ok(program) => program,
        Err(error) => return ended(case, Err(format!("ValueError: {error}"))),
    };
    let mut run = start(case, &workflow, program.entry_node());
    let mut recorded: VecDeque<&Value> = case["steps"].as_array().into_iter().flatten().collect();
    let mut answers = HostAnswers::default();
    let zone = jiff::tz::TimeZone::UTC;
    for _ in 0..MAX_STEPS {
        let env = StepEnv {
            now: Timestamp::from_micros(1_795_174_322_790_001),
            zone: &zone,
            locale: "en_US",
            ids: &SystemIds,
            clock: &SystemClock,
            host: &answers,
            tools: &Tools,
        };
        let plan = match program.plan(&mut run, &env) {
            Ok(plan) => plan,
            Err(Interrupt::Host(call)) if call.op == HostOp::WriteFile => {
                answers.push(*call, Ok(json!({})));
                continue;
            }
            Err(Interrupt::Host(call)) => return Err(format!("asks {:?}", call.op)),
            Err(Interrupt::Raise(error)) => {
                return ended(case, Err(error.to_string())).and(all_used(&recorded));
            }
        };
        answers.clear();
        if let Some(output) = plan.complete {
            return ended(case, Ok(output)).and(all_used(&recorded));
        }
        let mut next = plan.next_node;
        if let Some(effect) = plan.effect {
            let step = recorded
                .pop_front()
                .ok_or_else(|| format!("one effect too many: {}", effect.kind.as_str()))?;
            same_effect(step, &run.current_node, effect.kind, &effect.payload)?;
            if let Some(error) = step["error"].as_str() {
                let error = Err(format!("Effect failed after 1 attempts: {error}"));
                return ended(case, error).and(all_used(&recorded));
            }
            if let (Some(result), Some(key)) = (step.get("result"), &effect.result_key) {
                set_path(&mut run.vars, key, result.clone());
            }
            let output = json!({"success": true, "result": step["result"]});
            match next {
                Some(_) => {}
                None => return ended(case, Ok(output)).and(all_used(&recorded)),
            }
        }
        let next = next.take().ok_or("a plan that leads nowhere")?;
        set_path(
            &mut run.vars,
            "_temp.prev_node_id",
            run.current_node.as_str().into(),
        );
        run.current_node = next;
    }
    Err("the run does not end".to_owned())
}

fn all_used(recorded: &VecDeque<&Value>) -> Result<(), String> {
    match recorded.front() {
        None => Ok(()),
        Some(step) => Err(format!("misses the effect {step}")),
    }
}

fn start(case: &Value, workflow: &str, entry: &str) -> RunState {
    let mut vars = case["input"].as_object().cloned().unwrap_or_default();
    vars.insert("workspace_root".to_owned(), "<workspace>".into());
    vars.insert(
        "_runtime".to_owned(),
        json!({"provider": "openai-compatible", "model": "gpt-4o-mini"}),
    );
    let limits = json!({"max_iterations": 50, "current_iteration": 0, "max_tokens": 128000,
        "max_output_tokens": 16000, "max_input_tokens": null, "estimated_tokens_used": 0, "max_history_messages": -1,
        "warn_iterations_pct": 80, "warn_tokens_pct": 80});
    vars.insert("_limits".to_owned(), limits);
    let now = Timestamp::from_micros(0);
    RunState {
        head: RunHead {
            run_id: RunId(uuid::Uuid::nil()),
            workflow_id: workflow.into(),
            actor_id: Some("gateway".into()),
            session_id: None,
            parent_run_id: None,
            created_at: now,
        },
        status: RunStatus::Running,
        current_node: entry.to_owned(),
        vars,
        waiting: None,
        output: None,
        error: None,
        updated_at: now,
    }
}

fn ended(case: &Value, outcome: Result<Value, String>) -> Result<(), String> {
    let same = match (&outcome, case.get("output"), case["error"].as_str()) {
        (Ok(output), Some(expected), _) => fits(expected, output),
        (Err(error), _, Some(expected)) => fits(&expected.into(), &error.as_str().into()),
        _ => false,
    };
    if same {
        Ok(())
    } else {
        Err(format!(
            "ends with {outcome:?}, recorded {} {}",
            case["output"], case["error"]
        ))
    }
}

fn same_effect(
    step: &Value,
    node: &str,
    kind: EffectKind,
    payload: &Map<String, Value>,
) -> Result<(), String> {
    if step["node"] != node || step["kind"] != kind.as_str() {
        return Err(format!(
            "{node} asks for {}, recorded {} {}",
            kind.as_str(),
            step["node"],
            step["kind"]
        ));
    }
    let found = match kind {
        EffectKind::LlmCall => projected(payload),
        _ => Value::Object(payload.clone()),
    };
    if fits(&step["payload"], &found) {
        Ok(())
    } else {
        Err(format!("{node}: payload {found}, recorded {}", step["payload"]))
    }
}

/// The part of a model call that the recordings keep.
fn projected(payload: &Map<String, Value>) -> Value {
    let mut kept = Map::new();
    for key in [
        "provider",
        "model",
        "response_schema",
        "output",
        "prompt",
        "system_prompt",
    ] {
        kept.extend(payload.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    let params = payload
        .get("params")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let params = params
        .filter(|(key, _)| ["temperature", "seed", "max_output_tokens", "thinking"].contains(&key.as_str()));
    kept.insert(
        "params".to_owned(),
        params.map(|(key, value)| (key.clone(), value.clone())).collect(),
    );
    let tools = payload
        .get("tools")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    kept.insert(
        "tools".to_owned(),
        tools.map(|tool| tool["name"].clone()).collect(),
    );
    if let Some(messages) = payload.get("messages").and_then(Value::as_array) {
        let message = |message: &Value| json!({"role": message["role"], "content": message["content"]});
        kept.insert("messages".to_owned(), messages.iter().map(message).collect());
    }
    Value::Object(kept)
}

/// Equality up to the order of keys and to texts that stand for changing values.
fn fits(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(text), _) if text.contains('<') && text.contains('>') => true,
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|found| fits(value, found)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fits(a, b)),
        _ => expected == found,
    }
}
