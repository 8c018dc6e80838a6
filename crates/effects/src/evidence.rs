//! Evidence: what tools that look at or act on the outside have returned, kept beside the run (effects spec §9).
//!
//! The ledger keeps a result as it came. The state gets a copy whose bulky parts are artifacts, with the id of the
//! evidence record in `meta.evidence_id`; a span of kind `evidence` joins the run's memory. Evidence never
//! fails a run: what cannot be stored leaves a warning in `_runtime.evidence_warnings`.

use ag_artifacts::{BlobError, NewArtifact, Tags, node_reference};
use ag_kernel::VarChange;
use ag_store::{ArtifactRow, MemoryRow};
use ag_types::Object;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{handler::EffectCtx, memory::evidence_row};

/// Tools whose results are evidence, besides those of tool servers.
pub const EVIDENCE_TOOLS: [&str; 3] = ["web_search", "fetch_url", "execute_command"];

/// Output fields that become artifacts, and the name of the part.
const PARTS: [(&str, &str); 5] = [
    ("raw_text", "raw"),
    ("normalized_text", "normalized"),
    ("stdout", "stdout"),
    ("stderr", "stderr"),
    ("results", "results"),
];

/// A field stays in the state when it is shorter than this and nothing else in the output shows it to a model.
const SMALL_BYTES: usize = 4096;

/// Path of the variable that evidence writes.
const WARNINGS: &str = "_runtime.evidence_warnings";

/// What a batch leaves behind besides its result.
#[derive(Debug, Default)]
pub struct Captured {
    /// What the state keeps; `None` when it is the result itself.
    pub state: Option<Value>,
    /// Warnings.
    pub changes: Vec<VarChange>,
    /// Spans.
    pub memory: Vec<MemoryRow>,
    /// Rows of the stored artifacts.
    pub artifacts: Vec<ArtifactRow>,
}

/// Whether a batch result holds evidence.
pub fn has_evidence(stored: &Value) -> bool {
    results(stored).iter().any(|result| tool_of(result).is_some())
}

/// Stores the evidence of a batch result. `calls` are the calls in the order of the results, for their arguments.
pub async fn capture(ctx: &EffectCtx<'_>, calls: &[Value], stored: &Value) -> Captured {
    let mut captured = Captured::default();
    if !has_evidence(stored) {
        return captured;
    }
    let mut state = stored.clone();
    let mut warnings = Vec::new();
    let owner = ctx.run.head.run_id.to_string();
    let entries = state.get_mut("results").and_then(Value::as_array_mut);
    for (index, result) in entries.into_iter().flatten().enumerate() {
        let Some(tool) = tool_of(result) else { continue };
        let call = calls.get(index).unwrap_or(&Value::Null);
        match record(ctx, &tool, call, result, &mut captured.artifacts).await {
            Ok(span) => captured
                .memory
                .extend(evidence_row(&owner, span, ctx.clock.now())),
            Err(error) => {
                tracing::warn!(run.id = %ctx.run.head.run_id, tool, %error, "evidence is not stored");
                let call_id = result.get("call_id").cloned().unwrap_or_default();
                warnings.push(json!({"tool_name": tool, "call_id": call_id, "error": error.to_string()}));
            }
        }
    }
    if !warnings.is_empty() {
        captured
            .changes
            .push(VarChange::Append(WARNINGS.to_owned(), warnings));
    }
    captured.state = Some(state);
    captured
}

