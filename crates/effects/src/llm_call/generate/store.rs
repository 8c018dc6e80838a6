//! Made media as artifacts of the run.

use ag_artifacts::{BlobId, NewArtifact, Tags};
use ag_kernel::EffectRequest;
use ag_store::ArtifactRow;
use ag_types::Object;
use serde_json::{Value, json};

use super::make::Piece;
use super::spec::{Spec, Task};
use super::target::Target;
use crate::EffectCtx;
use crate::artifacts::store_made;
use crate::llm_call::text_of;

/// Longest text that a descriptor repeats, in characters.
const MAX_PROMPT_CHARS: usize = 4_000;

/// Stores the pieces of one specification.
pub(super) struct Keeper<'a> {
    pub(super) ctx: &'a EffectCtx<'a>,
    pub(super) request: &'a EffectRequest,
    pub(super) spec: &'a Spec,
    pub(super) target: &'a Target,
    pub(super) prompt: &'a str,
}

impl Keeper<'_> {
    /// Stores the bytes; the row goes into the effect's commit. Returns the item of the result.
    pub(super) async fn keep(&self, index: usize, piece: Piece) -> Result<(Value, ArtifactRow), String> {
        let sha256 = BlobId::of(&piece.data).to_string();
        let filename = (self.spec.task == Task::Speech).then(|| format!("tts.{}", self.spec.format()));
        let own_run = self.ctx.run.head.run_id.to_string();
        let new = NewArtifact {
            run_id: Some(self.spec.run_id.clone().unwrap_or(own_run)),
            content_type: piece.content_type,
            tags: self.tags(&sha256, filename.as_deref()),
            descriptor: Some(self.descriptor(index)),
            ..NewArtifact::default()
        };
        let now = self.ctx.clock.now();
        let (blobs, cancel) = (self.ctx.blobs, &self.ctx.cancel);
        let stored = store_made(blobs, self.ctx.scope, new, piece.data, now, cancel).await;
        let (meta, row) = stored.map_err(|error| format!("Generated media cannot be stored: {error}"))?;
        let sent_as = piece
            .sent_as
            .map(|how| json!({"source": how}))
            .unwrap_or_else(|| json!({}));
        let mut reference = json!({
            "$artifact": meta.artifact_id,
            "content_type": meta.content_type,
            "sha256": sha256,
            "size_bytes": meta.size_bytes,
            "metadata": sent_as,
            "artifact_id": meta.artifact_id,
        });
        if let (Some(name), Some(map)) = (filename, reference.as_object_mut()) {
            map.insert("filename".to_owned(), name.into());
        }
        let (provider, model) = self.shown_source();
        let mut item = json!({
            "modality": self.spec.task.modality(),
            "task": self.spec.task_name,
            "content_type": meta.content_type,
            "format": self.spec.format(),
            "backend_id": self.backend(),
            "provider": provider,
            "artifact_ref": reference,
            "metadata": {},
            "artifact_id": meta.artifact_id,
            "size_bytes": meta.size_bytes,
        });
        if let (Some(model), Some(map)) = (model, item.as_object_mut()) {
            map.insert("model".to_owned(), model.into());
        }
        Ok((item, row))
    }

    /// Names by which results call what made them (recorded): speech and pictures of a default back end go by the
    /// back end's name, and the voice stands in for the model.
    fn shown_source(&self) -> (String, Option<String>) {
        let spec = self.spec;
        match spec.task {
            Task::Speech => (
                spec.provider.clone().unwrap_or_else(|| self.backend().to_owned()),
                spec.model.clone().or_else(|| text_of(&spec.options, "voice")),
            ),
            _ if spec.provider.is_none() && spec.model.is_some() => {
                (self.backend().to_owned(), spec.model.clone())
            }
            _ => (self.target.provider.clone(), self.target.model.clone()),
        }
    }

    fn backend(&self) -> &'static str {
        match self.spec.task.modality() {
            "image" | "video" => "abstractvision:openai",
            "voice" => "abstractvoice:default",
            _ => "abstractmusic:default",
        }
    }

    fn tags(&self, sha256: &str, filename: Option<&str>) -> Tags {
        let (head, open) = (&self.ctx.run.head, &self.request.open);
        let mut tags = Tags::new();
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                tags.insert(name.to_owned(), value);
            }
        };
        set("kind", Some("generated_media".to_owned()));
        set("source", Some("llm_call".to_owned()));
        for (name, value) in &self.spec.tags {
            set(name, ag_pyvalue::opt_str(value));
        }
        set("modality", Some(self.spec.task.modality().to_owned()));
        set("task", Some(self.spec.task_name.clone()));
        set("run_id", Some(head.run_id.to_string()));
        set("workflow_id", Some(head.workflow_id.to_string()));
        set("node_id", Some(open.node_id.clone()));
        set("actor_id", head.actor_id.as_deref().map(str::to_owned));
        set("session_id", head.session_id.as_deref().map(str::to_owned));
        set("parent_run_id", head.parent_run_id.map(|id| id.to_string()));
        set("step_id", Some(open.step_id.to_string()));
        set("effect_idempotency_key", Some(open.key.clone()));
        set("provider", Some(self.target.provider.clone()));
        set("model", self.target.model.clone());
        set("sha256", Some(sha256.to_owned()));
        set("filename", filename.map(str::to_owned));
        tags
    }

    fn descriptor(&self, index: usize) -> Object {
        let field = if self.spec.task == Task::Speech {
            "text"
        } else {
            "prompt"
        };
        let prompt: String = self.prompt.chars().take(MAX_PROMPT_CHARS).collect();
        let mut params = self.spec.options.clone();
        params.retain(|key, _| !matches!(key.as_str(), "prompt" | "text" | "extra"));
        let mut generation = json!({
            "output_index": index, "params": params, "requested_format": self.spec.format(),
        });
        let mut provenance = json!({});
        if let Some(map) = generation.as_object_mut() {
            map.insert(field.to_owned(), prompt.into());
        }
        if let (Some(request), Some(map)) =
            (text_of(&self.spec.tags, "request_id"), provenance.as_object_mut())
        {
            map.insert("request_id".to_owned(), request.into());
        }
        let descriptor = json!({
            "classification_source": "producer",
            "producer": {
                "backend": self.backend(),
                "capability_route": self.spec.task_name,
                "model": self.target.model,
                "package": "abstractgateway",
                "provider": self.target.provider,
            },
            "generation": generation,
            "provenance": provenance,
            "security": {
                "prompt_storage": "descriptor_generation_bounded",
                "recorded_user_content_fields": [field],
                "sensitivity": "user_content",
            },
        });
        descriptor.as_object().cloned().unwrap_or_default()
    }
}
