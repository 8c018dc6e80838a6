//! Embedding models.

use ag_providers::{family, family::Wire};
use ag_types::Object;
use axum::Json;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    catalog::{Catalog, object},
    media::{EMBEDDINGS, MediaQuery, served},
    providers::label,
    remote::{Question, Remote},
};
use crate::{
    ApiResult, CallContext, Input,
    input::{Reader, Request},
    routes::models::ModelServices,
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
    if let Ok(services) = ModelServices::of(&ctx)
        && let Some(remote) = Remote::of(&ctx, &services, &headers)
    {
        // The service asks its providers in turn.
        return Ok(Json(elsewhere(&remote.patient(), query).await.answer(ctx.now())));
    }
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
        kind: query.kind(),
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

/// In split mode: the providers, and the models unless only providers are wanted.
async fn elsewhere(remote: &Remote<'_>, query: MediaQuery) -> Catalog {
    let question = |path: &'static str, query: Vec<(&'static str, Option<String>)>, base_url| Question {
        path,
        query,
        base_url,
        tasks: EMBEDDINGS.tasks,
    };
    let catalog = Catalog {
        kind: query.kind(),
        scope: "embedding.text",
        provider: query.provider.clone(),
        echo: object(json!({"providers_only": query.providers_only})),
        ..Catalog::default()
    };
    let providers = match remote
        .ask(&question("v1/embeddings/providers", vec![], None))
        .await
    {
        // Older services know no such list.
        Err(no)
            if no
                .error()
                .upstream()
                .is_some_and(|no| matches!(no.status, 404 | 405)) =>
        {
            let all = question(
                "providers",
                vec![("include_models", Some("false".to_owned()))],
                None,
            );
            remote.ask(&all).await
        }
        answer => answer,
    };
    let mut found = remote.filled(providers, catalog, EMBEDDINGS.tasks);
    let kind = if query.providers_only {
        "embedding_providers"
    } else {
        "embedding_models"
    };
    found.raw.insert("kind".to_owned(), kind.into());
    if query.providers_only || found.error.is_some() {
        return found;
    }
    let models = vec![
        ("output_type", Some("embeddings".to_owned())),
        ("provider", query.provider.clone()),
    ];
    let models = remote
        .ask(&question("v1/models", models, query.base_url.clone()))
        .await;
    let listed = Catalog {
        kind: "models",
        provider: query.provider.clone(),
        ..Catalog::default()
    };
    let listed = remote.filled(models, listed, EMBEDDINGS.tasks);
    let mut by_provider = Object::new();
    let mut pairs = Vec::new();
    for item in &listed.items {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        let (provider, model) = (text("provider"), text("model"));
        pairs.push(json!({"provider": provider, "model": model, "id": format!("{provider}/{model}")}));
        let models = by_provider.entry(provider).or_insert_with(|| json!([]));
        if let Value::Array(models) = models {
            models.push(model.into());
        }
    }
    let names: Vec<&Value> = listed.items.iter().map(|item| &item["model"]).collect();
    let more = json!({
        "models": names, "embedding_models": names, "models_by_provider": by_provider,
        "embedding_models_by_provider": by_provider, "provider_models": pairs,
    });
    found.raw.extend(object(more));
    found.raw.extend(
        listed
            .raw
            .into_iter()
            .filter(|(key, _)| key == "status_code" || key == "upstream_error"),
    );
    found.available = listed.available;
    found.error = listed.error;
    found.items = listed.items;
    found
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
