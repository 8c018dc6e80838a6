//! `memory_kg_assert`: statements into the knowledge graph.

use super::copy;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_kg_assert",
        title: "KG Assert",
        family: "memory",
        doc: "Adds statements to the knowledge graph.",
        inputs: &[
            pin("assertions", "assertions"),
            pin("scope", "string"),
            pin("span_id", "string"),
            pin("owner_id", "string"),
            pin("attributes_defaults", "object"),
            pin("allow_custom_predicates", "boolean"),
        ],
        outputs: &[
            pin("assertion_ids", "array"),
            pin("count", "number"),
            pin("ok", "boolean"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let statements = ["assertions", "triples", "items"]
        .iter()
        .find_map(|pin| inputs.non_null(pin));
    let mut payload = payload(EffectKind::MemoryKgAssert);
    let statements = statements.and_then(objects).unwrap_or_default();
    payload.insert("assertions".to_owned(), statements.into());
    copy::texts(inputs, &["scope", "span_id", "owner_id"], &mut payload);
    let defaults = inputs
        .get("attributes_defaults")
        .filter(|defaults| defaults.is_object());
    payload.extend(defaults.map(|defaults| ("attributes_defaults".to_owned(), defaults.clone())));
    copy::flags(inputs, &["allow_custom_predicates"], &mut payload);
    Ok(effect(EffectKind::MemoryKgAssert, payload))
}

/// The objects of a list, one object, or JSON text of either.
fn objects(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.iter().filter(|item| item.is_object()).cloned().collect()),
        Value::Object(_) => Some(vec![value.clone()]),
        Value::String(text) => match ag_pyvalue::json_loads_lenient(text).ok()? {
            parsed @ (Value::Array(_) | Value::Object(_)) => objects(&parsed),
            _ => None,
        },
        _ => None,
    }
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let field = |key: &str| raw.get(key).filter(|value| !value.is_null()).cloned();
    let mut outputs = Object::new();
    outputs.insert(
        "assertion_ids".to_owned(),
        field("assertion_ids").unwrap_or(json!([])),
    );
    outputs.insert("count".to_owned(), field("count").unwrap_or(json!(0)));
    outputs.insert("ok".to_owned(), field("ok").is_some_and(|ok| truthy(&ok)).into());
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
