//! `llm_call`: one answer of a model, possibly after several requests.
//!
//! Order of work: read the payload ([`input`]) → choose the model → build the conversation ([`messages`], [`trim`],
//! [`attachments`], [`duplicates`], [`media`], [`grounding`]) → ask, again with more room while the answer is cut
//! ([`ask`], [`budget`]) → result and changes of variables ([`result`]).
//!
//! Everything a request adds to the recorded payload (attachment lists, the grounding paragraph, media bytes) is made
//! anew for each call and kept nowhere but in the observability part of the result. Every failure is the failed
//! effect's text; nothing is retried here but cut answers, the client below retries what is safe to retry.

mod ask;
mod attachments;
mod budget;
mod cache_key;
mod duplicates;
mod generate;
mod grounding;
mod hearing;
mod input;
mod linked;
mod media;
mod messages;
mod observe;
mod result;
#[cfg(test)]
mod tests;
mod tools;
mod trim;

use ag_kernel::{EffectRequest, VarChange};
use ag_outbound::OutboundClient;
use ag_providers::{ChatRequest, ResponseSchema, SamplingParams, Thinking, structured};
use ag_types::Object;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

use crate::routes::{ModelQuery, ModelResolver, ResolvedModel};
use crate::{Answer, EffectClass, EffectCtx, EffectHandler, Failure};
pub use generate::MediaBackends;
use input::Input;

/// Host-wide settings of model calls.
#[derive(Debug, Clone, Default)]
pub struct LlmCallSettings {
    /// `ABSTRACTRUNTIME_PROMPT_CACHE`: whether calls get a prefix-cache key when their run says nothing.
    pub prompt_cache: bool,
    /// Largest attachment that is read, in bytes; 0 = the contract's 25 MiB.
    pub max_attachment_bytes: u64,
    /// For sources that are only linked; without, those fail the call.
    pub http: Option<OutboundClient>,
    /// Media back ends of the environment.
    pub backends: MediaBackends,
}

/// The handler.
pub struct LlmCall {
    resolver: ModelResolver,
    settings: LlmCallSettings,
}

impl LlmCall {
    /// A handler that finds models through `resolver`.
    pub fn new(resolver: ModelResolver, settings: LlmCallSettings) -> Self {
        Self { resolver, settings }
    }

