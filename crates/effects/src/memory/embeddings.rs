//! The plane's embedding model: the default `embedding.text`, looked up at each use.

use ag_providers::{ProviderError, media::EmbedRequest};
use ag_store::StoreError;
use ag_types::TenantScope;
use tokio_util::sync::CancellationToken;

use crate::handler::Failure;
use crate::routes::{ModelResolver, ResolveError};

/// The route that names the model.
pub const ROUTE: &str = "embedding.text";
/// Texts in one request.
const BATCH: usize = 128;

/// A configured embedding model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// Family or `endpoint:<id>`.
    pub provider: String,
    /// Model name.
    pub model: String,
    /// Its own address, if the default names one.
    pub base_url: Option<String>,
}

impl EmbeddingModel {
    /// What tells vectors of different models apart.
    pub fn key(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingError {
    /// No model is configured.
    #[error("embedder is not configured")]
    NotConfigured,
    /// Its provider serves none.
    #[error("provider '{0}' serves no embeddings")]
    Unsupported(String),
    /// The model could not be reached or refused.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The exchange failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The server answered something else than one vector of one length per text.
    #[error("the embedding model answered {got} vectors for {wanted} texts, or vectors of different lengths")]
    Shape {
        /// Texts sent.
        wanted: usize,
        /// Vectors received.
        got: usize,
    },
}

impl From<StoreError> for EmbeddingError {
    fn from(error: StoreError) -> Self {
        Self::Resolve(error.into())
    }
}

impl From<EmbeddingError> for Failure {
    fn from(error: EmbeddingError) -> Self {
        match error {
            EmbeddingError::Resolve(error) => error.into(),
            error => Self::Text(error.to_string()),
        }
    }
}

/// Embeds texts with the plane's model.
#[derive(Clone)]
pub struct Embeddings {
    resolver: ModelResolver,
}

impl Embeddings {
    /// Over the defaults and providers of this gateway.
    pub fn new(resolver: ModelResolver) -> Self {
        Self { resolver }
    }

    /// The plane's model, if one is configured.
    ///
    /// # Errors
    /// [`StoreError`] when the defaults cannot be read.
    pub async fn model(&self, scope: &TenantScope) -> Result<Option<EmbeddingModel>, StoreError> {
        let found = self.resolver.routes().route(scope, ROUTE).await?;
        Ok(found.and_then(|found| {
            let (provider, model) = found.route.pair()?;
            Some(EmbeddingModel {
                provider: provider.to_owned(),
                model: model.to_owned(),
                base_url: found.route.base_url.clone(),
            })
        }))
    }

    /// One vector per text, in order, and the model that made them.
    ///
    /// # Errors
    /// [`EmbeddingError`].
    pub async fn embed(
        &self,
        scope: &TenantScope,
        texts: &[String],
        cancel: &CancellationToken,
    ) -> Result<(EmbeddingModel, Vec<Vec<f32>>), EmbeddingError> {
        let model = self.model(scope).await?.ok_or(EmbeddingError::NotConfigured)?;
        let route = self.resolver.routes().route(scope, ROUTE).await?;
        let route = route.ok_or(EmbeddingError::NotConfigured)?;
        if texts.is_empty() {
            return Ok((model, Vec::new()));
        }
        let client = self.resolver.of_route(scope, &route).await?;
        let embedder = client
            .embedder
            .ok_or_else(|| EmbeddingError::Unsupported(model.provider.clone()))?;
        let mut vectors: Vec<Vec<f32>> = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(BATCH) {
            let request = EmbedRequest {
                model: model.model.clone(),
                input: chunk.to_vec(),
                ..EmbedRequest::default()
            };
            let reply = embedder.embed(request, cancel.clone()).await?;
            if reply.vectors.len() != chunk.len() {
                return Err(EmbeddingError::Shape {
                    wanted: chunk.len(),
                    got: reply.vectors.len(),
                });
            }
            vectors.extend(reply.vectors);
        }
        let length = vectors.first().map_or(0, Vec::len);
        if length == 0 || vectors.iter().any(|vector| vector.len() != length) {
            return Err(EmbeddingError::Shape {
                wanted: texts.len(),
                got: vectors.len(),
            });
        }
        Ok((model, vectors))
    }
}
