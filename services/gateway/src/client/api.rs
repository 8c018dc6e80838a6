//! The HTTP calls of the client commands.

use ag_outbound::{ClientOptions, OutboundPolicy};
use anyhow::{Context as _, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

/// A gateway and how to reach it.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Api {
    pub(crate) fn new(url: &str, token: Option<String>) -> anyhow::Result<Self> {
        // The person at this terminal chose the address: nothing is refused.
        let http = ag_outbound::client(&OutboundPolicy::operator(), &ClientOptions::default())
            .context("HTTP client")?;
        Ok(Self {
            http,
            base: url.trim_end_matches('/').to_owned(),
            token,
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}/api/gateway{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|error| {
            anyhow!(
                "cannot reach the gateway at {}: {}\nIs it running? Start one with `abstractgateway serve`.",
                self.base,
                root_cause(&error)
            )
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        bail!(explain(status, &text))
    }

    async fn json(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        self.send(request)
            .await?
            .json()
            .await
            .context("the answer is not JSON")
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.json(self.request(Method::DELETE, path)).await
    }

    /// Installs a bundle file; an installed one of the same version is replaced.
    pub(crate) async fn upload(&self, name: String, bytes: Vec<u8>) -> anyhow::Result<Value> {
        let file = reqwest::multipart::Part::bytes(bytes).file_name(name);
        let form = reqwest::multipart::Form::new()
            .text("overwrite", "true")
            .part("file", file);
        self.json(self.request(Method::POST, "/bundles/upload").multipart(form))
            .await
    }

    /// Opens the ledger stream of a run after a cursor.
    pub(crate) async fn stream(&self, run: &str, after: i64) -> anyhow::Result<Response> {
        self.send(self.request(Method::GET, &format!("/runs/{run}/ledger/stream?after={after}")))
            .await
    }

    /// Posts a command under a fresh id.
    pub(crate) async fn command(&self, run: &str, kind: &str, payload: Value) -> anyhow::Result<Value> {
        let body = json!({
            "command_id": uuid::Uuid::new_v4().to_string(), "run_id": run, "type": kind, "payload": payload,
            "client_id": "abstractgateway-cli",
        });
        self.post("/commands", &body).await
    }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The gateway's own words, and the next step where there is one.
fn explain(status: StatusCode, body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let detail = match parsed.as_ref().and_then(|body| body.get("detail")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(problems)) => problems
            .iter()
            .map(|problem| {
                let place: Vec<String> = problem["loc"]
                    .as_array()
                    .map(|loc| {
                        loc.iter()
                            .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
                            .collect()
                    })
                    .unwrap_or_default();
                format!(
                    "{}: {}",
                    place.join("."),
                    problem["msg"].as_str().unwrap_or("invalid")
                )
            })
            .collect::<Vec<_>>()
            .join("\n"),
        _ => body.trim().chars().take(300).collect(),
    };
    let hint = match status {
        StatusCode::UNAUTHORIZED => "\nGive the token with --token or ABSTRACTGATEWAY_AUTH_TOKEN.",
        StatusCode::NOT_FOUND => {
            "\n`abstractgateway ps` lists runs, `abstractgateway bundles` what can be started."
        }
        _ => "",
    };
    format!("{detail} (HTTP {}){hint}", status.as_u16())
}
