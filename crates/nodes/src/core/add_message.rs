//! `add_message`: appends a message to the conversation context of the run.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "add_message",
        title: "Add Message",
        family: "core",
        doc: "Appends a message to the conversation context of the run.",
        inputs: &[pin("role", "string"), pin("content", "string")],
        outputs: &[
            pin("message", "object"),
            pin("context", "object"),
            pin("task", "string"),
            pin("messages", "array"),
        ],
        ..STRICT_FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let message = json!({
        "role": opt_text(inputs, "role").unwrap_or_else(|| "user".to_owned()),
        "content": text_or_blank(inputs, "content"),
        "timestamp": ctx.env.now.to_string(),
        "metadata": {"message_id": format!("msg_{}", ctx.env.ids.hex32())},
    });
    let context = vars::object_at(ctx.vars, "context");
    let messages = context.entry("messages").or_insert_with(|| json!([]));
    match messages {
        Value::Array(messages) => messages.push(message.clone()),
        other => *other = json!([message]),
    }
    let messages = context.get("messages").cloned().unwrap_or_default();
    let task = context
        .get("task")
        .filter(|task| !task.is_null())
        .map(pystr)
        .unwrap_or_default();
    let value = json!({"message": message, "context": context, "task": task, "messages": messages});
    let terminal = ctx
        .next
        .is_none()
        .then(|| json!({"success": true, "message": value["message"]}));
    Ok(FunctionResult {
        keep_last: true,
        terminal,
        ..FunctionResult::of(value)
    })
}
