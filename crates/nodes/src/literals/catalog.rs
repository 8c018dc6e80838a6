//! Questions about providers and models, shared by the catalogue nodes.

use crate::prelude::*;

/// Names that an author allows, lower case: from a pin, else from the configuration; `None` allows all.
pub(super) fn allowed(inputs: &Inputs<'_>, pin: &str, section: &str, key: &str) -> Option<Vec<String>> {
    let list = inputs
        .non_null(pin)
        .or_else(|| inputs.config.section(section, key))?;
    let names: Vec<_> = match list {
        Value::Array(items) => items
            .iter()
            .filter_map(opt_str)
            .map(|name| name.to_lowercase())
            .collect(),
        other => opt_str(other)
            .into_iter()
            .map(|name| name.to_lowercase())
            .collect(),
    };
    (!names.is_empty()).then_some(names)
}

/// Ids of the available providers that are allowed.
pub(super) fn providers(ctx: &EvalCtx<'_>, allowed: Option<&[String]>) -> Result<Vec<String>, Interrupt> {
    let answer = ask(ctx.env, HostOp::ProviderCatalog, ctx.node_id, json!({}))?;
    let fits = |id: &String| allowed.is_none_or(|allowed| allowed.contains(&id.to_lowercase()));
    Ok(texts(&answer).into_iter().filter(fits).collect())
}

/// Models of one provider.
pub(super) fn models(
    ctx: &EvalCtx<'_>,
    provider: &str,
    route: Option<&str>,
) -> Result<Vec<String>, Interrupt> {
    let mut args = json!({"provider": provider});
    if let Some(route) = route {
        args["capability_route"] = route.into();
    }
    Ok(texts(&ask(ctx.env, HostOp::ProviderModels, ctx.node_id, args)?))
}

/// The models that are allowed, by name or as `provider/model`.
pub(super) fn filter(models: Vec<String>, allowed: Option<&[String]>, provider: &str) -> Vec<String> {
    let Some(allowed) = allowed else { return models };
    let fits = |model: &String| {
        let name = model.to_lowercase();
        allowed.contains(&name) || allowed.contains(&format!("{}/{name}", provider.to_lowercase()))
    };
    models.into_iter().filter(fits).collect()
}

fn texts(answer: &Value) -> Vec<String> {
    answer
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(opt_str)
        .collect()
}
