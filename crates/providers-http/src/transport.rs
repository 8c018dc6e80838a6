//! One exchange with the server: address check, headers, time limit, cancellation, size limit, error statuses.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ag_outbound::{BodyError, OutboundClient, read_body};
use ag_providers::family::Wire;
use ag_providers::{ChatRequest, ProviderEndpoint, ProviderError};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::errors::{Place, from_status, from_transport, refused};

/// Part of an error answer that is looked at.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// An endpoint with the connections that lead to it.
#[derive(Clone)]
pub struct Transport {
    endpoint: Arc<ProviderEndpoint>,
    http: OutboundClient,
    base: Url,
    max_response_bytes: usize,
}

/// An answer with a success status.
#[derive(Debug)]
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
}

/// What differs between two calls.
#[derive(Clone, Debug)]
pub struct Exchange<'a> {
    /// Method.
    pub method: Method,
    /// Below the base URL.
    pub path: &'a str,
    /// Limit of the whole exchange.
    pub timeout: Duration,
    /// Ends the exchange.
    pub cancel: &'a CancellationToken,
}

impl Transport {
    /// Connections to an endpoint.
    ///
    /// # Errors
    /// A base URL that is none, or with a scheme that is not http(s).
    pub fn new(
        endpoint: Arc<ProviderEndpoint>,
        http: OutboundClient,
        max_response_bytes: usize,
    ) -> Result<Self, ProviderError> {
        let base = Url::parse(&endpoint.base_url).map_err(|error| ProviderError::AddressRefused {
            reason: error.to_string(),
        })?;
        ag_outbound::check_url(http.policy(), &base).map_err(|error| refused(&error))?;
        Ok(Self {
            endpoint,
            http,
            base,
            max_response_bytes,
        })
    }

    /// Where it leads.
    #[must_use]
    pub fn endpoint(&self) -> &ProviderEndpoint {
        &self.endpoint
    }

    /// The limit of a call: its own, else the endpoint's.
    #[must_use]
    pub fn timeout(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.endpoint.timeout)
    }

    /// `base` + `/` + `path`; a query of the base URL (some proxies want one) is kept.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let joined = format!("{}/{path}", self.base.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }

    /// The base with another path at the host's root.
    #[must_use]
    pub fn root_url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let trimmed = self.base.path().trim_end_matches('/');
        let root = trimmed.strip_suffix("/v1").unwrap_or(trimmed);
        url.set_path(&format!("{root}/{path}"));
        url
    }

    /// What errors of a call to `url` name.
    #[must_use]
    pub fn place(&self, url: &Url) -> Place {
        Place {
            family: self.endpoint.family.label.to_owned(),
            url: public_url(url),
        }
    }

    /// The key, to be blotted out of texts.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        self.endpoint.api_key.as_ref().map(|key| key.expose_secret())
    }

    /// Sends a JSON body and reads a JSON answer.
    ///
    /// # Errors
    /// [`ProviderError`], as all of these.
    pub async fn json(
        &self,
        exchange: Exchange<'_>,
        body: Option<&Value>,
        headers: HeaderMap,
    ) -> Result<(Value, HeaderMap), ProviderError> {
        let url = self.url(exchange.path);
        self.json_at(url, exchange, body, headers).await
    }

    /// As [`Self::json`], at an address that is not below the base.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn json_at(
        &self,
        url: Url,
        exchange: Exchange<'_>,
        body: Option<&Value>,
        headers: HeaderMap,
    ) -> Result<(Value, HeaderMap), ProviderError> {
        let place = self.place(&url);
        let prepare = |request: RequestBuilder| match body {
            Some(body) => request.json(body).headers(headers),
            None => request.headers(headers),
        };
        let answer = self.bytes_at(url, exchange, prepare).await?;
        let value = serde_json::from_slice(&answer.body).map_err(|error| ProviderError::Unreadable {
            family: place.family,
            detail: format!("not JSON ({})", json_problem(&error)),
            url: place.url,
        })?;
        Ok((value, answer.headers))
    }

    /// Sends whatever `prepare` adds and reads the answer whole.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn bytes_at(
        &self,
        url: Url,
        exchange: Exchange<'_>,
        prepare: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        let place = self.place(&url);
        let (timeout, cancel) = (exchange.timeout, exchange.cancel.clone());
        let limit = self.max_response_bytes;
        self.bounded(&place, timeout, &cancel, async {
            let response = self.send(url, exchange.method, prepare, &place).await?;
            let headers = response.headers().clone();
            let body = read_body(response, limit)
                .await
                .map_err(|error| self.body_error(&place, error))?;
            Ok(Answer { headers, body })
        })
        .await
    }

    /// Runs an exchange until it ends, its time is over or the caller gives up. Dropping it closes the connection.
    ///
    /// # Errors
    /// Those of the exchange, [`ProviderError::Timeout`] and [`ProviderError::Cancelled`].
    pub async fn bounded<T>(
        &self,
        place: &Place,
        timeout: Duration,
        cancel: &CancellationToken,
        exchange: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(ProviderError::Cancelled),
            result = tokio::time::timeout(timeout, exchange) => result.unwrap_or_else(|_| {
                Err(ProviderError::Timeout {
                    family: place.family.clone(),
                    seconds: timeout.as_secs_f64(),
                    url: place.url.clone(),
                })
            }),
        }
    }

    /// Sends a request; an answer with an error status becomes an error.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn send(
        &self,
        url: Url,
        method: Method,
        prepare: impl FnOnce(RequestBuilder) -> RequestBuilder,
        place: &Place,
    ) -> Result<Response, ProviderError> {
        let request = self.http.request(method, url).map_err(|error| refused(&error))?;
        let request = prepare(request.headers(self.auth_headers()?));
        let response = request
            .send()
            .await
            .map_err(|error| from_transport(place, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        let body = read_body(response, MAX_ERROR_BODY).await.unwrap_or_default();
        Err(from_status(place, status, &headers, &body, self.secret()))
    }

    /// A body that could not be read.
    #[must_use]
    pub fn body_error(&self, place: &Place, error: BodyError) -> ProviderError {
        match error {
            BodyError::TooLarge { limit } => ProviderError::TooLarge {
                family: place.family.clone(),
                limit_bytes: limit,
                url: place.url.clone(),
            },
            BodyError::Read(error) => from_transport(place, error),
        }
    }

    /// The connections, for addresses other than the endpoint's.
    #[must_use]
    pub fn client(&self) -> &OutboundClient {
        &self.http
    }

    /// Largest answer accepted, in bytes.
    #[must_use]
    pub fn max_response_bytes(&self) -> usize {
        self.max_response_bytes
    }

    /// The endpoint's own headers and the key. The word `EMPTY` stands for no key.
    fn auth_headers(&self) -> Result<HeaderMap, ProviderError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.endpoint.headers {
            let name: HeaderName = name
                .parse()
                .map_err(|_| ProviderError::Invalid("provider header name is not valid".to_owned()))?;
            headers.insert(name, secret_value(value.expose_secret())?);
        }
        if let Some(key) = self.secret().map(str::trim)
            && !key.is_empty()
            && key != "EMPTY"
            && !headers.contains_key(AUTHORIZATION)
        {
            if self.endpoint.family.wire == Wire::Anthropic {
                headers.insert("x-api-key", secret_value(key)?);
            } else {
                headers.insert(AUTHORIZATION, secret_value(&format!("Bearer {key}"))?);
            }
        }
        Ok(headers)
    }
}

