//! `POST /sandbox/generate`: the console's probe of a text model. No run, no record, no artifact.

use ag_artifacts::{ArtifactMeta, BlobId};
use ag_effects::{artifacts::blob_scope, routes::ModelQuery};
use ag_providers::{
    ChatMessage, ChatRequest, ContentPart, MediaSource, MessageContent, ProviderError, SamplingParams, Usage,
};
use ag_types::Object;
use axum::Json;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::profiles;
use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, float, int, list, object, string},
    routes::models::{ModelServices, Overrides, client},
};

const TEXT_ONLY: &str = "The console sandbox currently supports text chat for provider/model smoke tests. Use configured media routes for generated media.";
const CAPABILITIES: [&str; 4] = ["input.text", "output.text", "text", "chat"];
const DEFAULT_TEMPERATURE: f64 = 0.2;
/// Attachments of one probe, and their size together.
const MAX_ATTACHMENTS: usize = 16;
const MAX_ATTACHED_BYTES: u64 = 32 * 1024 * 1024;
/// Text of one attachment that goes into the prompt.
const MAX_ATTACHED_CHARS: usize = 100_000;

/// What to ask, and whom.
pub(super) struct Generate {
    capability: String,
    provider: String,
    model: String,
    prompt: String,
    system_prompt: Option<String>,
    messages: Vec<Object>,
    attachments: Vec<Object>,
    client_context: Option<Object>,
    temperature: Option<f64>,
    max_tokens: Option<i64>,
}

