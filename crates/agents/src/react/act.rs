//! Node `act`: the next effect of the queue of calls.

use ag_kernel::{StepEnv, StepPlan};
use ag_types::{Effect, EffectKind, Object};
use serde_json::{Value, json};

use super::{
    builtin::{Builtin, Planned},
    nodes, state,
};

/// Where results of calls are left for `observe`.
pub(super) const RESULTS: &str = "_temp.tool_results";
/// Member of `_temp` that names the calls whose results `observe` will find, as `{name, call_id}`.
pub(super) const CALLS_MADE: &str = "calls_made";

/// Takes calls off the head of the queue: one built-in, or all ordinary ones before the next built-in.
pub(super) fn act(vars: &mut Object, workflow_id: &str, env: &StepEnv<'_>) -> StepPlan {
    let Value::Array(mut queue) = state::take_temp(vars, "pending_tool_calls") else {
        return StepPlan::goto(nodes::REASON);
    };
    let is_ordinary = |call: &Value| Builtin::of(call).is_none();
    let Some(head) = queue.first() else {
        return StepPlan::goto(nodes::REASON);
    };
    let Some(builtin) = Builtin::of(head) else {
        let count = queue.iter().take_while(|call| is_ordinary(call)).count();
        let rest = queue.split_off(count);
        state::set_temp(vars, "pending_tool_calls", rest.into());
        note_made(vars, &queue);
        let mut payload = Object::new();
        payload.insert("tool_calls".into(), queue.into());
        payload.insert("allowed_tools".into(), json!(state::offered_tools(vars)));
        let effect = Effect {
            kind: EffectKind::ToolCalls,
            payload,
            result_key: Some(RESULTS.into()),
        };
        return StepPlan::effect(effect, Some(nodes::OBSERVE.into()));
    };
    let call = queue.remove(0);
    state::set_temp(vars, "pending_tool_calls", queue.into());
    let name = state::text(&call, "name").unwrap_or_default();
    if !state::offered_tools(vars).contains(&name) {
        return refuse(
            vars,
            &call,
            &format!("Tool '{name}' is not allowed for this agent"),
        );
    }
    match builtin.plan(vars, &call, workflow_id) {
        Planned::Refused(text) => refuse(vars, &call, text),
        Planned::Results(effect) => {
            note_made(vars, std::slice::from_ref(&call));
            StepPlan::effect(effect, Some(nodes::OBSERVE.into()))
        }
        Planned::Question { effect, prompt } => {
            let metadata = json!({"kind": "ask_user_prompt"});
            state::push_message(
                vars,
                env,
                "assistant",
                format!("[Agent question]: {prompt}"),
                metadata,
                None,
            );
            StepPlan::effect(effect, Some(nodes::HANDLE_USER_RESPONSE.into()))
        }
    }
}

fn note_made(vars: &mut Object, calls: &[Value]) {
    let made: Vec<Value> = calls
        .iter()
        .map(|call| json!({"name": call["name"], "call_id": call["call_id"]}))
        .collect();
    state::set_temp(vars, CALLS_MADE, made.into());
}

/// The result of a call that is not made.
fn refuse(vars: &mut Object, call: &Value, error: &str) -> StepPlan {
    let result = json!({
        "call_id": call["call_id"], "name": call["name"], "success": false, "output": null, "error": error,
    });
    state::set_temp(
        vars,
        "tool_results",
        json!({"mode": "executed", "results": [result]}),
    );
    StepPlan::goto(nodes::OBSERVE)
}
