//! Retries inside one call.
//!
//! Recorded behaviour: a permanent 500, a dropped connection and an unreadable answer are asked for twice in all, a
//! 400 or 401 once. Rate limits, time-outs and refused connections get the full three attempts of the contract.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::chat::{ChatReply, ChatRequest};
use crate::circuit::CircuitBreaker;
use crate::error::{FailureClass, ProviderError};
use crate::ports::{ChatModel, DeltaSink};

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts in all on 429, time-outs and failed connections.
    pub attempts: u32,
    /// Attempts in all when the server broke: 5xx, connection lost, unreadable answer.
    pub attempts_server_fault: u32,
    /// Bound of the first pause; doubles per attempt.
    pub base_delay: Duration,
    /// Bound of any pause.
    pub max_delay: Duration,
    /// Longest `Retry-After` that is waited for; a longer one ends the call at once.
    pub max_retry_after: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            attempts_server_fault: 2,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    fn attempts_for(&self, error: &ProviderError) -> u32 {
        match error {
            ProviderError::CircuitOpen { .. } => 1,
            ProviderError::Api(_)
            | ProviderError::ConnectionLost { .. }
            | ProviderError::Unreadable { .. } => {
                if error.class() == FailureClass::Permanent {
                    1
                } else {
                    self.attempts_server_fault
                }
            }
            _ => match error.class() {
                FailureClass::Retryable | FailureClass::Timeout | FailureClass::Ambiguous => self.attempts,
                FailureClass::Permanent | FailureClass::Cancelled => 1,
            },
        }
    }

    /// Upper bound of the pause after attempt `attempt` (1 = first).
    #[must_use]
    pub fn delay_bound(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base_delay.saturating_mul(factor).min(self.max_delay)
    }
}

/// Pauses, replaceable in tests.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Waits for a random part of `bound` (full jitter), or exactly as long as the server asked.
    async fn pause(&self, bound: Duration, retry_after: Option<Duration>);
}

/// The real thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioPause;

#[async_trait]
impl Pause for TokioPause {
    async fn pause(&self, bound: Duration, retry_after: Option<Duration>) {
        let wait = retry_after.unwrap_or_else(|| bound.mul_f64(rand::random::<f64>()));
        tokio::time::sleep(wait).await;
    }
}

/// Runs `call(attempt, key_suffix)` until it succeeds or may not be tried again.
///
/// `key_suffix` is what to append to an idempotency key: it stays the same after a failure whose outcome is unknown
/// (the server may still hold the first answer under that key) and changes after one that certainly failed.
///
/// # Errors
/// That of the last attempt, or [`ProviderError::Cancelled`].
pub async fn retrying<T, F, Fut>(
    policy: &RetryPolicy,
    pause: &dyn Pause,
    cancel: &CancellationToken,
    mut call: F,
) -> Result<T, ProviderError>
where
    F: FnMut(u32, u32) -> Fut,
    Fut: Future<Output = Result<T, ProviderError>>,
{
    let mut attempt = 1;
    let mut tries = 1;
    loop {
        if cancel.is_cancelled() {
            return Err(ProviderError::Cancelled);
        }
        let error = match call(attempt, tries).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let retry_after = error.retry_after();
        let too_long = retry_after.is_some_and(|wait| wait > policy.max_retry_after);
        if attempt >= policy.attempts_for(&error) || too_long {
            return Err(error);
        }
        if error.class() == FailureClass::Retryable {
            tries += 1;
        }
        tracing::warn!(attempt, %error, "model call failed, trying again");
        tokio::select! {
            () = cancel.cancelled() => return Err(ProviderError::Cancelled),
            () = pause.pause(policy.delay_bound(attempt), retry_after) => {}
        }
        attempt += 1;
    }
}

/// A chat model behind retries and a circuit breaker.
pub struct RetryingModel {
    inner: Arc<dyn ChatModel>,
    policy: RetryPolicy,
    pause: Arc<dyn Pause>,
    breaker: Option<Arc<CircuitBreaker>>,
    server: String,
}

