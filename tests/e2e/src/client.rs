//! A small client of the HTTP contract. Answers come back as they are; tests judge them.

use std::{fmt, sync::Once, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{sse, wait};

/// Longest wait for one answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Records per page; small, so that reading a ledger crosses pages.
const PAGE: usize = 50;
const PREFIX: &str = "/api/gateway";

/// One answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body, or null where it is no JSON.
    pub body: Value,
    /// Body as text.
    pub text: String,
}

impl Reply {
    /// The body of a 200.
    ///
    /// # Errors
    /// [`Refused`] for any other status.
    pub fn ok(self) -> Result<Value> {
        if self.status == 200 {
            return Ok(self.body);
        }
        let Self { status, text, .. } = self;
        Err(Refused { status, text }.into())
    }
}

/// Another status than 200.
#[derive(Debug, Clone)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub text: String,
}

impl Refused {
    /// Whether an error is the answer of a node that cannot serve at the moment.
    #[must_use]
    pub fn is_unavailable(error: &anyhow::Error) -> bool {
        error
            .downcast_ref::<Self>()
            .is_some_and(|refused| refused.status == 503)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered {}: {}", self.status, self.text)
    }
}

impl std::error::Error for Refused {}

/// A caller with a token. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base_url: String,
    token: String,
}

impl Api {
    /// A caller of `base_url`; an empty token sends none.
    ///
    /// # Panics
    /// The HTTP client cannot be built.
    #[must_use]
    pub fn new(base_url: &str, token: &str) -> Self {
        static CRYPTO: Once = Once::new();
        // The client is built with TLS whether it is used or not, and wants to know by whom.
        CRYPTO.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client without settings builds");
        Self {
            http,
            base_url: base_url.to_owned(),
            token: token.to_owned(),
        }
    }

    /// The same caller with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// A request below the address, with the token.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or(reqwest::Method::GET);
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// No answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply> {
        let response = request.timeout(REQUEST_LIMIT).send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Reply { status, body, text })
    }

    /// `GET` of a full path.
    ///
    /// # Errors
    /// No answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(self.request("GET", path)).await
    }

    /// `POST` of JSON to a full path.
    ///
    /// # Errors
    /// No answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(self.request("POST", path).json(body)).await
    }

    /// Uploads a bundle.
    ///
    /// # Errors
    /// No answer.
    pub async fn upload(&self, file_name: &str, bytes: Vec<u8>) -> Result<Reply> {
        let part = reqwest::multipart::Part::bytes(bytes)
            .file_name(file_name.to_owned())
            .mime_str("application/octet-stream")?;
        let form = reqwest::multipart::Form::new()
            .text("overwrite", "true")
            .text("reload", "true")
            .part("file", part);
        let request = self.request("POST", &format!("{PREFIX}/bundles/upload"));
        self.send(request.multipart(form)).await
    }

    /// Uploads a bundle that must be accepted.
    ///
    /// # Errors
    /// It is not, or the gateway cannot use it.
    pub async fn install(&self, bundle: &crate::Bundle) -> Result<()> {
        let reply = self.upload(&bundle.file_name(), bundle.bytes()?).await?.ok()?;
        ensure!(
            reply["gateway_reloaded"] == true,
            "the bundle is not usable: {reply}"
        );
        Ok(())
    }

    /// Starts a flow of a bundle.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn start(&self, bundle: &str, flow: &str, input: Value) -> Result<String> {
        self.start_request(None, bundle, flow, input).await
    }

    /// The same under an idempotency key: however often it is sent, there is one run.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn start_once(&self, key: &str, bundle: &str, flow: &str, input: Value) -> Result<String> {
        self.start_request(Some(key), bundle, flow, input).await
    }

    async fn start_request(
        &self,
        key: Option<&str>,
        bundle: &str,
        flow: &str,
        input: Value,
    ) -> Result<String> {
        let body = json!({"bundle_id": bundle, "flow_id": flow, "input_data": input});
        let mut request = self.request("POST", &format!("{PREFIX}/runs/start")).json(&body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = self.send(request).await?.ok()?;
        let id = answer["run_id"].as_str().context("an answer without run_id")?;
        Ok(id.to_owned())
    }

    /// Sends a command.
    ///
    /// # Errors
    /// No answer.
    pub async fn command(&self, id: &str, run: &str, kind: &str, payload: Value) -> Result<Reply> {
        let body = json!({"command_id": id, "run_id": run, "type": kind, "payload": payload});
        self.post(&format!("{PREFIX}/commands"), &body).await
    }

    /// The summary of a run.
    ///
    /// # Errors
    /// No answer, or the run is unknown.
    pub async fn run(&self, id: &str) -> Result<Value> {
        self.get(&format!("{PREFIX}/runs/{id}")).await?.ok()
    }

    /// The ledger from `after` on, page by page.
    ///
    /// # Errors
    /// No answer, or a page whose cursor does not fit its records: the ledger must be dense.
    pub async fn ledger_after(&self, id: &str, after: usize) -> Result<Vec<Value>> {
        let mut records = Vec::new();
        let mut cursor = after;
        loop {
            let path = format!("{PREFIX}/runs/{id}/ledger?after={cursor}&limit={PAGE}");
            let mut page = self.get(&path).await?.ok()?;
            let next = page["next_after"].as_u64().context("a page without next_after")?;
            let Value::Array(items) = page["items"].take() else {
                anyhow::bail!("a page without items");
            };
            ensure!(
                next == (cursor + items.len()) as u64,
                "run {id}: {} records after {cursor}, but next_after {next}",
                items.len()
            );
            if items.is_empty() {
                return Ok(records);
            }
            cursor += items.len();
            records.extend(items);
        }
    }

    /// The whole ledger.
    ///
    /// # Errors
    /// As [`Api::ledger_after`].
    pub async fn ledger(&self, id: &str) -> Result<Vec<Value>> {
        self.ledger_after(id, 0).await
    }

    /// Waits until the run has one of the statuses.
    ///
    /// # Errors
    /// It has not in time.
    pub async fn until_status(&self, id: &str, statuses: &[&str], limit: Duration) -> Result<Value> {
        wait::until_some(&format!("run {id} to be {statuses:?}"), limit, || async {
            let run = self.run(id).await?;
            let status = run["status"].as_str().unwrap_or_default();
            Ok(statuses.contains(&status).then_some(run))
        })
        .await
    }

    /// Opens the event stream of a run.
    ///
    /// # Errors
    /// It is refused.
    pub async fn stream(&self, id: &str, after: usize, last_event_id: Option<usize>) -> Result<sse::Stream> {
        let query = format!("after={after}&heartbeat_s=1");
        self.stream_with(id, &query, last_event_id).await
    }

    /// The same with a query of one's own.
    ///
    /// # Errors
    /// It is refused.
    pub async fn stream_with(
        &self,
        id: &str,
        query: &str,
        last_event_id: Option<usize>,
    ) -> Result<sse::Stream> {
        let path = format!("{PREFIX}/runs/{id}/ledger/stream?{query}");
        let mut request = self.request("GET", &path).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        if status != 200 {
            let text = response.text().await.unwrap_or_default();
            return Err(Refused { status, text }.into());
        }
        Ok(sse::Stream::new(response))
    }
}
