//! `tool_parameters`: A tool call made of one input per parameter.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "tool_parameters",
        title: "Tool Parameters",
        family: "literals",
        doc: "A tool call made of one input per parameter.",
        inputs: &[],
        outputs: &[pin("tool_call", "object")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let setting = |key| {
        inputs
            .config
            .section("toolParametersConfig", key)
            .and_then(opt_str)
    };
    let name = setting("tool").or_else(|| setting("name")).unwrap_or_default();
    let mut outputs = Object::new();
    for pin in inputs.config.inputs.iter().flatten() {
        outputs.insert(pin.id.clone(), inputs.get(&pin.id).cloned().unwrap_or_default());
    }
    let arguments: Object = outputs
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    outputs.insert(
        "tool_call".to_owned(),
        json!({"name": name, "arguments": arguments}),
    );
    Ok(Value::Object(outputs))
}
