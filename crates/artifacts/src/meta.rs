//! The metadata document of an artifact.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Access, Descriptor, DescriptorInput, artifact_id, blob::BlobId, inspect_media};

/// Tags of an artifact, in the order they were set.
pub type Tags = IndexMap<String, String>;

/// Everything known about an artifact; the JSON form is the metadata object of the contract, which
/// is also what the store keeps. Documents of older writers may lack keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactMeta {
    /// See [`artifact_id`].
    pub artifact_id: String,
    /// SHA-256 of the content in hex.
    #[serde(default)]
    pub blob_id: String,
    #[serde(default)]
    pub content_type: String,
    #[serde(default)]
    pub size_bytes: u64,
    /// ISO 8601 with offset; compared as text.
    #[serde(default)]
    pub created_at: String,
    #[serde(default)]
    pub run_id: Option<String>,
    #[serde(default)]
    pub tags: Tags,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    #[serde(default)]
    pub descriptor: Descriptor,
    #[serde(default)]
    pub access: Access,
}

/// What a writer knows about content that is about to be stored.
#[derive(Debug, Clone, Default)]
pub struct NewArtifact {
    pub run_id: Option<String>,
    pub content_type: String,
    pub tags: Tags,
    pub metadata: Map<String, Value>,
    /// A descriptor of the producer; the rest is derived.
    pub descriptor: Option<Map<String, Value>>,
}

/// What a document says of content that was never held as a whole.
#[derive(Debug, Clone)]
pub struct ContentFacts {
    /// See [`ArtifactIdHash`](crate::ArtifactIdHash); of the run that the artifact is made for.
    pub artifact_id: String,
    /// Name of the bytes.
    pub blob_id: BlobId,
    /// Their number.
    pub size_bytes: u64,
    /// See [`inspect_media_in`](crate::inspect_media_in).
    pub media: Map<String, Value>,
}

impl ArtifactMeta {
    /// The document for `content` stored at `created_at`. Storing the same bytes for the same run
    /// again makes the same id with fresh metadata and counters, which replaces the old document.
    pub fn new(new: NewArtifact, content: &[u8], created_at: impl Into<String>) -> Self {
        let facts = ContentFacts {
            artifact_id: artifact_id(new.run_id.as_deref(), content),
            blob_id: BlobId::of(content),
            size_bytes: content.len() as u64,
            media: inspect_media(&new.content_type, content),
        };
        Self::of(new, facts, created_at)
    }

    /// The same for content of which only this is known.
    pub fn of(new: NewArtifact, facts: ContentFacts, created_at: impl Into<String>) -> Self {
        let descriptor = Descriptor::derive(DescriptorInput {
            content_type: &new.content_type,
            tags: &new.tags,
            run_id: new.run_id.as_deref(),
            declared: new.descriptor,
            media: facts.media,
        });
        Self {
            artifact_id: facts.artifact_id,
            blob_id: facts.blob_id.to_string(),
            content_type: new.content_type,
            size_bytes: facts.size_bytes,
            created_at: created_at.into(),
            run_id: new.run_id,
            tags: new.tags,
            metadata: new.metadata,
            descriptor,
            access: Access::default(),
        }
    }

    /// A tag that is not blank.
    pub fn tag(&self, name: &str) -> Option<&str> {
        non_blank(&self.tags, name)
    }

    /// Name of the file, when it was one.
    pub fn filename(&self) -> Option<&str> {
        self.tag("filename")
    }

    /// Where the file came from.
    pub fn source_path(&self) -> Option<&str> {
        self.tag("path").or_else(|| self.tag("source_path"))
    }
}

pub(crate) fn non_blank<'a>(tags: &'a Tags, name: &str) -> Option<&'a str> {
    tags.get(name)
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Shape and keys of the contract, in order, for an artifact of the offload path.
    #[test]
    fn document_of_an_offloaded_text() {
        let tags = [
            ("source", "run_output_offload"),
            ("path", "output.text"),
            ("kind", "text"),
        ];
        let new = NewArtifact {
            run_id: Some("r1".to_owned()),
            content_type: "text/plain".to_owned(),
            tags: tags
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            ..NewArtifact::default()
        };
        let meta = ArtifactMeta::new(new, b"abc", "2025-01-01T00:00:00+00:00");
        let document = serde_json::to_value(&meta).expect("plain struct");
        let keys: Vec<&str> = document
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            [
                "artifact_id",
                "blob_id",
                "content_type",
                "size_bytes",
                "created_at",
                "run_id",
                "tags",
                "metadata",
                "descriptor",
                "access"
            ]
        );
        assert_eq!(
            document["blob_id"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(document["size_bytes"], 3);
        assert_eq!(document["descriptor"]["semantic_kind"], "text");
        assert_eq!(
            document["descriptor"]["classification_source"],
            "runtime_mime_inferred"
        );
        assert_eq!(
            document["descriptor"]["provenance"],
            json!({"run_id": "r1", "source": "run_output_offload"})
        );
        let back: ArtifactMeta = serde_json::from_value(document).expect("own document");
        assert_eq!(back, meta);
    }

    #[test]
    fn sparse_documents_of_older_writers_load() {
        let meta: ArtifactMeta =
            serde_json::from_value(json!({"artifact_id": "a", "descriptor": {"semantic_kind": "image"}}))
                .expect("sparse");
        assert_eq!(meta.descriptor.semantic_kind, "image");
        assert_eq!(meta.access, Access::default());
    }
}
