//! `model_residency`: what servers have in memory, and changing it.
//!
//! Failures complete the effect with a warning unless the payload says `required`: a flow that warms a model up should
//! not fail because a hosted provider has nothing to warm.

mod operator;

use ag_kernel::EffectRequest;
use ag_providers::{ProviderError, media::LoadedModel};
use ag_types::{Object, TenantScope};
use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::routes::{ModelQuery, ModelResolver, ResolvedModel};
use crate::{Answer, EffectClass, EffectCtx, EffectHandler, Failure};

const TEXT: &str = "text_generation";

/// Tasks that a listing counts, with the reason why one is not listed.
const TASKS: [(&str, Option<&str>); 11] = [
    (TEXT, None),
    ("image_generation", None),
    ("image_to_image", None),
    (
        "image_to_video",
        Some("Unsupported local capability residency task: 'image_to_video'"),
    ),
    (
        "image_upscale",
        Some("Unsupported local capability residency task: 'image_upscale'"),
    ),
    (
        "text_to_video",
        Some("Unsupported local capability residency task: 'text_to_video'"),
    ),
    (
        "video_generation",
        Some("Unsupported local capability residency task: 'video_generation'"),
    ),
    ("tts", None),
    ("stt", None),
    (
        "music_generation",
        Some("Local music capability does not expose loaded-model listing."),
    ),
    (
        "text_to_audio",
        Some("Unsupported local capability residency task: 'text_to_audio'"),
    ),
];

/// The handler.
pub struct ModelResidency {
    resolver: ModelResolver,
}

/// Who asks.
#[derive(Clone, Copy)]
struct Asker<'a> {
    scope: &'a TenantScope,
    cancel: &'a CancellationToken,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Tell what is loaded.
    List,
    /// Load a model.
    Load,
    /// Unload a model.
    Unload,
}

impl Operation {
    /// Reads the operation and its aliases; blank is a listing.
    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "list" | "loaded" | "list_models" | "list_loaded" => Some(Self::List),
            "load" | "warm" | "preload" => Some(Self::Load),
            "unload" | "release" | "evict" => Some(Self::Unload),
            _ => None,
        }
    }

    /// As answers name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list_loaded",
            Self::Load => "load",
            Self::Unload => "unload",
        }
    }
}

impl ModelResidency {
    /// A handler that finds models through `resolver`.
    pub fn new(resolver: ModelResolver) -> Self {
        Self { resolver }
    }

    async fn perform(
        &self,
        ctx: Asker<'_>,
        payload: &Object,
        operation: Operation,
    ) -> Result<Value, Failure> {
        match operation {
            Operation::List => self.list(ctx, payload).await,
            Operation::Load => self.load(ctx, payload).await,
            Operation::Unload => self.unload(ctx, payload).await,
        }
    }

    async fn resolve(
        &self,
        ctx: Asker<'_>,
        payload: &Object,
        provider: Option<&str>,
        model: Option<&str>,
    ) -> Result<ResolvedModel, Failure> {
        let base_url = text(payload, "base_url");
        let query = ModelQuery {
            provider,
            model,
            base_url: base_url.as_deref(),
            api_key: text(payload, "provider_api_key").map(SecretString::from),
            ..ModelQuery::default_for(ctx.scope, "model_residency")
        };
        Ok(self.resolver.resolve(query).await?)
    }

    /// The plane's text model as a cached client, and what its server says is loaded.
    async fn list(&self, ctx: Asker<'_>, payload: &Object) -> Result<Value, Failure> {
        let (task, provider, model) = (
            text(payload, "task"),
            text(payload, "provider"),
            text(payload, "model"),
        );
        let asked_model = if provider.is_some() {
            model.as_deref()
        } else {
            None
        };
        let chosen = match (&provider, asked_model) {
            (Some(_), None) => None,
            (provider, asked) => match self.resolve(ctx, payload, provider.as_deref(), asked).await {
                Ok(chosen) => Some(chosen),
                Err(failure) => match failure.outage() {
                    Ok(away) => return Err(away.into()),
                    // Nothing is configured: nothing is loaded.
                    Err(_) => None,
                },
            },
        };
        let mut models = Vec::new();
        if let Some(chosen) = chosen {
            let loaded = loaded(&chosen, ctx).await;
            let state = state_of(loaded.as_deref(), &chosen.model);
            models.push(
                Row {
                    provider: &chosen.provider,
                    model: &chosen.model,
                    state,
                    default: provider.is_none(),
                }
                .listed(),
            );
            for other in loaded
                .iter()
                .flatten()
                .filter(|other| other.loaded && other.model != chosen.model)
            {
                let row = Row {
                    provider: &chosen.provider,
                    model: &other.model,
                    state: State::Loaded,
                    default: false,
                };
                models.push(row.listed());
            }
        }
        models.retain(|row| {
            task.as_deref().is_none_or(|task| task == TEXT)
                && model.as_deref().is_none_or(|model| row["model"] == model)
        });
        let affected: Vec<Value> = models
            .iter()
            .map(|row| affected(row, Operation::List, "listed", false))
            .collect();
        let counts: Object = TASKS
            .iter()
            .map(|(task, _)| {
                (
                    (*task).to_owned(),
                    if *task == TEXT { models.len() } else { 0 }.into(),
                )
            })
            .collect();
        let errors: Object = TASKS
            .iter()
            .filter_map(|(task, error)| Some(((*task).to_owned(), (*error)?.into())))
            .collect();
        Ok(json!({
            "ok": true,
            "supported": true,
            "success": true,
            "operation": "list_loaded",
            "diagnostics": {
                "source": "abstractruntime.multilocal",
                "count": models.len(),
                "task_counts": counts,
                "task_errors": errors,
            },
            "models": models,
            "affected_models": affected,
        }))
    }

