//! `model_catalog`: all models, and one of them by position.

use super::catalog;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "model_catalog",
        title: "Model Catalog",
        family: "literals",
        doc: "Models of all available providers, and the pair at a position.",
        inputs: &[
            pin("allowed_providers", "array"),
            pin("allowed_models", "array"),
            pin("index", "number"),
        ],
        outputs: &[
            pin("providers", "array"),
            pin("models", "array"),
            pin("pair", "object"),
            pin("provider", "provider_text"),
            pin("model", "model"),
        ],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

const CONFIG: &str = "modelCatalogConfig";

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let allowed = catalog::allowed(inputs, "allowed_providers", CONFIG, "allowedProviders");
    let providers = catalog::providers(ctx, allowed.as_deref())?;
    let allowed = catalog::allowed(inputs, "allowed_models", CONFIG, "allowedModels");
    let mut pairs = Vec::new();
    for provider in &providers {
        let models = match catalog::models(ctx, provider, None) {
            Ok(models) => models,
            // One provider that cannot be listed does not hide the others.
            Err(Interrupt::Raise(_)) => continue,
            Err(question) => return Err(question),
        };
        let models = catalog::filter(models, allowed.as_deref(), provider);
        pairs.extend(models.into_iter().map(|model| (provider.as_str(), model)));
    }
    let index = opt_i64(inputs, "index").or_else(|| inputs.config.section(CONFIG, "index").and_then(opt_int));
    let chosen = index
        .and_then(|index| usize::try_from(index).ok())
        .and_then(|index| pairs.get(index));
    let ids: Vec<_> = pairs
        .iter()
        .map(|(provider, model)| format!("{provider}/{model}"))
        .collect();
    let (provider, model) = chosen
        .or(pairs.first())
        .map_or(("", ""), |(provider, model)| (provider, model.as_str()));
    let pair = if pairs.is_empty() {
        json!({})
    } else {
        json!({"provider": provider, "model": model})
    };
    Ok(json!({"providers": providers, "models": ids, "pair": pair, "provider": provider, "model": model}))
}
