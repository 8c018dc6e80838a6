//! Failures of model calls. Their texts reach clients; they hold no key and no request or response body.

use std::time::Duration;

/// An answer of a model server that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFailure {
    /// Family as shown, such as `OpenAI-compatible`.
    pub family: String,
    /// HTTP status.
    pub status: u16,
    /// The server's own message, shortened.
    pub message: String,
    /// Without credentials and query.
    pub url: String,
    /// `Retry-After`, when sent.
    pub retry_after: Option<Duration>,
}

/// What a failure allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Certainly had no lasting effect; may be tried again.
    Retryable,
    /// Would fail again.
    Permanent,
    /// The server may have done the work; the answer is lost.
    Ambiguous,
    /// The time limit passed; otherwise as [`Self::Ambiguous`].
    Timeout,
    /// The caller gave up.
    Cancelled,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// 401 and 403.
    #[error("{} server authentication error ({}): {} [{}]", .0.family, .0.status, .0.message, .0.url)]
    Authentication(UpstreamFailure),
    /// 429.
    #[error("{} server rate limit error ({}): {} [{}]", .0.family, .0.status, .0.message, .0.url)]
    RateLimited(UpstreamFailure),
    /// 400, 413, 422: the request itself is refused.
    #[error("{} server invalid request error ({}): {} [{}]", .0.family, .0.status, .0.message, .0.url)]
    InvalidRequest(UpstreamFailure),
    /// Every other status.
    #[error("{} server API error ({}): {} [{}]", .0.family, .0.status, .0.message, .0.url)]
    Api(UpstreamFailure),
    /// The server does not have the model.
    #[error("Model '{model}' not found for provider {provider}. {}", available_text(.available))]
    ModelNotFound {
        /// Provider name.
        provider: String,
        /// Asked for.
        model: String,
        /// What exists; may be empty when the server does not say.
        available: Vec<String>,
    },
    /// No connection: nothing was sent.
    #[error("{family} server connection failed: {detail} [{url}]")]
    Connect {
        /// Family as shown.
        family: String,
        /// What went wrong.
        detail: String,
        /// Without credentials and query.
        url: String,
    },
    /// The connection ended before the answer was complete.
    #[error("{family} server connection lost: {detail} [{url}]")]
    ConnectionLost {
        /// Family as shown.
        family: String,
        /// What went wrong.
        detail: String,
        /// Without credentials and query.
        url: String,
    },
    /// The time limit passed.
    #[error("{family} server timed out after {seconds} s [{url}]")]
    Timeout {
        /// Family as shown.
        family: String,
        /// The limit.
        seconds: f64,
        /// Without credentials and query.
        url: String,
    },
    /// The answer is not what the protocol says.
    #[error("{family} server returned an unreadable response: {detail} [{url}]")]
    Unreadable {
        /// Family as shown.
        family: String,
        /// What is wrong with it, without its content.
        detail: String,
        /// Without credentials and query.
        url: String,
    },
    /// The answer is larger than this service accepts.
    #[error("{family} server response is larger than {limit_bytes} bytes [{url}]")]
    TooLarge {
        /// Family as shown.
        family: String,
        /// The limit.
        limit_bytes: usize,
        /// Without credentials and query.
        url: String,
    },
    /// The caller gave up.
    #[error("model call cancelled")]
    Cancelled,
    /// The server failed repeatedly and is left alone for a while.
    #[error("Circuit breaker open for {key}: too many failures, retry in {} s", .retry_in.as_secs().max(1))]
    CircuitOpen {
        /// Server and model.
        key: String,
        /// Until the next try is let through.
        retry_in: Duration,
    },
    /// No such family.
    #[error("Unknown provider: {name}. Available providers: {available}")]
    UnknownProvider {
        /// Asked for.
        name: String,
        /// Comma-separated.
        available: String,
    },
    /// The family needs a key.
    #[error("{family} API key required. Set {env} environment variable.")]
    MissingKey {
        /// Family as shown.
        family: String,
        /// Where it could come from.
        env: String,
    },
    /// The address must not be reached, or is not an address.
    #[error("Provider base URL refused: {reason}")]
    AddressRefused {
        /// Why.
        reason: String,
    },
    /// The store of connections does not answer at this moment.
    #[error("Stored connections are not readable right now")]
    ConnectionsUnreadable,
    /// The provider cannot do this at all.
    #[error("{0}")]
    Unsupported(String),
    /// The request cannot be expressed.
    #[error("{0}")]
    Invalid(String),
}

