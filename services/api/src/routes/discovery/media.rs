//! Which providers serve a kind of media, and with which models.
//!
//! Nobody publishes what an OpenAI-compatible server can do besides chat, so a provider counts as serving a kind when
//! the operator pointed the gateway at it: by the default of that kind, a key, or an address.

use std::time::Duration;

use ag_providers::{ProviderClient, family, family::ACEMUSIC};
use ag_types::Object;
use futures::future::join_all;
use http::HeaderMap;
use serde_json::Value;

use super::{
    catalog::{given, model_item, provider_item},
    providers::label,
    remote::Question,
};
use crate::{
    ApiResult, CallContext,
    input::{Fields, boolean, string},
    routes::models::{ListingLimits, ModelServices, Overrides, client, model_names},
};

/// One kind of media.
pub(super) struct MediaKind {
    /// Key of its default route.
    pub(super) route: &'static str,
    /// Tasks of its items.
    pub(super) tasks: &'static [&'static str],
    /// Parts of the names of its models.
    pub(super) words: &'static [&'static str],
    /// Models of OpenAI that its list may leave out.
    pub(super) known: &'static [&'static str],
    /// Whether a client can do it at all.
    pub(super) offered: fn(&ProviderClient) -> bool,
}

/// Text to speech.
pub(super) const SPEECH: MediaKind = MediaKind {
    route: "output.voice",
    tasks: &["tts"],
    words: &["tts", "speech", "kokoro"],
    known: &["gpt-4o-mini-tts", "tts-1", "tts-1-hd"],
    offered: |client| client.speech.is_some(),
};

/// Speech to text.
pub(super) const TRANSCRIPTION: MediaKind = MediaKind {
    route: "input.voice",
    tasks: &["stt"],
    words: &["transcribe", "whisper"],
    known: &["gpt-4o-transcribe", "gpt-4o-mini-transcribe", "whisper-1"],
    offered: |client| client.transcriber.is_some(),
};

/// Pictures.
pub(super) const IMAGES: MediaKind = MediaKind {
    route: "output.image",
    tasks: &["text_to_image", "image_to_image"],
    words: &["image", "dall-e", "flux", "diffusion"],
    known: &["gpt-image-1"],
    offered: |client| client.images.is_some(),
};

/// Music and sounds, which only the family of that trade makes.
pub(super) const MUSIC: MediaKind = MediaKind {
    route: "output.music",
    tasks: &["text_to_music", "text_to_audio", "lyrics_to_music"],
    words: &[""],
    known: &["acemusic/acestep-v1.5-turbo"],
    offered: |client| client.music.is_some(),
};

/// Vectors of texts; every configured server is asked, because embedding models are common everywhere.
pub(super) const EMBEDDINGS: MediaKind = MediaKind {
    route: "embedding.text",
    tasks: &["text_embedding"],
    words: &["embed"],
    known: &[],
    offered: |client| client.embedder.is_some(),
};

/// Common query of these catalogues.
#[derive(Debug, Clone, Default)]
pub(super) struct MediaQuery {
    pub(super) base_url: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) providers_only: bool,
}

impl MediaQuery {
    pub(super) fn read(query: &mut Fields<'_>) -> Self {
        Self {
            base_url: given(query.optional("base_url", string())),
            provider: given(query.optional("provider", string())),
            providers_only: query.or("providers_only", boolean(), false),
        }
    }
}

impl MediaQuery {
    /// The kind of its catalogue.
    pub(super) fn kind(&self) -> &'static str {
        if self.providers_only {
            "providers"
        } else {
            "models"
        }
    }

    /// The same question to another service.
    pub(super) fn question<'a>(&self, path: &'a str, tasks: &'a [&'a str]) -> Question<'a> {
        Question {
            path,
            query: vec![
                ("provider", self.provider.clone()),
                ("providers_only", self.providers_only.then(|| "true".to_owned())),
            ],
            base_url: self.base_url.clone(),
            tasks,
        }
    }
}

/// What was found, by provider in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) providers: Vec<(String, Vec<String>)>,
    pub(super) tasks: &'static [&'static str],
    /// Model of the default route.
    pub(super) active_model: Option<String>,
    /// Provider of the default route.
    pub(super) active_provider: Option<String>,
}

