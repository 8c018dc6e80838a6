//! What every new run's variables hold (kernel spec §6, runs contract §2).

use ag_kernel::vars;
use ag_types::Object;
use serde_json::{Value, json};

pub use ag_effects::routes::{ModelDefaults, ModelLimits};

/// Host-wide settings that runs carry.
#[derive(Debug, Clone, Default)]
pub struct RunSettings {
    /// `ABSTRACTGATEWAY_PROMPT_CACHE`.
    pub prompt_cache: Option<bool>,
    /// `ABSTRACTGATEWAY_MAX_ATTACHMENT_BYTES`, when set.
    pub max_attachment_bytes: Option<u64>,
    /// The folder of installed bundles, where the host has one; a path of the host.
    pub workflow_bundles_dir: Option<String>,
}

/// Seeds `_runtime` and `_limits` of a root run; what the client gave is kept.
pub fn root(
    run_vars: &mut Object,
    settings: &RunSettings,
    route: Option<&(String, String)>,
    limits: ModelLimits,
) {
    let runtime = vars::object_at(run_vars, "_runtime");
    if let Some(enabled) = settings.prompt_cache {
        runtime
            .entry("prompt_cache")
            .or_insert_with(|| json!({"enabled": enabled, "version": 1}));
    }
    if let Some(bytes) = settings.max_attachment_bytes {
        runtime
            .entry("max_attachment_bytes")
            .or_insert_with(|| json!(bytes));
    }
    if let Some(folder) = &settings.workflow_bundles_dir {
        runtime
            .entry("workflow_bundles_dir")
            .or_insert_with(|| folder.as_str().into());
    }
    child(run_vars, route, limits);
}

/// Seeds what a child run lacks.
pub fn child(run_vars: &mut Object, route: Option<&(String, String)>, limits: ModelLimits) {
    let runtime = vars::object_at(run_vars, "_runtime");
    if let Some((provider, model)) = route {
        // Family names are written in lower case; ids of stored connections are spelled as they are.
        fill(runtime, "provider", || match provider.starts_with("endpoint:") {
            true => provider.as_str().into(),
            false => provider.to_lowercase().into(),
        });
        fill(runtime, "model", || model.as_str().into());
    }
    fill(runtime, "tool_support", || limits.tool_support.into());
    let defaults = json!({
        "max_iterations": 50, "current_iteration": 0, "max_tokens": limits.max_tokens,
        "max_output_tokens": limits.max_output_tokens, "max_input_tokens": null, "estimated_tokens_used": 0,
        "max_history_messages": -1, "warn_iterations_pct": 80, "warn_tokens_pct": 80,
    });
    if !run_vars.get("_limits").is_some_and(Value::is_object) {
        run_vars.insert("_limits".to_owned(), defaults);
    }
}

fn fill(map: &mut Object, key: &str, value: impl FnOnce() -> Value) {
    let missing = map
        .get(key)
        .is_none_or(|value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()));
    if missing {
        map.insert(key.to_owned(), value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_host_come_first_and_replace_nothing() {
        let limits = || ModelLimits {
            max_tokens: 1,
            max_output_tokens: 1,
            tool_support: "prompted",
        };
        let settings = RunSettings {
            prompt_cache: Some(true),
            max_attachment_bytes: Some(7),
            workflow_bundles_dir: Some("/srv/flows".to_owned()),
        };
        let mut vars = Object::new();
        root(
            &mut vars,
            &settings,
            Some(&("OpenAI".to_owned(), "m".to_owned())),
            limits(),
        );
        let keys: Vec<&String> = vars["_runtime"].as_object().expect("object").keys().collect();
        let expected = [
            "prompt_cache",
            "max_attachment_bytes",
            "workflow_bundles_dir",
            "provider",
            "model",
            "tool_support",
        ];
        assert_eq!(keys, expected);
        assert_eq!(vars["_runtime"]["workflow_bundles_dir"], "/srv/flows");
        let given = json!({"_runtime": {"workflow_bundles_dir": "mine", "max_attachment_bytes": 1}});
        let mut vars = given.as_object().expect("object").clone();
        root(&mut vars, &settings, None, limits());
        assert_eq!(vars["_runtime"]["workflow_bundles_dir"], "mine");
        assert_eq!(vars["_runtime"]["max_attachment_bytes"], 1);
        let mut vars = Object::new();
        root(&mut vars, &RunSettings::default(), None, limits());
        assert_eq!(vars["_runtime"], json!({"tool_support": "prompted"}));
    }
}