    async fn perform(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Result<Answer, Failure> {
        let input = Input::new(&request.open.payload, &ctx.run.vars);
        input.check()?;
        let wanted = generate::Wanted::of(input.payload());
        if !wanted.wants_text() {
            return self.media_only(ctx, request, &input, &wanted).await;
        }
        let schema = response_schema(&input)?;
        let chosen = self.choose(ctx, &input).await?;

        let cache_key = cache_key::of(
            ctx,
            &input,
            &chosen,
            &request.open.node_id,
            self.settings.prompt_cache,
        )?;
        let cache_key = match cache_key {
            cache_key::Key::Given(key) => key,
            cache_key::Key::Open => {
                let routes = self.resolver.routes();
                routes
                    .prompt_cache_key(ctx.scope, &chosen.provider, &chosen.model)
                    .await?
            }
        };
        let ready = self.ready(ctx, &input, &wanted).await?;

        let mut conversation = messages::conversation(&input);
        if let Some(limit) = input.max_input_tokens() {
            trim::trim(&mut conversation, limit);
        }
        let pending = media::pending(&input);
        let items = media::items(&input, &pending);
        attachments::replace(ctx, &input, &items, &mut conversation).await?;
        duplicates::collapse(&mut conversation);
        let reader = media::Reader {
            ctx,
            limits: media::Limits::new(&input, &self.settings),
            hearing: hearing::Hearing::new(&self.resolver, &input),
            capabilities: &chosen.capabilities,
        };
        let warnings = media::attach(&reader, &items, &mut conversation).await?;
        messages::finish(&mut conversation, input.system_prompt().as_deref());

        let base = ChatRequest {
            model: chosen.model.clone(),
            messages: conversation,
            tools: tools::specs(input.tools()),
            params: sampling(&input),
            thinking: input.thinking().as_ref().and_then(Thinking::parse),
            prompt_cache_key: cache_key,
            idempotency_key: Some(ctx.outbound_key.clone()),
            timeout: input.timeout_s().map(Duration::from_secs_f64),
            trace: trace(ctx, request, &input),
            extra: input.extra_body(),
            ..ChatRequest::default()
        };
        let plan = ask::Plan {
            schema: schema.as_ref(),
            fallback: input.structured_fallback(),
            truncation: budget::Truncation::new(&input, &chosen.capabilities),
        };
        let asking = ask::ask(&chosen, base, &plan, &ctx.cancel);
        let mut asked = observe::chat(&chosen, ctx.run, asking).await?;
        let wire = result::Wire::take(&mut asked.reply);

        let made = result::Made {
            input: &input,
            chosen: &chosen,
            media: &items,
            asked: &asked,
            warnings: &warnings,
        };
        let mut value = result::value(&made, wire, || ctx.ids.uuid().to_string());
        let artifacts = match wanted.is_empty() {
            true => Vec::new(),
            false => generate::beside(ctx, request, &input, &wanted, &ready, &mut value).await?,
        };
        let mut answer = Answer::done(value);
        answer.artifacts = artifacts;
        if !pending.is_empty() {
            answer
                .changes
                .push(VarChange::Remove("_runtime.pending_media".to_owned()));
        }
        answer
            .changes
            .extend(result::context_turn(&made, &request.open.node_id));
        Ok(answer)
    }

    /// The payload's model, else the run's, else the plane's default; half a choice is completed from the next level.
    async fn choose(&self, ctx: &EffectCtx<'_>, input: &Input<'_>) -> Result<ResolvedModel, Failure> {
        let (mut provider, mut model) = input.route();
        if provider.is_none() || model.is_none() {
            let default = self.resolver.routes().text(ctx.scope).await?;
            let default = default.and_then(|found| Some((found.route.provider?, found.route.model?)));
            if let Some((default_provider, default_model)) = default {
                provider = provider.or(Some(default_provider));
                model = model.or(Some(default_model));
            }
        }
        let base_url = input.base_url();
        let query = ModelQuery {
            provider: provider.as_deref(),
            model: model.as_deref(),
            base_url: base_url.as_deref(),
            ..ModelQuery::default_for(ctx.scope, "llm_call")
        };
        Ok(self.resolver.resolve(query).await?)
    }
}

#[async_trait]
impl EffectHandler for LlmCall {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }

    fn reports(&self, request: &EffectRequest) -> bool {
        !generate::Wanted::of(&request.open.payload).is_empty()
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        // The future holds the whole conversation, which is too much for the driver's stack.
        match Box::pin(self.perform(ctx, request)).await {
            Ok(answer) => answer,
            Err(failure) => failure.into(),
        }
    }
}

/// Whose call this is, for a model service of our own.
fn trace(ctx: &EffectCtx<'_>, request: &EffectRequest, input: &Input<'_>) -> Object {
    let mut trace = input
        .param("trace_metadata")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let open = &request.open;
    trace.insert("step_id".to_owned(), json!(open.step_id));
    trace.insert(
        "effect_idempotency_key".to_owned(),
        ctx.outbound_key.as_str().into(),
    );
    trace
}

fn response_schema(input: &Input<'_>) -> Result<Option<ResponseSchema>, String> {
    let Some(raw) = input.response_schema() else {
        return Ok(None);
    };
    let schema = structured::normalise(raw, input.response_schema_name().as_deref());
    schema.map(Some).map_err(|error| error.to_string())
}

fn sampling(input: &Input<'_>) -> SamplingParams {
    SamplingParams {
        temperature: input.float("temperature"),
        top_p: input.float("top_p"),
        top_k: input
            .int("top_k")
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| *value > 0),
        max_output_tokens: None,
        seed: input.int("seed").filter(|seed| *seed >= 0),
        stop: input.stop(),
        frequency_penalty: input.float("frequency_penalty"),
        presence_penalty: input.float("presence_penalty"),
        repetition_penalty: input.float("repetition_penalty"),
    }
}

/// Text of a member that is not blank.
fn text_of(map: &ag_types::Object, key: &str) -> Option<String> {
    map.get(key).and_then(ag_pyvalue::opt_str)
}

/// A member that is neither absent nor null.
fn value_of<'v>(map: &'v ag_types::Object, key: &str) -> Option<&'v Value> {
    map.get(key).filter(|value| !value.is_null())
}