impl Served {
    /// Names of the providers.
    pub(super) fn names(&self) -> Vec<&str> {
        self.providers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// All models, without repeats.
    pub(super) fn models(&self) -> Vec<&str> {
        let mut models: Vec<&str> = Vec::new();
        for model in self.providers.iter().flat_map(|(_, models)| models) {
            if !models.contains(&model.as_str()) {
                models.push(model);
            }
        }
        models
    }

    /// `{provider: [model]}`.
    pub(super) fn by_provider(&self) -> Object {
        self.providers
            .iter()
            .map(|(name, models)| (name.clone(), models.clone().into()))
            .collect()
    }

    /// `[{provider, model, id: "provider/model"}]`.
    pub(super) fn pairs(&self) -> Vec<Value> {
        let pair = |provider: &str, model: &str| serde_json::json!({"provider": provider, "model": model, "id": format!("{provider}/{model}")});
        let all = self
            .providers
            .iter()
            .flat_map(|(name, models)| models.iter().map(move |model| pair(name, model)));
        all.collect()
    }

    /// Items of the catalogue.
    pub(super) fn items(&self, providers_only: bool) -> Vec<Value> {
        if providers_only {
            return self
                .providers
                .iter()
                .map(|(name, _)| provider_item(name, &label(name), self.tasks))
                .collect();
        }
        let all = self.providers.iter();
        all.flat_map(|(name, models)| {
            models
                .iter()
                .map(move |model| model_item(name, model, self.tasks))
        })
        .collect()
    }
}

/// Asks the providers of a kind, all at once.
pub(super) async fn served(
    ctx: &CallContext,
    headers: &HeaderMap,
    kind: &MediaKind,
    query: &MediaQuery,
) -> ApiResult<Served> {
    let Ok(services) = ModelServices::of(ctx) else {
        return Ok(Served::default());
    };
    let route = services
        .resolver
        .routes()
        .route(ctx.scope(), kind.route)
        .await?
        .map(|found| found.route);
    let overrides = Overrides::of(headers, query.base_url.clone());
    let limit = ListingLimits::of(ctx).discovery;
    let default = route.as_ref().and_then(|route| route.provider.clone());
    let mut names = candidates(ctx, default.as_deref());
    if let Some(wanted) = &query.provider {
        names = match names.iter().position(|name| name.eq_ignore_ascii_case(wanted)) {
            Some(at) => vec![names.swap_remove(at)],
            None => vec![wanted.clone()],
        };
    }
    let asked = names.into_iter().map(|name| {
        let (services, overrides) = (&services, &overrides);
        let address = route
            .as_ref()
            .filter(|route| route.provider.as_deref() == Some(&name));
        let configured = address.and_then(|route| route.base_url.clone());
        async move {
            let mut overrides = overrides.clone();
            overrides.base_url = overrides.base_url.or(configured);
            let client = client(ctx, services, &name, &overrides)
                .await
                .ok()
                .filter(|client| (kind.offered)(client))?;
            Some((name, models_of(kind, &client, limit).await))
        }
    });
    let mut providers: Vec<(String, Vec<String>)> = join_all(asked).await.into_iter().flatten().collect();
    if let Some((provider, model)) = route.as_ref().and_then(|route| route.pair())
        && let Some((_, models)) = providers.iter_mut().find(|(name, _)| name == provider)
        && !models.iter().any(|known| known == model)
    {
        models.insert(0, model.to_owned());
    }
    // Embeddings are offered by most servers; one without such a model has nothing to show.
    if kind.known.is_empty() {
        providers.retain(|(_, models)| !models.is_empty());
    }
    providers.sort();
    Ok(Served {
        providers,
        tasks: kind.tasks,
        active_model: route.as_ref().and_then(|route| route.model.clone()),
        active_provider: default,
    })
}

/// The default's provider, and families that the environment configures.
fn candidates(ctx: &CallContext, default: Option<&str>) -> Vec<String> {
    let providers = &ctx.state().config().providers;
    let configured = |family: &&ag_providers::ProviderFamily| {
        providers.is_set(family.key_env) || family.base_url_env.iter().any(|name| providers.is_set(name))
    };
    let families = ag_providers::FAMILIES
        .iter()
        .chain(std::iter::once(&ACEMUSIC))
        .filter(configured)
        .map(|family| family.name.to_owned());
    let mut names: Vec<String> = default.map(str::to_owned).into_iter().chain(families).collect();
    names.sort_unstable();
    names.dedup();
    names
}

async fn models_of(kind: &MediaKind, client: &ProviderClient, limit: Duration) -> Vec<String> {
    let mut models = model_names(client, limit).await.unwrap_or_default();
    models.retain(|model| {
        let model = model.to_lowercase();
        kind.words.iter().any(|word| model.contains(word))
    });
    let openai = family("openai").map(|family| family.base_url_env);
    if openai == Some(client.endpoint.family.base_url_env) {
        for known in kind.known {
            if !models.iter().any(|model| model == known) {
                models.push((*known).to_owned());
            }
        }
    }
    models
}
