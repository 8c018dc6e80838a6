//! `memory_kg_resolve`: entities of the knowledge graph by label.

use super::copy;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "memory_kg_resolve",
        title: "KG Resolve Entity",
        family: "memory",
        doc: "Finds entities of the knowledge graph by their label.",
        inputs: &[
            pin("label", "string"),
            pin("expected_type", "string"),
            pin("scope", "string"),
            pin("recall_level", "string"),
            pin("max_candidates", "number"),
            pin("min_score", "number"),
            pin("include_semantic", "boolean"),
            pin("owner_id", "string"),
        ],
        outputs: &[
            pin("candidates", "array"),
            pin("count", "number"),
            pin("ok", "boolean"),
            pin("raw", "object"),
        ],
        ..EFFECT
    },
    behaviour: Behaviour::Effect { plan, outputs },
};

fn plan(inputs: &Inputs<'_>, _ctx: &mut NodeCtx<'_>) -> Result<Planned, Interrupt> {
    let either = |names: [&str; 2]| names.iter().find_map(|name| inputs.non_null(name)).cloned();
    let mut payload = payload(EffectKind::MemoryKgResolve);
    copy::texts(inputs, &["label"], &mut payload);
    let kind = either(["expected_type", "expectedType"])
        .as_ref()
        .and_then(opt_str);
    payload.extend(kind.map(|kind| ("expected_type".to_owned(), kind.into())));
    copy::texts(inputs, &["scope"], &mut payload);
    let level = either(["recall_level", "recallLevel"]).as_ref().and_then(opt_str);
    payload.extend(level.map(|level| ("recall_level".to_owned(), level.into())));
    let most = either(["max_candidates", "maxCandidates"]).or_else(|| inputs.non_null("limit").cloned());
    payload.extend(
        most.as_ref()
            .and_then(opt_int)
            .map(|most| ("max_candidates".to_owned(), most.into())),
    );
    let score = either(["min_score", "minScore"])
        .as_ref()
        .and_then(opt_float)
        .filter(|score| score.is_finite());
    payload.extend(score.map(|score| ("min_score".to_owned(), score.into())));
    let semantic = either(["include_semantic", "includeSemantic"]);
    payload.extend(semantic.map(|flag| {
        (
            "include_semantic".to_owned(),
            coerce_bool(&flag).unwrap_or(false).into(),
        )
    }));
    let owner = either(["owner_id", "ownerId"]).as_ref().and_then(opt_str);
    payload.extend(owner.map(|owner| ("owner_id".to_owned(), owner.into())));
    Ok(effect(EffectKind::MemoryKgResolve, payload))
}

fn outputs(raw: &Value, _node: &OutputCtx<'_>) -> Object {
    let field = |key: &str| raw.get(key).filter(|value| !value.is_null()).cloned();
    let mut outputs = Object::new();
    outputs.insert("candidates".to_owned(), field("candidates").unwrap_or(json!([])));
    outputs.insert("count".to_owned(), field("count").unwrap_or(json!(0)));
    outputs.insert("ok".to_owned(), field("ok").is_some_and(|ok| truthy(&ok)).into());
    outputs.extend(field("warnings").map(|warnings| ("warnings".to_owned(), warnings)));
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}
