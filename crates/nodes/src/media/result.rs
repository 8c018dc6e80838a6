//! Results of media requests as pins.

use crate::prelude::*;

/// A generated artifact.
pub(crate) struct Found {
    /// Reference for other nodes.
    pub(crate) reference: Value,
    /// Its content type, if the result tells it.
    pub(super) content_type: Option<String>,
}

/// Pins of a generated medium; `primary` are the pins that carry the artifact under the name of its kind.
pub(super) fn generated(raw: &Value, node: &OutputCtx<'_>, modality: &str, primary: &[&str]) -> Object {
    let found = artifact(raw);
    let success = found.is_some();
    let (reference, content_type) = found
        .map(|found| (found.reference, found.content_type))
        .unwrap_or_default();
    let mut outputs = Object::new();
    for pin in primary {
        outputs.insert((*pin).to_owned(), reference.clone());
    }
    let id = raw
        .get("artifact_id")
        .and_then(opt_str)
        .or_else(|| crate::artifact::id(&reference));
    outputs.insert("artifact_ref".to_owned(), reference);
    outputs.insert("artifact_id".to_owned(), id.into());
    outputs.insert("content_type".to_owned(), content_type.into());
    outputs.insert(
        "outputs".to_owned(),
        raw.get("outputs").cloned().unwrap_or(json!({})),
    );
    outputs.insert(
        "resources".to_owned(),
        raw.get("resources").cloned().unwrap_or(json!([])),
    );
    outputs.insert("success".to_owned(), success.into());
    outputs.insert("meta".to_owned(), meta(raw, node, modality));
    outputs.insert("raw".to_owned(), raw.clone());
    outputs
}

/// The artifact of a result: its own, else the first of its outputs, else the first of its resources.
pub(crate) fn artifact(raw: &Value) -> Option<Found> {
    let own = from_item(raw);
    own.or_else(|| first_item(raw.get("outputs")?).and_then(from_item))
        .or_else(|| first_item(raw.get("resources")?).and_then(from_item))
}

fn first_item(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(items) => items.first(),
        Value::Object(by_modality) => by_modality
            .values()
            .find_map(|items| items.as_array().and_then(|items| items.first())),
        _ => None,
    }
}

fn from_item(item: &Value) -> Option<Found> {
    let own = item
        .get("artifact_ref")
        .filter(|reference| crate::artifact::id(reference).is_some())
        .cloned();
    let reference = own.or_else(|| crate::artifact::id(item).map(|id| json!({"$artifact": id})))?;
    let content_type = [item, &reference]
        .iter()
        .find_map(|value| value.get("content_type").and_then(opt_str));
    Some(Found {
        reference,
        content_type,
    })
}

/// What produced a result.
pub(super) fn meta(raw: &Value, node: &OutputCtx<'_>, modality: &str) -> Value {
    let mut meta = Object::new();
    meta.insert(
        "schema".to_owned(),
        format!("abstractflow.{}.v1.meta", node.config.kind).into(),
    );
    meta.insert("version".to_owned(), 1.into());
    meta.insert("modality".to_owned(), modality.into());
    for key in ["provider", "model"] {
        meta.extend(
            raw.get(key)
                .and_then(opt_str)
                .map(|text| (key.to_owned(), text.into())),
        );
    }
    Value::Object(meta)
}

#[cfg(test)]
mod tests {
    use crate::{media::generate_image, testing::mapped};
    use serde_json::json;

    #[test]
    fn the_first_output_is_the_artifact() {
        let item =
            json!({"artifact_id": "a1", "artifact_ref": {"$artifact": "a1"}, "content_type": "image/png"});
        let raw = json!({"outputs": {"image": [item]}, "provider": "p", "model": null});
        let outputs = mapped(
            &generate_image::NODE,
            json!({"kind": "generate_image"}),
            json!({}),
            raw,
        );
        assert_eq!(outputs["image_artifact"], json!({"$artifact": "a1"}));
        assert_eq!(outputs["artifact_id"], "a1");
        assert_eq!(outputs["content_type"], "image/png");
        assert_eq!(outputs["success"], true);
        let meta = json!({"schema": "abstractflow.generate_image.v1.meta", "version": 1, "modality": "image", "provider": "p"});
        assert_eq!(outputs["meta"], meta);
    }

    #[test]
    fn nothing_generated_is_no_success() {
        let outputs = mapped(
            &generate_image::NODE,
            json!({}),
            json!({}),
            json!({"content": "sorry"}),
        );
        assert_eq!(outputs["success"], false);
        assert_eq!(outputs["image_artifact"], json!(null));
    }
}
