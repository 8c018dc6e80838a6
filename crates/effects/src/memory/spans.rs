//! Spans: what rows say about notes and archived conversations.

use ag_artifacts::BlobId;
use ag_store::{MemoryRow, MemoryStore, SpanChange, SpanEntry, StoreError, StoredSpanEntry};
use ag_types::{Object, TenantScope, Timestamp};
use serde_json::{Value, json};

use crate::handler::{EffectCtx, Failure};

/// Member of a row that holds the record; the other is for our own use.
const RECORD: &str = "record";
/// The note or the summary, where it is short enough: searching needs no blob then.
const TEXT: &str = "text";
/// Longest text kept in a row, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// A span as it is now.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) id: String,
    /// `{kind, artifact_id, created_at, …, tags?, tagged_at?, tagged_by?}`.
    pub(super) record: Object,
    pub(super) text: Option<String>,
}

impl Span {
    pub(super) fn field(&self, key: &str) -> &str {
        self.record.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn kind(&self) -> &str {
        self.field("kind")
    }

    pub(super) fn tags(&self) -> Option<&Object> {
        self.record.get("tags").and_then(Value::as_object)
    }
}

/// A new span's row.
pub(super) fn row(owner_id: &str, record: Object, text: Option<&str>, now: Timestamp) -> MemoryRow {
    let span_id = record
        .get("artifact_id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut body = Object::new();
    body.insert(RECORD.to_owned(), Value::Object(record));
    let short = text.filter(|text| text.len() <= MAX_TEXT);
    body.extend(short.map(|text| (TEXT.to_owned(), text.into())));
    MemoryRow::Span(SpanEntry {
        owner_id: owner_id.to_owned(),
        span_id,
        change: SpanChange::Added,
        body: Value::Object(body).to_string().into(),
        created_at: now,
    })
}

/// The row of an evidence span of a run.
pub fn evidence_row(run_id: &str, record: Value, now: Timestamp) -> Option<MemoryRow> {
    recorded_row(run_id, record, None, now)
}

/// The row of a span that another gateway has recorded, with its note or summary where that is at hand.
pub fn recorded_row(owner_id: &str, record: Value, text: Option<&str>, now: Timestamp) -> Option<MemoryRow> {
    let Value::Object(record) = record else {
        return None;
    };
    Some(row(owner_id, record, text, now))
}

/// The row that tags a span.
pub(super) fn tag_row(owner_id: &str, span_id: &str, change: &TagChange<'_>) -> MemoryRow {
    let mut body = Object::new();
    body.insert("tags".to_owned(), Value::Object(change.tags.clone()));
    body.insert("merge".to_owned(), change.merge.into());
    body.insert("tagged_at".to_owned(), change.now.to_string().into());
    body.extend(change.by.map(|by| ("tagged_by".to_owned(), by.into())));
    MemoryRow::Span(SpanEntry {
        owner_id: owner_id.to_owned(),
        span_id: span_id.to_owned(),
        change: SpanChange::Tagged,
        body: Value::Object(body).to_string().into(),
        created_at: change.now,
    })
}

/// New tags of a span.
pub(super) struct TagChange<'a> {
    pub(super) tags: &'a Object,
    pub(super) merge: bool,
    pub(super) by: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// Folds a log. A tag of a span that is not in the log says nothing.
pub(super) fn fold(log: &[StoredSpanEntry]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for stored in log {
        let entry = &stored.entry;
        let Ok(Value::Object(mut body)) = serde_json::from_str::<Value>(&entry.body) else {
            continue;
        };
        let key = (entry.owner_id.clone(), entry.span_id.clone());
        match entry.change {
            SpanChange::Added => {
                let Some(Value::Object(record)) = body.shift_remove(RECORD) else {
                    continue;
                };
                // The same content under the same owner is one span: the later record counts.
                let text = body.get(TEXT).and_then(Value::as_str).map(str::to_owned);
                let span = Span {
                    id: key.1.clone(),
                    record,
                    text,
                };
                let place = *places.entry(key).or_insert(spans.len());
                match spans.get_mut(place) {
                    Some(known) => *known = span,
                    None => spans.push(span),
                }
            }
            SpanChange::Tagged => {
                if let Some(span) = places.get(&key).and_then(|place| spans.get_mut(*place)) {
                    apply_tags(&mut span.record, body);
                }
            }
        }
    }
    spans
}

/// What tagging does to a record.
pub(super) fn apply_tags(record: &mut Object, mut change: Object) {
    let Some(Value::Object(new)) = change.shift_remove("tags") else {
        return;
    };
    let merge = change.shift_remove("merge") != Some(Value::Bool(false));
    match record.get_mut("tags") {
        Some(Value::Object(tags)) if merge => tags.extend(new),
        _ => {
            record.insert("tags".to_owned(), Value::Object(new));
        }
    }
    record.extend(change);
}

/// The spans of an owner, in the order of their making.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn of_owner(
    store: &dyn ag_store::Store,
    scope: &TenantScope,
    owner_id: &str,
) -> Result<Vec<Span>, StoreError> {
    Ok(fold(&store.spans(scope, owner_id).await?))
}

/// The list that `_runtime.memory_spans` shows of a run.
///
/// # Errors
/// [`StoreError`].
pub async fn view(
    store: &(impl MemoryStore + ?Sized),
    scope: &TenantScope,
    owner_id: &str,
) -> Result<Value, StoreError> {
    let spans = fold(&store.spans(scope, owner_id).await?);
    Ok(spans.into_iter().map(|span| Value::Object(span.record)).collect())
}

/// Newest first; spans of one moment keep their order. Indexes count in this order.
pub(super) fn newest_first(spans: &mut [Span]) {
    spans.sort_by(|a, b| b.field("created_at").cmp(a.field("created_at")));
}

/// The archived content of a span: `{note, …}` or `{messages, …}`, and the kind its artifact says.
pub(super) struct Content {
    pub(super) kind: Option<String>,
    pub(super) body: Object,
}

impl Content {
    pub(super) fn note(&self) -> Option<&str> {
        self.body.get("note").and_then(Value::as_str)
    }

