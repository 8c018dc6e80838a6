//! `if`: takes the true or the false branch.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "if",
        title: "If/Else",
        family: "control",
        doc: "Takes the true or the false branch.",
        inputs: &[pin("condition", "boolean")],
        outputs: &[],
        ..FUNCTION
    },
    behaviour: Behaviour::Branch(choose),
};

fn choose(inputs: &Inputs<'_>, _ctx: &NodeCtx<'_>) -> Result<(String, Value), Interrupt> {
    let condition = inputs.get("condition").unwrap_or(&Value::Null);
    let branch = if truthy(condition) { "true" } else { "false" };
    Ok((
        branch.to_owned(),
        json!({"branch": branch, "condition": condition}),
    ))
}
