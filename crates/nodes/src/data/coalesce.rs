//! `coalesce`: the first input, in pin order, that is not null.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "coalesce",
        title: "Coalesce",
        family: "data",
        doc: "The first input, in pin order, that is not null.",
        inputs: &[pin("a", "any"), pin("b", "any")],
        outputs: &[pin("result", "any")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let value = variadic(inputs).into_iter().find(|value| !value.is_null());
    Ok(result(value.cloned().unwrap_or_default()))
}
