//! `compare`: two values by an operator.

use ag_pyvalue::{CmpOp, py_compare};

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "compare",
        title: "Compare",
        family: "control",
        doc: "Compares two values; values without an order compare as false.",
        inputs: &[pin("a", "any"), pin("op", "string"), pin("b", "any")],
        outputs: &[pin("result", "boolean")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let symbol = inputs.non_null("op").map_or("==".into(), pystr);
    let Some(op) = CmpOp::parse(symbol.trim()) else {
        return Err(Exception::value(format!("Unknown comparison operator: {symbol}")).into());
    };
    let side = |pin| inputs.get(pin).unwrap_or(&Value::Null);
    Ok(result(py_compare(side("a"), op, side("b")).unwrap_or(false)))
}
