//! Attachments around a batch: calls that they answer, and files that become attachments.

use std::sync::Arc;

use ag_kernel::VarChange;
use ag_store::StoreError;
use ag_tools::{
    ToolCall, ToolResult,
    batch::{Batch, BlockReason},
    workspace::WorkspacePolicy,
};
use ag_types::RunId;
use bytes::Bytes;
use serde_json::Value;

use super::{Side, ToolSettings};
use crate::{
    attachments::{KeepFile, Opened, SessionFiles, keep_read_file},
    handler::EffectCtx,
    patience::patiently,
};

/// Media for the next model call.
pub(super) const PENDING_MEDIA: &str = "_runtime.pending_media";

/// Executes `open_attachment`, and answers refused paths from the attachments that they name.
///
/// # Errors
/// The store is away. No tool has run yet.
pub(super) async fn answer_by_runtime(
    files: &SessionFiles<'_>,
    batch: &mut Batch,
    side: &mut Side,
) -> Result<(), StoreError> {
    let own: Vec<(usize, ToolCall)> = batch
        .runtime_owned
        .iter()
        .map(|(index, call)| (*index, call.clone()))
        .collect();
    for (index, call) in own {
        let opened = files.open(&call.arguments).await?;
        batch.serve(index, result(&call, opened, side).into_value());
    }
    let refused: Vec<(usize, ToolCall)> = batch
        .blocked
        .iter()
        .filter(|(_, blocked)| matches!(blocked.reason, BlockReason::Workspace(_)))
        .filter_map(|(index, blocked)| Some((*index, blocked.call.clone()?)))
        .collect();
    for (index, call) in refused {
        if let Some(opened) = files.serve(&call.name, &call.arguments).await? {
            batch.serve(index, result(&call, opened, side).into_value());
        }
    }
    Ok(())
}

fn result(call: &ToolCall, opened: Opened, side: &mut Side) -> ToolResult {
    if let Some(media) = opened.media {
        side.changes
            .push(VarChange::Append(PENDING_MEDIA.to_owned(), vec![media]));
    }
    match opened.error {
        None => ToolResult::success(call, opened.output),
        Some(error) => ToolResult {
            output: opened.output,
            ..ToolResult::failure(call, error)
        },
    }
}

/// What happens after a `read_file` that was executed at once.
pub(super) struct Keeper<'a> {
    pub(super) ctx: &'a EffectCtx<'a>,
    pub(super) files: &'a SessionFiles<'a>,
    pub(super) policy: &'a Arc<WorkspacePolicy>,
    pub(super) limit: u64,
    pub(super) settings: &'a ToolSettings,
}

impl Keeper<'_> {
    /// A file that was shown becomes an attachment, a failure is answered from the attachments where they can.
    /// `asked` is the call before its path was rewritten.
    pub(super) async fn after_read(
        &self,
        call: &ToolCall,
        asked: Option<&Value>,
        result: &mut ToolResult,
        side: &mut Side,
    ) {
        if !result.success {
            let asked = asked.and_then(ToolCall::from_value);
            let arguments = asked.as_ref().map_or(&call.arguments, |asked| &asked.arguments);
            let serve = || async { Ok(self.files.serve(&call.name, arguments).await?) };
            match patiently(&self.ctx.cancel, serve).await {
                Ok(Some(opened)) => *result = self::result(call, opened, side),
                Ok(None) => {}
                // The failure stands: the tools of the batch have run and must not run again.
                Err(error) => tracing::warn!(%error, "attachments are not readable"),
            }
            return;
        }
        let shown = result.output.as_str().filter(|text| text.starts_with("File:"));
        let (Some(shown), Some(session)) = (
            shown,
            self.ctx
                .run
                .head
                .session_id
                .as_deref()
                .filter(|id| !id.trim().is_empty()),
        ) else {
            return;
        };
        let large = shown.len() > self.settings.max_inline_bytes;
        let Some((handle, content)) = self.load(call).await else {
            return;
        };
        let file = KeepFile {
            session_id: session,
            handle: &handle,
            source: "read_file",
            content,
        };
        let now = self.ctx.clock.now();
        match keep_read_file(self.ctx.blobs, self.ctx.scope, file, now, &self.ctx.cancel).await {
            Ok(kept) => {
                if large {
                    result.output = kept.stub(&call.name).into();
                }
                if !side.owners.contains(&kept.owner) {
                    side.owners.push(kept.owner);
                }
                side.artifacts
                    .retain(|row| row.artifact_id != kept.row.artifact_id);
                side.artifacts.push(kept.row);
            }
            Err(error) => {
                let run: RunId = self.ctx.run.head.run_id;
                tracing::warn!(run.id = %run, %error, "a file that was read is not kept as an attachment");
            }
        }
    }

    /// The file's handle and bytes; `None` when it is too large or gone.
    async fn load(&self, call: &ToolCall) -> Option<(String, Bytes)> {
        let path = call.arguments.get("file_path")?.as_str()?.to_owned();
        let (policy, limit) = (Arc::clone(self.policy), self.limit);
        let read = tokio::task::spawn_blocking(move || {
            let path = policy.resolve(&path).ok()?;
            if std::fs::metadata(&path).ok()?.len() > limit {
                return None;
            }
            let content = std::fs::read(&path).ok()?;
            Some((policy.virtual_path(&path), Bytes::from(content)))
        });
        read.await.ok().flatten()
    }
}
