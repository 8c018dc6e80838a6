//! The connection, and what is known about how well it works.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ag_telemetry::metrics::DEGRADED;
use async_nats::{
    Client, ConnectOptions, Event,
    connection::State,
    jetstream::{self, Context, consumer::PullConsumer},
};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::{sync::watch, time::timeout};

use super::{NatsError, NatsOptions, wire};
use crate::backoff::Backoff;

/// Most time of a request to the broker.
pub(super) const REQUEST: Duration = Duration::from_secs(2);
/// A wake-up older than this was found by a sweep long ago.
const MAX_AGE: Duration = Duration::from_secs(60);
/// Redelivery of what was handed to a runner that did not acknowledge it.
const ACK_WAIT: Duration = Duration::from_secs(2);
/// Limits of the stream; beyond them the oldest wake-ups go.
const MAX_MESSAGES: i64 = 1_000_000;
const MAX_BYTES: i64 = 256 * 1024 * 1024;
/// Unacknowledged wake-ups of a pool. Each is acknowledged at once; the limit only has to be out of the way.
const MAX_ACK_PENDING: i64 = 65_536;
/// Runners of a pool that may wait at the same time.
const MAX_WAITING: i64 = 4_096;
const FIRST_RECONNECT: Duration = Duration::from_millis(50);
const LAST_RECONNECT: Duration = Duration::from_secs(2);

/// Whether announcements arrive.
#[derive(Debug)]
pub(super) struct Health {
    connected: AtomicBool,
    publishing: AtomicBool,
    pulling: AtomicBool,
    told: AtomicBool,
}

impl Health {
    fn new() -> Self {
        Self {
            connected: AtomicBool::new(false),
            publishing: AtomicBool::new(true),
            pulling: AtomicBool::new(true),
            told: AtomicBool::new(true),
        }
    }

    pub(super) fn good(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
            && self.publishing.load(Ordering::Relaxed)
            && self.pulling.load(Ordering::Relaxed)
    }

    pub(super) fn set_connected(&self, good: bool) {
        self.connected.store(good, Ordering::Relaxed);
        self.tell();
    }

    pub(super) fn publishing(&self) -> bool {
        self.publishing.load(Ordering::Relaxed)
    }

    pub(super) fn set_publishing(&self, good: bool) {
        self.publishing.store(good, Ordering::Relaxed);
        self.tell();
    }

    pub(super) fn set_pulling(&self, good: bool) {
        self.pulling.store(good, Ordering::Relaxed);
        self.tell();
    }

    /// Says once when the state changes.
    fn tell(&self) {
        let good = self.good();
        if self.told.swap(good, Ordering::Relaxed) == good {
            return;
        }
        DEGRADED.with(["nats"]).set(if good { 0.0 } else { 1.0 });
        if good {
            tracing::info!("the bell rings again");
        } else {
            tracing::warn!("the bell is away: runs are found by looking for them");
        }
    }
}

/// A connection to the broker and the names of what it keeps there.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) jetstream: Context,
    pub(super) health: Arc<Health>,
    /// Changes when the connection is lost, when it is there again, and when the stream was missing.
    epoch: Arc<watch::Sender<u64>>,
    stream: String,
}

impl Link {
    /// Waits until the broker has taken in what this connection has sent so far, a subscription for example: it answers
    /// in order, so a message to ourselves comes after all that. Flushing says only that the bytes have left.
    pub(super) async fn settle(&self) {
        let inbox = self.client.new_inbox();
        let echo = async {
            let mut echo = self.client.subscribe(inbox.clone()).await.ok()?;
            self.client.publish(inbox, Bytes::new()).await.ok()?;
            echo.next().await
        };
        // Late is as good as never: what is missed is found by a beat.
        let _ = timeout(REQUEST, echo).await;
    }

