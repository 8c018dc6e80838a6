//! `on_agent_message`: entry for a message of an agent; passes on sender and message without waiting.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "on_agent_message",
        title: "On Agent Message",
        family: "events",
        doc: "Entry for a message of an agent; passes on sender and message without waiting.",
        inputs: &[],
        outputs: &[
            pin("sender", "agent"),
            pin("message", "string"),
            pin("channel", "string"),
        ],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let channel = inputs
        .config
        .section("eventConfig", "channel")
        .cloned()
        .unwrap_or(json!(""));
    let field = |pin, empty| inputs.non_null(pin).cloned().unwrap_or(empty);
    Ok(FunctionResult::of(json!({
        "sender": field("sender", json!("unknown")),
        "message": field("message", json!("")),
        "channel": channel,
    })))
}
