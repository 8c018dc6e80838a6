//! `on_flow_start`: where a run begins.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "on_flow_start",
        title: "On Flow Start",
        family: "events",
        doc: "Start of a flow: one output per parameter, taken from the variables of the run or the pin's default.",
        inputs: &[],
        outputs: &[],
        ..FUNCTION
    },
    behaviour: Behaviour::Function(run),
};

fn run(inputs: &Inputs<'_>, ctx: &mut NodeCtx<'_>) -> Result<FunctionResult, FunctionError> {
    let defaults = inputs.config.pin_defaults();
    let default = |pin: &str| defaults.and_then(|defaults| defaults.get(pin));
    let pins = inputs.config.outputs.as_deref().unwrap_or_default();
    let mut outputs = Object::new();
    if pins.is_empty() {
        outputs.extend(
            ctx.vars
                .iter()
                .filter(|(name, _)| !name.starts_with('_'))
                .map(|(k, v)| (k.clone(), v.clone())),
        );
        for (name, value) in defaults.into_iter().flatten() {
            outputs.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    for pin in pins {
        let value = ctx.vars.get(&pin.id).or_else(|| default(&pin.id));
        outputs.insert(pin.id.clone(), value.cloned().unwrap_or_default());
    }
    // Defaults stay out of the variables: what a client sees as input of the run is what was given (recorded).
    Ok(FunctionResult::of(Value::Object(outputs)))
}