    pub(super) fn messages(&self) -> Option<&Vec<Value>> {
        self.body.get("messages").and_then(Value::as_array)
    }
}

/// Reads the content of a span; `None` when there is none or it cannot be read.
///
/// # Errors
/// The store is away.
pub(super) async fn content(ctx: &EffectCtx<'_>, span_id: &str) -> Result<Option<Content>, StoreError> {
    if span_id.is_empty() || span_id.contains('\0') {
        return Ok(None);
    }
    let unreadable = |failure: Failure| match failure.outage() {
        Ok(away) => Err(away),
        Err(error) => {
            tracing::warn!(span = span_id, %error, "content of a span is not readable");
            Ok(None)
        }
    };
    let row = match ctx.store.artifact(ctx.scope, span_id).await {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(None),
        Err(error) => return unreadable(error.into()),
    };
    let Some(blob) = BlobId::parse(&row.blob_id) else {
        return Ok(None);
    };
    let scope = crate::artifacts::blob_scope(ctx.scope);
    let bytes = match ctx.blobs.get(&scope, &blob).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(error) => return unreadable(error.into()),
    };
    let Ok(body) = serde_json::from_slice(&bytes) else {
        return Ok(None);
    };
    let meta: Value = serde_json::from_str(&row.meta).unwrap_or(json!(null));
    let kind = meta
        .pointer("/tags/kind")
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Some(Content { kind, body }))
}

/// The first characters of a note.
pub(super) fn preview(text: &str) -> String {
    const CHARS: usize = 160;
    const CUT: &str = "… (truncated)";
    if text.chars().count() <= CHARS {
        return text.to_owned();
    }
    let kept: String = text.chars().take(CHARS - CUT.chars().count()).collect();
    format!("{}{CUT}", kept.trim_end())
}
