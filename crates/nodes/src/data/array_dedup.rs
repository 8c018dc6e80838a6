//! `array_dedup`: a list without repetitions.

use std::collections::HashSet;

use crate::{paths, prelude::*};

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "array_dedup",
        title: "Array Dedup",
        family: "data",
        doc: "A list without repeated items, or without items that repeat a key.",
        inputs: &[pin("array", "array"), pin("key", "string")],
        outputs: &[pin("result", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, _ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let items = inputs
        .get("array")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let key = opt_text(inputs, "key");
    let mut seen = HashSet::new();
    let kept = items.iter().filter(|item| {
        let value = match &key {
            Some(key) if item.is_object() => paths::read(item, key).unwrap_or(&Value::Null),
            _ => *item,
        };
        seen.insert(fingerprint(value))
    });
    Ok(result(kept.cloned().collect::<Vec<_>>()))
}

/// Equal for equal values of one type: `1`, `1.0`, `"1"` and `true` differ, the order of keys does not count.
fn fingerprint(value: &Value) -> String {
    format!(
        "{}:{}",
        ag_pyvalue::type_name(value),
        ag_pyvalue::dumps_compact_sorted_ascii(value)
    )
}
