//! The bell of a cluster, on NATS (architecture D1).
//!
//! Wake-ups go to one work queue stream in memory, subjects `wake.<pool>.<shard>`, and each pool has one durable pull
//! consumer. Nothing in it is a fact: what is lost, doubled or late was committed before and is found by a sweep, so
//! messages are published without waiting, acknowledged when they are handed out and forgotten after a minute. Stream
//! and consumer are created again whenever they are missing. Control messages travel over core NATS as
//! `ctl.<session>`.
//!
//! Only features of server 2.9 and newer are used.

mod link;
mod listener;
mod publisher;
mod wire;

use std::{fmt, path::PathBuf, sync::Arc};

use ag_telemetry::traces;
use ag_types::{RunKey, SessionId};
use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::{sync::mpsc, time::timeout};

use crate::{Bell, Control, Hint, WakeUps};
use link::{Link, REQUEST};
use listener::NatsWakeUps;
use publisher::Publisher;

/// Control messages that wait for a session.
const CONTROLS: usize = 1_024;

/// Why a bell cannot be made, or what the broker refused.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// An address cannot be read. It may hold a password and is not repeated.
    #[error("a NATS address is not a URL like nats://host:4222")]
    Address,
    /// The options cannot be used; an absent server is no error.
    #[error("cannot connect to NATS: {0}")]
    Connect(String),
    /// The stream cannot be read or created.
    #[error("stream of wake-ups: {0}")]
    Stream(String),
    /// The consumer cannot be read or created.
    #[error("consumer of wake-ups: {0}")]
    Consumer(String),
    /// No answer in time.
    #[error("NATS did not answer in time: {0}")]
    Timeout(&'static str),
}

/// Where the broker is.
#[derive(Clone)]
pub struct NatsOptions {
    /// Addresses separated by commas, `nats://` or `tls://`, user and password included where needed.
    pub servers: String,
    /// Certificates to trust instead of the system's; makes TLS a duty.
    pub ca_file: Option<PathBuf>,
    /// Name of the stream.
    pub stream: String,
}

impl NatsOptions {
    /// Options with the usual stream.
    #[must_use]
    pub fn new(servers: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            ca_file: None,
            stream: "GATEWAY_WAKE".to_owned(),
        }
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// The bell.
pub struct NatsBell {
    link: Arc<Link>,
    publisher: Publisher,
}

impl NatsBell {
    /// Makes a bell. An absent broker is no error: the bell is unhealthy until it comes.
    ///
    /// # Errors
    /// [`NatsError`] if the options cannot be used.
    pub async fn connect(options: NatsOptions) -> Result<Self, NatsError> {
        let link = Arc::new(Link::open(options).await?);
        let publisher = Publisher::start(link.clone());
        Ok(Self { link, publisher })
    }
}

#[async_trait]
impl Bell for NatsBell {
    async fn ring(&self, pool: &str, runs: &[RunKey]) {
        if !wire::is_pool_name(pool) {
            tracing::warn!(pool, "not the name of a pool");
            return;
        }
        let trace = traces::traceparent().map(Into::into);
        if !self.publisher.wake(pool, runs, wire::MAX_KEYS, trace) {
            self.link.health.set_publishing(false);
        }
    }

    async fn listen(&self, pool: Arc<str>) -> Box<dyn WakeUps> {
        if !wire::is_pool_name(&pool) {
            tracing::warn!(%pool, "not the name of a pool");
            return Box::new(Silence);
        }
        Box::new(NatsWakeUps::new(self.link.clone(), self.publisher.clone(), pool))
    }

    async fn control(&self, session: SessionId, message: Control) {
        self.publisher
            .control(wire::control_subject(session), wire::encode_control(message));
    }

    async fn controls(&self, session: SessionId) -> mpsc::Receiver<Control> {
        let (sender, receiver) = mpsc::channel(CONTROLS);
        let subscribe = self.link.client.subscribe(wire::control_subject(session));
        let mut messages = match timeout(REQUEST, subscribe).await {
            Ok(Ok(messages)) => messages,
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(session.id = %session, "no control messages: cancels are found by the beat");
                return receiver;
            }
        };
        if self.link.connected() {
            // Others may send as soon as this returns.
            self.link.settle().await;
        }
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    message = messages.next() => message,
                    () = sender.closed() => return,
                };
                let Some(message) = message else { return };
                if let Some(control) = wire::decode_control(&message.payload) {
                    // A full channel means that the session is busy with earlier ones; its beat finds the rest.
                    let _ = sender.try_send(control);
                }
            }
        });
        receiver
    }

    fn healthy(&self) -> bool {
        self.link.connected() && self.link.health.good()
    }
}

/// A listener of a pool that cannot exist.
struct Silence;

#[async_trait]
impl WakeUps for Silence {
    async fn next(&mut self, _max: usize) -> Vec<Hint> {
        std::future::pending().await
    }
}
