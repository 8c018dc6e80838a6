//! Envelopes and list items: metadata arranged for clients.

use serde_json::{Map, Value, json};

use crate::{ArtifactMeta, canonical_reference, links};

const SCHEMA: &str = "abstractgateway.artifact_envelope.v1";

/// Sources of a classification that nobody declared.
const INFERRED: [&str; 3] = [
    "gateway_legacy_projection",
    "runtime_tags",
    "runtime_mime_inferred",
];

/// Keys under which producers leave the id of a provider's trace.
const TRACE_KEYS: [&str; 4] = [
    "provider_trace_id",
    "trace_id",
    "runtime_call_id",
    "provider_trace",
];

/// `artifact_envelope_v1`.
pub fn envelope(meta: &ArtifactMeta) -> Value {
    let facts = Facts::of(meta);
    let mut envelope = Map::new();
    envelope.insert("schema".to_owned(), SCHEMA.into());
    envelope.insert("schema_version".to_owned(), 1.into());
    facts.write(&mut envelope, meta);
    envelope.insert("descriptor".to_owned(), to_value(&meta.descriptor));
    envelope.insert("actions".to_owned(), Value::Object(facts.actions));
    Value::Object(envelope)
}

/// One element of a list or search answer: the envelope's facts at top level, where empty texts are
/// null, and the envelope itself.
pub fn list_item(meta: &ArtifactMeta) -> Value {
    let mut item = Map::new();
    Facts::of(meta).write(&mut item, meta);
    for value in item.values_mut() {
        if value.as_str() == Some("") {
            *value = Value::Null;
        }
    }
    item.insert("raw_metadata".to_owned(), json!({}));
    item.insert("descriptor".to_owned(), to_value(&meta.descriptor));
    item.insert("artifact_envelope_v1".to_owned(), envelope(meta));
    Value::Object(item)
}

/// Answer of the metadata operation: the document with its envelope.
pub fn metadata_response(meta: &ArtifactMeta) -> Value {
    let mut response = to_value(meta);
    if let Value::Object(map) = &mut response {
        map.insert("artifact_envelope_v1".to_owned(), envelope(meta));
    }
    response
}

