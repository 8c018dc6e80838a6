//! `memory_rehydrate`: archived messages back in the conversation.

use ag_kernel::EffectRequest;
use ag_types::{EffectKind, Object};
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    context::{Conversation, Inserted, Placement, note_message},
    foreign::{self, Work},
    levels::{self, Clamp},
    owners::{Subject, integer, text},
    spans::{self, Content},
};
use crate::handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure};

/// The handler.
#[derive(Debug, Default)]
pub struct MemoryRehydrate;

impl MemoryRehydrate {
    async fn perform(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Result<Answer, Failure> {
        let payload = &request.open.payload;
        let wanted =
            wanted(payload).ok_or("MEMORY_REHYDRATE requires payload.span_ids (or legacy span_id)")?;
        let subject = Subject::of(ctx, payload).await?;
        let level = levels::of(payload)?;
        if wanted.is_empty() {
            return Ok(Answer::done(
                json!({"inserted": 0, "skipped": 0, "artifacts": []}),
            ));
        }
        if subject.foreign {
            let work = Work::Effect {
                kind: EffectKind::MemoryRehydrate,
                payload: foreign::without_target(payload),
            };
            return Ok(foreign::ask(ctx, &subject, request, work));
        }
        let wish = integer(payload, "max_messages");
        let (mut effort, mut warnings) = (Value::Null, Value::Null);
        let most = match level {
            None => wish.filter(|wish| *wish > 0),
            Some(level) => {
                let mut clamp = Clamp::new(level);
                let most = clamp.messages(wish, level.rehydrate_messages);
                effort = clamp.effort(json!({"max_messages": most}));
                if !clamp.warnings.is_empty() {
                    warnings = json!(clamp.warnings);
                }
                Some(most)
            }
        };
        let ids = resolve(ctx, wanted).await?;
        let placement = Placement::parse(text(payload, "placement").as_deref());
        let mut left = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        let mut conversation = Conversation::of(&ctx.run.vars);
        let (mut inserted, mut skipped, mut artifacts) = (0, 0, Vec::new());
        for id in ids {
            if left == Some(0) {
                artifacts.push(entry(&id, &Inserted::default(), None, Some("max_messages")));
                continue;
            }
            let Some(content) = spans::content(ctx, &id).await? else {
                artifacts.push(entry(&id, &Inserted::default(), None, Some("missing_messages")));
                continue;
            };
            let kind = content.kind.clone();
            let Some(messages) = messages(&id, content) else {
                artifacts.push(entry(&id, &Inserted::default(), kind, Some("missing_messages")));
                continue;
            };
            let done = conversation.insert(&id, messages, placement, left);
            left = left.map(|left| left.saturating_sub(done.inserted));
            inserted += done.inserted;
            skipped += done.skipped;
            artifacts.push(entry(&id, &done, kind, None));
        }
        let result = json!({
            "inserted": inserted, "skipped": skipped, "artifacts": artifacts, "effort": effort, "warnings": warnings,
        });
        Ok(Answer {
            changes: conversation.change(),
            ..Answer::done(result)
        })
    }
}

/// Span ids and indexes as given; `None` where the payload names none at all.
fn wanted(payload: &Object) -> Option<Vec<String>> {
    let given = ["span_ids", "span_id"]
        .iter()
        .find_map(|key| payload.get(*key).filter(|value| !value.is_null()))?;
    let one = |value: &Value| match value {
        Value::Number(number) => Some(number.to_string()),
        other => ag_pyvalue::opt_str(other),
    };
    Some(match given {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    })
}

/// Ids, each once; indexes count the run's spans, newest first, and lead nowhere beyond them.
async fn resolve(ctx: &EffectCtx<'_>, wanted: Vec<String>) -> Result<Vec<String>, Failure> {
    let own = ctx.run.head.run_id.to_string();
    let is_index = |id: &String| id.len() < 10 && id.parse::<usize>().is_ok();
    let mut known = Vec::new();
    if wanted.iter().any(is_index) {
        known = spans::of_owner(ctx.store, ctx.scope, &own)
            .await
            .map_err(|error| Failure::of_store(error, "Memory is not readable"))?;
        spans::newest_first(&mut known);
    }
    let mut ids: Vec<String> = Vec::new();
    for id in wanted {
        let id = match id.parse::<usize>() {
            Ok(index) if is_index(&id) => {
                let span = index.checked_sub(1).and_then(|at| known.get(at));
                let Some(span) = span else { continue };
                span.id.clone()
            }
            _ => id,
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn messages(span_id: &str, content: Content) -> Option<Vec<Value>> {
    if let Some(note) = content.note() {
        let created_at = content.body.get("created_at").and_then(Value::as_str);
        return Some(vec![note_message(span_id, note, created_at.unwrap_or_default())]);
    }
    content.messages().cloned()
}

fn entry(span_id: &str, done: &Inserted, kind: Option<String>, error: Option<&str>) -> Value {
    json!({
        "span_id": span_id, "inserted": done.inserted, "skipped": done.skipped, "error": error, "kind": kind,
        "preview": done.preview,
    })
}

#[async_trait]
impl EffectHandler for MemoryRehydrate {
    fn class(&self) -> EffectClass {
        EffectClass::ReadsStore
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        self.perform(ctx, request).await.unwrap_or_else(Answer::from)
    }
}
