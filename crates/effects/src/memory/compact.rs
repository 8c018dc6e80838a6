//! `memory_compact`: the older part of a conversation becomes an archived span and a summary.

use ag_artifacts::{NewArtifact, Tags};
use ag_kernel::{EffectRequest, Outcome, VarChange, vars};
use ag_types::{EffectKind, Object};
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    context::{self, MESSAGES, identify, message_id, role},
    envelope::envelope,
    foreign::{self, Work},
    owners::{Subject, integer, text},
    spans,
    summary::{Order, Summary, summarise},
};
use crate::{
    artifacts::store_made,
    handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure},
    routes::ModelResolver,
};

/// Messages that stay as they are, without a wish.
const PRESERVE: i64 = 6;
const TOOL: &str = "compact_memory";

/// The handler.
pub struct MemoryCompact {
    resolver: ModelResolver,
}

/// How to compact.
struct Wish {
    preserve: i64,
    mode: &'static str,
    focus: Option<String>,
}

impl Wish {
    fn of(payload: &Object) -> Self {
        let mode = text(payload, "compression_mode").map(|mode| mode.to_lowercase());
        Self {
            preserve: integer(payload, "preserve_recent")
                .filter(|wish| *wish != 0)
                .unwrap_or(PRESERVE)
                .max(0),
            mode: match mode.as_deref() {
                Some("light") => "light",
                Some("heavy") => "heavy",
                _ => "standard",
            },
            focus: text(payload, "focus"),
        }
    }
}

impl MemoryCompact {
    /// Summaries are made by models that the resolver finds.
    pub fn new(resolver: ModelResolver) -> Self {
        Self { resolver }
    }

