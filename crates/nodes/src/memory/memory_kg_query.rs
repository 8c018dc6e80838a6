//! `memory_kg_query`: statements of the knowledge graph.

use super::copy;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_kg_query",
        title: "KG Query",
        family: "memory",
        doc: "Queries the knowledge graph, optionally packed for a prompt.",
        inputs: &[
            pin("query_text", "string"),
            pin("subject", "string"),
            pin("predicate", "string"),
            pin("object", "string"),
            pin("since", "string"),
            pin("until", "string"),
            pin("active_at", "string"),
            pin("scope", "string"),
            pin("recall_level", "string"),
            pin("owner_id", "string"),
            pin("min_score", "number"),
            pin("max_input_tokens", "number"),
            pin("model", "model"),
            pin("limit", "number"),
        ],
        outputs: &[
            pin("items", "assertions"),
            pin("count", "number"),
            pin("ok", "boolean"),
            pin("packets", "array"),
            pin("active_memory_text", "string"),
            pin("packed_count", "number"),
            pin("dropped", "number"),
            pin("estimated_tokens", "number"),
            pin("raw", "object"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

const TEXTS: [&str; 11] = [
    "query_text",
    "subject",
    "predicate",
    "object",
    "since",
    "until",
    "active_at",
    "scope",
    "recall_level",
    "owner_id",
    "model",
];

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let mut payload = payload(EffectKind::MemoryKgQuery);
    copy::texts(inputs, &TEXTS, &mut payload);
    copy::floats(inputs, &["min_score"], &mut payload);
    copy::integers(inputs, &["max_input_tokens", "limit"], &mut payload);
    copy::texts(inputs, &["order"], &mut payload);
    Ok(effect(EffectKind::MemoryKgQuery, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let field = |key: &str| raw.get(key).filter(|value| !value.is_null()).cloned();
    let mut outputs = Object::new();
    outputs.insert("items".to_owned(), field("items").unwrap_or(json!([])));
    outputs.insert("count".to_owned(), field("count").unwrap_or(json!(0)));
    outputs.insert("ok".to_owned(), field("ok").is_some_and(|ok| truthy(&ok)).into());
    outputs.insert("packets".to_owned(), field("packets").unwrap_or(json!([])));
    outputs.insert(
        "active_memory_text".to_owned(),
        field("active_memory_text").unwrap_or(json!("")),
    );
    for key in ["packed_count", "dropped", "estimated_tokens"] {
        outputs.insert(key.to_owned(), field(key).unwrap_or(json!(0)));
    }
    for key in ["packets_version", "warnings"] {
        outputs.extend(field(key).map(|value| (key.to_owned(), value)));
    }
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
