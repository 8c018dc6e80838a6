//! `var_decl`: declared variable: its value if that has the declared type, else the default.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "var_decl",
        title: "Variable",
        family: "variables",
        doc: "Declared variable: its value if that has the declared type, else the default.",
        inputs: &[],
        outputs: &[pin("name", "string"), pin("value", "any")],
        ..VOLATILE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let declaration = inputs.config.literal();
    let field = |key: &str| declaration.and_then(|declaration| declaration.get(key));
    let name = field("name").and_then(opt_str).unwrap_or_default();
    let kind = field("type")
        .and_then(opt_str)
        .unwrap_or_else(|| "any".to_owned());
    let current = vars::get_path(ctx.vars, &name);
    let value = [current, field("default")]
        .into_iter()
        .flatten()
        .find(|value| has_type(value, &kind));
    Ok(json!({"name": name, "value": value.cloned().unwrap_or_else(|| zero(&kind))}))
}

fn has_type(value: &Value, kind: &str) -> bool {
    match kind {
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "any" => true,
        _ => false,
    }
}

fn zero(kind: &str) -> Value {
    match kind {
        "boolean" => json!(false),
        "number" => json!(0),
        "string" => json!(""),
        "object" => json!({}),
        "array" => json!([]),
        _ => Value::Null,
    }
}
