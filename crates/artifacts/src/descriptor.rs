//! The descriptor: what an artifact is, who made it, and how that is known.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    content_type::render_kind,
    meta::{Tags, non_blank},
};

/// Value of `schema`.
const SCHEMA: &str = "abstractruntime.artifact_descriptor.v1";

const MODALITIES: [&str; 8] = [
    "voice", "music", "sound", "image", "video", "text", "document", "code",
];

const KINDS: [&str; 5] = [
    "attachment",
    "evidence",
    "workflow_snapshot",
    "conversation_span",
    "memory_note",
];

/// How the classification came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassificationSource {
    /// The producer gave a descriptor.
    Declared,
    /// A tag said so.
    Tags,
    /// Only the MIME type is known.
    Mime,
}

impl ClassificationSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "runtime_declared",
            Self::Tags => "runtime_tags",
            Self::Mime => "runtime_mime_inferred",
        }
    }
}

/// All keys are always present in the JSON form, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Descriptor {
    pub schema: String,
    pub schema_version: u32,
    pub semantic_kind: String,
    pub render_kind: String,
    pub modality: String,
    /// Empty when unknown.
    pub task: String,
    pub classification_source: String,
    pub session_id: Option<String>,
    pub workflow_id: Option<String>,
    pub node_id: Option<String>,
    pub step_id: Option<String>,
    pub effect_id: Option<String>,
    pub turn_id: Option<String>,
    /// Text from a tag; producers may give a number.
    pub ledger_cursor: Option<Value>,
    pub parent_run_id: Option<String>,
    pub actor_id: Option<String>,
    pub producer: Map<String, Value>,
    pub provenance: Map<String, Value>,
    pub generation: Map<String, Value>,
    pub media: Map<String, Value>,
    pub source_refs: Vec<Value>,
    pub links: Map<String, Value>,
    pub security: Map<String, Value>,
    pub actions: Map<String, Value>,
}

impl Default for Descriptor {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            schema_version: 1,
            semantic_kind: String::new(),
            render_kind: String::new(),
            modality: String::new(),
            task: String::new(),
            classification_source: String::new(),
            session_id: None,
            workflow_id: None,
            node_id: None,
            step_id: None,
            effect_id: None,
            turn_id: None,
            ledger_cursor: None,
            parent_run_id: None,
            actor_id: None,
            producer: Map::new(),
            provenance: Map::new(),
            generation: Map::new(),
            media: Map::new(),
            source_refs: Vec::new(),
            links: Map::new(),
            security: Map::new(),
            actions: Map::new(),
        }
    }
}

/// What a descriptor is derived from.
#[derive(Debug, Clone)]
pub struct DescriptorInput<'a> {
    pub content_type: &'a str,
    pub tags: &'a Tags,
    pub run_id: Option<&'a str>,
    /// Fields the producer gave; wrong types are ignored field by field.
    pub declared: Option<Map<String, Value>>,
    /// See [`inspect_media`](crate::inspect_media).
    pub media: Map<String, Value>,
}

