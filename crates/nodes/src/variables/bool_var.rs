//! `bool_var`: boolean variable: its value if it is a boolean, else the default.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "bool_var",
        title: "Bool Variable",
        family: "variables",
        doc: "Boolean variable: its value if it is a boolean, else the default.",
        inputs: &[],
        outputs: &[pin("name", "string"), pin("value", "boolean")],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let (name, default) = match inputs.config.literal() {
        Some(Value::String(name)) => (name.trim().to_owned(), false),
        Some(declaration) => (
            declaration.get("name").and_then(opt_str).unwrap_or_default(),
            declaration
                .get("default")
                .and_then(Value::as_bool)
                .unwrap_or(false),
        ),
        None => Default::default(),
    };
    let value = vars::get_path(ctx.vars, &name)
        .and_then(Value::as_bool)
        .unwrap_or(default);
    Ok(json!({"name": name, "value": value}))
}
