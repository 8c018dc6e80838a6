//! Where the loop keeps things in `vars`.

use ag_kernel::{StepEnv, vars};
use ag_pyvalue::{opt_int, opt_str, pystr};
use ag_types::Object;
use serde_json::{Value, json};

/// Iterations when neither `_limits` nor the scratchpad says otherwise.
const DEFAULT_MAX_ITERATIONS: i64 = 25;

/// Member of an assistant message with calls: see [`super::reply::Reply::thinking_blocks`].
pub(super) const THINKING_BLOCKS: &str = "thinking_blocks";

/// The section `name` of the variables, created where it is missing.
pub(super) fn section<'v>(vars: &'v mut Object, name: &str) -> &'v mut Object {
    vars::object_at(vars, name)
}

/// Member `key` of section `name`.
pub(super) fn member<'v>(vars: &'v Object, name: &str, key: &str) -> Option<&'v Value> {
    vars.get(name)?.get(key).filter(|value| !value.is_null())
}

/// Takes a value that one node leaves for the next.
pub(super) fn take_temp(vars: &mut Object, key: &str) -> Value {
    section(vars, "_temp").shift_remove(key).unwrap_or_default()
}

/// Leaves a value for the next node.
pub(super) fn set_temp(vars: &mut Object, key: &str, value: Value) {
    section(vars, "_temp").insert(key.to_owned(), value);
}

/// The list at `key` of section `name`, created (replacing anything else) where it is missing.
pub(super) fn list<'v>(vars: &'v mut Object, name: &str, key: &str) -> &'v mut Vec<Value> {
    let slot = section(vars, name).entry(key).or_insert_with(|| json!([]));
    if !slot.is_array() {
        *slot = json!([]);
    }
    let Value::Array(items) = slot else {
        unreachable!("made an array above")
    };
    items
}

/// The list at `key` of section `name`, empty where it is missing.
pub(super) fn items<'v>(vars: &'v Object, name: &str, key: &str) -> &'v [Value] {
    member(vars, name, key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Cycles so far.
pub(super) fn cycles(vars: &Object) -> &[Value] {
    items(vars, "scratchpad", "cycles")
}

/// The task as text.
pub(super) fn task(vars: &Object) -> String {
    member(vars, "context", "task")
        .map(|task| pystr(task).into_owned())
        .unwrap_or_default()
}

/// Number of the current iteration; 0 before the first.
pub(super) fn iteration(vars: &Object) -> i64 {
    member(vars, "scratchpad", "iteration")
        .and_then(opt_int)
        .unwrap_or(0)
        .max(0)
}

/// How many iterations this run may use.
pub(super) fn max_iterations(vars: &Object) -> i64 {
    let positive = |name| {
        member(vars, name, "max_iterations")
            .and_then(opt_int)
            .filter(|max| *max > 0)
    };
    positive("_limits")
        .or_else(|| positive("scratchpad"))
        .unwrap_or(DEFAULT_MAX_ITERATIONS)
}

/// Appends a message to the conversation. Every message gets an id, so that memory can refer to it.
pub(super) fn push_message(
    vars: &mut Object,
    env: &StepEnv<'_>,
    role: &str,
    content: String,
    metadata: Value,
    tool_calls: Option<Value>,
) {
    let mut message = Object::new();
    message.insert("role".into(), role.into());
    message.insert("content".into(), content.into());
    message.insert("timestamp".into(), env.now.to_string().into());
    let mut metadata = match metadata {
        Value::Object(metadata) => metadata,
        _ => Object::new(),
    };
    metadata.insert("message_id".into(), format!("msg_{}", env.ids.hex32()).into());
    message.insert("metadata".into(), metadata.into());
    if let Some(calls) = tool_calls {
        message.insert("tool_calls".into(), calls);
    }
    list(vars, "context", "messages").push(message.into());
}

/// Adds a member to the message appended last.
pub(super) fn add_to_last_message(vars: &mut Object, key: &str, value: Value) {
    if let Some(Value::Object(message)) = list(vars, "context", "messages").last_mut() {
        message.insert(key.to_owned(), value);
    }
}

/// Leaves a note that the next system prompt shows once.
pub(super) fn note(vars: &mut Object, text: &str) {
    list(vars, "_runtime", "inbox").push(json!({"role": "system", "content": text}));
}

/// Takes all notes: the loop's own and those that others put there (texts or `{content}`).
pub(super) fn drain_notes(vars: &mut Object) -> Vec<String> {
    let notes = std::mem::take(list(vars, "_runtime", "inbox"));
    notes
        .iter()
        .filter_map(|note| opt_str(note.get("content").unwrap_or(note)))
        .collect()
}

/// Appends a cycle.
pub(super) fn push_cycle(vars: &mut Object, thought: &str, calls: &[Value]) {
    let cycle = json!({"i": iteration(vars), "thought": thought, "tool_calls": calls, "observations": []});
    list(vars, "scratchpad", "cycles").push(cycle);
}

/// Names of the tools that the model was offered in the current turn.
pub(super) fn offered_tools(vars: &Object) -> Vec<&str> {
    items(vars, "_runtime", "tool_specs")
        .iter()
        .filter_map(|spec| text(spec, "name"))
        .collect()
}

/// A text member of an object; empty counts as absent.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// At most `max` characters, with an ellipsis where something is cut.
pub(super) fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}
