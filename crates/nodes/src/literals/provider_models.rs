//! `provider_models`: the models of one provider.

use super::catalog;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "provider_models",
        title: "Models Catalog",
        family: "literals",
        doc: "Models of one provider that fit a capability.",
        inputs: &[
            pin("provider", "provider_text"),
            pin("capability_route", "string"),
        ],
        outputs: &[pin("provider", "provider_text"), pin("models", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

const CONFIG: &str = "providerModelsConfig";

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let setting = |pin: &str, key: &str| {
        opt_text(inputs, pin).or_else(|| inputs.config.section(CONFIG, key).and_then(opt_str))
    };
    let Some(provider) = setting("provider", "provider") else {
        return Ok(json!({"provider": "", "models": []}));
    };
    let route = setting("capability_route", "capabilityRoute").unwrap_or_else(|| "output.text".to_owned());
    let allowed = catalog::allowed(inputs, "allowed_models", CONFIG, "allowedModels");
    match catalog::models(ctx, &provider, Some(&route)) {
        Ok(models) => {
            let models = catalog::filter(models, allowed.as_deref(), &provider);
            Ok(json!({"provider": provider, "models": models}))
        }
        // A route the catalogue does not know is the author's to see, not a reason to stop the run.
        Err(Interrupt::Raise(error)) => {
            Ok(json!({"provider": provider, "models": [], "error": error.message}))
        }
        Err(question) => Err(question),
    }
}
