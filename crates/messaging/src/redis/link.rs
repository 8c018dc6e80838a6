//! The connection for commands, and what is known about how well the node's connections work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use ag_telemetry::metrics::DEGRADED;
use parking_lot::Mutex;
use redis::{
    Client, FromRedisValue, Pipeline,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::{Instant, timeout};

use super::{RedisError, RedisOptions};

/// Most time of an attempt to connect.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// Most time until an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(1);
/// After a subscription was lost the feed counts as unhealthy for so long, so that the node's sweep of quiet streams
/// certainly looks once for what was missed.
const SETTLE: Duration = Duration::from_millis(2_500);

const UNKNOWN: u8 = 0;
const GOOD: u8 = 1;
const BAD: u8 = 2;

/// One of the node's connections.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Commands,
    Subscriptions,
}

#[derive(Debug)]
pub(super) struct Health {
    parts: [AtomicU8; 2],
    settled: Mutex<Instant>,
}

impl Health {
    pub(super) fn set(&self, part: Part, good: bool) {
        let now = if good { GOOD } else { BAD };
        let before = self.parts[part as usize].swap(now, Ordering::Relaxed);
        if before == now {
            return;
        }
        let degraded = self.parts.iter().any(|part| part.load(Ordering::Relaxed) == BAD);
        DEGRADED.with(["redis"]).set(if degraded { 1.0 } else { 0.0 });
        match (good, part) {
            (true, _) if before == UNKNOWN => {}
            (true, _) => tracing::info!(?part, "Redis is back"),
            (false, Part::Commands) => {
                tracing::warn!(
                    "Redis is away: counters are this node's own, streams learn of records by reading"
                );
            }
            (false, Part::Subscriptions) => {
                tracing::warn!("Redis is away: streams of this node learn of records by reading");
            }
        }
    }

    pub(super) fn good(&self, part: Part) -> bool {
        self.parts[part as usize].load(Ordering::Relaxed) == GOOD
    }

    /// Known to fail; false while nothing was tried yet.
    pub(super) fn bad(&self, part: Part) -> bool {
        self.parts[part as usize].load(Ordering::Relaxed) == BAD
    }

    /// Announcements were missed.
    pub(super) fn unsettle(&self) {
        *self.settled.lock() = Instant::now() + SETTLE;
    }

    pub(super) fn settled(&self) -> bool {
        *self.settled.lock() <= Instant::now()
    }
}

/// A node's connection to Redis, shared by its feed and its counters.
#[derive(Clone)]
pub struct RedisLink {
    pub(super) client: Client,
    commands: ConnectionManager,
    pub(super) health: Arc<Health>,
}

impl RedisLink {
    /// Prepares the connection. An absent server is no error: the node falls back to its own means until it comes.
    ///
    /// # Errors
    /// [`RedisError`] if the options cannot be used.
    pub fn open(options: &RedisOptions) -> Result<Self, RedisError> {
        // The library's message may repeat the URL and with it a password.
        let client = Client::open(options.url.as_str()).map_err(|_| RedisError::Address)?;
        // One attempt per call: whoever needs an answer has a way without it.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let commands = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(|error| RedisError::Options(error.category().to_owned()))?;
        let link = Self {
            client,
            commands,
            health: Arc::new(Health {
                parts: [AtomicU8::new(UNKNOWN), AtomicU8::new(UNKNOWN)],
                settled: Mutex::new(Instant::now()),
            }),
        };
        let first = link.clone();
        tokio::spawn(async move { first.ping().await });
        Ok(link)
    }

    /// Sends commands in one piece and notes whether an answer came.
    pub(super) async fn run<T: FromRedisValue>(&self, pipeline: &Pipeline, limit: Duration) -> Option<T> {
        let mut commands = self.commands.clone();
        let answer = timeout(limit, pipeline.query_async(&mut commands)).await;
        match answer {
            Ok(Ok(value)) => {
                self.health.set(Part::Commands, true);
                return Some(value);
            }
            Ok(Err(error)) => tracing::debug!(kind = ?error.kind(), "a Redis command failed"),
            Err(_) => tracing::debug!("a Redis command took too long"),
        }
        self.health.set(Part::Commands, false);
        None
    }

    /// Asks whether the server is there.
    pub(super) async fn ping(&self) -> bool {
        let mut ping = redis::pipe();
        ping.cmd("PING").ignore();
        self.run::<()>(&ping, CONNECT).await.is_some()
    }
}
