//! Rows beside the runs.

use ag_store::{ArtifactRow, Document, DocumentKind, OwnerRow, PutMode};
use ag_types::Clock as _;

use super::{
    super::world::{World, text},
    all,
};

impl World {
    pub(super) async fn rows(&mut self) {
        let (scope, now) = (self.scope(), self.clock.now());
        let n = self.random.below(4);
        match self.random.below(7) {
            0..3 => {
                let kind = [DocumentKind::Bundle, DocumentKind::VisualFlow][self.random.below(2)];
                let mode = [PutMode::Upsert, PutMode::Create, PutMode::Replace][self.random.below(3)];
                let body = format!("{{\"n\":{}}}", self.number());
                let document = Document {
                    id: format!("document-{n}"),
                    body,
                    updated_at: now,
                };
                all!(self, format!("put {kind:?} {mode:?} {document:?}"), |backend| {
                    text(
                        &backend
                            .api
                            .put_document(&scope, kind, document.clone(), mode)
                            .await,
                    )
                });
            }
            3 => {
                let id = format!("document-{n}");
                all!(self, format!("delete {id}"), |backend| {
                    text(
                        &backend
                            .api
                            .delete_document(&scope, DocumentKind::Bundle, &id)
                            .await,
                    )
                });
            }
            4 => {
                let run = self.run_of(&scope).map(|key| key.run.to_string());
                let row = ArtifactRow {
                    artifact_id: format!("artifact-{n}"),
                    run_id: run,
                    blob_id: format!("blob-{}", self.random.below(3)),
                    content_type: "text/plain".to_owned(),
                    size_bytes: 1 << 40,
                    created_at: now,
                    semantic_kind: "file".to_owned(),
                    render_kind: "text".to_owned(),
                    modality: "text".to_owned(),
                    session_id: self.random.percent(50).then(|| "session-1".to_owned()),
                    meta: "{}".into(),
                };
                all!(self, format!("put {row:?}"), |backend| {
                    text(&backend.api.put_artifact(&scope, row.clone()).await)
                });
            }
            5 => {
                let Some(key) = self.run_of(&scope) else { return };
                let ids = [key.run.to_string()];
                all!(self, format!("delete artifacts of {key:?}"), |backend| {
                    text(&backend.api.delete_artifacts_of(&scope, &ids).await)
                });
            }
            _ => {
                let owner = OwnerRow {
                    owner_id: format!("session_memory_{n}"),
                    session_id: None,
                    created_at: now,
                    updated_at: now,
                };
                all!(self, format!("ensure {owner:?}"), |backend| {
                    text(&backend.api.ensure_owner(&scope, owner.clone()).await)
                });
            }
        }
    }
}