    pub(super) async fn open(options: NatsOptions) -> Result<Self, NatsError> {
        let health = Arc::new(Health::new());
        let epoch = Arc::new(watch::Sender::new(0_u64));
        let events = {
            let (health, epoch) = (health.clone(), epoch.clone());
            move |event: Event| {
                match event {
                    Event::Connected => health.set_connected(true),
                    Event::Disconnected | Event::Closed => health.set_connected(false),
                    _ => {}
                }
                if matches!(event, Event::Connected | Event::Disconnected | Event::Closed) {
                    epoch.send_modify(|epoch| *epoch += 1);
                }
                std::future::ready(())
            }
        };
        let mut connect = ConnectOptions::new()
            .name("abstractgateway")
            .connection_timeout(REQUEST)
            .request_timeout(Some(REQUEST))
            .ping_interval(Duration::from_secs(5))
            .reconnect_delay_callback(|attempt| Backoff::of_attempt(FIRST_RECONNECT, LAST_RECONNECT, attempt))
            .retry_on_initial_connect()
            .event_callback(events);
        if let Some(file) = options.ca_file {
            connect = connect.add_root_certificates(file).require_tls(true);
        }
        let servers = options
            .servers
            .split(',')
            .map(|server| server.trim().parse::<async_nats::ServerAddr>())
            .collect::<Result<Vec<_>, _>>()
            // The text may hold a password; the position in the list must do.
            .map_err(|_| NatsError::Address)?;
        // The library does not take them from the address.
        if let Some(server) = servers.iter().find(|server| server.has_user_pass()) {
            let user = server.username().unwrap_or_default().to_owned();
            connect = match server.password() {
                Some(password) => connect.user_and_password(user, password.to_owned()),
                None => connect.token(user),
            };
        }
        let client = timeout(REQUEST, connect.connect(servers))
            .await
            .map_err(|_| NatsError::Timeout("connect"))?
            .map_err(|error| NatsError::Connect(error.kind().to_string()))?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST)
            .ack_timeout(REQUEST)
            .max_ack_inflight(256)
            .build(client.clone());
        Ok(Self {
            client,
            jetstream,
            health,
            epoch,
            stream: options.stream,
        })
    }

    pub(super) fn connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Changes from now on.
    pub(super) fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// Tells the listeners that the stream was gone, and their consumers with it.
    pub(super) fn stream_was_missing(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Creates the stream unless it is there. One of another configuration is used as it is: two versions of the
    /// gateway that run side by side must not change it back and forth.
    pub(super) async fn ensure_stream(&self) -> Result<(), NatsError> {
        let config = jetstream::stream::Config {
            name: self.stream.clone(),
            subjects: vec![wire::WAKE_SUBJECTS.to_owned()],
            retention: jetstream::stream::RetentionPolicy::WorkQueue,
            storage: jetstream::stream::StorageType::Memory,
            discard: jetstream::stream::DiscardPolicy::Old,
            max_age: MAX_AGE,
            max_messages: MAX_MESSAGES,
            max_bytes: MAX_BYTES,
            num_replicas: 1,
            ..Default::default()
        };
        timeout(REQUEST * 2, self.jetstream.get_or_create_stream(config))
            .await
            .map_err(|_| NatsError::Timeout("stream"))?
            .map_err(|error| NatsError::Stream(error.to_string()))?;
        Ok(())
    }

    /// The consumer of a pool; creates it and the stream where they are missing.
    pub(super) async fn consumer(&self, pool: &str) -> Result<PullConsumer, NatsError> {
        self.ensure_stream().await?;
        let config = jetstream::consumer::pull::Config {
            durable_name: Some(pool.to_owned()),
            filter_subject: wire::wake_filter(pool),
            ack_policy: jetstream::consumer::AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: MAX_ACK_PENDING,
            max_waiting: MAX_WAITING,
            ..Default::default()
        };
        let create = async {
            let stream = self
                .jetstream
                .get_stream_no_info(&self.stream)
                .await
                .map_err(|error| NatsError::Stream(error.to_string()))?;
            stream
                .get_or_create_consumer(pool, config)
                .await
                .map_err(|error| NatsError::Consumer(error.to_string()))
        };
        timeout(REQUEST * 2, create)
            .await
            .map_err(|_| NatsError::Timeout("consumer"))?
    }
}
