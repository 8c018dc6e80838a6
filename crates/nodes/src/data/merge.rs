//! `merge`: merges two objects; keys of the second win.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "merge",
        title: "Merge Objects",
        family: "data",
        doc: "Merges two objects; keys of the second win.",
        inputs: &[pin("a", "object"), pin("b", "object")],
        outputs: &[pin("result", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let side = |pin| {
        inputs
            .get(pin)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let mut merged = side("a");
    merged.extend(side("b"));
    Ok(result(merged))
}
