//! Nodes `done` and `max_iterations`: the end of the run.

use ag_kernel::{StepEnv, StepPlan};
use ag_types::{Effect, EffectKind, Object};
use serde_json::{Value, json};

use super::{
    markup, nodes, prompt,
    reply::Reply,
    report::{self, Excerpt},
    request, state,
};

const LIMIT_RESPONSE: &str = "max_iterations_llm_response";
/// How often the closing answer was asked for: a reply that was not stored must not make the node ask forever.
const LIMIT_ASKED: &str = "max_iterations_asked";
/// Low: the closing answer reports, it does not invent.
const LIMIT_TEMPERATURE: f64 = 0.2;

/// Completes with the answer that `parse` left.
pub(super) fn done(vars: &mut Object, env: &StepEnv<'_>) -> StepPlan {
    let answer = match state::take_temp(vars, "final_answer") {
        Value::String(answer) => answer,
        _ => String::new(),
    };
    complete(vars, &answer, env)
}

/// Asks the model for a closing answer without tools (twice where it still tries to call one), then completes.
pub(super) fn max_iterations(vars: &mut Object, env: &StepEnv<'_>) -> StepPlan {
    let asked = state::member(vars, "_temp", LIMIT_ASKED)
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if asked == 0 {
        return ask(vars, 1);
    }
    let response = state::take_temp(vars, LIMIT_RESPONSE);
    let reply = Reply::read(&response, state::iteration(vars));
    let wants_tools = !reply.calls.is_empty() || markup::contains(&reply.content);
    if wants_tools && asked == 1 {
        return ask(vars, 2);
    }
    state::take_temp(vars, LIMIT_ASKED);
    let mut answer = markup::strip(&reply.content);
    if answer.is_empty() {
        answer = fallback(vars);
    }
    complete(vars, &answer, env)
}

fn ask(vars: &mut Object, count: i64) -> StepPlan {
    state::set_temp(vars, LIMIT_ASKED, count.into());
    // Notes of the last iteration speak of tools, which are over.
    state::drain_notes(vars);
    let system = prompt::for_limit(vars, count > 1);
    let payload = request::payload(vars, system, Vec::new(), json!(LIMIT_TEMPERATURE));
    let key = format!("_temp.{LIMIT_RESPONSE}");
    StepPlan::effect(
        Effect {
            kind: EffectKind::LlmCall,
            payload,
            result_key: Some(key),
        },
        Some(nodes::MAX_ITERATIONS.into()),
    )
}

/// An answer made of what the scratchpad holds, for a model that has none.
fn fallback(vars: &Object) -> String {
    let task = state::clip(&state::task(vars), 600);
    let mut text = "Max iterations reached. The work stopped before a final answer was found.".to_owned();
    if !task.is_empty() {
        text.push_str(&format!("\n\nTask: {task}"));
    }
    let cycles = report::scratchpad(
        state::cycles(vars),
        Excerpt {
            cycles: 3,
            thought: 300,
            observation: 300,
        },
    );
    if !cycles.is_empty() {
        text.push_str(&format!("\n\nLast steps:\n{}", cycles.trim_end()));
    }
    text
}

fn complete(vars: &mut Object, answer: &str, env: &StepEnv<'_>) -> StepPlan {
    state::push_message(
        vars,
        env,
        "assistant",
        answer.to_owned(),
        json!({"kind": "final_answer"}),
        None,
    );
    let report = report::report(&state::task(vars), state::cycles(vars));
    StepPlan::complete(json!({
        "answer": answer,
        "report": report,
        "iterations": state::iteration(vars),
        "messages": state::items(vars, "context", "messages"),
        "scratchpad": vars.get("scratchpad"),
    }))
}