/// The best name for people: tags, generation, producer, file, else kind and id.
pub fn title(meta: &ArtifactMeta) -> String {
    let descriptor = &meta.descriptor;
    let field = |map: &Map<String, Value>, name: &str| {
        map.get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let tag = |name: &str| meta.tag(name).map(str::to_owned);
    let base_name = || {
        let path = meta.source_path()?.trim_end_matches(['/', '\\']);
        path.rsplit(['/', '\\'])
            .next()
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    };
    tag("title")
        .or_else(|| tag("name"))
        .or_else(|| tag("label"))
        .or_else(|| field(&descriptor.generation, "title"))
        .or_else(|| field(&descriptor.generation, "prompt_title"))
        .or_else(|| field(&descriptor.producer, "task"))
        .or_else(|| meta.filename().map(str::to_owned))
        .or_else(base_name)
        .unwrap_or_else(|| {
            let short: String = meta.artifact_id.chars().take(12).collect();
            format!("{} {short}", title_case(&descriptor.semantic_kind))
                .trim_start()
                .to_owned()
        })
}

fn title_case(kind: &str) -> String {
    let words = kind.split(['_', '-', ' ']).filter(|word| !word.is_empty());
    let capitalised = words.map(|word| {
        let mut chars = word.chars();
        chars
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    });
    capitalised.collect::<Vec<_>>().join(" ")
}

struct Facts {
    links: Map<String, Value>,
    actions: Map<String, Value>,
    provider_trace_available: bool,
    audit_available: bool,
}

impl Facts {
    fn of(meta: &ArtifactMeta) -> Self {
        let descriptor = &meta.descriptor;
        let links = links(meta);
        let sections = [
            &descriptor.producer,
            &descriptor.provenance,
            &descriptor.generation,
        ];
        let has_text =
            |map: &Map<String, Value>, name: &str| map.get(name).is_some_and(|value| !is_blank(value));
        let provider_trace_available = links.contains_key("provider_trace")
            || sections
                .iter()
                .any(|section| TRACE_KEYS.iter().any(|name| has_text(section, name)));
        let audit_available = meta.run_id.is_some()
            && (descriptor.step_id.is_some()
                || descriptor.effect_id.is_some()
                || descriptor.ledger_cursor.is_some());
        let by_link = [
            ("preview", "preview"),
            ("download", "download"),
            ("open_run", "run"),
            ("open_ledger", "ledger"),
        ];
        let mut actions: Map<String, Value> = by_link
            .iter()
            .map(|(action, link)| ((*action).to_owned(), Value::Bool(links.contains_key(*link))))
            .collect();
        actions.insert("open_provider_trace".to_owned(), provider_trace_available.into());
        // A producer may forbid what would be possible, not the other way round.
        for (name, allowed) in &mut actions {
            if descriptor.actions.get(name) == Some(&Value::Bool(false)) {
                *allowed = Value::Bool(false);
            }
        }
        Self {
            links,
            actions,
            provider_trace_available,
            audit_available,
        }
    }

    fn write(&self, map: &mut Map<String, Value>, meta: &ArtifactMeta) {
        let descriptor = &meta.descriptor;
        let mut put = |name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        put("artifact_id", meta.artifact_id.as_str().into());
        put("run_id", meta.run_id.as_deref().into());
        put("content_type", meta.content_type.as_str().into());
        put("size_bytes", meta.size_bytes.into());
        put("created_at", meta.created_at.as_str().into());
        put("tags", to_value(&meta.tags));
        put("filename", meta.filename().into());
        put("source_path", meta.source_path().into());
        put("sha256", meta.tag("sha256").into());
        put("modality", descriptor.modality.as_str().into());
        put("ref", canonical_reference(meta));
        put("semantic_kind", descriptor.semantic_kind.as_str().into());
        put("render_kind", descriptor.render_kind.as_str().into());
        put("task", descriptor.task.as_str().into());
        put(
            "classification_source",
            descriptor.classification_source.as_str().into(),
        );
        put("session_id", descriptor.session_id.as_deref().into());
        put("workflow_id", descriptor.workflow_id.as_deref().into());
        put("node_id", descriptor.node_id.as_deref().into());
        put("step_id", descriptor.step_id.as_deref().into());
        put("effect_id", descriptor.effect_id.as_deref().into());
        put("turn_id", descriptor.turn_id.as_deref().into());
        put(
            "ledger_cursor",
            descriptor.ledger_cursor.clone().unwrap_or(Value::Null),
        );
        put("parent_run_id", descriptor.parent_run_id.as_deref().into());
        put("actor_id", descriptor.actor_id.as_deref().into());
        put("title", title(meta).into());
        put("media", Value::Object(descriptor.media.clone()));
        put("generation", Value::Object(descriptor.generation.clone()));
        put("producer", Value::Object(descriptor.producer.clone()));
        put("provenance", Value::Object(descriptor.provenance.clone()));
        put("source_refs", Value::Array(descriptor.source_refs.clone()));
        put("access", to_value(&meta.access));
        put("links", Value::Object(self.links.clone()));
        let available = self
            .actions
            .iter()
            .filter(|(_, allowed)| **allowed == Value::Bool(true));
        put(
            "available_actions",
            available.map(|(name, _)| name.as_str()).collect(),
        );
        put("provider_trace_available", self.provider_trace_available.into());
        put("audit_available", self.audit_available.into());
        put(
            "legacy_inferred",
            INFERRED
                .contains(&descriptor.classification_source.as_str())
                .into(),
        );
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Documents here have text keys and no failing serialisers.
fn to_value(document: &impl serde::Serialize) -> Value {
    serde_json::to_value(document).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewArtifact;

    fn meta(run_id: Option<&str>, tags: &[(&str, &str)], declared: Option<Value>) -> ArtifactMeta {
        let new = NewArtifact {
            run_id: run_id.map(str::to_owned),
            content_type: "application/json".to_owned(),
            tags: tags
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            descriptor: declared.and_then(|value| value.as_object().cloned()),
            ..NewArtifact::default()
        };
        ArtifactMeta::new(new, b"{}", "2025-01-01T00:00:00+00:00")
    }

    #[test]
    fn list_item_has_the_contract_keys() {
        let item = list_item(&meta(Some("r1"), &[("kind", "workflow_snapshot")], None));
        let keys: Vec<&str> = item
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys.join(" "),
            "artifact_id run_id content_type size_bytes created_at tags filename source_path sha256 modality ref \
             semantic_kind render_kind task classification_source session_id workflow_id node_id step_id effect_id turn_id \
             ledger_cursor parent_run_id actor_id title media generation producer provenance source_refs access links \
             available_actions provider_trace_available audit_available legacy_inferred raw_metadata descriptor \
             artifact_envelope_v1"
        );
        assert_eq!(item["task"], Value::Null);
        assert_eq!(item["artifact_envelope_v1"]["task"], "");
        assert_eq!(item["artifact_envelope_v1"]["schema"], SCHEMA);
        assert_eq!(item["legacy_inferred"], true);
        assert_eq!(
            item["available_actions"],
            json!(["preview", "download", "open_run", "open_ledger"])
        );
        let id = item["artifact_id"].as_str().expect("text");
        assert_eq!(item["title"], format!("Workflow Snapshot {}", &id[..12]));
        assert_eq!(
            item["links"]["download"],
            format!("/api/gateway/runs/r1/artifacts/{id}/content?access=download")
        );
        assert_eq!(item["links"]["observe_route"], "#/observe/r1");
    }

    #[test]
    fn without_a_run_there_are_no_links() {
        let envelope = envelope(&meta(None, &[], None));
        assert_eq!(envelope["links"], json!({}));
        assert_eq!(envelope["available_actions"], json!([]));
        assert_eq!(envelope["run_id"], Value::Null);
    }

    #[test]
    fn producers_add_local_links_and_traces() {
        let declared = json!({
            "links": {"x": "/api/gateway/x", "y": "https://elsewhere", "z": "#/z"},
            "producer": {"trace_id": "t"}, "step_id": "s", "actions": {"download": false},
        });
        let envelope = envelope(&meta(Some("r"), &[], Some(declared)));
        assert_eq!(envelope["links"]["x"], "/api/gateway/x");
        assert_eq!(envelope["links"]["z"], "#/z");
        assert!(envelope["links"].get("y").is_none());
        assert_eq!(envelope["provider_trace_available"], true);
        assert_eq!(envelope["audit_available"], true);
        assert_eq!(envelope["legacy_inferred"], false);
        assert_eq!(envelope["actions"]["download"], false);
        assert_eq!(envelope["actions"]["open_provider_trace"], true);
    }

    #[test]
    fn titles_in_order() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<Value>, &'a str);
        let cases: [Case<'_>; 6] = [
            (&[("title", "T"), ("name", "N")], None, "T"),
            (&[("label", "L"), ("filename", "f.txt")], None, "L"),
            (
                &[("filename", "f.txt")],
                Some(json!({"generation": {"prompt_title": "P"}})),
                "P",
            ),
            (
                &[("filename", "f.txt")],
                Some(json!({"producer": {"task": "tts"}})),
                "tts",
            ),
            (&[("filename", "f.txt"), ("path", "a/b.txt")], None, "f.txt"),
            (&[("source_path", "a/b.txt")], None, "b.txt"),
        ];
        for (tags, declared, expected) in cases {
            assert_eq!(title(&meta(None, tags, declared)), expected);
        }
    }

    #[test]
    fn metadata_answer_is_document_plus_envelope() {
        let meta = meta(Some("r"), &[], None);
        let response = metadata_response(&meta);
        assert_eq!(response["artifact_envelope_v1"]["artifact_id"], meta.artifact_id);
        assert_eq!(response["blob_id"], meta.blob_id);
    }
}