/// Shorter limits say more about the caller than about the server.
const BLAMING_TIMEOUT_S: f64 = 30.0;

fn available_text(available: &[String]) -> String {
    const SHOWN: usize = 40;
    if available.is_empty() {
        return "The server does not list it.".to_owned();
    }
    let shown = available
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = available.len().saturating_sub(SHOWN);
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("Available models ({}): {shown}{tail}", available.len())
}

impl ProviderError {
    /// What the failure allows.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::RateLimited(_) | Self::Connect { .. } | Self::CircuitOpen { .. } => FailureClass::Retryable,
            Self::Api(failure) if failure.status >= 500 || failure.status == 408 => FailureClass::Retryable,
            Self::Unreadable { .. } | Self::ConnectionsUnreadable => FailureClass::Retryable,
            Self::ConnectionLost { .. } => FailureClass::Ambiguous,
            Self::Timeout { .. } => FailureClass::Timeout,
            Self::Cancelled => FailureClass::Cancelled,
            _ => FailureClass::Permanent,
        }
    }

    /// What the server answered, where it answered at all.
    #[must_use]
    pub fn upstream(&self) -> Option<&UpstreamFailure> {
        match self {
            Self::Authentication(failure)
            | Self::RateLimited(failure)
            | Self::InvalidRequest(failure)
            | Self::Api(failure) => Some(failure),
            _ => None,
        }
    }

    /// How long the server asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(failure) | Self::Api(failure) => failure.retry_after,
            Self::CircuitOpen { retry_in, .. } => Some(*retry_in),
            _ => None,
        }
    }

    /// Whether the server, rather than the request, is at fault: such failures open the circuit.
    #[must_use]
    pub fn blames_server(&self) -> bool {
        match self {
            Self::Api(failure) => failure.status >= 500,
            Self::Connect { .. } | Self::ConnectionLost { .. } | Self::Unreadable { .. } => true,
            // A caller with a tiny limit must not close the server to everybody else.
            Self::Timeout { seconds, .. } => *seconds >= BLAMING_TIMEOUT_S,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16) -> UpstreamFailure {
        UpstreamFailure {
            family: "OpenAI-compatible".to_owned(),
            status,
            message: "boom".to_owned(),
            url: "http://h/v1/chat/completions".to_owned(),
            retry_after: None,
        }
    }

    #[test]
    fn contract_texts() {
        assert_eq!(
            ProviderError::Api(failure(500)).to_string(),
            "OpenAI-compatible server API error (500): boom [http://h/v1/chat/completions]"
        );
        assert_eq!(
            ProviderError::MissingKey {
                family: "OpenAI".to_owned(),
                env: "OPENAI_API_KEY".to_owned()
            }
            .to_string(),
            "OpenAI API key required. Set OPENAI_API_KEY environment variable."
        );
        let missing = ProviderError::ModelNotFound {
            provider: "vllm".to_owned(),
            model: "x".to_owned(),
            available: (0..50).map(|n| format!("m{n}")).collect(),
        };
        let text = missing.to_string();
        assert!(
            text.starts_with("Model 'x' not found for provider vllm. Available models (50): m0, m1"),
            "{text}"
        );
        assert!(text.ends_with("m39 and 10 more"), "{text}");
    }

    #[test]
    fn classes() {
        assert_eq!(ProviderError::Api(failure(503)).class(), FailureClass::Retryable);
        assert_eq!(ProviderError::Api(failure(402)).class(), FailureClass::Permanent);
        assert_eq!(
            ProviderError::RateLimited(failure(429)).class(),
            FailureClass::Retryable
        );
        assert_eq!(
            ProviderError::Authentication(failure(401)).class(),
            FailureClass::Permanent
        );
        assert!(ProviderError::Api(failure(500)).blames_server());
        assert!(!ProviderError::RateLimited(failure(429)).blames_server());
    }
}
