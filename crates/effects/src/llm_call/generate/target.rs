//! Which model does a task.

use ag_providers::ProviderClient;
use ag_types::{Object, TenantScope};

use super::spec::{Spec, Task};
use crate::routes::{FoundRoute, ModelResolver};

/// Where a call without any name goes: the provider whose environment variables are the usual ones.
const USUAL_PROVIDER: &str = "openai";

/// A model for a task.
pub(super) struct Target {
    pub(super) client: ProviderClient,
    /// As asked for or configured.
    pub(super) provider: String,
    /// As asked for or configured.
    pub(super) model: Option<String>,
    /// Options of the default, where the call sets none.
    pub(super) defaults: Object,
}

/// Provider and model of the specification, else of the defaults. A default's model, address and options go with its
/// provider: naming another one leaves them behind.
///
/// # Errors
/// The text of the failed effect.
pub(super) async fn find(
    resolver: &ModelResolver,
    scope: &TenantScope,
    spec: &Spec,
) -> Result<Target, String> {
    let found = resolver.routes().first_route(scope, spec.task.routes()).await;
    let found = found.map_err(|error| error.to_string())?;
    let same = |found: &FoundRoute| match (&spec.provider, &found.route.provider) {
        (None, _) => true,
        (Some(asked), Some(known)) => asked.eq_ignore_ascii_case(known),
        (Some(_), None) => false,
    };
    let found = found.filter(same);
    let configured = found.as_ref().and_then(|found| found.route.provider.clone());
    let provider = match spec.provider.clone().or(configured) {
        Some(provider) => provider,
        // Nobody serves these without having been named.
        None if !is_usual(spec.task) => return Err(unsupported(spec)),
        None => USUAL_PROVIDER.to_owned(),
    };
    let client = resolver.for_media(scope, &provider, found.as_ref()).await;
    let client = client.map_err(|error| error.to_string())?;
    let route = found.map(|found| found.route).unwrap_or_default();
    Ok(Target {
        client,
        provider,
        model: spec.model.clone().or(route.model),
        defaults: route.options,
    })
}

/// Tasks of the OpenAI protocol.
fn is_usual(task: Task) -> bool {
    matches!(
        task,
        Task::Image | Task::ImageEdit | Task::Speech | Task::Transcription
    )
}

/// The text for a server that cannot do a task.
pub(super) fn unsupported(spec: &Spec) -> String {
    format!("Backend does not support task '{}'.", spec.task_name)
}
