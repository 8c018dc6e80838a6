//! Tools that are effects of the agent's own run (tools contract §7). They are never gated by approval.

use ag_pyvalue::{opt_str, pystr};
use ag_types::{Effect, EffectKind, Object};
use serde_json::{Value, json};

use super::{act::RESULTS, state};

/// Iterations of a helper.
const HELPER_ITERATIONS: i64 = 10;
/// What a question without a text asks; the same words as the `ask_user` node's.
const DEFAULT_QUESTION: &str = "Please respond:";

const HELPER_INSTRUCTIONS: &str = "You are a helper of another agent and work on one delegated task. Stay within it. \
You see nothing of the other agent's conversation except what the task contains, and nobody can answer questions. \
Finish with a short answer that names the facts, files and sources it rests on.";

/// A tool that belongs to the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    AskUser,
    Delegate,
    /// An effect that takes the arguments as its payload and answers like a tool.
    Direct(EffectKind),
}

/// What a built-in call becomes.
pub(super) enum Planned {
    /// Results arrive as of ordinary tools.
    Results(Effect),
    /// The user is asked.
    Question {
        /// The question as an effect.
        effect: Effect,
        /// The question as text.
        prompt: String,
    },
    /// The arguments are not usable; the effect would fail the run, the model can correct itself.
    Refused(&'static str),
}

impl Builtin {
    /// The built-in that a call names.
    pub(super) fn of(call: &Value) -> Option<Self> {
        Some(match state::text(call, "name")? {
            "ask_user" => Self::AskUser,
            "delegate_agent" => Self::Delegate,
            "recall_memory" => Self::Direct(EffectKind::MemoryQuery),
            "inspect_vars" => Self::Direct(EffectKind::VarsQuery),
            "remember" => Self::Direct(EffectKind::MemoryTag),
            "remember_note" => Self::Direct(EffectKind::MemoryNote),
            "compact_memory" => Self::Direct(EffectKind::MemoryCompact),
            _ => return None,
        })
    }

    /// The effect of a call.
    pub(super) fn plan(self, vars: &Object, call: &Value, workflow_id: &str) -> Planned {
        let empty = Object::new();
        let arguments = call.get("arguments").and_then(Value::as_object).unwrap_or(&empty);
        match self {
            Self::AskUser => ask_user(arguments),
            Self::Delegate => delegate(vars, call, arguments, workflow_id),
            Self::Direct(kind) => direct(kind, call, arguments),
        }
    }
}

fn results(kind: EffectKind, payload: Object) -> Planned {
    Planned::Results(Effect {
        kind,
        payload,
        result_key: Some(RESULTS.into()),
    })
}

fn ask_user(arguments: &Object) -> Planned {
    let question = arguments
        .get("question")
        .filter(|text| !text.is_null())
        .map(|text| pystr(text).trim().to_owned());
    let prompt = question
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| DEFAULT_QUESTION.to_owned());
    let mut payload = Object::new();
    payload.insert("prompt".into(), prompt.clone().into());
    let choices = arguments
        .get("choices")
        .filter(|choices| choices.as_array().is_some_and(|list| !list.is_empty()));
    payload.insert("choices".into(), choices.cloned().unwrap_or_default());
    payload.insert("allow_free_text".into(), true.into());
    let effect = Effect {
        kind: EffectKind::AskUser,
        payload,
        result_key: Some("_temp.user_response".into()),
    };
    Planned::Question { effect, prompt }
}

fn direct(kind: EffectKind, call: &Value, arguments: &Object) -> Planned {
    let has_text = |key: &str| arguments.get(key).is_some_and(|value| opt_str(value).is_some());
    let is_filled = |key: &str| {
        arguments
            .get(key)
            .and_then(Value::as_object)
            .is_some_and(|map| !map.is_empty())
    };
    let names_span = || has_text("span_id") || arguments.get("span_id").is_some_and(Value::is_number);
    let lacking = match kind {
        EffectKind::MemoryNote if !has_text("note") => {
            Some("MEMORY_NOTE requires payload.note (non-empty string)")
        }
        EffectKind::MemoryTag if !names_span() => Some("MEMORY_TAG requires payload.span_id"),
        EffectKind::MemoryTag if !is_filled("tags") => {
            Some("MEMORY_TAG requires payload.tags as a non-empty dict[str,str]")
        }
        _ => None,
    };
    if let Some(text) = lacking {
        return Planned::Refused(text);
    }
    let mut payload = arguments.clone();
    payload.insert("tool_name".into(), call["name"].clone());
    payload.insert("call_id".into(), call["call_id"].clone());
    results(kind, payload)
}

/// A run of the same loop with the task alone. It gets no tool that this agent lacks, cannot delegate further and
/// cannot ask the user.
fn delegate(vars: &Object, call: &Value, arguments: &Object, workflow_id: &str) -> Planned {
    let text = |key: &str| arguments.get(key).and_then(opt_str);
    let Some(mut task) = text("task") else {
        return Planned::Refused("delegate_agent requires a non-empty task");
    };
    if let Some(context) = text("context") {
        task = format!("{task}\n\nContext:\n{context}");
    }
    let asked: Option<Vec<String>> = arguments
        .get("tools")
        .and_then(Value::as_array)
        .map(|tools| tools.iter().filter_map(opt_str).collect());
    let mut tools = state::offered_tools(vars);
    tools.retain(|tool| {
        !matches!(*tool, "delegate_agent" | "ask_user")
            && asked
                .as_ref()
                .is_none_or(|asked| asked.iter().any(|name| name == tool))
    });

    let mut runtime = Object::new();
    runtime.insert("inbox".into(), json!([]));
    for key in ["provider", "model"] {
        if let Some(value) = state::member(vars, "_runtime", key) {
            runtime.insert(key.into(), value.clone());
        }
    }
    runtime.insert("allowed_tools".into(), json!(tools));
    runtime.insert("system_prompt_extra".into(), HELPER_INSTRUCTIONS.into());
    let child = json!({
        "context": {"task": task, "messages": []},
        "scratchpad": {"iteration": 0, "max_iterations": HELPER_ITERATIONS},
        "_runtime": runtime,
        "_temp": {},
        "_limits": {"max_iterations": HELPER_ITERATIONS},
    });
    let mut payload = Object::new();
    payload.insert("workflow_id".into(), workflow_id.into());
    payload.insert("vars".into(), child);
    payload.insert("async".into(), false.into());
    payload.insert("include_traces".into(), false.into());
    payload.insert("wrap_as_tool_result".into(), true.into());
    payload.insert("tool_name".into(), "delegate_agent".into());
    payload.insert("call_id".into(), call["call_id"].clone());
    results(EffectKind::StartSubworkflow, payload)
}
