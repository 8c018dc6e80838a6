//! `model_residency`: lists, loads or unloads models of a provider.

use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "model_residency",
        title: "Model Residency",
        family: "core",
        doc: "Lists, loads or unloads models of a provider.",
        inputs: &[
            pin("operation", "string"),
            pin("task", "string"),
            pin("provider", "provider"),
            pin("model", "model"),
        ],
        outputs: &[
            pin("success", "boolean"),
            pin("affected_models", "array"),
            pin("models", "array"),
            pin("error", "string"),
            pin("warnings", "array"),
            pin("result", "object"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

/// Payload keys that are copied as they are.
const FIELDS: [&str; 8] = [
    "task",
    "provider",
    "model",
    "runtime_id",
    "base_url",
    "timeout_s",
    "provider_api_key",
    "options",
];

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let mut payload = payload(EffectKind::ModelResidency);
    let operation = first(inputs, &["operation"])
        .and_then(opt_str)
        .unwrap_or_else(|| "list_loaded".to_owned());
    payload.insert("operation".to_owned(), operation.into());
    for key in FIELDS {
        payload.extend(first(inputs, &[key]).map(|value| (key.to_owned(), value.clone())));
    }
    for key in ["pin", "required"] {
        let value = first(inputs, &[key]).map(|value| coerce_bool(value).unwrap_or(false));
        payload.extend(value.map(|value| (key.to_owned(), value.into())));
    }
    payload.extend(first(inputs, &["cache_policy"]).map(|value| ("cache_policy".to_owned(), value.clone())));
    Ok(effect(EffectKind::ModelResidency, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let field = |key: &str| raw.get(key).filter(|value| !value.is_null());
    let error = field("error").map(pystr).unwrap_or_default();
    let success = field("success")
        .or_else(|| field("ok"))
        .map_or(error.is_empty(), truthy);
    let models = field("models").cloned().unwrap_or(json!([]));
    let affected = match (field("affected_models"), field("runtime")) {
        (Some(affected), _) => affected.clone(),
        (None, Some(runtime)) => json!([runtime]),
        (None, None) => models.clone(),
    };
    let mut outputs = Object::new();
    outputs.insert("success".to_owned(), success.into());
    outputs.insert("affected_models".to_owned(), affected);
    outputs.insert("models".to_owned(), models);
    outputs.insert("error".to_owned(), error.into());
    outputs.insert(
        "warnings".to_owned(),
        field("warnings").cloned().unwrap_or(json!([])),
    );
    outputs.insert("result".to_owned(), raw.clone());
    outputs
}
