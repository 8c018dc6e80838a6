//! `set_var`: writes one variable.

use super::names;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "set_var",
        title: "Set Variable",
        family: "variables",
        doc: "Writes a variable of the run; the pipeline value stays as it is.",
        inputs: &[pin("name", "string"), pin("value", "any")],
        outputs: &[pin("value", "any")],
        ..STRICT_FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let name = names::required(
        inputs.non_null("name"),
        "Set Variable requires a non-empty variable name.",
    )?;
    let value = inputs
        .get("value")
        .cloned()
        .unwrap_or_else(|| missing(inputs.config));
    vars::set_path(ctx.vars, &name, value.clone());
    Ok(names::kept(ctx, one("value", value)))
}

/// What a `value` pin without a value stands for: the zero of its declared type.
fn missing(config: &NodeConfig) -> Value {
    let pin = config.inputs.iter().flatten().find(|pin| pin.id == "value");
    match pin.map(|pin| pin.kind.as_str()) {
        Some("boolean") => json!(false),
        Some("number") => json!(0),
        Some("string") => json!(""),
        _ => Value::Null,
    }
}
