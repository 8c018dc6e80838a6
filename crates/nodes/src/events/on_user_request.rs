//! `on_user_request`: entry for a user's request; passes on message and context without waiting.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "on_user_request",
        title: "On User Request",
        family: "events",
        doc: "Entry for a user's request; passes on message and context without waiting.",
        inputs: &[],
        outputs: &[pin("message", "string"), pin("context", "object")],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let field = |pin, empty| {
        inputs
            .get(pin)
            .filter(|value| truthy(value))
            .cloned()
            .unwrap_or(empty)
    };
    Ok(FunctionResult::of(
        json!({"message": field("message", json!("")), "context": field("context", json!({}))}),
    ))
}
