//! `substring`: part of a text by code points; negative positions count from the end.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "substring",
        title: "Substring",
        family: "text",
        doc: "Part of a text by code points; negative positions count from the end.",
        inputs: &[
            pin("text", "string"),
            pin("start", "number"),
            pin("end", "number"),
        ],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let position = |pin| {
        inputs
            .non_null(pin)
            .map(ag_pyvalue::to_int)
            .transpose()
            .map_err(raised)
    };
    let (start, end) = (position("start")?, position("end")?);
    Ok(result(ag_pyvalue::slice_str(
        &text_or(inputs, "text", ""),
        Some(start.unwrap_or(0)),
        end,
    )))
}