impl std::fmt::Debug for RetryingModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryingModel")
            .field("policy", &self.policy)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl RetryingModel {
    /// `server` names the endpoint in circuit keys and error texts; it must not hold secrets.
    #[must_use]
    pub fn new(inner: Arc<dyn ChatModel>, policy: RetryPolicy, server: impl Into<String>) -> Self {
        Self {
            inner,
            policy,
            pause: Arc::new(TokioPause),
            breaker: None,
            server: server.into(),
        }
    }

    /// Shares circuits with other models of the process.
    #[must_use]
    pub fn with_breaker(mut self, breaker: Arc<CircuitBreaker>) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Replaces the pauses.
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Pause>) -> Self {
        self.pause = pause;
        self
    }
}

#[async_trait]
impl ChatModel for RetryingModel {
    /// A broken stream is asked for again from the start; the sink sees the new answer after the broken one.
    async fn ask(
        &self,
        req: ChatRequest,
        cancel: CancellationToken,
        sink: Option<DeltaSink<'_>>,
    ) -> Result<ChatReply, ProviderError> {
        let key = format!("{}:{}", self.server, req.model);
        if let Some(breaker) = &self.breaker {
            breaker.admit(&key, Instant::now())?;
        }
        let result = retrying(&self.policy, self.pause.as_ref(), &cancel, |_, tries| {
            let mut attempt = req.clone();
            if tries > 1 {
                attempt.idempotency_key = attempt.idempotency_key.map(|key| format!("{key}/{tries}"));
            }
            let cancel = cancel.clone();
            async move { self.inner.ask(attempt, cancel, sink).await }
        })
        .await;
        if let Some(breaker) = &self.breaker {
            match &result {
                Err(error) if error.blames_server() => breaker.failed(&key, Instant::now()),
                // Says nothing about the server.
                Err(ProviderError::Cancelled) => {}
                // Any other answer proves that the server works.
                _ => breaker.succeeded(&key),
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::circuit::CircuitSettings;
    use crate::error::UpstreamFailure;
    use crate::fake::{FakeChat, Step};

    #[derive(Default)]
    struct Recorded(Mutex<Vec<(Duration, Option<Duration>)>>);

    #[async_trait]
    impl Pause for Recorded {
        async fn pause(&self, bound: Duration, retry_after: Option<Duration>) {
            self.0.lock().push((bound, retry_after));
        }
    }

    fn failure(status: u16, retry_after: Option<u64>) -> UpstreamFailure {
        UpstreamFailure {
            family: "OpenAI-compatible".to_owned(),
            status,
            message: "boom".to_owned(),
            url: "http://h".to_owned(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn lost() -> ProviderError {
        ProviderError::ConnectionLost {
            family: "f".to_owned(),
            detail: "d".to_owned(),
            url: "u".to_owned(),
        }
    }

    async fn run(
        steps: Vec<Step>,
    ) -> (
        Result<ChatReply, ProviderError>,
        Vec<Option<String>>,
        Vec<(Duration, Option<Duration>)>,
    ) {
        let fake = Arc::new(FakeChat::new(steps));
        let pause = Arc::new(Recorded::default());
        let inner: Arc<dyn ChatModel> = fake.clone();
        let model = RetryingModel::new(inner, RetryPolicy::default(), "s").with_pause(pause.clone());
        let mut req = ChatRequest::prompt("m", "hi");
        req.idempotency_key = Some("r/n/1".to_owned());
        let result = model.chat(req, CancellationToken::new()).await;
        let keys = fake
            .requests()
            .into_iter()
            .map(|req| req.idempotency_key)
            .collect();
        let pauses = pause.0.lock().clone();
        (result, keys, pauses)
    }

    #[tokio::test]
    async fn attempts_per_failure() {
        let connect = ProviderError::Connect {
            family: "f".to_owned(),
            detail: "d".to_owned(),
            url: "u".to_owned(),
        };
        let timeout = ProviderError::Timeout {
            family: "f".to_owned(),
            seconds: 1.0,
            url: "u".to_owned(),
        };
        let unreadable = ProviderError::Unreadable {
            family: "f".to_owned(),
            detail: "d".to_owned(),
            url: "u".to_owned(),
        };
        for (error, attempts) in [
            (ProviderError::Api(failure(500, None)), 2),
            (lost(), 2),
            (unreadable, 2),
            (ProviderError::RateLimited(failure(429, None)), 3),
            (connect, 3),
            (timeout, 3),
            (ProviderError::InvalidRequest(failure(400, None)), 1),
            (ProviderError::Authentication(failure(401, None)), 1),
            (ProviderError::Api(failure(402, None)), 1),
        ] {
            let (result, keys, _) = run(vec![Step::fail(error.clone()); 4]).await;
            assert_eq!(result.expect_err("fails"), error);
            assert_eq!(keys.len(), attempts, "{error}");
        }
    }

    #[tokio::test]
    async fn keys_change_after_definite_failures_only() {
        let (result, keys, _) = run(vec![
            Step::fail(ProviderError::Api(failure(500, None))),
            Step::text("ok"),
        ])
        .await;
        assert_eq!(result.expect("answer").content.as_deref(), Some("ok"));
        assert_eq!(keys, [Some("r/n/1".to_owned()), Some("r/n/1/2".to_owned())]);
        let (result, keys, _) = run(vec![Step::fail(lost()), Step::text("ok")]).await;
        assert!(result.is_ok());
        assert_eq!(keys, [Some("r/n/1".to_owned()), Some("r/n/1".to_owned())]);
    }

    #[tokio::test]
    async fn pauses_grow_and_follow_the_server() {
        let limited = |after| Step::fail(ProviderError::RateLimited(failure(429, after)));
        let (_, _, pauses) = run(vec![limited(None), limited(Some(7)), limited(None)]).await;
        assert_eq!(
            pauses,
            [
                (Duration::from_secs(1), None),
                (Duration::from_secs(2), Some(Duration::from_secs(7)))
            ]
        );
        let (result, keys, _) = run(vec![limited(Some(3600)), Step::text("late")]).await;
        assert!(result.is_err());
        assert_eq!(keys.len(), 1);
        assert_eq!(RetryPolicy::default().delay_bound(40), Duration::from_secs(60));
    }

    #[tokio::test]
    async fn open_circuit_refuses_without_asking() {
        let fake = Arc::new(FakeChat::new(vec![Step::fail(lost()); 20]));
        let inner: Arc<dyn ChatModel> = fake.clone();
        let breaker = Arc::new(CircuitBreaker::new(CircuitSettings {
            failures: 2,
            open_for: Duration::from_secs(60),
        }));
        let model = RetryingModel::new(inner, RetryPolicy::default(), "s")
            .with_pause(Arc::new(Recorded::default()))
            .with_breaker(breaker);
        for _ in 0..2 {
            let _ = model
                .chat(ChatRequest::prompt("m", "x"), CancellationToken::new())
                .await;
        }
        assert_eq!(fake.requests().len(), 4);
        let error = model
            .chat(ChatRequest::prompt("m", "x"), CancellationToken::new())
            .await
            .expect_err("open");
        assert!(matches!(error, ProviderError::CircuitOpen { .. }), "{error}");
        assert_eq!(fake.requests().len(), 4);
    }

    #[tokio::test]
    async fn cancelled_between_attempts() {
        struct Cancel(CancellationToken);
        #[async_trait]
        impl Pause for Cancel {
            async fn pause(&self, _: Duration, _: Option<Duration>) {
                self.0.cancel();
                std::future::pending::<()>().await;
            }
        }
        let cancel = CancellationToken::new();
        let inner: Arc<dyn ChatModel> =
            Arc::new(FakeChat::new(vec![Step::fail(lost()), Step::text("never")]));
        let model = RetryingModel::new(inner, RetryPolicy::default(), "s")
            .with_pause(Arc::new(Cancel(cancel.clone())));
        let error = model
            .chat(ChatRequest::prompt("m", "x"), cancel)
            .await
            .expect_err("cancelled");
        assert_eq!(error, ProviderError::Cancelled);
    }
}
