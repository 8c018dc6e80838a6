//! Found spans as text for models, and as data for nodes.

use ag_store::StoreError;
use ag_types::Object;
use serde_json::Value;

use crate::{
    handler::EffectCtx,
    memory::{
        context,
        spans::{self, Content, Span},
    },
};

const NOTHING: &str = "No matching memory spans.";
const HEADING: &str = "Recalled memory spans (provenance-preserving):";

/// The whole answer. `most` bounds the archived messages of all spans together.
///
/// # Errors
/// The store is away.
pub(super) async fn text(
    ctx: &EffectCtx<'_>,
    found: &[Span],
    most: Option<i64>,
) -> Result<String, StoreError> {
    if found.is_empty() {
        return Ok(NOTHING.to_owned());
    }
    let mut left = most.map(|most| usize::try_from(most).unwrap_or(0));
    let mut parts = vec![HEADING.to_owned()];
    for (n, span) in (1..).zip(found) {
        let content = spans::content(ctx, &span.id).await?;
        parts.push(one(n, span, content.as_ref(), most, &mut left));
    }
    Ok(parts.join("\n\n"))
}

fn one(
    n: usize,
    span: &Span,
    content: Option<&Content>,
    most: Option<i64>,
    left: &mut Option<usize>,
) -> String {
    let kind = match span.kind() {
        "" => "span",
        kind => kind,
    };
    let count = span
        .record
        .get("message_count")
        .and_then(Value::as_u64)
        .filter(|count| *count > 0);
    let count = count.map(|count| count.to_string()).unwrap_or_default();
    let mut lines = vec![format!(
        "[{n}] span_id={} kind={kind} msgs={count} created_at={}",
        span.id,
        span.field("created_at")
    )];
    let (from, to) = (span.field("from_timestamp"), span.field("to_timestamp"));
    if !from.is_empty() || !to.is_empty() {
        lines.push(format!("    time_range: {from} .. {to}"));
    }
    for (label, key) in [("created_by", "created_by"), ("location", "location")] {
        if !span.field(key).is_empty() {
            lines.push(format!("    {label}: {}", span.field(key)));
        }
    }
    if let Some(tags) = span.tags().filter(|tags| !tags.is_empty()) {
        lines.push(format!("    tags: {}", sorted(tags)));
    }
    if kind == "conversation_span" {
        lines.extend(
            span.text
                .as_deref()
                .map(|summary| format!("    summary: {summary}")),
        );
    }
    let Some(content) = content else {
        lines.push("    (artifact payload unavailable)".to_owned());
        return lines.join("\n");
    };
    if let Some(note) = content.note() {
        lines.push(format!("    note: {}", note.trim()));
        lines.extend(sources(content));
    } else if let Some(messages) = content.messages() {
        let shown = left.map_or(messages.len(), |left| left.min(messages.len()));
        lines.extend(messages.iter().take(shown).map(message));
        if shown < messages.len() {
            lines.push(format!(
                "    (remaining {} messages omitted by max_messages={})",
                messages.len() - shown,
                most.unwrap_or_default()
            ));
        }
        *left = left.map(|left| left - shown);
    }
    lines.join("\n")
}

fn message(message: &Value) -> String {
    let time = message
        .get("timestamp")
        .and_then(Value::as_str)
        .unwrap_or_default();
    format!(
        "    - {time} {}: {}",
        context::role(message),
        context::content(message)
    )
}

fn sorted(tags: &Object) -> String {
    let mut pairs: Vec<String> = tags
        .iter()
        .map(|(key, value)| format!("{key}={}", ag_pyvalue::pystr(value)))
        .collect();
    pairs.sort_unstable();
    pairs.join(", ")
}

fn sources(content: &Content) -> Vec<String> {
    let Some(sources) = content.body.get("sources") else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    if let Some(run) = sources.get("run_id").and_then(Value::as_str) {
        lines.push(format!("    sources.run_id: {run}"));
    }
    for key in ["span_ids", "message_ids"] {
        let ids = crate::memory::owners::texts(sources.get(key));
        if !ids.is_empty() {
            lines.push(format!("    sources.{key}: {}", ids.join(", ")));
        }
    }
    lines
}

/// A span as data.
pub(super) fn matched(span: &Span) -> Value {
    let mut out = Object::new();
    out.insert("span_id".to_owned(), span.id.clone().into());
    for key in ["kind", "created_at", "from_timestamp", "to_timestamp"] {
        out.insert(key.to_owned(), span.record.get(key).cloned().unwrap_or_default());
    }
    out.insert("tags".to_owned(), span.tags().cloned().unwrap_or_default().into());
    for key in [
        "created_by",
        "location",
        "note_preview",
        "message_count",
        "summary_message_id",
    ] {
        let value = span.record.get(key).filter(|value| !value.is_null());
        out.extend(value.map(|value| (key.to_owned(), value.clone())));
    }
    Value::Object(out)
}
