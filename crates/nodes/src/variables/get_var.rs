//! `get_var`: reads a variable of the run by its dotted path.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "get_var",
        title: "Get Variable",
        family: "variables",
        doc: "Reads a variable of the run by its dotted path.",
        inputs: &[pin("name", "string")],
        outputs: &[pin("value", "any")],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let value = opt_text(inputs, "name").and_then(|name| vars::get_path(ctx.vars, &name).cloned());
    Ok(one("value", value.unwrap_or_default()))
}
