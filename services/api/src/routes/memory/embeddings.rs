//! Embeddings with the plane's model, which is fixed: the default `embedding.text`.

use ag_effects::memory::{EMBEDDING_ROUTE, EmbeddingError, EmbeddingModel, Embeddings};
use axum::Json;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    ApiError, ApiResult, CallContext, Input,
    input::{BodyRule, Reader, Request, any, string},
    routes::models::ModelServices,
};

const UNAVAILABLE: &str = "Embeddings are not available for this gateway instance. Configure the execution-host \
     embedding.text capability default to a remote provider.";
/// Texts of one request.
const MAX_TEXTS: usize = 2_048;

/// The plane's embeddings; `None` on a node without model providers.
pub(super) fn embeddings(ctx: &CallContext) -> Option<Embeddings> {
    let services = ctx.state().extension::<ModelServices>()?;
    Some(Embeddings::new(services.resolver.clone()))
}

/// Texts to embed.
pub(super) struct Texts {
    input: Value,
    provider: Option<String>,
    model: Option<String>,
}

impl Request for Texts {
    const BODY: BodyRule = BodyRule::Required;

    fn read(reader: &mut Reader) -> Self {
        let mut body = reader.body();
        Self {
            input: body.required("input", any()),
            provider: body.optional("provider", string()),
            model: body.optional("model", string()),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Vectors {
    object: &'static str,
    provider: String,
    model: String,
    dimension: usize,
    data: Vec<Vector>,
}

#[derive(Serialize)]
struct Vector {
    object: &'static str,
    index: usize,
    embedding: Vec<f32>,
}

pub(super) async fn create_embeddings(
    ctx: CallContext,
    Input(request): Input<Texts>,
) -> ApiResult<Json<Vectors>> {
    let unavailable = || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE);
    let embeddings = embeddings(&ctx).ok_or_else(unavailable)?;
    let configured = embeddings.model(ctx.scope()).await?.ok_or_else(unavailable)?;
    check_fixed(&configured, &request)?;
    let texts: Vec<String> = match &request.input {
        Value::Array(items) => items
            .iter()
            .map(|item| ag_pyvalue::pystr(item).into_owned())
            .collect(),
        other => vec![ag_pyvalue::pystr(other).into_owned()],
    };
    if texts.len() > MAX_TEXTS {
        return Err(ApiError::bad_request(format!(
            "input must contain at most {MAX_TEXTS} texts"
        )));
    }
    let (model, vectors) = embeddings
        .embed(ctx.scope(), &texts, &CancellationToken::new())
        .await
        .map_err(|error| match error {
            EmbeddingError::NotConfigured | EmbeddingError::Unsupported(_) => unavailable(),
            error => failed(&error),
        })?;
    let data = vectors
        .into_iter()
        .enumerate()
        .map(|(index, embedding)| Vector {
            object: "embedding",
            index,
            embedding,
        })
        .collect::<Vec<_>>();
    Ok(Json(Vectors {
        object: "list",
        provider: model.provider,
        model: model.model,
        dimension: data.first().map_or(0, |vector| vector.embedding.len()),
        data,
    }))
}

/// Provider and model may be named, but only as they are.
fn check_fixed(configured: &EmbeddingModel, request: &Texts) -> ApiResult<()> {
    for (what, expected, got) in [
        ("provider", &configured.provider, &request.provider),
        ("model", &configured.model, &request.model),
    ] {
        let got = got.as_deref().map(str::trim).filter(|got| !got.is_empty());
        let same = |got: &str| match what {
            "provider" => got.eq_ignore_ascii_case(expected),
            _ => got == expected,
        };
        if let Some(got) = got.filter(|got| !same(got)) {
            return Err(ApiError::bad_request(format!(
                "Embedding {what} is fixed for this gateway instance (expected '{expected}', got '{got}')"
            )));
        }
    }
    Ok(())
}

fn failed(error: &EmbeddingError) -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("Embedding generation failed: {error}"),
    )
}

pub(super) async fn get_embeddings_config(ctx: CallContext) -> ApiResult<Json<Value>> {
    let nothing = |error: &str| {
        json!({
            "ok": false, "route": EMBEDDING_ROUTE, "provider": "", "model": "", "base_url": null, "dimension": 0,
            "error": error,
        })
    };
    let Some(embeddings) = embeddings(&ctx) else {
        return Ok(Json(nothing(UNAVAILABLE)));
    };
    let Some(configured) = embeddings.model(ctx.scope()).await? else {
        return Ok(Json(nothing(UNAVAILABLE)));
    };
    let probe = ["dimension probe".to_owned()];
    let probed = embeddings
        .embed(ctx.scope(), &probe, &CancellationToken::new())
        .await;
    let mut answer = json!({
        "ok": probed.is_ok(), "route": EMBEDDING_ROUTE, "provider": configured.provider, "model": configured.model,
        "base_url": configured.base_url, "dimension": 0,
    });
    match probed {
        Ok((_, vectors)) => answer["dimension"] = vectors.first().map_or(0, Vec::len).into(),
        Err(error) => answer["error"] = error.to_string().into(),
    }
    Ok(Json(answer))
}
