//! `provider_catalog`: the providers that can be used.

use super::catalog;
use crate::prelude::*;

pub(super) const NODE: NodeType = NodeType {
    spec: NodeSpec {
        kind: "provider_catalog",
        title: "Provider Catalog",
        family: "literals",
        doc: "Ids of the available providers, optionally filtered.",
        inputs: &[pin("allowed_providers", "array")],
        outputs: &[pin("providers", "array")],
        ..PURE
    },
    behaviour: Behaviour::Pure(eval),
};

fn eval(inputs: &Inputs<'_>, ctx: &EvalCtx<'_>) -> Result<Value, Interrupt> {
    let allowed = catalog::allowed(
        inputs,
        "allowed_providers",
        "providerCatalogConfig",
        "allowedProviders",
    );
    Ok(one(
        "providers",
        catalog::providers(ctx, allowed.as_deref())?.into(),
    ))
}
