//! A model server that answers every chat after a fixed time, in this process.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinHandle};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}"#;
/// Longer than asked, because the timer counts in whole milliseconds; the real time is measured.
const DELAY: Duration = Duration::from_millis(1);

/// The running stub; ends on drop.
#[derive(Debug)]
pub(crate) struct Stub {
    port: u16,
    times: Arc<Times>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Times {
    in_flight: AtomicU64,
    calls: AtomicU64,
    nanos: AtomicU64,
}

impl Stub {
    /// Listens on a free port; a call takes a millisecond.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn start() -> Result<Self> {
        Self::slow(DELAY).await
    }

    /// The same with another time for each call.
    ///
    /// # Errors
    /// As [`Stub::start`].
    pub(crate) async fn slow(delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let times = Arc::new(Times::default());
        let shared = Arc::clone(&times);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let times = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&times), delay, request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { port, times, task })
    }

    /// The `OPENAI_BASE_URL` that leads here.
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Calls that wait for their answer, and those whose callers went away.
    pub(crate) fn in_flight(&self) -> u64 {
        self.times.in_flight.load(Relaxed)
    }

    /// Calls and their total time since the last look.
    pub(crate) fn take(&self) -> (u64, Duration) {
        let calls = self.times.calls.swap(0, Relaxed);
        (calls, Duration::from_nanos(self.times.nanos.swap(0, Relaxed)))
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    times: Arc<Times>,
    delay: Duration,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let began = Instant::now();
    times.in_flight.fetch_add(1, Relaxed);
    // The body is read so that the connection can be kept; what it says does not matter.
    let _ = request.into_body().collect().await;
    tokio::time::sleep(delay).await;
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    times.in_flight.fetch_sub(1, Relaxed);
    times.calls.fetch_add(1, Relaxed);
    let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    times.nanos.fetch_add(nanos, Relaxed);
    Ok(response)
}
