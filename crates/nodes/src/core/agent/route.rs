//! Provider and model of an agent.

use super::Settings;
use crate::prelude::*;

/// Names that mean "not chosen".
const DEFAULTS: [&str; 4] = [
    "default",
    "__default__",
    "__abstractcore_default__",
    "abstractcore.default",
];

/// Warning for a route that comes from the run instead of the node.
const FALLBACK: &str = "#FALLBACK: missing provider/model; using runtime defaults";

/// Where the agent's questions go.
pub(super) struct Route {
    pub(super) provider: String,
    pub(super) model: String,
}

/// One of provider and model as the node chooses it.
pub(super) fn chosen(settings: &Settings<'_>, what: &str) -> Option<String> {
    let usable =
        |value: &Value| opt_str(value).filter(|name| !DEFAULTS.contains(&name.to_lowercase().as_str()));
    settings
        .pin(what)
        .and_then(usable)
        .or_else(|| settings.configured(what).and_then(usable))
}

/// The node's choice, completed by the defaults of the run; `None` if something is still missing.
pub(super) fn resolve(settings: &Settings<'_>, vars: &mut Object) -> Option<Route> {
    let (provider, model) = (chosen(settings, "provider"), chosen(settings, "model"));
    let fell_back = provider.is_none() || model.is_none();
    let of_run = |what: &str| vars::get_path(vars, &format!("_runtime.{what}")).and_then(opt_str);
    let provider = provider.or_else(|| of_run("provider"))?.to_lowercase();
    let model = model.or_else(|| of_run("model"))?;
    if fell_back {
        warn(vars, FALLBACK);
    }
    Some(Route { provider, model })
}

/// Adds a flow warning once.
fn warn(vars: &mut Object, text: &str) {
    let warnings = vars.entry("_flow_warnings").or_insert_with(|| json!([]));
    if !warnings.is_array() {
        *warnings = json!([]);
    }
    if let Value::Array(warnings) = warnings
        && !warnings.iter().any(|known| known == text)
    {
        warnings.push(text.into());
    }
}
