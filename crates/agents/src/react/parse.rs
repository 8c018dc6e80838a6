//! Node `parse`: tools, another try, or the answer.

use ag_kernel::{StepEnv, StepPlan};
use ag_pyvalue::{coerce_bool, dumps_unicode};
use ag_types::Object;
use serde_json::{Value, json};

use super::{intent, nodes, reply::Reply, state};

/// Tools whose repetition does something a second time.
const SIDE_EFFECT_TOOLS: [&str; 7] = [
    "write_file",
    "edit_file",
    "execute_command",
    "send_email",
    "send_whatsapp_message",
    "send_telegram_message",
    "send_telegram_artifact",
];

const NOTE_REPEATED: &str = "These exact tool calls were executed successfully in the previous step and were not run \
again. Use the results you have: go on with the next step or give the final answer.";
const NOTE_CUT_OFF: &str = "Your last reply was cut off by the output limit. Reply again, shorter; write large content \
in several smaller steps.";
const NOTE_EMPTY: &str = "Your last reply was empty. Call a tool, or give the final answer as text.";
const NOTE_ANNOUNCED: &str = "Your last reply announced an action without performing it. Call the tool now, or give \
the final answer if nothing is left to do.";

/// Reads the reply and decides where the loop goes.
pub(super) fn parse(vars: &mut Object, env: &StepEnv<'_>) -> StepPlan {
    let response = state::take_temp(vars, "llm_response");
    let iteration = state::iteration(vars);
    let reply = Reply::read(&response, iteration);
    if !reply.calls.is_empty() {
        return call_tools(vars, reply, iteration, env);
    }
    state::push_cycle(vars, &reply.content, &[]);
    let again = if reply.cut_off {
        Some(NOTE_CUT_OFF)
    } else if reply.content.is_empty() {
        Some(NOTE_EMPTY)
    } else if announces_action(vars, &reply.content, iteration) {
        Some(NOTE_ANNOUNCED)
    } else {
        None
    };
    if let Some(text) = again {
        state::note(vars, text);
        return StepPlan::goto(nodes::REASON);
    }
    state::set_temp(vars, "final_answer", reply.content.into());
    StepPlan::goto(nodes::DONE)
}

fn call_tools(vars: &mut Object, reply: Reply, iteration: i64, env: &StepEnv<'_>) -> StepPlan {
    if repeats_side_effect(state::cycles(vars), &reply.calls) {
        // Kept without its calls, so that a third try is compared with the cycle that did run.
        state::push_cycle(vars, &reply.content, &[]);
        state::note(vars, NOTE_REPEATED);
        return StepPlan::goto(nodes::REASON);
    }
    state::push_cycle(vars, &reply.content, &reply.calls);
    let wire: Vec<Value> = reply.calls.iter().map(wire_call).collect();
    let metadata = json!({"kind": "tool_calls", "cycle": iteration});
    state::push_message(vars, env, "assistant", String::new(), metadata, Some(wire.into()));
    if !reply.thinking_blocks.is_empty() {
        state::add_to_last_message(vars, state::THINKING_BLOCKS, reply.thinking_blocks.into());
    }
    state::set_temp(vars, "pending_tool_calls", reply.calls.into());
    StepPlan::goto(nodes::ACT)
}

/// A call as prior turns are sent to models.
fn wire_call(call: &Value) -> Value {
    let arguments = dumps_unicode(&call["arguments"]);
    json!({"type": "function", "id": call["call_id"], "function": {"name": call["name"], "arguments": arguments}})
}

/// True when the calls equal those of the last cycle that had any, all of which succeeded, and doing them again
/// would change something again.
fn repeats_side_effect(cycles: &[Value], calls: &[Value]) -> bool {
    fn list<'v>(cycle: &'v Value, key: &str) -> &'v [Value] {
        cycle
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
    let changes_something =
        |call: &Value| state::text(call, "name").is_some_and(|name| SIDE_EFFECT_TOOLS.contains(&name));
    if !calls.iter().any(changes_something) {
        return false;
    }
    let Some(previous) = cycles
        .iter()
        .rev()
        .find(|cycle| !list(cycle, "tool_calls").is_empty())
    else {
        return false;
    };
    let (earlier, seen) = (list(previous, "tool_calls"), list(previous, "observations"));
    let is_same = |(a, b): (&Value, &Value)| a["name"] == b["name"] && a["arguments"] == b["arguments"];
    earlier.len() == calls.len()
        && earlier.iter().zip(calls).all(is_same)
        && !seen.is_empty()
        && seen
            .iter()
            .all(|seen| seen.get("success") == Some(&Value::Bool(true)))
}

/// True when the text only says what the agent is about to do although it could still do it. Without tools there is
/// nothing it could do instead, so its text stands.
fn announces_action(vars: &Object, text: &str, iteration: i64) -> bool {
    let enabled = state::member(vars, "_runtime", "check_plan")
        .and_then(coerce_bool)
        .unwrap_or(true);
    enabled
        && iteration < state::max_iterations(vars)
        && !state::offered_tools(vars).is_empty()
        && intent::announces_action(text)
}
