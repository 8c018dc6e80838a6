//! Embedding models.

use ag_providers::{family, family::Wire};
use axum::Json;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    catalog::{Catalog, object},
    media::{EMBEDDINGS, MediaQuery, served},
    providers::label,
};
use crate::{
    ApiResult, CallContext, Input,
    input::{Reader, Request},
};

/// Query of the list.
pub(super) struct ListEmbeddingModels(MediaQuery);

impl Request for ListEmbeddingModels {
    fn read(reader: &mut Reader) -> Self {
        Self(MediaQuery::read(&mut reader.query()))
    }
}

pub(super) async fn list_embedding_models(
    ctx: CallContext,
    headers: HeaderMap,
    Input(ListEmbeddingModels(query)): Input<ListEmbeddingModels>,
) -> ApiResult<Json<Value>> {
    let found = served(&ctx, &headers, &EMBEDDINGS, &query).await?;
    let available = !found.providers.is_empty();
    let details: Vec<Value> = found.names().into_iter().map(detail).collect();
    let raw = object(json!({
        "kind": if query.providers_only { "embedding_providers" } else { "embedding_models" },
        "providers": found.names(),
        "available_providers": found.names(),
        "embedding_providers": found.names(),
        "provider_details": details,
        "models": found.models(),
        "embedding_models": found.models(),
        "models_by_provider": found.by_provider(),
        "embedding_models_by_provider": found.by_provider(),
        "provider_models": found.pairs(),
    }));
    let catalog = Catalog {
        kind: if query.providers_only {
            "providers"
        } else {
            "models"
        },
        scope: "embedding.text",
        upstream: "abstractcore.embeddings",
        available,
        error: (!available).then(|| "No configured provider serves embeddings".to_owned()),
        items: found.items(query.providers_only),
        echo: object(json!({"providers_only": query.providers_only})),
        provider: query.provider,
        raw,
        ..Catalog::default()
    };
    Ok(Json(catalog.answer(ctx.now())))
}

fn detail(name: &str) -> Value {
    let family = family(name);
    let transport = match family.map(|family| family.wire) {
        Some(Wire::Ollama) => "ollama_native_http",
        Some(Wire::OpenAi) if name == "openai" => "openai_http",
        _ => "openai_compatible_http",
    };
    json!({
        "id": name,
        "provider": name,
        "label": label(name),
        "transport": transport,
        "base_url_configurable": true,
        "base_url_env_vars": family.map(|family| family.base_url_env).unwrap_or_default(),
        "default_base_url": family.map(|family| family.default_base_url),
        "auth": if family.is_some_and(|family| family.key_required) { "api_key" } else { "optional" },
    })
}
