//! `tools_allowlist`: A fixed list of tool names.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "tools_allowlist",
        title: "Tools Allowlist",
        family: "literals",
        doc: "A fixed list of tool names.",
        inputs: &[],
        outputs: &[pin("tools", "tools")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let mut names: Vec<String> = Vec::new();
    for name in inputs
        .config
        .literal()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(opt_str)
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(one("tools", names.into()))
}
