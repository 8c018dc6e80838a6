//! The memory preamble of `llm_call` and `agent` (visualflow spec §7).
//!
//! Before its main effect a node may ask for up to three memory effects, one per visit: a span query, the return of
//! the spans found, and a query of the knowledge graph. Their results lie under `_temp.memory_sources.<node>`; the
//! presence of a result is what tells the next visit that the effect is done. `_meta.fingerprint` names the inputs
//! for which the results hold; other inputs empty the bucket.

use super::{context, settings::Settings};
use crate::{memory::envelope, prelude::*};

/// Budget of the knowledge-graph text without a setting, in tokens.
const DEFAULT_KG_TOKENS: i64 = 1200;
/// Messages brought back without a recall level or a setting.
const DEFAULT_SPAN_MESSAGES: i64 = 80;
/// Heading that tells messages which already carry the text.
const KG_HEADING: &str = "## KG ACTIVE MEMORY";

/// Settings that the payload of `llm_call` repeats when they are set.
const KEYS: [&str; 11] = [
    "use_session_attachments",
    "use_span_memory",
    "use_semantic_search",
    "use_kg_memory",
    "memory_query",
    "memory_scope",
    "recall_level",
    "max_span_messages",
    "kg_max_input_tokens",
    "kg_limit",
    "kg_min_score",
];

/// Memory settings of a node: its pins before the `memory` input, before the configuration.
pub(in crate::core) struct Memory<'a> {
    settings: &'a Settings<'a>,
}

impl<'a> Memory<'a> {
    /// The memory settings among the settings of a node.
    pub(in crate::core) fn of(settings: &'a Settings<'a>) -> Self {
        Self { settings }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        let object = || {
            self.settings
                .pin("memory")
                .and_then(|memory| memory.get(key))
                .filter(|value| !value.is_null())
        };
        self.settings
            .pin(key)
            .or_else(object)
            .or_else(|| self.settings.configured(key))
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| coerce_bool(value).unwrap_or(false))
    }

    fn integer(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(opt_int).filter(|number| *number > 0)
    }

    fn level(&self) -> Option<String> {
        self.get("recall_level").and_then(opt_str)
    }

    fn scope(&self) -> String {
        self.get("memory_scope")
            .and_then(opt_str)
            .unwrap_or_else(|| "run".to_owned())
    }

    /// Whether the index of session attachments is wanted, where the author says so.
    pub(in crate::core) fn session_attachments(&self) -> Option<bool> {
        self.get("use_session_attachments")
            .map(|value| coerce_bool(value).unwrap_or(false))
    }

    /// The settings that are set, for the payload.
    pub(in crate::core) fn payload(&self) -> Object {
        KEYS.iter()
            .filter_map(|key| Some(((*key).to_owned(), self.get(key)?.clone())))
            .collect()
    }

    /// What to look for: the setting, else the prompt, else the last message of the user.
    fn query(&self, prompt: &str, vars: &Object) -> String {
        let configured = self.get("memory_query").and_then(opt_str);
        let prompt = || Some(strip_py(prompt).to_owned()).filter(|prompt| !prompt.is_empty());
        configured
            .or_else(prompt)
            .or_else(|| last_user_text(vars))
            .unwrap_or_default()
    }

    /// The next memory effect of the node, or `None` when its memory is complete.
    pub(in crate::core) fn next(
        &self,
        ctx: &mut NodeCtx<'_>,
        prompt: &str,
        system: &str,
        route: (Option<&str>, Option<&str>),
    ) -> Option<Planned> {
        let (spans, graph) = (self.flag("use_span_memory"), self.flag("use_kg_memory"));
        if !spans && !graph {
            return None;
        }
        let query = self.query(prompt, ctx.vars);
        let identity = json!({
            "prompt": prompt, "system": system, "provider": route.0, "model": route.1, "memory": self.payload(),
        });
        let path = bucket_path(ctx.node_id);
        let bucket = fresh_bucket(
            ctx.vars,
            &path,
            &ag_pyvalue::canonical_sha256_hex(&identity)[..32],
        );
        if self.flag("use_semantic_search") {
            warn(
                bucket,
                "use_semantic_search is not supported; span memory is searched by text",
            );
        }
        let step = if spans {
            self.span_effect(bucket, &query)
        } else {
            None
        };
        let step = step.or_else(|| {
            let wanted = graph && !bucket.contains_key("kg_query");
            wanted.then(|| {
                (
                    "kg_query",
                    EffectKind::MemoryKgQuery,
                    self.graph_payload(&query, route.1),
                )
            })
        });
        let (key, kind, payload) = step?;
        Some(Planned::Effect {
            kind,
            payload,
            result_key: Some(format!("{path}.{key}")),
            after: After::Itself,
            push_control: false,
        })
    }

    fn span_effect(&self, bucket: &mut Object, query: &str) -> Option<(&'static str, EffectKind, Object)> {
        let Some(found) = bucket.get("span_query") else {
            let mut payload = Object::new();
            payload.insert("query".to_owned(), query.into());
            payload.insert("scope".to_owned(), self.scope().into());
            payload.insert("return".to_owned(), "meta".into());
            payload.extend(
                self.level()
                    .map(|level| ("recall_level".to_owned(), level.into())),
            );
            return Some(("span_query", EffectKind::MemoryQuery, payload));
        };
        let spans = envelope::meta(found, "span_ids");
        if bucket.contains_key("span_rehydrate") || spans.as_array().is_none_or(Vec::is_empty) {
            return None;
        }
        let mut payload = Object::new();
        payload.insert("span_ids".to_owned(), spans);
        payload.insert("placement".to_owned(), "after_summary".into());
        let (level, mut most) = (self.level(), self.integer("max_span_messages"));
        if level.is_none() && most.is_none() {
            most = Some(DEFAULT_SPAN_MESSAGES);
            warn(
                bucket,
                "recall_level and max_span_messages are unset; at most 80 messages are rehydrated",
            );
        }
        payload.extend(level.map(|level| ("recall_level".to_owned(), level.into())));
        payload.extend(most.map(|most| ("max_messages".to_owned(), most.into())));
        Some(("span_rehydrate", EffectKind::MemoryRehydrate, payload))
    }

    fn graph_payload(&self, query: &str, model: Option<&str>) -> Object {
        let mut payload = Object::new();
        payload.insert("query_text".to_owned(), query.into());
        payload.insert("scope".to_owned(), self.scope().into());
        payload.extend(
            self.level()
                .map(|level| ("recall_level".to_owned(), level.into())),
        );
        let score = self
            .get("kg_min_score")
            .and_then(opt_float)
            .filter(|score| score.is_finite());
        payload.extend(score.map(|score| ("min_score".to_owned(), score.into())));
        payload.extend(
            self.integer("kg_limit")
                .map(|limit| ("limit".to_owned(), limit.into())),
        );
        let tokens = self.integer("kg_max_input_tokens").unwrap_or(DEFAULT_KG_TOKENS);
        payload.insert("max_input_tokens".to_owned(), tokens.into());
        payload.extend(model.map(|model| ("model".to_owned(), model.into())));
        payload
    }

    /// Messages brought back from span memory, for nodes that do not use the whole conversation.
    pub(in crate::core) fn recalled(&self, vars: &Object) -> Option<Vec<Value>> {
        let recalled = if self.flag("use_span_memory") {
            context::rehydrated(vars)
        } else {
            Vec::new()
        };
        (!recalled.is_empty()).then_some(recalled)
    }

    /// The text of the knowledge graph, unless one of the messages carries it already.
    pub(in crate::core) fn graph_text(&self, ctx: &NodeCtx<'_>, messages: &[Value]) -> Option<String> {
        if !self.flag("use_kg_memory") {
            return None;
        }
        let found = vars::get_path(
            ctx.vars,
            &format!("{}.kg_query.active_memory_text", bucket_path(ctx.node_id)),
        );
        let text = found.and_then(opt_str)?;
        let carried = messages.iter().any(|message| {
            message
                .get("content")
                .and_then(Value::as_str)
                .is_some_and(|content| content.contains(KG_HEADING))
        });
        (!carried).then_some(text)
    }
}

