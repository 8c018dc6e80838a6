//! `make_scratchpad`: A scratchpad in the form that agents report.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "make_scratchpad",
        title: "Make Scratchpad",
        family: "data",
        doc: "A scratchpad in the form that agents report.",
        inputs: &[
            pin("sub_run_id", "string"),
            pin("workflow_id", "string"),
            pin("task", "string"),
            pin("messages", "array"),
            pin("context_extra", "object"),
            pin("node_traces", "object"),
            pin("steps", "array"),
            pin("tool_calls", "array"),
            pin("tool_results", "array"),
        ],
        outputs: &[pin("scratchpad", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut pad = Object::new();
    for pin in ["sub_run_id", "workflow_id"] {
        pad.extend(opt_text(inputs, pin).map(|id| (pin.to_owned(), id.into())));
    }
    pad.insert("task".to_owned(), text_or_blank(inputs, "task").into());
    pad.insert("messages".to_owned(), super::list(inputs.get("messages")));
    let object = |pin| inputs.get(pin).and_then(Value::as_object).cloned();
    pad.extend(
        object("context_extra")
            .filter(|extra| !extra.is_empty())
            .map(|x| ("context_extra".to_owned(), x.into())),
    );
    pad.insert(
        "node_traces".to_owned(),
        object("node_traces").unwrap_or_default().into(),
    );
    for pin in ["steps", "tool_calls", "tool_results"] {
        pad.insert(pin.to_owned(), super::list(inputs.get(pin)));
    }
    Ok(one("scratchpad", Value::Object(pad)))
}
