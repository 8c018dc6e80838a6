//! `make_object`: an object of all inputs whose name does not begin with an underscore.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "make_object",
        title: "Build JSON",
        family: "data",
        doc: "An object of all inputs whose name does not begin with an underscore.",
        inputs: &[pin("value", "any")],
        outputs: &[pin("result", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let fields = inputs.values.iter().filter(|(pin, _)| !pin.starts_with('_'));
    Ok(result(
        fields
            .map(|(pin, value)| (pin.clone(), value.clone()))
            .collect::<Object>(),
    ))
}
