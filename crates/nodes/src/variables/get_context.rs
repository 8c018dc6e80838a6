//! `get_context`: the conversation context of the run.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "get_context",
        title: "Get Context",
        family: "variables",
        doc: "The conversation context of the run.",
        inputs: &[],
        outputs: &[
            pin("context", "object"),
            pin("task", "string"),
            pin("messages", "array"),
        ],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(_inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let context = ctx
        .vars
        .get("context")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let task = context
        .get("task")
        .filter(|task| !task.is_null())
        .map(pystr)
        .unwrap_or_default()
        .into_owned();
    let messages = context
        .get("messages")
        .filter(|messages| messages.is_array())
        .cloned()
        .unwrap_or(json!([]));
    Ok(json!({"context": context, "task": task, "messages": messages}))
}