    async fn load(&self, ctx: Asker<'_>, payload: &Object) -> Result<Value, Failure> {
        let task = text(payload, "task").ok_or("model_residency load requires payload.task")?;
        supported(&task)?;
        let (provider, model) = (text(payload, "provider"), text(payload, "model"));
        let chosen = self
            .resolve(ctx, payload, provider.as_deref(), model.as_deref())
            .await?;
        let Some(port) = &chosen.client.residency else {
            return Err("AbstractCore provider does not expose load_model(model_name).".into());
        };
        let loaded = port
            .load(&chosen.model, ctx.cancel.clone())
            .await
            .map_err(|error| error.to_string())?;
        if !loaded.loaded {
            return Err("model_residency load did not verify loaded provider residency".into());
        }
        if loaded.model.is_empty() {
            return Err("model_residency load completed without a loaded model".into());
        }
        let row = Row {
            provider: &chosen.provider,
            model: &chosen.model,
            state: State::Loaded,
            default: false,
        };
        Ok(changed(&row, Operation::Load, "loaded", true))
    }

    async fn unload(&self, ctx: Asker<'_>, payload: &Object) -> Result<Value, Failure> {
        let runtime_id = text(payload, "runtime_id");
        let named = runtime_id.as_deref().and_then(of_runtime_id);
        let (provider, model) = match named {
            Some((provider, model)) => (Some(provider), Some(model)),
            None => (text(payload, "provider"), text(payload, "model")),
        };
        if provider.is_none() || model.is_none() {
            return Err("model_residency unload requires runtime_id or provider/model".into());
        }
        let chosen = self
            .resolve(ctx, payload, provider.as_deref(), model.as_deref())
            .await?;
        let Some(port) = &chosen.client.residency else {
            return Err("model_residency unload did not verify unloaded provider residency".into());
        };
        let gone = port
            .unload(&chosen.model, ctx.cancel.clone())
            .await
            .map_err(|error| error.to_string())?;
        let row = Row {
            provider: &chosen.provider,
            model: &chosen.model,
            state: State::NotLoaded,
            default: false,
        };
        let found = gone.is_some();
        let mut value = changed(
            &row,
            Operation::Unload,
            if found { "unloaded" } else { "not_found" },
            found,
        );
        if let Some(map) = value.as_object_mut() {
            map.insert("unloaded".into(), found.into());
            if !found {
                map.insert(
                    "warnings".into(),
                    json!([format!("Model '{}' was not loaded.", chosen.model)]),
                );
            }
        }
        Ok(value)
    }
}

#[async_trait]
impl EffectHandler for ModelResidency {
    fn class(&self) -> EffectClass {
        EffectClass::Outside
    }

    async fn handle(&self, ctx: &EffectCtx<'_>, request: &EffectRequest) -> Answer {
        let payload = &request.open.payload;
        let ctx = Asker {
            scope: ctx.scope,
            cancel: &ctx.cancel,
        };
        let given = text(payload, "operation").unwrap_or_default();
        let (name, result) = match Operation::parse(&given) {
            Some(operation) => (operation.name(), self.perform(ctx, payload, operation).await),
            None => (
                given.as_str(),
                Err(format!("Unsupported model_residency operation: '{given}'").into()),
            ),
        };
        match result.map_err(Failure::outage) {
            Ok(value) => Answer::done(value),
            Err(Ok(away)) => Failure::Store(away).into(),
            Err(Err(error)) if payload.get("required").is_some_and(ag_pyvalue::truthy) => {
                Answer::failed(error)
            }
            Err(Err(error)) => Answer::done(json!({
                "ok": false,
                "success": false,
                "operation": name,
                "error": error,
                "warnings": [error],
                "status_hint": "warning",
                "degraded": true,
                "affected_models": [],
            })),
        }
    }
}

