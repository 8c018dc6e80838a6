//! Nodes `init` and `reason`.

use ag_kernel::{StepEnv, StepPlan};
use ag_pyvalue::{canonical_sha256_hex, opt_str};
use ag_types::{Effect, EffectKind, Object};
use serde_json::{Value, json};

use super::{nodes, prompt, request, state};

/// Prepares the run: counters, limits, and the task as the last user message.
pub(super) fn init(vars: &mut Object, env: &StepEnv<'_>) -> StepPlan {
    let max = state::max_iterations(vars);
    let scratchpad = state::section(vars, "scratchpad");
    scratchpad.insert("iteration".into(), 0.into());
    scratchpad.insert("max_iterations".into(), max.into());
    scratchpad.insert("cycles".into(), json!([]));
    scratchpad.insert("used_tools".into(), false.into());
    // The loop manages its own context, so nothing below it may trim messages or cap replies by default.
    state::section(vars, "_runtime").insert("disable_input_trimming".into(), true.into());
    let limits = state::section(vars, "_limits");
    limits.insert("max_output_tokens".into(), Value::Null);
    limits.insert("max_input_tokens".into(), Value::Null);
    limits.insert("max_history_messages".into(), (-1).into());

    let task = state::task(vars);
    let is_last = state::list(vars, "context", "messages")
        .last()
        .is_some_and(|last| {
            state::text(last, "role") == Some("user")
                && last.get("content").and_then(Value::as_str) == Some(&task)
        });
    if !task.trim().is_empty() && !is_last {
        state::push_message(vars, env, "user", task, json!({}), None);
    }
    StepPlan::goto(nodes::REASON)
}

/// Asks the model, or goes to the end when the iterations are used up.
pub(super) fn reason(vars: &mut Object, env: &StepEnv<'_>) -> StepPlan {
    let max = state::max_iterations(vars);
    let iteration = state::iteration(vars) + 1;
    if iteration > max {
        return StepPlan::goto(nodes::MAX_ITERATIONS);
    }
    let scratchpad = state::section(vars, "scratchpad");
    scratchpad.insert("iteration".into(), iteration.into());
    scratchpad.insert("max_iterations".into(), max.into());
    state::section(vars, "_limits").insert("current_iteration".into(), iteration.into());

    let notes = state::drain_notes(vars);
    let tools = refresh_tools(vars, env);
    let system = prompt::for_turn(vars, iteration, max, &notes, !tools.is_empty());
    let temperature = if tools.is_empty() { 0.7 } else { 0.2 };
    let payload = request::payload(vars, system, tools, request::temperature(vars, temperature));
    StepPlan::effect(
        Effect {
            kind: EffectKind::LlmCall,
            payload,
            result_key: Some("_temp.llm_response".into()),
        },
        Some(nodes::PARSE.into()),
    )
}

/// Describes the allowed tools that exist now and keeps that in `_runtime`: a tool that vanished or was renamed
/// since the flow was written is not offered.
fn refresh_tools(vars: &mut Object, env: &StepEnv<'_>) -> Vec<Value> {
    let names = match state::member(vars, "_runtime", "allowed_tools").and_then(Value::as_array) {
        Some(names) => names.iter().filter_map(opt_str).collect(),
        None => env.tools.names(),
    };
    let mut specs: Vec<(String, Value)> = Vec::new();
    for name in names {
        if specs.iter().any(|(known, _)| *known == name) {
            continue;
        }
        if let Some(spec) = env.tools.spec(&name) {
            specs.push((name, spec));
        }
    }
    let in_order: Vec<Value> = specs.iter().map(|(_, spec)| spec.clone()).collect();
    specs.sort_by(|a, b| a.0.cmp(&b.0));
    let sorted = Value::Array(specs.into_iter().map(|(_, spec)| spec).collect());
    let runtime = state::section(vars, "_runtime");
    runtime.insert(
        "toolset_id".into(),
        format!("ts_{}", canonical_sha256_hex(&sorted)).into(),
    );
    runtime.insert("tool_specs".into(), in_order.clone().into());
    in_order
}
