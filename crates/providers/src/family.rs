//! The provider families, as data.

use crate::error::ProviderError;

/// How a family is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// `POST {base}/chat/completions` and its relatives.
    OpenAi,
    /// `POST {base}/v1/messages`.
    Anthropic,
    /// `POST {base}/api/chat` and its relatives.
    Ollama,
    /// A model service that speaks to all families for us (split mode).
    AbstractCore,
    /// An engine inside the reference's process; there is nothing to speak to.
    InProcess,
}

/// A family of model servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderFamily {
    /// Name in requests.
    pub name: &'static str,
    /// As shown in lists.
    pub display_name: &'static str,
    /// As shown in error texts.
    pub label: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Protocol.
    pub wire: Wire,
    /// Environment names of the base URL, first set one wins.
    pub base_url_env: &'static [&'static str],
    /// Base URL otherwise.
    pub default_base_url: &'static str,
    /// Environment name of the key; empty when there is none.
    pub key_env: &'static str,
    /// Whether a call without key is refused before it is made.
    pub key_required: bool,
    /// Whether the server usually runs on the user's machine.
    pub local: bool,
    /// Whether the model name is looked up in the server's list before first use.
    pub checks_model_names: bool,
    /// `supported_features` of the discovery answer.
    pub features: &'static [&'static str],
    /// `installation_extras` of the discovery answer.
    pub installation_extras: Option<&'static str>,
}

const HOSTED: &[&str] = &[
    "chat",
    "completion",
    "embeddings",
    "native_tools",
    "streaming",
    "structured_output",
];
const LOCAL: &[&str] = &[
    "chat",
    "completion",
    "embeddings",
    "native_tools",
    "prompted_tools",
    "streaming",
    "structured_output",
    "local_models",
];

/// All families, in the order in which the reference names them.
pub const FAMILIES: &[ProviderFamily] = &[
    ProviderFamily {
        name: "openai",
        display_name: "OpenAI",
        label: "OpenAI",
        description: "Hosted OpenAI API",
        wire: Wire::OpenAi,
        base_url_env: &["OPENAI_BASE_URL"],
        default_base_url: "https://api.openai.com/v1",
        key_env: "OPENAI_API_KEY",
        key_required: true,
        local: false,
        checks_model_names: true,
        features: HOSTED,
        installation_extras: Some("openai"),
    },
    ProviderFamily {
        name: "anthropic",
        display_name: "Anthropic",
        label: "Anthropic",
        description: "Hosted Anthropic API",
        wire: Wire::Anthropic,
        base_url_env: &["ANTHROPIC_BASE_URL"],
        default_base_url: "https://api.anthropic.com",
        key_env: "ANTHROPIC_API_KEY",
        key_required: true,
        local: false,
        checks_model_names: false,
        features: &[
            "chat",
            "completion",
            "native_tools",
            "streaming",
            "structured_output",
        ],
        installation_extras: Some("anthropic"),
    },
    ProviderFamily {
        name: "ollama",
        display_name: "Ollama",
        label: "Ollama",
        description: "Local models served by Ollama",
        wire: Wire::Ollama,
        base_url_env: &["OLLAMA_BASE_URL", "OLLAMA_HOST"],
        default_base_url: "http://localhost:11434",
        key_env: "",
        key_required: false,
        local: true,
        checks_model_names: false,
        features: LOCAL,
        installation_extras: Some("ollama"),
    },
    ProviderFamily {
        name: "lmstudio",
        display_name: "LMStudio",
        label: "LMStudio",
        description: "Local models served by LM Studio",
        wire: Wire::OpenAi,
        base_url_env: &["LMSTUDIO_BASE_URL"],
        default_base_url: "http://localhost:1234/v1",
        key_env: "",
        key_required: false,
        local: true,
        checks_model_names: true,
        features: LOCAL,
        installation_extras: None,
    },
    ProviderFamily {
        name: "mlx",
        display_name: "MLX",
        label: "MLX",
        description: "Apple silicon engine inside the process",
        wire: Wire::InProcess,
        base_url_env: &[],
        default_base_url: "",
        key_env: "",
        key_required: false,
        local: true,
        checks_model_names: false,
        features: &[
            "chat",
            "completion",
            "prompted_tools",
            "streaming",
            "structured_output",
            "local_models",
            "apple_silicon",
        ],
        installation_extras: Some("mlx"),
    },
    ProviderFamily {
        name: "huggingface",
        display_name: "HuggingFace",
        label: "HuggingFace",
        description: "Transformers and GGUF engine inside the process",
        wire: Wire::InProcess,
        base_url_env: &[],
        default_base_url: "",
        key_env: "",
        key_required: false,
        local: true,
        checks_model_names: false,
        features: &[
            "chat",
            "completion",
            "embeddings",
            "prompted_tools",
            "streaming",
            "structured_output",
            "local_models",
        ],
        installation_extras: Some("huggingface"),
    },
    ProviderFamily {
        name: "vllm",
        display_name: "vLLM",
        label: "vLLM",
        description: "Models served by vLLM",
        wire: Wire::OpenAi,
        base_url_env: &["VLLM_BASE_URL"],
        default_base_url: "http://localhost:8000/v1",
        key_env: "VLLM_API_KEY",
        key_required: false,
        local: true,
        checks_model_names: true,
        features: &[
            "chat",
            "completion",
            "embeddings",
            "native_tools",
            "streaming",
            "structured_output",
            "guided_decoding",
            "multi_lora",
            "beam_search",
        ],
        installation_extras: None,
    },
    ProviderFamily {
        name: "openai-compatible",
        display_name: "OpenAI-Compatible",
        label: "OpenAI-compatible",
        description: "Any server that speaks the OpenAI protocol",
        wire: Wire::OpenAi,
        base_url_env: &["OPENAI_BASE_URL"],
        default_base_url: "http://localhost:1234/v1",
        key_env: "OPENAI_API_KEY",
        key_required: false,
        local: true,
        checks_model_names: true,
        features: LOCAL,
        installation_extras: None,
    },
    ProviderFamily {
        name: "openrouter",
        display_name: "OpenRouter",
        label: "OpenRouter",
        description: "Models of many vendors through OpenRouter",
        wire: Wire::OpenAi,
        base_url_env: &["OPENROUTER_BASE_URL"],
        default_base_url: "https://openrouter.ai/api/v1",
        key_env: "OPENROUTER_API_KEY",
        key_required: true,
        local: false,
        checks_model_names: true,
        features: &[
            "chat",
            "completion",
            "native_tools",
            "streaming",
            "structured_output",
        ],
        installation_extras: None,
    },
    ProviderFamily {
        name: "portkey",
        display_name: "Portkey",
        label: "Portkey",
        description: "Models of many vendors through Portkey",
        wire: Wire::OpenAi,
        base_url_env: &["PORTKEY_BASE_URL"],
        default_base_url: "https://api.portkey.ai/v1",
        key_env: "PORTKEY_API_KEY",
        key_required: false,
        local: false,
        checks_model_names: false,
        features: &[
            "chat",
            "completion",
            "native_tools",
            "streaming",
            "structured_output",
        ],
        installation_extras: None,
    },
];

