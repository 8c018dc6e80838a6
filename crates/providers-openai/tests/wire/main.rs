//! The wire against a scripted server: what is sent, what is read, what is tried again.

mod chat;
mod failures;
mod media;
mod streams;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ag_providers::media::{
    EmbedRequest, ImageRequest, MediaFile, MusicRequest, SpeechRequest, TranscribeRequest,
};
use ag_providers::structured::{generate, normalise};
use ag_providers::{
    CapabilityTable, ChatDelta, ChatRequest, EndpointOrigin, ProviderClient, ProviderDirectory,
    ProviderError, ProviderQuery, RetryPolicy, Support, Thinking, ToolSpec,
};
use ag_providers_http::testkit::{Reply, Server};
use ag_providers_http::{EnvironmentDirectory, HttpProviders, HttpSettings, ProviderSettings};
use ag_providers_openai::OpenAiWire;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const KEY: &str = "sk-very-secret";

fn providers(settings: HttpSettings) -> Arc<HttpProviders> {
    let retry = RetryPolicy {
        base_delay: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let table = Arc::new(CapabilityTable::built_in());
    let providers = HttpProviders::new(HttpSettings { retry, ..settings }, table).expect("providers");
    Arc::new(providers.with_wire(Arc::new(OpenAiWire::default())))
}

/// A client of the environment in which every family leads to `base`.
async fn client_of(providers: &Arc<HttpProviders>, provider: &str, base: &str) -> ProviderClient {
    let vars: HashMap<&str, &str> = HashMap::from([
        ("OPENAI_BASE_URL", base),
        ("OPENAI_API_KEY", KEY),
        ("VLLM_BASE_URL", base),
        ("LMSTUDIO_BASE_URL", base),
        ("OPENROUTER_BASE_URL", base),
        ("OPENROUTER_API_KEY", KEY),
        ("OPENROUTER_APP_NAME", "gateway"),
        ("PORTKEY_BASE_URL", base),
        ("PORTKEY_API_KEY", KEY),
        ("PORTKEY_VIRTUAL_KEY", "vk"),
        ("ACEMUSIC_BASE_URL", base),
        ("ACEMUSIC_API_KEY", KEY),
    ]);
    let env = ProviderSettings::from_lookup(|name| vars.get(name).map(|value| (*value).to_owned()));
    let directory = EnvironmentDirectory::new(env, Arc::clone(providers));
    let query = ProviderQuery {
        origin: EndpointOrigin::Operator,
        ..ProviderQuery::new("plane", provider)
    };
    directory.resolve(query).await.expect("endpoint")
}

async fn client(provider: &str, server: &Server) -> ProviderClient {
    client_of(&providers(HttpSettings::default()), provider, &server.base).await
}

fn request() -> ChatRequest {
    ChatRequest::prompt("gpt-4o-mini", "hello")
}

async fn chat(client: &ProviderClient, req: ChatRequest) -> Result<ag_providers::ChatReply, ProviderError> {
    client.chat.chat(req, CancellationToken::new()).await
}
