//! Pin type → JSON Schema.

use serde_json::{Value, json};

use crate::flow::Object;

const STRINGS: [&str; 11] = [
    "string",
    "str",
    "text",
    "markdown",
    "path",
    "file",
    "directory",
    "workspace_file",
    "workspace_folder",
    "provider",
    "model",
];
const ROUTE_MODALITIES: [&str; 5] = ["text", "image", "video", "voice", "music"];
const ARTIFACT_MODALITIES: [&str; 4] = ["image", "audio", "text", "video"];
/// Members of an artifact reference besides `$artifact`, all strings.
const ARTIFACT_MEMBERS: [&str; 7] = [
    "artifact_id",
    "run_id",
    "artifact_run_id",
    "content_type",
    "filename",
    "source_path",
    "modality",
];

/// The schema a pin type stands for; empty (anything) for types without a JSON shape.
pub(super) fn schema(pin_type: &str) -> Object {
    let simple = match pin_type {
        "number" | "float" | "double" => Some("number"),
        "integer" | "int" => Some("integer"),
        "boolean" | "bool" => Some("boolean"),
        "array" | "list" => Some("array"),
        "object" | "dict" | "map" | "json" => Some("object"),
        _ if is_string(pin_type) => Some("string"),
        _ => None,
    };
    if let Some(name) = simple {
        return object([("type", json!(name))]);
    }
    if let Some(modality) = modality(pin_type, "artifact") {
        return with_modality(artifact(), modality);
    }
    if let Some(modality) = modality(pin_type, "artifacts") {
        let items = with_modality(artifact(), modality);
        return with_modality(
            object([("type", json!("array")), ("items", Value::Object(items))]),
            modality,
        );
    }
    Object::new()
}

fn is_string(pin_type: &str) -> bool {
    STRINGS.contains(&pin_type)
        || ["provider_", "model_"]
            .into_iter()
            .filter_map(|prefix| pin_type.strip_prefix(prefix))
            .any(|modality| ROUTE_MODALITIES.contains(&modality))
}

/// `Some(None)` for the bare type, `Some(Some(modality))` for `<stem>_<modality>`.
fn modality<'a>(pin_type: &'a str, stem: &str) -> Option<Option<&'a str>> {
    let rest = pin_type.strip_prefix(stem)?;
    if rest.is_empty() {
        return Some(None);
    }
    rest.strip_prefix('_')
        .filter(|modality| ARTIFACT_MODALITIES.contains(modality))
        .map(Some)
}

fn artifact() -> Object {
    let mut properties = object([("$artifact", json!({"type": "string", "minLength": 1}))]);
    for member in ARTIFACT_MEMBERS {
        properties.insert(member.to_owned(), json!({"type": "string"}));
    }
    object([
        ("type", json!("object")),
        ("required", json!(["$artifact"])),
        ("properties", Value::Object(properties)),
        ("additionalProperties", json!(true)),
    ])
}

fn with_modality(mut schema: Object, modality: Option<&str>) -> Object {
    if let Some(modality) = modality {
        schema.insert("x-abstract-artifact-modality".to_owned(), json!(modality));
    }
    schema
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    members
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