impl Descriptor {
    /// Fills what the producer did not say, from tags, then from the MIME type.
    pub fn derive(input: DescriptorInput<'_>) -> Self {
        let tags = input.tags;
        let source = match &input.declared {
            Some(_) => ClassificationSource::Declared,
            None if ["semantic_kind", "artifact_type", "modality", "task"]
                .iter()
                .any(|name| non_blank(tags, name).is_some()) =>
            {
                ClassificationSource::Tags
            }
            None => ClassificationSource::Mime,
        };
        let mut declared = Declared(input.declared.unwrap_or_default());
        let render = declared
            .text("render_kind")
            .unwrap_or_else(|| render_kind(input.content_type).to_owned());
        let semantic = declared
            .text("semantic_kind")
            .unwrap_or_else(|| semantic_kind(tags, &render));
        let modality = declared
            .text("modality")
            .or_else(|| non_blank(tags, "modality").map(str::to_lowercase))
            .unwrap_or_else(|| match semantic.as_str() {
                "voice" | "music" | "sound" => semantic.clone(),
                _ => render.clone(),
            });
        let mut id = |names: &[&str]| {
            declared.text(names[0]).or_else(|| {
                names
                    .iter()
                    .find_map(|name| non_blank(tags, name))
                    .map(str::to_owned)
            })
        };
        let session_id = id(&["session_id"]);
        let workflow_id = id(&["workflow_id", "workflow"]);
        let node_id = id(&["node_id", "node"]);
        let step_id = id(&["step_id"]);
        let effect_id = id(&["effect_id", "effect_idempotency_key"]);
        let turn_id = id(&["turn_id", "turn"]);
        let parent_run_id = id(&["parent_run_id"]);
        let actor_id = id(&["actor_id"]);
        let task = id(&["task"]).unwrap_or_default();
        let ledger_cursor = declared
            .0
            .remove("ledger_cursor")
            .filter(|value| !value.is_null())
            .or_else(|| {
                ["ledger_cursor", "step_cursor"]
                    .iter()
                    .find_map(|name| non_blank(tags, name))
                    .map(Value::from)
            });
        let mut provenance = declared.map("provenance");
        let known = [("run_id", input.run_id), ("source", non_blank(tags, "source"))];
        for (name, value) in known {
            if let Some(value) = value {
                provenance.entry(name).or_insert_with(|| Value::from(value));
            }
        }
        let mut media = declared.map("media");
        for (name, value) in input.media {
            media.entry(name).or_insert(value);
        }
        Self {
            schema: SCHEMA.to_owned(),
            schema_version: 1,
            semantic_kind: semantic,
            render_kind: render,
            modality,
            task,
            classification_source: declared
                .text("classification_source")
                .unwrap_or_else(|| source.as_str().to_owned()),
            session_id,
            workflow_id,
            node_id,
            step_id,
            effect_id,
            turn_id,
            ledger_cursor,
            parent_run_id,
            actor_id,
            producer: declared.map("producer"),
            provenance,
            generation: declared.map("generation"),
            media,
            source_refs: declared.list("source_refs"),
            links: declared.map("links"),
            security: declared.map("security"),
            actions: declared.map("actions"),
        }
    }
}

/// Fields of a producer's descriptor, taken out one by one.
struct Declared(Map<String, Value>);

impl Declared {
    fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    fn map(&mut self, name: &str) -> Map<String, Value> {
        match self.0.remove(name) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    fn list(&mut self, name: &str) -> Vec<Value> {
        match self.0.remove(name) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        }
    }
}

fn semantic_kind(tags: &Tags, render_kind: &str) -> String {
    let tag = |name: &str| non_blank(tags, name).map(str::to_lowercase);
    if let Some(kind) = tag("semantic_kind").or_else(|| tag("artifact_type")) {
        return kind;
    }
    if let Some(modality) = tag("modality").filter(|modality| MODALITIES.contains(&modality.as_str())) {
        return modality;
    }
    for name in ["task", "provider_task", "kind"] {
        if let Some(kind) = tag(name).and_then(|text| kind_of_task(&text)) {
            return kind.to_owned();
        }
    }
    tag("kind")
        .filter(|kind| KINDS.contains(&kind.as_str()))
        .unwrap_or_else(|| render_kind.to_owned())
}

