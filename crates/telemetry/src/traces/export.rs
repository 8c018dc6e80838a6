//! The exporter's HTTP: our client on our runtime. The batch processor has a thread of its own, outside of it.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use tokio::runtime::Handle;

use super::TraceOptions;
use crate::{TelemetryError, metrics::TRACE_EXPORTS_FAILED};

/// Longest export.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn exporter(options: &TraceOptions) -> Result<SpanExporter, TelemetryError> {
    let failed = |reason: String| TelemetryError::Traces { reason };
    // Whoever was first is fine: there is one provider in this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        // A collector is configured by the operator, and a redirect would send spans elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let runtime = Handle::try_current().map_err(|error| failed(error.to_string()))?;
    let endpoint = format!("{}/v1/traces", options.endpoint.trim_end_matches('/'));
    SpanExporter::builder()
        .with_http()
        .with_http_client(Client { client, runtime })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .with_headers(options.headers.iter().cloned().collect::<HashMap<_, _>>())
        .build()
        .map_err(|error| failed(error.to_string()))
}

#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let request = reqwest::Request::try_from(request)?;
            let answer = client.execute(request).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        });
        let answer = match sent.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                TRACE_EXPORTS_FAILED.with([]).increment(1);
                return Err(error.into());
            }
            Err(error) => {
                TRACE_EXPORTS_FAILED.with([]).increment(1);
                return Err(error.into());
            }
        };
        let (status, headers, body) = answer;
        if !status.is_success() {
            TRACE_EXPORTS_FAILED.with([]).increment(1);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
