//! One streamed answer: the body is read piece by piece, put together by the wire's assembly, and bounded in time and
//! size like any other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ag_outbound::{BodyError, read_body};
use ag_providers::ports::DeltaSink;
use ag_providers::{ChatDelta, ProviderError};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::errors::{Place, from_transport};
use crate::events::{EventReader, Framing};
use crate::transport::{Exchange, Transport};

/// The answer so far.
pub trait StreamAssembly: Default + Send {
    /// Takes one text of the stream in and tells the sink what it says.
    ///
    /// # Errors
    /// A text that the protocol does not know.
    fn event(&mut self, place: &Place, data: &str, sink: DeltaSink<'_>) -> Result<(), ProviderError>;

    /// Whether the protocol's last text has come: what follows is not waited for.
    fn done(&self) -> bool;

    /// The answer in its unstreamed form; `None` when the stream ended in the middle.
    fn finish(self) -> Option<Value>;
}

/// What came of a stream.
#[derive(Debug)]
pub struct Streamed {
    /// The answer in its unstreamed form.
    pub raw: Value,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// Until the first piece; `None` when the server answered whole.
    pub ttft_ms: Option<f64>,
}

/// A request whose answer may come in pieces.
pub struct StreamRequest<'a> {
    /// Below the base URL.
    pub path: &'a str,
    /// JSON body.
    pub body: &'a Value,
    /// Further headers.
    pub headers: HeaderMap,
    /// How the body is cut, and the content type that says so; another one is read whole.
    pub framing: Framing,
    /// Limit of the whole exchange.
    pub timeout: Duration,
    /// Ends the exchange.
    pub cancel: &'a CancellationToken,
}

/// Sends a request and reads its answer: in pieces if somebody listens to them, else whole.
///
/// # Errors
/// As any exchange; a stream that ends before its answer is [`ProviderError::ConnectionLost`].
pub async fn ask<A: StreamAssembly>(
    transport: &Transport,
    request: StreamRequest<'_>,
    sink: Option<DeltaSink<'_>>,
) -> Result<Streamed, ProviderError> {
    if let Some(sink) = sink {
        return stream::<A>(transport, request, sink).await;
    }
    let exchange = Exchange {
        method: Method::POST,
        path: request.path,
        timeout: request.timeout,
        cancel: request.cancel,
    };
    let (raw, headers) = transport
        .json(exchange, Some(request.body), request.headers)
        .await?;
    Ok(Streamed {
        raw,
        headers,
        ttft_ms: None,
    })
}

/// Puts a streamed answer together. A server that does not stream is read whole.
async fn stream<A: StreamAssembly>(
    transport: &Transport,
    request: StreamRequest<'_>,
    sink: DeltaSink<'_>,
) -> Result<Streamed, ProviderError> {
    let StreamRequest {
        path,
        body,
        headers,
        framing,
        timeout,
        cancel,
    } = request;
    let url = transport.url(path);
    let place = transport.place(&url);
    let started = Instant::now();
    let place = &place;
    transport
        .bounded(place, timeout, cancel, async {
            let prepare = |request: reqwest::RequestBuilder| request.json(body).headers(headers);
            let mut response = transport.send(url, Method::POST, prepare, place).await?;
            let headers = response.headers().clone();
            let limit = transport.max_response_bytes();
            if framing == Framing::Events && !is_event_stream(&headers) {
                let body = read_body(response, limit)
                    .await
                    .map_err(|error| transport.body_error(place, error))?;
                let raw = serde_json::from_slice(&body).map_err(|_| place.unreadable("not JSON"))?;
                return Ok(Streamed {
                    raw,
                    headers,
                    ttft_ms: None,
                });
            }
            // Microseconds plus one; 0 = nothing came yet.
            let first = AtomicU64::new(0);
            let timed = |delta: ChatDelta| {
                let now = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
                let _ =
                    first.compare_exchange(0, now.saturating_add(1), Ordering::Relaxed, Ordering::Relaxed);
                sink(delta);
            };
            let (mut reader, mut assembly) = (EventReader::new(framing), A::default());
            let mut received = 0_usize;
            while !assembly.done() {
                let chunk = response
                    .chunk()
                    .await
                    .map_err(|error| from_transport(place, error))?;
                let Some(chunk) = chunk else { break };
                received = received.saturating_add(chunk.len());
                if received > limit {
                    return Err(transport.body_error(place, BodyError::TooLarge { limit }));
                }
                reader.push(&chunk, |data| assembly.event(place, data, &timed))?;
            }
            if let Some(data) = reader.rest() {
                // A text that was cut off says nothing about the server: what counts is that the answer is not whole.
                let _ = assembly.event(place, &data, &timed);
            }
            let raw = assembly.finish().ok_or_else(|| ProviderError::ConnectionLost {
                family: place.family.clone(),
                detail: "the stream ended before the answer".to_owned(),
                url: place.url.clone(),
            })?;
            let ttft_ms = match first.load(Ordering::Relaxed) {
                0 => None,
                micros => Some(Duration::from_micros(micros - 1).as_secs_f64() * 1000.0),
            };
            Ok(Streamed {
                raw,
                headers,
                ttft_ms,
            })
        })
        .await
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("text/event-stream"))
}
