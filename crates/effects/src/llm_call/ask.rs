//! Asking: with or without a schema, again with more room while the answer is cut.

use std::borrow::Cow;

use ag_providers::structured::{
    StructuredError, StructuredReply, extract_json, generate, parse_reply, validate,
};
use ag_providers::{ChatReply, ChatRequest, ResponseSchema, Support};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::budget::Truncation;
use crate::routes::ResolvedModel;

/// How to ask.
pub(super) struct Plan<'a> {
    pub(super) schema: Option<&'a ResponseSchema>,
    /// Whether an answer that does not fit the schema is asked for once more without it.
    pub(super) fallback: bool,
    pub(super) truncation: Truncation,
}

/// What came of it.
pub(super) struct Asked {
    /// The request as sent last.
    pub(super) request: ChatRequest,
    pub(super) reply: ChatReply,
    pub(super) data: Data,
    /// Budgets of the requests, in order.
    pub(super) attempts: Vec<u64>,
    /// The answer is cut, and that is allowed.
    pub(super) cut: bool,
}

/// How the answer relates to a schema.
pub(super) enum Data {
    /// None was asked for.
    Unasked,
    /// Fits.
    Fits(Value),
    /// Read from an answer that was asked for without schema.
    Fallback {
        /// What could be read.
        data: Option<Value>,
        /// Why the schema-bound answer failed.
        error: String,
    },
}

enum Once {
    Text(Box<ChatReply>),
    Structured(Box<StructuredReply>),
    /// Cut before it could be read.
    CutStructured(Box<ChatReply>),
    NoFit(String),
}

/// Asks until there is an answer that may be used.
///
/// # Errors
/// The text of the failed effect.
pub(super) async fn ask(
    chosen: &ResolvedModel,
    mut request: ChatRequest,
    plan: &Plan<'_>,
    cancel: &CancellationToken,
) -> Result<Asked, String> {
    let rule = &plan.truncation;
    let key = request.idempotency_key.clone();
    let mut budget = rule.first;
    let mut attempts = Vec::new();
    loop {
        request.params.max_output_tokens = budget;
        attempts.push(rule.shown(budget));
        if attempts.len() > 1 {
            // Another request than the one before, so another key.
            request.idempotency_key = key.as_ref().map(|key| format!("{key}/t{}", attempts.len()));
        }
        let once = once(chosen, &request, plan.schema, cancel).await?;
        let reason = match &once {
            Once::Text(reply) if reply.truncated() => reply.finish_reason.clone(),
            Once::CutStructured(reply) => reply.finish_reason.clone(),
            _ => None,
        };
        let cut = reason.is_some();
        if cut && !rule.allowed {
            if attempts.len() >= rule.attempts {
                return Err(Truncation::failure(&reason.unwrap_or_default(), &attempts));
            }
            budget = Some(rule.next(budget));
            continue;
        }
        let (reply, data) = match once {
            Once::Text(reply) => (*reply, Data::Unasked),
            Once::Structured(answer) => (answer.reply, Data::Fits(answer.data)),
            Once::CutStructured(reply) => {
                let data = read_loosely(&reply);
                (
                    *reply,
                    Data::Fallback {
                        data,
                        error: "structured answer was cut by the token limit".to_owned(),
                    },
                )
            }
            Once::NoFit(error) if plan.fallback => {
                request.idempotency_key = key.map(|key| format!("{key}/f"));
                let reply = chosen.client.chat.chat(request.clone(), cancel.clone()).await;
                let reply = reply.map_err(|error| error.to_string())?;
                let data = read_loosely(&reply);
                (reply, Data::Fallback { data, error })
            }
            Once::NoFit(error) => return Err(error),
        };
        return Ok(Asked {
            request,
            reply,
            data,
            attempts,
            cut,
        });
    }
}

async fn once(
    chosen: &ResolvedModel,
    request: &ChatRequest,
    schema: Option<&ResponseSchema>,
    cancel: &CancellationToken,
) -> Result<Once, String> {
    let model = chosen.client.chat.as_ref();
    let Some(schema) = schema else {
        let reply = model.chat(request.clone(), cancel.clone()).await;
        return reply
            .map(|reply| Once::Text(Box::new(reply)))
            .map_err(|error| error.to_string());
    };
    let mut support = chosen.capabilities.structured;
    let mut bound = Cow::Borrowed(request);
    if !request.tools.is_empty() {
        // A model that has tools may want to use them first, which is no failure to answer.
        let mut first = request.clone();
        first.response_schema = (support == Support::Native).then(|| schema.clone());
        let reply = model
            .chat(first, cancel.clone())
            .await
            .map_err(|error| error.to_string())?;
        if !reply.tool_calls.is_empty() || reply.truncated() {
            return Ok(Once::Text(Box::new(reply)));
        }
        let data = parse_reply(reply.content.as_deref().unwrap_or_default()).ok();
        if let Some(data) = data.filter(|data| validate(&schema.schema, data).is_ok()) {
            let answer = StructuredReply {
                data,
                reply,
                attempts: 1,
                native_error: None,
            };
            return Ok(Once::Structured(Box::new(answer)));
        }
        support = Support::Prompted;
        let bound = bound.to_mut();
        bound.idempotency_key = bound.idempotency_key.take().map(|key| format!("{key}/s"));
    }
    match generate(model, &bound, schema, support, cancel).await {
        Ok(answer) => Ok(Once::Structured(Box::new(answer))),
        Err(StructuredError::Truncated(reply)) => Ok(Once::CutStructured(reply)),
        Err(error @ StructuredError::NoFit { .. }) => Ok(Once::NoFit(error.to_string())),
        Err(StructuredError::Provider(error)) => Err(error.to_string()),
    }
}

/// JSON of an answer that was not bound to a schema; anything but an object is wrapped.
fn read_loosely(reply: &ChatReply) -> Option<Value> {
    match extract_json(reply.content.as_deref()?)? {
        object @ Value::Object(_) => Some(object),
        other => Some(json!({"value": other})),
    }
}
