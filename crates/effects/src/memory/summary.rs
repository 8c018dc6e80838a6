//! Summaries of archived conversations, by the run's model.

use ag_providers::{ChatMessage, ChatRequest, ProviderError};
use ag_types::Object;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    handler::{EffectCtx, Failure},
    routes::{ModelQuery, ModelResolver, ResolvedModel},
};

/// Characters of conversation in one request: what is longer is summarised in parts first.
const CHUNK_CHARS: usize = 48_000;
/// Tokens of an answer.
const ANSWER_TOKENS: u64 = 2_048;
/// How sure a summary is whose model did not say.
const CONFIDENCE: f64 = 0.6;

/// A summary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Summary {
    pub(super) text: String,
    pub(super) key_points: Vec<String>,
    pub(super) confidence: f64,
}

/// What is wanted.
pub(super) struct Order<'a> {
    /// `light`, `standard` or `heavy`.
    pub(super) mode: &'a str,
    pub(super) focus: Option<&'a str>,
    /// `role: content`, one per message.
    pub(super) lines: Vec<String>,
}

/// Asks the run's model.
///
/// # Errors
/// [`Failure`]; the store is asked before the model.
pub(super) async fn summarise(
    ctx: &EffectCtx<'_>,
    resolver: &ModelResolver,
    order: Order<'_>,
) -> Result<Summary, Failure> {
    let runtime = ctx.run.vars.get("_runtime");
    let text = |key: &str| {
        runtime
            .and_then(|runtime| runtime.get(key))
            .and_then(ag_pyvalue::opt_str)
    };
    let (provider, model) = (text("provider"), text("model"));
    let both = provider.as_deref().zip(model.as_deref());
    let query = ModelQuery {
        provider: both.map(|(provider, _)| provider),
        model: both.map(|(_, model)| model),
        ..ModelQuery::default_for(ctx.scope, "memory_compact")
    };
    let chosen = resolver.resolve(query).await?;
    let mut parts = chunks(&order.lines);
    let mut round = 0;
    // Each round shortens; two are enough for anything that fits into a run.
    while parts.len() > 1 && round < 2 {
        let mut summaries = Vec::with_capacity(parts.len());
        for (n, part) in parts.iter().enumerate() {
            let key = format!("{}/c{round}.{n}", ctx.outbound_key);
            summaries.push(ask(&chosen, &order, part, key, &ctx.cancel).await?.text);
        }
        parts = chunks(&summaries);
        round += 1;
    }
    let whole = parts.join("\n");
    Ok(ask(&chosen, &order, &whole, ctx.outbound_key.clone(), &ctx.cancel).await?)
}

async fn ask(
    chosen: &ResolvedModel,
    order: &Order<'_>,
    conversation: &str,
    key: String,
    cancel: &CancellationToken,
) -> Result<Summary, String> {
    let mut request = ChatRequest {
        model: chosen.model.clone(),
        messages: vec![ChatMessage::user(prompt(order, conversation))],
        idempotency_key: Some(key),
        ..ChatRequest::default()
    };
    request.params.temperature = Some(0.2);
    request.params.max_output_tokens = Some(ANSWER_TOKENS);
    let reply = chosen.client.chat.chat(request, cancel.clone()).await;
    let reply = reply.map_err(|error| match error {
        ProviderError::Cancelled => error.to_string(),
        error => format!("Compaction LLM unavailable: {error}"),
    })?;
    Ok(read(reply.content.as_deref().unwrap_or_default()))
}

