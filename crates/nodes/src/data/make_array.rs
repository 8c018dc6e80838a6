//! `make_array`: A list of the inputs in pin order, nulls left out.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "make_array",
        title: "Make Array",
        family: "data",
        doc: "A list of the inputs in pin order, nulls left out.",
        inputs: &[pin("a", "any")],
        outputs: &[pin("result", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let items = variadic(inputs).into_iter().filter(|value| !value.is_null());
    Ok(result(items.cloned().collect::<Vec<_>>()))
}