/// Tasks name what they make; the words decide, not the whole text (`text_to_music`).
fn kind_of_task(text: &str) -> Option<&'static str> {
    let has = |words: &[&str]| {
        text.split(|c: char| !c.is_alphanumeric())
            .any(|word| words.contains(&word))
    };
    if has(&["code"]) {
        Some("code")
    } else if has(&["tts"]) || text.contains("text_to_speech") {
        Some("voice")
    } else if has(&["music"]) {
        Some("music")
    } else if has(&["stt", "transcription", "transcript"]) || text.contains("speech_to_text") {
        Some("transcript")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn derive(mime: &str, pairs: &[(&str, &str)], declared: Option<Value>) -> Descriptor {
        let tags = tags(pairs);
        Descriptor::derive(DescriptorInput {
            content_type: mime,
            tags: &tags,
            run_id: Some("r"),
            declared: declared.and_then(|value| value.as_object().cloned()),
            media: Map::new(),
        })
    }

    #[test]
    fn classification() {
        // mime, tags, semantic kind, render kind, modality, source
        type Case<'a> = (
            &'a str,
            &'a [(&'a str, &'a str)],
            &'a str,
            &'a str,
            &'a str,
            &'a str,
        );
        let cases: [Case<'_>; 10] = [
            (
                "image/png",
                &[],
                "image",
                "image",
                "image",
                "runtime_mime_inferred",
            ),
            (
                "audio/wav",
                &[("modality", "voice")],
                "voice",
                "audio",
                "voice",
                "runtime_tags",
            ),
            (
                "audio/wav",
                &[("task", "text_to_music")],
                "music",
                "audio",
                "music",
                "runtime_tags",
            ),
            (
                "audio/wav",
                &[("provider_task", "tts")],
                "voice",
                "audio",
                "voice",
                "runtime_mime_inferred",
            ),
            (
                "text/plain",
                &[("task", "stt")],
                "transcript",
                "text",
                "text",
                "runtime_tags",
            ),
            (
                "text/plain",
                &[("kind", "attachment"), ("modality", "file")],
                "attachment",
                "text",
                "file",
                "runtime_tags",
            ),
            (
                "application/json",
                &[("kind", "workflow_snapshot")],
                "workflow_snapshot",
                "json",
                "json",
                "runtime_mime_inferred",
            ),
            (
                "application/json",
                &[("kind", "json")],
                "json",
                "json",
                "json",
                "runtime_mime_inferred",
            ),
            (
                "text/plain",
                &[("artifact_type", "Report")],
                "report",
                "text",
                "text",
                "runtime_tags",
            ),
            (
                "",
                &[("semantic_kind", " ")],
                "binary",
                "binary",
                "binary",
                "runtime_mime_inferred",
            ),
        ];
        for (mime, pairs, semantic, render, modality, source) in cases {
            let descriptor = derive(mime, pairs, None);
            assert_eq!(
                (
                    descriptor.semantic_kind.as_str(),
                    descriptor.render_kind.as_str(),
                    descriptor.modality.as_str(),
                    descriptor.classification_source.as_str()
                ),
                (semantic, render, modality, source),
                "{mime} {pairs:?}"
            );
        }
    }

    #[test]
    fn ids_come_from_tags_and_aliases() {
        let descriptor = derive(
            "text/plain",
            &[
                ("session_id", "s"),
                ("workflow", "w"),
                ("node", "n"),
                ("effect_idempotency_key", "e"),
                ("turn", "t"),
                ("step_cursor", "7"),
                ("source", "upload"),
            ],
            None,
        );
        assert_eq!(descriptor.session_id.as_deref(), Some("s"));
        assert_eq!(descriptor.workflow_id.as_deref(), Some("w"));
        assert_eq!(descriptor.node_id.as_deref(), Some("n"));
        assert_eq!(descriptor.effect_id.as_deref(), Some("e"));
        assert_eq!(descriptor.turn_id.as_deref(), Some("t"));
        assert_eq!(descriptor.ledger_cursor, Some(json!("7")));
        assert_eq!(
            Value::Object(descriptor.provenance),
            json!({"run_id": "r", "source": "upload"})
        );
    }

    #[test]
    fn a_producer_wins_field_by_field() {
        let declared = json!({"semantic_kind": "voice", "producer": {"task": "tts"}, "links": "bad", "ledger_cursor": 3});
        let descriptor = derive("audio/wav", &[("modality", "audio")], Some(declared));
        assert_eq!(descriptor.semantic_kind, "voice");
        assert_eq!(descriptor.modality, "audio");
        assert_eq!(descriptor.classification_source, "runtime_declared");
        assert_eq!(descriptor.producer["task"], "tts");
        assert!(descriptor.links.is_empty());
        assert_eq!(descriptor.ledger_cursor, Some(json!(3)));
    }

    #[test]
    fn keys_are_complete_and_ordered() {
        let document = serde_json::to_value(Descriptor::default()).expect("plain struct");
        let keys: Vec<&str> = document
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys.join(" "),
            "schema schema_version semantic_kind render_kind modality task classification_source session_id workflow_id \
             node_id step_id effect_id turn_id ledger_cursor parent_run_id actor_id producer provenance generation media \
             source_refs links security actions"
        );
    }
}
