//! `memory_note`: a note in memory.

use ag_artifacts::{NewArtifact, Tags};
use ag_kernel::{EffectRequest, Outcome};
use ag_pyvalue::{DumpOptions, dumps};
use ag_types::Object;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    envelope::envelope,
    foreign::{self, Work},
    owners::{MemoryOwners, Scope, Subject, flag, scope_text, text, texts},
    spans,
};
use crate::{
    artifacts::store_artifact,
    handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure},
};

/// The handler.
#[derive(Debug, Default)]
pub struct MemoryNote {
    owners: MemoryOwners,
}

impl MemoryNote {
    /// With the owners of this gateway.
    pub fn new(owners: MemoryOwners) -> Self {
        Self { owners }
    }

    async fn perform(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Result<Answer, Failure> {
        let payload = &request.open.payload;
        let note = text(payload, "note").ok_or("MEMORY_NOTE requires payload.note (non-empty string)")?;
        let subject = Subject::of(ctx, payload).await?;
        let scope = scope_text(payload);
        let scope = Scope::parse(&scope).ok_or_else(|| format!("Unknown memory scope: {scope}"))?;
        let keep = flag(payload, "keep_in_context").unwrap_or(false);
        if keep && subject.foreign && subject.ended {
            return Err(foreign::TARGET_HAS_ENDED.into());
        }
        let owner = self.owners.owner(ctx, &subject, scope).await?;
        let tags = tags(payload);
        let location = text(payload, "location");
        let now = ctx.clock.now();
        let created_at = now.to_string();

        let mut content = Object::new();
        content.insert("note".to_owned(), note.clone().into());
        content.insert(
            "sources".to_owned(),
            sources(payload, &ctx.run.head.run_id.to_string()).into(),
        );
        content.insert("created_at".to_owned(), created_at.clone().into());
        content.extend(
            location
                .clone()
                .map(|location| ("location".to_owned(), location.into())),
        );
        let actor = ctx.run.head.actor_id.as_deref();
        content.extend(actor.map(|actor| ("actor_id".to_owned(), actor.into())));
        let session = ctx.run.head.session_id.as_deref();
        content.extend(session.map(|session| ("session_id".to_owned(), session.into())));
        let (meta, artifact) = self.store(ctx, &owner.id, &tags, content).await?;

        let mut record = Object::new();
        record.insert("kind".to_owned(), "memory_note".into());
        record.insert("artifact_id".to_owned(), meta.clone().into());
        for key in ["created_at", "from_timestamp", "to_timestamp"] {
            record.insert(key.to_owned(), created_at.clone().into());
        }
        record.insert("message_count".to_owned(), 0.into());
        let preview = spans::preview(&note);
        record.insert("note_preview".to_owned(), preview.clone().into());
        if !tags.is_empty() {
            record.insert("tags".to_owned(), tags.clone().into());
        }
        record.extend(location.map(|location| ("location".to_owned(), location.into())));
        record.extend(actor.map(|actor| ("created_by".to_owned(), actor.into())));
        let row = spans::row(&owner.id, record, Some(&note), now);

        let tags = dumps(
            &Value::Object(tags),
            DumpOptions::default().with_sorted_keys(true),
        );
        let output = format!("Stored memory_note span_id={meta} tags={tags}");
        let told = json!({"span_id": meta, "created_at": created_at, "note_preview": preview});
        let answer = envelope(payload, "remember_note", output, Some(told));
        let mut done = match (keep, subject.foreign) {
            (false, _) => Answer::done(answer),
            (true, false) => {
                let (changes, result) = foreign::keep_note(ctx.run, &meta, &note, &created_at, answer);
                Answer {
                    changes,
                    ..Answer::of(Outcome::Done { result, state: None })
                }
            }
            (true, true) => {
                let work = Work::KeepNote {
                    span_id: meta,
                    note,
                    created_at,
                    answer,
                };
                foreign::ask(ctx, &subject, request, work)
            }
        };
        done.artifacts = vec![artifact];
        done.owners = owner.row.into_iter().collect();
        done.memory = vec![row];
        Ok(done)
    }

    async fn store(
        &self,
        ctx: &EffectCtx<'_>,
        owner_id: &str,
        tags: &Object,
        content: Object,
    ) -> Result<(String, ag_store::ArtifactRow), Failure> {
        let mut all = Tags::new();
        all.insert("kind".to_owned(), "memory_note".to_owned());
        all.extend(
            tags.iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))),
        );
        let new = NewArtifact {
            run_id: Some(owner_id.to_owned()),
            content_type: "application/json".to_owned(),
            tags: all,
            ..NewArtifact::default()
        };
        let content = Value::Object(content).to_string().into();
        let (meta, row) = store_artifact(ctx.blobs, ctx.scope, new, content, ctx.clock.now())
            .await
            .map_err(|error| {
                Failure::from(error).worded(|error| format!("MEMORY_NOTE could not store the note: {error}"))
            })?;
        Ok((meta.artifact_id, row))
    }
}

/// Tags with texts as values, blank ones left out; `kind` is ours.
pub(super) fn tags(payload: &Object) -> Object {
    let given = payload.get("tags").and_then(Value::as_object);
    let usable = |key: &str, value: &str| !key.trim().is_empty() && key != "kind" && !value.trim().is_empty();
    given
        .into_iter()
        .flatten()
        .filter(|(key, value)| value.as_str().is_some_and(|value| usable(key, value)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Where the note comes from; the executing run unless the author says otherwise.
fn sources(payload: &Object, run_id: &str) -> Object {
    let given = payload.get("sources");
    let mut sources = Object::new();
    let run = given
        .and_then(|given| given.get("run_id"))
        .and_then(ag_pyvalue::opt_str);
    sources.insert(
        "run_id".to_owned(),
        run.unwrap_or_else(|| run_id.to_owned()).into(),
    );
    for key in ["span_ids", "message_ids"] {
        let ids = texts(given.and_then(|given| given.get(key)));
        if !ids.is_empty() {
            sources.insert(key.to_owned(), ids.into());
        }
    }
    sources
}

#[async_trait]
impl EffectHandler for MemoryNote {
    fn class(&self) -> EffectClass {
        EffectClass::Inline
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        self.perform(ctx, request).await.unwrap_or_else(Answer::from)
    }
}