pub(crate) fn secret_value(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ProviderError::Invalid("provider API key holds characters that cannot be sent".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Category and place only: serde's texts quote the input.
fn json_problem(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let category = match error.classify() {
        Category::Eof => "ends early",
        Category::Syntax => "syntax",
        Category::Data => "unexpected content",
        Category::Io => "unreadable",
    };
    format!("{category} at line {} column {}", error.line(), error.column())
}

/// Trace headers and the idempotency key of a chat call. Names that cannot be sent are a caller's error.
///
/// # Errors
/// [`ProviderError::Invalid`].
pub fn call_headers(req: &ChatRequest) -> Result<HeaderMap, ProviderError> {
    let mut headers = key_header(req.idempotency_key.as_deref());
    for (name, value) in &req.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| ProviderError::Invalid(format!("header name '{name}' is not valid")))?;
        headers.insert(name, clean_value(value));
    }
    Ok(headers)
}

/// The idempotency key of a call.
#[must_use]
pub fn key_header(key: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        headers.insert("idempotency-key", clean_value(key));
    }
    headers
}

/// A header value without the characters that a header cannot hold: values are ids that users chose.
#[must_use]
pub fn clean_value(text: &str) -> HeaderValue {
    let clean: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect();
    HeaderValue::from_str(&clean).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The exchange's id, where the server or a proxy names one.
#[must_use]
pub fn trace_id(headers: &HeaderMap) -> Option<String> {
    let names = ["x-abstractcore-trace-id", "x-request-id", "request-id"];
    names
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok().map(str::to_owned))
}

/// What a reply says of its request: `{"url", "payload"}`. The body is moved, because it holds a whole conversation.
#[must_use]
pub fn sent_request(url: &Url, body: Value) -> Value {
    let mut sent = Map::new();
    sent.insert("url".to_owned(), public_url(url).into());
    sent.insert("payload".to_owned(), body);
    sent.into()
}

/// Without user, password, query and fragment.
#[must_use]
pub fn public_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}