fn prompt(order: &Order<'_>, conversation: &str) -> String {
    let length = match order.mode {
        "light" => "Keep most of the detail; only shorten what is said at length.",
        "heavy" => "Be very brief: only what later work cannot do without.",
        _ => "Be brief, but keep what later work may need.",
    };
    let focus = order
        .focus
        .map(|focus| format!("Give most room to: {focus}\n"))
        .unwrap_or_default();
    format!(
        "The conversation below is about to leave an agent's context; your summary takes its place. Keep decisions, \
         constraints, names, numbers, file paths, commands, results and open questions. Add nothing that is not said \
         there.\n{length}\n{focus}Answer with one JSON object and nothing else: \
         {{\"summary\": text, \"key_points\": [text, ...], \"confidence\": number from 0 to 1}}\n\n\
         CONVERSATION:\n{conversation}\n"
    )
}

/// An answer in the asked-for form, or any other text as it is.
fn read(content: &str) -> Summary {
    let content = content.trim();
    let found = object(content);
    let text = |key: &str| {
        found
            .as_ref()
            .and_then(|found| found.get(key))
            .and_then(ag_pyvalue::opt_str)
    };
    let points = found
        .as_ref()
        .and_then(|found| found.get("key_points"))
        .and_then(Value::as_array);
    let confidence = found
        .as_ref()
        .and_then(|found| found.get("confidence"))
        .and_then(ag_pyvalue::opt_float);
    let plain = || Some(content.to_owned()).filter(|text| !text.is_empty());
    Summary {
        text: text("summary")
            .or_else(plain)
            .unwrap_or_else(|| "(summary unavailable)".to_owned()),
        key_points: points
            .into_iter()
            .flatten()
            .filter_map(ag_pyvalue::opt_str)
            .collect(),
        confidence: confidence
            .filter(|number| number.is_finite())
            .map_or(CONFIDENCE, |number| number.clamp(0.0, 1.0)),
    }
}

/// The object in an answer, fenced or not.
fn object(content: &str) -> Option<Object> {
    let begin = content.find('{')?;
    let end = content.rfind('}')?;
    serde_json::from_str(content.get(begin..=end)?).ok()
}

/// Joins lines into texts of bounded size; a single longer line is cut into several.
fn chunks(lines: &[String]) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    let mut current = String::new();
    for line in lines {
        let mut rest = line.as_str();
        while !rest.is_empty() {
            let cut = rest
                .char_indices()
                .nth(CHUNK_CHARS)
                .map_or(rest.len(), |(at, _)| at);
            let (piece, tail) = rest.split_at(cut);
            rest = tail;
            if !current.is_empty() && current.len() + piece.len() > CHUNK_CHARS {
                chunks.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push('\n');
            }
            current.push_str(piece);
        }
    }
    if !current.is_empty() || chunks.is_empty() {
        chunks.push(current);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_any_form() {
        let summary = |text: &str, points: &[&str], confidence| Summary {
            text: text.to_owned(),
            key_points: points.iter().map(|point| (*point).to_owned()).collect(),
            confidence,
        };
        for (content, expected) in [
            (
                r#"{"summary":"S","key_points":["a","b"],"confidence":0.9}"#,
                summary("S", &["a", "b"], 0.9),
            ),
            ("```json\n{\"summary\": \"S\"}\n```", summary("S", &[], 0.6)),
            ("just words", summary("just words", &[], 0.6)),
            ("  ", summary("(summary unavailable)", &[], 0.6)),
            (r#"{"summary":"S","confidence":7}"#, summary("S", &[], 1.0)),
            (r#"{"other":1}"#, summary(r#"{"other":1}"#, &[], 0.6)),
        ] {
            assert_eq!(read(content), expected, "{content}");
        }
    }

    #[test]
    fn long_conversations_are_cut() {
        let lines = vec!["x".repeat(30_000), "y".repeat(30_000), "z".repeat(100_000)];
        let parts = chunks(&lines);
        assert!(
            parts.iter().all(|part| part.len() <= CHUNK_CHARS + 1),
            "{:?}",
            parts.iter().map(String::len).collect::<Vec<_>>()
        );
        let chars: usize = parts.iter().map(|part| part.replace('\n', "").len()).sum();
        assert_eq!(chars, 160_000);
        assert_eq!(chunks(&[]), [""]);
    }
}