    async fn perform(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Result<Answer, Failure> {
        let payload = &request.open.payload;
        let subject = Subject::of(ctx, payload).await?;
        if subject.foreign {
            let work = Work::Effect {
                kind: EffectKind::MemoryCompact,
                payload: foreign::without_target(payload),
            };
            return Ok(foreign::ask(ctx, &subject, request, work));
        }
        let wish = Wish::of(payload);
        let nothing = |text: String| Ok(Answer::done(envelope(payload, TOOL, text, None)));
        let messages = vars::get_path(&ctx.run.vars, MESSAGES).and_then(Value::as_array);
        let Some(messages) = messages.filter(|messages| !messages.is_empty()) else {
            return nothing("No messages to compact.".to_owned());
        };
        let preserve = usize::try_from(wish.preserve).unwrap_or(usize::MAX);
        let talk = messages
            .iter()
            .filter(|message| role(message) != "system")
            .count();
        if talk <= preserve {
            return nothing(format!(
                "Nothing to compact (non-system messages <= preserve_recent={preserve})."
            ));
        }
        let mut messages: Vec<Value> = messages
            .iter()
            .filter(|message| message.is_object())
            .cloned()
            .collect();
        for message in &mut messages {
            identify(message, || new_id(ctx), ctx.clock.now());
        }
        let (system, mut older): (Vec<Value>, Vec<Value>) = messages
            .into_iter()
            .partition(|message| role(message) == "system");
        let recent = older.split_off(older.len().saturating_sub(preserve));
        let lines = older.iter().map(line).collect();
        let order = Order {
            mode: wish.mode,
            focus: wish.focus.as_deref(),
            lines,
        };
        let summary = summarise(ctx, &self.resolver, order).await?;
        Ok(self
            .archive(ctx, payload, &wish, summary, system, older, recent)
            .await?)
    }

    async fn archive(
        &self,
        ctx: &EffectCtx<'_>,
        payload: &Object,
        wish: &Wish,
        summary: Summary,
        system: Vec<Value>,
        older: Vec<Value>,
        recent: Vec<Value>,
    ) -> Result<Answer, String> {
        let owner = ctx.run.head.run_id.to_string();
        let now = ctx.clock.now();
        let count = older.len();
        let ends = Ends::of(&older);
        let content = json!({"messages": older, "span": ends.span(count), "created_at": now.to_string()});
        let mut tags = Tags::new();
        tags.insert("kind".to_owned(), "conversation_span".to_owned());
        tags.insert("compression_mode".to_owned(), wish.mode.to_owned());
        tags.insert("preserve_recent".to_owned(), wish.preserve.to_string());
        tags.extend(wish.focus.clone().map(|focus| ("focus".to_owned(), focus)));
        let new = NewArtifact {
            run_id: Some(owner.clone()),
            content_type: "application/json".to_owned(),
            tags,
            ..NewArtifact::default()
        };
        let content = content.to_string().into();
        let (meta, artifact) = store_made(ctx.blobs, ctx.scope, new, content, now, &ctx.cancel)
            .await
            .map_err(|error| format!("MEMORY_COMPACT could not archive the messages: {error}"))?;
        let span_id = meta.artifact_id;
        let message_id = new_id(ctx);
        let said = format!(
            "[CONVERSATION HISTORY SUMMARY span_id={span_id}]: {}",
            summary.text
        );
        let mut metadata = json!({
            "message_id": message_id, "kind": "memory_summary", "compression_mode": wish.mode,
            "preserve_recent": wish.preserve, "source_artifact_id": span_id, "source_message_count": count,
            "source_from_timestamp": ends.from_time, "source_to_timestamp": ends.to_time,
            "source_from_message_id": ends.from_id, "source_to_message_id": ends.to_id,
        });
        if let Some(focus) = &wish.focus {
            metadata["focus"] = focus.as_str().into();
        }
        let message =
            json!({"role": "system", "content": said, "timestamp": now.to_string(), "metadata": metadata});
        let conversation: Vec<Value> = system.into_iter().chain([message]).chain(recent).collect();

        let mut record = Object::new();
        record.insert("kind".to_owned(), "conversation_span".into());
        record.insert("artifact_id".to_owned(), span_id.clone().into());
        record.insert("created_at".to_owned(), now.to_string().into());
        record.insert("summary_message_id".to_owned(), message_id.clone().into());
        record.extend(ends.span(count));
        record.insert("compression_mode".to_owned(), wish.mode.into());
        record.insert("focus".to_owned(), wish.focus.clone().into());
        record.extend(
            ctx.run
                .head
                .actor_id
                .as_deref()
                .map(|actor| ("created_by".to_owned(), actor.into())),
        );
        let told = json!({
            "llm_run_id": null, "span_id": span_id, "summary_message_id": message_id, "preserve_recent": wish.preserve,
            "compression_mode": wish.mode, "focus": wish.focus, "key_points": summary.key_points,
            "confidence": summary.confidence,
        });
        let output = format!("Compacted {count} messages into span_id={span_id}.");
        let result = envelope(payload, TOOL, output, Some(told));
        Ok(Answer {
            changes: vec![VarChange::Set(MESSAGES.to_owned(), conversation.into())],
            artifacts: vec![artifact],
            memory: vec![spans::row(&owner, record, Some(&said), now)],
            ..Answer::of(Outcome::Done { result, state: None })
        })
    }
}

fn new_id(ctx: &EffectCtx<'_>) -> String {
    format!("msg_{}", ctx.ids.hex32())
}

fn line(message: &Value) -> String {
    format!("{}: {}", role(message), context::content(message))
}

/// First and last of the archived messages.
struct Ends {
    from_time: Value,
    to_time: Value,
    from_id: Value,
    to_id: Value,
}

impl Ends {
    fn of(messages: &[Value]) -> Self {
        let time = |message: Option<&Value>| message.and_then(|message| message.get("timestamp")).cloned();
        let id = |message: Option<&Value>| message.and_then(message_id).map(Value::from);
        let (first, last) = (messages.first(), messages.last());
        Self {
            from_time: time(first).unwrap_or_default(),
            to_time: time(last).unwrap_or_default(),
            from_id: id(first).unwrap_or_default(),
            to_id: id(last).unwrap_or_default(),
        }
    }

    fn span(&self, count: usize) -> Object {
        [
            ("from_timestamp", self.from_time.clone()),
            ("to_timestamp", self.to_time.clone()),
            ("from_message_id", self.from_id.clone()),
            ("to_message_id", self.to_id.clone()),
            ("message_count", count.into()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
    }
}

#[async_trait]
impl EffectHandler for MemoryCompact {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        self.perform(ctx, request).await.unwrap_or_else(Answer::from)
    }
}
