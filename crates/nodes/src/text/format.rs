//! `format`: fills named fields of a Python format template.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "format",
        title: "Format",
        family: "text",
        doc: "Fills named fields of a Python format template.",
        inputs: &[pin("template", "string"), pin("values", "object")],
        outputs: &[pin("result", "string")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let template = text_or_blank(inputs, "template");
    let empty = Object::new();
    let values = match inputs.get("values") {
        None => &empty,
        Some(Value::Object(values)) => values,
        Some(_) => return Ok(result(template.as_ref())),
    };
    Ok(result(ag_pyvalue::str_format(&template, values).map_err(raised)?))
}
