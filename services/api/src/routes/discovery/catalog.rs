//! The envelope `gateway_catalog_v1` around every catalogue (discovery contract §3).

use std::collections::HashSet;

use ag_types::{Object, Timestamp};
use serde_json::{Value, json};

const FACADE: &str = "abstractruntime.discovery_facade";

/// A catalogue before it is wrapped.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// `providers`, `models`, `voices` or `adapters`.
    pub(super) kind: &'static str,
    /// `text`, `tts`, `stt`, `music`, `vision` or `embedding.text`.
    pub(super) scope: &'static str,
    /// Who knows, in the reference's words.
    pub(super) upstream: &'static str,
    /// Whether anything answers behind it.
    pub(super) available: bool,
    /// Why not.
    pub(super) error: Option<String>,
    /// Task asked for.
    pub(super) task: Option<String>,
    /// Provider asked for.
    pub(super) provider: Option<String>,
    /// Fields of this catalogue.
    pub(super) raw: Object,
    /// Request options that are repeated.
    pub(super) echo: Object,
    /// Items.
    pub(super) items: Vec<Value>,
}

impl Catalog {
    /// `{<common fields>, <raw fields>, items, catalog}`.
    pub(super) fn answer(self, now: Timestamp) -> Value {
        let items = deduplicated(self.items);
        let mut answer = object(json!({
            "available": self.available,
            "route_available": true,
            "source": FACADE,
            "upstream_source": self.upstream,
            "stale": false,
            "error": self.error,
            "refreshed_at": now.to_seconds_text().replace("+00:00", "Z"),
        }));
        answer.extend(self.raw);
        let mut catalog = object(json!({
            "contract": "gateway_catalog_v1",
            "version": 1,
            "kind": self.kind,
            "scope": self.scope,
            "primary_items_field": "items",
            "source": "abstractgateway.catalog",
            "route_source": FACADE,
            "available": self.available,
            "route_available": true,
            "upstream_source": self.upstream,
        }));
        let options = [
            ("task", self.task),
            ("provider", self.provider),
            ("error", self.error),
        ];
        catalog.extend(
            options
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.into()))),
        );
        catalog.extend(self.echo);
        answer.insert("items".to_owned(), items.into());
        answer.insert("catalog".to_owned(), catalog.into());
        Value::Object(answer)
    }
}

/// An object literal as a map.
pub(super) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

/// `{id, label, provider, name}`.
pub(super) fn provider_item(name: &str, label: &str, tasks: &[&str]) -> Value {
    json!({"id": name, "label": label, "provider": name, "name": name, "tasks": tasks})
}

/// `{id, label, provider, model, tasks}`.
pub(super) fn model_item(provider: &str, model: &str, tasks: &[&str]) -> Value {
    json!({"id": model, "label": model, "provider": provider, "model": model, "tasks": tasks})
}

/// The first of several items with the same provider, id and model, in any case.
fn deduplicated(items: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_lowercase();
    let mut fresh =
        |item: &Value| seen.insert((text(item, "provider"), text(item, "id"), text(item, "model")));
    items.into_iter().filter(|item| fresh(item)).collect()
}

/// A blank text counts as absent.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_envelope() {
        let catalog = Catalog {
            kind: "models",
            scope: "tts",
            upstream: "abstractvoice.local",
            available: true,
            provider: Some("openai".to_owned()),
            raw: object(json!({"models": ["a"]})),
            items: vec![
                model_item("openai", "tts-1", &["tts"]),
                model_item("OpenAI", "TTS-1", &["tts"]),
                model_item("other", "tts-1", &["tts"]),
            ],
            ..Catalog::default()
        };
        let answer = catalog.answer(Timestamp::from_micros(0));
        assert_eq!(answer["items"].as_array().map(Vec::len), Some(2));
        assert_eq!(answer["refreshed_at"], "1970-01-01T00:00:00Z");
        assert_eq!(answer["error"], Value::Null);
        let keys: Vec<&str> = answer["catalog"]
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys.join(" "),
            "contract version kind scope primary_items_field source route_source available route_available \
             upstream_source provider"
        );
        assert_eq!(answer["catalog"]["contract"], "gateway_catalog_v1");
    }
}
