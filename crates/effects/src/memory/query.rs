//! `memory_query`: recall from span memory.

mod filter;
mod render;

use ag_kernel::EffectRequest;
use ag_types::Object;
use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    envelope::envelope,
    levels::{self, Clamp},
    owners::{MemoryOwners, Scope, Subject, flag, integer, scope_text, text, texts},
    spans::{self, Span},
};
use crate::handler::{Answer, EffectClass, EffectCtx, EffectHandler, Failure};
use filter::Filter;

/// The handler.
#[derive(Debug, Default)]
pub struct MemoryQuery {
    owners: MemoryOwners,
}

const SPANS: i64 = 5;
const DEEP_SPANS: i64 = 50;
const DEEP_MESSAGES: i64 = 400;
const HOPS: i64 = 1;

/// How far a query goes.
struct Reach {
    spans: usize,
    deep: bool,
    deep_spans: usize,
    deep_messages: usize,
    connected: bool,
    hops: usize,
    /// `None`: all.
    messages: Option<i64>,
    effort: Option<Value>,
    warnings: Vec<String>,
}

impl MemoryQuery {
    /// With the owners of this gateway.
    pub fn new(owners: MemoryOwners) -> Self {
        Self { owners }
    }

    async fn perform(&self, ctx: &EffectCtx<'_>, payload: &Object) -> Result<Answer, Failure> {
        let scope = scope_text(payload);
        let subject = Subject::of(ctx, payload).await?;
        let owners = match scope.as_str() {
            "all" => self.owners.all(ctx, &subject).await?,
            name => {
                let scope =
                    Scope::parse(name).ok_or_else(|| format!("Unknown memory_query scope: {name}"))?;
                vec![self.owners.owner(ctx, &subject, scope).await?]
            }
        };
        let mode = text(payload, "return").map_or_else(|| "rendered".to_owned(), |mode| mode.to_lowercase());
        if !["rendered", "meta", "both"].contains(&mode.as_str()) {
            return Err(format!("Unknown memory_query return mode: {mode}").into());
        }
        let query = text(payload, "query").unwrap_or_default();
        let reach = reach(payload, !query.is_empty())?;
        let mut groups = Vec::with_capacity(owners.len());
        for owner in &owners {
            let mut known = spans::of_owner(ctx.store, ctx.scope, &owner.id)
                .await
                .map_err(|error| Failure::of_store(error, "Memory is not readable"))?;
            spans::newest_first(&mut known);
            groups.push(known);
        }
        let found = match named(payload) {
            Some(ids) if scope == "all" && ids.iter().any(|id| index(id).is_some()) => {
                return Err(
                    "memory_query scope='all' requires explicit span_ids as artifact ids (no indices)".into(),
                );
            }
            Some(ids) => explicit(ids, &groups),
            None => {
                let filter = Filter::of(payload, &query);
                let mut found: Vec<Span> = Vec::new();
                for known in &groups {
                    for span in filter::select(ctx, known, &filter, &reach).await? {
                        if !found.iter().any(|other| other.id == span.id) {
                            found.push(span);
                        }
                    }
                }
                if groups.len() > 1 {
                    found.truncate(reach.spans.max(1));
                }
                found
            }
        };
        let shows_text = mode != "meta";
        let mut output = match shows_text {
            true => render::text(ctx, &found, reach.messages).await?,
            false => String::new(),
        };
        if shows_text && !reach.warnings.is_empty() {
            let lines: Vec<String> = reach.warnings.iter().map(|line| format!("- {line}")).collect();
            output = format!("[recall warnings]\n{}\n\n{output}", lines.join("\n"));
        }
        let meta = match mode == "rendered" {
            true => Value::Null,
            false => meta(&found, &reach),
        };
        Ok(Answer::done(envelope(
            payload,
            "recall_memory",
            output,
            Some(meta),
        )))
    }
}

fn meta(found: &[Span], reach: &Reach) -> Value {
    let matches: Vec<Value> = found.iter().map(render::matched).collect();
    let ids: Vec<&str> = found.iter().map(|span| span.id.as_str()).collect();
    let mut meta = Object::new();
    meta.insert("matches".to_owned(), matches.into());
    meta.insert("span_ids".to_owned(), json!(ids));
    meta.extend(reach.effort.clone().map(|effort| ("effort".to_owned(), effort)));
    if !reach.warnings.is_empty() {
        meta.insert("warnings".to_owned(), json!(reach.warnings));
    }
    meta.into()
}