/// # Errors
/// A task whose models this service never loads.
fn supported(task: &str) -> Result<(), String> {
    match task {
        TEXT | "text" | "chat" => Ok(()),
        other => Err(format!("Unsupported local capability residency task: '{other}'")),
    }
}

/// What the server says is loaded; `None` when it does not say.
async fn loaded(chosen: &ResolvedModel, ctx: Asker<'_>) -> Option<Vec<LoadedModel>> {
    let port = chosen.client.residency.as_ref()?;
    let answer: Result<_, ProviderError> = port.loaded(ctx.cancel.clone()).await;
    answer
        .inspect_err(|error| tracing::debug!(%error, "loaded models are not readable"))
        .ok()
}

/// What is known about a model on its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Loaded,
    NotLoaded,
    Unknown,
}

fn state_of(loaded: Option<&[LoadedModel]>, model: &str) -> State {
    match loaded {
        None => State::Unknown,
        Some(models) if models.iter().any(|entry| entry.loaded && entry.model == model) => State::Loaded,
        Some(_) => State::NotLoaded,
    }
}

struct Row<'a> {
    provider: &'a str,
    model: &'a str,
    state: State,
    /// The plane's default model.
    default: bool,
}

impl Row<'_> {
    fn listed(&self) -> Value {
        let state = match self.state {
            State::Loaded => "provider_loaded",
            State::NotLoaded => "provider_not_loaded",
            State::Unknown => "provider_residency_unknown",
        };
        let resident = match self.state {
            State::Loaded => Some(true),
            State::NotLoaded => Some(false),
            State::Unknown => None,
        };
        let mut row = json!({
            "task": TEXT,
            "provider": self.provider,
            "model": self.model,
            "runtime_id": format!("local:{TEXT}:{}:{}", self.provider, self.model),
            "resident": resident == Some(true),
            "loaded": resident == Some(true),
            "state": state,
            "runtime_cached": true,
            "cache_state": "runtime_client_cached",
            "pinned": self.default,
            "default": self.default,
            "source": "abstractruntime.local",
            "isolation": "in_process",
            "provider_residency_verified": resident.is_some(),
            "provider_resident": resident,
            "provider_residency_source": "abstractcore.provider",
            "provider_state": state,
        });
        if let (State::Unknown, Some(map)) = (self.state, row.as_object_mut()) {
            map.insert(
                "warnings".into(),
                json!(["Provider does not expose verified model residency."]),
            );
        }
        row
    }
}

/// A row as `affected_models` shows it.
fn affected(row: &Value, operation: Operation, action: &str, changed: bool) -> Value {
    let mut row = row.clone();
    if let Some(map) = row.as_object_mut() {
        for key in ["default", "isolation", "pinned", "source", "warnings"] {
            map.shift_remove(key);
        }
        map.insert("operation".into(), operation.name().into());
        map.insert("action".into(), action.into());
        map.insert("changed".into(), changed.into());
    }
    row
}

fn changed(row: &Row<'_>, operation: Operation, action: &str, changed: bool) -> Value {
    let runtime = row.listed();
    json!({
        "ok": true,
        "supported": true,
        "success": true,
        "operation": operation.name(),
        "affected_models": [affected(&runtime, operation, action, changed)],
        "runtime": runtime,
        "diagnostics": {"source": "abstractruntime.multilocal"},
    })
}

/// Provider and model of `local:<task>:<provider>:<model>`; providers may be `endpoint:<id>`.
fn of_runtime_id(id: &str) -> Option<(String, String)> {
    let rest = id.strip_prefix("local:")?.split_once(':')?.1;
    let (provider, model) = match rest.strip_prefix("endpoint:") {
        Some(tail) => {
            let (id, model) = tail.split_once(':')?;
            (format!("endpoint:{id}"), model)
        }
        None => {
            let (provider, model) = rest.split_once(':')?;
            (provider.to_owned(), model)
        }
    };
    Some((provider, model.to_owned()))
}

fn text(payload: &Object, key: &str) -> Option<String> {
    payload.get(key).and_then(ag_pyvalue::opt_str)
}

#[cfg(test)]
mod tests;
