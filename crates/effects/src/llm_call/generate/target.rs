//! Which model does a task.

use ag_providers::{ProviderClient, ProviderError};
use ag_types::{Object, TenantScope};

use super::backends::Backend;
use super::spec::{Spec, Task};
use crate::Failure;
use crate::routes::{FoundRoute, ModelResolver, ResolveError};

/// Where a call without any name goes: the provider whose environment variables are the usual ones.
const USUAL_PROVIDER: &str = "openai";
/// The same for music.
const MUSIC_PROVIDER: &str = "acemusic";

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

/// Provider and model of the specification, else of the defaults, else of the environment. A default's model, address
/// and options go with its provider: naming another one leaves them behind.
///
/// # Errors
/// [`Failure`].
pub(super) async fn find(
    resolver: &ModelResolver,
    scope: &TenantScope,
    spec: &Spec,
    backend: Option<&Backend>,
) -> Result<Target, Failure> {
    let found = resolver.routes().first_route(scope, spec.task.routes()).await?;
    let same = |found: &FoundRoute| match (&spec.provider, &found.route.provider) {
        (None, _) => true,
        (Some(asked), Some(known)) => asked.eq_ignore_ascii_case(known),
        (Some(_), None) => false,
    };
    let found = found.filter(same);
    let configured = found.as_ref().and_then(|found| found.route.provider.clone());
    if let Some(provider) = spec.provider.clone().or(configured) {
        let client = resolver.for_media(scope, &provider, found.as_ref()).await?;
        let route = found.map(|found| found.route).unwrap_or_default();
        return Ok(Target {
            client,
            provider,
            model: spec.model.clone().or(route.model),
            defaults: route.options,
        });
    }
    if let Some(backend) = backend {
        return of_environment(resolver, scope, spec, backend, found).await;
    }
    let provider = match spec.task {
        task if is_usual(task) => USUAL_PROVIDER,
        Task::Music | Task::Sound => MUSIC_PROVIDER,
        // Nobody serves these without having been named.
        _ => return Err(unsupported(spec).into()),
    };
    let client = match resolver.for_media(scope, provider, found.as_ref()).await {
        // Music is a service of its own, which few have a key for.
        Err(ResolveError::Provider(ProviderError::MissingKey { .. })) if provider == MUSIC_PROVIDER => {
            return Err(unsupported(spec).into());
        }
        client => client?,
    };
    let route = found.map(|found| found.route).unwrap_or_default();
    Ok(Target {
        client,
        provider: provider.to_owned(),
        model: spec.model.clone().or(route.model),
        defaults: route.options,
    })
}

/// The back end that the environment names.
async fn of_environment(
    resolver: &ModelResolver,
    scope: &TenantScope,
    spec: &Spec,
    backend: &Backend,
    found: Option<FoundRoute>,
) -> Result<Target, Failure> {
    let provider = backend.provider().map_err(|engine| {
        format!(
            "Engine '{engine}' runs models inside the process, which this gateway does not do. Serve the model with an \
             OpenAI-compatible server and name its address."
        )
    })?;
    let (url, key) = (backend.base_url.as_deref(), backend.api_key.clone());
    let client = resolver.for_backend(scope, provider, url, key).await?;
    let route = found.map(|found| found.route).unwrap_or_default();
    let mut defaults = route.options;
    if let Some(voice) = &backend.voice {
        defaults.entry("voice").or_insert_with(|| voice.as_str().into());
    }
    Ok(Target {
        client,
        provider: provider.to_owned(),
        model: spec.model.clone().or(route.model).or(backend.model.clone()),
        defaults,
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
