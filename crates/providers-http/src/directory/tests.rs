use ag_providers::CapabilityTable;
use secrecy::ExposeSecret;

use super::*;
use crate::factory::HttpSettings;

fn settings(vars: &[(&str, &str)]) -> ProviderSettings {
    let vars: HashMap<String, String> = vars
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    ProviderSettings::from_lookup(|name| vars.get(name).cloned())
}

fn endpoint(settings: &ProviderSettings, provider: &str, base_url: Option<&str>) -> ProviderEndpoint {
    let query = ProviderQuery {
        base_url,
        ..ProviderQuery::new("plane", provider)
    };
    settings.endpoint(family(provider).expect("family"), &query)
}

fn key(endpoint: &ProviderEndpoint) -> Option<&str> {
    endpoint.api_key.as_ref().map(|key| key.expose_secret())
}

#[test]
fn environment_and_defaults() {
    let env = settings(&[
        ("OPENAI_BASE_URL", "http://box:9/v1/"),
        ("OPENAI_API_KEY", "k1"),
        ("OLLAMA_HOST", "0.0.0.0:11434"),
        ("VLLM_API_KEY", " "),
    ]);
    let found = endpoint(&env, "openai-compatible", None);
    assert_eq!(
        (found.base_url.as_str(), key(&found)),
        ("http://box:9/v1", Some("k1"))
    );
    assert_eq!(found.origin, EndpointOrigin::Operator);
    assert_eq!(endpoint(&env, "ollama", None).base_url, "http://localhost:11434");
    let vllm = endpoint(&env, "vllm", None);
    assert_eq!(
        (vllm.base_url.as_str(), key(&vllm)),
        ("http://localhost:8000/v1", None)
    );
}

#[test]
fn limits_of_calls() {
    let env = settings(&[
        ("ABSTRACTGATEWAY_PROVIDER_TIMEOUT_S", "90"),
        ("ABSTRACTGATEWAY_PROVIDER_OPENAI_COMPATIBLE_TIMEOUT_S", "1.5"),
        ("ABSTRACTGATEWAY_PROVIDER_VLLM_TIMEOUT_S", "-1"),
    ]);
    let limit = |provider| endpoint(&env, provider, None).timeout;
    assert_eq!(limit("openai-compatible"), Duration::from_millis(1500));
    assert_eq!(
        (limit("vllm"), limit("ollama")),
        (Duration::from_secs(90), Duration::from_secs(90))
    );
    assert_eq!(endpoint(&settings(&[]), "vllm", None).timeout, DEFAULT_TIMEOUT);
}

#[test]
fn the_operators_key_stays_with_the_operators_server() {
    let env = settings(&[
        ("OPENAI_API_KEY", "secret"),
        ("PORTKEY_API_KEY", "pk"),
        ("PORTKEY_VIRTUAL_KEY", "vk"),
        ("PORTKEY_PROVIDER", "ignored"),
    ]);
    let foreign = endpoint(&env, "openai", Some("https://evil.example/v1"));
    assert_eq!((key(&foreign), foreign.origin), (None, EndpointOrigin::User));
    let same = endpoint(&env, "openai", Some("https://api.openai.com/v1/"));
    assert_eq!(
        (key(&same), same.origin),
        (Some("secret"), EndpointOrigin::Operator)
    );

    let names = |endpoint: &ProviderEndpoint| {
        endpoint
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&endpoint(&env, "portkey", None)),
        ["x-portkey-virtual-key", "x-portkey-api-key"]
    );
    assert!(names(&endpoint(&env, "portkey", Some("https://evil.example"))).is_empty());
    assert!(!format!("{env:?}").contains("secret"));
}

#[tokio::test]
async fn refusals_carry_the_contract_texts() {
    let table = Arc::new(CapabilityTable::built_in());
    let providers = Arc::new(HttpProviders::new(HttpSettings::default(), table).expect("providers"));
    let directory = EnvironmentDirectory::new(settings(&[]), providers);
    for (provider, base_url, text) in [
        (
            "x",
            None,
            "Unknown provider: x. Available providers: openai, anthropic, ollama, lmstudio, mlx, huggingface, vllm, openai-compatible, openrouter, portkey",
        ),
        (
            "endpoint:none",
            None,
            "Unknown provider: endpoint:none. Available providers: ",
        ),
        (
            "openai",
            None,
            "OpenAI API key required. Set OPENAI_API_KEY environment variable.",
        ),
        (
            "openrouter",
            None,
            "OpenRouter API key required. Set OPENROUTER_API_KEY environment variable.",
        ),
        ("mlx", None, "Provider 'mlx' runs models inside the process"),
        (
            "vllm",
            Some("http://127.0.0.1:1/v1"),
            "Provider base URL refused: outbound address not allowed: 127.0.0.1",
        ),
        (
            "vllm",
            Some("http://169.254.169.254/v1"),
            "Provider base URL refused: outbound address not allowed",
        ),
        ("vllm", Some("not a url"), "Provider base URL refused: "),
    ] {
        let query = ProviderQuery {
            base_url,
            ..ProviderQuery::new("plane", provider)
        };
        let error = directory.resolve(query).await.expect_err(provider);
        assert!(error.to_string().starts_with(text), "{error}");
    }
}