fn reach(payload: &Object, has_query: bool) -> Result<Reach, String> {
    let level = levels::of(payload)?;
    let given = |key: &str| integer(payload, key);
    let deep = flag(payload, "deep").unwrap_or(has_query);
    let connected = flag(payload, "connected").unwrap_or(false);
    let spans = given("limit_spans").filter(|wish| *wish != 0);
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    // 0 means the default, as in the reference.
    let or = |key: &str, default: i64| given(key).filter(|wish| *wish != 0).unwrap_or(default);
    let (deep_spans, deep_messages) = (
        or("deep_limit_spans", DEEP_SPANS),
        or("deep_limit_messages_per_span", DEEP_MESSAGES),
    );
    let hops = or("neighbor_hops", HOPS);
    let Some(level) = level else {
        return Ok(Reach {
            spans: count(spans.unwrap_or(SPANS).max(1)),
            deep,
            deep_spans: count(deep_spans),
            deep_messages: count(deep_messages),
            connected,
            hops: count(hops),
            messages: given("max_messages").filter(|wish| *wish > 0),
            effort: None,
            warnings: Vec::new(),
        });
    };
    let mut clamp = Clamp::new(level);
    let spans = match spans {
        None => level.spans.default,
        Some(wish) => clamp.at_most("limit_spans", wish.max(1), level.spans.most),
    };
    let is_deep = deep && level.deep;
    if deep && !is_deep {
        clamp.warn("deep scan disabled (not allowed at this level)");
    }
    let deep_spans = clamp.at_most("deep_limit_spans", deep_spans, level.deep_spans);
    let deep_messages = clamp.at_most("deep_limit_messages_per_span", deep_messages, level.deep_messages);
    let is_connected = connected && level.connected;
    if connected && !is_connected {
        clamp.warn("connected expansion disabled (not allowed at this level)");
    }
    let hops = clamp.at_most("neighbor_hops", hops, level.hops);
    let messages = clamp.messages(given("max_messages"), level.query_messages);
    let effort = clamp.effort(json!({
        "limit_spans": spans, "deep": is_deep, "deep_limit_spans": deep_spans,
        "deep_limit_messages_per_span": deep_messages, "connected": is_connected, "neighbor_hops": hops,
        "max_messages": messages,
    }));
    Ok(Reach {
        spans: count(spans),
        deep: is_deep,
        deep_spans: count(deep_spans),
        deep_messages: count(deep_messages),
        connected: is_connected,
        hops: count(hops),
        messages: Some(messages),
        effort: Some(effort),
        warnings: clamp.warnings,
    })
}

/// Spans that the payload names.
fn named(payload: &Object) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::Number(number) => Some(number.to_string()),
        other => ag_pyvalue::opt_str(other),
    };
    let given = ["span_ids", "span_id"]
        .iter()
        .find_map(|key| payload.get(*key).filter(|value| !value.is_null()))?;
    let ids: Vec<String> = match given {
        Value::Array(items) => items.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    };
    Some(ids).filter(|ids| !ids.is_empty())
}

/// A place in the list, from 1: ids are longer than any number of spans.
fn index(id: &str) -> Option<usize> {
    id.parse().ok().filter(|_| id.len() < 10)
}

/// The named spans in their order; an id that nobody knows is shown as such, an index beyond the list is not.
fn explicit(ids: Vec<String>, groups: &[Vec<Span>]) -> Vec<Span> {
    let all = || groups.iter().flatten();
    let mut found: Vec<Span> = Vec::new();
    for id in ids {
        let span = match index(&id) {
            Some(place) => match place.checked_sub(1).and_then(|at| all().nth(at)) {
                Some(span) => span.clone(),
                None => continue,
            },
            None => all().find(|span| span.id == id).cloned().unwrap_or_else(|| Span {
                id: id.clone(),
                record: Object::new(),
                text: None,
            }),
        };
        if !found.iter().any(|other| other.id == span.id) {
            found.push(span);
        }
    }
    found
}

/// Tags that connect spans, unless the payload names others.
fn connect_by(payload: &Object) -> Vec<String> {
    let given = texts(payload.get("connect_by"));
    match given.is_empty() {
        true => vec!["topic".to_owned(), "person".to_owned()],
        false => given,
    }
}

#[async_trait]
impl EffectHandler for MemoryQuery {
    fn class(&self) -> EffectClass {
        EffectClass::ReadsStore
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        self.perform(ctx, &request.open.payload)
            .await
            .unwrap_or_else(Answer::from)
    }
}
