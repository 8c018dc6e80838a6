//! Pictures and other bytes that tools return: stored as artifacts of the run, named in the output as `open_attachment`
//! names what it opens (provider contract §6), and, where every model may get them, queued for the next model call.

use ag_artifacts::{BlobId, NewArtifact, Tags};
use ag_kernel::VarChange;
use ag_tools::{ToolMedia, ToolResult};
use ag_types::Object;
use serde_json::{Value, json};

use super::{Side, files::PENDING_MEDIA};
use crate::{artifacts::store_made, handler::EffectCtx};

/// Stores what came with the results and rewrites their outputs. What cannot be stored is said in the output: the tools
/// have run and must not run again.
pub(super) async fn keep(ctx: &EffectCtx<'_>, results: &mut [ToolResult], limit: u64, side: &mut Side) {
    for result in results {
        let media = std::mem::take(&mut result.media);
        if media.is_empty() {
            continue;
        }
        let mut lines = Vec::new();
        let mut items = Vec::new();
        for (n, piece) in (1..).zip(media) {
            match store(ctx, result, n, piece, limit, side).await {
                Ok((line, item)) => {
                    lines.push(line);
                    items.push(item);
                }
                Err(line) => lines.push(line),
            }
        }
        rewrite(result, &lines, items);
    }
}

async fn store(
    ctx: &EffectCtx<'_>,
    result: &ToolResult,
    n: usize,
    piece: ToolMedia,
    limit: u64,
    side: &mut Side,
) -> Result<(String, Value), String> {
    let size = piece.data.len();
    let content_type = piece.content_type.trim().to_ascii_lowercase();
    if size as u64 > limit {
        return Err(format!(
            "(not kept: {content_type}, {size} bytes > {limit} bytes)"
        ));
    }
    let tool = result.name.rsplit("::").next().unwrap_or_default();
    let filename = format!("{tool}-{n}.{}", ending(&content_type));
    let head = &ctx.run.head;
    let mut tags = Tags::new();
    let mut tag = |name: &str, value: &str| tags.insert(name.to_owned(), value.to_owned());
    tag("kind", "tool_media");
    tag("source", "tool_calls");
    tag("tool_name", &result.name);
    tag("call_id", &result.call_id);
    tag("node_id", &ctx.run.current_node);
    tag("filename", &filename);
    tag("sha256", &BlobId::of(&piece.data).to_string());
    if let Some(session) = head.session_id.as_deref() {
        tag("session_id", session);
    }
    let new = NewArtifact {
        run_id: Some(head.run_id.to_string()),
        content_type: content_type.clone(),
        tags,
        ..NewArtifact::default()
    };
    let stored = store_made(
        ctx.blobs,
        ctx.scope,
        new,
        piece.data,
        ctx.clock.now(),
        &ctx.cancel,
    )
    .await;
    let (meta, row) = stored.map_err(|error| {
        tracing::warn!(run.id = %head.run_id, %error, "what a tool returned is not kept");
        format!("(not kept: {content_type}, {size} bytes)")
    })?;
    let id = &meta.artifact_id;
    let item = json!({
        "$artifact": id, "filename": filename, "source_path": null, "content_type": content_type,
    });
    side.artifacts
        .retain(|known| known.artifact_id != row.artifact_id);
    side.artifacts.push(row);
    let mut line = format!("Attachment: {filename} (id={id}, {content_type}, {size} bytes).");
    // Models that cannot hear refuse sounds, and the whole call with them.
    if content_type.starts_with("image/") {
        side.changes
            .push(VarChange::Append(PENDING_MEDIA.to_owned(), vec![item.clone()]));
        line.push_str(" It will be part of the next model call.");
    }
    Ok((line, item))
}

/// The output with the names of what came with it, in the form of opened attachments.
fn rewrite(result: &mut ToolResult, lines: &[String], items: Vec<Value>) {
    let mut output = match std::mem::take(&mut result.output) {
        Value::Object(output) => output,
        Value::Null => Object::new(),
        Value::String(text) => Object::from_iter([("rendered".to_owned(), text.into())]),
        other => Object::from_iter([("result".to_owned(), other)]),
    };
    let said = output.get("rendered").and_then(Value::as_str).unwrap_or_default();
    let said = match (said, output.is_empty()) {
        ("", false) => Value::Object(output.clone()).to_string(),
        (said, _) => said.to_owned(),
    };
    let rendered = std::iter::once(said.as_str())
        .filter(|said| !said.is_empty())
        .chain(lines.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("\n");
    output.insert("rendered".to_owned(), rendered.into());
    output.insert("media".to_owned(), items.into());
    result.output = Value::Object(output);
}

fn ending(content_type: &str) -> &str {
    let bare = content_type.split(';').next().unwrap_or_default().trim();
    match bare.split_once('/') {
        Some((_, "jpeg")) => "jpg",
        Some((_, "mpeg")) => "mp3",
        Some((_, "svg+xml")) => "svg",
        Some((_, kind)) if kind.chars().all(|c| c.is_ascii_alphanumeric()) && kind != "octet" => kind,
        _ => "bin",
    }
}
