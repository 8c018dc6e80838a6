//! Names that a server does not have.

use std::time::Duration;

use ag_providers::{ModelCatalogue, ProviderError};
use ag_providers_http::transport::Transport;
use tokio_util::sync::CancellationToken;

/// Limit of the list request that explains a 404.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of a list request that somebody asked for.
pub(crate) const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// # Errors
/// A name outside the limits of a stored connection.
pub(crate) fn check_allowed(transport: &Transport, model: &str) -> Result<(), ProviderError> {
    let allowed = &transport.endpoint().allowed_models;
    if allowed.is_empty() || allowed.iter().any(|known| known == model) {
        return Ok(());
    }
    Err(not_found(transport, model, allowed.clone()))
}

/// After a 404: the model is missing if the list says so, otherwise the server's own answer stands.
pub(crate) async fn explain(
    error: ProviderError,
    transport: &Transport,
    catalogue: &dyn ModelCatalogue,
    model: &str,
    cancel: &CancellationToken,
) -> ProviderError {
    if !matches!(&error, ProviderError::Api(failure) if failure.status == 404) {
        return error;
    }
    match tokio::time::timeout(CHECK_TIMEOUT, catalogue.list_models(cancel.clone())).await {
        Ok(Ok(models)) if !models.iter().any(|info| info.id == model) => {
            not_found(transport, model, models.into_iter().map(|info| info.id).collect())
        }
        _ => error,
    }
}

fn not_found(transport: &Transport, model: &str, available: Vec<String>) -> ProviderError {
    ProviderError::ModelNotFound {
        provider: transport.endpoint().provider.clone(),
        model: model.to_owned(),
        available,
    }
}
