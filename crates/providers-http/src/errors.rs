//! From what the server or the network did to a [`ProviderError`].

use std::error::Error;
use std::time::Duration;

use ag_outbound::OutboundError;
use ag_providers::{ProviderError, UpstreamFailure};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Longest part of a server's message that is passed on.
const MAX_MESSAGE_CHARS: usize = 600;

/// What every error text names.
#[derive(Clone, Debug)]
pub struct Place {
    /// Family as shown.
    pub family: String,
    /// Without credentials and query.
    pub url: String,
}

impl Place {
    /// An answer that is not what the protocol says.
    #[must_use]
    pub fn unreadable(&self, detail: &str) -> ProviderError {
        ProviderError::Unreadable {
            family: self.family.clone(),
            detail: detail.to_owned(),
            url: self.url.clone(),
        }
    }

    /// A failure that the server reported with `status`, in its own words. `secret` is blotted out.
    #[must_use]
    pub fn failure(&self, status: u16, message: &str, secret: Option<&str>) -> ProviderError {
        classify(UpstreamFailure {
            family: self.family.clone(),
            status,
            message: tidy(message, secret),
            url: self.url.clone(),
            retry_after: None,
        })
    }
}

fn classify(failure: UpstreamFailure) -> ProviderError {
    match failure.status {
        401 | 403 => ProviderError::Authentication(failure),
        429 => ProviderError::RateLimited(failure),
        400 | 413 | 415 | 422 => ProviderError::InvalidRequest(failure),
        _ => ProviderError::Api(failure),
    }
}

/// Maps an error status. `secret` is blotted out of the message: some servers repeat the key.
#[must_use]
pub fn from_status(
    place: &Place,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    secret: Option<&str>,
) -> ProviderError {
    let message =
        message_of(body).unwrap_or_else(|| status.canonical_reason().unwrap_or("no message").to_owned());
    classify(UpstreamFailure {
        family: place.family.clone(),
        status: status.as_u16(),
        message: tidy(&message, secret),
        url: place.url.clone(),
        retry_after: retry_after(headers),
    })
}

/// The server's own words: `error.message`, `error`, `message` or `detail`. Anything else (an HTML page, a body of
/// unknown shape) is not repeated.
#[must_use]
pub fn message_of(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text = match value.get("error") {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(error) => error.get("message").and_then(Value::as_str),
        None => None,
    };
    text.or_else(|| value.get("message").and_then(Value::as_str))
        .or_else(|| value.get("detail").and_then(Value::as_str))
        .map(str::to_owned)
}

/// One short line without the key.
#[must_use]
pub fn tidy(message: &str, secret: Option<&str>) -> String {
    let mut message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(secret) = secret.filter(|secret| secret.len() >= 4) {
        message = message.replace(secret, "***");
    }
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}...", &message[..end]),
        None => message,
    }
}

/// `retry-after-ms`, or `Retry-After` as seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1000.0).ok();
    }
    let value = text("retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(value)
        .ok()?;
    Some(Duration::try_from(date.duration_since(jiff::Timestamp::now())).unwrap_or(Duration::ZERO))
}

/// Maps a failure to send a request or to read its answer.
#[must_use]
pub fn from_transport(place: &Place, error: reqwest::Error) -> ProviderError {
    if let Some(refused) = find_source::<OutboundError>(&error) {
        return ProviderError::AddressRefused {
            reason: refused.to_string(),
        };
    }
    let connect = error.is_connect();
    let detail = innermost(&error.without_url());
    let (family, url) = (place.family.clone(), place.url.clone());
    if connect {
        ProviderError::Connect { family, detail, url }
    } else {
        ProviderError::ConnectionLost { family, detail, url }
    }
}

/// An address that the guard refused.
#[must_use]
pub fn refused(error: &OutboundError) -> ProviderError {
    ProviderError::AddressRefused {
        reason: error.to_string(),
    }
}

fn find_source<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        current = error.source();
    }
    None
}

fn innermost(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut current = error.source();
    while let Some(error) = current {
        text = error.to_string();
        current = error.source();
    }
    tidy(&text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_shortened_and_cleaned() {
        assert_eq!(
            message_of(br#"{"error":{"message":"boom"}}"#).as_deref(),
            Some("boom")
        );
        assert_eq!(message_of(br#"{"error":"boom"}"#).as_deref(), Some("boom"));
        assert_eq!(message_of(br#"{"detail":"boom"}"#).as_deref(), Some("boom"));
        assert_eq!(message_of(b"<html>secret page</html>"), None);
        assert_eq!(
            tidy("bad key sk-12345\n twice sk-12345", Some("sk-12345")),
            "bad key *** twice ***"
        );
        assert_eq!(
            tidy(&"é".repeat(1000), None).chars().count(),
            MAX_MESSAGE_CHARS + 3
        );
    }

    #[test]
    fn retry_after_in_every_form() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("header"));
            retry_after(&headers)
        };
        assert_eq!(read("retry-after", "3"), Some(Duration::from_secs(3)));
        assert_eq!(read("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(
            read("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(read("retry-after", "-1"), None);
        assert_eq!(read("retry-after", "soon"), None);
    }
}