/// Where the results of a node lie.
fn bucket_path(node_id: &str) -> String {
    format!("_temp.memory_sources.{node_id}")
}

/// Forgets the results of a node.
pub(in crate::core) fn forget(vars: &mut Object, node_id: &str) {
    vars::remove_path(vars, &bucket_path(node_id));
}

/// The bucket of a node, emptied if it belongs to other inputs.
fn fresh_bucket<'v>(vars: &'v mut Object, path: &str, fingerprint: &str) -> &'v mut Object {
    let bucket = vars::object_at(vars, path);
    let known = bucket
        .get("_meta")
        .and_then(|meta| meta.get("fingerprint"))
        .and_then(Value::as_str);
    if known != Some(fingerprint) {
        bucket.clear();
        bucket.insert(
            "_meta".to_owned(),
            json!({"fingerprint": fingerprint, "warnings": []}),
        );
    }
    bucket
}

fn warn(bucket: &mut Object, text: &str) {
    let warnings = bucket
        .get_mut("_meta")
        .and_then(|meta| meta.get_mut("warnings"))
        .and_then(Value::as_array_mut);
    if let Some(warnings) = warnings
        && !warnings.iter().any(|known| known == text)
    {
        warnings.push(text.into());
    }
}

fn last_user_text(vars: &Object) -> Option<String> {
    let messages = vars::get_path(vars, "context.messages").and_then(Value::as_array)?;
    let user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
    messages
        .iter()
        .rev()
        .find(user)
        .and_then(|message| message.get("content"))
        .and_then(opt_str)
}
