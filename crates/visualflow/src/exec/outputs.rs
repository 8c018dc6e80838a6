//! Output pins of nodes: what an edge takes, and how raw effect results become pins (spec §3.1, §4.3).

use ag_types::Object;
use serde_json::Value;

use super::state;
use crate::{
    node::{OutputCtx, OutputsFn},
    program::Node,
};

/// A pin that stands for the whole output where the output has no such key.
fn is_whole(pin: &str) -> bool {
    matches!(pin, "result" | "output")
}

/// What an edge from `pin` takes of an output.
pub(super) fn pick<'v>(output: &'v Value, pin: &str) -> Option<&'v Value> {
    output
        .as_object()
        .and_then(|map| map.get(pin))
        .or_else(|| is_whole(pin).then_some(output))
}

/// The same, out of an output that nobody else reads.
pub(super) fn pick_owned(output: Value, pin: &str) -> Option<Value> {
    match output {
        Value::Object(mut map) if map.contains_key(pin) => map.swap_remove(pin),
        output => is_whole(pin).then_some(output),
    }
}

/// What an edge takes of a literal, whose output is `{"value": literal}`.
pub(super) fn pick_literal(node: &Node, pin: &str) -> Option<Value> {
    let literal = || node.config.literal().cloned().unwrap_or(Value::Null);
    match pin {
        "value" => Some(literal()),
        _ if is_whole(pin) => Some(Value::Object(Object::from_iter([(
            "value".to_owned(),
            literal(),
        )]))),
        _ => None,
    }
}

/// Output pins of an effect node; `None` before its effect has a result.
pub(super) fn mapped(node: &Node, outputs: OutputsFn, vars: &Object) -> Option<Object> {
    let raw = state::effect_result(vars, &node.id)?;
    let reads_output = |pin: &str| node.reads_output(pin);
    let ctx = OutputCtx {
        node_id: &node.id,
        config: &node.config,
        vars,
        reads_output: &reads_output,
    };
    Some(outputs(raw, &ctx))
}

/// `path_mux`: the selected arm where it exists (even null), else the fallback, else null.
pub(super) fn mux(mut values: Object) -> Value {
    let select = match values.get("select") {
        Some(Value::Bool(select)) => i64::from(*select),
        Some(select) => ag_pyvalue::opt_int(select).unwrap_or(0),
        None => 0,
    };
    let out = values
        .swap_remove(&format!("in{select}"))
        .or_else(|| values.swap_remove("fallback"));
    Value::Object(Object::from_iter([(
        "out".to_owned(),
        out.unwrap_or(Value::Null),
    )]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn edges_take_a_pin_or_the_whole() {
        for (output, pin, taken) in [
            (json!({"a": 1}), "a", Some(json!(1))),
            (json!({"a": 1}), "b", None),
            (json!({"a": 1}), "output", Some(json!({"a": 1}))),
            (json!({"result": null}), "result", Some(json!(null))),
            (json!(5), "result", Some(json!(5))),
            (json!(5), "value", None),
        ] {
            assert_eq!(pick(&output, pin), taken.as_ref());
            assert_eq!(pick_owned(output, pin), taken);
        }
    }

    #[test]
    fn muxes_fall_back() {
        for (inputs, out) in [
            (
                json!({"select": 1, "in0": "a", "in1": null, "fallback": "f"}),
                json!(null),
            ),
            (json!({"select": 2, "in0": "a", "fallback": "f"}), json!("f")),
            (json!({"in0": "a"}), json!("a")),
            (json!({"select": "junk"}), json!(null)),
        ] {
            let Value::Object(inputs) = inputs else {
                panic!("object")
            };
            assert_eq!(mux(inputs), json!({"out": out}));
        }
    }
}