fn results(stored: &Value) -> &[Value] {
    stored
        .get("results")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn tool_of(result: &Value) -> Option<String> {
    let name = result.get("name").and_then(Value::as_str)?;
    (EVIDENCE_TOOLS.contains(&name) || name.starts_with("mcp::")).then(|| name.to_owned())
}

/// Stores one result and marks it; the span that names it. The result changes only when everything is stored.
async fn record(
    ctx: &EffectCtx<'_>,
    tool: &str,
    call: &Value,
    result: &mut Value,
    rows: &mut Vec<ArtifactRow>,
) -> Result<Value, BlobError> {
    let mut stored = Vec::new();
    let mut references = Object::new();
    let mut bulky = Vec::new();
    for part in parts(result) {
        let (reference, row) = store(
            ctx,
            tool,
            Some(part.name),
            part.content_type,
            Bytes::from(part.content),
        )
        .await?;
        stored.push(row);
        if let Some(field) = part.replaces {
            bulky.push((field, format!("{}_artifact", part.name), reference.clone()));
        }
        references.insert(part.name.to_owned(), reference);
    }
    let now = ctx.clock.now().to_string();
    let field = |key: &str| result.get(key).cloned().unwrap_or_default();
    let document = json!({
        "tool_name": tool,
        "call_id": field("call_id"),
        "runtime_call_id": field("runtime_call_id"),
        "arguments": call.get("arguments"),
        "success": field("success"),
        "error": field("error"),
        "run_id": ctx.run.head.run_id,
        "node_id": ctx.run.current_node,
        "created_at": now,
        "artifacts": references,
    });
    let content = Bytes::from(document.to_string());
    let (reference, row) = store(ctx, tool, None, "application/json".to_owned(), content).await?;
    stored.push(row);
    let id = reference.get("artifact_id").cloned().unwrap_or_default();
    let mut span = json!({
        "kind": "evidence", "artifact_id": id, "created_at": now, "from_timestamp": now, "to_timestamp": now,
        "message_count": 0, "tool_name": tool, "tags": {"tool_name": tool},
    });
    if let Some(url) = result.pointer("/output/url").and_then(Value::as_str) {
        span["tags"]["url"] = url.into();
    }
    if let Some(actor) = ctx.run.head.actor_id.as_deref() {
        span["created_by"] = actor.into();
    }
    mark(result, &id, bulky);
    rows.append(&mut stored);
    Ok(span)
}

fn mark(result: &mut Value, id: &Value, bulky: Vec<(&str, String, Value)>) {
    if let Some(output) = result.get_mut("output").and_then(Value::as_object_mut) {
        for (field, key, reference) in bulky {
            output.shift_remove(field);
            output.insert(key, reference);
        }
    }
    let Some(result) = result.as_object_mut() else {
        return;
    };
    let meta = result.entry("meta").or_insert_with(|| json!({}));
    if !meta.is_object() {
        *meta = json!({});
    }
    meta["evidence_id"] = id.clone();
}

struct Part {
    name: &'static str,
    content: String,
    content_type: String,
    /// The field of the output that gives way to the reference.
    replaces: Option<&'static str>,
}

fn parts(result: &Value) -> Vec<Part> {
    let output = match result.get("output") {
        Some(Value::Object(output)) => output,
        // A search answers with JSON text: it is stored whole and stays where models read it.
        Some(Value::String(text)) if !text.is_empty() => {
            let content_type = if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
                "application/json"
            } else {
                "text/plain"
            };
            let (content, content_type) = (text.clone(), content_type.to_owned());
            return vec![Part {
                name: "results",
                content,
                content_type,
                replaces: None,
            }];
        }
        _ => return Vec::new(),
    };
    let shown = output.get("rendered").is_some_and(Value::is_string);
    let mut parts = Vec::new();
    for (field, name) in PARTS {
        let (content, content_type) = match output.get(field) {
            Some(Value::String(text)) if !text.is_empty() => (text.clone(), text_type(output, name)),
            Some(value @ (Value::Array(_) | Value::Object(_))) => {
                (value.to_string(), "application/json".to_owned())
            }
            _ => continue,
        };
        let replaces = (shown || content.len() > SMALL_BYTES).then_some(field);
        parts.push(Part {
            name,
            content,
            content_type,
            replaces,
        });
    }
    parts
}

fn text_type(output: &Object, part: &str) -> String {
    let declared = output
        .get("content_type")
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty());
    match (part, declared) {
        ("raw", Some(content_type)) => content_type.to_owned(),
        ("normalized", _) => "text/markdown".to_owned(),
        _ => "text/plain".to_owned(),
    }
}

async fn store(
    ctx: &EffectCtx<'_>,
    tool: &str,
    part: Option<&str>,
    content_type: String,
    content: Bytes,
) -> Result<(Value, ArtifactRow), BlobError> {
    let head = &ctx.run.head;
    let mut tags = Tags::new();
    let mut tag = |name: &str, value: &str| tags.insert(name.to_owned(), value.to_owned());
    tag("kind", "evidence");
    tag("source", "tool_calls");
    tag("tool_name", tool);
    tag("node_id", &ctx.run.current_node);
    if let Some(part) = part {
        tag("part", part);
    }
    if let Some(session) = head.session_id.as_deref() {
        tag("session_id", session);
    }
    let new = NewArtifact {
        run_id: Some(head.run_id.to_string()),
        content_type,
        tags,
        ..NewArtifact::default()
    };
    let (meta, row) =
        crate::artifacts::store_made(ctx.blobs, ctx.scope, new, content, ctx.clock.now(), &ctx.cancel)
            .await?;
    Ok((node_reference(&meta), row))
}

#[cfg(test)]
mod tests;
