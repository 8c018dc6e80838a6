//! The small objects by which values point at artifacts.

use serde_json::{Map, Value};

use crate::{ArtifactMeta, reference_modality};

/// The reference of HTTP answers (`artifact`, `attachment`, `ref`): absent facts are left out.
pub fn canonical_reference(meta: &ArtifactMeta) -> Value {
    let mut reference = base(meta);
    let modality = meta
        .tag("modality")
        .unwrap_or_else(|| reference_modality(&meta.content_type));
    reference.insert("modality".to_owned(), modality.into());
    add(&mut reference, "run_id", meta.run_id.as_deref());
    add(&mut reference, "filename", meta.filename());
    add(&mut reference, "source_path", meta.source_path());
    add(&mut reference, "sha256", meta.tag("sha256"));
    add(&mut reference, "target", meta.tag("target"));
    Value::Object(reference)
}

/// The reference that artifact nodes put on their pins: no modality, but the size.
pub fn node_reference(meta: &ArtifactMeta) -> Value {
    let mut reference = base(meta);
    reference.insert("size_bytes".to_owned(), meta.size_bytes.into());
    add(&mut reference, "run_id", meta.run_id.as_deref());
    add(&mut reference, "filename", meta.filename());
    add(&mut reference, "source_path", meta.source_path());
    Value::Object(reference)
}

fn base(meta: &ArtifactMeta) -> Map<String, Value> {
    let mut reference = Map::new();
    reference.insert("$artifact".to_owned(), meta.artifact_id.as_str().into());
    reference.insert("artifact_id".to_owned(), meta.artifact_id.as_str().into());
    reference.insert("content_type".to_owned(), meta.content_type.as_str().into());
    reference
}

fn add(map: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::NewArtifact;

    /// The values recorded by the import, read and export vector.
    #[test]
    fn node_reference_of_a_workspace_import() {
        let tags = [
            ("path", "in/report.txt"),
            ("filename", "report.txt"),
            ("sha256", "00"),
            ("modality", "text"),
        ];
        let new = NewArtifact {
            run_id: Some("r".to_owned()),
            content_type: "text/plain".to_owned(),
            tags: tags
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            ..NewArtifact::default()
        };
        let meta = ArtifactMeta::new(new, "artifact body é".as_bytes(), "t");
        let id = meta.artifact_id.clone();
        assert_eq!(
            node_reference(&meta),
            json!({"$artifact": id, "artifact_id": id, "content_type": "text/plain", "filename": "report.txt", "run_id": "r", "size_bytes": 16, "source_path": "in/report.txt"})
        );
        assert_eq!(
            canonical_reference(&meta),
            json!({"$artifact": id, "artifact_id": id, "content_type": "text/plain", "modality": "text", "run_id": "r", "filename": "report.txt", "source_path": "in/report.txt", "sha256": "00"})
        );
    }
}
