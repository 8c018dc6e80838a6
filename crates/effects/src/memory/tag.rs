//! `memory_tag`: tags on a span.

use ag_kernel::EffectRequest;
use ag_pyvalue::{DumpOptions, dumps};
use ag_types::Object;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    envelope::envelope,
    note,
    owners::{MemoryOwners, Scope, Subject, flag, scope_text, text},
    spans::{self, Span, TagChange},
};
use crate::handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure};

/// The handler.
#[derive(Debug, Default)]
pub struct MemoryTag {
    owners: MemoryOwners,
}

/// Which span.
enum Which {
    Id(String),
    /// From 1, in the order of making.
    Index(usize),
}

impl MemoryTag {
    /// With the owners of this gateway.
    pub fn new(owners: MemoryOwners) -> Self {
        Self { owners }
    }

    async fn perform(&self, ctx: &EffectCtx<'_>, payload: &Object) -> Result<Answer, Failure> {
        let which = which(payload).ok_or("MEMORY_TAG requires payload.span_id")?;
        let given = payload.get("tags").and_then(Value::as_object);
        if given.is_none_or(Object::is_empty) {
            return Err("MEMORY_TAG requires payload.tags as a non-empty dict[str,str]".into());
        }
        let tags = note::tags(payload);
        if tags.is_empty() {
            return Err("MEMORY_TAG requires at least one non-empty string tag".into());
        }
        let subject = Subject::of(ctx, payload).await?;
        let scope = scope_text(payload);
        let owners = match (scope.as_str(), &which) {
            ("all", Which::Index(_)) => {
                return Err("memory_tag scope='all' requires span_id as artifact id (no indices)".into());
            }
            ("all", Which::Id(_)) => self.owners.all(ctx, &subject).await?,
            (name, _) => {
                let scope = Scope::parse(name).ok_or_else(|| format!("Unknown memory_tag scope: {name}"))?;
                vec![self.owners.owner(ctx, &subject, scope).await?]
            }
        };
        let change = TagChange {
            tags: &tags,
            merge: flag(payload, "merge").unwrap_or(true),
            by: ctx.run.head.actor_id.as_deref(),
            now: ctx.clock.now(),
        };
        let (mut applied, mut rows, mut span_id) = (Vec::new(), Vec::new(), None);
        for owner in &owners {
            let known = spans::of_owner(ctx.store, ctx.scope, &owner.id)
                .await
                .map_err(|error| Failure::of_store(error, "Memory is not readable"))?;
            let Some(span) = find(known, &which)? else {
                continue;
            };
            rows.push(spans::tag_row(&owner.id, &span.id, &change));
            let mut record = span.record;
            let entry = json!({"tags": tags, "merge": change.merge});
            spans::apply_tags(&mut record, entry.as_object().cloned().unwrap_or_default());
            let tags = record.get("tags").cloned().unwrap_or_default();
            applied.push(json!({"run_id": owner.id, "artifact_id": span.id, "tags": tags}));
            span_id = Some(span.id);
        }
        let Some(span_id) = span_id else {
            let Which::Id(id) = which else {
                return Err("Unknown span".into());
            };
            return Err(format!("Unknown span_id: {id}").into());
        };
        let runs: Vec<&str> = applied
            .iter()
            .filter_map(|entry| entry["run_id"].as_str())
            .collect();
        let shown = applied.first().map_or(Value::Null, |entry| entry["tags"].clone());
        let output = format!(
            "Tagged span_id={span_id} scope={scope} runs=[{}] tags={}",
            runs.join(", "),
            dumps(&shown, DumpOptions::default().with_sorted_keys(true))
        );
        let meta = json!({"applied": applied});
        Ok(Answer {
            memory: rows,
            owners: owners.into_iter().filter_map(|owner| owner.row).collect(),
            ..Answer::done(envelope(payload, "remember", output, Some(meta)))
        })
    }
}

fn which(payload: &Object) -> Option<Which> {
    let id = match payload.get("span_id")? {
        Value::Number(number) => number.to_string(),
        _ => text(payload, "span_id")?,
    };
    // Ids are hexadecimal digits: a short whole number is an index.
    match id.parse::<usize>() {
        Ok(index) if id.len() < 10 => Some(Which::Index(index)),
        _ => Some(Which::Id(id)),
    }
}

fn find(mut known: Vec<Span>, which: &Which) -> Result<Option<Span>, String> {
    match which {
        Which::Id(id) => Ok(known.into_iter().find(|span| span.id == *id)),
        Which::Index(index) => {
            let at = index.checked_sub(1).filter(|at| *at < known.len());
            let at = at.ok_or_else(|| format!("Unknown span index: {index}"))?;
            Ok(Some(known.swap_remove(at)))
        }
    }
}

#[async_trait]
impl EffectHandler for MemoryTag {
    fn class(&self) -> EffectClass {
        EffectClass::ReadsStore
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        self.perform(ctx, &request.open.payload)
            .await
            .unwrap_or_else(Answer::from)
    }
}
