//! `set_vars`: writes several variables.

use super::names;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "set_vars",
        title: "Set Variables",
        family: "variables",
        doc: "Writes several variables of the run; the pipeline value stays as it is.",
        inputs: &[pin("updates", "object")],
        outputs: &[pin("updates", "object")],
        ..STRICT_FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let updates = updates(inputs.get("updates"));
    let names = updates
        .keys()
        .map(|name| {
            names::checked(
                name,
                "Set Variables requires non-empty variable names in updates.",
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    for (name, value) in names.iter().zip(updates.values()) {
        vars::set_path(ctx.vars, name, value.clone());
    }
    Ok(names::kept(ctx, one("updates", Value::Object(updates))))
}

/// The object of the pin, also as JSON text; everything else changes nothing.
fn updates(value: Option<&Value>) -> Object {
    match value {
        Some(Value::Object(updates)) => updates.clone(),
        Some(Value::String(text)) => match ag_pyvalue::json_loads_lenient(text) {
            Ok(Value::Object(updates)) => updates,
            _ => Object::new(),
        },
        _ => Object::new(),
    }
}