/// Music from words, over chat completions whose answer is sound. It converses about nothing, so it is no family that
/// listings show.
pub static ACEMUSIC: ProviderFamily = ProviderFamily {
    name: "acemusic",
    display_name: "ACE Music",
    label: "ACE Music",
    description: "Music generation in the cloud",
    wire: Wire::OpenAi,
    base_url_env: &["ACEMUSIC_BASE_URL"],
    default_base_url: "https://api.acemusic.ai/v1",
    key_env: "ACEMUSIC_API_KEY",
    key_required: true,
    local: false,
    checks_model_names: false,
    features: &["music"],
    installation_extras: None,
};

/// The service that speaks to all families in split mode. Not a family that anybody can ask for.
pub static ABSTRACTCORE: ProviderFamily = ProviderFamily {
    name: "abstractcore",
    display_name: "AbstractCore",
    label: "AbstractCore",
    description: "AbstractCore server in front of all providers",
    wire: Wire::AbstractCore,
    base_url_env: &["ABSTRACTCORE_SERVER_BASE_URL"],
    default_base_url: "",
    key_env: "ABSTRACTCORE_SERVER_API_KEY",
    key_required: false,
    local: true,
    checks_model_names: false,
    features: LOCAL,
    installation_extras: None,
};

/// The family of a name; case does not matter, `_` is read as `-`.
#[must_use]
pub fn family(name: &str) -> Option<&'static ProviderFamily> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let all = FAMILIES.iter().chain(std::iter::once(&ACEMUSIC));
    all.into_iter().find(|family| family.name == name)
}

/// The contract's refusal of an unknown name.
#[must_use]
pub fn unknown_provider(name: &str) -> ProviderError {
    let available = FAMILIES
        .iter()
        .map(|family| family.name)
        .collect::<Vec<_>>()
        .join(", ");
    ProviderError::UnknownProvider {
        name: name.to_owned(),
        available,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_refused_with_the_contract_text() {
        assert_eq!(
            unknown_provider("x").to_string(),
            "Unknown provider: x. Available providers: openai, anthropic, ollama, lmstudio, mlx, huggingface, vllm, \
             openai-compatible, openrouter, portkey"
        );
    }

    #[test]
    fn names_are_read_loosely() {
        assert_eq!(
            family("OpenAI_Compatible").map(|family| family.name),
            Some("openai-compatible")
        );
        assert!(family("nope").is_none());
        assert!(FAMILIES.iter().filter(|family| family.key_required).count() == 3);
    }
}
