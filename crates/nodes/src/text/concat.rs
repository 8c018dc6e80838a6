//! `concat`: joins all inputs in pin order with a separator, a space unless configured.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "concat",
        title: "Concat",
        family: "text",
        doc: "Joins all inputs in pin order with a separator, a space unless configured.",
        inputs: &[pin("a", "string"), pin("b", "string")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let separator = inputs
        .config
        .section("concatConfig", "separator")
        .and_then(Value::as_str)
        .unwrap_or(" ");
    let parts: Vec<_> = variadic(inputs)
        .into_iter()
        .map(|value| if value.is_null() { "".into() } else { pystr(value) })
        .collect();
    Ok(result(parts.join(&unescape(separator))))
}
