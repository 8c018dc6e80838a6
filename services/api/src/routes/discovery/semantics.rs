//! `GET /semantics`: the vocabulary of knowledge-graph assertions.

use std::sync::LazyLock;

use axum::Json;
use serde_json::Value;

use super::catalog::object;
use crate::{ApiError, ApiResult, CallContext, routes::blocking::blocking};
use ag_types::Object;

/// Names a file that replaces the built-in registry.
const REGISTRY_PATH: &str = "ABSTRACTSEMANTICS_REGISTRY_PATH";

static BUILT_IN: LazyLock<Object> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../assets/semantics.json"))
        .expect("the registry is part of this crate and covered by its tests")
});

/// The registry whose predicates statements may use, as `GET /semantics` shows it: a configured file that can be read,
/// else the built-in one.
pub fn predicates_registry(config: &ag_config::Config) -> Value {
    let built_in = || Value::Object(BUILT_IN.clone());
    let Some(path) = config.providers.get(REGISTRY_PATH) else {
        return built_in();
    };
    let read = std::fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .filter(|registry| registry.get("predicates").is_some_and(Value::is_array));
    read.unwrap_or_else(|| {
        // The path is the operator's; it is shown to nobody else.
        tracing::warn!("the configured semantics registry is not usable; the built-in one is in force");
        built_in()
    })
}

pub(super) async fn get_semantics(ctx: CallContext) -> ApiResult<Json<Object>> {
    let registry = match ctx.state().config().providers.get(REGISTRY_PATH) {
        None => BUILT_IN.clone(),
        Some(path) => {
            let path = path.to_owned();
            let read = blocking(move || std::fs::read(path)).await?;
            let failed = |what: &str| {
                let detail = format!("Failed to load semantics registry: {what}");
                ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, detail)
            };
            // The path is the operator's; the answer does not repeat it.
            let bytes = read.map_err(|error| failed(&error.kind().to_string()))?;
            let registry: Value =
                serde_json::from_slice(&bytes).map_err(|_| failed("the file is not JSON"))?;
            let registry = Some(object(registry)).filter(|registry| registry.contains_key("predicates"));
            registry.ok_or_else(|| failed("the file has no predicates"))?
        }
    };
    let mut answer = object(serde_json::json!({"ok": true}));
    answer.extend(registry);
    Ok(Json(answer))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ids(list: &str) -> HashSet<&'static str> {
        BUILT_IN[list]
            .as_array()
            .expect("list")
            .iter()
            .filter_map(|item| item["id"].as_str())
            .collect()
    }

    #[test]
    fn the_registry_is_closed_under_inverses_parents_and_prefixes() {
        let (predicates, types) = (ids("predicates"), ids("entity_types"));
        assert_eq!(
            (predicates.len(), types.len(), ids("memory_relations").len()),
            (44, 18, 11)
        );
        for item in BUILT_IN["predicates"].as_array().expect("list") {
            if let Some(inverse) = item["inverse"].as_str() {
                let back = BUILT_IN["predicates"]
                    .as_array()
                    .expect("list")
                    .iter()
                    .find(|other| other["id"] == inverse);
                assert_eq!(back.map(|other| &other["inverse"]), Some(&item["id"]), "{item}");
            }
        }
        for item in BUILT_IN["entity_types"].as_array().expect("list") {
            assert!(
                item["parent"]
                    .as_str()
                    .is_none_or(|parent| types.contains(parent)),
                "{item}"
            );
        }
        for id in predicates.iter().chain(&types) {
            let prefix = id.split(':').next().expect("first");
            assert!(BUILT_IN["prefixes"].get(prefix).is_some(), "{id}");
        }
        let label = |id: &str| {
            let lists = [&BUILT_IN["predicates"], &BUILT_IN["entity_types"]];
            let mut all = lists.into_iter().filter_map(Value::as_array).flatten();
            all.find(|item| item["id"] == id)
                .and_then(|item| item["label"].as_str())
                .map(str::to_owned)
        };
        assert_eq!(label("dcterms:hasPart").as_deref(), Some("has part"));
        assert_eq!(label("skos:prefLabel").as_deref(), Some("preferred label"));
        assert_eq!(label("schema:ItemList").as_deref(), Some("List"));
    }
}
