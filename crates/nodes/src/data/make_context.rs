//! `make_context`: A conversation context of a task, messages and further fields.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "make_context",
        title: "Make Context",
        family: "data",
        doc: "A conversation context of a task, messages and further fields.",
        inputs: &[
            pin("task", "string"),
            pin("messages", "array"),
            pin("context_extra", "object"),
        ],
        outputs: &[pin("context", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut context = inputs
        .get("context_extra")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    context.insert("task".to_owned(), text_or_blank(inputs, "task").into());
    context.insert("messages".to_owned(), super::list(inputs.get("messages")));
    Ok(one("context", Value::Object(context)))
}
