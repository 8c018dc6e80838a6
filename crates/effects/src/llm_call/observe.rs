//! What operators see of a model call: a span with the names of the GenAI conventions, counts of calls and tokens.
//!
//! Prompts and answers are in neither.

use ag_telemetry::metrics::{MODEL_CALLS, MODEL_TOKENS};
use ag_types::RunState;
use tracing::{Instrument as _, field::Empty};

use super::ask::Asked;
use crate::routes::ResolvedModel;

/// Watches a call.
pub(super) async fn chat(
    chosen: &ResolvedModel,
    run: &RunState,
    call: impl Future<Output = Result<Asked, String>>,
) -> Result<Asked, String> {
    let family = chosen.client.endpoint.family.name;
    let span = tracing::info_span!(
        "chat",
        otel.name = format!("chat {}", chosen.model),
        otel.kind = "client",
        otel.status_code = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = family,
        gen_ai.request.model = chosen.model,
        gen_ai.conversation.id = run.head.session_id.as_deref(),
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
    );
    let asked = call.instrument(span.clone()).await;
    let outcome = match &asked {
        Ok(asked) => {
            let reply = &asked.reply;
            span.record("gen_ai.response.model", reply.model.as_str());
            if let Some(reason) = &reply.finish_reason {
                span.record("gen_ai.response.finish_reasons", reason.as_str());
            }
            if let Some(usage) = &reply.usage {
                // Unsigned numbers would be exported as texts.
                let signed = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
                span.record("gen_ai.usage.input_tokens", signed(usage.input_tokens));
                span.record("gen_ai.usage.output_tokens", signed(usage.output_tokens));
                for (direction, tokens) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
                    MODEL_TOKENS.with([family, direction]).increment(tokens);
                }
            }
            "done"
        }
        Err(_) => {
            span.record("otel.status_code", "ERROR");
            "failed"
        }
    };
    MODEL_CALLS.with([family, outcome]).increment(1);
    asked
}