impl Request for Generate {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.strict_body();
        Self {
            capability: body.or("capability", string().max_len(80), "output.text".to_owned()),
            provider: body.required("provider", string().min_len(1).max_len(120)),
            model: body.required("model", string().min_len(1).max_len(320)),
            prompt: body.required("prompt", string().min_len(1)),
            system_prompt: body.optional("system_prompt", string()),
            messages: body.optional("messages", list(object())).unwrap_or_default(),
            attachments: body.optional("attachments", list(object())).unwrap_or_default(),
            client_context: body.optional("client_context", object()),
            temperature: body.optional("temperature", float().ge(0.0).le(2.0)),
            max_tokens: body.optional("max_tokens", int().ge(1)),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Generated {
    ok: bool,
    capability: String,
    provider: String,
    routed_provider: String,
    model: String,
    response: String,
    usage: Value,
    provider_endpoint_profile: Option<Value>,
}

pub(super) async fn generate_text(
    ctx: CallContext,
    Input(request): Input<Generate>,
) -> ApiResult<Json<Generated>> {
    if !CAPABILITIES.contains(&request.capability.trim()) {
        return Err(ApiError::bad_request(TEXT_ONLY));
    }
    let services = ModelServices::of(&ctx)?;
    let (provider, model) = (
        request.provider.trim().to_owned(),
        request.model.trim().to_owned(),
    );
    let profile = profiles::named(&ctx, &provider).await?;
    // The default route's own address counts where exactly its pair is asked for.
    let query = ModelQuery {
        provider: Some(&provider),
        model: Some(&model),
        ..ModelQuery::default_for(ctx.scope(), "sandbox")
    };
    let client = match services.resolver.resolve(query).await {
        Ok(resolved) => resolved.client,
        Err(_) => client(&ctx, &services, &provider, &Overrides::default())
            .await
            .map_err(|error| upstream(&error))?,
    };
    let chat = ChatRequest {
        model: model.clone(),
        messages: messages(&ctx, &request).await?,
        params: SamplingParams {
            temperature: Some(request.temperature.unwrap_or(DEFAULT_TEMPERATURE)),
            max_output_tokens: request.max_tokens.and_then(|tokens| u64::try_from(tokens).ok()),
            ..SamplingParams::default()
        },
        ..ChatRequest::default()
    };
    let reply = client
        .chat
        .chat(chat, CancellationToken::new())
        .await
        .map_err(|error| upstream(&error))?;
    Ok(Json(Generated {
        ok: true,
        capability: request.capability,
        provider,
        routed_provider: client.endpoint.family.name.to_owned(),
        model,
        response: reply.content.unwrap_or_default(),
        usage: usage(reply.usage.as_ref()),
        provider_endpoint_profile: profile.map(|profile| profile.public()),
    }))
}

fn upstream(error: &ProviderError) -> ApiError {
    ApiError::new(StatusCode::BAD_GATEWAY, error.to_string())
}

fn usage(usage: Option<&Usage>) -> Value {
    let Some(usage) = usage else { return json!({}) };
    json!({
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
    })
}

async fn messages(ctx: &CallContext, request: &Generate) -> ApiResult<Vec<ChatMessage>> {
    let mut system = request
        .system_prompt
        .clone()
        .unwrap_or_default()
        .trim()
        .to_owned();
    if let Some(context) = request
        .client_context
        .as_ref()
        .filter(|context| !context.is_empty())
    {
        if !system.is_empty() {
            system.push_str("\n\n");
        }
        system.push_str("Client context:\n");
        system.push_str(&serde_json::to_string_pretty(context).unwrap_or_default());
    }
    let mut messages = Vec::with_capacity(request.messages.len() + 2);
    if !system.is_empty() {
        messages.push(ChatMessage::system(system));
    }
    for message in &request.messages {
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("role") {
            "user" => messages.push(ChatMessage::user(text("content"))),
            "assistant" => messages.push(ChatMessage::assistant(text("content"))),
            _ => {}
        }
    }
    let mut parts = vec![ContentPart::Text(request.prompt.clone())];
    parts.extend(attached(ctx, &request.attachments).await?);
    messages.push(match parts.len() {
        1 => ChatMessage::user(request.prompt.as_str()),
        _ => ChatMessage::user(MessageContent::Parts(parts)),
    });
    Ok(messages)
}

/// Attachments of the caller's plane: pictures as pictures, text as text; anything else is named.
async fn attached(ctx: &CallContext, references: &[Object]) -> ApiResult<Vec<ContentPart>> {
    let mut parts = Vec::new();
    let mut left = MAX_ATTACHED_BYTES;
    for reference in references.iter().take(MAX_ATTACHMENTS) {
        let id = ["$artifact", "artifact_id"]
            .iter()
            .find_map(|key| reference.get(*key)?.as_str());
        let Some(id) = id.filter(|id| ag_artifacts::is_artifact_id(id)) else {
            continue;
        };
        let row = ctx.store().artifact(ctx.scope(), id).await?;
        let missing = || ApiError::bad_request(format!("Attachment '{id}' not found"));
        let meta: ArtifactMeta = row
            .and_then(|row| serde_json::from_str(&row.meta).ok())
            .ok_or_else(missing)?;
        left = left.checked_sub(meta.size_bytes).ok_or_else(|| {
            ApiError::too_large(format!(
                "Attachments are larger than {MAX_ATTACHED_BYTES} bytes together"
            ))
        })?;
        let blob = BlobId::parse(&meta.blob_id).ok_or_else(missing)?;
        let read = ctx.blobs().get(&blob_scope(ctx.scope()), &blob).await;
        let bytes = read
            .map_err(|error| ApiError::internal("reading an artifact", &error))?
            .ok_or_else(missing)?;
        let name = meta.filename().unwrap_or(&meta.artifact_id).to_owned();
        let content_type = meta.content_type.clone();
        parts.push(match ag_artifacts::reference_modality(&content_type) {
            "image" => ContentPart::Image(MediaSource::Inline {
                content_type,
                data: bytes,
            }),
            "text" => {
                let text: String = String::from_utf8_lossy(&bytes)
                    .chars()
                    .take(MAX_ATTACHED_CHARS)
                    .collect();
                ContentPart::Text(format!("Attached file {name}:\n{text}"))
            }
            _ => ContentPart::Text(format!(
                "Attached file {name} ({content_type}) cannot be shown as text."
            )),
        });
    }
    Ok(parts)
}
